"""The library's own places: timeline/ and trash/, and photos that are in no album."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.scripted import Fault, FaultKind
from tests.harness.tree import jpeg
from tests.harness.writing_tree import directory_made, linked, renamed, timed, unlinked
from tests.unit.vfs.test_properties import GREEN, JUNE_NS, NAVY, PATIENCE_S, RED, SENT_S, Lives, _items, living

WHITE = jpeg(colour="white")
MONTH = "timeline/2024/2024-06"


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    """With a.jpg in A, and c.jpg in no album; B is empty."""
    with living(tmp_path) as lives:
        lives.store.make_album("B")
        lives.store.put("c.jpg", GREEN, mtime_ns=JUNE_NS)
        lives.passes(PATIENCE_S)
        yield lives


def moves(lives: Lives, old: str, new: str) -> None:
    lives.life.ask(lambda life: renamed(life, old, new))


def members(lives: Lives, title: str) -> list[str]:
    return [one.name for one in lives.store.members(lives.store.titled(title).id)]


def trashed(lives: Lives) -> list[str]:
    return [one.name for one in lives.store.trashed()]


# ---- the timeline ---------------------------------------------------------------------------------------------------


def test_a_photo_that_is_in_no_album_is_changed_from_the_timeline(lives: Lives) -> None:
    assert lives.names(MONTH) == {"a.jpg", "c.jpg"}
    lives.put(f"{MONTH}/c.jpg", RED)
    assert lives.body(f"{MONTH}/c.jpg") == RED
    lives.passes(SENT_S + PATIENCE_S)
    (new,) = lives.store.named("c.jpg")
    assert lives.store.bytes_of(new.id) == RED
    assert lives.store.albums_of(new.id) == []
    assert trashed(lives) == ["c.jpg"]


@pytest.mark.parametrize("is_told", [False, True], ids=["at once", "when it is told"])
@pytest.mark.parametrize("is_in_b", [False, True])
def test_what_left_an_album_is_changed_from_the_timeline_and_stays_out(
    is_told: bool, is_in_b: bool, lives: Lives
) -> None:
    if is_in_b:
        lives.link("albums/A/a.jpg", "albums/B/a.jpg")
        lives.passes(PATIENCE_S)
    lives.unlink("albums/A/a.jpg")
    if is_told:
        lives.passes()
    for content in (RED, WHITE):
        lives.put(f"{MONTH}/a.jpg", content)
        lives.life.ask(lambda life: timed(life, f"{MONTH}/a.jpg", JUNE_NS))
        assert lives.body(f"{MONTH}/a.jpg") == content
        assert lives.names("albums/A") == set()
        assert lives.names("albums/B") == ({"a.jpg"} if is_in_b else set())
        lives.passes()
        assert lives.names("albums/A") == set()
        lives.passes(PATIENCE_S)
        assert lives.names("albums/A") == set() and members(lives, "A") == []
        assert lives.body(f"{MONTH}/a.jpg") == content
    (new,) = lives.store.named("a.jpg")
    assert lives.store.bytes_of(new.id) == WHITE and members(lives, "B") == (["a.jpg"] if is_in_b else [])
    if is_in_b:
        assert lives.body("albums/B/a.jpg") == WHITE
    assert trashed(lives) == ["a.jpg", "a.jpg"]


@pytest.mark.parametrize("wait_s", [0.0, SENT_S, PATIENCE_S])
@pytest.mark.parametrize("listed", [True, False])
def test_written_by_turns_in_two_albums_it_is_everywhere_what_was_written_last(
    wait_s: float, listed: bool, lives: Lives
) -> None:
    """What was sent of it a moment ago, under one name, is not what its name shows once it is written under another."""
    lives.link("albums/A/a.jpg", "albums/B/a.jpg")
    lives.passes(PATIENCE_S)
    places = ("albums/A/a.jpg", "albums/B/a.jpg", f"{MONTH}/a.jpg")
    for turn, content in enumerate((RED, WHITE, RED, NAVY, WHITE, NAVY)):
        lives.put(places[turn % 3], content)
        lives.life.ask(lambda life, turn=turn: timed(life, places[turn % 3], JUNE_NS))  # type: ignore[misc]
        for place in places:
            if listed:
                assert "a.jpg" in lives.names(place.rpartition("/")[0])
            assert lives.body(place) == content, (turn, place)
        lives.passes(wait_s)
    lives.passes(PATIENCE_S)
    (new,) = lives.store.named("a.jpg")
    assert lives.store.bytes_of(new.id) == NAVY
    assert {lives.body(place) for place in places} == {NAVY}
    assert members(lives, "A") == members(lives, "B") == ["a.jpg"]


@pytest.mark.parametrize("latency_s", [2.0, 8.0, 12.0])
def test_what_is_said_of_an_album_that_takes_long_to_list_comes_to_an_end(latency_s: float, lives: Lives) -> None:
    """A large album, or a server that has much to do: readers are not kept waiting, and who must know waits."""
    assert lives.names("albums/B") == set()
    lives.store.script.add(Fault(FaultKind.LATENCY, times=None, seconds=latency_s))
    lives.link("albums/A/a.jpg", "albums/B/a.jpg")
    lives.passes(120.0)
    assert members(lives, "B") == ["a.jpg"] and lives.life.ask(_items) == []
    lives.unlink("albums/A/a.jpg")
    lives.passes(120.0)
    assert members(lives, "A") == [] and lives.life.ask(_items) == []
    assert lives.store.script.counts()["add"] == lives.store.script.counts()["take_out"] == 1


def test_a_photo_that_is_in_an_album_is_changed_from_a_view(lives: Lives) -> None:
    lives.link("albums/A/a.jpg", "favorites/a.jpg")
    lives.passes()
    lives.put("favorites/a.jpg", RED)
    assert lives.body("favorites/a.jpg") == RED
    assert lives.body("albums/A/a.jpg") == RED
    lives.passes(SENT_S + PATIENCE_S)
    (new,) = lives.store.named("a.jpg")
    assert (lives.store.bytes_of(new.id), bool(new.favorite)) == (RED, True)
    assert members(lives, "A") == ["a.jpg"]
    assert lives.names("favorites") == {"a.jpg"}
    assert lives.body("favorites/a.jpg") == RED


def test_removing_from_the_timeline_is_to_the_trash(lives: Lives) -> None:
    lives.unlink(f"{MONTH}/a.jpg")
    assert trashed(lives) == ["a.jpg"]
    assert lives.names(MONTH) == {"c.jpg"}
    assert lives.names("albums/A") == set()
    assert lives.names("trash") == {"a.jpg"}


def test_removing_from_the_timeline_needs_the_provider(lives: Lives) -> None:
    assert lives.names(MONTH) == {"a.jpg", "c.jpg"}
    lives.store.script.add(Fault(FaultKind.UNREACHABLE, "remove", times=None))
    assert lives.refused(lambda: lives.unlink(f"{MONTH}/a.jpg")) == errno.EROFS
    assert lives.names(MONTH) == {"a.jpg", "c.jpg"}


# ---- the trash ------------------------------------------------------------------------------------------------------


@pytest.fixture
def emptied(lives: Lives) -> Lives:
    """a.jpg, which was in A, lies in the trash."""
    lives.unlink(f"{MONTH}/a.jpg")
    assert lives.names("trash") == {"a.jpg"}
    return lives


@pytest.mark.parametrize("how", ["mv", "ln"])
@pytest.mark.parametrize("album", ["A", "B"])
def test_what_lies_in_the_trash_comes_back_into_an_album_and_where_it_was(album: str, how: str, emptied: Lives) -> None:
    if how == "mv":
        moves(emptied, "trash/a.jpg", f"albums/{album}/a.jpg")
    else:
        emptied.link("trash/a.jpg", f"albums/{album}/a.jpg")
    assert trashed(emptied) == []
    assert emptied.names("trash") == set()
    assert emptied.names(f"albums/{album}") == {"a.jpg"}
    emptied.passes(SENT_S + PATIENCE_S)
    assert emptied.names(f"albums/{album}") == {"a.jpg"}
    assert emptied.body(f"albums/{album}/a.jpg") == NAVY
    assert members(emptied, "A") == ["a.jpg"]
    assert members(emptied, "B") == (["a.jpg"] if album == "B" else [])
    assert emptied.names(MONTH) == {"a.jpg", "c.jpg"}


def test_a_copy_out_of_the_trash_is_the_photo_itself(emptied: Lives) -> None:
    emptied.put("albums/B/a.jpg", NAVY)
    emptied.passes(SENT_S + PATIENCE_S)
    assert trashed(emptied) == []
    assert emptied.names("trash") == set()
    assert members(emptied, "B") == ["a.jpg"]
    assert members(emptied, "A") == ["a.jpg"]


def test_a_link_out_of_the_trash_into_favorites_restores_and_marks(emptied: Lives) -> None:
    emptied.link("trash/a.jpg", "favorites/a.jpg")
    emptied.passes()
    (a,) = emptied.store.named("a.jpg")
    assert (a.is_trashed, bool(a.favorite)) == (False, True)
    assert members(emptied, "A") == ["a.jpg"]


def test_what_was_replaced_may_come_back_beside_what_replaced_it(lives: Lives) -> None:
    lives.put("albums/A/a.jpg", RED)
    lives.passes(SENT_S + PATIENCE_S)
    assert lives.names("trash") == {"a.jpg"}
    assert lives.body("trash/a.jpg") == NAVY
    moves(lives, "trash/a.jpg", "albums/B/a.jpg")
    lives.passes(SENT_S + PATIENCE_S)
    assert trashed(lives) == []
    assert lives.body("albums/B/a.jpg") == NAVY
    bodies = {lives.body(f"albums/A/{name}") for name in lives.names("albums/A")}
    assert bodies == {RED, NAVY}  # it is again in the albums that it was in


def test_nothing_else_is_done_in_the_trash(emptied: Lives) -> None:
    life = emptied.life
    deeds: dict[int, list[Callable[[], object]]] = {
        errno.EPERM: [
            lambda: emptied.unlink("trash/a.jpg"),
            lambda: moves(emptied, "trash/a.jpg", "trash/b.jpg"),
            lambda: moves(emptied, "trash/a.jpg", "albums/B/other.jpg"),
            lambda: moves(emptied, f"{MONTH}/c.jpg", "trash/c.jpg"),
            lambda: life.ask(lambda life: linked(life, "trash/a.jpg", "albums/B/other.jpg")),
            lambda: life.ask(lambda life: directory_made(life, "trash/New")),
        ],
        errno.EROFS: [
            lambda: emptied.put("trash/new.jpg", RED),
            lambda: life.ask(lambda life: linked(life, f"{MONTH}/c.jpg", "trash/c.jpg")),
        ],
    }
    for expected, some in deeds.items():
        assert [emptied.refused(deed) for deed in some] == [expected] * len(some)
    assert trashed(emptied) == ["a.jpg"]
    assert emptied.names("trash") == {"a.jpg"}


@pytest.mark.parametrize("how", ["mv", "ln"])
def test_restoring_needs_the_provider(how: str, emptied: Lives) -> None:
    emptied.store.script.add(Fault(FaultKind.UNREACHABLE, "restore", times=None))
    verb = renamed if how == "mv" else linked
    refused = emptied.refused(lambda: emptied.life.ask(lambda life: verb(life, "trash/a.jpg", "albums/B/a.jpg")))
    assert refused == errno.EROFS
    assert emptied.names("trash") == {"a.jpg"}
    assert emptied.names("albums/B") == set()
    emptied.life.ask(lambda life: unlinked(life, f"{MONTH}/c.jpg"))
    assert emptied.names("trash") == {"a.jpg", "c.jpg"}


def test_what_lies_in_the_trash_is_not_changed(emptied: Lives) -> None:
    deeds: list[Callable[[], object]] = [
        lambda: emptied.put("trash/a.jpg", RED),
        lambda: emptied.say("trash/a.jpg", "user.iiiffs.rating", "3"),
        lambda: emptied.life.ask(lambda life: timed(life, "trash/a.jpg", JUNE_NS - 10**15)),
    ]
    assert [emptied.refused(deed) for deed in deeds] == [errno.EPERM] * len(deeds)
    assert emptied.body("trash/a.jpg") == NAVY
    emptied.passes()
    assert trashed(emptied) == ["a.jpg"]


@pytest.mark.parametrize("how", ["mv", "ln"])
def test_a_tag_or_a_like_takes_out_of_the_trash(how: str, emptied: Lives) -> None:
    emptied.store.tag("Sea")
    emptied.passes(PATIENCE_S)
    verb = renamed if how == "mv" else linked
    emptied.life.ask(lambda life: verb(life, "trash/a.jpg", "tags/Sea/a.jpg"))
    assert emptied.names("tags/Sea") == {"a.jpg"}
    emptied.passes()
    assert emptied.store.tags_of(emptied.a) == ["Sea"]
    assert members(emptied, "A") == ["a.jpg"]
