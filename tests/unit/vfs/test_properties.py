"""What people say of files by attributes, times, favorites/ and tags/: shown at once, sent once, refused in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyfuse3 import FileHandleT

from iiiffs.model.writing import Edit
from iiiffs.sync.items import Item, Stage
from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.tree import jpeg
from tests.harness.writing_tree import (
    ACCOUNT,
    SETTLE_S,
    Life,
    attribute,
    called,
    directory_made,
    directory_removed,
    existing,
    linked,
    listed,
    marked,
    opened,
    read_all,
    released,
    renamed,
    timed,
    unlinked,
    unmarked,
)

NAVY, RED, GREEN = (jpeg(colour=colour) for colour in ("navy", "red", "green"))
SENT_S = SETTLE_S + 1.0
PATIENCE_S = 40.0
JUNE_NS = 1_718_000_000 * 10**9
DESCRIPTION, FAVORITE, RATING = (f"user.iiiffs.{name}" for name in ("description", "favorite", "rating"))


class Lives:
    """A mount over a server with the album A, in which a.jpg is; one life after the other."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.store = store
        album = store.make_album("A")
        self.a = store.put("a.jpg", NAVY, album.id, mtime_ns=JUNE_NS).id
        self.life = Life(folder / "home", store)

    def put(self, path: str, data: bytes) -> None:
        async def work(life: Life) -> None:
            handle, _ = await opened(life, path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            await called(life.operations.write(FileHandleT(handle), 0, data))
            await released(life, handle)

        self.life.ask(work)

    def say(self, path: str, name: str, value: str) -> None:
        self.life.ask(lambda life: marked(life, path, name, value.encode()))

    def get(self, path: str, name: str) -> str | None:
        return self.life.ask(lambda life: attribute(life, path, name))

    def names(self, path: str) -> set[str]:
        return self.life.ask(lambda life: listed(life, path))

    def body(self, path: str) -> bytes:
        return self.life.ask(lambda life: read_all(life, path))

    def mtime_ns(self, path: str) -> int:
        return self.life.ask(lambda life: existing(life, path)).st_mtime_ns

    def link(self, old: str, new: str) -> None:
        self.life.ask(lambda life: linked(life, old, new))

    def unlink(self, path: str) -> None:
        self.life.ask(lambda life: unlinked(life, path))

    def passes(self, seconds: float = SENT_S) -> None:
        self.life.passes(seconds)

    def refused(self, work: Callable[[], object]) -> int:
        with pytest.raises(OSError) as raised:
            work()
        assert raised.value.errno is not None
        return raised.value.errno

    def offline(self) -> None:
        self.passes(1.0)  # what was told is on the disk
        self.store.script.add(Fault(FaultKind.UNREACHABLE, times=None))

    def online(self) -> None:
        self.store.script.clear()
        self.passes(400.0)


@contextmanager
def living(folder: Path) -> Iterator[Lives]:
    with Store(folder / "server", Flavour.IMMICH) as store:
        lives = Lives(folder, store)
        try:
            yield lives
        finally:
            lives.life.close()
        store.check()


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    with living(tmp_path) as lives:
        yield lives


# ---- attributes -----------------------------------------------------------------------------------------------------

SAID = {DESCRIPTION: "A day at the sea", RATING: "4", FAVORITE: "1"}
UNSAID = {DESCRIPTION: None, RATING: None, FAVORITE: "0"}


def said_at(store: Store, id: str) -> tuple[str, bool, int]:
    found = store.asset(id)
    return found.description, bool(found.favorite), found.rating


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_of_a_photo_is_told_at_once_and_sent_once(name: str, lives: Lives) -> None:
    path = "albums/A/a.jpg"
    assert lives.get(path, name) == UNSAID[name]
    lives.say(path, name, "0" if name != DESCRIPTION else "a draft")
    lives.say(path, name, SAID[name])
    assert lives.get(path, name) == SAID[name]
    assert lives.get("timeline/2024/2024-06/a.jpg", name) == SAID[name]
    lives.passes()
    assert lives.get(path, name) == SAID[name]
    counts = lives.store.script.counts()
    assert counts.get("edit", 0) + counts.get("tag", 0) == 1
    expected = ("A day at the sea" if name == DESCRIPTION else "", name == FAVORITE, 4 if name == RATING else 0)
    assert said_at(lives.store, lives.a) == expected
    lives.life.ask(lambda life: unmarked(life, path, name))
    assert lives.get(path, name) == UNSAID[name]
    lives.passes()
    assert lives.get(path, name) == UNSAID[name]
    assert said_at(lives.store, lives.a) == ("", False, 0)


@pytest.mark.warns("changes are not noticed")
@pytest.mark.parametrize("end", ["restarted", "killed", "without_cache"])
def test_what_is_said_offline_is_kept_and_sent_later(end: str, lives: Lives) -> None:
    path = "albums/A/a.jpg"
    assert lives.names("albums/A") == {"a.jpg"}
    assert lives.get(path, FAVORITE) == "0"
    lives.offline()
    for name, value in SAID.items():
        lives.say(path, name, value)
        assert lives.get(path, name) == value
    if end == "without_cache":
        lives.store.script.clear()
    lives.life = getattr(lives.life, end)()
    for name, value in SAID.items():
        assert lives.get(path, name) == value
    lives.online()
    assert said_at(lives.store, lives.a) == ("A day at the sea", True, 4)
    for name, value in SAID.items():
        assert lives.get(path, name) == value


def test_what_is_said_of_a_file_that_waits_is_told_of_what_it_becomes(lives: Lives) -> None:
    lives.put("albums/A/b.jpg", RED)
    for name, value in SAID.items():
        lives.say("albums/A/b.jpg", name, value)
        assert lives.get("albums/A/b.jpg", name) == value
    lives.passes(SENT_S * 3)
    (b,) = lives.store.named("b.jpg")
    assert said_at(lives.store, b.id) == ("A day at the sea", True, 4)
    for name, value in SAID.items():
        assert lives.get("albums/A/b.jpg", name) == value


def test_what_is_said_of_a_photo_that_is_replaced_meanwhile_is_said_of_the_new_one(lives: Lives) -> None:
    path = "albums/A/a.jpg"
    lives.put(path, RED)
    lives.say(path, DESCRIPTION, "A day at the sea")
    lives.store.script.add(Fault(FaultKind.UNREACHABLE, "edit", times=1))
    assert lives.get(path, DESCRIPTION) == "A day at the sea"
    for _ in range(4):
        lives.passes(SETTLE_S)
        assert lives.get(path, DESCRIPTION) == "A day at the sea"
    (new,) = lives.store.assets()
    assert (new.id != lives.a, new.description) == (True, "A day at the sea")


@pytest.mark.warns("failed: edit")
def test_a_refused_edit_is_not_shown_and_says_why(lives: Lives) -> None:
    path = "albums/A/a.jpg"
    lives.store.script.add(Fault(FaultKind.REJECTED, "edit", times=None))
    lives.say(path, RATING, "5")
    lives.passes()
    assert lives.get(path, RATING) is None
    assert "edit" in (lives.get(path, "user.iiiffs.error") or "")
    (item,) = lives.life.ask(_items)
    assert item.stage is Stage.FAILED


async def _items(life: Life) -> list[Item]:
    return life.outgoing.queue.items()


# ---- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.warns("changes are not noticed")
@pytest.mark.parametrize("end", ["restarted", "killed"])
def test_a_time_is_shown_at_once_and_sent_later(end: str, lives: Lives) -> None:
    path, late_ns = "albums/A/a.jpg", JUNE_NS + 86400 * 10**9
    assert lives.mtime_ns(path) == JUNE_NS
    lives.offline()
    lives.life.ask(lambda life: timed(life, path, late_ns))
    assert lives.mtime_ns(path) == late_ns
    lives.life = getattr(lives.life, end)()
    assert lives.mtime_ns(path) == late_ns
    lives.online()
    assert lives.store.asset(lives.a).mtime_ns == late_ns
    assert lives.mtime_ns(path) == late_ns
    assert lives.store.script.counts()["edit"] == 1


def test_a_time_that_is_set_before_a_file_is_sent_is_sent_with_it(lives: Lives) -> None:
    lives.put("albums/A/b.jpg", RED)
    lives.life.ask(lambda life: timed(life, "albums/A/b.jpg", JUNE_NS))
    lives.passes()
    (b,) = lives.store.named("b.jpg")
    assert b.mtime_ns == JUNE_NS
    assert "edit" not in lives.store.script.counts()


LATE_NS, LATER_NS = JUNE_NS + 86400 * 10**9, JUNE_NS + 2 * 86400 * 10**9


@pytest.mark.parametrize("end", ["restarted", "killed", "without_cache"])
def test_a_time_stays_what_was_set_though_the_file_has_its_own_there(end: str, lives: Lives) -> None:
    """Immich changes when a photo was taken, and never the file's time, which it goes on telling."""
    lives.store.fix_times()
    for album in ("A", "B"):
        path, wanted_ns = f"albums/{album}/a.jpg", LATE_NS if album == "A" else LATER_NS
        if album == "B":
            lives.life.ask(lambda life: directory_made(life, "albums/B"))
            lives.link("albums/A/a.jpg", path)
            lives.passes()
        lives.life.ask(lambda life, path=path, wanted_ns=wanted_ns: timed(life, path, wanted_ns))  # type: ignore[misc]
        lives.passes()
        assert lives.store.taken_ns(lives.a) == wanted_ns
        lives.passes(120.0)
        assert lives.mtime_ns(path) == lives.mtime_ns("albums/A/a.jpg") == wanted_ns
    lives.life = getattr(lives.life, end)()
    assert lives.mtime_ns("albums/A/a.jpg") == lives.mtime_ns("albums/B/a.jpg") == LATER_NS
    calls = lives.store.script.counts()["edit"]
    lives.life.ask(lambda life: timed(life, "albums/A/a.jpg", LATER_NS))
    lives.passes()
    assert lives.store.script.counts()["edit"] == calls, "it has that time"


def test_a_time_that_was_set_goes_with_the_bytes_that_it_was_set_of(lives: Lives) -> None:
    lives.store.fix_times()
    lives.life.ask(lambda life: timed(life, "albums/A/a.jpg", LATE_NS))
    lives.passes()
    lives.put("albums/A/a.jpg", RED)
    lives.life.ask(lambda life: timed(life, "albums/A/a.jpg", LATER_NS))
    lives.passes(120.0)
    assert lives.mtime_ns("albums/A/a.jpg") == LATER_NS
    (new,) = lives.store.named("a.jpg")
    assert new.mtime_ns == LATER_NS
    assert lives.life.ask(_items) == [], "nothing is kept of what was replaced"


def test_a_time_that_the_file_has_there_is_not_kept_here(lives: Lives) -> None:
    lives.store.fix_times()
    for moment_ns in (LATE_NS, JUNE_NS):
        lives.life.ask(lambda life, to_ns=moment_ns: timed(life, "albums/A/a.jpg", to_ns))  # type: ignore[misc]
        lives.passes()
        assert lives.mtime_ns("albums/A/a.jpg") == moment_ns
    assert lives.life.ask(_items) == []


def test_what_is_said_later_leaves_the_time_as_it_was_set(lives: Lives) -> None:
    lives.store.fix_times()
    lives.life.ask(lambda life: timed(life, "albums/A/a.jpg", LATE_NS))
    lives.passes()
    lives.say("albums/A/a.jpg", RATING, "4")
    assert lives.mtime_ns("albums/A/a.jpg") == LATE_NS
    lives.passes()
    assert (lives.mtime_ns("albums/A/a.jpg"), lives.store.asset(lives.a).rating) == (LATE_NS, 4)
    assert len(lives.life.ask(_items)) == 1


# ---- favorites and tags ---------------------------------------------------------------------------------------------


def test_a_link_in_favorites_is_a_like(lives: Lives) -> None:
    lives.link("albums/A/a.jpg", "favorites/a.jpg")
    assert lives.names("favorites") == {"a.jpg"}
    assert lives.body("favorites/a.jpg") == NAVY
    assert lives.get("albums/A/a.jpg", FAVORITE) == "1"
    lives.passes()
    assert lives.names("favorites") == {"a.jpg"}
    assert lives.store.asset(lives.a).favorite
    assert lives.store.script.counts()["tag"] == 1
    lives.unlink("favorites/a.jpg")
    assert lives.names("favorites") == set()
    assert lives.get("albums/A/a.jpg", FAVORITE) == "0"
    lives.passes()
    assert lives.names("favorites") == set()
    assert not lives.store.asset(lives.a).favorite
    assert lives.names("albums/A") == {"a.jpg"}


def test_a_favorite_by_attribute_is_in_favorites(lives: Lives) -> None:
    lives.say("albums/A/a.jpg", FAVORITE, "1")
    assert lives.names("favorites") == {"a.jpg"}
    lives.say("albums/A/a.jpg", FAVORITE, "0")
    assert lives.names("favorites") == set()
    lives.passes()
    assert lives.names("favorites") == set()
    assert not lives.store.asset(lives.a).favorite


@pytest.mark.parametrize("view", ["favorites", "tags/Sea"])
def test_a_copy_in_a_view_is_in_the_library_and_marked(view: str, lives: Lives) -> None:
    tag = lives.store.tag("Sea")
    lives.passes(PATIENCE_S)
    lives.put(f"{view}/b.jpg", RED)
    assert lives.names(view) == {"b.jpg"}
    lives.passes()
    (b,) = lives.store.named("b.jpg")
    assert lives.store.albums_of(b.id) == []
    assert (bool(b.favorite), lives.store.tags_of(b.id)) == ((True, []) if view == "favorites" else (False, ["Sea"]))
    assert tag
    lives.passes(PATIENCE_S)
    assert lives.names(view) == {"b.jpg"}
    lives.unlink(f"{view}/b.jpg")
    lives.passes(SENT_S + PATIENCE_S)
    assert lives.names(view) == set()
    assert [(one.name, bool(one.favorite)) for one in lives.store.named("b.jpg")] == [("b.jpg", False)]
    assert lives.store.tags_of(b.id) == []


@pytest.mark.parametrize("view", ["favorites", "tags/Sea"])
@pytest.mark.parametrize("name", ["a.jpg", "copy.jpg"])
def test_a_copy_of_equal_bytes_in_a_view_only_marks_them(name: str, view: str, lives: Lives) -> None:
    lives.store.tag("Sea")
    lives.passes(PATIENCE_S)
    lives.put(f"{view}/{name}", NAVY)
    lives.passes(SENT_S + PATIENCE_S)
    (a,) = lives.store.assets()
    assert a.id == lives.a
    assert (bool(a.favorite), lives.store.tags_of(a.id)) == ((True, []) if view == "favorites" else (False, ["Sea"]))
    assert lives.names(view) == {name}
    assert lives.body(f"{view}/{name}") == NAVY
    assert lives.names("albums/A") == {"a.jpg"}
    lives.unlink(f"{view}/{name}")
    lives.passes(SENT_S + PATIENCE_S)
    assert lives.names(view) == set()
    (a,) = lives.store.assets()
    assert (bool(a.favorite), lives.store.tags_of(a.id)) == (False, [])


@pytest.mark.parametrize("view", ["favorites", "tags/Sea"])
def test_a_temporary_file_in_a_view_is_dropped_or_renamed(view: str, lives: Lives) -> None:
    lives.store.tag("Sea")
    lives.passes(PATIENCE_S)
    lives.put(f"{view}/x.jpg.part", RED)
    lives.unlink(f"{view}/x.jpg.part")
    lives.put(f"{view}/.b.jpg.AbC123", GREEN)
    lives.life.ask(lambda life: renamed(life, f"{view}/.b.jpg.AbC123", f"{view}/b.jpg"))
    lives.passes(SENT_S + PATIENCE_S)
    assert lives.names(view) == {"b.jpg"}
    assert [one.name for one in lives.store.assets()] == ["a.jpg", "b.jpg"]


def test_tags_are_made_set_and_taken_away(lives: Lives) -> None:
    lives.life.ask(lambda life: directory_made(life, "tags/Sea"))
    assert lives.names("tags") == {"Sea"}
    assert lives.names("tags/Sea") == set()
    lives.link("albums/A/a.jpg", "tags/Sea/a.jpg")
    assert lives.names("tags/Sea") == {"a.jpg"}
    lives.passes()
    assert lives.names("tags/Sea") == {"a.jpg"}
    assert lives.store.tags_of(lives.a) == ["Sea"]
    lives.unlink("tags/Sea/a.jpg")
    assert lives.names("tags/Sea") == set()
    lives.passes()
    assert lives.names("tags/Sea") == set()
    assert lives.store.tags_of(lives.a) == []


def test_many_likes_are_one_call(lives: Lives) -> None:
    album = lives.store.titled("A").id
    for number in range(30):
        lives.store.put(f"{number}.jpg", b"%d" % number, album)
    lives.passes(PATIENCE_S)
    before = lives.store.script.counts().get("tag", 0)
    for number in range(30):
        lives.link(f"albums/A/{number}.jpg", f"favorites/{number}.jpg")
    added = [item.id for item in lives.life.ask(_items)]
    lives.passes()
    successors = lives.life.state.successors
    assert {successors.successor(ACCOUNT, id) for id in added} == {None}  # each would be a wait for the disk
    assert sum(bool(one.favorite) for one in lives.store.assets()) == 30
    assert lives.store.script.counts()["tag"] - before == 1


@pytest.mark.warns("failed: tag")
def test_a_photo_that_is_liked_and_then_leaves_its_album_waits_for_nothing(lives: Lives) -> None:
    lives.store.script.add(Fault(FaultKind.REJECTED, "tag", times=None))
    lives.link("albums/A/a.jpg", "favorites/a.jpg")
    lives.unlink("albums/A/a.jpg")
    lives.passes()
    assert lives.store.members(lives.store.titled("A").id) == []


@pytest.mark.warns("no_permission")
def test_a_like_that_is_refused_says_so(lives: Lives) -> None:
    lives.store.script.add(Fault(FaultKind.ITEMS, "tag", items=(lives.a,), times=None))
    lives.link("albums/A/a.jpg", "favorites/a.jpg")
    lives.passes()
    (item,) = lives.life.ask(_items)
    assert (item.stage, item.reason) == (Stage.FAILED, "no_permission")


@pytest.mark.parametrize("view", ["favorites", "tags/Sea"])
def test_what_is_not_done_in_views_is_refused_and_changes_nothing(view: str, lives: Lives) -> None:
    lives.store.tag("Sea", lives.a)
    lives.store.edit(lives.a, Edit(favorite=True))
    lives.passes(PATIENCE_S)
    life = lives.life
    assert lives.names(view) == {"a.jpg"}
    deeds: list[Callable[[], object]] = [
        lambda: life.ask(lambda life: renamed(life, f"{view}/a.jpg", f"{view}/b.jpg")),
        lambda: life.ask(lambda life: renamed(life, "albums/A/a.jpg", f"{view}/b.jpg")),
        lambda: life.ask(lambda life: renamed(life, f"{view}/a.jpg", "albums/A/b.jpg")),
        lambda: life.ask(lambda life: linked(life, "albums/A/a.jpg", f"{view}/b.jpg")),
        lambda: life.ask(lambda life: directory_made(life, f"{view}/Inner")),
        lambda: life.ask(lambda life: directory_removed(life, "tags/Sea")),
        lambda: life.ask(lambda life: renamed(life, "tags/Sea", "tags/Ocean")),
        lambda: lives.put(f"{view}/notes.txt", b"no picture"),
    ]
    assert [lives.refused(deed) for deed in deeds] == [errno.EPERM] * len(deeds)
    assert lives.refused(lambda: lives.put("tags/b.jpg", RED)) == errno.EROFS
    lives.passes()
    assert lives.names(view) == {"a.jpg"}
    assert lives.store.tags_of(lives.a) == ["Sea"]
    assert life.ask(_items) == []
