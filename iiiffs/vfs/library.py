"""The library of one account as a whole: an index of all that is known, and the views that are made of it.

For providers that only have folders. The index is filled from the catalogue when the daemon starts, so a hundred
thousand files need no scan; a crawler then looks at each folder's time and reads anew what is different. Views are
albums whose ids say what they hold (`iiiffs.tree.views`), so the rest of the tree shows them as it shows folders.

A view is whole or an error (DESIGN §2.10): until everything is known that was, it waits. The index is changed in one
piece, between two awaits; what is asked in between sees all of an album's change or nothing of it.
"""

from __future__ import annotations

import gc
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import trio

from iiiffs.cache.catalogue import Catalogue
from iiiffs.cache.listing_rows import ListingHeading
from iiiffs.errors import AccessDenied, AssetGone, DeadlinePassed, IiiffsError
from iiiffs.iiif.description import PRIVATE, Privacy, shown
from iiiffs.model.gallery import AccountName, Album, AlbumId, AssetId, Facts, Listing
from iiiffs.sync.entries import IndexEntry, entry_of
from iiiffs.sync.index import LibraryIndex, etag_of
from iiiffs.tree.albums import AlbumNames
from iiiffs.tree.query import Query, canonical, query_of_album_id
from iiiffs.tree.views import FAVORITES, TAGS, TIMELINE, View, ViewKind, view_id
from iiiffs.vfs.collector import computed

log = logging.getLogger(__name__)

VIEWS_KEPT = 256
ANSWERS_KEPT = 16
SLICE = 150
"""Assets that are taken up before the loop may do something else: 2 to 4 ms."""
SEARCH_SLICE = 1000
"""Assets that are looked through before the loop may do something else: 2 to 4 ms."""
SETTLED = 5000
"""So many new entries, and what is known by now is taken out of the garbage collector's rounds: it holds no cycles,
and each round over 100,000 of them would hold the loop for 0.1 s."""
SEARCH = "search"
TITLES = {ViewKind.TIMELINE: "Timeline", ViewKind.FAVORITES: "Favorites", ViewKind.TAGS: "Tags"}
TOP_VIEWS = {"timeline": TIMELINE, "favorites": FAVORITES, "tags": TAGS}
"""Directory of an account -> the view that it shows."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a library comes from: the account's present listings and facts, asked for by the crawler only.

    `moved` is told that folders have got other names or places."""

    root: Callable[[], Awaitable[Album]]
    album: Callable[[AlbumId], Awaitable[Album]]
    listing: Callable[[AlbumId], Awaitable[Listing]]
    with_facts: Callable[[AlbumId], Awaitable[tuple[AlbumNames, dict[AssetId, Facts]]]]
    known_facts: Callable[[Listing], Awaitable[dict[AssetId, Facts]]]
    moved: Callable[[], None]
    privacy: Privacy = PRIVATE


