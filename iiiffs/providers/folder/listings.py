"""The last listing of each folder, with the look at the disk that it was made from."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Listing
from iiiffs.providers.folder.disk import Scan
from iiiffs.providers.media import media_type_of
from iiiffs.sync.identity import Observed, Row

ENTRIES_MAX = 50_000
"""Of all remembered listings together; some 1 kB each. The last one is kept however large it is."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """`listing` is right as long as `scan` and `album` are: the latter's title and parent are no part of the scan."""

    scan: Scan
    listing: Listing

    def holds(self, scan: Scan, album: Album) -> bool:
        """True if nothing differs."""
        return self.listing.album == album and self.scan == scan


class LastListings:
    """Least recently used albums leave first. Synchronous: never changes while somebody awaits."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._entries = 0
        self._albums: OrderedDict[AlbumId, Remembered] = OrderedDict()

    def get(self, album: AlbumId) -> Remembered | None:
        """The last one, which is now the most recently used."""
        if album in self._albums:
            self._albums.move_to_end(album)
        return self._albums.get(album)

    def put(self, album: AlbumId, remembered: Remembered) -> None:
        """The last one of `album`."""
        self.drop(album)
        self._albums[album] = remembered
        self._entries += _weight(remembered)
        while self._entries > self._entries_max and len(self._albums) > 1:
            self.drop(next(iter(self._albums)))

    def drop(self, album: str) -> None:
        """Nothing is remembered of `album`."""
        dropped = self._albums.pop(AlbumId(album), None)
        if dropped is not None:
            self._entries -= _weight(dropped)


def listing_of(album: Album, entries: Iterable[Observed], rows: Iterable[Row]) -> Listing:
    """The listing of `album`, by name in byte order; `rows` belong to `entries` one by one."""
    pairs = sorted(zip(entries, rows, strict=True), key=lambda pair: pair[0].name)
    assets = tuple(asset_of(row) for seen, row in pairs if not seen.is_folder)
    albums = tuple(
        Album(AlbumId(row.id), os.fsdecode(row.name), album.id, seen.mtime_ns) for seen, row in pairs if seen.is_folder
    )
    return Listing(album, assets, albums, _etag(album, assets, albums))


def asset_of(row: Row) -> Asset:
    """The asset in the version that was last recorded."""
    name = os.fsdecode(row.name)
    return Asset(
        id=AssetId(row.id),
        album=AlbumId(row.folder),
        name=name,
        version=row.version,
        size_bytes=row.size,
        mtime_ns=row.shown_ns,
        changed_ns=row.changed_ns,
        media_type=media_type_of(name),
    )


def _etag(album: Album, assets: Iterable[Asset], albums: Iterable[Album]) -> str:
    """A hash of all that is in the listing."""
    digest = hashlib.blake2b(digest_size=16)
    for each in (album, *albums):
        _add(digest, "album", each.id, each.title, each.parent or "", str(each.mtime_ns))
    for asset in assets:
        _add(digest, asset.id, asset.name, asset.version, f"{asset.mtime_ns} {asset.changed_ns}", asset.media_type)
    return digest.hexdigest()


def _add(digest: hashlib.blake2b, *parts: str) -> None:
    """No part can hold NUL."""
    digest.update(os.fsencode("\0".join(parts) + "\0\0"))


def _weight(remembered: Remembered) -> int:
    return len(remembered.scan.entries) + 1
