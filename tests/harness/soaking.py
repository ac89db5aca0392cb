"""Cases that only `make soak` runs: `make test` has ten minutes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest
from _pytest.mark import ParameterSet


def in_soak(value: object) -> ParameterSet:
    """That case of a parametrized test."""
    return pytest.param(value, marks=pytest.mark.soak)


def but_in_soak(values: Iterable[object], kept: Collection[object]) -> list[object]:
    """All of `values` as cases, of which `make test` runs those that are `kept`."""
    return [value if value in kept else in_soak(value) for value in values]
