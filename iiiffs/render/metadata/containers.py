"""Where files keep their blocks of EXIF, IPTC and XMP. Only the head of a file is read; in a PNG also its last 64 KiB.

Formats are told by their first bytes. Blocks over BLOCK_BYTES_MAX are as if they were not there. Not read: extended XMP
of JPEG (what is too long for one segment: depth maps and editing histories).
Prior art: JPEG B.1; XMP part 3 §1; PNG 3rd edition §11; WebP container (RFC 9649); GIF89a §26.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from iiiffs.render.metadata.boxes import read_heif, read_jpeg2000
from iiiffs.render.metadata.iptc import iptc_of_photoshop
from iiiffs.render.metadata.tags import BLOCK_BYTES_MAX

_PARTS_MAX = 2_000
_TAIL_BYTES = 64 << 10

_PICTURE_BRANDS = (b"mif1", b"msf1", b"miaf", b"heic", b"heix", b"hevc", b"avif", b"avis")  # not those of videos
_EXIF_MARK = b"Exif\0\0"
_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP_MARK = b"Photoshop 3.0\0"
_APP1, _APP13, _START_OF_SCAN, _END = 0xE1, 0xED, 0xDA, 0xD9


@dataclass(slots=True)
class Blocks:
    """What was found. `exif`: a TIFF structure."""

    exif: bytes | None = None
    iptc: bytes | None = None
    xmp: bytes | None = None


def find_blocks(stream: BinaryIO) -> Blocks | None:
    """The blocks of a file of any format that has them; None where the file itself is a TIFF structure.

    Nothing is found where the format is unknown or damaged. Errors: what the stream raises.
    """
    stream.seek(0)
    head = stream.read(32)
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg(stream)
    if head.startswith((b"II", b"MM")):
        return None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(stream)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(stream, head)
    if head[4:8] == b"ftyp" and any(brand in head[8:] for brand in _PICTURE_BRANDS):
        exif, xmp = read_heif(stream)
        return Blocks(exif=exif, xmp=xmp)
    if head.startswith(b"\0\0\0\x0cjP  "):
        return Blocks(xmp=read_jpeg2000(stream))
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _gif(stream, head)
    return Blocks()


def _jpeg(stream: BinaryIO) -> Blocks:
    found, photoshop = Blocks(), b""
    stream.seek(2)
    for _ in range(_PARTS_MAX):
        head = stream.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (_START_OF_SCAN, _END):
            break
        if head[1] == 0xFF:  # a fill byte
            stream.seek(-3, 1)
            continue
        length = (head[2] << 8 | head[3]) - 2
        if head[1] not in (_APP1, _APP13):
            stream.seek(max(0, length), 1)
            continue
        payload = stream.read(max(0, length))
        if payload.startswith(_EXIF_MARK):
            found.exif = found.exif or payload[len(_EXIF_MARK) :]
        elif payload.startswith(_XMP_MARK):
            found.xmp = found.xmp or payload[len(_XMP_MARK) :]
        elif payload.startswith(_PHOTOSHOP_MARK) and len(photoshop) < BLOCK_BYTES_MAX:
            photoshop += payload[len(_PHOTOSHOP_MARK) :]
    found.iptc = iptc_of_photoshop(photoshop)
    return found


_PNG_XMP = b"XML:com.adobe.xmp\0"


def _png(stream: BinaryIO) -> Blocks:
    found = Blocks()
    stream.seek(8)
    for _ in range(_PARTS_MAX):
        head = stream.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            break
        length, kind = int.from_bytes(head[:4]), head[4:]
        if kind not in (b"iTXt", b"eXIf") or length > BLOCK_BYTES_MAX:
            stream.seek(length + 4, 1)
            continue
        data = stream.read(length)
        stream.seek(4, 1)
        if kind == b"eXIf":
            found.exif = found.exif or data
        elif data.startswith(_PNG_XMP):
            found.xmp = found.xmp or _international_text(data)
    if found.xmp is None:
        found.xmp = _xmp_at_the_end(stream)
    return found


def _xmp_at_the_end(stream: BinaryIO) -> bytes | None:
    """A packet that a program (ExifTool) put after the pixels; its checksum tells it from pixels that look like one."""
    end = stream.seek(0, 2)
    stream.seek(max(8, end - _TAIL_BYTES))
    tail = stream.read(_TAIL_BYTES)
    place = tail.rfind(b"iTXt" + _PNG_XMP)
    if place < 4:
        return None
    stop = place + 4 + int.from_bytes(tail[place - 4 : place])
    if int.from_bytes(tail[stop : stop + 4]) != zlib.crc32(tail[place:stop]):
        return None
    return _international_text(tail[place + 4 : stop])


def _international_text(data: bytes) -> bytes | None:
    """The text of an iTXt chunk. Rule: PNG §11.3.3.4: keyword, compressed?, method, language, its keyword, text."""
    rest = data[len(_PNG_XMP) :]
    parts = rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return None
    if rest[0] == 0:
        return parts[2]
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(parts[2], BLOCK_BYTES_MAX)
    except zlib.error:
        return None
    return text if inflater.eof else None


def _webp(stream: BinaryIO, head: bytes) -> Blocks:
    """Rule: RFC 9649 §2.7: VP8X says what there is, and both come after the pixels."""
    found = Blocks()
    if head[12:16] != b"VP8X" or len(head) < 21 or not head[20] & 0b1100:
        return found
    place = 12
    for _ in range(_PARTS_MAX):
        stream.seek(place)
        part = stream.read(8)
        if len(part) < 8:
            break
        length = struct.unpack_from("<L", part, 4)[0]
        if part[:4] in (b"EXIF", b"XMP ") and length <= BLOCK_BYTES_MAX:
            data = stream.read(length)
            if part[:4] == b"EXIF":
                found.exif = found.exif or data.removeprefix(_EXIF_MARK)
            else:
                found.xmp = found.xmp or data
        place += 8 + length + length % 2
    return found


_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
_GIF_XMP_END = b"\x01\xff\xfe\xfd"


def _gif(stream: BinaryIO, head: bytes) -> Blocks:
    """XMP that stands before the first picture. Rule: XMP part 3 §1.1.2: plain, then 258 bytes that end any walk."""
    if len(head) < 13:
        return Blocks()
    colours = 3 << ((head[10] & 7) + 1) if head[10] & 0x80 else 0
    stream.seek(13 + colours)
    for _ in range(_PARTS_MAX):
        start = stream.tell()
        mark = stream.read(len(_GIF_XMP))
        if mark == _GIF_XMP:
            data = stream.read(BLOCK_BYTES_MAX)
            end = data.find(_GIF_XMP_END)
            return Blocks(xmp=data[:end] if end >= 0 else None)
        if mark[:1] != b"\x21" or len(mark) < 3:
            break
        stream.seek(start + 2)
        for _ in range(_PARTS_MAX):
            length = stream.read(1)
            if length in (b"", b"\0"):
                break
            stream.seek(length[0], 1)
        else:
            break
    return Blocks()
