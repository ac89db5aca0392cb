"""What was not written to its end: a full disk that the program was told of, and a crash in the middle of a change.

It is never sent by itself, never thrown away, and never stands where a whole file was (DESIGN §4.1, §4.4).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyfuse3 import FileHandleT

from iiiffs.sync.items import Item, Stage
from iiiffs.sync.missing import with_missing, without_cut, without_written
from iiiffs.sync.stages import INTERRUPTED, NOT_KEPT
from iiiffs.vfs import local_files
from tests.harness.scripted import Flavour
from tests.harness.writing_tree import SETTLE_S, Life, called, opened, released, renamed
from tests.unit.vfs.test_changes_writing import NAVY, RED, bodies, body, items, living, names, there, wrote

LONG_S = 70.0
"""Longer than an interrupted copy settles."""
HALF = len(RED) // 2
FULL = pytest.mark.warns("No space left")
TOLD = pytest.mark.warns("changes could not be sent", "not a picture", "No space left")


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch, from_byte: int = 0) -> Iterator[None]:
    """A disk that takes no byte at or behind that offset of any file."""
    write_all = local_files._write_all

    def write(descriptor: int, data: bytes, offset: int) -> None:
        room = max(0, from_byte - offset)
        write_all(descriptor, data[:room], offset)
        if room < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(local_files, "_write_all", write)
        yield


async def copied(life: Life, path: str, data: bytes, flags: int = os.O_WRONLY | os.O_CREAT | os.O_TRUNC) -> None:
    """As cp, which ends at the first error, and closes. Errors: OSError."""
    handle, _ = await opened(life, path, flags)
    try:
        for offset in range(0, len(data), 64):
            part = data[offset : offset + 64]
            assert await called(life.operations.write(FileHandleT(handle), offset, part)) == len(part)
    finally:
        await released(life, handle)


def fails(life: Life, path: str, data: bytes = RED) -> None:
    """Copying it is answered ENOSPC."""
    with pytest.raises(OSError) as refused:
        life.ask(lambda life: copied(life, path, data))
    assert refused.value.errno == errno.ENOSPC


@contextmanager
def killed(life: Life) -> Iterator[Life]:
    """The next life."""
    after = life.killed()
    try:
        yield after
    finally:
        after.close()


def attribute(life: Life, path: str, name: str) -> str:
    async def ask(life: Life) -> str:
        handle, inode = await opened(life, path, os.O_RDONLY)
        await released(life, handle)
        return bytes(await called(life.operations.getxattr(inode, name.encode(), None))).decode()  # type: ignore[arg-type]

    return life.ask(ask)


@FULL
def test_a_copy_for_which_there_was_no_room_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        with full(monkeypatch, HALF):
            fails(life, "files/x.jpg")
        life.passes(LONG_S)
        (item,) = items(life)
        assert (item.stage, item.reason, item.missing) == (
            Stage.FAILED,
            NOT_KEPT,
            (HALF // 64 * 64, HALF // 64 * 64 + 64),
        )
        assert bodies(store) == {}
        assert body(life, "files/x.jpg") == RED[:HALF]  # its name stays
        assert attribute(life, "files/x.jpg", "user.iiiffs.state") == "failed"
        assert NOT_KEPT in attribute(life, "files/x.jpg", "user.iiiffs.error")
        life.ask(wrote("files/x.jpg", RED))  # there is room again
        life.passes(SETTLE_S + 1)
        assert bodies(store) == {"x.jpg": RED}


@FULL
@pytest.mark.parametrize("flavour", Flavour)
def test_a_change_for_which_there_was_no_room_leaves_what_was_there(
    flavour: Flavour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with living(tmp_path, flavour) as (life, store):
        folder = "files" if flavour is Flavour.FOLDER else "albums/A"
        store.put("x.jpg", NAVY, None if flavour is Flavour.FOLDER else store.albums()[0].id)
        life.passes(2.0)
        with full(monkeypatch, HALF):
            fails(life, f"{folder}/x.jpg")
        for _ in range(2):
            assert body(life, f"{folder}/x.jpg") == NAVY
            assert names(life, folder) == {"x.jpg"}
            (item,) = items(life)
            assert (item.stage, item.reason) == (Stage.FAILED, NOT_KEPT)
            assert life.outgoing.queue.spool.path(item.id).read_bytes() == RED[:HALF]
            life.passes(LONG_S)
        assert bodies(store) == {"x.jpg": NAVY}
        life.ask(wrote(f"{folder}/x.jpg", RED))  # another try is another change
        life.passes(LONG_S)
        assert bodies(store) == {"x.jpg": RED}
        assert body(life, f"{folder}/x.jpg") == RED


@FULL
def test_a_temporary_file_for_which_there_was_no_room_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor that does not look whether its writing worked."""
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        there(life, store, "x.jpg", NAVY)
        with full(monkeypatch, HALF):
            fails(life, "files/.x.jpg.Ab12cd")
        life.ask(lambda life: renamed(life, "files/.x.jpg.Ab12cd", "files/x.jpg"))
        life.passes(LONG_S)
        assert bodies(store) == {"x.jpg": NAVY}
        assert body(life, "files/x.jpg") == NAVY
        assert [item.stage for item in items(life)] == [Stage.FAILED]


