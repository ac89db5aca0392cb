"""A whole mount that programs write to at random, over a server with a life of its own, held against a model of it.

Files and albums are made, changed, renamed and removed; the server is changed by others, cannot be reached, loses
answers, hangs; iiiffs is stopped and killed. After every step the tree is asked for everything, and now and then
everything is sent and the server is looked at (DESIGN §4, issue 6).
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pyfuse3 import FileHandleT

from iiiffs.sync.items import Stage, Verb
from iiiffs.tree.scratch import is_scratch
from tests.harness import writing_tree as calls
from tests.harness.scripted import Fault, FaultKind, Flavour, Store, StoredAsset
from tests.harness.writing_tree import Life
from tests.unit.vfs.writing_model import File, Folder, Model, Opened, Place

T = TypeVar("T")

SOAKS = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
MEMORY = Path("/dev/shm")
"""Where an fsync costs nothing; what it is worth is shown elsewhere."""
FILES = st.sampled_from(["a.jpg", "b.jpg", "c.png", ".a.jpg.Ab12cd", "n.txt"])
FOLDERS = st.sampled_from(["x", "y", "z"])
PICK = st.integers(0, 999)
OFFSETS = st.integers(0, 40)
SIZES = st.integers(0, 60)
DEPTH_MAX = 2
SENT_ROUNDS = 60
NOT_ASKED = {errno.EIO, errno.EROFS}
"""What is answered where the server would have to be asked."""
PASSING = st.sampled_from(
    [FaultKind.LATENCY, FaultKind.UNREACHABLE, FaultKind.TRUNCATED, FaultKind.HALF, FaultKind.TWICE, FaultKind.LOST]
)
HOLDING = st.sampled_from([FaultKind.HANG, FaultKind.LOST_SILENTLY])


class Writing(RuleBasedStateMachine):
    """The rules for both kinds of servers."""

    flavour = Flavour.FOLDER
    top = "files"

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="iiiffs-writing-", dir=MEMORY if MEMORY.is_dir() else None))
        self.store = Store(self.home / "server", self.flavour)
        root = self.store.albums()[0].id if self.flavour is Flavour.FOLDER else None
        self.model = Model(self.store, [Folder(self.top, None, root)])
        self.opened: list[Opened] = []
        self.count = 0
        self.is_online = True
        self.is_blind = False
        """What the server has is not known, or not as it is now."""
        self.held: list[int] = []
        self.kept = self.model.contents()
        self.life = Life(self.home, self.store)

    def teardown(self) -> None:
        try:
            self.store.script.clear()
            self.life.close()
            self.store.check()
        finally:
            self.store.close()
            shutil.rmtree(self.home)

    # ---- doing ---------------------------------------------------------------------------------------------------

    def does(self, call: Callable[[Life], Awaitable[T]], *allowed: int) -> int:
        """The errno (0: none) of a call, which must be one of `allowed`, or none where none is given."""
        return self.answer(call, *allowed)[0]

    def answer(self, call: Callable[[Life], Awaitable[T]], *allowed: int) -> tuple[int, T | None]:
        try:
            found, answer = 0, self.life.ask(call)
        except OSError as error:
            found, answer = error.errno or errno.EIO, None
            cause = error.__cause__
            note(f"-> {errno.errorcode[found]} {type(cause).__name__}: {cause}")
        names = [errno.errorcode.get(one, "0") for one in allowed or (0,)]
        assert found in (allowed or (0,)), f"{errno.errorcode.get(found, '0')} instead of {names}"
        return found, answer

    def data(self, length: int = 24) -> bytes:
        """Bytes unlike all others."""
        self.count += 1
        return (b"%06d no picture " % self.count * 9)[:length]

    def is_remote(self, entry: object) -> bool:
        """Something of the server's would have to be asked for."""
        return isinstance(entry, StoredAsset) or (isinstance(entry, File) and entry.base is not None)

    # ---- files ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.is_blind and self.model.holders())
    @rule(pick=PICK, name=FILES, keeps_open=st.booleans(), length=SIZES)
    def create(self, pick: int, name: str, keeps_open: bool, length: int) -> None:
        """open(O_CREAT|O_TRUNC), write, and perhaps close."""
        folder = chosen(self.model.holders(), pick)
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
        allowed = (0,)
        if not self.is_online and isinstance(there, StoredAsset):
            allowed = (0, *NOT_ASKED)
        if isinstance(there, File) and there.is_disturbed:
            allowed = (0, errno.ESTALE, errno.ENOENT)
        code, found = self.answer(lambda life: calls.opened(life, self.path(folder, name), flags), *allowed)
        if code or found is None:
            return None
        if there is None:
            file = self.model.pending[folder, name] = File(b"")
        elif isinstance(there, File):
            file = there
        else:
            file = File(self.store.bytes_of(there.id), base=there.id, is_touched=False)
            self.model.pending[folder, name] = file
        if flags & os.O_TRUNC:
            self.touch(file, b"")
        file.writers += 1
        file.has_failed = False
        made = Opened(*found, writes=True, file=file)
        self.opened.append(made)
        return made

    def touch(self, file: File, content: bytes) -> None:
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
        call = self.does(
            lambda life: calls.ftruncated(life, opened.handle, opened.inode, size), *self.changing(file)
        )
        if not call:
            self.touch(file, file.content[:size].ljust(size, b"\0"))

    @precondition(lambda self: not self.is_blind and self.model.files())
    @rule(pick=PICK, size=SIZES)
    def truncate(self, pick: int, size: int) -> None:
        """By its name, while nobody needs have it open."""
        (folder, name), there = chosen(self.model.files(), pick)
        file = there if isinstance(there, File) else File(self.store.bytes_of(there.id), there.id, is_touched=False)
        allowed = self.changing(file)
        if file.is_disturbed:
            allowed = (0, errno.ESTALE, errno.ENOENT)
        if not self.does(lambda life: calls.truncated(life, self.path(folder, name), size), *allowed):
            if file is not there:
                self.model.pending[folder, name] = file
            self.touch(file, file.content[:size].ljust(size, b"\0"))
            file.promised, file.has_failed = file.content, False

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
        there = self.model.shown(target[0]).get(target[1])

        def call(life: Life) -> Awaitable[None]:
            return calls.renamed(life, self.path(*place), self.path(*target), 0 if replaces else 1)

        if there is not None and not replaces:
            self.does(call, *self.at_least(errno.EEXIST, there, entry))
            return
        if place == target:
            self.does(call, *self.at_least(0, entry))
            return
        allowed = self.renaming(place, entry, target, there)
        if not self.does(call, *allowed):
            self.move(place, entry, target, there)

    def at_least(self, code: int, *entries: object) -> tuple[int, ...]:
        """`code`, and what is answered where the server cannot be asked for one of `entries`."""
        return (code,) if self.is_online or not any(map(self.is_remote, entries)) else (code, *NOT_ASKED)

    def renaming(
        self, place: Place, entry: File | StoredAsset, target: Place, there: File | StoredAsset | None
    ) -> tuple[int, ...]:
        is_sync = self.is_remote(entry)
        if any(isinstance(one, File) and one.is_disturbed for one in (entry, there)):
            return (0, errno.ESTALE, errno.ENOENT, errno.EEXIST, *NOT_ASKED)
        if not self.is_online:
            return (errno.EIO, errno.EROFS) if is_sync else self.at_least(0, there)
        if is_sync and target[0].id is None:
            return (errno.EROFS, errno.EPERM)
        return (0,)

    def move(self, place: Place, entry: File | StoredAsset, target: Place, there: File | StoredAsset | None) -> None:
        """As the server did it; what waits has another name."""
        if isinstance(entry, StoredAsset):
            self.model.pending.pop(target, None)
            return
        del self.model.pending[place]
        if entry.base is None and there is not None:
            entry.base = there.base if isinstance(there, File) else there.id
        self.model.pending[target] = entry
        entry.has_failed = False

    @precondition(lambda self: not self.is_blind and self.model.files())
    @rule(pick=PICK)
    def unlink(self, pick: int) -> None:
        place, entry = chosen(self.model.files(), pick)
        allowed: tuple[int, ...] = (0,)
        if self.is_remote(entry) and not self.is_online:
            allowed = (errno.EIO, errno.EROFS)
        if isinstance(entry, File) and entry.is_disturbed:
            allowed = (0, errno.ESTALE, *NOT_ASKED)
        if not self.does(lambda life: calls.unlinked(life, self.path(*place)), *allowed):
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
            allowed = [errno.EROFS, errno.EPERM]
        if not self.is_online and (self.is_remote(entry) or self.is_remote(there)):
            allowed = [errno.EEXIST, *NOT_ASKED]
        if isinstance(entry, File) and entry.is_disturbed:
            allowed += [errno.ESTALE, errno.ENOENT]
        self.does(lambda life: calls.linked(life, self.path(*place), self.path(*target)), *allowed)

    # ---- albums --------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.is_blind)
    @rule(pick=PICK, name=FOLDERS)
    def make_directory(self, pick: int, name: str) -> None:
        parent = chosen(self.model.folders, pick)
        there = name in self.model.below(parent)
        if self.depth(parent) >= DEPTH_MAX:
            return
        allowed = errno.EEXIST if there else 0
        if not self.does(lambda life: calls.directory_made(life, self.path(parent, name)), allowed):
            folder = Folder(name, parent, None)
            if self.made_at_once(parent):
                stored = self.model.stored_album(folder)
                folder.id = None if stored is None else stored.id
                assert stored is not None, "it was not made"
            self.model.folders.append(folder)

    def made_at_once(self, parent: Folder) -> bool:
        return self.is_online and (parent.id is not None or self.flavour is Flavour.IMMICH) and not self.has_trouble()

    def has_trouble(self) -> bool:
        return self.life.gallery.trouble is not None

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
        folder, parent = chosen(self.model.folders[1:], pick), chosen(self.model.folders, into)
        there = self.model.below(parent).get(name)
        if self.depth(parent) >= DEPTH_MAX:
            return
        allowed = self.renaming_directory(folder, parent, there, replaces)
        old, new = self.path(folder), self.path(parent, name)
        if self.does(lambda life: calls.renamed(life, old, new, 0 if replaces else 1), *allowed) or folder is there:
            return
        if there is not None:
            self.model.forget(there)
        folder.title, folder.parent = name, parent

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
            return (errno.EROFS, errno.EPERM)
        return (0,)

    # ---- what others do ------------------------------------------------------------------------------------------

    def polled(self) -> None:
        """What others did is known."""
        self.kept |= self.model.contents()
        if self.is_online:
            self.life.passes(2.0)
        else:
            self.is_blind = True

    @precondition(lambda self: self.albums_there())
    @rule(pick=PICK, name=FILES)
    def put_outside(self, pick: int, name: str) -> None:
        folder = chosen(self.albums_there(), pick)
        assert folder.id is not None
        if any(one.name == name for one in self.store.members(folder.id)) or not self.model.takes(name):
            return
        if self.flavour is Flavour.FOLDER and name in self.model.below(folder):
            return
        self.store.put(name, self.data(), folder.id)
        self.disturb(folder, name, None)
        self.polled()

    @precondition(lambda self: self.store.assets())
    @rule(pick=PICK)
    def edit_outside(self, pick: int) -> None:
        asset = chosen(self.store.assets(), pick)
        self.kept -= type(self.kept)([asset.sha1])  # what it was is nowhere
        self.store.edit_bytes(asset.id, self.data())
        self.disturb(None, asset.name, asset.id)
        self.polled()

    @precondition(lambda self: self.store.assets())
    @rule(pick=PICK)
    def trash_outside(self, pick: int) -> None:
        asset = chosen(self.store.assets(), pick)
        self.store.trash(asset.id)
        self.disturb(None, asset.name, asset.id)
        self.polled()

    @precondition(lambda self: self.flavour is Flavour.FOLDER and self.store.assets())
    @rule(pick=PICK, into=PICK, name=FILES)
    def move_outside(self, pick: int, into: int, name: str) -> None:
        asset, folder = chosen(self.store.assets(), pick), chosen(self.albums_there(), into)
        assert folder.id is not None
        if any(one.name == name for one in self.store.members(folder.id)) or name in self.model.below(folder):
            return
        self.store.move(asset.id, folder.id, name)
        self.disturb(folder, name, asset.id)
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

    def albums_there(self) -> list[Folder]:
        return [folder for folder in self.model.folders if folder.id is not None]

    def disturb(self, folder: Folder | None, name: str, asset: str | None) -> None:
        for (where, title), file in self.model.pending.items():
            if (asset is not None and file.base == asset) or (where is folder and title == name):
                file.is_disturbed = True

    # ---- what goes wrong -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.is_online)
    @rule()
    def go_offline(self) -> None:
        self.store.script.offline()
        self.is_online = False

    @precondition(lambda self: not self.is_online)
    @rule()
    def go_online(self) -> None:
        self.store.script.clear()
        self.is_online, self.is_blind = True, False
        self.held = []
        self.life.passes(2.0)

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
        self.life = self.life.killed() if kills else self.life.restarted()
        self.opened = []
        if not self.is_online and self.flavour is Flavour.FOLDER:
            self.is_blind = True
        failed = {item.name for item in self.items() if item.stage is Stage.FAILED}
        for (folder, name), file in list(self.model.pending.items()):
            file.writers = 0
            is_unsafe = file.promised is None
            if not file.is_touched or (is_unsafe and name not in failed):
                del self.model.pending[folder, name]
            elif is_unsafe:
                file.has_failed = True

    def items(self) -> list:  # type: ignore[type-arg]
        return self.life.outgoing.queue.items()

    # ---- time passes ---------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 3.5]))
    def wait(self, seconds: float) -> None:
        before = dict(self.model.pending)
        self.life.passes(seconds)
        self.take_stock(before, is_settled=False)

    @precondition(lambda self: self.is_online)
    @rule()
    def settle(self) -> None:
        """Everything is sent."""
        self.store.script.remove(*self.held)
        self.held = []
        before = dict(self.model.pending)

        async def send(life: Life) -> None:
            await life.wait(4.0)
            for _ in range(SENT_ROUNDS):
                life.uploader.send_now()
                state = await life.uploader.wait_idle()
                await life.wait(1.0)
                left = [item for item in life.outgoing.queue.items() if item.stage in WAITING]
                if not left and state.is_idle:
                    return
            raise AssertionError(f"not sent: {left}")

        self.life.ask(send)
        self.take_stock(before, is_settled=True)
        assert not self.model.added and not self.model.taken_out

    def take_stock(self, before: dict[Place, File], *, is_settled: bool) -> None:
        """What was sent is the server's now."""
        for folder in self.model.folders:
            if folder.id is None and (stored := self.model.stored_album(folder)) is not None:
                waits = any(item.verb is Verb.MAKE_ALBUM and item.name == folder.title for item in self.items())
                if not waits:
                    folder.id = stored.id
            assert folder.id is not None or not is_settled or folder is self.model.top, f"{folder.title} was not made"
        waiting = {item.name for item in self.items() if item.verb is Verb.UPLOAD and item.stage is not Stage.SENT}
        for (folder, name), file in list(self.model.to_be_sent()):
            if is_settled or name not in waiting:
                del self.model.pending[folder, name]
                self.check_sent(folder, name, file)

    def check_sent(self, folder: Folder, name: str, file: File) -> None:
        assert folder.id is not None, f"{name} was sent, and its album is not there"
        stem = name.rpartition(".")[0]
        found = [
            one
            for one in self.store.members(folder.id)
            if self.store.bytes_of(one.id) == file.content
            and (one.name == name or (file.is_disturbed and one.name.startswith(f"{stem} (conflict ")))
        ]
        assert len(found) == 1, f"{name} is there {len(found)} times"

    # ---- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_destroyed(self) -> None:
        now = self.model.contents()
        lost = {sha1.hex() for sha1 in self.kept if not now[sha1]}
        assert not lost, f"the server has lost {lost}"
        self.kept = now

    @invariant()
    def the_tree_is_the_model(self) -> None:
        if self.is_blind:
            return
        for folder in self.model.folders:
            self.check_folder(folder)

    def check_folder(self, folder: Folder) -> None:
        path, shown, below = self.model.path(folder), self.model.shown(folder), self.model.below(folder)

        async def look(life: Life) -> dict[str, bytes | None]:
            found: dict[str, bytes | None] = {}
            for name in await calls.listed(life, path):
                if name in below:
                    found[name] = None
                elif self.is_online or not self.is_remote(shown.get(name)):
                    try:
                        found[name] = await calls.read_all(life, f"{path}/{name}")
                    except OSError as error:
                        entry = shown.get(name)
                        if not (isinstance(entry, File) and entry.is_disturbed and not entry.is_touched):
                            raise AssertionError(f"{path}/{name}: {error} {error.__cause__!r}") from error
                        found[name] = entry.content
                else:
                    found[name] = self.model.bytes_of(shown[name])
            return found

        expected: dict[str, bytes | None] = {name: self.model.bytes_of(entry) for name, entry in shown.items()}
        for name, entry in shown.items():
            if isinstance(entry, File) and entry.is_disturbed and not entry.is_touched:
                expected[name] = None  # what was there, or what is there now
        found = self.life.ask(look)
        for name, data in expected.items():
            if data is None and name in found:
                found[name] = None
        assert found == expected | dict.fromkeys(below)

    @invariant()
    def handles_read_what_was_written(self) -> None:
        for one in self.opened:
            content = one.content if one.file is None else one.file.content

            async def read(life: Life, one: Opened = one) -> bytes:
                return bytes(await calls.called(life.operations.read(FileHandleT(one.handle), 0, 1000)))

            is_ours = one.file is not None and one.file.is_touched
            code, data = self.answer(read, *((0,) if is_ours else (0, errno.ESTALE, errno.ENOENT, errno.EIO)))
            assert code or data == content

    def path(self, folder: Folder, name: str = "") -> str:
        return self.model.path(folder, name)


WAITING = (Stage.SETTLING, Stage.READY, Stage.SENDING)


def chosen(values: list[T], pick: int) -> T:
    return values[pick % len(values)]


SETTINGS = settings(deadline=None, max_examples=400 if SOAKS else 25, stateful_step_count=40 if SOAKS else 25)
WARNINGS = [pytest.mark.warns(text) for text in ("showing what is known", "changes are not noticed", "wait to be sent")]


class TestFolders(Writing.TestCase):  # type: ignore[misc]
    """Real names, new bytes in place."""

    settings = SETTINGS
    pytestmark = [pytest.mark.warns("")]
