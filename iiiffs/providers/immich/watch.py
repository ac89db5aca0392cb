"""What has changed, by polling: the list of albums (304 while nothing has), what was updated lately, and a count.

Rule: the research, §6. An album's figures (`AlbumRecord.figures`) differ if its listing does, so a changed album is
reported alone. What is in no album shows in a search for late updates; what was deleted for good, in a count. At most
three questions a poll while nothing changes: on 2.x, where the albums take two, the other two take turns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import trio

from iiiffs.errors import AccessDenied, AssetGone, ProviderError
from iiiffs.model.changes import EVERYTHING, Changeset
from iiiffs.model.gallery import AlbumId
from iiiffs.providers.immich.client import PAGE, ImmichClient
from iiiffs.providers.immich.wire import AlbumRecord, time_text
from iiiffs.providers.views import ALBUMS, LIBRARY

log = logging.getLogger(__name__)

OVERLAP_MS = 30_000
"""How far back each look for updates begins: clocks of server and database differ, and commits come late."""
JUMP_MS = 5_000
"""A server's clock that goes back by more than this was set: what was seen says nothing any more."""
TROUBLE_POLLS_MAX = 10
"""While the server cannot be asked, polls are up to so many times as far apart."""


@dataclass(frozen=True, slots=True)
class _AlbumState:
    title: str
    figures: tuple[str, int, str | None]


@dataclass(slots=True)
class _Seen:
    """What the last polls found. `since_ms`: of the server's clock. `late`: (id, updatedAt) seen since then."""

    etags: tuple[str, ...]
    albums: dict[str, _AlbumState]
    date_ms: int
    since_ms: int
    late: frozenset[tuple[str, str]]
    count: int | None


class AlbumWatch:
    """One run of Provider.watch."""

    def __init__(self, client: ImmichClient, poll_s: float) -> None:
        self._client = client
        self._poll_s = poll_s
        self._counts = True
        self._polls = 0

    async def run(self, report: Callable[[Changeset], None], task_status: trio.TaskStatus[None]) -> None:
        """Rule: Provider.watch."""
        seen: _Seen | None = None
        troubles = 0
        started = False
        while True:
            try:
                if seen is None:
                    seen = await self._begin()
                    if started:
                        report(EVERYTHING)
                        log.info("%s: changes are watched again", self._client.name)
                else:
                    await self._poll(seen, report)
                troubles = 0
            except ProviderError as error:
                if not troubles:
                    log.warning("%s: changes are not noticed at the moment: %s", self._client.name, error)
                troubles += 1
                seen = None
            if not started:
                task_status.started()
                started = True
            await trio.sleep(self._poll_s * min(TROUBLE_POLLS_MAX, 2 ** max(0, troubles - 1)))

    async def _begin(self) -> _Seen:
        answer = await self._client.albums()
        date_ms = _ms(answer.date_s)
        seen = _Seen(answer.etags, _states(answer.albums or ()), date_ms, date_ms - OVERLAP_MS, frozenset(), None)
        seen.late, _ = await self._late(seen.since_ms)
        seen.count = await self._count()
        return seen

    async def _poll(self, seen: _Seen, report: Callable[[Changeset], None]) -> None:
        """Everything that differs is reported, and `seen` is up to date."""
        self._polls += 1
        answer = await self._client.albums(seen.etags)
        date_ms = _ms(answer.date_s)
        if date_ms < seen.date_ms - JUMP_MS:
            log.warning("%s: the server's clock went back; everything is looked at anew", self._client.name)
            seen.since_ms, seen.late = date_ms - OVERLAP_MS, frozenset()
            report(EVERYTHING)
        changed: set[AlbumId] = set()
        if answer.albums is not None:
            albums = _states(answer.albums)
            changed |= _changed(seen.albums, albums)
            seen.albums = albums
        seen.etags, seen.date_ms = answer.etags, date_ms
        turns = len(answer.etags) > 1
        if not turns or self._polls % 2 or changed:
            changed |= await self._look_for_updates(seen)
        if not turns or not self._polls % 2:
            count = await self._count()
            if count != seen.count:
                changed.add(LIBRARY)
            seen.count = count
        if changed:
            report(Changeset(frozenset(changed)))

    async def _look_for_updates(self, seen: _Seen) -> set[AlbumId]:
        late, is_whole = await self._late(seen.since_ms)
        is_news = not is_whole or bool(late - seen.late)
        seen.since_ms, seen.late = max(seen.since_ms, seen.date_ms - OVERLAP_MS), late
        return {LIBRARY} if is_news else set()

    async def _late(self, since_ms: int) -> tuple[frozenset[tuple[str, str]], bool]:
        """What was updated since then, trashed too, and whether that is all of it."""
        filters = {"updatedAfter": time_text(since_ms), "withDeleted": True}
        part = await self._client.search(filters, size=PAGE)
        marks = frozenset((one.id, f"{one.updated_at} {one.is_trashed}") for one in part.items)
        return marks, part.next_page is None

    async def _count(self) -> int | None:
        """How many assets there are; None if the key may not ask."""
        if not self._counts:
            return None
        try:
            return await self._client.count({})
        except (AccessDenied, AssetGone):
            log.info("%s: without asset.statistics, deletions outside of albums are noticed late", self._client.name)
            self._counts = False
            return None


def _states(records: tuple[AlbumRecord, ...]) -> dict[str, _AlbumState]:
    return {record.id: _AlbumState(record.album_name, record.figures) for record in records}


def _changed(before: dict[str, _AlbumState], now: dict[str, _AlbumState]) -> set[AlbumId]:
    """The albums whose listing may differ; ALBUMS where one came, went or has another title."""
    changed = {AlbumId(id) for id in before.keys() | now.keys() if before.get(id) != now.get(id)}
    titles = ({id: state.title for id, state in each.items()} for each in (before, now))
    return changed | ({ALBUMS} if next(titles) != next(titles) else set())


def _ms(date_s: float | None) -> int:
    """The server's clock; this machine's for a server that tells no time."""
    return int((time.time() if date_s is None else date_s) * 1000)
