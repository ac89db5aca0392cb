"""What moves to another host so that every URI stays: one file of all that state holds.

    MAGIC, schema (4 bytes, big end first), zlib of msgpack of `Exported`, SHA-256 of all before it

Magic, schema and digest have these places in every schema, so that older code can tell a newer file from a damaged one.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from iiiffs.errors import ConfigError, StoreCorrupt, StoreError
from iiiffs.model.gallery import AccountName
from iiiffs.state.environment import Reading, Writing
from iiiffs.state.identities import AccountLedger, rows_by_account
from iiiffs.state.successors import add_successors
from iiiffs.sync.identity import Row

MAGIC = b"iiiffs state export\n"
SCHEMA = 1
"""Raised when older code would misread what newer code writes."""

SCHEMA_BYTES = 4
DIGEST_BYTES = 32
INODE_KEY = b"inode_key"


class Exported(msgspec.Struct, frozen=True):
    """All that is in the file. `rows`: by account. The others: as their databases have them."""

    inode_key: bytes
    rows: dict[AccountName, tuple[Row, ...]]
    seen: tuple[tuple[bytes, bytes], ...]
    times: tuple[tuple[bytes, bytes], ...]
    previews: tuple[tuple[bytes, bytes], ...] = ()
    successors: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Rows of each account that an import brought, and those that it left out because id or path was known."""

    added: Mapping[AccountName, int]
    known: Mapping[AccountName, int]


_decoder = msgspec.msgpack.Decoder(Exported)
_encoder = msgspec.msgpack.Encoder()


def exported(reading: Reading) -> Exported:
    """All of one consistent view."""
    return Exported(
        inode_key=reading.get("meta", INODE_KEY) or b"",
        rows={account: tuple(rows) for account, rows in rows_by_account(reading).items()},
        seen=tuple(reading.below("seen", b"")),
        times=tuple(reading.below("times", b"")),
        previews=tuple(reading.below("previews", b"")),
        successors=tuple(reading.below("successors", b"")),
    )


def encoded(held: Exported) -> bytes:
    """The file's bytes."""
    told = MAGIC + SCHEMA.to_bytes(SCHEMA_BYTES, "big") + zlib.compress(_encoder.encode(held))
    return told + hashlib.sha256(told).digest()


def decoded(path: Path) -> Exported:
    """What is in the file at `path`.

    Errors: ConfigError if it cannot be read or is no export, StoreCorrupt if it is damaged, StoreError if it is newer.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    begin = len(MAGIC) + SCHEMA_BYTES
    if not data.startswith(MAGIC):
        raise ConfigError(f"{path}: is no file of `iiiffs state export`")
    told, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if len(told) < begin or hashlib.sha256(told).digest() != digest:
        raise StoreCorrupt(f"{path}: the export is damaged or cut off; copy it again, or make it anew")
    schema = int.from_bytes(told[len(MAGIC) : begin], "big")
    if schema > SCHEMA:
        raise StoreError(
            f"{path}: the export was written by a newer iiiffs (schema {schema}, this one knows {SCHEMA}); upgrade"
        )
    try:
        return _decoder.decode(zlib.decompress(told[begin:]))
    except (zlib.error, msgspec.DecodeError) as error:
        raise StoreCorrupt(f"{path}: the export cannot be understood: {error}; make it anew") from error


def take_in(writing: Writing, held: Exported, ledgers: Mapping[AccountName, AccountLedger], *, merge: bool) -> TakenIn:
    """`held` is in the state. With `merge` what the state knows stays as it is; else it must know no file.

    Errors: StoreError if it knows any and is not to be merged; then nothing has changed.
    """
    if not merge and not writing.is_empty("rows"):
        raise StoreError("the state knows files already; `--merge` keeps what it knows and adds the rest")
    if not merge and held.inode_key:
        writing.put("meta", INODE_KEY, held.inode_key)
    for database, pairs in (("seen", held.seen), ("times", held.times), ("previews", held.previews)):
        for key, value in pairs:
            if not merge or writing.get(database, key) is None:
                writing.put(database, key, value)
    add_successors(writing, held.successors)
    added = {account: ledgers[account].take_in(writing, rows) for account, rows in held.rows.items()}
    return TakenIn(added, {account: len(rows) - added[account] for account, rows in held.rows.items()})


def write_private(path: Path, data: bytes) -> None:
    """A new file with mode 0600 that holds `data`, on disk.

    Errors: ConfigError if there is one already or none can be made; StoreError, and no file, if it cannot be filled.
    """
    try:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path}: is there already, and is left as it is; name a new file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(target, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(target)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from None
