"""Which decode and which level serve a request: a pure function of the two, never of what is cached (DESIGN §2.5).

Level k is the stored picture at 1/2^k; its pixel i covers source px [i * 2^k, (i + 1) * 2^k), cut at the edge.
A JPEG has three decodes. From level 3 on, all comes from a draft at 1/8, less than half of a full decode: the overview
of a deep zoom and a page's thumbnails. Level 2 of the whole picture, a preview, comes from a draft at 1/4. A part of
level 2 is a tile of a deep zoom, which needs the full decode in any case: it is halved from that, and cut while that
goes on. (Measured 2026-11, 24 MP, 7.4 MB: full 150 ms, 1/4 83 ms, 1/8 67 ms.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from iiiffs.model.image import Extent, Region
from iiiffs.render.opening import JPEG
from iiiffs.sync.previews import reduced_side, suffices


class Decode(Enum):
    """How source bytes become pixels; the value is the level that comes out first."""

    FULL = 0
    QUARTER = 2
    EIGHTH = 3


DRAFTS = (Decode.EIGHTH, Decode.QUARTER)
"""What a JPEG's codec makes smaller by itself."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The decode to take, and the level of its pyramid to cut from."""

    decode: Decode
    level: int


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of the px of a reduced picture, half-open and exact: it may begin and end within a pixel."""

    left: Fraction
    top: Fraction
    right: Fraction
    bottom: Fraction


def window_of(region: Region, image: Extent, reduced: Extent) -> Window:
    """Where `region` of `image` lies in a picture of the same that has `reduced` px."""
    left, right = reduced_side(region.left, region.right, image.width, reduced.width)
    top, bottom = reduced_side(region.top, region.bottom, image.height, reduced.height)
    return Window(left, top, right, bottom)


def window_level(window: Window, out: Extent, reduced: Extent) -> int:
    """The smallest level of the reduced picture that still has every pixel that `out` px of `window` can show."""
    level, longest = 0, max(reduced.width, reduced.height)
    sides = ((window.right - window.left, out.width), (window.bottom - window.top, out.height))
    while 2 << level <= longest and all(suffices(side / (2 << level), need) for side, need in sides):
        level += 1
    return level


def plan_cut(region: Region, out: Extent, image: Extent, media_type: str) -> Plan:
    """The smallest level that still has every pixel that `out` px of `region` can show; all upright.

    Upright and not as stored, so that nothing need be opened to know the plan.
    """
    level, longest = 0, max(image.width, image.height)
    while 2 << level <= longest and _suffices(region, out, image, level + 1):
        level += 1
    return Plan(_decode_for(level, region, image) if media_type == JPEG else Decode.FULL, level)


def _decode_for(level: int, region: Region, image: Extent) -> Decode:
    """Of a JPEG."""
    side = min(image.width, image.height)
    if level >= Decode.EIGHTH.value and side >= 1 << Decode.EIGHTH.value:
        return Decode.EIGHTH
    is_draft = level > Decode.QUARTER.value or (level == Decode.QUARTER.value and region.extent == image)
    return Decode.QUARTER if is_draft and side >= 1 << Decode.QUARTER.value else Decode.FULL


def is_exact(region: Region | Window, out: Extent, level: int) -> bool:
    """True if the answer is pixels of that level as they are, so that nothing is resampled; all as stored."""
    return _axis_exact(region.left, region.right, out.width, level) and _axis_exact(
        region.top, region.bottom, out.height, level
    )


def level_extent(stored: Extent, level: int) -> Extent:
    """The extent of a level."""
    return Extent(_ceil_shift(stored.width, level), _ceil_shift(stored.height, level))


def _suffices(region: Region, out: Extent, image: Extent, level: int) -> bool:
    return _axis_suffices(region.left, region.right, image.width, out.width, level) and _axis_suffices(
        region.top, region.bottom, image.height, out.height, level
    )


def _axis_suffices(start: int, stop: int, whole: int, out: int, level: int) -> bool:
    """True also for an edge tile, whose size is rounded up: it has a pixel more than the level, stretched over a few.

    Over an eighth more, which happens to slivers only, a finer level is worth it.
    """
    side = stop - start
    if side >= out << level:
        return True
    at_edge = start % (1 << level) == 0 and stop == whole and _ceil_shift(side, level) == out
    return at_edge and (out << level) - side <= side >> 3


def _axis_exact(start: int | Fraction, stop: int | Fraction, out: int, level: int) -> bool:
    """The level's pixels from `start` on cover just this. At an edge that cuts its last one in part they do not."""
    return start % (1 << level) == 0 and stop - start == out << level


def _ceil_shift(length: int, level: int) -> int:
    return -(-length >> level)
