"""Two names of one photo in an album, where its server calls it by a third: each goes its own way; that is hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.scripted import Fault, FaultKind, Flavour
from tests.harness.writing_tree import listed, read_all, unlinked
from tests.unit.vfs.test_changes_writing import NAVY, PATIENCE_S, RED, SENT_S, living, put

AGES = {"sent": SENT_S, "listed": SENT_S + PATIENCE_S}
"""Of the last copy."""


@pytest.mark.parametrize("which", ["first.jpg", "second.jpg"])
@pytest.mark.parametrize("way", ["removed", "written"])
@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("first_age", AGES)
def test_one_of_two_copies_is(way: str, which: str, age: str, first_age: str, tmp_path: Path) -> None:
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        store.put("x.jpg", NAVY, store.titled("A").id)
        life.passes(PATIENCE_S)
        for name, seconds in (("first.jpg", AGES[first_age]), ("second.jpg", AGES[age])):
            life.ask(lambda life, name=name: put(life, f"albums/B/{name}", NAVY))  # type: ignore[misc]
            life.passes(seconds)
        wanted = {"first.jpg": NAVY, "second.jpg": NAVY}
        if way == "removed":
            life.ask(lambda life: unlinked(life, f"albums/B/{which}"))
            del wanted[which]
        else:
            life.ask(lambda life: put(life, f"albums/B/{which}", RED))
            wanted[which] = RED
        for _ in range(60):
            shown = life.ask(lambda life: listed(life, "albums/B"))
            assert shown == set(wanted)
            for name, data in wanted.items():
                assert life.ask(lambda life, name=name: read_all(life, f"albums/B/{name}")) == data  # type: ignore[misc]
            life.passes(1.0)
        held = [store.bytes_of(one.id) for one in store.members(store.titled("B").id)]
        assert sorted(held) == sorted(set(wanted.values()))
        assert store.trashed() == []


@pytest.mark.parametrize("gap_s", [0.0, 0.5, SENT_S])
@pytest.mark.parametrize("kind", [FaultKind.LATENCY, FaultKind.LATE])
@pytest.mark.parametrize("which", [0, 1])
def test_of_two_new_files_one_is_sent_much_later(which: int, kind: FaultKind, gap_s: float, tmp_path: Path) -> None:
    """The other is listed by then: both go on."""
    with living(tmp_path, Flavour.IMMICH) as (life, store):
        store.script.add(Fault(kind, "upload", skip=which, seconds=4.0))
        for name in ("first.jpg", "second.jpg"):
            life.ask(lambda life, name=name: put(life, f"albums/B/{name}", NAVY))  # type: ignore[misc]
            life.passes(gap_s)
        for _ in range(60):
            assert life.ask(lambda life: listed(life, "albums/B")) == {"first.jpg", "second.jpg"}
            for name in ("first.jpg", "second.jpg"):
                assert life.ask(lambda life, name=name: read_all(life, f"albums/B/{name}")) == NAVY  # type: ignore[misc]
            life.passes(1.0)
        assert [store.bytes_of(one.id) for one in store.members(store.titled("B").id)] == [NAVY]
        assert store.trashed() == []
