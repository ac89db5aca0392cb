"""info.json of Image API 2.1 §5: exact, nothing repeated that level 2 grants, and everything in it servable."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from iiiffs.iiif.info import image_info
from iiiffs.iiif.info2 import image_info_2
from iiiffs.iiif.parameters import OFFERED, Format
from iiiffs.iiif.pyramid import scale_factors, sizes, sizes_by_width, tile_side, tiles
from iiiffs.iiif.request import parse_request
from iiiffs.iiif.scaling import Limits, scaled_to_width
from iiiffs.model.image import Extent

ID = "http://127.0.0.1:8080/home/iiif/2/a1"
IMAGE = Extent(1651, 1117)
LIMITS = Limits(16_384, 16_000, 100_000_000)

# http://iiif.io/api/image/2/level2.json, as published.
LEVEL_2: dict[str, list[str]] = {
    "formats": ["jpg", "png"],
    "qualities": ["default", "bitonal"],
    "supports": [
        "baseUriRedirect", "cors", "jsonldMediaType", "regionByPct", "regionByPx", "rotationBy90s", "sizeByWhListed",
        "sizeByConfinedWh", "sizeByDistortedWh", "sizeByForcedWh", "sizeByH", "sizeByPct", "sizeByW", "sizeByWh",
    ],
}  # fmt: skip


def info(limits: Limits = LIMITS, *, monochrome: bool = False) -> dict[str, Any]:
    return image_info_2(ID, IMAGE, limits, 512, monochrome=monochrome)


def profile(*, monochrome: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = info(monochrome=monochrome)["profile"][1]
    return found


def test_the_whole_document() -> None:
    assert info() == {
        "@context": "http://iiif.io/api/image/2/context.json",
        "@id": ID,
        "protocol": "http://iiif.io/api/image",
        "width": 1651,
        "height": 1117,
        "sizes": [
            {"width": 104, "height": 70},
            {"width": 207, "height": 140},
            {"width": 413, "height": 279},
            {"width": 826, "height": 559},
            {"width": 1651, "height": 1117},
        ],
        "tiles": [{"width": 512, "height": 512, "scaleFactors": [1, 2, 4]}],
        "profile": [
            "http://iiif.io/api/image/2/level2.json",
            {
                "formats": [format_.value for format_ in OFFERED if format_ not in (Format.JPG, Format.PNG)],
                "qualities": ["color", "gray"],
                "supports": ["mirroring", "regionSquare", "rotationArbitrary"],
                "maxWidth": 16_384,
                "maxHeight": 16_000,
                "maxArea": 100_000_000,
            },
        ],
    }
    assert next(iter(info())) == "@context"


def test_what_only_version_3_has_is_not_there() -> None:
    later = {"id", "type", "maxWidth", "maxHeight", "maxArea", "extraQualities", "extraFormats", "extraFeatures"}
    assert later < image_info(ID, IMAGE, LIMITS, 512, monochrome=False).keys()
    assert not later & info().keys()


@pytest.mark.parametrize("name", ["formats", "qualities", "supports"])
def test_nothing_is_said_again_that_level_2_grants(name: str) -> None:
    """§5.3: a property without additional values is left out, and webp is additional."""
    assert profile()[name]
    assert not set(profile()[name]) & set(LEVEL_2[name])


def test_a_list_without_additional_values_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    granted = {format_: kind for format_, kind in OFFERED.items() if format_.value in LEVEL_2["formats"]}
    monkeypatch.setattr("iiiffs.iiif.info2.OFFERED", granted)
    assert "formats" not in profile()


def test_both_versions_offer_the_same_formats_and_qualities() -> None:
    for monochrome in (False, True):
        other: dict[str, Any] = image_info(ID, IMAGE, LIMITS, 512, monochrome=monochrome)
        ours = profile(monochrome=monochrome)
        assert ours["formats"] == other["extraFormats"]
        assert {*ours["qualities"], "bitonal"} == set(other["extraQualities"])


def test_color_of_a_monochrome_image_is_not_listed() -> None:
    assert profile(monochrome=True)["qualities"] == ["gray"]


@pytest.mark.parametrize("feature", ["sizeAboveFull", "sizeUpscaling", "canonicalLinkHeader", "profileLinkHeader"])
def test_features_that_are_not_there_or_not_ours_are_not_declared(feature: str) -> None:
    assert feature not in profile()["supports"]


@pytest.mark.parametrize(
    ("feature", "region", "size", "rotation"),
    [
        ("mirroring", "full", "full", "!0"),
        ("regionSquare", "square", "full", "0"),
        ("rotationArbitrary", "full", "full", "22.5"),
        ("regionByPct", "pct:1,1,1,1", "full", "0"),
        ("regionByPx", "1,1,1,1", "full", "0"),
        ("rotationBy90s", "full", "full", "270"),
        ("sizeByConfinedWh", "full", "!9,9", "0"),
        ("sizeByDistortedWh", "full", "9,900", "0"),
        ("sizeByForcedWh", "full", "9,900", "0"),
        ("sizeByH", "full", ",9", "0"),
        ("sizeByPct", "full", "pct:9", "0"),
        ("sizeByW", "full", "9,", "0"),
        ("sizeByWh", "full", "826,559", "0"),
        ("sizeByWhListed", "full", "826,559", "0"),
    ],
)
def test_every_feature_that_is_declared_is_there(feature: str, region: str, size: str, rotation: str) -> None:
    assert feature in LEVEL_2["supports"] + profile()["supports"]
    formats, qualities = (LEVEL_2[name] + profile()[name] for name in ("formats", "qualities"))
    for leaf in (f"{quality}.{format_}" for quality in qualities for format_ in formats):
        request = parse_request(IMAGE, (region, size, rotation, leaf), LIMITS, monochrome=False, version=2)
        assert request.format.value == leaf.split(".")[1]


def test_it_survives_encoding() -> None:
    assert msgspec.json.decode(msgspec.json.encode(info())) == info()


IMAGES = st.builds(Extent, st.integers(1, 3000), st.integers(1, 3000))
SOME_LIMITS = st.builds(Limits, st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 10**7))


def served(image: Extent, limits: Limits, region: str, size: str) -> Extent:
    request = parse_request(image, (region, size, "0", "default.jpg"), limits, monochrome=False, version=2)
    return request.size.extent


@given(IMAGES, SOME_LIMITS)
def test_every_listed_size_is_served_in_both_forms_as_one_image(image: Extent, limits: Limits) -> None:
    found = sizes_by_width(image, limits)
    assert found
    assert len({extent.width for extent in found}) == len(found)
    assert found == sorted(found)
    for extent in found:
        assert served(image, limits, "full", f"{extent.width},{extent.height}") == extent
        if limits.hold(scaled_to_width(image, extent.width)):
            assert served(image, limits, "full", f"{extent.width},") == extent


@given(IMAGES, SOME_LIMITS)
def test_the_same_widths_are_listed_as_in_version_3(image: Extent, limits: Limits) -> None:
    assert {extent.width for extent in sizes_by_width(image, limits)} == {
        extent.width for extent in sizes(image, limits)
    }


@pytest.mark.parametrize(
    ("image", "limits", "expected"),
    [
        ((1000, 1500), LIMITS, [(63, 95), (125, 188), (250, 375), (500, 750), (1000, 1500)]),
        ((3, 1000), LIMITS, [(1, 333), (2, 667), (3, 1000)]),
        ((1, 20_000), Limits(100, 100, 10_000), [(1, 79)]),
        ((1, 1), LIMITS, [(1, 1)]),
    ],
)  # fmt: skip
def test_sizes_by_width(image: tuple[int, int], limits: Limits, expected: list[tuple[int, int]]) -> None:
    assert [(size.width, size.height) for size in sizes_by_width(Extent(*image), limits)] == expected


@given(IMAGES, SOME_LIMITS, st.integers(16, 600))
def test_every_tile_is_served(image: Extent, limits: Limits, tile_size: int) -> None:
    """As `w,h` exactly; as `w,`, which viewers of 2.1 send, exact but for edges, where the shape decides the height."""
    side = tile_side(tile_size, limits)
    assume(image.width * image.height < 400 * side * side)
    for scale in scale_factors(image, side):
        for tile in tiles(image, side, scale):
            whole = tile.region.extent
            region = f"{tile.region.left},{tile.region.top},{whole.width},{whole.height}"
            assert served(image, limits, region, f"{tile.extent.width},{tile.extent.height}") == tile.extent
            by_width = scaled_to_width(whole, tile.extent.width)
            if limits.hold(by_width):
                assert served(image, limits, region, f"{tile.extent.width},") == by_width
            if whole == Extent(side * scale, side * scale):
                assert by_width == tile.extent == Extent(side, side)
