"""The folder provider's watch on real folders and the real inotify: whatever changes a listing is reported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
import trio

from iiiffs.errors import AssetGone
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AccountName, AlbumId, Facts
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.folder import FolderProvider
from iiiffs.providers.folder import notifier as notifier_module
from iiiffs.providers.folder import watch as watch_module
from iiiffs.providers.folder.census import Key
from iiiffs.providers.folder.notifier import QUEUE, Notifier, storm_size
from iiiffs.providers.folder.watch import WatchTimes
from iiiffs.state import State

ACCOUNT = AccountName("home")
DEADLINE_S = 30.0
EVENTS_ONLY = WatchTimes(quick_s=3600, thorough_s=3600, poll_s=3600, retry_s=0.05)
"""No census finds what the kernel did not tell."""
POLLED = WatchTimes(quick_s=3600, thorough_s=3600, poll_s=0.2, retry_s=0.05)


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        trio.run(partial(test, *args, **kwargs))

    return run


async def until(holds: Callable[[], bool]) -> None:
    """It is so. For what no event tells."""
    while not holds():
        await trio.sleep(0.02)


class Watched:
    """A folder, its provider, and what is reported of it."""

    def __init__(self, path: Path) -> None:
        self.root = path / "root"
        self.root.mkdir()
        self.state = State.open(path / "state")
        self.reports: list[Changeset] = []
        self.etags: dict[str, str] = {}

    def write(self, name: str, content: bytes = b"content") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    @asynccontextmanager
    async def watching(self, times: WatchTimes = EVENTS_ONLY) -> AsyncIterator[None]:
        """While it watches; all albums were listed before."""
        context = ProviderContext(ACCOUNT, {}, self.state.ledger(ACCOUNT), lambda _, name: Facts("text/plain", None))
        self.provider = FolderProvider(str(self.root), context, watch_times=times)
        if self.root.exists():
            self.etags = await self.all_etags()
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(self.provider.watch, self.reports.append))
            yield
            nursery.cancel_scope.cancel()
        await self.provider.aclose()

    async def all_etags(self, *known: str) -> dict[str, str]:
        """The etag of each album that can be reached from the root, "" of the others in `known`."""
        found = dict.fromkeys(known, "")
        waiting = [(await self.provider.root()).id]
        while waiting:
            listing = await self.provider.listing(waiting.pop())
            found[listing.album.id] = listing.etag
            waiting += [album.id for album in listing.albums]
        for album in known:
            if not found[album]:
                with pytest.raises(AssetGone):
                    await self.provider.listing(AlbumId(album))
        return found

    async def expect(self) -> None:
        """All known albums whose listing changed are reported before the deadline."""
        now = await self.all_etags(*self.etags)
        changed = {album for album, etag in self.etags.items() if now[album] != etag}
        assert changed, "the test changed nothing"
        await self.reported(lambda told: changed <= told.albums or told.everything)
        self.etags = now

    async def reported(self, is_enough: Callable[[Changeset], bool]) -> Changeset:
        """All reports together, which are enough before the deadline; then they are forgotten."""
        with trio.move_on_after(DEADLINE_S):
            await until(lambda: is_enough(self.together()))
        together = self.together()
        assert is_enough(together), self.reports
        self.reports.clear()
        return together

    def together(self) -> Changeset:
        together = Changeset(frozenset())
        for told in self.reports:
            together |= told
        return together

    async def id_of(self, path: str) -> str:
        album = await self.provider.root()
        for name in filter(None, path.split("/")):
            (album,) = [each for each in (await self.provider.listing(album.id)).albums if each.title == name]
        return album.id


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(watch_module, "SHARE", 5)
    made = Watched(tmp_path)
    for name in ("top.jpg", "a/1.jpg", "a/2.jpg", "a/deep/3.jpg", "b/4.jpg"):
        made.write(name)
    yield made
    made.state.close()


def in_place(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replaced(folder: Path, copied: Path) -> None:
    shutil.rmtree(folder)
    if copied.is_dir():
        shutil.copytree(copied, folder)
    else:
        shutil.copy(copied, folder)


CHANGES: dict[str, Callable[[Path], object]] = {
    "new file": lambda root: (root / "a/new.jpg").write_bytes(b"new"),
    "new file at the top": lambda root: (root / "new.jpg").write_bytes(b"new"),
    "new file deep down": lambda root: (root / "a/deep/new.jpg").write_bytes(b"new"),
    "written in place": lambda root: in_place(root / "a/1.jpg"),
    "other time": lambda root: os.utime(root / "a/1.jpg", (1, 1)),
    "deleted": lambda root: (root / "a/1.jpg").unlink(),
    "renamed": lambda root: (root / "a/1.jpg").rename(root / "a/one.jpg"),
    "renamed over": lambda root: (root / "a/1.jpg").replace(root / "a/2.jpg"),
    "moved": lambda root: (root / "a/1.jpg").rename(root / "b/1.jpg"),
    "hard link": lambda root: (root / "b/link.jpg").hardlink_to(root / "a/1.jpg"),
    "symlink": lambda root: (root / "b/link.jpg").symlink_to("../a/1.jpg"),
    "symlink to a folder": lambda root: (root / "b/link").symlink_to("../a/deep"),
    "new folder": lambda root: (root / "new").mkdir(),
    "folder deleted": lambda root: shutil.rmtree(root / "a/deep"),
    "folders deleted": lambda root: shutil.rmtree(root / "a"),
    "folder renamed": lambda root: (root / "a").rename(root / "z"),
    "folder moved": lambda root: (root / "a").rename(root / "b/a"),
    "folder moved out": lambda root: (root / "a").rename(root.parent / "a"),
    "folder's time": lambda root: os.utime(root / "a/deep", (1, 1)),
    "folder replaced by another": lambda root: replaced(root / "b", root / "a"),
    "folder replaced by a file": lambda root: replaced(root / "b", root / "top.jpg"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@in_trio
async def test_each_kind_of_change_is_reported(watched: Watched, change: Callable[[Path], object]) -> None:
    async with watched.watching():
        change(watched.root)
        await watched.expect()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@in_trio
async def test_and_so_it_is_where_the_kernel_tells_nothing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(watch_module, "network_type", lambda *_: "nfs")
    async with watched.watching(POLLED):
        change(watched.root)
        await watched.expect()


@in_trio
async def test_a_moved_tree_is_watched_where_it_is(watched: Watched) -> None:
    async with watched.watching():
        (watched.root / "a").rename(watched.root / "b/z")
        await watched.expect()
        watched.write("b/z/deep/later.jpg")
        await watched.expect()
        (watched.root / "b/z").rename(watched.root / "a")
        await watched.expect()
        in_place(watched.root / "a/deep/3.jpg")
        await watched.expect()


@in_trio
async def test_a_tree_that_goes_and_comes_back_at_once_is_watched_still(watched: Watched) -> None:
    async with watched.watching():
        (watched.root / "a").rename(watched.root / "elsewhere")
        (watched.root / "elsewhere").rename(watched.root / "a")
        await watched.expect()
        in_place(watched.root / "a/deep/3.jpg")
        await watched.expect()


@in_trio
async def test_a_tree_moved_in_from_outside_is_reported_and_watched(watched: Watched, tmp_path: Path) -> None:
    outside = tmp_path / "outside/x/y"
    outside.mkdir(parents=True)
    (outside / "old.jpg").write_bytes(b"old")
    os.utime(outside / "old.jpg", (1, 1))
    os.utime(outside, (1, 1))
    async with watched.watching():
        (tmp_path / "outside").rename(watched.root / "inside")
        await watched.expect()
        in_place(watched.root / "inside/x/y/old.jpg")
        await watched.expect()


@in_trio
async def test_a_file_written_in_place_before_its_folder_is_watched_anew_is_reported(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder went and came back with the one above it, and is old, so that its time tells nothing. It is listed,
    and then a file in it is written, after the old watch ended and before there is a new one."""
    old = watched.root / "a/deep"
    os.utime(old, (1, 1))
    notifiers: list[Notifier] = []

    async def list_all() -> None:
        watched.etags = await watched.all_etags()
        watched.reports.clear()

    def late_notifier(root: str, folders: Mapping[bytes, Key]) -> Notifier:
        if len(notifiers) == 1:
            trio.from_thread.run(list_all)
            in_place(old / "3.jpg")
        notifiers.append(Notifier(root, folders))
        return notifiers[-1]

    monkeypatch.setattr(watch_module, "Notifier", late_notifier)
    async with watched.watching():
        (watched.root / "a").rename(watched.root / "elsewhere")
        (watched.root / "elsewhere").rename(watched.root / "a")
        with trio.fail_after(DEADLINE_S):
            await until(lambda: len(notifiers) > 1)
        await watched.expect()


