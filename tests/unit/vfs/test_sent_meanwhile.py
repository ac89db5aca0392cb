"""Verbs that wait for a server, while a file that they found is sent, and listed under the id that it got there: what
was found is looked at anew, and nobody who only asked in that moment is refused. What tests/mount/test_stress.py
found."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from pyfuse3 import FileHandleT, FileNameT, FlagT, InodeT

from iiiffs.model.gallery import AccountName
from iiiffs.sync.items import Item, Stage, Verb
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
    parent_of,
    read_all,
    released,
    renamed,
    retried,
    unlinked,
)
from tests.unit.vfs.test_changes_writing import GREEN, NAVY, RED, items, living, wrote


@pytest.fixture
def albums(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.IMMICH) as both:
        yield both


def shown(life: Life) -> dict[str, set[str]]:
    """Names in each album."""
    titles = sorted(life.ask(lambda life: listed(life, "albums")))
    return {title: life.ask(lambda life, path=f"albums/{title}": listed(life, path)) for title in titles}  # type: ignore[misc]


def holding(store: Store) -> dict[str, list[str]]:
    """Names of what each album has at the server."""
    return {album.title: [asset.name for asset in store.members(album.id)] for album in store.albums()}


SENT, LISTED = SETTLE_S + 0.6, SETTLE_S + 9.0
"""After so long a file has been sent, and is still shown because of that; and its listing tells of it."""


@pytest.mark.parametrize("wait_s", [SENT, LISTED])
@pytest.mark.parametrize("was_there", [False, True])
def test_a_file_is_linked_that_is_sent_meanwhile(albums: tuple[Life, Store], wait_s: float, was_there: bool) -> None:
    life, store = albums
    if was_there:
        store.put("x.jpg", RED, store.titled("A").id)
        life.passes(3.0)
    life.ask(wrote("albums/A/x.jpg", NAVY))
    store.script.add(Fault(FaultKind.LATENCY, "listing", about=store.titled("B").id, seconds=wait_s))
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    number = life.ask(lambda life: existing(life, "albums/A/x.jpg")).st_ino
    for _ in range(60):
        assert life.ask(lambda life: listed(life, "albums/B")) == {"x.jpg"}
        assert life.ask(lambda life: read_all(life, "albums/B/x.jpg")) == NAVY
        assert life.ask(lambda life: existing(life, "albums/B/x.jpg")).st_ino == number
        life.passes(0.5)
    assert [asset.name for asset in store.members(store.titled("B").id)] == ["x.jpg"]
    assert (items(life), life.operations.faults.bugs) == ([], 0)


async def moved(life: Life) -> None:
    """As `renamed` from album B to C, where what the kernel was told of C a moment ago has changed since."""
    (source, name), (target, _) = [await parent_of(life, f"albums/{title}/x.jpg") for title in "BC"]
    flags, name_ = FlagT(0), FileNameT(os.fsencode(name))

    async def work() -> None:
        await called(life.operations.rename(InodeT(source), name_, InodeT(target), name_, flags, CONTEXT))

    await retried(work)


@pytest.mark.parametrize("wait_s", [SENT, LISTED])
def test_a_link_to_a_file_is_moved_that_is_sent_meanwhile(albums: tuple[Life, Store], wait_s: float) -> None:
    life, store = albums
    target = store.make_album("C")
    life.passes(1.0)
    life.ask(wrote("albums/A/x.jpg", NAVY))
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    store.script.add(Fault(FaultKind.LATENCY, "listing", about=target.id, seconds=wait_s))
    life.ask(moved)
    number = life.ask(lambda life: existing(life, "albums/A/x.jpg")).st_ino
    for _ in range(60):
        assert shown(life) == {"A": {"x.jpg"}, "B": set(), "C": {"x.jpg"}}
        assert life.ask(lambda life: read_all(life, "albums/C/x.jpg")) == NAVY
        assert life.ask(lambda life: existing(life, "albums/C/x.jpg")).st_ino == number
        life.passes(0.5)
    assert holding(store) == {"A": ["x.jpg"], "B": [], "C": ["x.jpg"]}
    assert items(life) == []


@pytest.mark.parametrize("wait_s", [0.0, 1.0])
def test_a_link_is_removed_that_is_just_told(albums: tuple[Life, Store], wait_s: float) -> None:
    """What was said last counts, however long what was said before is on its way."""
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    store.script.add(Fault(FaultKind.LATENCY, "add", seconds=SETTLE_S * 4))
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.passes(SETTLE_S + wait_s)
    assert "add" in store.script.counts(), "it is on its way"
    life.ask(lambda life: unlinked(life, "albums/B/x.jpg"))
    for _ in range(60):
        assert shown(life) == {"A": {"x.jpg"}, "B": set()}
        life.passes(0.5)
    assert holding(store) == {"A": ["x.jpg"], "B": []}
    assert items(life) == []


def test_an_album_is_removed_into_which_a_link_is_just_told(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    store.script.add(Fault(FaultKind.LATENCY, "add", seconds=0.5))
    store.script.add(Fault(FaultKind.LATENCY, "remove_album", seconds=1.0))
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.passes(SETTLE_S)
    assert "add" in store.script.counts(), "it is on its way"
    life.ask(lambda life: unlinked(life, "albums/B/x.jpg"))
    life.ask(lambda life: directory_removed(life, "albums/B"))
    life.passes(20.0)
    assert ([album.title for album in store.albums()], items(life)) == (["A"], [])


def test_a_favorite_is_none_any_more_that_is_sent_meanwhile(albums: tuple[Life, Store]) -> None:
    life, store = albums
    assert life.ask(lambda life: listed(life, "favorites")) == set()
    life.ask(wrote("favorites/x.jpg", NAVY))
    number = life.ask(lambda life: existing(life, "favorites/x.jpg")).st_ino
    store.script.add(Fault(FaultKind.LATENCY, "page", about="Favorites", seconds=SENT + 1.0, times=None))
    store.put("y.jpg", GREEN)  # so that favorites are asked for anew
    life.passes(0.3)

    async def unmark(life: Life) -> None:
        await called(life.operations.setxattr(number, b"user.iiiffs.favorite", b"0", CONTEXT))

    life.ask(unmark)
    life.passes(30.0)
    assert life.ask(lambda life: listed(life, "favorites")) == set()
    assert (store.named("x.jpg")[0].favorite, items(life)) == (False, [])


def test_a_photo_is_opened_to_be_written_that_is_replaced_meanwhile(albums: tuple[Life, Store]) -> None:
    """It would be in conflict with what was written here."""
    life, store = albums
    photo = store.put("x.jpg", NAVY, store.titled("A").id)
    store.add(store.titled("B").id, photo.id)
    life.passes(3.0)

    async def both(life: Life) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wrote("albums/A/x.jpg", RED), life)
            while not any(item.stage is Stage.SETTLING for item in life.outgoing.queue.items()):
                await life.wait(0.01)
        handle, _ = await opened(life, "albums/B/x.jpg", os.O_WRONLY | os.O_TRUNC)
        await called(life.operations.write(FileHandleT(handle), 0, GREEN))
        await released(life, handle)

    life.ask(both)
    life.passes(40.0)
    assert holding(store) == {"A": ["x.jpg"], "B": ["x.jpg"]}
    assert ([store.bytes_of(one.id) for one in store.assets()], items(life)) == ([GREEN], [])


@pytest.mark.parametrize("wait_s", [3.0, 3.5, 4.0, 4.5])
def test_a_photo_is_linked_into_an_album_that_is_made_meanwhile(albums: tuple[Life, Store], wait_s: float) -> None:
    """The album is there, and no list of albums tells of it yet."""
    life, store = albums
    photo = store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    assert shown(life) == {"A": {"x.jpg"}, "B": set()}
    number = life.ask(lambda life: existing(life, "albums/A/x.jpg")).st_ino
    store.script.add(Fault(FaultKind.UNREACHABLE, "make_album", times=2))
    life.ask(lambda life: directory_made(life, "albums/N"))
    store.script.add(Fault(FaultKind.UNREACHABLE, "albums", times=None))
    store.put("y.jpg", RED)  # so that photos are asked for anew
    life.passes(0.3)
    store.script.add(Fault(FaultKind.LATENCY, "asset", about=photo.id, seconds=wait_s))

    async def link(life: Life) -> None:
        parent, name = await parent_of(life, "albums/N/x.jpg")
        await called(life.operations.link(number, InodeT(parent), FileNameT(os.fsencode(name)), CONTEXT))

    assert "N" not in holding(store)
    life.ask(link)
    assert "N" in holding(store)
    assert life.ask(lambda life: listed(life, "albums/N")) == {"x.jpg"}
    store.script.clear()
    life.passes(60.0)
    assert holding(store) == {"A": ["x.jpg"], "B": [], "N": ["x.jpg"]}
    assert items(life) == []


@pytest.mark.parametrize("wait_s", [5.0, 9.0])
def test_what_is_renamed_over_is_sent_meanwhile(tmp_path: Path, wait_s: float) -> None:
    """Whether the one has arrived has to be asked, which takes its time; the other one arrives meanwhile."""
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        store.script.add(Fault(FaultKind.LOST, "upload", about="s.jpg"))
        life.ask(wrote("files/s.jpg", RED))
        life.passes(SENT)
        life.ask(wrote("files/t.jpg", NAVY))
        store.script.add(Fault(FaultKind.LATENCY, "listing", seconds=wait_s))
        life.ask(lambda life: renamed(life, "files/s.jpg", "files/t.jpg"))
        for _ in range(40):
            assert life.ask(lambda life: listed(life, "files")) == {"t.jpg"}
            assert life.ask(lambda life: read_all(life, "files/t.jpg")) == RED
            life.passes(0.5)
        assert [(asset.name, store.bytes_of(asset.id)) for asset in store.assets()] == [("t.jpg", RED)]
        assert items(life) == []


def test_a_file_is_removed_that_was_listed_before_its_sending_had_ended(
    albums: tuple[Life, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that takes seconds: it was sent, and told of, and the verb still waited for its payload to go."""
    life, store = albums
    life.ask(wrote("albums/A/x.jpg", NAVY))

    async def landed(item: Item) -> None:
        while life.outgoing.queue.get(item.id) is not None:
            await trio.sleep(0.5)

    monkeypatch.setattr(life.outgoing.writer._removals, "interrupt", landed)
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    for _ in range(20):
        assert shown(life)["A"] == set()
        life.passes(0.5)
    assert (holding(store)["A"], items(life)) == ([], [])


