"""The one writer: what changes is seen at once by this process, and is on disk a moment later.

Changes wait in memory, one a key, in order of arrival; `run` commits them in slices in a worker thread. A reader looks
into the pending changes, then into the slice being committed, then into LMDB (`CacheWriter.find`), so it never sees a
state that is older than what it has seen before.

Concurrency: everything but `_commit` and what it calls runs in trio's thread, and no state of it is shared with the
worker but the slice, which nobody changes once it is taken. One slice is committed at a time (`_turn`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import trio

from iiiffs.cache.environment import META, CacheEnvironment
from iiiffs.errors import StoreCorrupt, StoreError, StoreFull

if TYPE_CHECKING:
    import lmdb

log = logging.getLogger(__name__)

MIB = 1024 * 1024
COMMIT_INTERVAL_S = 0.3
TOUCH_INTERVAL_S = 30.0
"""Touches alone are no reason to wake a disk; they ride with the next change, or wait this long."""
SLICE_BYTES = 4 * MIB
SLICE_CHANGES = 1000
"""Each may change a page of 4 KiB of its own, which LMDB copies to memory and never gives back, for its next write."""
PENDING_BYTES_MAX = 32 * MIB
TOUCHES_MAX = 4096
STOP_S = 2.0
RELIEF_ROUNDS = 3
CHANGE_OVERHEAD_BYTES = 128
"""What a change costs in memory beside its value, about; so that a million tiny ones are bounded too."""


class Table(Protocol):
    """What the writer needs of a table. Every method runs in the writer's thread, inside its transaction."""

    name: str

    def write(self, transaction: lmdb.Transaction, key: bytes, value: Any) -> None:
        """The key has that value."""

    def erase(self, transaction: lmdb.Transaction, key: bytes) -> None:
        """The key has no value."""

    def touch(self, transaction: lmdb.Transaction, key: bytes, stamp: int) -> None:
        """The key was used at that stamp."""

    def wipe(self, transaction: lmdb.Transaction) -> None:
        """The table is empty."""

    def settle(self, transaction: lmdb.Transaction) -> int:
        """The table is within its bounds; called last before the commit. How many values were evicted for it."""

    def relieve(self, transaction: lmdb.Transaction) -> int:
        """About a tenth of its pages are freed, where it may forget. How many values were evicted for it."""

    def lose(self, value: Any) -> None:
        """A value that was on its way will not be written: what lies outside LMDB for it is gone. In any thread."""


@dataclass(frozen=True, slots=True)
class Change:
    """A key's new value, or None if it is to be absent. `serial`: order of arrival."""

    value: Any
    cost_bytes: int
    serial: int


@dataclass(slots=True)
class Slice:
    """Changes that are committed together. Wipes come first."""

    wipes: set[str] = field(default_factory=set)
    touches: dict[tuple[str, bytes], int] = field(default_factory=dict)
    changes: dict[tuple[str, bytes], Change] = field(default_factory=dict)
    cost_bytes: int = 0

    def __bool__(self) -> bool:
        return bool(self.wipes or self.touches or self.changes)

    def find(self, table: str, key: bytes) -> tuple[bool, Any]:
        """Whether this slice decides what the key holds, and what (None: absent)."""
        change = self.changes.get((table, key))
        if change is not None:
            return True, change.value
        return table in self.wipes, None


@dataclass(frozen=True, slots=True)
class WriterStats:
    """Since the start. `dropped` puts found no room, neither in memory nor in the map; `rebuilt` whole files."""

    pending_bytes: int = 0
    commits: int = 0
    dropped: int = 0
    evicted: int = 0
    rebuilt: int = 0


@dataclass(slots=True)
class _Outcome:
    """What one commit did; made in the worker thread, added up in trio's."""

    dropped: int = 0
    evicted: int = 0
    rebuilt: int = 0