@in_trio
async def test_files_that_appear_in_a_deep_new_tree_before_it_is_watched_are_reported(watched: Watched) -> None:
    """Each new tree is listed as soon as its root is there, while it still grows: the growth is told afterwards."""
    async with watched.watching():
        for number in range(5):
            deep = watched.root / f"new{number}/x/y/z/w"
            deep.mkdir(parents=True)
            watched.etags = await watched.all_etags()
            for file in range(5):
                (deep / f"{file}.jpg").write_bytes(b"new")
                (deep.parent.parent / f"{file}.jpg").write_bytes(b"new")
            await watched.expect()


@in_trio
async def test_many_trees_at_once_end_reported(watched: Watched) -> None:
    async with watched.watching():
        for number in range(60):
            if number % 20 == 10:
                watched.etags |= await watched.all_etags(*watched.etags)
            watched.write(f"t{number % 7}/u{number % 5}/v{number}/file.jpg")
        await watched.expect()
        watched.etags = await watched.all_etags()
        for number in range(60):
            in_place(watched.root / f"t{number % 7}/u{number % 5}/v{number}/file.jpg")
        await watched.expect()


@in_trio
async def test_what_is_shown_through_links_is_reported_too(watched: Watched) -> None:
    (watched.root / "b/link.jpg").symlink_to("../a/1.jpg")
    (watched.root / "b/hard.jpg").hardlink_to(watched.root / "top.jpg")
    (watched.root / "linked").symlink_to("a")
    async with watched.watching():
        for path in ("a/1.jpg", "top.jpg", "a/deep/3.jpg"):
            in_place(watched.root / path)
            await watched.expect()
        (watched.root / "a/1.jpg").unlink()
        await watched.expect()
        watched.write("a/deep/new.jpg")
        await watched.expect()


