"""Faults that servers really have, for the reference server to make on purpose: the check must find each of them."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """What the server may be told to do wrong. NONE: nothing. The first five are those that issue 4 names."""

    NONE = "nothing"
    REGION_OFF_BY_ONE = "a region of pixels begins one to the right"
    MIRROR_AFTER_ROTATE = "turned first, mirrored then"
    EXIF_IGNORED = "the picture lies as it is stored"
    SIDES_SWAPPED = "`w,h` is taken for `h,w`"
    ROUNDED_DOWN = "the side that follows from the other is cut to a whole number"
    EXIF_HALF_DONE = "info.json is upright, and the picture lies as it is stored"
    REGION_SIDES_SWAPPED = "`x,y,w,h` is taken for `x,y,h,w`"
    COUNTER_CLOCKWISE = "turned the other way"
    PADDED = "a region past the edge is filled up, not cropped"
    LENIENT_NUMBERS = "whatever Python's int() takes is a number"
    CORNERS_FILLED = "the corners of a turned picture are not transparent"
    BLURRED = "every region is enlarged from a copy of an eighth"
    HALVES_STRETCHED = "a scaled region begins and ends where a quarter of the picture has its pixels"
