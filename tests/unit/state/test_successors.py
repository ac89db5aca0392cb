"""What ids have become: chains are followed to the id in use, survive a restart, and never go round."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from iiiffs.errors import StoreCorrupt
from iiiffs.model.gallery import AccountName
from iiiffs.state import State
from iiiffs.state.archive import read_archive
from iiiffs.state.environment import Environment
from iiiffs.state.successors import Successors

HOME, AWAY = AccountName("home"), AccountName("away")


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    opened = Environment(tmp_path / "db")
    yield opened
    opened.close()


def record(successors: Successors, *pairs: tuple[str, str]) -> None:
    for old, new in pairs:
        trio.run(successors.record, HOME, old, new)


def test_a_chain_is_followed_to_its_end(environment: Environment) -> None:
    successors = Successors(environment, trio.Lock())
    record(successors, ("local-1", "a"), ("a", "b"), ("b", "c"))
    assert [successors.successor(HOME, id) for id in ("local-1", "a", "b", "c", "d")] == ["c", "c", "c", None, None]
    assert successors.successor(AWAY, "a") is None


def test_an_id_that_is_in_use_again_has_no_successor(environment: Environment) -> None:
    """Equal bytes are one asset at some providers: what was replaced comes back under its old id."""
    successors = Successors(environment, trio.Lock())
    record(successors, ("a", "b"), ("b", "a"))
    assert successors.successor(HOME, "a") is None
    assert successors.successor(HOME, "b") == "a"
    record(successors, ("a", "a"))
    assert successors.successor(HOME, "a") is None


def test_it_outlives_the_process(tmp_path: Path) -> None:
    state = State.open(tmp_path / "state")
    record(state.successors, ("local-1", "a"))
    state.close()
    state = State.open(tmp_path / "state")
    assert state.successors.successor(HOME, "local-1") == "a"
    state.close()


@pytest.mark.parametrize("account", ["home", "ü" * 300])
def test_ids_and_accounts_may_be_long(environment: Environment, account: str) -> None:
    successors = Successors(environment, trio.Lock())
    old, new = "o" * 1000, "n" * 1000
    trio.run(successors.record, AccountName(account), old, new)
    assert successors.successor(AccountName(account), old) == new
    assert successors.successor(AccountName(account), "o" * 999) is None


def test_an_import_adds_what_is_not_known_and_nothing_that_goes_round(tmp_path: Path) -> None:
    """On one host a was replaced by b; on the other, b by a."""
    ours, theirs = State.open(tmp_path / "ours"), State.open(tmp_path / "theirs")
    record(ours.successors, ("local-1", "a"), ("a", "b"))
    record(theirs.successors, ("b", "a"), ("x", "y"), ("local-1", "z"), ("local-2", "a"))
    theirs.export(tmp_path / "export")
    theirs.close()
    ours.import_from(read_archive(tmp_path / "export"), merge=True)
    found = {id: ours.successors.successor(HOME, id) for id in ("a", "b", "local-1", "local-2", "x")}
    assert found == {"a": "b", "b": None, "local-1": "b", "local-2": "b", "x": "y"}
    ours.close()


def test_a_damaged_row_is_an_error_and_no_answer(environment: Environment) -> None:
    successors = Successors(environment, trio.Lock())
    record(successors, ("a", "b"))
    environment.write(lambda writing: writing.put("successors", b"home\0a", b"\0\0\0\0c"))
    with pytest.raises(StoreCorrupt, match="what became of a"):
        successors.successor(HOME, "a")


def test_a_chain_without_end_is_an_error(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iiiffs.state.successors.STEPS_MAX", 3)
    successors = Successors(environment, trio.Lock())
    record(successors, ("a", "b"), ("b", "c"))
    assert successors.successor(HOME, "a") == "c"
    record(successors, ("c", "d"), ("d", "e"))
    with pytest.raises(StoreCorrupt, match="no end"):
        successors.successor(HOME, "a")


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=12))
def test_whatever_is_recorded_the_last_word_counts_and_every_chain_ends(pairs: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder) / "db", 1 << 20)
        successors = Successors(environment, trio.Lock())
        for old, new in pairs:
            trio.run(successors.record, HOME, old, new)
            assert successors.successor(HOME, new) is None
            assert successors.successor(HOME, old) == (None if old == new else new)
            for id in "abcdef":
                end = successors.successor(HOME, id)
                assert end is None or successors.successor(HOME, end) is None
        environment.close()
