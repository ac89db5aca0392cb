"""A small gallery to look at, painted on the spot: every kind of picture that a gallery of photos has trouble with.

Every run paints the same pixels and the same bytes: noise comes from a fixed linear congruence, not from Pillow's
`effect_noise`, which cannot be seeded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

TRIP = "Fjord trip"
NAMED = "Fjord trip/Day 2 – 50% fog, [déjà vu]"
"""An album below an album, with a name that must be percent-encoded in a URI."""

_FIRST_TAKEN = datetime(2024, 6, 1, 21, 40, tzinfo=UTC)
_OFFSET = "+02:00"
_CAMERA = "iiiffs", "Sample 24"

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """A painted landscape: `sky` and `sun` colours from top to horizon, and hills from far to near."""

    seed: int
    sky: tuple[Colour, Colour]
    sun: Colour
    hills: Sequence[Colour]
    water: bool = False


_EVENING = Scene(
    7, ((38, 58, 110), (252, 178, 110)), (255, 236, 190), ((146, 116, 140), (96, 84, 116), (52, 58, 84)), True
)
_MORNING = Scene(
    23, ((110, 160, 205), (240, 226, 205)), (255, 250, 235), ((150, 170, 176), (96, 128, 116), (50, 80, 62))
)
_FOG = Scene(
    41, ((150, 156, 160), (226, 228, 228)), (250, 250, 248), ((190, 194, 196), (150, 156, 160), (92, 98, 102)), True
)
_NOON = Scene(
    59, ((28, 104, 182), (170, 214, 238)), (255, 255, 246), ((120, 150, 176), (84, 128, 90), (44, 92, 48)), True
)


def write_sample_gallery(folder: Path) -> None:
    """The gallery is in `folder`: five pictures in two nested albums and the folder itself, with fixed times.

    A 24 MP landscape with EXIF, a portrait that is stored turned (orientation 6), a gray JPEG, a PNG with alpha and a
    CMYK JPEG. Files of the same names are replaced. Errors: OSError.
    """
    paintings: tuple[tuple[str, Callable[[Path], None]], ...] = (
        (f"{TRIP}/Evening light.jpg", _write_landscape),
        (f"{TRIP}/Morning, upright.jpg", _write_portrait),
        (f"{NAMED}/Fog in gray.jpg", _write_gray),
        (f"{NAMED}/Printed at noon.jpg", _write_cmyk),
        ("Compass.png", _write_alpha),
    )
    for number, (name, write) in enumerate(paintings):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        _set_time(path, number)
    for number, name in enumerate((NAMED, TRIP, "."), start=len(paintings)):
        _set_time(folder / name, number)


def _set_time(path: Path, number: int) -> None:
    moment_ns = int((_FIRST_TAKEN + timedelta(hours=number)).timestamp()) * 10**9
    os.utime(path, ns=(moment_ns, moment_ns))


def _exif(number: int, orientation: int = 1) -> Image.Exif:
    taken = (_FIRST_TAKEN + timedelta(hours=number + 2)).strftime("%Y:%m:%d %H:%M:%S")
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = _CAMERA
    exif[0x0112] = orientation
    exif[0x0132] = taken
    exif.get_ifd(0x8769).update({0x9003: taken, 0x9010: _OFFSET, 0x9011: _OFFSET})
    return exif


def _write_landscape(path: Path) -> None:
    _paint(_EVENING, 6000, 4000).save(path, quality=92, exif=_exif(0))


def _write_portrait(path: Path) -> None:
    picture = _paint(_MORNING, 1500, 2000)
    picture.transpose(Image.Transpose.ROTATE_90).save(path, quality=90, exif=_exif(1, orientation=6))


def _write_gray(path: Path) -> None:
    _paint(_FOG, 2400, 1600).convert("L").save(path, quality=90, exif=_exif(2))


def _write_cmyk(path: Path) -> None:
    _paint(_NOON, 1800, 1200).convert("CMYK").save(path, quality=90, exif=_exif(3))


def _write_alpha(path: Path) -> None:
    """A compass rose on nothing."""
    side = 2400
    rose = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(rose)
    middle = side // 2
    draw.ellipse((60, 60, side - 60, side - 60), fill=(24, 44, 72, 150), outline=(24, 44, 72, 255), width=36)
    for turn in (1, 3, 5, 7, 2, 4, 6, 0):  # the long needles above the short ones
        long, wide = (1060, 150) if turn % 2 == 0 else (640, 110)
        needle = Image.new("L", rose.size)
        pen = ImageDraw.Draw(needle)
        pen.polygon([(middle, middle - long), (middle - wide, middle), (middle, middle)], fill=255)
        light = needle.rotate(-45 * turn, Image.Resampling.BICUBIC)
        dark = needle.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(-45 * turn, Image.Resampling.BICUBIC)
        rose.paste((246, 226, 180, 255) if turn else (226, 84, 60, 255), mask=light)
        rose.paste((196, 150, 84, 255) if turn else (160, 40, 36, 255), mask=dark)
    rose.reduce(2).save(path, compress_level=3)


def _paint(scene: Scene, width: int, height: int) -> Image.Image:
    """Sky, sun, hills and perhaps water at half size, then the grain of a sensor at full size."""
    small = (width // 2, height // 2)
    horizon = int(small[1] * 0.62)
    picture = _gradient(small, scene.sky)
    _add_clouds(picture, scene, horizon)
    _add_sun(picture, scene, horizon)
    for depth, colour in enumerate(scene.hills):
        _add_hill(picture, scene, depth, colour, horizon)
    if scene.water:
        _add_water(picture, horizon + small[1] // 7)
    return _grained(picture.resize((width, height), Image.Resampling.BICUBIC), scene.seed)


def _gradient(size: tuple[int, int], ends: tuple[Colour, Colour]) -> Image.Image:
    ramp = Image.linear_gradient("L").resize(size, Image.Resampling.BICUBIC)
    return Image.composite(Image.new("RGB", size, ends[1]), Image.new("RGB", size, ends[0]), ramp)


def _noise(seed: int, width: int, height: int) -> Image.Image:
    """Gray noise, the same on every machine: bytes of a linear congruence (Knuth's MMIX constants)."""
    state, values = seed * 2 + 1, bytearray(width * height)
    for index in range(len(values)):
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        values[index] = state >> 56
    return Image.frombytes("L", (width, height), bytes(values))


def _clouded(seed: int, size: tuple[int, int]) -> Image.Image:
    """Soft noise: three octaves, the coarse ones strongest."""
    layers = [_noise(seed + cells, cells * 2, cells).resize(size, Image.Resampling.BICUBIC) for cells in (5, 14, 40)]
    return Image.blend(Image.blend(layers[0], layers[1], 0.4), layers[2], 0.22)


def _add_clouds(picture: Image.Image, scene: Scene, horizon: int) -> None:
    size = (picture.width, horizon)
    cover = _clouded(scene.seed, size).point([max(0, min(200, (value - 118) * 4)) for value in range(256)])
    fading = Image.linear_gradient("L").resize(size).point([255 - value for value in range(256)])
    picture.paste(scene.sun, (0, 0), ImageChops.multiply(cover, fading))


def _add_sun(picture: Image.Image, scene: Scene, horizon: int) -> None:
    side = picture.height * 3 // 4
    glow = Image.radial_gradient("L").resize((side, side), Image.Resampling.BICUBIC)
    shine = glow.point([max(0, 215 - 2 * value) if value > 12 else 255 for value in range(256)])
    picture.paste(scene.sun, (picture.width * 2 // 3 - side // 2, horizon - side * 5 // 8), shine)


def _add_hill(picture: Image.Image, scene: Scene, depth: int, colour: Colour, horizon: int) -> None:
    width, height = picture.size
    crest = [
        (x, int(horizon + height * (0.07 * depth - 0.02) - height * 0.09 * _ridge(scene.seed + 3 * depth, x / width)))
        for x in range(0, width + 4, 4)
    ]
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon([(0, height), *crest, (width, height)], fill=255)
    shade = _clouded(scene.seed + 11 * (depth + 1), picture.size)
    lit = tuple(min(255, channel + 34) for channel in colour)
    body = Image.composite(Image.new("RGB", picture.size, lit), Image.new("RGB", picture.size, colour), shade)
    picture.paste(body, mask=mask.filter(ImageFilter.BoxBlur(1)))


def _ridge(seed: int, x: float) -> float:
    """A mountain line in about -1..1."""
    waves = ((2.1, 0.55), (5.3, 0.28), (11.7, 0.13), (29.0, 0.06), (67.0, 0.03))
    return sum(weight * sin(6.2832 * rate * x + seed * (1 + rate)) for rate, weight in waves)


def _add_water(picture: Image.Image, shore: int) -> None:
    """What is above the shore, mirrored, darker, and blurred along the waves."""
    depth = picture.height - shore
    mirrored = picture.crop((0, shore - depth, picture.width, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    calm = mirrored.reduce((2, 6)).resize(mirrored.size, Image.Resampling.BICUBIC)
    waves = _noise(shore, 48, 160).resize(mirrored.size, Image.Resampling.BICUBIC)
    dimmed = calm.point([value * 3 // 4 for value in range(256)] * 3)
    picture.paste(Image.composite(calm, dimmed, waves), (0, shore))


def _grained(picture: Image.Image, seed: int) -> Image.Image:
    """With the noise of a sensor: one sheet of grain, laid side by side, each mirrored against the last."""
    sheet = _noise(seed, 256, 256)
    grain = Image.new("L", picture.size)
    turns = (None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90, Image.Transpose.TRANSVERSE)
    sheets = [sheet if turn is None else sheet.transpose(turn) for turn in turns]
    for row, top in enumerate(range(0, picture.height, 256)):
        for column, left in enumerate(range(0, picture.width, 256)):
            grain.paste(sheets[(5 * row + 3 * column + row * column) % 4], (left, top))
    soft = grain.point([118 + value * 20 // 255 for value in range(256)])
    return ImageChops.add(picture, Image.merge("RGB", (soft, soft, soft)), offset=-128)
