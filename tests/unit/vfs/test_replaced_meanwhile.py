"""A file whose new bytes wait is renamed, removed or replaced while what they are to replace is not what it was: they
arrived and the answer did not, or somebody else has changed or removed it. No path operation fails because of that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.tree import jpeg
from tests.harness.writing_tree import SETTLE_S, Life, directory_removed, renamed, unlinked
from tests.unit.vfs.test_changes_writing import SENT_S, bodies, body, items, living, names, put, there, wrote

NAVY, RED, GREEN, WHITE, THEIRS = (jpeg(colour=colour) for colour in ("navy", "red", "green", "white", "black"))
OFFLINE_S = 400.0


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.FOLDER) as both:
        yield both


def does(life: Life, verb: str) -> None:
    """What a program does with files/x.jpg, or puts in its place."""
    match verb:
        case "rename":
            life.ask(lambda life: renamed(life, "files/x.jpg", "files/y.jpg"))
        case "unlink":
            life.ask(lambda life: unlinked(life, "files/x.jpg"))
        case "replace":
            life.ask(wrote("files/new.tmp", GREEN))
            life.ask(lambda life: renamed(life, "files/new.tmp", "files/x.jpg"))
        case "rename over":
            life.ask(lambda life: renamed(life, "files/z.jpg", "files/x.jpg"))
        case "rename changed over":
            life.ask(wrote("files/z.jpg", GREEN))
            life.ask(lambda life: renamed(life, "files/z.jpg", "files/x.jpg"))


VERBS = {
    "rename": {"y.jpg": RED, "z.jpg": WHITE},
    "unlink": {"z.jpg": WHITE},
    "replace": {"x.jpg": GREEN, "z.jpg": WHITE},
    "rename over": {"x.jpg": WHITE},
    "rename changed over": {"x.jpg": GREEN},
}


@pytest.mark.parametrize("verb", VERBS)
def test_new_bytes_whose_answer_was_lost(verb: str, folders: tuple[Life, Store]) -> None:
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    there(life, store, "z.jpg", WHITE)
    life.ask(wrote("files/x.jpg", RED))
    store.script.add(Fault(FaultKind.LOST, "replace"))
    store.script.add(Fault(FaultKind.UNREACHABLE, "replace", skip=1))
    life.passes(SENT_S)
    (item,) = items(life)
    assert bodies(store)["x.jpg"] == RED and item.sent is None
    does(life, verb)
    assert names(life, "files") == set(VERBS[verb])
    assert {name: body(life, f"files/{name}") for name in VERBS[verb]} == VERBS[verb]
    life.passes(OFFLINE_S)
    assert bodies(store) == VERBS[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_new_bytes_of_what_somebody_else_has_removed(verb: str, folders: tuple[Life, Store]) -> None:
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    there(life, store, "z.jpg", WHITE)
    life.ask(wrote("files/x.jpg", RED))
    store.trash(store.named("x.jpg")[0].id)
    does(life, verb)
    assert names(life, "files") == set(VERBS[verb])
    life.passes(OFFLINE_S)
    assert bodies(store) == VERBS[verb]
    assert names(life, "files") == set(VERBS[verb])


@pytest.mark.parametrize("verb", ["rename", "unlink", "rename over", "rename changed over"])
def test_new_bytes_of_what_somebody_else_has_changed(verb: str, folders: tuple[Life, Store]) -> None:
    """Theirs is no part of what is renamed or removed, and stays; what takes its name sends it to the trash."""
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    there(life, store, "z.jpg", WHITE)
    life.ask(wrote("files/x.jpg", RED))
    store.edit_bytes(store.named("x.jpg")[0].id, THEIRS)
    does(life, verb)
    life.passes(OFFLINE_S)
    gives_way = "over" in verb
    assert bodies(store) == VERBS[verb] | ({} if gives_way else {"x.jpg": THEIRS})
    assert names(life, "files") == set(bodies(store))
    assert (THEIRS in [store.bytes_of(asset.id) for asset in store.trashed()]) is gives_way


def test_a_file_that_is_open_goes_on_though_what_it_replaces_arrived(folders: tuple[Life, Store]) -> None:
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    life.ask(wrote("files/x.jpg", RED))
    store.script.add(Fault(FaultKind.LOST, "replace"))
    life.passes(SENT_S)
    life.ask(lambda life: put(life, "files/x.jpg", GREEN, os.O_WRONLY | os.O_TRUNC))
    does(life, "rename")
    life.passes(OFFLINE_S)
    assert bodies(store) == {"y.jpg": GREEN}


@pytest.mark.parametrize("changed", ["x.jpg", "z.jpg"])
@pytest.mark.parametrize("verb", ["rename", "unlink", "rename over"])
def test_what_somebody_else_has_changed_since_it_was_listed(
    verb: str, changed: str, folders: tuple[Life, Store]
) -> None:
    """The kernel looks again, once, and that is enough."""
    life, store = folders
    there(life, store, "x.jpg", NAVY)
    there(life, store, "z.jpg", WHITE)
    assert names(life, "files") == {"x.jpg", "z.jpg"}
    store.edit_bytes(store.named(changed)[0].id, RED)
    does(life, verb)
    now = {"x.jpg": NAVY, "z.jpg": WHITE} | {changed: RED}
    expected = {"rename": {"y.jpg": now["x.jpg"], "z.jpg": now["z.jpg"]}, "unlink": {"z.jpg": now["z.jpg"]}}
    assert bodies(store) == expected.get(verb, {"x.jpg": now["z.jpg"]})
    assert names(life, "files") == set(bodies(store))


@pytest.mark.parametrize("late", [FaultKind.LATE, FaultKind.LOST, FaultKind.LATENCY])
@pytest.mark.parametrize("begins_s", [SETTLE_S - 0.5, SETTLE_S + 0.2])
def test_an_album_is_removed_while_new_bytes_of_what_left_it_are_sent(
    late: FaultKind, begins_s: float, tmp_path: Path
) -> None:
    """They take over the albums of the old ones: whichever comes first at the server, the album is empty there."""
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        store.put("x.jpg", NAVY, store.titled("A").id)
        store.add(store.titled("B").id, store.named("x.jpg")[0].id)
        life.passes(3.0)
        life.ask(wrote("albums/A/x.jpg", RED))
        life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
        store.script.add(Fault(FaultKind.LATENCY, "take_out", seconds=1.0), Fault(late, "replace", seconds=1.0))
        life.passes(begins_s)
        life.ask(lambda life: directory_removed(life, "albums/A"))
        for _ in range(20):
            assert names(life, "albums") == {"B"}
            assert body(life, "albums/B/x.jpg") == RED
            life.passes(2.0)
        assert ([album.title for album in store.albums()], items(life)) == (["B"], [])
        assert [store.bytes_of(asset.id) for asset in store.members(store.titled("B").id)] == [RED]
