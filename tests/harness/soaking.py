"""Cases that only `make soak` runs: `make test` has ten minutes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest


def but_in_soak(values: Iterable[object], kept: Collection[object]) -> list[object]:
    """All of `values` as cases of a parametrized test, of which `make test` runs those that are `kept`."""
    return [value if value in kept else pytest.param(value, marks=pytest.mark.soak) for value in values]
