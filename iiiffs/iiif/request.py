"""A whole image request: its value, and the one spelling that all requests for the same pixels share.

The canonical form is what inodes and cache keys are made from (DESIGN §2.6), so it must be the same for any two
requests with the same pixels and format, and must itself parse to an equal request.
"""

from __future__ import annotations

from dataclasses import dataclass

from iiiffs.iiif.parameters import (
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
)
from iiiffs.iiif.scaling import Limits
from iiiffs.model.image import Extent, Region


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


def parse_request(
    image: Extent, parts: tuple[str, str, str, str], limits: Limits, *, monochrome: bool, version: ApiVersion = 3
) -> ImageRequest:
    """The request that REGION, SIZE, ROTATION and QUALITY.FORMAT make of an upright `image` in words of `version`.

    It does not tell which version asked: where the pixels agree, the requests are equal.
    Errors: BadSyntax, OutOfBounds, NotOffered, of the first part that is wrong. Rule: Image API 3.0 §4, 2.1 §4.
    """
    region = resolve_region(parts[0], image)
    size = resolve_size(parts[1], region.extent, limits, SIZE_FORMS[version])
    rotation = resolve_rotation(parts[2])
    quality, format_ = resolve_leaf(parts[3])
    return ImageRequest(region, size, rotation, distinct_quality(quality, monochrome=monochrome), format_)


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
