"""Whether a file is all there, by what its format says of its own end: an interrupted copy stops in the middle. Pure.

What follows the end is legal everywhere: trailers, a moving picture behind a JPEG, padding.

    JPEG               the marker EOI after the first scan; and after every further picture that follows at once (MPO)
    PNG                the chunk IEND within the last 64 KiB
    GIF                the trailer ";" as the last byte that is not zero
    WebP, AVI, WAV     as many bytes as the RIFF header says
    HEIC, AVIF, MP4,   every box as long as it says; the last one may end with the file
    MOV, CR3, JXL, JP2
    TIFF, DNG, NEF …   the first directory lies in the file; more is not looked at
    all zeros          a program has reserved the room and has not written yet
"""

from __future__ import annotations

from collections.abc import Callable

Read = Callable[[int, int], bytes]
"""(offset, length) -> the bytes that are there, fewer only at the end of the file."""

HEAD_BYTES = 16
TAIL_BYTES = 64 << 10
CHUNK_BYTES = 1 << 20
BOXES_MAX = 10_000
SEGMENTS_MAX = 10_000

SOI, EOI, SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
PNG_END = b"IEND\xae\x42\x60\x82"
BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"JXL ", b"jP  "})
"""What the first box of a file may be. Rule: ISO/IEC 14496-12 §4.3; QuickTime File Format; 18181-2; 15444-1 annex I."""


def is_whole(size_bytes: int, read: Read) -> bool | None:
    """True if the file is all there, False if its end is missing, None if its format does not tell.

    `read` may be called several times; of a JPEG the whole file is read, of others little.
    """
    head = read(0, HEAD_BYTES)
    if not head.strip(b"\0"):
        return False
    if head.startswith(SOI + b"\xff"):
        return _is_whole_jpeg(size_bytes, read)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG_END in read(max(0, size_bytes - TAIL_BYTES), TAIL_BYTES)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return read(max(0, size_bytes - TAIL_BYTES), TAIL_BYTES).rstrip(b"\0").endswith(b";")
    if head.startswith(b"RIFF"):
        return len(head) >= 8 and int.from_bytes(head[4:8], "little") + 8 <= size_bytes
    if head[4:8] in BOXES:
        return _are_whole_boxes(size_bytes, read)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _is_whole_tiff(head, size_bytes)
    return None


def _is_whole_jpeg(size_bytes: int, read: Read) -> bool:
    """Rule: ITU-T T.81 B.1.1: within a scan 0xFF is followed by 0 or a restart marker, so the first EOI ends it."""
    offset = 0
    while True:
        scan = _begin_of_scan(offset, read)
        end = None if scan is None else _found(EOI, scan, size_bytes, read)
        if end is None:
            return False
        offset = end + len(EOI)
        following = read(offset, TAIL_BYTES)
        offset += len(following) - len(following.lstrip(b"\0"))
        if not following.lstrip(b"\0").startswith(SOI + b"\xff"):
            return True


def _begin_of_scan(offset: int, read: Read) -> int | None:
    """Where the first scan of the picture at `offset` begins, past all that may hold a thumbnail; None if nowhere."""
    offset += len(SOI)
    for _ in range(SEGMENTS_MAX):
        segment = read(offset, 4)
        if len(segment) < 4 or segment[0] != 0xFF:
            return None
        if segment[1] == 0xFF:  # fill bytes may precede a marker
            offset += 1
            continue
        if segment[1] in STANDALONE:
            offset += 2
            continue
        offset += 2 + int.from_bytes(segment[2:4], "big")
        if segment[1] == SOS:
            return offset
    return None


def _found(needle: bytes, offset: int, size_bytes: int, read: Read) -> int | None:
    """Where `needle` is first met from `offset` on."""
    while offset < size_bytes:
        chunk = read(offset, CHUNK_BYTES)
        place = chunk.find(needle)
        if place >= 0:
            return offset + place
        if len(chunk) < len(needle):
            return None
        offset += len(chunk) - len(needle) + 1
    return None


def _are_whole_boxes(size_bytes: int, read: Read) -> bool | None:
    """Rule: ISO/IEC 14496-12 §4.2: length (32 bits; 1: 64 bits follow the type; 0: to the end of the file), type."""
    offset = 0
    for _ in range(BOXES_MAX):
        if offset == size_bytes:
            return True
        box = read(offset, HEAD_BYTES)
        if len(box) >= 8 and not all(0x20 <= byte <= 0x7E for byte in box[4:8]):
            return True  # what follows is no box: a trailer
        length = int.from_bytes(box[:4], "big")
        if length == 0:
            return None
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        if length < 8 or offset + length > size_bytes:
            return False
        offset += length
    return None


def _is_whole_tiff(head: bytes, size_bytes: int) -> bool | None:
    """Rule: TIFF 6.0 §2: bytes 4 to 7 say where the first directory is."""
    directory = int.from_bytes(head[4:8], "little" if head.startswith(b"II") else "big")
    return False if len(head) < 8 or directory + 2 > size_bytes else None
