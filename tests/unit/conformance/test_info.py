"""info.json of version 3: Image API 3.0 §5 and §6, and that it promises what is served."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import msgspec
import pytest
from PIL import Image

from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import AccountName, AssetId
from tests.unit.conformance.conformance_pictures import (
    SERVICE,
    SPEC,
    Served,
    file_of,
    gray_picture,
    oriented,
    ramps,
    spec_picture,
)

LEVEL_2 = {
    "regionByPx": "10,20,100,50/max/0/default.jpg",
    "regionByPct": "pct:10,10,50,50/max/0/default.jpg",
    "regionSquare": "square/max/0/default.jpg",
    "sizeByW": "full/100,/0/default.jpg",
    "sizeByH": "full/,100/0/default.jpg",
    "sizeByPct": "full/pct:33.3/0/default.jpg",
    "sizeByConfinedWh": "full/!100,100/0/default.jpg",
    "sizeByWh": "full/100,100/0/default.jpg",
    "rotationBy90s": "full/100,/270/default.jpg",
    "max": "full/max/0/default.jpg",
    "color": "full/100,/0/color.jpg",
    "gray": "full/100,/0/gray.jpg",
    "png": "full/100,/0/default.png",
}
"""What level 2 requires (Compliance 3.0 §3), each with a request that needs it. The HTTP part is the web server's."""
EXTRA = {
    "mirroring": "full/100,/!0/default.jpg",
    "rotationArbitrary": "full/100,/22.5/default.png",
    "sizeUpscaling": "full/^400,/0/default.jpg",
}
DEFINED_FEATURES = {
    "baseUriRedirect", "canonicalLinkHeader", "cors", "jsonldMediaType", "mirroring", "profileLinkHeader",
    "regionByPct", "regionByPx", "regionSquare", "rotationArbitrary", "rotationBy90s", "sizeByConfinedWh", "sizeByH",
    "sizeByPct", "sizeByW", "sizeByWh", "sizeUpscaling",
}  # fmt: skip
PICTURES = {
    "landscape": Served(file_of(ramps(1300, 870), "JPEG", quality=90)),
    "portrait, turned": Served(oriented(ramps(600, 1100), 6)),
    "gray": gray_picture(),
    "small": Served(file_of(ramps(90, 60))),
    "larger than its limits": Served(file_of(ramps(1300, 870))).under(Limits(640, 640, 300_000)),
}


@pytest.mark.parametrize("served", PICTURES.values(), ids=PICTURES.keys())
def test_what_is_required_is_there_in_its_type(served: Served) -> None:
    """Rule: Image API 3.0 §5.2, the table; `@context` first (SHOULD); `profile` is a string and no list or URI."""
    info = served.info
    assert next(iter(info)) == "@context"
    assert info["@context"] == "http://iiif.io/api/image/3/context.json"
    assert info["type"] == "ImageService3"
    assert info["protocol"] == "http://iiif.io/api/image"
    assert info["profile"] == "level2"
    for name in ("width", "height", "maxWidth", "maxHeight", "maxArea"):
        assert type(info[name]) is int and info[name] > 0, name
    assert msgspec.json.decode(msgspec.json.encode(info)) == info


def test_id_is_the_base_uri_without_a_slash_at_its_end() -> None:
    """Rule: Image API 3.0 §5.2, `id`; §2.2: identical to that of the image requests."""
    assert spec_picture().info["id"] == SERVICE


@pytest.mark.parametrize("base_url", ["https://h.example", "https://h.example/", "http://127.0.0.1:8080/a/b/"])
def test_id_holds_nothing_that_a_client_would_encode(base_url: str) -> None:
    """Rule: Image API 3.0 §3, §9: special characters MUST be encoded, slashes too, so that `id` is sent back as it is.

    A prefix may have slashes (§2), the identifier none.
    """
    uri = Uris(base_url).service(AccountName("Ünï cödé, 100% [x] @ ^!;:+&=~'()?#/"), AssetId("a1~2"))
    assert not uri.endswith("/")
    path = uri.removeprefix(base_url.rstrip("/"))
    assert path.count("/") == 4
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/")
    assert set(path) <= allowed


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_width_and_height_are_those_of_the_upright_picture(orientation: int) -> None:
    """Rule: Image API 3.0 §5.2 with IIIF/api #2351. Peers fail: those in test_region.py."""
    info = Served(oriented(ramps(70, 110), orientation)).info
    assert (info["width"], info["height"]) == (70, 110)


