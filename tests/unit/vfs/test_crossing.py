"""Former bytes of a photo are brought by one upload while another takes them away: whoever names them keeps them.

Where equal bytes are one photo, both are about the same one: a copy of what a photo was, and new bytes of the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iiiffs.sync.items import Stage
from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.writing_tree import Life, listed, read_all
from tests.unit.vfs.test_changes_writing import GREEN, NAVY, PATIENCE_S, RED, SENT_S, items, living, put

X = "albums/A/x.jpg"
AGES = {"waiting": 0.5, "sent": SENT_S, "listed": SENT_S + PATIENCE_S}
"""Of what was done first, when the next is done."""


class World:
    """A server with x.jpg, NAVY, in album A, and its mount."""

    def __init__(self, life: Life, store: Store) -> None:
        self.life, self.store = life, store
        self.x = self.has(X, NAVY)

    def has(self, path: str, data: bytes) -> str:
        """One more photo at the server; its id."""
        _, album, name = path.split("/")
        id = self.store.put(name, data, self.store.titled(album).id).id
        self.life.passes(PATIENCE_S)
        return id

    def put(self, path: str, data: bytes) -> None:
        self.life.ask(lambda life: put(life, path, data))

    def shows(self, wanted: dict[str, bytes]) -> None:
        assert {path: self.life.ask(lambda life, path=path: read_all(life, path)) for path in wanted} == wanted  # type: ignore[misc]

    def keeps_showing(self, wanted: dict[str, bytes]) -> None:
        """Until all is sent, listed and long over."""
        for _ in range(60):
            self.shows(wanted)
            self.life.passes(1.0)
        assert items(self.life) == []

    def members(self, album: str) -> list[bytes]:
        """The bytes that are in the album at the server."""
        return sorted(self.store.bytes_of(one.id) for one in self.store.members(self.store.titled(album).id))

    def trash(self) -> list[bytes]:
        return [self.store.bytes_of(one.id) for one in self.store.trashed()]

    def slow(self, kind: FaultKind, method: str, seconds: float) -> Callable[[], int]:
        """Such a fault; how often it has struck."""
        (number,) = self.store.script.add(Fault(kind, method, seconds=seconds))
        return lambda: self.store.script.struck(number)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        yield World(life, store)


@pytest.mark.parametrize("album", ["A", "B"])
def test_a_copy_is_sent_while_an_edit_of_its_photo_asks_what_that_was(album: str, world: World) -> None:
    """Its payload is gone by then: what the photo was may not go to the trash, for nobody else has it."""
    copy = f"albums/{album}/copy.jpg"
    world.put(copy, NAVY)
    world.life.passes(1.0)
    world.put(X, RED)
    late, slow = world.slow(FaultKind.LATE, "upload", 1.5), world.slow(FaultKind.LATENCY, "asset", 1.0)
    world.keeps_showing({X: RED, copy: NAVY})
    assert late() == 1
    assert slow() <= 1
    assert world.trash() == []
    assert NAVY in world.members(album)


def test_a_copy_is_sent_while_an_edit_of_a_photo_that_nobody_has_listed_asks_what_that_was(world: World) -> None:
    copy = "albums/B/copy.jpg"
    world.put(copy, NAVY)
    world.life.passes(1.0)
    world.put(X, RED)
    world.life.ask(_forget_listings)
    late, slow = world.slow(FaultKind.LATE, "upload", 1.5), world.slow(FaultKind.LATENCY, "asset", 1.0)
    world.life.passes(SENT_S)
    world.keeps_showing({X: RED, copy: NAVY})
    assert (late(), slow()) == (1, 1)
    assert world.trash() == []
    assert (world.members("A"), world.members("B")) == ([RED], [NAVY])


async def _forget_listings(life: Life) -> None:
    for album in life.gallery.albums_kept():
        life.gallery._kept.pop(album)


@pytest.mark.parametrize("has_copy", [False, True])
@pytest.mark.parametrize("of_another", [False, True])
def test_former_bytes_come_while_new_ones_are_on_their_way(of_another: bool, has_copy: bool, world: World) -> None:
    """For as long as an upload lasts: of a film that is an hour. They come as a file of their own, or `of_another`."""
    late = "albums/B/late.jpg"
    if of_another:
        world.has(late, GREEN)
    first = {"albums/A/copy.jpg": NAVY} if has_copy else {}
    if has_copy:
        world.put("albums/A/copy.jpg", NAVY)
        world.life.passes(SENT_S + PATIENCE_S)
    is_late = world.slow(FaultKind.LATENCY, "replace", 30.0)
    world.put(X, RED)
    world.life.passes(SENT_S)
    assert [(item.name, item.stage) for item in items(world.life)] == [("x.jpg", Stage.SENDING)]
    world.put(late, NAVY)
    world.keeps_showing({X: RED, late: NAVY, **first})
    assert is_late() == 1
    assert world.trash() == ([GREEN] if of_another else [])
    assert world.members("B") == [NAVY]
    assert RED in world.members("A")


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("album", ["A", "B"])
def test_a_photo_that_was_overwritten_by_a_copy_of_another_keeps_that_when_the_other_is_edited(
    album: str, age: str, world: World
) -> None:
    y = f"albums/{album}/y.jpg"
    world.has(y, GREEN)
    world.put(y, NAVY)
    world.life.passes(AGES[age])
    world.put(X, RED)
    world.keeps_showing({X: RED, y: NAVY})
    assert world.trash() == [GREEN]
    assert world.members(album) == (sorted([NAVY, RED]) if album == "A" else [NAVY])


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("album", ["A", "B"])
def test_a_photo_that_was_overwritten_by_a_copy_of_another_is_written_again_alone(
    album: str, age: str, world: World
) -> None:
    y = f"albums/{album}/y.jpg"
    world.has(y, GREEN)
    world.put(y, NAVY)
    world.life.passes(AGES[age])
    world.put(y, RED)
    world.keeps_showing({X: NAVY, y: RED})
    assert world.trash() == [GREEN]
    assert world.members(album) == (sorted([NAVY, RED]) if album == "A" else [RED])


@pytest.mark.parametrize("gap_s", [0.0, 1.5])
@pytest.mark.parametrize("new", [NAVY, RED], ids=["of the other", "new"])
@pytest.mark.parametrize("age", AGES)
def test_a_copy_of_one_photo_becomes_a_copy_of_what_another_was(
    age: str, new: bytes, gap_s: float, world: World
) -> None:
    """Nothing of the first is left in the album of the copy, though that is on its way while the other changes."""
    y, copy = "albums/A/y.jpg", "albums/B/copy.jpg"
    world.has(y, GREEN)
    world.put(copy, NAVY)
    world.life.passes(AGES[age])
    world.put(y, new)
    world.life.passes(gap_s)
    world.put(copy, GREEN)
    world.keeps_showing({X: NAVY, y: new, copy: GREEN})
    assert world.life.ask(lambda life: listed(life, "albums/B")) == {"copy.jpg"}
    assert world.members("B") == [GREEN]
    assert world.members("A") == sorted({NAVY, new})
    assert world.trash() == []


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("slow", [None, "replace", "asset"])
def test_two_photos_change_their_bytes(slow: str | None, age: str, world: World) -> None:
    """Neither waits for the other for ever."""
    y = "albums/A/y.jpg"
    world.has(y, GREEN)
    if slow is not None:
        world.slow(FaultKind.LATENCY, slow, 6.0)
    world.put(X, GREEN)
    world.life.passes(AGES[age])
    world.put(y, NAVY)
    world.keeps_showing({X: GREEN, y: NAVY})
    assert world.trash() == []
    assert world.members("A") == sorted([GREEN, NAVY])
    assert world.life.ask(lambda life: listed(life, "albums/A")) == {"x.jpg", "y.jpg"}


@pytest.mark.parametrize("kind", [FaultKind.LATE, FaultKind.LOST])
def test_a_photo_that_is_overwritten_by_a_copy_and_then_by_something_else_leaves_the_other_alone(
    kind: FaultKind, world: World
) -> None:
    """Nobody has heard of the answer to the first: because it came late, or never."""
    y = "albums/B/y.jpg"
    world.has(y, GREEN)
    first = world.slow(kind, "replace", 3.0)
    world.put(y, NAVY)
    world.life.passes(SENT_S)
    world.put(y, RED)
    world.keeps_showing({X: NAVY, y: RED})
    assert first() == 1
    assert world.trash() == [GREEN]
    assert world.members("A") == [NAVY]


def test_a_photo_that_was_to_be_a_copy_is_written_again_before_it_is_sent(world: World) -> None:
    y = "albums/B/y.jpg"
    world.has(y, GREEN)
    world.put(X, RED)
    world.life.passes(1.0)
    world.put(y, NAVY)
    world.life.passes(2.5)
    assert [item.name for item in items(world.life) if item.kept] == ["x.jpg"]
    world.put(y, NAVY + b"more")
    world.keeps_showing({X: RED, y: NAVY + b"more"})
    assert world.members("B") == [NAVY + b"more"]


@pytest.mark.parametrize("is_old", [False, True])
def test_what_leaves_an_album_with_a_former_name_is_not_what_is_there_by_its_own(is_old: bool, world: World) -> None:
    """A copy of x.jpg gets other bytes, so x.jpg is taken out of B; then x.jpg gets the bytes of a photo of B."""
    copy, y = "albums/B/copy.jpg", "albums/B/y.jpg"
    if is_old:
        world.has(y, GREEN)
    world.put(copy, NAVY)
    world.life.passes(SENT_S + PATIENCE_S)
    world.put(copy, RED if is_old else GREEN)
    world.life.passes(1.0)
    world.put(X, GREEN)
    world.keeps_showing({X: GREEN, copy: RED, y: GREEN} if is_old else {X: GREEN, copy: GREEN})
    assert world.members("B") == (sorted([RED, GREEN]) if is_old else [GREEN])
    assert world.trash() == [NAVY]


@pytest.mark.parametrize("slow", [None, "replace", "asset"])
@pytest.mark.parametrize(("first", "gap_s"), [("copy", 0.0), ("copy", 0.25), ("copy", 1.0), ("photo", 0.0)])
def test_a_copy_and_its_photo_both_get_the_bytes_of_a_third(
    first: str, gap_s: float, slow: str | None, world: World
) -> None:
    """What leaves the album with the copy's former bytes is not what has taken their place."""
    copy, y = "albums/B/copy.jpg", "albums/B/y.jpg"
    world.has(y, GREEN)
    world.put(copy, NAVY)
    world.life.passes(SENT_S + PATIENCE_S)
    if slow is not None:
        world.slow(FaultKind.LATENCY, slow, 0.5)
    for path in (copy, X) if first == "copy" else (X, copy):
        world.put(path, GREEN)
        world.life.passes(gap_s)
    world.keeps_showing({X: GREEN, copy: GREEN, y: GREEN})
    assert (world.members("A"), world.members("B")) == ([GREEN], [GREEN])
    assert world.trash() == [NAVY]
