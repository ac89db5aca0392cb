"""What headers say, and what is said of files that are no pictures."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from iiiffs.errors import VersionChanged
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent
from iiiffs.render.exif import ExifTags, read_exif
from iiiffs.render.headers import read_facts
from tests.unit.render.render_pictures import coordinates, exif_of, saved, stored_turned


def facts_of(data: bytes, pixels_max: int = 1_000_000) -> Facts:
    return read_facts(BytesIO(data), "a.jpg", pixels_max)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("TIFF", "image/tiff"),
        ("BMP", "image/bmp"),
    ],
)
def test_the_media_type_and_extent_come_from_the_content(name: str, media_type: str) -> None:
    assert facts_of(saved(coordinates(20, 10), name)) == Facts(media_type, Extent(20, 10))


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_extent_is_upright(name: str, orientation: int) -> None:
    stored = stored_turned(coordinates(20, 10), orientation)
    assert facts_of(saved(stored, name, exif=exif_of(orientation))).extent == Extent(20, 10)


@pytest.mark.parametrize(("mode", "name"), [("L", "JPEG"), ("1", "PNG"), ("I;16", "PNG"), ("LA", "PNG"), ("L", "TIFF")])
def test_gray_is_monochrome(mode: str, name: str) -> None:
    assert facts_of(saved(Image.new(mode, (4, 4)), name)).monochrome


@pytest.mark.parametrize(("mode", "name"), [("RGB", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG")])
def test_colour_is_not_monochrome(mode: str, name: str) -> None:
    assert not facts_of(saved(Image.new(mode, (4, 4)), name)).monochrome


@pytest.mark.parametrize(
    ("taken", "zones", "captured"),
    [
        ("2024:06:01 12:00:00", {0x9011: "+02:00"}, "2024-06-01T12:00:00+02:00"),
        ("2024:06:01 12:00:00", {0x9010: "-03:30"}, "2024-06-01T12:00:00-03:30"),
        ("2024:06:01 12:00:00", {0x9010: "-03:30", 0x9011: "+02:00"}, "2024-06-01T12:00:00+02:00"),
        ("2024:06:01 12:00:00", {0x9011: "Z"}, "2024-06-01T12:00:00Z"),
        ("2024:06:01 12:00:00", {}, "2024-06-01T12:00:00"),
        ("2024:06:01 12:00:00", {0x9011: "+25:00"}, "2024-06-01T12:00:00"),
        ("2024:06:01 12:00:00", {0x9011: "   :  "}, "2024-06-01T12:00:00"),
        ("0000:00:00 00:00:00", {0x9011: "+02:00"}, None),
        ("2024:02:30 12:00:00", {}, None),
        ("2024:06:01 24:00:00", {}, None),
        ("    :  :     :  :  ", {}, None),
        ("yesterday", {}, None),
        ("1700:06:01 12:00:00", {}, None),
    ],
)
@pytest.mark.parametrize("name", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_the_capture_time_has_a_zone_only_where_the_file_tells_it(
    name: str, taken: str, zones: dict[int, str], captured: str | None
) -> None:
    tags: dict[int, object] = {0x9003: taken, **zones}
    if name == "TIFF":
        directory = ImageFileDirectory_v2()
        directory[0x8769] = tags
        data = saved(coordinates(8, 8), name, tiffinfo=directory)
    else:
        exif = exif_of(1)
        exif.get_ifd(0x8769).update(tags)
        data = saved(coordinates(8, 8), name, exif=exif)
    assert facts_of(data).captured == captured


def test_big_endian_exif_is_read() -> None:
    blob = b"Exif\0\0MM\0*" + struct.pack(">LHHHLHHL", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    assert read_exif(blob) == ExifTags(orientation=6)


@given(st.binary(max_size=200), st.integers(0, 120), st.integers(1, 60))
def test_damaged_exif_never_kills(noise: bytes, at: int, cut: int) -> None:
    exif = exif_of(6)
    exif.get_ifd(0x8769).update({0x9003: "2024:06:01 12:00:00", 0x9011: "+02:00"})
    blob = exif.tobytes()
    for damaged in (noise, blob[:-cut], blob[:at] + noise + blob[at:], b"Exif\0\0II*\0" + noise):
        assert 1 <= read_exif(damaged).orientation <= 8


def test_a_jpeg_with_damaged_exif_is_a_picture() -> None:
    data = saved(coordinates(20, 10), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert facts_of(data) == Facts("image/jpeg", Extent(20, 10))


JPEG = saved(coordinates(200, 100), "JPEG")


@pytest.mark.parametrize(
    ("data", "media_type", "reason"),
    [
        (b"", "application/octet-stream", "empty file"),
        (b"#!/bin/sh\necho I am no picture\n", "application/octet-stream", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "application/octet-stream", "not a picture"),
        (b"%PDF-1.4\n", "application/octet-stream", "not a picture"),
        (JPEG[:3], "image/jpeg", ""),
        (JPEG[:100], "image/jpeg", ""),
        (saved(coordinates(9, 9), "PNG")[:12], "image/png", ""),
        (saved(coordinates(9, 9), "WEBP")[:20], "image/webp", ""),
        (saved(coordinates(9, 9), "GIF")[:8], "image/gif", ""),
        (saved(coordinates(9, 9), "TIFF")[:6], "image/tiff", ""),
        (saved(coordinates(9, 9), "BMP")[:16], "image/bmp", ""),
    ],
)
def test_what_is_no_picture_has_one_line_that_says_why(data: bytes, media_type: str, reason: str) -> None:
    facts = facts_of(data)
    assert (facts.media_type, facts.extent) == (media_type, None)
    assert facts.error is not None
    assert facts.error.startswith("a.jpg: ") and reason in facts.error and "\n" not in facts.error


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be this large."""
    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    png = saved(Image.new("RGB", (1, 1)), "PNG")
    return (
        png[:8] + struct.pack(">L", 13) + b"IHDR" + header + struct.pack(">L", zlib.crc32(b"IHDR" + header)) + png[33:]
    )


@pytest.mark.parametrize("side", [10_000, 14_000, 60_000])
def test_a_bomb_is_refused_by_its_header_and_the_process_is_as_before(side: int) -> None:
    before = Image.MAX_IMAGE_PIXELS
    facts = facts_of(bomb(side, side), pixels_max=50_000_000)
    assert facts.extent is None
    assert facts.error == f"a.jpg: {side}x{side} px is over the limit of 50000000 px"
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_large_picture_below_the_limit_is_read_without_a_warning() -> None:
    assert facts_of(bomb(10_000, 10_000), pixels_max=100_000_000).extent == Extent(10_000, 10_000)


def test_errors_of_the_stream_pass() -> None:
    class Changed(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 10:
                raise VersionChanged("replaced underneath")
            return super().read(size)

    with pytest.raises(VersionChanged):
        read_facts(Changed(JPEG), "a.jpg")


def test_a_disk_error_passes() -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 10:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output"):
        read_facts(Broken(JPEG), "a.jpg")
