"""One account of a provider without folders, as the mount sees it: shelves, kept while nothing is said to have changed.

A provider here is a network away. What it was asked is kept on disk too, so that a server that cannot be reached leaves
names, bytes and documents of all that was looked at (DESIGN §4.6). While the provider watches, an answer is good until
it reports a change; the watch misses nothing (Provider.watch), so a second question would say the same.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import cast

import trio

from iiiffs.cache.catalogue import Catalogue
from iiiffs.errors import AccessDenied, AssetGone, DeadlinePassed, ProviderUnreachable
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AccountNames, Album, AlbumId, Asset, AssetId, Listing
from iiiffs.providers.base import Provider, trouble_of
from iiiffs.providers.views import ALBUMS, LIBRARY, TRASH
from iiiffs.tree.albums import NONE_KEPT, AlbumNames
from iiiffs.tree.shelves import OF_SHELVES, ShelfKind, shelf_of_id
from iiiffs.vfs.collector import computed
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import LISTINGS_KEPT, READING, Deadlines, Gallery, Kept, Reading
from iiiffs.vfs.known_assets import KnownAssets
from iiiffs.vfs.shelves import ACCOUNT, ShelvedProvider, Shelves, path_of

log = logging.getLogger(__name__)

ASSETS_KEPT = 100_000
"""In all kept listings together; the last one is kept however long it is."""
SLICE = 500
"""Assets that are taken up before the loop may do something else: 1 to 2 ms."""
LIVE = re.compile(r"(?P<stem>.+)~live(?P<suffix>\.[A-Za-z0-9]{1,5})")
ASKING_MAX = 4
"""Questions that are under way behind the backs of those who do not wait for a silent server."""
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
        self.shelves = Shelves(cast(ShelvedProvider, provider), self.listing)
        self.known = KnownAssets()
        self._catalogue = catalogue
        self._assets_kept = 0
        self._expirations = 0
        self._has_recalled = False
        self._is_slow = False
        """What was known was told, for its question was not answered in time; nor was any since."""
        self._asking = 0

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

    def gauges(self) -> dict[str, object]:
        """Rule: Gallery.gauges."""
        return {"files": len(self.known), "albums": len(self._kept)}

    async def top(self) -> Listing:
        """Rule: Gallery.top."""
        return await self.shelves.account(self.account)

    def changed(self, changes: Changeset) -> set[AlbumId]:
        """Rule: Gallery.changed. What changed in an album is told of the album, so LIBRARY is of views and of single
        assets; and whatever changed in one, the list of them tells how old it is."""
        self._expirations += 1
        if changes.everything:
            self.expire(None)
            return {album for album in changes.albums if album in self._kept}
        changed = set(changes.albums)
        if any(shelf_of_id(album) is None for album in changed - {LIBRARY}):
            changed.add(ALBUMS)
        if LIBRARY in changed:
            self.known.expired_s = trio.current_time()
            changed |= {album for album in self._kept if _is_view(album)}
        for album in changed:
            self.expire(album)
        return {album for album in changes.albums | ({ALBUMS} & changed) if album in self._kept}

    # ---- albums -----------------------------------------------------------------------------------------------

    async def album(self, album: AlbumId) -> Album:
        """Rule: Gallery.album."""
        kept = self._kept.get(album)
        return (
            kept.names.listing.album if kept is not None and self._is_fresh(kept) else await self.shelves.album(album)
        )

    async def names(self, album: AlbumId) -> AlbumNames:
        """Rule: Gallery.names. What is known is told at once where nobody can be asked."""
        kept = self._kept.get(album)
        if kept is not None and self._is_fresh(kept):
            self._kept.move_to_end(album)
            return kept.names
        is_known = kept is not None or self._catalogue.heading(self.name, album) is not None
        if is_known and self._asks_in_vain(("listing", self.account, album), partial(self._list, album)):
            return (kept or await self._recalled(album)).names
        wait_s = self.deadlines.lookup_s if is_known else self.deadlines.list_s
        try:
            with self.questions.place():
                return await self._flights.join(("listing", self.account, album), partial(self._list, album), wait_s)
        except FAILURES as error:
            if not is_known:
                raise
            self._is_slow = isinstance(error, DeadlinePassed)
            log.debug("%s: %s is shown as it was: %s", self.name, album, error)
            return (kept or await self._recalled(album)).names

    def _asks_in_vain(self, key: Hashable, work: Callable[[], Awaitable[object]]) -> bool:
        """Whoever knows what was there need not wait: the account cannot be asked, or its server was silent for the
        whole of somebody's deadline and has not answered since. Then `work` is begun all the same, a few at a time."""
        if self.trouble is not None:
            self._is_slow = False
            return True
        if self._is_slow and self._asking < ASKING_MAX:
            self._flights.begin(key, work)
        return self._is_slow

    async def _recalled(self, album: AlbumId) -> Kept:
        """What the disk knows of it, kept, and asked anew as soon as somebody can be asked. Errors: AssetGone."""
        kept = self._kept.get(album) or await self._stored(album)
        if kept is None:
            raise AssetGone(f"{album} is not known any more")
        if album not in self._kept:
            await self._keep(kept.names, kept.asked_s)
        return kept

    async def path(self, album: Album) -> tuple[str, ...]:
        """Rule: Gallery.path."""
        names: list[str] = []
        while album.parent is not None:
            name = (await self.names(album.parent)).name_of(album.id)
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
        """Rule: Gallery.links."""
        return self.known.links(asset)

    def expire(self, album: AlbumId | None) -> None:
        """Rule: Gallery.expire."""
        super().expire(album)
        if album is None:
            self.known.expired_s = trio.current_time()

    # ---- assets -----------------------------------------------------------------------------------------------

    async def find(self, album: AlbumId, name: str) -> Album | Asset | None:
        """Rule: Gallery.find. No question while the listing is good. Beside a live photo IMG_1.HEIC its moving half is
        found as IMG_1~live.mov, though no listing holds it."""
        names = await self.names(album)
        entry = names.get(name)
        still = _still_of(name, names) if entry is None else None
        if still is None or still.motion is None:
            return entry
        half = await self.asset(still.motion)
        return replace(half, album=album, name=name) if _suffix(half.name) == _suffix(name) else None

    def motion(self, asset: AssetId) -> AssetId | None:
        """Rule: Gallery.motion."""
        known = self.known.find(asset)
        return None if known is None else known.asset.motion

    async def asset(self, asset: AssetId) -> Asset:
        """Rule: Gallery.asset. Not asked while the last answer is good; as it was while nobody can be asked."""
        known = self.known.find(asset)
        is_good = known is not None and known.asked_s > self.known.expired_s and self._is_good(known.asked_s)
        ask = partial(self._ask, asset)
        if known is not None and (is_good or self._asks_in_vain(("asset", self.account, asset), ask)):
            return known.asset
        if known is not None and known.asset.album == TRASH:
            return await self._in_trash(asset)
        try:
            with self.questions.place():
                return await self._flights.join(("asset", self.account, asset), ask, self.deadlines.lookup_s)
        except FAILURES as error:
            if known is None:
                await self._recall()
                known = self.known.find(asset)
            if known is None:
                raise
            self._is_slow = isinstance(error, DeadlinePassed)
            return known.asset

    async def _ask(self, asset: AssetId) -> Asset:
        """The asset as the provider tells of it now, noted."""
        began_s = trio.current_time()
        try:
            with self._answering():
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
        for found in (await self.listing(TRASH)).assets:
            if found.id == asset:
                return found
        self.known.forget(asset)
        return await self.asset(asset)

    # ---- asking -----------------------------------------------------------------------------------------------

    async def _list(self, album: AlbumId) -> AlbumNames:
        kept = self._kept.get(album) or await self._stored(album)
        began_s, expirations = trio.current_time(), self._expirations
        try:
            with self._answering():
                listing = await self._confirmed(album, kept)
        except AssetGone:
            self._drop(album)
            raise
        if kept is not None and kept.names.listing.etag == listing.etag:
            names = kept.names
        else:
            names = await self._named(listing, NONE_KEPT if kept is None else kept.names.by_id)
            self._store(names)
        if kept is not None and names is not kept.names:
            self.known.doubt({one.id for one in kept.names.listing.assets} - {one.id for one in listing.assets})
        if album == ALBUMS and kept is not None:
            for gone in {one.id for one in kept.names.listing.albums} - {one.id for one in listing.albums}:
                self._drop(gone)
        asked_s = began_s if expirations == self._expirations else float("-inf")
        await self._keep(names, asked_s)
        return names

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Inside, a question is asked; whoever answers it, even by a refusal, is not slow."""
        self._asking += 1
        try:
            yield
            self._is_slow = False
        except (AssetGone, AccessDenied):
            self._is_slow = False
            raise
        finally:
            self._asking -= 1

    async def _asked(self, album: AlbumId) -> Listing:
        return await self.shelves.listing(album)

    async def _keep(self, names: AlbumNames, asked_s: float) -> None:
        album, assets = names.listing.album.id, names.listing.assets
        for start in range(0, len(assets), SLICE):
            for asset in assets[start : start + SLICE]:
                self.known.note(asset, asked_s)
            await trio.lowlevel.checkpoint()
        self._unkeep(album)
        self._kept[album] = Kept(names, asked_s)
        self._assets_kept += len(assets)
        self.known.listed(names.listing)
        while len(self._kept) > 1 and (len(self._kept) > LISTINGS_KEPT or self._assets_kept > ASSETS_KEPT):
            self._unkeep(next(iter(self._kept)))

    def _unkeep(self, album: AlbumId) -> None:
        kept = self._kept.pop(album, None)
        if kept is not None:
            self._assets_kept -= len(kept.names.listing.assets)
            self.known.unlisted(kept.names.listing)

    def _is_fresh(self, kept: Kept) -> bool:
        return self._is_good(kept.asked_s)

    def _is_good(self, asked_s: float) -> bool:
        """An answer to what was asked then would be the same now, as far as anybody can know."""
        is_young = trio.current_time() - asked_s < self.capabilities.fresh_s
        return is_young or (self.watched_since_s is not None and asked_s >= self.watched_since_s)

    # ---- what the disk knows ----------------------------------------------------------------------------------

    def _store(self, names: AlbumNames) -> None:
        shelf = shelf_of_id(names.listing.album.id)
        if shelf is None or shelf.kind is not ShelfKind.SEARCH:
            self._catalogue.put_listing(self.name, names.listing, names.unusual())

    async def _stored(self, album: AlbumId) -> Kept | None:
        """The listing as it was when the account could last be asked for it."""
        stored = await computed(self._catalogue.reading_named(self.name, album))
        return None if stored is None else Kept(await self._named(*stored), float("-inf"))

    def _drop(self, album: AlbumId) -> None:
        self._unkeep(album)
        self._catalogue.drop_listing(self.name, album)

    async def _recall(self) -> None:
        """Every asset of a listing on the disk is known."""
        if self._has_recalled:
            return
        self._has_recalled = True
        for listing in self._catalogue.listings(self.name):
            for start in range(0, len(listing.assets), SLICE):
                for asset in listing.assets[start : start + SLICE]:
                    self.known.note(asset, float("-inf"))
                await trio.lowlevel.checkpoint()


def _still_of(name: str, names: AlbumNames) -> Asset | None:
    """The live photo whose moving half has that name in the album."""
    match = LIVE.fullmatch(name)
    if match is None:
        return None
    stills = (entry for shown, entry in names.entries.items() if shown.rpartition(".")[0] == match["stem"])
    return next((still for still in stills if isinstance(still, Asset) and still.motion is not None), None)


def _is_view(album: AlbumId) -> bool:
    """True for what shows the library, or of it what fits; not for an album, nor for the list of them."""
    return album != ALBUMS and shelf_of_id(album) is not None


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()
