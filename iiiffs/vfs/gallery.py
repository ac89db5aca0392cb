"""One account as the mount sees it: listings, assets and facts, asked once and kept for a moment; and its views.

Could not ask is not gone: while a provider cannot be reached, what it said last goes on being shown (DESIGN §4.6).
Between two awaits the dictionaries are whole; each question flies once (`Flights`).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import trio

from iiiffs.cache.catalogue import Catalogue
from iiiffs.errors import AssetGone, DeadlinePassed, ProviderUnreachable, VersionChanged
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AccountNames, Album, AlbumId, Asset, AssetId, Facts, Listing, Version
from iiiffs.model.writing import Access, Writing
from iiiffs.providers.base import Capabilities, Original, Provider
from iiiffs.sync.losses import confirmed, needs_confirmation
from iiiffs.tree.albums import NONE_KEPT, AlbumNames
from iiiffs.tree.places import Place
from iiiffs.tree.views import view_id
from iiiffs.vfs.collector import computed
from iiiffs.vfs.facts import FactsReader
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.kept import NEVER_S, Kept
from iiiffs.vfs.library import TOP_VIEWS, Library, Source
from iiiffs.vfs.overlay import Overlay
from iiiffs.vfs.questions import Questions
from iiiffs.vfs.reading import READING, Deadlines, Reading
from iiiffs.vfs.waiting import QUESTIONS_MAX, READS_MAX, WaitingRoom

log = logging.getLogger(__name__)

LISTINGS_KEPT = 512
ALBUMS_KEPT = 4096
RELISTS = 3
NAMED_AT_ONCE = 1000
"""Assets of a listing that get their names in the loop: 3 ms."""
CONFIRM_S = 0.5
"""How long a folder that lost much is given to settle before it is asked again."""


class Gallery:
    """One account."""

    def __init__(
        self,
        names: AccountNames,
        provider: Provider,
        catalogue: Catalogue,
        flights: Flights,
        deadlines: Deadlines,
        reading: Reading = READING,
    ) -> None:
        self.account = names.slug
        """What nodes and URIs call it."""
        self.name = names.name
        """What stores and people call it: a new slug changes nothing of what is kept."""
        self.aliases = names.aliases
        self.deadlines = deadlines
        self.questions = WaitingRoom(names.name, QUESTIONS_MAX)
        self.reads = WaitingRoom(names.name, READS_MAX)
        self.unreachable: str | None = None
        self.watched_since_s: float | None = None
        """Since when the provider has been telling of every change; None while it does not."""
        self.facts_reader = FactsReader(names.name, provider, catalogue, flights, deadlines.list_s, reading.read_by)
        self.access = Access.READ
        self.settle_s = 3.0
        """So long after it was closed a file is sent."""
        self.overlay: Overlay | None = None
        """What waits to be sent; None where nothing may be written."""
        self.library: Library | None = None
        """What is known of all its folders; None for a provider without any."""
        self._provider = provider
        self.blocks = None if provider.capabilities.local else reading.blocks
        self.mode = reading.mode
        self.facts_reader.open = self.open
        self._flights = flights
        self._questioning = Questions(self.account, flights, self.questions)
        self._kept: OrderedDict[AlbumId, Kept] = OrderedDict()
        self._albums: OrderedDict[AlbumId, tuple[Album, float]] = OrderedDict()
        if provider.capabilities.folders:
            source = Source(
                root=self.root,
                album=self._present_album,
                listing=self.told_listing,
                with_facts=self.told_with_facts,
                known_facts=self.facts_reader.known_of,
                moved=partial(self.expire, None),
                privacy=reading.privacy,
            )
            self.library = Library(names.name, catalogue, source, deadlines.list_s)

    @property
    def capabilities(self) -> Capabilities:
        """What the provider can do."""
        return self._provider.capabilities

    @property
    def provider(self) -> Provider:
        """Who is behind it."""
        return self._provider

    # ---- the account ------------------------------------------------------------------------------------------

    @property
    def writing(self) -> Writing | None:
        """What may be written; None where nothing may, by the access level or the provider."""
        return self.capabilities.writing if self.overlay is not None and self.access.adds else None

    def place(self, album: AlbumId) -> Place:
        """What may be done there."""
        is_view = self.library is not None and self.library.is_view(album)
        return Place.DERIVED if is_view else Place.FOLDER

    @property
    def tops(self) -> Mapping[str, AlbumId]:
        """Directory of the account -> the album that it shows; files/ is not among them."""
        return {} if self.library is None else {name: view_id(view) for name, view in TOP_VIEWS.items()}

    @property
    def searches(self) -> bool:
        """The account has a search/."""
        return self.library is not None

    @property
    def trouble(self) -> str | None:
        """Why the provider cannot be asked; None if all is well."""
        return self.unreachable

    def gauges(self) -> dict[str, object]:
        """How much is known of it, in numbers."""
        library = self.library
        if library is None:
            return {}
        return {"whole": library.is_whole, "files": len(library.index), "folders": len(library.folders)}

    async def top(self, *, is_asked: bool = True) -> Listing:
        """What the account's collection holds; with `is_asked` false, what is known of it, where that may be old."""
        return await self.listing((await self.root()).id)

    def changed(self, changes: Changeset) -> set[AlbumId]:
        """What the provider reported is asked again before it is told again; the albums that are worth it at once."""
        if not changes.everything:
            return set(changes.albums)
        known = self.albums_kept()
        self.expire(None)
        return known | changes.albums

    # ---- albums -----------------------------------------------------------------------------------------------

    async def root(self) -> Album:
        """The folder shown as `files/`."""
        return await self._questioning.ask_of("root", "", self._provider.root, self.deadlines.lookup_s)

    async def album(self, album: AlbumId) -> Album:
        """The album itself: from a fresh listing, else asked; what it was when it cannot be asked."""
        if self.overlay is not None:
            album = self.overlay.album_id(album)
            if (waiting := self.overlay.album(album)) is not None:
                return waiting
        return await self.told_album(album)

    async def told_album(self, album: AlbumId) -> Album:
        """As `album`, of those that the provider has."""
        if self.library is not None and (view := await self.library.view(album)) is not None:
            return self.library.album(view, album)
        kept = self._kept.get(album)
        if kept is not None and self._is_fresh(kept):
            return kept.names.listing.album
        told = self._albums.get(album)
        if told is not None and trio.current_time() - told[1] < self.capabilities.fresh_s:
            return told[0]
        era = self._questioning.era(album)
        try:
            question = partial(self._provider.album, album)
            found = await self._questioning.ask("album", album, question, self.deadlines.lookup_s)
        except ProviderUnreachable:
            if kept is None:
                raise
            return kept.names.listing.album
        if era == self._questioning.era(album):
            self._albums[album] = (found, trio.current_time())
            self._albums.move_to_end(album)
        while len(self._albums) > ALBUMS_KEPT:
            self._albums.popitem(last=False)
        return found

    async def _present_album(self, album: AlbumId) -> Album:
        """As `album`, asked now: whether it is there, and how old it is, decides what the library keeps."""
        self.expire(album)
        return await self.told_album(album)

    async def names(self, album: AlbumId) -> AlbumNames:
        """The album's listing with its names, not older than the provider's `fresh_s`, and what waits to be sent.

        Errors: AssetGone; ProviderUnreachable or DeadlinePassed if it was never listed and cannot be now.
        """
        overlay = self.overlay
        if overlay is None:
            return await self.told(album)
        album = overlay.album_id(album)
        return overlay.over(album, overlay.empty(album) or await self.told(album))

    async def told(self, album: AlbumId, *, anew: bool = False) -> AlbumNames:
        """As `names`, of what the provider has."""
        if self.library is not None and (view := await self.library.view(album)) is not None:
            return self.library.names(view, album)
        kept = self._kept.get(album)
        if kept is not None and not anew and self._is_fresh(kept):
            return kept.names
        return await self._questioning.ask("listing", album, partial(self._list, album), self.deadlines.list_s)

    async def listing(self, album: AlbumId) -> Listing:
        """As `names`, without them."""
        return (await self.names(album)).listing

    async def told_listing(self, album: AlbumId) -> Listing:
        """As `told`, without the names."""
        return (await self.told(album)).listing

    async def path(self, album: Album) -> tuple[str, ...]:
        """The names of the directories below the account's that lead to `album`, its own last. Errors: AssetGone if it
        was moved or removed meanwhile."""
        if self.library is not None and (view := await self.library.view(album.id)) is not None:
            return self.library.path(view)
        names: list[str] = []
        while album.parent is not None:
            listed = None if self.capabilities.real_names else await self.names(album.parent)
            name = album.title if listed is None else listed.name_of(album.id)
            if name is None:
                raise AssetGone(f"{album.id} is not in its folder any more")
            names.append(name)
            album = await self.album(album.parent)
        return ("files", *reversed(names))

    def label(self, album: Album) -> str:
        """What people see: the topmost folder is the account."""
        is_root = album.parent is None and (self.library is None or not self.library.is_view(album.id))
        return self.account if is_root else album.title

    def holds_albums(self, album: AlbumId) -> bool:
        """True if it is known, without asking, that albums are in it and never assets."""
        return False

    def links(self, asset: AssetId) -> int:
        """How many names are listed for it, as far as is known."""
        return 1 if self.library is None else self.library.index.links(asset)

    def kept(self, album: AlbumId) -> AlbumNames | None:
        """The names that were told last, if anybody asked for them lately, and what waits."""
        names, _ = self.told_last(album)
        return names if names is None or self.overlay is None else self.overlay.over(album, names)

    def told_last(self, album: AlbumId) -> tuple[AlbumNames | None, float]:
        """What the provider told last, if it is kept, and when it was asked; -inf if it must be asked again."""
        kept = self._kept.get(album)
        return (None, NEVER_S) if kept is None else (kept.names, kept.asked_s)

    async def last(self, album: AlbumId) -> AlbumNames | None:
        """What the provider told last, also where that has to be read for it."""
        kept = self._kept.get(album)
        return None if kept is None else kept.names

    def albums_kept(self) -> set[AlbumId]:
        """The albums whose names were told lately."""
        return set(self._kept)

    def expire(self, album: AlbumId | None) -> None:
        """What is kept of the album (of all, for None) is asked again before it is told again, and so is what is being
        asked now."""
        self._questioning.changed(album)
        for kept in self._kept.values() if album is None else filter(None, [self._kept.get(album)]):
            kept.asked_s = NEVER_S
        if album is None:
            self._albums.clear()
        else:
            self._albums.pop(album, None)

    def learnt(self, asset: Asset) -> None:
        """The provider has told of the asset just now, in other words than before."""
        self.expire(asset.album)

    def done(self, album: AlbumId, id: str, entry: Album | Asset | None) -> None:
        """The provider has just answered that what has that id is `entry` in the album; None: it is not in it."""
        kept = self._kept.get(album)
        if kept is not None:
            kept.done[id] = entry

    async def remembered(self, album: AlbumId) -> None:
        """What was told last of the album, with what was done here since, is what is shown after a kill, if anything is
        shown then while the account cannot be asked."""

    # ---- assets -----------------------------------------------------------------------------------------------

    async def find(self, album: AlbumId, name: str) -> Album | Asset | None:
        """What `name` names in `album` now: one question to the provider, no listing, where the name is known."""
        overlay = self.overlay
        if overlay is None:
            return await self.told_find(album, name)
        album = overlay.album_id(album)
        if (waiting := overlay.find(album, name)) is not None or overlay.album(album) is not None:
            if not isinstance(waiting, Asset) or waiting.is_local:
                return waiting
            if (current := await self._as_it_is(waiting, album, name)) is not None:
                return current
            await overlay.left(album, waiting.id)
        given = overlay.given(album, name)
        if given is not None and (own := overlay.told_as(await self.told(album), given.asset)) is not None:
            return own.entry
        entry = await self.told_find(album, name)
        return None if entry is None else overlay.over_entry(album, name, entry)

    async def _as_it_is(self, sent: Asset, album: AlbumId, name: str) -> Asset | None:
        """What was sent or linked a moment ago, as it is now; None if it has not that name any more."""
        try:
            current = await self.told_asset(sent.id)
        except (ProviderUnreachable, DeadlinePassed):
            return sent
        except AssetGone:
            return None
        return current if not self.capabilities.real_names or (current.album, current.name) == (album, name) else None

    async def told_find(self, album: AlbumId, name: str) -> Album | Asset | None:
        """As `find`, of what the provider has."""
        kept = self._kept.get(album)
        if kept is None or self._is_fresh(kept):
            entry = (await self.told(album)).get(name)
            if kept is not None or not isinstance(entry, Asset) or entry.album == album:
                return entry
            return await self._current(entry)
        if not isinstance(entry := kept.names.get(name), Asset):
            return (await self.told(album)).get(name)
        current = await self._current(entry)
        if current is not None and (current.album, current.name) == (album, entry.name):
            return current
        self.expire(album)
        self.done(album, entry.id, None)
        return (await self.told(album)).get(name)

    async def asset(self, asset: AssetId) -> Asset:
        """The asset's present version. Errors: AssetGone, ProviderUnreachable, DeadlinePassed."""
        if self.overlay is not None:
            asset = self.overlay.asset_id(asset)
            if (waiting := self.overlay.asset(asset)) is not None:
                return waiting
            try:
                return self.overlay.edits.dated(await self.overlay.told_or_sent(asset, self.told_asset))
            except AssetGone:
                successor = self.overlay.successor(asset)
                if successor is None:
                    raise
                if (waiting := self.overlay.asset(successor)) is not None:
                    return waiting
                asset = successor
        return await self.told_asset(asset)

    async def asset_in(self, asset: AssetId, version: Version) -> Asset:
        """The asset in that version where it is still there, though another has taken its place: in the trash, or out
        of it again; else as `asset`. Errors: as that."""
        found = await self.asset(asset)
        if found.version == version or found.id == asset:
            return found
        try:
            told = await self.told_asset(asset)
        except AssetGone:
            return await self.asset(asset)  # what was found may have been sent meanwhile
        return told if told.version == version else await self.asset(asset)

    async def told_asset(self, asset: AssetId) -> Asset:
        """As `asset`, of those that the provider has."""
        question = partial(self._provider.asset, asset)
        return await self._questioning.ask_of("asset", asset, question, self.deadlines.lookup_s)

    def motion(self, asset: AssetId) -> AssetId | None:
        """The moving half of a live photo that the provider tells of; None if it tells of none."""
        return None

    async def facts(self, asset: Asset) -> Facts:
        """What the asset's bytes say: from the catalogue, else read once."""
        known = self.facts_reader.known(asset)
        if known is not None:
            return known
        with self.questions.place():
            return await self.facts_reader.read(asset)

    async def open(self, asset: Asset) -> Original:
        """The bytes of exactly this version. Errors: VersionChanged, AssetGone, DeadlinePassed.

        Those that are not local come through the block cache, whose reads have the same errors: nothing is asked yet.
        """
        if asset.is_local and self.overlay is not None:
            return await self.overlay.open(asset)
        with trio.move_on_after(self.deadlines.lookup_s):
            if self.blocks is None:
                return await self._provider.open(asset)
            return await self.blocks.open(self.name, asset, partial(self._provider.open, asset))
        raise DeadlinePassed(f"{self.name}: {asset.name} could not be opened within {self.deadlines.lookup_s:g} s")

    async def with_facts(self, album: AlbumId) -> tuple[AlbumNames, dict[AssetId, Facts]]:
        """A listing and the facts of its pictures that belong together, though files change meanwhile."""
        return await self._with_facts(album, self.names)

    async def told_with_facts(self, album: AlbumId) -> tuple[AlbumNames, dict[AssetId, Facts]]:
        """As `with_facts`, of what the provider has."""
        return await self._with_facts(album, self.told)

    async def _with_facts(
        self, album: AlbumId, names_of: Callable[[AlbumId], Awaitable[AlbumNames]]
    ) -> tuple[AlbumNames, dict[AssetId, Facts]]:
        for _ in range(RELISTS):
            names = await names_of(album)
            try:
                return names, await self.facts_reader.read_all(names.listing)
            except (VersionChanged, AssetGone):
                self.expire(album)
                await self._look_again(names.listing)
        raise VersionChanged(f"{self.name}: a folder changes faster than it can be read; try again later")

    async def _current(self, asset: Asset) -> Asset | None:
        try:
            return await self.told_asset(asset.id)
        except AssetGone:
            return None

    async def _look_again(self, listing: Listing) -> None:
        """The folders of what a view holds are looked at anew: something in them is not what the index says."""
        homes = {asset.album for asset in listing.assets if self.facts_reader.known(asset) is None}
        for home in homes - {listing.album.id}:
            self.expire(home)
            if self.library is not None:
                await self.library.album_seen(home)

    # ---- asking -----------------------------------------------------------------------------------------------

    async def _list(self, album: AlbumId) -> AlbumNames:
        kept, era = self._kept.get(album), self._questioning.era(album)
        try:
            listing = await self._confirmed(album, kept)
        except ProviderUnreachable as error:
            self._went_away(error)
            if kept is None:
                raise
            return kept.known()
        except AssetGone:
            if self._kept.get(album) is kept:
                self._kept.pop(album, None)
            raise
        if self.unreachable is not None:
            log.info("%s: can be reached again", self.name)
            self.unreachable = None
        if kept is not None and kept.names.listing.etag == listing.etag:
            names = kept.names
        else:
            names = await self._named(listing)
            library = self.library
            if library is not None and library.is_whole and (kept is not None or not library.knows(listing)):
                self._flights.begin(("index", self.account, album), partial(library.album_seen, album))
        is_late = era != self._questioning.era(album)
        newer = self._kept.get(album)
        if is_late and (kept is None or newer is not kept):
            return names if newer is None else newer.known()  # what was answered is of before a change
        done = kept.done if is_late and kept is not None else {}
        taken = self._kept[album] = Kept(names, NEVER_S if is_late else trio.current_time(), done)
        self._kept.move_to_end(album)
        while len(self._kept) > LISTINGS_KEPT:
            self._kept.popitem(last=False)
        return taken.known()

    async def _named(self, listing: Listing, kept: Mapping[str, str] = NONE_KEPT) -> AlbumNames:
        """The names of a listing. In a thread where there are many: of 10,000 it takes 30 ms."""
        make = partial(AlbumNames, listing, real_names=self.capabilities.real_names, kept=kept)
        return make() if len(listing.assets) <= NAMED_AT_ONCE else await computed(make)

    async def _confirmed(self, album: AlbumId, kept: Kept | None) -> Listing:
        """The listing; one that lost much of what was there is believed when a second one says the same (§2.10)."""
        listing = await self._asked(album)
        while kept is not None and needs_confirmation(kept.names.listing, listing):
            await trio.sleep(CONFIRM_S)
            again = await self._asked(album)
            if confirmed(listing, again):
                return again
            listing = again
        return listing

    async def _asked(self, album: AlbumId) -> Listing:
        return await self._provider.listing(album)

    def _went_away(self, error: ProviderUnreachable) -> None:
        if self.unreachable is None:
            log.warning("%s: %s; showing what is known", self.name, error)
        self.unreachable = str(error)

    def _is_fresh(self, kept: Kept) -> bool:
        return trio.current_time() - kept.asked_s < self.capabilities.fresh_s
