"""A payload's bytes begin their way to the disk early, and nothing depends on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.state import write_out
from iiiffs.state.write_out import STEP_BYTES, begin_write_out, full_steps


@pytest.mark.parametrize(
    ("offset", "end", "steps"),
    [
        (0, 0, []),
        (0, STEP_BYTES - 1, []),
        (0, STEP_BYTES, [0]),
        (STEP_BYTES - 1, STEP_BYTES, [0]),
        (STEP_BYTES, STEP_BYTES + 5, []),
        (5, 3 * STEP_BYTES + 1, [0, STEP_BYTES, 2 * STEP_BYTES]),
    ],
)
def test_a_step_is_begun_when_a_write_comes_to_its_end(offset: int, end: int, steps: list[int]) -> None:
    assert list(full_steps(offset, end)) == steps


@given(lengths=st.lists(st.integers(0, 3 * STEP_BYTES), max_size=12))
def test_writes_in_a_row_begin_each_step_once(lengths: list[int]) -> None:
    begun: list[int] = []
    end = 0
    for length in lengths:
        begun += full_steps(end, end + length)
        end += length
    assert begun == list(range(0, end - end % STEP_BYTES, STEP_BYTES))


def test_the_kernel_takes_it_and_the_bytes_are_as_they_were(tmp_path: Path) -> None:
    data = os.urandom(STEP_BYTES + 7)
    with (tmp_path / "payload").open("w+b", buffering=0) as file:
        os.pwrite(file.fileno(), data, 0)
        assert begin_write_out(file.fileno(), 0, len(data))
        assert not begin_write_out(file.fileno(), STEP_BYTES, len(data)), "no step was filled"
    assert (tmp_path / "payload").read_bytes() == data


def test_what_cannot_be_begun_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    try:
        assert not begin_write_out(writer, 0, STEP_BYTES)
    finally:
        os.close(reader)
        os.close(writer)
    assert not begin_write_out(-1, 0, STEP_BYTES)
    monkeypatch.setattr(write_out, "_begin", None)
    assert not begin_write_out(-1, 0, STEP_BYTES)
