"""The journal: what waits to be sent, on disk before anybody is told that it is safe.

    journal     id -> Item           conflicts   id -> Conflict           (iiiffs.state.queue_rows)
    in both, "!", id, "!", CRC-32 of the row -> a row that could not be read, byte for byte as it was found

Changes are put down in memory, one a key, in the order in which they come; a commit writes all of them in one
synchronous LMDB transaction, so that the disk never has a change without those that came before it. One transaction
runs at a time, in a thread, under the lock of all that is written to the state; whoever asks meanwhile shares the next.

After an error of a commit (StoreFull, StoreError) nothing of its batch is on the disk, as transactions are whole or
nothing; only when the very last write of one failed, which LMDB cannot tell us apart, all of it may be. Everybody who
waited for that batch gets the error. Its changes stay pending, below what came since, and go to the disk with the next
commit, or when `run` tries again. So memory is never behind the disk, and who got an error must promise nothing. LMDB
writes every page of a transaction that failed anew, so that a page that an fsync lost is no part of a later one.

Concurrency: everything but what is handed to the thread runs in trio's; no state is shared with the thread but the
batch that it writes, which nobody changes once it is taken.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import trio

from iiiffs.errors import StoreCorrupt, StoreError
from iiiffs.state.environment import Environment, Writing
from iiiffs.state.queue_rows import decode_conflict, decode_item, encode_conflict, encode_item
from iiiffs.sync.items import Conflict, Item

log = logging.getLogger(__name__)

ITEMS = "journal"
CONFLICTS = "conflicts"
ASIDE = b"!"
"""What keys of rows begin with that could not be read; no id does."""

ASIDE_KEY_BYTES_MAX = 400
ASIDE_DIGEST_BYTES = 8

SOON_S = 0.05
RETRY_S = 2.0
STOP_S = 5.0

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that cannot be read, kept as it is. `key`: its id; "conflict " stands before that of a conflict."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that the journal holds. `broken`: without those whose id has a row again."""

    items: list[Item]
    conflicts: list[Conflict]
    broken: list[Broken]


@dataclass(slots=True)
class _Batch:
    """What one transaction writes: (database, key) -> row, or None for no row. `error`: of its commit, if `is_over`."""

    changes: dict[tuple[str, bytes], bytes | None] = field(default_factory=dict)
    is_over: bool = False
    error: StoreError | None = None

    def write(self, writing: Writing) -> None:
        """The changes are in that transaction."""
        for (database, key), row in self.changes.items():
            if row is not None:
                writing.put(database, key, row)
                continue
            writing.delete(database, key)
            for aside, _ in writing.below(database, ASIDE + key + ASIDE):
                writing.delete(database, aside)


