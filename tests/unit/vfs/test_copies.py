"""A copy of bytes that the server keeps once is a name of the same photo, and yet a file of its own for whoever writes:
what is written under it is a new photo, and the one whose bytes it had keeps them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from pyfuse3 import FileHandleT

from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.state.given import Given
from iiiffs.sync.items import Stage, Verb
from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.writing_tree import (
    ACCOUNT,
    Life,
    attribute,
    called,
    directory_made,
    existing,
    linked,
    listed,
    marked,
    opened,
    read_all,
    released,
    renamed,
    timed,
    truncated,
    unlinked,
)
from tests.unit.vfs.test_changes_writing import GREEN, NAVY, PATIENCE_S, RED, SENT_S, items, living, put

LAST = RED + b"last"
COPY, OWN = "copy.jpg", "a.jpg"
UNFINISHED_S = 65.0
"""A picture whose end is missing is sent after a minute."""


class Gallery:
    """a.jpg is in album A, and a copy of it in `album`; with `is_listed` the server's listing has told of it."""

    def __init__(self, life: Life, store: Store, album: str, *, is_listed: bool) -> None:
        self.life, self.store, self.album = life, store, album
        self.a = store.put(OWN, NAVY, store.titled("A").id).id
        life.passes(PATIENCE_S)
        self.put(COPY, NAVY)
        life.passes(SENT_S + (PATIENCE_S if is_listed else 0.0))

    @property
    def names(self) -> set[str]:
        """Those in the copy's album."""
        return {OWN, COPY} if self.album == "A" else {COPY}

    def path(self, name: str) -> str:
        return f"albums/{'A' if name == OWN else self.album}/{name}"

    def ask(self, verb: Callable[..., Awaitable[object]], name: str, *more: object) -> object:
        return self.life.ask(lambda life: verb(life, self.path(name), *more))

    def put(self, name: str, data: bytes) -> None:
        self.life.ask(lambda life: put(life, self.path(name), data))

    def number(self, name: str) -> int:
        return int(self.life.ask(lambda life: existing(life, self.path(name))).st_ino)

    def has(self, own: bytes, copy: bytes) -> None:
        """Those bytes are shown, listed and read."""
        assert self.life.ask(lambda life: listed(life, f"albums/{self.album}")) == self.names
        assert self.ask(read_all, OWN) == own
        assert self.ask(read_all, COPY) == copy

    def is_apart(self, copy: bytes) -> None:
        """At the server too: a.jpg is what it was, the copy another photo, and nothing is in the trash."""
        self.life.passes(UNFINISHED_S + PATIENCE_S)
        self.has(NAVY, copy)
        assert self.store.trashed() == []
        assert {one.name: self.store.bytes_of(one.id) for one in self.store.assets()} == {OWN: NAVY, COPY: copy}
        assert {one.name for one in self.store.members(self.store.titled(self.album).id)} == self.names
        assert self.a in [one.id for one in self.store.members(self.store.titled("A").id)]


@pytest.fixture(params=["A listed", "A sent", "B listed", "B sent"])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gallery]:
    album, state = request.param.split()
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        gallery = Gallery(life, store, album, is_listed=state == "listed")
        try:
            yield gallery
        finally:
            gallery.life.close()


async def appended(life: Life, path: str, data: bytes) -> None:
    """Some bytes at the end of what is there."""
    handle, inode = await opened(life, path, os.O_WRONLY)
    at = (await called(life.operations.getattr(inode, None))).st_size  # type: ignore[arg-type]
    await called(life.operations.write(FileHandleT(handle), at, data))
    await released(life, handle)


async def only_opened(life: Life, path: str) -> None:
    handle, _ = await opened(life, path, os.O_RDWR)
    await released(life, handle)


async def replaced(life: Life, path: str, data: bytes) -> None:
    """As most editors save."""
    await put(life, f"{path}.tmp", data)
    await renamed(life, f"{path}.tmp", path)


async def backed_up(life: Life, path: str, data: bytes) -> None:
    """As exiftool saves."""
    await renamed(life, path, f"{path}_original")
    await put(life, path, data)
    await unlinked(life, f"{path}_original")


