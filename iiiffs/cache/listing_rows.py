"""Listings as rows: whole, compact, and with every name as it is, also one that is not UTF-8.

Names are bytes ("surrogatepass"), because MessagePack's text cannot hold the lone surrogates of such a name.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Listing, Version


class _AlbumRow(msgspec.Struct, array_like=True, frozen=True, gc=False, omit_defaults=True):
    id: str
    title: bytes
    parent: str | None
    mtime_ns: int
    count: int | None = None
    cover: str | None = None


class _AssetRow(msgspec.Struct, array_like=True, frozen=True, gc=False, omit_defaults=True):
    """`album` is None for that of the listing, which it nearly always is."""

    id: str
    album: str | None
    name: bytes
    version: str
    size_bytes: int | None
    mtime_ns: int
    changed_ns: int
    media_type: str
    checksum: bytes | None = None
    described: str = ""
    motion: str | None = None


class _ListingRow(msgspec.Struct, array_like=True, frozen=True):
    album: _AlbumRow
    assets: list[_AssetRow]
    albums: list[_AlbumRow]
    etag: str
    names: dict[str, bytes] = {}


class _NamesRow(msgspec.Struct, array_like=True, frozen=True):
    """A _ListingRow of which only the names are read."""

    album: msgspec.Raw
    assets: msgspec.Raw
    albums: msgspec.Raw
    etag: msgspec.Raw
    names: dict[str, bytes] = {}


class _HeadingRow(msgspec.Struct, array_like=True, frozen=True):
    """A _ListingRow whose assets are skipped."""

    album: _AlbumRow
    assets: msgspec.Raw
    albums: list[_AlbumRow]
    etag: str


@dataclass(frozen=True, slots=True)
class ListingHeading:
    """A listing without its assets: as in Listing."""

    album: Album
    albums: tuple[Album, ...]
    etag: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_ListingRow)
_names_decoder = msgspec.msgpack.Decoder(_NamesRow)
NOTHING = msgspec.msgpack.encode([])
_heading_decoder = msgspec.msgpack.Decoder(_HeadingRow)


def encode_listing(listing: Listing, names: Mapping[str, str]) -> bytes:
    """The row of `listing`, in which some ids have these names."""
    own = listing.album.id
    assets = [
        _AssetRow(
            asset.id,
            None if asset.album == own else asset.album,
            _written(asset.name),
            asset.version,
            asset.size_bytes,
            asset.mtime_ns,
            asset.changed_ns,
            asset.media_type,
            asset.checksum,
            asset.described,
            asset.motion,
        )
        for asset in listing.assets
    ]
    albums = [_album_row(album) for album in listing.albums]
    return _encoder.encode(
        _ListingRow(
            _album_row(listing.album), assets, albums, listing.etag, {id: _written(name) for id, name in names.items()}
        )
    )


def decode_listing(row: bytes) -> Listing:
    """The listing of a row that `encode_listing` made. Its assets share what is equal: album and media types."""
    known = _decoder.decode(row)
    album = _album(known.album)
    assets = tuple(
        Asset(
            AssetId(asset.id),
            album.id if asset.album is None else AlbumId(asset.album),
            _read(asset.name),
            Version(asset.version),
            asset.size_bytes,
            asset.mtime_ns,
            asset.changed_ns,
            sys.intern(asset.media_type),
            asset.checksum,
            asset.described,
            None if asset.motion is None else AssetId(asset.motion),
        )
        for asset in known.assets
    )
    return Listing(album, assets, tuple(_album(inner) for inner in known.albums), known.etag)


def decode_named(row: bytes) -> tuple[Listing, dict[str, str]]:
    """As `decode_listing`, with the names that were given to it."""
    names = _names_decoder.decode(row).names
    return decode_listing(row), {id: _read(name) for id, name in names.items()}


def decode_heading(row: bytes) -> ListingHeading:
    """As `decode_listing`, fifty times as fast for a listing of 10,000 assets."""
    known = _heading_decoder.decode(row)
    return ListingHeading(_album(known.album), tuple(_album(inner) for inner in known.albums), known.etag)


def is_of_nothing(row: bytes) -> bool:
    """True if the listing holds neither assets nor albums. Quick, however many there are."""
    known = _heading_decoder.decode(row)
    return bytes(known.assets) == NOTHING and not known.albums


def _album_row(album: Album) -> _AlbumRow:
    return _AlbumRow(album.id, _written(album.title), album.parent, album.mtime_ns, album.count, album.cover)


def _album(row: _AlbumRow) -> Album:
    parent = None if row.parent is None else AlbumId(row.parent)
    cover = None if row.cover is None else AssetId(row.cover)
    return Album(AlbumId(row.id), _read(row.title), parent, row.mtime_ns, row.count, cover)


def _written(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _read(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")
