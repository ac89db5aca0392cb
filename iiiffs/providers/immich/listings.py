"""Listings of albums: fetched whole, and answered again while the album's figures are the same.

What listings say of assets is remembered apart, for `facts`, which the vfs asks one by one after a listing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

import msgspec
import trio

from iiiffs.errors import AssetGone, ProviderUnreachable
from iiiffs.model.gallery import AlbumId, AssetId, Facts, Listing, Version
from iiiffs.model.image import Extent
from iiiffs.providers.immich.client import PAGES_MAX, ImmichClient
from iiiffs.providers.immich.wire import (
    AlbumRecord,
    AssetRecord,
    PersonRecord,
    displayed,
    facts_of,
    listing_of,
    version_of,
)

TRIES = 4
SETTLE_S = 0.2
"""Before an album that changed while it was listed is listed again."""
ASSETS_MAX = 50_000
"""Of all remembered listings together. The last one is kept however large it is."""
SLICE = 250
"""Assets that are remembered before the loop may do something else: some 5 ms."""
TOLD_MAX = 120_000
"""Assets of which is remembered what was said, some 400 bytes each."""


def uuid_of(id: str) -> UUID:
    """The id as the server spells it. Errors: AssetGone if it can be none of its: both documents know version 4 only,
    and of any other it says that the question is wrong, not that nothing has that id."""
    try:
        uuid = UUID(id)
    except ValueError:
        uuid = None
    if uuid is None or str(uuid) != id or uuid.version != 4:
        raise AssetGone(f"{id!a} is no id of Immich")
    return uuid


@dataclass(frozen=True, slots=True)
class Told:
    """What the server said of one version. `facts`: encoded; None where the bytes must be read for them.

    `album`: of the last listing that held it. `displayed`: as wire.displayed; None also where it was edited, so that
    what the server shows is not the original. `told_s`: when, by trio's clock.
    """

    version: Version
    facts: bytes | None
    album: AlbumId | None
    displayed: Extent | None
    told_s: float


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
        self._drops = 0
        self._told: OrderedDict[str, Told] = OrderedDict()
        self.has_shown_trash = False
        self.binned: OrderedDict[str, None] = OrderedDict()
        """What the trash was said to hold, the last TOLD_MAX of it."""

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
        drops = self._drops
        record, assets = await self._whole(id, record)
        listing = await trio.to_thread.run_sync(listing_of, record, assets)
        for start in range(0, len(assets), SLICE):
            self.tell(assets[start : start + SLICE], listing.album.id)
            await trio.lowlevel.checkpoint()
        self.drop(album)
        if drops != self._drops:  # what was asked may be older than what the drop was for
            return listing
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

    def drop_holding(self, assets: Collection[str]) -> set[AlbumId]:
        """Nothing is remembered of listings that hold one of these, nor of those that are being fetched; the albums."""
        self._drops += 1
        holding = {id for id, known in self._albums.items() if any(one.id in assets for one in known.listing.assets)}
        for id in holding:
            self.drop(id)
        return holding

    def drop_all(self) -> set[AlbumId]:
        """Nothing is remembered of any listing; of which albums there was."""
        self._drops += 1
        dropped = set(self._albums)
        self._albums.clear()
        self._assets = 0
        return dropped

    # ---- single assets ----------------------------------------------------------------------------------------

    def tell(self, records: Iterable[AssetRecord], album: AlbumId | None = None) -> None:
        """What is said of these is remembered."""
        now_s = trio.current_time()
        for record in records:
            facts, known = facts_of(record), self._told.get(record.id)
            home = album or (known.album if known else None)
            packed = None if facts is None else msgspec.msgpack.encode(facts)
            extent = None if record.is_edited else displayed(record)
            self._told[record.id] = Told(version_of(record), packed, home, extent, now_s)
            self._told.move_to_end(record.id)
        while len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)

    def told(self, asset: AssetId) -> Told | None:
        """What was said last; None if that is not remembered."""
        return self._told.get(asset)

    def tell_trash(self, ids: Iterable[str]) -> None:
        """Somebody looked into the trash, and these are there."""
        self.has_shown_trash = True
        for id in ids:
            self.binned[id] = None
            self.binned.move_to_end(id)
        while len(self.binned) > TOLD_MAX:
            self.binned.popitem(last=False)

    def name_people(self, records: Iterable[AssetRecord]) -> None:
        """Records of an answer that names nobody get the people that were told of last."""
        for record in records:
            told = self._told.get(record.id)
            facts = None if told is None else facts_in(told)
            if facts is not None:
                record.people = [PersonRecord("", name) for name in facts.description.people]

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
        filters: dict[str, object] = {"albumIds": [record.id], "order": "asc"}
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