WAYS: dict[str, tuple[Callable[..., Awaitable[object]], tuple[object, ...], bytes]] = {
    "cp": (put, (RED,), RED),
    "append": (appended, (b"more",), NAVY + b"more"),
    "truncate": (truncated, (len(NAVY) - 1,), NAVY[:-1]),
    "rename": (replaced, (RED,), RED),
    "backup": (backed_up, (RED,), RED),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_under_a_copy_is_a_photo_of_its_own(way: str, at: Gallery) -> None:
    at.has(NAVY, NAVY)
    verb, more, data = WAYS[way]
    at.ask(verb, COPY, *more)
    at.has(NAVY, data)
    at.is_apart(data)
    at.life = at.life.restarted()
    at.is_apart(data)


def test_two_names_are_two_files_for_the_kernel(at: Gallery) -> None:
    assert at.number(OWN) != at.number(COPY)
    before = at.number(COPY)
    at.put(COPY, RED)
    assert at.number(COPY) == before
    at.is_apart(RED)


def test_a_copy_that_was_only_opened_is_what_it_was(at: Gallery) -> None:
    at.ask(only_opened, COPY)
    at.life.passes(SENT_S + PATIENCE_S)
    at.has(NAVY, NAVY)
    at.ask(put, COPY, NAVY)
    at.life.passes(SENT_S + PATIENCE_S)
    at.has(NAVY, NAVY)
    assert [one.id for one in at.store.assets()] == [at.a]
    assert "copy.jpg is a name for them" in str(at.ask(attribute, COPY, "user.iiiffs.note"))
    at.ask(unlinked, COPY)
    at.life.passes(SENT_S + PATIENCE_S)
    assert at.life.ask(lambda life: listed(life, f"albums/{at.album}")) == at.names - {COPY}


def test_killed_before_it_is_sent_both_have_their_bytes(at: Gallery) -> None:
    at.put(COPY, RED)
    at.life = at.life.killed()
    at.has(NAVY, RED)
    at.is_apart(RED)


def test_killed_when_it_is_sent_and_the_name_still_given(at: Gallery) -> None:
    at.put(COPY, RED)
    at.life.passes(SENT_S)
    assert [item.stage for item in items(at.life) if item.verb is Verb.UPLOAD] == [Stage.SENT]
    album, former = at.store.titled(at.album).id, Given(AssetId(at.a), also=at.album == "A")
    at.life.ask(lambda life: life.outgoing.queue.notes.given.give(ACCOUNT, AlbumId(album), COPY, former))
    at.life = at.life.killed()
    at.is_apart(RED)


@pytest.mark.parametrize("moment", ["open", "waiting", "sent"])
def test_what_was_written_under_a_copy_is_removed(moment: str, at: Gallery) -> None:
    if moment == "open":
        handle, _ = at.life.ask(lambda life: opened(life, at.path(COPY), os.O_WRONLY))
        at.ask(unlinked, COPY)
        at.life.ask(lambda life: released(life, handle))
    else:
        at.put(COPY, RED)
        at.life.passes(SENT_S if moment == "sent" else 0.0)
        at.ask(unlinked, COPY)
    for _ in range(2):
        assert at.life.ask(lambda life: listed(life, f"albums/{at.album}")) == at.names - {COPY}
        at.life.passes(SENT_S + PATIENCE_S)
    assert at.ask(read_all, OWN) == NAVY
    assert {one.name for one in at.store.members(at.store.titled(at.album).id)} == at.names - {COPY}


def test_what_was_written_under_a_copy_gets_another_name(at: Gallery) -> None:
    at.put(COPY, RED)
    at.life.ask(lambda life: renamed(life, at.path(COPY), at.path("other.jpg")))
    for _ in range(2):
        assert at.life.ask(lambda life: listed(life, f"albums/{at.album}")) == (at.names - {COPY}) | {"other.jpg"}
        at.life.passes(SENT_S + PATIENCE_S)
    assert at.ask(read_all, OWN) == NAVY
    assert at.ask(read_all, "other.jpg") == RED


def test_the_time_of_a_copy_is_the_photos(at: Gallery) -> None:
    at.ask(timed, COPY, 10**18)
    at.life.passes(SENT_S + PATIENCE_S)
    at.has(NAVY, NAVY)
    assert [one.mtime_ns for one in at.store.assets()] == [10**18]
    assert at.life.ask(lambda life: existing(life, at.path(COPY))).st_mtime_ns == 10**18
    assert at.number(OWN) != at.number(COPY)


def test_a_copy_that_is_open_gets_a_time(at: Gallery) -> None:
    handle, _ = at.life.ask(lambda life: opened(life, at.path(COPY), os.O_RDWR))
    at.ask(timed, COPY, 10**18)
    at.life.ask(lambda life: released(life, handle))
    at.has(NAVY, NAVY)
    at.life.passes(SENT_S + PATIENCE_S)
    assert [one.mtime_ns for one in at.store.assets()] == [10**18]
    assert at.life.ask(lambda life: existing(life, at.path(COPY))).st_mtime_ns == 10**18
    assert at.number(OWN) != at.number(COPY)
    at.put(COPY, RED)
    at.is_apart(RED)


def members(at: Gallery, album: str) -> set[bytes]:
    """The bytes that are in the album at the server."""
    return {at.store.bytes_of(one.id) for one in at.store.members(at.store.titled(album).id)}


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_keeps_the_bytes_that_the_photo_had(way: str, at: Gallery) -> None:
    verb, more, data = WAYS[way]
    before = at.number(COPY)
    at.ask(verb, OWN, *more)
    for _ in range(80):
        at.has(data, NAVY)
        at.life.passes(1.0)
    assert at.number(COPY) == before
    for _ in range(2):
        at.has(data, NAVY)
        assert at.store.trashed() == []
        assert {at.store.bytes_of(one.id) for one in at.store.assets()} == {data, NAVY}
        assert members(at, at.album) == ({data, NAVY} if at.album == "A" else {NAVY})
        assert members(at, "A") == ({data, NAVY} if at.album == "A" else {data})
        assert at.a in [one.id for one in at.store.members(at.store.titled(at.album).id)]
        assert items(at.life) == []
        at.life = at.life.restarted()
        at.life.passes(PATIENCE_S)
    at.put(OWN, GREEN)
    at.has(GREEN, NAVY)
    at.life.passes(SENT_S + PATIENCE_S)
    at.has(GREEN, NAVY)
    assert [at.store.bytes_of(one.id) for one in at.store.trashed()] == [data]
    at.put(COPY, LAST)
    at.life.passes(UNFINISHED_S + PATIENCE_S)
    at.has(GREEN, LAST)
    assert members(at, at.album) == ({GREEN, LAST} if at.album == "A" else {LAST})


@pytest.mark.parametrize("kind", [None, FaultKind.LOST, FaultKind.HALF, FaultKind.UNREACHABLE])
@pytest.mark.parametrize("method", ["upload", "replace"])
@pytest.mark.parametrize("way", ["cp", "rename", "backup"])
@pytest.mark.parametrize("album", ["A", "B"])
def test_a_copy_that_still_waits_keeps_the_bytes_that_the_photo_had(
    album: str, way: str, method: str, kind: FaultKind | None, tmp_path: Path
) -> None:
    """Whichever of the two is sent first."""
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        store.put(OWN, NAVY, store.titled("A").id)
        life.passes(PATIENCE_S)
        if kind is not None:
            store.script.add(Fault(kind, method))
        life.ask(lambda life: put(life, f"albums/{album}/{COPY}", NAVY))
        life.ask(lambda life: WAYS[way][0](life, f"albums/A/{OWN}", RED))
        for _ in range(60):
            assert life.ask(lambda life: read_all(life, f"albums/A/{OWN}")) == RED
            assert life.ask(lambda life: read_all(life, f"albums/{album}/{COPY}")) == NAVY
            assert life.ask(lambda life: listed(life, "albums/A")) == ({OWN, COPY} if album == "A" else {OWN})
            life.passes(1.0)
        assert store.trashed() == []
        assert {store.bytes_of(one.id) for one in store.assets()} == {RED, NAVY}
        assert len(store.members(store.titled("A").id)) == (2 if album == "A" else 1)
        assert len(store.members(store.titled("B").id)) == (1 if album == "B" else 0)


@pytest.mark.parametrize("kills", [False, True])
@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.LOST_SILENTLY, FaultKind.HALF, FaultKind.UNREACHABLE])
def test_a_copy_keeps_its_bytes_whatever_becomes_of_the_answer(kind: FaultKind, kills: bool, at: Gallery) -> None:
    at.store.script.add(Fault(kind, "replace"))
    at.put(OWN, RED)
    at.life.passes(SENT_S)
    at.has(RED, NAVY)
    if kills:
        at.life = at.life.killed()
    for _ in range(60):
        at.has(RED, NAVY)
        at.life.passes(1.0)
    assert at.store.trashed() == []
    assert members(at, at.album) == ({RED, NAVY} if at.album == "A" else {NAVY})


