"""Listings of albums: fetched whole, and answered again while the album's figures are the same.

What listings say of assets is remembered apart, for `facts`, which the vfs asks one by one after a listing.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeVar
from uuid import UUID

import trio

from iiiffs.errors import AssetGone, ProviderUnreachable
from iiiffs.model.gallery import AlbumId, Asset, AssetId, Listing
from iiiffs.providers.immich.client import PAGE, PAGES_MAX, ImmichClient
from iiiffs.providers.immich.told import Told, ToldAssets, pack
from iiiffs.providers.immich.wire import (
    AlbumRecord,
    AssetRecord,
    PersonRecord,
    Placed,
    asset_of,
    listing_of_placed,
    time_ms,
)
from iiiffs.providers.views import LIBRARY

T = TypeVar("T")

NOTHING: Mapping[str, Placed] = MappingProxyType({})
TRIES = 4
SETTLE_S = 0.2
"""Before an album that changed while it was listed is listed again."""
ASSETS_MAX = 5_000
"""Of all remembered listings together: who asks keeps them too. The last one is kept however large it is."""
AT_ONCE = 60
"""Records that are looked at in the loop; more of them in a thread."""
BINNED_MAX = 120_000


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
        self._members: dict[AlbumId, array[int]] = {}
        """Of every album that was listed, though its listing may be remembered no more: a number for each asset in it.
        Two assets may have the same."""
        self.unfinished: set[str] = set()
        """Assets that are about to take another's place: no album shows both, so that names do not come and go."""
        self._told = ToldAssets()
        self.has_shown_trash = False
        self.binned: OrderedDict[str, None] = OrderedDict()
        """What the trash was said to hold, the last BINNED_MAX of it."""

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
        record, listing = await self._whole(id, record)
        members = await trio.to_thread.run_sync(_numbers, listing)
        self.drop(album)
        if drops != self._drops or self.unfinished:  # what was asked may be older than what the drop was for
            return listing
        self._members[album] = members
        self._albums[album] = _Remembered(record.figures, record.album_name, listing)
        self._assets += len(listing.assets)
        while self._assets > ASSETS_MAX and len(self._albums) > 1:
            self._forget_listing(next(iter(self._albums)))
        return listing

    def drop(self, album: AlbumId) -> None:
        """Nothing is remembered of its listing, nor that it was listed."""
        self._members.pop(album, None)
        self._forget_listing(album)

    def _forget_listing(self, album: AlbumId) -> None:
        dropped = self._albums.pop(album, None)
        if dropped is not None:
            self._assets -= len(dropped.listing.assets)

    def drop_holding(self, assets: Collection[str]) -> set[AlbumId]:
        """Nothing is remembered of listings that hold one of these, nor of those that are being fetched; the albums,
        also those whose listings had been forgotten for want of room, and maybe one that holds none."""
        self._drops += 1
        wanted = {_number(asset) for asset in assets}
        holding = {id for id, members in self._members.items() if not wanted.isdisjoint(members)}
        for id in holding:
            self.drop(id)
        return holding

    def forget_holding(self, assets: Collection[str]) -> None:
        """Listings that hold one of these are fetched anew; that they do is still known, for who watches."""
        self._drops += 1
        wanted = {_number(asset) for asset in assets}
        for id in [id for id in self._albums if not wanted.isdisjoint(self._members.get(id, ()))]:
            self._forget_listing(id)

    def forget_listing(self, album: AlbumId) -> None:
        """Its listing is fetched anew."""
        self._drops += 1
        self._forget_listing(album)

    def drop_all(self) -> set[AlbumId]:
        """Nothing is remembered of any listing; of which albums there was."""
        self._drops += 1
        dropped = set(self._members)
        self._members.clear()
        self._albums.clear()
        self._assets = 0
        return dropped

    # ---- single assets ----------------------------------------------------------------------------------------

    def tell(self, records: Iterable[AssetRecord], album: AlbumId | None = None) -> None:
        """What is said of these is remembered."""
        packed = [(record.id, pack(record)) for record in records]
        self._told.tell(packed, album, trio.current_time())

    async def told_assets(self, records: Sequence[AssetRecord]) -> tuple[Asset, ...]:
        """What is said of these is remembered; each as a member of its `home`, or of LIBRARY."""
        packed, found = await _computed(
            lambda: ([(one.id, pack(one)) for one in records], self._found(records)), records
        )
        self._told.tell(packed, None, trio.current_time())
        return found

    async def assets(self, records: Sequence[AssetRecord], album: AlbumId) -> tuple[Asset, ...]:
        """They, as members of that."""
        return await _computed(lambda: tuple(asset_of(record, album) for record in records), records)

    def _found(self, records: Iterable[AssetRecord]) -> tuple[Asset, ...]:
        return tuple(asset_of(record, self.home(record.id) or LIBRARY) for record in records)

    def told(self, asset: AssetId) -> Told | None:
        """What was said last; None if that is not remembered."""
        return self._told.find(asset)

    def home(self, asset: str) -> AlbumId | None:
        """The album of the last listing that held it; None if that is not remembered."""
        return self._told.home_of(asset)

    def tell_trash(self, ids: Iterable[str]) -> None:
        """Somebody looked into the trash, and these are there."""
        self.has_shown_trash = True
        for id in ids:
            self.binned[id] = None
            self.binned.move_to_end(id)
        while len(self.binned) > BINNED_MAX:
            self.binned.popitem(last=False)

    def name_people(self, records: Iterable[AssetRecord]) -> None:
        """Records of an answer that names nobody get the people that were told of last."""
        for record in records:
            told = self._told.find(record.id)
            if told is not None and told.facts is not None:
                record.people = [PersonRecord("", name) for name in told.facts.description.people]

    def forget(self, asset: AssetId) -> None:
        """It turned out to be gone."""
        self._told.forget(asset)

    # ---- fetching ---------------------------------------------------------------------------------------------

    async def _whole(self, id: UUID, record: AlbumRecord) -> tuple[AlbumRecord, Listing]:
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
                found: dict[str, Placed] = {}
                for start in range(0, len(record.assets), PAGE):
                    found |= await self._placed(record.assets[start : start + PAGE], record.id)
                record.assets = None
            else:
                found = await self._pages(record)
            now = (record.figures, frozenset(found))
            if len(found) == record.asset_count or now == before:
                shown = {key: placed for key, placed in found.items() if key not in self.unfinished}
                return record, await trio.to_thread.run_sync(listing_of_placed, record, shown)
            before = now
        raise ProviderUnreachable(f"{self._client.name}: an album changes faster than it can be listed")

    async def _pages(self, record: AlbumRecord) -> dict[str, Placed]:
        """All that a search of the album finds. With exif it misses what the server has not looked at yet (§2)."""
        filters: dict[str, object] = {"albumIds": [record.id], "order": "asc"}
        found = await self._searched({**filters, "withExif": True}, record.id)
        if len(found) < record.asset_count:
            found = await self._searched(filters, record.id, found)
        return found

    async def _searched(
        self, filters: dict[str, object], album: str, known: Mapping[str, Placed] = NOTHING
    ) -> dict[str, Placed]:
        """By id, since pages may overlap where something changes meanwhile; what is `known` of them stays."""
        found: dict[str, Placed] = dict(known)
        page: int | None = 1
        while page is not None and page < PAGES_MAX:
            part = await self._client.search(filters, page)
            found |= await self._placed([one for one in part.items if one.id not in known], album)
            page = int(part.next_page) if part.next_page else None
        return found

    async def _placed(self, records: Sequence[AssetRecord], album: str) -> dict[str, Placed]:
        """Those that are shown, told of; of the records, which take much room, nothing is left."""
        found, packed = await _computed(partial(_placed_of, records, AlbumId(album)), records)
        self._told.tell(packed, AlbumId(album), trio.current_time())
        return found


async def _computed(job: Callable[[], T], records: Sequence[AssetRecord]) -> T:
    """In a thread where there are many records: each takes 50 µs."""
    return job() if len(records) <= AT_ONCE else await trio.to_thread.run_sync(job)


def _placed_of(records: Sequence[AssetRecord], album: AlbumId) -> tuple[dict[str, Placed], list[tuple[str, bytes]]]:
    shown = [record for record in records if record.is_shown]
    placed = {record.id: (time_ms(record.file_created_at) or 0, asset_of(record, album)) for record in shown}
    return placed, [(record.id, pack(record)) for record in shown]


def _numbers(listing: Listing) -> array[int]:
    return array("Q", [_number(asset.id) for asset in listing.assets])


def _number(id: str) -> int:
    """Mostly another one for another id, within 64 bits."""
    return hash(id) & 0xFFFF_FFFF_FFFF_FFFF
