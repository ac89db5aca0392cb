"""Size: Image API 3.0 §4.2. What version 2.1 says otherwise is in test_info_2.py."""

from __future__ import annotations

import pytest

from iiiffs.iiif.scaling import Limits
from tests.unit.conformance.conformance_pictures import (
    SPEC,
    Served,
    file_of,
    ramps,
    refused,
    shows,
    spec_picture,
)

WIDE_LIMITS = Limits(360, 360, 100_000_000)
WHOLE = (0, 0, *SPEC)


@pytest.mark.parametrize(
    ("size", "extent"),
    [
        ("max", (300, 200)), ("150,", (150, 100)), (",150", (225, 150)), ("pct:50", (150, 100)),
        ("225,100", (225, 100)), ("!225,100", (150, 100)),
    ],
)  # fmt: skip
def test_the_examples_that_do_not_upscale(size: str, extent: tuple[int, int]) -> None:
    """Rule: Image API 3.0 §4.2, the left column of the examples."""
    answer = spec_picture().image(f"full/{size}/0/default.png")
    assert answer.size == extent
    shows(answer, WHOLE, SPEC)


@pytest.mark.parametrize(
    ("size", "extent"),
    [
        ("^max", (360, 240)), ("^360,", (360, 240)), ("^,240", (360, 240)), ("^pct:120", (360, 240)),
        ("^360,360", (360, 360)), ("^!360,360", (360, 240)),
    ],
)  # fmt: skip
def test_the_examples_that_upscale(size: str, extent: tuple[int, int]) -> None:
    """Rule: Image API 3.0 §4.2, the right column, for an image with a `maxWidth` of 360 px.

    Peers fail: iiif-processor 7 does not upscale `^max`.
    """
    answer = spec_picture().under(WIDE_LIMITS).image(f"full/{size}/0/default.png")
    assert answer.size == extent
    shows(answer, WHOLE, SPEC)


def test_max_is_made_smaller_by_the_limits() -> None:
    """Rule: Image API 3.0 §4.2, `max`, example 1: a `maxWidth` of 200 px."""
    narrow = spec_picture().under(Limits(200, 200, 100_000_000))
    assert narrow.size("full/max/0/default.png") == (200, 133)
    assert narrow.size("0,0,100,100/max/0/default.png") == (100, 100), "what fits is not made smaller"
    assert spec_picture().under(Limits(300, 100, 100_000_000)).size("full/max/0/default.png") == (150, 100)
    width, height = spec_picture().under(Limits(300, 300, 15_000)).size("full/max/0/default.png")
    assert (width, height) == (150, 100)


def test_max_does_not_upscale_a_region() -> None:
    """Rule: Image API 3.0 §4.2, `max`. Peers fail: Cantaloupe #680, `max` upscaled a region."""
    assert spec_picture().size("10,10,40,30/max/0/default.png") == (40, 30)


def test_upscaled_max_reaches_a_limit_and_passes_none() -> None:
    """Rule: Image API 3.0 §4.2, `^max`; §5.2: width, height and area are independent."""
    served = spec_picture()
    assert served.under(Limits(900, 600, 10**9)).size("full/^max/0/default.png") == (900, 600)
    assert served.under(Limits(900, 300, 10**9)).size("full/^max/0/default.png") == (450, 300)
    assert served.under(Limits(900, 900, 240_000)).size("full/^max/0/default.png") == (600, 400)
    assert served.under(Limits(150, 900, 10**9)).size("full/^max/0/default.png") == (150, 100), "it may also reduce"


def test_sizes_are_relative_to_the_region_and_not_to_the_image() -> None:
    """Rule: Image API 3.0 §4.2: "the dimensions to which the extracted region is to be scaled"."""
    served = spec_picture()
    for size, extent in (
        ("50,", (50, 25)),
        (",20", (40, 20)),
        ("pct:25", (25, 13)),
        ("!30,30", (30, 15)),
        ("max", (100, 50)),
    ):
        answer = served.image(f"100,50,100,50/{size}/0/default.png")
        assert answer.size == extent, size
        shows(answer, (100, 50, 200, 100), SPEC)
    refused(served, "100,50,100,50/101,/0/default.png", "100,50,100,50/,51/0/default.png")


