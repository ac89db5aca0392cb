"""What was sent or linked here a moment ago, and was changed by somebody else since, is what it is now: under its name
nothing is stale. Rule: DESIGN §4.5, §4.6."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from iiiffs.sync.items import Stage
from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.tree import jpeg
from tests.harness.writing_tree import Life, linked, renamed, unlinked
from tests.unit.vfs.test_changes_writing import (
    PATIENCE_S,
    SENT_S,
    bodies,
    body,
    is_there,
    items,
    living,
    names,
    wrote,
)

NAVY, RED, GREEN = (jpeg(colour=colour) for colour in ("navy", "red", "green"))
NOTICED_S = 0.5


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    """files/x.jpg was sent, and is not listed yet."""
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        life.ask(wrote("files/x.jpg", NAVY))
        life.passes(SENT_S)
        assert [item.stage for item in items(life)] == [Stage.SENT]
        yield life, store


def test_what_was_sent_is_changed(folders: tuple[Life, Store]) -> None:
    life, store = folders
    store.edit_bytes(store.assets()[0].id, RED)
    assert body(life, "files/x.jpg") == RED


def test_what_was_sent_is_changed_and_renamed(folders: tuple[Life, Store]) -> None:
    life, store = folders
    store.edit_bytes(store.assets()[0].id, RED)
    life.ask(lambda life: renamed(life, "files/x.jpg", "files/y.jpg"))
    assert body(life, "files/y.jpg") == RED
    assert names(life, "files") == {"y.jpg"}
    assert bodies(store) == {"y.jpg": RED}


def test_what_was_sent_is_changed_and_removed(folders: tuple[Life, Store]) -> None:
    life, store = folders
    store.edit_bytes(store.assets()[0].id, RED)
    life.ask(lambda life: unlinked(life, "files/x.jpg"))
    assert not is_there(life, "files/x.jpg")
    assert bodies(store) == {}


def test_what_was_sent_is_changed_and_changed_here(folders: tuple[Life, Store]) -> None:
    life, store = folders
    store.edit_bytes(store.assets()[0].id, RED)
    life.ask(wrote("files/x.jpg", GREEN))
    assert body(life, "files/x.jpg") == GREEN
    life.passes(PATIENCE_S)
    assert bodies(store) == {"x.jpg": GREEN}


def test_what_was_sent_is_renamed_by_somebody_else(folders: tuple[Life, Store]) -> None:
    life, store = folders
    store.rename(store.assets()[0].id, "y.jpg")
    life.passes(NOTICED_S)
    assert body(life, "files/y.jpg") == NAVY
    assert not is_there(life, "files/x.jpg")
    assert names(life, "files") == {"y.jpg"}


def test_what_was_sent_is_shown_though_nobody_can_be_asked(folders: tuple[Life, Store]) -> None:
    life, store = folders
    store.script.add(Fault(FaultKind.UNREACHABLE, "asset", times=None))
    assert is_there(life, "files/x.jpg")


def test_what_was_linked_is_changed(tmp_path: Path) -> None:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        asset = store.put("x.jpg", NAVY, store.titled("A").id)
        life.passes(PATIENCE_S)
        assert body(life, "albums/A/x.jpg") == NAVY
        store.script.add(Fault(FaultKind.UNREACHABLE, "add", times=None))
        life.ask(lambda life: linked(life, "albums/A/x.jpg", "albums/B/x.jpg"))
        store.edit_bytes(asset.id, RED)
        life.passes(NOTICED_S)
        assert body(life, "albums/A/x.jpg") == RED
        assert body(life, "albums/B/x.jpg") == RED
