"""A JPEG's header, where all that is wanted is its size: a walk over its markers. Rule: ITU-T T.81 §B.1."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from iiiffs.model.image import Extent

_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: not lossless, which is sensor data
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_MARKERS_MAX = 256


@dataclass(frozen=True, slots=True)
class Jpeg:
    """`extent` is as stored. `exif` is the first EXIF segment, b"" if there is none."""

    extent: Extent
    exif: bytes


def read_jpeg_header(stream: BinaryIO, offset: int, length: int) -> Jpeg | None:
    """The header of the JPEG at `offset`; None if what lies there is no 8-bit picture that anybody can show."""
    stream.seek(offset)
    if stream.read(2) != b"\xff\xd8":
        return None
    exif, at = b"", offset + 2
    for _ in range(_MARKERS_MAX):
        stream.seek(at)
        head = stream.read(11)
        if len(head) < 11 or head[0] != 0xFF or at >= offset + length:
            return None
        marker, size = head[1], int.from_bytes(head[2:4], "big")
        if marker == 0xFF:
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _FRAMES:
            depth, height, width, bands = struct.unpack_from(">BHHB", head + b"\0", 4)
            shown = depth == 8 and bands in (1, 3) and width and height
            return Jpeg(Extent(width, height), exif) if shown else None
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return None
        else:
            if marker == 0xE1 and not exif and head[4:10] == b"Exif\0\0":
                stream.seek(at + 4)
                exif = stream.read(size - 2)
            at += 2 + size
    return None
