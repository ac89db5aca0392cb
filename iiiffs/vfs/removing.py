"""Taking away: unlink and rmdir. Nothing of a provider's is thrown away: it goes to a trash, or only out of an album.

A file that was never sent is the program's own: its payload goes with it. Rule: DESIGN §4, the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from iiiffs.errors import Forbidden, IsDirectory, NotDirectory, NotEmpty, ReadOnly
from iiiffs.model.gallery import Album, Asset
from iiiffs.model.writing import AlbumVerb, Edit, Property
from iiiffs.sync.items import Item, Stage, Verb, is_local_id
from iiiffs.tree.nodes import Node
from iiiffs.tree.places import Place
from iiiffs.vfs import changing
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.changing import SYNTHETIC_DIRECTORIES, Spot, at_once, existing, may_edit, spot
from iiiffs.vfs.local_files import Interrupt
from iiiffs.vfs.queue import Queue


class Removals:
    """unlink and rmdir, for one mount."""

    def __init__(
        self, galleries: Galleries, queue: Queue, interrupt: Interrupt, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
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
        await self.interrupt(waiting)
        current = self._queue.get(waiting.id)
        if current is not None and current.stage is Stage.SENT and current.sent is not None:
            may_edit(where.gallery, "removing")
            await self.remove(where, current.sent)
            return
        if waiting.base is not None:
            await self.remove(where, changing.asset_of_base(waiting.base))
        await self.drop(waiting)

    async def drop(self, item: Item) -> None:
        """The item and all that waits for it are no more."""
        depending = [other.id for other in self._queue.items(item.account) if item.id in other.assets]
        await self._queue.drop_all([item.id, *depending])

    async def remove(self, where: Spot, asset: Asset) -> None:
        """What removing means there: out of the album, to the trash, or liked no more."""
        match where.place:
            case Place.FOLDER | Place.TIMELINE:
                await at_once(where.gallery, partial(where.provider.remove, asset))
                where.gallery.expire(None if where.place is Place.TIMELINE else where.album)
            case Place.ALBUM:
                if not await where.overlay.take_name(where.album, where.name, asset.id):
                    await self._take_out(where, asset)
            case Place.FAVORITES if Property.FAVORITE in where.writing.properties:
                self._queue.note(replace(self._item(where, Verb.EDIT), assets=(asset.id,), edit=Edit(favorite=False)))
            case Place.TRASH:
                raise Forbidden("the trash is emptied at the provider; mv brings a photo back into an album")
            case _:
                raise Forbidden(f"{where.place.value}/: nothing is removed here; remove it from its album or folder")

    async def _take_out(self, where: Spot, asset: Asset) -> None:
        """Journaled, and sent together with others; an adding that was not sent yet is taken back."""
        for item in self._queue.in_album(where.gallery.name, where.album):
            if item.verb is Verb.ADD and item.assets == (asset.id,) and item.stage in (Stage.SETTLING, Stage.READY):
                await self._queue.drop(item.id)
        self._queue.note(replace(self._item(where, Verb.TAKE_OUT), assets=(asset.id,), name=where.name))

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
        if self._queue.in_album(where.gallery.name, album.id):
            listing = await where.gallery.listing(album.id)
            if listing.assets or listing.albums:
                raise NotEmpty(f"{where.name} is not empty")
        if is_local_id(album.id):
            await self._queue.drop(album.id)
            return
        may_edit(where.gallery, "removing an album")
        if AlbumVerb.REMOVE not in where.writing.album_verbs or not where.place.holds_albums:
            raise Forbidden(f"{where.gallery.name}: albums cannot be removed here")
        if any(item.verb is Verb.TAKE_OUT for item in self._queue.in_album(where.gallery.name, album.id)):
            await self._taken_out(where, album)
        await at_once(where.gallery, partial(where.provider.remove_album, album.id))
        where.gallery.expire(where.album)

    async def _taken_out(self, where: Spot, album: Album) -> None:
        """What waits to be taken out of an album that goes is taken out now, so that it is empty at its provider."""
        items = [
            item
            for item in self._queue.in_album(where.gallery.name, album.id)
            if item.verb is Verb.TAKE_OUT and item.stage is not Stage.FAILED
        ]
        assets = [where.overlay.asset_id(asset) for item in items for asset in item.assets]
        failed = await at_once(where.gallery, partial(where.provider.take_out, album.id, assets))
        if failed:
            raise NotEmpty(f"{where.name}: {len(failed)} photos could not be taken out: {next(iter(failed.values()))}")
        await self._queue.drop_all([item.id for item in items])

    def keep(self, parent: Node) -> None:
        """Entries of ours stay; whoever may change things need not know. Errors: ReadOnly, Forbidden."""
        account = getattr(parent, "account", None)
        gallery = None if account is None else self._galleries[account]
        if gallery is None or gallery.writing is None:
            raise ReadOnly("nothing may be changed here")
        may_edit(gallery, "removing")
