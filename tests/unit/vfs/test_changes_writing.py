"""What programs do to files at the moments at which something else is going on with them: being sent, sent and not
listed yet, offline, flushed by somebody else. No photo is lost, doubled, or shown under a name that it has not."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio
from pyfuse3 import FileHandleT, FileNameT, FlagT, InodeT

from iiiffs.sync.items import Item, Stage, Verb
from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.tree import jpeg
from tests.harness.writing_tree import (
    CONTEXT,
    SETTLE_S,
    Life,
    called,
    directory_made,
    directory_removed,
    existing,
    linked,
    listed,
    looked_up,
    opened,
    parent_of,
    read_all,
    released,
    renamed,
    timed,
    unlinked,
)

NAVY, RED, GREEN = (jpeg(colour=colour) for colour in ("navy", "red", "green"))
SENT_S = SETTLE_S + 1.0
PATIENCE_S = 40.0
"""Longer than a file that was sent waits for its provider's listing."""


@contextmanager
def living(folder: Path, flavour: Flavour) -> Iterator[tuple[Life, Store]]:
    """A mount over a server of that flavour."""
    with Store(folder / "server", flavour) as store:
        if flavour is Flavour.IMMICH:
            store.make_album("A")
            store.make_album("B")
        life = Life(folder / "home", store)
        try:
            yield life, store
        finally:
            life.close()


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.FOLDER) as both:
        yield both


@pytest.fixture
def albums(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.IMMICH) as both:
        yield both


async def put(life: Life, path: str, data: bytes, flags: int = os.O_CREAT | os.O_WRONLY | os.O_TRUNC) -> None:
    """What `cp` does."""
    handle, _ = await opened(life, path, flags)
    assert await called(life.operations.write(FileHandleT(handle), 0, data)) == len(data)
    await released(life, handle)


def wrote(path: str, data: bytes) -> Callable[[Life], Awaitable[None]]:
    return lambda life: put(life, path, data)


def items(life: Life) -> list[Item]:
    return life.ask(_items)


async def _items(life: Life) -> list[Item]:
    return life.outgoing.queue.items()


def names(life: Life, path: str) -> set[str]:
    return life.ask(lambda life: listed(life, path))


def is_there(life: Life, path: str) -> bool:
    return life.ask(lambda life: looked_up(life, path)) is not None


def body(life: Life, path: str) -> bytes:
    return life.ask(lambda life: read_all(life, path))


def there(life: Life, store: Store, name: str, data: bytes) -> None:
    """It is at the server, and known to be."""
    store.put(name, data)
    life.passes(PATIENCE_S)
    assert name in names(life, "files")


def bodies(store: Store) -> dict[str, bytes]:
    """Name -> bytes of all that is at the server; nothing is there twice."""
    assets = store.assets()
    found = {asset.name: store.bytes_of(asset.id) for asset in assets}
    assert len(found) == len(assets)
    return found


# ---- sent, and not listed yet ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", [Flavour.FOLDER, Flavour.IMMICH])
@pytest.mark.parametrize("flags", [os.O_WRONLY | os.O_TRUNC, os.O_RDWR])
def test_a_file_that_is_sent_while_it_is_opened_is_what_it_has_become(
    tmp_path: Path, flavour: Flavour, flags: int
) -> None:
    """A kernel looks again after ESTALE, and only once: what it finds may be another again by then."""
    with living(tmp_path, flavour) as (life, store):
        path = "files/x.jpg" if flavour is Flavour.FOLDER else "albums/A/x.jpg"
        life.ask(wrote(path, NAVY))

        async def open_it(life: Life) -> None:
            inode = (await existing(life, path)).st_ino
            arriving, kept = trio.Event(), life.gallery.blocks
            assert kept is not None
            keep = kept.keep

            async def slowly(*what: object) -> None:
                arriving.set()
                await trio.sleep(1.0)
                await keep(*what)  # type: ignore[arg-type]

            vars(kept)["keep"] = slowly
            async with trio.open_nursery() as nursery:
                nursery.start_soon(life.wait, SENT_S)
                await arriving.wait()
                info = await called(life.operations.open(inode, FlagT(flags), CONTEXT))
            await called(life.operations.write(info.fh, 0, RED))
            await released(life, int(info.fh))

        life.ask(open_it)
        life.passes(SENT_S + PATIENCE_S)
        assert bodies(store) == {"x.jpg": RED + (b"" if flags & os.O_TRUNC else NAVY[len(RED) :])}


