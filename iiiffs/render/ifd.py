"""Directories of the TIFF structure, which TIFF, BigTIFF, EXIF and most RAW files are made of.

Damage only means that an entry, or what comes after it, is not there: nothing here raises for it, nothing is believed
that would cost more than a fixed amount of reading.
Prior art: TIFF 6.0 §2; the BigTIFF design of AWare Systems (8-byte offsets, magic 43).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

SUB_DIRECTORIES, EXIF_DIRECTORY = 330, 34665
DIRECTORIES_MAX = 2000
"""How many directories of one file are looked at; scans of whole books have some hundreds of pages."""

_ENTRIES_MAX = 1024
_VALUE_BYTES_MAX = 1 << 16
_INTEGERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MAGICS = {b"*\0": False, b"\0*": False, b"+\0": True, b"\0+": True}
_RAW_MAGICS = frozenset({b"RO", b"RS", b"OR", b"U\0", b"\0U"})  # Olympus, Panasonic


@dataclass(frozen=True, slots=True)
class Value:
    """One entry: its TIFF type, how many there are of it, and where its bytes lie in the stream."""

    kind: int
    count: int
    offset: int

    @property
    def length(self) -> int:
        """In bytes; 0 for a type that nobody knows."""
        return _SIZES.get(self.kind, 0) * self.count


@dataclass(frozen=True, slots=True)
class Directory:
    """The entries of one directory by tag."""

    stream: BinaryIO
    order: str
    entries: dict[int, Value] = field(default_factory=dict)
    next_offset: int = 0

    def integers(self, tag: int) -> tuple[int, ...]:
        """All values of an entry of whole numbers; () if it is absent, damaged, of another type or very long."""
        value = self.entries.get(tag)
        if value is None or value.kind not in _INTEGERS:
            return ()
        data = self.bytes(tag)
        code = f"{self.order}{value.count}{_INTEGERS[value.kind]}"
        return struct.unpack(code, data) if data and len(data) == struct.calcsize(code) else ()

    def integer(self, tag: int, otherwise: int = 0) -> int:
        """The first value of an entry of whole numbers."""
        return (*self.integers(tag), otherwise)[0]

    def text(self, tag: int) -> str:
        """An ASCII entry up to its NUL, without blanks around it; "" if it is absent."""
        value = self.entries.get(tag)
        return self.bytes(tag).split(b"\0")[0].decode("ascii", "replace").strip() if value and value.kind == 2 else ""

    def bytes(self, tag: int) -> bytes:
        """The bytes of an entry; b"" if it is absent, cut off or over 64 KiB."""
        value = self.entries.get(tag)
        if value is None or not 0 < value.length <= _VALUE_BYTES_MAX or value.offset >> 62:
            return b""
        self.stream.seek(value.offset)
        data = self.stream.read(value.length)
        return data if len(data) == value.length else b""


@dataclass(frozen=True, slots=True)
class Header:
    """What a TIFF structure begins with. `first_offset`: of its first directory."""

    order: str
    is_big: bool
    first_offset: int


def read_header(stream: BinaryIO) -> Header | None:
    """The header at 0 of the stream; None if there is none."""
    stream.seek(0)
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    is_big = False if head[2:4] in _RAW_MAGICS else _MAGICS.get(head[2:4])
    if order is None or is_big is None or len(head) < (16 if is_big else 8):
        return None
    return Header(order, is_big, struct.unpack_from(order + ("Q" if is_big else "L"), head, 8 if is_big else 4)[0])


def read_directory(stream: BinaryIO, header: Header, offset: int, base: int = 0) -> Directory:
    """The directory at `offset`; empty if there is none. `base` is added to every offset in it."""
    order = header.order
    width, count_code, entry_code = (20, "Q", "HHQ") if header.is_big else (12, "H", "HHL")
    count_bytes, inline_bytes, pointer = (8, 8, "Q") if header.is_big else (2, 4, "L")
    if not 0 < offset < 1 << 62:
        return Directory(stream, order)
    stream.seek(base + offset)
    head = stream.read(count_bytes)
    if len(head) < count_bytes:
        return Directory(stream, order)
    (count,) = struct.unpack(order + count_code, head)
    if count > _ENTRIES_MAX:
        return Directory(stream, order)
    data = stream.read(width * count + inline_bytes)
    entries: dict[int, Value] = {}
    for start in range(0, min(len(data), width * count) - width + 1, width):
        tag, kind, length = struct.unpack_from(order + entry_code, data, start)
        inline = start + width - inline_bytes
        value = Value(kind, length, base + offset + count_bytes + inline)
        if value.length > inline_bytes:
            value = Value(kind, length, base + struct.unpack_from(order + pointer, data, inline)[0])
        entries.setdefault(tag, value)
    rest = data[width * count :]
    following = struct.unpack(order + pointer, rest)[0] if len(rest) == inline_bytes else 0
    return Directory(stream, order, entries, following)


def directories(stream: BinaryIO, header: Header) -> Iterator[Directory]:
    """The chain of directories from the first one, without those below them; ends at a loop or DIRECTORIES_MAX."""
    seen: set[int] = set()
    offset = header.first_offset
    while offset and offset not in seen and len(seen) < DIRECTORIES_MAX:
        seen.add(offset)
        directory = read_directory(stream, header, offset)
        if not directory.entries:
            return
        yield directory
        offset = directory.next_offset


def all_directories(stream: BinaryIO, header: Header) -> Iterator[Directory]:
    """The chain and, each after its parent, the directories that SubIFDs names, two deep."""
    for directory in directories(stream, header):
        yield directory
        for below in _sub_directories(directory, header):
            yield below
            yield from _sub_directories(below, header)


def _sub_directories(directory: Directory, header: Header) -> Iterator[Directory]:
    for offset in directory.integers(SUB_DIRECTORIES)[:16]:
        yield read_directory(directory.stream, header, offset)
