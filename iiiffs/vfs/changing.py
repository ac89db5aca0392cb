"""What every verb that changes something begins with: where it is, what is there, and whether it may be done.

A verb that cannot be taken back by waiting (removing, renaming, moving) asks the provider at once and for at most
AT_ONCE_S; offline it is refused. Rule: DESIGN §4, §4.6.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import trio

from iiiffs.errors import (
    AlreadyThere,
    AssetGone,
    Forbidden,
    NameTooLong,
    NoSuchName,
    ProviderUnreachable,
    ReadOnly,
    VersionChanged,
)
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId
from iiiffs.model.writing import Property, Writing
from iiiffs.providers.views import LIBRARY, TRASH
from iiiffs.providers.writing import HasWriting, writing_of
from iiiffs.sync.items import Base, Item, Stage, Verb, is_local_id
from iiiffs.tree.albums import AlbumNames
from iiiffs.tree.junk import is_junk
from iiiffs.tree.nodes import AlbumDir, AliasDir, DiscardedDir, Node, ThumbnailDir, ThumbnailSizeDir
from iiiffs.tree.places import Place, is_synthetic
from iiiffs.tree.scratch import is_scratch
from iiiffs.tree.sidecars import is_sidecar
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.local_files import Interrupt
from iiiffs.vfs.overlay import Overlay
from iiiffs.vfs.queue import Queue

Result = TypeVar("Result")

AT_ONCE_S = 10.0
NAME_BYTES_MAX = 255
SYNTHETIC_DIRECTORIES = (AliasDir, DiscardedDir, ThumbnailDir, ThumbnailSizeDir)
"""All that is in them is ours."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A name in an album where something may be changed."""

    gallery: Gallery
    overlay: Overlay
    writing: Writing
    directory: AlbumDir
    album: AlbumId
    place: Place
    name: str

    @property
    def provider(self) -> HasWriting:
        """Who is told."""
        told = writing_of(self.gallery.provider)
        assert told is not None, "an account that can be written to has a provider that can"
        return told

    async def entry(self) -> Album | Asset | None:
        """What has the name now."""
        return await self.gallery.find(self.album, self.name)

    async def waiting(self) -> Item | None:
        """The file of that name that waits to be sent."""
        return self.overlay.item_named(self.album, self.name)


def spot(galleries: Galleries, parent: Node, name: str) -> Spot:
    """Where `name` in `parent` is. Errors: ReadOnly where nothing ever changes, or nothing may; NameTooLong."""
    if len(name.encode("utf-8", "surrogateescape")) > NAME_BYTES_MAX:
        raise NameTooLong(f"a name is at most {NAME_BYTES_MAX} bytes long")
    if not isinstance(parent, AlbumDir):
        raise ReadOnly("nothing is made, changed or removed here; albums and folders are the places for that")
    gallery = galleries[parent.account]
    overlay, writing = gallery.overlay, gallery.writing
    if overlay is None or writing is None:
        raise ReadOnly(refusal(gallery))
    album = overlay.album_id(parent.album)
    return Spot(gallery, overlay, writing, parent, album, gallery.place(album), name)


def refusal(gallery: Gallery) -> str:
    """Why nothing may be changed in an account."""
    if gallery.capabilities.writing is None:
        return f"{gallery.name}: iiiffs cannot write to this provider"
    return f'{gallery.name}: nothing may be changed: set access = "add" or "edit" in [account.{gallery.name}]'


def may_edit(gallery: Gallery, deed: str) -> None:
    """`deed`, which changes what is there, is allowed. Errors: Forbidden."""
    if not gallery.access.edits:
        raise Forbidden(f'{gallery.name}: {deed} needs access = "edit" in [account.{gallery.name}]')


