"""The steps of Image API 3.0 §4.6 on pixels: region and size, mirror and turn, quality."""

from __future__ import annotations

from math import ceil, cos, floor, radians, sin

from PIL import Image

from iiiffs.iiif.parameters import Quality, Rotation
from iiiffs.model.image import Extent, Region
from iiiffs.render.colour import on_white

_LANCZOS_SUPPORT_PX = 3
_CROP_PX_MAX = 1 << 25  # Image.crop warns of a bomb from 89 MP on
_BITONAL_THRESHOLD = 128
_QUARTER_TURNS = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}


def cut(level: Image.Image, region: Region, scale: int, out: Extent, *, exact: bool) -> Image.Image:
    """`region` (stored source px) of a level at 1/`scale`, at exactly `out` px. May return `level` itself.

    `exact`: the answer is pixels of the level as they are (`plan.is_exact`).
    """
    if exact:
        left, top = region.left // scale, region.top // scale
        return _crop(level, (left, top, left + out.width, top + out.height))
    box = (region.left / scale, region.top / scale, region.right / scale, region.bottom / scale)
    # Pillow converts all of an image with alpha before it resamples a part of it: so only the part, with what the
    # filter sees around it.
    margin_x = ceil(_LANCZOS_SUPPORT_PX * max(1.0, (box[2] - box[0]) / out.width)) + 1
    margin_y = ceil(_LANCZOS_SUPPORT_PX * max(1.0, (box[3] - box[1]) / out.height)) + 1
    left, top = max(0, floor(box[0]) - margin_x), max(0, floor(box[1]) - margin_y)
    right, bottom = min(level.width, ceil(box[2]) + margin_x), min(level.height, ceil(box[3]) + margin_y)
    part = _crop(level, (left, top, right, bottom))
    grows = out.width > box[2] - box[0] or out.height > box[3] - box[1]
    return part.resize(
        (out.width, out.height),
        Image.Resampling.BICUBIC if grows else Image.Resampling.LANCZOS,
        box=(box[0] - left, box[1] - top, box[2] - left, box[3] - top),
    )


def _crop(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    if box == (0, 0, *image.size):
        return image
    size = (box[2] - box[0], box[3] - box[1])
    if size[0] * size[1] <= _CROP_PX_MAX:
        return image.crop(box)
    return image.transform(size, Image.Transform.EXTENT, box, Image.Resampling.NEAREST)


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
