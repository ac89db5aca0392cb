"""Ids of shelves: each is read back, none is taken for an album of a provider's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.model.gallery import AlbumId
from iiiffs.tree.query import parse_query, query_album_id
from iiiffs.tree.shelves import TITLES, Shelf, ShelfKind, month_began_ns, months_in, shelf_of_id, years_of

MONTHS = st.builds(lambda year, month: f"{year:04}-{month:02}", st.integers(1, 9999), st.integers(1, 12))
IDS = st.from_regex(re.compile(r"[A-Za-z0-9._-]{1,40}"), fullmatch=True)
UUID = "5f2dd97f-1cfb-40f6-a827-688de6a16a3b"

SHELVES = [
    *((kind.value, Shelf(kind)) for kind in TITLES),
    ("timeline~2024", Shelf(ShelfKind.YEAR, "2024")),
    ("timeline~2024-06", Shelf(ShelfKind.MONTH, "2024-06")),
    (f"person~{UUID}", Shelf(ShelfKind.PERSON, UUID)),
    (f"tag~{UUID}", Shelf(ShelfKind.TAG, UUID)),
    (query_album_id(parse_query("beach")), Shelf(ShelfKind.SEARCH, query=parse_query("beach"))),
]


@pytest.mark.parametrize(("album", "shelf"), SHELVES)
def test_an_id_and_its_shelf(album: str, shelf: Shelf) -> None:
    assert shelf_of_id(AlbumId(album)) == shelf
    assert shelf.id == album


@pytest.mark.parametrize(
    "album",
    [UUID, "", "year", "month", "person", "person~", "tag~", "search", "search~", "search~!", "timeline~", "Albums",
     "timeline~24", "timeline~2024-13", "timeline~2024-00", "timeline~2024-6", "timeline~2024-06 ", "albums~x"],
)  # fmt: skip
def test_what_is_no_shelf(album: str) -> None:
    assert shelf_of_id(AlbumId(album)) is None


@given(MONTHS)
def test_a_month_stands_in_its_year_and_that_on_the_timeline(month: str) -> None:
    shelf = shelf_of_id(AlbumId(f"timeline~{month}"))
    assert shelf is not None
    assert shelf.parent == f"timeline~{month[:4]}"
    year = shelf_of_id(shelf.parent)
    assert year is not None
    assert (year.parent, year.id) == ("timeline", shelf.parent)


@given(IDS)
def test_people_and_tags_stand_on_theirs(id: str) -> None:
    for kind, parent in ((ShelfKind.PERSON, "people"), (ShelfKind.TAG, "tags")):
        shelf = Shelf(kind, id)
        assert shelf_of_id(shelf.id) == shelf
        assert shelf.parent == parent
        assert re.fullmatch(r"[A-Za-z0-9._~-]+", shelf.id)


@given(st.sets(MONTHS))
def test_every_month_is_in_one_year_in_order(months: set[str]) -> None:
    years = years_of(months)
    assert [year.title for year in years] == sorted({month[:4] for month in months})
    below = [month for year in years for month in months_in(year.title, months)]
    assert [month.title for month in below] == sorted(months)
    assert {month.parent for month in below} == {year.id for year in years}
    for year in years:
        assert year.mtime_ns == max(month.mtime_ns for month in below if month.parent == year.id)


@pytest.mark.parametrize(
    ("month", "seconds"), [("1970-01", 0), ("1969-12", 0), ("0001", 0), ("2024", 1704067200), ("2024-06", 1717200000)]
)
def test_when_a_month_began(month: str, seconds: int) -> None:
    assert month_began_ns(month) == seconds * 10**9
