"""The file of `iiiffs state export`: all rows of a state, and the payloads that lie in its spool.

    MAGIC, schema (4 bytes)
    schema 2   length of the rows (8 bytes), rows; of each payload: length of its id (1 byte), id, length (8 bytes),
               bytes; then a zero byte
    schema 1   rows, of before anything could wait
    SHA-256 of all before

Rows are zlib of msgpack of `Exported`, numbers have their big end first. Magic, schema and digest have these places in
every schema, so that older code can tell a newer file from a damaged one. Payloads may be many and large: they go from
file to file in small parts, both ways. Blocking, all of it.
"""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from iiiffs.errors import ConfigError, StoreCorrupt, StoreError
from iiiffs.model.gallery import AccountName
from iiiffs.sync.identity import Row

MAGIC = b"iiiffs state export\n"
SCHEMA = 2
"""Raised when older code would misread what newer code writes."""

SCHEMA_BYTES = 4
LENGTH_BYTES = 8
DIGEST_BYTES = 32
PART_BYTES = 1 << 20
TRIES = 3
"""How often a payload is copied that a program goes on writing meanwhile."""

Pairs = tuple[tuple[bytes, bytes], ...]


class Exported(msgspec.Struct, frozen=True):
    """All rows. `rows`: by account. The others: as their databases have them. What has a default is appended."""

    inode_key: bytes
    rows: dict[AccountName, tuple[Row, ...]]
    seen: Pairs
    times: Pairs
    previews: Pairs = ()
    successors: Pairs = ()
    journal: Pairs = ()
    conflicts: Pairs = ()
    given: Pairs = ()
    notes: Pairs = ()
    homes: Pairs = ()


@dataclass(frozen=True, slots=True)
class Packed:
    """Where in the file the bytes of a payload lie."""

    id: str
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Archive:
    """A whole file of an export."""

    path: Path
    held: Exported
    payloads: tuple[Packed, ...] = ()

    def bytes_of(self, payload: Packed) -> Iterator[bytes]:
        """Its bytes, in parts. Errors: StoreError."""
        try:
            with self.path.open("rb") as file:
                file.seek(payload.offset)
                left_bytes = payload.size_bytes
                while left_bytes and (part := file.read(min(left_bytes, PART_BYTES))):
                    left_bytes -= len(part)
                    yield part
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror}") from None
        if left_bytes:
            raise StoreError(f"{self.path}: became shorter while it was read")


_decoder = msgspec.msgpack.Decoder(Exported)
_encoder = msgspec.msgpack.Encoder()


def encoded(held: Exported) -> bytes:
    """The rows as they are in the file."""
    return zlib.compress(_encoder.encode(held))


# ---- writing --------------------------------------------------------------------------------------------------------


def write_archive(path: Path, rows: bytes, payloads: Iterable[Path]) -> None:
    """A new file with mode 0600 that holds `rows` and the payloads, called as their files are; on disk.

    A payload that is not there any more is left out. Errors: ConfigError if there is something at `path`, or nothing
    can be made; StoreError, and no file, if it cannot be filled.
    """
    try:
        target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path}: is there already, and is left as it is; name a new file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(target, "w+b") as stream:
            stream.write(MAGIC + SCHEMA.to_bytes(SCHEMA_BYTES, "big"))
            stream.write(len(rows).to_bytes(LENGTH_BYTES, "big") + rows)
            for payload in payloads:
                _pack(stream, payload)
            stream.write(b"\0")
            stream.flush()
            stream.seek(0)
            stream.write(_digest_of(stream, None))
            stream.flush()
            os.fsync(target)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from None


def _pack(stream: BinaryIO, payload: Path) -> None:
    """The payload is at the end of the stream, unmixed if nobody writes it for the time that one copy takes."""
    try:
        source = payload.open("rb", buffering=0)
    except FileNotFoundError:
        return
    id = payload.name.encode()
    stream.write(bytes([len(id)]) + id)
    at = stream.tell()
    with source:
        for _ in range(TRIES):
            stream.seek(at)
            stream.truncate()
            before = os.fstat(source.fileno())
            stream.write(bytes(LENGTH_BYTES))
            copied_bytes = _copy(source, stream, before.st_size)
            after = os.fstat(source.fileno())
            if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
                break
    stream.seek(at)
    stream.write(copied_bytes.to_bytes(LENGTH_BYTES, "big"))
    stream.seek(0, io.SEEK_END)


def _copy(source: io.FileIO, stream: BinaryIO, size_bytes: int) -> int:
    """How much was copied, from the beginning; less than `size_bytes` if there is less."""
    source.seek(0)
    copied_bytes = 0
    while copied_bytes < size_bytes and (part := source.read(min(PART_BYTES, size_bytes - copied_bytes))):
        stream.write(part)
        copied_bytes += len(part)
    return copied_bytes


# ---- reading --------------------------------------------------------------------------------------------------------


def read_archive(path: Path) -> Archive:
    """What is in the file at `path`.

    Errors: ConfigError if it cannot be read or is no export, StoreCorrupt if it is damaged, StoreError if it is newer.
    """
    try:
        with path.open("rb") as stream:
            return _read(path, stream)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _read(path: Path, stream: BinaryIO) -> Archive:
    if stream.read(len(MAGIC)) != MAGIC:
        raise ConfigError(f"{path}: is no file of `iiiffs state export`")
    end = stream.seek(0, io.SEEK_END) - DIGEST_BYTES
    begin = len(MAGIC) + SCHEMA_BYTES
    stream.seek(0)
    if end < begin or _digest_of(stream, end) != stream.read(DIGEST_BYTES):
        raise StoreCorrupt(f"{path}: the export is damaged or cut off; copy it again, or make it anew")
    stream.seek(len(MAGIC))
    schema = int.from_bytes(stream.read(SCHEMA_BYTES), "big")
    if schema > SCHEMA:
        raise StoreError(
            f"{path}: the export was written by a newer iiiffs (schema {schema}, this one knows {SCHEMA}); upgrade"
        )
    rows_bytes = end - begin if schema == 1 else _number(stream, LENGTH_BYTES)
    try:
        held = _decoder.decode(zlib.decompress(stream.read(min(rows_bytes, end))))
        payloads = () if schema == 1 else tuple(_packed(stream, end))
    except (zlib.error, msgspec.DecodeError, ValueError) as error:
        raise StoreCorrupt(f"{path}: the export cannot be understood: {error}; make it anew") from error
    return Archive(path, held, payloads)


def _packed(stream: BinaryIO, end: int) -> Iterator[Packed]:
    """Errors: ValueError if that cannot be."""
    while id_bytes := _number(stream, 1):
        id = stream.read(id_bytes).decode("ascii")
        size_bytes = _number(stream, LENGTH_BYTES)
        yield Packed(id, stream.tell(), size_bytes)
        if stream.seek(size_bytes, io.SEEK_CUR) >= end:
            raise ValueError(f"the payload {id} is not all there")


def _number(stream: BinaryIO, length: int) -> int:
    return int.from_bytes(stream.read(length), "big")


def _digest_of(stream: BinaryIO, end: int | None) -> bytes:
    """Of what is between here and `end`, or the end of the stream, where it stands then."""
    digest = hashlib.sha256()
    left_bytes = -1 if end is None else end - stream.tell()
    while left_bytes and (part := stream.read(PART_BYTES if end is None else min(PART_BYTES, left_bytes))):
        digest.update(part)
        left_bytes -= 0 if end is None else len(part)
    return digest.digest()
