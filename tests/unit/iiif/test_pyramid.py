"""Sizes and tiles: Image API 3.0 §5.3, §5.4, implementation notes §3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.iiif.pyramid import (
    SMALLEST_SIDE_PX,
    reduced,
    scale_factors,
    sizes,
    sizes_by_width,
    tile_scale,
    tile_side,
    tiles,
)
from iiiffs.iiif.scaling import Limits, scaled_to_width
from iiiffs.model.image import Extent, Region

LIMITS = Limits(16_384, 16_384, 100_000_000)
IMAGES = st.builds(Extent, st.integers(1, 5000), st.integers(1, 5000))


@pytest.mark.parametrize(
    ("image", "side", "expected"),
    [
        ((512, 512), 512, [1]),
        ((1, 1), 512, [1]),
        ((513, 1), 512, [1, 2]),
        ((1024, 1024), 512, [1, 2]),
        ((1025, 1024), 512, [1, 2, 4]),
        ((6000, 4000), 512, [1, 2, 4, 8, 16]),
    ],
)
def test_scale_factors_end_where_the_image_is_one_tile(image: tuple[int, int], side: int, expected: list[int]) -> None:
    assert scale_factors(Extent(*image), side) == expected


def test_sizes_are_halves_rounded_up_smallest_first() -> None:
    found = [(size.width, size.height) for size in sizes(Extent(1651, 1117), LIMITS)]
    assert found == [(104, 70), (207, 140), (413, 280), (826, 559), (1651, 1117)]


def test_sizes_past_the_limits_are_left_out() -> None:
    found = [(size.width, size.height) for size in sizes(Extent(6000, 4000), Limits(2000, 800, 500_000))]
    assert found == [(94, 63), (188, 125), (375, 250), (750, 500)]


def test_halving_goes_on_until_a_size_is_inside_narrow_limits() -> None:
    assert sizes(Extent(6000, 4000), Limits(10, 10, 30)) == [Extent(6, 4)]


def test_a_small_image_is_its_own_only_size() -> None:
    assert sizes(Extent(SMALLEST_SIDE_PX, 3), LIMITS) == [Extent(SMALLEST_SIDE_PX, 3)]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (LIMITS, 512),
        (Limits(300, 400, 10**6), 300),
        (Limits(400, 300, 10**6), 300),
        (Limits(999, 999, 10_200), 100),
        (Limits(1, 1, 1), 1),
    ],
)
def test_tiles_are_no_larger_than_the_limits(limits: Limits, expected: int) -> None:
    side = tile_side(512, limits)
    assert side == expected
    assert limits.hold(Extent(side, side))


def test_edge_tiles_follow_the_ceil_rule() -> None:
    """(W - x + s - 1) // s, as every client computes it. Rule: implementation notes §3."""
    last = list(tiles(Extent(1651, 1117), 512, 2))[-1]
    assert (last.region.left, last.region.top) == (1024, 1024)
    assert last.extent == Extent((1651 - 1024 + 1) // 2, (1117 - 1024 + 1) // 2)


def test_the_last_scale_factor_has_one_tile_of_the_whole_image() -> None:
    image = Extent(6000, 4000)
    (only,) = tiles(image, 512, 16)
    assert only.extent == reduced(image, 16) == Extent(375, 250)


@given(IMAGES, st.integers(128, 1024), st.integers(0, 6))
def test_tiles_cover_the_image_exactly_and_are_no_larger_than_a_tile(image: Extent, side: int, power: int) -> None:
    scale = 2**power
    found = list(tiles(image, side, scale))
    assert sum(tile.region.extent.area_px for tile in found) == image.area_px
    step = side * scale
    for tile in found:
        region = tile.region
        assert region == region.clipped(image)
        assert region.left % step == region.top % step == 0
        assert region.right - region.left <= step
        assert region.bottom - region.top <= step
        assert max(tile.extent.width, tile.extent.height) <= side
    assert len({(tile.region.left, tile.region.top) for tile in found}) == len(found)


@given(IMAGES, st.integers(1, 1024))
def test_only_the_last_scale_factor_is_one_tile(image: Extent, side: int) -> None:
    *more, last = scale_factors(image, side)
    assert max(image.width, image.height) <= side * last
    assert all(max(image.width, image.height) > side * factor for factor in more)


@given(IMAGES, st.sampled_from([64, 100, 512]), st.data())
def test_every_tile_is_known_for_one(image: Extent, side: int, data: st.DataObject) -> None:
    scale = data.draw(st.sampled_from(scale_factors(image, side)))
    for tile in list(tiles(image, side, scale))[:: max(1, image.width // 50)]:
        found = tile_scale(tile.region, tile.extent, image, side)
        assert found is not None
        assert found <= scale  # of a picture that is one tile at several scales, the size tells them apart
        assert reduced(tile.region.extent, found) == tile.extent


@pytest.mark.parametrize(
    ("region", "out"),
    [
        ((0, 0, 511, 512), (511, 512)),
        ((1, 0, 513, 512), (512, 512)),
        ((0, 0, 512, 512), (256, 256)),
        ((0, 0, 1024, 1024), (512, 511)),
        ((512, 0, 1536, 1024), (512, 512)),
        ((0, 0, 6000, 4000), (6000, 4000)),
    ],
)
def test_what_is_no_tile_is_none(region: tuple[int, int, int, int], out: tuple[int, int]) -> None:
    assert tile_scale(Region(*region), Extent(*out), Extent(6000, 4000), 512) is None


AT_HAND = (Extent(375, 250), Extent(2160, 1440), Extent(3000, 2000), Extent(90, 60))


def test_sizes_at_hand_are_listed_among_the_others() -> None:
    image, limits = Extent(3000, 2000), Limits(2000, 2000, 10**8)
    halves = sizes(image, limits)
    assert sizes(image, limits, AT_HAND) == sorted({*halves, Extent(375, 250), Extent(90, 60)})  # 2160 px are too many
    widths = [extent.width for extent in sizes_by_width(image, limits, AT_HAND)]
    assert widths == sorted(set(widths))
    assert {375, 90} <= set(widths)


@given(IMAGES, st.integers(1, 3000), st.integers(1, 3000))
def test_sizes_at_hand_are_as_w_makes_them(image: Extent, width: int, height: int) -> None:
    limits = Limits(20_000, 20_000, 10**9)
    for extent in set(sizes(image, limits, [Extent(width, height)])) - set(sizes(image, limits)):
        assert extent == scaled_to_width(image, width)
        assert width < image.width
