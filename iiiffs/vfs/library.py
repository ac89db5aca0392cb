"""The library of one account as a whole: an index of all that is known, and the views that are made of it.

For providers that only have folders. The index is filled from the catalogue when the daemon starts, so a hundred
thousand files need no scan; a crawler then looks at each folder's time and reads anew what is different. Views are
albums whose ids say what they hold (`iiiffs.tree.views`), so the rest of the tree shows them as it shows folders.

A view is whole or an error (DESIGN §2.10): until everything is known that was, it waits. The index is changed in one
piece, between two awaits; what is asked in between sees all of an album's change or nothing of it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from iiiffs.cache.catalogue import Catalogue
from iiiffs.errors import AccessDenied, AssetGone, DeadlinePassed, IiiffsError
from iiiffs.model.gallery import AccountName, Album, AlbumId, AssetId, Facts, Listing
from iiiffs.sync.entries import IndexEntry, entry_of
from iiiffs.sync.index import LibraryIndex, etag_of
from iiiffs.tree.albums import AlbumNames
from iiiffs.tree.query import Query, canonical, query_of_album_id
from iiiffs.tree.views import FAVORITES, TAGS, TIMELINE, View, ViewKind, view_id

log = logging.getLogger(__name__)

VIEWS_KEPT = 256
SEARCH = "search"
TITLES = {ViewKind.TIMELINE: "Timeline", ViewKind.FAVORITES: "Favorites", ViewKind.TAGS: "Tags"}
TOP_VIEWS = {"timeline": TIMELINE, "favorites": FAVORITES, "tags": TAGS}
"""Directory of an account -> the view that it shows."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a library comes from: the account's present listings and facts, asked for by the crawler only."""

    root: Callable[[], Awaitable[Album]]
    album: Callable[[AlbumId], Awaitable[Album]]
    listing: Callable[[AlbumId], Awaitable[Listing]]
    with_facts: Callable[[AlbumId], Awaitable[tuple[AlbumNames, dict[AssetId, Facts]]]]
    known_facts: Callable[[Listing], dict[AssetId, Facts]]