@in_trio
async def test_nothing_outside_the_root_is_watched(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (watched.root / "link").symlink_to(tmp_path / "outside")
    async with watched.watching():
        (tmp_path / "outside/x.jpg").write_bytes(b"x")
        watched.write("b/last.jpg")
        told = await watched.reported(bool)
        assert told.albums == {await watched.id_of(""), await watched.id_of("b")}
        assert not told.everything
        assert tmp_path / "outside" not in _folders_of(watched)
        assert watched.root / "a" in _folders_of(watched)


@in_trio
async def test_junk_is_not_reported(watched: Watched) -> None:
    async with watched.watching():
        root, b = await watched.id_of(""), await watched.id_of("b")
        for name in ("a/._1.jpg", "a/.Trash-1000/x.jpg", "a/.DS_Store"):
            watched.write(name)
            os.utime(watched.root / name, (1, 1))
            in_place(watched.root / name)
            (watched.root / name).unlink()
        in_place(watched.root / "b/4.jpg")
        assert (await watched.reported(lambda told: b in told.albums)).albums == {root, b}


@in_trio
async def test_reading_reports_nothing(watched: Watched) -> None:
    async with watched.watching():
        for path in watched.root.rglob("*.jpg"):
            path.read_bytes()
        watched.write("b/last.jpg")
        a, b = await watched.id_of("a"), await watched.id_of("b")
        assert a not in (await watched.reported(lambda told: b in told.albums)).albums


@in_trio
async def test_names_that_are_not_utf8(watched: Watched) -> None:
    """The folder with such a name is polled, the others are watched on."""
    odd_folder, odd_file = watched.root / "b/\udcff", "b/\udcff.jpg"
    async with watched.watching(WatchTimes(quick_s=3600, thorough_s=3600, poll_s=0.5, retry_s=0.05)):
        watched.write(odd_file)
        await watched.expect()
        in_place(watched.root / odd_file)
        await watched.expect()
        odd_folder.mkdir()
        await watched.expect()
        watched.write("b/\udcff/x.jpg")
        await watched.expect()
        watched.reports.clear()
        for _ in range(3):
            (watched.root / odd_file).read_bytes()
            in_place(watched.root / "a/1.jpg")
            await watched.expect()


@contextmanager
def queue_of(size: int) -> Iterator[None]:
    """Queues made meanwhile are this short. Global, so only for as long as it takes to make one."""
    if not os.access(QUEUE, os.W_OK):
        pytest.skip(f"needs write access to {QUEUE}")
    before = QUEUE.read_text()
    try:
        QUEUE.write_text(str(size))
        yield
    finally:
        QUEUE.write_text(before)


@in_trio
async def test_an_overflow_in_a_storm_reports_everything(watched: Watched) -> None:
    with queue_of(64):
        assert storm_size() == 4
        watching = watched.watching()
        await watching.__aenter__()
    for number in range(3000):
        watched.write(f"a/storm{number}.jpg", b"")
    await watched.reported(lambda told: told.everything)
    await watching.__aexit__(None, None, None)


@in_trio
async def test_what_an_overflow_hid_is_found_by_the_census(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files written in place, the kernel's queue too short for half of them, and no storm that would be noticed."""
    monkeypatch.setattr(watch_module, "storm_size", lambda: 10**9)
    files = [watched.write(f"many/{number}/x.jpg") for number in range(100)]
    with queue_of(1):
        watching = watched.watching(WatchTimes(quick_s=3600, thorough_s=0.5, poll_s=3600, retry_s=0.05))
        await watching.__aenter__()
    for path in files:
        in_place(path)
    await watched.expect()
    await watching.__aexit__(None, None, None)


def test_a_storm_is_a_part_of_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, size in (("16384", 1024), ("1048576", 1024), ("160", 10), ("1", 1), ("odd", 1024)):
        (tmp_path / "queue").write_text(text)
        monkeypatch.setattr(notifier_module, "QUEUE", tmp_path / "queue")
        assert storm_size() == size
    monkeypatch.setattr(notifier_module, "QUEUE", tmp_path / "absent")
    assert storm_size() == 1024


@pytest.mark.warns("changes are not told until it is back")
@in_trio
async def test_a_root_that_goes_and_comes_back(watched: Watched, tmp_path: Path) -> None:
    async with watched.watching():
        watched.root.rename(tmp_path / "away")
        await watched.reported(lambda told: told.everything)
        (tmp_path / "away").rename(watched.root)
        await watched.reported(lambda told: told.everything)
        in_place(watched.root / "a/1.jpg")
        await watched.expect()


@pytest.mark.warns("changes are not told until it is back")
@in_trio
async def test_a_root_that_is_not_there_at_the_start(watched: Watched, tmp_path: Path) -> None:
    watched.root.rename(tmp_path / "away")
    async with watched.watching():
        await watched.reported(lambda told: told.everything)
        (tmp_path / "away").rename(watched.root)
        await watched.reported(lambda told: told.everything)
        watched.etags = await watched.all_etags()
        watched.write("a/new.jpg")
        await watched.expect()


def mount(place: Path) -> bool:
    """A new, empty disk is there."""
    return (
        subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=False, capture_output=True).returncode == 0
    )


def unmount(place: Path) -> None:
    """It is gone."""
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.warns("changes are not told until it is back")
@in_trio
async def test_a_disk_that_is_unmounted_and_mounted_again(watched: Watched) -> None:
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("needs root to mount")
    if not mount(watched.root):
        pytest.skip("may not mount")
    mounted = True
    try:
        watched.write("a/1.jpg")
        async with watched.watching(WatchTimes(quick_s=0.2, thorough_s=3600, poll_s=3600, retry_s=0.05)):
            unmount(watched.root)
            mounted = False
            shutil.rmtree(watched.root)
            watched.root.mkdir()
            await watched.reported(lambda told: told.everything)
            assert mount(watched.root)
            mounted = True
            watched.write("a/1.jpg")
            await watched.reported(lambda told: told.everything)
            watched.etags = await watched.all_etags()
            in_place(watched.root / "a/1.jpg")
            await watched.expect()
    finally:
        if mounted:
            unmount(watched.root)


LIMITED = """
import logging, sys, trio
from functools import partial
from pathlib import Path
from iiiffs.model.gallery import AccountName, Facts
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.folder import FolderProvider
from iiiffs.providers.folder.watch import WatchTimes
from iiiffs.state import State

async def main():
    logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
    root, state = Path(sys.argv[1]), State.open(Path(sys.argv[2]))
    context = ProviderContext(AccountName("home"), {}, state.ledger(AccountName("home")), lambda *_: None)
    provider = FolderProvider(str(root), context, watch_times=WatchTimes(3600, 3600, 0.2, 0.05))
    album = (await provider.root()).id
    await provider.listing(album)
    sender, reports = trio.open_memory_channel(100)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(provider.watch, sender.send_nowait))
        for name in ("one.jpg", "two.jpg"):
            (root / name).write_bytes(b"new")
            with trio.fail_after(20):
                while album not in (await reports.receive()).albums:
                    pass
        nursery.cancel_scope.cancel()
    state.close()
    print("told")

trio.run(main)
"""


@pytest.mark.parametrize(
    ("limit", "value", "advice"),
    [
        ("max_inotify_watches", "2", "fs.inotify.max_user_watches"),
        ("max_inotify_instances", "0", "fs.inotify.max_user_instances"),
    ],
)
def test_the_kernels_limits_are_one_warning_that_says_what_to_do(
    watched: Watched, tmp_path: Path, limit: str, value: str, advice: str
) -> None:
    """In a user namespace of its own, whose limits are nobody else's."""
    script = f'echo {value} > /proc/sys/user/{limit} && exec \'{sys.executable}\' -c "$0" "$@"'
    command = ["unshare", "-Ur", "sh", "-c", script, LIMITED, str(watched.root), str(tmp_path / "other")]
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Ur", "true"], check=False).returncode:
        pytest.skip("may make no user namespace")
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3], timeout=60
    )
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stdout.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 1, done.stdout
    assert advice in warnings[0]
    assert done.stdout.endswith("told\n")


