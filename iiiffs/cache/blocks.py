"""Blocks of originals that lie elsewhere, under the cache's one quota: checked at every reading, oldest used go first.

Nothing here raises because the cache is full or damaged: what cannot be kept or read is absent, and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import trio

from iiiffs.cache.entries import EntryTable, checked, digest_of
from iiiffs.cache.environment import CacheEnvironment
from iiiffs.cache.renditions import RenditionStats, RenditionStore, Verification
from iiiffs.cache.writer import CacheWriter
from iiiffs.errors import StoreCorrupt, StoreError

READERS = 4
"""Blocks read at once: each is copied and hashed in a thread, a millisecond or two."""
VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class BlockGroup:
    """One version of one asset of one account, as the store knows it: 20 bytes."""

    key: bytes

    @classmethod
    def of(cls, account: str, asset: str, version: str) -> BlockGroup:
        """That of the account of that name (not slug)."""
        return cls(blake2b("\0".join((account, asset, version)).encode(), digest_size=20).digest())


class BlockStore:
    """(group, number of the block) -> its bytes.

    Concurrency: all methods are trio's thread's; bytes are read and hashed in worker threads, so the loop runs on.
    """

    def __init__(self, environment: CacheEnvironment, table: EntryTable, writer: CacheWriter) -> None:
        self._environment = environment
        self._table = table
        self._writer = writer
        self._entries = RenditionStore(environment, table, writer)
        self._readers = trio.CapacityLimiter(READERS)
        self._hits = self._misses = self._corrupt = 0

    def has(self, group: BlockGroup, index: int) -> bool:
        """True if it is there, unless damaged. No use of it."""
        return self._entries.has(_key(group, str(index)))

    async def get(self, group: BlockGroup, index: int) -> bytes | None:
        """Exactly the bytes that were put in; None if absent. Damaged ones are counted, deleted and absent."""
        key = _key(group, str(index))
        decided, entry = self._writer.find(self._table.name, key)
        data: bytes | None = None if entry is None else entry.data
        if not decided and self._entries.has(key):
            try:
                data = await trio.to_thread.run_sync(self._read_checked, key, limiter=self._readers)
            except StoreError:
                self._forget_corrupt(key)
        if data is None:
            self._misses += 1
            return None
        self._hits += 1
        self._entries.peek(key)  # a use
        return data

    async def put(self, group: BlockGroup, index: int, data: bytes) -> None:
        """It is there from now on, unless it is too large for the quota. Waits while too much waits for the disk."""
        digest = await trio.to_thread.run_sync(digest_of, data, limiter=self._readers)
        await self._writer.wait_for_room(len(data))
        self._entries.put_nowait(_key(group, str(index)), group.key, str(index), data, digest)

    def present(self, group: BlockGroup) -> set[int]:
        """The numbers of the blocks that are there. No use of them."""
        return {int(label) for label, _, _ in self._entries.labels(group.key) if label != VERIFIED}

    def delete(self, group: BlockGroup, index: int) -> None:
        """It is absent."""
        self._entries.delete(_key(group, str(index)))

    def drop(self, group: BlockGroup) -> int:
        """Nothing of the group is left; how many rows that were."""
        return self._entries.drop_group(group.key)

    def is_verified(self, group: BlockGroup) -> bool:
        """The whole of it was once seen to have the checksum that its provider tells."""
        return self._entries.peek(_key(group, VERIFIED)) is not None

    def set_verified(self, group: BlockGroup) -> None:
        """`is_verified`, for as long as the cache remembers."""
        self._entries.put_nowait(_key(group, VERIFIED), group.key, VERIFIED, b"")

    def clear(self) -> None:
        """The store is empty."""
        self._entries.clear()

    def stats(self) -> RenditionStats:
        """How full it is and what it did."""
        kept = self._entries.stats()
        corrupt = self._corrupt + kept.corrupt
        return RenditionStats(kept.entries, kept.used_bytes, kept.quota_bytes, self._hits, self._misses, corrupt)

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> Verification:
        """As `RenditionStore.verify`."""
        return await self._entries.verify(progress)

    def _read_checked(self, key: bytes) -> bytes | None:
        """Runs in a worker thread. Errors: StoreCorrupt if it is there and damaged."""
        with self._environment.reading() as transaction:
            record, stored = self._table.record(transaction, key), self._table.stored(transaction, key)
        if record is None and stored is None:
            return None
        data = None if record is None or stored is None else checked(record, stored)
        if data is None:
            raise StoreCorrupt("a block is not what was put in")
        return data

    def _forget_corrupt(self, key: bytes) -> None:
        self._corrupt += 1
        self._writer.wake()
        if not self._writer.find(self._table.name, key)[0]:
            self._entries.delete(key)


def _key(group: BlockGroup, label: str) -> bytes:
    return blake2b(group.key + label.encode(), digest_size=20).digest()