@pytest.mark.parametrize("served", PICTURES.values(), ids=PICTURES.keys())
def test_every_listed_size_is_served_as_it_stands(served: Served) -> None:
    """Rule: Image API 3.0 §5.3: `/full/w,h/0/default.jpg` MUST be supported; widths and heights are integers."""
    sizes = served.info["sizes"]
    assert sizes
    for size in sizes:
        assert set(size) == {"width", "height"}
        assert served.size(f"full/{size['width']},{size['height']}/0/default.jpg") == (size["width"], size["height"])
    assert len({tuple(size.values()) for size in sizes}) == len(sizes)


@pytest.mark.parametrize("served", PICTURES.values(), ids=PICTURES.keys())
def test_tiles_are_said_once_and_end_with_the_whole_image(served: Served) -> None:
    """Rule: Image API 3.0 §5.4: unique width and height (MUST); a scale factor once over all (SHOULD)."""
    info = served.info
    (tiles,) = info["tiles"]
    factors = tiles["scaleFactors"]
    assert len(set(factors)) == len(factors)
    assert all(type(factor) is int and factor > 0 for factor in factors)
    assert -(-max(info["width"], info["height"]) // factors[-1]) <= tiles["width"]


@pytest.mark.parametrize("path", LEVEL_2.values(), ids=LEVEL_2.keys())
def test_level_2_is_served(path: str) -> None:
    """Rule: Compliance 3.0 §3, every row that level 2 requires. Peers fail: the reference server says level1."""
    assert min(spec_picture().size(path)) >= 50


def test_features_are_those_of_version_3_beyond_level_2_and_no_header_is_promised() -> None:
    """Rule: Image API 3.0 §5.7, the table.

    Peers fail: iiif-processor lists names of 2.x (sizeByDistortedWh, sizeByForcedWh, sizeAboveFull), and Link headers
    that a validator then asks for.
    """
    features = spec_picture().info["extraFeatures"]
    assert set(features) == set(EXTRA)
    assert set(features) <= DEFINED_FEATURES
    assert not set(features) & (set(LEVEL_2) | {"canonicalLinkHeader", "profileLinkHeader"})


@pytest.mark.parametrize("path", EXTRA.values(), ids=EXTRA.keys())
def test_every_feature_that_is_listed_is_there(path: str) -> None:
    """Rule: Image API 3.0 §5.7."""
    assert min(spec_picture().size(path)) >= 50


def test_extra_formats_are_beyond_the_profile_and_served() -> None:
    """Rule: Image API 3.0 §5.7, `extraFormats`: in addition to those of level 2, jpg and png. avif is an extension."""
    served = spec_picture()
    formats = served.info["extraFormats"]
    assert {"webp", "tif", "gif", "jp2", "pdf", "avif"} == set(formats)
    for name in formats:
        assert len(served.body(f"full/30,/0/default.{name}")) > 100


def test_preferred_formats_are_left_to_the_client() -> None:
    """Rule: Image API 3.0 §5.5 (MAY), §5.6 (MAY), §5.8 (MAY): what would be said of the picture is in its Canvas."""
    assert not {"preferredFormats", "rights", "partOf", "seeAlso", "service"} & set(spec_picture().info)


def test_an_image_is_as_large_as_it_is_told_to_be() -> None:
    """Rule: Image API 3.0 §5.2: `full/max` has the width and height of info.json where the limits let it."""
    for name, served in PICTURES.items():
        info: dict[str, Any] = served.info
        wanted = (info["width"], info["height"])
        seen = Image.open(BytesIO(served.body("full/max/0/default.jpg"))).size
        assert (seen == wanted) == (name != "larger than its limits")
    assert spec_picture().size("full/max/0/default.jpg") == SPEC
