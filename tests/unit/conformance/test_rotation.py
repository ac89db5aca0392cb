"""Rotation: Image API 3.0 §4.3."""

from __future__ import annotations

from math import cos, radians, sin

import pytest
from PIL import Image

from tests.unit.conformance.conformance_pictures import SPEC, refused, shows, spec_picture

WHOLE = (0, 0, *SPEC)


def test_360_is_legal_and_the_same_as_0() -> None:
    """Rule: Image API 3.0 §4.3: "any floating point number from 0 to 360"."""
    served = spec_picture()
    for turn in ("360", "0.0", "360.0", "360.000"):
        assert served.body(f"full/max/{turn}/default.png") == served.body("full/max/0/default.png")
    assert served.body("full/max/!360/default.png") == served.body("full/max/!0/default.png")


def test_quarter_turns_are_clockwise() -> None:
    """Rule: Image API 3.0 §4.3, examples 1 to 3."""
    served = spec_picture()
    quarter = served.image("full/max/90/default.png")
    assert quarter.size == (200, 300)
    shows(quarter, WHOLE, SPEC, lambda u, v: (v, 1 - u))
    shows(served.image("full/max/180/default.png"), WHOLE, SPEC, lambda u, v: (1 - u, 1 - v))
    shows(served.image("full/max/270/default.png"), WHOLE, SPEC, lambda u, v: (1 - v, u))


def test_mirrored_is_left_to_right_and_before_the_turn() -> None:
    """Rule: Image API 3.0 §4.3: "mirrored by reflection on the vertical axis before any rotation is applied".

    Peers fail: the reference server does not mirror.
    """
    served = spec_picture()
    shows(served.image("full/max/!0/default.png"), WHOLE, SPEC, lambda u, v: (1 - u, v))
    shows(served.image("full/max/!180/default.png"), WHOLE, SPEC, lambda u, v: (u, 1 - v))
    shows(served.image("full/max/!90/default.png"), WHOLE, SPEC, lambda u, v: (1 - v, 1 - u))
    shows(served.image("full/max/!270/default.png"), WHOLE, SPEC, lambda u, v: (v, u))


@pytest.mark.parametrize("turn", ["22.5", "45", "100", "!22.5", "359", "0.5", "180.25"])
def test_the_box_grows_to_hold_all_and_nothing_more(turn: str) -> None:
    """Rule: Image API 3.0 §4.3; Implementation Notes §5: |w cos| + |h sin| by |h cos| + |w sin|, no space around it."""
    angle = radians(float(turn.removeprefix("!")))
    answer = spec_picture().image(f"full/max/{turn}/default.png")
    assert abs(answer.width - (abs(300 * cos(angle)) + abs(200 * sin(angle)))) <= 0.51
    assert abs(answer.height - (abs(200 * cos(angle)) + abs(300 * sin(angle)))) <= 0.51
    box = answer.getchannel("A").getbbox()
    assert box is not None
    assert box[0] <= 1 and box[1] <= 1 and box[2] >= answer.width - 1 and box[3] >= answer.height - 1


@pytest.mark.parametrize("turn", ["22.5", "45", "135.5", "!30"])
def test_the_contents_are_not_scaled(turn: str) -> None:
    """Rule: Image API 3.0 §4.3: what was 60 px apart is 60 px apart, and where a clockwise turn puts it."""
    answer = spec_picture().image(f"full/max/{turn}/default.png").convert("RGB")
    angle = radians(float(turn.removeprefix("!")))
    for dx, dy in ((60, 0), (0, 60), (-60, 30), (30, -60)):
        mirrored = -dx if turn.startswith("!") else dx
        i = answer.width / 2 + mirrored * cos(angle) - dy * sin(angle)
        j = answer.height / 2 + mirrored * sin(angle) + dy * cos(angle)
        seen = answer.getpixel((int(i), int(j)))
        assert isinstance(seen, tuple)
        assert abs(seen[0] - 255 * (150 + dx) / 299) < 3
        assert abs(seen[1] - 255 * (100 + dy) / 199) < 3


@pytest.mark.parametrize("name", ["png", "webp", "tif", "gif", "avif", "jp2"])
def test_corners_are_transparent_where_the_format_can(name: str) -> None:
    """Rule: Image API 3.0 §4.3 (RECOMMENDED)."""
    answer = spec_picture().image(f"full/60,/30/default.{name}").convert("RGBA")
    alpha = answer.getchannel("A")
    for corner in ((0, 0), (answer.width - 1, 0), (0, answer.height - 1), (answer.width - 1, answer.height - 1)):
        value = alpha.getpixel(corner)
        assert isinstance(value, int) and value < 12
    assert alpha.getpixel((answer.width // 2, answer.height // 2)) == 255


def test_corners_are_white_where_the_format_cannot() -> None:
    """Rule: Image API 3.0 §4.3: "no facility to request a particular background color": ours is white."""
    answer: Image.Image = spec_picture().image("full/max/30/default.jpg")
    corner = answer.getpixel((1, 1))
    assert isinstance(corner, tuple) and min(corner) > 245


def test_size_comes_before_rotation() -> None:
    """Rule: Image API 3.0 §4.3, §4.6: the dimensions may be other than the size parameter says."""
    answer = spec_picture().image("full/150,100/90/default.png")
    assert answer.size == (100, 150)
    shows(answer, WHOLE, SPEC, lambda u, v: (v, 1 - u))
    answer = spec_picture().image("150,0,150,200/75,/!270/default.png")
    assert answer.size == (100, 75)
    shows(answer, (150, 0, 300, 200), SPEC, lambda u, v: (v, u))


@pytest.mark.parametrize("turn", ["361", "360.1", "400", "-90", "-0", "+90", "!!0", "!", "90!", "n", "90deg", ""])
def test_a_turn_out_of_range_or_of_no_number_is_refused(turn: str) -> None:
    """Rule: Image API 3.0 §4.3: 400 (SHOULD). Peers fail: iiif-processor 7 serves 361."""
    refused(spec_picture(), f"full/max/{turn}/default.png")
