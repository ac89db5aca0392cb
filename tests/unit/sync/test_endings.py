"""Whether a file is all there: real files of every format, whole, cut anywhere, and with something after the end."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from iiiffs.sync.endings import CHUNK_BYTES, is_whole


def told(data: bytes) -> bool | None:
    return is_whole(len(data), lambda offset, length: data[offset : offset + length])


def picture(kind: str, **options: object) -> bytes:
    """Noise, so that the scan is long and has every byte in it."""
    image = Image.effect_noise((160, 120), 90).convert("RGB")
    image.save(target := io.BytesIO(), kind, **options)
    return target.getvalue()


def with_thumbnail() -> bytes:
    """A JPEG whose EXIF segment holds a whole JPEG, as every camera's does."""
    small = picture("JPEG", quality=30)
    segment = b"Exif\0\0" + small
    plain = picture("JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload) + 8) + kind + payload


def large_box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", 1) + kind + struct.pack(">Q", len(payload) + 16) + payload


FTYP = box(b"ftyp", b"heic\0\0\0\0mif1heic")
FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: picture("JPEG"),
    "progressive jpeg": lambda: picture("JPEG", progressive=True),
    "jpeg with restarts": lambda: picture("JPEG", restart_marker_blocks=1),
    "jpeg with a thumbnail": with_thumbnail,
    "jpeg with fill bytes": lambda: picture("JPEG")[:2] + b"\xff\xff" + picture("JPEG")[2:],
    "mpo": lambda: picture("JPEG") + b"\0" * 30 + picture("JPEG"),
    "png": lambda: picture("PNG"),
    "gif": lambda: picture("GIF"),
    "webp": lambda: picture("WEBP"),
    "heif boxes": lambda: FTYP + box(b"meta", b"x" * 50) + box(b"mdat", b"y" * 999),
    "mp4 boxes of 64 bits": lambda: FTYP + large_box(b"mdat", b"y" * 999) + box(b"moov", b"x" * 50),
    "old movie": lambda: box(b"mdat", b"y" * 999) + box(b"moov", b"x" * 50),
}
CUTS = (1, 2, 3, 20, 200)
"""Bytes that are missing; none of the files above ends with that many bytes that mean nothing."""


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_is_whole(name: str) -> None:
    assert told(FILES[name]()) is True


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("missing", CUTS)
def test_a_cut_file_is_not(name: str, missing: int) -> None:
    assert told(FILES[name]()[:-missing]) is False


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg", "jpeg with a thumbnail", "mpo", "png", "webp"])
@pytest.mark.parametrize("trailer", [b"\0" * 500, b"SEFT trailer", b"\xff" * 9], ids=["zeros", "text", "ones"])
def test_what_follows_the_end_is_legal(name: str, trailer: bytes) -> None:
    assert told(FILES[name]() + trailer) is True


def test_a_moving_picture_behind_a_jpeg_is_legal() -> None:
    assert told(FILES["jpeg"]() + FILES["mp4 boxes of 64 bits"]()) is True


def test_a_trailer_behind_boxes_is_legal() -> None:
    assert told(FILES["heif boxes"]() + b"\0\0\0\x20\0\1\2\3trailer") is True


@given(st.integers(0, 6000))
def test_a_jpeg_is_cut_wherever_it_is_cut(length: int) -> None:
    """Also within the thumbnail, whose own end is no end."""
    data = NOISE[: min(length, len(NOISE) - 1)]
    assert told(data) is not True


NOISE = with_thumbnail()


@pytest.mark.parametrize("gap", [-3, -2, -1, 0, 1])
def test_an_end_at_the_seam_of_two_reads_is_found(gap: int) -> None:
    plain = picture("JPEG")
    scan = plain.index(b"\xff\xda")
    begin = scan + 2 + int.from_bytes(plain[scan + 2 : scan + 4], "big")
    data = plain[:begin] + b"\x11" * (CHUNK_BYTES + gap) + b"\xff\xd9"
    assert told(data) is True
    assert told(data[:-1]) is False


def test_room_that_was_reserved_is_not_a_file() -> None:
    assert told(bytes(5000)) is False
    assert told(b"") is False


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_whose_directory_is_not_there_yet(order: str) -> None:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 5000)
    assert told(head + bytes(100)) is False
    assert told(head + bytes(6000)) is None


@pytest.mark.parametrize("data", [b"hello world, this is text", b"%PDF-1.7 and so on", FTYP + b"\0\0\0\0mdat..."])
def test_what_does_not_tell(data: bytes) -> None:
    assert told(data) is None


@given(st.binary(max_size=64))
def test_garbage_is_no_error(data: bytes) -> None:
    told(data)
    told(b"\xff\xd8\xff" + data)
    told(b"\0\0\0\x08ftyp" + data)
    told(b"RIFF" + data)
    told(b"II*\0" + data)
