"""The steps of Image API 3.0 §4.6 on pixels: region and size, mirror and turn, quality."""

from __future__ import annotations

from math import ceil, cos, floor, radians, sin
from typing import Protocol

from PIL import Image

from iiiffs.iiif.parameters import Quality, Rotation
from iiiffs.iiif.parameters import turned_extent as turned_extent
from iiiffs.model.image import Extent, Region
from iiiffs.render.colour import on_white
from iiiffs.render.plan import Window

Box = tuple[int, int, int, int]

_LANCZOS_SUPPORT_PX = 3
_BITONAL_THRESHOLD = 128
_QUARTER_TURNS = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}


class Level(Protocol):
    """A picture of which parts can be had."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px."""

    def crop(self, box: Box) -> Image.Image:
        """The part left, top, right, bottom, half-open; may be shared with others: not to be changed."""


Part = tuple[Image.Image, Box]
"""An image, not to be changed, and the part of it that is meant."""


def cut(level: Level, region: Region | Window, scale: int, out: Extent, *, exact: bool) -> Image.Image:
    """`region` (stored px of what is decoded) of a level at 1/`scale`, at exactly `out` px.

    May return what the level gave.

    `exact`: the answer is pixels of the level as they are (`plan.is_exact`).
    """
    if exact:
        return level.crop(exact_box(region, scale, out))
    sides = (region.left, region.top, region.right, region.bottom)
    box = tuple(float(side / scale) for side in sides)
    # Pillow converts all of an image with alpha before it resamples a part of it: so only the part, with what the
    # filter sees around it.
    margin_x = ceil(_LANCZOS_SUPPORT_PX * max(1.0, (box[2] - box[0]) / out.width)) + 1
    margin_y = ceil(_LANCZOS_SUPPORT_PX * max(1.0, (box[3] - box[1]) / out.height)) + 1
    width, height = level.size
    left, top = max(0, floor(box[0]) - margin_x), max(0, floor(box[1]) - margin_y)
    right, bottom = min(width, ceil(box[2]) + margin_x), min(height, ceil(box[3]) + margin_y)
    part = level.crop((left, top, right, bottom))
    grows = out.width > box[2] - box[0] or out.height > box[3] - box[1]
    return part.resize(
        (out.width, out.height),
        Image.Resampling.BICUBIC if grows else Image.Resampling.LANCZOS,
        box=(box[0] - left, box[1] - top, box[2] - left, box[3] - top),
    )


def exact_box(region: Region | Window, scale: int, out: Extent) -> Box:
    """The px of a level at 1/`scale` that are the answer as they are."""
    left, top = int(region.left // scale), int(region.top // scale)
    return left, top, left + out.width, top + out.height


def rotate(image: Image.Image, rotation: Rotation) -> Image.Image:
    """Mirrored left to right if asked for, then turned clockwise. Corners of other than quarter turns are transparent.

    Shapes: `turned_extent`. May return `image` itself.
    """
    if rotation.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rotation.degrees == 0:
        return image
    if rotation.degrees % 90 == 0:
        return image.transpose(_QUARTER_TURNS[int(rotation.degrees)])
    return _turn(image, rotation)


def _turn(image: Image.Image, rotation: Rotation) -> Image.Image:
    out = turned_extent(Extent(*image.size), rotation)
    # One transparent px around it, so that edges are blended and not cut in steps.
    sheet = Image.new("LA" if image.mode in ("L", "LA") else "RGBA", (image.width + 2, image.height + 2))
    sheet.paste(image.convert(sheet.mode), (1, 1))
    angle = radians(rotation.degrees)
    c, s = cos(angle), sin(angle)
    # Where an output px comes from: turned back about the middle. Image.transform adds the half px itself.
    x, y = out.width / 2, out.height / 2
    origin = (sheet.width / 2 - c * x - s * y, sheet.height / 2 + s * x - c * y)
    back = (c, s, origin[0], -s, c, origin[1])
    return sheet.transform((out.width, out.height), Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)


def with_quality(image: Image.Image, quality: Quality) -> Image.Image:
    """Of sRGB pixels: default and color are all there is; gray is L or LA; bitonal is 1, on white, no dithering.

    Dithering would show every seam between tiles. Rule: Image API 3.0 §4.4.
    """
    match quality:
        case Quality.GRAY:
            return image.convert("LA" if image.mode in ("LA", "RGBA") else "L")
        case Quality.BITONAL:
            gray = on_white(image).convert("L")
            return gray.point([0] * _BITONAL_THRESHOLD + [255] * (256 - _BITONAL_THRESHOLD), "1")
    return image
