"""What waits to be sent, laid over what the provider tells: names, files and albums, from the moment they are made.

Read your writes (DESIGN §4.3). An album for which nothing waits is shown exactly as it was told.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from weakref import WeakKeyDictionary

from iiiffs.errors import AssetGone, DeadlinePassed, ProviderUnreachable, VersionChanged
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Listing
from iiiffs.providers.base import Original
from iiiffs.providers.media import kind_of
from iiiffs.providers.views import LIBRARY, TRASH
from iiiffs.state.given import Given
from iiiffs.sync.items import Item, Stage, Verb, is_local_id, is_unwanted
from iiiffs.tree.albums import AlbumNames
from iiiffs.tree.names import legal_name
from iiiffs.tree.scratch import is_scratch
from iiiffs.vfs.added_names import OwnName, own_name
from iiiffs.vfs.arrivals import Arrivals
from iiiffs.vfs.aside import Aside
from iiiffs.vfs.copies import Copies
from iiiffs.vfs.filling import Filling
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.had_before import HadBefore
from iiiffs.vfs.listings import Listings, is_beside, is_told_otherwise
from iiiffs.vfs.local_files import Live, LocalFiles
from iiiffs.vfs.pending_edits import PendingEdits
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.refused import is_refused, shown_refused
from iiiffs.vfs.waiting_names import WaitingNames, hidden_by, shows_name

log = logging.getLogger(__name__)

UNKNOWN_TYPE = "application/octet-stream"
NOTHING_WAITS = WaitingNames()


@dataclass(slots=True)
class Laid:
    """The last answer for a listing, and the state of all that was laid over it."""

    revision: tuple[int, ...]
    names: AlbumNames


class Overlay:
    """The items of one account, as its gallery shows them. `account`: its name, as in items."""

    def __init__(
        self,
        account: AccountName,
        queue: Queue,
        files: LocalFiles,
        flights: Flights,
        listings: Listings,
    ) -> None:
        capabilities = listings.capabilities
        self._account = account
        self._listings = listings
        self._replaces_id = capabilities.writing is not None and capabilities.writing.replaces_id
        self._real_names = capabilities.real_names
        self._queue = queue
        self._files = files
        self._given = queue.notes.given
        self._flights = flights
        self._laid: WeakKeyDictionary[AlbumNames, Laid] = WeakKeyDictionary()
        """Kept as long as the listing is: nobody asks again for an album that is gone."""
        self._waiting: dict[AlbumId, WaitingNames] = {}
        self._had = HadBefore(account, queue, listings)
        self.arrivals = Arrivals(account, queue, flights, listings)
        self.copies = Copies(account, queue, flights, self.arrivals, self)
        self.filling = Filling(account, queue)
        self.aside = Aside()
        self._serial = 0
        self._replaced: dict[AssetId, str] = {}
        """Asset -> the item that has new bytes for it."""
        self.edits = PendingEdits(account, queue, self.asset_id)
        for item in queue.items(account):
            self._changed(None, item)
        queue.complete(self._had.completed)
        queue.complete(self._with_also)
        queue.watch(self._changed)

    # ---- ids --------------------------------------------------------------------------------------------------

    def album_id(self, album: AlbumId) -> AlbumId:
        """The album that goes by that id now: a provisional id has become the provider's, and what waits in the album
        waits in that. What it has become is seen before whoever recorded it goes on: it must not look empty then."""
        if not is_local_id(album):
            return album
        if self._queue.has_any(self._account, album):
            self._rehome(album)
        return AlbumId(self._queue.successors.successor(self._account, album) or album)

    def asset_id(self, asset: AssetId) -> AssetId:
        """The asset that goes by that id now: one that was local, or was replaced, has another."""
        if not self._replaces_id and not is_local_id(asset):
            return asset
        return AssetId(self._queue.successors.successor(self._account, asset) or asset)

    def successor(self, asset: AssetId) -> AssetId | None:
        """What has taken the place of an asset that is not there any more."""
        id = self._queue.successors.successor(self._account, asset)
        return None if id is None else AssetId(id)

    # ---- what is worth knowing --------------------------------------------------------------------------------

    def not_carried(self, asset: AssetId) -> tuple[str, ...]:
        """What it has not got of the asset that it replaced."""
        return self._queue.notes.not_carried(self._account, asset)

    def other_names(self, asset: AssetId) -> list[str]:
        """Names of files whose bytes it had already, and which therefore became it; its own may be among them."""
        waiting = [] if self._real_names else [item.name for item in self.arrivals.of(None, asset)]
        return [*self._given.names_of(self._account, asset), *waiting]

    # ---- albums -----------------------------------------------------------------------------------------------

    def album(self, album: AlbumId) -> Album | None:
        """An album that its provider has not made yet; None for all others. Errors: AssetGone."""
        if not is_local_id(album):
            return None
        item = self.making(album)
        if item is None:
            raise AssetGone("this album was never made")
        return _album_of(item)

    def making(self, album: AlbumId) -> Item | None:
        """What makes the album of that id, if one is to be made."""
        item = self._queue.get(album) if is_local_id(album) else None
        return item if item is not None and item.verb is Verb.MAKE_ALBUM and not is_unwanted(item) else None

    def listed_as(self, album: Album) -> AlbumId:
        """The id by which the album is listed: one that was made just now goes by its provisional one until a list of
        its provider has it."""
        items = [] if album.parent is None else self._queue.in_album(self._account, album.parent)
        making = (AlbumId(item.id) for item in items if self.making(AlbumId(item.id)) is not None)
        return next((id for id in making if self.album_id(id) == album.id), album.id)

    def unwanted(self, album: AlbumId, title: str) -> Item | None:
        """What removes an album of that title there which may have been made, if anything does."""
        items = self._queue.in_album(self._account, album)
        return next((item for item in items if is_unwanted(item) and item.name == title), None)

    def empty(self, album: AlbumId) -> AlbumNames | None:
        """What an album holds of which no provider knows: nothing, before `over`; None for all others."""
        made = self.album(album)
        return None if made is None else AlbumNames(Listing(made, (), (), made.id), real_names=False)

    def over(self, album: AlbumId, told: AlbumNames) -> AlbumNames:
        """The names of the album, with what waits."""
        given = self._given.of(self._account, album)
        items = self._queue.in_album(self._account, album)
        if not items and not given and not (self._replaced or self.edits or self.aside):
            if self._laid:
                self._laid.pop(told, None)
            return told
        serials = self._serial, self._given.serial, self.edits.serial, self.aside.serial
        revision = self._queue.revision(self._account, album), *serials
        laid = self._laid.get(told)
        if laid is None or laid.revision != revision:
            laid = self._laid[told] = Laid(revision, self._names(told, items, given))
        return laid.names

    def find(self, album: AlbumId, name: str) -> Album | Asset | None:
        """What waits in the album under that name. No listing is asked for."""
        waiting = self._waiting.get(album)
        if waiting is None or name not in waiting.named or self.aside.hides(album, name):
            return None
        item = self._queue.get(next(reversed(waiting.named[name])))
        return None if item is None else self._shown(item)

    def named(self, album: AlbumId, name: str) -> list[str]:
        """The ids of the items that show something under the name."""
        waiting = self._waiting.get(album)
        return [] if waiting is None else list(waiting.named.get(name, ()))

    def over_entry(self, album: AlbumId, name: str, entry: Album | Asset) -> Album | Asset | None:
        """What is shown of what the provider tells of under `name`: another version that waits, or nothing. In the
        trash it is what it was."""
        if album == TRASH:
            return entry
        if not self._shows(album, name, entry):
            return None
        replaced = self.item_of(AssetId(entry.id)) if isinstance(entry, Asset) else None
        if replaced is not None and replaced.album != album:
            shown = replaced.sent if replaced.stage is Stage.SENT else None
            if shown is not None and self._goes_otherwise(album, AssetId(entry.id), shown):
                return None
            return replace(shown or self.asset_of(replaced), album=album)  # its own may be none any more
        return self.edits.dated(entry) if isinstance(entry, Asset) else entry

    def _shows(self, album: AlbumId, name: str, entry: Album | Asset) -> bool:
        waiting = self._waiting.get(album)
        if self.aside.hides(album, name) or (waiting is not None and waiting.hides(entry)):
            return False
        given = self._given.of(self._account, album)
        replaced = self.item_of(AssetId(entry.id)) if given and isinstance(entry, Asset) else None
        ids = {entry.id} if replaced is None or replaced.sent is None else {entry.id, replaced.sent.id}
        told, _ = self._listings.told_last(album)
        if (own := given.get(name)) is not None and (told is None or self.told_as(told, own.asset) is not None):
            return own.asset in ids
        return not any(one.asset in ids and not one.also for one in given.values())

    def _goes_otherwise(self, album: AlbumId, old: AssetId, new: Asset) -> bool:
        """What has taken the place of an asset that the album is told of still is there by a name of its own."""
        hides = self._waiting.get(album, NOTHING_WAITS).hides
        return hides(new) or is_beside(self._listings, album, old, new.id)

    def told_as(self, told: AlbumNames, asset: AssetId) -> OwnName | None:
        """By what name `told` has the asset, or has still what that has taken the place of."""
        if (name := told.name_of(asset)) is not None:
            return OwnName(name, told.entries[name])
        for item in self.arrivals.of(None, asset):
            name = None if item.base is None else told.name_of(item.base.asset)
            if name is not None and item.sent is not None:
                return OwnName(name, replace(item.sent, album=told.listing.album.id))
        return None

    def given(self, album: AlbumId, name: str) -> Given | None:
        """What was given this name here."""
        return None if self.aside.hides(album, name) else self._given.of(self._account, album).get(name)

    async def take_name(self, album: AlbumId, name: str, asset: AssetId) -> bool:
        """The asset goes by `name` no more; True if it has another name in the album, and so is still in it. Of two
        names that people gave it, the one that is left hides its own as both did."""
        arrived = self.arrivals.of(album, asset)
        given = {key: one.also for key, one in self._given.of(self._account, album).items() if one.asset == asset}
        for item in arrived:
            if item.sent is not None and (item.also or legal_name(item.sent.name) != item.name):
                given.setdefault(item.name, item.also)
        was_also = given.pop(name, False)
        for key, also in given.items():
            await self._given.give(self._account, album, key, Given(asset, also=also and was_also))
        await self._queue.drop_all([item.id for item in arrived])
        if self._given.of(self._account, album).get(name) in (Given(asset, also=False), Given(asset, also=True)):
            await self._given.give(self._account, album, name, None)
        return was_also or bool(given)

    def _names(self, told: AlbumNames, items: list[Item], given: Mapping[str, Given]) -> AlbumNames:
        album = told.listing.album.id
        hides = self._waiting.get(album, NOTHING_WAITS).hides
        entries = {name: entry for name, entry in told.entries.items() if not hides(entry)}
        for asset in (self._replaced.keys() | self.edits.assets()) & told.by_id.keys():
            told_as = told.by_id[asset]
            shown = self.over_entry(album, told_as, entries[told_as]) if told_as in entries else None
            if shown is not None:
                entries[told_as] = shown
            else:
                entries.pop(told_as, None)
        found = {name: own for name, one in given.items() if (own := self.told_as(told, one.asset)) is not None}
        for name, own in found.items():
            if not given[name].also and (own.name not in given or given[own.name].asset != given[name].asset):
                entries.pop(own.name, None)
        entries |= {name: own.entry for name, own in found.items() if name not in entries}
        digest = blake2b(told.listing.etag.encode("utf-8", "surrogateescape"), digest_size=16)
        for item in items:
            shown = self._shown(item, told)
            if shown is not None:
                entries[item.name] = shown
            digest.update(
                repr((item.id, item.stage, item.name, item.generation, item.assets)).encode("utf-8", "surrogateescape")
            )
        for pair in given.items():
            digest.update(repr(pair).encode("utf-8", "surrogateescape"))
        for name in self.aside.names(album):
            entries.pop(name, None)
            digest.update(repr(name).encode("utf-8", "surrogateescape"))
        return told.with_entries(entries, digest.hexdigest())

    def _shown(self, item: Item, told: AlbumNames | None = None) -> Album | Asset | None:
        """What its name shows. `told`: what the provider says of the album, where that is known."""
        if not shows_name(item) or self._is_taken_out(item):
            return None
        match item.verb:
            case Verb.MAKE_ALBUM:
                return _album_of(item)
            case Verb.ADD:
                return self._added(item, told)
        if item.stage is not Stage.SENT or item.sent is None:
            return self.asset_of(item)
        newer = self.item_of(item.sent.id)  # written since, perhaps under another of its names
        is_copy = self.copies.is_copy(item.sent, item.album, item.name)
        if newer is not None and newer.order > item.order and not is_copy:
            return replace(newer.sent or self.asset_of(newer), album=item.album)
        if told is None:
            return item.sent
        name = told.name_of(item.sent.id)
        present = None if name is None else told.get(name)
        return present if isinstance(present, Asset) else item.sent

    def _is_taken_out(self, item: Item) -> bool:
        """New bytes of what left the album after they were written: they are sent, and shown where else it is."""
        if item.base is None:
            return False
        photo = item.sent.id if item.kept and item.sent is not None else item.base.asset
        return any(
            other.verb is Verb.TAKE_OUT
            and (other.album, other.order > item.order) == (item.album, True)
            and other.stage is not Stage.FAILED
            for other in self._queue.about(photo)
        )

    # ---- changes ---------------------------------------------------------------------------------------------

    def unanswered(self, item: Item) -> tuple[bytes, ...]:
        """SHA-1 of what its album may hold because of it though nobody said so, and did not hold before."""
        return () if is_local_id(item.album) else self._had.unanswered(item)

    def _added(self, item: Item, told: AlbumNames | None) -> Asset | None:
        """The asset as one of the album that it is put into; where it was before may be no more."""
        if is_refused(item):
            return shown_refused(item, told or self._listings.told_last(item.album)[0])
        waiting = self.item_of(item.assets[0])
        added = item.sent if waiting is None else waiting.sent or self.asset_of(waiting)
        return None if added is None else replace(added, album=item.album)

    def _changed(self, before: Item | None, after: Item | None) -> None:
        """An item is another; rule: Queue.watch."""
        if self._account not in {item.account for item in (before, after) if item is not None}:
            return
        if before is not None:
            self._waiting.setdefault(before.album, WaitingNames()).lift(before, hidden_by(before, self._real_names))
        if after is not None:
            names = self._waiting.setdefault(after.album, WaitingNames())
            names.lay(after, hidden_by(after, self._real_names), self._had.unanswered(after))
        for item in (before, after):
            waiting = None if item is None else self._waiting.get(item.album)
            if item is not None and waiting is not None and waiting.is_empty:
                del self._waiting[item.album]
        if any(item is not None and item.base is not None for item in (before, after)):
            self._serial += 1
        if before is not None and before.base is not None and self._replaced.get(before.base.asset) == before.id:
            del self._replaced[before.base.asset]
        if after is not None and after.verb is Verb.UPLOAD and after.base is not None and not after.is_aside:
            self._replaced[after.base.asset] = after.id
        if before is not None and before.verb is Verb.MAKE_ALBUM and (after is None or after.stage is Stage.SENT):
            self._rehome(AlbumId(before.id))
        self.arrivals.changed(before, after)
        self.copies.changed(before, after)
        self._had.changed(before, after)
        if before is not None and before.verb is Verb.TAKE_OUT and after is None:
            taken = [
                item.id for asset in before.assets for item in self.arrivals.of(before.album, self.asset_id(asset))
            ]
            if taken:  # no listing will have them
                self._flights.begin(("taken out", before.id), partial(self._queue.drop_all, taken))

    async def left(self, album: AlbumId, asset: AssetId) -> None:
        """Somebody has renamed or removed what had just arrived: its name is shown no more because of that."""
        await self._queue.drop_all([item.id for item in self.arrivals.of(album, asset)])

    def _with_also(self, before: Item | None, after: Item) -> Item:
        """A file whose bytes the album had already is one more name of that asset, and takes none from it. Kept with
        the answer, for nothing tells it later: listings have both. Not a file that has its own former bytes again: a
        try that broke off may have taken that asset out of the trash. Rule: Queue.complete."""
        if after.account == self._account and after.verb is Verb.ADD:
            if before is not None and before.assets == after.assets:
                return after
            own = own_name(self._listings, after, self.asset_id(after.assets[0]))
            return replace(after, also=own is not None and self._shows(after.album, own.name, own.entry))
        if after.account != self._account or before is None or before.sent is not None or after.sent is None:
            return after
        if self._leaves(after.album, after.sent.id):
            return replace(after, also=False)
        if (also := self.copies.also(after, after.sent)) is not None:
            return replace(after, also=also)
        was_own = after.base is not None and after.base.asset in (after.sent.id, self.asset_id(after.sent.id))
        is_told = not was_own and is_told_otherwise(self._listings, after, after.sent.id)
        had = self._had.had(after)
        return replace(after, also=True) if had or (had is None and is_told) else after

    def _leaves(self, album: AlbumId, asset: AssetId) -> bool:
        """It is to be taken out, and so is not shown by its own name."""
        out = (item for item in self._queue.about(asset) if item.verb is Verb.TAKE_OUT and item.album == album)
        return any(item.stage is not Stage.FAILED for item in out)

    def _rehome(self, made: AlbumId) -> None:
        """What waits in a provisional album waits in what that has become."""
        album = self._queue.successors.successor(self._account, made)
        if album is not None:
            for item in self._queue.in_album(self._account, made):
                self._queue.note(replace(item, album=AlbumId(album)))

    # ---- files ------------------------------------------------------------------------------------------------

    def asset_of(self, item: Item) -> Asset:
        """The file as an asset: no picture as long as it is being written, or only kept for a program."""
        live = self._files.live(item)
        shows = self._files.is_settled(item) and item.size_bytes > 0 and not (item.stays or is_scratch(item.name))
        return Asset(
            id=item.asset_id,
            album=item.album,
            name=item.name,
            version=item.version,
            size_bytes=live.size_bytes,
            mtime_ns=live.mtime_ns,
            changed_ns=max(live.mtime_ns, item.began_ns),
            media_type=(kind_of(item.name) if shows else None) or UNKNOWN_TYPE,
            checksum=item.sha1,
        )

    def item(self, id: str) -> Item | None:
        """The file of that id, if it waits and has not been sent, or is refused."""
        item = self._queue.get(id)
        if item is not None and is_refused(item):
            return item
        return item if item is not None and item.verb is Verb.UPLOAD and item.stage is not Stage.SENT else None

    def live(self, asset: Asset) -> Live:
        """Length and time, at this moment, of an asset that `is_local`."""
        known = self._files.known(asset.version.rpartition(".")[0])
        return known or Live(asset.size_bytes or 0, asset.mtime_ns)

    def home(self, asset: Asset) -> AlbumId:
        """An album that shows it: one that it is put into, or the one it is told of; LIBRARY if it is to leave that."""
        home = self.album_id(asset.album)
        if home == LIBRARY:  # no listing has it yet
            home = next((item.album for item in self.arrivals.of(None, asset.id)), LIBRARY)
        said = {item.album: item.verb for item in self._queue.about(asset.id) if item.stage is not Stage.FAILED}
        added = next((album for album, verb in said.items() if verb is Verb.ADD), LIBRARY)
        return home if added == LIBRARY and said.get(home) is not Verb.TAKE_OUT else added

    def asset(self, asset: AssetId) -> Asset | None:
        """The file of that id, or what replaces the asset of that id; None if the provider's is what counts."""
        item = self.item_of(asset)
        if item is None:
            return None
        return item.sent if item.stage is Stage.SENT else self.asset_of(item)

    async def told_or_sent(self, asset: AssetId, ask: Callable[[AssetId], Awaitable[Asset]]) -> Asset:
        """What `ask` tells of it; where nobody can be asked, what the answer was when it was sent a moment ago.
        Errors: as of `ask`."""
        try:
            return await ask(asset)
        except (ProviderUnreachable, DeadlinePassed):
            arrived = self.arrivals.of(None, asset)
            if not arrived or arrived[-1].sent is None:
                raise
            return arrived[-1].sent

    def is_another(self, asset: Asset) -> bool:
        """Other bytes wait for it than these, or have taken their place since they were found."""
        now = self.asset(asset.id)
        return self.asset_id(asset.id) != asset.id if now is None else now.version != asset.version

    def id_now(self, asset: AssetId) -> AssetId:
        """The id by which it is listed now, though it was sent, or replaced, since it was found."""
        item = self.item_of(asset)
        return self.asset_id(asset) if item is None or item.sent is None else item.sent.id

    def item_of(self, asset: AssetId) -> Item | None:
        """The upload that makes or replaces the asset of that id, if one waits; of what it was sent as, the one that
        replaces that, and so on: the last. Former bytes are the asset that they were, so an earlier one is no later."""
        item = self._queue.get(asset if is_local_id(asset) else self._replaced.get(asset, ""))
        if item is None or item.verb is not Verb.UPLOAD:
            return None
        while item.stage is Stage.SENT and item.sent is not None:
            newer = self._queue.get(self._replaced.get(item.sent.id, ""))
            if newer is None or newer.order <= item.order:
                break
            item = newer
        return item

    def item_named(self, album: AlbumId, name: str) -> Item | None:
        """The file of that name that waits in the album, if one does."""
        waiting = None if self.aside.hides(album, name) else self._waiting.get(album)
        for id in reversed(waiting.named.get(name, {})) if waiting is not None else ():
            item = self._queue.get(id)
            is_file = item is not None and item.verb is Verb.UPLOAD and item.stage is not Stage.SENT
            if item is not None and is_file and not self._is_taken_out(item):
                return item
        return None

    def refused_named(self, album: AlbumId, name: str) -> Item | None:
        """The photo of that name that was not put into the album, if that is what the name shows."""
        ids = self.named(album, name)
        item = self._queue.get(ids[-1]) if ids else None
        return item if item is not None and is_refused(item) and self._shown(item) is not None else None

    async def open(self, asset: Asset) -> Original:
        """The bytes of exactly this version, of an asset that `is_local`. Errors: VersionChanged."""
        item = self._queue.get(asset.version.rpartition(".")[0])
        if item is None or item.version != asset.version:
            raise VersionChanged(f"{asset.name} does not wait any more, or has other bytes")
        return await self._files.original(item)


def _album_of(item: Item) -> Album:
    return Album(AlbumId(item.id), item.name, item.album, item.began_ns)
