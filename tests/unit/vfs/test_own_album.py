"""A photo that is shown by a copy's name alone in one album is written in another, where it has its own: it stays there
under that name, whatever its server calls the new bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.scripted import FaultKind, Flavour
from tests.harness.soaking import but_in_soak
from tests.unit.vfs.test_changes_writing import GREEN, NAVY, PATIENCE_S, RED, SENT_S, living, names
from tests.unit.vfs.test_crossing import World, X

Y, COPY, OTHER = "albums/B/y.jpg", "albums/A/copy.jpg", "albums/B/other.jpg"
EDITED = GREEN + b"edited"
AGES = {"waiting": 0.5, "sent": SENT_S, "asked": 30.0, "listed": SENT_S + PATIENCE_S}
"""Of each copy, when something else is done."""

FEWER_AGES = but_in_soak(AGES, {"sent", "listed"})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        world = World(life, store)
        world.has(Y, GREEN)
        yield world


def keep_on(world: World, wanted: dict[str, bytes]) -> None:
    """These, and x.jpg, are all that is shown, now and until all is sent, listed and long over, and after a start."""
    wanted = {**wanted, "albums/A/x.jpg": NAVY}
    for _ in range(2):
        for _ in range(60):
            for album in ("albums/A", "albums/B"):
                assert {f"{album}/{name}" for name in names(world.life, album)} == {
                    path for path in wanted if path.startswith(f"{album}/")
                }
            world.shows(wanted)
            world.life.passes(1.0)
        world.keeps_showing(wanted)
        world.life = world.life.restarted()
    world.life.close()


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("data", [NAVY, RED], ids=["of another photo", "new"])
def test_it_is_overwritten(data: bytes, age: str, world: World) -> None:
    """It was edited before, so its server names the other album first."""
    world.put(Y, EDITED)
    world.life.passes(SENT_S + PATIENCE_S)
    world.put(COPY, EDITED)
    world.life.passes(AGES[age])
    world.put(Y, data)
    keep_on(world, {Y: data, COPY: EDITED})
    assert (world.members("A"), world.members("B")) == (sorted([NAVY, EDITED]), [data])
    assert world.trash() == [GREEN]


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("data", [NAVY, RED], ids=["of another photo", "new"])
def test_it_is_overwritten_beside_a_copy_of_it(data: bytes, age: str, world: World) -> None:
    for path in (OTHER, COPY):
        world.put(path, GREEN)
        world.life.passes(AGES[age])
    world.put(Y, data)
    keep_on(world, {Y: data, COPY: GREEN, OTHER: GREEN})
    assert (world.members("A"), world.members("B")) == (sorted([NAVY, GREEN]), sorted([data, GREEN]))
    assert world.trash() == []


@pytest.mark.parametrize("age", FEWER_AGES)
@pytest.mark.parametrize("pause_s", but_in_soak([0.0, 0.25, 1.0, 4.0], {0.0, 1.0}))
@pytest.mark.parametrize("data", [GREEN, RED], ids=["the same", "others"])
def test_it_gets_the_bytes_of_another_photo_of_the_copy_s_album(
    data: bytes, pause_s: float, age: str, world: World
) -> None:
    """The copy is overwritten, too, a moment later: the other photo stays there under its own name."""
    copy = "albums/B/c.jpg"
    world.put(copy, NAVY)
    world.life.passes(AGES[age])
    world.put(X, GREEN)
    world.life.passes(pause_s)
    world.put(copy, data)
    wanted = {X: GREEN, Y: GREEN, copy: data}
    for _ in range(2):
        for _ in range(60):
            for album in ("A", "B"):
                expected = {path.rpartition("/")[2] for path in wanted if path.split("/")[1] == album}
                assert names(world.life, f"albums/{album}") == expected
            world.shows(wanted)
            world.life.passes(1.0)
        world.life = world.life.restarted()
    world.life.close()
    assert (world.members("A"), world.members("B")) == ([GREEN], sorted({GREEN, data}))


@pytest.mark.parametrize("age_s", but_in_soak([1.0, 1.25, 1.5, 2.5], {1.0}))
@pytest.mark.parametrize("pause_s", but_in_soak([1.25, 1.5, 1.75, 2.0], {1.5, 1.75}))
def test_it_gets_the_bytes_of_another_photo_of_the_copy_s_album_which_gets_others_that_take_long(
    pause_s: float, age_s: float, world: World
) -> None:
    """When these have come, nothing tells any more that the other photo was there before, but what was noted."""
    copy = "albums/B/c.jpg"
    world.put(copy, NAVY)
    world.life.passes(age_s)
    world.put(X, GREEN)
    world.life.passes(pause_s)
    world.put(copy, RED)
    world.slow(FaultKind.LATENCY, "upload", 8.0)
    for _ in range(30):
        assert names(world.life, "albums/B") == {"c.jpg", "y.jpg"}
        world.shows({X: GREEN, Y: GREEN, copy: RED})
        world.life.passes(1.0)
    world.life.close()
    assert (world.members("A"), world.members("B")) == ([GREEN], sorted([GREEN, RED]))


@pytest.mark.parametrize("age", FEWER_AGES)
@pytest.mark.parametrize("pause_s", but_in_soak([0.0, 0.25, 1.0], {0.0}))
@pytest.mark.parametrize("is_copy_first", [False, True])
@pytest.mark.parametrize("data", [RED, EDITED], ids=["equal", "others"])
def test_both_are_overwritten(data: bytes, is_copy_first: bool, pause_s: float, age: str, world: World) -> None:
    """Nobody sees the photo by its own name where only the copy was."""
    copy = "albums/A/a2.jpg"
    world.put(copy, GREEN)
    world.life.passes(AGES[age])
    wanted = {Y: RED, copy: data}
    for path in sorted(wanted, reverse=not is_copy_first):
        world.put(path, wanted[path])
        world.life.passes(pause_s)
    keep_on(world, wanted)
    assert (world.members("A"), world.members("B")) == (sorted([NAVY, data]), [RED])


@pytest.mark.parametrize("gap_s", but_in_soak([0.0, 0.5, 1.0, 2.0, 3.0], {1.0}))
@pytest.mark.parametrize("later_s", but_in_soak([2.0, 5.0, 12.0, 50.0, 70.0], {2.0, 12.0}))
@pytest.mark.parametrize("album", ["A", "B"])
@pytest.mark.parametrize("is_new", [False, True])
def test_a_photo_is_overwritten_and_its_copy_later(
    is_new: bool, album: str, later_s: float, gap_s: float, world: World
) -> None:
    """Nothing of what both were stays in an album."""
    path, data, copy, late = (X, NAVY, f"albums/{album}/a2.jpg", RED + b"late")
    if is_new:
        path, data = "albums/A/n.jpg", NAVY + b"new"
        world.put(path, data)
        world.life.passes(gap_s)
    world.put(copy, data)
    world.life.passes(gap_s)
    world.put(path, RED)
    world.life.passes(later_s)
    world.shows({path: RED, copy: data})
    world.put(copy, late)
    world.keeps_showing({path: RED, copy: late})
    others = {"A": [NAVY] if is_new else [], "B": [GREEN]}
    assert world.members("A") == sorted([RED, *others["A"], *([late] if album == "A" else [])])
    assert world.members("B") == sorted([*others["B"], *([late] if album == "B" else [])])
