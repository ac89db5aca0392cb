"""One account of a provider without folders, as the mount sees it: shelves, kept while nothing is said to have changed.

A provider here is a network away. What it was asked is kept on disk too, so that a server that cannot be reached leaves
names, bytes and documents of all that was looked at (DESIGN §4.6). While the provider watches, an answer is good until
it reports a change; the watch misses nothing (Provider.watch), so a second question would say the same.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import cast
from weakref import WeakValueDictionary

import trio

from iiiffs.cache.catalogue import Catalogue
from iiiffs.errors import AccessDenied, AssetGone, DeadlinePassed, ProviderUnreachable
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AccountNames, Album, AlbumId, Asset, AssetId, Listing
from iiiffs.providers.base import Provider, trouble_of
from iiiffs.providers.views import ALBUMS, LIBRARY, TRASH
from iiiffs.tree.albums import NONE_KEPT, AlbumNames
from iiiffs.tree.places import Place
from iiiffs.tree.shelves import OF_SHELVES, shelf_of_id
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import LISTINGS_KEPT, Gallery
from iiiffs.vfs.kept import NEVER_S, Aside, Asked, Kept, with_done
from iiiffs.vfs.known_assets import KnownAssets
from iiiffs.vfs.live_photos import is_half, still_of
from iiiffs.vfs.reading import READING, Deadlines, Reading
from iiiffs.vfs.shelves import ACCOUNT, ShelvedProvider, Shelves, is_stored, is_view, path_of, place_of
from iiiffs.vfs.silence import Silence
from iiiffs.vfs.stored_listings import StoredListings

log = logging.getLogger(__name__)

ASSETS_KEPT = 24_000
"""In all kept listings together; the last one is kept however long it is. Others are read from the disk again."""
SLICE = 250
"""Assets that are taken up before the loop may do something else: 1 to 2 ms."""
SETTLED = 5000
"""So many assets that were never listed before, and what is known by now is taken out of the garbage collector's
rounds: it holds no cycles, and a round over 100,000 files that the kernel knows would hold the loop for 0.1 s."""
FAILURES = (ProviderUnreachable, DeadlinePassed, AccessDenied)
"""Nothing was learnt of what is there."""


def gallery_of(
    names: AccountNames,
    provider: Provider,
    catalogue: Catalogue,
    flights: Flights,
    deadlines: Deadlines,
    reading: Reading = READING,
) -> Gallery:
    """The account, by what its provider can do."""
    kind = ShelvedGallery if provider.capabilities.shelves else Gallery
    return kind(names, provider, catalogue, flights, deadlines, reading)


class ShelvedGallery(Gallery):
    """Rule: Gallery."""

    def __init__(
        self,
        names: AccountNames,
        provider: Provider,
        catalogue: Catalogue,
        flights: Flights,
        deadlines: Deadlines,
        reading: Reading = READING,
    ) -> None:
        super().__init__(names, provider, catalogue, flights, deadlines, reading)
        self.shelves = Shelves(cast(ShelvedProvider, provider), self.told_listing)
        self.known = KnownAssets()
        self._stored_listings = StoredListings(names.name, catalogue)
        self._assets_kept = 0
        self._unsettled = SETTLED
        self._aside: dict[AlbumId, Aside] = {}
        """Listings that gave way to others, on the disk alone."""
        self._reports = 0
        self._has_recalled = False
        self._silence = Silence()
        self._keeping: WeakValueDictionary[AlbumId, trio.Lock] = WeakValueDictionary()
        """Held while a listing is taken up, of which there may be one from before a change and one from after it."""

    # ---- the account ------------------------------------------------------------------------------------------

    @property
    def tops(self) -> Mapping[str, AlbumId]:
        """Rule: Gallery.tops."""
        return self.shelves.tops

    @property
    def searches(self) -> bool:
        """Rule: Gallery.searches."""
        return self.shelves.searches

    @property
    def trouble(self) -> str | None:
        """Rule: Gallery.trouble."""
        return trouble_of(self.provider)

    def place(self, album: AlbumId) -> Place:
        """Rule: Gallery.place."""
        return place_of(album)

    def gauges(self) -> dict[str, object]:
        """Rule: Gallery.gauges."""
        return {"files": len(self.known), "albums": len(self._listed())}

    async def top(self, *, is_asked: bool = True) -> Listing:
        """Rule: Gallery.top."""
        return await self.shelves.account(self.account, None if is_asked else self._last_listing)

    async def _last_listing(self, album: AlbumId) -> Listing | None:
        kept = self._kept.get(album) or await self._stored(album)
        return None if kept is None else kept.names.listing

    def changed(self, changes: Changeset) -> set[AlbumId]:
        """Rule: Gallery.changed. What changed in an album is told of the album, so LIBRARY is of views and of single
        assets; and whatever changed in one, the list of them tells how old it is."""
        self._reports += 1
        if changes.everything:
            self._ask_again(None)
            return self._listed() & changes.albums
        changed = set(changes.albums)
        if any(shelf_of_id(album) is None for album in changed - {LIBRARY}):
            changed.add(ALBUMS)
        if LIBRARY in changed:
            self.known.expired_s = trio.current_time()
            changed |= {album for album in self._listed() if is_view(album)}
        for album in changed:
            self._ask_again(album)
        return self._listed() & (changes.albums | ({ALBUMS} & changed))

    # ---- albums -----------------------------------------------------------------------------------------------

    async def told_album(self, album: AlbumId) -> Album:
        """Rule: Gallery.told_album."""
        kept = self._kept.get(album)
        return (
            kept.names.listing.album if kept is not None and self._is_fresh(kept) else await self.shelves.album(album)
        )

    async def told(self, album: AlbumId, *, anew: bool = False) -> AlbumNames:
        """Rules: Gallery.told, Listings.told. What is known is told at once where nobody can be asked."""
        kept = self._kept.get(album) or await self._fetched(album)
        if kept is not None and not anew and self._is_fresh(kept):
            if album in self._kept:
                self._kept.move_to_end(album)
            return kept.names
        is_known = not anew and (kept is not None or self._stored_listings.has(album))
        ask = partial(self._list, album)
        if is_known and self._silence.spares(self.trouble, partial(self._questioning.begin, "listing", album, ask)):
            return await self._recalled(album)
        try:
            wait_s = self.deadlines.lookup_s if is_known else self.deadlines.list_s
            return await self._questioning.ask("listing", album, ask, wait_s)
        except FAILURES as error:
            if not is_known:
                raise
            self._silence.noticed(error)
            log.debug("%s: %s is shown as it was: %s", self.name, album, error)
            return await self._recalled(album)

    async def _recalled(self, album: AlbumId) -> AlbumNames:
        """What is known of it, from the disk where it has to be, and with what was done here since; asked anew as soon
        as somebody can be asked. Errors: AssetGone."""
        async with self._keeping.setdefault(album, trio.Lock()):
            kept = self._kept.get(album)
            if kept is None:
                kept = await self._stored(album)
                if kept is None:
                    raise AssetGone(f"{album} is not known any more")
                await self._keep(kept.names, kept)
            return self._with_done(album, kept)

    async def _known(self, album: AlbumId) -> AlbumNames | None:
        """What is told of it now, if anything is kept: whoever asked before a change here may be answered after it."""
        kept = self._kept.get(album)
        return await self.last(album) if kept is None else self._with_done(album, kept)

    def _with_done(self, album: AlbumId, kept: Kept) -> AlbumNames:
        """The names of what is kept of it, which tell of what was done here since."""
        if not kept.done:
            return kept.names
        before = kept.names
        listing = with_done(before.listing, kept.done)
        names = AlbumNames(listing, real_names=self.capabilities.real_names, kept=before.by_id)
        gained, lost = self._gained_and_lost(listing, kept)
        self.known.count(album, gained, 1)
        self.known.count(album, lost, -1)
        self._place(Kept(names, kept.asked_s))
        self._stored_listings.changed(album)
        return names

    async def last(self, album: AlbumId) -> AlbumNames | None:
        """Rule: Gallery.last. Also from the disk."""
        kept = self._kept.get(album)
        if kept is None and album in self._aside:
            kept = await self._stored(album)
        return None if kept is None else kept.names

    def _listed(self) -> set[AlbumId]:
        """The albums whose listings were kept, in memory or on the disk."""
        return {*self._kept, *self._aside}

    async def _fetched(self, album: AlbumId) -> Kept | None:
        """What gave way to others, from the disk again if it is good; None if it is not, or never was kept."""
        aside = self._aside.get(album)
        if aside is None or not self._is_good(aside.asked_s):
            return None
        key = ("kept", self.account, album)
        return await self._flights.join(key, partial(self._fetch, album), self.deadlines.list_s)

    async def _fetch(self, album: AlbumId) -> Kept | None:
        stored = await self._stored(album)
        aside = self._aside.get(album)
        if aside is not None and stored is not None and stored.names.listing.etag == aside.etag:
            self._place(Kept(stored.names, aside.asked_s))
        return self._kept.get(album)

    async def path(self, album: Album) -> tuple[str, ...]:
        """Rule: Gallery.path."""
        names: list[str] = []
        while album.parent is not None:
            listed = await self.names(album.parent)
            name = listed.name_of(album.id if self.overlay is None else self.overlay.listed_as(album))
            if name is None:
                raise AssetGone(f"{album.id} is not where it was any more")
            names.append(name)
            album = await self.album(album.parent)
        if album.id == ACCOUNT:
            return ()
        shelf = shelf_of_id(album.id)
        above = None if shelf is None else path_of(shelf)
        if above is None:
            raise AssetGone(f"{album.id} is on no shelf")
        return (*above, *reversed(names))

    def label(self, album: Album) -> str:
        """Rule: Gallery.label."""
        return album.title

    def holds_albums(self, album: AlbumId) -> bool:
        """Rule: Gallery.holds_albums."""
        shelf = shelf_of_id(album)
        return shelf is not None and shelf.kind in OF_SHELVES

    def links(self, asset: AssetId) -> int:
        """Rule: Gallery.links. Those count of which lists will tell."""
        return self.known.links(asset) + (0 if self.overlay is None else self.overlay.arrivals.untold(asset))

    def expire(self, album: AlbumId | None) -> None:
        """Rule: Gallery.expire."""
        self._questioning.changed(album)
        self._ask_again(album)

    def _ask_again(self, album: AlbumId | None) -> None:
        """What is kept of it is asked again before it is told again. What is being asked now is told to whoever asks
        meanwhile: nobody need hear of what others do in the moment in which they do it."""
        for id in set(self._kept) if album is None else {album} & self._kept.keys():
            self._kept[id].asked_s = NEVER_S
        for id in list(self._aside) if album is None else {album} & self._aside.keys():
            self._aside[id] = replace(self._aside[id], asked_s=NEVER_S)
        if album is None:
            self.known.expired_s = trio.current_time()

    async def remembered(self, album: AlbumId) -> None:
        """Rule: Gallery.remembered."""
        async with self._keeping.setdefault(album, trio.Lock()):
            kept = self._kept.get(album)
            if kept is not None and (kept.done or self._stored_listings.is_older(album)):
                await self._stored_listings.put(self._with_done(album, kept))
        await self._stored_listings.survive()

    def learnt(self, asset: Asset) -> None:
        """Rule: Gallery.learnt."""
        super().learnt(asset)
        known = self.known.find(asset.id)
        here = known.asset.album if asset.album == LIBRARY and known is not None else asset.album
        self.known.note(replace(asset, album=here), trio.current_time())

    def done(self, album: AlbumId, id: str, entry: Album | Asset | None) -> None:
        """Rule: Gallery.done. Where an asset is that is not in it any more, nobody knows before somebody asks. Albums
        are few: what was done with them is soon on the disk, too."""
        super().done(album, id, entry)
        if entry is None:
            self.known.doubt([AssetId(id)])
        if self.holds_albums(album):
            self._flights.begin(("done", self.account, album), partial(self.remembered, album))

    # ---- assets -----------------------------------------------------------------------------------------------

    async def told_find(self, album: AlbumId, name: str) -> Album | Asset | None:
        """Rule: Gallery.told_find. No question while the listing is good. Beside a live photo IMG_1.HEIC its other half
        is found as IMG_1~live.mov, though no listing holds it."""
        names = await self.told(album)
        entry = names.get(name)
        still = still_of(name, names) if entry is None else None
        if still is None or still.motion is None:
            return entry
        half = await self.told_asset(still.motion)
        return replace(half, album=album, name=name) if is_half(half, name) else None

    def motion(self, asset: AssetId) -> AssetId | None:
        """Rule: Gallery.motion."""
        known = self.known.find(asset)
        return None if known is None else known.asset.motion

    async def told_asset(self, asset: AssetId) -> Asset:
        """Rule: Gallery.told_asset. Not asked while the last answer is good; as it was while nobody can be asked."""
        known = self.known.find(asset)
        is_good = known is not None and known.asked_s > self.known.expired_s and self._is_good(known.asked_s)
        ask = partial(self._ask, asset)
        begin = partial(self._questioning.begin_of, "asset", asset, ask)
        if known is not None and (is_good or self._silence.spares(self.trouble, begin)):
            return known.asset
        if known is not None and known.asset.album == TRASH:
            return await self._in_trash(asset)
        try:
            return await self._questioning.ask_of("asset", asset, ask, self.deadlines.lookup_s)
        except FAILURES as error:
            if known is None:
                await self._recall()
                known = self.known.find(asset)
            if known is None:
                raise
            self._silence.noticed(error)
            return known.asset

    async def _ask(self, asset: AssetId) -> Asset:
        """The asset as the provider tells of it now, noted."""
        began_s = trio.current_time()
        try:
            with self._silence.asking():
                found = await self.provider.asset(asset)
        except AssetGone:
            self.known.forget(asset)
            raise
        known = self.known.find(asset)
        if found.album == LIBRARY and known is not None:
            found = replace(found, album=known.asset.album)
        self.known.note(found, began_s)
        return found

    async def _in_trash(self, asset: AssetId) -> Asset:
        for found in (await self.told_listing(TRASH)).assets:
            if found.id == asset:
                return found
        self.known.forget(asset)
        return await self.told_asset(asset)

    # ---- asking -----------------------------------------------------------------------------------------------

    async def _list(self, album: AlbumId) -> AlbumNames:
        before = self._kept.get(album) or await self._stored(album)
        asked = Asked(trio.current_time(), self._reports, self._questioning.era(album), self._kept.get(album))
        try:
            with self._silence.asking():
                listing = await self._confirmed(album, before)
        except AssetGone:
            await self._drop(album)
            raise
        async with self._keeping.setdefault(album, trio.Lock()):
            return await self._taken_up(listing, before, asked)

    async def _taken_up(self, listing: Listing, before: Kept | None, asked: Asked) -> AlbumNames:
        """The names of what was answered; kept, unless something was done here since it was asked, and what is kept by
        now may tell of that."""
        album = listing.album.id
        is_same = before is not None and before.names.listing.etag == listing.etag
        if before is not None and is_same:
            names = before.names
        else:
            names = await self._named(listing, NONE_KEPT if before is None else before.names.by_id)
        is_late = asked.era != self._questioning.era(album)
        if is_late and (asked.kept is None or self._kept.get(album) is not asked.kept):
            return await self._known(album) or names
        if before is not None and not is_same:
            self.known.doubt({one.id for one in before.names.listing.assets} - {one.id for one in listing.assets})
        if album == ALBUMS and before is not None and not is_late:
            for gone in {one.id for one in before.names.listing.albums} - {one.id for one in listing.albums}:
                await self._drop(gone)
        if not is_same:
            await self._stored_listings.put(names)
        await self._keep(names, before, asked)
        return await self._known(album) or names

    async def _asked(self, album: AlbumId) -> Listing:
        return await self.shelves.listing(album)

    async def _keep(self, names: AlbumNames, before: Kept | None, asked: Asked | None = None) -> None:
        """`before`: what the disk or the memory had of it. `asked`: how it was asked for; None if the disk told it."""
        album, assets = names.listing.album.id, names.listing.assets
        gained, lost = self._gained_and_lost(names.listing, before)
        if album not in self._listed():
            self._unsettled += len(assets)
        self._aside.setdefault(album, Aside(NEVER_S, ""))  # its names are counted from here on
        noted_s = self._good_since(album, asked)
        for start in range(0, len(assets), SLICE):
            for asset in assets[start : start + SLICE]:
                self.known.note(asset, noted_s)
            self.known.count(album, gained[start : start + SLICE], 1)
            await trio.lowlevel.checkpoint()
        self.known.count(album, lost, -1)
        kept = self._kept.get(album)
        is_late = asked is not None and asked.era != self._questioning.era(album)
        self._place(Kept(names, self._good_since(album, asked), kept.done if kept is not None and is_late else {}))
        if self._unsettled >= SETTLED:
            self._unsettled = 0
            gc.collect()
            gc.freeze()

    def _good_since(self, album: AlbumId, asked: Asked | None) -> float:
        """When it was asked for; NEVER_S if it must be asked again, since something has changed meanwhile."""
        now = self._reports, self._questioning.era(album)
        return asked.began_s if asked is not None and (asked.reports, asked.era) == now else NEVER_S

    def _gained_and_lost(self, listing: Listing, before: Kept | None) -> tuple[list[AssetId], list[AssetId]]:
        """The assets whose names are to be counted now, and not to be counted any more."""
        album = listing.album.id
        now = [asset.id for asset in listing.assets]
        if album not in self._kept and album not in self._aside:
            return now, []
        kept = self._kept.get(album) or before
        if kept is None or kept.names.listing is listing:
            return [], []
        then = {asset.id for asset in kept.names.listing.assets}
        return [id for id in now if id not in then], list(then.difference(now))

    def _place(self, kept: Kept) -> None:
        """It is kept, and the last that gives way."""
        album = kept.names.listing.album.id
        self._unkeep(album)
        self._aside.pop(album, None)
        self._kept[album] = kept
        self._assets_kept += len(kept.names.listing.assets)
        while len(self._kept) > 1 and (len(self._kept) > LISTINGS_KEPT or self._assets_kept > ASSETS_KEPT):
            oldest = next(iter(self._kept))
            way = self._unkeep(oldest)
            if way is not None and is_stored(oldest):
                self._aside[oldest] = Aside(way.asked_s, way.names.listing.etag)

    def _unkeep(self, album: AlbumId) -> Kept | None:
        kept = self._kept.pop(album, None)
        if kept is not None:
            self._assets_kept -= len(kept.names.listing.assets)
        return kept

    def _is_fresh(self, kept: Kept) -> bool:
        return self._is_good(kept.asked_s)

    def _is_good(self, asked_s: float) -> bool:
        """An answer to what was asked then would be the same now, as far as anybody can know."""
        is_young = trio.current_time() - asked_s < self.capabilities.fresh_s
        return is_young or (self.watched_since_s is not None and asked_s >= self.watched_since_s)

    # ---- what the disk knows ----------------------------------------------------------------------------------

    async def _stored(self, album: AlbumId) -> Kept | None:
        """The listing as it was when the account could last be asked for it."""
        stored = await self._stored_listings.find(album)
        return None if stored is None else Kept(await self._named(*stored), NEVER_S)

    async def _drop(self, album: AlbumId) -> None:
        """It is gone."""
        names = await self.last(album)
        self._unkeep(album)
        self._aside.pop(album, None)
        self._stored_listings.drop(album)
        if names is not None:
            self.known.count(album, [asset.id for asset in names.listing.assets], -1)

    async def _recall(self) -> None:
        """Every asset of a listing on the disk is known."""
        if self._has_recalled:
            return
        self._has_recalled = True
        for listing in self._stored_listings.all():
            for start in range(0, len(listing.assets), SLICE):
                for asset in listing.assets[start : start + SLICE]:
                    self.known.note(asset, NEVER_S)
                await trio.lowlevel.checkpoint()