class Library:
    """The index, what fills it, and what it shows."""

    def __init__(self, account: AccountName, catalogue: Catalogue, source: Source, list_s: float) -> None:
        self.index = LibraryIndex()
        self.albums_read = 0
        self._account = account
        self._catalogue = catalogue
        self._source = source
        self._list_s = list_s
        self._whole = trio.Event()
        self._names: OrderedDict[tuple[AlbumId, str], AlbumNames] = OrderedDict()

    @property
    def is_whole(self) -> bool:
        """True once all that is in the folders is in the index."""
        return self._whole.is_set()

    def is_view(self, album: AlbumId) -> bool:
        """True if the id is that of a view or search, whether or not anything is in it."""
        return "~" in album or album in TOP_VIEWS

    # ---- what it shows ----------------------------------------------------------------------------------------

    async def view(self, album: AlbumId) -> View | Query | None:
        """What the id stands for if it is one of a view or a search; waits until the index is whole.

        Errors: DeadlinePassed; AssetGone if it is a view's and there is nothing in it.
        """
        if not self.is_view(album):
            return None
        with trio.move_on_after(self._list_s):
            await self._whole.wait()
        if not self.is_whole:
            raise DeadlinePassed(f"{self._account}: the first scan goes on ({len(self.index)} files so far)")
        found = query_of_album_id(album) or self.index.view_of_id(album)
        if found is None:
            raise AssetGone(f"{album}: nothing is in that view")
        return found

    def names(self, view: View | Query, album: AlbumId) -> AlbumNames:
        """The view's listing, under unique names; made again only when what is in it has changed."""
        entries = self.index.search(view) if isinstance(view, Query) else self.index.entries(view)
        etag = etag_of(entries) if isinstance(view, Query) else self.index.etag(view)
        known = self._names.get((album, etag))
        if known is None:
            albums = () if isinstance(view, Query) else tuple(map(self._album_of, self.index.views(view)))
            listing = Listing(self.album(view, album), tuple(entry.asset for entry in entries), albums, etag)
            known = self._names[album, etag] = AlbumNames(listing, real_names=False)
        self._names.move_to_end((album, etag))
        while len(self._names) > VIEWS_KEPT:
            self._names.popitem(last=False)
        return known

    def album(self, view: View | Query, album: AlbumId) -> Album:
        """The view as an album; its time is that of the youngest thing in it."""
        if isinstance(view, View):
            return self._album_of(view)
        found = self.index.search(view)
        return Album(album, canonical(view), None, max((entry.asset.changed_ns for entry in found), default=0))

    def path(self, view: View | Query) -> tuple[str, ...]:
        """The names of the directories below the account's that lead to the view."""
        if isinstance(view, Query):
            return SEARCH, canonical(view)
        match view.kind:
            case ViewKind.YEAR:
                return "timeline", view.name
            case ViewKind.MONTH:
                return "timeline", view.name[:4], view.name
            case ViewKind.TAG:
                name = self.names(TAGS, view_id(TAGS)).name_of(view_id(view))
                return "tags", name if name is not None else view.name
        return (view.kind.value,)

    def _album_of(self, view: View) -> Album:
        parent: View | None = None
        if view.kind is ViewKind.YEAR:
            parent = TIMELINE
        elif view.kind is ViewKind.MONTH:
            parent = View(ViewKind.YEAR, view.name[:4])
        elif view.kind is ViewKind.TAG:
            parent = TAGS
        title = TITLES.get(view.kind, view.name)
        return Album(view_id(view), title, None if parent is None else view_id(parent), self.index.changed_ns(view))

    # ---- what fills it ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """All that is known is in the index, then all that is there; afterwards it is kept so by `album_seen`."""
        await self._load()
        began_s = trio.current_time()
        try:
            await self.crawl_again()
        except IiiffsError as error:
            log.info("%s: not all folders could be looked at (%s); what is known is shown", self._account, error)
        self._whole.set()
        seconds = trio.current_time() - began_s
        log.info("%s: %d files in %d folders; took %.1f s", self._account, len(self.index), self.albums_read, seconds)

    async def crawl_again(self) -> None:
        """Every folder was looked at again, as after a start. Errors: ProviderUnreachable …"""
        await self._crawl([(await self._source.root()).id], everything=True)

    async def album_seen(self, album: AlbumId) -> None:
        """The index holds what is in the album now, with folders that are new or gone below it."""
        before = self._catalogue.listing(self._account, album)
        try:
            names, facts = await self._source.with_facts(album)
        except AssetGone:
            self.forget(album)
            return
        self._take(names.listing, facts)
        old = {below.id for below in before.albums} if before is not None else set[AlbumId]()
        new = {below.id for below in names.listing.albums}
        for gone in old - new:
            try:
                await self._source.album(gone)  # moved: then it is below another folder, and stays known
            except AssetGone:
                self.forget(gone)
        await self._crawl(list(new - old), everything=False)

    def forget(self, album: AlbumId) -> None:
        """The album is gone, with all that was known below it."""
        known = self._catalogue.listing(self._account, album)
        self.index.remove_album(album)
        self._catalogue.drop_listing(self._account, album)
        for below in known.albums if known is not None else ():
            self.forget(below.id)

    def _take(self, listing: Listing, facts: dict[AssetId, Facts]) -> None:
        self.index.replace_album(listing.album.id, _entries(listing, facts))
        self._catalogue.put_listing(self._account, listing)

    async def _load(self) -> None:
        """What the catalogue knows is in the index; the loop runs on between two albums."""
        for listing in list(self._catalogue.listings(self._account)):
            self.index.replace_album(listing.album.id, _entries(listing, self._source.known_facts(listing)))
            await trio.lowlevel.checkpoint()

    async def _crawl(self, waiting: list[AlbumId], *, everything: bool) -> None:
        """The folders and all below them were looked at: one that has kept its time is taken as it was.

        With `everything`, what was not met is not there any more.
        """
        seen = set[AlbumId]()
        while waiting:
            album = waiting.pop()
            seen.add(album)
            try:
                listing = await self._unchanged(album)
                if listing is None:
                    names, facts = await self._source.with_facts(album)
                    listing = names.listing
                    self._take(listing, facts)
            except (AssetGone, AccessDenied) as error:
                log.debug("%s: %s is left out: %s", self._account, album, error)
                continue
            self.albums_read += 1
            waiting += [below.id for below in listing.albums if below.id not in seen]
        for known in self.index.albums() if everything else ():
            if known not in seen:
                self.index.remove_album(known)
                self._catalogue.drop_listing(self._account, known)

    async def _unchanged(self, album: AlbumId) -> Listing | None:
        """The listing that the catalogue has, if the folder is as old as it was and no header is missing."""
        known = self._catalogue.listing(self._account, album)
        if known is None or (await self._source.album(album)).mtime_ns != known.album.mtime_ns:
            return None
        media = sum(asset.is_media for asset in known.assets)
        return known if len(self._source.known_facts(known)) == media else None


def _entries(listing: Listing, facts: dict[AssetId, Facts]) -> list[IndexEntry]:
    return [entry_of(asset, facts.get(asset.id)) for asset in listing.assets]
