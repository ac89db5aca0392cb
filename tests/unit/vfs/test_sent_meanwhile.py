"""Verbs that wait for a server, while a file that they found is sent, and listed under the id that it got there: what
was found is looked at anew, and nobody who only asked in that moment is refused. What tests/mount/test_stress.py
found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.writing_tree import SETTLE_S, Life, existing, linked, listed, read_all
from tests.unit.vfs.test_changes_writing import NAVY, RED, items, living, wrote


@pytest.fixture
def albums(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.IMMICH) as both:
        yield both


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
