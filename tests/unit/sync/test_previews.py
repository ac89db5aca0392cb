"""Which reduced picture answers a request: tables, and what holds for all of them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.model.image import Extent, Region
from iiiffs.sync.previews import (
    ORIGINAL_ONLY,
    SECOND_NS,
    SLACK,
    UNDECIDED,
    Reduced,
    Sources,
    chosen,
    corrected,
    shows,
    usable,
)

PHOTO = Extent(3000, 2000)
THUMBNAIL = Reduced("thumbnail", Extent(375, 250), "image/webp")
PREVIEW = Reduced("preview", Extent(2160, 1440), "image/jpeg")
WHOLE = Region.whole(PHOTO)
BOTH = Sources((THUMBNAIL, PREVIEW))


@pytest.mark.parametrize(
    ("region", "out", "expected"),
    [
        (WHOLE, (250, 167), THUMBNAIL),
        (WHOLE, (375, 250), THUMBNAIL),
        (WHOLE, (376, 251), PREVIEW),
        (WHOLE, (375, 251), PREVIEW),
        (WHOLE, (2160, 1440), PREVIEW),
        (WHOLE, (2161, 1440), None),
        (WHOLE, (3000, 2000), None),
        (WHOLE, (6000, 4000), None),  # enlarged: from all pixels that there are
        (Region(0, 0, 512, 512), (64, 64), THUMBNAIL),
        (Region(0, 0, 512, 512), (65, 64), PREVIEW),
        (Region(1024, 0, 2048, 1024), (512, 512), PREVIEW),
        (Region(0, 0, 512, 512), (512, 512), None),
        (Region(5, 5, 6, 6), (1, 1), None),  # one pixel of the photo is less than one of the preview
        (Region(5, 5, 6, 6), (100, 100), None),
    ],
)
def test_the_smallest_that_suffices_is_taken(region: Region, out: tuple[int, int], expected: Reduced | None) -> None:
    assert chosen(BOTH, PHOTO, region, Extent(*out)) is expected


def test_one_as_large_as_the_original_answers_all() -> None:
    fullsize = Reduced("fullsize", PHOTO, "image/jpeg")
    assert chosen(Sources((PREVIEW, fullsize)), PHOTO, WHOLE, Extent(6000, 4000)) is fullsize
    assert chosen(Sources((PREVIEW, fullsize)), PHOTO, Region(0, 0, 1, 1), Extent(9, 9)) is fullsize


def test_what_rounding_takes_is_not_lacking() -> None:
    image = Extent(3001, 2003)
    thumbnail = Reduced("thumbnail", Extent(375, 250), "image/webp")  # 374.56 and 250
    assert chosen(Sources((thumbnail,)), image, Region.whole(image), Extent(375, 250)) is thumbnail
    sliver = Region(2560, 0, 3001, 2003)
    assert chosen(Sources((thumbnail,)), image, sliver, Extent(55, 250)) is thumbnail  # it has 55.11
    assert chosen(Sources((thumbnail,)), image, sliver, Extent(56, 250)) is None
    assert chosen(Sources((thumbnail,)), image, Region(1600, 0, 3001, 2003), Extent(176, 250)) is thumbnail  # 175.06


def test_without_the_original_the_largest_answers_what_none_suffices_for() -> None:
    film = Sources((THUMBNAIL, PREVIEW), original=False)
    assert chosen(film, PHOTO, WHOLE, Extent(3000, 2000)) is PREVIEW
    assert chosen(film, PHOTO, WHOLE, Extent(100, 67)) is THUMBNAIL
    assert chosen(UNDECIDED, PHOTO, WHOLE, Extent(100, 67)) is None
    assert chosen(ORIGINAL_ONLY, PHOTO, WHOLE, Extent(100, 67)) is None


SIDES = st.integers(1, 9000)


@st.composite
def asked(draw: st.DrawFn) -> tuple[Extent, Region, Extent]:
    image = Extent(draw(SIDES), draw(SIDES))
    left, top = draw(st.integers(0, image.width - 1)), draw(st.integers(0, image.height - 1))
    right, bottom = draw(st.integers(left + 1, image.width)), draw(st.integers(top + 1, image.height))
    return image, Region(left, top, right, bottom), Extent(draw(SIDES), draw(SIDES))


def reduced_to(image: Extent, short_px: int, name: str) -> Reduced:
    """As sharp's fit outside does it, never enlarged."""
    short = min(image.width, image.height)
    scale = min(Fraction(1), Fraction(short_px, short))
    sides = (max(1, int(side * scale + Fraction(1, 2))) for side in (image.width, image.height))
    return Reduced(name, Extent(*sides), "image/jpeg")


