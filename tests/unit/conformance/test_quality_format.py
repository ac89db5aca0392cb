"""Quality, format, and the order of the work: Image API 3.0 §4.4 to §4.6."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from iiiffs.iiif.parameters import OFFERED
from tests.unit.conformance.conformance_pictures import (
    SPEC,
    Served,
    file_of,
    gray_picture,
    oriented,
    ramps,
    refused,
    shows,
    spec_picture,
)

PILLOW_NAMES = {
    "jpg": "JPEG", "png": "PNG", "tif": "TIFF", "gif": "GIF", "jp2": "JPEG2000", "webp": "WEBP", "avif": "AVIF",
}  # fmt: skip
"""All formats but pdf, which Pillow cannot read."""
MEDIA_TYPES = {
    "jpg": "image/jpeg", "tif": "image/tiff", "png": "image/png", "gif": "image/gif", "jp2": "image/jp2",
    "pdf": "application/pdf", "webp": "image/webp",
}  # fmt: skip
"""The table of §4.5."""


def values(image: Image.Image) -> set[int]:
    return set(image.convert("L").tobytes())


def test_gray_has_no_colour() -> None:
    """Rule: Image API 3.0 §4.4, `gray`."""
    for name in ("jpg", "png"):
        answer = spec_picture().image(f"full/60,/0/gray.{name}").convert("RGB")
        red, green, blue = (band.tobytes() for band in answer.split())
        assert red == green == blue
        assert len(values(answer)) > 50


@pytest.mark.parametrize("name", [name for name in PILLOW_NAMES if name != "jpg"])
def test_bitonal_is_black_and_white_to_the_pixel(name: str) -> None:
    """Rule: Image API 3.0 §4.4, `bitonal`: "each pixel is either black or white", in lossy formats too."""
    assert values(spec_picture().image(f"full/60,/0/bitonal.{name}")) == {0, 255}


def test_bitonal_of_a_jpeg_is_black_and_white_but_for_its_ripples() -> None:
    """Rule: Image API 3.0 §4.4, `bitonal`; JPEG has no lossless way that browsers show."""
    answer = spec_picture().image("full/max/0/bitonal.jpg")
    pixels = answer.tobytes()
    assert answer.mode == "L"
    assert sum(16 < value < 239 for value in pixels) < len(pixels) / 500


def test_default_is_color_where_there_is_colour_and_gray_where_there_is_none() -> None:
    """Rule: Image API 3.0 §4.4, `default`; §4.8: one of two names, one image."""
    served = spec_picture()
    assert served.body("full/60,/0/default.png") == served.body("full/60,/0/color.png")
    gray = gray_picture()
    assert gray.body("full/60,/0/default.png") == gray.body("full/60,/0/gray.png")


def test_color_of_a_gray_picture_is_served_and_not_listed() -> None:
    """Rule: Image API 3.0 §4.4: "MUST return an image ... SHOULD NOT include `color` in extraQualities"."""
    gray = gray_picture()
    assert gray.size("full/max/0/color.jpg") == SPEC
    assert "color" not in gray.info["extraQualities"]
    assert "color" in spec_picture().info["extraQualities"]


@pytest.mark.parametrize("served", [spec_picture(), gray_picture()], ids=["colour", "gray"])
def test_every_quality_beyond_default_is_listed_and_served(served: Served) -> None:
    """Rule: Image API 3.0 §4.4: MUST be listed "regardless of level"; the document level2.json lists only default."""
    listed = served.info["extraQualities"]
    assert {"gray", "bitonal"} <= set(listed)
    assert "default" not in listed and len(set(listed)) == len(listed)
    for quality in listed:
        assert served.size(f"full/30,/0/{quality}.jpg") == (30, 20)


@pytest.mark.parametrize("leaf", ["native.jpg", "grey.jpg", "Default.jpg", "COLOR.jpg", ".jpg", "default"])
def test_other_qualities_are_refused(leaf: str) -> None:
    """Rule: Image API 3.0 §4.4: 400 (SHOULD). `native` is of 1.x."""
    refused(spec_picture(), f"full/max/0/{leaf}")


def test_the_media_types_are_those_of_the_specification() -> None:
    """Rule: Image API 3.0 §4.5, the table."""
    offered = {format_.value: media_type for format_, media_type in OFFERED.items()}
    assert {name: offered[name] for name in MEDIA_TYPES} == MEDIA_TYPES


@pytest.mark.parametrize("name", [*PILLOW_NAMES, "pdf"])
def test_every_format_is_what_its_ending_says(name: str) -> None:
    """Rule: Image API 3.0 §4.5: what level 2 has and what info.json lists, in every quality."""
    served = spec_picture()
    assert name in {"jpg", "png", *served.info["extraFormats"]}
    for quality in ("default", "color", "gray", "bitonal"):
        body = served.body(f"full/60,/0/{quality}.{name}")
        if name == "pdf":
            assert body.startswith(b"%PDF-")
        else:
            assert Image.open(BytesIO(body)).format == PILLOW_NAMES[name]


@pytest.mark.parametrize(
    "name", ["jpeg", "JPG", "Jpg", "tiff", "png8", "bmp", "svg", "heic", "jxl", "jpg.jpg", "", "jpg ", "j2k"]
)
def test_other_formats_are_refused(name: str) -> None:
    """Rule: Image API 3.0 §4.5: `jpeg` and `JPG` are not values; 400 (SHOULD)."""
    refused(spec_picture(), f"full/max/0/default.{name}")


def test_region_then_size_then_rotation_then_quality() -> None:
    """Rule: Image API 3.0 §4.6: any other order gives other pixels here."""
    answer = spec_picture().image("30,40,200,100/50,50/!90/default.png")
    assert answer.size == (50, 50)
    shows(answer, (30, 40, 230, 140), SPEC, lambda u, v: (1 - v, 1 - u))
    stripes = Image.new("L", (64, 64))
    stripes.paste(255, (0, 0, 64, 64))
    for x in range(0, 64, 2):
        stripes.paste(0, (x, 0, x + 1, 64))
    bitonal = Served(file_of(stripes)).image("full/8,8/0/bitonal.png")
    assert len(values(bitonal)) == 1, "made bitonal before it was scaled, it would not be one shade"


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("name", [*PILLOW_NAMES, "pdf"])
def test_pictures_are_upright_and_the_tag_is_gone(name: str, orientation: int) -> None:
    """Rule: Image API 3.0 §5.2 with IIIF/api #2351: width and height after EXIF orientation.

    Peers fail: a tag that is left in makes browsers turn every tile once more (idai-field #322; Cantaloupe #636).
    """
    size = (80, 120)
    served = Served(oriented(ramps(*size), orientation))
    body = served.body(f"full/max/0/default.{name}")
    assert b"Exif" not in body and b"http://ns.adobe.com" not in body
    if name != "pdf":
        answer = Image.open(BytesIO(body))
        assert answer.size == size
        assert answer.getexif().get(0x0112, 1) == 1
        if name != "gif":  # 255 colours
            shows(answer, (0, 0, *size), size, mean=3.0)
