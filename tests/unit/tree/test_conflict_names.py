"""Names of conflict copies (DESIGN §4.5): readable, legal, free."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.tree.names import NAME_BYTES_MAX, conflict_name, legal_name

DAY = "2026-11-22"


@pytest.mark.parametrize(
    ("name", "host", "taken", "expected"),
    [
        ("a.jpg", "desk", (), "a (conflict 2026-11-22 desk).jpg"),
        ("a.jpg", "desk.home.example", (), "a (conflict 2026-11-22 desk).jpg"),
        ("a.jpg", "desk", ("a (conflict 2026-11-22 desk).jpg",), "a (conflict 2026-11-22 desk 2).jpg"),
        ("a (conflict 2026-11-21 lap).jpg", "desk", (), "a (conflict 2026-11-22 desk).jpg"),
        ("a (conflict 2026-11-22 desk 2).jpg", "desk", (), "a (conflict 2026-11-22 desk).jpg"),
        ("archive.tar.gz", "desk", (), "archive.tar (conflict 2026-11-22 desk).gz"),
        ("README", "desk", (), "README (conflict 2026-11-22 desk)"),
        (".secret", "desk", (), ".secret (conflict 2026-11-22 desk)"),
        ("a.jpg", "", (), "a (conflict 2026-11-22 _).jpg"),
        ("a.jpg", "a/b\n", (), "a (conflict 2026-11-22 a_b_).jpg"),
    ],
)
def test_rows(name: str, host: str, taken: tuple[str, ...], expected: str) -> None:
    assert conflict_name(name, DAY, host, taken) == expected


@given(st.text(min_size=1, max_size=300), st.text(max_size=300), st.integers(0, 5))
def test_a_copy_is_legal_and_free(name: str, host: str, copies: int) -> None:
    taken: set[str] = {name}
    for _ in range(copies + 1):
        made = conflict_name(name, DAY, host, taken)
        assert made not in taken
        assert made == legal_name(made)
        assert len(made.encode()) <= NAME_BYTES_MAX
        assert f"(conflict {DAY} " in made
        taken.add(made)


@given(st.text("ab.", min_size=1, max_size=8))
def test_the_suffix_stays_so_that_it_is_the_same_kind_of_file(name: str) -> None:
    made = conflict_name(name + ".jpeg", DAY, "desk", ())
    assert made.endswith(").jpeg")
