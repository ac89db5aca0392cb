"""An answer that was on its way while something was changed here tells nothing of that, and neither does what was told
before, while nobody can be asked: nobody who looks afterwards sees it. Rule: DESIGN §4.3, read your writes; §4.6."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from iiiffs.cache import writer
from iiiffs.model.changes import EVERYTHING
from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.tree import jpeg
from tests.harness.writing_tree import (
    CONTEXT,
    Life,
    called,
    directory_made,
    directory_removed,
    existing,
    linked,
    listed,
    looked_up,
    renamed,
    unlinked,
)
from tests.unit.vfs.test_changes_writing import PATIENCE_S, is_there, items, living, names, put, there

NAVY, RED = jpeg(colour="navy"), jpeg(colour="red")
AT_ONCE_S, SLOW_S, LATE_S = 0.1, 1.0, 2.0


@dataclass(frozen=True)
class Deed:
    """What a program does in files/, which holds x.jpg and the folder z; the provider's method that does it, and what
    is there then."""

    does: Callable[[Life], Awaitable[None]]
    method: str
    after: set[str]


DEEDS = {
    "rename": Deed(lambda life: renamed(life, "files/x.jpg", "files/y.jpg"), "move", {"y.jpg", "z"}),
    "unlink": Deed(lambda life: unlinked(life, "files/x.jpg"), "remove", {"z"}),
    "link": Deed(lambda life: linked(life, "files/x.jpg", "files/y.jpg"), "link", {"x.jpg", "y.jpg", "z"}),
    "mkdir": Deed(lambda life: directory_made(life, "files/d"), "make_album", {"d", "x.jpg", "z"}),
    "rmdir": Deed(lambda life: directory_removed(life, "files/z"), "remove_album", {"x.jpg"}),
    "mvdir": Deed(lambda life: renamed(life, "files/z", "files/d"), "rename_album", {"d", "x.jpg"}),
}
NAMES = ("x.jpg", "y.jpg", "z", "d")


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        there(life, store, "x.jpg", NAVY)
        life.ask(lambda life: directory_made(life, "files/z"))
        life.passes(PATIENCE_S)
        assert names(life, "files") == {"x.jpg", "z"}
        yield life, store


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_a_listing_that_is_late(deed: Deed, folders: tuple[Life, Store]) -> None:
    """It is asked for while something is being done, is answered before that is, and arrives after it."""
    life, store = folders
    store.script.add(Fault(FaultKind.LATENCY, deed.method, seconds=SLOW_S))
    store.script.add(Fault(FaultKind.LATE, "listing", seconds=LATE_S))

    async def look(life: Life) -> None:
        done = trio.Event()

        async def do() -> None:
            await deed.does(life)
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(do)
            await life.wait(AT_ONCE_S)
            life.gallery.expire(None)  # as when changes are reported
            nursery.start_soon(listed, life, "files")
            await life.wait(SLOW_S)
            assert done.is_set()
            for _ in range(5):
                assert await listed(life, "files") == deed.after
                for name in NAMES:
                    assert (await looked_up(life, f"files/{name}") is not None) is (name in deed.after), name
                await life.wait(0.7)

    life.ask(look)


@pytest.mark.warns("showing what is known")
@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_what_was_done_is_shown_while_the_server_is_away(deed: Deed, folders: tuple[Life, Store]) -> None:
    life, store = folders
    life.ask(deed.does)
    store.script.add(Fault(FaultKind.UNREACHABLE, "listing", times=None))
    for _ in range(3):
        assert names(life, "files") == deed.after
        for name in NAMES:
            assert is_there(life, f"files/{name}") is (name in deed.after), name
        life.passes(1.5)
    store.script.clear()
    life.passes(PATIENCE_S)
    assert names(life, "files") == deed.after


# ---- albums that are sets -------------------------------------------------------------------------------------------

ALBUMS = {
    "mkdir": Deed(lambda life: directory_made(life, "albums/D"), "make_album", {"A", "B", "D"}),
    "rmdir": Deed(lambda life: directory_removed(life, "albums/B"), "remove_album", {"A"}),
    "mvdir": Deed(lambda life: renamed(life, "albums/B", "albums/D"), "rename_album", {"A", "D"}),
}


@pytest.fixture
def sets(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        assert names(life, "albums") == {"A", "B"}
        life.passes(PATIENCE_S)
        yield life, store


@pytest.mark.parametrize("deed", ALBUMS.values(), ids=ALBUMS)
def test_a_list_of_albums_that_is_late(deed: Deed, sets: tuple[Life, Store]) -> None:
    """As test_a_listing_that_is_late, of a server without folders."""
    life, store = sets
    store.script.add(Fault(FaultKind.LATENCY, deed.method, seconds=SLOW_S))
    store.script.add(Fault(FaultKind.LATE, "albums", seconds=LATE_S))

    async def look(life: Life) -> None:
        done = trio.Event()

        async def do() -> None:
            await deed.does(life)
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(do)
            await life.wait(AT_ONCE_S)
            life.gallery.expire(None)  # as when changes are reported
            nursery.start_soon(listed, life, "albums")
            await life.wait(SLOW_S)
            assert done.is_set()
            for _ in range(5):
                assert await listed(life, "albums") == deed.after
                for name in ("A", "B", "D"):
                    assert (await looked_up(life, f"albums/{name}") is not None) is (name in deed.after), name
                await life.wait(0.7)

    life.ask(look)


@pytest.mark.warns("changes are not noticed")
@pytest.mark.parametrize("deed", ALBUMS.values(), ids=ALBUMS)
def test_what_was_done_to_albums_is_shown_while_the_server_is_away(deed: Deed, sets: tuple[Life, Store]) -> None:
    life, store = sets
    life.ask(deed.does)
    for method in ("albums", "watch"):
        store.script.add(Fault(FaultKind.UNREACHABLE, method, times=None))
    for _ in range(3):
        assert names(life, "albums") == deed.after
        for name in ("A", "B", "D"):
            assert is_there(life, f"albums/{name}") is (name in deed.after), name
        life.passes(1.5)
    store.script.clear()
    life.passes(PATIENCE_S)
    assert names(life, "albums") == deed.after


@pytest.mark.warns("changes are not noticed")
@pytest.mark.parametrize("end", ["killed", "restarted"])
@pytest.mark.parametrize("deed", ALBUMS.values(), ids=ALBUMS)
def test_what_was_done_to_albums_is_shown_after_a_restart_while_the_server_is_away(
    deed: Deed, end: str, sets: tuple[Life, Store]
) -> None:
    """Nobody has looked since."""
    life, store = sets
    life.ask(deed.does)
    store.script.offline()
    after = getattr(life, end)()
    try:
        assert names(after, "albums") == deed.after
    finally:
        after.close()


async def changed(life: Life) -> None:
    """Somebody has changed something."""
    life.gallery.changed(EVERYTHING)


@pytest.mark.warns("changes are not noticed")
@pytest.mark.parametrize("kind", [FaultKind.LATE, FaultKind.UNREACHABLE])
@pytest.mark.parametrize("is_asked_meanwhile", [False, True])
def test_an_album_that_is_made_later_is_there_before_its_list_tells_of_it(
    kind: FaultKind, is_asked_meanwhile: bool, sets: tuple[Life, Store]
) -> None:
    """It goes by its provider's id from the moment in which that is known, and the last list of albums is older."""
    life, store = sets
    store.script.offline()
    life.ask(lambda life: directory_made(life, "albums/D"))
    found = life.ask(lambda life: existing(life, "albums/D"))
    store.script.clear()
    store.script.add(Fault(kind, "albums", times=None, seconds=LATE_S))
    is_made = False
    for _ in range(60):
        life.passes(0.5)
        if is_asked_meanwhile:
            life.ask(changed)
        life.ask(lambda life: called(life.operations.getattr(found.st_ino, CONTEXT)))
        assert names(life, "albums/D") == set()
        assert names(life, "albums") == {"A", "B", "D"}
        is_made = is_made or "D" in {album.title for album in store.albums()}
    assert is_made


