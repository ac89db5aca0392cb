"""What a person should know of a file and would not see: what a replacement lost, and why a name shows other bytes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyfuse3 import FileHandleT

from tests.harness.scripted import Flavour, Store
from tests.harness.tree import jpeg
from tests.harness.writing_tree import (
    SETTLE_S,
    Life,
    attribute,
    called,
    listed,
    opened,
    read_all,
    released,
    unlinked,
    unmarked,
)

NAVY, RED, GREEN = (jpeg(colour=colour) for colour in ("navy", "red", "green"))
SENT_S = SETTLE_S + 1.0
PATIENCE_S = 40.0
"""Longer than a file that was sent waits for its provider's listing."""
NOTE = "user.iiiffs.note"
ALIAS = "the server keeps these bytes once, as a.jpg ({}); copy.jpg is a name for them"
LOST = "its bytes were replaced here, and the server could not carry over faces, 3 shared links"


@contextmanager
def living(folder: Path) -> Iterator[tuple[list[Life], Store]]:
    """A mount over a server with albums A and B; whoever starts another life puts it into the list."""
    with Store(folder / "server", Flavour.IMMICH) as store:
        store.make_album("A")
        store.make_album("B")
        lives = [Life(folder / "home", store)]
        try:
            yield lives, store
        finally:
            lives[-1].close()
        store.check()


def put(life: Life, path: str, data: bytes) -> None:
    async def work(life: Life) -> None:
        handle, _ = await opened(life, path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        await called(life.operations.write(FileHandleT(handle), 0, data))
        await released(life, handle)

    life.ask(work)


def note(life: Life, path: str) -> str | None:
    return life.ask(lambda life: attribute(life, path, NOTE))


@pytest.mark.parametrize("end", ["restarted", "killed", "without_cache"])
def test_what_a_replacement_lost_is_told_until_it_is_replaced_or_dismissed(end: str, tmp_path: Path) -> None:
    with living(tmp_path) as (lives, store):
        old = store.put("a.jpg", NAVY, store.titled("A").id)
        store.set_uncarried(old.id, "faces", "3 shared links")
        lives[-1].passes(PATIENCE_S)
        put(lives[-1], "albums/A/a.jpg", RED)
        assert note(lives[-1], "albums/A/a.jpg") is None
        lives[-1].passes(SENT_S)
        assert note(lives[-1], "albums/A/a.jpg") == LOST
        lives.append(getattr(lives[-1], end)())
        assert note(lives[-1], "albums/A/a.jpg") == LOST
        put(lives[-1], "albums/A/a.jpg", GREEN)
        lives[-1].passes(SENT_S + PATIENCE_S)
        assert note(lives[-1], "albums/A/a.jpg") is None


def test_a_note_is_dismissed_by_removing_it(tmp_path: Path) -> None:
    with living(tmp_path) as (lives, store):
        old = store.put("a.jpg", NAVY, store.titled("A").id)
        store.set_uncarried(old.id, "faces", "3 shared links")
        lives[-1].passes(PATIENCE_S)
        put(lives[-1], "albums/A/a.jpg", RED)
        lives[-1].passes(SENT_S + PATIENCE_S)
        lives[-1].ask(lambda life: unmarked(life, "albums/A/a.jpg", NOTE))
        assert note(lives[-1], "albums/A/a.jpg") is None
        with pytest.raises(OSError) as raised:
            lives[-1].ask(lambda life: unmarked(life, "albums/A/a.jpg", NOTE))
        assert raised.value.errno == errno.ENODATA
        lives.append(lives[-1].killed())
        assert note(lives[-1], "albums/A/a.jpg") is None


@pytest.mark.parametrize("end", ["restarted", "killed", "without_cache"])
@pytest.mark.parametrize("album", ["A", "B"])
def test_a_copy_of_bytes_that_are_there_keeps_its_name_and_says_why(end: str, album: str, tmp_path: Path) -> None:
    with living(tmp_path) as (lives, store):
        there = store.put("a.jpg", NAVY, store.titled("A").id)
        lives[-1].passes(PATIENCE_S)
        assert note(lives[-1], "albums/A/a.jpg") is None
        put(lives[-1], f"albums/{album}/copy.jpg", NAVY)
        lives[-1].passes(SENT_S)
        assert note(lives[-1], f"albums/{album}/copy.jpg") == ALIAS.format(there.id)
        lives[-1].passes(PATIENCE_S)
        lives.append(getattr(lives[-1], end)())
        shown = {"a.jpg", "copy.jpg"} if album == "A" else {"copy.jpg"}
        assert lives[-1].ask(lambda life: listed(life, f"albums/{album}")) == shown
        assert lives[-1].ask(lambda life: read_all(life, f"albums/{album}/copy.jpg")) == NAVY
        assert note(lives[-1], f"albums/{album}/copy.jpg") == ALIAS.format(there.id)
        lives[-1].ask(lambda life: unlinked(life, f"albums/{album}/copy.jpg"))
        assert note(lives[-1], "albums/A/a.jpg") is None
        lives[-1].passes(SENT_S + PATIENCE_S)
        assert [one.id for one in store.members(store.titled("A").id)] == [there.id]
        assert store.members(store.titled("B").id) == []


def test_a_copy_keeps_its_name_and_its_bytes_when_the_photo_is_replaced(tmp_path: Path) -> None:
    with living(tmp_path) as (lives, store):
        store.put("a.jpg", NAVY, store.titled("A").id)
        lives[-1].passes(PATIENCE_S)
        put(lives[-1], "albums/B/copy.jpg", NAVY)
        lives[-1].passes(SENT_S + PATIENCE_S)
        put(lives[-1], "albums/A/a.jpg", RED)
        lives[-1].passes(SENT_S + PATIENCE_S)
        (old,) = store.members(store.titled("B").id)
        assert [one.sha1 == old.sha1 for one in store.members(store.titled("A").id)] == [False]
        for _ in range(2):
            assert lives[-1].ask(lambda life: listed(life, "albums/B")) == {"copy.jpg"}
            assert lives[-1].ask(lambda life: read_all(life, "albums/B/copy.jpg")) == NAVY
            assert note(lives[-1], "albums/B/copy.jpg") == ALIAS.format(old.id)
            lives.append(lives[-1].without_cache())
