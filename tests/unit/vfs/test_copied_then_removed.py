"""A photo is copied within its album and its old name removed, a person's way to rename: the photo stays in the album.

Where equal bytes are one photo, the removal and the upload of the copy are about the same one, and neither is to undo
what the other says, in whichever order they are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.harness.scripted import Fault, FaultKind, Flavour
from tests.harness.soaking import but_in_soak
from tests.harness.writing_tree import renamed, unlinked
from tests.unit.vfs.test_changes_writing import GREEN, NAVY, RED, items, living, names
from tests.unit.vfs.test_crossing import World

ONE, TWO = "albums/B/one.jpg", "albums/B/two.jpg"
FAULTS = {
    "": None,
    **{
        f"{kind.value} {method}": Fault(kind, method, seconds=seconds)
        for kind, seconds in ((FaultKind.LATENCY, 2.0), (FaultKind.LATE, 6.0))
        for method in ("upload", "take_out", "listing")
    },
    "lost upload": Fault(FaultKind.LOST, "upload"),
    "lost take_out": Fault(FaultKind.LOST, "take_out"),
}
CASES = but_in_soak(FAULTS, {"", "latency upload", "late take_out", "lost upload"})
REPLACING = {
    "latency replace": Fault(FaultKind.LATENCY, "replace", seconds=9.0),
    "late replace": Fault(FaultKind.LATE, "replace", seconds=9.0),
    "lost replace": Fault(FaultKind.LOST, "replace"),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        world = World(life, store)
        world.has(ONE, GREEN)
        try:
            yield world
        finally:
            world.life.close()


def remove(world: World, path: str) -> None:
    world.life.ask(lambda life: unlinked(life, path))


def in_order(first: str, world: World, path: str, gap_s: float = 0.0) -> None:
    steps = [partial(world.put, path, GREEN), partial(remove, world, ONE)]
    for step in steps if first == "copy" else reversed(steps):
        step()
        world.life.passes(gap_s)


def is_all_there_is(world: World, **wanted: bytes) -> None:
    """Of album B, by name, now and until all is told and long over; at the server, too."""
    for _ in range(60):
        assert names(world.life, "albums/B") == {f"{name}.jpg" for name in wanted}
        world.shows({f"albums/B/{name}.jpg": data for name, data in wanted.items()})
        world.life.passes(1.0)
    assert items(world.life) == []
    assert world.members("B") == sorted(set(wanted.values()))
    assert world.trash() == []


@pytest.mark.parametrize("fault", CASES)
@pytest.mark.parametrize("first", ["copy", "removal"])
@pytest.mark.parametrize("gap_s", [0.5, 2.9])
def test_it_stays_in_the_album(gap_s: float, first: str, fault: str, world: World) -> None:
    if (slow := FAULTS[fault]) is not None:
        world.store.script.add(slow)
    in_order(first, world, TWO, gap_s)
    is_all_there_is(world, two=GREEN)


@pytest.mark.parametrize("gap_s", [0.5, 2.9])
@pytest.mark.parametrize("fault", CASES)
def test_it_comes_again_by_its_name(fault: str, gap_s: float, world: World) -> None:
    if (slow := FAULTS[fault]) is not None:
        world.store.script.add(slow)
    in_order("removal", world, ONE, gap_s)
    is_all_there_is(world, one=GREEN)


@pytest.mark.parametrize("first", ["copy", "removal"])
def test_it_stays_in_the_album_when_others_are_removed_all_the_time(first: str, world: World) -> None:
    """What is taken out of an album is gathered for up to a minute: the upload is long over by then."""
    others = [f"albums/B/other{number}.jpg" for number in range(4)]
    for number, path in enumerate(others):
        world.has(path, RED + bytes([number]))
    in_order(first, world, TWO)
    for path in others:
        world.life.passes(2.0)
        remove(world, path)
    is_all_there_is(world, two=GREEN)


@pytest.mark.parametrize("gap_s", [0.5, 2.9])
@pytest.mark.warns("the script says unreachable")
@pytest.mark.parametrize("end", ["restarted", "killed", "offline"])
@pytest.mark.parametrize("fault", ["", "latency upload", "late take_out"])
def test_it_stays_in_the_album_through(end: str, fault: str, gap_s: float, world: World) -> None:
    if (slow := FAULTS[fault]) is not None:
        world.store.script.add(slow)
    world.put(TWO, GREEN)
    world.life.passes(gap_s)
    if end == "offline":
        number = world.store.script.offline()
    remove(world, ONE)
    world.life.passes(1.0)
    if end == "offline":
        world.life.passes(30.0)
        world.store.script.remove(number)
        world.life.passes(60.0)
    else:
        world.life = getattr(world.life, end)()
    is_all_there_is(world, two=GREEN)


@pytest.mark.parametrize("gap_s", [0.5, 2.9])
@pytest.mark.parametrize("fault", CASES)
def test_its_old_name_goes_to_another_album(fault: str, gap_s: float, world: World) -> None:
    if (slow := FAULTS[fault]) is not None:
        world.store.script.add(slow)
    world.put(TWO, GREEN)
    world.life.passes(gap_s)
    world.life.ask(lambda life: renamed(life, ONE, "albums/A/one.jpg"))
    is_all_there_is(world, two=GREEN)
    assert world.members("A") == sorted([NAVY, GREEN])
    assert names(world.life, "albums/A") == {"x.jpg", "one.jpg"}


@pytest.mark.parametrize("gap_s", [0.5, 2.9])
@pytest.mark.parametrize("fault", CASES)
def test_it_is_copied_to_another_album(fault: str, gap_s: float, world: World) -> None:
    if (slow := FAULTS[fault]) is not None:
        world.store.script.add(slow)
    world.put("albums/A/two.jpg", GREEN)
    world.life.passes(gap_s)
    remove(world, ONE)
    is_all_there_is(world)
    assert world.members("A") == sorted([NAVY, GREEN])
    assert names(world.life, "albums/A") == {"x.jpg", "two.jpg"}


@pytest.mark.parametrize("gap_s", [0.5, 2.9, 5.0])
@pytest.mark.parametrize("fault", CASES)
def test_the_copy_is_removed(fault: str, gap_s: float, world: World) -> None:
    if (slow := FAULTS[fault]) is not None:
        world.store.script.add(slow)
    world.put(TWO, GREEN)
    world.life.passes(gap_s)
    remove(world, TWO)
    is_all_there_is(world, one=GREEN)


@pytest.mark.parametrize(("gap_s", "then_s"), [(0.5, 2.9), (0.5, 5.0), (0.5, 60.0), (2.9, 60.0)])
@pytest.mark.parametrize("fault", CASES)
def test_in_the_end_both_are_removed(fault: str, gap_s: float, then_s: float, world: World) -> None:
    if (slow := FAULTS[fault]) is not None:
        world.store.script.add(slow)
    world.put(TWO, GREEN)
    world.life.passes(gap_s)
    remove(world, ONE)
    world.life.passes(then_s)
    remove(world, TWO)
    is_all_there_is(world)


@pytest.mark.parametrize("gap_s", [0.5, 2.9])
@pytest.mark.parametrize("fault", CASES)
def test_it_takes_the_place_of_another_photo(fault: str, gap_s: float, world: World) -> None:
    world.has(TWO, RED)
    if (slow := FAULTS[fault]) is not None:
        world.store.script.add(slow)
    world.put(TWO, GREEN)
    world.life.passes(gap_s)
    remove(world, ONE)
    for _ in range(60):
        assert names(world.life, "albums/B") == {"two.jpg"}
        world.shows({TWO: GREEN})
        world.life.passes(1.0)
    assert items(world.life) == []
    assert world.members("B") == [GREEN]
    assert world.trash() == [RED]


@pytest.mark.parametrize("gap_s", [0.5, 2.9, 4.0, 5.0])
@pytest.mark.parametrize("fault", [*FAULTS, *REPLACING])
def test_a_photo_that_is_overwritten_by_a_copy_is_removed(fault: str, gap_s: float, world: World) -> None:
    """Before, while and after it is sent: the album had those bytes already, and keeps them."""
    world.has(TWO, RED)
    slow = {**FAULTS, **REPLACING}[fault]
    if slow is not None:
        world.store.script.add(slow)
    world.put(TWO, GREEN)
    world.life.passes(gap_s)
    remove(world, TWO)
    for _ in range(60):
        assert names(world.life, "albums/B") == {"one.jpg"}
        world.shows({ONE: GREEN})
        world.life.passes(1.0)
    assert items(world.life) == []
    assert world.members("B") == [GREEN]
    assert world.trash() == [RED]
