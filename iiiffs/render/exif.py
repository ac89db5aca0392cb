"""The few EXIF tags that matter here: orientation, capture time and its zone.

Not Pillow's reader: that one reports damage by `warnings.warn`, which is process-wide and cannot be silenced in one
thread, and takes several times as long (a folder of 10,000 files is read in the background). Damage here only means
that a tag is not known.
Prior art: the TIFF 6.0 structure (§2), which EXIF 2.32 §4.5 is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import BinaryIO

_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769
_TAKEN, _OFFSET, _OFFSET_TAKEN = 0x9003, 0x9010, 0x9011
_SHORT, _LONG, _IFD, _ASCII = 3, 4, 13, 2
_ENTRIES_MAX = 512
_TEXT_BYTES_MAX = 64
_EARLIEST_YEAR = 1826  # the oldest photograph that survives
_ZONE_MINUTES_MAX = 14 * 60


@dataclass(frozen=True, slots=True)
class ExifTags:
    """`orientation`: 1 to 8, 1 if unknown. `captured`: as Facts.captured."""

    orientation: int = 1
    captured: str | None = None


def read_exif(blob: bytes) -> ExifTags:
    """The tags in an EXIF blob, with or without the "Exif" prefix of JPEG; defaults for what is damaged."""
    return read_tiff_tags(BytesIO(blob.removeprefix(b"Exif\0\0")))


def read_tiff_tags(stream: BinaryIO) -> ExifTags:
    """The tags of a TIFF structure that starts at 0 of the stream; defaults for what is damaged."""
    try:
        order = {b"II*\0": "<", b"MM\0*": ">"}[stream.read(4)]
        (first,) = struct.unpack(order + "L", stream.read(4))
        main = _read_directory(stream, order, first)
        taken = _read_directory(stream, order, main.get(_EXIF_IFD))
    except (KeyError, struct.error):
        return ExifTags()
    orientation = main.get(_ORIENTATION)
    return ExifTags(
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        captured=_capture_time(taken),
    )


def _read_directory(stream: BinaryIO, order: str, offset: int | str | None) -> Mapping[int, int | str]:
    """Tag -> value, of the wanted types only; empty if there is none at `offset`."""
    if not isinstance(offset, int):
        return {}
    stream.seek(offset)
    head = stream.read(2)
    if len(head) < 2:
        return {}
    count = min(struct.unpack(order + "H", head)[0], _ENTRIES_MAX)
    entries = stream.read(12 * count)
    values: dict[int, int | str] = {}
    for start in range(0, len(entries) - 11, 12):
        tag, kind, length = struct.unpack_from(order + "HHL", entries, start)
        inline = entries[start + 8 : start + 12]
        if kind == _SHORT and length == 1:
            values[tag] = struct.unpack_from(order + "H", inline)[0]
        elif kind in (_LONG, _IFD) and length == 1:
            values[tag] = struct.unpack(order + "L", inline)[0]
        elif kind == _ASCII and tag in (_TAKEN, _OFFSET, _OFFSET_TAKEN) and length <= _TEXT_BYTES_MAX:
            values[tag] = _read_text(stream, order, inline, length)
    return values


def _read_text(stream: BinaryIO, order: str, inline: bytes, length: int) -> str:
    if length > 4:
        stream.seek(struct.unpack(order + "L", inline)[0])
        inline = stream.read(length)
    return inline[:length].split(b"\0")[0].decode("ascii", "replace").strip()


def _capture_time(tags: Mapping[int, int | str]) -> str | None:
    """ISO 8601 of DateTimeOriginal, with a zone where the file tells it; None unless it is a date that can be."""
    match = re.fullmatch(
        r"([0-9]{4})[:-]([0-9]{2})[:-]([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})", str(tags.get(_TAKEN, ""))
    )
    if match is None or int(match[1]) < _EARLIEST_YEAR:
        return None
    try:
        taken = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    return taken.isoformat() + _zone(str(tags.get(_OFFSET_TAKEN) or tags.get(_OFFSET) or ""))


def _zone(text: str) -> str:
    """The zone as "+hh:mm" or "Z"; "" unless it is one that exists somewhere."""
    if text == "Z":
        return text
    match = re.fullmatch(r"[+-]([0-9]{2}):([0-5][0-9])", text)
    if match is None or int(match[1]) * 60 + int(match[2]) > _ZONE_MINUTES_MAX:
        return ""
    return text
