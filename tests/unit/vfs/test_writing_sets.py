"""Where albums are sets of photos: what is shown, and what becomes of it, in the moments in which it is told of twice,
half done, or in several albums. What tests/unit/vfs/test_writing_model.py found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyfuse3
import pytest

from iiiffs.sync.items import Stage, Verb
from tests.harness.scripted import Fault, FaultKind, Flavour, Store
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
    opened,
    read_all,
    released,
    renamed,
    truncated,
    unlinked,
)
from tests.unit.vfs.test_changes_writing import NAVY, RED, SENT_S, items, living, wrote


@pytest.fixture
def albums(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.IMMICH) as both:
        yield both


def put(life: Life, path: str, data: bytes) -> None:
    life.ask(wrote(path, data))


def shown(life: Life, title: str) -> set[str]:
    """Names in the album."""
    return life.ask(lambda life: listed(life, f"albums/{title}"))


def holding(store: Store, title: str) -> list[str]:
    """Names of what the album has at the server."""
    return [asset.name for asset in store.members(store.titled(title).id)]


def test_a_photo_is_shown_in_its_new_album_when_the_old_one_is_gone(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("a.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    life.ask(lambda life: renamed(life, "albums/A/a.jpg", "albums/B/a.jpg"))
    life.ask(lambda life: directory_removed(life, "albums/A"))
    assert shown(life, "B") == {"a.jpg"}


def test_a_photo_that_has_its_former_bytes_again_has_one_name(albums: tuple[Life, Store]) -> None:
    life, store = albums
    before = store.put("a.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    store.script.add(Fault(FaultKind.HALF, "replace", skip=1))
    life.ask(lambda life: truncated(life, "albums/A/a.jpg", len(NAVY) + 1))
    life.passes(SENT_S)
    life.ask(lambda life: truncated(life, "albums/A/a.jpg", len(NAVY)))
    life.passes(SENT_S + 10.0)
    assert [asset.id for asset in store.assets()] == [before.id]
    life.ask(lambda life: unlinked(life, "albums/A/a.jpg"))
    assert shown(life, "A") == set()
    life.passes(SENT_S)
    assert store.members(store.titled("A").id) == []


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.LOST_SILENTLY, FaultKind.HALF])
@pytest.mark.parametrize("is_offline", [False, True])
@pytest.mark.warns("changes are not noticed")
def test_a_file_that_may_have_arrived_is_removed(albums: tuple[Life, Store], kind: FaultKind, is_offline: bool) -> None:
    life, store = albums
    store.script.add(Fault(kind, "upload"))
    put(life, "albums/A/x.jpg", NAVY)
    life.passes(SENT_S)
    assert store.named("x.jpg"), "it has arrived"
    if is_offline:
        store.script.offline()
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    if is_offline:
        store.script.clear()
    for _ in range(20):
        life.passes(1.0)
        assert shown(life, "A") == set()
    assert (holding(store, "A"), items(life)) == ([], [])


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.LOST_SILENTLY, FaultKind.HALF, FaultKind.UNREACHABLE])
@pytest.mark.parametrize("kills", [False, True])
def test_a_file_that_may_have_arrived_is_moved(tmp_path: Path, kind: FaultKind, kills: bool) -> None:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        store.script.add(Fault(kind, "upload"))
        put(life, "albums/A/x.jpg", NAVY)
        life.passes(SENT_S)
        life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/x.jpg"))
        life.passes(0.25)  # what is said of albums is on disk a moment later
        later = life.killed() if kills else life
        try:
            for _ in range(20):
                later.passes(1.0)
                assert (shown(later, "A"), shown(later, "B")) == (set(), {"x.jpg"})
            assert (holding(store, "A"), holding(store, "B")) == ([], ["x.jpg"])
            assert later.ask(lambda life: read_all(life, "albums/B/x.jpg")) == NAVY
        finally:
            later.close()


def is_alone_again(life: Life, store: Store) -> None:
    """Once x.jpg is removed, old.jpg is there as before."""
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    for _ in range(20):
        life.passes(1.0)
        assert shown(life, "A") == {"old.jpg"}
    assert holding(store, "A") == ["old.jpg"]


def test_equal_bytes_that_were_there_before_stay(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("old.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    store.script.add(Fault(FaultKind.LOST, "upload"))
    put(life, "albums/A/x.jpg", NAVY)
    life.passes(SENT_S)
    assert shown(life, "A") == {"old.jpg", "x.jpg"}
    is_alone_again(life, store)


@pytest.mark.warns("changes are not noticed")
def test_equal_bytes_that_were_there_before_stay_after_a_kill(tmp_path: Path) -> None:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        store.put("old.jpg", NAVY, store.titled("A").id)
        life.passes(3.0)
        store.script.add(Fault(FaultKind.LOST_SILENTLY, "upload"))
        put(life, "albums/A/x.jpg", NAVY)
        life.passes(SENT_S)
        store.script.offline()
        later = life.killed()
        assert shown(later, "A") == {"old.jpg", "x.jpg"}
        later.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
        assert shown(later, "A") == {"old.jpg"}
        store.script.clear()
        for _ in range(20):
            later.passes(1.0)
            assert shown(later, "A") == {"old.jpg"}
        assert (holding(store, "A"), items(later)) == (["old.jpg"], [])
        later.close()


@pytest.mark.parametrize("is_old", [False, True])
def test_a_file_that_is_written_again_has_bytes_that_were_there_and_bytes_that_may_have_arrived(
    albums: tuple[Life, Store], is_old: bool
) -> None:
    """Each is judged by itself: what was there stays, and what may have arrived goes with the file."""
    life, store = albums
    store.put("old.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    for data in (NAVY, RED) if is_old else (RED, NAVY):
        store.script.add(Fault(FaultKind.LOST_SILENTLY, "upload"))
        put(life, "albums/A/x.jpg", data)
        life.passes(SENT_S)
        assert shown(life, "A") == {"old.jpg", "x.jpg"}
    is_alone_again(life, store)


@pytest.mark.parametrize("after_s", [1.0, SENT_S])
@pytest.mark.parametrize("kind", [None, FaultKind.LOST, FaultKind.LOST_SILENTLY, FaultKind.HALF])
def test_new_bytes_of_a_photo_that_was_taken_out_are_not_shown_again(
    albums: tuple[Life, Store], kind: FaultKind | None, after_s: float
) -> None:
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    if kind is not None:
        store.script.add(Fault(kind, "replace"))
    put(life, "albums/A/x.jpg", RED)
    life.passes(after_s)
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    for _ in range(60):
        life.passes(0.25)
        assert shown(life, "A") == set()
    life.passes(0.0 if kind is not FaultKind.LOST_SILENTLY else 700.0)  # that it answers is given up after 600 s
    assert (holding(store, "A"), [store.bytes_of(one.id) for one in store.assets()]) == ([], [RED])


def test_a_link_to_what_was_sent_meanwhile_shows_it(albums: tuple[Life, Store]) -> None:
    life, store = albums
    put(life, "albums/A/x.jpg", NAVY)
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    store.script.add(Fault(FaultKind.UNREACHABLE, "add", times=4))
    for _ in range(60):
        life.passes(1.0)
        assert shown(life, "B") == {"x.jpg"}
        assert life.ask(lambda life: read_all(life, "albums/B/x.jpg")) == NAVY
    assert holding(store, "B") == ["x.jpg"]


def test_new_bytes_of_what_was_moved_are_shown_where_it_is(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    put(life, "albums/B/x.jpg", RED)
    for _ in range(20):
        assert (shown(life, "A"), shown(life, "B")) == (set(), {"x.jpg"})
        life.passes(1.0)
    assert (holding(store, "A"), holding(store, "B")) == ([], ["x.jpg"])
    assert life.ask(lambda life: read_all(life, "albums/B/x.jpg")) == RED


def test_what_was_said_of_an_album_holds_while_it_cannot_be_listed(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    assert (shown(life, "A"), shown(life, "B")) == ({"x.jpg"}, set())
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    store.script.add(Fault(FaultKind.UNREACHABLE, "listing", times=None))
    for _ in range(40):
        life.passes(0.5)
        assert (shown(life, "A"), shown(life, "B")) == (set(), {"x.jpg"})
    store.script.clear()
    life.passes(600.0)
    assert (shown(life, "A"), shown(life, "B"), items(life)) == (set(), {"x.jpg"}, [])
    assert (holding(store, "A"), holding(store, "B")) == ([], ["x.jpg"])


def made_offline(life: Life, store: Store, kind: FaultKind) -> None:
    """albums/N was made here, and its server was asked to make it: how that went is `kind`, and asked in vain since."""
    store.script.add(Fault(kind, "make_album"), Fault(FaultKind.UNREACHABLE, "make_album", skip=1, times=None))
    life.ask(lambda life: directory_made(life, "albums/N"))
    assert [item.verb for item in items(life)] == [Verb.MAKE_ALBUM]


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.UNREACHABLE])
@pytest.mark.parametrize("is_offline", [False, True])
@pytest.mark.warns("changes are not noticed")
def test_an_album_that_may_be_there_is_removed(albums: tuple[Life, Store], kind: FaultKind, is_offline: bool) -> None:
    life, store = albums
    made_offline(life, store, kind)
    if is_offline:
        store.script.offline()
    life.ask(lambda life: directory_removed(life, "albums/N"))
    store.script.clear()
    for _ in range(30):
        assert life.ask(lambda life: listed(life, "albums")) == {"A", "B"}
        life.passes(2.0)
    assert ([album.title for album in store.albums()], items(life)) == (["A", "B"], [])


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.UNREACHABLE])
def test_an_album_that_was_removed_may_be_made_again(albums: tuple[Life, Store], kind: FaultKind) -> None:
    life, store = albums
    made_offline(life, store, kind)
    life.ask(lambda life: directory_removed(life, "albums/N"))
    life.ask(lambda life: directory_made(life, "albums/N"))
    put(life, "albums/N/x.jpg", NAVY)
    store.script.clear()
    life.passes(60.0)
    assert ([album.title for album in store.albums()], holding(store, "N")) == (["A", "B", "N"], ["x.jpg"])


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.UNREACHABLE])
@pytest.mark.parametrize("kills", [False, True])
def test_an_album_that_may_be_there_has_its_last_title(tmp_path: Path, kind: FaultKind, kills: bool) -> None:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        made_offline(life, store, kind)
        life.ask(lambda life: renamed(life, "albums/N", "albums/M"))
        later = life.killed() if kills else life
        store.script.clear()
        try:
            for _ in range(30):
                assert later.ask(lambda life: listed(life, "albums")) == {"A", "B", "M"}
                later.passes(2.0)
            assert [album.title for album in store.albums()] in (["A", "B", "M"], ["A", "M", "B"])
            assert items(later) == []
        finally:
            later.close()


@pytest.mark.warns("changes are not noticed")
def test_who_is_in_an_album_that_is_made_later_stays_in_it(albums: tuple[Life, Store]) -> None:
    life, store = albums
    assert life.ask(lambda life: listed(life, "albums")) == {"A", "B"}
    store.script.offline()
    life.ask(lambda life: directory_made(life, "albums/N"))

    def number() -> int:
        return int(life.ask(lambda life: existing(life, "albums/N")).st_ino)

    before = number()
    store.script.clear()
    life.passes(600.0)
    assert [album.title for album in store.albums()] == ["A", "B", "N"]
    assert number() == before
    put(life, "albums/N/x.jpg", NAVY)
    life.passes(SENT_S)
    assert (holding(store, "N"), shown(life, "N")) == (["x.jpg"], {"x.jpg"})


@pytest.mark.warns("changes are not noticed")
def test_an_empty_album_stays_where_a_rename_over_it_is_refused(albums: tuple[Life, Store]) -> None:
    life, store = albums
    assert life.ask(lambda life: listed(life, "albums")) == {"A", "B"}
    store.script.offline()
    life.ask(lambda life: directory_made(life, "albums/N"))
    with pytest.raises(OSError, match="Read-only"):
        life.ask(lambda life: renamed(life, "albums/A", "albums/N"))
    assert life.ask(lambda life: listed(life, "albums")) == {"A", "B", "N"}


def test_an_album_is_removed_that_a_file_left_which_may_have_arrived_there(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.script.add(Fault(FaultKind.LOST, "upload"))
    put(life, "albums/A/x.jpg", NAVY)
    life.passes(SENT_S)
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.ask(lambda life: directory_removed(life, "albums/A"))
    life.passes(30.0)
    assert ([album.title for album in store.albums()], holding(store, "B"), items(life)) == (["B"], ["x.jpg"], [])


def test_a_photo_moves_over_a_file_that_is_still_open(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    handle, _ = life.ask(lambda life: opened(life, "albums/B/x.jpg", os.O_CREAT | os.O_WRONLY))
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.ask(lambda life: released(life, handle))
    for _ in range(20):
        assert (shown(life, "A"), shown(life, "B")) == (set(), {"x.jpg"})
        assert life.ask(lambda life: read_all(life, "albums/B/x.jpg")) == NAVY
        life.passes(1.0)
    assert (holding(store, "A"), holding(store, "B"), items(life)) == ([], ["x.jpg"], [])


@pytest.mark.parametrize("kind", [None, FaultKind.LOST])
def test_a_file_with_several_names_is_sent_when_its_first_one_goes(
    albums: tuple[Life, Store], kind: FaultKind | None
) -> None:
    life, store = albums
    store.make_album("C")
    life.passes(3.0)
    if kind is not None:
        store.script.add(Fault(kind, "upload"))
    put(life, "albums/A/x.jpg", NAVY)
    for title in "BC":
        life.ask(lambda life, to=f"albums/{title}/x.jpg": linked(life, "albums/A/x.jpg", to))  # type: ignore[misc]
    life.passes(1.0 if kind is None else SENT_S)
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    life.passes(60.0)
    assert ([holding(store, title) for title in "ABC"], items(life)) == ([[], ["x.jpg"], ["x.jpg"]], [])


def test_a_link_to_a_photo_that_may_have_been_replaced_waits_until_that_is_known(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    store.script.add(Fault(FaultKind.LOST, "replace"))
    put(life, "albums/A/x.jpg", RED)
    life.passes(SETTLE_S + 0.5)
    handle, _ = life.ask(lambda life: opened(life, "albums/A/x.jpg", os.O_WRONLY))
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.passes(20.0)
    assert [item.stage for item in items(life)] == [Stage.OPEN, Stage.SETTLING]
    life.ask(lambda life: released(life, handle))
    life.passes(20.0)
    assert (holding(store, "A"), holding(store, "B"), items(life)) == (["x.jpg"], ["x.jpg"], [])
    assert [store.bytes_of(asset.id) for asset in store.assets()] == [RED]


def test_a_photo_whose_former_album_is_gone_is_written(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.ask(lambda life: directory_removed(life, "albums/A"))
    put(life, "albums/B/x.jpg", RED)
    life.passes(20.0)
    assert (shown(life, "B"), holding(store, "B"), items(life)) == ({"x.jpg"}, ["x.jpg"], [])
    assert life.ask(lambda life: read_all(life, "albums/B/x.jpg")) == RED


def test_new_bytes_of_a_photo_that_left_their_album_are_shown_in_the_others(albums: tuple[Life, Store]) -> None:
    life, store = albums
    photo = store.put("x.jpg", NAVY, store.titled("A").id)
    store.add(store.titled("B").id, photo.id)
    life.passes(3.0)
    assert shown(life, "B") == {"x.jpg"}
    put(life, "albums/A/x.jpg", RED)
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    for _ in range(20):
        assert (shown(life, "A"), shown(life, "B")) == (set(), {"x.jpg"})
        assert life.ask(lambda life: read_all(life, "albums/B/x.jpg")) == RED
        life.passes(0.5)


def test_a_file_that_may_have_arrived_is_moved_and_removed(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.script.add(Fault(FaultKind.LOST, "upload"))
    put(life, "albums/A/x.jpg", NAVY)
    life.passes(SETTLE_S + 0.5)
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.ask(lambda life: unlinked(life, "albums/B/x.jpg"))
    for _ in range(20):
        life.passes(1.0)
        assert (shown(life, "A"), shown(life, "B")) == (set(), set())
    assert (holding(store, "A"), holding(store, "B"), items(life)) == ([], [], [])


def test_an_album_is_removed_whose_photo_may_have_been_replaced(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    store.script.add(Fault(FaultKind.LOST, "replace"))
    put(life, "albums/A/x.jpg", RED)
    life.passes(SETTLE_S + 0.5)
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    life.ask(lambda life: directory_removed(life, "albums/A"))
    life.passes(30.0)
    assert ([album.title for album in store.albums()], items(life)) == (["B"], [])


def test_a_photo_that_is_written_in_one_album_and_replaced_in_another_has_the_last_bytes(
    albums: tuple[Life, Store],
) -> None:
    """New bytes wait once, whatever album they are written in: two replacements of one photo would be a conflict."""
    life, store = albums
    store.put("a.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    life.ask(lambda life: linked(life, "albums/A/a.jpg", "albums/B/a.jpg"))
    life.passes(SENT_S)
    put(life, "albums/A/a.jpg", RED)
    put(life, "albums/B/.a.jpg.tmp", RED + b"later")
    life.ask(lambda life: renamed(life, "albums/B/.a.jpg.tmp", "albums/B/a.jpg"))
    life.passes(SENT_S + 10.0)
    assert holding(store, "A") == holding(store, "B") == ["a.jpg"]
    assert [store.bytes_of(asset.id) for asset in store.assets()] == [RED + b"later"]
    assert items(life) == []
    assert life.outgoing.queue.conflicts() == []


@pytest.mark.warns("changes are not noticed")
def test_an_album_that_was_made_is_not_asked_for_again(albums: tuple[Life, Store]) -> None:
    """Its listing could not be had, so its row stays; once it is used, no server need know it by the token any more."""
    life, store = albums
    life.ask(lambda life: listed(life, "albums"))
    store.script.offline()
    life.ask(lambda life: directory_made(life, "albums/New"))
    store.script.clear()
    store.script.add(Fault(FaultKind.UNREACHABLE, "albums", times=None))
    life.passes(120.0)
    store.script.clear()
    life.passes(600.0)
    assert [album.title for album in store.albums()].count("New") == 1
    asked = [call for call in store.script.calls() if call.method == "make_album" and call.outcome == "answered"]
    assert len(asked) == 1
    assert items(life) == []


def test_a_photo_that_was_replaced_a_moment_ago_is_not_written(albums: tuple[Life, Store]) -> None:
    """Its other name led to it when the kernel looked; what is written there would be in conflict with ourselves."""
    life, store = albums
    photo = store.put("x.jpg", NAVY, store.titled("A").id)
    store.add(store.titled("B").id, photo.id)
    life.passes(3.0)
    number = life.ask(lambda life: existing(life, "albums/B/x.jpg")).st_ino
    put(life, "albums/A/.x.jpg.tmp", RED)
    life.ask(lambda life: renamed(life, "albums/A/.x.jpg.tmp", "albums/A/x.jpg"))

    async def sent(life: Life) -> None:
        while any(item.stage is not Stage.SENT for item in life.outgoing.queue.items()):
            await life.wait(0.05)
        flags = pyfuse3.FlagT(os.O_WRONLY | os.O_TRUNC)
        await called(life.operations.open(pyfuse3.InodeT(number), flags, CONTEXT))

    with pytest.raises(OSError, match="Stale"):
        life.ask(sent)
    put(life, "albums/B/x.jpg", NAVY + b"later")
    life.passes(SENT_S + 10.0)
    assert (holding(store, "A"), holding(store, "B"), items(life)) == (["x.jpg"], ["x.jpg"], [])
    assert [store.bytes_of(asset.id) for asset in store.assets()] == [NAVY + b"later"]


def sent_as_another(life: Life, store: Store) -> None:
    """A/y.jpg is on its way, and its server will call it x.jpg: it got it before it was renamed, and nobody knows."""
    store.script.add(Fault(FaultKind.LOST, "upload"), Fault(FaultKind.UNREACHABLE, "upload", skip=1, times=9))
    put(life, "albums/A/x.jpg", NAVY)
    life.passes(SENT_S)
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/A/y.jpg"))


@pytest.mark.parametrize("wait_s", [0.0, 20.0])
@pytest.mark.parametrize("moves", [False, True])
def test_a_photo_that_goes_by_another_name_has_it_in_other_albums_too(
    albums: tuple[Life, Store], moves: bool, wait_s: float
) -> None:
    life, store = albums
    sent_as_another(life, store)
    life.passes(wait_s)
    change = renamed if moves else linked
    life.ask(lambda life: change(life, "albums/A/y.jpg", "albums/B/y.jpg"))
    for _ in range(60):
        life.passes(1.0)
        assert shown(life, "B") == {"y.jpg"}
        assert shown(life, "A") == (set() if moves else {"y.jpg"})
    assert (holding(store, "A"), holding(store, "B")) == ([] if moves else ["x.jpg"], ["x.jpg"])
    assert life.ask(lambda life: read_all(life, "albums/B/y.jpg")) == NAVY
    life.ask(lambda life: unlinked(life, "albums/B/y.jpg"))
    for _ in range(20):
        life.passes(1.0)
        assert shown(life, "B") == set()
    assert holding(store, "B") == []


def test_a_photo_that_is_there_by_its_own_name_has_both(albums: tuple[Life, Store]) -> None:
    life, store = albums
    sent_as_another(life, store)
    life.passes(20.0)
    (photo,) = store.assets()
    store.add(store.titled("B").id, photo.id)
    life.passes(5.0)
    assert shown(life, "B") == {"x.jpg"}
    life.ask(lambda life: renamed(life, "albums/A/y.jpg", "albums/B/y.jpg"))
    for _ in range(20):
        life.passes(1.0)
        assert (shown(life, "A"), shown(life, "B")) == (set(), {"x.jpg", "y.jpg"})
    life.ask(lambda life: unlinked(life, "albums/B/x.jpg"))
    life.passes(10.0)
    assert (shown(life, "B"), holding(store, "B")) == ({"y.jpg"}, ["x.jpg"])


def test_new_bytes_that_arrive_while_their_album_goes_are_not_in_it(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("a.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    put(life, "albums/A/a.jpg", RED)
    life.ask(lambda life: unlinked(life, "albums/A/a.jpg"))
    store.script.add(Fault(FaultKind.LATENCY, "take_out", seconds=SETTLE_S + 1.0))  # meanwhile the new bytes are sent,
    store.script.add(Fault(FaultKind.LATE, "replace", seconds=SETTLE_S))  # and nobody knows yet what they became
    life.ask(lambda life: directory_removed(life, "albums/A"))
    life.passes(SENT_S * 3)
    assert [album.title for album in store.albums()] == ["B"]
    assert [store.bytes_of(asset.id) for asset in store.assets()] == [RED]
    assert items(life) == []


def test_new_bytes_that_are_on_their_way_when_their_album_goes_are_not_in_it(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("a.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    put(life, "albums/A/a.jpg", RED)
    life.ask(lambda life: unlinked(life, "albums/A/a.jpg"))
    store.script.add(Fault(FaultKind.LATENCY, "replace", seconds=2.0), Fault(FaultKind.LATE, "replace", seconds=9.0))
    store.script.add(Fault(FaultKind.LATENCY, "take_out", seconds=4.0))
    life.passes(SETTLE_S + 1.0)
    life.ask(lambda life: directory_removed(life, "albums/A"))
    life.passes(SENT_S * 5)
    assert [album.title for album in store.albums()] == ["B"]
    assert [store.bytes_of(asset.id) for asset in store.assets()] == [RED]
    assert items(life) == []


@pytest.mark.warns("changes are not noticed")
def test_a_name_is_found_that_others_had_beside_a_file_that_is_gone(albums: tuple[Life, Store]) -> None:
    """What was made here kept its name for as long as it was there; what has it at the server is shown by it again."""
    life, store = albums
    assert shown(life, "A") == set()
    store.script.offline()
    put(life, "albums/A/x.jpg", NAVY)
    store.put("x.jpg", RED, store.titled("A").id)
    store.script.clear()
    life.passes(SENT_S + 60.0)
    assert sorted(map(store.bytes_of, (one.id for one in store.members(store.titled("A").id)))) == sorted([NAVY, RED])
    assert life.ask(lambda life: read_all(life, "albums/A/x.jpg")) == NAVY
    (ours,) = [one.id for one in store.assets() if store.bytes_of(one.id) == NAVY]
    store.trash(ours)
    life.passes(3.0)
    assert shown(life, "A") == {"x.jpg"}
    assert life.ask(lambda life: read_all(life, "albums/A/x.jpg")) == RED


@pytest.mark.warns("changes are not noticed")
@pytest.mark.parametrize("restarts", [False, True])
def test_what_was_sent_is_read_though_the_server_is_gone_before_it_told_of_it(
    albums: tuple[Life, Store], restarts: bool
) -> None:
    life, store = albums
    store.script.add(Fault(FaultKind.LATENCY, "upload", seconds=5.0))
    put(life, "albums/A/x.jpg", NAVY)
    life.passes(3.0)  # it is on its way
    store.script.offline()
    life.passes(5.0)
    assert [item.stage for item in items(life)] == [Stage.SENT]
    later = life.restarted() if restarts else life
    assert later.ask(lambda life: read_all(life, "albums/A/x.jpg")) == NAVY
    later.close()
