"""A whole image request: its value, and the one spelling that all requests for the same pixels share.

The canonical form is what inodes and cache keys are made from (DESIGN §2.6), so it must be the same for any two
requests with the same pixels and format, and must itself parse to an equal request.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from iiiffs.errors import OutOfBounds
from iiiffs.iiif.parameters import (
    SIDE_MAX_PX,
    SIZE_FORMS,
    ApiVersion,
    Format,
    Quality,
    Rotation,
    Size,
    distinct_quality,
    region_text,
    resolve_leaf,
    resolve_region,
    resolve_rotation,
    resolve_size,
    rotation_text,
    size_text,
    size_text_2,
    turned_extent,
)
from iiiffs.iiif.scaling import Limits
from iiiffs.model.image import Extent, Region

_REMEMBERED = 512
_SIDE_NEVER_REFUSED_PX = min(SIDE_MAX_PX.values())


@lru_cache(_REMEMBERED)
def _region(text: str, image: Extent) -> Region:
    return resolve_region(text, image)


@lru_cache(_REMEMBERED)
def _size(text: str, region: Extent, limits: Limits, version: ApiVersion) -> Size:
    return resolve_size(text, region, limits, SIZE_FORMS[version])


@lru_cache(_REMEMBERED)
def _rotation(text: str) -> Rotation:
    return resolve_rotation(text)


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What to make, in this order: region, size, mirror, turn, quality, format. Rule: Image API 3.0 §4.6.

    `quality` went through `distinct_quality`: equal requests for one image have equal pixels, and the other way round.
    """

    region: Region
    size: Size
    rotation: Rotation
    quality: Quality
    format: Format


def resolve_parts(
    parts: tuple[str, ...], image: Extent, limits: Limits, version: ApiVersion = 3
) -> tuple[Region, Size | None, Rotation | None]:
    """What the first one to three components of a request say; None for those that are not there.

    A path is looked up component by component, so each is met up to four times in a row: the last ones are remembered.
    Errors: as `parse_request`.
    """
    region = _region(parts[0], image)
    size = _size(parts[1], region.extent, limits, version) if len(parts) > 1 else None
    rotation = _rotation(parts[2]) if len(parts) > 2 else None
    return region, size, rotation


def parse_request(
    image: Extent, parts: tuple[str, str, str, str], limits: Limits, *, monochrome: bool, version: ApiVersion = 3
) -> ImageRequest:
    """The request that REGION, SIZE, ROTATION and QUALITY.FORMAT make of an upright `image` in words of `version`.

    It does not tell which version asked: where the pixels agree, the requests are equal.
    Errors: BadSyntax, OutOfBounds, NotOffered, of the first part that is wrong; OutOfBounds, last, if the turned box
    has a side that no file of the format can have. Rule: Image API 3.0 §4, 2.1 §4.
    """
    region, size, rotation = resolve_parts(parts[:3], image, limits, version)
    assert size is not None
    assert rotation is not None
    quality, format_ = resolve_leaf(parts[3])
    _check_answer(size.extent, rotation, format_, limits)
    return ImageRequest(region, size, rotation, distinct_quality(quality, monochrome=monochrome), format_)


def _check_answer(extent: Extent, rotation: Rotation, format_: Format, limits: Limits) -> None:
    """Before anything is decoded: what an encoder refuses would look like the fault of the picture.

    And `max_area` binds the box of a picture that is turned by other than quarters: at 45° it has twice the area, and
    one request for the largest answer would take gigabytes.
    """
    if rotation.degrees % 90 == 0 and extent.width + extent.height <= _SIDE_NEVER_REFUSED_PX:
        return
    turned = turned_extent(extent, rotation)
    side_max_px = SIDE_MAX_PX.get(format_)
    if side_max_px is not None and max(turned.width, turned.height) > side_max_px:
        raise OutOfBounds(f"{turned} is past the {side_max_px} px a side of {format_.value}")
    if rotation.degrees % 90 and turned.area_px > limits.max_area:
        raise OutOfBounds(f"turned, {extent} takes {turned}, past {limits.max_area} px (maxArea)")


def canonical(request: ImageRequest, image: Extent) -> tuple[str, str, str, str]:
    """The four path components in canonical form. Rule: Image API 3.0 §4.8."""
    return (
        region_text(request.region, image),
        size_text(request.size),
        rotation_text(request.rotation),
        f"{request.quality.value}.{request.format.value}",
    )


def canonical_2(request: ImageRequest, image: Extent) -> tuple[str, str, str, str]:
    """The four path components in the canonical form of version 2.1: what iiif/2 lists. Keys are of `canonical` alone.

    They parse in version 2 to an equal request. Errors: OutOfBounds if it upscales. Rule: Image API 2.1 §4.7.
    """
    region, _, rotation, leaf = canonical(request, image)
    return region, size_text_2(request.size, request.region.extent), rotation, leaf
