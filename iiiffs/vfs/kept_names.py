"""Copies of a photo that are names of it, and keep its bytes when it gets others under its own name.

Where equal bytes are kept once, `cp x.jpg copy.jpg` makes no second photo (rule: iiiffs.state.given). Who edits x.jpg
then means x.jpg alone: what takes its place is a new photo, and the one that was goes on as copy.jpg (DESIGN §4.3).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import trio

from iiiffs.errors import AssetGone, Rejected, StoreError
from iiiffs.model.gallery import AlbumId, Asset, AssetId, Version
from iiiffs.providers.base import Provider
from iiiffs.providers.media import kind_of
from iiiffs.sync.items import Base, Item, Stage, Verb, is_local_id
from iiiffs.vfs.copies import is_another, name_of
from iiiffs.vfs.crossing import Brought, Taken
from iiiffs.vfs.listings import Listings, has_told_bytes, is_beside
from iiiffs.vfs.payload_sums import sum_of
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.shelves import mark_of
from iiiffs.vfs.waiting_order import TO_BE_SENT, WaitingOrder

log = logging.getLogger(__name__)

UNKNOWN_TYPE = "application/octet-stream"
Place = tuple[AlbumId, str]
"""An album, and a name there."""
NO_MORE = frozenset({Stage.SENT, Stage.KEPT, Stage.FAILED, Stage.SCRATCH})
"""Of what waits under the name of a copy: it is not to get those bytes, or has them."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a photo goes on when it gets other bytes. `names`: of copies. `stays`: for HasWriting.replace_beside."""

    names: tuple[Place, ...] = ()
    stays: Mapping[AlbumId, bool] | None = None


NOTHING = Kept()