def may_mark(where: Spot) -> None:
    """What is put there may be marked so; true of all that is no mark. Errors: Forbidden."""
    if not where.place.is_mark:
        return
    is_favorite = where.place is Place.FAVORITES
    if not (Property.FAVORITE in where.writing.properties if is_favorite else where.writing.tags):
        lack = where.writing.lack(Property.FAVORITE if is_favorite else "tags")
        raise Forbidden(f"{where.gallery.name}: no {'favorites' if is_favorite else 'tags'} can be set here{lack}")
    may_edit(where.gallery, "marking a favorite" if is_favorite else "giving a tag")


def may_hold(where: Spot) -> None:
    """A file of that name may be made there. Errors: ReadOnly, Forbidden."""
    may_mark(where)
    if is_junk(where.name):
        raise Forbidden(f"{where.name}: litter of desktops is never kept; set the program to leave none")
    if not where.place.holds_files:
        raise ReadOnly(f"{where.place.value}/ holds no files of its own; copy into an album, or use ln")
    takes = where.writing.takes(where.name) or (where.writing.sidecars and is_sidecar(where.name))
    if not is_scratch(where.name) and not takes:
        if lack := where.writing.lack("upload"):
            raise Forbidden(f"{where.gallery.name}: nothing can be uploaded{lack}")
        suffixes = " ".join(sorted(where.writing.suffixes or ()))
        raise Forbidden(f"{where.gallery.name}: takes no files like {where.name}; it takes {suffixes}")


async def must_be_free(where: Spot) -> None:
    """Nothing has the name. Errors: AlreadyThere."""
    if await where.entry() is not None:
        raise AlreadyThere(f"{where.name} is there already")


async def existing(where: Spot) -> Album | Asset | None:
    """What has the name; None for an entry of our own. Errors: NoSuchName."""
    entry = await where.entry()
    if entry is None and not is_synthetic(where.name):
        raise NoSuchName(f"there is no {where.name}")
    return entry


async def at_once(gallery: Gallery, work: Callable[[], Awaitable[Result]], *albums: AlbumId | None) -> Result:
    """What the provider answers within AT_ONCE_S. Errors: ReadOnly if it could not be asked.

    `albums`: where the work changes something (None: anywhere). Whatever came of it, what was told of them is asked
    anew: after VersionChanged the kernel looks again, once, and must then find what is there now.
    """
    try:
        with trio.fail_after(AT_ONCE_S), gallery.questions.place():
            return await work()
    except (ProviderUnreachable, trio.TooSlowError) as error:
        text = str(error) or f"no answer within {AT_ONCE_S:g} s"
        raise ReadOnly(f"{gallery.name}: {text}; this is only done while it can be asked") from error
    finally:
        for album in albums:
            gallery.expire(album)


async def at_provider(queue: Queue, where: Spot) -> Spot:
    """The spot, in an album that its provider has: one that is only here is made first. Errors: ReadOnly if it cannot
    be made within AT_ONCE_S."""
    with trio.move_on_after(AT_ONCE_S):
        while is_local_id(album := where.overlay.album_id(where.album)):
            making = queue.get(album)
            if making is None or making.stage is Stage.FAILED:
                break
            await queue.wait_changed()
        else:
            return replace(where, album=album)
    raise ReadOnly(f"{where.gallery.name}: the folder is not made yet; this is only done when it is")


async def forget_sent(overlay: Overlay, queue: Queue, asset: AssetId, album: AlbumId | None) -> None:
    """What was sent of the asset a moment ago is not shown for it any more: something else has become of it since.

    `album`: that it was sent into; None where that is not known.
    """
    await queue.drop_all([item.id for item in overlay.arrivals.of(album, asset)])


def must_be_photo(writing: Writing, item: Item) -> None:
    """It is nothing that only tells of a photo. Errors: Forbidden."""
    if writing.sidecars and is_sidecar(item.name):
        raise Forbidden(f"{item.name} only tells of its photo; copy it, or say that of the photo")


def must_be_on_its_way(item: Item) -> None:
    """Its name is none by which it stays here: a link to that would wait for ever. Errors: Forbidden."""
    if item.stays or is_scratch(item.name):
        raise Forbidden(
            f"{item.name} stays on this machine under that name, and so cannot be linked; rename or copy it"
        )