@FULL
def test_bytes_that_are_written_again_are_missed_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(life: Life, handle: int, offset: int) -> None:
        await called(life.operations.write(FileHandleT(handle), offset, RED[offset:]))

    with living(tmp_path, Flavour.FOLDER) as (life, store):
        handle, _ = life.ask(lambda life: opened(life, "files/x.jpg", os.O_WRONLY | os.O_CREAT))
        life.ask(lambda life: write(life, handle, 0))
        with full(monkeypatch), pytest.raises(OSError):
            life.ask(lambda life: write(life, handle, 8))
        life.ask(lambda life: write(life, handle, 4))
        life.ask(lambda life: released(life, handle))
        life.passes(LONG_S)
        assert bodies(store) == {"x.jpg": RED}


@TOLD
def test_what_could_not_be_kept_is_not_sent_after_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        handle, _ = life.ask(lambda life: opened(life, "files/x.jpg", os.O_WRONLY | os.O_CREAT))
        with full(monkeypatch, HALF), pytest.raises(OSError):
            life.ask(lambda life: called(life.operations.write(FileHandleT(handle), 0, RED)))
        life.ask(lambda life: called(life.operations.flush(FileHandleT(handle))))
        with killed(life) as after:
            after.passes(LONG_S)
            assert [(item.stage, item.reason) for item in items(after)] == [(Stage.FAILED, NOT_KEPT)]
            assert bodies(store) == {}


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("is_sent", [False, True])
@TOLD
def test_a_crash_in_the_middle_of_a_change_leaves_what_was_there(
    is_sent: bool, flavour: Flavour, tmp_path: Path
) -> None:
    async def change(life: Life, path: str) -> None:
        handle, _ = await opened(life, path, os.O_RDWR)
        await called(life.operations.write(FileHandleT(handle), 2, b"!"))
        await life.outgoing.queue.commit()

    async def decide(life: Life, item: Item) -> None:
        if is_sent:
            await life.outgoing.queue.commit(replace(item, stage=Stage.READY, reason=None))
        else:
            await life.outgoing.queue.drop(item.id)

    with living(tmp_path, flavour) as (life, store):
        folder = "files" if flavour is Flavour.FOLDER else "albums/A"
        store.put("x.jpg", NAVY, None if flavour is Flavour.FOLDER else store.albums()[0].id)
        life.passes(2.0)
        life.ask(lambda life: change(life, f"{folder}/x.jpg"))
        half = NAVY[:2] + b"!" + NAVY[3:]
        with killed(life) as after:
            (item,) = items(after)
            assert (item.stage, item.reason) == (Stage.FAILED, INTERRUPTED)
            assert after.outgoing.queue.spool.path(item.id).read_bytes() == half
            assert body(after, f"{folder}/x.jpg") == NAVY
            after.passes(LONG_S)
            assert bodies(store) == {"x.jpg": NAVY}
            after.ask(lambda life: decide(life, item))
            after.passes(LONG_S)
            assert bodies(store) == {"x.jpg": half if is_sent else NAVY}
            assert items(after) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10), st.sampled_from(["kept", "lost", "cut"]))))
def test_no_byte_is_missing_and_not_known_to_be(calls: list[tuple[int, int, str]]) -> None:
    lost: set[int] = set()
    missing: tuple[int, int] | None = None
    for offset, length, what in calls:
        if what == "kept":
            lost -= set(range(offset, offset + length))
            missing = without_written(missing, offset, offset + length)
        elif what == "lost":
            lost |= set(range(offset, offset + length))
            missing = with_missing(missing, offset, offset + length)
        else:
            lost -= set(range(offset, 100))
            missing = without_cut(missing, offset)
        assert lost <= set(range(*missing) if missing else ())
        assert missing is None or missing[0] < missing[1]
    assert without_written(missing, 0, 100) is None
    assert without_cut(missing, 0) is None
