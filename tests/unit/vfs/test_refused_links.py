"""A photo that the server does not put into an album: its name stays there, readable, until a person decides (§4.6)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyfuse3 import FileHandleT

from iiiffs.sync.items import Stage, Verb
from iiiffs.vfs.queue_places import Places
from iiiffs.vfs.queue_report import QueuedAccount, QueueReport
from iiiffs.vfs.queue_verbs import QueueVerbs
from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.writing_tree import ACCOUNT, Life, called, linked, opened, released, renamed, unlinked
from tests.unit.vfs.test_changes_writing import NAVY, RED, SENT_S, body, items, living, names, wrote

REFUSED = pytest.mark.warns("failed:", "could not be sent", "unreachable")
pytestmark = REFUSED
"""Every refusal is said in the log."""


@pytest.fixture
def albums(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    """A/x.jpg, and a server that puts nothing into B."""
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        store.make_album("C")
        store.put("x.jpg", NAVY, store.albums()[0].id)
        store.script.add(Fault(FaultKind.ITEMS, "add"))
        life.passes(SENT_S)
        yield life, store


def attribute(life: Life, path: str, name: str) -> str | None:
    async def ask(life: Life) -> str | None:
        handle, inode = await opened(life, path, os.O_RDONLY)
        await released(life, handle)
        try:
            value = await called(life.operations.getxattr(inode, name.encode(), None))  # type: ignore[arg-type]
        except OSError:
            return None
        return bytes(value).decode()

    return life.ask(ask)


def decides(life: Life, verb: str, what: Verb | None = None) -> None:
    """As `iiiffs queue VERB` of all that failed, or of what of it is of that verb."""

    async def decide(life: Life) -> None:
        queue, galleries = life.outgoing.queue, {ACCOUNT: life.gallery}
        accounts = {ACCOUNT: QueuedAccount(life.gallery, life.uploader, lambda: None)}
        verbs = QueueVerbs(queue, accounts, QueueReport(queue, accounts, Places(queue, galleries)))
        failed = [item.id for item in queue.items() if item.stage is Stage.FAILED and what in (None, item.verb)]
        await verbs.handlers[f"queue.{verb}"]({"ids": failed, "confirmed": True})

    life.ask(decide)


def stored(store: Store) -> dict[str, set[str]]:
    """Album -> what is in it, at the server."""
    return {album.title: {asset.name for asset in store.members(album.id)} for album in store.albums()}


def test_the_name_of_a_refused_link_stays_and_says_why(albums: tuple[Life, Store]) -> None:
    life, store = albums
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.passes(SENT_S)
    (item,) = items(life)
    assert (item.verb, item.stage) == (Verb.ADD, Stage.FAILED)
    assert names(life, "albums/B") == {"x.jpg"}
    assert body(life, "albums/B/x.jpg") == NAVY
    assert attribute(life, "albums/B/x.jpg", "user.iiiffs.state") == "failed"
    error = attribute(life, "albums/B/x.jpg", "user.iiiffs.error") or ""
    assert (item.reason or "?") in error
    assert f"iiiffs queue retry {item.id}" in error
    assert attribute(life, "albums/A/x.jpg", "user.iiiffs.state") == "remote"
    assert attribute(life, "albums/A/x.jpg", "user.iiiffs.error") is None
    for change in (
        wrote("albums/B/x.jpg", RED),
        lambda life: opened(life, "albums/B/x.jpg", os.O_RDWR),
    ):
        with pytest.raises(OSError) as refused:
            life.ask(change)
        assert refused.value.errno == errno.EPERM
    life = life.restarted()
    try:
        assert names(life, "albums/B") == {"x.jpg"}
        assert body(life, "albums/B/x.jpg") == NAVY
    finally:
        life.close()
    assert stored(store) == {"A": {"x.jpg"}, "B": set(), "C": set()}


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("retry", {"A": {"x.jpg"}, "B": {"x.jpg"}, "C": set()}),
        ("discard", {"A": {"x.jpg"}, "B": set(), "C": set()}),
        ("unlink", {"A": {"x.jpg"}, "B": set(), "C": set()}),
        ("rename", {"A": {"x.jpg"}, "B": set(), "C": {"x.jpg"}}),
        ("by others", {"A": {"x.jpg"}, "B": {"x.jpg"}, "C": set()}),
    ],
)
def test_a_refused_link_ends(end: str, expected: dict[str, set[str]], albums: tuple[Life, Store]) -> None:
    life, store = albums
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.passes(SENT_S)
    store.script.clear()
    match end:
        case "unlink":
            life.ask(lambda life: unlinked(life, "albums/B/x.jpg"))
        case "rename":
            life.ask(lambda life: renamed(life, "albums/B/x.jpg", "albums/C/x.jpg"))
        case "by others":
            store.put("x.jpg", NAVY, store.albums()[1].id)
        case _:
            decides(life, end)
    life.passes(SENT_S)
    assert stored(store) == expected
    for album, inside in expected.items():
        assert names(life, f"albums/{album}") == inside
        for name in inside:
            assert body(life, f"albums/{album}/{name}") == NAVY
            assert attribute(life, f"albums/{album}/{name}", "user.iiiffs.state") == "remote"
    assert (items(life) == []) is (end != "by others")  # which may be discarded then


@pytest.mark.parametrize("end", ["retry", "discard"])
def test_a_move_that_is_refused_is_in_one_album(end: str, albums: tuple[Life, Store]) -> None:
    life, store = albums
    life.ask(lambda life: renamed(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.passes(SENT_S)
    assert (names(life, "albums/A"), names(life, "albums/B")) == (set(), {"x.jpg"})
    assert body(life, "albums/B/x.jpg") == NAVY
    assert stored(store) == {"A": {"x.jpg"}, "B": set(), "C": set()}  # it is somewhere at every moment
    store.script.clear()
    decides(life, end)
    life.passes(SENT_S)
    inside = {"A": set(), "B": {"x.jpg"}, "C": set()} if end == "retry" else {"A": {"x.jpg"}, "B": set(), "C": set()}
    assert stored(store) == inside
    assert {album: names(life, f"albums/{album}") for album in inside} == inside
    assert items(life) == []


def test_a_link_to_a_file_that_waits_is_refused_after_that_was_sent(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.script.clear()
    store.script.add(Fault(FaultKind.ITEMS, "add"))
    life.ask(wrote("albums/A/y.jpg", RED))
    life.ask(lambda life: linked(life, "albums/A/y.jpg", "albums/B/y.jpg"))
    life.passes(SENT_S * 3)
    assert stored(store)["A"] == {"x.jpg", "y.jpg"}
    assert names(life, "albums/B") == {"y.jpg"}
    assert body(life, "albums/B/y.jpg") == RED
    assert attribute(life, "albums/B/y.jpg", "user.iiiffs.state") == "failed"


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_link_to_a_photo_that_is_open_to_be_changed_is_there_after_a_crash(
    is_changed: bool, albums: tuple[Life, Store]
) -> None:
    life, store = albums
    store.script.clear()
    assert (names(life, "albums/A"), names(life, "albums/B")) == ({"x.jpg"}, set())
    life.passes(1.0)  # what was told is on the disk
    store.script.offline()
    handle, _ = life.ask(lambda life: opened(life, "albums/A/x.jpg", os.O_WRONLY | (os.O_TRUNC if is_changed else 0)))
    if is_changed:
        life.ask(lambda life: called(life.operations.write(FileHandleT(handle), 0, RED)))
    life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
    life.ask(lambda life: life.outgoing.queue.commit())
    after = life.killed()
    try:
        assert names(after, "albums/B") == {"x.jpg"}
        store.script.clear()
        after.passes(SENT_S * 3)
        assert stored(store) == {"A": {"x.jpg"}, "B": {"x.jpg"}, "C": set()}
        assert body(after, "albums/B/x.jpg") == NAVY
    finally:
        after.close()


@pytest.mark.parametrize("way", ["unlinked", "replaced"])
def test_a_file_that_failed_waits_for_a_person_under_whichever_of_its_names_is_left(
    way: str, albums: tuple[Life, Store]
) -> None:
    life, store = albums
    store.script.add(Fault(FaultKind.REJECTED, "upload"))
    life.ask(wrote("albums/A/y.jpg", RED))
    life.passes(SENT_S * 3)
    life.ask(lambda life: linked(life, "albums/A/y.jpg", "albums/B/y.jpg"))
    if way == "unlinked":
        life.ask(lambda life: unlinked(life, "albums/A/y.jpg"))
    else:
        life.ask(wrote("albums/A/z.jpg", NAVY + b"!"))
        life.ask(lambda life: renamed(life, "albums/A/z.jpg", "albums/A/y.jpg"))
    life.passes(SENT_S * 3)
    assert stored(store)["B"] == set()
    assert (names(life, "albums/B"), body(life, "albums/B/y.jpg")) == ({"y.jpg"}, RED)
    assert attribute(life, "albums/B/y.jpg", "user.iiiffs.state") == "failed"
    assert "rejected" in str(attribute(life, "albums/B/y.jpg", "user.iiiffs.error"))
    decides(life, "retry")
    life.passes(SENT_S * 3)
    assert stored(store)["B"] == {"y.jpg"}


@pytest.mark.parametrize("target", ["albums/B/{0}", "albums/A/other.jpg", "favorites/{0}", "albums/A/new.jpg.lock"])
@pytest.mark.parametrize("name", [".new.jpg.tmp", "new.jpg~", "new.jpg.part"])
def test_a_link_to_a_file_that_stays_here_is_refused_at_once(
    name: str, target: str, albums: tuple[Life, Store]
) -> None:
    """A server never gets it under that name; git, and whoever makes a lock by link(2), has another way then."""
    life, store = albums
    store.script.clear()
    life.ask(wrote(f"albums/A/{name}", RED))
    with pytest.raises(PermissionError):
        life.ask(lambda life: linked(life, f"albums/A/{name}", target.format(name)))
    assert [item.verb for item in items(life)] == [Verb.UPLOAD]
    life.ask(lambda life: renamed(life, f"albums/A/{name}", "albums/A/new.jpg"))
    life.ask(lambda life: linked(life, "albums/A/new.jpg", "albums/B/new.jpg"))
    life.passes(SENT_S + SENT_S)
    assert store.bytes_of(store.members(store.titled("B").id)[0].id) == RED
    assert names(life, "albums/B") == {"new.jpg"}
