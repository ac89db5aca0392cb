"""Every format that is written: the right picture, the same bytes, nothing of the original and no times in it."""

from __future__ import annotations

import os
import random
import re
from datetime import UTC, datetime
from io import BytesIO

import pytest
from PIL import Image, ImageDraw

from iiiffs.iiif.parameters import OFFERED, Format, Quality
from iiiffs.render.encode import encode
from tests.unit.render.render_pictures import Source, coordinates, exif_of, image_request, mean_error, pixel, saved

NAMES = {
    Format.JPG: "JPEG", Format.PNG: "PNG", Format.WEBP: "WEBP", Format.TIF: "TIFF", Format.GIF: "GIF",
    Format.JP2: "JPEG2000", Format.AVIF: "AVIF",
}  # fmt: skip
TOLERANCES = {Format.JPG: 2.0, Format.WEBP: 3.0, Format.AVIF: 3.0, Format.GIF: 6.0, Format.JP2: 2.0}
KEEP_ALPHA = {Format.PNG, Format.WEBP, Format.TIF, Format.GIF, Format.JP2, Format.AVIF}
STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279
SECRET = b"Ada at home 51.5N"


def original() -> Source:
    exif = exif_of(1)
    exif[0x010E] = SECRET.decode()
    xmp = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    return Source(saved(coordinates(96, 64), "PNG", exif=exif, xmp=xmp, dpi=(300, 300)))


def test_every_format_that_is_offered_is_tested_here() -> None:
    assert set(OFFERED) == {*NAMES, Format.PDF}


@pytest.mark.parametrize("format_", list(NAMES))
@pytest.mark.parametrize("size", [(96, 64), (48, 32), (1, 1), (3, 5)])
def test_a_format_is_what_it_is_called_and_shows_the_picture(format_: Format, size: tuple[int, int]) -> None:
    answer = Image.open(BytesIO(original().render(image_request((0, 0, 96, 64), size, format=format_))))
    assert (answer.format, answer.size) == (NAMES[format_], size)
    if min(size) > 30:
        wanted = coordinates(96, 64).resize(size, Image.Resampling.BOX)
        assert mean_error(answer.convert("RGB"), wanted) <= TOLERANCES.get(format_, 1.0)


@pytest.mark.parametrize("format_", list(OFFERED))
@pytest.mark.parametrize("quality", list(Quality))
def test_bytes_are_the_same_each_time_and_tell_nothing_of_the_original(format_: Format, quality: Quality) -> None:
    request = image_request((0, 0, 96, 64), (60, 40), quality=quality, format=format_)
    answers = {original().render(request) for _ in range(3)}
    assert len(answers) == 1
    answer = answers.pop()
    assert SECRET not in answer and b"\x01\x2c\0\x01" not in answer
    assert str(datetime.now(UTC).year).encode() not in answer
    assert not re.search(rb"CreationDate|ModDate|tIME|DateTime|/Title|/Author", answer)


def test_the_byte_that_nobody_writes_into_a_tiff_is_always_0() -> None:
    picture = Image.frombytes("RGB", (600, 400), random.Random(1).randbytes(3 * 600 * 400))
    first, junk = encode(picture, Format.TIF), b""
    directory = int.from_bytes(first[4:8], "little")
    with Image.open(BytesIO(first)) as answer:
        tags = answer.tag_v2
        assert tags[STRIP_OFFSETS][-1] + tags[STRIP_BYTE_COUNTS][-1] == directory - 1, (
            "no byte is left over in this one"
        )
        assert answer.tobytes() == picture.tobytes()
    assert first[directory - 1] == 0
    for _ in range(30):
        assert encode(picture, Format.TIF) == first
        junk = os.urandom(len(first) + len(junk) // 2)


@pytest.mark.parametrize("format_", [format_ for format_ in OFFERED if format_ in KEEP_ALPHA])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept_where_the_format_has_it(format_: Format, mode: str) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((0, 0, 15, 31), fill=(200, 30, 60, 255))
    answer = Image.open(BytesIO(encode(picture.convert(mode), format_))).convert("RGBA")
    assert (pixel(answer, (4, 16))[3], pixel(answer, (28, 16))[3]) == (255, 0)
    wanted = picture.convert(mode).convert("RGB").getpixel((4, 16))
    assert all(abs(a - b) <= 12 for a, b in zip(pixel(answer, (4, 16)), wanted, strict=False))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA"])
def test_a_pdf_is_one_page_with_the_picture_on_white(mode: str) -> None:
    picture = coordinates(60, 40).convert("RGBA")
    picture.paste((0, 0, 0, 0), (30, 0, 60, 40))
    pdf = encode(picture.convert(mode), Format.PDF)
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 1
    assert re.search(rb"/Width 60\b", pdf) and re.search(rb"/Height 40\b", pdf)
    assert re.search(rb"/MediaBox \[ 0 0 28\.8 19\.2 \]", pdf)
    if mode == "1":
        return
    start = pdf.index(b"\xff\xd8\xff")
    image = Image.open(BytesIO(pdf[start : pdf.index(b"\xff\xd9", start) + 2])).convert("RGB")
    wanted = picture.convert(mode).convert("RGBA")
    paper = Image.alpha_composite(Image.new("RGBA", (60, 40), "white"), wanted).convert("RGB")
    assert mean_error(image, paper) < 6


def test_tiles_of_a_gif_are_not_dithered() -> None:
    flat = Image.new("RGB", (32, 32), (123, 45, 67))
    flat.paste((20, 200, 90), (16, 0, 32, 32))
    answer = Image.open(BytesIO(encode(flat, Format.GIF))).convert("RGB")
    assert {color for _, color in answer.getcolors() or []} == {(123, 45, 67), (20, 200, 90)}