class Journal:
    """The rows of one state. Made once, by `State`."""

    def __init__(self, environment: Environment, writer: trio.Lock) -> None:
        """`writer`: is held while anything is written to `environment`."""
        self._environment = environment
        self._writer = writer
        self._pending = _Batch()
        self._noted = trio.Event()
        self._limiter = trio.CapacityLimiter(1)
        self._is_abandoned = False
        self._complained_of: str | None = None
        self._transactions = 0

    @property
    def transactions(self) -> int:
        """Committed since the start."""
        return self._transactions

    @property
    def pending(self) -> int:
        """Rows that are not on disk as they are in memory."""
        return len(self._pending.changes)

    def load(self) -> Loaded:
        """All rows, before anything is changed. Blocking.

        A row that cannot be read is put aside, byte for byte, and told of at every start until its id has a row again
        or is deleted. One that can be read after all, as by the newer iiiffs that wrote it, is put back.
        Errors: StoreFull, StoreError.
        """
        items, broken_items = self._loaded(ITEMS, decode_item)
        conflicts, broken_conflicts = self._loaded(CONFLICTS, decode_conflict)
        broken = [Broken(key, reason) for key, reason in broken_items]
        broken += [Broken(f"conflict {key}", reason) for key, reason in broken_conflicts]
        return Loaded(items, conflicts, broken)

    def note(self, puts: Sequence[Item] = (), deletes: Sequence[str] = ()) -> None:
        """The items are as they are now, and those of these ids are no more; on disk soon, if `run` runs, and before
        anything that is noted later."""
        for item in puts:
            key = item.id.encode()
            self._change(ITEMS, key, encode_item(key, item))
        for id in deletes:
            self._change(ITEMS, id.encode(), None)

    async def commit(self, puts: Sequence[Item] = (), deletes: Sequence[str] = ()) -> None:
        """As `note`; on disk when this returns, with everything that was noted before.

        If cancelled, all of it stays noted. Errors: StoreFull, StoreError: see above for what is true then.
        """
        self.note(puts, deletes)
        await self._committed()

    async def put_conflict(self, conflict: Conflict) -> None:
        """The conflict is on disk, with everything that was noted before. Errors: as `commit`."""
        key = conflict.id.encode()
        self._change(CONFLICTS, key, encode_conflict(key, conflict))
        await self._committed()

    async def delete_conflict(self, id: str) -> None:
        """It is no more, also on disk. Errors: as `commit`."""
        self._change(CONFLICTS, id.encode(), None)
        await self._committed()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Writes what was only noted, 50 ms later at the most unless the disk is busy; after an error tries again.

        When cancelled, what is pending is written first, for STOP_S at the most; then what could not be is told in the
        log. After a disk that took longer, nothing is written any more: every commit is a StoreError.
        """
        task_status.started()
        try:
            while True:
                await self._noted.wait()
                await trio.sleep(SOON_S)
                if not await self._written_or_told():
                    await trio.sleep(RETRY_S)
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(STOP_S):
                await self._written_or_told(at_end=True)
            if self._pending.changes:
                log.error("%d changes of the queue are not on the disk at the end", self.pending)

    def _change(self, database: str, key: bytes, row: bytes | None) -> None:
        self._pending.changes[database, key] = row
        self._noted.set()

    async def _written_or_told(self, *, at_end: bool = False) -> bool:
        try:
            await self._committed(at_end=at_end)
        except StoreError as error:
            if str(error) != self._complained_of:
                log.warning("the queue cannot be written, which is tried again: %s", error)
                self._complained_of = str(error)
            return False
        self._complained_of = None
        return True

    async def _committed(self, *, at_end: bool = False) -> None:
        """All that is pending now is on disk."""
        batch = self._pending
        async with self._writer:
            if not batch.is_over:
                await self._write(at_end=at_end)
        if batch.error is not None:
            raise type(batch.error)(str(batch.error)) from batch.error

    async def _write(self, *, at_end: bool) -> None:
        """The pending batch is over, and another begun. The lock is held.

        Only at the end a thread is given up: what it writes could else come after what is written later.
        """
        if self._is_abandoned:
            raise StoreError("the queue is closed: its disk did not answer")
        batch, self._pending = self._pending, _Batch()
        self._noted = trio.Event()
        try:
            if batch.changes:
                self._is_abandoned = at_end
                with trio.CancelScope(shield=not at_end):
                    await trio.to_thread.run_sync(
                        self._environment.write,
                        batch.write,
                        abandon_on_cancel=at_end,
                        limiter=self._limiter,
                    )
                self._is_abandoned = False
                self._transactions += 1
        except BaseException as error:
            self._pending.changes = batch.changes | self._pending.changes
            self._noted.set()
            if not isinstance(error, StoreError):
                raise
            self._is_abandoned = False
            batch.error = error
        batch.is_over = True

    def _loaded(
        self, database: str, decode: Callable[[bytes, bytes], Value]
    ) -> tuple[list[Value], list[tuple[str, str]]]:
        """What can be read, and (id, reason) of the rest, which is aside then."""
        rows = self._environment.read(lambda reading: reading.below(database, b""))
        found: dict[bytes, Value] = {}
        broken: dict[bytes, str] = {}
        moves: list[tuple[bytes, bytes, bytes]] = []
        for stored, row in sorted(rows, key=lambda pair: pair[0].startswith(ASIDE)):
            is_aside = stored.startswith(ASIDE)
            key = _key_of_aside(stored) if is_aside else stored
            if key in found:
                continue
            try:
                found[key] = decode(key, row)
            except StoreCorrupt as error:
                broken[key] = str(error)
                if not is_aside:
                    moves.append((stored, _aside(key, row), row))
            else:
                broken.pop(key, None)
                if is_aside:
                    moves.append((stored, key, row))

        def move(writing: Writing) -> None:
            for source, target, row in moves:
                writing.delete(database, source)
                writing.put(database, target, row)

        if moves:
            self._environment.write(move)
        in_order = [found[key] for key in sorted(found)]
        return in_order, [(key.decode(errors="replace"), reason) for key, reason in sorted(broken.items())]


def _aside(key: bytes, row: bytes) -> bytes:
    """Where a row is kept that cannot be read; another place for every row."""
    return ASIDE + key[:ASIDE_KEY_BYTES_MAX] + ASIDE + b"%08x" % zlib.crc32(row)


def _key_of_aside(stored: bytes) -> bytes:
    return stored[len(ASIDE) : -len(ASIDE) - ASIDE_DIGEST_BYTES]
