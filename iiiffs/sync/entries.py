"""What the index knows of one asset, and which two assets are one live photo. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from iiiffs.model.description import Words
from iiiffs.model.gallery import AlbumId, Asset, AssetId, Facts
from iiiffs.tree.query import fold

FAVORITE_RATING = 5
FAVORITE_KEYWORDS = frozenset(["favorite", "favourite"])
PAIR_SECONDS_MAX = 6.0
"""The longest moving part of a live photo: Apple's are 3 s, Samsung's and Google's up to about 5."""

_STILLS = ("image/heic", "image/heif", "image/jpeg")
_MOTIONS = ("video/quicktime", "video/mp4")
"""Of a live photo; where several have the stem, the earlier here is taken."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One asset in one album, as views and searches see it. Made by `entry_of`.

    `taken`: local capture time, "2024-06-01T12:00:00", without a zone; where nobody knows it, `asset.mtime_ns` in UTC.
    `keywords`, `place`, `people`: as in Description. `words`: folded name, label and summary, a line each.
    `rating`: 0 unrated. `duration_s`: of a video or sound, where known.
    """

    asset: Asset
    taken: str
    keywords: tuple[str, ...] = ()
    rating: int = 0
    camera: str = ""
    place: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    words: str = ""
    duration_s: float | None = None

    @property
    def month(self) -> str:
        """Such as "2024-06"."""
        return self.taken[:7]

    @property
    def is_favorite(self) -> bool:
        """Rated 5, or with the keyword "favorite" or "favourite" in any case."""
        if self.rating >= FAVORITE_RATING:
            return True
        return _has_favorite(self.keywords)

    @property
    def is_media(self) -> bool:
        """A picture, video or sound by its type. Others, such as sidecars and notes, are in no view."""
        return self.asset.media_type.startswith(("image/", "video/", "audio/"))


def entry_of(asset: Asset, facts: Facts | None) -> IndexEntry:
    """What is known of `asset`; `facts` are those of its version, None where nobody has looked yet."""
    if facts is None:
        return IndexEntry(asset, _taken(asset, None), words=fold(asset.name))
    told = facts.description
    return IndexEntry(
        asset=asset,
        taken=_taken(asset, told.captured or facts.captured),
        keywords=_names(told.keywords),
        rating=told.rating or 0,
        camera=sys.intern(told.camera or ""),
        place=_names(told.place),
        people=_names(told.people),
        words=_words(asset.name, told.label, told.summary),
        duration_s=facts.duration_s,
    )


def pairs(entries: Iterable[IndexEntry]) -> dict[AssetId, AssetId]:
    """The live photos among the entries: id of the still -> id of its moving part; no id is in two of them.

    A pair is a HEIC or JPEG and a QuickTime or MP4 video of at most PAIR_SECONDS_MAX, in one album, of one file name
    but for the ending, in any case ("IMG_1.HEIC", "IMG_1.mov"). A video of unknown duration is a video.
    """
    stills: dict[tuple[AlbumId, str], list[tuple[int, str, AssetId]]] = {}
    motions: dict[tuple[AlbumId, str], list[tuple[int, str, AssetId]]] = {}
    for entry in entries:
        asset = entry.asset
        stem, dot, _ = asset.name.rpartition(".")
        place = (asset.album, stem.casefold())
        if not dot:
            continue
        if asset.media_type in _STILLS:
            stills.setdefault(place, []).append((_STILLS.index(asset.media_type), asset.name, asset.id))
        elif asset.media_type in _MOTIONS and entry.duration_s is not None and entry.duration_s <= PAIR_SECONDS_MAX:
            motions.setdefault(place, []).append((_MOTIONS.index(asset.media_type), asset.name, asset.id))
    return {min(still)[2]: min(motions[place])[2] for place, still in stills.items() if place in motions}


_LOCAL = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?))?(?:Z|[+-].*)?")
_EPOCH = datetime(1970, 1, 1)  # UTC, as `isoformat` shall not write a zone
_EARLIEST, _LATEST = timedelta(days=-719_162), timedelta(days=2_932_896)
"""From the epoch to the first and to the last day that `datetime` has."""


def _taken(asset: Asset, captured: str | None) -> str:
    if captured is not None and (match := _LOCAL.fullmatch(captured)):
        local = f"{match[1]}T{match[2] or '00:00:00'}"
        try:
            datetime.fromisoformat(local)
        except ValueError:  # cameras write days that no calendar has
            pass
        else:
            return local if len(local) >= 19 else local + ":00"
    since = max(_EARLIEST.days * 86_400, min(asset.mtime_ns // 1_000_000_000, _LATEST.days * 86_400))
    return (_EPOCH + timedelta(seconds=since)).isoformat()


@lru_cache(maxsize=4096)
def _has_favorite(keywords: tuple[str, ...]) -> bool:
    return any(keyword.casefold() in FAVORITE_KEYWORDS for keyword in keywords)


@lru_cache(maxsize=4096)
def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Each on one line, once, none empty, as UTF-8 can write them.

    Equal names are one object, equal tuples mostly: a library has few of them, on many assets.
    """
    lines = (" ".join(name.encode("utf-8", "replace").decode().split()) for name in names)
    return tuple(dict.fromkeys(sys.intern(line) for line in lines if line))


def _words(name: str, label: Words, summary: Words) -> str:
    lines = [name, *(text for _, text in label), *(text for _, text in summary)]
    return "\n".join(dict.fromkeys(fold(line) for line in lines))
