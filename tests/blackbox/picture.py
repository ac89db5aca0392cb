"""Synthetic pictures whose pixels say where they are: expected colours come from formulas, never from a resizer.

Red is a wave along x, green a wave along y, so that a shift by one pixel changes the mean by more than 3/255; blue
falls slowly along both, so that no two places are alike and a mirrored picture is no turned one. All are smooth, so
that every honest resampling filter gives the same value.

Coordinates are source px of the upright picture; pixel i covers [i, i + 1), its centre is i + 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

ORIENTATION_TAG = 0x0112
WAVE = 115.0
"""Amplitude of red and green, of 255. Its mean slope is 4 * WAVE / wave_px a pixel."""
SOURCE_QUALITY = 96


@dataclass(frozen=True, slots=True)
class Picture:
    """`width`, `height`: upright, in px. `orientation`: the EXIF value it is stored with. `wave_px`: of a wave."""

    name: str
    width: int
    height: int
    mode: Literal["RGB", "L", "RGBA"] = "RGB"
    suffix: str = ".jpg"
    orientation: int = 1
    wave_px: int = 104

    @property
    def file_name(self) -> str:
        """What `paint` calls the file."""
        return f"{self.name}{self.suffix}"

    @property
    def channels(self) -> str:
        """One letter a channel."""
        return self.mode

    def colour(self, x: float, y: float, box_x: float = 1.0, box_y: float = 1.0) -> tuple[float, ...]:
        """The mean colour, 0 to 255 a channel, of the box of `box_x` times `box_y` px around (x, y)."""
        across, down = self._waves(x, y, box_x, box_y)
        slow_x = math.cos(math.pi * x / self.width) * _mean(box_x / (2 * self.width))
        slow_y = math.cos(math.pi * y / self.height) * _mean(box_y / (2 * self.height))
        if self.mode == "L":
            return (127.5 + 50 * across + 50 * down + 12 * slow_x + 10 * slow_y,)
        colours = (127.5 + WAVE * across, 127.5 + WAVE * down, 127.5 + 60 * slow_x + 55 * slow_y)
        return colours if self.mode == "RGB" else (*colours, 180 + 75 * slow_y)

    def _waves(self, x: float, y: float, box_x: float, box_y: float) -> tuple[float, float]:
        turn = 2 * math.pi / self.wave_px
        across = math.sin(turn * x) * _mean(box_x / self.wave_px)
        return across, math.sin(turn * y + 1) * _mean(box_y / self.wave_px)


def _mean(waves: float) -> float:
    """The part of a sine's amplitude that is left when it is averaged over that many of its waves."""
    return math.sin(math.pi * waves) / (math.pi * waves) if waves else 1.0


LANDSCAPE = Picture("landscape", 597, 401)
PICTURES: tuple[Picture, ...] = (
    LANDSCAPE,
    Picture("turned", 401, 597, orientation=6),
    Picture("transposed", 403, 586, orientation=5),
    Picture("gray", 590, 402, mode="L", wave_px=64),
    Picture("alpha", 402, 405, mode="RGBA", suffix=".png"),
    Picture("large", 1283, 901, wave_px=300),
)
"""`large` is larger than one answer may be under MAX_WIDTH and MAX_AREA; the others are not."""
TILE_SIZE, MAX_WIDTH, MAX_AREA = 128, 620, 260_000
"""For the configuration of the server under test, in px: `large` is limited by both, the others by none."""


def picture_named(name: str) -> Picture:
    """The one of PICTURES; ValueError for another name."""
    for picture in PICTURES:
        if picture.name == name:
            return picture
    raise ValueError(f"no picture {name}: {', '.join(picture.name for picture in PICTURES)}")


def upright(orientation: int, width: int, height: int) -> Callable[[int, int], tuple[int, int]]:
    """Where a stored pixel (column, row) is in the upright picture of that width and height.

    Rule: Exif 2.3, Orientation: what the 0th row and the 0th column are, as seen.
    """
    right, bottom = width - 1, height - 1
    places: dict[int, Callable[[int, int], tuple[int, int]]] = {
        1: lambda column, row: (column, row),
        2: lambda column, row: (right - column, row),
        3: lambda column, row: (right - column, bottom - row),
        4: lambda column, row: (column, bottom - row),
        5: lambda column, row: (row, column),
        6: lambda column, row: (right - row, column),
        7: lambda column, row: (right - row, bottom - column),
        8: lambda column, row: (row, bottom - column),
    }
    return places[orientation]


def paint(picture: Picture, folder: Path) -> Path:
    """The picture's file in `folder`; with the Orientation tag where it is not stored upright."""
    width, height = picture.width, picture.height
    stored = (width, height) if picture.orientation < 5 else (height, width)
    place = upright(picture.orientation, width, height)
    image = Image.frombytes(picture.mode, stored, _pixels(picture, stored, place))
    path = folder / picture.file_name
    exif = Image.Exif()
    if picture.orientation != 1:
        exif[ORIENTATION_TAG] = picture.orientation
    if picture.suffix == ".jpg":
        image.save(path, quality=SOURCE_QUALITY, subsampling=0, exif=exif)
    else:
        image.save(path, exif=exif)
    return path


def _pixels(picture: Picture, stored: tuple[int, int], place: Callable[[int, int], tuple[int, int]]) -> bytes:
    """The bytes of the stored pixels, row by row. Every channel is a function of x plus a function of y."""
    columns, rows = stored
    zero = _centre(picture, *place(0, 0))
    along_row = [_centre(picture, *place(column, 0)) for column in range(columns)]
    pixels = bytearray()
    for row in range(rows):
        start = _centre(picture, *place(0, row))
        line = bytearray(columns * len(picture.channels))
        for channel in range(len(picture.channels)):
            offset = start[channel] - zero[channel]
            line[channel :: len(picture.channels)] = bytes(round(value[channel] + offset) for value in along_row)
        pixels += line
    return bytes(pixels)


def _centre(picture: Picture, x: int, y: int) -> Sequence[float]:
    return picture.colour(x + 0.5, y + 0.5)
