"""Rendering from a reduced picture: exactly the pixels that Pillow alone makes of it, at exactly the size asked for."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from iiiffs.iiif.request import ImageRequest, parse_request
from iiiffs.iiif.scaling import Limits
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent, Region
from iiiffs.render.headers import read_facts
from iiiffs.render.plan import Decode, is_exact, window_level, window_of
from iiiffs.render.renderer import Renderer, RenderLimits

LIMITS = Limits(10_000, 10_000, 10**8)
FULL = Extent(1201, 803)
REDUCED = Extent(600, 401)
CLOSE = 1.5
"""Of 255: the halving of levels rounds once more than a single resampling does."""


@dataclass(frozen=True)
class Source:
    """A reduced picture as a provider gives it. `shown`: its pixels, upright."""

    data: bytes
    shown: Image.Image

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.data)

    @property
    def facts(self) -> Facts:
        with self.open() as stream:
            return read_facts(stream, "a preview")


def source(extent: Extent, orientation: int = 1) -> Source:
    size = (extent.width, extent.height)
    noise = Image.effect_noise((size[0] // 40 + 2, size[1] // 40 + 2), 90).resize(size, Image.Resampling.BICUBIC)
    slope = Image.linear_gradient("L").resize(size)
    shown = Image.merge("RGB", (noise, slope, slope.transpose(Image.Transpose.ROTATE_180)))
    stored = shown if orientation == 1 else shown.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    return Source(buffer.getvalue(), shown)


def request_of(region: str, size: str) -> ImageRequest:
    return parse_request(FULL, (region, size, "0", "default.png"), LIMITS, monochrome=False)


def rendered(renderer: Renderer, one: Source, request: ImageRequest) -> Image.Image:
    pyramid = renderer.decoded("key", one.open, Decode.FULL, one.facts)
    body = renderer.cut(pyramid, request, Facts("image/jpeg", FULL), REDUCED)
    return Image.open(io.BytesIO(body)).convert("RGB")


def by_pillow(one: Source, request: ImageRequest) -> Image.Image:
    across, down = REDUCED.width / FULL.width, REDUCED.height / FULL.height
    region, out = request.region, request.size.extent
    box = (region.left * across, region.top * down, region.right * across, region.bottom * down)
    return one.shown.resize((out.width, out.height), Image.Resampling.LANCZOS, box=box)


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    means: list[float] = ImageStat.Stat(ImageChops.difference(one, other)).mean
    return max(means)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("region", "size"),
    [
        ("full", "600,401"),
        ("full", "300,"),
        ("full", "!200,200"),
        ("full", "75,50"),
        ("0,0,512,512", "256,256"),
        ("512,0,512,512", "255,255"),
        ("1024,512,177,291", "88,145"),
        ("17,33,1001,700", "333,233"),
        ("333,111,10,13", "5,6"),
        ("1200,802,1,1", "1,1"),
        ("0,0,1201,1", "600,1"),
    ],
)
def test_pixels_are_pillows(region: str, size: str, orientation: int) -> None:
    one, request = source(REDUCED, orientation), request_of(region, size)
    answer = rendered(Renderer(RenderLimits()), one, request)
    assert difference(answer, by_pillow(one, request)) < (CLOSE if min(answer.size) > 5 else 12)


def test_the_whole_at_its_own_size_is_not_resampled() -> None:
    one = source(REDUCED)
    answer = rendered(Renderer(RenderLimits()), one, request_of("full", "600,401"))
    assert ImageChops.difference(answer, one.shown).getbbox() is None


def test_one_pixel_aside_would_be_seen() -> None:
    one = source(REDUCED)
    request, beside = request_of("512,256,512,512", "256,256"), request_of("510,256,512,512", "256,256")
    answer = rendered(Renderer(RenderLimits()), one, request)
    assert difference(answer, by_pillow(one, beside)) > 10 * difference(answer, by_pillow(one, request))


def test_it_is_decoded_once_and_bytes_do_not_depend_on_what_is_kept() -> None:
    one, renderer = source(REDUCED), Renderer(RenderLimits())
    requests = [request_of("0,0,512,512", "256,256"), request_of("full", "100,"), request_of("full", "50,")]
    facts = Facts("image/jpeg", FULL)
    together = [
        renderer.cut(renderer.decoded("key", one.open, Decode.FULL, one.facts), request, facts, REDUCED)
        for request in requests
    ]
    assert renderer.gauges.full_decodes == 1
    for request, body in zip(requests[::-1], together[::-1], strict=True):
        alone = Renderer(RenderLimits())
        pyramid = alone.decoded("key", one.open, Decode.FULL, one.facts)
        assert alone.cut(pyramid, request, facts, REDUCED) == body


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_size_is_exactly_what_was_asked_for(data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, FULL.width - 1)), data.draw(st.integers(0, FULL.height - 1))
    width = data.draw(st.integers(1, FULL.width - left))
    height = data.draw(st.integers(1, FULL.height - top))
    out = data.draw(st.integers(1, 700)), data.draw(st.integers(1, 500))
    request = request_of(f"{left},{top},{width},{height}", f"^{out[0]},{out[1]}")
    assert rendered(RENDERER, SHARED, request).size == out


RENDERER = Renderer(RenderLimits())
SHARED = source(REDUCED)


@given(st.integers(1, 3000), st.integers(1, 3000), st.data())
def test_windows_of_neighbours_meet_exactly(width: int, small: int, data: st.DataObject) -> None:
    image, reduced = Extent(width, 7), Extent(min(small, width), 5)
    cuts = sorted({0, width, *data.draw(st.lists(st.integers(0, width), max_size=5))})
    windows = [window_of(Region(left, 0, right, 7), image, reduced) for left, right in itertools.pairwise(cuts)]
    assert windows[0].left == 0
    assert windows[-1].right == reduced.width
    for one, other in itertools.pairwise(windows):
        assert one.right == other.left
    assert sum((window.right - window.left for window in windows), Fraction(0)) == reduced.width


@pytest.mark.parametrize(
    ("region", "out", "level", "exact"),
    [
        (Region(0, 0, 1200, 800), (600, 400), 0, True),
        (Region(0, 0, 1200, 800), (300, 200), 1, True),
        (Region(0, 0, 1200, 800), (299, 200), 1, False),
        (Region(2, 0, 402, 400), (100, 100), 1, False),  # begins within a pixel of the level
        (Region(1, 0, 401, 400), (200, 200), 0, False),  # begins within a pixel of the picture
        (Region(0, 0, 1200, 800), (75, 50), 3, True),
    ],
)
def test_levels(region: Region, out: tuple[int, int], level: int, *, exact: bool) -> None:
    image, reduced = Extent(1200, 800), Extent(600, 400)
    window = window_of(region, image, reduced)
    assert window_level(window, Extent(*out), reduced) == level
    assert is_exact(window, Extent(*out), level) is exact
