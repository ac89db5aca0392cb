"""What the machine of test_writing_model.py does all the time: calls, time, and what must hold after every step."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pyfuse3 import FileHandleT

from iiiffs.sync.items import Item, Stage, Verb, is_local_id
from iiiffs.tree.nodes import Local
from tests.harness import writing_tree as calls
from tests.harness.scripted import FaultKind, Flavour, Store, StoredAsset
from tests.harness.writing_tree import Life
from tests.unit.vfs.writing_model import File, Folder, Model, Opened, Place

T = TypeVar("T")
Said = set[tuple[Folder, str | File]]

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


RESTING = (Stage.OPEN, Stage.SCRATCH, Stage.FAILED)
WAITING = (Stage.SETTLING, Stage.READY, Stage.SENDING)


class Machine(RuleBasedStateMachine):
    """A mount over a server, and the model of both; without rules of programs and people."""

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
        self.cached: set[tuple[str, str]] = set()
        """Assets in the versions whose bytes are in the cache: sent from here, or read to their end."""
        self.kept = self.model.contents()
        self.life = Life(self.home, self.store)
        self.model.unanswered = self.unanswered
        self.aside: dict[Place, float] = {}
        """Until when the names of what was renamed to keep it are not shown."""
        self.model.is_aside = lambda place: self.aside.get(place, 0.0) > self.life.now_s

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
        """Bytes unlike all others, also the first of them."""
        self.count += 1
        return (bytes((self.count % 256,)) + b"%06d no picture " % self.count * 9)[:length]

    def is_remote(self, entry: object) -> bool:
        """Something of the server's would have to be asked for."""
        return isinstance(entry, StoredAsset) or (isinstance(entry, File) and entry.base is not None)

    def said_in_queue(self) -> tuple[Said, Said]:
        """What goes into albums and what comes out of them, as the queue has it."""
        folders = {id: folder for folder in self.model.folders for id in (folder.id, folder.item) if id is not None}
        files = {file.item: file for file in self.model.pending.values()}
        added: Said = set()
        taken_out: Said = set()
        successor = self.life.outgoing.queue.successors.successor
        for item in self.items():
            if item.earlier and (not item.assets or is_local_id(item.assets[0])):
                continue  # what may have arrived of a file that is not there any more
            for asset in item.assets if item.verb in (Verb.ADD, Verb.TAKE_OUT) else ():
                one = folders[item.album], files.get(asset, str(successor(calls.ACCOUNT, asset) or asset))
                added.discard(one)
                taken_out.discard(one)
                (added if item.verb is Verb.ADD else taken_out).add(one)
        return added, taken_out

    def unanswered(self) -> set[bytes]:
        """Rule: Model.unanswered."""
        return {sha1 for item in self.items() if item.stage is not Stage.SENT for sha1 in item.earlier}

    def items(self) -> list[Item]:
        """All of the queue."""
        return self.life.outgoing.queue.items()

    # ---- time passes ---------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 3.5]))
    def wait(self, seconds: float) -> None:
        self.passes(seconds)

    @precondition(lambda self: self.is_online)
    @rule()
    def settle(self) -> None:
        """Everything is sent."""
        self.store.script.remove(*self.held)
        self.held = []

        async def send(life: Life) -> None:
            await life.wait(4.0)
            for _ in range(SENT_ROUNDS):
                life.uploader.send_now()
                state = await life.uploader.wait_idle()
                await life.wait(1.0)
                resting = [item for item in life.outgoing.queue.items() if item.stage in RESTING]
                here = {id for item in resting for id in (item.id, item.asset_id)}
                left = [item for item in life.outgoing.queue.items() if item.stage in WAITING]
                left = [item for item in left if not here.intersection(item.assets)]
                if not left and not state.sending:
                    return
            raise AssertionError(f"not sent: {left}")

        self.life.ask(send)
        self.take_stock(is_settled=True)

    def passes(self, seconds: float) -> None:
        """Time, and what is sent meanwhile."""
        self.life.passes(seconds)
        self.take_stock(is_settled=False)

    def take_stock(self, *, is_settled: bool) -> None:
        """What was sent is the server's now."""
        items = {item.id: item for item in self.items() if item.stage is not Stage.SENT}
        for folder in self.model.folders:
            if folder.item is not None and folder.item not in items:
                stored = self.model.stored_album(folder)
                assert stored is not None, f"{folder.title} was not made"
                folder.id, folder.item = stored.id, None
            assert folder.item is None or not is_settled, f"{folder.title} was not made"
        for (folder, name), file in list(self.model.pending.items()):
            item = items.get(file.item)
            if folder is self.model.library:
                continue
            if item is not None and item.conflict_with is not None and item.name != name:
                assert file.is_disturbed, f"{name} is called {item.name}, and nobody changed what is there"
                del self.model.pending[folder, name]
                self.model.pending[folder, item.name], file.base = file, None
        for (folder, name), file in list(self.model.to_be_sent()):
            if is_settled or file.item not in items:
                del self.model.pending[folder, name]
                self.became(file, self.check_sent(folder, name, file))
        written = {item.asset_id for item in self.items() if item.stage in RESTING}
        for verb, said in ((Verb.ADD, self.model.added), (Verb.TAKE_OUT, self.model.taken_out)):
            told = {(item.album, item.name) for item in self.items() if item.verb is verb}
            for folder, id in list(said):
                if isinstance(id, File) and self.model.place_of(id) is not None:
                    continue  # it is not sent, nor is what was said of it
                name = self.store.asset(id).name if isinstance(id, str) else ""
                is_told = bool(told & {(folder.id, name), (folder.item, name)})
                if (is_settled and id not in written) or (name and not is_told):
                    assert isinstance(id, str) and folder.id is not None, f"what {verb} is about was not sent"
                    is_in = self.model.successor(id) in {one.id for one in self.store.members(folder.id)}
                    assert is_in is (verb is Verb.ADD), f"{verb} {self.store.asset(id)} was not done: {self.items()}"
                    said.discard((folder, id))

    def became(self, file: File, asset: StoredAsset) -> None:
        """What was said of the file, or of what it replaced, is said of the asset that it is; not what was said of an
        asset that it was to replace, and stands beside."""
        replaced = file.base if file.base is not None and self.model.successor(file.base) == asset.id else file
        for said in (self.model.added, self.model.taken_out):
            for folder, id in list(said):
                if id is file or id == replaced:
                    said.discard((folder, id))
                    said.add((folder, asset.id))

    def check_sent(self, folder: Folder, name: str, file: File) -> StoredAsset:
        is_homeless = folder is self.model.library
        assert folder.id is not None or is_homeless, f"{name} was sent, and its album is not there"
        there = set() if folder.id is None else {one.id for one in self.store.members(folder.id)}
        found = [one for one in self.store.assets() if self.store.bytes_of(one.id) == file.content]
        assert len(found) == 1, f"{name} is there {len(found)} times"
        self.cached.add((found[0].id, found[0].version))
        if not file.is_disturbed and not is_homeless:  # else it went where others moved it, or beside what they made
            assert found[0].id in there and (found[0].name == name or self.model.has_sets), f"{name} is {found[0]}"
        return found[0]

    def hides_link(self, place: Place) -> bool:
        """Its name is not shown for a moment, and it waits in another album: tests of the overlay are about those."""
        entry = self.model.held(place[0]).get(place[1])
        home = self.model.place_of(entry) if isinstance(entry, File) else None
        return place in self.aside and home not in (None, place)

    # ---- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def all_holds(self) -> None:
        """What is at the server is there, the tree is the model, and open files have their bytes."""
        if self.is_online and any(file.is_disturbed for file in self.model.pending.values()):
            self.passes(2.0)  # what somebody else has moved elsewhere is known there after a look
        self.nothing_is_destroyed()
        self.the_tree_is_the_model()
        self.handles_read_what_was_written()
        self.nothing_is_left_open()

    def nothing_is_left_open(self) -> None:
        """What nobody has open is not kept from being sent; `Outgoing.run` would send it a minute late."""
        left = [item for item in self.life.outgoing.queue.items() if self.life.outgoing._is_lost(item)]
        assert not left, f"open, and nobody has them open: {left}"
        kept = self.life.outgoing.files.open_files
        assert self.opened or not kept, f"{kept} files are open, and nobody has them open"

    def nothing_is_destroyed(self) -> None:
        now = self.model.contents()
        lost = {sha1.hex() for sha1 in self.kept if not now[sha1]}
        assert not lost, f"the server has lost {lost}"
        self.kept = now

    def the_tree_is_the_model(self) -> None:
        if self.is_blind:
            return
        for folder in self.model.folders:
            if not self.model.is_mixed(folder):
                self.check_folder(folder)

    def check_folder(self, folder: Folder) -> None:
        path, shown, below = self.model.path(folder), self.model.shown(folder), self.model.below(folder)

        async def look(life: Life) -> dict[str, bytes | None]:
            found: dict[str, bytes | None] = {}
            for name in sorted(await calls.listed(life, path)):
                if name in below:
                    found[name] = None
                elif self.is_online or not self.is_remote(shown.get(name)) or self.is_cached(shown.get(name)):
                    try:
                        found[name] = await calls.read_all(life, f"{path}/{name}")
                        self.has_read(shown.get(name))
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
        expected |= dict.fromkeys(below)
        wrong = {
            name: (found.get(name, "absent"), expected.get(name, "absent"))
            for name in found.keys() | expected.keys()
            if found.get(name, "absent") != expected.get(name, "absent")
        }
        assert not wrong, f"{path}: name -> (what it is, what it should be): {wrong}; {self.items()}"

    def is_cached(self, entry: object) -> bool:
        """Its bytes were here: whether the server can be asked is no matter."""
        return isinstance(entry, StoredAsset) and (entry.id, entry.version) in self.cached

    def has_read(self, entry: object) -> None:
        if isinstance(entry, StoredAsset):
            self.cached.add((entry.id, entry.version))

    def handles_read_what_was_written(self) -> None:
        for one in self.opened:
            content = one.content if one.file is None else one.file.content

            async def read(life: Life, one: Opened = one) -> bytes:
                return bytes(await calls.called(life.operations.read(FileHandleT(one.handle), 0, 1000)))

            is_ours = one.file is not None and one.file.is_touched and not one.is_theirs
            code, data = self.answer(read, *((0,) if is_ours else (0, errno.ESTALE, errno.ENOENT, errno.EIO)))
            is_sent = one.file is None or self.model.place_of(one.file) is None
            if (
                not code and data != content and is_sent and not one.writes
            ):  # it is the same file, which has been changed here
                one.file = self.file_at(one.inode)
                one.is_theirs = True
                content = content if one.file is None else one.file.content
            assert code or data == content

    def file_at(self, inode: int) -> File | None:
        """The file that waits which the inode is now."""

        async def item(life: Life) -> str | None:
            node = await life.node(inode)
            return node.item if isinstance(node, Local) else None

        id = self.life.ask(item)
        return next((file for file in self.model.pending.values() if file.item == id), None)

    def path(self, folder: Folder, name: str = "") -> str:
        return self.model.path(folder, name)


def chosen(values: list[T], pick: int) -> T:
    """One of them."""
    return values[pick % len(values)]
