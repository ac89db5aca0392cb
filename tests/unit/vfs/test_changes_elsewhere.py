"""What others do to a file that was changed here and has not been sent: its new bytes follow it, under one name."""

from __future__ import annotations

from pathlib import Path

from tests.harness.scripted import Flavour
from tests.harness.writing_tree import renamed, unlinked
from tests.unit.vfs.test_changes_writing import NAVY, RED, SENT_S, bodies, is_there, items, living, names, wrote


def test_what_was_sent_into_a_file_that_others_moved_is_shown_where_that_is(tmp_path: Path) -> None:
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        there = store.make_album("there")
        asset = store.put("x.jpg", NAVY)
        life.passes(SENT_S)
        life.ask(wrote("files/x.jpg", RED))
        store.move(asset.id, there.id, "y.jpg")
        life.passes(SENT_S)
        assert bodies(store) == {"y.jpg": RED}
        assert items(life) != []  # it was sent just now
        assert not is_there(life, "files/x.jpg")
        assert names(life, "files") == {"there"}
        assert names(life, "files/there") == {"y.jpg"}


def test_a_changed_file_that_others_moved_is_nowhere_once_it_is_removed(tmp_path: Path) -> None:
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        there = store.make_album("there")
        asset = store.put("x.jpg", NAVY)
        life.passes(SENT_S)
        life.ask(wrote("files/x.jpg", RED))
        store.move(asset.id, there.id, "y.jpg")
        life.passes(1.5)
        assert names(life, "files/there") == {"y.jpg"}
        life.ask(lambda life: unlinked(life, "files/x.jpg"))
        assert names(life, "files/there") == set()
        assert bodies(store) == {}


def test_a_changed_file_that_others_moved_is_where_it_is_renamed_to_alone(tmp_path: Path) -> None:
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        there = store.make_album("there")
        asset = store.put("x.jpg", NAVY)
        life.passes(SENT_S)
        life.ask(wrote("files/x.jpg", RED))
        store.move(asset.id, there.id, "y.jpg")
        life.passes(1.5)
        assert names(life, "files/there") == {"y.jpg"}
        life.ask(lambda life: renamed(life, "files/x.jpg", "files/z.jpg"))
        assert names(life, "files/there") == set()
        assert names(life, "files") == {"there", "z.jpg"}
        life.passes(SENT_S)
        assert bodies(store) == {"z.jpg": RED}