@pytest.mark.parametrize("size", ["!300,200", "!301,201", "!2000,3000", "!300,9999", "!9999,200", "!99999,99999"])
def test_a_box_larger_than_the_region_is_no_error_and_gives_it_unscaled(size: str) -> None:
    """Rule: Image API 3.0 §4.2, `!w,h`: "as large as possible but not larger than the extracted region".

    Peers fail: iiif-processor 7 and another of three answer 400. The old official validator (size_noup) wants that
    too, for `!2000,3000` of a picture of 1000 px; the specification says otherwise and we follow it.
    """
    answer = spec_picture().image(f"full/{size}/0/default.png")
    assert answer.size == SPEC
    shows(answer, WHOLE, SPEC)


def test_a_box_larger_than_the_limits_gives_what_they_allow() -> None:
    """Rule: Image API 3.0 §4.2, `!w,h` and `^!w,h`: "server-imposed limits" bind them as they bind `max`."""
    narrow = spec_picture().under(Limits(150, 150, 100_000_000))
    assert narrow.size("full/!300,300/0/default.png") == (150, 100)
    assert narrow.size("full/^!900,900/0/default.png") == (150, 100)


@pytest.mark.parametrize("size", ["301,", ",201", "301,200", "300,201", "301,1", "1,201", "pct:101", "pct:100.01"])
def test_a_size_past_the_region_needs_a_caret(size: str) -> None:
    """Rule: Image API 3.0 §4.2: each side of `w,h`, and n of `pct:n`, MUST NOT be greater; 400 (SHOULD)."""
    refused(spec_picture(), f"full/{size}/0/default.jpg")
    assert min(spec_picture().size(f"full/^{size}/0/default.jpg")) >= 1


@pytest.mark.parametrize("size", ["100,", ",100", "pct:50", "100,100", "!100,100", "max"])
def test_a_caret_never_forbids_downscaling(size: str) -> None:
    """Rule: Image API 3.0 §4.2: `^` allows upscaling. `^100,` of a region of 1000 px is `100,`."""
    served = Served(file_of(ramps(1000, 400))).under(Limits(1000, 1000, 10**6))
    assert served.canonical(f"full/^{size}/0/default.jpg") == served.canonical(f"full/{size}/0/default.jpg")


@pytest.mark.parametrize("size", [",^240", "!^360,360", "360^,", "^^360,", "pct:^120", "max^", "^", "^,", "^!"])
def test_the_caret_stands_first(size: str) -> None:
    """Rule: Image API 3.0 §4.2, the table: `^,h` and `^!w,h`. The caption `,^240` of an example is a slip."""
    refused(spec_picture(), f"full/{size}/0/default.jpg")


def test_the_side_that_is_named_is_exact_and_the_other_nearest_halves_up() -> None:
    """Rule: Image API 3.0 §4.2, §4.7: "as closely as possible"; the rounding is ours: nearest, halves up.

    Peers fail: iiif-processor 7 makes 132 px of `pct:50` of 266 px (and of 265).
    """
    served = Served(file_of(ramps(266, 177)))
    assert served.size("full/pct:50/0/default.png") == (133, 89)
    assert Served(file_of(ramps(265, 177))).size("full/pct:50/0/default.png") == (133, 89)
    for width in (1, 2, 100, 131, 133, 265):
        answer = served.size(f"full/{width},/0/default.png")
        assert answer[0] == width
        assert abs(answer[1] - width * 177 / 266) <= 0.5 or answer[1] == 1
    for height in (1, 2, 88, 176):
        answer = served.size(f"full/,{height}/0/default.png")
        assert answer[1] == height
        assert abs(answer[0] - height * 266 / 177) <= 0.5


def test_the_other_side_is_never_nothing() -> None:
    """Rule: Image API 3.0 §4.2: "MUST NOT be less than 1 pixel". A line is nearer to a thin region than an error."""
    served = Served(file_of(ramps(900, 3)))
    assert served.size("full/20,/0/default.png") == (20, 1)
    assert served.size("full/!30,30/0/default.png") == (30, 1)


@pytest.mark.parametrize("size", ["0,", ",0", "0,0", "0,9", "9,0", "!0,9", "!9,0", "pct:0", "pct:0.1", "^0,", "^pct:0"])
def test_a_size_of_no_pixel_is_refused(size: str) -> None:
    """Rule: Image API 3.0 §4.2: less than 1 px is an error that SHOULD be a 400."""
    refused(spec_picture(), f"full/{size}/0/default.jpg")


