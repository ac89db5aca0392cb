"""Small pictures whose pixels tell where they are, and a way to render one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from iiiffs.iiif.parameters import Format, Quality, Rotation, Size
from iiiffs.iiif.request import ImageRequest
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent, Region
from iiiffs.render.headers import read_facts
from iiiffs.render.renderer import Renderer, RenderLimits


def coordinates(width: int, height: int) -> Image.Image:
    """Red grows with x, green with y, blue is constant: smooth, so that JPEG and resampling change little."""
    pixels = bytes(
        value
        for y in range(height)
        for x in range(width)
        for value in (255 * x // max(1, width - 1), 255 * y // max(1, height - 1), 64)
    )
    return Image.frombytes("RGB", (width, height), pixels)


def pixel(image: Image.Image, place: tuple[int, int]) -> tuple[int, ...]:
    """The value of every band at `place`; one value for a picture of one band."""
    value = image.getpixel(place)
    if isinstance(value, tuple):
        return value
    assert isinstance(value, int), f"{image.mode} has no whole values"
    return (value,)


def saved(image: Image.Image, name: str, **settings: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **settings)
    return buffer.getvalue()


def stored_turned(upright: Image.Image, orientation: int) -> Image.Image:
    """What a camera stores that writes `orientation`, pixel by pixel from the EXIF standard's own table.

    EXIF 2.32 §4.6.4: where row 0 and column 0 of the stored picture are seen.
    """
    width, height = upright.size
    places: dict[int, Callable[[int, int], tuple[int, int]]] = {
        1: lambda row, column: (column, row),
        2: lambda row, column: (width - 1 - column, row),
        3: lambda row, column: (width - 1 - column, height - 1 - row),
        4: lambda row, column: (column, height - 1 - row),
        5: lambda row, column: (row, column),
        6: lambda row, column: (width - 1 - row, column),
        7: lambda row, column: (width - 1 - row, height - 1 - column),
        8: lambda row, column: (row, height - 1 - column),
    }
    seen = places[orientation]
    size = (height, width) if orientation >= 5 else (width, height)
    stored = Image.new(upright.mode, size)
    told, kept = upright.load(), stored.load()
    assert told is not None
    assert kept is not None
    for row in range(size[1]):
        for column in range(size[0]):
            kept[column, row] = told[seen(row, column)]
    return stored


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def image_request(
    region: tuple[int, int, int, int],
    size: tuple[int, int],
    turn: str = "0",
    quality: Quality = Quality.DEFAULT,
    format: Format = Format.PNG,
) -> ImageRequest:
    """`region` is left, top, right, bottom; `turn` as in a URI, such as "!90"."""
    extent = Extent(*size)
    rotation = Rotation(turn.startswith("!"), Fraction(turn.removeprefix("!")))
    return ImageRequest(Region(*region), Size(extent, False, False), rotation, quality, format)


def whole(facts: Facts, **settings: object) -> ImageRequest:
    """All of it at its own size."""
    assert facts.extent is not None
    size = (facts.extent.width, facts.extent.height)
    return image_request((0, 0, *size), size, **settings)  # type: ignore[arg-type]


@dataclass
class Source:
    """Source bytes that count how often they are opened."""

    data: bytes
    opened: int = field(default=0)

    @property
    def facts(self) -> Facts:
        return read_facts(BytesIO(self.data), "picture")

    def open(self) -> AbstractContextManager[BinaryIO]:
        self.opened += 1
        return BytesIO(self.data)

    def render(self, request: ImageRequest, renderer: Renderer | None = None) -> bytes:
        renderer = renderer or Renderer(RenderLimits())
        return renderer.render("key", self.open, request, self.facts)

    def image(self, request: ImageRequest, renderer: Renderer | None = None) -> Image.Image:
        """The rendition, decoded."""
        image = Image.open(BytesIO(self.render(request, renderer)))
        image.load()
        return image


def values(image: Image.Image) -> Iterator[int]:
    return iter(image.tobytes())


def mean_error(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of all values of two pictures of one mode and size, of 255."""
    assert (one.mode, one.size) == (other.mode, other.size)
    pairs = zip(values(one), values(other), strict=True)
    return sum(abs(a - b) for a, b in pairs) / len(one.tobytes())
