"""What a file is like, beside its bytes: description, rating, favorite, date, and the note that a replacement left.

Journaled, coalesced by the uploader, and shown at once; only a folder's date is set while the program waits. A favorite
is one more photo in favorites/, so that both ways to say it are one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from iiiffs.errors import Forbidden, ReadOnly, Unsupported, VersionChanged
from iiiffs.model.gallery import AlbumId, Asset, AssetId
from iiiffs.model.writing import Edit, Property, Writing
from iiiffs.providers.writing import writing_of
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.tree.names import legal_name
from iiiffs.tree.nodes import Local, Node, Original
from iiiffs.tree.places import Place
from iiiffs.vfs import changing
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.changing import at_once, may_edit, must_not_lie_in_trash
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.local_files import Interrupt
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.refused import about, is_refused


class Properties:
    """For one mount."""

    def __init__(
        self, galleries: Galleries, queue: Queue, interrupt: Interrupt, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._galleries = galleries
        self._queue = queue
        self._interrupt = interrupt
        self._now_ns = now_ns

    async def set(self, node: Node, name: str, value: bytes) -> None:
        """`name`: "description", "favorite" or "rating". Errors: Unsupported for a value that is none; Forbidden."""
        if not isinstance(node, Original | Local):
            raise Forbidden("only photos and videos have a description, a rating, or are favorites")
        gallery = self._galleries[node.account]
        if gallery.writing is None:
            raise ReadOnly(changing.refusal(gallery))
        may_edit(gallery, f"changing {name}")
        edit = edit_of(name, value)
        asset = await self._asset(gallery, node)
        if edit.favorite is not None:
            await self.favor(gallery, asset, is_favorite=edit.favorite)
        else:
            await self.edit(gallery, asset.id, edit)

    async def _asset(self, gallery: Gallery, node: Original | Local) -> Asset:
        if isinstance(node, Original):
            asset = await gallery.asset_in(node.asset, node.version)
            must_not_lie_in_trash(asset)
            return asset
        item = self._queue.get(node.item)
        if item is None or gallery.overlay is None:
            raise VersionChanged("this file has reached its provider since it was looked up")
        if is_refused(item):
            return await gallery.asset(item.assets[0])
        assert gallery.writing is not None, "asked before"
        changing.must_be_photo(gallery.writing, item)
        return gallery.overlay.asset_of(item)

    async def favor(self, gallery: Gallery, asset: Asset, *, is_favorite: bool) -> None:
        """It is a favorite, or is none; journaled. Errors: Forbidden."""
        may_keep(gallery, Edit(favorite=is_favorite))
        favorites = gallery.tops.get("favorites")
        if favorites is None or gallery.place(favorites) is not Place.FAVORITES:
            await self.edit(gallery, asset.id, Edit(favorite=is_favorite))
            return
        names = await gallery.names(favorites)
        assert gallery.overlay is not None, "asked before"
        id = gallery.overlay.id_now(asset.id)
        name = names.name_of(id)
        if is_favorite == (name is not None):
            return
        if is_favorite:
            name = legal_name(asset.name)
            if names.get(name) is not None:  # for the moment until it is listed
                name = f"{id} {name}"
        else:
            await changing.withdraw_additions(self._queue, self._interrupt, favorites, id)
        verb = Verb.ADD if is_favorite else Verb.TAKE_OUT
        item = self._item(gallery, verb, favorites, name or "", id)
        if not is_favorite and id == asset.id:
            item = replace(item, sha1=asset.checksum)
        await self._queue.commit(about(item, asset) if is_favorite and not asset.is_local else item)

    async def edit(self, gallery: Gallery, asset: AssetId, edit: Edit) -> Asset | None:
        """Done now, and the asset as it is then; None where it is journaled. Errors: Forbidden."""
        writing = may_keep(gallery, edit)
        if Property.DATE in edit.properties and not writing.membership:
            where = writing_of(gallery.provider)
            assert where is not None, "asked before"
            changed = await at_once(gallery, partial(where.edit, asset, edit))
            assert gallery.overlay is not None, "asked before"
            await changing.forget_sent(gallery.overlay, self._queue, changed.id, changed.album)
            gallery.expire(changed.album)
            return changed
        item = self._item(gallery, Verb.EDIT, AlbumId(""), "", asset)
        await self._queue.commit(replace(item, edit=edit))
        return None

    def _item(self, gallery: Gallery, verb: Verb, album: AlbumId, name: str, asset: AssetId) -> Item:
        id, order, now_ns = self._queue.new_id(), self._queue.next_order(), self._now_ns()
        return Item(id, order, gallery.name, verb, Stage.SETTLING, album, name, now_ns, assets=(asset,))

    async def dismiss_note(self, node: Node) -> bool:
        """What a replacement lost is told of the file no more; False if nothing was. Errors: ReadOnly."""
        if not isinstance(node, Original):
            return False
        gallery = self._galleries[node.account]
        if gallery.writing is None:
            raise ReadOnly(changing.refusal(gallery))
        return await self._queue.notes.dismiss(gallery.name, node.asset)


def may_keep(gallery: Gallery, edit: Edit) -> Writing:
    """The provider keeps those properties; what it offers. Errors: Forbidden."""
    writing = gallery.writing
    assert writing is not None and gallery.overlay is not None, "asked before"
    if missing := edit.properties - writing.properties:
        told = f"{', '.join(sorted(missing))} cannot be changed at this provider{writing.lack(*sorted(missing))}"
        raise Forbidden(f"{gallery.name}: {told}")
    return writing


def edit_of(name: str, value: bytes) -> Edit:
    """What the value of an extended attribute asks for. Errors: Unsupported."""
    try:
        text = value.decode().strip("\0")
        match name:
            case "description":
                return Edit(description=text)
            case "favorite" if text.strip().lower() in ("0", "1", "true", "false", "yes", "no"):
                return Edit(favorite=text.strip().lower() in ("1", "true", "yes"))
            case "rating" if 0 <= (rating := int(text)) <= 5:
                return Edit(rating=rating)
    except ValueError:
        pass
    raise Unsupported(f"{value!r} is no value for {name}: text, 0 or 1, or 0 to 5")
