"""rename: of files that wait, of what the provider has, and of albums; and everything that it may replace.

An editor's temp + rename is how most files are changed: the temporary file then takes the place, the id and the history
of what it is renamed over. Rule: DESIGN §4, the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import trio

from iiiffs.errors import (
    AlreadyThere,
    DeadlinePassed,
    Forbidden,
    IsDirectory,
    NoSuchName,
    NotDirectory,
    NotEmpty,
    OtherAccount,
    Unsupported,
    VersionChanged,
)
from iiiffs.model.gallery import AccountName, Album, Asset
from iiiffs.model.writing import AlbumVerb
from iiiffs.sync.items import Item, Stage, Verb, is_local_id
from iiiffs.sync.stages import resting
from iiiffs.tree.junk import is_junk
from iiiffs.tree.names import legal_name
from iiiffs.tree.nodes import Discarded, Node
from iiiffs.tree.places import Place, is_synthetic
from iiiffs.tree.scratch import BACKUPS, is_scratch
from iiiffs.vfs import changing
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.changing import (
    SYNTHETIC_DIRECTORIES,
    Spot,
    at_once,
    at_provider,
    existing,
    forget_sent,
    may_edit,
    may_hold,
    may_mark,
    must_wait_still,
    restored,
    spot,
)
from iiiffs.vfs.local_files import LocalFiles
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.refused import about
from iiiffs.vfs.removing import Removals
from iiiffs.vfs.unanswered import unwanted

BACKUP_S = 60.0
NO_REPLACE = 1
"""RENAME_NOREPLACE of renameat2(2)."""


class Renames:
    """rename, for one mount."""

    def __init__(
        self,
        galleries: Galleries,
        queue: Queue,
        removals: Removals,
        files: LocalFiles,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._galleries = galleries
        self._queue = queue
        self._removals = removals
        self._is_open = files.is_held_open
        self._is_untouched = files.is_untouched
        self._copy = files.copy
        self._now_ns = now_ns

    async def rename(self, parent: Node, name: str, to_parent: Node, to_name: str, flags: int) -> None:
        """What was `name` is `to_name`, and what that was has given way. Errors: every one of a verb's."""
        if flags & ~NO_REPLACE:
            raise Unsupported("only plain renames, and those that replace nothing, are done here")
        if isinstance(parent, SYNTHETIC_DIRECTORIES) and isinstance(to_parent, SYNTHETIC_DIRECTORIES):
            self._removals.keep(parent)
            return
        if isinstance(parent, (Discarded, *SYNTHETIC_DIRECTORIES)) or isinstance(to_parent, SYNTHETIC_DIRECTORIES):
            raise Forbidden("entries of iiiffs are not renamed")
        source, target = spot(self._galleries, parent, name), spot(self._galleries, to_parent, to_name)
        if source.gallery is not target.gallery:
            raise OtherAccount("a file moves within its account; copy it")
        refused = source.overlay.refused_named(source.album, name)
        if refused is not None:
            await self._rename_refused(target, refused, flags)
            return
        waiting = await source.waiting()
        entry = None if waiting is not None else await existing(source)
        if waiting is None and entry is None:
            raise Forbidden("entries of iiiffs are not renamed")
        was_aside = target.overlay.aside.take(target.album, to_name)
        there = await target.entry()
        must_wait_still(self._queue, entry)
        if there is not None and flags & NO_REPLACE and not was_aside:
            raise AlreadyThere(f"{to_name} is there already")
        if is_backup(source, target) and await self._backs_up(source, target, waiting or entry, there):
            return
        if isinstance(entry, Album):
            await self._rename_album(source, target, entry, there)
            return
        if isinstance(there, Album):
            raise IsDirectory(f"{to_name} is a directory")
        if waiting is not None:
            await self._rename_waiting(source, target, waiting, there)
        elif isinstance(entry, Asset):
            await self._rename_asset(source, target, entry, there)

    async def _rename_refused(self, target: Spot, refused: Item, flags: int) -> None:
        """A photo that one album did not take is put into another one."""
        there = await target.entry()
        if there is not None and (flags & NO_REPLACE or isinstance(there, Album)):
            raise AlreadyThere(f"{target.name} is there already")
        if target.place is not Place.ALBUM or target.name != refused.name:
            raise Forbidden(f"{refused.name} is not in this album; move it into another one, under its name")
        if there is not None and there.id != refused.assets[0]:
            may_edit(target.gallery, "replacing a file")
            await self._removals.remove(target, there)
        self._queue.note(replace(refused, album=target.album, stage=Stage.SETTLING, reason=None, tries=0))

    # ---- what editors keep of a file that they are about to replace -----------------------------------------------

    async def _backs_up(self, source: Spot, target: Spot, what: Item | Album | Asset | None, there: object) -> bool:
        """Where names are fixed the photo keeps its name, which is only not shown for a moment, and what was asked for
        is a copy of it that stays here; then the editor puts another file into its place, or has failed and nothing was
        changed. False for what is no photo of the provider's, or where the name is that of one: that is an ordinary
        rename."""
        if isinstance(what, Item):
            what = self._photo_of(source, what)
        gone = await target.waiting()
        if not isinstance(what, Asset) or (there is not None and gone is None) or (gone and gone.base is not None):
            return False
        may_edit(source.gallery, "renaming")
        changing.must_not_lie_in_trash(what)
        id, order = self._queue.new_id(), self._queue.next_order()
        item = Item(
            id, order, source.gallery.name, Verb.UPLOAD, Stage.OPEN, target.album, target.name, self._now_ns(),
            mtime_ns=what.mtime_ns, stays=True,
        )  # fmt: skip
        with trio.move_on_after(BACKUP_S) as scope:
            await self._copy(item, await source.gallery.open(what))
        if scope.cancelled_caught:
            raise DeadlinePassed(f"{source.name} could not be copied within {BACKUP_S:g} s")
        if gone is not None:
            await self._removals.drop(gone)
        source.overlay.aside.put(source.album, source.name)
        return True

    def _photo_of(self, source: Spot, item: Item) -> Asset | None:
        """The photo with the new bytes that wait for it, or as it is where it is only open; None for a new file."""
        if item.base is None:
            return None
        return changing.asset_of_base(item.base) if self._is_untouched(item.id) else source.overlay.asset_of(item)

    # ---- files that wait --------------------------------------------------------------------------------------

    async def _rename_waiting(self, source: Spot, target: Spot, item: Item, there: Asset | None) -> None:
        if is_synthetic(target.name) and there is None:
            await self._removals.unlink_waiting(source, item)
            return
        if not is_backup(source, target):
            may_hold(target)
        held = await self._removals.held(source, item)
        if held is None:
            raise VersionChanged(f"{source.name} reached its provider while it was renamed; look again")
        if held.stage is Stage.SENT and held.sent is not None:
            if not (is_backup(source, target) and await self._backs_up(source, target, held.sent, there)):
                await self._rename_asset(source, target, held.sent, there)
            return
        try:
            await self._rename_held(source, target, held, there)
        except BaseException:
            self._removals.let_go(held, item)
            raise

    async def _rename_held(self, source: Spot, target: Spot, held: Item, there: Asset | None) -> None:
        """What it takes the place of is not sent meanwhile either, and is gone in the moment in which it is renamed."""
        gone = await target.waiting()
        is_photo = there is not None and not target.overlay.copies.is_copy(there, target.album, target.name)
        if gone is None and there is not None and is_photo:  # new bytes of it may wait in another of its albums
            gone = target.overlay.item_of(there.id)
        if gone is not None and (gone.id == held.id or gone.stage is Stage.SENT):
            gone = None
        is_replacing = held.base is not None and (there is None or there.id != held.base.asset)
        before = gone
        if gone is not None:
            gone = await (self._removals.held(target, gone) if is_replacing else self._removals.caught(gone))
        try:
            if gone is not None and gone.stage is Stage.SENT:
                there, gone = gone.sent, None
            elif gone is not None and is_replacing:
                there = await self._giving_way(target, gone)
            elif gone is None:
                must_wait_still(self._queue, there)
            if is_replacing:
                await self._rename_replacing(source, target, held, there, gone)
            else:
                if gone and before and await self._removals.moved_to_another_name(gone, before):
                    there, gone = None, None
                await self._take_place(target, held, there, gone, stays=is_backup(source, target))
                if (source.album, source.name) != (target.album, target.name):
                    await source.overlay.copies.leave(source.album, source.name)
        except BaseException:
            if gone is not None and before is not None:
                self._removals.let_go(gone, before)
            raise

    async def _take_place(
        self, target: Spot, held: Item, there: Asset | None, gone: Item | None, *, stays: bool
    ) -> None:
        """Of a file that waits it takes over what that was to replace, and what may have arrived of it."""
        base = held.base if gone is None else gone.base
        if gone is None and there is not None:
            may_edit(target.gallery, "replacing a file")
            if not target.overlay.copies.is_copy(there, target.album, target.name):
                base = changing.base_of(there, target.album, target.name)
        if base is not None and held.base is None:
            await self._queue.successors.record(held.account, held.id, base.asset)
        latest = self._latest(held)
        earlier = latest.earlier if gone is None else tuple(dict.fromkeys((*gone.earlier, *latest.earlier)))
        took = gone is not None and gone.earlier and not latest.earlier
        token = (gone.token or gone.id) if took and gone is not None else latest.token
        if gone is not None:
            await self._succeed(held.account, [gone.id], held.id if base is None else base.asset)
            latest = self._latest(held)
        order = latest.order if base is None else self._queue.next_order()  # of all that replaced it, the last
        latest = replace(latest, base=base, earlier=earlier, token=token, order=order)
        await self._renamed(target, latest, gone, stays=stays)

    async def _rename_replacing(
        self, source: Spot, target: Spot, held: Item, there: Asset | None, gone: Item | None
    ) -> None:
        """A changed file that is not sent yet: what it replaces is renamed too, and it goes on replacing that."""
        assert held.base is not None, "of a file that replaces something"
        may_edit(source.gallery, "renaming")
        if source.place is not Place.FOLDER or target.place is not Place.FOLDER:
            raise Forbidden(f"{source.name} is changed and not sent yet; rename it in a moment, when it is")
        target = await at_provider(self._queue, target)
        work = partial(target.provider.move, changing.asset_of_base(held.base), target.album, target.name, there)
        moved = await at_once(source.gallery, work, source.album, target.album)
        self._done(source, target, moved, there)
        await self._succeed(held.account, [one.id for one in (there, gone) if one is not None], moved.id)
        base = changing.base_of(moved, target.album, target.name)
        await self._renamed(target, replace(self._latest(held), base=base), gone)
        await forget_sent(source.overlay, self._queue, moved.id, source.album)
        if there is not None:
            await forget_sent(target.overlay, self._queue, there.id, target.album)
        source.gallery.expire(None)  # others may have moved it since it was opened

    def _latest(self, held: Item) -> Item:
        """The file as it is now: programs that have it open may have flushed it. Errors: NoSuchName."""
        latest = self._queue.get(held.id)
        if latest is None:
            raise NoSuchName(f"{held.name} was removed meanwhile")
        return latest

    async def _succeed(self, account: AccountName, gone: Sequence[str], now: str) -> None:
        """The addresses of what has given way go on, and name what took its place."""
        for id in gone:
            if id != now:
                await self._queue.successors.record(account, id, now)

    async def _renamed(self, target: Spot, item: Item, gone: Item | None, *, stays: bool = False) -> None:
        """The file has its new name, and what had it before is gone, in one moment. `item`: as it is now. An album that
        was made since the name was looked up is the same one."""
        album_id = target.overlay.album_id
        target, item = replace(target, album=album_id(target.album)), replace(item, album=album_id(item.album))
        renamed = replace(item, album=target.album, name=target.name, stays=stays)
        arrived = [] if item.base is None else target.overlay.arrivals.of(target.album, item.base.asset)
        is_copy = target.overlay.copies.is_copy
        dropped = [one.id for one in arrived if one.sent is None or not is_copy(one.sent, one.album, one.name)]
        if target.album != item.album:
            self._removals.take_back(target, item, stays=True)
            dropped += self._removals.brought_back(target.album, item)
        if gone is not None:
            dropped += [gone.id, *self._removals.depending(gone, item)]
        await self._queue.exchange(resting(renamed, is_open=self._is_open(item.id)), dropped)
        if gone is not None:
            await self._queue.resolve_conflict(gone.id)

    # ---- what the provider has --------------------------------------------------------------------------------

    async def _rename_asset(self, source: Spot, target: Spot, asset: Asset, there: Asset | None) -> None:
        may_edit(source.gallery, "renaming")
        gone = await target.waiting()
        match source.place, target.place:
            case Place.FOLDER, Place.FOLDER:
                if is_synthetic(target.name):
                    raise Forbidden(f"{target.name} is a name of iiiffs; choose another one")
                may_hold(target)
                target = await at_provider(self._queue, target)
                there = await self._move_over(source, target, asset, there, gone)
                await forget_sent(source.overlay, self._queue, asset.id, source.album)
                if there is not None:
                    await forget_sent(target.overlay, self._queue, there.id, target.album)
                    await self._succeed(source.gallery.name, [there.id], asset.id)
            case (Place.ALBUM, Place.ALBUM) | (Place.TRASH, Place.ALBUM | Place.FAVORITES | Place.TAG):
                await self._move_between_albums(source, target, asset, there, gone)
            case _, Place.ALBUM | Place.FOLDER:
                raise Forbidden(f"{_shown(source.place)} only shows what is in the library; use ln, not mv")
            case _, Place.FAVORITES | Place.TAG:
                raise Forbidden(f"nothing is moved into {_shown(target.place)}; use ln, which marks it, and rm to undo")
            case _, Place.TRASH if source.place is not Place.TRASH:
                raise Forbidden("nothing is moved into trash/; rm in timeline/ puts a photo there")
            case _:
                raise Forbidden(f"nothing is moved into {_shown(target.place)}")

    async def _move_over(
        self, source: Spot, target: Spot, asset: Asset, there: Asset | None, gone: Item | None
    ) -> Asset | None:
        """The asset is where `gone` waited, which is gone once that is done and not before; the asset that gave way."""
        held = None if gone is None else await self._removals.held(target, gone)
        try:
            if held is not None:
                there = held.sent if held.stage is Stage.SENT else await self._giving_way(target, held)
            must_wait_still(self._queue, there)
            work = partial(target.provider.move, asset, target.album, target.name, there)
            moved = await at_once(target.gallery, work, source.album, target.album)
        except BaseException:
            if held is not None and gone is not None:
                self._removals.let_go(held, gone)
            raise
        self._done(source, target, moved, there)
        if held is not None:
            await self._succeed(held.account, [held.id], moved.id)
            await self._removals.drop(held)
        if isinstance(moved, Album):
            for side in (source, target):
                await side.gallery.remembered(side.album)
        return there

    def _done(self, source: Spot, target: Spot, moved: Album | Asset, over: Asset | None) -> None:
        """It is there now, and not where it was."""
        if over is not None:
            target.gallery.done(target.album, over.id, None)
        source.gallery.done(source.album, moved.id, None)
        target.gallery.done(target.album, moved.id, moved)

    async def _giving_way(self, target: Spot, held: Item) -> Asset | None:
        """What the provider has under the name of a file that waits: what that was to replace, or somebody else's."""
        if held.base is not None:
            return changing.asset_of_base(held.base)
        target.gallery.expire(target.album)
        entry = await at_once(target.gallery, partial(target.gallery.told_find, target.album, target.name))
        if isinstance(entry, Album):
            raise IsDirectory(f"{target.name} is a directory")
        return entry

    async def _move_between_albums(
        self, source: Spot, target: Spot, asset: Asset, there: Asset | None, gone: Item | None
    ) -> None:
        if source.album == target.album:
            raise Forbidden(f"{source.gallery.name}: names are fixed; the album shows the provider's")
        if target.name not in (source.name, legal_name(asset.name)):
            raise Forbidden(f"{source.gallery.name}: names are fixed; move it as {source.name}")
        if source.place is Place.TRASH:
            may_mark(target)
            asset = await restored(target, self._queue, asset)
        if gone is not None and gone.asset_id != asset.id:
            await self._removals.unlink_waiting(target, gone)
        elif there is not None and there.id != asset.id:
            await self._removals.remove(target, there)
        refused = target.overlay.refused_named(target.album, target.name)
        if refused is not None:
            await self._queue.drop(refused.id)
        now = await target.entry() if source.place is Place.TRASH else None
        if now is not None and now.id == asset.id:
            return  # it is in the album again already
        must_wait_still(self._queue, asset)
        add = about(replace(self._item(target, Verb.ADD), name=target.name, assets=(asset.id,)), asset)
        if source.place is Place.ALBUM:
            await self._removals.move_out(source, asset, add)
        else:
            self._queue.note(add)

    def _item(self, where: Spot, verb: Verb) -> Item:
        id, order = self._queue.new_id(), self._queue.next_order()
        return Item(id, order, where.gallery.name, verb, Stage.SETTLING, where.album, "", self._now_ns())

    # ---- albums -----------------------------------------------------------------------------------------------

    async def _rename_album(self, source: Spot, target: Spot, album: Album, there: Album | Asset | None) -> None:
        if isinstance(there, Asset):
            raise NotDirectory(f"{target.name} is a file")
        if is_synthetic(target.name) or is_junk(target.name):
            raise Forbidden(f"{target.name!r} cannot be the name of an album")
        if not source.place.holds_albums or not target.place.holds_albums:
            raise Forbidden(f"an album cannot move to {target.place.value}/")
        if there is not None:
            listing = await target.gallery.listing(there.id)
            if listing.assets or listing.albums:
                raise NotEmpty(f"{target.name} is not empty")
            if not self._is_only_here(there):
                await self._removals.remove_album(target, there)
        await self._retitle(source, target, album)
        if there is not None and self._is_only_here(there):  # which cannot fail: what is refused changes nothing
            await self._removals.remove_album(target, there)

    def _is_only_here(self, album: Album) -> bool:
        return is_local_id(album.id) and self._queue.get(album.id) is not None

    async def _retitle(self, source: Spot, target: Spot, album: Album) -> None:
        """The album has the new title, whatever else has it."""
        if is_local_id(album.id):
            making = self._queue.get(album.id)
            if making is not None:
                await self._removals.interrupt(making)
            item = self._queue.get(album.id)
            if item is not None:
                await self._queue.commit(*self._renamed_album(item, target))
                return
            album = replace(album, id=source.overlay.album_id(album.id))  # it was made just now
        may_edit(source.gallery, "renaming an album")
        if AlbumVerb.RENAME not in source.writing.album_verbs:
            raise Forbidden(f"{source.gallery.name}: albums cannot be renamed{source.writing.lack(AlbumVerb.RENAME)}")
        target = await at_provider(self._queue, target)
        work = partial(source.provider.rename_album, album.id, target.album, target.name)
        renamed = await at_once(source.gallery, work, source.album, target.album, album.id)
        self._done(source, target, renamed, None)

    def _renamed_album(self, item: Item, target: Spot) -> list[Item]:
        """The album is made under its new name; one that may have been made under the old one is removed."""
        stage = Stage.READY if item.stage is Stage.FAILED else item.stage
        renamed = replace(item, name=target.name, album=target.album, stage=stage, reason=None)
        if not item.generation:
            return [renamed]
        other = replace(unwanted(item), id=self._queue.new_id(), token=item.token or item.id)
        return [replace(renamed, generation=0, token=self._queue.new_id()), other]


def is_backup(source: Spot, target: Spot) -> bool:
    """True for a name that editors give a file before they put another one into its place, where names are fixed."""
    is_beside = source.album == target.album and source.place.is_set and source.writing.fixed_names
    names = (pattern.format(source.name) for pattern in BACKUPS)
    return is_beside and target.name != source.name and (target.name in names or is_scratch(target.name))


def _shown(place: Place) -> str:
    return "tags/" if place is Place.TAG else f"{place.value}/"
