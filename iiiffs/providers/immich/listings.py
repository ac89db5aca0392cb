"""Listings of albums: fetched whole, and answered again while the album's figures are the same.

What listings say of assets is remembered apart, for `facts`, which the vfs asks one by one after a listing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import msgspec
import trio

from iiiffs.errors import AssetGone, ProviderUnreachable
from iiiffs.model.gallery import AlbumId, AssetId, Facts, Listing, Version
from iiiffs.providers.immich.client import PAGES_MAX, ImmichClient
from iiiffs.providers.immich.wire import AlbumRecord, AssetRecord, facts_of, listing_of, version_of

TRIES = 4
SETTLE_S = 0.2
"""Before an album that changed while it was listed is listed again."""
ASSETS_MAX = 50_000
"""Of all remembered listings together. The last one is kept however large it is."""
TOLD_MAX = 120_000
"""Assets of which is remembered what was said, some 400 bytes each."""


def uuid_of(id: str) -> UUID:
    """The id as the server spells it. Errors: AssetGone if it can be none of its."""
    try:
        uuid = UUID(id)
    except ValueError:
        uuid = None
    if uuid is None or str(uuid) != id:
        raise AssetGone(f"{id!a} is no id of Immich")
    return uuid


@dataclass(frozen=True, slots=True)
class Told:
    """What the server said of one version. `facts`: encoded; None where the bytes must be read for them.

    `motion`: the video that belongs to a live photo. `album`: the album of the last listing that held it.
    """

    version: Version
    facts: bytes | None
    motion: str | None
    album: AlbumId | None


@dataclass(frozen=True, slots=True)
class _Remembered:
    figures: tuple[str, int, str | None]
    title: str
    listing: Listing


class Listings:
    """Of one account. Between two awaits its tables are whole."""

    def __init__(self, client: ImmichClient) -> None:
        self._client = client
        self._albums: OrderedDict[AlbumId, _Remembered] = OrderedDict()
        self._assets = 0
        self._told: OrderedDict[str, Told] = OrderedDict()

    async def listing(self, album: AlbumId) -> Listing:
        """The album's listing as it is now; one question where nothing has changed. Errors: AssetGone."""
        id = uuid_of(album)
        try:
            record = await self._client.album(id)
        except AssetGone:
            self.drop(album)
            raise
        known = self._albums.get(album)
        if known is not None and (known.figures, known.title) == (record.figures, record.album_name):
            self._albums.move_to_end(album)
            return known.listing
        record, assets = await self._whole(id, record)
        listing = await trio.to_thread.run_sync(listing_of, record, assets)
        self.tell(assets, listing.album.id)
        self.drop(album)
        self._albums[album] = _Remembered(record.figures, record.album_name, listing)
        self._assets += len(listing.assets)
        while self._assets > ASSETS_MAX and len(self._albums) > 1:
            self.drop(next(iter(self._albums)))
        return listing

    def drop(self, album: AlbumId) -> None:
        """Nothing is remembered of its listing."""
        dropped = self._albums.pop(album, None)
        if dropped is not None:
            self._assets -= len(dropped.listing.assets)

    # ---- single assets ----------------------------------------------------------------------------------------

    def tell(self, records: Iterable[AssetRecord], album: AlbumId | None = None) -> None:
        """What is said of these is remembered."""
        for record in records:
            facts, known = facts_of(record), self._told.get(record.id)
            home = album or (known.album if known else None)
            packed = None if facts is None else msgspec.msgpack.encode(facts)
            self._told[record.id] = Told(version_of(record), packed, record.live_photo_video_id, home)
            self._told.move_to_end(record.id)
        while len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)

    def told(self, asset: AssetId) -> Told | None:
        """What was said last; None if that is not remembered."""
        return self._told.get(asset)

    def forget(self, asset: AssetId) -> None:
        """It turned out to be gone."""
        self._told.pop(asset, None)

    # ---- fetching ---------------------------------------------------------------------------------------------

    async def _whole(self, id: UUID, record: AlbumRecord) -> tuple[AlbumRecord, list[AssetRecord]]:
        """The album and all that it shows. Whole: as many as the album counts; or, since nobody promises that the
        count is right, the same ones twice while the album's figures stood still."""
        before: tuple[object, frozenset[str]] | None = None
        for attempt in range(TRIES):
            if attempt:
                await trio.sleep(SETTLE_S * attempt)
                record = await self._client.album(id)
            if (await self._client.dialect()).albums_hold_assets:
                record = await self._client.album(id, with_assets=True)
                if record.assets is None:  # it was upgraded meanwhile (§8.1)
                    self._client.forget_dialect()
                    continue
                found = {one.id: one for one in record.assets if one.is_shown}
            else:
                found = await self._pages(record)
            now = (record.figures, frozenset(found))
            if len(found) == record.asset_count or now == before:
                return record, list(found.values())
            before = now
        raise ProviderUnreachable(f"{self._client.name}: an album changes faster than it can be listed")

    async def _pages(self, record: AlbumRecord) -> dict[str, AssetRecord]:
        """All that a search of the album finds. With exif it misses what the server has not looked at yet (§2)."""
        filters = {"albumIds": [record.id], "order": "asc", "withPeople": True}
        found = await self._searched({**filters, "withExif": True})
        if len(found) < record.asset_count:
            found = await self._searched(filters) | found
        return found

    async def _searched(self, filters: dict[str, object]) -> dict[str, AssetRecord]:
        """By id, since pages may overlap where something changes meanwhile."""
        found: dict[str, AssetRecord] = {}
        page: int | None = 1
        while page is not None and page < PAGES_MAX:
            part = await self._client.search(filters, page)
            found |= {one.id: one for one in part.items if one.is_shown}
            page = int(part.next_page) if part.next_page else None
        return found


def facts_in(told: Told) -> Facts | None:
    """The facts as they were told; None where the bytes must be read for them."""
    return None if told.facts is None else msgspec.msgpack.decode(told.facts, type=Facts)
