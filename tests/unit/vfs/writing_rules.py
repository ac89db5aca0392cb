"""What programs do to files and albums, as rules of a Hypothesis state machine, and what they must be answered."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from pyfuse3 import FileHandleT

from iiiffs.sync.items import is_local_id
from iiiffs.tree.nodes import AlbumDir, Local
from iiiffs.tree.scratch import is_scratch
from tests.harness import writing_tree as calls
from tests.harness.scripted import Flavour, StoredAsset
from tests.harness.writing_tree import Life
from tests.unit.vfs.writing_machine import (
    DEPTH_MAX,
    FILES,
    FOLDERS,
    NOT_ASKED,
    OFFSETS,
    PICK,
    SIZES,
    Machine,
    chosen,
)
from tests.unit.vfs.writing_model import File, Folder, Opened, Place


class Programs(Machine):
    """The rules of programs."""

    # ---- files ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.is_blind and self.model.holders())
    @rule(pick=PICK, name=FILES, keeps_open=st.booleans(), length=SIZES)
    def create(self, pick: int, name: str, keeps_open: bool, length: int) -> None:
        """open(O_CREAT|O_TRUNC), write, and perhaps close."""
        folder = chosen(self.model.holders(), pick)
        if self.hides_link((folder, name)):
            return
        self.aside.pop((folder, name), None)
        there = self.model.shown(folder).get(name)
        if not self.model.takes(name) and there is None:
            self.does(lambda life: calls.opened(life, self.path(folder, name), os.O_WRONLY | os.O_CREAT), errno.EPERM)
            return
        found = self.open_for_writing(folder, name, there, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if found is not None and length:
            self.write_to(found, 0, self.data(length))
        if found is not None and not keeps_open:
            self.close_one(found)

    def open_for_writing(
        self, folder: Folder, name: str, there: File | StoredAsset | None, flags: int
    ) -> Opened | None:
        allowed: tuple[int, ...] = (0,)
        if not self.is_online and isinstance(there, StoredAsset):
            allowed = (0, *NOT_ASKED)
        if isinstance(there, File) and there.is_disturbed:
            allowed = (0, errno.ESTALE, errno.ENOENT)
        code, found = self.answer(lambda life: calls.opened(life, self.path(folder, name), flags), *allowed)
        if code or found is None:
            return None
        if there is None:
            file = File(b"", is_disturbed=self.model.is_taken_unseen((folder, name)))  # before it is shown itself
            self.model.pending[folder, name] = file
        elif isinstance(there, File):
            file = there
        else:
            file = File(self.store.bytes_of(there.id), base=there.id, is_touched=False)
        file.item = self.item_at(found[1])
        if isinstance(there, StoredAsset):
            self.model.pending[self.home_of(file, folder), name] = file
        if flags & os.O_TRUNC:
            self.touch(file, b"")
        file.writers += 1
        file.has_failed = False
        made = Opened(*found, writes=True, file=file)
        self.opened.append(made)
        return made

    def item_at(self, inode: int) -> str:
        """The id of the file that waits."""

        async def node(life: Life) -> object:
            return await life.node(inode)

        local = self.life.ask(node)
        assert isinstance(local, Local), f"{local} is no file that waits"
        return local.item

    def touch(self, file: File, content: bytes) -> None:
        file.is_backup = file.is_backup and content == file.content
        file.content, file.is_touched = content, True
        file.promised = None if not content else file.promised

    @precondition(lambda self: not self.is_blind and self.model.files())
    @rule(pick=PICK, truncates=st.booleans())
    def open_again(self, pick: int, truncates: bool) -> None:
        (folder, name), there = chosen(self.model.files(), pick)
        self.open_for_writing(folder, name, there, os.O_RDWR | (os.O_TRUNC if truncates else 0))

    @precondition(lambda self: not self.is_blind and self.model.files())
    @rule(pick=PICK)
    def open_to_read(self, pick: int) -> None:
        (folder, name), there = chosen(self.model.files(), pick)
        allowed = (0,) if self.is_online or not self.is_remote(there) else (0, *NOT_ASKED)
        code, found = self.answer(lambda life: calls.opened(life, self.path(folder, name), os.O_RDONLY), *allowed)
        if not code and found is not None:
            file = there if isinstance(there, File) else None
            self.opened.append(Opened(*found, writes=False, file=file, content=self.model.bytes_of(there)))

    @precondition(lambda self: self.writers())
    @rule(pick=PICK, offset=OFFSETS, length=st.integers(1, 30))
    def write(self, pick: int, offset: int, length: int) -> None:
        self.write_to(chosen(self.writers(), pick), offset, self.data(length))

    def write_to(self, opened: Opened, offset: int, data: bytes) -> None:
        file = opened.file
        assert file is not None

        async def call(life: Life) -> int:
            return await calls.called(life.operations.write(FileHandleT(opened.handle), offset, data))

        code = self.does(call, *self.changing(file))
        if not code:
            before = file.content.ljust(offset, b"\0")
            self.touch(file, before[:offset] + data + before[offset + len(data) :])

    def changing(self, file: File) -> tuple[int, ...]:
        """What a change of it may answer: the first one has to read what the server has."""
        if file.is_touched:
            return (0,)
        if file.is_disturbed or self.model.place_of(file) is None:
            return (0, errno.ESTALE, errno.ENOENT, *NOT_ASKED)
        return (0,) if self.is_online else (0, *NOT_ASKED)

    @precondition(lambda self: self.writers())
    @rule(pick=PICK, size=SIZES)
    def truncate_open(self, pick: int, size: int) -> None:
        opened = chosen(self.writers(), pick)
        file = opened.file
        assert file is not None
        if self.is_elsewhere(file, size):
            return
        call = self.does(lambda life: calls.ftruncated(life, opened.handle, opened.inode, size), *self.changing(file))
        if not call:
            self.touch(file, file.content[:size].ljust(size, b"\0"))

    @precondition(lambda self: not self.is_blind and self.model.files())
    @rule(pick=PICK, size=SIZES)
    def truncate(self, pick: int, size: int) -> None:
        """By its name, while nobody needs have it open."""
        (folder, name), there = chosen(self.model.files(), pick)
        file = (
            there if isinstance(there, File) else File(self.store.bytes_of(there.id), base=there.id, is_touched=False)
        )
        if self.is_elsewhere(file, size):
            return
        allowed = self.changing(file)
        if file.is_disturbed:
            allowed = (0, errno.ESTALE, errno.ENOENT)
        if not self.does(lambda life: calls.truncated(life, self.path(folder, name), size), *allowed):
            self.touch(file, file.content[:size].ljust(size, b"\0"))
            file.promised, file.has_failed = file.content, False

            async def number(life: Life) -> int:
                return int((await calls.existing(life, self.path(folder, name))).st_ino)

            file.item = self.item_at(self.life.ask(number))
            if file is not there:
                self.model.pending[self.home_of(file, folder), name] = file

    def is_elsewhere(self, file: File, size: int) -> bool:
        """Cut to that, it would be another photo by a second name, which tests of the overlay are about; of equal files
        in folders, as links are, nobody could say which one was sent."""
        content = file.content[:size].ljust(size, b"\0")
        others = [one.content for one in self.model.pending.values() if one is not file]
        others += [self.store.bytes_of(asset.id) for asset in self.store.assets() if asset.id != file.base]
        return bool(content) and content in others

    def home_of(self, file: File, folder: Folder) -> Folder:
        """What is in several albums is one inode, which does not say by which of its names it was opened."""
        (item,) = [one for one in self.items() if one.id == file.item]
        return next((one for one in self.model.folders if item.album in (one.id, one.item)), folder)

    @precondition(lambda self: self.writers())
    @rule(pick=PICK)
    def flush(self, pick: int) -> None:
        opened = chosen(self.writers(), pick)

        async def call(life: Life) -> None:
            await calls.called(life.operations.fsync(FileHandleT(opened.handle), False))

        self.does(call)
        self.flushed(opened)

    def flushed(self, opened: Opened) -> None:
        if opened.file is not None and opened.writes and opened.file.is_touched:
            opened.file.promised = opened.file.content

    @precondition(lambda self: self.opened)
    @rule(pick=PICK, flushes=st.booleans())
    def close(self, pick: int, flushes: bool) -> None:
        self.close_one(chosen(self.opened, pick), flushes)

    def close_one(self, opened: Opened, flushes: bool = True) -> None:
        self.does(lambda life: calls.released(life, opened.handle, flushes=flushes))
        self.opened.remove(opened)
        self.flushed(opened)
        file = opened.file
        if file is not None and opened.writes:
            file.writers -= 1
        place = None if file is None else self.model.place_of(file)
        is_used = any(one.file is file for one in self.opened)
        if file is not None and place is not None and not file.is_touched and not is_used:
            del self.model.pending[place]

    def writers(self) -> list[Opened]:
        return [one for one in self.opened if one.writes]

    @precondition(lambda self: not self.is_blind and self.model.files())
    @rule(pick=PICK, into=PICK, name=FILES, replaces=st.booleans())
    def rename(self, pick: int, into: int, name: str, replaces: bool) -> None:
        place, entry = chosen(self.model.files(), pick)
        self.rename_file(place, entry, (chosen(self.model.holders(), into), name), replaces)

    def rename_file(self, place: Place, entry: File | StoredAsset, target: Place, replaces: bool) -> None:
        if isinstance(entry, File) and entry.is_backup and not is_scratch(target[1]):
            return  # a photo by a second name: tests of the overlay are about those
        is_same = target in self.aside and self.model.held(target[0]).get(target[1]) is entry
        if is_same or self.hides_link(target):
            return
        replaces = self.aside.pop(target, None) is not None or replaces
        there = self.model.shown(target[0]).get(target[1])

        def call(life: Life) -> Awaitable[None]:
            return calls.renamed(life, self.path(*place), self.path(*target), 0 if replaces else 1)

        if there is not None and not replaces:
            self.does(call, *self.at_least(errno.EEXIST, there, entry))
            return
        if place == target or entry is there:  # or two names of one file, which rename(2) leaves as they are
            self.does(call, *self.at_least(0, entry))
            return
        allowed = self.renaming(place, entry, target, there)
        if not self.does(call, *allowed):
            self.moved(place, entry, target, there)
            if target[0].id is None:  # it had to be made for that
                self.take_stock(is_settled=False)

    def at_least(self, code: int, *entries: object) -> tuple[int, ...]:
        """`code`, and what is answered where the server cannot be asked for one of `entries`."""
        return (code,) if self.is_online or not any(map(self.is_remote, entries)) else (code, *NOT_ASKED)

    def renaming(
        self, place: Place, entry: File | StoredAsset, target: Place, there: File | StoredAsset | None
    ) -> tuple[int, ...]:
        is_sync = self.is_remote(entry)
        is_disturbed = any(isinstance(one, File) and one.is_disturbed for one in (entry, there))
        if is_disturbed or self.model.is_taken_unseen(target):
            return (0, errno.ESTALE, errno.ENOENT, errno.EEXIST, *NOT_ASKED)
        if not self.is_online:
            return (errno.EIO, errno.EROFS) if is_sync else self.at_least(0, there)
        if is_sync and target[0].id is None:
            return (0, errno.EROFS, errno.EPERM)
        return (0,)

    def moved(self, place: Place, entry: File | StoredAsset, target: Place, there: File | StoredAsset | None) -> None:
        """As the server did it; what waits has another name."""
        if isinstance(entry, StoredAsset):
            self.model.pending.pop(target, None)
            return
        del self.model.pending[place]
        if entry.is_overtaken:
            entry.base, entry.is_overtaken = None, False
        if entry.base is None and there is not None:
            entry.base = there.base if isinstance(there, File) else there.id
            if isinstance(there, File):
                entry.is_disturbed, entry.is_overtaken = there.is_disturbed, there.is_overtaken
        entry.is_disturbed = entry.is_disturbed or self.model.is_taken_unseen(target)
        self.model.pending[target] = entry
        entry.has_failed = False
        item = self.life.outgoing.queue.get(entry.item)
        if entry.is_disturbed and item is not None and item.base is None:
            entry.base = None  # what somebody else has made of it is not renamed with it (DESIGN §4.5)

    @precondition(lambda self: not self.is_blind and self.model.files())
    @rule(pick=PICK)
    def unlink(self, pick: int) -> None:
        place, entry = chosen(self.model.files(), pick)
        allowed: tuple[int, ...] = (0,)
        if self.is_remote(entry) and not self.is_online and self.flavour is Flavour.FOLDER:
            allowed = (errno.EIO, errno.EROFS)
        if isinstance(entry, File) and entry.is_disturbed:
            allowed = (0, errno.ESTALE, *NOT_ASKED)
        if not self.does(lambda life: calls.unlinked(life, self.path(*place)), *allowed):
            self.taken_away(place, entry)

    def taken_away(self, place: Place, entry: File | StoredAsset) -> None:
        self.model.pending.pop(place, None)

    @precondition(lambda self: not self.is_blind and self.model.files())
    @rule(pick=PICK, into=PICK, name=FILES)
    def link(self, pick: int, into: int, name: str) -> None:
        place, entry = chosen(self.model.files(), pick)
        target = chosen(self.model.holders(), into), name
        self.link_file(place, entry, target, self.model.shown(target[0]).get(name))

    def link_file(self, place: Place, entry: File | StoredAsset, target: Place, there: object) -> None:
        allowed = [0]
        if there is not None:
            allowed = [errno.EEXIST]
        elif isinstance(entry, File):
            allowed = [errno.EPERM]
        elif target[0].id is None:
            allowed = [0, errno.EROFS, errno.EPERM]
        if not self.is_online and (self.is_remote(entry) or self.is_remote(there)):
            allowed = [errno.EEXIST, *NOT_ASKED]
        if isinstance(entry, File) and entry.is_disturbed:
            allowed += [errno.ESTALE, errno.ENOENT]
        if self.model.is_taken_unseen(target):
            allowed += [errno.EEXIST]
        self.does(lambda life: calls.linked(life, self.path(*place), self.path(*target)), *allowed)
        if target[0].id is None:
            self.take_stock(is_settled=False)

    # ---- albums --------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.is_blind)
    @rule(pick=PICK, name=FOLDERS)
    def make_directory(self, pick: int, name: str) -> None:
        parent = chosen([one for one in self.model.folders if self.depth(one) < DEPTH_MAX], pick)
        there = name in self.model.below(parent)
        allowed = errno.EEXIST if there else 0
        if not self.does(lambda life: calls.directory_made(life, self.path(parent, name)), allowed):
            folder = Folder(name, parent, None)

            async def album(life: Life) -> str:
                node = await life.node(int((await calls.existing(life, self.path(parent, name))).st_ino))
                assert isinstance(node, AlbumDir)
                return node.album

            id = self.life.ask(album)
            folder.id, folder.item = (None, id) if is_local_id(id) else (id, None)
            self.model.folders.append(folder)

    def depth(self, folder: Folder) -> int:
        return 0 if folder.parent is None else 1 + self.depth(folder.parent)

    @precondition(lambda self: not self.is_blind and len(self.model.folders) > 1)
    @rule(pick=PICK)
    def remove_directory(self, pick: int) -> None:
        folder = chosen(self.model.folders[1:], pick)
        allowed = [0] if self.model.is_empty(folder) else [errno.ENOTEMPTY]
        if not self.is_online and folder.id is not None:
            allowed = [errno.EROFS, *([errno.ENOTEMPTY] if allowed != [0] else [])]
        if not self.does(lambda life: calls.directory_removed(life, self.path(folder)), *allowed):
            self.model.forget(folder)

    @precondition(lambda self: not self.is_blind and len(self.model.folders) > 1)
    @rule(pick=PICK, into=PICK, name=FOLDERS, replaces=st.booleans())
    def rename_directory(self, pick: int, into: int, name: str, replaces: bool) -> None:
        shallow = [one for one in self.model.folders if self.depth(one) < DEPTH_MAX]
        folder, parent = chosen(self.model.folders[1:], pick), chosen(shallow, into)
        there = self.model.below(parent).get(name)
        allowed = self.renaming_directory(folder, parent, there, replaces)
        old, new = self.path(folder), self.path(parent, name)
        if self.does(lambda life: calls.renamed(life, old, new, 0 if replaces else 1), *allowed) or folder is there:
            return
        if there is not None:
            self.model.forget(there)
        folder.title, folder.parent = name, parent
        if parent.id is None:
            self.take_stock(is_settled=False)

    def renaming_directory(
        self, folder: Folder, parent: Folder, there: Folder | None, replaces: bool
    ) -> tuple[int, ...]:
        if parent.is_in(folder):
            return (errno.EINVAL,)
        if there is not None and not replaces:
            return (errno.EEXIST,)
        if there is folder:
            return (0,)
        if there is not None and not self.model.is_empty(there):
            return (errno.ENOTEMPTY,)
        if not self.is_online and (folder.id is not None or (there is not None and there.id is not None)):
            return (errno.EROFS,)
        if folder.id is not None and parent.id is None and self.flavour is Flavour.FOLDER:
            return (0, errno.EROFS, errno.EPERM)
        return (0,)
