"""What has changed, by polling: the list of albums (304 while nothing has), what was updated lately, and a count.

Rule: the research, §6. An album's figures (`AlbumRecord.figures`) differ if something came or went, so such an album is
reported alone. What else was updated shows in a search for late updates, of any asset that is the user's own: then it
is LIBRARY that changed, TRASH if it went there or came from there, and whatever remembered listing holds it, which is
forgotten. What was deleted for good shows in a count, of the library, and of the trash once somebody looked into that.
At most three questions a poll while nothing changes: the counts take turns, and on 2.x, where the albums take two, so
do they and the search. What bumps no date is not noticed: another name of a person, a tag given or taken.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import trio

from iiiffs.errors import AccessDenied, AssetGone, ProviderError, ProviderUnreachable
from iiiffs.model.changes import EVERYTHING, Changeset
from iiiffs.model.gallery import AlbumId
from iiiffs.providers.immich.client import PAGE, ImmichClient
from iiiffs.providers.immich.library import IN_TRASH
from iiiffs.providers.immich.listings import Listings
from iiiffs.providers.immich.wire import AlbumRecord, time_text
from iiiffs.providers.views import ALBUMS, LIBRARY, TRASH

log = logging.getLogger(__name__)

OVERLAP_MS = 30_000
"""How far back each look for updates begins: clocks of server and database differ, and commits come late."""
JUMP_MS = 5_000
"""A server's clock that goes back by more than this was set: what was seen says nothing any more."""
POLL_DEADLINE_S = 30.0
"""Of the first question of a poll, so that a server that only keeps silent is known to be away by then."""


@dataclass(frozen=True, slots=True)
class _AlbumState:
    title: str
    figures: tuple[str, int, str | None]


@dataclass(frozen=True, slots=True)
class _Mark:
    """One late update."""

    updated_at: str
    is_trashed: bool


@dataclass(slots=True)
class _Seen:
    """What the last polls found. `since_ms`: of the server's clock. `late`: by asset, what was updated since then."""

    etags: tuple[str, ...]
    albums: dict[str, _AlbumState]
    date_ms: int
    since_ms: int
    late: dict[str, _Mark]
    count: int | None
    binned: int | None = None


class AlbumWatch:
    """One run of Provider.watch."""

    def __init__(self, client: ImmichClient, listings: Listings, poll_s: float) -> None:
        self._client = client
        self._listings = listings
        self._poll_s = poll_s
        self.refused: str | None = None
        """Why the last poll was not allowed to look, though the server answers; None if it was, or did not ask."""
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
                troubles, self.refused = 0, None
            except ProviderError as raised:
                error = await self._noted(raised)
                if not troubles:
                    log.warning("%s: changes are not noticed at the moment: %s", self._client.name, error)
                troubles += 1
                seen = None
            if not started:
                task_status.started()
                started = True
            # Never rarer in trouble: one question that fails costs nobody anything, and a Retry-After and a refused key
            # are minded by HttpAccount. So a server that answers again is noticed after one interval at most.
            await trio.sleep(self._poll_s)

    async def _noted(self, error: ProviderError) -> ProviderError:
        """What to tell of it; `ImmichProvider.trouble` says so too, from now on."""
        self.refused = None
        if isinstance(error, ProviderUnreachable):
            return await self._client.explained(error)
        if isinstance(error, AccessDenied) and self._client.http.denied is None:
            self.refused = str(error)
        return error

    async def _begin(self) -> _Seen:
        answer = await self._client.albums((), POLL_DEADLINE_S)
        date_ms = _ms(answer.date_s)
        seen = _Seen(answer.etags, _states(answer.albums or ()), date_ms, date_ms - OVERLAP_MS, {}, None)
        seen.late, _ = await self._late(seen.since_ms)
        seen.count = await self._count({})
        self._listings.drop_all()  # nobody saw what was edited until now
        return seen

    async def _poll(self, seen: _Seen, report: Callable[[Changeset], None]) -> None:
        """Everything that differs is reported, and `seen` is up to date."""
        self._polls += 1
        answer = await self._client.albums(seen.etags, POLL_DEADLINE_S)
        date_ms = _ms(answer.date_s)
        if date_ms < seen.date_ms - JUMP_MS:
            log.warning("%s: the server's clock went back; everything is looked at anew", self._client.name)
            seen.since_ms, seen.late = date_ms - OVERLAP_MS, {}
            self._listings.drop_all()
            report(EVERYTHING)
        changed: set[AlbumId] = set()
        if answer.albums is not None:
            albums = _states(answer.albums)
            changed |= _changed(seen.albums, albums)
            seen.albums = albums
        seen.etags, seen.date_ms = answer.etags, date_ms
        turns = len(answer.etags) > 1
        news: set[AlbumId] = set()
        if not turns or self._polls % 2 or changed:
            news = await self._look_for_updates(seen)
            changed |= news
        if news:
            changed |= await self._count_anew(seen)
        elif not turns or not self._polls % 2:
            changed |= await self._look_for_deletions(seen, self._polls // len(answer.etags))
        if changed:
            report(Changeset(frozenset(changed)))

    async def _look_for_updates(self, seen: _Seen) -> set[AlbumId]:
        before = seen.late
        late, is_whole = await self._late(seen.since_ms)
        seen.since_ms, seen.late = max(seen.since_ms, seen.date_ms - OVERLAP_MS), late
        news = {id for id, mark in late.items() if mark != before.get(id)}
        if not is_whole:
            return {LIBRARY, TRASH, *self._listings.drop_all()}
        if not news:
            return set()
        binned = {id for marks in (before, late) for id, mark in marks.items() if mark.is_trashed}
        moved = news & (binned | self._listings.binned.keys())
        return {LIBRARY, *self._listings.drop_holding(news), *({TRASH} if moved else ())}

    async def _look_for_deletions(self, seen: _Seen, turn: int) -> set[AlbumId]:
        if turn % 2 and self._listings.has_shown_trash:
            before, seen.binned = seen.binned, await self._count(IN_TRASH)
            return {TRASH} if seen.binned != before else set()
        before, seen.count = seen.count, await self._count({})
        return {LIBRARY} if seen.count != before else set()

    async def _count_anew(self, seen: _Seen) -> set[AlbumId]:
        """What was updated changed the counts, which must not hide that something is deleted before they are next
        looked at: both are taken now. That the library changed is reported already."""
        before, seen.count = seen.binned, await self._count({})
        if self._listings.has_shown_trash:
            seen.binned = await self._count(IN_TRASH)
        return {TRASH} if seen.binned != before else set()

    async def _late(self, since_ms: int) -> tuple[dict[str, _Mark], bool]:
        """What was updated since then, trashed too, and whether that is all of it."""
        filters = {"updatedAfter": time_text(since_ms), "withDeleted": True}
        part = await self._client.search(filters, size=PAGE)
        return {one.id: _Mark(one.updated_at, one.is_trashed) for one in part.items}, part.next_page is None

    async def _count(self, filters: Mapping[str, object]) -> int | None:
        """How many assets there are of that kind; None if the key may not ask."""
        if not self._counts:
            return None
        try:
            return await self._client.count(filters)
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
