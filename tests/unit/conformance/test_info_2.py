"""Image API 2.1, iiif/2: what it says otherwise than version 3. Two roots, the same bytes."""

from __future__ import annotations

import pytest

from iiiffs.iiif.scaling import Limits
from tests.unit.conformance.conformance_pictures import (
    SERVICE_2,
    SPEC,
    Served,
    file_of,
    gray_picture,
    ramps,
    refused,
    shows,
    spec_picture,
)

LEVEL_2 = {
    "regionByPx": "10,20,100,50/full/0/default.jpg",
    "regionByPct": "pct:10,10,50,50/full/0/default.jpg",
    "full": "full/full/0/default.jpg",
    "sizeByW": "full/100,/0/default.jpg",
    "sizeByH": "full/,100/0/default.jpg",
    "sizeByPct": "full/pct:33.3/0/default.jpg",
    "sizeByConfinedWh": "full/!100,100/0/default.jpg",
    "sizeByDistortedWh": "full/100,100/0/default.jpg",
    "sizeByWh": "full/150,100/0/default.jpg",
    "rotationBy90s": "full/100,/270/default.jpg",
    "default": "full/100,/0/default.jpg",
    "color": "full/100,/0/color.jpg",
    "gray": "full/100,/0/gray.jpg",
    "bitonal": "full/100,/0/bitonal.jpg",
    "png": "full/100,/0/default.png",
}
EXTRA = {
    "mirroring": "full/100,/!0/default.jpg",
    "regionSquare": "square/100,/0/default.jpg",
    "rotationArbitrary": "full/100,/22.5/default.png",
    "max": "full/max/0/default.jpg",
}
LARGE = Served(file_of(ramps(1300, 870), "JPEG", quality=90))


@pytest.mark.parametrize("path", [*LEVEL_2.values(), *EXTRA.values()], ids=[*LEVEL_2, *EXTRA])
def test_level_2_and_what_is_listed_beside_it_is_served(path: str) -> None:
    """Rule: Compliance 2.1 §3: level 2 wants bitonal as well; square, mirroring and any angle are optional."""
    assert min(spec_picture().size(path, version=2)) >= 50


def test_the_document_is_that_of_2_1() -> None:
    """Rule: Image API 2.1 §5.2, the table: `profile` is a list, the URI of the level its first."""
    info = spec_picture().info_2
    assert next(iter(info)) == "@context"
    assert info["@context"] == "http://iiif.io/api/image/2/context.json"
    assert info["@id"] == SERVICE_2
    assert info["protocol"] == "http://iiif.io/api/image"
    assert (info["width"], info["height"]) == SPEC
    level, more = info["profile"]
    assert level == "http://iiif.io/api/image/2/level2.json"
    assert set(more) == {"formats", "qualities", "supports", "maxWidth", "maxHeight", "maxArea"}
    assert not {"id", "type", "extraFormats", "extraQualities", "extraFeatures", "maxWidth", "attribution"} & set(info)


def test_the_two_versions_have_an_address_each() -> None:
    """Rule: Image API 3.0 §5.2 and 2.1 §5.2: `id` must differ, and `full` and upscaling clash, so no base has both."""
    served = spec_picture()
    assert served.info["id"] != served.info_2["@id"]
    assert "@id" not in served.info


def test_the_profile_says_only_what_level_2_does_not() -> None:
    """Rule: Image API 2.1 §5.3: nothing that level2.json has; no empty list; no Link header that nobody sends."""
    more = spec_picture().info_2["profile"][1]
    assert not {"jpg", "png"} & set(more["formats"])
    assert not {"default", "bitonal"} & set(more["qualities"])
    assert set(more["supports"]) == {"mirroring", "regionSquare", "rotationArbitrary"}
    assert all(more[name] for name in ("formats", "qualities", "supports"))
    assert "color" not in gray_picture().info_2["profile"][1]["qualities"]


