"""Python's collector rests as long as anybody wants it to, and is afterwards as it was."""

from __future__ import annotations

import gc

import pytest

from iiiffs.vfs.collector import uncollected


def test_it_rests_until_the_last_has_left() -> None:
    first, second = uncollected(), uncollected()
    assert gc.isenabled()
    with first:
        second.__enter__()
        assert not gc.isenabled()
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_an_error_ends_it_too() -> None:
    with pytest.raises(ZeroDivisionError), uncollected():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
