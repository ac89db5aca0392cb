"""A whole mount that programs write to at random, over a server with a life of its own, held against a model of it.

Files and albums are made, changed, renamed and removed; the server is changed by others, cannot be reached, loses
answers, hangs; iiiffs is stopped and killed. After every step the tree is asked for everything, and now and then
everything is sent and the server is looked at (DESIGN §4, issue 6).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.tree.scratch import is_scratch
from iiiffs.vfs.aside import ASIDE_S
from tests.harness import writing_tree as calls
from tests.harness.scripted import Fault, FaultKind, Flavour, StoredAsset
from tests.harness.writing_tree import Life
from tests.unit.vfs.writing_machine import (
    DEPTH_MAX,
    FILES,
    FOLDERS,
    HOLDING,
    NOT_ASKED,
    PASSING,
    PICK,
    SOAKS,
    chosen,
)
from tests.unit.vfs.writing_model import File, Folder, Place
from tests.unit.vfs.writing_rules import Programs


class Writing(Programs):
    """All rules, for servers with folders."""

    @initialize(names=st.lists(st.tuples(FOLDERS, FILES), min_size=1, max_size=4, unique=True))
    def something_is_there(self, names: list[tuple[str, str]]) -> None:
        """Albums and files that others made before."""
        for title, name in names:
            folder = self.model.below(self.model.top).get(title)
            if folder is None:
                folder = Folder(title, self.model.top, self.store.make_album(title, self.model.top.id).id)
                self.model.folders.append(folder)
            if self.stores(name):
                self.store.put(name, self.data(), folder.id)
        self.polled()

    # ---- what others do ------------------------------------------------------------------------------------------

    def polled(self) -> None:
        """What others did is known."""
        self.kept |= self.model.contents()
        if self.is_online:
            self.passes(2.0)
        else:
            self.is_blind = True

    @precondition(lambda self: self.albums_there())
    @rule(pick=PICK, name=FILES)
    def put_outside(self, pick: int, name: str) -> None:
        folder = chosen(self.albums_there(), pick)
        assert folder.id is not None
        if any(one.name == name for one in self.store.members(folder.id)) or not self.stores(name):
            return
        if self.flavour is Flavour.FOLDER and name in self.model.below(folder):
            return
        self.store.put(name, self.data(), folder.id)
        self.disturb(folder, name, None)
        self.polled()

    @precondition(lambda self: self.theirs())
    @rule(pick=PICK)
    def edit_outside(self, pick: int) -> None:
        asset = chosen(self.theirs(), pick)
        if asset.id in {id for _, id in self.model.added}:
            return  # a link that waits shows the version that was linked: known, and reported
        self.kept -= type(self.kept)([asset.sha1])  # what it was is nowhere
        self.disturb(None, asset.name, asset.id, is_overtaken=True)
        self.store.edit_bytes(asset.id, self.data())
        self.polled()

    @precondition(lambda self: self.theirs())
    @rule(pick=PICK)
    def trash_outside(self, pick: int) -> None:
        asset = chosen(self.theirs(), pick)
        if asset.id in {id for _, id in self.model.added | self.model.taken_out}:
            return  # a refusal, which tests of the uploader are about
        self.disturb(None, asset.name, asset.id, is_overtaken=True)
        self.store.trash(asset.id)
        self.polled()

    @precondition(lambda self: self.flavour is Flavour.FOLDER and self.theirs())
    @rule(pick=PICK, into=PICK, name=FILES)
    def move_outside(self, pick: int, into: int, name: str) -> None:
        asset, folder = chosen(self.theirs(), pick), chosen(self.albums_there(), into)
        assert folder.id is not None
        if any(one.name == name for one in self.store.members(folder.id)) or name in self.model.below(folder):
            return
        self.disturb(folder, name, asset.id)
        self.store.move(asset.id, folder.id, name)
        self.polled()

    @precondition(lambda self: self.albums_there())
    @rule(pick=PICK, name=FOLDERS)
    def make_album_outside(self, pick: int, name: str) -> None:
        parent = self.model.top if self.flavour is Flavour.IMMICH else chosen(self.albums_there(), pick)
        if name in self.model.below(parent) or self.depth(parent) >= DEPTH_MAX:
            return
        made = self.store.make_album(name, parent.id)
        self.model.folders.append(Folder(name, parent, made.id))
        self.polled()

    def theirs(self) -> list[StoredAsset]:
        """Assets that others may change. What has just arrived is shown for a moment, whatever becomes of it."""
        arrived = {item.sent.id for item in self.items() if item.sent is not None and item.verb is Verb.UPLOAD}
        unanswered = self.unanswered()
        return [asset for asset in self.store.assets() if asset.id not in arrived and asset.sha1 not in unanswered]

    def stores(self, name: str) -> bool:
        """The server takes a file of that name from others."""
        return self.model.takes(name) and not (self.model.has_sets and is_scratch(name))

    def albums_there(self) -> list[Folder]:
        return [folder for folder in self.model.folders if folder.id is not None]

    def disturb(self, folder: Folder | None, name: str, asset: str | None, *, is_overtaken: bool = False) -> None:
        places = {(folder, name)}
        if asset is not None:  # which may be what arrived of a file though no answer did
            homes = (one for one in self.albums_there() if asset in {two.id for two in self.model.members(one)})
            places |= {(home, self.store.asset(asset).name) for home in homes}
        for place, file in self.model.pending.items():
            if (asset is not None and file.base == asset) or place in places:
                file.is_disturbed = True
                file.is_overtaken = file.is_overtaken or (is_overtaken and file.base == asset)

    # ---- what goes wrong -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.is_online)
    @rule()
    def go_offline(self) -> None:
        self.store.script.offline()
        self.is_online = False
        self.is_blind = self.flavour is Flavour.FOLDER  # whose galleries are made for folders of this machine

    @precondition(lambda self: not self.is_online)
    @rule()
    def go_online(self) -> None:
        self.store.script.clear()
        self.is_online, self.is_blind = True, False
        self.held = []
        self.passes(2.0)

    @precondition(lambda self: self.is_online)
    @rule(kind=PASSING, method=st.sampled_from(["upload", "replace"]), skip=st.integers(0, 1))
    def fault(self, kind: FaultKind, method: str, skip: int) -> None:
        self.store.script.add(Fault(kind, method, skip=skip, seconds=5.0))

    @precondition(lambda self: self.is_online)
    @rule(kind=HOLDING, method=st.sampled_from(["upload", "replace"]))
    def hold(self, kind: FaultKind, method: str) -> None:
        """The next one hangs, before or after it is done, until something ends that."""
        self.held += self.store.script.add(Fault(kind, method))

    @rule(kills=st.booleans())
    def restart(self, kills: bool) -> None:
        """Stopped in order, or killed; and begun again."""
        self.life = self.life.killed() if kills else self.life.restarted()
        self.opened, self.aside = [], {}
        self.is_blind = self.is_blind or not self.is_online
        items = {item.id: item for item in self.items() if item.account}  # others: of payloads without a row
        for place, file in list(self.model.pending.items()):
            file.writers = 0
            item = items.get(file.item)
            if not file.is_touched or (item is None and file.promised is None):
                del self.model.pending[place]
            elif item is not None:
                is_safe = file.promised is not None and not file.has_failed
                assert not is_safe or item.stage is not Stage.FAILED, f"{place[1]} has failed: {item.reason}"
                file.has_failed = item.stage is Stage.FAILED
                if item.is_aside:  # a change that was not flushed once: what was there is shown
                    del self.model.pending[place]
        if kills:  # what was only noted, a moment ago, may be gone
            self.model.added, self.model.taken_out = self.said_in_queue()
            self.back_in_albums(items)
        self.take_stock(is_settled=False)
        assert (self.model.added, self.model.taken_out) == self.said_in_queue()

    def back_in_albums(self, items: Mapping[str, Item]) -> None:
        """New bytes of a photo are in its album as long as nothing says that they left it."""
        for (folder, id), file in list(self.model.pending.items()):
            item = items.get(file.item)
            if folder is not self.model.library or item is None:
                continue
            for home in self.model.folders:
                if item.album in (home.id, home.item):
                    del self.model.pending[folder, id]
                    self.model.pending[home, item.name] = file


SETTINGS = settings(deadline=None, max_examples=400 if SOAKS else 15, stateful_step_count=50 if SOAKS else 25)
WARNS = pytest.mark.warns(
    ""
)  # of a server that is away, changes that failed, files that are no pictures: all said on purpose


class WritingSets(Writing):
    """Where albums are sets of assets, names are fixed, and new bytes are a new asset."""

    flavour = Flavour.IMMICH
    top = "albums"

    @precondition(lambda self: not self.is_blind)
    @rule(pick=PICK, name=FOLDERS)
    def make_directory_in_album(self, pick: int, name: str) -> None:
        parent = chosen(self.model.folders, pick)
        if parent is not self.model.top:
            self.does(lambda life: calls.directory_made(life, self.path(parent, name)), errno.EPERM)

    def depth(self, folder: Folder) -> int:
        """No album is in an album."""
        return 0 if folder is self.model.top else DEPTH_MAX

    def renaming(
        self, place: Place, entry: File | StoredAsset, target: Place, there: File | StoredAsset | None
    ) -> tuple[int, ...]:
        if any(isinstance(one, File) and one.is_disturbed for one in (entry, there)):
            return (0, errno.ESTALE, errno.ENOENT, errno.EEXIST, errno.EPERM, *NOT_ASKED)
        if isinstance(entry, File) and entry is there:
            return (0,)
        if self.is_kept(place, entry, target, there):
            if isinstance(entry, File) and entry.is_touched:
                return (0,) if entry.promised == entry.content else (0, errno.ESTALE)  # of what is being written
            return (0,) if self.is_online else (0, *NOT_ASKED)
        if isinstance(entry, File) and not self.is_link(place, entry):
            return (0,) if entry.base is None and self.model.takes(target[1]) else (errno.EPERM,)
        if isinstance(there, StoredAsset) and there.id == getattr(entry, "id", None):
            return (0,)
        return (errno.EPERM,) if place[0] is target[0] or target[1] != place[1] else (0,)

    def rename_file(self, place: Place, entry: File | StoredAsset, target: Place, replaces: bool) -> None:
        there = self.model.shown(target[0]).get(target[1])
        is_disturbed = any(isinstance(one, File) and one.is_disturbed for one in (entry, there))
        if isinstance(entry, File) and (target[0], entry) in self.model.added and target[1] != place[1]:
            return  # two names of one new file in one album, which the server will not have
        if not (is_disturbed and self.is_kept(place, entry, target, there)):  # whose bytes the copy has, nobody can say
            super().rename_file(place, entry, target, replaces)

    def is_kept(self, place: Place, entry: File | StoredAsset, target: Place, there: File | StoredAsset | None) -> bool:
        """What an editor does before it puts another file into the place of a photo: a copy of that is kept here."""
        is_photo = isinstance(entry, StoredAsset) or entry.base is not None or self.is_link(place, entry)
        is_beside = place[0] is target[0] and place[1] != target[1] and is_scratch(target[1])
        return is_photo and is_beside and not (isinstance(there, File) and self.is_link(target, there))

    def keep(self, place: Place, entry: File | StoredAsset, target: Place) -> None:
        self.aside[place] = self.life.now_s + ASIDE_S
        content = self.model.bytes_of(entry)
        copy = self.model.pending[target] = File(content, promised=content, is_backup=True)

        async def number(life: Life) -> int:
            return int((await calls.existing(life, self.path(*target))).st_ino)

        copy.item = self.item_at(self.life.ask(number))

    def is_link(self, place: Place, entry: File | StoredAsset) -> bool:
        """It waits in another album."""
        own = self.model.place_of(entry) if isinstance(entry, File) else None
        return own is not None and own[0] is not place[0]

    def moved(self, place: Place, entry: File | StoredAsset, target: Place, there: File | StoredAsset | None) -> None:
        if entry is there or (isinstance(there, StoredAsset) and there.id == getattr(entry, "id", None)):
            return
        if self.is_kept(place, entry, target, there):
            self.keep(place, entry, target)
            return
        if isinstance(entry, File) and not self.is_link(place, entry):
            super().moved(place, entry, target, there)
            self.model.taken_out.discard((target[0], entry))
            return
        if there is not None:
            self.taken_away(target, there)
        what = entry.id if isinstance(entry, StoredAsset) else entry.base or entry
        self.said(self.model.added, target[0], what)
        self.said(self.model.taken_out, place[0], what)

    def said(self, said: set[tuple[Folder, str | File]], folder: Folder, id: str | File) -> None:
        self.model.added.discard((folder, id))
        self.model.taken_out.discard((folder, id))
        said.add((folder, id))

    def taken_away(self, place: Place, entry: File | StoredAsset) -> None:
        if isinstance(entry, StoredAsset):
            self.said(self.model.taken_out, place[0], entry.id)
            return
        if self.is_link(place, entry):
            self.said(self.model.taken_out, place[0], entry.base or entry)
            return
        self.model.pending.pop(place, None)
        linked = [folder for folder, what in self.model.added if what is entry]
        if entry.base is not None and not self.is_new_again(entry):  # it is in the library, and its new bytes are sent
            self.said(self.model.taken_out, place[0], entry.base)
            self.model.pending[self.model.library, entry.item] = entry
        elif linked:  # it is only there now
            home = self.home_of(entry, linked[0])
            self.model.added.discard((home, entry))
            self.model.pending[home, place[1]] = entry
            return
        self.model.added = {one for one in self.model.added if one[1] is not entry}
        self.model.taken_out = {one for one in self.model.taken_out if one[1] is not entry}

    def is_new_again(self, file: File) -> bool:
        """What it was to replace was put into the trash by others, and it is a photo of its own."""
        item = self.life.outgoing.queue.get(file.item)
        return file.is_disturbed and (item is None or item.base is None)

    def link_file(self, place: Place, entry: File | StoredAsset, target: Place, there: object) -> None:
        if self.model.is_aside(target):
            return  # two files of one name, one of which is not shown
        if isinstance(entry, File) and entry.is_disturbed:
            return  # what it replaces may be gone: a refusal, which tests of the uploader are about
        allowed: list[int] = [0]
        if there is not None:
            allowed = [errno.EEXIST]
        elif target[1] != place[1] or (isinstance(entry, File) and is_scratch(place[1])):
            allowed = [errno.EPERM]
        if not self.does(lambda life: calls.linked(life, self.path(*place), self.path(*target)), *allowed):
            what = entry.id if isinstance(entry, StoredAsset) else entry.base or entry
            self.said(self.model.added, target[0], what)


@WARNS
class TestFolders(Writing.TestCase):  # type: ignore[misc,valid-type]
    """Real names, new bytes in place."""

    settings = SETTINGS


@WARNS
class TestSets(WritingSets.TestCase):  # type: ignore[misc,valid-type]
    """Fixed names, one asset of equal bytes, new bytes are a new asset."""

    settings = SETTINGS
