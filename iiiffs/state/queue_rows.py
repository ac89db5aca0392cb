"""Items and conflicts as rows of the journal: each with its schema, and sealed, so that damage is told from content.

    CRC-32 of key and of all that follows (4 bytes, big end first), schema (1 byte), msgpack

Free text is bytes ("surrogatepass"), because MessagePack's text cannot hold the lone surrogates of a name that is not
UTF-8. Appended fields with defaults read what older code wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from iiiffs.cache.rows import seal, unseal
from iiiffs.errors import StoreCorrupt
from iiiffs.model.gallery import AccountName, AlbumId, Asset, AssetId, Version
from iiiffs.model.writing import Edit
from iiiffs.sync.items import Base, Conflict, Item, Stage, Verb

SCHEMA = 1
"""Raised when older code would misread what newer code writes."""


class _AssetRow(msgspec.Struct, array_like=True, frozen=True):
    id: str
    album: str
    name: bytes
    version: str
    size_bytes: int | None
    mtime_ns: int
    changed_ns: int
    media_type: str
    checksum: bytes | None
    described: bytes
    motion: str | None


class _BaseRow(msgspec.Struct, array_like=True, frozen=True):
    asset: str
    version: str
    album: str
    name: bytes
    size_bytes: int
    mtime_ns: int
    changed_ns: int


class _EditRow(msgspec.Struct, array_like=True, frozen=True):
    description: bytes | None
    favorite: bool | None
    rating: int | None
    mtime_ns: int | None


class _ItemRow(msgspec.Struct, array_like=True, frozen=True):
    id: str
    order: int
    account: bytes
    verb: Verb
    stage: Stage
    album: str
    name: bytes
    began_ns: int
    size_bytes: int
    mtime_ns: int
    generation: int
    sha1: bytes | None
    earlier: tuple[bytes, ...]
    base: _BaseRow | None
    assets: tuple[str, ...]
    edit: _EditRow | None
    tries: int
    reason: bytes | None
    conflict_with: bytes | None
    sent: _AssetRow | None
    token: str | None = None
    also: bool = False
    not_carried: tuple[bytes, ...] = ()
    missing: tuple[int, int] | None = None
    stays: bool = False
    told: tuple[str, ...] = ()
    kept: tuple[tuple[str, bytes], ...] = ()
    had: tuple[bytes, ...] = ()


class _ConflictRow(msgspec.Struct, array_like=True, frozen=True):
    id: str
    account: bytes
    album: str
    name: bytes
    ours: bytes
    theirs: str | None
    found_ns: int


Value = TypeVar("Value")
_RowType = TypeVar("_RowType", bound=msgspec.Struct)
_encoder = msgspec.msgpack.Encoder()
_items = msgspec.msgpack.Decoder(_ItemRow)
_conflicts = msgspec.msgpack.Decoder(_ConflictRow)


def encode_item(key: bytes, item: Item) -> bytes:
    """The row of `item` under `key`."""
    base, edit, sent = item.base, item.edit, item.sent
    row = _ItemRow(
        id=item.id,
        order=item.order,
        account=_written(item.account),
        verb=item.verb,
        stage=item.stage,
        album=item.album,
        name=_written(item.name),
        began_ns=item.began_ns,
        size_bytes=item.size_bytes,
        mtime_ns=item.mtime_ns,
        generation=item.generation,
        sha1=item.sha1,
        earlier=item.earlier,
        base=None if base is None else _base_row(base),
        assets=item.assets,
        edit=None if edit is None else _edit_row(edit),
        tries=item.tries,
        reason=_written_or_none(item.reason),
        conflict_with=_written_or_none(item.conflict_with),
        sent=None if sent is None else _asset_row(sent),
        token=item.token,
        also=item.also,
        not_carried=tuple(map(_written, item.not_carried)),
        missing=item.missing,
        stays=item.stays,
        told=item.told,
        kept=tuple((album, _written(name)) for album, name in item.kept),
        had=item.had,
    )
    return _sealed(key, row)


def decode_item(key: bytes, value: bytes) -> Item:
    """The item whose row `encode_item` made under `key`. Errors: StoreCorrupt, with the reason."""
    return _opened(key, value, _items, _item)


def encode_conflict(key: bytes, conflict: Conflict) -> bytes:
    """The row of `conflict` under `key`."""
    row = _ConflictRow(
        id=conflict.id,
        account=_written(conflict.account),
        album=conflict.album,
        name=_written(conflict.name),
        ours=_written(conflict.ours),
        theirs=conflict.theirs,
        found_ns=conflict.found_ns,
    )
    return _sealed(key, row)


def decode_conflict(key: bytes, value: bytes) -> Conflict:
    """The conflict whose row `encode_conflict` made under `key`. Errors: StoreCorrupt, with the reason."""
    return _opened(key, value, _conflicts, _conflict)


def _sealed(key: bytes, row: msgspec.Struct) -> bytes:
    return seal(key, bytes([SCHEMA]) + _encoder.encode(row))


def _opened(
    key: bytes, value: bytes, decoder: msgspec.msgpack.Decoder[_RowType], made: Callable[[_RowType], Value]
) -> Value:
    row = unseal(key, value)
    if not row:
        raise StoreCorrupt("its checksum is wrong")
    if row[0] > SCHEMA:
        raise StoreCorrupt(f"a newer iiiffs wrote it (schema {row[0]}, this one knows {SCHEMA})")
    try:
        return made(decoder.decode(row[1:]))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreCorrupt(f"it cannot be understood: {error}") from error


def _item(row: _ItemRow) -> Item:
    return Item(
        id=row.id,
        order=row.order,
        account=AccountName(_read(row.account)),
        verb=row.verb,
        stage=row.stage,
        album=AlbumId(row.album),
        name=_read(row.name),
        began_ns=row.began_ns,
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        generation=row.generation,
        sha1=row.sha1,
        earlier=row.earlier,
        base=None if row.base is None else _base(row.base),
        assets=tuple(AssetId(asset) for asset in row.assets),
        edit=None if row.edit is None else _edit(row.edit),
        tries=row.tries,
        reason=_read_or_none(row.reason),
        conflict_with=_read_or_none(row.conflict_with),
        sent=None if row.sent is None else _asset(row.sent),
        token=row.token,
        also=row.also,
        not_carried=tuple(map(_read, row.not_carried)),
        missing=row.missing,
        stays=row.stays,
        told=tuple(AssetId(asset) for asset in row.told),
        kept=tuple((AlbumId(album), _read(name)) for album, name in row.kept),
        had=row.had,
    )


def _conflict(row: _ConflictRow) -> Conflict:
    return Conflict(
        id=row.id,
        account=AccountName(_read(row.account)),
        album=AlbumId(row.album),
        name=_read(row.name),
        ours=_read(row.ours),
        theirs=None if row.theirs is None else AssetId(row.theirs),
        found_ns=row.found_ns,
    )


def _base_row(base: Base) -> _BaseRow:
    return _BaseRow(
        base.asset, base.version, base.album, _written(base.name), base.size_bytes, base.mtime_ns, base.changed_ns
    )


def _base(row: _BaseRow) -> Base:
    return Base(
        AssetId(row.asset),
        Version(row.version),
        AlbumId(row.album),
        _read(row.name),
        row.size_bytes,
        row.mtime_ns,
        row.changed_ns,
    )


def _edit_row(edit: Edit) -> _EditRow:
    return _EditRow(_written_or_none(edit.description), edit.favorite, edit.rating, edit.mtime_ns)


def _edit(row: _EditRow) -> Edit:
    return Edit(_read_or_none(row.description), row.favorite, row.rating, row.mtime_ns)


def _asset_row(asset: Asset) -> _AssetRow:
    return _AssetRow(
        asset.id,
        asset.album,
        _written(asset.name),
        asset.version,
        asset.size_bytes,
        asset.mtime_ns,
        asset.changed_ns,
        asset.media_type,
        asset.checksum,
        _written(asset.described),
        asset.motion,
    )


def _asset(row: _AssetRow) -> Asset:
    return Asset(
        AssetId(row.id),
        AlbumId(row.album),
        _read(row.name),
        Version(row.version),
        row.size_bytes,
        row.mtime_ns,
        row.changed_ns,
        row.media_type,
        row.checksum,
        _read(row.described),
        None if row.motion is None else AssetId(row.motion),
    )


def _written(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _read(text: bytes) -> str:
    return text.decode("utf-8", "surrogatepass")


def _written_or_none(text: str | None) -> bytes | None:
    return None if text is None else _written(text)


def _read_or_none(text: bytes | None) -> str | None:
    return None if text is None else _read(text)