def test_every_listed_size_is_served_in_both_forms() -> None:
    """Rule: Image API 2.1 §5.2: `w,` is canonical, `w,h` MUST be supported: one image."""
    for size in LARGE.info_2["sizes"]:
        width, height = size["width"], size["height"]
        assert LARGE.size(f"full/{width},{height}/0/default.jpg", version=2) == (width, height)
        assert LARGE.body(f"full/{width},/0/default.jpg", 2) == LARGE.body(f"full/{width},{height}/0/default.jpg", 2)


def test_tiles_are_those_of_version_3_and_the_same_bytes() -> None:
    """Rule: Image API 2.1 §5.2, tiles: unique widths, a factor once."""
    assert LARGE.info_2["tiles"] == LARGE.info["tiles"]
    for path in ("0,0,1024,870/512,435/0/default.jpg", "1024,512,276,358/276,358/0/default.jpg"):
        assert LARGE.body(path, version=2) == LARGE.body(path)
    assert LARGE.size("1024,512,276,358/276,/0/default.jpg", version=2) == (276, 358)


def test_sizes_and_tiles_are_served_in_every_quality_and_format() -> None:
    """Rule: Image API 2.1 §5.2 (SHOULD): "for all combinations of qualities and formats supported"."""
    served = spec_picture()
    more = served.info_2["profile"][1]
    smallest = served.info_2["sizes"][0]
    for quality in ("default", "bitonal", *more["qualities"]):
        for name in ("jpg", "png", *more["formats"]):
            assert served.body(f"full/{smallest['width']},/0/{quality}.{name}", version=2)


@pytest.mark.parametrize("size", ["301,", ",201", "301,200", "301,201", "pct:100.1", "pct:200", "600,400"])
def test_upscaling_is_not_offered(size: str) -> None:
    """Rule: Image API 2.1 §4.2: MAY be supported; §5.3: `sizeAboveFull` is not said, so clients must not expect it."""
    refused(spec_picture(), f"full/{size}/0/default.jpg", version=2)


@pytest.mark.parametrize("size", ["^max", "^100,", "^,100", "^pct:50", "^!100,100", "^100,100"])
def test_the_caret_is_of_version_3(size: str) -> None:
    """Rule: Image API 2.1 §4.2, the table."""
    refused(spec_picture(), f"full/{size}/0/default.jpg", version=2)


def test_full_is_the_region_unscaled_and_max_what_the_limits_allow() -> None:
    """Rule: Image API 2.1 §4.2: `full` is not scaled, so past the limits it is refused; `max` fits itself to them."""
    limited = spec_picture().under(Limits(150, 150, 10**6))
    refused(limited, "full/full/0/default.jpg", version=2)
    assert limited.size("full/max/0/default.jpg", version=2) == (150, 100)
    tile = limited.image("150,50,150,150/full/0/default.png", version=2)
    assert tile.size == (150, 150)
    shows(tile, (150, 50, 300, 200), SPEC)


def test_a_box_is_the_best_fit_inside() -> None:
    """Rule: Image API 2.1 §4.2, `!w,h`: less than or equal to both; larger than the region gives the region."""
    served = spec_picture()
    assert served.size("full/!225,100/0/default.jpg", version=2) == (150, 100)
    assert served.size("full/!999,999/0/default.jpg", version=2) == SPEC


@pytest.mark.parametrize(
    "path",
    [
        "0,0,0,10/full/0/default.jpg", "300,0,10,10/full/0/default.jpg", "full/0,/0/default.jpg",
        "full/full/361/default.jpg", "full/full/-90/default.jpg", "full/full/0/native.jpg", "full/full/0/default.jpeg",
        "full/1e1,/0/default.jpg", "full/+5,/0/default.jpg", "pct:nan,0,50,50/full/0/default.jpg",
        "full/Full/0/default.jpg", "full/,/0/default.jpg",
    ],
)  # fmt: skip
def test_errors_are_those_of_version_3(path: str) -> None:
    """Rule: Image API 2.1 §4.1 to §4.5: each SHOULD be a 400."""
    refused(spec_picture(), path, version=2)
