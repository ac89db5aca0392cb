"""What a legal request asks for, from the specification alone: the places and sizes that its answer may have.

Where the specification leaves a choice (rounding, where a square lies, how a limit is met) all choices are given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Rect:
    """A region in source px, upright, inside the picture."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What info.json tells of the largest answer, in px; None: nothing. Rule: Image API 3.0 §5.2."""

    max_width: int | None = None
    max_height: int | None = None
    max_area: int | None = None

    def allow(self, w: int, h: int) -> bool:
        """True if an answer may be that large before it is turned."""
        tallest = self.max_height or self.max_width
        return (
            (self.max_width is None or w <= self.max_width)
            and (tallest is None or h <= tallest)
            and (self.max_area is None or w * h <= self.max_area)
        )

    def scales(self, rect: Rect) -> list[Fraction]:
        """How much the two linear limits scale a region, each."""
        tallest = self.max_height or self.max_width
        return [Fraction(most, side) for most, side in ((self.max_width, rect.w), (tallest, rect.h)) if most]


@dataclass(frozen=True, slots=True)
class Choice:
    """A region, and the size in px to which it is scaled."""

    rect: Rect
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """A request that must be answered. `choices`: any of them is right, the likeliest first. `angle`: degrees."""

    choices: tuple[Choice, ...]
    mirrored: bool
    angle: float
    quality: str
    format: str


def nearest(ideal: Fraction) -> list[int]:
    """The whole numbers nearest to `ideal`, both of a tie; 1 at least."""
    low, high = math.ceil(ideal - Fraction(1, 2)), math.floor(ideal + Fraction(1, 2))
    return sorted({max(1, low), max(1, high)}, reverse=True)


def around(ideal: Fraction, least: int = 1) -> list[int]:
    """The whole numbers less than 1 away, the nearest first: `ideal` alone if it is one."""
    both = {max(least, math.floor(ideal)), max(least, math.ceil(ideal))}
    return sorted(both, key=lambda number: abs(number - ideal))


def regions(text: str, width: int, height: int) -> Iterator[Rect]:
    """The regions that `text` may mean in a picture of that size; none where it has no pixel. Rule: §4.1."""
    if text == "full":
        yield Rect(0, 0, width, height)
    elif text == "square":
        side = min(width, height)
        spare = max(width, height) - side
        for offset in sorted(range(spare + 1), key=lambda offset: abs(2 * offset - spare)):
            yield Rect(offset if width > height else 0, offset if height > width else 0, side, side)
    elif text.startswith("pct:"):
        x, y, w, h = (Fraction(number) / 100 for number in text.removeprefix("pct:").split(","))
        for left in around(x * width, 0):
            for top in around(y * height, 0):
                for across in around(w * width):
                    for down in around(h * height):
                        yield from _cropped(Rect(left, top, across, down), width, height)
    else:
        yield from _cropped(Rect(*map(int, text.split(","))), width, height)


def _cropped(rect: Rect, width: int, height: int) -> Iterator[Rect]:
    """Past the edge it is cropped, not padded."""
    if rect.x < width and rect.y < height and rect.w and rect.h:
        yield Rect(rect.x, rect.y, min(rect.w, width - rect.x), min(rect.h, height - rect.y))


def sizes(text: str, rect: Rect, limits: Limits) -> list[tuple[int, int]]:
    """Width and height that the answer to size `text` of `rect` may have; none where it must be refused. Rule: §4.2.

    A side that follows from the other keeps the aspect "as closely as possible": the nearest whole number. A
    percentage may be rounded either way (§4.7), and so may an area limit's root.
    """
    upscaled = text.startswith("^")
    form = text.removeprefix("^")
    found = [
        (w, h)
        for w, h in _unlimited(form, rect, limits, upscaled=upscaled)
        if limits.allow(w, h) and (upscaled or (w <= rect.w and h <= rect.h))
    ]
    return list(dict.fromkeys(found))


def _unlimited(form: str, rect: Rect, limits: Limits, *, upscaled: bool) -> Iterable[tuple[int, int]]:
    own = [] if upscaled else [Fraction(1)]
    if form == "max":
        return _fitted(rect, [*own, *limits.scales(rect)], limits)
    if form.startswith("pct:"):
        scale = Fraction(form.removeprefix("pct:")) / 100
        whole = upscaled or scale <= 1
        return ((w, h) for w in around(scale * rect.w) for h in around(scale * rect.h)) if whole else ()
    w, h = re.fullmatch(r"!?([0-9]*),([0-9]*)", form, re.ASCII).groups()  # type: ignore[union-attr]
    if form.startswith("!"):
        box = [Fraction(int(w), rect.w), Fraction(int(h), rect.h)]
        return _fitted(rect, [*own, *box, *limits.scales(rect)], limits)
    if w and h:
        return ((int(w), int(h)),)
    if w:
        return ((int(w), side) for side in nearest(Fraction(int(w) * rect.h, rect.w)))
    return ((side, int(h)) for side in nearest(Fraction(int(h) * rect.w, rect.h)))


def _fitted(rect: Rect, scales: list[Fraction], limits: Limits) -> Iterator[tuple[int, int]]:
    """As large as the smallest scale and the area allow."""
    scale = min(scales) if scales else None
    area = Fraction(limits.max_area, rect.w * rect.h) if limits.max_area else None
    if area is None or (scale is not None and scale * scale <= area):
        assert scale is not None, "^max means nothing without limits"
        yield from ((w, h) for w in nearest(scale * rect.w) for h in nearest(scale * rect.h))
    if area is not None and (scale is None or scale * scale >= area * Fraction(99, 100)):
        root = Fraction(math.sqrt(min(area, scale * scale) if scale is not None else area))
        yield from ((w, h) for w in _slightly_less(root * rect.w) for h in _slightly_less(root * rect.h))


def _slightly_less(ideal: Fraction) -> list[int]:
    """What an area limit may make of a side: one side rounded down takes the other along, to keep the aspect."""
    return [*around(ideal), max(1, math.floor(ideal) - 1)]


def drawing(path: str, width: int, height: int, limits: Limits) -> Drawing:
    """What `REGION/SIZE/ROTATION/QUALITY.FORMAT` asks of a picture of that size. No choices: it must be refused."""
    region, size, rotation, name = path.split("/")
    quality, _, format_name = name.partition(".")
    choices = (Choice(rect, w, h) for rect in regions(region, width, height) for w, h in sizes(size, rect, limits))
    angle = float(rotation.removeprefix("!")) % 360
    return Drawing(tuple(choices), rotation.startswith("!"), angle, quality, format_name)


def canvas(w: float, h: float, angle: float) -> tuple[float, float]:
    """Width and height of the box around w x h when it is turned by `angle` degrees. Rule: implementation notes §5."""
    if angle % 90 == 0:
        return (w, h) if angle % 180 == 0 else (h, w)
    cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    return w * cos + h * sin, h * cos + w * sin
