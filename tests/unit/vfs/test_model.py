"""A folder that changes at random underneath a tree without a kernel, held against a plain model of it (Hypothesis).

The model is what the steps did to the disk: folders, files and their bytes, and which file keeps its id. After every
step what is kept is not fresh any more, and the tree is asked for everything: names, sizes, bytes, ids, the timeline,
inode numbers through a real InodeTable, and handles that were opened before.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from iiiffs.errors import VersionChanged
from iiiffs.model.gallery import AccountName
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.registry import open_provider
from iiiffs.render.headers import read_facts
from iiiffs.state.store import State
from iiiffs.tree.albums import SYNTHETIC
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.inodes import InodeTable
from iiiffs.tree.nodes import AlbumDir, Directory, Node, Original
from iiiffs.vfs.entries import Found
from iiiffs.vfs.handles import Handle
from tests.harness.tree import Tree, jpeg, tree_of

T = TypeVar("T")

ACCOUNT = AccountName("a")
FILES = st.sampled_from(["a.jpg", "b.jpg", "c.jpg", "n.txt"])
FOLDERS = st.sampled_from(["x", "y", "z"])
PICK = st.integers(0, 999)
DEPTH_MAX = 3
BEGAN_NS = 1_717_200_000 * 10**9
"""2024-06-01: all files are of that month."""
STEP_NS = 3 * 10**9
SOAKS = os.environ.get("HYPOTHESIS_PROFILE") == "soak"


class Running:
    """A tree over the folder, in a trio run of a thread of its own; everything it keeps is below `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: trio.run(self._run), daemon=True)
        self._failure: BaseException | None = None
        self._thread.start()
        self._ready.wait(30)
        assert self._failure is None, self._failure

    async def _run(self) -> None:
        state = State.open(self._home / "identities")
        try:
            context = ProviderContext(ACCOUNT, {"path": str(self._home / "disk")}, state.ledger(ACCOUNT), read_facts)
            provider = open_provider("folder", context)
            async with tree_of(self._home, {ACCOUNT: provider}) as self.tree:
                self._token, self._stop = trio.lowlevel.current_trio_token(), trio.Event()
                self._ready.set()
                await self._stop.wait()
                await provider.aclose()
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._ready.set()
            state.close()

    def ask(self, question: Callable[[Tree], Awaitable[T]]) -> T:
        """The answer of the tree."""
        return trio.from_thread.run(question, self.tree, trio_token=self._token)

    def close(self) -> None:
        """Stopped in order."""
        self._token.run_sync_soon(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()


@dataclass
class File:
    """One file of the model. `id`: None until the tree has told it. `is_moved`: in the step before."""

    content: bytes
    id: str | None = None
    is_moved: bool = False


@dataclass(frozen=True)
class Held:
    """A handle that was opened when the file had this content."""

    handle: Handle
    content: bytes


class ChangingFolder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="iiiffs-model-"))
        self.disk = self.home / "disk"
        self.disk.mkdir()
        self.folders: set[str] = {""}
        self.files: dict[str, File] = {}
        self.known: set[str] = set()
        self.gone: set[str] = set()
        self.count = 0
        self.held: list[Held] = []
        self.numbers: dict[Node, int] = {}
        self.inodes = InodeTable(b"key")
        self.lookups: dict[int, int] = {}
        self.running = Running(self.home)

    def teardown(self) -> None:
        self._let_go()
        self.running.close()
        shutil.rmtree(self.home)

    # ---- what changes underneath ------------------------------------------------------------------------------

    @rule(pick=PICK, name=FILES)
    def add_or_replace_by_rename(self, pick: int, name: str) -> None:
        path = join(chosen(sorted(self.folders), pick), name)
        content = self._write(self.disk / "temporary", name)
        (self.disk / "temporary").replace(self.disk / path)
        self.files[path] = File(content, self.files[path].id if path in self.files else None)

    @precondition(lambda self: self.files)
    @rule(pick=PICK)
    def replace_in_place(self, pick: int) -> None:
        path = chosen(sorted(self.files), pick)
        self.files[path].content = self._write(self.disk / path, path)

    @precondition(lambda self: self.files)
    @rule(pick=PICK, into=PICK, name=FILES)
    def rename_file(self, pick: int, into: int, name: str) -> None:
        path, new = chosen(sorted(self.files), pick), join(chosen(sorted(self.folders), into), name)
        if new in self.files or path.rpartition(".")[2] != new.rpartition(".")[2]:
            return
        (self.disk / path).rename(self.disk / new)
        self.files[new] = self.files.pop(path)
        self.files[new].is_moved = True

    @precondition(lambda self: self.files)
    @rule(pick=PICK)
    def delete_file(self, pick: int) -> None:
        path = chosen(sorted(self.files), pick)
        (self.disk / path).unlink()
        del self.files[path]

    @rule(pick=PICK, name=FOLDERS)
    def make_folder(self, pick: int, name: str) -> None:
        path = join(chosen(sorted(self.folders), pick), name)
        if path in self.folders or path.count("/") >= DEPTH_MAX:
            return
        (self.disk / path).mkdir()
        self.folders.add(path)

    @precondition(lambda self: len(self.folders) > 1)
    @rule(pick=PICK, into=PICK, name=FOLDERS)
    def move_folder(self, pick: int, into: int, name: str) -> None:
        path, new = chosen(sorted(self.folders - {""}), pick), join(chosen(sorted(self.folders), into), name)
        if new in self.folders or new.count("/") >= DEPTH_MAX or is_in(new, path):
            return
        (self.disk / path).rename(self.disk / new)
        self.folders = {new + one[len(path) :] if is_in(one, path) else one for one in self.folders}
        moved = {one: file for one, file in self.files.items() if is_in(one, path)}
        for one, file in moved.items():
            file.is_moved = True
            self.files[new + one[len(path) :]] = self.files.pop(one)

    @precondition(lambda self: len(self.folders) > 1)
    @rule(pick=PICK)
    def delete_folder(self, pick: int) -> None:
        path = chosen(sorted(self.folders - {""}), pick)
        shutil.rmtree(self.disk / path)
        self.folders = {one for one in self.folders if not is_in(one, path)}
        self.files = {one: file for one, file in self.files.items() if not is_in(one, path)}

    # ---- what the kernel and the operator do ------------------------------------------------------------------

    @precondition(lambda self: self.files)
    @rule(pick=PICK)
    def open_file(self, pick: int) -> None:
        path = chosen(sorted(self.files), pick)

        async def opened(tree: Tree) -> Handle:
            return await tree.filesystem.open((await tree.walk(f"a/files/{path}")).node)  # type: ignore[arg-type]

        self.held.append(Held(self.running.ask(opened), self.files[path].content))

    @precondition(lambda self: self.lookups)
    @rule(pick=PICK, some=st.booleans())
    def forget(self, pick: int, some: bool) -> None:
        number = chosen(sorted(self.lookups), pick)
        given = 1 if some else self.lookups[number]
        self.inodes.forget([(number, given)])
        self.lookups[number] -= given
        if not self.lookups[number]:
            del self.lookups[number]

    @rule(meanwhile=st.booleans(), pick=PICK, into=PICK, name=FILES)
    def restart(self, meanwhile: bool, pick: int, into: int, name: str) -> None:
        self._let_go()
        self.running.close()
        if meanwhile and self.files:
            self.rename_file(pick, into, name)
        self.running = Running(self.home)
        self.inodes, self.lookups = InodeTable(b"key"), {}

    # ---- what must hold ---------------------------------------------------------------------------------------

    @invariant()
    def the_tree_is_the_model(self) -> None:
        found = self.running.ask(seen)
        assert found.folders == self.folders
        assert {path: file.content for path, file in found.files.items()} == {
            path: file.content for path, file in self.files.items()
        }
        for path, file in found.files.items():
            model = self.files[path]
            if model.id is not None and model.id != file.id:  # the same path is the strongest claim (sync.identity)
                assert model.is_moved and file.id in self.gone, f"{path} has another id"
            model.id, model.is_moved = file.id, False
        ids = [str(file.id) for file in found.files.values()]
        assert len(ids) == len(set(ids))
        self.known |= set(ids)
        self.gone = self.known - set(ids)
        pictures = [str(file.id) for path, file in found.files.items() if path.endswith(".jpg")]
        assert sorted(found.timeline) == sorted(pictures)
        self._remember(found.nodes)

    @invariant()
    def held_handles_are_never_mixed(self) -> None:
        for held in self.held:
            size = len(held.content)

            async def read(_: Tree, held: Held = held, size: int = size) -> bytes | None:
                try:
                    return bytes(await held.handle.read(0, size // 2)) + bytes(await held.handle.read(size // 2, size))
                except VersionChanged:
                    return None

            assert self.running.ask(read) in (None, held.content)

    def _remember(self, nodes: dict[Node, Attributes]) -> None:
        """As a readdir does; a node has one number for ever, and two that are known together have two."""
        for node, attributes in nodes.items():
            number = self.inodes.remember(node, attributes).number
            assert self.numbers.setdefault(node, number) == number
            self.lookups[number] = self.lookups.get(number, 0) + 1
        assert {inode.number: inode.lookups for inode in self.inodes} == self.lookups
        assert len({self.numbers[node] for node in nodes}) == len(nodes)

    def _let_go(self) -> None:
        for held in self.held:

            async def close(_: Tree, held: Held = held) -> None:
                await held.handle.aclose()

            self.running.ask(close)
        self.held = []

    def _write(self, path: Path, name: str) -> bytes:
        """New bytes, unlike all others but often as many, a few seconds younger than what was written before."""
        self.count += 1
        tail = f" {self.count:06}".encode()
        content = (jpeg() if name.endswith(".jpg") else b"no picture ") + tail
        path.write_bytes(content)
        moment_ns = BEGAN_NS + self.count * STEP_NS
        os.utime(path, ns=(moment_ns, moment_ns))
        return content


@dataclass
class Seen:
    """What the tree tells. `timeline`: ids, as often as they are listed. `nodes`: all of files/, by node."""

    folders: set[str]
    files: dict[str, File]
    timeline: list[str]
    nodes: dict[Node, Attributes]


async def seen(tree: Tree) -> Seen:
    """All of it, after everything kept was forgotten; what is listed must be what is looked up."""
    gallery = tree.galleries[ACCOUNT]
    gallery.expire(None)
    assert gallery.library is not None
    await gallery.library.crawl_again(trusting=False)
    found = Seen({""}, {}, [], {})
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for name, node, attributes in await entries(tree, join("a/files", folder)):
            path = join(folder, name)
            assert node not in found.nodes, path
            found.nodes[node] = attributes
            if isinstance(node, AlbumDir):
                found.folders.add(path)
                waiting.append(path)
            else:
                assert isinstance(node, Original)
                found.files[path] = File(await tree.read_node(node, attributes.size_bytes), node.asset)
    for year in real(await tree.names("a/timeline")):
        for month in real(await tree.names(f"a/timeline/{year}")):
            for _, node, _ in await entries(tree, f"a/timeline/{year}/{month}"):
                assert isinstance(node, Original) and node in found.nodes
                found.timeline.append(node.asset)
    return found


async def entries(tree: Tree, path: str) -> list[tuple[str, Node, Attributes]]:
    """Name, node and attributes of all that is really in the directory: each once, and found by its name."""
    directory = (await tree.walk(path)).node
    assert isinstance(directory, Directory)
    snapshot = await tree.filesystem.entries(directory)
    assert len(snapshot.names) == len(set(snapshot.names)), "an entry is doubled"
    told = []
    for index, name in enumerate(snapshot.names):
        if name not in SYNTHETIC:
            listed, found = snapshot.describe(index), await tree.filesystem.lookup(directory, name)
            assert isinstance(found, Found) and found.node == listed.node, f"{path}/{name}"
            told.append((name, listed.node, listed.attributes))
    return told


def real(names: list[str]) -> Iterator[str]:
    """Those that are not ours."""
    return (name for name in names if name not in SYNTHETIC)


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


def is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def chosen(values: list[T], pick: int) -> T:
    return values[pick % len(values)]


TestChangingFolder = ChangingFolder.TestCase
TestChangingFolder.settings = settings(
    deadline=None, max_examples=300 if SOAKS else 40, stateful_step_count=40 if SOAKS else 20
)
