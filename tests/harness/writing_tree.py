"""A whole mount without a kernel that may be written to, over a pretended server: made, driven by paths, and killed.

`Life` is one run of the daemon, in a trio run of a thread of its own whose clock stands still until a test lets time
pass, and whose threads are never beside its loop. Between two calls nothing happens, so that what Hypothesis found
once it finds again. `killed` is kill -9: the next life begins with what lay on the disk at that moment, and with
nothing that was only in memory, or was written while it stopped.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

import pyfuse3
import trio
import trio.testing
from pyfuse3 import FileHandleT, InodeT

from iiiffs.cache.store import open_cache
from iiiffs.fuse.entries import Owner
from iiiffs.fuse.operations import Operations
from iiiffs.iiif.description import PRIVATE as PRIVACY
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import LOCAL, AccountName
from iiiffs.model.writing import Access
from iiiffs.render.renderer import Renderer, RenderLimits
from iiiffs.state.store import State
from iiiffs.tree.albums import SYNTHETIC
from iiiffs.tree.inodes import ROOT_NUMBER
from iiiffs.tree.nodes import Directory, PageKind
from iiiffs.tree.thumbnails import THUMBNAILS
from iiiffs.tree.visibility import PRIVATE
from iiiffs.vfs.blocks import BlockCache
from iiiffs.vfs.bodies import Bodies
from iiiffs.vfs.control_files import ControlFiles
from iiiffs.vfs.document_records import DocumentRecords
from iiiffs.vfs.documents import Documents, Rules
from iiiffs.vfs.filesystem import Filesystem
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.outgoing import Outgoing
from iiiffs.vfs.pages import Pages
from iiiffs.vfs.previews import Previews
from iiiffs.vfs.reading import Deadlines, Reading
from iiiffs.vfs.renditions import Renditions
from iiiffs.vfs.sending_news import News
from iiiffs.vfs.services import Services
from iiiffs.vfs.shelved import gallery_of
from iiiffs.vfs.watcher import AlbumChange, run_account
from tests.harness.one_at_a_time import RenderedInTurn, one_at_a_time
from tests.harness.scripted import Store, open_scripted
from tests.harness.tree import BASE_URL, names_of

T = TypeVar("T")

ACCOUNT = AccountName("pictures")
SETTLE_S = 3.0
STEP_S = 0.25
PATIENCE_STEPS = 4000
STARTS_S = 60.0
CONTEXT = cast(pyfuse3.RequestContext, None)
"""No handler looks at who asks."""
OURS = {*SYNTHETIC, THUMBNAILS}


@dataclass(frozen=True, slots=True)
class Fields:
    """Stands for pyfuse3.SetattrFields, which only the kernel's side can fill."""

    update_size: bool = False
    update_mtime: bool = False


