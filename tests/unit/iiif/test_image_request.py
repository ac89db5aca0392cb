"""Whole requests and their canonical form: Image API 3.0 §4.8, DESIGN §2.6."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from iiiffs.errors import BadSyntax, OutOfBounds
from iiiffs.iiif.parameters import Format, Quality, Rotation
from iiiffs.iiif.pyramid import scale_factors, sizes, tile_side, tiles
from iiiffs.iiif.request import ImageRequest, canonical, parse_request
from iiiffs.iiif.scaling import Limits
from iiiffs.model.image import Extent, Region

IMAGE = Extent(6000, 4000)
LIMITS = Limits(16_384, 16_384, 100_000_000)


def canonical_of(path: str, image: Extent = IMAGE, limits: Limits = LIMITS, *, monochrome: bool = False) -> str:
    region, size, rotation, leaf = path.split("/")
    request = parse_request(image, (region, size, rotation, leaf), limits, monochrome=monochrome)
    return "/".join(canonical(request, image))


def test_a_request_holds_what_was_asked() -> None:
    request = parse_request(IMAGE, ("125,15,120,140", "90,", "!345", "gray.png"), LIMITS, monochrome=False)
    assert request.region == Region(125, 15, 245, 155)
    assert request.size.extent == Extent(90, 105)
    assert request.rotation == Rotation(True, Fraction(345))
    assert (request.quality, request.format) == (Quality.GRAY, Format.PNG)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("full/max/0/default.jpg", "full/max/0/default.jpg"),
        ("0,0,6000,4000/6000,4000/360/color.jpg", "full/max/0/default.jpg"),
        ("0,0,9999,9999/6000,/0.0/default.jpg", "full/max/0/default.jpg"),
        ("pct:0,0,100,100/pct:100/0/default.jpg", "full/max/0/default.jpg"),
        ("full/!9000,9000/0/default.jpg", "full/max/0/default.jpg"),
        ("full/^!6000,6000/0/default.jpg", "full/max/0/default.jpg"),
        ("full/400,/0/default.jpg", "full/400,267/0/default.jpg"),
        ("full/^!400,400/0/default.jpg", "full/400,267/0/default.jpg"),
        ("square/max/!360/default.png", "1000,0,4000,4000/max/!0/default.png"),
        ("1024,1024,512,512/512,512/0/default.jpg", "1024,1024,512,512/max/0/default.jpg"),
        ("5632,3584,512,512/368,416/0/default.jpg", "5632,3584,368,416/max/0/default.jpg"),
        ("0,0,1024,1024/512,512/0/default.jpg", "0,0,1024,1024/512,512/0/default.jpg"),
        ("0,0,100,100/^200,/90.0/gray.webp", "0,0,100,100/^200,200/90/gray.webp"),
        ("0,0,100,100/^10000,/0/default.jpg", "0,0,100,100/^max/0/default.jpg"),
        ("0,0,100,100/^max/90.00/bitonal.png", "0,0,100,100/^max/90/bitonal.png"),
    ],
)
def test_canonical(path: str, expected: str) -> None:
    assert canonical_of(path) == expected


def test_color_and_gray_of_a_monochrome_image_are_the_default() -> None:
    for quality in ("default", "color", "gray"):
        assert canonical_of(f"full/max/0/{quality}.jpg", monochrome=True) == "full/max/0/default.jpg"
    assert canonical_of("full/max/0/bitonal.jpg", monochrome=True) == "full/max/0/bitonal.jpg"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("nope/0,/361/default.tif", BadSyntax),
        ("6000,0,1,1/x/361/default.tif", OutOfBounds),
        ("full/x/361/default.tif", BadSyntax),
        ("full/0,/x/default.tif", OutOfBounds),
        ("full/max/x/default.tif", BadSyntax),
        ("full/max/361/x", OutOfBounds),
        ("full/full/0/default.jpg", BadSyntax),
    ],
)
def test_the_first_part_that_is_wrong_is_the_error(path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        canonical_of(path)


IMAGES = st.builds(Extent, st.integers(1, 3000), st.integers(1, 3000))
SOME_LIMITS = st.builds(Limits, st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 10**7))
DECIMALS = st.decimals(0, 100, places=3, allow_nan=False).map(lambda n: f"{n:f}")
PIXELS = st.integers(0, 4000).map(str)
REGIONS = st.one_of(
    st.sampled_from(["full", "square"]),
    st.lists(PIXELS, min_size=4, max_size=4).map(",".join),
    st.lists(DECIMALS, min_size=4, max_size=4).map(lambda parts: "pct:" + ",".join(parts)),
)
SIZES = st.builds(
    lambda mark, words: mark + words,
    st.sampled_from(["", "^"]),
    st.one_of(
        st.just("max"),
        PIXELS.map(lambda w: f"{w},"),
        PIXELS.map(lambda h: f",{h}"),
        st.tuples(PIXELS, PIXELS).map(",".join),
        st.tuples(PIXELS, PIXELS).map(lambda parts: "!" + ",".join(parts)),
        DECIMALS.map(lambda n: f"pct:{n}"),
    ),
)
ROTATIONS = st.builds(lambda mark, n: mark + n, st.sampled_from(["", "!"]), DECIMALS | st.sampled_from(["360", "270"]))
LEAVES = st.builds(
    lambda quality, name: f"{quality.value}.{name}", st.sampled_from(Quality), st.sampled_from(["jpg", "png", "webp"])
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[ImageRequest, Extent, Limits, bool]:
    """A legal request, with the image, limits and colour that it is legal for."""
    image, limits, monochrome = draw(IMAGES), draw(SOME_LIMITS), draw(st.booleans())
    parts = (draw(REGIONS), draw(SIZES), draw(ROTATIONS), draw(LEAVES))
    try:
        request = parse_request(image, parts, limits, monochrome=monochrome)
    except OutOfBounds:
        assume(False)
    return request, image, limits, monochrome


@given(requests())
def test_the_canonical_form_parses_to_an_equal_request_and_is_its_own(
    drawn: tuple[ImageRequest, Extent, Limits, bool],
) -> None:
    request, image, limits, monochrome = drawn
    words = canonical(request, image)
    again = parse_request(image, words, limits, monochrome=monochrome)
    assert again == request
    assert canonical(again, image) == words


@given(requests())
def test_every_spelling_of_the_same_pixels_has_one_canonical_form(
    drawn: tuple[ImageRequest, Extent, Limits, bool],
) -> None:
    """Whatever was said, `x,y,w,h/^w,h` says it too."""
    request, image, limits, monochrome = drawn
    region, extent = request.region, request.size.extent
    words = canonical(request, image)
    explicit = f"{region.left},{region.top},{region.extent.width},{region.extent.height}"
    over_wide = f"{region.left},{region.top},999999,999999"
    regions = [explicit] + [over_wide] * (region.right == image.width and region.bottom == image.height)
    for said in regions:
        parts = (said, f"^{extent.width},{extent.height}", words[2], words[3])
        assert canonical(parse_request(image, parts, limits, monochrome=monochrome), image) == words


@given(IMAGES, SOME_LIMITS, st.integers(1, 4000), st.integers(1, 4000))
def test_a_confined_size_is_the_explicit_one(image: Extent, limits: Limits, width: int, height: int) -> None:
    confined = parse_request(image, ("full", f"!{width},{height}", "0", "default.jpg"), limits, monochrome=False)
    extent = confined.size.extent
    assert extent.width <= min(width, image.width)
    assert extent.height <= min(height, image.height)
    explicit = ("full", f"{extent.width},{extent.height}", "0", "default.jpg")
    assert parse_request(image, explicit, limits, monochrome=False) == confined


@given(IMAGES)
def test_square_is_the_explicit_region(image: Extent) -> None:
    side = min(image.width, image.height)
    explicit = f"{(image.width - side) // 2},{(image.height - side) // 2},{side},{side}"
    assert canonical_of("square/max/0/default.jpg", image) == canonical_of(f"{explicit}/max/0/default.jpg", image)


@given(IMAGES, SOME_LIMITS, st.booleans(), st.data())
def test_requests_are_equal_exactly_when_their_canonical_forms_are(
    image: Extent, limits: Limits, monochrome: bool, data: st.DataObject
) -> None:
    """Few values, so that many pairs meet: nothing is lost in the words, and nothing said twice."""
    regions = st.sampled_from(
        ["full", "square", "0,0,9999,9999", "pct:0,0,50,100", f"0,0,{(image.width + 1) // 2},9999"]
    )
    some_sizes = st.sampled_from(
        ["max", "^max", "!9999,9999", "pct:100", "^9,", "!9,9", "pct:50", "^9,9", f"{image.width},"]
    )
    turns, leaves = st.sampled_from(["0", "360", "!0", "90"]), st.sampled_from(["color.jpg", "gray.jpg", "default.jpg"])
    found = []
    for _ in range(2):
        parts = (data.draw(regions), data.draw(some_sizes), data.draw(turns), data.draw(leaves))
        try:
            found.append(parse_request(image, parts, limits, monochrome=monochrome))
        except OutOfBounds:
            assume(False)
    first, second = found
    pixels = [(r.region, r.size.extent, r.rotation, r.quality, r.format) for r in found]
    assert (pixels[0] == pixels[1]) == (first == second) == (canonical(first, image) == canonical(second, image))


@given(IMAGES, SOME_LIMITS, st.integers(16, 600))
def test_every_listed_size_and_tile_is_served_exactly(image: Extent, limits: Limits, tile_size: int) -> None:
    for extent in sizes(image, limits):
        size = f"{extent.width},{extent.height}"
        request = parse_request(image, ("full", size, "0", "default.jpg"), limits, monochrome=False)
        assert request.size.extent == extent
    side = tile_side(tile_size, limits)
    assume(image.width * image.height < 400 * side * side)
    for scale in scale_factors(image, side):
        for tile in tiles(image, side, scale):
            region = f"{tile.region.left},{tile.region.top},{tile.region.extent.width},{tile.region.extent.height}"
            size = f"{tile.extent.width},{tile.extent.height}"
            request = parse_request(image, (region, size, "0", "default.jpg"), limits, monochrome=False)
            assert request.size.extent == tile.extent


@pytest.mark.parametrize("format_", ["jpg", "png", "webp"])
def test_the_box_of_a_turned_picture_is_bound_by_the_area_too(format_: str) -> None:
    for rotation in ("0", "90", "!180", "360"):
        canonical_of(f"full/^max/{rotation}/default.{format_}", Extent(1, 1))
    for rotation in ("45", "!0.5", "359"):
        with pytest.raises(OutOfBounds, match="maxArea"):
            canonical_of(f"full/^max/{rotation}/default.{format_}", Extent(1, 1))
    canonical_of(f"full/max/45/default.{format_}")
