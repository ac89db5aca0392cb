"""Where a view of an Immich goes on: whatever the server holds and however it orders bursts, nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.providers.immich.cursors import Cursor, cursor_of
from iiiffs.providers.immich.library import taken_before

SIZE = 4
PAGES_MAX = 200


@pytest.mark.parametrize(
    "cursor", [Cursor("timeline"), Cursor("archive", 3), Cursor("timeline", 1, 5), Cursor("a", 9, -7)]
)
def test_what_is_written_is_read(cursor: Cursor) -> None:
    assert cursor_of(str(cursor)) == cursor


@pytest.mark.parametrize("text", ["timeline", "timeline:0", "timeline:-1", "timeline:x", "timeline:1:x",
                                  "timeline:1:2:3", "timeline:²", "timeline:" + "9" * 16, "timeline:--1"])  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    assert cursor_of(text) is None


def test_an_order_that_is_not_the_expected_one_is_gone_by_pages() -> None:
    assert Cursor("timeline", 2, 50).following([10, 20, 5]) == Cursor("timeline", 3, 50)
    assert Cursor("timeline", 2, 50).following([10, None]) == Cursor("timeline", 3, 50)
    assert Cursor("timeline", 2, 50).following([49, 49]) == Cursor("timeline", 3, 50)
    assert Cursor("timeline", 2, 50).following([49, 40]) == Cursor("timeline", 1, 41)


@given(st.lists(st.integers(0, 12), max_size=40), st.integers(0, 2**32))
def test_nothing_is_lost_where_bursts_are_shorter_than_a_page(times: list[int], seed: int) -> None:
    """As 2.x: of equal moments, every page sees another order; moments are finer than they are told, and so what is
    asked for again ends with the next one that can be told."""
    assets: list[tuple[int, int]] = []
    for number, time in enumerate(times):
        more = [*assets, (time * 1000 + number % 7, number)]
        bursts = [[one for one in more if 0 <= one[0] - begin * 1000 <= 1000] for begin in (time - 1, time)]
        if all(len(burst) <= SIZE for burst in bursts):
            assets = more
    found, here, asked = set[int](), Cursor("timeline"), 0
    while True:
        asked += 1
        assert asked < PAGES_MAX
        before = None if here.before_ms is None else here.before_ms * 1000
        left = [one for one in assets if before is None or one[0] <= before]
        left.sort(key=lambda one: (-(one[0] // 1000), hash((one[1], seed, asked))))
        part = left[(here.page - 1) * SIZE : here.page * SIZE]
        found |= {number for _, number in part}
        if here.page * SIZE >= len(left):
            break
        here = here.following([time // 1000 for time, _ in part])
    assert found == {number for _, number in assets}


@pytest.mark.parametrize(("before_ms", "asked", "limit"), [
    (0, None, "1970-01-01T00:00:00.000Z"),
    (0, "2024-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"),
    (1_800_000_000_000, "2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.000Z"),
    (None, "2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.000Z"),
    (10**15, None, None),
    (-(10**15), None, None),
])  # fmt: skip
def test_the_earlier_limit_counts(before_ms: int | None, asked: str | None, limit: str | None) -> None:
    filters: dict[str, object] = {} if asked is None else {"takenBefore": asked}
    assert taken_before(filters, before_ms).get("takenBefore") == limit
