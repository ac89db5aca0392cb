"""Which entries of the index meet one term of a search. Pure. Rule: iiiffs.tree.query.

A function filters a whole list: 100,000 calls would cost more than what they ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from iiiffs.errors import NotOffered
from iiiffs.sync.entries import IndexEntry
from iiiffs.tree.query import Field, Term, fold, type_of_name

Entries = Iterable[IndexEntry]
K = TypeVar("K")

_RAW = re.compile(
    r"image/x-(?:adobe|canon|epson|fuji|hasselblad|kodak|leica|nikon|olympus|panasonic|pentax|samsung|"
    r"sigma|sony)-.+"
)
_KINDS = {"image": "image/", "video": "video/", "sound": "audio/"}
_APART = re.compile(r"[\W_]+")


def matching(term: Term, entries: Entries) -> list[IndexEntry]:
    """Those of `entries` that meet `term`, in their order. What many of them share is looked at once.

    Errors: NotOffered for a term smart:, which only a provider can answer.
    """
    return _MATCHING[term.field](term.value, entries)


def is_raw(media_type: str) -> bool:
    """True for a camera maker's own format, by its registered or customary type."""
    return _RAW.fullmatch(media_type) is not None


class _Remembered(dict[K, bool]):
    """What `ask` says of a key, asked once a key."""

    def __init__(self, ask: Callable[[K], bool]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, key: K) -> bool:
        answer = self[key] = self._ask(key)
        return answer


def _word(value: str, entries: Entries) -> list[IndexEntry]:
    in_names = _Remembered[tuple[str, ...]](lambda names: any(value in fold(name) for name in names))
    in_camera = _Remembered[str](lambda camera: value in fold(camera))
    return [
        entry
        for entry in entries
        if value in entry.words
        or in_names[entry.keywords]
        or in_names[entry.place]
        or in_names[entry.people]
        or in_camera[entry.camera]
    ]


def _person(value: str, entries: Entries) -> list[IndexEntry]:
    is_one = _Remembered[tuple[str, ...]](lambda names: any(_has_words(name, value) for name in names))
    return [entry for entry in entries if is_one[entry.people]]


def _city(value: str, entries: Entries) -> list[IndexEntry]:
    is_one = _Remembered[tuple[str, ...]](lambda names: any(_has_words(name, value) for name in names))
    return [entry for entry in entries if is_one[entry.place]]


def _tag(value: str, entries: Entries) -> list[IndexEntry]:
    has_it = _Remembered[tuple[str, ...]](lambda names: any(fold(name) == value for name in names))
    return [entry for entry in entries if has_it[entry.keywords]]


def _from(value: str, entries: Entries) -> list[IndexEntry]:
    return [entry for entry in entries if entry.taken[:10] >= value]


def _to(value: str, entries: Entries) -> list[IndexEntry]:
    return [entry for entry in entries if entry.taken[:10] <= value]


def _type(value: str, entries: Entries) -> list[IndexEntry]:
    is_it = _Remembered[str](lambda media_type: _is_type(media_type, value))
    if value in _KINDS:
        return [entry for entry in entries if is_it[entry.asset.media_type]]
    return [entry for entry in entries if is_it[entry.asset.media_type] or type_of_name(entry.asset.name) == value]


def _rating(value: str, entries: Entries) -> list[IndexEntry]:
    rating = int(value.removeprefix("="))
    if value.startswith("="):
        return [entry for entry in entries if entry.rating == rating]
    return [entry for entry in entries if entry.rating >= rating]


def _smart(value: str, entries: Entries) -> list[IndexEntry]:
    raise NotOffered("smart: is not offered by this account")


def _is_type(media_type: str, value: str) -> bool:
    if value in _KINDS:
        return media_type.startswith(_KINDS[value])
    return is_raw(media_type) if value == "raw" else type_of_name(media_type.replace("/", ".")) == value


def _has_words(name: str, value: str) -> bool:
    """True if the words of `value` stand in `name`, whole, next to each other."""
    return f" {' '.join(_words(value))} " in f" {' '.join(_words(fold(name)))} "


def _words(text: str) -> list[str]:
    return [word for word in _APART.split(text) if word]


_MATCHING: Mapping[Field, Callable[[str, Entries], list[IndexEntry]]] = {
    Field.WORD: _word,
    Field.PERSON: _person,
    Field.TAG: _tag,
    Field.CITY: _city,
    Field.FROM: _from,
    Field.TO: _to,
    Field.TYPE: _type,
    Field.RATING: _rating,
    Field.SMART: _smart,
}
