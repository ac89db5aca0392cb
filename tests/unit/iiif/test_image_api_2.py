"""Image API 2.1: its size forms, its canonical words, and that equal pixels are equal requests in both versions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from iiiffs.errors import BadSyntax, NotOffered, OutOfBounds, RequestError
from iiiffs.iiif.parameters import OFFERED, SIZE_FORMS_2, Quality, resolve_size, size_text_2
from iiiffs.iiif.request import ImageRequest, canonical, canonical_2, parse_request
from iiiffs.iiif.scaling import Limits, scaled_to_width
from iiiffs.model.image import Extent, Region

IMAGE = Extent(6000, 4000)
LIMITS = Limits(16_384, 16_384, 100_000_000)
NARROW = Limits(2000, 1500, 2_000_000)
DEFAULT = ("0", "default.jpg")


def parse(path: str, image: Extent = IMAGE, limits: Limits = LIMITS, *, monochrome: bool = False) -> ImageRequest:
    region, size, rotation, leaf = path.split("/")
    return parse_request(image, (region, size, rotation, leaf), limits, monochrome=monochrome, version=2)


# ---- size, §4.2 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "region", "expected", "canonical_words"),
    [
        ("full", (300, 200), (300, 200), "full"),
        ("max", (300, 200), (300, 200), "full"),
        ("300,", (300, 200), (300, 200), "full"),
        (",200", (300, 200), (300, 200), "full"),
        ("300,200", (300, 200), (300, 200), "full"),
        ("pct:100", (300, 200), (300, 200), "full"),
        ("!900,900", (300, 200), (300, 200), "full"),
        ("150,", (300, 200), (150, 100), "150,"),
        (",150", (300, 200), (225, 150), "225,"),
        ("pct:50", (300, 200), (150, 100), "150,"),
        ("pct:33.3", (300, 200), (100, 67), "100,"),
        ("225,100", (300, 200), (225, 100), "225,100"),
        ("!225,100", (300, 200), (150, 100), "150,"),
        ("!100,999999999999", (300, 200), (100, 67), "100,"),
        ("150,100", (300, 200), (150, 100), "150,"),
        ("1,", (1000, 1), (1, 1), "1,"),
        (",1", (200, 3000), (1, 1), "1,1"),
        (",334", (1000, 1000), (334, 334), "334,"),
        (",67", (300, 200), (101, 67), "101,"),
        (",66", (200, 1000), (13, 66), "13,66"),
    ],
)
def test_size(text: str, region: tuple[int, int], expected: tuple[int, int], canonical_words: str) -> None:
    size = resolve_size(text, Extent(*region), LIMITS, SIZE_FORMS_2)
    assert size.extent == Extent(*expected)
    assert not size.upscaled
    assert size_text_2(size, Extent(*region)) == canonical_words


@pytest.mark.parametrize(
    "text",
    [
        "^full", "^max", "^150,", "^,100", "^150,100", "^!150,100", "^pct:50", "^!900,900", "!^150,100",
        "Full", "MAX", "full ", "full\n", " full", "", ",", "!", "!100,", "!,100", "pct:", "pct:-5", "pct:1e1",
        "pct:.5", "150", "150,100,", "+150,", "0150,", "10.0,", "1_0,", "１０,", "nan,", "pct:nan", "pct:inf",
        "full,max", "\udc80",
    ],
)  # fmt: skip
def test_no_such_size(text: str) -> None:
    with pytest.raises(BadSyntax):
        resolve_size(text, Extent(300, 200), LIMITS, SIZE_FORMS_2)


@pytest.mark.parametrize(
    "text", ["301,", ",201", "301,200", "300,201", "1,201", "pct:100.1", "pct:101", "pct:999999999999"]
)
def test_upscaling_is_refused(text: str) -> None:
    with pytest.raises(OutOfBounds, match="upscales"):
        resolve_size(text, Extent(300, 200), LIMITS, SIZE_FORMS_2)


@pytest.mark.parametrize("text", ["0,", ",0", "0,0", "0,5", "5,0", "!0,5", "!5,0", "pct:0", "pct:0.1"])
def test_a_size_without_pixels_is_refused(text: str) -> None:
    with pytest.raises(OutOfBounds):
        resolve_size(text, Extent(300, 200), LIMITS, SIZE_FORMS_2)


@pytest.mark.parametrize(
    ("text", "expected", "canonical_words"),
    [
        ("max", (1732, 1154), "1732,1154"),
        ("!9999,9999", (1732, 1154), "1732,1154"),
        ("!1800,1800", (1732, 1154), "1732,1154"),
        ("!9999,600", (900, 600), "900,"),
    ],
)
def test_max_and_a_box_fit_themselves_to_the_limits(text: str, expected: tuple[int, int], canonical_words: str) -> None:
    """`1732,` would be 1155 px high and past 2,000,000 px²."""
    size = resolve_size(text, IMAGE, NARROW, SIZE_FORMS_2)
    assert size.extent == Extent(*expected)
    assert size_text_2(size, IMAGE) == canonical_words


@pytest.mark.parametrize("text", ["full", "6000,", ",4000", "6000,4000", "pct:100", "2001,", ",1501", "2000,1001"])
def test_full_and_explicit_sizes_past_the_limits_are_refused(text: str) -> None:
    with pytest.raises(OutOfBounds, match="past"):
        resolve_size(text, IMAGE, NARROW, SIZE_FORMS_2)


def test_full_is_of_the_region_so_tiles_of_an_image_past_the_limits_are_served() -> None:
    assert parse("1024,0,512,512/full/0/default.jpg", limits=NARROW).size.extent == Extent(512, 512)


def test_an_upscaled_size_has_no_words_in_version_2() -> None:
    upscaled = parse_request(IMAGE, ("0,0,10,10", "^20,", *DEFAULT), LIMITS, monochrome=False)
    with pytest.raises(OutOfBounds, match="upscales"):
        canonical_2(upscaled, IMAGE)


# ---- whole requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected_2", "expected_3"),
    [
        ("full/full/0/default.jpg", "full/full/0/default.jpg", "full/max/0/default.jpg"),
        ("full/max/360/color.jpg", "full/full/0/default.jpg", "full/max/0/default.jpg"),
        ("0,0,9999,9999/6000,/0.0/default.jpg", "full/full/0/default.jpg", "full/max/0/default.jpg"),
        ("full/400,/0/default.jpg", "full/400,/0/default.jpg", "full/400,267/0/default.jpg"),
        ("full/!400,400/0/gray.png", "full/400,/0/gray.png", "full/400,267/0/gray.png"),
        ("full/400,300/0/default.jpg", "full/400,300/0/default.jpg", "full/400,300/0/default.jpg"),
        ("square/full/!360/default.png", "1000,0,4000,4000/full/!0/default.png", "1000,0,4000,4000/max/!0/default.png"),
        ("0,0,1024,1024/512,/0/default.jpg", "0,0,1024,1024/512,/0/default.jpg", "0,0,1024,1024/512,512/0/default.jpg"),
        ("5632,3584,512,512/368,/0/default.jpg", "5632,3584,368,416/full/0/default.jpg",
         "5632,3584,368,416/max/0/default.jpg"),
        ("pct:50,50,50,50/pct:10/22.50/bitonal.webp", "3000,2000,3000,2000/300,/22.5/bitonal.webp",
         "3000,2000,3000,2000/300,200/22.5/bitonal.webp"),
    ],
)  # fmt: skip
def test_canonical_in_both_versions(path: str, expected_2: str, expected_3: str) -> None:
    request = parse(path)
    assert "/".join(canonical_2(request, IMAGE)) == expected_2
    assert "/".join(canonical(request, IMAGE)) == expected_3


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("nope/0,/361/default.xyz", BadSyntax),
        ("6000,0,1,1/x/361/default.xyz", OutOfBounds),
        ("0,0,0,1/full/0/default.jpg", OutOfBounds),
        ("full/x/361/default.xyz", BadSyntax),
        ("full/^max/0/default.jpg", BadSyntax),
        ("full/6001,/x/default.xyz", OutOfBounds),
        ("full/full/x/default.xyz", BadSyntax),
        ("full/full/361/x", OutOfBounds),
        ("full/full/0/default", BadSyntax),
        ("full/full/0/native.jpg", BadSyntax),
        ("full/full/0/default.jpeg", BadSyntax),
    ],
)
def test_the_first_part_that_is_wrong_is_the_error(path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse(path)


IMAGES = st.builds(Extent, st.integers(1, 3000), st.integers(1, 3000))
SOME_LIMITS = st.builds(Limits, st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 10**7))
DECIMALS = st.decimals(0, 101, places=3, allow_nan=False).map(lambda n: f"{n:f}")
PIXELS = st.integers(0, 4000).map(str)
REGIONS = st.one_of(
    st.sampled_from(["full", "square"]),
    st.lists(PIXELS, min_size=4, max_size=4).map(",".join),
    st.lists(DECIMALS, min_size=4, max_size=4).map(lambda parts: "pct:" + ",".join(parts)),
)
SHARED_SIZES = st.one_of(
    st.just("max"),
    PIXELS.map(lambda w: f"{w},"),
    PIXELS.map(lambda h: f",{h}"),
    st.tuples(PIXELS, PIXELS).map(",".join),
    st.tuples(PIXELS, PIXELS).map(lambda parts: "!" + ",".join(parts)),
    DECIMALS.map(lambda n: f"pct:{n}"),
)
ROTATIONS = st.builds(lambda mark, n: mark + n, st.sampled_from(["", "!"]), DECIMALS | st.sampled_from(["360", "270"]))
LEAVES = st.builds(
    lambda quality, format_: f"{quality.value}.{format_.value}", st.sampled_from(Quality), st.sampled_from([*OFFERED])
)


def outcome(image: Extent, parts: tuple[str, str, str, str], limits: Limits, version: int) -> ImageRequest | type:
    try:
        return parse_request(image, parts, limits, monochrome=False, version=2 if version == 2 else 3)
    except RequestError as error:
        return type(error)


@given(IMAGES, SOME_LIMITS, REGIONS, SHARED_SIZES, ROTATIONS, LEAVES)
def test_what_both_versions_can_say_means_the_same(
    image: Extent, limits: Limits, region: str, size: str, rotation: str, leaf: str
) -> None:
    parts = (region, size, rotation, leaf)
    assert outcome(image, parts, limits, 2) == outcome(image, parts, limits, 3)


@given(IMAGES, SOME_LIMITS, REGIONS)
def test_full_is_max_wherever_the_limits_hold_the_region(image: Extent, limits: Limits, region: str) -> None:
    asked = outcome(image, (region, "full", *DEFAULT), limits, 2)
    best = outcome(image, (region, "max", *DEFAULT), limits, 3)
    if isinstance(best, ImageRequest) and not limits.hold(best.region.extent):
        assert asked is OutOfBounds
    else:
        assert asked == best


@given(IMAGES, SOME_LIMITS, st.booleans(), REGIONS, SHARED_SIZES | st.just("full"), ROTATIONS, LEAVES)
@example(Extent(5, 1000), LIMITS, False, "full", ",66", "0", "default.jpg")
def test_the_canonical_words_of_both_versions_lead_to_the_same_request(
    image: Extent, limits: Limits, monochrome: bool, region: str, size: str, rotation: str, leaf: str
) -> None:
    """So one rendition has one key, and what iiif/2 lists can be looked up there."""
    try:
        request = parse("/".join((region, size, rotation, leaf)), image, limits, monochrome=monochrome)
    except OutOfBounds:
        assume(False)
    words_2, words_3 = canonical_2(request, image), canonical(request, image)
    assert parse_request(image, words_2, limits, monochrome=monochrome, version=2) == request
    assert parse_request(image, words_3, limits, monochrome=monochrome, version=3) == request
    assert canonical_2(request, image) == words_2
    assert (words_2[0], *words_2[2:]) == (words_3[0], *words_3[2:])


@given(IMAGES, SOME_LIMITS, REGIONS, SHARED_SIZES, st.booleans())
def test_every_request_of_version_3_has_words_in_version_2_unless_it_upscales(
    image: Extent, limits: Limits, region: str, size: str, marked: bool
) -> None:
    request = outcome(image, (region, "^" * marked + size, *DEFAULT), limits, 3)
    assume(isinstance(request, ImageRequest))
    assert isinstance(request, ImageRequest)
    if request.size.upscaled:
        with pytest.raises(OutOfBounds):
            canonical_2(request, image)
    else:
        assert outcome(image, canonical_2(request, image), limits, 2) == request


@given(IMAGES, SOME_LIMITS, st.lists(st.tuples(st.sampled_from(["full", "square"]), SHARED_SIZES), min_size=2))
def test_same_pixels_are_one_request_and_one_canonical_form(
    image: Extent, limits: Limits, asked: list[tuple[str, str]]
) -> None:
    pixels: dict[tuple[Region, Extent], set[tuple[str, ...]]] = {}
    for region, size in asked:
        for version in (2, 3):
            request = outcome(image, (region, size, *DEFAULT), limits, version)
            if isinstance(request, ImageRequest):
                found = pixels.setdefault((request.region, request.size.extent), set())
                found.add(canonical_2(request, image))
    assert all(len(words) == 1 for words in pixels.values())


@given(IMAGES, st.integers(1, 5000))
def test_w_keeps_the_shape_to_the_nearest_pixel(image: Extent, width: int) -> None:
    height = floor(Fraction(image.height * width, image.width) + Fraction(1, 2))
    assert scaled_to_width(image, width) == Extent(width, max(1, height))


NEAR_MISSES = st.text(st.sampled_from("fulmaxpct:!^,.0123456789 squre\n-+e_٣"), max_size=14)


@given(IMAGES, SOME_LIMITS, st.lists(NEAR_MISSES | st.text(max_size=8), min_size=4, max_size=4))
@example(IMAGE, LIMITS, ["full", "9" * 4000 + ",", "0", "default.jpg"])
@example(IMAGE, LIMITS, ["full", "full", "0", ".".join("a" * 50)])
def test_any_text_is_a_request_or_a_request_error(image: Extent, limits: Limits, said: list[str]) -> None:
    words = (("full", "square"), ("full", "max"), ("0", "!0"), ("default.jpg", "color.png"))
    for kept in range(5):
        region, size, rotation, leaf = (words[i][kept % 2] if i < kept else said[i] for i in range(4))
        found = outcome(image, (region, size, rotation, leaf), limits, 2)
        assert isinstance(found, ImageRequest) or found in (BadSyntax, OutOfBounds, NotOffered)