def test_what_is_said_of_a_photo_that_waits_is_said_of_its_new_bytes(at: Gallery) -> None:
    """A link, a mark and a description; nothing of it becomes the copy's."""
    at.put(OWN, RED)
    at.life.ask(lambda life: directory_made(life, "albums/C"))
    at.life.ask(lambda life: linked(life, at.path(OWN), "albums/C/a.jpg"))
    at.life.ask(lambda life: marked(life, at.path(OWN), "user.iiiffs.favorite", b"1"))
    at.life.ask(lambda life: marked(life, at.path(OWN), "user.iiiffs.description", b"new"))
    for _ in range(60):
        at.has(RED, NAVY)
        assert at.life.ask(lambda life: read_all(life, "albums/C/a.jpg")) == RED
        at.life.passes(1.0)
    assert at.store.trashed() == []
    assert members(at, "C") == {RED}
    (new,) = [one for one in at.store.assets() if one.id != at.a]
    assert (new.favorite, new.description) == (True, "new")
    former = at.store.asset(at.a)
    assert (former.favorite, former.description) == (False, "")


def test_links_and_marks_of_a_photo_follow_its_edit_and_not_its_copy(at: Gallery) -> None:
    at.life.ask(lambda life: directory_made(life, "albums/C"))
    at.life.ask(lambda life: linked(life, at.path(OWN), "albums/C/a.jpg"))
    at.life.ask(lambda life: marked(life, at.path(OWN), "user.iiiffs.favorite", b"1"))
    at.life.passes(SENT_S + PATIENCE_S)
    at.put(OWN, RED)
    for _ in range(60):
        at.has(RED, NAVY)
        assert at.life.ask(lambda life: read_all(life, "albums/C/a.jpg")) == RED
        assert at.life.ask(lambda life: listed(life, "albums/C")) == {OWN}
        at.life.passes(1.0)
    assert members(at, "C") == {RED}
    assert [at.store.bytes_of(one.id) for one in at.store.assets() if one.favorite] == [RED]


