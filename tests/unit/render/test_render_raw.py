"""RAW files, built here directory by directory: their kind, and the largest JPEG in them as their picture."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.model.image import Extent
from iiiffs.render.headers import read_facts
from tests.unit.render.render_pictures import Source, coordinates, exif_of, mean_error, saved, stored_turned, whole

UPRIGHT = coordinates(90, 60)
TURN = 6
STORED = stored_turned(UPRIGHT, TURN)
LARGE = saved(STORED, "JPEG", quality=97, subsampling=0)
SMALL = saved(STORED.resize((20, 30)), "JPEG")
OWN_EXIF = saved(STORED, "JPEG", quality=97, subsampling=0, exif=exif_of(TURN))
SENSOR = LARGE.replace(b"\xff\xc0", b"\xff\xc3", 1)  # lossless: sensor data, not a picture
TAKEN = b"2024:06:01 12:00:00\0"

Entries = Mapping[int, tuple[int, int, bytes]]


@pytest.fixture(autouse=True)
def _without_rawpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)


@dataclass
class TiffFile:
    """A TIFF structure that grows: data first, directories that point at them after."""

    order: str = "<"
    magic: bytes = b"*\0"
    extra: bytes = b""

    def __post_init__(self) -> None:
        self.data = bytearray((b"II" if self.order == "<" else b"MM") + self.magic + bytes(4) + self.extra)

    def add(self, data: bytes) -> int:
        """Where it lies."""
        self.data += bytes(len(self.data) % 2)
        self.data += data
        return len(self.data) - len(data)

    def long(self, value: int) -> tuple[int, int, bytes]:
        return 4, 1, struct.pack(self.order + "L", value)

    def short(self, value: int) -> tuple[int, int, bytes]:
        return 3, 1, struct.pack(self.order + "H", value)

    def text(self, value: bytes) -> tuple[int, int, bytes]:
        return 2, len(value), value

    def directory(self, entries: Entries, following: int = 0) -> int:
        rows = b""
        for tag, (kind, count, value) in sorted(entries.items()):
            inline = value if len(value) <= 4 else struct.pack(self.order + "L", self.add(value))
            rows += struct.pack(self.order + "HHL", tag, kind, count) + inline.ljust(4, b"\0")
        return self.add(struct.pack(self.order + "H", len(entries)) + rows + struct.pack(self.order + "L", following))

    def jpeg(self, data: bytes) -> Entries:
        return {513: self.long(self.add(data)), 514: self.long(len(data))}

    def strip(self, data: bytes, compression: int = 6) -> Entries:
        place = {273: self.long(self.add(data)), 279: self.long(len(data)), 259: self.short(compression)}
        return {**place, 256: self.long(60), 257: self.long(90)}

    def exif(self, note: bytes = b"") -> tuple[int, int, bytes]:
        entries = {0x9003: self.text(TAKEN)}
        if note:
            entries[0x927C] = (7, len(note), note)
        return self.long(self.directory(entries))

    def finished(self, first: int) -> bytes:
        self.data[4:8] = struct.pack(self.order + "L", first)
        return bytes(self.data)


def cr2() -> bytes:
    file = TiffFile(extra=b"CR\2\0" + bytes(4))
    sensor = file.directory({**file.strip(SENSOR), 0xC5D8: file.long(1)})
    small = file.directory(file.jpeg(SMALL), sensor)
    head = {**file.strip(LARGE), 271: file.text(b"Canon\0"), 274: file.short(TURN), 34665: file.exif()}
    return file.finished(file.directory(head, small))


def sub_directories(make: bytes, order: str = "<", **more: int) -> bytes:
    """As Nikon, Sony, Pentax and Samsung do: sensor data in one directory below, a JPEG in another."""
    file = TiffFile(order, b"*\0" if order == "<" else b"\0*")
    sensor = file.directory({**file.strip(SENSOR, 34713), 262: file.short(32803)})
    jpeg = file.directory(file.jpeg(LARGE))
    below = (4, 2, struct.pack(order + "2L", jpeg, sensor))
    head = {**file.jpeg(SMALL), 271: file.text(make), 274: file.short(TURN), 330: below, 34665: file.exif()}
    return file.finished(file.directory(head))


def dng() -> bytes:
    file = TiffFile()
    sensor = file.directory({**file.strip(SENSOR, 7), 262: file.short(32803)})
    preview = file.directory({**file.strip(LARGE, 7), 254: file.long(1), 262: file.short(6)})
    below = (4, 2, struct.pack("<2L", sensor, preview))
    head = {50706: (1, 4, b"\1\4\0\0"), 271: file.text(b"Leica\0"), 274: file.short(TURN), 330: below}
    return file.finished(file.directory({**head, 34665: file.exif()}))


def rw2() -> bytes:
    file = TiffFile(magic=b"U\0", extra=bytes(16))
    head = {0x2E: (7, len(LARGE), LARGE), 271: file.text(b"Panasonic\0"), 274: file.short(TURN), 34665: file.exif()}
    return file.finished(file.directory(head))


def orf() -> bytes:
    """The preview is named in CameraSettings in the maker note, counted from the note's beginning."""
    note = TiffFile()
    note.data = bytearray(b"OLYMPUS\0II\3\0")
    preview = note.add(LARGE)
    camera = note.directory({0x101: note.long(preview), 0x102: note.long(len(LARGE))})
    at = note.directory({0x2020: (13, 1, struct.pack("<L", camera))})
    # The note's directory stands at 12: a first one that says where, as all offsets are free but that one.
    first = struct.pack("<HHHLLL", 1, 0x2020, 13, 1, camera, 0)
    body = bytes(note.data[:12]) + first + bytes(note.data[12:])
    shift = len(first)
    moved = body.replace(
        struct.pack("<HHLL", 0x101, 4, 1, preview), struct.pack("<HHLL", 0x101, 4, 1, preview + shift), 1
    ).replace(
        struct.pack("<HHHLLL", 1, 0x2020, 13, 1, camera, 0),
        struct.pack("<HHHLLL", 1, 0x2020, 13, 1, camera + shift, 0),
        1,
    )
    assert at > camera
    file = TiffFile(magic=b"RO")
    head = {271: file.text(b"OLYMPUS\0"), 274: file.short(TURN), 34665: file.exif(moved)}
    return file.finished(file.directory(head))


