"""A table of rows of bytes, against a dict."""

from __future__ import annotations

import sys

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from iiiffs.tree.packed_table import BUCKETS_MIN, LOAD, PackedTable

KEYS = st.integers(0, 400).map(lambda number: number.to_bytes(2))
ROWS = st.binary(max_size=6)


class Against(RuleBasedStateMachine):
    """Every key and row of a dict, and no other."""

    def __init__(self) -> None:
        super().__init__()
        self.table = PackedTable(2)
        self.model: dict[bytes, bytes] = {}

    @rule(key=KEYS, row=ROWS)
    def put(self, key: bytes, row: bytes) -> None:
        self.table.put(key, row)
        self.model[key] = row

    @rule(start=st.integers(0, 300), count=st.integers(0, 300))
    def put_many(self, start: int, count: int) -> None:
        for number in range(start, start + count):
            self.put(number.to_bytes(2), number.to_bytes(3))

    @rule(key=KEYS)
    def pop(self, key: bytes) -> None:
        assert self.table.pop(key) == self.model.pop(key, None)

    @rule(count=st.integers(0, 300))
    def pop_oldest(self, count: int) -> None:
        for _ in range(min(count, len(self.model))):
            key = self.table.oldest()
            assert self.table.pop(key) == self.model.pop(key)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        assert self.table.get(key) == self.model.get(key)

    @invariant()
    def holds_the_same(self) -> None:
        assert len(self.table) == len(self.model)
        assert dict(self.table.items()) == self.model
        assert all(self.table.get(key) == row for key, row in self.model.items())


TestAgainst = Against.TestCase


def test_a_key_within_a_row_is_not_found() -> None:
    table = PackedTable(2)
    for number in range(BUCKETS_MIN * LOAD):
        table.put(number.to_bytes(2), b"".join(other.to_bytes(2) for other in range(1000, 1100)))
    assert all(table.get(number.to_bytes(2)) is None for number in range(1000, 1100))


def test_buckets_stay_small_and_their_room_is_given_back() -> None:
    table = PackedTable(8)
    for number in range(20_000):
        table.put(number.to_bytes(8), b"row")
    buckets = len(table._buckets)
    assert buckets == 20_000 // LOAD
    assert max(map(len, table._buckets)) < 8 * LOAD * (8 + 3 + 3)
    assert sum(map(sys.getsizeof, table._buckets)) < 20_000 * (8 + 3 + 3 + 12)
    for number in range(20_000):
        table.pop(number.to_bytes(8))
    assert len(table._buckets) == BUCKETS_MIN
    assert not any(table._buckets)


def test_what_was_put_last_is_not_the_oldest() -> None:
    table = PackedTable(2)
    for number in range(64):
        table.put(number.to_bytes(2), b"")
    for number in range(32):
        table.put(number.to_bytes(2), b"again")
    mixed = [bucket for bucket in table._buckets if b"again" in bucket and int.from_bytes(bucket[:2]) >= 32]
    assert mixed
    assert not any(bucket[:2] in {number.to_bytes(2) for number in range(32)} for bucket in mixed)


def test_an_empty_table_has_no_oldest() -> None:
    with pytest.raises(KeyError):
        PackedTable(2).oldest()
