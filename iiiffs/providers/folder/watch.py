"""Which albums of a folder changed, told soon after they did.

Three things find changes, each what the one before it misses. The kernel's events, within 0.3 s. A quick census every
5 s: whatever came or went, whatever became of the watches. A census of every entry every 60 s, with new watches: files
written in place whose event was lost. Neither of the two takes more than 1 % of the time: with more files they come
less often. So a change is told late at the worst, never not at all.

Folders come and go by a new Notifier for all folders; the old one is asked for the last time when the new one is there,
and what appeared in a new folder before it was watched is seen by looking at it again afterwards.

Symlinks. The kernel tells of a file at its real path only; whatever is shown through symlinks (and hard links) to it is
found by inode in the ledger, and by where links lead. Told at the next census only: what becomes of a link whose
target is not there or is another link. Targets outside the root are not shown, so not watched.

Without inotify (its limits reached, a network disk, where it does not tell what other machines do) there is the census
of every entry every 30 s. The same for folders with names that are not UTF-8, which watchfiles cannot watch.

Concurrency. All state belongs to the one task in `run`. Threads get immutable values; those that look at the disk are
given up on cancellation, the one that waits for events ends within 0.1 s and is waited for.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio

from iiiffs.errors import AssetGone, ProviderError, StoreError
from iiiffs.model.changes import EVERYTHING, Changeset
from iiiffs.model.gallery import AlbumId
from iiiffs.providers.base import IdentityLedger
from iiiffs.providers.folder.census import Census, Key, look_again, parent, take_census
from iiiffs.providers.folder.disk import Disk
from iiiffs.providers.folder.notifier import Notifier, Told, WatchesRefused, storm_size
from iiiffs.providers.folder.records import Records
from iiiffs.providers.mountinfo import network_type, read_mounts
from iiiffs.tree.junk import is_junk

log = logging.getLogger(__name__)

Result = TypeVar("Result")

ROUNDS_MAX = 5
"""New watches in one go, while new folders keep appearing; then reports first."""

REST = 4
"""After changes, at least so many times as long as looking at them took is nothing looked at."""

SHARE = 100
"""As REST, between two looks that nothing gave cause for: 1 % of the time."""


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """Seconds. `quick_s`, `thorough_s`: from census to census. `poll_s`: thorough ones where the kernel does not watch.

    `retry_s`: first wait for a root that is not there; doubled up to `poll_s`.
    """

    quick_s: float = 5.0
    thorough_s: float = 60.0
    poll_s: float = 30.0
    retry_s: float = 0.5


WATCH_TIMES = WatchTimes()


@dataclass(frozen=True, slots=True)
class Renewed:
    """A census, what watches after it (`settled`: all folders that can be), and what folders changed since the last.

    `refused`: why nothing is watched, else None. `lost`: more may have changed.
    """

    census: Census
    notifier: Notifier | None
    folders: frozenset[bytes]
    refused: str | None
    lost: bool
    settled: bool


class FolderWatch:
    """One run of Provider.watch over one folder."""

    def __init__(self, label: str, disk: Disk, records: Records, ledger: IdentityLedger, times: WatchTimes) -> None:
        self._label = label
        self._disk = disk
        self._records = records
        self._ledger = ledger
        self._times = times
        self._threads = trio.CapacityLimiter(2)
        self._storm = storm_size()
        self._complaint: str | None = None
        self._network: str | None = None
        self._notifier: Notifier | None = None
        self._census = Census({})

    async def run(self, report: Callable[[Changeset], None], task_status: trio.TaskStatus[None]) -> None:
        """Rule: Provider.watch."""
        started = away = False
        retry_s = self._times.retry_s
        while True:
            try:
                clock = await self._begin()
                if away:
                    log.info("%s: it is back, and its changes are told again", self._label)
                    report(EVERYTHING)
                if not started:
                    task_status.started()
                started, away, retry_s = True, False, self._times.retry_s
                await self._follow(report, clock)
            except ProviderError as error:
                if not started:
                    task_status.started()
                if not away:
                    log.warning("%s: changes are not told until it is back: %s", self._label, error)
                    report(EVERYTHING)
                started = away = True
            finally:
                self._close()
            await trio.sleep(retry_s)
            retry_s = min(retry_s * 2, self._times.poll_s)

    async def _begin(self) -> _Clock:
        """A first census, and watches. Errors: ProviderError."""
        began = trio.current_time()
        self._network = await self._thread(self._network_type)
        renewed = await self._thread(lambda: self._renew(Census({}), None, frozenset(), thorough=True))
        self._take(renewed)
        clock = _Clock(self._times)
        clock.looked(renewed, thorough=True, took_s=trio.current_time() - began)
        return clock

    async def _follow(self, report: Callable[[Changeset], None], clock: _Clock) -> None:
        """Reports until the root cannot be read. Errors: ProviderError."""
        while True:
            told = await self._told(clock.wait_s())
            began = trio.current_time()
            changes = await self._changes(told, clock)
            if changes:
                report(changes)
                await trio.sleep(min((trio.current_time() - began) * REST, self._times.quick_s))

    async def _changes(self, told: Told | None, clock: _Clock) -> Changeset:
        """What `told` and the census that is due, if any, amount to. None: events were lost."""
        before, began = self._census, trio.current_time()
        lost, told = told is None, told or Told()
        thorough = lost or clock.thorough_at <= began
        shown = frozenset(path for path in told.paths if not _is_hidden(path))
        folders = _folders(shown, before)
        storm = len(told.paths) >= self._storm
        moved = any(path in before.looks for path in told.moved)
        if folders and not storm and not thorough and not moved:
            self._census, moved = await self._thread(lambda: look_again(self._disk, before, folders))
        if thorough or moved or storm or clock.quick_at <= began:
            seen, notifier, gone = self._census, self._notifier, told.moved
            renewed = await self._thread(lambda: self._renew(seen, notifier, gone, thorough=thorough))
            self._take(renewed)
            clock.looked(renewed, thorough=thorough, took_s=trio.current_time() - began)
            lost, folders = lost or storm or renewed.lost, folders | renewed.folders
        if lost:
            return EVERYTHING
        if not folders:
            return Changeset(frozenset())
        return await self._thread(lambda: self._changeset(folders, shown, before))

    async def _told(self, timeout_s: float) -> Told | None:
        """As Notifier.wait; without one, just the wait."""
        notifier, stop = self._notifier, threading.Event()
        if notifier is None or timeout_s <= 0:
            await trio.sleep(max(0.0, timeout_s))
            return Told()
        timeout_ms = math.ceil(timeout_s * 1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_set_when_cancelled, stop)
            told = await trio.to_thread.run_sync(notifier.wait, timeout_ms, stop, limiter=self._threads)
            nursery.cancel_scope.cancel()
        return told

    async def _thread(self, job: Callable[[], Result]) -> Result:
        return await trio.to_thread.run_sync(job, abandon_on_cancel=True, limiter=self._threads)

    def _renew(self, before: Census, old: Notifier | None, moved: frozenset[bytes], *, thorough: bool) -> Renewed:
        """A new census, and watches for the folders that it found. Blocking. Errors: ProviderError.

        The watches of `old` on folders in `moved` are not believed to be there any more; with `thorough`, none are.
        """
        disk, notifier, refused = self._disk, old, self._network
        census = take_census(disk, None if thorough else before)
        changed = before.differences(census) if before.looks else set()
        lost = bool(before.looks) and before.looks[b""].key != census.looks[b""].key
        watched = {} if notifier is None or thorough else notifier.watched(moved)
        for _ in range(ROUNDS_MAX):
            wanted = census.nameable()
            if refused or watched == wanted:
                break
            try:
                notifier, left = _exchanged(disk.root, notifier, wanted)
            except FileNotFoundError:
                fresh: Set[bytes] = frozenset()  # a folder went away meanwhile: the next census tells which
            except WatchesRefused as error:
                notifier, refused, lost, fresh = None, str(error), old is not None, frozenset()
            else:
                fresh = {path for path, key in wanted.items() if watched.get(path) != key} if before.looks else set()
                lost |= left is None
                changed |= _folders((left or Told()).paths, before, census)
                watched = notifier.watched((left or Told()).moved)
            again = take_census(disk, census, again=fresh)
            changed |= census.differences(again)
            census = again
        settled = notifier is None or watched == census.nameable()
        return Renewed(census, notifier, frozenset(_folders(changed, before, census)), refused, lost, settled)

    def _network_type(self) -> str | None:
        """Why inotify would be of no use here; None if it is. Blocking. Errors: ProviderError."""
        self._disk.stat_folder(b"")
        kind = network_type(Path(self._disk.root), read_mounts())
        return f"on a network disk ({kind}) it does not tell what other machines do" if kind else None

    def _take(self, renewed: Renewed) -> None:
        self._census, self._notifier = renewed.census, renewed.notifier
        if renewed.refused == self._complaint:
            return
        if renewed.refused is None:
            log.info("%s: the kernel watches its folders again", self._label)
        else:
            message = "%s: looking for changes every %g s, as the kernel cannot watch its %d folders: %s"
            level = logging.INFO if self._network else logging.WARNING
            log.log(level, message, self._label, self._times.poll_s, len(renewed.census.looks), renewed.refused)
        self._complaint = renewed.refused

    def _close(self) -> None:
        if self._notifier is not None:
            self._notifier.close()
            self._notifier = None

    def _changeset(self, folders: Iterable[bytes], files: Iterable[bytes], before: Census) -> Changeset:
        """The albums of these folders, and those that show these files elsewhere. Blocking."""
        after = self._census
        linking = {link for path in folders for census in (before, after) for link in census.linked.get(path, ())}
        try:
            ids: set[str] = set()
            for path in {*folders, *linking}:
                ids |= self._albums_at(path, (before, after))
            keys = [key for path in files if (key := self._key(path)) is not None]
            ids |= {row.folder for row in self._ledger.rows_of_inodes(keys)} if keys else set()
        except StoreError as error:
            log.warning("%s: which albums changed is not known: %s", self._label, error)
            return EVERYTHING
        return Changeset(frozenset(AlbumId(id) for id in ids if id))

    def _albums_at(self, path: bytes, censuses: tuple[Census, ...]) -> set[str]:
        """All albums that the folder at `path` is or was, those above them (they show its time), the nearest known."""
        ids: set[str] = set()
        while True:
            keys = {census.looks[path].key for census in censuses if path in census.looks}
            rows = [row for row in self._ledger.rows_of_inodes(keys) if row.is_folder] if keys else []
            ids |= {id for row in rows for id in (row.id, row.folder)}
            if not path:
                return ids | {self._records.root_id}
            if any(not row.gone and self._recorded_path(row.id) == path for row in rows):
                return ids
            path = parent(path)

    def _recorded_path(self, id: str) -> bytes | None:
        try:
            return self._records.locate(id, is_folder=True).path
        except AssetGone:
            return None

    def _key(self, path: bytes) -> Key | None:
        try:
            status = os.stat(os.path.join(os.fsencode(self._disk.root), path))  # noqa: PTH116, PTH118 - bytes names
        except OSError:
            return None
        return status.st_dev, status.st_ino


class _Clock:
    """When the next census is due."""

    def __init__(self, times: WatchTimes) -> None:
        self._times = times
        self.quick_at = self.thorough_at = trio.current_time()

    def wait_s(self) -> float:
        """Until the next one."""
        return min(self.quick_at, self.thorough_at) - trio.current_time()

    def looked(self, renewed: Renewed, *, thorough: bool, took_s: float) -> None:
        """A census took so long."""
        now, times = trio.current_time(), self._times
        soon_s = times.quick_s if renewed.settled else times.retry_s
        self.quick_at = now + max(soon_s, took_s * SHARE) if renewed.notifier is not None else math.inf
        blind = renewed.notifier is None or len(renewed.notifier.folders) < len(renewed.census.looks)
        if thorough:
            self.thorough_at = now + max(times.poll_s if blind else times.thorough_s, took_s * SHARE)
        elif blind:
            self.thorough_at = min(self.thorough_at, now + times.poll_s)


def _exchanged(root: str, old: Notifier | None, folders: Mapping[bytes, Key]) -> tuple[Notifier, Told | None]:
    """A notifier for `folders`, and what the old one had still to tell, which is closed; None if that is not known.

    Errors: FileNotFoundError, and then `old` goes on; WatchesRefused, and then it is closed.
    """
    try:
        new = Notifier(root, folders)
    except WatchesRefused:
        if old is None:
            raise
        old.close()  # both together may be too many
        return Notifier(root, folders), None
    if old is None:
        return new, Told()
    left = old.wait(1, threading.Event())
    old.close()
    return new, left


def _folders(paths: Iterable[bytes], *censuses: Census) -> set[bytes]:
    """The folders that hold `paths`, and those of them that are folders."""
    found = set()
    for path in paths:
        found.add(parent(path))
        if any(path in census.looks for census in censuses):
            found.add(path)
    return found


async def _set_when_cancelled(stop: threading.Event) -> None:
    try:
        await trio.sleep_forever()
    finally:
        stop.set()


def _is_hidden(path: bytes) -> bool:
    return any(is_junk(name) for name in os.fsdecode(path).split("/"))
