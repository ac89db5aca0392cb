"""What a provider without folders shows below its account, by id. Pure. Rule: DESIGN §2.

    id                      shown as                        holds
    albums                  albums/                         the provider's albums, under ids of its own
    timeline                timeline/                       years
    timeline~2024           timeline/2024/                  months
    timeline~2024-06        timeline/2024/2024-06/          assets
    favorites               favorites/                      assets
    people  person~ID       people/NAME/                    assets
    tags    tag~ID          tags/NAME/                      assets
    trash                   trash/                          assets
    search~BASE32           search/QUERY/                   iiiffs.tree.query

An id of a provider's own album never has a "~", nor is it one of the words above.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from iiiffs.model.gallery import Album, AlbumId
from iiiffs.tree.query import Query, query_album_id, query_of_album_id


class ShelfKind(StrEnum):
    """What a shelf holds."""

    ALBUMS = "albums"
    TIMELINE = "timeline"
    YEAR = "year"
    MONTH = "month"
    FAVORITES = "favorites"
    PEOPLE = "people"
    PERSON = "person"
    TAGS = "tags"
    TAG = "tag"
    TRASH = "trash"
    SEARCH = "search"


TITLES = {
    ShelfKind.ALBUMS: "Albums",
    ShelfKind.TIMELINE: "Timeline",
    ShelfKind.FAVORITES: "Favorites",
    ShelfKind.PEOPLE: "People",
    ShelfKind.TAGS: "Tags",
    ShelfKind.TRASH: "Trash",
}
"""Of the shelves that an account has one of each; their ids are their kinds."""
OF_SHELVES = frozenset({ShelfKind.ALBUMS, ShelfKind.TIMELINE, ShelfKind.YEAR, ShelfKind.PEOPLE, ShelfKind.TAGS})
"""Those that hold albums or further shelves; the others hold assets."""
_SPAN = re.compile(r"timeline~([0-9]{4})(-(?:0[1-9]|1[0-2]))?")
_PARENTS = {ShelfKind.PERSON: ShelfKind.PEOPLE, ShelfKind.TAG: ShelfKind.TAGS, ShelfKind.YEAR: ShelfKind.TIMELINE}


@dataclass(frozen=True, slots=True)
class Shelf:
    """One shelf. `name`: "2024" of a year, "2024-06" of a month, the id of a person or tag; "" of the others.

    `query`: of a search.
    """

    kind: ShelfKind
    name: str = ""
    query: Query | None = None

    @property
    def id(self) -> AlbumId:
        """Its id as an album."""
        if self.query is not None:
            return query_album_id(self.query)
        if self.kind in (ShelfKind.YEAR, ShelfKind.MONTH):
            return AlbumId(f"timeline~{self.name}")
        return AlbumId(f"{self.kind}~{self.name}" if self.name else self.kind.value)

    @property
    def parent(self) -> AlbumId | None:
        """The shelf that it stands on; None where that is the account."""
        if self.kind is ShelfKind.MONTH:
            return Shelf(ShelfKind.YEAR, self.name[:4]).id
        above = _PARENTS.get(self.kind)
        return None if above is None else AlbumId(above.value)


_TOPS = {AlbumId(kind.value): Shelf(kind) for kind in TITLES}


def shelf_of_id(album: AlbumId) -> Shelf | None:
    """The shelf of that id; None if it is none, so that it may be an album of the provider's."""
    if album in _TOPS:
        return _TOPS[album]
    if span := _SPAN.fullmatch(album):
        return Shelf(ShelfKind.MONTH if span[2] else ShelfKind.YEAR, album.removeprefix("timeline~"))
    kind, mark, name = album.partition("~")
    if mark and name and kind in (ShelfKind.PERSON, ShelfKind.TAG):
        return Shelf(ShelfKind(kind), name)
    query = query_of_album_id(album)
    return None if query is None else Shelf(ShelfKind.SEARCH, query=query)


def month_began_ns(month: str) -> int:
    """When "2024-06" or "2024" began, in UTC, as nanoseconds since 1970; 0 for what was before."""
    year, _, number = month.partition("-")
    began = datetime(max(1, int(year)), int(number or 1), 1, tzinfo=UTC)
    return max(0, int(began.timestamp())) * 10**9


def years_of(months: Iterable[str]) -> list[Album]:
    """The years of some months, earliest first, on the timeline; the time of each is when its last month began."""
    last: dict[str, str] = {}
    for month in sorted(months):
        last[month[:4]] = month
    shelves = ((Shelf(ShelfKind.YEAR, year), month) for year, month in last.items())
    return [Album(shelf.id, shelf.name, shelf.parent, month_began_ns(month)) for shelf, month in shelves]


def months_in(year: str, months: Iterable[str]) -> list[Album]:
    """Those of the months that are in "2024", earliest first; the time of each is when it began."""
    shelves = [Shelf(ShelfKind.MONTH, month) for month in sorted(months) if month[:4] == year]
    return [Album(shelf.id, shelf.name, shelf.parent, month_began_ns(shelf.name)) for shelf in shelves]
