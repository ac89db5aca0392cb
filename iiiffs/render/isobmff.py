"""Boxes of the ISO base media file format, which HEIF, AVIF, JPEG 2000, CR3 and MP4 files are made of.

Prior art: ISO/IEC 14496-12 §4.2 (box), §4.3 (file type).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_BOXES_MAX = 4096
_BRAND_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its type (16 more bytes of it for `uuid`), and where its content lies in the stream."""

    kind: bytes
    start: int
    end: int


def boxes(stream: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes that lie one after another in [start, end); ends at the first that is damaged."""
    for _ in range(_BOXES_MAX):
        if start + 8 > end:
            return
        stream.seek(start)
        head = stream.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">L4s", head)
        content = start + 8
        if size == 1 and len(head) == 16:
            size, content = struct.unpack_from(">Q", head, 8)[0], start + 16
        stop = end if size == 0 else start + size
        if stop <= start + 7 or stop > end:
            return
        if kind == b"uuid":
            stream.seek(content)
            kind, content = kind + stream.read(16), content + 16
        yield Box(kind, content, stop)
        start = stop


def find_boxes(stream: BinaryIO, within: Box, *path: bytes) -> Iterator[Box]:
    """Every box that is reached from `within` by this path of types."""
    for box in boxes(stream, within.start, within.end):
        if box.kind == path[0]:
            if len(path) == 1:
                yield box
            else:
                yield from find_boxes(stream, box, *path[1:])


def whole_file(stream: BinaryIO) -> Box:
    """All of the stream, as if it were a box."""
    return Box(b"", 0, stream.seek(0, 2))


def brands(prefix: bytes) -> tuple[bytes, ...]:
    """The major brand and the compatible ones of a file that begins with `ftyp`; () for any other."""
    if prefix[4:8] != b"ftyp":
        return ()
    size = min(struct.unpack_from(">L", prefix)[0], _BRAND_BYTES_MAX, len(prefix))
    return (prefix[8:12], *(prefix[at : at + 4] for at in range(16, size - 3, 4)))


def contents(stream: BinaryIO, box: Box, bytes_max: int) -> bytes:
    """The content of a box, at most `bytes_max` of it."""
    stream.seek(box.start)
    return stream.read(min(box.end - box.start, bytes_max))
