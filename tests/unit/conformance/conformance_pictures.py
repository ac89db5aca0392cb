"""A picture whose pixels tell where they are, served by the real Renderer; answers are read back by Pillow alone.

Nothing of iiiffs says here what an answer should look like: the geometry is worked out again from the specification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from iiiffs.errors import RequestError
from iiiffs.iiif.info import image_info
from iiiffs.iiif.info2 import image_info_2
from iiiffs.iiif.parameters import ApiVersion
from iiiffs.iiif.request import ImageRequest, canonical, canonical_2, parse_request
from iiiffs.iiif.scaling import Limits
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent
from iiiffs.render.headers import read_facts
from iiiffs.render.renderer import Renderer, RenderLimits

LIMITS = Limits(16_384, 16_384, 100_000_000)
"""The defaults of the configuration."""
SERVICE = "https://gallery.example/ada/iiif/3/a1"
SERVICE_2 = "https://gallery.example/ada/iiif/2/a1"
TILE_PX = 512
BLUE = 64
Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom, in px of the upright picture."""


def ramps(width: int, height: int) -> Image.Image:
    """Red grows from 0 to 255 along x, green along y, blue is BLUE."""
    across = Image.frombytes("L", (width, 1), bytes(255 * x // max(1, width - 1) for x in range(width)))
    down = Image.frombytes("L", (1, height), bytes(255 * y // max(1, height - 1) for y in range(height)))
    size = (width, height)
    near = Image.Resampling.NEAREST
    return Image.merge("RGB", (across.resize(size, near), down.resize(size, near), Image.new("L", size, BLUE)))


def file_of(picture: Image.Image, name: str = "PNG", **settings: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, name, **settings)
    return buffer.getvalue()


def oriented(upright: Image.Image, orientation: int) -> bytes:
    """A JPEG as a camera stores it that was held so: turned, with the tag. Orientations 1, 3, 6 and 8."""
    turn = {
        1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if turn is None else upright.transpose(turn)
    return file_of(stored, "JPEG", quality=98, subsampling=0, exif=exif)


@dataclass
class Served:
    """One file behind an image service of version 3 and one of version 2."""

    data: bytes
    limits: Limits = LIMITS
    renderer: Renderer = field(default_factory=lambda: Renderer(RenderLimits()))

    @property
    def facts(self) -> Facts:
        return read_facts(BytesIO(self.data), "picture")

    @property
    def extent(self) -> Extent:
        extent = self.facts.extent
        assert extent is not None, self.facts.error
        return extent

    def request(self, path: str, version: ApiVersion = 3) -> ImageRequest:
        """`path` as it is on the mount: REGION/SIZE/ROTATION/QUALITY.FORMAT, not percent-encoded."""
        region, size, rotation, leaf = path.split("/")
        facts = self.facts
        parts = (region, size, rotation, leaf)
        return parse_request(self.extent, parts, self.limits, monochrome=facts.monochrome, version=version)

    def canonical(self, path: str, version: ApiVersion = 3) -> str:
        spell = canonical if version == 3 else canonical_2
        return "/".join(spell(self.request(path, version), self.extent))

    def body(self, path: str, version: ApiVersion = 3) -> bytes:
        request = self.request(path, version)
        return self.renderer.render("key", lambda: BytesIO(self.data), request, self.facts)

    def image(self, path: str, version: ApiVersion = 3) -> Image.Image:
        """The answer, decoded."""
        image = Image.open(BytesIO(self.body(path, version)))
        image.load()
        return image

    def size(self, path: str, version: ApiVersion = 3) -> tuple[int, int]:
        return self.image(path, version).size

    def under(self, limits: Limits) -> Served:
        """The same file, under other limits."""
        return replace(self, limits=limits, renderer=Renderer(RenderLimits()))

    @property
    def info(self) -> dict[str, Any]:
        return image_info(SERVICE, self.extent, self.limits, TILE_PX, monochrome=self.facts.monochrome)

    @property
    def info_2(self) -> dict[str, Any]:
        return image_info_2(SERVICE_2, self.extent, self.limits, TILE_PX, monochrome=self.facts.monochrome)


def refused(served: Served, *paths: str, version: ApiVersion = 3) -> None:
    """Every one of them is an error of the asker: ENOENT on the mount, 400 from a web server, never a 500."""
    for path in paths:
        with pytest.raises(RequestError):
            served.request(path, version)
            pytest.fail(f"{path} is taken")


Place = Callable[[float, float], tuple[float, float]]


def shows(
    answer: Image.Image,
    rectangle: Rectangle,
    extent: tuple[int, int],
    place: Place | None = None,
    off_px: float = 0.0,
    mean: float = 2.0,
) -> None:
    """`answer` shows `rectangle` of a ramps() picture of `extent`, to `mean` of 255 along each axis and 12 anywhere.

    `place`: where in the unturned answer (0 to 1 each way) a point of the answer is; None where it is not turned.
    `off_px`: by how many px of the picture a point may lie elsewhere: in what is only a few px wide, its last reduced
    pixel is a part of one.
    """
    colours = answer.convert("RGB")
    left, top, right, bottom = rectangle
    steps = (255 / max(1, extent[0] - 1), 255 / max(1, extent[1] - 1))
    errors: tuple[list[float], list[float]] = ([], [])
    for v in (0.1, 0.3, 0.5, 0.75, 0.9):
        for u in (0.1, 0.25, 0.5, 0.7, 0.9):
            i, j = min(answer.width - 1, int(u * answer.width)), min(answer.height - 1, int(v * answer.height))
            at_u, at_v = (i + 0.5) / answer.width, (j + 0.5) / answer.height
            if place is not None:
                at_u, at_v = place(at_u, at_v)
            wanted = (left + at_u * (right - left) - 0.5, top + at_v * (bottom - top) - 0.5)
            seen = colours.getpixel((i, j))
            assert isinstance(seen, tuple)
            for axis in (0, 1):
                error = abs(seen[axis] - steps[axis] * wanted[axis]) - steps[axis] * off_px
                errors[axis].append(max(0.0, error))
    for name, of_axis in zip("xy", errors, strict=True):
        assert max(of_axis) <= 12, f"a point is off by {max(of_axis):.0f} of 255 along {name}"
        assert sum(of_axis) / len(of_axis) <= mean, f"off by {sum(of_axis) / len(of_axis):.1f} of 255 along {name}"


SPEC = (300, 200)
"""The size of the picture in the specification's examples."""


def spec_picture() -> Served:
    return Served(file_of(ramps(*SPEC)))


def gray_picture() -> Served:
    return Served(file_of(ramps(*SPEC).convert("L"), "JPEG", quality=95))
