"""iiiffs.sync.folders: what only one side has is copied to the other, and nothing is overwritten or deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.sync.folders import FolderFile, FolderPlan, folder_plan, sums_needed

Contents = Mapping[str, bytes]
NAMES = st.sampled_from(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"])
FOLDERS = st.dictionaries(NAMES, st.binary(max_size=1) | st.just(b"long"))


def described(contents: Contents, summed: frozenset[str] | None = None) -> dict[str, FolderFile]:
    """The files, with the sums of `summed` (None: of all)."""
    return {
        name: FolderFile(len(body), hashlib.sha1(body).digest() if summed is None or name in summed else None)
        for name, body in contents.items()
    }


def planned(local: Contents, album: Contents) -> FolderPlan:
    """As the command does it: sums only where they are needed."""
    ours, theirs = sums_needed(described(local, frozenset()), described(album, frozenset()))
    return folder_plan(described(local, ours), described(album, theirs))


TABLE: dict[str, tuple[Contents, Contents, FolderPlan]] = {
    "nothing": ({}, {}, FolderPlan((), (), (), (), ())),
    "only here": ({"b": b"1", "a": b"22"}, {}, FolderPlan(("a", "b"), (), (), (), ())),
    "only there": ({}, {"b": b"1", "a": b"22"}, FolderPlan((), ("a", "b"), (), (), ())),
    "the same": ({"a": b"1"}, {"a": b"1"}, FolderPlan((), (), (), ("a",), ())),
    "another length": ({"a": b"1"}, {"a": b"22"}, FolderPlan((), (), ("a",), (), ())),
    "other bytes": ({"a": b"1"}, {"a": b"2"}, FolderPlan((), (), ("a",), (), ())),
    "another name": ({"a": b"1"}, {"b": b"1"}, FolderPlan((), (), (), (), (("a", "b"),))),
    "a copy beside it": ({"a": b"1", "b": b"1"}, {"a": b"1"}, FolderPlan(("b",), (), (), ("a",), ())),
    "two for one": ({"a": b"1", "b": b"1"}, {"c": b"1"}, FolderPlan(("b",), (), (), (), (("a", "c"),))),
    "of one length": ({"a": b"1"}, {"b": b"2"}, FolderPlan(("a",), ("b",), (), (), ())),
}


@pytest.mark.parametrize(("local", "album", "plan"), TABLE.values(), ids=TABLE)
def test_plans(local: Contents, album: Contents, plan: FolderPlan) -> None:
    assert planned(local, album) == plan


@given(FOLDERS, FOLDERS)
def test_every_file_is_in_one_place_of_the_plan(local: Contents, album: Contents) -> None:
    plan = planned(local, album)
    shared = [*plan.same, *plan.conflicts]
    assert sorted([*plan.upload, *shared, *(pair[0] for pair in plan.renamed)]) == sorted(local)
    assert sorted([*plan.download, *shared, *(pair[1] for pair in plan.renamed)]) == sorted(album)
    assert all(local[name] == album[name] for name in plan.same)
    assert all(local[name] != album[name] for name in plan.conflicts)
    assert all(local[here] == album[there] for here, there in plan.renamed)


@given(FOLDERS, FOLDERS)
def test_both_have_all_bytes_afterwards_and_a_second_time_does_nothing(local: Contents, album: Contents) -> None:
    plan = planned(local, album)
    here = {**local, **{name: album[name] for name in plan.download}}
    there = {**album, **{name: local[name] for name in plan.upload}}
    assert all(here[name] == body for name, body in local.items())
    assert all(there[name] == body for name, body in album.items())
    assert {*album.values()} <= {*here.values()} | {album[name] for name in plan.conflicts}
    again = planned(here, there)
    assert (again.upload, again.download, again.conflicts) == ((), (), plan.conflicts)


@given(FOLDERS, FOLDERS)
def test_sums_are_needed_of_no_more_than_the_plan_reads(local: Contents, album: Contents) -> None:
    assert planned(local, album) == folder_plan(described(local), described(album))
    ours, theirs = sums_needed(described(local, frozenset()), described(album, frozenset()))
    lengths = {len(body) for body in album.values()}
    assert all(len(local[name]) in lengths for name in ours)
    for name in ours:
        with pytest.raises(ValueError, match="sum"):
            folder_plan(described(local, ours - {name}), described(album, theirs))