@pytest.mark.parametrize("which", [OWN, COPY])
@pytest.mark.parametrize("wait_s", [0.0, SENT_S, SENT_S + PATIENCE_S])
def test_one_of_both_is_removed_after_the_edit(which: str, wait_s: float, at: Gallery) -> None:
    at.put(OWN, RED)
    at.life.passes(wait_s)
    at.ask(unlinked, which)
    left = COPY if which == OWN else OWN
    for _ in range(60):
        assert at.life.ask(lambda life: listed(life, f"albums/{at.album}")) == at.names - {which}
        assert at.ask(read_all, left) == (NAVY if left == COPY else RED)
        at.life.passes(1.0)
    album = "A" if left == OWN else at.album
    assert members(at, album) == {NAVY if left == COPY else RED}


def test_former_bytes_again_are_one_photo_by_both_names(at: Gallery) -> None:
    at.put(OWN, RED)
    at.life.passes(SENT_S + PATIENCE_S)
    at.put(OWN, NAVY)
    for _ in range(60):
        at.has(NAVY, NAVY)
        at.life.passes(1.0)
    at.put(OWN, GREEN)
    for _ in range(60):
        at.has(GREEN, NAVY)
        at.life.passes(1.0)
    assert members(at, at.album) == ({GREEN, NAVY} if at.album == "A" else {NAVY})


@pytest.mark.parametrize("way", ["cp", "rename", "backup"])
def test_a_copy_is_written_while_new_bytes_of_the_photo_wait(way: str, at: Gallery) -> None:
    at.put(OWN, GREEN)
    at.ask(WAYS[way][0], COPY, RED)
    at.has(GREEN, RED)
    at.life.passes(SENT_S + PATIENCE_S)
    at.has(GREEN, RED)
    assert [at.store.bytes_of(one.id) for one in at.store.trashed()] == [NAVY]


def test_the_photos_own_name_is_written_while_its_copy_waits(at: Gallery) -> None:
    at.put(COPY, RED)
    at.put(OWN, GREEN)
    at.has(GREEN, RED)
    at.life.passes(SENT_S + PATIENCE_S)
    at.has(GREEN, RED)
    assert [at.store.bytes_of(one.id) for one in at.store.trashed()] == [NAVY]


@pytest.mark.warns("the script says rejected")
def test_a_copy_whose_new_bytes_are_refused_and_discarded_is_what_it_was(at: Gallery) -> None:
    at.store.script.add(Fault(FaultKind.REJECTED, "upload", times=None))
    at.put(COPY, RED)
    at.life.passes(SENT_S + PATIENCE_S)
    at.has(NAVY, RED)
    (item,) = [item for item in items(at.life) if item.stage is Stage.FAILED]
    at.life.ask(lambda life: life.outgoing.queue.drop(item.id))
    at.has(NAVY, NAVY)


@pytest.mark.parametrize("wait_s", [0.0, SENT_S])
def test_a_new_photo_and_its_copy_at_once(wait_s: float, tmp_path: Path) -> None:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        for other in (OWN, COPY):
            life.ask(lambda life, other=other: put(life, f"albums/A/{other}", NAVY))  # type: ignore[misc]
            life.passes(wait_s)
        for _ in range(2):
            assert life.ask(lambda life: listed(life, "albums/A")) == {OWN, COPY}
            life.passes(SENT_S + PATIENCE_S)
        (asset,) = store.assets()  # of two that are sent at once the server says which name is its own
        copy = ({OWN, COPY} - {asset.name}).pop()
        life.ask(lambda life: put(life, f"albums/A/{copy}", RED))
        for _ in range(2):
            assert life.ask(lambda life: listed(life, "albums/A")) == {OWN, COPY}
            assert life.ask(lambda life: read_all(life, f"albums/A/{asset.name}")) == NAVY
            assert life.ask(lambda life: read_all(life, f"albums/A/{copy}")) == RED
            life.passes(SENT_S + PATIENCE_S)
        assert store.trashed() == []
