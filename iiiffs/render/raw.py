"""RAW files: which kind, and the largest JPEG that the camera put into one.

Nothing here decodes sensor data; `rawpy`, of the extra `iiiffs[raw]`, does that where it is installed.
Prior art: TIFF/EP (ISO 12234-2) and the Adobe DNG specification 1.7 for the directories; exiftool's tables of tags
(Image::ExifTool::PanasonicRaw, Olympus, FujiFilm) and the notes of Laurent Clévy on CR3 for the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from iiiffs.render.exif import ExifTags, capture_time, orientation_in, read_exif, read_tiff_tags
from iiiffs.render.ifd import (
    EXIF_DIRECTORY,
    Directory,
    Header,
    all_directories,
    directories,
    read_directory,
    read_header,
)
from iiiffs.render.isobmff import contents, find_boxes, whole_file
from iiiffs.render.jpeg import Jpeg, read_jpeg_header

CR2, CR3, CRW, DNG = "image/x-canon-cr2", "image/x-canon-cr3", "image/x-canon-crw", "image/x-adobe-dng"
ORF, RAF, RW2, X3F = "image/x-olympus-orf", "image/x-fuji-raf", "image/x-panasonic-rw2", "image/x-sigma-x3f"
OTHER = "image/x-raw"
_BY_MAKE = (
    ("NIKON", "image/x-nikon-nef"),
    ("SONY", "image/x-sony-arw"),
    ("PENTAX", "image/x-pentax-pef"),
    ("RICOH", "image/x-pentax-pef"),
    ("SAMSUNG", "image/x-samsung-srw"),
    ("HASSELBLAD", "image/x-hasselblad-3fr"),
    ("SEIKO EPSON", "image/x-epson-erf"),
)
_SIGNATURES = (
    (0, b"IIRO", ORF),
    (0, b"IIRS", ORF),
    (0, b"MMOR", ORF),
    (0, b"IIU\0", RW2),
    (0, b"FUJIFILMCCD-RAW", RAF),
    (0, b"FOVb", X3F),
    (6, b"HEAPCCDR", CRW),
    (4, b"ftypcrx ", CR3),
)
_MAKE, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _STRIP_BYTES = 271, 259, 262, 273, 279
_JPEG, _JPEG_BYTES, _RW2_JPEG, _MAKER_NOTE, _DNG_VERSION = 513, 514, 0x2E, 0x927C, 50706
_SENSOR = frozenset({32803, 34892})  # photometric: colour filter array, linear raw
_SENSOR_COMPRESSIONS = frozenset({32767, 32769, 32770, 34713, 65535})  # Sony, Samsung, Nikon, Pentax
_CR3_PREVIEW = b"uuid" + bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
_CR3_METADATA = b"uuid" + bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_METADATA_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Preview:
    """An embedded JPEG: where it lies, what its header says, and the tags that go for it."""

    offset: int
    length: int
    jpeg: Jpeg
    tags: ExifTags

    def open(self, stream: BinaryIO) -> BinaryIO:
        """Its bytes, as a file."""
        stream.seek(self.offset)
        return BytesIO(stream.read(self.length))


def raw_media_type(stream: BinaryIO, prefix: bytes) -> str | None:
    """The kind of RAW file that begins with `prefix`; None for any other. TIFFs are told apart by their directories."""
    for offset, signature, media_type in _SIGNATURES:
        if prefix.startswith(signature, offset):
            return media_type
    if prefix[:4] == b"II*\0" and prefix[8:10] == b"CR":
        return CR2
    header = read_header(stream) if prefix[:4] in (b"II*\0", b"MM\0*") else None
    return None if header is None else _tiff_kind(stream, header)


def _tiff_kind(stream: BinaryIO, header: Header) -> str | None:
    first = read_directory(stream, header, header.first_offset)
    if _DNG_VERSION in first.entries:
        return DNG
    if not any(_is_sensor(directory) for directory in all_directories(stream, header)):
        return None
    make = first.text(_MAKE).upper()
    return next((media_type for name, media_type in _BY_MAKE if make.startswith(name)), OTHER)


def _is_sensor(directory: Directory) -> bool:
    photometric, compression = directory.integer(_PHOTOMETRIC), directory.integer(_COMPRESSION)
    return photometric in _SENSOR or compression in _SENSOR_COMPRESSIONS


def largest_preview(stream: BinaryIO, media_type: str) -> Preview | None:
    """The embedded JPEG with the most pixels, of equals the first; None if there is none that is whole."""
    if media_type == RAF:
        places, tags = _raf_places(stream), None
    elif media_type == CR3:
        places, tags = _cr3_places(stream), _cr3_tags(stream)
    else:
        header = read_header(stream)
        if header is None:
            return None
        places, tags = _tiff_places(stream, header), _tiff_tags(stream, header)
    end = stream.seek(0, 2)
    best: tuple[int, int, Jpeg] | None = None
    for offset, length in places:
        jpeg = read_jpeg_header(stream, offset, length) if 0 < offset < offset + length <= end else None
        if jpeg is not None and (best is None or jpeg.extent.area_px > best[2].extent.area_px):
            best = offset, length, jpeg
    return None if best is None else Preview(*best, tags or read_exif(best[2].exif))


def _tiff_tags(stream: BinaryIO, header: Header) -> ExifTags | None:
    """The file's own tags; None where it leaves them to its JPEG."""
    first = read_directory(stream, header, header.first_offset)
    exif = read_directory(stream, header, first.integer(EXIF_DIRECTORY))
    tags = ExifTags(orientation_in(first), capture_time(exif))
    return None if tags == ExifTags() else tags