def must_not_lie_in_trash(asset: Asset) -> None:
    """Errors: Forbidden."""
    if asset.album == TRASH:
        raise Forbidden(f"{asset.name} lies in the trash; mv or ln it into an album first")


async def restored(where: Spot, queue: Queue, asset: Asset) -> Asset:
    """What lies in the trash is back in the library, and in the albums that it was in; all else is as it is."""
    if asset.album != TRASH:
        return asset
    may_edit(where.gallery, "restoring")
    found = await at_once(where.gallery, partial(where.provider.restore, asset.id))
    where.gallery.expire(None)
    of_account = queue.items(where.gallery.name)
    sent = [item for item in of_account if item.stage is Stage.SENT and item.base and item.base.asset == asset.id]
    await queue.drop_all([item.id for item in sent])  # it is beside what took its place now
    await queue.successors.record(where.gallery.name, asset.id, asset.id)  # its id is in use again
    return found


async def withdraw_additions(queue: Queue, interrupt: Interrupt, album: AlbumId, asset: AssetId) -> None:
    """That it is added to the album was not told yet, and is not; nor is it being told: what is said next might arrive
    before that."""
    for item in queue.about(asset):
        is_here = item.album == album and item.verb is Verb.ADD
        if is_here and item.assets == (asset,) and item.stage in (Stage.SETTLING, Stage.READY):
            await interrupt(item)
            await queue.drop(item.id)


def must_wait_still(queue: Queue, entry: Album | Asset | None) -> None:
    """A file that was found to wait has not been sent since: it would have another id. Errors: VersionChanged."""
    if not isinstance(entry, Asset) or not entry.is_local:
        return
    item = queue.get(entry.version.rpartition(".")[0])
    if item is None or item.stage is Stage.SENT:
        raise VersionChanged(f"{entry.name} has reached its provider since it was looked up")


def base_of(asset: Asset, album: AlbumId, name: str) -> Base:
    """The asset, as what is replaced. `name`: that it is shown under."""
    return Base(asset.id, asset.version, album, name, asset.size_bytes or 0, asset.mtime_ns, asset.changed_ns)


async def home_of(gallery: Gallery, album: AlbumId, asset: Asset) -> tuple[AlbumId, str]:
    """An album and the name that the asset has there. `album`: where it was seen last; if that is gone, or is a set
    that it has left, or in which only a copy's name is for it, another one in which it has its own; maybe none."""
    writing = gallery.writing
    try:
        name = None if album == LIBRARY else _own_name(gallery, await gallery.names(album), asset)
    except AssetGone:
        album, name = LIBRARY, None
    if name is None and writing is not None and writing.membership:
        return _known_home(gallery, asset) or (LIBRARY, asset.name)
    return album, name or asset.name


def _known_home(gallery: Gallery, asset: Asset) -> tuple[AlbumId, str] | None:
    """An album, of those that were told lately, and the name of its own that the asset has there."""
    for album in sorted(gallery.albums_kept()):
        names = gallery.kept(album) if gallery.place(album) is Place.ALBUM else None
        name = None if names is None else _own_name(gallery, names, asset)
        if name is not None:
            return album, name
    return None


def _own_name(gallery: Gallery, names: AlbumNames, asset: Asset) -> str | None:
    """Its name in the album of those names, unless that was given to it by a copy."""
    name, overlay = names.name_of(asset.id), gallery.overlay
    if name is None or overlay is None:
        return name
    album = names.listing.album.id
    if not overlay.copies.is_copy(asset, album, name):
        return name
    own = [key for key, entry in names.entries.items() if isinstance(entry, Asset) and entry.id == asset.id]
    return next((key for key in own if not overlay.copies.is_copy(asset, album, key)), None)


def asset_of_base(base: Base, media_type: str = "application/octet-stream") -> Asset:
    """What is replaced, as an asset."""
    return Asset(
        base.asset, base.album, base.name, base.version, base.size_bytes, base.mtime_ns, base.changed_ns, media_type
    )
