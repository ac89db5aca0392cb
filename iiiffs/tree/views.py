"""Albums that are made from what is known of a library: their names and their ids. Rule: DESIGN §2.

    id                      shown as                        holds
    timeline                timeline/                       years
    timeline~2024           timeline/2024/                  months
    timeline~2024-06        timeline/2024/2024-06/          assets
    favorites               favorites/                      assets
    tags                    tags/                           tags
    tag~BASE32              tags/NAME/                      assets; BASE32 of the name's UTF-8
    tag~~BASE32             tags/NAME/                      the same of a name too long for that: its BLAKE2b
    search~BASE32           search/QUERY/                   iiiffs.tree.query

An id of a provider's own album never has a "~", nor one of the three names without one (a folder's is 24 letters).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

from iiiffs.model.gallery import AlbumId
from iiiffs.tree.query import decoded, encoded

TAG_BYTES_MAX = 120
"""Of the UTF-8 of a tag whose id spells it; the id is 196 bytes then."""
_TAG, _LONG_TAG = "tag~", "tag~~"
_LONG_TAG_BYTES = 20


class ViewKind(StrEnum):
    """What a view is made by. The first three hold views, as FAVORITES, MONTH and TAG hold assets."""

    TIMELINE = "timeline"
    YEAR = "year"
    TAGS = "tags"
    MONTH = "month"
    FAVORITES = "favorites"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class View:
    """One view. `name`: "2024" of a year, "2024-06" of a month, the tag itself, "" of the others."""

    kind: ViewKind
    name: str = ""

    @property
    def holds_views(self) -> bool:
        """True where other views are in it, False where assets are."""
        return self.kind in (ViewKind.TIMELINE, ViewKind.YEAR, ViewKind.TAGS)


TIMELINE, FAVORITES, TAGS = View(ViewKind.TIMELINE), View(ViewKind.FAVORITES), View(ViewKind.TAGS)
_PLAIN = {AlbumId(view.kind.value): view for view in (TIMELINE, FAVORITES, TAGS)}
_SPAN = re.compile(r"timeline~([0-9]{4})(-(?:0[1-9]|1[0-2]))?")


def view_id(view: View) -> AlbumId:
    """The id of `view` as an album: stable, different for different views, only A-Z a-z 0-9 - ~, at most 200 bytes."""
    if view.kind in (ViewKind.YEAR, ViewKind.MONTH):
        return AlbumId(f"timeline~{view.name}")
    if view.kind is ViewKind.TAG:
        raw = view.name.encode()
        return AlbumId(_TAG + encoded(raw) if len(raw) <= TAG_BYTES_MAX else _LONG_TAG + _hashed(raw))
    return AlbumId(view.kind.value)


def view_of_id(album: AlbumId, tags: Iterable[str] = ()) -> View | None:
    """The view of that id; None if it is none. Whether anything is in it is not asked.

    `tags`: those that there are, looked through where the id holds only the digest of one.
    """
    if album in _PLAIN:
        return _PLAIN[album]
    if span := _SPAN.fullmatch(album):
        name = album.removeprefix("timeline~")
        return View(ViewKind.MONTH if span[2] else ViewKind.YEAR, name)
    if album.startswith(_LONG_TAG):
        views = (View(ViewKind.TAG, tag) for tag in tags if len(tag.encode()) > TAG_BYTES_MAX)
        return next((view for view in views if view_id(view) == album), None)
    if album.startswith(_TAG):
        try:
            view = View(ViewKind.TAG, decoded(album.removeprefix(_TAG)).decode())
        except ValueError:
            return None
        return view if view.name and view_id(view) == album else None
    return None


def _hashed(raw: bytes) -> str:
    return encoded(blake2b(raw, digest_size=_LONG_TAG_BYTES, person=b"iiiffs tag").digest())