def _tiff_places(stream: BinaryIO, header: Header) -> Iterator[tuple[int, int]]:
    for directory in all_directories(stream, header):
        yield directory.integer(_JPEG), directory.integer(_JPEG_BYTES)
        if (embedded := directory.entries.get(_RW2_JPEG)) is not None:
            yield embedded.offset, embedded.length
        strips, lengths = directory.integers(_STRIPS), directory.integers(_STRIP_BYTES)
        if len(strips) == len(lengths) == 1 and not _is_sensor(directory):
            yield strips[0], lengths[0]
    for directory in directories(stream, header):
        exif = read_directory(stream, header, directory.integer(EXIF_DIRECTORY))
        if (note := exif.entries.get(_MAKER_NOTE)) is not None:
            yield from _maker_note_places(stream, note.offset)


def _maker_note_places(stream: BinaryIO, offset: int) -> Iterator[tuple[int, int]]:
    """Olympus: CameraSettings names a preview. Nikon: a directory of its own. Offsets count from inside the note."""
    stream.seek(offset)
    head = stream.read(18)
    if head.startswith((b"OLYMPUS\0", b"OM SYSTEM\0")):
        start = 12 if head.startswith(b"OLYMPUS\0") else 16
        order = "<" if head[start - 4 : start - 2] == b"II" else ">"
        header = Header(order, False, start)
        settings = read_directory(stream, header, start, offset).entries.get(0x2020)
        if settings is not None:
            # Of type IFD the entry is an offset; of type undefined it is the directory itself.
            inner = settings.offset - offset
            if settings.kind in (4, 13):
                stream.seek(settings.offset)
                (inner,) = struct.unpack(order + "L", stream.read(4).ljust(4, b"\0"))
            camera = read_directory(stream, header, inner, offset)
            yield offset + camera.integer(0x101), camera.integer(0x102)
    elif head.startswith(b"Nikon\0\2"):
        order = "<" if head[10:12] == b"II" else ">"
        base = offset + 10
        (first,) = struct.unpack(order + "L", head[14:18].ljust(4, b"\0"))
        header = Header(order, False, first)
        note = read_directory(stream, header, first, base)
        preview = read_directory(stream, header, note.integer(0x11), base)
        yield base + preview.integer(_JPEG), preview.integer(_JPEG_BYTES)


def _raf_places(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    stream.seek(84)
    place = stream.read(8)
    if len(place) == 8:
        offset, length = struct.unpack(">LL", place)
        yield offset, length


def _cr3_places(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The preview box, and every track of one sample (the full-size JPEG is one; the sensor's are no JPEGs)."""
    file = whole_file(stream)
    for box in find_boxes(stream, file, b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        sizes = [contents(stream, size, 24) for size in find_boxes(stream, box, b"stsz")]
        wide = [contents(stream, offset, 16) for offset in find_boxes(stream, box, b"co64")]
        narrow = [contents(stream, offset, 12) for offset in find_boxes(stream, box, b"stco")]
        if sizes and len(sizes[0]) >= 12 and (wide or narrow):
            fixed, count = struct.unpack_from(">LL", sizes[0], 4)
            length = fixed or int.from_bytes(sizes[0][12:16], "big")
            offset = int.from_bytes(wide[0][8:16] if wide else narrow[0][8:12], "big")
            if count == 1 and offset < 1 << 62:
                yield offset, length
    for box in find_boxes(stream, file, _CR3_PREVIEW):
        head = contents(stream, box, 64)
        start = head.find(b"\xff\xd8\xff")
        if start >= 4:
            yield box.start + start, int.from_bytes(head[start - 4 : start], "big")


def _cr3_tags(stream: BinaryIO) -> ExifTags:
    """CMT1 is the first directory, CMT2 the Exif one, each a TIFF structure of its own."""
    blobs: dict[bytes, bytes] = {}
    for kind in (b"CMT1", b"CMT2"):
        for box in find_boxes(stream, whole_file(stream), b"moov", _CR3_METADATA, kind):
            blobs[kind] = contents(stream, box, _METADATA_BYTES_MAX)
    exif = BytesIO(blobs.get(b"CMT2", b""))
    header = read_header(exif)
    captured = None if header is None else capture_time(read_directory(exif, header, header.first_offset))
    return ExifTags(read_tiff_tags(BytesIO(blobs.get(b"CMT1", b""))).orientation, captured)
