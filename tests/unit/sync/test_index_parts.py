"""A search in slices finds what a search in one piece does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.errors import NotOffered
from iiiffs.model.gallery import AlbumId, Asset, AssetId, Version
from iiiffs.sync.entries import IndexEntry
from iiiffs.sync.index import LibraryIndex
from iiiffs.tree.query import parse_query

A, B = AlbumId("a"), AlbumId("b")
ENTRIES = st.builds(
    lambda number, name, month, media_type: IndexEntry(
        Asset(AssetId(f"id{number}"), A, name, Version("1"), 5, 7, 7, media_type),
        f"2024-0{month}-01T00:00:00",
        words=name,
    ),
    st.integers(0, 12),
    st.sampled_from(["sea", "sea shore", "ridge"]),
    st.integers(1, 3),
    st.sampled_from(["image/jpeg", "video/mp4", "text/plain"]),
)
ALBUM = st.lists(ENTRIES, max_size=12, unique_by=lambda entry: entry.asset.id)


@given(ALBUM, ALBUM, st.integers(1, 5), st.sampled_from(["sea", "sea from:2024-02", "type:video", "nothing"]))
def test_all_parts_together_are_the_whole(
    first: list[IndexEntry], second: list[IndexEntry], size: int, words: str
) -> None:
    index, query = LibraryIndex(), parse_query(words)
    index.replace_album(A, first)
    index.replace_album(B, [replace(entry, asset=replace(entry.asset, album=B)) for entry in second])
    found = [entry for part in index.parts(size) for entry in index.found_in(query, part)]
    assert index.merged(found) == index.search(query)
    assert all(len(part) <= size for part in index.parts(size))


def test_what_changes_between_two_parts_does_not_show() -> None:
    entry = IndexEntry(
        Asset(AssetId("x"), A, "x", Version("1"), 5, 7, 7, "image/jpeg"), "2024-01-01T00:00:00", words="x"
    )
    index = LibraryIndex()
    index.replace_album(A, [entry])
    index.replace_album(B, [replace(entry, asset=replace(entry.asset, id=AssetId("y"), album=B))])
    parts = index.parts(1)
    seen = [*next(parts)]
    index.remove_album(B)
    seen += [each for part in parts for each in part]
    assert [each.asset.id for each in seen] == ["x", "y"]


def test_a_term_that_is_not_offered_is_refused_without_an_entry() -> None:
    with pytest.raises(NotOffered):
        LibraryIndex().found_in(parse_query("smart:sea"), ())
