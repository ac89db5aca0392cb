"""EXIF and other tags of a TIFF structure, classic or big, that tell what a picture is of and who made it.

Prior art: TIFF 6.0 §2, BigTIFF, EXIF 2.32 §4.6; the XP tags are Windows Explorer's. Not read, on purpose: serial
numbers (BodySerialNumber, LensSerialNumber, CameraSerialNumber), maker notes, owner names. Damage only means that a
tag is not known.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from iiiffs.iiif.rights import rights_uri
from iiiffs.model.description import NOTHING_SAID, Description
from iiiffs.render.metadata.words import camera_name, clean_name, clean_names, clean_text, decoded

ReadAt = Callable[[int, int], bytes]
"""(offset, length) -> the bytes there, fewer or none past the end."""

BLOCK_BYTES_MAX = 4 << 20
_TEXT_BYTES_MAX = 16_000
_ENTRIES_MAX = 512

_CAPTION, _MAKE, _MODEL, _ARTIST, _COPYRIGHT = 0x010E, 0x010F, 0x0110, 0x013B, 0x8298
_XMP, _IPTC, _GPS_IFD, _RATING = 0x02BC, 0x83BB, 0x8825, 0x4746
_XP_TITLE, _XP_COMMENT, _XP_AUTHOR, _XP_KEYWORDS, _XP_SUBJECT = range(0x9C9B, 0x9CA0)
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _STATUS = 1, 2, 3, 4, 9

_TEXTS = (_CAPTION, _MAKE, _MODEL, _ARTIST, _COPYRIGHT)
_WINDOWS_TEXTS = (_XP_TITLE, _XP_COMMENT, _XP_AUTHOR, _XP_KEYWORDS, _XP_SUBJECT)
_MAIN: Mapping[int, int] = {
    **dict.fromkeys((*_TEXTS, *_WINDOWS_TEXTS), _TEXT_BYTES_MAX),
    **{_XMP: BLOCK_BYTES_MAX, _IPTC: BLOCK_BYTES_MAX, _GPS_IFD: 8, _RATING: 2},
}
_GPS: Mapping[int, int] = {_LATITUDE_REF: 8, _LATITUDE: 24, _LONGITUDE_REF: 8, _LONGITUDE: 24, _STATUS: 8}

_KIND_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 13: 4, 16: 8, 18: 8}
_CLASSIC, _BIG = 42, 43
_MAGICS = {_CLASSIC: _CLASSIC, _BIG: _BIG, 0x55: _CLASSIC, 0x4F52: _CLASSIC, 0x5352: _CLASSIC}  # the last: RW2, ORF

# What cameras and programs write when nobody said anything.
_EMPTY_PHRASES = re.compile(
    r"(?i)(?:olympus|konica|minolta|samsung|sony|kodak|general electric|fujifilm|asus)?[ -]?(?:minolta )?"
    r"(?:digital (?:still )?camera|dsc|camera|screenshot|default|untitled|unnamed|image|picture)"
    r"|created with (?:the )?gimp.*|dcim\\.*|[a-z]:\\.*|charset=.*|\?+|-+|\.+|null|none"
)


@dataclass(frozen=True, slots=True)
class TagsFound:
    """What the tags say themselves, and the blocks of other standards that they hold."""

    description: Description = NOTHING_SAID
    xmp: bytes | None = None
    iptc: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Field:
    """One tag's value: `kind` as TIFF numbers types; `raw` in the file's byte order."""

    kind: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Layout:
    """`order`: of struct; `big`: BigTIFF."""

    order: str
    big: bool


def read_tags(read_at: ReadAt) -> TagsFound:
    """What the TIFF structure that begins at 0 says; nothing where it is damaged or none."""
    try:
        head = read_at(0, 16)
        order = {b"II": "<", b"MM": ">"}[head[:2]]
        big = _MAGICS[struct.unpack_from(order + "H", head, 2)[0]] == _BIG
        layout = _Layout(order, big)
        first = struct.unpack_from(order + ("Q" if big else "L"), head, 8 if big else 4)[0]
        main = _directory(read_at, layout, first, _MAIN)
        gps: dict[int, _Field] = {}
        if _GPS_IFD in main:
            gps = _directory(read_at, layout, _number(layout, main[_GPS_IFD]) or 0, _GPS)
    except (KeyError, struct.error):
        return TagsFound()
    if not main:
        return TagsFound()
    xmp, iptc = main.get(_XMP), main.get(_IPTC)
    return TagsFound(_description(layout, main, gps), xmp.raw if xmp else None, iptc.raw if iptc else None)


def _directory(read_at: ReadAt, layout: _Layout, offset: int, wanted: Mapping[int, int]) -> dict[int, _Field]:
    """The fields of one directory that are wanted and not longer than is said there; empty at offset 0."""
    if not 0 < offset < 2**62:
        return {}
    count_form, entry_form, inline_bytes = ("Q", "HHQ8s", 8) if layout.big else ("H", "HHL4s", 4)
    head_bytes = struct.calcsize(count_form)
    (count,) = struct.unpack(layout.order + count_form, read_at(offset, head_bytes))
    entry = struct.Struct(layout.order + entry_form)
    entries = read_at(offset + head_bytes, entry.size * min(count, _ENTRIES_MAX))
    found: dict[int, _Field] = {}
    for tag, kind, length, inline in entry.iter_unpack(entries[: len(entries) // entry.size * entry.size]):
        if tag not in wanted or tag in found:
            continue
        bytes_ = _KIND_BYTES.get(kind, 0) * length
        if not 0 < bytes_ <= wanted[tag]:
            continue
        if bytes_ <= inline_bytes:
            found[tag] = _Field(kind, inline[:bytes_])
            continue
        (place,) = struct.unpack(layout.order + ("Q" if layout.big else "L"), inline)
        if place < 2**62 and len(raw := read_at(place, bytes_)) == bytes_:
            found[tag] = _Field(kind, raw)
    return found


def _description(layout: _Layout, main: Mapping[int, _Field], gps: Mapping[int, _Field]) -> Description:
    texts = {tag: _text(main[tag]) for tag in _TEXTS if tag in main}
    windows = {tag: _windows_text(main[tag]) for tag in _WINDOWS_TEXTS if tag in main}
    caption = texts.get(_CAPTION, "") or windows.get(_XP_COMMENT, "") or windows.get(_XP_SUBJECT, "")
    title = clean_name(windows.get(_XP_TITLE, ""))
    statement = texts.get(_COPYRIGHT, "")
    rating = _number(layout, main[_RATING]) if _RATING in main else None
    creators = texts.get(_ARTIST, "") or windows.get(_XP_AUTHOR, "")
    return Description(
        label=(("", title),) if title and not _EMPTY_PHRASES.fullmatch(title) else (),
        summary=(("", caption),) if caption and not _EMPTY_PHRASES.fullmatch(caption) else (),
        statement=(("", statement),) if statement else (),
        rights=rights_uri(statement) if statement else None,
        creators=clean_names(creators.split(";")) if creators else (),
        keywords=clean_names(windows.get(_XP_KEYWORDS, "").split(";")),
        rating=rating if rating is not None and rating <= 5 else None,
        camera=camera_name(texts.get(_MAKE, ""), texts.get(_MODEL, "")),
        position=_position(layout, gps),
    )


def _text(field: _Field) -> str:
    """NUL parts the photographer's from the editor's copyright. Rule: EXIF 2.32 §4.6.4 D."""
    parts = (clean_text(decoded(part)) for part in field.raw.split(b"\0", 3)[:2])
    return ", ".join(part for part in parts if part)


def _windows_text(field: _Field) -> str:
    return clean_text(field.raw[: len(field.raw) // 2 * 2].decode("utf-16-le", "replace").split("\0")[0])


def _number(layout: _Layout, field: _Field) -> int | None:
    form = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}.get(field.kind)
    if form is None or len(field.raw) != struct.calcsize(layout.order + form):
        return None
    (number,) = struct.unpack(layout.order + form, field.raw)
    return int(number)


def _position(layout: _Layout, gps: Mapping[int, _Field]) -> tuple[float, float] | None:
    """Rule: EXIF 2.32 §4.6.6. A receiver that had no fix says status V, or writes zeros."""
    if _LATITUDE not in gps or _LONGITUDE not in gps or (_STATUS in gps and gps[_STATUS].raw[:1] == b"V"):
        return None
    latitude = _degrees(layout, gps[_LATITUDE], gps.get(_LATITUDE_REF), b"S")
    longitude = _degrees(layout, gps[_LONGITUDE], gps.get(_LONGITUDE_REF), b"W")
    return checked_position(latitude, longitude)


def checked_position(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    """Both in degrees, to about a centimetre; None unless it is a place on Earth that somebody meant."""
    if latitude is None or longitude is None or not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    return (round(latitude, 7), round(longitude, 7)) if (latitude, longitude) != (0, 0) else None


def _degrees(layout: _Layout, field: _Field, hemisphere: _Field | None, negative: bytes) -> float | None:
    if field.kind not in (5, 10) or len(field.raw) != 24:
        return None
    numbers = struct.unpack(layout.order + ("6L" if field.kind == 5 else "6l"), field.raw)
    degrees = 0.0
    for place, unit in enumerate((1, 60, 3600)):
        numerator, denominator = numbers[2 * place : 2 * place + 2]
        if denominator == 0:
            if numerator or not place:
                return None
            continue
        degrees += numerator / denominator / unit
    return -degrees if hemisphere is not None and hemisphere.raw[:1].upper() == negative else degrees
