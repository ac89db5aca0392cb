"""Region: Image API 3.0 §4.1 (2.1 §4.1 says the same)."""

from __future__ import annotations

import pytest

from tests.unit.conformance.conformance_pictures import (
    SPEC,
    Served,
    file_of,
    oriented,
    ramps,
    refused,
    shows,
    spec_picture,
)

WHOLE = (0, 0, *SPEC)


def test_full_is_the_whole_image() -> None:
    """Rule: Image API 3.0 §4.1, `full`."""
    answer = spec_picture().image("full/max/0/default.png")
    assert answer.size == SPEC
    shows(answer, WHOLE, SPEC)


@pytest.mark.parametrize(("size", "square"), [((300, 200), (50, 0, 250, 200)), ((200, 300), (0, 50, 200, 250))])
def test_square_is_as_wide_and_high_as_the_shorter_side_and_centred(
    size: tuple[int, int], square: tuple[int, int, int, int]
) -> None:
    """Rule: Image API 3.0 §4.1, `square`: where on the longer side is our choice."""
    answer = Served(file_of(ramps(*size))).image("square/max/0/default.png")
    assert answer.size == (200, 200)
    shows(answer, square, size)


def test_pixels_count_from_the_upper_left() -> None:
    """Rule: Image API 3.0 §4.1, `x,y,w,h`, example 3."""
    answer = spec_picture().image("125,15,120,140/max/0/default.png")
    assert answer.size == (120, 140)
    shows(answer, (125, 15, 245, 155), SPEC)
    assert answer.getpixel((0, 0)) == ramps(*SPEC).getpixel((125, 15)), "off by one"
    assert answer.getpixel((119, 139)) == ramps(*SPEC).getpixel((244, 154)), "off by one"


def test_percents_are_of_the_dimensions_in_info_json() -> None:
    """Rule: Image API 3.0 §4.1, `pct:x,y,w,h`, example 4: 41.6 % of 300 px is 125 px, nearest."""
    answer = spec_picture().image("pct:41.6,7.5,40,70/max/0/default.png")
    assert answer.size == (120, 140)
    shows(answer, (125, 15, 245, 155), SPEC)


@pytest.mark.parametrize("region", ["125,15,200,200", "pct:41.6,7.5,66.6,100"])
def test_a_region_past_the_edge_is_cropped_and_not_padded(region: str) -> None:
    """Rule: Image API 3.0 §4.1, examples 5 and 6: "N.B. Returned image is 175,185 px"."""
    answer = spec_picture().image(f"{region}/max/0/default.png")
    assert answer.size == (175, 185)
    shows(answer, (125, 15, 300, 200), SPEC)


def test_a_region_of_no_width_or_height_is_refused() -> None:
    """Rule: Image API 3.0 §4.1: 400 (SHOULD)."""
    refused(
        spec_picture(),
        *(
            f"{region}/max/0/default.jpg"
            for region in ("0,0,0,10", "0,0,10,0", "0,0,0,0", "pct:0,0,0,9", "pct:0,0,9,0")
        ),
    )


def test_a_region_wholly_outside_is_refused_and_the_next_request_is_served() -> None:
    """Rule: Image API 3.0 §4.1: 400 (SHOULD).

    Peers fail: iiif-processor 7 answers 500; iipsrv 1.1 answers 502 to everything until it is restarted.
    """
    served = spec_picture()
    refused(
        served,
        *(f"{region}/max/0/default.jpg" for region in ("300,0,9,9", "0,200,9,9", "1651,1117,9,9", "pct:100,0,5,5")),
    )
    assert served.size("299,199,10,10/max/0/default.jpg") == (1, 1)


def test_the_whole_in_pixels_is_full() -> None:
    """Rule: Image API 3.0 §4.1, §4.8: `0,0,W,H` is the same image, byte for byte."""
    served = spec_picture()
    whole = served.body("full/max/0/default.jpg")
    for region in ("0,0,300,200", "0,0,9999,9999", "pct:0,0,100,100"):
        assert served.body(f"{region}/max/0/default.jpg") == whole


@pytest.mark.parametrize("region", ["-1,0,9,9", "0.0,0,9,9", "0,0,9", "0,0,9,9,9", ",0,9,9", "pct:-1,0,9,9"])
def test_pixels_are_four_non_negative_integers(region: str) -> None:
    """Rule: Image API 3.0 §4: "Size and region parameters in pixels MUST be non-negative integers"."""
    refused(spec_picture(), f"{region}/max/0/default.jpg")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_regions_are_of_the_upright_picture(orientation: int) -> None:
    """Rule: Image API 3.0 §4.1: of the full image as info.json reports it, whose sides EXIF may have exchanged.

    Peers fail: the reference server ignores EXIF (97 of 207 checks on portrait.jpg), and iipsrv will not do it.
    """
    size = (160, 240)
    served = Served(oriented(ramps(*size), orientation))
    assert (served.info["width"], served.info["height"]) == size
    shows(served.image("40,100,80,60/max/0/default.png"), (40, 100, 120, 160), size)
    shows(served.image("square/max/0/default.png"), (0, 40, 160, 200), size)
    shows(served.image("pct:25,50,50,25/40,/0/default.png"), (40, 120, 120, 180), size)
