"""The grammar of Image API 3.0 §4, row by row, and what peers get wrong there (research/iiif.md §1)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.errors import BadSyntax, OutOfBounds, RequestError
from iiiffs.iiif.parameters import (
    OFFERED,
    Format,
    Quality,
    Rotation,
    distinct_quality,
    region_text,
    resolve_leaf,
    resolve_region,
    resolve_rotation,
    resolve_size,
    rotation_text,
    size_text,
)
from iiiffs.iiif.scaling import Limits, fitted
from iiiffs.model.image import Extent, Region

IMAGE = Extent(333, 200)
WIDE = Limits(10_000, 10_000, 100_000_000)

NOT_NUMBERS = [
    "", " ", "+5", "-5", "-0", "1e1", "1E1", "1_0", " 10", "10 ", "10\n", "\t10", "007", "00", ".5", "5.", ".", "1.2.3",
    "1,5", "0x10", "nan", "NaN", "inf", "infinity", "１０", "٣", "¹", "1٣", "1.٣", "1\x00", "1\udc80",
    "1" * 13, "1." + "1" * 13, "9" * 5000,
]  # fmt: skip
NOT_INTEGERS = [*NOT_NUMBERS, "10.0", "0.5"]


# ---- region -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("full", (0, 0, 333, 200)),
        ("square", (66, 0, 266, 200)),
        ("0,0,333,200", (0, 0, 333, 200)),
        ("10,20,30,40", (10, 20, 40, 60)),
        ("332,199,1,1", (332, 199, 333, 200)),
        ("300,190,100,100", (300, 190, 333, 200)),
        ("0,0,999999999999,999999999999", (0, 0, 333, 200)),
        ("pct:0,0,100,100", (0, 0, 333, 200)),
        ("pct:0,0,100.0,100.00", (0, 0, 333, 200)),
        ("pct:10,10,20,20", (33, 20, 100, 60)),
        ("pct:50,50,50,50", (167, 100, 333, 200)),
        ("pct:50,50,500,500", (167, 100, 333, 200)),
        ("pct:41.6,7.5,40,70", (139, 15, 272, 155)),
        ("pct:0,0,0.000000000001,0.01", (0, 0, 1, 1)),
        ("pct:99.999999999999,99.9,50,50", (332, 199, 333, 200)),
    ],
)
def test_region(text: str, expected: tuple[int, int, int, int]) -> None:
    assert resolve_region(text, IMAGE) == Region(*expected)


def test_square_of_an_upright_image_is_centred() -> None:
    assert resolve_region("square", Extent(200, 333)) == Region(0, 66, 200, 266)


def test_square_of_a_square_image_is_full() -> None:
    image = Extent(200, 200)
    assert region_text(resolve_region("square", image), image) == "full"


@pytest.mark.parametrize(
    "text",
    [
        "0,0,0,10", "0,0,10,0", "0,0,0,0", "333,0,10,10", "0,200,10,10", "1651,1117,10,10",
        "pct:0,0,0,10", "pct:0,0,10,0", "pct:0,0,0.0,10", "pct:100,0,10,10", "pct:0,100,10,10", "pct:100.5,0,1,1",
    ],
)  # fmt: skip
def test_a_region_without_a_pixel_is_out_of_bounds(text: str) -> None:
    with pytest.raises(OutOfBounds):
        resolve_region(text, IMAGE)


@pytest.mark.parametrize(
    "text",
    [
        "", "Full", "FULL", "full ", " full", "full\n", "max", "square\n", "squares", "0,0,10", "0,0,10,10,10", ",,,",
        "0,0,10,", "0 ,0,10,10", "0,0,10,10\n", "pct:", "pct:0,0,10", "PCT:0,0,10,10", "pct:0,0,10,10\n",
        "pct:0,0,10,10%", "pct0,0,10,10", "0.5,0,10,10", "0,0,10.0,10", "^full", "0;0;10;10",
    ],
)  # fmt: skip
def test_what_is_no_region(text: str) -> None:
    with pytest.raises(BadSyntax):
        resolve_region(text, IMAGE)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("number", NOT_INTEGERS)
def test_pixels_of_a_region_are_plain_integers(number: str, place: int) -> None:
    parts = ["1", "1", "1", "1"]
    parts[place] = number
    with pytest.raises(BadSyntax):
        resolve_region(",".join(parts), IMAGE)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("number", NOT_NUMBERS)
def test_percents_of_a_region_are_plain_decimals(number: str, place: int) -> None:
    parts = ["1", "1", "1", "1"]
    parts[place] = number
    with pytest.raises(BadSyntax):
        resolve_region("pct:" + ",".join(parts), IMAGE)


@given(st.integers(1, 5000), st.integers(0, 99_999), st.integers(1, 99_999), st.integers(1, 99_999))
def test_regions_that_touch_in_percent_touch_in_pixels(width: int, start: int, first: int, second: int) -> None:
    """To the nearest pixel: an edge moves by half a pixel at most, unless the region would be empty."""

    def percent(thousandths: int) -> str:
        return f"{thousandths // 1000}.{thousandths % 1000:03d}"

    middle = start + first
    if middle >= 100_000:
        return
    image = Extent(width, 1)
    left = resolve_region(f"pct:{percent(start)},0,{percent(first)},100", image)
    right = resolve_region(f"pct:{percent(middle)},0,{percent(second)},100", image)
    exact = Fraction(middle * width, 100_000)
    assert abs(right.left - exact) <= Fraction(1, 2) or right.right == right.left + 1
    assert left.right == right.left or 1 in (left.extent.width, right.extent.width)


# ---- size ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "region", "expected", "canonical"),
    [
        ("max", (300, 200), (300, 200), "max"),
        ("^max", (300, 200), (10_000, 6_667), "^max"),
        ("150,", (300, 200), (150, 100), "150,100"),
        ("300,", (300, 200), (300, 200), "max"),
        ("^360,", (300, 200), (360, 240), "^360,240"),
        ("^100,", (1000, 500), (100, 50), "100,50"),
        (",100", (300, 200), (150, 100), "150,100"),
        ("^,240", (300, 200), (360, 240), "^360,240"),
        ("^,200", (300, 200), (300, 200), "max"),
        ("pct:50", (300, 200), (150, 100), "150,100"),
        ("pct:50", (266, 200), (133, 100), "133,100"),
        ("pct:50", (333, 199), (167, 100), "167,100"),
        ("pct:33.3", (1000, 1000), (333, 333), "333,333"),
        ("pct:100", (300, 200), (300, 200), "max"),
        ("pct:100.000", (300, 200), (300, 200), "max"),
        ("^pct:120", (300, 200), (360, 240), "^360,240"),
        ("^pct:100.1", (300, 200), (300, 200), "max"),
        ("225,100", (300, 200), (225, 100), "225,100"),
        ("300,200", (300, 200), (300, 200), "max"),
        ("1,1", (300, 200), (1, 1), "1,1"),
        ("^360,360", (300, 200), (360, 360), "^360,360"),
        ("^100,360", (300, 200), (100, 360), "^100,360"),
        ("^225,100", (300, 200), (225, 100), "225,100"),
        ("!225,100", (300, 200), (150, 100), "150,100"),
        ("!100,225", (300, 200), (100, 67), "100,67"),
        ("!300,200", (300, 200), (300, 200), "max"),
        ("!999999999999,999999999999", (300, 200), (300, 200), "max"),
        ("!4000,100", (300, 200), (150, 100), "150,100"),
        ("^!360,360", (300, 200), (360, 240), "^360,240"),
        ("^!100,100", (300, 200), (100, 67), "100,67"),
        ("^!99999,99999", (300, 200), (10_000, 6_667), "^max"),
    ],
)
def test_size(text: str, region: tuple[int, int], expected: tuple[int, int], canonical: str) -> None:
    size = resolve_size(text, Extent(*region), WIDE)
    assert size.extent == Extent(*expected)
    assert size_text(size) == canonical
    assert size.upscaled == canonical.startswith("^")


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("100,", (10_000, 20), (100, 1)),
        (",100", (20, 10_000), (1, 100)),
        ("!100,100", (10_000, 20), (100, 1)),
        ("!1,1", (9_999, 10_000), (1, 1)),
        ("50,", (100, 33), (50, 17)),
        ("50,", (100, 31), (50, 16)),
    ],
)
def test_the_side_that_follows_is_nearest_halves_up_and_never_nothing(
    text: str, region: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resolve_size(text, Extent(*region), WIDE).extent == Extent(*expected)


@pytest.mark.parametrize(
    "text",
    ["301,", ",201", "301,200", "300,201", "301,1", "pct:100.000000000001", "pct:101", "pct:200", "999999999999,"],
)
def test_upscaling_needs_a_caret(text: str) -> None:
    region = Extent(300, 200)
    with pytest.raises(OutOfBounds):
        resolve_size(text, region, WIDE)


@pytest.mark.parametrize(
    "text",
    ["0,", ",0", "0,0", "0,10", "10,0", "!0,10", "!10,0", "pct:0", "pct:0.0", "pct:0.01", "^0,", "^!0,0", "^pct:0"],
)
def test_a_size_of_no_pixel_is_out_of_bounds(text: str) -> None:
    with pytest.raises(OutOfBounds):
        resolve_size(text, Extent(300, 200), WIDE)


def test_a_percentage_that_leaves_one_side_empty_is_out_of_bounds() -> None:
    with pytest.raises(OutOfBounds):
        resolve_size("pct:1", Extent(10_000, 20), WIDE)


@pytest.mark.parametrize(
    "text",
    [
        "", "full", "^full", "Max", "max\n", " max", "^^max", "max^", "!max", ",", "!", "^", "!100,", "!,100", "!5",
        "100", ",^240", "!^100,100", "100,^100", "^pct:", "pct:", "pct:^50", "PCT:50", "pct:50%", "!pct:50", "100,100,",
        "100, 100", "100x100", "100;100", "100,100\n",
    ],
)  # fmt: skip
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(BadSyntax):
        resolve_size(text, Extent(300, 200), WIDE)


@pytest.mark.parametrize("form", ["{},", ",{}", "{},100", "100,{}", "!{},100", "!100,{}", "^{},100", "^!100,{}"])
@pytest.mark.parametrize("number", [number for number in NOT_INTEGERS if number])
def test_pixels_of_a_size_are_plain_integers(number: str, form: str) -> None:
    with pytest.raises(BadSyntax):
        resolve_size(form.format(number), Extent(300, 200), WIDE)


@pytest.mark.parametrize("form", ["pct:{}", "^pct:{}"])
@pytest.mark.parametrize("number", NOT_NUMBERS)
def test_the_percentage_of_a_size_is_a_plain_decimal(number: str, form: str) -> None:
    with pytest.raises(BadSyntax):
        resolve_size(form.format(number), Extent(300, 200), WIDE)


# ---- limits -------------------------------------------------------------------------------------------------------

NARROW = Limits(400, 300, 60_000)


@pytest.mark.parametrize(
    ("text", "region", "expected", "canonical"),
    [
        ("max", (6000, 4000), (300, 200), "max"),
        ("max", (4000, 6000), (200, 300), "max"),
        ("max", (8000, 100), (400, 5), "max"),
        ("max", (100, 8000), (4, 300), "max"),
        ("max", (100, 80), (100, 80), "max"),
        ("^max", (6000, 4000), (300, 200), "max"),
        ("^max", (60, 40), (300, 200), "^max"),
        ("^max", (400, 10), (400, 10), "max"),
        ("!5000,5000", (6000, 4000), (300, 200), "max"),
        ("^!5000,5000", (60, 40), (300, 200), "^max"),
        ("^!150,150", (60, 40), (150, 100), "^150,100"),
        ("300,200", (6000, 4000), (300, 200), "max"),
        ("^300,200", (60, 40), (300, 200), "^max"),
        ("300,", (6000, 4000), (300, 200), "max"),
        ("200,300", (6000, 4000), (200, 300), "200,300"),
    ],
)
def test_size_under_limits(text: str, region: tuple[int, int], expected: tuple[int, int], canonical: str) -> None:
    size = resolve_size(text, Extent(*region), NARROW)
    assert size.extent == Extent(*expected)
    assert size_text(size) == canonical


@pytest.mark.parametrize(
    "text",
    ["401,", "^401,", ",301", "401,1", "1,301", "400,300", "300,201", "pct:100", "pct:50", "^pct:200", "^4097,"],
)
def test_an_explicit_size_past_the_limits_is_refused_not_clipped(text: str) -> None:
    with pytest.raises(OutOfBounds):
        resolve_size(text, Extent(6000, 4000), NARROW)


def test_limits_bind_the_output_and_not_the_image() -> None:
    """iiif-processor scales every region by limit / full size, which breaks full-resolution tiles (178/231)."""
    tile = resolve_region("8000,8000,200,200", Extent(10_000, 10_000)).extent
    assert resolve_size("max", tile, NARROW) == resolve_size("200,200", tile, NARROW)
    assert resolve_size("max", tile, NARROW).extent == tile


def test_limits_that_serve_nothing_are_refused() -> None:
    with pytest.raises(OutOfBounds):
        Limits(0, 10, 10)


EXTENTS = st.builds(Extent, st.integers(1, 20_000), st.integers(1, 20_000))
LIMITS = st.builds(Limits, st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 10**9))


@given(EXTENTS, LIMITS, st.booleans())
def test_fitted_is_inside_the_limits_and_as_large_as_they_let_it_be(
    region: Extent, limits: Limits, upscale: bool
) -> None:
    """Were its long side 1 px longer, the exact scale would break a limit; a thin side counts as 1 px."""
    found = fitted(region, limits, upscale=upscale)
    assert limits.hold(found)
    if region.width >= region.height:
        scale = Fraction(found.width + 1, region.width)
    else:
        scale = Fraction(found.height + 1, region.height)
    width, height = max(Fraction(1), scale * region.width), max(Fraction(1), scale * region.height)
    assert (
        (scale > 1 and not upscale)
        or width > limits.max_width
        or height > limits.max_height
        or width * height > limits.max_area
    )


@given(EXTENTS, LIMITS, st.booleans())
def test_fitted_keeps_the_shape_to_a_pixel(region: Extent, limits: Limits, upscale: bool) -> None:
    found = fitted(region, limits, upscale=upscale)
    by_width = Fraction(found.width * region.height, region.width)
    by_height = Fraction(found.height * region.width, region.height)
    assert abs(by_width - found.height) <= 1 or abs(by_height - found.width) <= 1


@given(EXTENTS, LIMITS, st.booleans())
def test_fitted_turns_with_the_region(region: Extent, limits: Limits, upscale: bool) -> None:
    turned = Limits(limits.max_height, limits.max_width, limits.max_area)
    if region.width != region.height:
        assert fitted(region.turned, turned, upscale=upscale) == fitted(region, limits, upscale=upscale).turned


# ---- rotation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mirrored", "degrees", "canonical"),
    [
        ("0", False, 0, "0"),
        ("90", False, 90, "90"),
        ("360", False, 0, "0"),
        ("360.0", False, 0, "0"),
        ("!360", True, 0, "!0"),
        ("!0", True, 0, "!0"),
        ("!180", True, 180, "!180"),
        ("22.5", False, Fraction(45, 2), "22.5"),
        ("!22.50", True, Fraction(45, 2), "!22.5"),
        ("90.0", False, 90, "90"),
        ("0.000000000001", False, Fraction(1, 10**12), "0.000000000001"),
        ("359.999999999999", False, 360 - Fraction(1, 10**12), "359.999999999999"),
        ("10.05", False, Fraction(201, 20), "10.05"),
    ],
)
def test_rotation(text: str, mirrored: bool, degrees: Fraction, canonical: str) -> None:
    rotation = resolve_rotation(text)
    assert rotation == Rotation(mirrored, Fraction(degrees))
    assert rotation_text(rotation) == canonical


@pytest.mark.parametrize("text", ["361", "360.000000000001", "!361", "999999999999"])
def test_a_rotation_past_360_is_out_of_bounds(text: str) -> None:
    with pytest.raises(OutOfBounds):
        resolve_rotation(text)


@pytest.mark.parametrize("text", [*NOT_NUMBERS, "!", "!!90", "90!", "! 90", "!-90", "!nan", "^90", "90°"])
def test_what_is_no_rotation(text: str) -> None:
    with pytest.raises(BadSyntax):
        resolve_rotation(text)


# ---- quality and format -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", list(Quality))
@pytest.mark.parametrize("format_", list(OFFERED))
def test_leaf(quality: Quality, format_: Format) -> None:
    assert resolve_leaf(f"{quality.value}.{format_.value}") == (quality, format_)


def test_every_format_of_the_specification_is_offered() -> None:
    assert {format_.value for format_ in OFFERED} == {"jpg", "tif", "png", "gif", "jp2", "pdf", "webp", "avif"}


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "default", "default.", ".jpg", "jpg", "default.jpeg", "default.JPG", "Default.jpg", "native.jpg",
        "grey.jpg", "default.jpg.png", "default..jpg", "default.jpg\n", " default.jpg", "default .jpg", "default,jpg",
        "default.bmp", "colour.jpg", "default.heic", "default.jpg\x00",
    ],
)  # fmt: skip
def test_what_is_no_leaf(text: str) -> None:
    with pytest.raises(BadSyntax):
        resolve_leaf(text)


@pytest.mark.parametrize(
    ("quality", "monochrome", "expected"),
    [
        (Quality.DEFAULT, False, Quality.DEFAULT),
        (Quality.COLOR, False, Quality.DEFAULT),
        (Quality.GRAY, False, Quality.GRAY),
        (Quality.BITONAL, False, Quality.BITONAL),
        (Quality.DEFAULT, True, Quality.DEFAULT),
        (Quality.COLOR, True, Quality.DEFAULT),
        (Quality.GRAY, True, Quality.DEFAULT),
        (Quality.BITONAL, True, Quality.BITONAL),
    ],
)
def test_qualities_with_equal_pixels_are_one(quality: Quality, monochrome: bool, expected: Quality) -> None:
    assert distinct_quality(quality, monochrome=monochrome) is expected


# ---- any text -----------------------------------------------------------------------------------------------------

NEAR_WORDS = st.text(alphabet="0123456789,.:!^pctmaxfulsqre+-_e \n", max_size=30)
ANY_TEXT = st.one_of(NEAR_WORDS, st.text(max_size=30), st.text(alphabet=st.characters(categories=["Nd", "Cs", "Cc"])))


@given(ANY_TEXT, EXTENTS, LIMITS)
def test_any_text_is_an_answer_inside_the_bounds_or_a_request_error(text: str, image: Extent, limits: Limits) -> None:
    try:
        region = resolve_region(text, image)
    except RequestError:
        pass
    else:
        assert region == region.clipped(image)
    try:
        size = resolve_size(text, image, limits)
    except RequestError:
        pass
    else:
        assert limits.hold(size.extent)
    try:
        rotation = resolve_rotation(text)
    except RequestError:
        pass
    else:
        assert 0 <= rotation.degrees < 360
    try:
        leaf = resolve_leaf(text)
    except RequestError:
        pass
    else:
        assert f"{leaf[0].value}.{leaf[1].value}" == text
