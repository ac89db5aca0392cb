"""One canonical form: Image API 3.0 §4.8, 2.1 §4.7."""

from __future__ import annotations

import pytest

from iiiffs.iiif.scaling import Limits
from tests.unit.conformance.conformance_pictures import Served, file_of, gray_picture, ramps, spec_picture


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("0,0,300,200/max/0/default.jpg", "full/max/0/default.jpg"),
        ("0,0,9999,200/max/0/default.jpg", "full/max/0/default.jpg"),
        ("pct:0,0,100,100/max/0/default.jpg", "full/max/0/default.jpg"),
        ("square/max/0/default.jpg", "50,0,200,200/max/0/default.jpg"),
        ("pct:50,50,50,50/max/0/default.jpg", "150,100,150,100/max/0/default.jpg"),
        ("125,15,200,200/max/0/default.jpg", "125,15,175,185/max/0/default.jpg"),
    ],
)
def test_a_region_is_full_or_pixels(asked: str, canonical: str) -> None:
    """Rule: Image API 3.0 §4.8, region: `full` if the full image is requested, otherwise x,y,w,h."""
    assert spec_picture().canonical(asked) == canonical


@pytest.mark.parametrize(
    ("size", "canonical"),
    [
        ("300,200", "max"), ("300,", "max"), (",200", "max"), ("pct:100", "max"), ("!999,999", "max"), ("^300,", "max"),
        ("150,", "150,100"), (",100", "150,100"), ("pct:50", "150,100"), ("!150,999", "150,100"), ("^150,", "150,100"),
        ("^330,", "^330,220"), ("^pct:110", "^330,220"), ("^!330,330", "^330,220"), ("^330,10", "^330,10"),
        ("^360,", "^max"), ("^max", "^max"), ("^!999,999", "^max"), ("^360,240", "^max"),
    ],
)  # fmt: skip
def test_a_size_is_max_or_both_sides(size: str, canonical: str) -> None:
    """Rule: Image API 3.0 §4.8, size: `max`, `^max`, `w,h`, `^w,h`; here with a `maxWidth` of 360 px."""
    served = spec_picture().under(Limits(360, 360, 100_000_000))
    assert served.canonical(f"full/{size}/0/default.jpg") == f"full/{canonical}/0/default.jpg"


@pytest.mark.parametrize(
    ("turn", "canonical"),
    [
        ("0", "0"), ("360", "0"), ("0.0", "0"), ("90.0", "90"), ("22.50", "22.5"), ("0.9", "0.9"), ("0.90", "0.9"),
        ("!0", "!0"), ("!360", "!0"), ("!180.000", "!180"), ("359.999999999999", "359.999999999999"),
    ],
)  # fmt: skip
def test_a_turn_is_an_integer_where_it_can_be(turn: str, canonical: str) -> None:
    """Rule: Image API 3.0 §4.8, rotation; §4.7: a leading zero and no trailing ones."""
    assert spec_picture().canonical(f"full/max/{turn}/default.jpg") == f"full/max/{canonical}/default.jpg"


def test_a_quality_is_default_where_it_is_the_default_and_the_format_is_said() -> None:
    """Rule: Image API 3.0 §4.8, quality and format."""
    served, gray = spec_picture(), gray_picture()
    assert served.canonical("full/max/0/color.jpg") == "full/max/0/default.jpg"
    assert served.canonical("full/max/0/gray.webp") == "full/max/0/gray.webp"
    assert served.canonical("full/max/0/bitonal.png") == "full/max/0/bitonal.png"
    assert gray.canonical("full/max/0/gray.jpg") == "full/max/0/default.jpg"
    assert gray.canonical("full/max/0/color.jpg") == "full/max/0/default.jpg"
    assert gray.canonical("full/max/0/bitonal.jpg") == "full/max/0/bitonal.jpg"


def test_a_full_resolution_tile_is_one_image_as_max_and_as_clients_write_it() -> None:
    """Rule: Image API 3.0 §4.8 with change log 1.1.3: canonical is `max`, OpenSeadragon and Mirador write `512,512`."""
    served = Served(file_of(ramps(1200, 900), "JPEG", quality=90))
    body = served.body("512,0,512,512/max/0/default.jpg")
    for size in ("512,512", "512,", ",512", "pct:100", "!512,512"):
        assert served.canonical(f"512,0,512,512/{size}/0/default.jpg") == "512,0,512,512/max/0/default.jpg"
        assert served.body(f"512,0,512,512/{size}/0/default.jpg") == body


SPELLINGS = {
    "half": ("full/150,100/0/default.jpg", "0,0,300,200/pct:50/360/color.jpg", "full/^!150,999/0.0/default.jpg"),
    "square": ("square/50,/!90/gray.png", "50,0,200,200/,50/!90.0/gray.png", "square/!50,50/!90/gray.png"),
    "larger": ("full/^600,/0/default.png", "full/^pct:200/0/color.png", "pct:0,0,100,100/^600,400/360/default.png"),
}


@pytest.mark.parametrize("spellings", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_all_spellings_are_the_same_bytes_as_the_canonical_one(spellings: tuple[str, ...]) -> None:
    """Rule: Image API 3.0 §4.8: one image, one URI; here one file. The canonical form is its own."""
    served = spec_picture()
    (canonical,) = {served.canonical(spelling) for spelling in spellings}
    assert served.canonical(canonical) == canonical
    assert {served.body(spelling) for spelling in (*spellings, canonical)} == {served.body(canonical)}


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("full/max/0/default.jpg", "full/full/0/default.jpg"),
        ("full/150,100/0/default.jpg", "full/150,/0/default.jpg"),
        ("full/150,99/0/default.jpg", "full/150,99/0/default.jpg"),
        ("square/100,/90.0/color.jpg", "50,0,200,200/100,/90/default.jpg"),
        ("0,0,300,200/pct:50/!0/gray.png", "full/150,/!0/gray.png"),
    ],
)
def test_in_version_2_a_size_is_full_or_a_width(asked: str, canonical: str) -> None:
    """Rule: Image API 2.1 §4.7: `full`, then `w,`, and `w,h` only where the shape is not kept."""
    served = spec_picture()
    assert served.canonical(asked, version=2) == canonical
    assert served.body(canonical, version=2) == served.body(asked, version=2)
