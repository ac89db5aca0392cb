"""Files that wait to be sent into an album that others deleted: they stay where they were made (DESIGN §4.6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from iiiffs.sync.items import Stage, Verb
from iiiffs.vfs.deserted import DELETED
from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.writing_tree import Life, called, directory_removed, existing, linked, unlinked
from tests.unit.vfs.test_changes_writing import NAVY, RED, SENT_S, body, is_there, items, living, names, wrote
from tests.unit.vfs.test_refused_links import attribute, decides, stored

pytestmark = pytest.mark.warns("failed:", "could not be sent", "unreachable")
FOLDER, SETS = Flavour.FOLDER, Flavour.IMMICH


@pytest.fixture(params=Flavour)
def deserted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Life, Store, str]]:
    """A mount over a server in whose album A x.jpg was to be sent, when A was deleted; the path of A."""
    with living(tmp_path, request.param) as (life, store):
        top = "files" if request.param is FOLDER else "albums"
        if request.param is FOLDER:
            store.make_album("A")
        store.make_album("else")
        life.passes(SENT_S)
        life.ask(wrote(f"{top}/A/x.jpg", NAVY))
        store.remove_album(store.titled("A").id)
        life.passes(60.0)
        yield life, store, f"{top}/A"


def state_of(life: Life, path: str) -> tuple[str, str]:
    """Of a directory: state and error."""

    async def ask(life: Life) -> tuple[str, str]:
        inode = (await existing(life, path)).st_ino
        values = [
            bytes(await called(life.operations.getxattr(inode, name, None)))  # type: ignore[arg-type]
            for name in (b"user.iiiffs.state", b"user.iiiffs.error")
        ]
        return values[0].decode(), values[1].decode()

    return life.ask(ask)


def test_its_directory_stays_and_says_why(deserted: tuple[Life, Store, str]) -> None:
    life, store, path = deserted
    for _ in range(2):
        assert names(life, path) == {"x.jpg"}
        assert body(life, f"{path}/x.jpg") == NAVY
        assert attribute(life, f"{path}/x.jpg", "user.iiiffs.state") == "failed"
        assert DELETED in (attribute(life, f"{path}/x.jpg", "user.iiiffs.error") or "")
        assert state_of(life, path)[0] == "failed"
        assert DELETED in state_of(life, path)[1]
        life.passes(60.0)
    life.ask(wrote(f"{path}/y.jpg", RED))  # it is a directory like others
    assert names(life, path) == {"x.jpg", "y.jpg"}
    life.passes(60.0)
    assert "A" not in stored(store)
    after = life.restarted()
    try:
        assert names(after, path) == {"x.jpg", "y.jpg"}
        assert body(after, f"{path}/x.jpg") == NAVY
    finally:
        after.close()


@pytest.mark.parametrize("is_one", [False, True])
def test_it_is_made_anew(is_one: bool, deserted: tuple[Life, Store, str]) -> None:
    life, store, path = deserted
    life.ask(wrote(f"{path}/y.jpg", RED))
    life.passes(SENT_S)
    decides(life, "retry", Verb.UPLOAD if is_one else None)  # who wants the file sent wants its album made
    life.passes(SENT_S * 2)
    assert stored(store)["A"] == {"x.jpg", "y.jpg"}
    assert names(life, path) == {"x.jpg", "y.jpg"}
    life.passes(60.0)
    assert items(life) == []


def test_it_goes_with_the_last_file_that_is_given_up(deserted: tuple[Life, Store, str]) -> None:
    life, store, path = deserted
    decides(life, "discard", Verb.UPLOAD)
    assert items(life) == []
    assert not is_there(life, path)
    assert "A" not in stored(store)


def test_it_is_removed_as_any_directory(deserted: tuple[Life, Store, str]) -> None:
    life, _, path = deserted
    life.ask(lambda life: unlinked(life, f"{path}/x.jpg"))
    assert names(life, path) == set()
    life.ask(lambda life: directory_removed(life, path))
    assert items(life) == []
    assert not is_there(life, path)


def test_a_link_into_an_album_that_was_deleted_stays_too(tmp_path: Path) -> None:
    with living(tmp_path, SETS) as (life, store):
        store.put("x.jpg", NAVY, store.titled("A").id)
        life.passes(SENT_S)
        assert names(life, "albums/B") == set()
        life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
        store.remove_album(store.titled("B").id)
        life.passes(60.0)
        assert [(item.verb, item.stage) for item in items(life)] == [
            (Verb.ADD, Stage.FAILED),
            (Verb.MAKE_ALBUM, Stage.FAILED),
        ]
        assert names(life, "albums/B") == {"x.jpg"}
        assert body(life, "albums/B/x.jpg") == NAVY
        assert attribute(life, "albums/B/x.jpg", "user.iiiffs.state") == "failed"
        decides(life, "retry")
        life.passes(SENT_S * 2)
        assert stored(store) == {"A": {"x.jpg"}, "B": {"x.jpg"}}
        assert items(life) == []


def test_an_album_is_made_anew_once_for_all_that_was_on_its_way_into_it(tmp_path: Path) -> None:
    with living(tmp_path, FOLDER) as (life, store):
        above = store.make_album("A")
        store.make_album("below", above.id)
        life.passes(SENT_S)
        files = {f"{number}.jpg": NAVY + bytes([number]) for number in range(6)}
        for name, data in files.items():
            life.ask(wrote(f"files/A/below/{name}", data))
        store.remove_album(above.id)
        store.script.add(Fault(FaultKind.LATENCY, "album", seconds=2.0))
        life.passes(60.0)
        store.script.clear()
        assert names(life, "files/A") == {"below"}
        assert {name: body(life, f"files/A/below/{name}") for name in names(life, "files/A/below")} == files
        assert sum(item.verb is Verb.MAKE_ALBUM for item in items(life)) == 2
        decides(life, "retry")
        life.passes(SENT_S * 3)
        assert stored(store)["below"] == set(files)


@pytest.mark.parametrize("flavour", Flavour)
def test_another_album_of_that_name_is_not_hidden(flavour: Flavour, tmp_path: Path) -> None:
    with living(tmp_path, flavour) as (life, store):
        top = "files" if flavour is FOLDER else "albums"
        if flavour is FOLDER:
            store.make_album("A")
        life.passes(SENT_S)
        life.ask(wrote(f"{top}/A/x.jpg", NAVY))
        store.remove_album(store.titled("A").id)
        store.put("theirs.jpg", RED, store.make_album("A").id)
        life.passes(2.0)
        assert names(life, f"{top}/A") == {"theirs.jpg"}
        life.passes(60.0)
        assert names(life, f"{top}/A") == {"theirs.jpg"}
        assert names(life, f"{top}/A (deleted)") == {"x.jpg"}


@pytest.mark.parametrize("is_killed", [False, True])
def test_folders_that_were_deleted_with_what_they_are_in(is_killed: bool, tmp_path: Path) -> None:
    """Also while iiiffs did not run."""
    with living(tmp_path, FOLDER) as (life, store):
        above = store.make_album("A")
        store.make_album("below", above.id)
        life.passes(SENT_S)
        life.ask(wrote("files/A/below/x.jpg", NAVY))
        after = life.killed() if is_killed else life
        store.remove_album(above.id)
        try:
            after.passes(60.0)
            assert names(after, "files") == {"A"}
            assert names(after, "files/A") == {"below"}
            assert body(after, "files/A/below/x.jpg") == NAVY
            decides(after, "retry")
            after.passes(SENT_S * 2)
            assert stored(store)["below"] == {"x.jpg"}
            assert names(after, "files/A/below") == {"x.jpg"}
        finally:
            after.close()
