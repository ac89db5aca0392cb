"""What programs make: files, albums, links, and changes of what a file is like. Renaming and removing: beside this.

Everything is refused before it is begun, or is kept: no call answers 0 for what would not be done. Rule: DESIGN §4.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from iiiffs.errors import (
    AlreadyThere,
    Forbidden,
    OtherAccount,
    ReadOnly,
    VersionChanged,
)
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset
from iiiffs.model.writing import AlbumVerb, Edit
from iiiffs.providers.media import kind_of
from iiiffs.providers.views import TRASH
from iiiffs.sync.items import ASKED_FOR, Item, Stage, Verb, is_local_id
from iiiffs.tree import attributes as attrs
from iiiffs.tree.albums import ALIASES
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.junk import is_junk
from iiiffs.tree.names import legal_name
from iiiffs.tree.nodes import AlbumDir, Copy, Discarded, DiscardedDir, Document, File, Local, Node, Original, Page
from iiiffs.tree.places import Place, is_synthetic
from iiiffs.tree.scratch import is_scratch
from iiiffs.tree.shelves import Shelf, ShelfKind
from iiiffs.vfs import changing
from iiiffs.vfs.albums import Galleries, asset_shown
from iiiffs.vfs.changing import (
    SYNTHETIC_DIRECTORIES,
    Spot,
    at_once,
    at_provider,
    may_edit,
    may_hold,
    may_mark,
    must_be_free,
    spot,
)
from iiiffs.vfs.entries import Found
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.handles import DiscardHandle, WritableHandle
from iiiffs.vfs.local_files import LocalFiles, LocalHandle
from iiiffs.vfs.modes import file_mode
from iiiffs.vfs.properties import Properties
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.refused import about, is_refused, refuse_refused
from iiiffs.vfs.unopened import opened_or_later


@dataclass(frozen=True, slots=True)
class Wanted:
    """What setattr asks for; None leaves a thing as it is. Modes and owners are not kept."""

    size_bytes: int | None = None
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Touched:
    """An original whose time was changed: the version that it is now, and its time."""

    node: Original
    mtime_ns: int


class Changes:
    """Makes and changes; for one mount."""

    def __init__(
        self,
        galleries: Galleries,
        queue: Queue,
        files: LocalFiles,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._galleries = galleries
        self._queue = queue
        self._files = files
        self._now_ns = now_ns
        self.properties = Properties(galleries, queue, files.interrupt, now_ns)

    # ---- files ------------------------------------------------------------------------------------------------

    async def create(self, parent: Node, name: str, flags: int) -> tuple[Found, WritableHandle]:
        """A new, empty file, open. Errors: AlreadyThere with O_EXCL; ReadOnly, Forbidden, StoreFull."""
        if isinstance(parent, SYNTHETIC_DIRECTORIES) or is_synthetic(name):
            return self._discarded(parent, name), DiscardHandle()
        where = spot(self._galleries, parent, name)
        may_hold(where)
        was_aside = where.overlay.aside.take(where.album, name)
        entry = await where.entry()
        if was_aside and isinstance(entry, Asset):
            item = await self._put_aside(where, entry)
            return self.found(where.gallery, item), await self._files.open(item, writes=True, truncates=True)
        if entry is not None:
            if flags & os.O_EXCL:
                raise AlreadyThere(f"{name} is there already")
            raise VersionChanged(f"{name} appeared meanwhile")  # the kernel looks again, and opens it
        item = self._item(where, Verb.UPLOAD, Stage.OPEN, name)
        handle = await self._files.create(item)
        where.overlay.filling.go_on(where.album)
        return self.found(where.gallery, item), handle

    async def _put_aside(self, where: Spot, asset: Asset) -> Item:
        """The file that takes the place of a photo which its program has renamed away a moment ago."""
        waiting = await where.waiting()
        if waiting is not None:
            return waiting
        account = where.directory.account
        return await self._replacing(where.overlay.copies.node(account, asset, where.album, where.name))

    async def open(self, node: File, flags: int) -> tuple[WritableHandle, Local | None]:
        """An existing file, open for writing; and the file that an original has become by that."""
        truncates = bool(flags & os.O_TRUNC)
        match node:
            case Local(_, id):
                item = self._queue.get(id)
                if item is None:
                    raise VersionChanged("this file has reached its provider since it was looked up")
                refuse_refused(item)
                return await self._files.open(item, writes=True, truncates=truncates), None
            case Original():
                item = await self._replacing(node)
                handle = await self._files.open(item, writes=True, truncates=truncates)
                return handle, Local(node.account, item.id)
            case Discarded() | Document() | Page():
                self._may_discard(node)
                return DiscardHandle(), None
        raise ReadOnly("this file is made by iiiffs and cannot be written")

    async def open_local(self, node: Local) -> LocalHandle:
        """An existing file, open for reading. Errors: VersionChanged."""
        item = self._queue.get(node.item)
        if item is None:
            raise VersionChanged("this file has reached its provider since it was looked up")
        return await self._files.open(item, writes=False)

    async def refused(self, node: Local) -> Asset | None:
        """What a name shows that was refused (rule: vfs.refused); None for a file with bytes of its own.

        Errors: VersionChanged if it is another than when it was looked up; as `Gallery.asset`.
        """
        item = self._queue.get(node.item)
        if item is None or not is_refused(item):
            return None
        asset = await self._galleries[node.account].asset(item.assets[0])
        if (asset.size_bytes, asset.mtime_ns) != (item.size_bytes, item.mtime_ns):
            self._queue.note(about(item, asset))
            raise VersionChanged(f"{item.name} has changed since it was looked up")
        return asset

    async def _replacing(self, node: Original) -> Item:
        """From now on the asset, or the copy of it, is a file that may be written; nothing of it is, yet.

        Errors: VersionChanged if it is another by now, or was one already: the kernel looks again.
        """
        gallery = self._galleries[node.account]
        if gallery.overlay is None or gallery.writing is None:
            raise ReadOnly(changing.refusal(gallery))
        may_edit(gallery, "changing a file")
        asset = await asset_shown(gallery, node)
        changing.must_not_lie_in_trash(asset)
        if asset.version != node.version:
            gallery.expire(asset.album)
            raise VersionChanged(f"{asset.name} has changed since it was looked up")
        if isinstance(node, Copy):
            album, name = gallery.overlay.album_id(node.album), node.name
        else:
            album, name = await changing.home_of(gallery, gallery.overlay.home(asset), asset)
        source = await opened_or_later(gallery, asset)
        is_copy = isinstance(node, Copy)
        overlay = gallery.overlay
        if overlay.item_named(album, name) is not None if is_copy else overlay.is_another(asset):
            await source.aclose()
            raise VersionChanged(f"{name} is being written already, or was since it was looked up")
        item = Item(
            self._queue.new_id(), self._queue.next_order(), gallery.name, Verb.UPLOAD, Stage.OPEN, album, name,
            self._now_ns(), size_bytes=asset.size_bytes or 0, mtime_ns=asset.mtime_ns,
            base=None if is_copy else changing.base_of(asset, album, name),
        )  # fmt: skip
        self._files.begin(item, source)
        return item

    def waits(self, node: Local) -> bool:
        """True while the file is one that waits, or that a program has open."""
        return self._files.known(node.item) is not None

    def is_untouched(self, node: Local) -> bool:
        """True if it is open for writing, and still has the bytes that it had."""
        return self._files.is_untouched(node.item)

    def local_attributes(self, node: Local) -> Attributes:
        """Of a file that waits, or that a program has open. Errors: VersionChanged."""
        live = self._files.known(node.item)
        if live is None:
            raise VersionChanged("this file has reached its provider since it was looked up")
        return attrs.local_file(live.size_bytes, live.mtime_ns)

    def sent_as(self, account: AccountName, item: Item, asset: Asset) -> Original:
        """What a file that was sent as the asset is from now on."""
        overlay = self._galleries[account].overlay
        if overlay is None:
            return Original(account, asset.id, asset.version)
        return overlay.copies.node(account, asset, item.album, item.name)

    def found(self, gallery: Gallery, item: Item) -> Found:
        """The file that waits, as a lookup tells of it."""
        live = self._files.live(item)
        return Found(Local(gallery.account, item.id), attrs.local_file(live.size_bytes, live.mtime_ns))

    def _discarded(self, parent: Node, name: str, *, is_directory: bool = False) -> Found:
        gallery = self._may_discard(parent)
        album = parent.album if isinstance(parent, (AlbumDir, *SYNTHETIC_DIRECTORIES)) else AlbumId("")
        path = name if isinstance(parent, AlbumDir) else f"{getattr(parent, 'name', ALIASES)}/{name}"
        if is_directory:
            made = Found(
                DiscardedDir(gallery.account, album, path), attrs.directory(self._now_ns(), mode=0o755, entry_s=0.0)
            )
        else:
            made = Found(Discarded(gallery.account, album, path), attrs.local_file(0, self._now_ns()))
        self._remember(gallery, album, path, made)
        return made

    def _remember(self, gallery: Gallery, album: AlbumId, path: str, made: Found) -> None:
        if gallery.overlay is not None:
            album = gallery.overlay.album_id(album)
            gallery.overlay.filling.go_on(album)
            gallery.overlay.filling.discard(album, path, made)

    def _may_discard(self, node: Node) -> Gallery:
        account = getattr(node, "account", None)
        gallery = self._galleries.get(account) if account else None
        if gallery is None:
            candidates = [gallery for gallery in self._galleries.values() if gallery.writing is not None]
            if not candidates:
                raise ReadOnly("nothing may be changed on this mount")
            return candidates[0]
        if gallery.writing is None:
            raise ReadOnly(changing.refusal(gallery))
        return gallery

    def symlink(self, parent: Node, name: str) -> Found:
        """Only a copy of a link of ours is taken, and not kept. Errors: Forbidden for any other."""
        if not isinstance(parent, SYNTHETIC_DIRECTORIES) and not is_synthetic(name):
            self.refuse_kind(parent, name, "symlinks")
        made = self._discarded(parent, name)
        link = Found(made.node, attrs.link("", self._now_ns()))
        assert isinstance(made.node, Discarded), "it was made just now"
        self._remember(self._galleries[made.node.account], made.node.album, made.node.name, link)
        return link

    def refuse_kind(self, parent: Node, name: str, kind: str) -> NoReturn:
        """Nothing of that kind is made anywhere. Errors: ReadOnly where nothing else may be made either, Forbidden."""
        spot(self._galleries, parent, name)
        raise Forbidden(f"{name}: a gallery holds files and folders, and no {kind}")

    # ---- albums -----------------------------------------------------------------------------------------------

    async def make_directory(self, parent: Node, name: str) -> Found:
        """A new album or folder; made by its provider now if that can be asked, else shown, and made later."""
        if isinstance(parent, SYNTHETIC_DIRECTORIES) or (isinstance(parent, AlbumDir) and name == ALIASES):
            return self._discarded(parent, name, is_directory=True)
        where = spot(self._galleries, parent, name)
        if where.place is Place.TAGS:
            return await self._make_tag(where)
        self._may_hold_album(where)
        await must_be_free(where)
        revived = where.overlay.unwanted(where.album, name)
        id = self._queue.new_id() if revived is None else revived.id
        was_asked = not is_local_id(where.album) and where.gallery.trouble is None
        album = await self._made_now(where, name, id) if was_asked and revived is None else None
        if album is None:
            asked = ASKED_FOR if was_asked or revived is not None else 0
            token = None if revived is None else revived.token
            item = self._item(where, Verb.MAKE_ALBUM, Stage.READY, name)
            item = replace(item, id=id, generation=asked, token=token)
            await self._queue.commit(item)
            album = Album(AlbumId(id), name, where.album, item.began_ns)
        where.overlay.filling.go_on(where.album)
        where.overlay.filling.begin(album.id)
        node = AlbumDir(where.directory.account, album.id, where.directory.depth + 1)
        return Found(node, attrs.directory(album.mtime_ns or self._now_ns(), mode=0o755))

    async def _make_tag(self, where: Spot) -> Found:
        """At once: a tag has no id before its provider gave it one."""
        if not where.writing.tags:
            raise Forbidden(f"{where.gallery.name}: no tags can be made here{where.writing.lack('tags')}")
        if is_synthetic(where.name) or is_junk(where.name) or legal_name(where.name) != where.name:
            raise Forbidden(f"{where.name!r} cannot be the name of a tag")
        may_edit(where.gallery, "making a tag")
        await must_be_free(where)
        made = await at_once(where.gallery, partial(where.provider.make_tag, where.name))
        where.gallery.expire(where.album)
        node = AlbumDir(where.directory.account, Shelf(ShelfKind.TAG, made.id).id, where.directory.depth + 1)
        return Found(node, attrs.directory(self._now_ns(), mode=0o755))

    async def _made_now(self, where: Spot, name: str, token: str) -> Album | None:
        """The album, if its provider can make it now; None if it is to be told later."""
        try:
            work = partial(where.provider.make_album, where.album, name, token)
            album = await at_once(where.gallery, work, where.album)
        except ReadOnly:
            return None
        where.gallery.done(where.album, album.id, album)
        await where.gallery.remembered(where.album)
        return album

    def _may_hold_album(self, where: Spot) -> None:
        if (
            where.place is Place.ALBUM
            or not where.place.holds_albums
            or AlbumVerb.MAKE not in where.writing.album_verbs
        ):
            lack = where.writing.lack(AlbumVerb.MAKE) if where.place.holds_albums else ""
            raise Forbidden(f"{where.gallery.name}: no album can be made here{lack}")
        is_passing = is_scratch(where.name) and where.place is Place.ALBUMS
        is_another = where.place is not Place.FOLDER and legal_name(where.name) != where.name
        if is_passing or is_synthetic(where.name) or is_junk(where.name) or is_another:
            raise Forbidden(f"{where.name!r} cannot be the name of an album")

    # ---- links ------------------------------------------------------------------------------------------------

    async def link(self, node: Node, parent: Node, name: str) -> Found:
        """The file has one more name: in an album it is added, in favorites/ it is liked, below tags/ it gets the tag,
        in a folder it is linked."""
        if isinstance(parent, SYNTHETIC_DIRECTORIES) or is_synthetic(name):
            return self._discarded(parent, name)
        where = spot(self._galleries, parent, name)
        if not isinstance(node, Original | Local):
            raise Forbidden("only photos and videos can be linked")
        if node.account != where.directory.account:
            raise OtherAccount("a link stays in its account; copy it")
        await must_be_free(where)
        asset = await self._linked(where, node)  # the last to wait: what waits to be sent may be sent meanwhile
        match where.place:
            case Place.ALBUM | Place.FAVORITES | Place.TAG:
                may_mark(where)
                asset = await self._add(where, asset)
            case Place.FOLDER:
                may_hold(where)
                if asset.is_local:
                    raise Forbidden(
                        f"{name}: a file is linked once it has been sent; copy it, or try again in a moment"
                    )
                where = await at_provider(self._queue, where)
                asset = await at_once(
                    where.gallery, partial(where.provider.link, asset, where.album, name), where.album
                )
                where.gallery.done(where.album, asset.id, asset)
            case _:
                raise ReadOnly(f"{where.place.value}/: nothing is linked here")
        return self._as_found(where, asset)

    async def _linked(self, where: Spot, node: Original | Local) -> Asset:
        if isinstance(node, Local):
            item = self._queue.get(node.item)
            if item is None or item.stage is Stage.SENT:
                raise VersionChanged("this file has reached its provider since it was looked up")
            if not is_refused(item):
                changing.must_be_photo(where.writing, item)
                changing.must_be_on_its_way(item)
                return where.overlay.asset_of(item)
            return await where.gallery.asset(item.assets[0])
        return await where.gallery.asset_in(node.asset, node.version)

    async def _add(self, where: Spot, asset: Asset) -> Asset:
        """Journaled, and sent together with others; what lies in the trash is taken out of it first, at once.

        Errors: Forbidden for another name than the asset's.
        """
        added = (item.name for item in self._queue.about(asset.id) if item.verb is Verb.ADD)
        known = {legal_name(asset.name), *where.overlay.other_names(asset.id), *added}
        if where.writing.fixed_names and where.name not in known and not self._is_shown_as(where, asset):
            raise Forbidden(f"{where.gallery.name}: names are fixed; link it as {legal_name(asset.name)}")
        is_back = asset.album == TRASH
        asset = await changing.restored(where, self._queue, asset)
        if not is_back or await where.entry() is None:  # else it is in the album again already
            item = replace(self._item(where, Verb.ADD, Stage.SETTLING, where.name), assets=(asset.id,))
            told = self._told(where, asset)
            self._queue.note(item if told is None else about(item, told))
        return asset

    def _told(self, where: Spot, asset: Asset) -> Asset | None:
        """The asset as its provider has it, which new bytes may wait for; None if it has none such."""
        if not asset.is_local:
            return asset
        changed = where.overlay.item_of(asset.id)
        if changed is None or changed.base is None:
            return None
        return changing.asset_of_base(changed.base, kind_of(changed.base.name) or "application/octet-stream")

    def _is_shown_as(self, where: Spot, asset: Asset) -> bool:
        kept = where.gallery.kept(asset.album)
        return kept is not None and kept.name_of(asset.id) == where.name

    def _as_found(self, where: Spot, asset: Asset) -> Found:
        gallery = where.gallery
        if asset.is_local:
            item = self._queue.get(asset.version.rpartition(".")[0])
            assert item is not None, "a local asset is an item"
            return self.found(gallery, item)
        assert asset.size_bytes is not None, "what has a name has a size"
        links = gallery.links(asset.id) + (where.place is Place.FOLDER)  # what was put into an album is counted already
        node = Original(gallery.account, asset.id, asset.version)
        return Found(node, attrs.file(asset.size_bytes, asset.mtime_ns, links=links, mode=file_mode(gallery)))

    # ---- what a file is like ----------------------------------------------------------------------------------

    async def set_attributes(self, node: Node, wanted: Wanted, handle: LocalHandle | None) -> Local | Touched | None:
        """Length and time; and what an original has become by that. Owner and mode are accepted and not kept, where
        anything may be written at all."""
        match node:
            case Local(account, id):
                return await self._set_local(self._galleries[account], id, wanted, handle)
            case Original():
                return await self._set_original(node, wanted)
            case _:
                self._may_discard(node)
        return None

    async def _set_local(self, gallery: Gallery, id: str, wanted: Wanted, handle: LocalHandle | None) -> Touched | None:
        item = self._queue.get(id)
        if item is None and (handle is None or wanted.mtime_ns is not None):
            raise VersionChanged("this file has reached its provider since it was looked up")
        if item is not None and wanted != Wanted():
            refuse_refused(item)
        if wanted.size_bytes is not None and handle is not None and handle.writes:
            await handle.truncate(wanted.size_bytes)
        elif wanted.size_bytes is not None and item is not None:
            await self._files.truncate_item(item, wanted.size_bytes)
        item = self._queue.get(id)
        if wanted.mtime_ns is not None and item is not None:
            if item.stage is Stage.SENT:
                raise VersionChanged("this file has reached its provider since it was looked up")
            if self._files.is_untouched(id):
                return await self._set_time_of_base(gallery, item, wanted.mtime_ns)
            await self._files.set_time(item, wanted.mtime_ns)
        return None

    async def _set_time_of_base(self, gallery: Gallery, item: Item, mtime_ns: int) -> Touched | None:
        """A file that is open and unchanged: what is there gets the time."""
        base, album, name = item.base, item.album, item.name
        shown = await self._copied(gallery, item) if base is None else changing.asset_of_base(base)
        changed = await self.properties.edit(gallery, shown.id, Edit(mtime_ns=mtime_ns))
        changed = changed or replace(shown, mtime_ns=mtime_ns)
        node: Original = Copy(gallery.account, changed.id, changed.version, album, name)
        if base is not None:
            base = changing.base_of(changed, base.album, base.name)
            node = Original(gallery.account, changed.id, changed.version)
        source = await gallery.open(changed)
        await self._files.show(replace(item, base=base, mtime_ns=changed.mtime_ns), source)
        return Touched(node, changed.mtime_ns)

    async def _copied(self, gallery: Gallery, item: Item) -> Asset:
        """What an unchanged file shows that replaces nothing: what its name was given to. Errors: VersionChanged."""
        id = None if gallery.overlay is None else gallery.overlay.copies.asset_of(item.album, item.name)
        if id is None:
            raise VersionChanged(f"{item.name} has changed since it was looked up")
        return await gallery.asset(id)

    async def _set_original(self, node: Original, wanted: Wanted) -> Local | Touched | None:
        gallery = self._galleries[node.account]
        if gallery.writing is None:
            raise ReadOnly(changing.refusal(gallery))
        if wanted.size_bytes is not None:
            item = await self._replacing(node)
            await self._files.truncate_item(item, wanted.size_bytes)
            local = Local(node.account, item.id)
            await self._set_local(gallery, item.id, Wanted(mtime_ns=wanted.mtime_ns), None)
            return local
        if wanted.mtime_ns is not None:
            asset = await gallery.asset_in(node.asset, node.version)
            changing.must_not_lie_in_trash(asset)
            if abs(asset.mtime_ns - wanted.mtime_ns) >= 10**9:
                may_edit(gallery, "changing a file's time")
                changed = await self.properties.edit(gallery, asset.id, Edit(mtime_ns=wanted.mtime_ns))
                changed = changed or replace(asset, mtime_ns=wanted.mtime_ns)
                return Touched(replace(node, asset=changed.id, version=changed.version), changed.mtime_ns)
        return None

    def _item(self, where: Spot, verb: Verb, stage: Stage, name: str) -> Item:
        now_ns = self._now_ns()
        id, order = self._queue.new_id(), self._queue.next_order()
        return Item(id, order, where.gallery.name, verb, stage, where.album, name, now_ns, mtime_ns=now_ns)
