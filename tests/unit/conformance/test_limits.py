"""Limits: Image API 3.0 §5.2, and what formats themselves cannot hold."""

from __future__ import annotations

from io import BytesIO
from math import cos, radians, sin

import pytest
from PIL import Image

from iiiffs.errors import NotOffered, OutOfBounds, RequestError, TooLarge
from iiiffs.iiif.parameters import OFFERED, SIDE_MAX_PX, Format
from iiiffs.iiif.scaling import Limits
from iiiffs.render.encode import encode
from iiiffs.render.headers import read_facts
from iiiffs.render.renderer import Renderer, RenderLimits
from tests.mount.pictures import png_bomb
from tests.unit.conformance.conformance_pictures import SPEC, Served, file_of, ramps, refused, spec_picture


@pytest.mark.parametrize("limits", [Limits(250, 250, 40_000), Limits(900, 120, 10**6), Limits(300, 300, 4_000)])
def test_every_listed_size_and_tile_is_within_the_limits(limits: Limits) -> None:
    """Rule: Image API 3.0 §5.2: "Servers MUST ensure that sizes specified by any sizes or tiles are within" them."""
    served = spec_picture().under(limits)
    info = served.info
    for size in info["sizes"] + [{"width": tile["width"], "height": tile["height"]} for tile in info["tiles"]]:
        assert size["width"] <= limits.max_width
        assert size["height"] <= limits.max_height
        assert size["width"] * size["height"] <= limits.max_area
    for size in info["sizes"]:
        served.image(f"full/{size['width']},{size['height']}/0/default.jpg")


def test_limits_are_always_said_and_width_with_height() -> None:
    """Rule: Image API 3.0 §5.2: `maxHeight` only with `maxWidth`; §5.7: a server that upscales MUST say one."""
    info = spec_picture().under(Limits(640, 480, 200_000)).info
    assert (info["maxWidth"], info["maxHeight"], info["maxArea"]) == (640, 480, 200_000)
    assert "sizeUpscaling" in info["extraFeatures"]


def test_each_limit_binds_alone() -> None:
    """Rule: Image API 3.0 §5.2: `maxWidth / maxHeight` and `maxArea` are independent."""
    for limits, last, first_past in (
        (Limits(150, 9999, 10**9), "150,", "151,"),
        (Limits(9999, 100, 10**9), ",100", ",101"),
        (Limits(9999, 9999, 15_000), "150,100", "151,100"),
    ):
        served = spec_picture().under(limits)
        assert served.size(f"full/{last}/0/default.png") == (150, 100)
        refused(served, f"full/{first_past}/0/default.png")


def test_a_huge_request_costs_nothing() -> None:
    """Rule: Image API 3.0 §10 (denial of service): past the limits is refused by arithmetic, before any pixel."""
    refused(spec_picture(), *(f"full/^{size}/0/default.jpg" for size in ("99999,", "999999999999,1", "pct:999999999")))


def test_a_source_past_the_limit_on_pixels_is_refused_by_its_header() -> None:
    """Rule: none (DESIGN §2: what is outside the limits is refused for that file alone). No pixel of it is read."""
    facts = read_facts(BytesIO(png_bomb(20_000)), "bomb.png")
    assert facts.extent is None
    assert facts.error == "bomb.png: 20000x20000 px is over the limit of 320000000 px"
    served = Served(file_of(ramps(*SPEC)), renderer=Renderer(RenderLimits(pixels_max=59_999)))
    with pytest.raises(TooLarge, match="over the limit of 59999 px"):
        served.body("full/10,/0/default.jpg")


@pytest.mark.parametrize("format_", SIDE_MAX_PX, ids=lambda format_: str(format_.value))
@pytest.mark.parametrize("turn", ["0", "90"])
def test_sides_that_a_format_cannot_hold_are_an_error_of_the_request(format_: Format, turn: str) -> None:
    """Rule: Image API 3.0 §7.3: a request that cannot be fulfilled is a 4xx. WebP ends at 16,383 px, JPEG at 65,500.

    Fault found here: `default.webp` of 16,384 px was Undecodable, which took the picture's service and canvas away.
    """
    side = SIDE_MAX_PX[format_]
    served = Served(file_of(Image.new("L", (50, 1)))).under(Limits(70_000, 70_000, 10**9))
    refused(served, f"full/^{side + 1},1/{turn}/gray.{format_.value}")
    longest = served.body(f"full/^{side},1/{turn}/gray.{format_.value}")
    if format_ is Format.PDF:
        assert longest.startswith(b"%PDF-")
    else:
        size = (side, 1) if turn == "0" else (1, side)
        assert served.size(f"full/^{side},1/{turn}/gray.{format_.value}") == size


def test_it_is_the_turned_box_that_a_format_must_hold() -> None:
    """Rule: Image API 3.0 §4.3: the box grows; 11,600 px square turned by 45° is 16,405 px wide."""
    served = Served(file_of(Image.new("L", (20, 20)))).under(Limits(20_000, 20_000, 10**9))
    for side in (11_583, 11_600):
        width = side * (abs(cos(radians(45))) + abs(sin(radians(45))))
        if width <= 16_383:
            assert served.request(f"full/^{side},{side}/45/gray.webp")
        else:
            with pytest.raises(OutOfBounds, match="16383 px a side of webp"):
                served.request(f"full/^{side},{side}/45/gray.webp")
        assert served.request(f"full/^{side},{side}/45/gray.png")


@pytest.mark.parametrize("format_", list(OFFERED), ids=lambda format_: str(format_.value))
def test_what_an_encoder_refuses_is_never_the_picture_s_fault(format_: Format) -> None:
    """Rule: none (DESIGN §2: what cannot be decoded has no service, and nothing else): at worst it is not offered."""
    try:
        assert encode(Image.new("1", (70_000, 1)), format_)
    except RequestError as error:
        assert isinstance(error, NotOffered)
        assert f"70000x1 px cannot be written as {format_.value}" in str(error)