@pytest.mark.warns("changes are not noticed")
@pytest.mark.parametrize("end", ["killed", "restarted"])
def test_an_album_that_is_made_after_a_restart_is_there_before_its_list_tells_of_it(
    end: str, sets: tuple[Life, Store]
) -> None:
    """Nobody has looked at albums/ since."""
    life, store = sets
    store.script.offline()
    life.ask(lambda life: directory_made(life, "albums/D"))
    after = getattr(life, end)()
    try:
        found = after.ask(lambda life: existing(life, "albums/D"))
        store.script.clear()
        store.script.add(Fault(FaultKind.UNREACHABLE, "albums", times=None))
        for _ in range(60):
            after.passes(0.5)
            after.ask(lambda life: called(life.operations.getattr(found.st_ino, CONTEXT)))
        assert names(after, "albums") == {"A", "B", "D"}
        assert "D" in {album.title for album in store.albums()}
    finally:
        after.close()


# ---- while what waits is being told ---------------------------------------------------------------------------------

SOONER_S, LOOKS_S, EACH_S = 2.5, 9.0, 0.25


@dataclass(frozen=True)
class Waiting:
    """What a program does, and what is in the directories from then on."""

    does: Callable[[Life], Awaitable[None]]
    after: dict[str, set[str]]


IN_SETS = {
    "unlink": Waiting(lambda life: unlinked(life, "albums/A/x.jpg"), {"albums/A": set()}),
    "link": Waiting(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"), {"albums/B": {"x.jpg"}}),
    "mv": Waiting(
        lambda life: renamed(life, "albums/A/x.jpg", "albums/B/x.jpg"), {"albums/A": set(), "albums/B": {"x.jpg"}}
    ),
    "cp": Waiting(lambda life: put(life, "albums/A/y.jpg", RED), {"albums/A": {"x.jpg", "y.jpg"}}),
    "cp over it": Waiting(lambda life: put(life, "albums/A/x.jpg", RED), {"albums/A": {"x.jpg"}}),
}
IN_FOLDERS = {
    "cp": Waiting(lambda life: put(life, "files/y.jpg", RED), {"files": {"x.jpg", "y.jpg", "z"}}),
    "cp over it": Waiting(lambda life: put(life, "files/x.jpg", RED), {"files": {"x.jpg", "z"}}),
}


def wrong_looks(life: Life, after: dict[str, set[str]]) -> list[str]:
    """What those see who look while it is being told, many of them."""
    wrong: list[str] = []

    async def look(directory: str, number: int) -> None:
        life.gallery.expire(None)
        found = {"": await listed(life, directory)}
        found |= {name: {name} for name in NAMES if await looked_up(life, f"{directory}/{name}") is not None}
        expected = {"": after[directory]} | {name: {name} for name in NAMES if name in after[directory]}
        if found != expected:
            wrong.append(f"{directory}, look {number}: {found}")

    async def look_all(life: Life) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(int(LOOKS_S / EACH_S)):
                for directory in after:
                    nursery.start_soon(look, directory, number)
                await life.wait(EACH_S)

    life.ask(look_all)
    return wrong


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("waiting", IN_SETS.values(), ids=IN_SETS)
def test_who_looks_while_it_is_told_sees_what_was_done(waiting: Waiting, seed: int, sets: tuple[Life, Store]) -> None:
    """Who asked first may be answered last, when what was done is not said by what waits any more."""
    life, store = sets
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(PATIENCE_S)
    life.ask(waiting.does)
    store.script.add(Fault(FaultKind.LATE, "listing", times=None, seconds=SOONER_S, chance=0.5, seed=seed))
    assert wrong_looks(life, waiting.after) == []


@pytest.mark.parametrize("seed", range(5, 9))
@pytest.mark.parametrize("waiting", IN_FOLDERS.values(), ids=IN_FOLDERS)
def test_who_looks_while_it_is_told_to_a_server_with_folders(
    waiting: Waiting, seed: int, folders: tuple[Life, Store]
) -> None:
    """All but files is done there at once."""
    life, store = folders
    life.ask(waiting.does)
    store.script.add(Fault(FaultKind.LATE, "listing", times=None, seconds=SOONER_S, chance=0.5, seed=seed))
    assert wrong_looks(life, waiting.after) == []
    life.passes(PATIENCE_S)
    assert items(life) == []


# ---- at a kill ------------------------------------------------------------------------------------------------------


async def until_nothing_waits(life: Life) -> None:
    """Not a moment longer."""
    while life.outgoing.queue.items():
        await life.wait(0.01)


@pytest.mark.warns("changes are not noticed")
@pytest.mark.parametrize("waiting", IN_SETS.values(), ids=IN_SETS)
def test_what_was_told_a_moment_before_a_kill_is_shown_while_the_server_is_away(
    waiting: Waiting, sets: tuple[Life, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing waits any more that could say it, and the server cannot. The cache is on the disk when somebody waits for
    that, or much later."""
    life, store = sets
    monkeypatch.setattr(writer, "COMMIT_INTERVAL_S", PATIENCE_S / 2)
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(PATIENCE_S)
    assert (names(life, "albums/A"), names(life, "albums/B")) == ({"x.jpg"}, set())
    life.passes(PATIENCE_S)
    life.ask(waiting.does)
    life.ask(until_nothing_waits)
    after = life.killed()
    try:
        store.script.offline()
        assert {directory: names(after, directory) for directory in waiting.after} == waiting.after
    finally:
        after.close()


@pytest.mark.warns("showing what is known", "changes are not noticed")
def test_the_topmost_folder_is_there_while_the_server_is_away(folders: tuple[Life, Store]) -> None:
    """Whatever the kernel has forgotten of it."""
    life, store = folders
    number = life.ask(lambda life: existing(life, "files")).st_ino
    store.script.offline()
    for _ in range(3):
        assert life.ask(lambda life: existing(life, "files")).st_ino == number
        assert names(life, "files") == {"x.jpg", "z"}
        life.passes(PATIENCE_S)
