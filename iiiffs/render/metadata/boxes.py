"""EXIF and XMP in files made of boxes: HEIC and AVIF (items), JPEG 2000 (a UUID box).

Prior art: ISO/IEC 14496-12 §4.2, §8.11 (meta, iinf, iloc), 23008-12 annex A; XMP part 3 §1.1.3 (JPEG 2000).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from iiiffs.render.metadata.tags import BLOCK_BYTES_MAX

_BOXES_MAX = 200
_ITEMS_MAX = 4_000
_PARTS_MAX = 8_000
_META_BYTES_MAX = 8 << 20
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_XMP_TYPE = b"application/rdf+xml"


def read_heif(stream: BinaryIO) -> tuple[bytes | None, bytes | None]:
    """EXIF as a TIFF structure, and XMP; None for what is not there or damaged. Errors: what the stream raises."""
    for kind, start, length in _boxes_of(stream):
        if kind == b"meta":
            if not 4 < length <= _META_BYTES_MAX:
                break
            stream.seek(start + 4)
            try:
                return _read_items(stream, stream.read(length - 4))
            except (struct.error, IndexError, ValueError):
                break
    return None, None


def read_jpeg2000(stream: BinaryIO) -> bytes | None:
    """The XMP of a JP2 or JPX; None if there is none."""
    for kind, start, length in _boxes_of(stream):
        if kind == b"uuid" and 16 < length <= BLOCK_BYTES_MAX:
            stream.seek(start)
            if stream.read(16) == _XMP_UUID:
                return stream.read(length - 16)
    return None


def _boxes_of(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(type, place of the content, its length) of the file's own boxes; one that runs to the end is the last."""
    place = 0
    for _ in range(_BOXES_MAX):
        stream.seek(place)
        head = stream.read(16)
        if len(head) < 8:
            return
        size, kind, head_bytes = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1:
            size, head_bytes = int.from_bytes(head[8:16]), 16
        if size == 0:
            end = stream.seek(0, 2)
            yield kind, place + head_bytes, end - place - head_bytes
            return
        if size < head_bytes or place + size >= 2**62:
            return
        yield kind, place + head_bytes, size - head_bytes
        place += size


def _boxes_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of the boxes in `data`, until damage."""
    place = 0
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4])
        if not 8 <= size <= len(data) - place:
            return
        yield data[place + 4 : place + 8], data[place + 8 : place + size]
        place += size


def _read_items(stream: BinaryIO, meta: bytes) -> tuple[bytes | None, bytes | None]:
    boxes = dict(_boxes_in(meta))
    kinds = _item_kinds(boxes.get(b"iinf", b""))
    places = _item_places(boxes.get(b"iloc", b""), set(kinds)) if kinds else {}
    exif = xmp = None
    for item, kind in kinds.items():
        if item not in places:
            continue
        data = _item(stream, boxes.get(b"idat", b""), places[item])
        if kind == b"Exif":
            skipped = 4 + int.from_bytes(data[:4])  # how far the TIFF structure is from here
            exif = exif or data[skipped:] or None
        else:
            xmp = xmp or data or None
    return exif, xmp


def _item_kinds(iinf: bytes) -> dict[int, bytes]:
    """Item id -> b"Exif" or b"mime" of those that hold EXIF or XMP."""
    if not iinf:
        return {}
    found: dict[int, bytes] = {}
    for kind, entry in _boxes_in(iinf[6 if iinf[0] == 0 else 8 :]):
        if kind != b"infe" or entry[0] not in (2, 3):
            continue
        id_bytes = 2 if entry[0] == 2 else 4
        item = int.from_bytes(entry[4 : 4 + id_bytes])
        item_type = entry[6 + id_bytes : 10 + id_bytes]
        is_xmp = item_type == b"mime" and _XMP_TYPE in entry[10 + id_bytes :]
        if item_type == b"Exif" or is_xmp:
            found[item] = item_type
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """`in_idat`: the offset counts from the idat box, else from the file's start."""

    in_idat: bool
    parts: tuple[tuple[int, int], ...]


def _item_places(iloc: bytes, wanted: set[int]) -> dict[int, _Place]:
    """Rule: 14496-12 §8.11.3, versions 0 to 2; items in other files or inside other items are left out."""
    version, sizes, more = iloc[0], iloc[4], iloc[5]
    cursor = _Cursor(iloc, 6)
    found: dict[int, _Place] = {}
    parts_left = _PARTS_MAX
    for _ in range(min(cursor.number(2 if version < 2 else 4), _ITEMS_MAX)):
        item = cursor.number(2 if version < 2 else 4)
        method = cursor.number(2) & 15 if version else 0
        is_here = cursor.number(2) == 0
        base = cursor.number(more >> 4)
        parts = []
        count = cursor.number(2)
        parts_left -= count
        if parts_left < 0:  # parts may be 0 bytes long each, so the end of the box is no bound
            raise ValueError("too many parts")
        for _ in range(count):
            if version:
                cursor.number(more & 15)
            parts.append((base + cursor.number(sizes >> 4), cursor.number(sizes & 15)))
        if item in wanted and is_here and method in (0, 1):
            found[item] = _Place(method == 1, tuple(parts))
    return found


class _Cursor:
    """Reads whole numbers one after the other; ValueError past the end."""

    __slots__ = ("_data", "_place")

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place

    def number(self, length: int) -> int:
        """The next `length` bytes, big-endian; 0 for none."""
        end = self._place + length
        if end > len(self._data):
            raise ValueError("past the end")
        number = int.from_bytes(self._data[self._place : end])
        self._place = end
        return number


def _item(stream: BinaryIO, idat: bytes, place: _Place) -> bytes:
    """The item's bytes; empty if it is longer than a block may be."""
    if sum(length for _, length in place.parts) > BLOCK_BYTES_MAX:
        return b""
    if place.in_idat:
        return b"".join(idat[offset : offset + length] for offset, length in place.parts)
    found = b""
    for offset, length in place.parts:
        if offset < 2**62:
            stream.seek(offset)
            found += stream.read(length)
    return found