class KeptNames:
    """Of one account, whose albums are sets and whose names are fixed."""

    def __init__(
        self,
        provider: Provider,
        listings: Listings,
        queue: Queue,
        order: WaitingOrder,
        threads: trio.CapacityLimiter,
    ) -> None:
        self._provider = provider
        self._listings = listings
        self._queue = queue
        self._order = order
        self._threads = threads
        self._beside: dict[str, frozenset[AlbumId]] = {}
        """Uploads on their way -> albums of copies that had their bytes before, as another photo."""

    async def begin(self, item: Item, brought: Brought) -> Kept | None:
        """What goes on of the asset whose place the item takes, if somebody has a copy of it that is not to be
        overwritten as well. Until it is over (`WaitingOrder.crossing`), nobody brings the asset's bytes anew but those
        copies; None if it is not its turn. Errors: as of Provider.asset, but for AssetGone."""
        if item.base is None:
            return NOTHING if self._order.crossing.enters(brought) else None
        replaced = asset_of_base(item.base, self._order)
        waiting = await self._equal(item, replaced)
        kept = self._kept(item, item.base, replaced, waiting)  # nothing is awaited between the two, and until it enters
        self._note_beside(item, replaced, brought)
        sha1 = self._told_sum(replaced)
        taken = Taken(sha1, item.base.size_bytes, frozenset(other.id for other in waiting.values()))
        return kept if self._order.crossing.enters(brought, taken) else None

    def _kept(self, item: Item, base: Base, replaced: Asset, waiting: Mapping[Place, Item]) -> Kept:
        places, apart, own = self._named(item, base, replaced)
        copies = {place for place in places if mark_of(place[0]) is None}
        equal = set(waiting)
        apart |= {album for (album, _), other in waiting.items() if self._comes_alone(other, item, replaced)} - own
        lives = {place for place in copies if not self._is_overwritten(item, place, replaced)} | equal
        if not lives:
            return NOTHING
        names = tuple(sorted(copies | equal))
        albums = {AlbumId(self._order.current(album)) for album, _ in names}
        stays = {album: album not in apart for album in albums if not is_local_id(album)}
        return Kept(names, stays)

    def _note_beside(self, item: Item, replaced: Asset, brought: Brought) -> None:
        """Before its first try: later lists have it in the albums whose copies it takes over."""
        self._beside = {id: albums for id, albums in self._beside.items() if self._queue.get(id) is not None}
        if brought.summed.sha1 in item.earlier:
            return
        albums = {album for album, _ in self._queue.notes.given.places_of(item.account, replaced.id)}
        albums |= {other.album for other in self._became(replaced.id)}
        summed = replace(item, sha1=brought.summed.sha1)
        told = {album for album in albums if has_told_bytes(self._listings, replace(summed, album=album))}
        self._beside[item.id] = frozenset(told)

    def _became(self, asset: AssetId) -> list[Item]:
        """What was sent, and is the asset; no list has told of it yet."""
        about = self._order.about(asset)
        return [one for one in about if one.verb is Verb.UPLOAD and one.sent is not None and one.sent.id == asset]

    def _named(self, item: Item, base: Base, replaced: Asset) -> tuple[set[Place], set[AlbumId], set[AlbumId]]:
        """Names of copies, the albums in which the photo is by such names alone, and those in which it has its own."""
        copies: dict[Place, bool] = {}
        own = {item.album}
        given, account = self._queue.notes.given, item.account
        for album, name in given.places_of(account, replaced.id):
            also = given.of(account, album)[name].also
            if (album, name) != (item.album, item.name) and (also or is_another(base.name, name)):
                copies[album, name] = also
            else:
                own.add(album)
        for other in self._order.about(replaced.id):
            if other.id == item.id or (other.album, other.name) == (item.album, item.name):
                continue
            became_it = other.verb is Verb.UPLOAD and other.sent is not None and other.sent.id == replaced.id
            if other.verb is Verb.ADD or became_it:
                is_copy = other.verb is Verb.UPLOAD and other.also
                if is_copy or is_another(base.name, name_of(other)):
                    copies.setdefault((other.album, other.name), other.also)
                else:
                    own.add(other.album)
        apart = {album for (album, _), also in copies.items() if not also} - own
        return set(copies), apart, own

    async def _equal(self, item: Item, replaced: Asset) -> dict[Place, Item]:
        """What waits to be sent with the very bytes that the photo had; all of it, when this returns."""
        is_equal: dict[tuple[str, int], bool] = {}
        sha1 = self._told_sum(replaced)
        while True:
            waiting = self._waiting(item, replaced)
            unseen = [other for other in waiting if (other.id, other.generation) not in is_equal]
            if not unseen:
                return {(one.album, one.name): one for one in waiting if is_equal[one.id, one.generation]}
            if sha1 is None:
                try:
                    sha1 = (await self._provider.asset(replaced.id)).checksum
                except AssetGone:  # an earlier try may have replaced it
                    return {}
            for other in unseen:
                is_equal[other.id, other.generation] = sha1 is not None and await self._sum(other) == sha1

    def _waiting(self, item: Item, replaced: Asset) -> list[Item]:
        """What waits to be sent, and may be a copy of the photo by its length."""
        size_bytes = replaced.size_bytes
        return [
            other
            for other in self._queue.items(item.account)
            if other.verb is Verb.UPLOAD and other.id != item.id and other.generation > 0
            and other.size_bytes == size_bytes and other.stage not in NO_MORE and not other.stays
            and (other.base is None or self._order.current(other.base.asset) != replaced.id)
            and mark_of(other.album) is None
        ]  # fmt: skip

    def _told_sum(self, replaced: Asset) -> bytes | None:
        """Of the photo, where its album's listing told it."""
        told = self._listings.told_last(replaced.album)[0]
        name = None if told is None else told.name_of(replaced.id)
        entry = None if told is None or name is None else told.get(name)
        is_it = isinstance(entry, Asset) and entry.version == replaced.version
        return entry.checksum if isinstance(entry, Asset) and is_it else None

    async def _sum(self, item: Item) -> bytes | None:
        """None for what cannot be read now, and will not be sent so."""
        try:
            return (await sum_of(self._queue.spool, item, self._threads)).sha1
        except (Rejected, StoreError) as error:
            log.debug("%s is no copy of anything: %s", item.name, error)
            return None

    def _comes_alone(self, waiting: Item, item: Item, replaced: Asset) -> bool:
        """The photo itself is not in the album that a copy is on its way to. What is listed there once that has been
        tried may be the copy."""
        told = self._listings.told_last(AlbumId(self._order.current(waiting.album)))[0]
        is_listed = told is not None and told.name_of(replaced.id) is not None
        return waiting.album != item.album and (waiting.tries > 0 or not is_listed)

    def left(self, item: Item) -> list[Place]:
        """Those of `Item.kept`, as their albums are called now, that nobody has taken away since. What is still a copy
        of another photo is one of this when it is sent, and takes that one out of the album then."""
        given, found = self._queue.notes.given, []
        for album, name in item.kept:
            now = AlbumId(self._order.current(album))
            one = given.of(item.account, now).get(name)
            if one is not None and self._order.current(one.asset) != self._order.current(item.asset_id):
                continue
            waits = any(one.name == name and one.id != item.id for one in self._queue.in_album(item.account, now))
            if waits or name in given.of(item.account, now):
                found.append((now, name))
        return found

    async def pass_on(self, item: Item, old: AssetId, new: AssetId) -> None:
        """`new`, as which the item was sent, has taken the place of `old`, but for the names that are left to that.
        Errors: StoreFull, StoreError."""
        notes = self._queue.notes
        rows = self._became(old)
        copies = {album for album, _ in notes.given.places_of(item.account, old)} | {row.album for row in rows}
        beside = {album for album in copies if is_beside(self._listings, album, old, new)}
        beside |= self._beside.pop(item.id, frozenset())
        left = self.left(item) if old != new else []
        if item.kept and old != new:
            await notes.parted(item.account, old, new, item.not_carried, left, beside)
        else:
            await notes.replaced(item.account, old, new, item.not_carried, beside)
        taken = [row for row in rows if row.album in beside and (row.album, row.name) not in left]
        also = [replace(row, also=True) for row in taken if self._queue.get(row.id) is row]
        if also and old != new:
            await self._queue.commit(*also)

    def _is_overwritten(self, item: Item, place: Place, replaced: Asset) -> bool:
        """Other bytes wait under the name, or were sent, so that it is none for what was there."""
        album, name = place
        return any(
            other.name == name and other.verb is Verb.UPLOAD and other.base is None and other.generation > 0
            and (other.stage in TO_BE_SENT or other.stage is Stage.OPEN
                 or (other.sent is not None and other.sent.id != replaced.id))
            for other in self._queue.in_album(item.account, album)
        )  # fmt: skip


def asset_of_base(base: Base, order: WaitingOrder) -> Asset:
    """What is replaced, by the ids that are in use now."""
    return Asset(
        id=AssetId(order.current(base.asset)),
        album=AlbumId(order.current(base.album)),
        name=base.name,
        version=Version(base.version),
        size_bytes=base.size_bytes,
        mtime_ns=base.mtime_ns,
        changed_ns=base.changed_ns,
        media_type=kind_of(base.name) or UNKNOWN_TYPE,
    )
