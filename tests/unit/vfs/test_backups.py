"""The dance of editors where names are fixed: what was is renamed to a backup name, and another file takes its place.

The photo is replaced then, with its albums and marks; the copy stays here. Cut off anywhere, the photo is as it was.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from iiiffs.model.writing import Edit
from iiiffs.sync.items import Stage
from tests.harness.scripted import Fault, FaultKind
from tests.harness.writing_tree import Life, directory_made, directory_removed, looked_up, opened, released, renamed
from tests.unit.vfs.test_properties import GREEN, JUNE_NS, NAVY, PATIENCE_S, RED, SENT_S, Lives, _items, living

NAME, TEMP = "albums/A/a.jpg", "albums/A/a.jpg_exiftool_tmp"
BACKUPS = ["a.jpg_original", "a.jpg~", "a.jpg.bak"]


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    """a.jpg is in A and B, and a favorite with a tag."""
    with living(tmp_path) as lives:
        lives.store.add(lives.store.make_album("B").id, lives.a)
        lives.store.edit(lives.a, Edit(favorite=True, description="A day at the sea"))
        lives.store.tag("Sea", lives.a)
        lives.passes(PATIENCE_S)
        yield lives


def moves(lives: Lives, old: str, new: str) -> None:
    lives.life.ask(lambda life: renamed(life, f"albums/A/{old}", f"albums/A/{new}"))


def is_replaced(lives: Lives, data: bytes) -> None:
    """By that, and nothing else is at the server."""
    (new,) = lives.store.assets()
    assert lives.store.bytes_of(new.id) == data
    assert (new.name, bool(new.favorite), new.description) == ("a.jpg", True, "A day at the sea")
    assert [album.title for album in lives.store.albums_of(new.id)] == ["A", "B"]
    assert lives.store.tags_of(new.id) == ["Sea"]


def is_untouched(lives: Lives) -> None:
    (asset,) = lives.store.assets()
    assert (asset.id, lives.store.bytes_of(asset.id)) == (lives.a, NAVY)
    assert lives.store.trashed() == []


@pytest.mark.parametrize("backup", BACKUPS)
@pytest.mark.parametrize("way", ["temp", "anew"])
def test_an_editor_that_keeps_what_was(way: str, backup: str, lives: Lives) -> None:
    if way == "temp":
        lives.put(TEMP, RED)
    moves(lives, "a.jpg", backup)
    assert lives.names("albums/A") == {backup} | ({TEMP[9:]} if way == "temp" else set())
    assert lives.life.ask(lambda life: looked_up(life, NAME)) is None
    assert lives.body(f"albums/A/{backup}") == NAVY
    assert lives.mtime_ns(f"albums/A/{backup}") == JUNE_NS
    if way == "temp":
        moves(lives, "a.jpg_exiftool_tmp", "a.jpg")
    else:
        lives.put(NAME, RED)
    for _ in range(3):
        assert lives.names("albums/A") == {"a.jpg", backup}
        assert (lives.body(NAME), lives.body(f"albums/A/{backup}")) == (RED, NAVY)
        assert lives.body("albums/B/a.jpg") == RED
        lives.passes(SENT_S + PATIENCE_S)
    is_replaced(lives, RED)
    assert [(item.name, item.stage) for item in lives.life.ask(_items)] == [(backup, Stage.SCRATCH)]
    lives.unlink(f"albums/A/{backup}")
    lives.passes()
    assert lives.names("albums/A") == {"a.jpg"}
    is_replaced(lives, RED)


@pytest.mark.parametrize("backup", BACKUPS)
@pytest.mark.parametrize("way", ["temp", "anew"])
def test_a_second_edit_before_the_first_is_sent(way: str, backup: str, lives: Lives) -> None:
    for data in (RED, GREEN):
        if way == "temp":
            lives.put(TEMP, data)
        moves(lives, "a.jpg", backup)
        assert "a.jpg" not in lives.names("albums/A")
        if way == "temp":
            moves(lives, "a.jpg_exiftool_tmp", "a.jpg")
        else:
            lives.put(NAME, data)
    assert (lives.body(NAME), lives.body(f"albums/A/{backup}")) == (GREEN, RED)
    lives.passes(SENT_S + PATIENCE_S)
    is_replaced(lives, GREEN)
    assert lives.names("albums/A") == {"a.jpg", backup}


@pytest.mark.parametrize("backup", BACKUPS)
def test_an_editor_that_goes_away(backup: str, lives: Lives) -> None:
    moves(lives, "a.jpg", backup)
    assert lives.names("albums/A") == {backup}
    lives.passes(11.0)
    assert lives.names("albums/A") == {"a.jpg", backup}
    assert lives.body(NAME) == NAVY
    is_untouched(lives)


@pytest.mark.parametrize("backup", BACKUPS)
def test_an_editor_that_takes_it_back(backup: str, lives: Lives) -> None:
    moves(lives, "a.jpg", backup)
    moves(lives, backup, "a.jpg")
    lives.passes(SENT_S + PATIENCE_S)
    is_untouched(lives)
    assert lives.names("albums/A") == {"a.jpg"}
    assert lives.body(NAME) == NAVY


@pytest.mark.parametrize("backup", BACKUPS)
def test_a_copy_that_is_put_back_after_the_edit(backup: str, lives: Lives) -> None:
    lives.put(TEMP, RED)
    moves(lives, "a.jpg", backup)
    moves(lives, "a.jpg_exiftool_tmp", "a.jpg")
    lives.passes(SENT_S + PATIENCE_S)
    moves(lives, backup, "a.jpg")
    lives.passes(SENT_S + PATIENCE_S)
    is_replaced(lives, NAVY)
    assert lives.names("albums/A") == {"a.jpg"}


@pytest.mark.parametrize("backup", BACKUPS)
def test_a_file_that_waits_is_renamed_itself(backup: str, lives: Lives) -> None:
    lives.put("albums/A/new.jpg", GREEN)
    new = backup.replace("a.jpg", "new.jpg")
    moves(lives, "new.jpg", new)
    assert lives.names("albums/A") == {"a.jpg", new}
    lives.put("albums/A/new.jpg", RED)
    lives.passes(SENT_S + PATIENCE_S)
    assert lives.names("albums/A") == {"a.jpg", "new.jpg", new}
    assert [lives.store.bytes_of(one.id) for one in lives.store.named("new.jpg")] == [RED]
    assert lives.body(f"albums/A/{new}") == GREEN
    assert len(lives.store.assets()) == 2


def test_a_program_that_has_it_open_and_has_changed_nothing_is_in_nobodys_way(lives: Lives) -> None:
    handle, _ = lives.life.ask(lambda life: opened(life, NAME, os.O_RDWR))
    moves(lives, "a.jpg", "a.jpg~")
    assert lives.names("albums/A") == {"a.jpg~"}
    assert lives.body("albums/A/a.jpg~") == NAVY
    lives.life.ask(lambda life: released(life, handle))
    lives.passes(11.0)
    assert lives.names("albums/A") == {"a.jpg", "a.jpg~"}
    is_untouched(lives)


@pytest.mark.warns("changes are not noticed")
@pytest.mark.parametrize("is_made_here", [True, False])
def test_an_album_is_not_empty_of_what_is_not_shown_for_a_moment(is_made_here: bool, lives: Lives) -> None:
    """The photo is only put into it, which nobody was told yet: its server would find it empty."""
    lives.store.take_out(lives.store.titled("B").id, lives.a)
    lives.passes(PATIENCE_S)
    album = "B"
    if is_made_here:
        album = "C"
        assert lives.body(NAME) == NAVY  # from the cache later
        lives.offline()
        lives.life.ask(lambda life: directory_made(life, "albums/C"))
    lives.link(NAME, f"albums/{album}/a.jpg")
    lives.life.ask(lambda life: renamed(life, f"albums/{album}/a.jpg", f"albums/{album}/a.jpg~"))
    lives.unlink(f"albums/{album}/a.jpg~")
    remove = partial(directory_removed, path=f"albums/{album}")
    assert lives.refused(lambda: lives.life.ask(remove)) == errno.ENOTEMPTY
    lives.passes(11.0)
    assert lives.names(f"albums/{album}") == {"a.jpg"}


@pytest.mark.parametrize("end", ["killed", "restarted"])
@pytest.mark.parametrize("backup", BACKUPS)
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_crash_at_every_step(steps: int, backup: str, end: str, lives: Lives) -> None:
    """1: the temporary file is written; 2: the photo is renamed; 3: the other one has its place; 4: it is sent."""
    lives.put(TEMP, RED)
    if steps > 1:
        moves(lives, "a.jpg", backup)
    if steps > 2:
        moves(lives, "a.jpg_exiftool_tmp", "a.jpg")
    if steps > 3:
        lives.passes(SENT_S)
    lives.life = getattr(lives.life, end)()
    left = {1: {TEMP[9:]}, 2: {TEMP[9:], backup}, 3: {backup}, 4: {backup}}[steps]
    assert lives.names("albums/A") == {"a.jpg"} | left
    assert lives.body(NAME) == (NAVY if steps < 3 else RED)
    if steps > 1:
        assert lives.body(f"albums/A/{backup}") == NAVY
    lives.passes(SENT_S + PATIENCE_S)
    if steps < 3:
        is_untouched(lives)
    else:
        is_replaced(lives, RED)
    assert lives.names("albums/A") == {"a.jpg"} | left
    assert {item.stage for item in lives.life.ask(_items)} == {Stage.SCRATCH}


def test_bytes_that_cannot_be_had_leave_all_as_it_was(lives: Lives) -> None:
    fault = lives.store.script.add(Fault(FaultKind.UNREACHABLE, "read", times=None))
    assert lives.refused(lambda: moves(lives, "a.jpg", "a.jpg_original")) == errno.EIO
    assert lives.names("albums/A") == {"a.jpg"}
    assert lives.life.ask(_items) == []
    assert lives.life.ask(_payloads) == set()
    lives.store.script.remove(*fault)
    assert lives.body(NAME) == NAVY


async def _payloads(life: Life) -> set[str]:
    return set(life.state.spool.sizes())


def test_a_server_that_is_silent_holds_nobody_for_ever(lives: Lives) -> None:
    lives.store.script.add(Fault(FaultKind.HANG, "read", times=None))
    assert lives.refused(lambda: moves(lives, "a.jpg", "a.jpg_original")) == errno.EIO
    assert lives.names("albums/A") == {"a.jpg"}
    assert lives.life.ask(_items) == []
    lives.store.script.clear()


@pytest.mark.parametrize("name", ["b.jpg", "notes.txt", "b.jpg_original", "a.png"])
def test_every_other_name_is_refused(name: str, lives: Lives) -> None:
    assert lives.refused(lambda: moves(lives, "a.jpg", name)) == errno.EPERM
    assert lives.names("albums/A") == {"a.jpg"}
    assert lives.life.ask(_items) == []