def raf() -> bytes:
    head = b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0") + struct.pack(">LL", 100, len(OWN_EXIF))
    return head.ljust(100, b"\0") + OWN_EXIF + b"sensor" * 100


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">L", 8 + len(body)) + kind + body


def cr3() -> bytes:
    main, exif = TiffFile(), TiffFile()
    cmt1 = main.finished(main.directory({274: main.short(TURN)}))
    cmt2 = exif.finished(exif.directory({0x9003: exif.text(TAKEN)}))
    metadata = box(b"uuid", bytes.fromhex("85c0b687820f11e08111f4ce462b6a48"), box(b"CMT1", cmt1), box(b"CMT2", cmt2))
    ftyp = box(b"ftyp", b"crx ", bytes(4), b"crx isom")
    preview = box(b"PRVW", bytes(12), struct.pack(">L", len(SMALL)), SMALL)
    previews = box(b"uuid", bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16"), bytes(8), preview)

    def moov(offset: int) -> bytes:
        sizes = box(b"stsz", bytes(4), struct.pack(">LL", len(LARGE), 1))
        table = box(b"stbl", sizes, box(b"co64", bytes(4), struct.pack(">LQ", 1, offset)))
        return box(b"moov", metadata, box(b"trak", box(b"mdia", box(b"minf", table))))

    start = len(ftyp) + len(moov(0)) + len(previews) + 8
    return ftyp + moov(start) + previews + box(b"mdat", LARGE)


KINDS: dict[str, Callable[[], bytes]] = {
    "image/x-canon-cr2": cr2,
    "image/x-nikon-nef": lambda: sub_directories(b"NIKON CORPORATION\0", ">"),
    "image/x-sony-arw": lambda: sub_directories(b"SONY\0"),
    "image/x-pentax-pef": lambda: sub_directories(b"PENTAX\0"),
    "image/x-samsung-srw": lambda: sub_directories(b"SAMSUNG\0"),
    "image/x-raw": lambda: sub_directories(b"A camera of tomorrow\0"),
    "image/x-adobe-dng": dng,
    "image/x-panasonic-rw2": rw2,
    "image/x-olympus-orf": orf,
    "image/x-fuji-raf": raf,
    "image/x-canon-cr3": cr3,
}


@pytest.mark.parametrize("media_type", list(KINDS))
def test_the_largest_embedded_jpeg_is_the_picture_and_is_upright(media_type: str) -> None:
    source = Source(KINDS[media_type]())
    facts = source.facts
    assert (facts.media_type, facts.extent, facts.error) == (media_type, Extent(90, 60), None)
    if media_type != "image/x-fuji-raf":
        assert facts.captured == "2024-06-01T12:00:00"
    assert mean_error(source.image(whole(facts)), UPRIGHT) < 2


@pytest.mark.parametrize("media_type", list(KINDS))
def test_without_a_preview_the_error_names_the_extra(media_type: str) -> None:
    data = KINDS[media_type]()
    for jpeg in (LARGE, SMALL, OWN_EXIF):
        data = data.replace(jpeg[:4], b"\0\0\0\0")
    facts = read_facts(BytesIO(data), "a.raw")
    assert (facts.media_type, facts.extent) == (media_type, None)
    assert facts.error is not None and "iiiffs[raw]" in facts.error


@pytest.mark.parametrize("head", [b"FOVb" + bytes(60), b"II\x1a\0\0\0HEAPCCDR" + bytes(60)])
def test_kinds_without_a_known_preview_name_the_extra(head: bytes) -> None:
    assert "iiiffs[raw]" in str(read_facts(BytesIO(head), "a").error)


def test_a_plain_tiff_is_no_raw_file() -> None:
    assert Source(saved(UPRIGHT, "TIFF")).facts.media_type == "image/tiff"


@given(st.sampled_from(list(KINDS)), st.integers(0, 4000), st.binary(min_size=1, max_size=12))
def test_damage_is_an_error_and_never_kills(media_type: str, at: int, noise: bytes) -> None:
    data = KINDS[media_type]()
    for broken in (data[:at], data[:at] + noise + data[at + len(noise) :], data[-at:]):
        facts = read_facts(BytesIO(broken), "a")
        assert (facts.extent is None) == (facts.error is not None)