def test_a_file_that_was_just_sent_is_renamed(folders: tuple[Life, Store]) -> None:
    life, store = folders
    life.ask(wrote("files/x.jpg", NAVY))
    life.passes(SENT_S)
    assert [item.stage for item in items(life)] == [Stage.SENT]  # nobody has listed it
    life.ask(lambda life: renamed(life, "files/x.jpg", "files/y.jpg"))
    assert not is_there(life, "files/x.jpg")
    assert is_there(life, "files/y.jpg")
    assert names(life, "files") == {"y.jpg"}
    life.passes(PATIENCE_S)
    assert names(life, "files") == {"y.jpg"}
    assert bodies(store) == {"y.jpg": NAVY}


def test_a_file_that_was_just_sent_is_removed(folders: tuple[Life, Store]) -> None:
    life, store = folders
    life.ask(wrote("files/x.jpg", NAVY))
    life.passes(SENT_S)
    life.ask(lambda life: unlinked(life, "files/x.jpg"))
    assert not is_there(life, "files/x.jpg")
    assert names(life, "files") == set()
    assert bodies(store) == {}


def test_a_file_that_was_just_sent_leaves_its_album(albums: tuple[Life, Store]) -> None:
    life, store = albums
    life.ask(wrote("albums/A/x.jpg", NAVY))
    life.passes(SENT_S)
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    assert not is_there(life, "albums/A/x.jpg")
    assert names(life, "albums/A") == set()
    life.passes(PATIENCE_S)
    assert names(life, "albums/A") == set()
    assert store.members(store.titled("A").id) == []
    assert bodies(store) == {"x.jpg": NAVY}


def test_a_file_that_was_just_sent_is_replaced_by_a_temporary_one_that_is_older(folders: tuple[Life, Store]) -> None:
    life, store = folders
    life.ask(wrote("files/new.tmp", RED))
    life.ask(wrote("files/x.jpg", NAVY))
    life.passes(SENT_S)
    life.ask(lambda life: renamed(life, "files/new.tmp", "files/x.jpg"))
    assert names(life, "files") == {"x.jpg"}
    assert body(life, "files/x.jpg") == RED
    life.passes(PATIENCE_S)
    assert body(life, "files/x.jpg") == RED
    assert bodies(store) == {"x.jpg": RED}


def test_what_was_sent_is_done_with_though_nobody_lists_it(folders: tuple[Life, Store]) -> None:
    life, store = folders
    life.ask(wrote("files/x.jpg", NAVY))
    life.passes(SENT_S + PATIENCE_S)
    assert items(life) == []
    store.edit_bytes(store.assets()[0].id, RED)
    life.passes(PATIENCE_S)
    assert body(life, "files/x.jpg") == RED


# ---- offline --------------------------------------------------------------------------------------------------------


def test_a_rename_that_is_refused_offline_leaves_what_it_was_to_replace(folders: tuple[Life, Store]) -> None:
    life, store = folders
    there(life, store, "there.jpg", NAVY)
    store.script.add(Fault(FaultKind.UNREACHABLE, "upload", times=None))
    store.script.add(Fault(FaultKind.UNREACHABLE, "move", times=1))
    life.ask(wrote("files/mine.jpg", RED))
    with pytest.raises(OSError):
        life.ask(lambda life: renamed(life, "files/there.jpg", "files/mine.jpg"))
    assert names(life, "files") == {"there.jpg", "mine.jpg"}
    assert body(life, "files/mine.jpg") == RED
    store.script.clear()
    life.passes(400.0)
    assert bodies(store) == {"there.jpg": NAVY, "mine.jpg": RED}


def test_a_removal_that_is_refused_offline_leaves_the_changes(folders: tuple[Life, Store]) -> None:
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    life.ask(wrote("files/x.jpg", RED))
    store.script.add(Fault(FaultKind.UNREACHABLE, "remove", times=1))
    with pytest.raises(OSError):
        life.ask(lambda life: unlinked(life, "files/x.jpg"))
    assert body(life, "files/x.jpg") == RED
    life.passes(SENT_S)
    assert bodies(store) == {"x.jpg": RED}