def _threads() -> list[str]:
    names = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            names.append((task / "comm").read_text())
    return names


def _descriptors() -> set[str]:
    """Inotify queues only: trio has an epoll and a wake-up pair of its own."""
    links = set()
    for number in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if "inotify" in str(number.readlink()):
                links.add(number.name)
    return links


def _folders_of(watched: Watched) -> list[Path]:
    """What the kernel says that this process watches: paths of the inodes in fdinfo."""
    inodes = set()
    for number in _descriptors():
        text = Path(f"/proc/self/fdinfo/{number}").read_text()
        inodes |= {int(inode, 16) for inode in re.findall(r"^inotify .*ino:([0-9a-f]+)", text, re.MULTILINE)}
    return [path for path in watched.root.parent.rglob("*") if path.stat().st_ino in inodes]


@in_trio
async def test_nothing_is_left_behind(watched: Watched) -> None:
    for _ in range(3):
        async with watched.watching():
            with trio.fail_after(DEADLINE_S):  # the one before may be ending
                await until(lambda: sum("notify-rs" in name for name in _threads()) == 1 == len(_descriptors()))
            assert len(_folders_of(watched)) == 4
            watched.write("new/x.jpg")
            await watched.expect()
            (watched.root / "new/x.jpg").unlink()
            (watched.root / "new").rmdir()
            await watched.expect()
    with trio.fail_after(DEADLINE_S):
        await until(lambda: not _descriptors() and not any("notify-rs" in name for name in _threads()))