@given(asked(), st.integers(1, 3000), st.integers(1, 3000))
def test_the_choice_has_all_pixels_but_one_in_sixty_four(
    request: tuple[Extent, Region, Extent], first_px: int, second_px: int
) -> None:
    image, region, out = request
    offered = [reduced_to(image, first_px, "a"), reduced_to(image, second_px, "b")]
    found = usable(image, "image/jpeg", offered)
    assert {one.name for one in found} == {"a", "b"}
    one = chosen(Sources(found), image, region, out)
    if one is not None:
        for side, whole, small, need in (
            (region.extent.width, image.width, one.extent.width, out.width),
            (region.extent.height, image.height, one.extent.height, out.height),
        ):
            assert min(need, side) <= Fraction(side * small, whole) * (1 + Fraction(1, SLACK))
    if one is None:
        for small_one in found:
            assert (
                region.extent.width * small_one.extent.width < min(out.width, region.extent.width) * image.width
                or region.extent.height * small_one.extent.height < min(out.height, region.extent.height) * image.height
            )


@given(asked(), st.integers(1, 3000))
def test_the_order_that_they_are_offered_in_changes_nothing(
    request: tuple[Extent, Region, Extent], short_px: int
) -> None:
    image, region, out = request
    offered = [reduced_to(image, px, f"n{px}") for px in (short_px, 250, 1440)]
    forwards, backwards = (Sources(usable(image, "image/jpeg", way)) for way in (offered, offered[::-1]))
    assert forwards == backwards
    assert chosen(forwards, image, region, out) == chosen(backwards, image, region, out)


@pytest.mark.parametrize(
    ("extent", "media_type", "original", "expected"),
    [
        ((2160, 1440), "image/jpeg", "image/jpeg", True),
        ((2159, 1440), "image/jpeg", "image/jpeg", True),
        ((2162, 1440), "image/jpeg", "image/jpeg", True),
        ((2164, 1440), "image/jpeg", "image/jpeg", False),  # cut by somebody
        ((1440, 2160), "image/jpeg", "image/jpeg", False),  # turned by somebody
        ((3000, 2000), "image/jpeg", "image/heic", True),
        ((3001, 2000), "image/jpeg", "image/jpeg", False),
        ((2160, 1440), "image/jpeg", "image/png", False),  # black where it was transparent
        ((2160, 1440), "image/webp", "image/png", True),
        ((1, 1), "image/jpeg", "image/jpeg", True),
        ((2170, 1440), "image/jpeg", "image/x-canon-cr2", True),  # the sensor saw a border that the camera leaves out
        ((2190, 1440), "image/jpeg", "image/x-canon-cr2", False),
    ],
)
def test_only_what_shows_all_of_the_picture_is_used(
    extent: tuple[int, int], media_type: str, original: str, *, expected: bool
) -> None:
    assert shows(PHOTO, original, Reduced("preview", Extent(*extent), media_type)) is expected


@given(asked(), st.integers(1, 9000))
def test_every_reduction_to_a_short_side_shows_the_picture(request: tuple[Extent, Region, Extent], px: int) -> None:
    image = request[0]
    assert shows(image, "image/jpeg", reduced_to(image, px, "a"))


def test_a_correction_is_a_second_younger_and_another_revision() -> None:
    other = Reduced("thumbnail", Extent(3000, 2000), "image/webp")
    assert corrected(Sources((THUMBNAIL, PREVIEW), since_ns=7, revision=2), THUMBNAIL, other, 0) == Sources(
        (PREVIEW, other), since_ns=7 + SECOND_NS, revision=3
    )
    assert corrected(BOTH, PREVIEW, None, 5 * SECOND_NS) == Sources((THUMBNAIL,), since_ns=5 * SECOND_NS, revision=1)
    assert not corrected(Sources((PREVIEW,), original=False), PREVIEW, None, 0).original
