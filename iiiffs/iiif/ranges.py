"""The order of an album, and its parts: Ranges by day or as the owner wishes, and months. All of it linear.

Rule: Presentation API 3.0 §5.4, Range. One Range stands above the others, for a viewer shows one table of contents.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from iiiffs.iiif.canvases import CanvasItem
from iiiffs.iiif.description import Order, label_map
from iiiffs.iiif.overrides import RangeWish
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import AccountName, AlbumId

UNDATED = "undated"

NaturalKey = tuple[tuple[str | tuple[int, str], ...], str]


def natural_key(name: str) -> NaturalKey:
    """Sorts names as people do: IMG_2 before IMG_10, whatever the case. Different names have different keys.

    Digits may be of any number: they are compared as texts, never made into numbers.
    """
    parts: list[str | tuple[int, str]] = list(_DIGITS.split(name.casefold()))
    for place in range(1, len(parts), 2):
        digits = str(parts[place]).lstrip("0")
        parts[place] = (len(digits), digits)
    return tuple(parts), name


_DIGITS = re.compile("([0-9]+)")


def ordered(items: Sequence[CanvasItem], order: Order | None) -> Sequence[CanvasItem]:
    """`items` by name, or by local time with the undated last, or as they are ("provider", None)."""
    if order == "name":
        return sorted(items, key=lambda item: natural_key(item.label))
    if order == "date":
        return sorted(items, key=lambda item: (item.taken is None, item.taken or "", natural_key(item.label)))
    return items


@dataclass(frozen=True, slots=True)
class MonthPart:
    """Some of an album's items, in the album's order. `name`: "2024-06", "2024-06_2" …, or "undated"."""

    name: str
    items: tuple[CanvasItem, ...]

    @property
    def file_name(self) -> str:
        """The name of its Manifest beside the album's own."""
        return f"manifest-{self.name}.json"


def month_parts(items: Iterable[CanvasItem], manifest_max: int) -> tuple[MonthPart, ...]:
    """The months of an album of more than `manifest_max` Canvases, the undated last; () for a smaller one.

    No part has more than `manifest_max` Canvases (a file of so many pages excepted): a longer month is "2024-06",
    "2024-06_2" and so on. Each Canvas is in one part.
    """
    months: dict[str, list[CanvasItem]] = defaultdict(list)
    count = 0
    for item in items:
        if item.canvas_assets:
            count += len(item.canvas_assets)
            months[(item.taken or UNDATED)[:7]].append(item)
    if count <= manifest_max:
        return ()
    return tuple(
        MonthPart(month if number == 1 else f"{month}_{number}", part)
        for month in sorted(months)  # "undated" sorts behind digits
        for number, part in enumerate(_parts(months[month], manifest_max), 1)
    )


def part_of_file(file_name: str) -> str | None:
    """The part whose Manifest has this name, if a part could: a question of grammar, not of what there is."""
    match = _PART_FILE.fullmatch(file_name)
    return match[1] if match else None


_PART_FILE = re.compile(rf"manifest-((?:[0-9]{{4}}-[0-9]{{2}}|{UNDATED})(?:_[1-9][0-9]{{0,5}})?)\.json")


def _parts(items: Sequence[CanvasItem], canvases_max: int) -> Iterator[tuple[CanvasItem, ...]]:
    part: list[CanvasItem] = []
    count = 0
    for item in items:
        if part and count + len(item.canvas_assets) > canvases_max:
            yield tuple(part)
            part, count = [], 0
        part.append(item)
        count += len(item.canvas_assets)
    yield tuple(part)


@dataclass(frozen=True, slots=True)
class Contents:
    """Makes the `structures` of one album's Manifest."""

    uris: Uris
    account: AccountName
    album: AlbumId

    def by_day(self, items: Sequence[CanvasItem]) -> list[dict[str, object]]:
        """A Range a local day, where there are two or more; [] otherwise. The undated are in none."""
        days: dict[str, list[CanvasItem]] = defaultdict(list)
        for item in items:
            if item.taken is not None and item.canvas_assets:
                days[item.taken[:10]].append(item)
        if len(days) < 2:
            return []
        ranges = [self._range(day, {"none": [day]}, days[day]) for day in sorted(days)]
        return [self._above("days", {"en": ["Days"]}, ranges)]

    def wished(self, items: Sequence[CanvasItem], wishes: Sequence[RangeWish]) -> list[dict[str, object]]:
        """The owner's Ranges, in their order; one with nothing in it is left out; [] if none is left."""
        places: dict[str, int] = {}
        for place, item in enumerate(items):
            places.setdefault(item.label, place)
        ranges = []
        for number, wish in enumerate(wishes, 1):
            chosen = [item for item in _wished(items, places, wish) if item.canvas_assets]
            if chosen:
                ranges.append(self._range(str(number), label_map(wish.label, str(number)), chosen))
        return [self._above("contents", {"en": ["Contents"]}, ranges)] if ranges else []

    def _range(self, name: str, label: dict[str, list[str]], items: Iterable[CanvasItem]) -> dict[str, object]:
        canvases = [
            {"id": self.uris.canvas(self.account, self.album, asset), "type": "Canvas"}
            for item in items
            for asset in item.canvas_assets
        ]
        return self._above(name, label, canvases)

    def _above(self, name: str, label: dict[str, list[str]], items: Sequence[object]) -> dict[str, object]:
        return {
            "id": self.uris.range(self.account, self.album, name),
            "type": "Range",
            "label": label,
            "items": list(items),
        }


def _wished(items: Sequence[CanvasItem], places: Mapping[str, int], wish: RangeWish) -> Sequence[CanvasItem]:
    if wish.items:
        return [items[places[name]] for name in dict.fromkeys(wish.items) if name in places]
    first = 0 if wish.first is None else places.get(wish.first)
    last = len(items) - 1 if wish.last is None else places.get(wish.last)
    return [] if first is None or last is None else items[first : last + 1]
