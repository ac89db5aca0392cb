"""Merging descriptions: the strongest that says anything of a part wins it."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.model.description import NOTHING_SAID, Description, merged

WORDS = st.lists(st.tuples(st.sampled_from(["", "en", "de"]), st.text(min_size=1, max_size=3)), max_size=2).map(tuple)
NAMES = st.lists(st.text(min_size=1, max_size=3), max_size=2).map(tuple)
TEXT = st.one_of(st.none(), st.text(min_size=1, max_size=3))
DESCRIPTIONS = st.builds(
    Description,
    label=WORDS,
    summary=WORDS,
    statement=WORDS,
    rights=TEXT,
    creators=NAMES,
    keywords=NAMES,
    rating=st.one_of(st.none(), st.integers(-1, 5)),
    camera=TEXT,
    captured=TEXT,
    place=NAMES,
    position=st.one_of(st.none(), st.tuples(st.floats(-90, 90), st.floats(-180, 180))),
    people=NAMES,
)


@given(DESCRIPTIONS, DESCRIPTIONS, DESCRIPTIONS)
def test_merging_is_associative(a: Description, b: Description, c: Description) -> None:
    assert merged(merged(a, b), c) == merged(a, merged(b, c)) == merged(a, b, c)


@given(DESCRIPTIONS, DESCRIPTIONS)
def test_merging_is_idempotent(a: Description, b: Description) -> None:
    assert merged(a, a) == a
    assert merged(merged(a, b), b) == merged(a, b)


@given(DESCRIPTIONS)
def test_nothing_said_changes_nothing(a: Description) -> None:
    assert merged(a, NOTHING_SAID) == merged(NOTHING_SAID, a) == merged(a) == a
    assert merged() is NOTHING_SAID


@given(DESCRIPTIONS, DESCRIPTIONS)
def test_every_part_is_one_of_theirs_and_the_stronger_s_if_it_has_one(a: Description, b: Description) -> None:
    for field in fields(Description):
        strong, weak, made = (getattr(one, field.name) for one in (b, a, merged(a, b)))
        assert made == (weak if strong in (None, ()) else strong)


@pytest.mark.parametrize(("weak", "strong", "expected"), [(4, 0, 0), (4, None, 4), (None, -1, -1)])
def test_unrated_is_said_too(weak: int | None, strong: int | None, expected: int) -> None:
    assert merged(Description(rating=weak), Description(rating=strong)).rating == expected