def test_a_photo_is_not_opened_to_be_written_that_is_replaced_meanwhile(albums: tuple[Life, Store]) -> None:
    """It would be in conflict with what was written here."""
    life, store = albums
    home = store.titled("A").id
    photo = store.put("x.jpg", NAVY, home)
    store.add(store.titled("B").id, photo.id)
    life.passes(3.0)
    assert shown(life) == {"A": {"x.jpg"}, "B": {"x.jpg"}}
    number = life.ask(lambda life: existing(life, "albums/A/x.jpg")).st_ino
    life.ask(wrote("albums/B/.x.jpg.tmp", RED))
    store.script.add(Fault(FaultKind.LATENCY, "listing", about=home, seconds=4.5))
    store.put("y.jpg", GREEN, home)
    life.passes(0.3)
    answers: list[int | None] = []

    async def open_it(life: Life) -> None:
        try:
            await called(life.operations.open(number, FlagT(os.O_WRONLY | os.O_TRUNC), CONTEXT))
        except OSError as error:
            answers.append(error.errno)

    async def both(life: Life) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(open_it, life)
            await life.wait(0.25)
            await renamed(life, "albums/B/.x.jpg.tmp", "albums/B/x.jpg")

    life.ask(both)
    assert answers == [errno.ESTALE]
    life.passes(30.0)
    assert ({store.bytes_of(one.id) for one in store.assets()}, items(life)) == ({RED, GREEN}, [])


