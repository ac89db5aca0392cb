"""Recorded identities of one account: providers.base.IdentityLedger over the state's environment.

    rows    account, folder id, kind, name -> the row       (so a folder is one range)
    ids     account, id                    -> its key in rows
    inodes  account, device, inode, id     -> b""
    sizes   account, size, id              -> b""            (only rows with a digest)

Account and folder end in NUL, which neither can hold; keys stay below LMDB's 511 bytes because long parts are hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter

import msgspec
import trio

from iiiffs.errors import StoreCorrupt
from iiiffs.model.gallery import AccountName
from iiiffs.state.environment import Environment, Reading, Writing
from iiiffs.sync.identity import ELSEWHERE, Row


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    """sync.identity.Row, field by field. Appended fields with defaults read what older code wrote."""

    id: str
    folder: str
    name: bytes
    kind: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    shown_ns: int
    changed_ns: int
    digest: bytes = b""
    earlier_ns: tuple[int, ...] = ()
    gone: bool = False


_decoder = msgspec.msgpack.Decoder(_Stored)
_encoder = msgspec.msgpack.Encoder()
_fields = attrgetter(*_Stored.__struct_fields__)

PART_BYTES = 120
NAME_BYTES = 255
UNSIGNED_64 = (1 << 64) - 1


class AccountLedger:
    """Reads are short and may come from any thread; `commit` waits in a worker thread behind the one writer's lock."""

    def __init__(self, environment: Environment, writer: trio.Lock, account: AccountName) -> None:
        self._environment = environment
        self._writer = writer
        self._prefix = _bounded(account.encode(), PART_BYTES) + b"\0"

    def row(self, id: str) -> Row | None:
        """Rule: IdentityLedger.row."""
        return self._environment.read(lambda reading: self._row(reading, id))

    def rows_in(self, folder: str) -> list[Row]:
        """Rule: IdentityLedger.rows_in."""
        prefix = self._folder_prefix(folder)
        return self._environment.read(lambda reading: [_decoded(value) for _, value in reading.below("rows", prefix)])

    def rows_of_inodes(self, inodes: Iterable[tuple[int, int]]) -> list[Row]:
        """Rule: IdentityLedger.rows_of_inodes."""
        prefixes = [self._prefix + _unsigned(device) + _unsigned(inode) for device, inode in inodes]
        return self._environment.read(lambda reading: self._rows_below(reading, "inodes", prefixes))

    def rows_of_sizes(self, sizes: Iterable[int]) -> list[Row]:
        """Rule: IdentityLedger.rows_of_sizes."""
        prefixes = [self._prefix + _unsigned(size) for size in set(sizes)]
        return self._environment.read(lambda reading: self._rows_below(reading, "sizes", prefixes))

    async def commit(self, rows: Sequence[Row], forgotten: Sequence[str] = ()) -> None:
        """Rule: IdentityLedger.commit."""

        def job(writing: Writing) -> None:
            for id in (*forgotten, *(row.id for row in rows)):
                self._remove(writing, id)
            for row in rows:
                self._insert(writing, row)

        async with self._writer:
            await trio.to_thread.run_sync(self._environment.write, job)

    def take_in(self, writing: Writing, rows: Sequence[Row]) -> int:
        """Those rows of another host are recorded whose ids and paths are unknown here; how many that are.

        What is below a folder that has another id here is below that one. Devices and inodes are this host's own, so
        those of the other are forgotten: see `iiiffs.sync.identity.evolve`.
        """
        below: dict[str, list[Row]] = {}
        for row in rows:
            below.setdefault(row.folder, []).append(row)
        ids = {row.id for row in rows}
        waiting = [(folder, folder) for folder in below if folder not in ids]
        added = 0
        while waiting:
            theirs, ours = waiting.pop()
            for row in below.pop(theirs, ()):
                moved = replace(row, folder=ours, device=ELSEWHERE, inode=ELSEWHERE)
                known = self._row(writing, row.id) or self._row_at(writing, moved)
                if known is None:
                    self._insert(writing, moved)
                    added += 1
                if row.is_folder:
                    waiting.append((row.id, row.id if known is None else known.id))
        return added

    def _row_at(self, reading: Reading, row: Row) -> Row | None:
        value = reading.get("rows", self._row_key(row))
        return None if value is None else _decoded(value)

    def _row(self, reading: Reading, id: str) -> Row | None:
        key = reading.get("ids", self._id_key(id))
        if key is None:
            return None
        value = reading.get("rows", key)
        if value is None:
            raise StoreCorrupt(f"state: the row of {id} is missing")
        return _decoded(value)

    def _rows_below(self, reading: Reading, index: str, prefixes: Iterable[bytes]) -> list[Row]:
        rows = []
        for prefix in prefixes:
            for key, _ in reading.below(index, prefix):
                row = self._row(reading, key[len(prefix) :].decode())
                if row is not None:
                    rows.append(row)
        return rows

    def _remove(self, writing: Writing, id: str) -> None:
        row = self._row(writing, id)
        if row is None:
            return
        writing.delete("rows", self._row_key(row))
        writing.delete("ids", self._id_key(id))
        for index, key in self._index_keys(row):
            writing.delete(index, key)

    def _insert(self, writing: Writing, row: Row) -> None:
        key = self._row_key(row)
        there = writing.get("rows", key)
        if there is not None:
            self._remove(writing, _decoded(there).id)
        writing.put("rows", key, _encoder.encode(_fields(row)))
        writing.put("ids", self._id_key(row.id), key)
        for index, index_key in self._index_keys(row):
            writing.put(index, index_key, b"")

    def _id_key(self, id: str) -> bytes:
        return self._prefix + _bounded(id.encode(), PART_BYTES)

    def _folder_prefix(self, folder: str) -> bytes:
        return self._prefix + _bounded(folder.encode(), PART_BYTES) + b"\0"

    def _row_key(self, row: Row) -> bytes:
        kind = b"d" if row.is_folder else b"f"
        return self._folder_prefix(row.folder) + kind + _bounded(row.name, NAME_BYTES)

    def _index_keys(self, row: Row) -> list[tuple[str, bytes]]:
        id = row.id.encode()
        keys = [("inodes", self._prefix + _unsigned(row.device) + _unsigned(row.inode) + id)]
        if row.digest:
            keys.append(("sizes", self._prefix + _unsigned(row.size) + id))
        return keys


def rows_by_account(reading: Reading) -> dict[AccountName, list[Row]]:
    """All rows of all accounts."""
    found: dict[AccountName, list[Row]] = {}
    for key, value in reading.below("rows", b""):
        found.setdefault(AccountName(key.partition(b"\0")[0].decode()), []).append(_decoded(value))
    return found


def _decoded(value: bytes) -> Row:
    try:
        return Row(*msgspec.structs.astuple(_decoder.decode(value)))
    except msgspec.DecodeError as error:
        raise StoreCorrupt(f"state: a row cannot be read: {error}") from error


def _bounded(part: bytes, bytes_max: int) -> bytes:
    """`part`, or a hash of it marked by a byte that no UTF-8 begins with, when it is longer than `bytes_max`."""
    return part if len(part) <= bytes_max else b"\xff" + hashlib.blake2b(part, digest_size=32).hexdigest().encode()


def _unsigned(number: int) -> bytes:
    return (number & UNSIGNED_64).to_bytes(8, "big")
