"""How big a scaled region is: integers only, so that every machine gives the same pixels for the same words.

Rounding is left to the server (Image API 3.0 §4.7). Ours: the nearest pixel, halves up, for every side that the
request does not fix; never below 1 px there, since a 1 px line is nearer to a thin region than an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from iiiffs.errors import OutOfBounds
from iiiffs.model.image import Extent


def ceil_div(numerator: int, denominator: int) -> int:
    """The quotient, rounded up."""
    return -(-numerator // denominator)


def round_div(numerator: int, denominator: int) -> int:
    """The quotient, rounded to the nearest integer, halves up. Both are not negative."""
    return (2 * numerator + denominator) // (2 * denominator)


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest scaled region that is served: px, px and px². OutOfBounds if one of them leaves no pixel.

    They bind the *output*, never the image: every full-resolution tile of an image past them is served.
    They bind before rotation, as `w,h` do; only `max_area` binds the box of a turned picture as well.
    Rule: Image API 3.0 §5.2.
    """

    max_width: int
    max_height: int
    max_area: int

    def __post_init__(self) -> None:
        if min(self.max_width, self.max_height, self.max_area) < 1:
            raise OutOfBounds(f"limits below 1 px serve nothing: {self}")

    def hold(self, extent: Extent) -> bool:
        """True if `extent` may be served."""
        return (
            extent.width <= self.max_width
            and extent.height <= self.max_height
            and extent.width * extent.height <= self.max_area
        )

    def within(self, width: int, height: int) -> Limits:
        """These limits, narrowed to a box of `width` x `height`. OutOfBounds if the box is empty."""
        return Limits(min(self.max_width, width), min(self.max_height, height), self.max_area)


def fitted(region: Extent, limits: Limits, *, upscale: bool) -> Extent:
    """The largest extent of the region's shape inside `limits`; larger than `region` only if `upscale`.

    The shape is kept to the nearest pixel; a side is never 0. Rule: Image API 3.0 §4.2, `max` and `!w,h`.
    """
    if not upscale:
        limits = limits.within(region.width, region.height)
    width, height = limits.max_width, limits.max_height
    if width * region.height <= height * region.width:
        height = min(height, max(1, round_div(region.height * width, region.width)))
    else:
        width = min(width, max(1, round_div(region.width * height, region.height)))
    if width * height <= limits.max_area:
        return Extent(width, height)
    if region.height > region.width:
        return _inside_area(region.turned, Extent(height, width), limits.max_area).turned
    return _inside_area(region, Extent(width, height), limits.max_area)


def scaled_to_width(region: Extent, width: int) -> Extent:
    """The extent of the region's shape that is exactly `width` px wide. OutOfBounds if `width` is 0.

    Rule: Image API 3.0 §4.2, 2.1 §4.2, `w,`.
    """
    return Extent(width, max(1, round_div(region.height * width, region.width)))


def _inside_area(region: Extent, bound: Extent, max_area: int) -> Extent:
    """As `fitted`, for a region that is not upright; no side longer than `bound`'s."""
    width = max(1, min(bound.width, max_area, isqrt(max_area * region.width // region.height)))
    height = min(bound.height, max_area // width, max(1, round_div(region.height * width, region.width)))
    return Extent(width, height)