class CacheWriter:
    """Collects changes and commits them. Made once for an environment, with the tables it may write."""

    def __init__(self, environment: CacheEnvironment, tables: Mapping[str, Table]) -> None:
        self._environment = environment
        self._tables = dict(tables)
        self._pending = Slice()
        self._committing = Slice()
        self._stats = WriterStats()
        self._serial = 0
        self._turn = trio.Lock()
        self._running = False
        self._committed = trio.Event()
        self._arrived, self._changed, self._urgent = trio.Event(), trio.Event(), trio.Event()

    @property
    def stats(self) -> WriterStats:
        """What it did since the start."""
        return replace(self._stats, pending_bytes=self.backlog_bytes)

    @property
    def backlog_bytes(self) -> int:
        """What waits in memory, the slice being committed included."""
        return self._pending.cost_bytes + self._committing.cost_bytes

    def has_room(self, size_bytes: int) -> bool:
        """True if that much may be added without going over the bound; always true of an empty writer."""
        return not self.backlog_bytes or self.backlog_bytes + size_bytes <= PENDING_BYTES_MAX

    async def wait_for_room(self, size_bytes: int) -> None:
        """`has_room(size_bytes)` is true. Commits itself where no service runs. Cancellable, changes nothing then."""
        while not self.has_room(size_bytes):
            if self._running:
                await self.wait_committed()
            else:
                await self._commit_slice()
        await trio.lowlevel.checkpoint_if_cancelled()

    def put(self, table: str, key: bytes, value: Any, size_bytes: int) -> None:
        """Readers see `value` from now on; it is committed soon. Asks for no room: the caller has."""
        self._change(table, key, value, size_bytes + len(key) + CHANGE_OVERHEAD_BYTES)

    def delete(self, table: str, key: bytes) -> None:
        """Readers see nothing under the key from now on."""
        self._change(table, key, None, len(key) + CHANGE_OVERHEAD_BYTES)

    def touch(self, table: str, key: bytes, stamp: int) -> None:
        """The key was used. May be forgotten: at more than TOUCHES_MAX waiting, the oldest touch is."""
        touches = self._pending.touches
        touches.pop((table, key), None)
        touches[table, key] = stamp
        if len(touches) > TOUCHES_MAX:
            del touches[next(iter(touches))]
        self._arrived.set()

    def wipe(self, table: str) -> None:
        """Readers see an empty table from now on; changes put in later are kept."""
        pending = self._pending
        for name, key in [place for place in pending.changes if place[0] == table]:
            pending.cost_bytes -= pending.changes.pop((name, key)).cost_bytes
        pending.touches = {place: stamp for place, stamp in pending.touches.items() if place[0] != table}
        pending.wipes.add(table)
        self._signal()

    def drop_put(self) -> None:
        """A put that its store refused is counted."""
        self._stats = replace(self._stats, dropped=self._stats.dropped + 1)

    def find(self, table: str, key: bytes) -> tuple[bool, Any]:
        """(True, value or None) if what waits decides what the key holds; (False, None) if LMDB does."""
        decided, value = self._pending.find(table, key)
        return (True, value) if decided else self._committing.find(table, key)

    def overlay(self, table: str, committed: dict[bytes, Any], into: Callable[[Any], Any | None]) -> None:
        """`committed` (key to value) becomes what readers shall see; `into` turns a waiting value into its kind.

        A key for which `into` gives None is left out.
        """
        for waiting in (self._committing, self._pending):
            if table in waiting.wipes:
                committed.clear()
            for (name, key), change in waiting.changes.items():
                if name == table:
                    value = None if change.value is None else into(change.value)
                    if value is None:
                        committed.pop(key, None)
                    else:
                        committed[key] = value

    async def wait_committed(self) -> None:
        """The next commit is over."""
        await self._committed.wait()

    def wake(self) -> None:
        """The service looks whether the file was condemned, and rebuilds it; called by a reader that met damage."""
        self._signal()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """A service: commits what waits, every COMMIT_INTERVAL_S or as soon as SLICE_BYTES or SLICE_CHANGES wait.

        Cancelled, it commits what is pending for at most STOP_S and the slice then under way, and drops the rest.
        """
        self._running = True
        task_status.started()
        try:
            while True:
                await self._wait_until_due()
                await self._commit_slice()
        finally:
            self._running = False
            with trio.CancelScope(shield=True):
                await self._commit_rest(time.monotonic() + STOP_S)

    async def flush(self) -> None:
        """What was put in before this call is committed. May be cancelled between two slices."""
        last = self._serial
        while (self._pending or self._environment.condemned) and self._first_serial() <= last:
            await self._commit_slice()
        async with self._turn:
            pass

    def commit_now(self) -> None:
        """What waits is committed in the calling thread. For command lines and for closing; not beside `run`."""
        while self._pending or self._environment.condemned:
            batch = self._take()
            self._finish(self._commit(batch))

    def _change(self, table: str, key: bytes, value: Any, cost_bytes: int) -> None:
        self._serial += 1
        pending = self._pending
        older = pending.changes.pop((table, key), None)
        pending.cost_bytes += cost_bytes - (older.cost_bytes if older else 0)
        pending.changes[table, key] = Change(value, cost_bytes, self._serial)
        self._signal()

    def _signal(self) -> None:
        if self._pending or self._environment.condemned:
            self._arrived.set()
        if self._pending.changes or self._pending.wipes or self._environment.condemned:
            self._changed.set()
        if self._pending.cost_bytes >= SLICE_BYTES or len(self._pending.changes) >= SLICE_CHANGES:
            self._urgent.set()

    async def _wait_until_due(self) -> None:
        await self._arrived.wait()
        with trio.move_on_after(TOUCH_INTERVAL_S):
            await self._changed.wait()
        with trio.move_on_after(COMMIT_INTERVAL_S):
            await self._urgent.wait()

    def _first_serial(self) -> int:
        """The serial of the change that waits longest; 0 if only touches and wipes wait."""
        return next((change.serial for change in self._pending.changes.values()), 0)

    def _take(self) -> Slice:
        """The oldest changes, at least one, up to SLICE_BYTES and SLICE_CHANGES, moved from pending to committing."""
        pending = self._pending
        batch = Slice(wipes=pending.wipes, touches=pending.touches)
        while pending.changes and batch.cost_bytes < SLICE_BYTES and len(batch.changes) < SLICE_CHANGES:
            place = next(iter(pending.changes))
            change = batch.changes[place] = pending.changes.pop(place)
            batch.cost_bytes += change.cost_bytes
        pending.wipes, pending.touches = set(), {}
        pending.cost_bytes -= batch.cost_bytes
        self._committing = batch
        # Only those that are set: `run` may be waiting for the others, and would wait for ever.
        self._arrived = trio.Event() if self._arrived.is_set() else self._arrived
        self._changed = trio.Event() if self._changed.is_set() else self._changed
        self._urgent = trio.Event() if self._urgent.is_set() else self._urgent
        self._signal()
        return batch

    def _finish(self, outcome: _Outcome) -> None:
        self._committing = Slice()
        self._stats = WriterStats(
            0,
            self._stats.commits + 1,
            self._stats.dropped + outcome.dropped,
            self._stats.evicted + outcome.evicted,
            self._stats.rebuilt + outcome.rebuilt,
        )
        committed, self._committed = self._committed, trio.Event()
        committed.set()

    async def _commit_slice(self) -> None:
        async with self._turn:
            batch = self._take()
            with trio.CancelScope(shield=True):
                outcome = await trio.to_thread.run_sync(self._commit, batch)
            self._finish(outcome)

    async def _commit_rest(self, until_s: float) -> None:
        while self._pending and time.monotonic() < until_s:
            await self._commit_slice()
        if self._pending.changes:
            log.warning("cache: %d changes not kept, the disk is too slow", len(self._pending.changes))
            self._lose(self._pending)
            self._pending = Slice()

    # From here on: the worker thread.

    def _commit(self, batch: Slice) -> _Outcome:
        outcome = _Outcome()
        try:
            if self._environment.condemned is not None:
                self._rebuild(self._environment.condemned, outcome)
            try:
                self._write(batch, outcome)
            except StoreCorrupt as error:
                self._rebuild(str(error), outcome)
                self._write(batch, outcome)
        except StoreError as error:
            log.warning("cache: %d changes not kept: %s", len(batch.changes), error)
            outcome.dropped += len(batch.changes)
            self._lose(batch)
        return outcome

    def _lose(self, batch: Slice) -> None:
        for (name, _), change in batch.changes.items():
            if change.value is not None:
                self._tables[name].lose(change.value)

    def _rebuild(self, reason: str, outcome: _Outcome) -> None:
        self._environment.rebuild(reason)
        outcome.rebuilt += 1

    def _write(self, batch: Slice, outcome: _Outcome, rounds: int = RELIEF_ROUNDS) -> None:
        """The batch is committed; of one for which there is no room even after relief, the part that fits."""
        for _ in range(rounds):
            try:
                with self._environment.writing() as transaction:
                    evicted = self._apply(transaction, batch)
            except StoreFull:
                if not self._relieve(outcome):
                    break
            else:
                outcome.evicted += evicted
                return
        if len(batch.changes) <= 1:
            outcome.dropped += len(batch.changes)
            self._lose(batch)
            return
        middle = len(batch.changes) // 2
        items = batch.changes.items()
        self._write(Slice(batch.wipes, batch.touches, dict(islice(items, middle))), outcome, 1)
        self._write(Slice(changes=dict(islice(items, middle, None))), outcome, 1)

    def _apply(self, transaction: lmdb.Transaction, batch: Slice) -> int:
        for name in batch.wipes:
            self._tables[name].wipe(transaction)
        for (name, key), change in batch.changes.items():
            self._environment.used()
            if change.value is None:
                self._tables[name].erase(transaction, key)
            else:
                self._tables[name].write(transaction, key, change.value)
        for (name, key), stamp in batch.touches.items():
            self._environment.used()
            self._tables[name].touch(transaction, key, stamp)
        return sum(table.settle(transaction) for table in self._tables.values())

    def _relieve(self, outcome: _Outcome) -> int:
        """A tenth of what may be forgotten is, and its pages may be used by the next transaction. How many values.

        LMDB hands out a freed page only two commits later (the newest but one state must stay whole), hence the row
        that is written for nothing else. Where even a delete finds no page, the file is rebuilt.
        """
        try:
            with self._environment.writing() as transaction:
                evicted = sum(table.relieve(transaction) for table in self._tables.values())
            with self._environment.writing() as transaction:
                serial = int.from_bytes(transaction.get(b"relief", b"", db=self._environment.database(META)), "big")
                row = (serial + 1).to_bytes(8, "big")
                transaction.put(b"relief", row, db=self._environment.database(META))
        except StoreFull:
            self._rebuild("it is so full that nothing can be evicted", outcome)
            return 1
        outcome.evicted += evicted
        return evicted