def test_what_is_removed_slowly_is_not_sent_meanwhile(folders: tuple[Life, Store]) -> None:
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    life.ask(wrote("files/x.jpg", RED))
    store.script.add(Fault(FaultKind.LATENCY, "remove", seconds=SETTLE_S + 3.0))
    life.ask(lambda life: unlinked(life, "files/x.jpg"))
    life.passes(SENT_S)
    assert bodies(store) == {}
    assert names(life, "files") == set()
    assert store.script.counts().get("replace", 0) == 0


# ---- several names --------------------------------------------------------------------------------------------------


def test_a_file_that_has_another_name_stays_when_one_is_removed(albums: tuple[Life, Store]) -> None:
    life, store = albums
    life.ask(wrote("albums/A/x.jpg", NAVY))
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    assert names(life, "albums/A") == set()
    assert names(life, "albums/B") == {"x.jpg"}
    assert body(life, "albums/B/x.jpg") == NAVY
    life.passes(PATIENCE_S)
    assert bodies(store) == {"x.jpg": NAVY}
    assert [asset.name for asset in store.members(store.titled("B").id)] == ["x.jpg"]
    assert store.members(store.titled("A").id) == []


def test_a_photo_that_was_changed_and_leaves_an_album_is_changed_all_the_same(albums: tuple[Life, Store]) -> None:
    life, store = albums
    asset = store.put("x.jpg", NAVY, store.titled("A").id)
    store.add(store.titled("B").id, asset.id)
    life.passes(PATIENCE_S)
    life.ask(wrote("albums/A/x.jpg", RED))
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    assert not is_there(life, "albums/A/x.jpg")
    assert names(life, "albums/A") == set()
    assert body(life, "albums/B/x.jpg") == RED
    life.passes(SENT_S + PATIENCE_S)
    assert names(life, "albums/A") == set()
    assert body(life, "albums/B/x.jpg") == RED
    assert bodies(store) == {"x.jpg": RED}


