"""Errors of sending: what is done about each class, and how long is waited."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs import errors
from iiiffs.sync.retry import ASKED_MAX_S, WAITS, Remedy, Retry, decide_retry, remedy_of


def kinds_of(error: type[errors.IiiffsError]) -> Iterator[type[errors.IiiffsError]]:
    yield error
    for below in error.__subclasses__():
        yield from kinds_of(below)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (errors.ProviderUnreachable, Remedy.OFFLINE),
        (errors.DeadlinePassed, Remedy.OFFLINE),
        (errors.AccessDenied, Remedy.REFUSED),
        (errors.PlaceDenied, Remedy.FAILED),
        (errors.ProviderError, Remedy.LATER),
        (errors.StoreError, Remedy.LATER),
        (errors.StoreFull, Remedy.LATER),
        (errors.StoreCorrupt, Remedy.FAILED),
        (errors.Rejected, Remedy.FAILED),
        (errors.OverQuota, Remedy.FAILED),
        (errors.AssetGone, Remedy.FAILED),
        (errors.NotEmpty, Remedy.FAILED),
        (errors.NoSuchName, Remedy.FAILED),
        (errors.VersionChanged, Remedy.CONFLICT),
        (errors.AlreadyThere, Remedy.CONFLICT),
        (errors.IiiffsError, Remedy.LATER),
    ],
)
def test_rows(error: type[errors.IiiffsError], remedy: Remedy) -> None:
    assert remedy_of(error("x")) is remedy


@pytest.mark.parametrize("error", [*kinds_of(errors.IiiffsError)], ids=lambda kind: kind.__name__)
@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1e9))
def test_nothing_is_ever_given_up_by_counting(
    error: type[errors.IiiffsError], failures: int, draw: float, asked_s: float | None
) -> None:
    first = decide_retry(error("x"), 1, 0.0)
    found = decide_retry(error("x"), failures, draw, asked_s)
    assert found.remedy is first.remedy
    if found.remedy not in WAITS:
        assert found == Retry(first.remedy, None)
        return
    assert found.wait_s is not None
    asked = min(asked_s or 0.0, ASKED_MAX_S)
    assert asked + WAITS[found.remedy][0] / 2 <= found.wait_s <= asked + WAITS[found.remedy][1]


@pytest.mark.parametrize("kind", [errors.ProviderUnreachable, errors.AccessDenied, errors.ProviderError])
def test_waits_double_up_to_a_ceiling_and_are_spread(kind: type[errors.IiiffsError]) -> None:
    base_s, ceiling_s = WAITS[remedy_of(kind("x"))]
    shortest = [decide_retry(kind("x"), failures, 0.0).wait_s for failures in range(1, 20)]
    assert shortest[:3] == [base_s / 2, base_s, base_s * 2]
    assert shortest[-1] == ceiling_s / 2
    longest = decide_retry(kind("x"), 1, 0.999).wait_s
    assert longest is not None
    assert longest == pytest.approx(base_s, rel=0.01)


def test_what_the_server_asked_for_is_never_shortened() -> None:
    found = decide_retry(errors.ProviderUnreachable("x"), 1, 0.0, 30.0)
    assert found.wait_s is not None
    assert found.wait_s >= 30.0


def test_what_a_server_asked_for_is_in_its_error() -> None:
    """Unless somebody knows better."""
    error = errors.ProviderUnreachable("busy")
    error.retry_after_s = 100.0
    assert decide_retry(error, 1, 0.0).wait_s == decide_retry(errors.ProviderUnreachable("x"), 1, 0.0, 100.0).wait_s
    assert decide_retry(error, 1, 0.0, 5.0) == decide_retry(errors.ProviderUnreachable("x"), 1, 0.0, 5.0)
