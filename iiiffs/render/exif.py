"""The few EXIF tags that matter here: orientation, capture time and its zone.

Not Pillow's reader: that one reports damage by `warnings.warn`, which is process-wide and cannot be silenced in one
thread, and takes several times as long (a folder of 10,000 files is read in the background). Damage here only means
that a tag is not known.
EXIF 2.32 §4.5 is a TIFF structure: see ifd.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import BinaryIO

from iiiffs.render.ifd import EXIF_DIRECTORY, Directory, read_directory, read_header

ORIENTATION = 0x0112
EARLIEST_YEAR = 1826
"""Of the oldest photograph that survives: a capture time before it is none."""

_TAKEN, _OFFSET, _OFFSET_TAKEN = 0x9003, 0x9010, 0x9011
_TEXT_BYTES_MAX = 64
_ZONE_MINUTES_MAX = 14 * 60


@dataclass(frozen=True, slots=True)
class ExifTags:
    """`orientation`: 1 to 8, 1 if unknown. `captured`: as Facts.captured."""

    orientation: int = 1
    captured: str | None = None


def read_exif(blob: bytes) -> ExifTags:
    """The tags in an EXIF blob, with or without the "Exif" prefix of JPEG; defaults for what is damaged."""
    return read_tiff_tags(BytesIO(blob.removeprefix(b"Exif\0\0")))


def read_tiff_tags(stream: BinaryIO, directory: Directory | None = None) -> ExifTags:
    """The tags of a TIFF structure that starts at 0 of the stream; defaults for what is damaged.

    Of the structure's first directory, or of `directory` in it.
    """
    header = read_header(stream)
    if header is None:
        return ExifTags()
    main = directory or read_directory(stream, header, header.first_offset)
    return ExifTags(
        orientation=orientation_in(main),
        captured=capture_time(read_directory(stream, header, main.integer(EXIF_DIRECTORY))),
    )


def orientation_in(directory: Directory) -> int:
    """The orientation that a directory tells, 1 to 8; 1 if it tells none that exists."""
    values = directory.integers(ORIENTATION)
    return values[0] if len(values) == 1 and 1 <= values[0] <= 8 else 1


def capture_time(exif: Directory) -> str | None:
    """ISO 8601 of DateTimeOriginal, with a zone where the file tells it; None unless it is a date that can be."""
    match = re.fullmatch(
        r"([0-9]{4})[:-]([0-9]{2})[:-]([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})", _text(exif, _TAKEN)
    )
    if match is None or int(match[1]) < EARLIEST_YEAR:
        return None
    try:
        taken = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    return taken.isoformat() + _zone(_text(exif, _OFFSET_TAKEN) or _text(exif, _OFFSET))


def _text(directory: Directory, tag: int) -> str:
    value = directory.entries.get(tag)
    return directory.text(tag) if value is not None and value.length <= _TEXT_BYTES_MAX else ""


def _zone(text: str) -> str:
    """The zone as "+hh:mm" or "Z"; "" unless it is one that exists somewhere."""
    if text == "Z":
        return text
    match = re.fullmatch(r"[+-]([0-9]{2}):([0-5][0-9])", text)
    if match is None or int(match[1]) * 60 + int(match[2]) > _ZONE_MINUTES_MAX:
        return ""
    return text