@dataclass(frozen=True, slots=True)
class _Taken:
    """A folder as the catalogue had it, all its headers read."""

    mtime_ns: int
    below: tuple[AlbumId, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a search found while the index was in one generation."""

    generation: int
    names: AlbumNames


class Library:
    """The index, what fills it, and what it shows."""

    def __init__(self, account: AccountName, catalogue: Catalogue, source: Source, list_s: float) -> None:
        self.index = LibraryIndex()
        self.folders: set[AlbumId] = set()
        """That are there, as far as is known."""
        self.moves = 0
        """Raised whenever a folder got another name or place, or went: paths may be others now."""
        self.moved_s = float("-inf")
        self._account = account
        self._catalogue = catalogue
        self._source = source
        self._list_s = list_s
        self._whole = trio.Event()
        self._names: OrderedDict[tuple[AlbumId, str], AlbumNames] = OrderedDict()
        self._answers: OrderedDict[AlbumId, _Answer] = OrderedDict()
        self._taken: dict[AlbumId, _Taken] = {}
        self._settled = 0

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
        if isinstance(found, Query):
            await self._look_through(found, album)
        else:
            await self._look_into(found, album)
        return found

    def names(self, view: View | Query, album: AlbumId) -> AlbumNames:
        """The view's listing, under unique names; made again only when what is in it has changed."""
        if isinstance(view, Query):
            return self._answer(view, album).names
        etag = self.index.etag(view)
        known = self._names.get((album, etag))
        if known is None:
            albums = tuple(map(self._album_of, self.index.views(view)))
            known = _names_of(self._album_of(view), self.index.entries(view), albums, etag)
            self._keep_names(album, known)
        self._names.move_to_end((album, etag))
        return known

    def _keep_names(self, album: AlbumId, names: AlbumNames) -> None:
        self._names[album, names.listing.etag] = names
        while len(self._names) > VIEWS_KEPT:
            self._names.popitem(last=False)

    def album(self, view: View | Query, album: AlbumId) -> Album:
        """The view as an album; its time is that of the youngest thing in it."""
        if isinstance(view, View):
            return self._album_of(view)
        return self._answer(view, album).names.listing.album

    async def etag(self, album: AlbumId) -> str:
        """Changes whenever what is in a view does; "" for what is no view, or a view of views."""
        view = self.index.view_of_id(album) if self.is_view(album) else None
        if view is None or view.holds_views:
            return ""
        await self._look_into(view, album, with_names=False)
        return self.index.etag(view)

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

    async def _look_into(self, view: View, album: AlbumId, *, with_names: bool = True) -> None:
        """`names` of a view with much in it has little left to compute, and the loop was not held for that.

        What changes meanwhile is computed when it is asked for.
        """
        parts = self.index.parts_of(view)
        if sum(map(len, parts)) <= SLICE:
            return
        known = self.index.has_etag(view)
        if known and (not with_names or (album, self.index.etag(view)) in self._names):
            return
        found = await computed(partial(self.index.merged, chain.from_iterable(parts)))
        etag = self.index.etag(view) if known else await computed(partial(etag_of, found))
        if not self.index.keep_etag(view, parts, etag) or not with_names:
            return
        names = await computed(partial(_names_of, self._album_of(view), found, (), etag))
        if self.index.keep_etag(view, parts, etag):
            self._keep_names(album, names)

    async def _look_through(self, query: Query, album: AlbumId) -> None:
        """`_answer` is what the query finds now or found since this began, and the loop was not held for it.

        What was in the index at the start is looked through in slices, whatever changes meanwhile.
        """
        generation, known = self.index.generation, self._answers.get(album)
        if known is not None and known.generation == generation:
            return
        found = self.index.found_in(query, ())
        for part in self.index.parts(SEARCH_SLICE):
            found += self.index.found_in(query, part)
            await trio.lowlevel.checkpoint()
        names = await computed(lambda: _answer_names(query, album, self.index.merged(found)))
        self._keep_answer(album, _Answer(generation, names))

    def _answer(self, query: Query, album: AlbumId) -> _Answer:
        """What `_look_through` found a moment ago."""
        if album not in self._answers:
            names = _answer_names(query, album, self.index.search(query))
            self._keep_answer(album, _Answer(self.index.generation, names))
        return self._answers[album]

    def _keep_answer(self, album: AlbumId, answer: _Answer) -> None:
        self._answers[album] = answer
        self._answers.move_to_end(album)
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)

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
        log.info("%s: %d files in %d folders; took %.1f s", self._account, len(self.index), len(self.folders), seconds)

    async def crawl_again(self, *, trusting: bool = True) -> None:
        """Every folder was looked at again, as after a start; with `trusting`, one that has kept its time is taken as
        it was, though files may have been written in place. Errors: ProviderUnreachable …"""
        await self._crawl([(await self._source.root()).id], everything=True, trusting=trusting)

    def knows(self, listing: Listing) -> bool:
        """True if the index was made from this very listing of the album."""
        known = self._catalogue.heading(self._account, listing.album.id)
        return known is not None and known.etag == listing.etag

    async def album_seen(self, album: AlbumId) -> None:
        """The index holds what is in the album now, with folders that are new, renamed or gone below it.

        A renamed folder is gone until the folder above it was listed, so it may have been forgotten: it is crawled.
        """
        before = self._catalogue.heading(self._account, album)
        try:
            names, facts = await self._source.with_facts(album)
        except AssetGone:
            await self.forget_gone(album)
            return
        await self._take(names.listing, facts)
        old = {below.id: below.title for below in before.albums} if before is not None else {}
        new = {below.id: below.title for below in names.listing.albums}
        for gone in old.keys() - new.keys():
            await self.forget_gone(gone)
        await self._crawl([below for below in new if old.get(below) != new[below]], everything=False)

    async def forget_gone(self, album: AlbumId) -> None:
        """The album is forgotten if it is not there now; one that was moved is below another one, and stays known."""
        try:
            await self._source.album(album)
        except AssetGone:
            self.forget(album)

    def forget(self, album: AlbumId) -> None:
        """The album is gone, with all that was known below it."""
        known = self._catalogue.heading(self._account, album)
        self._drop(album)
        for below in known.albums if known is not None else ():
            self.forget(below.id)

    async def _take(self, listing: Listing, facts: dict[AssetId, Facts]) -> None:
        self._taken.pop(listing.album.id, None)
        entries = await self._entries(listing, facts)
        self.index.replace_album(listing.album.id, entries)
        self.folders.add(listing.album.id)
        known = self._catalogue.heading(self._account, listing.album.id)
        if known is not None and _places(known) != _places(listing):
            self.moves += 1
            self.moved_s = trio.current_time()
            self._source.moved()
        self._catalogue.put_listing(self._account, listing)
        self._settle()

    def _drop(self, album: AlbumId) -> None:
        self._taken.pop(album, None)
        self.folders.discard(album)
        self.index.remove_album(album)
        self._catalogue.drop_listing(self._account, album)

    def _settle(self) -> None:
        if abs(len(self.index) - self._settled) >= SETTLED:
            self._settled = len(self.index)
            gc.freeze()

    async def _entries(self, listing: Listing, facts: dict[AssetId, Facts]) -> list[IndexEntry]:
        entries = list[IndexEntry]()
        for start in range(0, len(listing.assets), SLICE):
            part = listing.assets[start : start + SLICE]
            entries += [entry_of(asset, self._told(facts.get(asset.id))) for asset in part]
            await trio.lowlevel.checkpoint()
        return entries

    def _told(self, facts: Facts | None) -> Facts | None:
        """`facts` without the keywords that documents do not tell, for tags are named after them."""
        if facts is None or not self._source.privacy.hides_names:
            return facts
        keywords = shown(facts.description, self._source.privacy).keywords
        return replace(facts, description=replace(facts.description, keywords=keywords))

    async def _load(self) -> None:
        """What the catalogue knows is in the index; the loop runs on between two slices of an album."""
        for listing in self._catalogue.listings(self._account):
            await trio.lowlevel.checkpoint()
            facts = await self._source.known_facts(listing)
            self.index.replace_album(listing.album.id, await self._entries(listing, facts))
            self.folders.add(listing.album.id)
            if _is_complete(listing, facts):
                below = tuple(album.id for album in listing.albums)
                self._taken[listing.album.id] = _Taken(listing.album.mtime_ns, below)
            self._settle()

    async def _crawl(self, waiting: list[AlbumId], *, everything: bool, trusting: bool = True) -> None:
        """The folders and all below them were looked at: if `trusting`, one that has kept its time is taken as it was.

        With `everything`, what was known before and was not met is not there any more.
        """
        before = frozenset(self.folders) if everything else frozenset()
        seen = set[AlbumId]()
        while waiting:
            album = waiting.pop()
            seen.add(album)
            try:
                inside = await self._unchanged(album) if trusting else None
                if inside is None:
                    names, facts = await self._source.with_facts(album)
                    await self._take(names.listing, facts)
                    inside = [below.id for below in names.listing.albums]
            except (AssetGone, AccessDenied) as error:
                log.debug("%s: %s is left out: %s", self._account, album, error)
                continue
            self.folders.add(album)
            waiting += [below for below in inside if below not in seen]
        for gone in before - seen:
            self._drop(gone)

    async def _unchanged(self, album: AlbumId) -> Collection[AlbumId] | None:
        """What is below it, by the listing that is known, if the folder has kept its time and no header is missing."""
        taken = self._taken.get(album)
        if taken is not None:
            return taken.below if (await self._source.album(album)).mtime_ns == taken.mtime_ns else None
        known = self._catalogue.listing(self._account, album)
        if known is None or (await self._source.album(album)).mtime_ns != known.album.mtime_ns:
            return None
        if not _is_complete(known, await self._source.known_facts(known)):
            return None
        return [below.id for below in known.albums]


def _is_complete(listing: Listing, facts: dict[AssetId, Facts]) -> bool:
    return len(facts) == sum(asset.is_media for asset in listing.assets)


def _places(listing: Listing | ListingHeading) -> object:
    """What of a listing the paths below it depend on."""
    return listing.album.title, listing.album.parent, [(album.id, album.title) for album in listing.albums]


def _names_of(album: Album, entries: Sequence[IndexEntry], albums: tuple[Album, ...], etag: str) -> AlbumNames:
    """A view's listing, under unique names. For any thread."""
    return AlbumNames(Listing(album, tuple(entry.asset for entry in entries), albums, etag), real_names=False)


def _answer_names(query: Query, album: AlbumId, entries: Sequence[IndexEntry]) -> AlbumNames:
    """What a search found, as an album; its time is that of the youngest thing in it. For any thread."""
    changed_ns = max((entry.asset.changed_ns for entry in entries), default=0)
    found = Album(album, canonical(query), None, changed_ns)
    listing = Listing(found, tuple(entry.asset for entry in entries), (), etag_of(entries))
    return AlbumNames(listing, real_names=False)