def test_a_link_to_a_file_is_moved_that_is_sent_at_the_last_moment(
    albums: tuple[Life, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While what was said of its former album is taken back, on a disk that takes seconds."""
    life, store = albums
    store.make_album("C")
    life.passes(1.0)
    life.ask(wrote("albums/A/x.jpg", NAVY))
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    shown(life)

    removals = life.outgoing.writer._removals
    interrupt = removals.interrupt

    async def taken_back(item: Item) -> None:
        while not any(one.stage is Stage.SENT for one in life.outgoing.queue.items()):
            await trio.sleep(0.1)
        await interrupt(item)

    monkeypatch.setattr(removals, "interrupt", taken_back)
    life.ask(moved)
    for _ in range(60):
        assert shown(life) == {"A": {"x.jpg"}, "B": set(), "C": {"x.jpg"}}
        assert life.ask(lambda life: read_all(life, "albums/C/x.jpg")) == NAVY
        life.passes(0.25)
    assert (holding(store), items(life)) == ({"A": ["x.jpg"], "B": [], "C": ["x.jpg"]}, [])


def test_what_has_taken_the_place_of_a_photo_is_linked_though_it_is_sent_meanwhile(albums: tuple[Life, Store]) -> None:
    life, store = albums
    photo = store.put("x.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    number = life.ask(lambda life: existing(life, "albums/A/x.jpg")).st_ino
    life.ask(wrote("albums/A/.x.jpg.tmp", RED))
    life.ask(lambda life: renamed(life, "albums/A/.x.jpg.tmp", "albums/A/x.jpg"))
    life.passes(20.0)
    life.ask(wrote("albums/A/x.jpg", GREEN))
    store.script.add(Fault(FaultKind.LATENCY, "asset", about=photo.id, seconds=SENT))
    store.script.add(Fault(FaultKind.LATENCY, "page", about="Trash", seconds=SENT))

    async def link(life: Life) -> int:
        parent, name = await parent_of(life, "albums/B/x.jpg")
        made = life.operations.link(number, InodeT(parent), FileNameT(os.fsencode(name)), CONTEXT)
        return int((await called(made)).st_ino)

    linked_as = life.ask(link)
    assert life.ask(lambda life: existing(life, "albums/A/x.jpg")).st_ino == linked_as
    for _ in range(60):
        assert life.ask(lambda life: existing(life, "albums/B/x.jpg")).st_ino == linked_as
        assert life.ask(lambda life: read_all(life, "albums/B/x.jpg")) == GREEN
        life.passes(0.25)
    assert (holding(store), items(life)) == ({"A": ["x.jpg"], "B": ["x.jpg"]}, [])


@pytest.mark.parametrize("wait_s", [0.5, 1.0, 2.0, 3.0])
def test_a_file_that_may_have_arrived_comes_back_by_its_new_name_alone(
    albums: tuple[Life, Store], wait_s: float
) -> None:
    """It left the album while nobody knew that it was there, by the name that its server gave it then."""
    life, store = albums
    assert shown(life) == {"A": set(), "B": set()}
    store.script.add(Fault(FaultKind.LOST, "upload"))
    life.ask(wrote("albums/A/x.jpg", NAVY))
    life.passes(SETTLE_S + 0.25)
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/y.jpg"))
    life.passes(wait_s)
    for _ in range(2):
        life.ask(lambda life: linked(life, "albums/B/y.jpg", "albums/A/y.jpg"))
        assert shown(life) == {"A": {"y.jpg"}, "B": {"y.jpg"}}
        life.passes(wait_s / 4)
        life.ask(lambda life: unlinked(life, "albums/A/y.jpg"))
        assert shown(life) == {"A": set(), "B": {"y.jpg"}}
    life.ask(lambda life: linked(life, "albums/B/y.jpg", "albums/A/y.jpg"))
    for _ in range(60):
        assert shown(life) == {"A": {"y.jpg"}, "B": {"y.jpg"}}
        life.passes(0.5)
    assert (holding(store), items(life)) == ({"A": ["x.jpg"], "B": ["x.jpg"]}, [])


@pytest.mark.parametrize("wait_s", [0.25, 1.0, 3.0])
def test_a_file_is_linked_by_a_name_that_it_has_in_an_album_which_is_not_told_of_it_yet(
    albums: tuple[Life, Store], wait_s: float
) -> None:
    life, store = albums
    shown(life)
    store.script.add(Fault(FaultKind.LOST, "upload"))
    life.ask(wrote("albums/A/w.jpg", NAVY))
    life.passes(SETTLE_S + 0.25)
    life.ask(lambda life: renamed(life, "albums/A/w.jpg", "albums/A/x.jpg"))
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    store.script.add(Fault(FaultKind.UNREACHABLE, "add", times=4))
    while any(item.verb is Verb.UPLOAD and item.stage is not Stage.SENT for item in items(life)):
        life.passes(0.25)
    life.ask(lambda life: unlinked(life, "albums/A/x.jpg"))
    life.passes(wait_s)
    life.ask(lambda life: linked(life, "albums/B/x.jpg", "albums/A/x.jpg"))
    for _ in range(60):
        assert shown(life) == {"A": {"x.jpg"}, "B": {"x.jpg"}}
        life.passes(0.5)
    assert (holding(store), items(life)) == ({"A": ["w.jpg"], "B": ["w.jpg"]}, [])


def test_new_bytes_that_may_have_arrived_are_in_no_album_that_their_file_has_left(albums: tuple[Life, Store]) -> None:
    """A server that had the former bytes gives the new ones the albums of those, and its answer was lost both times."""
    life, store = albums
    shown(life)
    store.script.add(Fault(FaultKind.LOST, "upload", times=2))
    life.ask(wrote("albums/A/x.jpg", NAVY))
    life.passes(SETTLE_S + 0.25)
    life.ask(wrote("albums/A/x.jpg", RED))
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/y.jpg"))
    while store.script.counts()["upload"] < 2:
        life.passes(0.25)
    life.ask(lambda life: unlinked(life, "albums/B/y.jpg"))
    for _ in range(60):
        assert shown(life) == {"A": set(), "B": set()}
        life.passes(0.5)
    assert (holding(store), items(life)) == ({"A": [], "B": []}, [])


def test_a_file_is_replaced_in_an_album_that_is_made_in_that_moment(
    albums: tuple[Life, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What replaces it may have arrived elsewhere before; it has not left the album for being renamed within it."""
    life, store = albums
    shown(life)
    store.script.add(Fault(FaultKind.UNREACHABLE, "upload"))
    life.ask(wrote("albums/A/x.jpg", NAVY))
    life.passes(SETTLE_S + 0.25)
    assert store.script.counts()["upload"] == 1
    store.script.add(Fault(FaultKind.UNREACHABLE, "make_album", times=2))
    life.ask(lambda life: directory_made(life, "albums/N"))
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/N/y.jpg"))
    life.ask(wrote("albums/N/.y.jpg.tmp", RED))
    queue = life.outgoing.queue
    record = queue.successors.record
    uploads = {item.id for item in items(life) if item.verb is Verb.UPLOAD}

    async def slowly(account: AccountName, old: str, new: str) -> None:
        while old in uploads and any(item.verb is Verb.MAKE_ALBUM for item in queue.items()):
            await trio.sleep(0.1)
        await record(account, old, new)

    monkeypatch.setattr(queue.successors, "record", slowly)
    assert "N" not in holding(store)
    life.ask(lambda life: renamed(life, "albums/N/.y.jpg.tmp", "albums/N/y.jpg"))
    assert "N" in holding(store)
    for _ in range(60):
        assert shown(life) == {"A": set(), "B": set(), "N": {"y.jpg"}}
        assert life.ask(lambda life: read_all(life, "albums/N/y.jpg")) == RED
        life.passes(0.5)
    assert (holding(store), items(life)) == ({"A": [], "B": [], "N": ["y.jpg"]}, [])


def test_a_file_that_is_linked_back_into_an_album_which_it_had_left_stays_there(albums: tuple[Life, Store]) -> None:
    """It may have arrived there before it left; that it is not to be there is not said any more."""
    life, store = albums
    shown(life)
    store.script.add(Fault(FaultKind.UNREACHABLE, "upload", times=3))
    life.ask(wrote("albums/A/x.jpg", NAVY))
    life.passes(SETTLE_S + 0.25)
    assert store.script.counts()["upload"] == 1
    for source, target in (("A", "B"), ("B", "A")):
        here, there = f"albums/{source}/x.jpg", f"albums/{target}/x.jpg"
        life.ask(lambda life, here=here, there=there: linked(life, here, there))  # type: ignore[misc]
        life.ask(lambda life, here=here: unlinked(life, here))  # type: ignore[misc]
    for _ in range(60):
        assert shown(life) == {"A": {"x.jpg"}, "B": set()}
        life.passes(0.5)
    assert (holding(store), items(life)) == ({"A": ["x.jpg"], "B": []}, [])


def test_an_album_shows_what_waits_in_it_in_the_moment_in_which_it_is_made(albums: tuple[Life, Store]) -> None:
    """What it has become may be read before whoever has recorded that goes on."""
    life, store = albums
    store.script.add(Fault(FaultKind.UNREACHABLE, "make_album", times=None))
    life.ask(lambda life: directory_made(life, "albums/N"))
    life.ask(wrote("albums/N/x.jpg", NAVY))
    (making,) = [item for item in items(life) if item.verb is Verb.MAKE_ALBUM]
    made = store.make_album("N")
    life.ask(lambda life: life.outgoing.queue.successors.record(making.account, making.id, made.id))
    assert life.ask(lambda life: listed(life, "albums/N")) == {"x.jpg"}
