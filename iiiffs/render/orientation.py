"""The eight EXIF orientations: where a region of the upright picture lies in the stored one, and how to turn it up.

Levels are kept as they are stored and each answer is turned: exact also where sides do not divide by the scale (a
turned level would begin in the middle of a pixel), and the first tile does not wait until 24 MP are turned.
Rule: EXIF 2.32 §4.6.4, Orientation.
"""

from __future__ import annotations

from PIL import Image

from iiiffs.model.image import Extent, Region

Transpose = Image.Transpose

UPRIGHTING: dict[int, Transpose | None] = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What makes stored pixels upright, by the value of the tag. Pillow's ROTATE_270 is a quarter turn clockwise."""

_SWAPS_SIDES = frozenset({5, 6, 7, 8})
_FROM_RIGHT = frozenset({2, 3, 7, 8})  # stored x runs against the upright side it lies along
_FROM_BOTTOM = frozenset({3, 4, 6, 7})


def stored_extent(upright: Extent, orientation: int) -> Extent:
    """The extent as stored of what is `upright` when seen; its own inverse."""
    return upright.turned if orientation in _SWAPS_SIDES else upright


def stored_region(region: Region, upright: Extent, orientation: int) -> Region:
    """The stored px that are shown as `region` of the `upright` picture."""
    left, top, right, bottom = region.left, region.top, region.right, region.bottom
    if orientation in _SWAPS_SIDES:
        left, top, right, bottom = top, left, bottom, right
    stored = stored_extent(upright, orientation)
    if orientation in _FROM_RIGHT:
        left, right = stored.width - right, stored.width - left
    if orientation in _FROM_BOTTOM:
        top, bottom = stored.height - bottom, stored.height - top
    return Region(left, top, right, bottom)
