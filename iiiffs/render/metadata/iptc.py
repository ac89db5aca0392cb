"""IPTC-IIM: the older captions, in a JPEG's APP13 or a TIFF's tag 33723.

Prior art: IPTC-NAA Information Interchange Model 4.2 §3; "Guidelines for Handling Image Metadata" 2.0 (MWG).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from iiiffs.iiif.rights import rights_uri
from iiiffs.model.description import NOTHING_SAID, Description, Words
from iiiffs.render.metadata.dates import capture_time
from iiiffs.render.metadata.words import clean_name, clean_names, clean_text, decoded

_TITLE, _KEYWORD, _DATE, _TIME, _BYLINE, _CITY, _SUBLOCATION, _STATE, _COUNTRY = 5, 25, 55, 60, 80, 90, 92, 95, 101
_HEADLINE, _CREDIT, _COPYRIGHT, _CAPTION = 105, 110, 116, 120
_WANTED = frozenset(
    {
        *(_TITLE, _KEYWORD, _DATE, _TIME, _BYLINE, _CITY, _SUBLOCATION, _STATE, _COUNTRY),
        *(_HEADLINE, _CREDIT, _COPYRIGHT, _CAPTION),
    }
)
_ENVELOPE, _APPLICATION, _CHARSET = 1, 2, 90
_UTF_8 = b"\x1b%G"
_DATASETS_MAX = 2_000
_IPTC_RESOURCE = 0x0404


def iptc_of_photoshop(resources: bytes) -> bytes | None:
    """The IPTC block among Photoshop's image resources (the APP13 payloads, joined); None if there is none."""
    place = 0
    while resources.startswith(b"8BIM", place) and place + 12 <= len(resources):
        kind = int.from_bytes(resources[place + 4 : place + 6])
        place += 6
        name_bytes = resources[place] + 1
        place += name_bytes + name_bytes % 2
        length = int.from_bytes(resources[place : place + 4])
        place += 4
        if kind == _IPTC_RESOURCE:
            return resources[place : place + length]
        place += length + length % 2
    return None


def read_iptc(block: bytes) -> Description:
    """What an IPTC block says; what follows damage is not known."""
    charset = b""
    found: dict[int, list[bytes]] = defaultdict(list)
    for record, dataset, value in _datasets(block):
        if (record, dataset) == (_ENVELOPE, _CHARSET):
            charset = value
        elif record == _APPLICATION and dataset in _WANTED:
            found[dataset].append(value)
    if not found:
        return NOTHING_SAID
    texts = {dataset: [_decoded(value, charset) for value in values] for dataset, values in found.items()}
    statement = _words(texts, _COPYRIGHT) or _words(texts, _CREDIT)
    return Description(
        label=_words(texts, _TITLE, one_line=True) or _words(texts, _HEADLINE, one_line=True),
        summary=_words(texts, _CAPTION),
        statement=statement,
        rights=rights_uri(statement[0][1]) if statement else None,
        creators=clean_names(texts.get(_BYLINE, ())),
        keywords=clean_names(texts.get(_KEYWORD, ())),
        captured=_captured(texts),
        place=clean_names(texts[part][0] for part in (_SUBLOCATION, _CITY, _STATE, _COUNTRY) if part in texts),
    )


def _datasets(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(record, dataset, value) in their order, until the end or the first that is none."""
    place = 0
    for _ in range(_DATASETS_MAX):
        if len(block) < place + 5 or block[place] != 0x1C:
            return
        record, dataset = block[place + 1], block[place + 2]
        length = int.from_bytes(block[place + 3 : place + 5])
        place += 5
        if length & 0x8000:  # extended: the length of the length
            length_bytes = length & 0x7FFF
            if length_bytes > 4:
                return
            length = int.from_bytes(block[place : place + length_bytes])
            place += length_bytes
        if place + length > len(block):
            return
        yield record, dataset, block[place : place + length]
        place += length


def _decoded(value: bytes, charset: bytes) -> str:
    return value.decode("utf-8", "replace") if charset.startswith(_UTF_8) else decoded(value)


def _words(texts: Mapping[int, Sequence[str]], dataset: int, *, one_line: bool = False) -> Words:
    if dataset not in texts:
        return ()
    text = (clean_name if one_line else clean_text)(texts[dataset][0])
    return (("", text),) if text else ()


def _captured(texts: Mapping[int, Sequence[str]]) -> str | None:
    """Rule: IIM 4.2, 2:55 CCYYMMDD and 2:60 HHMMSS±HHMM."""
    date, time = (clean_name(texts.get(dataset, ("",))[0]) for dataset in (_DATE, _TIME))
    if len(date) != 8:
        return None
    day = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    if len(time) < 6:
        return capture_time(day)
    zone = f"{time[6:9]}:{time[9:11]}" if len(time) == 11 else ""
    return capture_time(f"{day}T{time[:2]}:{time[2:4]}:{time[4:6]}{zone}")
