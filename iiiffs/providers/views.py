"""What a provider without folders can show: albums, and views of the whole library. Optional beside Provider.

A proposal of issue 5, kept by iiiffs.providers.immich: a view is a value, and its answer comes in pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from iiiffs.model.gallery import Album, AlbumId, Asset
from iiiffs.tree.query import Query

ALBUMS = AlbumId("albums")
"""In a Changeset: the set of albums, or a title, is another."""
LIBRARY = AlbumId("library")
"""`Asset.album` of what was found by a view and is in no album that is known; in a Changeset: assets have come, changed
or gone, so that any view, and any album that held one of them, may differ."""
TRASH = AlbumId("trash")
"""`Asset.album` of what lies in the trash: only such an asset is opened from there."""


@dataclass(frozen=True, slots=True)
class Everything:
    """The timeline: all that is not archived, hidden, locked or in the trash."""


@dataclass(frozen=True, slots=True)
class Month:
    """What of the user's own timeline was taken in a month, as "2024-06" by local time: what `months` counts."""

    month: str


@dataclass(frozen=True, slots=True)
class Favorites:
    """What the user likes."""


@dataclass(frozen=True, slots=True)
class Trash:
    """What is in the trash."""


@dataclass(frozen=True, slots=True)
class OfPerson:
    """Where somebody is seen; `id` from `people`."""

    id: str


@dataclass(frozen=True, slots=True)
class OfTag:
    """What has a tag or one below it; `id` from `tags`."""

    id: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search finds; order is the provider's, best first."""

    query: Query


Mark = Favorites | OfTag
"""What is said of an asset by showing it there."""

View = Everything | Month | Favorites | Trash | OfPerson | OfTag | Found


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a view. `cursor`: asks for the next part; None at the end.

    `is_cut`: the next part goes on with the same list, which may have moved on meanwhile, so that one is missed.
    """

    assets: tuple[Asset, ...]
    cursor: str | None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """A person or a tag. Names need not differ; of tags "/" separates levels ("Trips/2023")."""

    id: str
    name: str


class HasAlbums(Protocol):
    """A provider with albums that are in no folder."""

    async def albums(self) -> Sequence[Album]:
        """All, own ones and those shared with the user, in the provider's order; titles may be equal. One question."""
        ...


class HasViews(Protocol):
    """A provider that knows its whole library."""

    async def page(self, view: View, cursor: str | None = None) -> Page:
        """The part after `cursor`, the first for None. An asset may come twice, in two parts; whoever wants a whole
        that is sure compares with `count`. Errors: NotOffered for what the provider cannot search for."""
        ...

    async def count(self, view: View) -> int | None:
        """How many the view holds, in one question; None where the provider does not tell."""
        ...

    async def months(self) -> Mapping[str, int]:
        """How many assets of the timeline were taken in each month, as "2024-06" by local time; none that is empty."""
        ...

    async def people(self) -> Sequence[Named]:
        """Those with names, as far as the user wants to see them."""
        ...

    async def tags(self) -> Sequence[Named]:
        """All tags."""
        ...

    async def motion(self, asset: Asset) -> Asset | None:
        """The moving half of a live photo, which no listing holds; None if it has none."""
        ...
