"""Every view has one id, every id at most one view."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.model.gallery import AlbumId
from iiiffs.tree.query import encoded
from iiiffs.tree.views import FAVORITES, TAG_BYTES_MAX, TAGS, TIMELINE, View, ViewKind, view_id, view_of_id

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
VIEWS = st.one_of(
    st.sampled_from([TIMELINE, FAVORITES, TAGS]),
    st.integers(1, 9999).map(lambda year: View(ViewKind.YEAR, f"{year:04d}")),
    st.tuples(st.integers(1, 9999), st.integers(1, 12)).map(
        lambda month: View(ViewKind.MONTH, f"{month[0]:04d}-{month[1]:02d}")
    ),
    st.one_of(NAMES, NAMES.map(lambda name: name * 130)).map(lambda name: View(ViewKind.TAG, name)),
)


@pytest.mark.parametrize(
    ("view", "album"),
    [
        (TIMELINE, "timeline"),
        (View(ViewKind.YEAR, "2024"), "timeline~2024"),
        (View(ViewKind.MONTH, "2024-06"), "timeline~2024-06"),
        (FAVORITES, "favorites"),
        (TAGS, "tags"),
        (View(ViewKind.TAG, "sea"), "tag~onswc"),
    ],
)
def test_ids(view: View, album: str) -> None:
    assert view_id(view) == album
    assert view_of_id(AlbumId(album)) == view


@given(VIEWS)
def test_the_id_of_a_view_is_its_own(view: View) -> None:
    album = view_id(view)
    assert re.fullmatch(r"[A-Za-z0-9._~-]{1,200}", album)
    assert view_of_id(album, [f"{view.name}x", view.name]) == view


@given(VIEWS, VIEWS)
def test_different_views_have_different_ids(one: View, other: View) -> None:
    assert (view_id(one) == view_id(other)) == (one == other)


def test_a_long_tag_is_found_among_those_that_there_are() -> None:
    longest, longer = View(ViewKind.TAG, "x" * TAG_BYTES_MAX), View(ViewKind.TAG, "x" * (TAG_BYTES_MAX + 1))
    assert view_of_id(view_id(longest)) == longest
    assert view_of_id(view_id(longer)) is None
    assert view_of_id(view_id(longer), [longest.name]) is None
    assert view_of_id(view_id(longer), [longest.name, longer.name]) == longer


@pytest.mark.parametrize(
    "album",
    [
        "", "Timeline", "timeline~", "timeline~24", "timeline~2024-13", "timeline~2024-6", "timeline~2024-06-01",
        "tag~", "timeline~٢٠٢٤", "tag~1", "tag~ONSWC", "tag~onswd", "tag~~", "tag", "abcdefghijklmnopqrstuvwx",
        "tag~" + encoded(b"\xff"), "tag~" + encoded(b"x" * (TAG_BYTES_MAX + 1)), "favorites~",
    ],
)  # fmt: skip
def test_what_is_no_view_s_id(album: str) -> None:
    assert view_of_id(AlbumId(album), ["x"]) is None
