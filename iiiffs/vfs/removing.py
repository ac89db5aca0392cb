"""Taking away: unlink and rmdir. Nothing of a provider's is thrown away: it goes to a trash, or only out of an album.

A file that was never sent is the program's own: its payload goes with it. Rule: DESIGN §4, the table.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from iiiffs.errors import AssetGone, Forbidden, IsDirectory, NotDirectory, NotEmpty, ReadOnly, VersionChanged
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId
from iiiffs.model.writing import AlbumVerb
from iiiffs.providers.base import Provider
from iiiffs.providers.views import LIBRARY
from iiiffs.sync.items import Base, Item, Stage, Verb, is_local_id
from iiiffs.sync.stages import resting
from iiiffs.tree.nodes import Node
from iiiffs.tree.places import Place
from iiiffs.vfs import changing
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.changing import SYNTHETIC_DIRECTORIES, Spot, at_once, existing, forget_sent, may_edit, may_mark, spot
from iiiffs.vfs.local_files import Interrupt
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.unanswered import taken_back, unwanted, with_assets
from iiiffs.vfs.waiting_order import TO_BE_SENT

READ_BYTES = 1 << 20


class Removals:
    """unlink and rmdir, for one mount."""

    def __init__(
        self,
        galleries: Galleries,
        queue: Queue,
        interrupt: Interrupt,
        is_open: Callable[[str], bool],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`is_open`: whether a program has the item of that id open for writing."""
        self._is_open = is_open
        self._galleries = galleries
        self._queue = queue
        self.interrupt = interrupt
        self._now_ns = now_ns

    async def unlink(self, parent: Node, name: str) -> None:
        """The file has that name no more. An entry of ours stays, though it was asked for."""
        if isinstance(parent, SYNTHETIC_DIRECTORIES):
            self.keep(parent)
            return
        where = spot(self._galleries, parent, name)
        waiting = await where.waiting()
        if waiting is not None:
            await self.unlink_waiting(where, waiting)
            return
        refused = where.overlay.refused_named(where.album, name)
        if refused is not None:
            await self.drop(refused)
            return
        entry = await existing(where)
        if isinstance(entry, Album):
            raise IsDirectory(f"{name} is a directory")
        may_edit(where.gallery, "removing")
        if entry is not None:
            await self.remove(where, entry)

    async def unlink_waiting(self, where: Spot, waiting: Item) -> None:
        """A file that waits is not sent; what it was to replace is removed as if it had been asked for itself."""
        if waiting.base is not None:
            may_edit(where.gallery, "removing")
        current = await self.held(where, waiting)
        if current is None:
            raise VersionChanged(f"{where.name} does not wait any more; look again")
        if current.stage is Stage.SENT and current.sent is not None:
            may_edit(where.gallery, "removing")
            await self.remove(where, current.sent)
            return
        try:
            if current.base is not None:
                may_edit(where.gallery, "removing")
                await self.remove(where, changing.asset_of_base(current.base), where.overlay.unanswered(current))
                if where.place is Place.FOLDER:
                    where.gallery.expire(None)  # others may have moved it since it was opened
        except BaseException:
            self.let_go(current, waiting)
            raise
        if current.base is not None and where.writing.membership and where.place.is_set:
            self._leave_in_library(current, waiting)
            return
        links = self._links(current)
        self.take_back(where, current, stays=bool(links))
        if not await self.moved_to_another_name(current, waiting):
            await self.drop(current)
        await where.overlay.copies.leave(where.album, where.name)

    def take_back(self, where: Spot, file: Item, *, stays: bool) -> None:
        """What may have arrived of the file is in its album no more; with the next commit. Rule: vfs.unanswered."""
        earlier = where.overlay.unanswered(file) if where.writing.membership else ()
        if earlier:
            self._queue.note(taken_back(self._queue, file, earlier, self._now_ns(), stays=stays))

    def _leave_in_library(self, held: Item, before: Item) -> None:
        """The photo goes on being in the library, and its new bytes are nobody's to drop: they are sent, and shown
        where it still is."""
        self.let_go(held, before)
        latest = self._queue.get(held.id)
        if latest is not None:
            self._queue.note(replace(latest, album=LIBRARY))

    async def held(self, where: Spot, item: Item) -> Item | None:
        """The file as it is now, and nobody sends it until it is committed or let go; SENT if it was too late; None if
        it is gone. What it replaces is what is there now: what may have arrived of it, though no answer did; nothing
        if its base is not there any more, for what somebody else made of that is not its to change.

        Errors: ReadOnly if that has to be asked, and cannot be.
        """
        held = await self.caught(item)
        if held is None or held.stage is Stage.SENT:
            return held
        is_new = held.base is None and not held.earlier
        if is_new or where.writing.membership or is_local_id(held.album):
            return held
        try:
            base = await (self._arrived(where, held) if held.base is None else self._remaining(where, held, held.base))
        except BaseException:
            self.let_go(held, item)
            raise
        latest = self._queue.get(item.id)
        if latest is None or latest.base == base:
            return latest
        where.gallery.expire(held.album)
        latest = replace(latest, base=base)
        self._queue.hold(latest)
        return latest

    async def caught(self, item: Item) -> Item | None:
        """As `held`, and nobody is asked what may have arrived."""
        await self.interrupt(item)
        current = self._queue.get(item.id)
        if current is None or current.stage is Stage.SENT:
            return current
        held = replace(current, stage=Stage.OPEN)
        self._queue.hold(held)
        return held

    async def _arrived(self, where: Spot, item: Item) -> Base | None:
        """What of the file came to its provider: of its name, and with bytes that were sent."""
        try:
            listing = await at_once(where.gallery, partial(where.gallery.provider.listing, item.album))
        except AssetGone:
            return None
        for asset in listing.assets:
            if asset.name == item.name:
                is_ours = await self._is_ours(where, item, asset)
                return changing.base_of(asset, item.album, item.name) if is_ours else None
        return None

    async def _remaining(self, where: Spot, item: Item, base: Base) -> Base | None:
        """What it replaces, with the version that it has if that is the file's own, which arrived unanswered."""
        try:
            asset = await at_once(where.gallery, partial(where.gallery.provider.asset, base.asset))
        except AssetGone:
            return None
        if asset.version == base.version:
            return base
        return changing.base_of(asset, base.album, base.name) if await self._is_ours(where, item, asset) else None

    async def _is_ours(self, where: Spot, item: Item, asset: Asset) -> bool:
        """The asset's bytes are some that were sent of the item."""
        if not item.earlier:
            return False
        sha1 = asset.checksum or await at_once(where.gallery, partial(_sum_of, where.gallery.provider, asset))
        return sha1 in item.earlier

    def let_go(self, held: Item, before: Item) -> None:
        """What was held and is not changed after all is to be sent as `before`, unless a program has it open."""
        latest = self._queue.get(held.id)
        if latest is None or latest.stage is not Stage.OPEN:
            return
        if self._is_open(held.id) or before.stage in (Stage.OPEN, Stage.SENDING):
            latest = resting(latest, is_open=self._is_open(held.id))
        else:
            latest = replace(latest, stage=before.stage, reason=before.reason)
        self._queue.note(latest)

    async def moved_to_another_name(self, item: Item, before: Item) -> bool:
        """A file that was linked into another album before it was sent is only there now; False if it was not. One that
        had failed before it was held waits there for a person."""
        links = self._links(item)
        if not links:
            return False
        link = links[0]
        moved = replace(item, album=link.album, name=link.name, order=self._queue.next_order())
        moved = resting(moved, is_open=self._is_open(item.id))
        if before.stage is Stage.FAILED and moved.stage is not Stage.OPEN:
            moved = replace(moved, stage=before.stage, reason=before.reason)
        await self._queue.exchange(moved, [link.id, *self.brought_back(link.album, item)])
        return True

    def _links(self, item: Item) -> list[Item]:
        """What says that a new file is in other albums too."""
        others = self._queue.about(AssetId(item.id)) if item.base is None else []
        return [other for other in others if other.verb is Verb.ADD]

    def brought_back(self, album: AlbumId, file: Item) -> list[str]:
        """Ids of what said that the album is not to hold the file, which is moved there now."""
        said = self._queue.about(AssetId(file.id))
        return [item.id for item in said if item.verb is Verb.TAKE_OUT and item.album == album]

    def depending(self, item: Item, now: Item | None = None) -> list[str]:
        """Ids of what makes no sense without the file. What may have arrived of it elsewhere is taken out there all the
        same, and with it what takes its place: `now`."""
        others = self._queue.about(AssetId(item.id))
        for other in others:
            if other.verb is Verb.TAKE_OUT and other.earlier:
                self._queue.note(replace(other, assets=() if now is None else (AssetId(now.id),)))
        return [other.id for other in others if not (other.verb is Verb.TAKE_OUT and other.earlier)]

    async def drop(self, item: Item) -> None:
        """The item and all that waits for it are no more, nor is a conflict that it was in."""
        await self._queue.drop_all([item.id, *self.depending(item)])
        await self._queue.resolve_conflict(item.id)

    async def remove(self, where: Spot, asset: Asset, earlier: tuple[bytes, ...] = ()) -> None:
        """What removing means there: out of the album, to the trash, or liked no more. `earlier`: of its new bytes."""
        match where.place:
            case Place.FOLDER | Place.TIMELINE:
                album = None if where.place is Place.TIMELINE else where.album
                await at_once(where.gallery, partial(where.provider.remove, asset), album)
                for shown in (where.album, asset.album):
                    where.gallery.done(shown, asset.id, None)
                await self._queue.drop_all([item.id for item in where.overlay.arrivals.of(where.album, asset.id)])
            case Place.ALBUM | Place.FAVORITES | Place.TAG:
                may_mark(where)
                if not await where.overlay.take_name(where.album, where.name, asset.id):
                    await self._take_out(where, asset, earlier)
            case Place.TRASH:
                raise Forbidden("the trash is emptied at the provider; mv brings a photo back into an album")
            case _:
                raise Forbidden(f"{where.place.value}/: nothing is removed here; remove it from its album or folder")
        album = None if where.place is Place.TIMELINE else where.album
        await forget_sent(where.overlay, self._queue, asset.id, album)

    async def move_out(self, where: Spot, asset: Asset, add: Item) -> None:
        """`add`, which puts the asset into another album, is said, and that it is out of this one: never one alone."""
        if await where.overlay.take_name(where.album, where.name, asset.id):
            self._queue.note(add)
        else:
            await self._take_out(where, asset, (), add)
        await forget_sent(where.overlay, self._queue, asset.id, where.album)

    async def _take_out(self, where: Spot, asset: Asset, earlier: tuple[bytes, ...], *said_first: Item) -> None:
        """Journaled, and sent together with others; an adding that was not sent yet is taken back."""
        await changing.withdraw_additions(self._queue, self.interrupt, where.album, asset.id)
        for item in said_first:
            self._queue.note(item)
        item = self._item(where, Verb.TAKE_OUT)
        item = replace(item, assets=(asset.id,), name=where.name, sha1=asset.checksum)
        self._queue.note(replace(item, earlier=earlier))

    def _item(self, where: Spot, verb: Verb) -> Item:
        id, order = self._queue.new_id(), self._queue.next_order()
        return Item(id, order, where.gallery.name, verb, Stage.SETTLING, where.album, "", self._now_ns())

    async def remove_directory(self, parent: Node, name: str) -> None:
        """The album is gone; it was empty. Errors: NotEmpty, NotDirectory."""
        if isinstance(parent, SYNTHETIC_DIRECTORIES):
            self.keep(parent)
            return
        where = spot(self._galleries, parent, name)
        entry = await existing(where)
        if entry is None:
            may_edit(where.gallery, "removing")
            return
        if isinstance(entry, Asset):
            raise NotDirectory(f"{name} is a file")
        await self.remove_album(where, entry)

    async def remove_album(self, where: Spot, album: Album) -> None:
        """An empty album is gone. Errors: NotEmpty, and what `at_once` raises."""
        making = self._queue.get(album.id) if is_local_id(album.id) else None
        if making is not None:
            await self.interrupt(making)
            album = replace(album, id=where.overlay.album_id(album.id))
        if where.overlay.aside.names(album.id):  # what it shows again in a moment
            raise NotEmpty(f"{where.name} is not empty")
        if self._queue.in_album(where.gallery.name, album.id):
            listing = await where.gallery.listing(album.id)
            if listing.assets or listing.albums:
                raise NotEmpty(f"{where.name} is not empty")
        if is_local_id(album.id):
            await self._drop_album(album)
            return
        may_edit(where.gallery, "removing an album")
        if AlbumVerb.REMOVE not in where.writing.album_verbs or not where.place.holds_albums:
            lack = where.writing.lack(AlbumVerb.REMOVE) if where.place.holds_albums else ""
            raise Forbidden(f"{where.gallery.name}: albums cannot be removed here{lack}")
        if any(item.verb is Verb.TAKE_OUT for item in self._queue.in_album(where.gallery.name, album.id)):
            await self._taken_out(where, album)
        await at_once(where.gallery, partial(where.provider.remove_album, album.id), where.album, album.id)
        where.gallery.done(where.album, album.id, None)
        await where.gallery.remembered(where.album)

    async def _drop_album(self, album: Album) -> None:
        """It is not made; one that its provider was asked for may be there, and is removed as soon as that is known."""
        making = self._queue.get(album.id)
        if making is not None and making.generation:
            await self._queue.commit(unwanted(making))
        else:
            await self._queue.drop(album.id)

    async def _taken_out(self, where: Spot, album: Album) -> None:
        """What waits to be taken out of an album that goes is taken out now, so that it is empty at its provider. New
        bytes take over the albums of the old ones, so none of it is on its way meanwhile."""
        caught: list[tuple[Item, Item]] = []
        try:
            for upload in self._new_bytes(where, self._to_take_out(where, album)):
                held = await self.caught(upload)
                if held is not None:
                    caught.append((held, upload))
            items = self._to_take_out(where, album)
            told = await at_once(where.gallery, partial(with_assets, where.gallery.provider, album.id, items))
            assets = [where.overlay.asset_id(asset) for item in told for asset in item.assets]
            failed = await at_once(where.gallery, partial(where.provider.take_out, album.id, assets))
            if failed:
                reason = next(iter(failed.values()))
                raise NotEmpty(f"{where.name}: {len(failed)} photos could not be taken out: {reason}")
            await self._queue.drop_all([item.id for item in items])
        finally:
            for held, upload in caught:
                self.let_go(held, upload)

    def _to_take_out(self, where: Spot, album: Album) -> list[Item]:
        items = self._queue.in_album(where.gallery.name, album.id)
        return [item for item in items if item.verb is Verb.TAKE_OUT and item.stage is not Stage.FAILED]

    def _new_bytes(self, where: Spot, items: list[Item]) -> list[Item]:
        """The files that have new bytes for what those items are about, and are sent, or may be at any moment."""
        found = (where.overlay.item_of(asset) for item in items for asset in item.assets)
        return list({file.id: file for file in found if file is not None and file.stage in TO_BE_SENT}.values())

    def keep(self, parent: Node) -> None:
        """Entries of ours stay; whoever may change things need not know. Errors: ReadOnly, Forbidden."""
        account = getattr(parent, "account", None)
        gallery = None if account is None else self._galleries[account]
        if gallery is None or gallery.writing is None:
            raise ReadOnly("nothing may be changed here")
        may_edit(gallery, "removing")


async def _sum_of(provider: Provider, asset: Asset) -> bytes:
    """SHA-1 of the asset's bytes. Errors: AssetGone, VersionChanged."""
    original = await provider.open(asset)
    try:
        sha1 = hashlib.sha1(usedforsecurity=False)
        for offset in range(0, original.size_bytes, READ_BYTES):
            sha1.update(await original.read(offset, READ_BYTES))
        return sha1.digest()
    finally:
        await original.aclose()
