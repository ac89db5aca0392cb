"""Blocks of originals that lie elsewhere, under the cache's one quota: checked at every reading, oldest used go first.

Nothing here raises because the cache is full or damaged: what cannot be kept or read is absent, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha1
from pathlib import Path

import trio

from iiiffs.cache.block_folder import BlockFolder, sum_of
from iiiffs.cache.block_table import FiledEntry, FiledTable, Place
from iiiffs.cache.entries import EntryRecord
from iiiffs.cache.environment import CacheEnvironment
from iiiffs.cache.renditions import VALUE_SHARE_MAX, RenditionStats, RenditionStore, Verification
from iiiffs.cache.whole import BYTES_MAX, WHOLE, label_of, sums_of
from iiiffs.cache.writer import CacheWriter
from iiiffs.errors import StoreError
from iiiffs.sync.blocks import bytes_of, count_of

THREADS = 4
"""Blocks read at once, and runs of them written at once: some tenths of a millisecond for each MiB."""
VERIFIED = "verified"
COPIED_AT_ONCE = 16
"""Blocks of a file that one step in a thread copies: some 25 ms."""
NOWHERE = Place(0, sum_of(b""))


@dataclass(frozen=True, slots=True)
class BlockGroup:
    """One version of one asset of one account, as the store knows it: 20 bytes."""

    key: bytes

    @classmethod
    def of(cls, account: str, asset: str, version: str) -> BlockGroup:
        """That of the account of that name (not slug)."""
        return cls(blake2b("\0".join((account, asset, version)).encode(), digest_size=20).digest())


class Filing:
    """Files of blocks that the index does not know yet. `stamps` and `written` (place, size) by number of block."""

    def __init__(self, folder: BlockFolder, stamps: Mapping[int, int], most_bytes: int) -> None:
        self.stamps = stamps
        self.written: dict[int, tuple[Place, int]] = {}
        self._folder = folder
        self._most_bytes = most_bytes
        self._is_given_up = False

    def write(self, index: int, data: bytes) -> None:
        """It lies in a file, if there is room. Blocks, and may be called from any thread; again for the same block, if
        what came before was wrong.
        """
        if len(data) > self._most_bytes:
            return
        serial = self.stamps[index]
        try:
            self._folder.write(serial, data)
        except StoreError:
            self.written.pop(index, None)
            return
        self.written[index] = Place(serial, sum_of(data)), len(data)
        if self._is_given_up:
            self._folder.remove(serial)

    def give_up(self) -> None:
        """No file is left, nor of a block that is being written now."""
        self._is_given_up = True
        for index in tuple(self.written):
            self._folder.remove(self.stamps[index])


class BlockStore:
    """(group, number of the block) -> its bytes.

    Concurrency: all methods are trio's thread's; bytes are read, written and summed in worker threads.
    """

    def __init__(self, environment: CacheEnvironment, table: FiledTable, writer: CacheWriter) -> None:
        self._environment = environment
        self._table = table
        self._writer = writer
        self._entries = RenditionStore(environment, table, writer)
        self._readers, self._writers = trio.CapacityLimiter(THREADS), trio.CapacityLimiter(THREADS)
        self._hits = self._misses = self._corrupt = 0

    def has(self, group: BlockGroup, index: int) -> bool:
        """True if it is there, unless damaged. No use of it."""
        return self._entries.has(_key(group, str(index))) or self._entries.has(_key(group, WHOLE))

    async def get(self, group: BlockGroup, index: int) -> bytes | None:
        """Exactly the bytes that were put in; None if absent. Damaged ones are counted, deleted and absent."""
        for key in (_key(group, str(index)), _key(group, WHOLE)):
            record = self._record(key)
            if record is None:
                continue
            data = await trio.to_thread.run_sync(self._table.block, record, index, limiter=self._readers)
            if data is not None:
                self._hits += 1
                self._entries.touch(key)
                return data
            self._forget_damaged(key, record)
        self._misses += 1
        return None

    async def put(self, group: BlockGroup, index: int, data: bytes) -> None:
        """It is there from now on, unless it is too large for the quota or the disk."""
        await self.put_run(group, {index: data})

    async def put_run(self, group: BlockGroup, blocks: Mapping[int, bytes]) -> None:
        """All of them are there from now on, as with `put`. They are on their way to the disk when this returns."""
        filing = self.filing(blocks)

        def write() -> None:
            for index, data in blocks.items():
                filing.write(index, data)

        await trio.to_thread.run_sync(write, limiter=self._writers)
        self.file(group, filing)

    def filing(self, indices: Iterable[int]) -> Filing:
        """For blocks that are on their way; to be given to `file` or given up."""
        stamps = {index: self._entries.next_stamp() for index in indices}
        return Filing(self._table.folder, stamps, self._table.quota_bytes // VALUE_SHARE_MAX)

    def file(self, group: BlockGroup, filing: Filing) -> None:
        """What was written is there from now on, unless it is too large for the quota or the disk."""
        for index, stamp in filing.stamps.items():
            written = filing.written.get(index)
            if written is None:
                self._writer.drop_put()
            else:
                self._file(_key(group, str(index)), FiledEntry(stamp, group.key, str(index), *written))

    async def copy_in(self, group: BlockGroup, source: Path, size_bytes: int, digest: bytes) -> bool:
        """All of the file `source`, which has that length, is there from now on, and verified: its SHA-1 is `digest`.

        False, and nothing more is there than was, if its bytes are others, if there is no room, or if it is too large a
        part of the quota. Read, summed and written in a thread: 1.4 ms a MiB.
        """
        if size_bytes > self._table.quota_bytes // VALUE_SHARE_MAX:
            return False
        count = count_of(size_bytes)
        if self._is_whole(group, size_bytes):
            return True
        filing, summed = self.filing(range(count)), sha1(usedforsecurity=False)

        def copy(run: range) -> None:
            with source.open("rb", buffering=0) as file:
                for index in run:
                    offset, length = bytes_of(range(index, index + 1), size_bytes)
                    file.seek(offset)
                    data = file.read(length)
                    summed.update(data)
                    filing.write(index, data)

        try:
            for first in range(0, count, COPIED_AT_ONCE):
                run = range(first, min(first + COPIED_AT_ONCE, count))
                await trio.to_thread.run_sync(copy, run, limiter=self._writers)
                if len(filing.written) < run.stop:
                    break
        except OSError:
            filing.give_up()
            return False
        except BaseException:
            filing.give_up()
            raise
        if len(filing.written) < count or summed.digest() != digest:
            filing.give_up()
            return False
        self.file(group, filing)
        self.set_verified(group)
        return True

    async def link_in(self, group: BlockGroup, source: Path, size_bytes: int, sums: Sequence[int]) -> bool:
        """As `copy_in`, but no byte is read or written: the file has a second name here. `sums`: the CRC-32 of each
        block, of bytes that had the right SHA-1. Whoever changes `source` later must make it another file first.

        False, and nothing more is there than was, also if it is too large, or lies on another disk.
        """
        if size_bytes > min(BYTES_MAX, self._table.quota_bytes // VALUE_SHARE_MAX) or len(sums) != count_of(size_bytes):
            return False
        if self._is_whole(group, size_bytes):
            return True
        stamp = self._entries.next_stamp()
        try:
            await trio.to_thread.run_sync(self._table.folder.link, stamp, source, limiter=self._writers)
        except StoreError:
            return False
        entry = FiledEntry(stamp, group.key, label_of(sums), Place(stamp, 0), size_bytes)
        self._file(_key(group, WHOLE), entry)
        self.set_verified(group)
        return True

    def _is_whole(self, group: BlockGroup, size_bytes: int) -> bool:
        return self.is_verified(group) and len(self.present(group)) == count_of(size_bytes)

    def present(self, group: BlockGroup) -> set[int]:
        """The numbers of the blocks that are there. No use of them."""
        found: set[int] = set()
        for label, _, _ in self._entries.labels(group.key):
            sums = sums_of(label)
            if sums is not None:
                found.update(range(len(sums)))
            elif label != VERIFIED:
                found.add(int(label))
        return found

    def delete(self, group: BlockGroup, index: int) -> None:
        """It is absent, and with it the whole file that it was a part of."""
        self._delete(_key(group, str(index)))
        self._delete(_key(group, WHOLE))

    def drop(self, group: BlockGroup) -> int:
        """Nothing of the group is left; how many rows that were."""
        keys = self._entries.keys(group.key)
        for key in keys:
            self._delete(key)
        return len(keys)

    def is_verified(self, group: BlockGroup) -> bool:
        """The whole of it was once seen to have the checksum that its provider tells."""
        return self._entries.peek(_key(group, VERIFIED)) is not None

    def set_verified(self, group: BlockGroup) -> None:
        """`is_verified`, for as long as the cache remembers."""
        entry = FiledEntry(self._entries.next_stamp(), group.key, VERIFIED, NOWHERE, 0)
        self._file(_key(group, VERIFIED), entry)

    def clear(self) -> None:
        """The store is empty."""
        waiting: dict[bytes, FiledEntry] = {}
        self._writer.overlay(self._table.name, waiting, lambda entry: entry)
        for entry in waiting.values():
            self._table.lose(entry)
        self._entries.clear()

    def stats(self) -> RenditionStats:
        """How full it is and what it did."""
        kept = self._entries.stats()
        corrupt = self._corrupt + kept.corrupt
        return RenditionStats(kept.entries, kept.used_bytes, kept.quota_bytes, self._hits, self._misses, corrupt)

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> Verification:
        """As `RenditionStore.verify`."""
        return await self._entries.verify(progress)

    def _record(self, key: bytes) -> EntryRecord | None:
        decided, entry = self._writer.find(self._table.name, key)
        if decided:
            record: EntryRecord | None = None if entry is None else entry.record()
            return record
        try:
            with self._environment.reading() as transaction:
                return self._table.record(transaction, key)
        except StoreError:
            self._corrupt += 1
            self._writer.wake()
            return None

    def _file(self, key: bytes, entry: FiledEntry) -> None:
        self._lose_waiting(key)
        self._writer.put(self._table.name, key, entry, len(entry.group) + len(entry.label))

    def _delete(self, key: bytes) -> None:
        self._lose_waiting(key)
        self._entries.delete(key)

    def _lose_waiting(self, key: bytes) -> None:
        """The file of a row that waits to be committed is gone: nobody will know of it when the row is replaced."""
        entry = self._writer.find(self._table.name, key)[1]
        if entry is not None:
            self._table.lose(entry)

    def _forget_damaged(self, key: bytes, record: EntryRecord) -> None:
        """What could not be read is gone; unless it was evicted, or replaced, while it was read."""
        now = self._record(key)
        if now is not None and now.digest == record.digest:
            self._corrupt += 1
            self._delete(key)


def _key(group: BlockGroup, label: str) -> bytes:
    return blake2b(group.key + label.encode(), digest_size=20).digest()
