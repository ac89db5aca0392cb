"""Where blocks lie, what is asked for together, and how far ahead: nothing twice, nothing left out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.sync.blocks import (
    AHEAD_FIRST_BYTES,
    AHEAD_MAX_BYTES,
    BLOCK_BYTES,
    FIRST_BYTES,
    NOTHING,
    REQUEST_MAX_BYTES,
    SLACK_BYTES,
    Window,
    blocks_of,
    bytes_of,
    count_of,
    index_at,
    next_most_bytes,
    runs_of,
    start_of,
    whole_window,
)

KIB, MIB = 1 << 10, 1 << 20
sizes = st.integers(0, 40 * MIB)


@pytest.mark.parametrize(
    ("size", "blocks"),
    [
        (0, []),
        (1, [(0, 1)]),
        (128 * KIB, [(0, 128 * KIB)]),
        (128 * KIB + 1, [(0, 128 * KIB), (128 * KIB, 1)]),
        (MIB, [(0, 128 * KIB), (128 * KIB, 896 * KIB)]),
        (2 * MIB + 5, [(0, 128 * KIB), (128 * KIB, 896 * KIB), (MIB, MIB), (2 * MIB, 5)]),
    ],
)
def test_the_layout(size: int, blocks: list[tuple[int, int]]) -> None:
    assert [bytes_of(range(index, index + 1), size) for index in range(count_of(size))] == blocks


@given(sizes, st.data())
def test_every_byte_lies_in_one_block(size: int, data: st.DataObject) -> None:
    assert bytes_of(range(count_of(size)), size) == (0, size)
    if size:
        offset = data.draw(st.integers(0, size - 1))
        index = index_at(offset)
        assert start_of(index) <= offset < start_of(index + 1)
        assert 0 <= index < count_of(size)


@given(sizes, st.integers(0, 50 * MIB), st.integers(0, 20 * MIB))
def test_a_range_needs_the_blocks_that_touch_it_and_no_other(size: int, offset: int, length: int) -> None:
    wanted = blocks_of(offset, length, size)
    end = min(offset + length, size)
    touched = [i for i in range(count_of(size)) if start_of(i) < end and start_of(i + 1) > offset and offset < end]
    assert list(wanted) == touched


@given(st.sets(st.integers(0, 40)), sizes.filter(bool), st.sampled_from([BLOCK_BYTES, REQUEST_MAX_BYTES]))
def test_runs_hold_each_missing_block_once(missing: set[int], size: int, most: int) -> None:
    missing = {index for index in missing if index < count_of(size)}
    runs = list(runs_of(missing, size, most))
    assert sorted(index for run in runs for index in run) == sorted(missing)
    for run in runs:
        assert len(run) == 1 or bytes_of(run, size)[1] <= most
    for before, after in pairwise(runs):
        joined = range(before.start, after.stop)
        assert after.start > before.stop or bytes_of(joined, size)[1] > most, "neighbours that fit are one question"


def test_neighbours_are_one_question() -> None:
    assert list(runs_of({0, 1, 2, 5, 7, 8}, 40 * MIB)) == [range(3), range(5, 6), range(7, 9)]
    assert list(runs_of(range(20), 40 * MIB)) == [range(9), range(9, 17), range(17, 20)]
    assert list(runs_of((), 40 * MIB)) == []


@given(st.integers(1, 60 * MIB), st.sampled_from([4096, 64 * KIB, 128 * KIB, MIB]))
def test_a_sequential_reader_is_asked_for_ahead_in_order_and_within_the_window(size: int, step: int) -> None:
    window, asked_to, most = Window(), 0, 0
    for offset in range(0, size, step):
        window, ahead = window.after(offset, step, size)
        here = min(offset + step, size)
        assert window.ahead_bytes <= AHEAD_MAX_BYTES
        assert window.asked_to <= min(here + max(window.ahead_bytes, 0), max(size, here))
        if ahead:
            assert ahead.stop <= count_of(size)
            assert start_of(ahead.start) <= max(asked_to, here), "nothing between is left out"
            assert here > FIRST_BYTES
        asked_to = max(window.asked_to, here)
        most = max(most, window.ahead_bytes)
    if size > 60 * AHEAD_FIRST_BYTES:
        assert most == AHEAD_MAX_BYTES


def test_the_window_doubles_as_it_is_read_through() -> None:
    window = Window()
    grown: list[tuple[int, int]] = []
    for offset in range(0, 80 * MIB, 128 * KIB):
        window, _ = window.after(offset, 128 * KIB, 200 * MIB)
        if not grown or grown[-1][1] != window.ahead_bytes:
            grown.append((offset, window.ahead_bytes))
    assert [ahead // MIB for _, ahead in grown] == [0, 1, 2, 4, 8, 16, AHEAD_MAX_BYTES // MIB]
    assert all(later[0] - sooner[0] >= sooner[1] for sooner, later in pairwise(grown))


def test_who_reads_headers_alone_gets_nothing_more() -> None:
    window, ahead = Window(), NOTHING
    for offset, length in ((0, 16 * KIB), (16 * KIB, 64 * KIB), (80 * KIB, 48 * KIB)):
        window, ahead = window.after(offset, length, 30 * MIB)
        assert ahead == NOTHING
    assert blocks_of(0, 128 * KIB, 30 * MIB) == range(1)


def test_a_seek_ends_reading_ahead() -> None:
    window, ahead = Window(), NOTHING
    for offset in range(0, 8 * MIB, 128 * KIB):
        window, ahead = window.after(offset, 128 * KIB, 100 * MIB)
    assert window.ahead_bytes > AHEAD_FIRST_BYTES
    window, ahead = window.after(60 * MIB, 64 * KIB, 100 * MIB)
    assert (window.ahead_bytes, ahead) == (0, NOTHING)
    window, ahead = window.after(60 * MIB + 64 * KIB, 64 * KIB, 100 * MIB)
    assert (window.ahead_bytes, ahead) == (AHEAD_FIRST_BYTES, range(61, 63)), "and begins anew where it goes on"


@given(st.lists(st.integers(0, 400), min_size=2, max_size=30, unique=True))
def test_random_reads_ask_for_nothing_ahead(places: list[int]) -> None:
    window = Window()
    for place in places:
        window, ahead = window.after(place * 2 * (SLACK_BYTES + MIB), 64 * KIB, 1 << 40)
        assert ahead == NOTHING


def test_requests_that_overtake_each_other_are_no_seek() -> None:
    window, grown = Window(), 0
    for pair in range(0, 64, 2):
        for number in (pair + 1, pair):
            window, _ = window.after(number * 128 * KIB, 128 * KIB, 100 * MIB)
            grown = max(grown, window.ahead_bytes)
            assert window.ahead_bytes >= grown
    assert grown >= 4 * MIB


def test_who_wants_it_whole_asks_at_once() -> None:
    window, ahead = whole_window(0).after(0, MIB, 50 * MIB)
    assert bytes_of(ahead, 50 * MIB) == (MIB, AHEAD_MAX_BYTES)
    assert window.asked_to == MIB + AHEAD_MAX_BYTES


@pytest.mark.parametrize(
    ("most", "took_s", "then"),
    [
        (4 * MIB, 0.1, 8 * MIB),
        (8 * MIB, 0.1, 8 * MIB),
        (4 * MIB, 2.0, 4 * MIB),
        (4 * MIB, 6.0, 2 * MIB),
        (4 * MIB, math.inf, 2 * MIB),
        (MIB, math.inf, MIB),
        (MIB, 0.5, 2 * MIB),
    ],
)
def test_questions_follow_the_line(most: int, took_s: float, then: int) -> None:
    assert next_most_bytes(most, took_s) == then