class Life:
    """One run of a daemon over `home`, which holds its state and cache, and the server of `store`."""

    def __init__(self, home: Path, store: Store, number: int = 0, access: Access = Access.EDIT) -> None:
        self.home = home
        self.news: list[tuple[News, str]] = []
        self.changes: list[AlbumChange] = []
        self._store = store
        self._number = number
        self._access = access
        self._ids = 0
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._clock = trio.testing.MockClock()
        self._thread = threading.Thread(target=self._begin, daemon=True)
        self._thread.start()
        assert self._ready.wait(STARTS_S), "it does not start"
        assert self._failure is None, self._failure

    @property
    def state_path(self) -> Path:
        """The folder of its state."""
        return self.home / f"state-{self._number}"

    @property
    def now_s(self) -> float:
        """What its clock says."""
        return self._clock.current_time()

    # ---- from the test's thread ---------------------------------------------------------------------------------

    def ask(self, question: Callable[[Life], Awaitable[T]]) -> T:
        """What it answers. Time passes only as far as the answer has to wait for it."""
        assert self._failure is None, self._failure
        return trio.from_thread.run(self._answered, partial(question, self), trio_token=self._token)

    def passes(self, seconds: float) -> None:
        """So much time is over, and what was due has been done."""

        async def pass_(life: Life) -> None:
            await life.wait(seconds)

        self.ask(pass_)

    def killed(self) -> Life:
        """The next life, after this one ended as by kill -9."""
        state, cache = self.home / f"state-{self._number + 1}", self.home / "cache-as-it-was"

        async def copy(life: Life) -> None:
            copied: dict[int, str] = {}

            def copy_file(source: str, target: str) -> None:
                """What is one file by two names is one in the copy."""
                first = copied.setdefault(Path(source).stat().st_ino, target)
                if first == target:
                    shutil.copy2(source, target)
                else:
                    os.link(first, target)

            async with life.state._writer:  # a kill meets no half of a page that is being copied here
                shutil.copytree(life.state_path, state, copy_function=copy_file)
            shutil.copytree(life.home / "cache", cache, copy_function=copy_file)

        self.ask(copy)
        self.close()
        shutil.rmtree(self.state_path)
        shutil.rmtree(self.home / "cache")
        cache.rename(self.home / "cache")
        return Life(self.home, self._store, self._number + 1)

    def restarted(self) -> Life:
        """The next life, after this one was stopped in order."""
        self.close()
        self.state_path.rename(self.home / f"state-{self._number + 1}")
        return Life(self.home, self._store, self._number + 1)

    def without_cache(self) -> Life:
        """The next life, after this one was stopped in order, and its cache thrown away."""
        self.close()
        shutil.rmtree(self.home / "cache")
        return Life(self.home, self._store, self._number)

    def close(self) -> None:
        """Stopped; a second call does nothing."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._stop.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    # ---- its own ------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        try:
            trio.run(self._run, clock=self._clock)
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _run(self) -> None:
        self._token, self._stop = trio.lowlevel.current_trio_token(), trio.Event()
        one_at_a_time()
        async with trio.open_nursery() as nursery:
            await self._serve(partial(nursery.start_soon, self._let_time_pass))
            nursery.cancel_scope.cancel()

    async def _let_time_pass(self) -> None:
        """Whatever waits for the clock need not."""
        while True:
            await trio.testing.wait_all_tasks_blocked()
            self._clock.jump(STEP_S)

    async def _serve(self, stopping: Callable[[], None]) -> None:
        """Until it is to stop. `stopping`: called then, once nothing more is done but what stopping does."""
        async with AsyncExitStack() as stack:
            cache = open_cache(self.home / "cache", 64 << 20)
            stack.callback(cache.close)
            self.state = State.open(self.state_path, min_free_bytes=0)
            stack.callback(self.state.close)
            provider = open_scripted(self._store, threads=False)
            stack.push_async_callback(provider.aclose)
            async with trio.open_nursery() as nursery:
                await nursery.start(cache.writer.run)
                await nursery.start(self.state.journal.run)
                flights, bodies = Flights(nursery), Bodies(1 << 20)
                reading = Reading(blocks=BlockCache(cache.blocks, flights, self.home / "cache"))
                self.gallery = gallery_of(names_of(ACCOUNT), provider, cache.catalogue, flights, Deadlines(), reading)
                self.gallery.access, self.gallery.settle_s = self._access, SETTLE_S
                galleries = {ACCOUNT: self.gallery}
                records = DocumentRecords(cache.catalogue, bodies, self.state.times, flights)
                rules = Rules(Uris(BASE_URL, {}), Limits(1000, 1000, 10**6), 512, PRIVATE, PRIVACY, 5000, "x", 10**9)
                documents, threads = Documents(rules, records, flights), RenderedInTurn(1)
                renderer = Renderer(RenderLimits())
                renditions = Renditions(cache.renditions, renderer, flights, bodies, threads, 10**8)
                renditions.previews = Previews(partial(self.state.previews, fingerprint="renderer"), flights)
                services = Services(galleries, documents, renditions, began_ns=10**9)
                pages = Pages(dict.fromkeys(PageKind, b"page"), 10**9)
                control = ControlFiles({"status.json": lambda: b"{}"}, 10**9)
                self.filesystem = Filesystem(galleries, documents, pages, services, control, flights)
                reasons = self.filesystem.reasons
                self.outgoing = await Outgoing.build(self.state, galleries, flights, reasons, self._notify)
                self.filesystem.writer = self.outgoing.writer
                self.operations = Operations(self.filesystem, self.state.inode_key, Owner(0, 0, 0), lambda: None)
                self.operations.follow(self.outgoing.queue, {ACCOUNT: ACCOUNT})
                cast(Any, self.outgoing.queue).new_id = self._next_id  # what goes by the order of ids is done again so
                if self._access.adds:
                    self.uploader = self.outgoing.uploaders[ACCOUNT]
                nursery.start_soon(run_account, self.gallery, self._told)
                if self._access.adds:
                    await nursery.start(self.uploader.run)
                await trio.testing.wait_all_tasks_blocked()
                self._ready.set()
                await self._stop.wait()
                nursery.cancel_scope.cancel()
                stopping()

    def _next_id(self) -> str:
        self._ids += 1
        return LOCAL + blake2b(f"{self._number} {self._ids}".encode(), digest_size=10).hexdigest()

    async def _told(self, change: AlbumChange) -> None:
        self.changes.append(change)

    def _notify(self, news: News, text: str) -> None:
        self.news.append((news, text))

    async def _answered(self, question: Callable[[], Awaitable[T]]) -> T:
        answers: list[T] = []
        errors: list[Exception] = []

        async def work() -> None:
            try:
                answers.append(await question())
            except Exception as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            for _ in range(PATIENCE_STEPS):
                await trio.testing.wait_all_tasks_blocked()
                if answers or errors:
                    break
                self._clock.jump(STEP_S)
            else:
                raise AssertionError("no answer")
        if errors:
            raise errors[0]
        return answers[0]

    # ---- inside its loop ----------------------------------------------------------------------------------------

    async def wait(self, seconds: float) -> None:
        """Rule: passes."""
        end_s = trio.current_time() + seconds
        while trio.current_time() < end_s:
            self._clock.jump(min(STEP_S, end_s - trio.current_time()))
            await trio.testing.wait_all_tasks_blocked()

    async def node(self, number: int) -> object:
        """What the inode is."""
        inode = self.operations.inodes.get(number)
        assert inode is not None
        return inode.node


# ---- system calls, as far as a kernel does them -----------------------------------------------------------------


async def called(work: Awaitable[T]) -> T:
    """What it answers. Errors: OSError."""
    try:
        return await work
    except pyfuse3.FUSEError as error:
        raise OSError(error.errno, os.strerror(error.errno)) from error.__cause__


async def retried(work: Callable[[], Awaitable[T]]) -> T:
    """As a kernel does: after ESTALE everything is looked up once more, and asked again."""
    try:
        return await work()
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
    return await work()


async def looked_up(life: Life, path: str) -> pyfuse3.EntryAttributes | None:
    """The entry; None if there is none. Errors: OSError, ENOENT and ENOTDIR of what is above it among them."""
    parent, name = await parent_of(life, path)
    found = await called(life.operations.lookup(InodeT(parent), os.fsencode(name), CONTEXT))
    return found if found.st_ino else None


async def parent_of(life: Life, path: str) -> tuple[int, str]:
    """The number of the directory, and the name in it."""
    *above, name = path.split("/")
    number = int(ROOT_NUMBER)
    for component in [ACCOUNT, *above]:
        entry = await called(life.operations.lookup(InodeT(number), os.fsencode(component), CONTEXT))
        if not entry.st_ino:
            raise OSError(errno.ENOENT, path)
        if not stat.S_ISDIR(entry.st_mode):
            raise OSError(errno.ENOTDIR, path)
        number = int(entry.st_ino)
    return number, name


async def existing(life: Life, path: str) -> pyfuse3.EntryAttributes:
    """The entry. Errors: OSError."""
    found = await looked_up(life, path)
    if found is None:
        raise OSError(errno.ENOENT, path)
    return found


async def opened(life: Life, path: str, flags: int) -> tuple[int, int]:
    """open(2): the handle and the inode."""

    async def work() -> tuple[int, int]:
        entry = await looked_up(life, path)
        if entry is None and flags & os.O_CREAT:
            parent, name = await parent_of(life, path)
            making = life.operations.create(
                InodeT(parent), os.fsencode(name), pyfuse3.ModeT(0o644), pyfuse3.FlagT(flags), CONTEXT
            )  # fmt: skip
            info, made = await called(making)
            return int(info.fh), int(made.st_ino)
        if entry is None:
            raise OSError(errno.ENOENT, path)
        if flags & os.O_CREAT and flags & os.O_EXCL:
            raise OSError(errno.EEXIST, path)
        info = await called(life.operations.open(entry.st_ino, pyfuse3.FlagT(flags & ~os.O_CREAT), CONTEXT))
        return int(info.fh), int(entry.st_ino)

    return await retried(work)


async def released(life: Life, handle: int, *, flushes: bool = True) -> None:
    """close(2); without `flushes`, as the end of a process whose last pages the kernel still has."""
    try:
        if flushes:
            await called(life.operations.flush(FileHandleT(handle)))
    finally:
        await called(life.operations.release(FileHandleT(handle)))


async def read_all(life: Life, path: str) -> bytes:
    """All bytes of a file, which are as many as stat says."""

    async def work() -> bytes:
        handle, inode = await opened(life, path, os.O_RDONLY)
        try:
            told = await called(life.operations.getattr(InodeT(inode), CONTEXT))
            data = bytes(await called(life.operations.read(FileHandleT(handle), 0, told.st_size + 1000)))
        finally:
            await called(life.operations.release(FileHandleT(handle)))
        assert len(data) == told.st_size, f"{path} is told to have {told.st_size} bytes, and has {len(data)}"
        return data

    return await retried(work)


async def listed(life: Life, path: str) -> set[str]:
    """What readdir tells, but for entries of ours; each once."""
    entry = await existing(life, path)
    node = await life.node(int(entry.st_ino))
    names = (await life.filesystem.entries(cast(Directory, node))).names
    assert len(names) == len(set(names)), "an entry is doubled"
    return set(names) - OURS


async def truncated(life: Life, path: str, size_bytes: int) -> None:
    """truncate(2)"""
    await _set(life, path, Fields(update_size=True), st_size=size_bytes)


async def timed(life: Life, path: str, mtime_ns: int) -> None:
    """utimensat(2)"""
    await _set(life, path, Fields(update_mtime=True), st_mtime_ns=mtime_ns)


async def _set(life: Life, path: str, fields: Fields, handle: int | None = None, **values: int) -> None:
    async def work() -> None:
        entry = await existing(life, path)
        wanted = pyfuse3.EntryAttributes()
        for name, value in values.items():
            setattr(wanted, name, value)
        opened_ = None if handle is None else FileHandleT(handle)
        await called(life.operations.setattr(entry.st_ino, wanted, cast(Any, fields), opened_, CONTEXT))

    await retried(work)


async def ftruncated(life: Life, handle: int, inode: int, size_bytes: int) -> None:
    """ftruncate(2)"""
    wanted = pyfuse3.EntryAttributes()
    wanted.st_size = size_bytes
    fields = cast(Any, Fields(update_size=True))
    await called(life.operations.setattr(InodeT(inode), wanted, fields, FileHandleT(handle), CONTEXT))


async def renamed(life: Life, old: str, new: str, flags: int = 0) -> None:
    """renameat2(2). What only a kernel looks at: two names of one file, and a directory into itself."""

    async def work() -> None:
        source, target = await existing(life, old), await looked_up(life, new)
        if target is not None and target.st_ino == source.st_ino and not flags:
            return
        if new.startswith(f"{old}/"):
            raise OSError(errno.EINVAL, new)
        old_parent, old_name = await parent_of(life, old)
        new_parent, new_name = await parent_of(life, new)
        await called(
            life.operations.rename(
                InodeT(old_parent), os.fsencode(old_name), InodeT(new_parent), os.fsencode(new_name),
                pyfuse3.FlagT(flags), CONTEXT,
            )
        )  # fmt: skip

    await retried(work)


async def unlinked(life: Life, path: str) -> None:
    """unlink(2)"""
    await _below(life, path, life.operations.unlink)


async def directory_removed(life: Life, path: str) -> None:
    """rmdir(2)"""
    await _below(life, path, life.operations.rmdir)


async def directory_made(life: Life, path: str) -> None:
    """mkdir(2)"""

    async def make(parent: InodeT, name: pyfuse3.FileNameT, context: pyfuse3.RequestContext) -> object:
        return await life.operations.mkdir(parent, name, pyfuse3.ModeT(0o755), context)

    await _below(life, path, make)


async def _below(life: Life, path: str, verb: Callable[..., Awaitable[object]]) -> None:
    async def work() -> None:
        parent, name = await parent_of(life, path)
        await called(verb(InodeT(parent), os.fsencode(name), CONTEXT))

    await retried(work)


async def linked(life: Life, old: str, new: str) -> None:
    """link(2)"""

    async def work() -> None:
        source = await existing(life, old)
        parent, name = await parent_of(life, new)
        await called(life.operations.link(source.st_ino, InodeT(parent), os.fsencode(name), CONTEXT))

    await retried(work)


async def marked(life: Life, path: str, name: str, value: bytes) -> None:
    """setxattr(2)"""

    async def work() -> None:
        entry = await existing(life, path)
        await called(life.operations.setxattr(entry.st_ino, os.fsencode(name), value, CONTEXT))

    await retried(work)


async def unmarked(life: Life, path: str, name: str) -> None:
    """removexattr(2)"""

    async def work() -> None:
        entry = await existing(life, path)
        await called(life.operations.removexattr(entry.st_ino, os.fsencode(name), CONTEXT))

    await retried(work)


async def attribute(life: Life, path: str, name: str) -> str | None:
    """getxattr(2); None if there is none."""

    async def work() -> str | None:
        entry = await existing(life, path)
        try:
            return (await called(life.operations.getxattr(entry.st_ino, os.fsencode(name), CONTEXT))).decode()
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
        return None

    return await retried(work)