def test_a_copy_of_bytes_that_are_there_takes_no_name_away(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("a.jpg", NAVY, store.titled("A").id)
    life.ask(wrote("albums/A/b.jpg", NAVY))
    life.passes(SENT_S)
    assert names(life, "albums/A") == {"a.jpg", "b.jpg"}
    life.passes(PATIENCE_S)
    assert names(life, "albums/A") == {"a.jpg", "b.jpg"}


def test_the_last_file_that_waits_in_a_folder_is_removed_after_a_restart(folders: tuple[Life, Store]) -> None:
    """Elsewhere there are new bytes for what the server has."""
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    life.ask(lambda life: directory_made(life, "files/z"))
    life.ask(wrote("files/x.jpg", RED))
    life.ask(wrote("files/z/y.jpg", GREEN))
    life = life.restarted()
    try:
        assert names(life, "files/z") == {"y.jpg"}
        life.ask(lambda life: unlinked(life, "files/z/y.jpg"))
        assert names(life, "files/z") == set()
    finally:
        life.close()


# ---- two at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", range(12))
def test_a_rename_takes_nothing_back_of_a_flush(turns: int, folders: tuple[Life, Store]) -> None:
    life, store = folders
    there(life, store, "x.jpg", NAVY)

    async def both(life: Life) -> None:
        await put(life, "files/new.tmp", RED)
        handle, _ = await opened(life, "files/new.tmp", os.O_WRONLY)
        await called(life.operations.write(FileHandleT(handle), 0, GREEN))
        await called(life.operations.write(FileHandleT(handle), len(GREEN), b"more"))

        async def close() -> None:
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            await released(life, handle)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(renamed, life, "files/new.tmp", "files/x.jpg")
            nursery.start_soon(close)
        (item,) = [item for item in life.outgoing.queue.items() if item.verb is Verb.UPLOAD]
        assert (item.generation, item.size_bytes, item.name) == (2, len(GREEN) + 4, "x.jpg")
        assert item.stage is Stage.SETTLING

    life.ask(both)
    life.passes(SENT_S)
    assert bodies(store) == {"x.jpg": GREEN + b"more"}


def test_a_time_that_is_set_while_the_file_is_sent_arrives(folders: tuple[Life, Store]) -> None:
    life, store = folders
    life.ask(wrote("files/x.jpg", NAVY))
    fault = store.script.add(Fault(FaultKind.HANG, "upload", times=1))
    life.passes(SENT_S)
    assert [item.stage for item in items(life)] == [Stage.SENDING]
    life.ask(lambda life: timed(life, "files/x.jpg", 10**18))
    store.script.remove(*fault)
    life.passes(SENT_S)
    assert [asset.mtime_ns for asset in store.assets()] == [10**18]


# ---- what may have arrived ------------------------------------------------------------------------------------------


def sent_unanswered(life: Life, store: Store, path: str, data: bytes) -> None:
    """It has arrived, and nobody knows."""
    life.ask(wrote(path, data))
    store.script.add(Fault(FaultKind.LOST, "upload"))
    store.script.add(Fault(FaultKind.UNREACHABLE, "upload", skip=1, times=1))
    life.passes(SENT_S)
    (item,) = items(life)
    assert item.stage is not Stage.SENT and item.earlier


@pytest.mark.parametrize("verb", ["rename", "unlink", "replace"])
def test_a_file_whose_answer_was_lost_is_not_doubled(verb: str, folders: tuple[Life, Store]) -> None:
    life, store = folders
    sent_unanswered(life, store, "files/x.jpg", NAVY)
    match verb:
        case "rename":
            life.ask(lambda life: renamed(life, "files/x.jpg", "files/y.jpg"))
        case "unlink":
            life.ask(lambda life: unlinked(life, "files/x.jpg"))
        case "replace":
            life.ask(wrote("files/new.tmp", RED))
            life.ask(lambda life: renamed(life, "files/new.tmp", "files/x.jpg"))
    life.passes(400.0)
    expected = {"rename": {"y.jpg": NAVY}, "unlink": {}, "replace": {"x.jpg": RED}}[verb]
    assert bodies(store) == expected
    assert names(life, "files") == set(expected)


@pytest.mark.parametrize("is_unanswered", [False, True])
def test_what_was_replaced_is_not_shown_again(is_unanswered: bool, albums: tuple[Life, Store]) -> None:
    """A list has told of it, other bytes were sent then, which took its place, and the file is removed at once."""
    life, store = albums
    if is_unanswered:
        sent_unanswered(life, store, "albums/A/x.jpg", NAVY)
    else:
        store.put("x.jpg", NAVY, store.titled("A").id)
        life.passes(PATIENCE_S)
    assert names(life, "albums/A") == {"x.jpg"}
    life.ask(wrote("albums/A/x.jpg", RED))
    life.passes(2.9)
    assert names(life, "albums/A") == {"x.jpg"}

    async def remove(life: Life) -> None:
        above, _ = await parent_of(life, "albums/A")
        album, _ = await parent_of(life, "albums/A/x.jpg")
        while life.outgoing.queue.items()[0].stage is not Stage.SENT:
            await life.outgoing.queue.wait_changed()
        await called(life.operations.unlink(InodeT(album), FileNameT(b"x.jpg"), CONTEXT))
        await called(life.operations.rmdir(InodeT(above), FileNameT(b"A"), CONTEXT))

    life.ask(remove)
    life.passes(PATIENCE_S)
    assert [album.title for album in store.albums()] == ["B"]
    assert bodies(store) == {"x.jpg": RED}


def test_a_photo_that_was_half_replaced_at_a_kill_has_one_name(albums: tuple[Life, Store]) -> None:
    """What takes its place is in the album already, beside it, and so goes by a longer name there for a moment."""
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(PATIENCE_S)
    life.ask(wrote("albums/A/x.jpg", RED))
    store.script.add(Fault(FaultKind.HALF, "replace"))
    store.script.add(Fault(FaultKind.UNREACHABLE, "replace", skip=1, times=None))
    life.passes(SENT_S)
    (half,) = [asset for asset in store.assets() if store.bytes_of(asset.id) == RED]
    store.add(store.titled("A").id, half.id)
    life = life.killed()
    try:
        life.passes(1.5)
        assert names(life, "albums/A") == {"x.jpg"}
        store.script.clear()
        life.passes(PATIENCE_S)
        assert [store.bytes_of(asset.id) for asset in store.members(store.titled("A").id)] == [RED]
        life.ask(wrote("albums/A/x.jpg", GREEN))
        life.passes(PATIENCE_S)
        assert names(life, "albums/A") == {"x.jpg"}
        assert [store.bytes_of(asset.id) for asset in store.members(store.titled("A").id)] == [GREEN]
    finally:
        life.close()


def test_a_file_whose_answer_was_lost_is_moved_and_moved_back(albums: tuple[Life, Store]) -> None:
    life, store = albums
    sent_unanswered(life, store, "albums/A/x.jpg", NAVY)
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/y.jpg"))
    life.ask(lambda life: renamed(life, "albums/B/y.jpg", "albums/A/z.jpg"))
    assert names(life, "albums/A") == {"z.jpg"}
    life.passes(400.0)
    assert names(life, "albums/A") == {"z.jpg"}
    assert [store.bytes_of(asset.id) for asset in store.members(store.titled("A").id)] == [NAVY]
    assert store.members(store.titled("B").id) == []


def test_a_file_whose_answer_was_lost_is_moved_and_replaced(albums: tuple[Life, Store]) -> None:
    """What takes its place is wherever what may have arrived of it was, and is told before that is taken out."""
    life, store = albums
    sent_unanswered(life, store, "albums/A/x.jpg", NAVY)
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/y.jpg"))
    life.ask(wrote("albums/B/.y.jpg.tmp", RED))
    life.ask(lambda life: renamed(life, "albums/B/.y.jpg.tmp", "albums/B/y.jpg"))
    store.script.add(Fault(FaultKind.LOST, "upload"))
    store.script.add(Fault(FaultKind.UNREACHABLE, "take_out", times=1))
    assert (names(life, "albums/A"), names(life, "albums/B")) == (set(), {"y.jpg"})
    life.passes(400.0)
    assert (names(life, "albums/A"), names(life, "albums/B")) == (set(), {"y.jpg"})
    assert store.members(store.titled("A").id) == []
    assert [store.bytes_of(asset.id) for asset in store.members(store.titled("B").id)] == [RED]


@pytest.mark.parametrize("verb", ["rename", "unlink"])
def test_a_change_whose_answer_was_lost_is_ours(verb: str, folders: tuple[Life, Store]) -> None:
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    life.ask(wrote("files/x.jpg", RED))
    store.script.add(Fault(FaultKind.LOST_SILENTLY, "replace"))
    life.passes(SENT_S)
    assert [item.stage for item in items(life)] == [Stage.SENDING]
    if verb == "rename":
        life.ask(lambda life: renamed(life, "files/x.jpg", "files/y.jpg"))
    else:
        life.ask(lambda life: unlinked(life, "files/x.jpg"))
    store.script.clear()
    life.passes(SENT_S)
    assert bodies(store) == ({"y.jpg": RED} if verb == "rename" else {})


# ---- albums ---------------------------------------------------------------------------------------------------------


def test_a_folder_may_have_any_name_that_a_file_may_have(folders: tuple[Life, Store]) -> None:
    life, _ = folders
    for name in ("Cafe\u0301", "a\x01b", os.fsdecode(b"\xff\xfe")):
        life.ask(lambda life, name=name: directory_made(life, f"files/{name}"))  # type: ignore[misc]
        assert is_there(life, f"files/{name}")
        life.ask(wrote(f"files/{name}/x.jpg", NAVY))


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_provisional_album_is_removed_and_another_is_renamed(is_sent: bool, albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.script.add(Fault(FaultKind.UNREACHABLE, "make_album", times=2))
    life.ask(lambda life: directory_made(life, "albums/C"))
    life.ask(lambda life: directory_made(life, "albums/D"))
    hanging = store.script.add(Fault(FaultKind.HANG, "make_album", times=None))
    if is_sent:
        life.passes(1.0)
        assert Stage.SENDING in {item.stage for item in items(life)} or store.script.counts()["make_album"] > 2
    life.ask(lambda life: directory_removed(life, "albums/C"))
    life.ask(lambda life: renamed(life, "albums/D", "albums/E"))
    life.ask(wrote("albums/E/x.jpg", NAVY))
    store.script.remove(*hanging)
    life.passes(400.0)
    assert {album.title for album in store.albums()} >= {"A", "B", "E"}
    assert {album.title for album in store.albums()}.isdisjoint({"C", "D"})
    assert [asset.name for asset in store.members(store.titled("E").id)] == ["x.jpg"]


def test_everything_can_be_asked_offline(folders: tuple[Life, Store]) -> None:
    life, store = folders
    life.ask(lambda life: listed(life, "files"))
    for method in ("upload", "listing", "move", "remove"):
        store.script.add(Fault(FaultKind.UNREACHABLE, method, times=None))
    life.ask(wrote("files/x.jpg", NAVY))
    life.ask(lambda life: renamed(life, "files/x.jpg", "files/y.jpg"))
    assert names(life, "files") == {"y.jpg"}
    life.ask(lambda life: unlinked(life, "files/y.jpg"))
    assert names(life, "files") == set()


# ---- what is shown --------------------------------------------------------------------------------------------------


@pytest.mark.warns("the script says rejected")
def test_a_file_that_is_refused_keeps_its_name_and_its_bytes(folders: tuple[Life, Store]) -> None:
    life, store = folders
    store.script.add(Fault(FaultKind.REJECTED, "upload", times=None))
    life.ask(wrote("files/x.jpg", NAVY))
    life.passes(PATIENCE_S)
    assert [item.stage for item in items(life)] == [Stage.FAILED]
    assert body(life, "files/x.jpg") == NAVY
    life.ask(lambda life: renamed(life, "files/x.jpg", "files/y.jpg"))
    store.script.clear()
    life.passes(SENT_S)
    assert bodies(store) == {"y.jpg": NAVY}


def test_both_versions_are_shown_as_soon_as_they_are_in_conflict(folders: tuple[Life, Store]) -> None:
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    life.ask(wrote("files/x.jpg", RED))
    store.edit_bytes(store.assets()[0].id, GREEN)
    life.passes(SETTLE_S + 0.5)
    ours = next(name for name in names(life, "files") if "conflict" in name)
    assert names(life, "files") == {"x.jpg", ours}
    assert body(life, "files/x.jpg") == GREEN
    assert body(life, f"files/{ours}") == RED
    life.ask(lambda life: unlinked(life, f"files/{ours}"))
    life.passes(PATIENCE_S)
    assert names(life, "files") == {"x.jpg"}


def test_a_file_that_is_saved_twice_is_the_last_one_in_all_albums(albums: tuple[Life, Store]) -> None:
    life, store = albums
    asset = store.put("x.jpg", NAVY, store.titled("A").id)
    store.add(store.titled("B").id, asset.id)
    life.passes(PATIENCE_S)
    for data in (RED, GREEN):
        life.ask(wrote("albums/A/x.jpg.tmp", data))
        life.ask(lambda life: renamed(life, "albums/A/x.jpg.tmp", "albums/A/x.jpg"))
        assert body(life, "albums/A/x.jpg") == data
        assert body(life, "albums/B/x.jpg") == data
    life.passes(SENT_S + PATIENCE_S)
    assert bodies(store) == {"x.jpg": GREEN}
    assert body(life, "albums/A/x.jpg") == body(life, "albums/B/x.jpg") == GREEN


def test_an_album_whose_maker_is_slow_loses_no_file_that_is_made_meanwhile(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.script.add(Fault(FaultKind.UNREACHABLE, "make_album"))
    store.script.add(Fault(FaultKind.LATENCY, "make_album", skip=1, times=None, seconds=5.0))
    life.ask(lambda life: directory_made(life, "albums/C"))

    async def make(life: Life) -> None:
        queue, files = life.outgoing.queue, life.outgoing.files
        (making,) = queue.items()
        item = Item(queue.new_id(), queue.next_order(), making.account, Verb.UPLOAD, Stage.OPEN, making.id, "x.jpg", 1)  # type: ignore[arg-type]
        while queue.get(making.id) is not None:
            await trio.sleep(0.1)
        handle = await files.create(item)  # whoever looked where it was to be did so before the album was made
        await handle.write(0, NAVY)
        await handle.flush()
        await handle.aclose()

    life.ask(make)
    assert names(life, "albums/C") == {"x.jpg"}
    life.passes(SENT_S)
    assert [asset.name for asset in store.members(store.titled("C").id)] == ["x.jpg"]


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.warns("")
def test_of_a_file_that_is_open_and_unchanged_nothing_is_left_after_a_restart(tmp_path: Path, flavour: Flavour) -> None:
    with Store(tmp_path / "server", flavour) as store:
        store.put("a.jpg", NAVY, store.make_album("A").id)
        top = "albums" if flavour is Flavour.IMMICH else "files"
        life = Life(tmp_path / "home", store)
        life.ask(lambda life: opened(life, f"{top}/A/a.jpg", os.O_RDWR))
        with suppress(OSError):  # of a photo names are fixed
            life.ask(lambda life: renamed(life, f"{top}/A/a.jpg", f"{top}/A/b.jpg"))
        life = life.restarted()
        try:
            assert items(life) == []
            (name,) = life.ask(lambda life: listed(life, f"{top}/A"))
            assert life.ask(lambda life: read_all(life, f"{top}/A/{name}")) == NAVY
        finally:
            life.close()
