"""The grammar of image requests, one path component at a time: Image API 3.0 §4 as tables.

What is accepted, everywhere alike:
- ASCII digits only. Python's int() and float() also take "+5", "1_0", " 10", "1e1", "nan", "inf" and the digits of
  other scripts, and both Python peers served these: so a regular expression decides, and int() sees only its groups.
- No leading zeros, no "5." and no ".5" (§4.7: SHOULD have the leading 0): a number's integer part has one spelling.
- Trailing zeros after the point ("22.50", §4.7: SHOULD NOT) are taken where a decimal is legal at all, because clients
  print with a fixed number of places; the canonical form drops them. Pixels are integers: "10.0" is none.
- At most 12 digits before and 12 after the point, so that no request buys long arithmetic.
- Case matters, and nothing is trimmed: no space, no newline.

BadSyntax means "no such words", OutOfBounds "not of this image or past our limits", NotOffered "legal, not here".
Image API 2.1 §4 differs in its size forms alone: SIZE_FORMS has the table of each version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import cos, floor, radians, sin
from typing import Literal

from iiiffs.errors import BadSyntax, NotOffered, OutOfBounds
from iiiffs.iiif.scaling import Limits, fitted, round_div, scaled_to_width
from iiiffs.model.image import Extent, Region

_INTEGER = r"(0|[1-9][0-9]{0,11})"
_DECIMAL = r"((?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,12})?)"
_PLACES = 12

ApiVersion = Literal[2, 3]
"""Image API 2.1 or 3.0; the number is the one in URIs, as in iiif/2 and iiif/3."""


def _parse_decimal(text: str) -> tuple[int, int]:
    """Numerator and denominator of a _DECIMAL; exact, and several times faster than Fraction."""
    whole, _, places = text.partition(".")
    return int(whole + places), 10 ** len(places)


# ---- region, §4.1 -------------------------------------------------------------------------------------------------

RegionRule = Callable[[re.Match[str], Extent], Region]


def _region_full(_: re.Match[str], image: Extent) -> Region:
    return Region.whole(image)


def _region_square(_: re.Match[str], image: Extent) -> Region:
    side = min(image.width, image.height)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return Region(left, top, left + side, top + side)


def _region_px(match: re.Match[str], image: Extent) -> Region:
    left, top, width, height = map(int, match.groups())
    return Region(left, top, left + width, top + height).clipped(image)


def _region_pct(match: re.Match[str], image: Extent) -> Region:
    """Whether there is anything to see is decided exactly; rounding then never empties the region."""
    x, y, width, height = match.groups()
    left, right = _pct_span(x, width, image.width)
    top, bottom = _pct_span(y, height, image.height)
    return Region(left, top, right, bottom)


def _pct_span(start: str, length: str, side_px: int) -> tuple[int, int]:
    """Both edges to the nearest pixel: regions that touch in percent touch in pixels."""
    start_n, start_d = _parse_decimal(start)
    length_n, length_d = _parse_decimal(length)
    if start_n >= 100 * start_d or length_n == 0:
        raise OutOfBounds(f"pct: {start} and {length} leave nothing of {side_px} px (Image API 3.0 §4.1)")
    end_n, end_d = start_n * length_d + length_n * start_d, start_d * length_d
    first = min(side_px - 1, round_div(start_n * side_px, 100 * start_d))
    return first, max(first + 1, min(side_px, round_div(end_n * side_px, 100 * end_d)))


REGION_FORMS: tuple[tuple[re.Pattern[str], RegionRule], ...] = (
    (re.compile("full"), _region_full),
    (re.compile("square"), _region_square),
    (re.compile(",".join([_INTEGER] * 4)), _region_px),
    (re.compile("pct:" + ",".join([_DECIMAL] * 4)), _region_pct),
)


def resolve_region(text: str, image: Extent) -> Region:
    """The part of `image` that `text` names: never empty, inside the image, clipped at its edges.

    `square` is centred on the long side. Errors: BadSyntax; OutOfBounds if nothing of it lies inside.
    Rule: Image API 3.0 §4.1.
    """
    for pattern, rule in REGION_FORMS:
        if match := pattern.fullmatch(text):
            return rule(match, image)
    raise BadSyntax(f"region {text[:80]!r} (Image API 3.0 §4.1)")


def region_text(region: Region, image: Extent) -> str:
    """The canonical spelling: `full` or `x,y,w,h`. Rule: Image API 3.0 §4.8."""
    if region == Region.whole(image):
        return "full"
    return f"{region.left},{region.top},{region.right - region.left},{region.bottom - region.top}"


# ---- size, §4.2 ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Size:
    """What a region is scaled to; equal if and only if the scaled pixels are.

    `upscaled`: a side is longer than the region's, so a `^` was needed.
    `maximal`: it is what `max` (or, upscaled, `^max`) gives for this region under these limits.
    """

    extent: Extent
    upscaled: bool
    maximal: bool


SizeRule = Callable[[re.Match[str], Extent, Limits, bool], Extent]
SizeForms = tuple[tuple[re.Pattern[str], SizeRule], ...]


def _size_max(_: re.Match[str], region: Extent, limits: Limits, upscale: bool) -> Extent:
    return fitted(region, limits, upscale=upscale)


def _size_full(_: re.Match[str], region: Extent, _limits: Limits, _upscale: bool) -> Extent:
    """Not scaled, so an error past the limits: what is served there is `max`. Rule: Image API 2.1 §4.2."""
    return region


def _size_w(match: re.Match[str], region: Extent, _limits: Limits, _upscale: bool) -> Extent:
    return scaled_to_width(region, int(match[2]))


def _size_h(match: re.Match[str], region: Extent, _limits: Limits, _upscale: bool) -> Extent:
    height = int(match[2])
    return Extent(max(1, round_div(region.width * height, region.height)), height)


def _size_pct(match: re.Match[str], region: Extent, _limits: Limits, upscale: bool) -> Extent:
    """Neither side is fixed, so a side that rounds to 0 px is an error here (§4.2), as Extent says."""
    n, d = _parse_decimal(match[2])
    if n > 100 * d and not upscale:
        raise OutOfBounds(f"pct:{match[2]} upscales, and that takes a ^ of version 3 (Image API §4.2)")
    return Extent(round_div(region.width * n, 100 * d), round_div(region.height * n, 100 * d))


def _size_wh(match: re.Match[str], _region: Extent, _limits: Limits, _upscale: bool) -> Extent:
    return Extent(int(match[2]), int(match[3]))


def _size_confined(match: re.Match[str], region: Extent, limits: Limits, upscale: bool) -> Extent:
    """A box larger than the region or than the limits is no error: two of three peers answer 400 there."""
    return fitted(region, limits.within(int(match[2]), int(match[3])), upscale=upscale)


SIZE_FORMS_3: SizeForms = (
    (re.compile(r"(\^?)max"), _size_max),
    (re.compile(rf"(\^?){_INTEGER},{_INTEGER}"), _size_wh),
    (re.compile(rf"(\^?){_INTEGER},"), _size_w),
    (re.compile(rf"(\^?),{_INTEGER}"), _size_h),
    (re.compile(rf"(\^?)!{_INTEGER},{_INTEGER}"), _size_confined),
    (re.compile(rf"(\^?)pct:{_DECIMAL}"), _size_pct),
)
"""Image API 3.0. Group 1 of every row says whether upscaling was asked for; a version without `^` captures "" there."""

SIZE_FORMS_2: SizeForms = (
    (re.compile("()full"), _size_full),
    (re.compile("()max"), _size_max),
    (re.compile(rf"(){_INTEGER},{_INTEGER}"), _size_wh),
    (re.compile(rf"(){_INTEGER},"), _size_w),
    (re.compile(rf"(),{_INTEGER}"), _size_h),
    (re.compile(rf"()!{_INTEGER},{_INTEGER}"), _size_confined),
    (re.compile(rf"()pct:{_DECIMAL}"), _size_pct),
)
"""Image API 2.1. Upscaling is the server's choice (§4.2, `sizeAboveFull`), and is refused: without `^` a client's slip
looks like its wish and buys a render as large as the limits, and `max` and `!w,h` would have two meanings. Version 3
has a word for it.
"""

SIZE_FORMS: Mapping[ApiVersion, SizeForms] = {2: SIZE_FORMS_2, 3: SIZE_FORMS_3}


def resolve_size(text: str, region: Extent, limits: Limits, forms: SizeForms = SIZE_FORMS_3) -> Size:
    """What a region of extent `region` is scaled to: at least 1 px a side, inside `limits`.

    Rounding: `w,h` and the fixed side of `w,` `,h` are exact; every other side to the nearest px, halves up.
    Errors: BadSyntax; OutOfBounds if it is 0 px, past `limits` (`max` and `!w,h` fit themselves to them), or larger
    than the region without `^`. Rule: Image API 3.0 §4.2, 2.1 §4.2.
    """
    for pattern, rule in forms:
        if match := pattern.fullmatch(text):
            upscale = bool(match[1])
            extent = rule(match, region, limits, upscale)
            return _permitted_size(extent, region, limits, upscale=upscale)
    raise BadSyntax(f"size {text[:80]!r} (Image API §4.2)")


def _permitted_size(extent: Extent, region: Extent, limits: Limits, *, upscale: bool) -> Size:
    upscaled = extent.width > region.width or extent.height > region.height
    if upscaled and not upscale:
        raise OutOfBounds(f"{extent} upscales {region}, and that takes a ^ of version 3 (Image API §4.2)")
    if not limits.hold(extent):
        raise OutOfBounds(f"{extent} is past {limits} (Image API §4.2)")
    return Size(extent, upscaled, extent == fitted(region, limits, upscale=upscaled))


def size_text(size: Size) -> str:
    """The canonical spelling: `max`, `^max`, `w,h` or `^w,h`. Rule: Image API 3.0 §4.8."""
    words = "max" if size.maximal else f"{size.extent.width},{size.extent.height}"
    return "^" + words if size.upscaled else words


def size_text_2(size: Size, region: Extent) -> str:
    """The canonical spelling for a region of extent `region` in version 2.1: `full`, `w,`, or `w,h` where `w,` differs.

    Errors: OutOfBounds if it is upscaled, for no words of SIZE_FORMS_2 say that. Rule: Image API 2.1 §4.7.
    """
    if size.upscaled:
        raise OutOfBounds(f"{size.extent} upscales {region}, which version 2.1 is not asked for here")
    if size.extent == region:
        return "full"
    width, height = size.extent.width, size.extent.height
    return f"{width}," if size.extent == scaled_to_width(region, width) else f"{width},{height}"


# ---- rotation, §4.3 -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rotation:
    """Mirrored left to right if `mirrored`, *then* turned clockwise by `degrees`, 0 <= degrees < 360."""

    mirrored: bool
    degrees: Fraction


_ROTATION = re.compile(rf"(!?){_DECIMAL}")


def resolve_rotation(text: str) -> Rotation:
    """The turn that `text` names; 360 is 0. Errors: BadSyntax, OutOfBounds. Rule: Image API 3.0 §4.3."""
    match = _ROTATION.fullmatch(text)
    if not match:
        raise BadSyntax(f"rotation {text[:80]!r} (Image API 3.0 §4.3)")
    degrees = Fraction(*_parse_decimal(match[2]))
    if degrees > 360:
        raise OutOfBounds(f"rotation {text} is past 360 (Image API 3.0 §4.3)")
    return Rotation(bool(match[1]), degrees % 360)


def rotation_text(rotation: Rotation) -> str:
    """The canonical spelling, such as `0`, `!90` or `22.5`. Rule: Image API 3.0 §4.8, §4.7."""
    mark = "!" if rotation.mirrored else ""
    whole, rest = divmod(rotation.degrees, 1)
    if not rest:
        return f"{mark}{whole}"
    places = f"{int(rest * 10**_PLACES):0{_PLACES}d}".rstrip("0")
    return f"{mark}{whole}.{places}"


def turned_extent(extent: Extent, rotation: Rotation) -> Extent:
    """The box that holds `extent` once it is turned: |w cos| + |h sin| by |h cos| + |w sin|, to the nearest px.

    Rule: Image API 3.0 §4.3.
    """
    if rotation.degrees % 180 == 0:
        return extent
    if rotation.degrees % 90 == 0:
        return extent.turned
    angle = radians(rotation.degrees)
    c, s = abs(cos(angle)), abs(sin(angle))
    return Extent(
        max(1, floor(extent.width * c + extent.height * s + 0.5)),
        max(1, floor(extent.height * c + extent.width * s + 0.5)),
    )


# ---- quality and format, §4.4, §4.5 -------------------------------------------------------------------------------


class Quality(Enum):
    """Image API 3.0 §4.4."""

    DEFAULT = "default"
    COLOR = "color"
    GRAY = "gray"
    BITONAL = "bitonal"


class Format(Enum):
    """Image API 3.0 §4.5: every format with a name there, and `avif`. What this server writes is in OFFERED."""

    JPG = "jpg"
    TIF = "tif"
    PNG = "png"
    GIF = "gif"
    JP2 = "jp2"
    PDF = "pdf"
    WEBP = "webp"
    AVIF = "avif"


OFFERED: dict[Format, str] = {
    Format.JPG: "image/jpeg",
    Format.PNG: "image/png",
    Format.WEBP: "image/webp",
    Format.TIF: "image/tiff",
    Format.GIF: "image/gif",
    Format.JP2: "image/jp2",
    Format.AVIF: "image/avif",
    Format.PDF: "application/pdf",
}
"""The formats that are written, and their media types. A new row is offered and listed in info.json at once."""

SIDE_MAX_PX: dict[Format, int] = {
    Format.JPG: 65_500,
    Format.PDF: 65_500,
    Format.GIF: 65_535,
    Format.WEBP: 16_383,
    Format.AVIF: 32_768,
}
"""The longest side that a file of a format can have: by the format, or by the codecs that write and read it (libjpeg,
libavif). PDF holds a JPEG. The others have more than `max_width` can be.
"""

_QUALITIES = {quality.value: quality for quality in Quality}
_FORMATS = {format_.value: format_ for format_ in Format}


def resolve_leaf(text: str) -> tuple[Quality, Format]:
    """Quality and format of a name such as `default.jpg`.

    Errors: BadSyntax, also for `jpeg` and `JPG`; NotOffered for a format of §4.5 that is not in OFFERED.
    Rule: Image API 3.0 §4.4, §4.5.
    """
    quality_name, _, format_name = text.partition(".")
    quality, format_ = _QUALITIES.get(quality_name), _FORMATS.get(format_name)
    if quality is None or format_ is None:
        raise BadSyntax(f"quality and format {text[:80]!r} (Image API 3.0 §4.4, §4.5)")
    if format_ not in OFFERED:
        raise NotOffered(f"format {format_name} is not offered here")
    return quality, format_


def distinct_quality(quality: Quality, *, monochrome: bool) -> Quality:
    """The quality under the name that all qualities with the same pixels share: DEFAULT wherever it is one of them.

    Default is all that the image has. `color` of a monochrome image is never an error (§4.4), and the same again.
    Rule: Image API 3.0 §4.8.
    """
    if quality is Quality.COLOR or (monochrome and quality is Quality.GRAY):
        return Quality.DEFAULT
    return quality
