"""The sizes and tiles that clients are told to ask for. Every one of them is servable as it stands.

Sides round up, as the client computes them too: it sends both sides of an edge tile, and they must be ours exactly.
Rule: Image API 3.0 §5.3, §5.4; implementation notes §3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isqrt

from iiiffs.iiif.scaling import Limits, ceil_div, scaled_to_width
from iiiffs.model.image import Extent, Region

SMALLEST_SIDE_PX = 128
"""Halving ends when no side is longer: viewers ask for thumbnails of about this size and can take one off the list."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the image in source px, and the size to ask for it in."""

    region: Region
    extent: Extent


def reduced(image: Extent, scale: int) -> Extent:
    """The extent of the whole image at scale factor `scale`."""
    return Extent(ceil_div(image.width, scale), ceil_div(image.height, scale))


def tile_side(tile_size: int, limits: Limits) -> int:
    """The side in px of the tiles that are offered: `tile_size`, or less where `limits` hold no such tile."""
    return min(tile_size, limits.max_width, limits.max_height, isqrt(limits.max_area))


def scale_factors(image: Extent, side: int) -> list[int]:
    """1, 2, 4 … up to the first at which the whole image is one tile of `side` px."""
    factors = [1]
    while max(image.width, image.height) > side * factors[-1]:
        factors.append(2 * factors[-1])
    return factors


def sizes(image: Extent, limits: Limits, at_hand: Iterable[Extent] = ()) -> list[Extent]:
    """The image and its halves inside `limits`, smallest first; at least one.

    Among them sizes of the image that are `at_hand`, and so cost less than others, each as high as `w,` makes it.
    """
    found: set[Extent] = set()
    for extent in at_hand:
        kept = scaled_to_width(image, extent.width)
        if extent.width < image.width and limits.hold(kept):
            found.add(kept)
    scale = 1
    while True:
        extent = reduced(image, scale)
        if limits.hold(extent):
            found.add(extent)
            if max(extent.width, extent.height) <= SMALLEST_SIDE_PX:
                return sorted(found)
        scale *= 2


def sizes_by_width(image: Extent, limits: Limits, at_hand: Iterable[Extent] = ()) -> list[Extent]:
    """As `sizes`, but each as high as `w,` makes it, so that `w,` and `w,h` of a listed size are one image.

    Widths differ. Only where `limits` do not hold what `w,` makes, of very tall images, `w,h` alone is served.
    Rule: Image API 2.1 §5.2, "size-inconsistency".
    """
    found: dict[int, Extent] = {}
    for extent in sizes(image, limits, at_hand):
        kept = scaled_to_width(image, extent.width)
        found[extent.width] = kept if limits.hold(kept) else extent
    return list(found.values())


def tiles(image: Extent, side: int, scale: int) -> Iterator[Tile]:
    """The tiles of one resolution, row by row; their regions cover the image exactly and do not overlap.

    Shapes: `side` in output px; `scale` a scale factor, so a tile covers side * scale source px.
    """
    step = side * scale
    for top in range(0, image.height, step):
        for left in range(0, image.width, step):
            region = Region(left, top, left + step, top + step).clipped(image)
            yield Tile(region, reduced(region.extent, scale))


def tile_scale(region: Region, out: Extent, image: Extent, side: int) -> int | None:
    """The scale factor at which `out` px of `region` is one of `tiles`; None if it is none of any."""
    for scale in scale_factors(image, side):
        step = side * scale
        whole = Region(region.left, region.top, region.left + step, region.top + step).clipped(image)
        if not region.left % step and not region.top % step and region == whole and out == reduced(whole.extent, scale):
            return scale
    return None