@pytest.mark.parametrize("size", ["full", "Max", "MAX", "", ",", "!", "!5,", "!,5", "150", "pct:", "150;", "150,100,"])
def test_what_is_no_size_is_refused(size: str) -> None:
    """Rule: Image API 3.0 §4.2: `full` is of 2.x only."""
    refused(spec_picture(), f"full/{size}/0/default.jpg")


def test_an_explicit_size_past_the_limits_is_refused_and_not_clipped() -> None:
    """Rule: Image API 3.0 §4.2: larger than the limits is an error, 400 (SHOULD); 7.3 has 404 for it.

    Peers fail: iiif-processor 7 serves `^4097,` clipped to its `maxWidth` of 4096.
    """
    limited = spec_picture().under(Limits(250, 250, 40_000))
    refused(
        limited,
        *(f"full/{size}/0/default.jpg" for size in ("251,", "^251,", "^4097,", "250,200", "pct:100", "^250,161")),
    )
    assert limited.size("full/245,163/0/default.jpg") == (245, 163)


def test_limits_bind_the_answer_and_not_the_image() -> None:
    """Rule: Image API 3.0 §5.2: every full-resolution tile of an image that is larger than its limits is served whole.

    Peers fail: iiif-processor 7 scales every region by limit / full size, which breaks them all (178 of 231 checks).
    """
    size = (1100, 900)
    served = Served(file_of(ramps(*size))).under(Limits(600, 600, 300_000))
    assert served.size("full/max/0/default.png") == (600, 491)
    for x, y, w, h in ((0, 0, 512, 512), (512, 0, 512, 512), (1024, 512, 76, 388)):
        answer = served.image(f"{x},{y},{w},{h}/{w},{h}/0/default.png")
        assert answer.size == (w, h)
        shows(answer, (x, y, x + w, y + h), size)
        assert served.canonical(f"{x},{y},{w},{h}/max/0/default.png") == f"{x},{y},{w},{h}/max/0/default.png"


def client_tiles(
    width: int, height: int, side: int, scale: int
) -> list[tuple[tuple[int, int, int, int], tuple[int, int]]]:
    """Region and size of every tile as a client computes them: the code of Implementation Notes §3."""
    found = []
    for m in range(-(-height // (side * scale))):
        for n in range(-(-width // (side * scale))):
            xr, yr = n * side * scale, m * side * scale
            wr, hr = min(side * scale, width - xr), min(side * scale, height - yr)
            ws = side if xr + side * scale <= width else (width - xr + scale - 1) // scale
            hs = side if yr + side * scale <= height else (height - yr + scale - 1) // scale
            found.append(((xr, yr, wr, hr), (ws, hs)))
    return found


@pytest.mark.parametrize("size", [(1030, 777), (513, 512), (700, 1025)])
def test_edge_tiles_are_as_large_as_clients_compute(size: tuple[int, int]) -> None:
    """Rule: Implementation Notes 3.0 §3: the client sends both sides, `(W - x + s - 1) // s` for the last."""
    served = Served(file_of(ramps(*size), "JPEG", quality=95))
    (tiles,) = served.info["tiles"]
    for scale in tiles["scaleFactors"]:
        for (x, y, w, h), (ws, hs) in client_tiles(*size, tiles["width"], scale):
            answer = served.image(f"{x},{y},{w},{h}/{ws},{hs}/0/default.jpg")
            assert answer.size == (ws, hs)
            if min(ws, hs) > 20:
                shows(answer, (x, y, x + w, y + h), size)


def test_what_viewers_ask_of_tiny_images() -> None:
    """Rule: Image API 3.0 §4.2. Mirador 4 asks `,120` of whatever there is (measured; mirador #4542, #4546).

    Of a smaller picture that is an error of the asker (400), never ours (500).
    """
    assert spec_picture().size("full/,120/0/default.jpg") == (180, 120)
    tiny = Served(file_of(ramps(40, 30)))
    refused(tiny, "full/,120/0/default.jpg", "full/200,/0/default.jpg")
    assert tiny.size("full/!120,120/0/default.jpg") == (40, 30)
