"""The listings of one account on the disk: what is shown of it after a restart or a kill, while it cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator

from iiiffs.cache.catalogue import Catalogue
from iiiffs.cache.listing_rows import encode_listing
from iiiffs.model.gallery import AccountName, AlbumId, Listing
from iiiffs.tree.albums import AlbumNames
from iiiffs.vfs.collector import computed
from iiiffs.vfs.gallery import NAMED_AT_ONCE
from iiiffs.vfs.shelves import is_stored


class StoredListings:
    """`account`: its name, as stores know it."""

    def __init__(self, account: AccountName, catalogue: Catalogue) -> None:
        self._account = account
        self._catalogue = catalogue
        self._older: set[AlbumId] = set()

    def has(self, album: AlbumId) -> bool:
        """Its listing can be had."""
        return self._catalogue.heading(self._account, album) is not None

    async def find(self, album: AlbumId) -> tuple[Listing, dict[str, str]] | None:
        """The listing as it was put last, and its unusual names; None if there is none."""
        return await computed(self._catalogue.reading_named(self._account, album))

    def all(self) -> Iterator[Listing]:
        """Rule: Catalogue.listings."""
        return self._catalogue.listings(self._account)

    async def put(self, names: AlbumNames) -> None:
        """`find` tells it from now on, if it is of an album, and not of a view of others. One at a time of an album."""
        listing = names.listing
        self._older.discard(listing.album.id)
        if not is_stored(listing.album.id):
            return
        if len(listing.assets) <= NAMED_AT_ONCE:
            row = encode_listing(listing, names.unusual())
        else:
            row = await computed(lambda: encode_listing(listing, names.unusual()))
        self._catalogue.put_listing_row(self._account, listing.album.id, row)

    def drop(self, album: AlbumId) -> None:
        """There is none any more."""
        self._older.discard(album)
        self._catalogue.drop_listing(self._account, album)

    def changed(self, album: AlbumId) -> None:
        """What is told of the album is newer, and was not put yet."""
        self._older.add(album)

    def is_older(self, album: AlbumId) -> bool:
        """Rule: changed."""
        return album in self._older

    async def survive(self) -> None:
        """What was put before this call survives a kill."""
        await self._catalogue.committed()
