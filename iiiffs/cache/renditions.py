"""Renditions under a byte quota: bytes that are put in once, checked at every reading, forgotten oldest-used first.

Nothing here raises because the cache is full or damaged: what cannot be kept or read is absent, and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import trio

from iiiffs.cache.entries import (
    GROUP_BYTES_MAX,
    KEY_BYTES_MAX,
    Entry,
    EntryRecord,
    EntryTable,
    digest_of,
)
from iiiffs.cache.environment import CacheEnvironment
from iiiffs.cache.writer import CacheWriter
from iiiffs.errors import StoreError

VALUE_SHARE_MAX = 4
"""A value larger than one part in this many of the quota is not kept: LMDB wants its pages in one run."""
VERIFY_STEP_BYTES = 8 * 1024 * 1024
VERIFY_STEP_KEYS = 256


@dataclass(frozen=True, slots=True)
class StoredRendition:
    """What is known of a rendition without its bytes. `digest`: BLAKE2b of them, 16 bytes."""

    size_bytes: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class RenditionStats:
    """`entries` and `used_bytes` (pages of the file, index included): committed; the counters: since the start."""

    entries: int
    used_bytes: int
    quota_bytes: int
    hits: int
    misses: int
    corrupt: int


@dataclass(frozen=True, slots=True)
class Verification:
    """`checked` entries were read, `corrupt` of them were damaged and are deleted."""

    checked: int
    corrupt: int


class RenditionStore:
    """Key (1 to 64 bytes, a hash that the caller computes) -> bytes, a group (0 to 64 bytes) and a label.

    A group names one asset version, a label the request in its canonical form, such as "full/400,300/0/default.jpg".
    Concurrency: all methods are trio's thread's; `get` and `peek` wait for nothing but the disk.
    """

    def __init__(self, environment: CacheEnvironment, table: EntryTable, writer: CacheWriter) -> None:
        self._environment = environment
        self._table = table
        self._writer = writer
        self._hits = self._misses = self._corrupt = 0
        with environment.reading() as transaction:
            self._stamp = table.newest_stamp(transaction)

    def peek(self, key: bytes) -> StoredRendition | None:
        """Size and digest, no byte of it copied; None if absent. Counts as a use, not as a hit or miss."""
        decided, entry = self._writer.find(self._table.name, key)
        if decided:
            record = None if entry is None else entry.record()
        else:
            record, _ = self._read(key, with_data=False)
        if record is None:
            return None
        self.touch(key)
        return StoredRendition(record.size_bytes, record.digest)

    def has(self, key: bytes) -> bool:
        """True if `peek` would find it. No use of it."""
        decided, entry = self._writer.find(self._table.name, key)
        return entry is not None if decided else self._read(key, with_data=False)[0] is not None

    def get(self, key: bytes) -> bytes | None:
        """Exactly the bytes that were put in; None if absent. Damaged ones are counted, deleted and absent."""
        found = self.find(key)
        return None if found is None else found[0]

    def find(self, key: bytes) -> tuple[bytes, bytes] | None:
        """As `get`: the bytes and their digest."""
        decided, entry = self._writer.find(self._table.name, key)
        waiting: tuple[bytes, bytes] | None = None if entry is None else (entry.data, entry.digest)
        found = waiting if decided else self._checked(key)
        if found is None:
            self._misses += 1
            return None
        self._hits += 1
        self.touch(key)
        return found

    async def put(self, key: bytes, group: bytes, label: str, data: bytes) -> StoredRendition:
        """Readers see it from now on; waits while too much waits to be committed. What it was stored as.

        One that is too large for the quota is not kept, which is counted and no error: a cache may forget.
        """
        await self._writer.wait_for_room(len(data))
        return self.put_nowait(key, group, label, data)

    def put_nowait(
        self, key: bytes, group: bytes, label: str, data: bytes, digest: bytes | None = None
    ) -> StoredRendition:
        """As `put`, but where too much waits already it is not kept, which is counted. What it would be stored as.

        `digest`: `digest_of(data)` by somebody who knows it already.
        """
        if not 1 <= len(key) <= KEY_BYTES_MAX or len(group) > GROUP_BYTES_MAX:
            raise ValueError(f"key of {len(key)} bytes, group of {len(group)} bytes")
        digest = digest or digest_of(data)
        if self._is_too_large(len(data)) or not self._writer.has_room(len(data)):
            self._writer.drop_put()
            if self.peek(key) is not None:
                self._writer.delete(self._table.name, key)
        else:
            entry = Entry(self.next_stamp(), group, label, digest, bytes(data))
            self._writer.put(self._table.name, key, entry, len(data) + len(group) + len(label))
        return StoredRendition(len(data), digest)

    def touch(self, key: bytes) -> None:
        """It was used now."""
        self._writer.touch(self._table.name, key, self.next_stamp())

    def next_stamp(self) -> int:
        """Later than all before it, in this table, for ever."""
        self._stamp += 1
        return self._stamp

    def delete(self, key: bytes) -> None:
        """The key is absent."""
        self._writer.delete(self._table.name, key)

    def has_spare(self, size_bytes: int) -> bool:
        """True if that much more can be kept without an older value going for it."""
        stats = self.stats()
        return stats.used_bytes + self._writer.backlog_bytes + size_bytes <= stats.quota_bytes

    async def wait_for_room(self, size_bytes: int) -> None:
        """`put_nowait` of that much is not dropped for want of memory: the disk keeps up. Cancellable."""
        await self._writer.wait_for_room(size_bytes)

    def labels(self, group: bytes) -> list[tuple[str, int, bytes]]:
        """(label, size in bytes, digest) of what there is of a group, by label. No use of any of them."""
        return sorted((record.label, record.size_bytes, record.digest) for record in self._group(group).values())

    def keys(self, group: bytes) -> list[bytes]:
        """The keys of what there is of a group."""
        return list(self._group(group))

    def drop_group(self, group: bytes) -> int:
        """Nothing of the group is left; how many there were."""
        keys = self.keys(group)
        for key in keys:
            self._writer.delete(self._table.name, key)
        return len(keys)

    def clear(self) -> None:
        """The store is empty. Bytes that were handed out stay whole; the file keeps its length for what comes next."""
        self._writer.wipe(self._table.name)

    def stats(self) -> RenditionStats:
        """How full it is and what it did."""
        try:
            with self._environment.reading() as transaction:
                entries, used_bytes = self._table.stat(transaction)
        except StoreError:
            self._writer.wake()
            entries = used_bytes = 0
        return RenditionStats(entries, used_bytes, self._table.quota_bytes, self._hits, self._misses, self._corrupt)

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> Verification:
        """Every committed entry was read and checked in a worker thread; damaged ones are deleted.

        `progress(done, of)` is called in trio's thread after each step; `of` is the number at the start.
        Cancellable between two steps.
        """
        of = self.stats().entries
        done, damaged, after = 0, 0, b""
        while True:
            keys, corrupt = await trio.to_thread.run_sync(self._verify_step, after)
            for key in corrupt:
                self._forget_corrupt(key)
            done, damaged = done + len(keys), damaged + len(corrupt)
            if progress is not None:
                progress(done, of)
            if not keys:
                return Verification(done, damaged)
            after = keys[-1]

    def _verify_step(self, after: bytes) -> tuple[list[bytes], list[bytes]]:
        """(keys checked, those of them that are damaged). Runs in a worker thread; bounded in keys and bytes."""
        keys: list[bytes] = []
        corrupt: list[bytes] = []
        read_bytes = 0
        try:
            with self._environment.reading() as transaction:
                for key in islice(self._table.keys(transaction, after), VERIFY_STEP_KEYS):
                    record, stored = self._table.record(transaction, key), self._table.stored(transaction, key)
                    keys.append(key)
                    if record is None or stored is None or self._table.checked(record, stored) is None:
                        corrupt.append(key)
                    read_bytes += len(stored or b"")
                    if read_bytes > VERIFY_STEP_BYTES:
                        break
        except StoreError:
            return [], []
        return keys, corrupt

    def _is_too_large(self, size_bytes: int) -> bool:
        return size_bytes > self._table.quota_bytes // VALUE_SHARE_MAX

    def _read(self, key: bytes, *, with_data: bool) -> tuple[EntryRecord | None, bytes | None]:
        try:
            with self._environment.reading() as transaction:
                record = self._table.record(transaction, key)
                return record, self._table.stored(transaction, key) if with_data else None
        except StoreError:
            self._corrupt += 1
            self._writer.wake()
            return None, None

    def _checked(self, key: bytes) -> tuple[bytes, bytes] | None:
        record, stored = self._read(key, with_data=True)
        if record is None and stored is None:
            return None
        data = None if record is None or stored is None else self._table.checked(record, stored)
        if record is None or data is None:
            self._forget_corrupt(key)
            return None
        return data, record.digest

    def _forget_corrupt(self, key: bytes) -> None:
        self._corrupt += 1
        if not self._writer.find(self._table.name, key)[0]:
            self._writer.delete(self._table.name, key)

    def _group(self, group: bytes) -> dict[bytes, EntryRecord]:
        try:
            with self._environment.reading() as transaction:
                found = self._table.group(transaction, group)
        except StoreError:
            self._writer.wake()
            found = {}
        self._writer.overlay(self._table.name, found, lambda entry: entry.record())
        return {key: record for key, record in found.items() if record.group == group}
