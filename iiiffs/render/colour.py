"""Colour: whatever mode a codec gives, to one of five that are kept in levels, and from those to sRGB.

Levels keep the source's colours; sRGB is made of each answer, so that a thumbnail does not wait for 24 MP to be
converted and the work runs in all render threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import BytesIO

from PIL import Image, ImageCms

log = logging.getLogger(__name__)

LEVEL_MODES = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
"""What levels are kept in."""

ICC_BYTES_MAX = 4 << 20
"""Profiles over this are ignored; the largest CMYK printing profiles have 3 MB."""

_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
_INVISIBLE = 2  # of 255: what rounding in a profile's tables makes of sRGB itself

Conversion = ImageCms.ImageCmsTransform


def level_conversion(image: Image.Image) -> Callable[[Image.Image], Image.Image] | None:
    """What makes of this picture, or of any part of it, the same in one of LEVEL_MODES; None where it is in one.

    Its results have no metadata. Errors: ValueError, when called, for a colour space that cannot be shown.
    """
    if image.mode.startswith("I;16"):
        return lambda part: _with_factor(part.convert("I"), 1 / 256)
    if image.mode in ("I", "F"):
        factor = _factor_to_bytes(image)
        return lambda part: _with_factor(part, factor)
    if image.has_transparency_data and not (image.mode in LEVEL_MODES and "transparency" not in image.info):
        mode = "LA" if image.mode in ("1", "L", "LA", "La") else "RGBA"
        return lambda part: bare(part.convert(mode))
    if image.mode == "1":
        return lambda part: bare(part.convert("L"))
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        conversion = ImageCms.buildTransform(*lab, "LAB", "RGB")
        return lambda part: bare(conversion.apply(part))
    if image.mode not in LEVEL_MODES:
        return lambda part: bare(part.convert("RGB"))
    return None


def bare(image: Image.Image) -> Image.Image:
    """A plain image that shares the pixels and has no file, info or EXIF."""
    plain = Image.Image()._new(image.im)
    plain.info = {}
    return plain


def _with_factor(image: Image.Image, factor: float) -> Image.Image:
    return bare(image.convert("F").point(lambda value: value * factor + 0.0).convert("L"))


def _factor_to_bytes(image: Image.Image) -> float:
    """Integers of 32 bits: 0..65535 unless all fit 0..255. Floats: 0..1, or 0..255 where any is above 1."""
    highest = max(float(value) for value in image.getextrema() if isinstance(value, int | float))
    wide, narrow = (1 / 256, 1.0) if image.mode == "I" else (1.0, 255.0)
    return wide if highest > (255 if image.mode == "I" else 1) else narrow


def open_conversion(profile: bytes | None, mode: str) -> Conversion | None:
    """The way from `profile` to sRGB for images of a level mode; None where there is nothing to convert.

    A profile that is broken, over ICC_BYTES_MAX or of another colour space is ignored, with a debug log.
    """
    base = mode.removesuffix("A")
    if not profile:
        return None
    if len(profile) > ICC_BYTES_MAX:
        log.debug("ICC profile of %d bytes ignored: over %d", len(profile), ICC_BYTES_MAX)
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space != _SPACES[base]:
            log.debug("ICC profile for %r ignored: the image is %s", source.profile.xcolor_space, mode)
            return None
        conversion = Conversion(source, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), base, "RGB")
        return None if _changes_nothing(conversion, base) else conversion
    except (OSError, ImageCms.PyCMSError, ValueError) as error:
        log.debug("ICC profile ignored: %s", error)
        return None


def _changes_nothing(conversion: Conversion, base: str) -> bool:
    """True if a lattice through the colour space comes out as it went in: most profiles in photos are sRGB."""
    if base == "CMYK":
        return False
    lattice = Image.linear_gradient("L") if base == "L" else _rgb_lattice()
    difference = zip(lattice.convert("RGB").tobytes(), conversion.apply(lattice).tobytes(), strict=True)
    return all(abs(a - b) <= _INVISIBLE for a, b in difference)


def _rgb_lattice() -> Image.Image:
    steps = range(0, 256, 17)
    return Image.frombytes(
        "RGB", (16 * 16, 16), bytes(v for r in steps for g in steps for b in steps for v in (r, g, b))
    )


def to_srgb(image: Image.Image, conversion: Conversion | None) -> Image.Image:
    """The picture in sRGB: L, LA, RGB or RGBA, alpha as it was. May return `image` itself."""
    if conversion is None:
        return image.convert("RGB") if image.mode == "CMYK" else image
    base = image.mode.removesuffix("A")
    converted = conversion.apply(image if base == image.mode else image.convert(base))
    converted.info = {}
    if base == "L":
        converted = converted.getchannel("R")
    if base != image.mode:
        converted.putalpha(image.getchannel("A"))
    return converted


def on_white(image: Image.Image) -> Image.Image:
    """The picture without alpha, as it looks on white paper. May return `image` itself."""
    if image.mode not in ("LA", "RGBA"):
        return image
    base = image.mode.removesuffix("A")
    paper = Image.new(base, image.size, "white")
    paper.paste(image.convert(base), mask=image.getchannel("A"))
    return paper
