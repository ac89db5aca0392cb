"""Which id belongs to which file: tables for each claim, Hypothesis for what must hold in any order."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.sync.identity import (
    FOLDER,
    LINK,
    SECOND_NS,
    SHOWN_MAX,
    Decision,
    Memory,
    Observed,
    Place,
    Row,
    decide,
    evolve,
    new_id,
    unclaimed,
)

ROOT = Place("home", "root", b"")
NOW = 2_000_000_000 * SECOND_NS


def jpeg(name: str, inode: int, *, mtime_s: int = 1000, size: int = 10, kind: str = "image/jpeg") -> Observed:
    return Observed(name.encode(), kind, 1, inode, size, mtime_s * SECOND_NS)


@dataclass
class Book:
    """A ledger as a dict: what state does on disk."""

    rows: dict[str, Row] = field(default_factory=dict)

    def see(self, place: Place, *observed: Observed, absent: tuple[str, ...] = (), **digests: bytes) -> dict[str, str]:
        """Entry name -> id after that look at the folder. `absent`: ids of rows of other folders."""
        memory = Memory(
            [row for row in self.rows.values() if row.folder == place.id],
            self.rows.__contains__,
            [self.rows[id] for id in absent],
            {name.replace("_", ".").encode(): digest for name, digest in digests.items()},
        )
        decision = decide(place, observed, memory, NOW)
        self.commit(decision)
        return {row.name.decode(): row.id for row in decision.rows}

    def commit(self, decision: Decision) -> None:
        for id in decision.forgotten:
            del self.rows[id]
        self.rows.update({row.id: row for row in decision.changed})


def test_new_ids_are_of_account_and_path_alone() -> None:
    one, other = Book(), Book()
    ids = one.see(ROOT, jpeg("a.jpg", 1), jpeg("b.jpg", 2))
    assert other.see(ROOT, jpeg("b.jpg", 77, mtime_s=5), jpeg("a.jpg", 78)) == ids
    assert Book().see(replace(ROOT, account="away"), jpeg("a.jpg", 1))["a.jpg"] != ids["a.jpg"]
    assert Book().see(replace(ROOT, path=b"sub"), jpeg("a.jpg", 1))["a.jpg"] != ids["a.jpg"]
    assert all(re.fullmatch("[a-z2-7]{24}", id) for id in ids.values())


def test_a_file_and_a_folder_of_one_path_have_two_ids() -> None:
    book = Book()
    file = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    assert book.see(ROOT, jpeg("a.jpg", 2, kind=FOLDER))["a.jpg"] != file
    assert book.see(ROOT, jpeg("a.jpg", 3))["a.jpg"] == file


def test_a_rename_keeps_the_id_and_the_old_name_gets_another() -> None:
    book = Book()
    id = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    assert book.see(ROOT, jpeg("b.jpg", 1)) == {"b.jpg": id}
    after = book.see(ROOT, jpeg("b.jpg", 1), jpeg("a.jpg", 2))
    assert after["b.jpg"] == id
    assert after["a.jpg"] != id


def test_a_rename_is_no_new_version() -> None:
    book = Book()
    id = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    before = book.rows[id]
    book.see(ROOT, jpeg("b.jpg", 1))
    assert book.rows[id] == replace(before, name=b"b.jpg")


def test_temp_and_rename_over_keep_the_id() -> None:
    book = Book()
    id = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    book.see(ROOT, jpeg("a.jpg", 1), jpeg("a.jpg.tmp", 2, kind=".tmp"))
    assert book.see(ROOT, jpeg("a.jpg", 2)) == {"a.jpg": id}


@pytest.mark.parametrize("kind", [".jpg~", "image/png", LINK + "image/jpeg", FOLDER])
def test_what_is_of_another_kind_takes_no_id(kind: str) -> None:
    book = Book()
    id = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    assert book.see(ROOT, jpeg("other", 1, kind=kind))["other"] != id
    assert book.see(ROOT, jpeg("other", 1, kind=kind), jpeg("a.jpg", 2))["a.jpg"] == id


@pytest.mark.parametrize("changed", [jpeg("b.jpg", 1, mtime_s=2000), jpeg("b.jpg", 1, size=11)])
def test_an_inode_number_that_is_used_again_is_another_file(changed: Observed) -> None:
    book = Book()
    id = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    assert book.see(ROOT, changed)["b.jpg"] != id


def test_a_path_that_is_there_keeps_its_id_from_hard_links() -> None:
    book = Book()
    id = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    after = book.see(ROOT, jpeg("0.jpg", 1), jpeg("a.jpg", 1))
    assert after["a.jpg"] == id
    assert after["0.jpg"] != id


def test_names_exchanged_keep_the_ids_at_the_paths() -> None:
    book = Book()
    ids = book.see(ROOT, jpeg("a.jpg", 1), jpeg("b.jpg", 2))
    assert book.see(ROOT, jpeg("a.jpg", 2), jpeg("b.jpg", 1)) == ids


def test_one_vanished_file_is_claimed_once_and_by_the_first_name() -> None:
    book = Book()
    id = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    after = book.see(ROOT, jpeg("c.jpg", 1), jpeg("b.jpg", 1))
    assert after["b.jpg"] == id
    assert after["c.jpg"] != id


def test_of_two_vanished_hard_links_one_is_chosen_whatever_their_order() -> None:
    book = Book()
    rows = list(book.see(ROOT, jpeg("a.jpg", 1), jpeg("b.jpg", 1)).values())
    orders = [[book.rows[id] for id in order] for order in (rows, rows[::-1])]
    decided = [decide(ROOT, [jpeg("c.jpg", 1)], Memory(order, book.rows.__contains__), NOW) for order in orders]
    assert decided[0] == decided[1]
    assert decided[0].rows[0].id == min(rows)


def test_a_move_between_folders_needs_a_positive_absence() -> None:
    book, sub = Book(), Place("home", "sub", b"sub")
    id = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    assert book.see(sub, jpeg("a.jpg", 1))["a.jpg"] != id
    assert book.see(Place("home", "else", b"else"), jpeg("b.jpg", 1), absent=(id,))["b.jpg"] == id
    assert book.see(ROOT) == {}


def test_content_is_the_last_resort() -> None:
    book = Book()
    id = book.see(ROOT, jpeg("a.jpg", 1))["a.jpg"]
    book.rows[id] = replace(book.rows[id], digest=b"same")
    assert book.see(ROOT, jpeg("b.jpg", 9), b_jpg=b"other")["b.jpg"] != id
    assert book.see(ROOT, jpeg("c.jpg", 8), c_jpg=b"same")["c.jpg"] == id


def test_empty_files_are_all_alike_and_match_nothing() -> None:
    book = Book()
    id = book.see(ROOT, jpeg("a.jpg", 1, size=0))["a.jpg"]
    book.rows[id] = replace(book.rows[id], digest=b"empty")
    assert book.see(ROOT, jpeg("b.jpg", 9, size=0), b_jpg=b"empty")["b.jpg"] != id


def test_what_comes_back_has_its_old_id() -> None:
    book = Book()
    book.see(ROOT, jpeg("a.jpg", 1))
    id = book.see(ROOT, jpeg("b.jpg", 1))["b.jpg"]
    book.see(ROOT)
    assert book.rows[id].gone
    assert book.see(ROOT, jpeg("b.jpg", 5)) == {"b.jpg": id}
    assert not book.rows[id].gone


def test_temp_names_leave_nothing_behind_and_pictures_do() -> None:
    book = Book()
    book.see(ROOT, jpeg("x.tmp", 1, kind=".tmp"), jpeg("a.jpg", 2), jpeg("d", 3, kind=FOLDER))
    book.see(ROOT)
    assert sorted(row.name for row in book.rows.values()) == [b"a.jpg", b"d"]


def test_a_moved_odd_file_is_remembered_for_its_path_would_not_say_its_id() -> None:
    book = Book()
    id = book.see(ROOT, jpeg("x.odd", 1, kind=".odd"))["x.odd"]
    book.see(ROOT, jpeg("y.odd", 1, kind=".odd"))
    book.see(ROOT)
    assert book.see(ROOT, jpeg("y.odd", 7, kind=".odd")) == {"y.odd": id}


def test_nothing_new_is_nothing_to_write() -> None:
    book = Book()
    book.see(ROOT, jpeg("a.jpg", 1), jpeg("d", 3, kind=FOLDER))
    memory = Memory(list(book.rows.values()), book.rows.__contains__)
    seen = [jpeg("a.jpg", 1), jpeg("d", 3, kind=FOLDER, size=99)]
    decision = decide(ROOT, seen, memory, NOW)
    assert (decision.changed, decision.forgotten) == ((), ())


def test_unclaimed_are_those_without_a_path() -> None:
    book = Book()
    book.see(ROOT, jpeg("a.jpg", 1), jpeg("d", 3, kind=FOLDER))
    seen = [jpeg("a.jpg", 5), jpeg("d", 3), jpeg("e.jpg", 1)]
    assert unclaimed(seen, book.rows.values()) == seen[1:]


def test_a_taken_id_is_salted() -> None:
    plain = new_id("home", b"a.jpg", is_folder=False, taken=lambda _: False)
    salted = new_id("home", b"a.jpg", is_folder=False, taken=lambda id: id == plain)
    assert salted != plain
    assert salted == new_id("home", b"a.jpg", is_folder=False, taken=lambda id: id == plain)


NAMES = st.lists(st.binary(min_size=1, max_size=6), min_size=1, max_size=8, unique=True)


@given(names=NAMES, data=st.data())
def test_any_order_of_arrival_gives_the_same_ids(names: list[bytes], data: st.DataObject) -> None:
    entries = [Observed(name, "image/jpeg", 1, number, 10, 5) for number, name in enumerate(names)]
    at_once = {row.name: row.id for row in decide(ROOT, entries, Memory([], lambda _: False), NOW).rows}
    book = Book()
    arrived: list[Observed] = []
    for entry in data.draw(st.permutations(entries)):
        arrived.insert(data.draw(st.integers(0, len(arrived))), entry)
        if data.draw(st.booleans()) or len(arrived) == len(entries):
            memory = Memory(data.draw(st.permutations(list(book.rows.values()))), book.rows.__contains__)
            book.commit(decide(ROOT, arrived, memory, NOW))
    assert {row.name: row.id for row in book.rows.values()} == at_once


@given(st.lists(st.integers(0, 3), max_size=12))
def test_renames_to_fresh_names_keep_every_id(renamed: list[int]) -> None:
    book = Book()
    names = [f"{inode}.jpg" for inode in range(4)]
    first = book.see(ROOT, *(jpeg(name, inode) for inode, name in enumerate(names)))
    for number, inode in enumerate(renamed):
        names[inode] = f"new-{number}.jpg"
        ids = book.see(ROOT, *(jpeg(name, inode) for inode, name in enumerate(names)))
        assert [ids[name] for name in names] == [first[f"{inode}.jpg"] for inode in range(4)]


FOLDERS = (ROOT, Place("home", "sub", b"sub"))
LOOK = st.tuples(
    st.integers(0, 1),
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=4),
)


@given(st.lists(LOOK, max_size=12))
def test_two_live_paths_never_share_an_id(looks: list[tuple[int, dict[str, tuple[int, int]]]]) -> None:
    book = Book()
    live: list[dict[str, tuple[int, int]]] = [{}, {}]
    for folder, entries in looks:
        place, other = FOLDERS[folder], FOLDERS[1 - folder]
        live[folder] = entries
        absent = tuple(
            row.id for row in book.rows.values() if row.folder == other.id and row.name.decode() not in live[1 - folder]
        )
        ids = book.see(place, *(jpeg(name, inode, size=size) for name, (inode, size) in entries.items()), absent=absent)
        assert len(set(ids.values())) == len(entries)
        owners = [(row.folder, row.name.decode(), row.id) for row in book.rows.values() if not row.gone]
        here = [owner for owner in owners if owner[0] == place.id]
        assert sorted(here) == sorted((place.id, name, id) for name, id in ids.items())
        places = [(row.folder, row.name) for row in book.rows.values()]
        assert len(places) == len(set(places))


TIMES_NS = st.integers(0, 40 * SECOND_NS) | st.integers(0, 40).map(lambda second: second * SECOND_NS)
VERSION = st.tuples(TIMES_NS, st.integers(0, 2), st.integers(1, 3), TIMES_NS)


@given(st.lists(VERSION, min_size=1, max_size=SHOWN_MAX))
def test_versions_of_one_name_are_a_second_apart(versions: list[tuple[int, int, int, int]]) -> None:
    row: Row | None = None
    rows: list[Row] = []
    for mtime_ns, size, inode, now_ns in versions:
        seen = Observed(b"a.jpg", "image/jpeg", 1, inode, size, mtime_ns)
        if row is None:
            row = decide(ROOT, [seen], Memory([], lambda _: False), now_ns).rows[0]
            assert row.shown_ns == row.changed_ns == mtime_ns
        else:
            row = evolve(row, seen, now_ns)
        if not rows or row is not rows[-1]:
            rows.append(row)
            assert row.shown_ns >= mtime_ns
    for one, other in itertools.pairwise(rows):
        assert one.version != other.version
        assert other.changed_ns >= one.changed_ns + SECOND_NS
        assert other.changed_ns >= other.mtime_ns
    for one, other in itertools.combinations(rows, 2):
        assert abs(one.shown_ns - other.shown_ns) >= SECOND_NS


@pytest.mark.parametrize(
    ("mtime_ns", "shown_ns"),
    [
        pytest.param(20 * SECOND_NS, 20 * SECOND_NS, id="later: the file's own"),
        pytest.param(3 * SECOND_NS, 3 * SECOND_NS, id="earlier: the file's own"),
        pytest.param(10 * SECOND_NS, 11 * SECOND_NS, id="the same: a second later"),
        pytest.param(10 * SECOND_NS + 5, 11 * SECOND_NS, id="the same second: a second later"),
        pytest.param(10 * SECOND_NS - 5, 11 * SECOND_NS, id="less than a second before: a second later"),
    ],
)
def test_what_a_new_version_shows(mtime_ns: int, shown_ns: int) -> None:
    first = decide(ROOT, [jpeg("a.jpg", 1, mtime_s=10)], Memory([], lambda _: False), NOW).rows[0]
    second = evolve(first, Observed(b"a.jpg", "image/jpeg", 1, 2, 10, mtime_ns), 15 * SECOND_NS)
    assert second.shown_ns == shown_ns
    assert second.changed_ns == max(15 * SECOND_NS, mtime_ns)
