"""A library of any size, written quickly: tiny JPEGs that differ in date, keyword and rating, each file an inode."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image

ALBUMS = 200
FIRST = datetime(2018, 1, 1)
YEARS = 8
WORDS = ("harbour", "ridge", "market", "garden", "night", "river", "window", "snow")
TAGS = 40
PICTURES = 300
"""Distinct pictures; their dates, keywords and ratings are patched for every file."""

HOLE_MIN, HOLE_MAX, SPREAD = 1_000_000, 4_999_999, 2_654_435_761
"""Bytes of a file: HOLE_MIN and some up to HOLE_MAX more, spread so that equal ones are rare."""

_DATE, _TAG = b"2000:01:01 00:00:00", b"tagNN"
_XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="0">'
    "<dc:subject><rdf:Bag><rdf:li>tagNN</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="w"?>'
)
_RATING = b'xmp:Rating="0"'


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many files the library, its largest album and its album of ordinary size have."""

    files: int
    largest: int
    ordinary: int


LARGEST, ORDINARY = "Largest", "Ordinary"


def write_library(root: Path, count: int, *, twins: bool = False) -> Sizes:
    """`count` files in ALBUMS albums below `root`, in the order of their dates, which span YEARS years.

    LARGEST has a tenth of them, ORDINARY a two-hundredth, the others what is left in equal parts. Sizes are those of
    camera files, by a hole after the picture's end that takes no room; with `twins` all are alike, as uncompressed RAW
    files are.
    """
    sizes = sizes_of(count)
    pictures, number = _pictures(), 0
    step = timedelta(days=365.25 * YEARS) / count
    for title, held in _albums(sizes):
        folder = root / title
        folder.mkdir(parents=True)
        for _ in range(held):
            path = folder / f"IMG_{number:06} {WORDS[number % len(WORDS)]}.jpg"
            _write(path, pictures, number, FIRST + number * step)
            if not twins:
                os.truncate(path, HOLE_MIN + number * SPREAD % HOLE_MAX)
            number += 1
    return sizes


def sizes_of(count: int) -> Sizes:
    """Of a library of `count` files."""
    return Sizes(count, count // 10, count // 200)


def _albums(sizes: Sizes) -> Iterator[tuple[str, int]]:
    yield LARGEST, sizes.largest
    yield ORDINARY, sizes.ordinary
    left, others = sizes.files - sizes.largest - sizes.ordinary, ALBUMS - 2
    for number in range(others):
        yield f"Album {number:03}", left // others + (number < left % others)


def _pictures() -> list[bytes]:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "iiiffs", "Bench 1"
    exif.get_ifd(0x8769)[0x9003] = _DATE.decode()
    made = []
    for number in range(PICTURES):
        buffer = BytesIO()
        picture = Image.new("RGB", (64, 48), (number % 256, number * 7 % 256, number * 31 % 256))
        picture.save(buffer, "JPEG", exif=exif.tobytes(), xmp=_XMP.encode())
        made.append(buffer.getvalue())
    assert all(part in made[0] for part in (_DATE, _TAG, _RATING)), "there is nothing to patch"
    return made


def _write(path: Path, pictures: list[bytes], number: int, taken: datetime) -> None:
    body = pictures[number % PICTURES].replace(_DATE, taken.strftime("%Y:%m:%d %H:%M:%S").encode())
    body = body.replace(_TAG, f"tag{number * 13 % TAGS:02}".encode())
    if number % 50 == 0:
        body = body.replace(_RATING, b'xmp:Rating="5"')
    comment = b"\xff\xfe" + struct.pack(">H", 8) + f"{number:06}".encode()  # no two files have the same bytes
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(descriptor, body[:2] + comment + body[2:])
    os.close(descriptor)
