"""Values under a byte quota, the oldest used evicted first: what happens to them inside a transaction.

Four databases make one table, always changed in one transaction:

    NAME.data    key -> the bytes (compressed if the table says so and it pays)
    NAME.index   key -> sealed EntryRecord
    NAME.recency stamp, 8 bytes big-endian -> key; the first row is the oldest used
    NAME.groups  length of group, group, key -> empty; so the keys of a group stand together

The quota is over the pages that the four use, as LMDB itself counts them, overflow pages and index included; `settle`
holds it in the transaction that put something in, so no commit is ever over it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from iiiffs.cache.environment import CacheEnvironment, pages_bytes
from iiiffs.cache.rows import seal, unseal

if TYPE_CHECKING:
    import lmdb

DIGEST_BYTES = 16
PARTS = ("data", "index", "recency", "groups")
KEY_BYTES_MAX, GROUP_BYTES_MAX = 64, 64
RELIEF_SHARE = 10
"""`relieve` evicts one part in this many."""

_STAMP = struct.Struct(">Q")
_RECORD = struct.Struct(f">QQ?{DIGEST_BYTES}sB")  # stamp, size, packed, digest, length of group


def digest_of(data: bytes) -> bytes:
    """BLAKE2b of `data`, 16 bytes."""
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Entry:
    """A value on its way into a table. `stamp`: when it was last used, larger = later, unique in its table."""

    stamp: int
    group: bytes
    label: str
    digest: bytes
    data: bytes

    def record(self) -> EntryRecord:
        """Its row, as long as its bytes are not compressed."""
        return EntryRecord(self.stamp, len(self.data), False, self.digest, self.group, self.label)


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """What the index knows of a committed value. `packed`: its bytes are compressed. `size_bytes` is without that."""

    stamp: int
    size_bytes: int
    packed: bool
    digest: bytes
    group: bytes
    label: str

    def encode(self) -> bytes:
        """The row of the index, without its seal."""
        head = _RECORD.pack(self.stamp, self.size_bytes, self.packed, self.digest, len(self.group))
        return head + self.group + self.label.encode()

    @classmethod
    def decode(cls, row: bytes) -> EntryRecord:
        """The record of a row that `encode` made."""
        stamp, size_bytes, packed, digest, group_bytes = _RECORD.unpack_from(row)
        end = _RECORD.size + group_bytes
        return cls(stamp, size_bytes, packed, digest, row[_RECORD.size : end], row[end:].decode())


def database_names(table: str) -> tuple[str, ...]:
    """The databases of the table of that name."""
    return tuple(f"{table}.{part}" for part in PARTS)


class EntryTable:
    """One such table. Every method works inside the transaction it is given and keeps no state of its own."""

    def __init__(self, environment: CacheEnvironment, name: str, quota_bytes: int, *, compresses: bool = False) -> None:
        self.name = name
        self.quota_bytes = quota_bytes
        self._environment = environment
        self._compresses = compresses
        self._data, self._index, self._recency, self._groups = database_names(name)

    def record(self, transaction: lmdb.Transaction, key: bytes) -> EntryRecord | None:
        """What is known of a committed value; None if absent or if its row is damaged."""
        sealed = transaction.get(key, db=self._environment.database(self._index))
        row = None if sealed is None else unseal(key, bytes(sealed))
        return None if row is None else EntryRecord.decode(row)

    def stored(self, transaction: lmdb.Transaction, key: bytes) -> bytes | None:
        """A copy of the bytes as they lie in the file, to be given to `checked`."""
        data = transaction.get(key, db=self._environment.database(self._data))
        return None if data is None else bytes(data)

    def keys(self, transaction: lmdb.Transaction, after: bytes = b"") -> Iterator[bytes]:
        """The keys of the index that come after `after`, in order; damaged ones too."""
        with transaction.cursor(self._environment.database(self._index)) as cursor:
            if cursor.set_range(after + b"\0"):
                yield from (bytes(key) for key in cursor.iternext(values=False))

    def group(self, transaction: lmdb.Transaction, group: bytes) -> dict[bytes, EntryRecord]:
        """The records of a group by key."""
        prefix = _group_key(group, b"")
        found: dict[bytes, EntryRecord] = {}
        with transaction.cursor(self._environment.database(self._groups)) as cursor:
            if cursor.set_range(prefix):
                for row in cursor.iternext(values=False):
                    if not bytes(row).startswith(prefix):
                        break
                    key = bytes(row)[len(prefix) :]
                    record = self.record(transaction, key)
                    if record is not None:
                        found[key] = record
        return found

    def newest_stamp(self, transaction: lmdb.Transaction) -> int:
        """The stamp of the value used last; 0 in an empty table."""
        with transaction.cursor(self._environment.database(self._recency)) as cursor:
            return int(_STAMP.unpack(bytes(cursor.key()))[0]) if cursor.last() else 0

    def stat(self, transaction: lmdb.Transaction) -> tuple[int, int]:
        """Number of values, bytes of the file that the four databases use."""
        used = sum(pages_bytes(transaction.stat(self._environment.database(f"{self.name}.{part}"))) for part in PARTS)
        return int(transaction.stat(self._environment.database(self._index))["entries"]), used

    def write(self, transaction: lmdb.Transaction, key: bytes, value: Entry) -> None:
        """The value of `key` is `value`; an older one of that key, its stamp and its group are gone."""
        self.erase(transaction, key)
        data, packed = value.data, False
        if self._compresses:
            small = zlib.compress(data, 1)
            if len(small) < len(data) * 9 // 10:
                data, packed = small, True
        transaction.put(key, data, db=self._environment.database(self._data))
        self.index(transaction, key, replace(value.record(), packed=packed))

    def index(self, transaction: lmdb.Transaction, key: bytes, record: EntryRecord) -> None:
        """What leads to the bytes is there; the key had no value before."""
        database = self._environment.database
        transaction.put(key, seal(key, record.encode()), db=database(self._index))
        transaction.put(_STAMP.pack(record.stamp), key, db=database(self._recency))
        transaction.put(_group_key(record.group, key), b"", db=database(self._groups))

    def lose(self, value: Entry) -> None:
        """Rule: Table.lose. All of it was in memory."""

    def checked(self, record: EntryRecord, stored: bytes) -> bytes | None:
        """The value as it was put in; None if `stored` is not what the record says (so the disk has damaged it)."""
        return checked(record, stored)

    def erase(self, transaction: lmdb.Transaction, key: bytes) -> None:
        """The key has no value. Of a damaged row, what led to it goes when it is met: in `settle` or `group`."""
        record = self.record(transaction, key)
        database = self._environment.database
        transaction.delete(key, db=database(self._data))
        transaction.delete(key, db=database(self._index))
        if record is not None:
            transaction.delete(_STAMP.pack(record.stamp), db=database(self._recency))
            transaction.delete(_group_key(record.group, key), db=database(self._groups))

    def touch(self, transaction: lmdb.Transaction, key: bytes, stamp: int) -> None:
        """The key was used at `stamp`, if it is there and that is later than what is recorded."""
        record = self.record(transaction, key)
        if record is None or record.stamp >= stamp:
            return
        newer = replace(record, stamp=stamp)
        database = self._environment.database
        transaction.delete(_STAMP.pack(record.stamp), db=database(self._recency))
        transaction.put(_STAMP.pack(stamp), key, db=database(self._recency))
        transaction.put(key, seal(key, newer.encode()), db=database(self._index))

    def wipe(self, transaction: lmdb.Transaction) -> None:
        """Nothing is left."""
        for part in PARTS:
            transaction.drop(self._environment.database(f"{self.name}.{part}"), delete=False)

    def settle(self, transaction: lmdb.Transaction) -> int:
        """The table is within its quota; how many values were evicted for it, oldest used first."""
        return self._evict(transaction, self.quota_bytes)

    def relieve(self, transaction: lmdb.Transaction) -> int:
        """A tenth of what the table uses is freed; how many values were evicted for it."""
        used = self.stat(transaction)[1]
        return self._evict(transaction, used - used // RELIEF_SHARE)

    def _evict(self, transaction: lmdb.Transaction, down_to_bytes: int) -> int:
        evicted = 0
        with transaction.cursor(self._environment.database(self._recency)) as cursor:
            while self.stat(transaction)[1] > down_to_bytes and cursor.first():
                stamp, key = bytes(cursor.key()), bytes(cursor.value())
                cursor.delete()
                record = self.record(transaction, key)
                if record is None or _STAMP.pack(record.stamp) == stamp:
                    self.erase(transaction, key)
                    evicted += 1
        if self.stat(transaction)[1] > down_to_bytes and down_to_bytes > 0:
            evicted += self.stat(transaction)[0]  # what is left has lost its recency row: damage that only this ends
            self.wipe(transaction)
        return evicted


def checked(record: EntryRecord, stored: bytes) -> bytes | None:
    """The value as it was put in; None if `stored` is not what the record says (so the file was damaged)."""
    data = stored
    if record.packed:
        try:
            data = zlib.decompressobj().decompress(stored, record.size_bytes + 1)
        except zlib.error:
            return None
    return data if len(data) == record.size_bytes and digest_of(data) == record.digest else None


def _group_key(group: bytes, key: bytes) -> bytes:
    return bytes((len(group),)) + group + key
