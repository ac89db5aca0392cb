"""The index of blocks that lie in files: their sizes and sums, under the quota, the oldest used evicted first.

A file is written before its row is committed, and removed when its row goes; a row whose file is gone, short or damaged
is found out by the sum at reading. What a crash leaves without a row is swept at the next start.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iiiffs.cache.block_folder import BlockFolder, room_of, sum_of
from iiiffs.cache.entries import DIGEST_BYTES, EntryRecord
from iiiffs.cache.environment import CacheEnvironment
from iiiffs.cache.shares import SharingTable
from iiiffs.cache.whole import place_of, sums_of

if TYPE_CHECKING:
    import lmdb

_PLACE = struct.Struct(f">QI{DIGEST_BYTES - 12}x")
_TOTAL = struct.Struct(">Q")
TOTAL = b"total"


@dataclass(frozen=True, slots=True)
class Place:
    """The file that holds a block, and its CRC-32. `serial` is 0 where nothing has to be held."""

    serial: int
    sum: int

    def packed(self) -> bytes:
        """As it stands in an EntryRecord, where other tables have a digest."""
        return _PLACE.pack(self.serial, self.sum)

    @classmethod
    def of(cls, record: EntryRecord) -> Place:
        """That of a record which `FiledEntry` made."""
        return cls(*_PLACE.unpack(record.digest))


@dataclass(frozen=True, slots=True)
class FiledEntry:
    """A block, or a whole file, on its way into the index; its file is there already. `stamp`: rule: entries.Entry."""

    stamp: int
    group: bytes
    label: str
    place: Place
    size_bytes: int

    def record(self) -> EntryRecord:
        """Its row."""
        return EntryRecord(self.stamp, self.size_bytes, False, self.place.packed(), self.group, self.label)


class FiledTable(SharingTable):
    """A SharingTable whose bytes lie in `folder`. NAME.data holds one row: the room that all files take together."""

    def __init__(self, environment: CacheEnvironment, name: str, quota_bytes: int, folder: BlockFolder) -> None:
        super().__init__(environment, name, quota_bytes)
        self.folder = folder

    def write(self, transaction: lmdb.Transaction, key: bytes, value: FiledEntry) -> None:  # type: ignore[override]  # its own kind of value
        """Rule: EntryTable.write."""
        self.erase(transaction, key)
        self.index(transaction, key, value.record())
        self._add(transaction, room_of(value.size_bytes))

    def erase(self, transaction: lmdb.Transaction, key: bytes) -> None:
        """Rule: EntryTable.erase. The file is gone at once: if the transaction is undone, its row is of no use."""
        record = self.record(transaction, key)
        if record is not None:
            self._add(transaction, -room_of(record.size_bytes))
            self._remove(record)
        super().erase(transaction, key)

    def wipe(self, transaction: lmdb.Transaction) -> None:
        """Rule: EntryTable.wipe. Files whose rows are not committed yet stay."""
        for key in self.keys(transaction):
            record = self.record(transaction, key)
            if record is not None:
                self._remove(record)
        super().wipe(transaction)

    def lose(self, value: FiledEntry) -> None:  # type: ignore[override]  # its own kind of value
        """Rule: Table.lose."""
        self._remove(value.record())

    def stat(self, transaction: lmdb.Transaction) -> tuple[int, int]:
        """Rule: EntryTable.stat; the files count as the room they take."""
        entries, pages = super().stat(transaction)
        return entries, pages + self._total(transaction)

    def stored(self, transaction: lmdb.Transaction, key: bytes) -> bytes | None:
        """Rule: EntryTable.stored."""
        record = self.record(transaction, key)
        return None if record is None else self.read(record)

    def read(self, record: EntryRecord) -> bytes | None:
        """The bytes of its file, to be given to `checked`; None if it cannot be read. Needs no transaction."""
        place = Place.of(record)
        return self.folder.read(place.serial, record.size_bytes) if place.serial else b""

    def checked(self, record: EntryRecord, stored: bytes) -> bytes | None:
        """Rule: EntryTable.checked."""
        if len(stored) != record.size_bytes:
            return None
        sums = sums_of(record.label)
        if sums is None:
            return stored if sum_of(stored) == Place.of(record).sum else None
        view = memoryview(stored)
        places = [place_of(index, len(stored)) for index in range(len(sums))]
        found = [sum_of(view[offset : offset + length]) for offset, length in places]
        return stored if found == sums else None

    def block(self, record: EntryRecord, index: int) -> bytes | None:
        """That block, of an entry of its own or of a whole file; None if it cannot be read, or is damaged. Needs no
        transaction."""
        sums = sums_of(record.label)
        if sums is None:
            stored = self.read(record)
            return None if stored is None else self.checked(record, stored)
        offset, length = place_of(index, record.size_bytes)
        found = self.folder.read(Place.of(record).serial, length, offset)
        data = None if found is None else found[:length]
        return data if data is not None and sum_of(data) == sums[index] else None

    def sweep(self, transaction: lmdb.Transaction) -> None:
        """Files and rows agree: files that no row names are gone, and the room that the others take is counted anew."""
        known: set[int] = set()
        total = 0
        for key in self.keys(transaction):
            record = self.record(transaction, key)
            if record is not None:
                known.add(Place.of(record).serial)
                total += room_of(record.size_bytes)
        for serial in self.folder.serials():
            if serial not in known:
                self.folder.remove(serial)
        self._add(transaction, total - self._total(transaction))

    def _remove(self, record: EntryRecord) -> None:
        serial = Place.of(record).serial
        if serial:
            self.folder.remove(serial)

    def _total(self, transaction: lmdb.Transaction) -> int:
        row = transaction.get(TOTAL, db=self._environment.database(self._data))
        return 0 if row is None else int(_TOTAL.unpack(bytes(row))[0])

    def _add(self, transaction: lmdb.Transaction, room_bytes: int) -> None:
        if not room_bytes:
            return
        total = max(0, self._total(transaction) + room_bytes)
        transaction.put(TOTAL, _TOTAL.pack(total), db=self._environment.database(self._data))
