"""Where albums are sets of photos: what is shown, and what becomes of it, in the moments in which it is told of twice,
half done, or in several albums. What tests/unit/vfs/test_writing_model.py found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.writing_tree import Life, directory_removed, listed, renamed, truncated, unlinked
from tests.unit.vfs.test_changes_writing import NAVY, SENT_S, living


@pytest.fixture
def albums(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.IMMICH) as both:
        yield both


def test_a_photo_is_shown_in_its_new_album_when_the_old_one_is_gone(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("a.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    life.ask(lambda life: renamed(life, "albums/A/a.jpg", "albums/B/a.jpg"))
    life.ask(lambda life: directory_removed(life, "albums/A"))
    assert life.ask(lambda life: listed(life, "albums/B")) == {"a.jpg"}


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
    assert life.ask(lambda life: listed(life, "albums/A")) == set()
    life.passes(SENT_S)
    assert store.members(store.titled("A").id) == []
