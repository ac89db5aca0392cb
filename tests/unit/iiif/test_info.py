"""info.json: Image API 3.0 §5, and the slips that research/iiif.md §1 names."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from iiiffs.iiif.info import image_info
from iiiffs.iiif.scaling import Limits
from iiiffs.model.image import Extent

ID = "http://127.0.0.1:8080/home/iiif/3/a1"
LIMITS = Limits(16_384, 16_000, 100_000_000)


def info(limits: Limits = LIMITS, *, monochrome: bool = False) -> dict[str, Any]:
    return image_info(ID, Extent(1651, 1117), limits, 512, monochrome=monochrome)


def test_the_whole_document() -> None:
    assert info() == {
        "@context": "http://iiif.io/api/image/3/context.json",
        "id": ID,
        "type": "ImageService3",
        "protocol": "http://iiif.io/api/image",
        "profile": "level2",
        "width": 1651,
        "height": 1117,
        "maxWidth": 16_384,
        "maxHeight": 16_000,
        "maxArea": 100_000_000,
        "sizes": [
            {"width": 104, "height": 70},
            {"width": 207, "height": 140},
            {"width": 413, "height": 280},
            {"width": 826, "height": 559},
            {"width": 1651, "height": 1117},
        ],
        "tiles": [{"width": 512, "height": 512, "scaleFactors": [1, 2, 4]}],
        "extraQualities": ["color", "gray", "bitonal"],
        "extraFormats": ["webp", "tif", "gif", "jp2", "avif", "pdf"],
        "extraFeatures": ["mirroring", "rotationArbitrary", "sizeUpscaling"],
    }


def test_the_context_is_the_first_key() -> None:
    assert next(iter(info())) == "@context"


def test_color_of_a_monochrome_image_is_not_listed() -> None:
    assert info(monochrome=True)["extraQualities"] == ["gray", "bitonal"]


@pytest.mark.parametrize(
    "feature",
    [
        "canonicalLinkHeader", "profileLinkHeader",
        "sizeByDistortedWh", "sizeByForcedWh", "sizeByWhListed", "sizeAboveFull",
        "regionByPct", "sizeByConfinedWh", "cors",
    ],
)  # fmt: skip
def test_features_of_the_level_of_the_web_server_or_of_2_x_are_not_declared(feature: str) -> None:
    assert feature not in info()["extraFeatures"]


def test_tiles_and_sizes_are_inside_narrow_limits() -> None:
    found = info(limits=Limits(300, 200, 30_000))
    assert found["tiles"] == [{"width": 173, "height": 173, "scaleFactors": [1, 2, 4, 8, 16]}]
    assert found["sizes"] == [{"width": 104, "height": 70}, {"width": 207, "height": 140}]


def test_it_survives_encoding() -> None:
    assert msgspec.json.decode(msgspec.json.encode(info())) == info()


def test_sizes_at_hand_are_told() -> None:
    at_hand = [Extent(370, 250), Extent(1651, 1117)]
    document: Any = image_info(ID, Extent(1651, 1117), LIMITS, 512, monochrome=False, at_hand=at_hand)
    assert {"width": 370, "height": 250} in document["sizes"]
    assert [size["width"] for size in document["sizes"]] == [104, 207, 370, 413, 826, 1651]
