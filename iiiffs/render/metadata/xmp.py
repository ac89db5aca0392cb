"""XMP packets, in a file or beside it: parsed by lxml with everything off that XML can be attacked with.

Prior art: XMP part 1 (ISO 16684-1) §7 for the forms that RDF takes; IPTC Photo Metadata 2023; MWG guidelines 2.0 §3.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from iiiffs.iiif.rights import rights_uri
from iiiffs.model.description import NOTHING_SAID, Description, Words
from iiiffs.render.metadata import xmp_names as names
from iiiffs.render.metadata.dates import capture_time
from iiiffs.render.metadata.tags import BLOCK_BYTES_MAX, checked_position
from iiiffs.render.metadata.words import camera_name, clean_name, clean_names, clean_text

log = logging.getLogger(__name__)

LANGUAGES_MAX = 50
ITEMS_MAX = 1_000
_DESCRIPTIONS_MAX = 100
_FORBIDDEN = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)

Element = Any
"""An lxml element; lxml has no types."""


def read_xmp(packet: bytes, origin: str) -> Description:
    """What a packet says. Too long, damaged, or with a DTD: nothing is said, and one line of the debug log says why.

    `origin`: the name of its file, for that line.
    """
    properties = _read(packet, origin)
    return _description(properties) if properties is not None and properties.any else NOTHING_SAID


def read_tag_paths(packet: bytes, origin: str) -> tuple[str, ...] | None:
    """The keywords with what they are below, levels divided by "/"; None for what `read_xmp` ignores.

    Of the three ways to write them the first that is used counts: a program that writes two repeats itself.
    """
    properties = _read(packet, origin)
    if properties is None:
        return None
    for name, separator in names.TAG_PATHS:
        paths = [[part.strip() for part in path.split(separator)] for path in properties.texts(name)]
        told = clean_names("/".join(part.replace("/", "|") for part in path if part) for path in paths)
        if told:
            return told
    return ()


def _read(packet: bytes, origin: str) -> _Properties | None:
    try:
        return _Properties(_parsed(packet))
    except (ValueError, SyntaxError) as error:
        reason = " ".join(str(error).split())[:200]
        log.debug("%s: its XMP of %d bytes is ignored: %s", ascii(origin), len(packet), reason)
        return None


def _parsed(packet: bytes) -> Element:
    """The root. Errors: ValueError; XMLSyntaxError, which is a SyntaxError. The first packet loads lxml.

    The text is decoded here and a DTD refused before libxml2 sees it, so that no encoding can hide one.
    """
    if len(packet) > BLOCK_BYTES_MAX:
        raise ValueError("too long")
    if packet.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = packet.decode("utf-16")
    elif packet[:2].count(0) == 1:
        text = packet.decode("utf-16-be" if packet[0] == 0 else "utf-16-le")
    else:
        text = packet.decode("utf-8-sig")
    if _FORBIDDEN.search(text):
        raise ValueError("it has a DTD")
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    return etree.fromstring(text.strip("\0 \t\r\n\ufeff").encode("utf-8"), parser)


class _Properties:
    """The properties of all rdf:Descriptions of a packet, by name: as attributes or as elements, the first is it."""

    __slots__ = ("_attributes", "_elements")

    def __init__(self, root: Element) -> None:
        self._attributes: dict[str, str] = {}
        self._elements: dict[str, Element] = {}
        rdf = root if root.tag == names.RDF else root.find(names.RDF)
        if rdf is None:
            return
        for description in rdf.findall(names.DESCRIPTION)[:_DESCRIPTIONS_MAX]:
            for name in description.attrib:  # not items(): lxml looks for each value from the start
                if name in names.WANTED:
                    self._attributes.setdefault(name, description.get(name))
            for child in description:
                if child.tag in names.WANTED:
                    self._elements.setdefault(child.tag, child)

    @property
    def any(self) -> bool:
        """True if there is one that is known here."""
        return bool(self._attributes or self._elements)

    def element(self, name: str) -> Element | None:
        """The property as an element; None if it is none."""
        return self._elements.get(name)

    def text(self, name: str) -> str:
        """A simple value, or the first of several; "" if there is none."""
        return next(iter(self.texts(name)), "")

    def texts(self, name: str) -> list[str]:
        """All values, in their order."""
        element = self._elements.get(name)
        if element is None:
            return [self._attributes[name]] if name in self._attributes else []
        return [text for _, text in _values(element)]

    def words(self, name: str, *, one_line: bool = False) -> Words:
        """A value by language. An "x-default" that only repeats another language's text is dropped."""
        element = self._elements.get(name)
        values = _values(element) if element is not None else [("", self._attributes.get(name, ""))]
        clean = clean_name if one_line else clean_text
        found: dict[str, str] = {}
        for language, value in values:
            if (text := clean(value)) and len(found) < LANGUAGES_MAX:
                found.setdefault(_language(language), text)
        if found.get("") in [text for language, text in found.items() if language]:
            del found[""]
        return tuple(found.items())


def _values(element: Element) -> list[tuple[str, str]]:
    """(xml:lang, text) of a property: the items of its array, or itself."""
    for array in element:
        if array.tag in names.ARRAYS:
            return [(item.get(names.LANG, ""), _text(item)) for item in _some(array.iterfind(names.LI))]
    return [(element.get(names.LANG, ""), _text(element))]


def _some(elements: Iterable[Element]) -> Iterable[Element]:
    """The first ITEMS_MAX of them: what is hostile has more."""
    return islice(elements, ITEMS_MAX)


def _text(element: Element) -> str:
    resource = element.get(names.RESOURCE)
    return str(resource) if resource is not None else str(element.text or "")


_LANGUAGE = re.compile("[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


def _language(tag: str) -> str:
    """As BCP 47 writes it where it can be that; "" for none and for x-default."""
    tag = tag.replace("_", "-")
    if not _LANGUAGE.fullmatch(tag):
        return ""
    first, _, rest = tag.partition("-")
    return f"{first.lower()}-{rest}" if rest else first.lower()


def _description(properties: _Properties) -> Description:
    statement, rights = _rights(properties)
    people, keywords = _people_and_keywords(properties)
    return Description(
        label=properties.words(names.TITLE, one_line=True) or properties.words(names.HEADLINE, one_line=True),
        summary=properties.words(names.CAPTION),
        statement=statement,
        rights=rights,
        creators=clean_names(properties.texts(names.CREATOR)),
        keywords=keywords,
        rating=_rating(properties.text(names.RATING)),
        camera=camera_name(properties.text(names.MAKE), properties.text(names.MODEL)),
        captured=capture_time(properties.text(names.DATE_CREATED)) or capture_time(properties.text(names.DATE_TAKEN)),
        place=_place(properties),
        position=checked_position(
            _degrees(properties.text(names.LATITUDE)), _degrees(properties.text(names.LONGITUDE))
        ),
        people=people,
    )


def _rights(properties: _Properties) -> tuple[Words, str | None]:
    """What must be shown, and a URI that documents may carry: a licence's page that is none is shown as text."""
    statement = properties.words(names.RIGHTS) or properties.words(names.USAGE_TERMS) or properties.words(names.CREDIT)
    pages = [clean_text(properties.text(name)) for name in (names.LICENSE, names.WEB_STATEMENT)]
    texts = [*pages, *(text for _, text in statement)]
    rights = next((uri for uri in map(rights_uri, texts) if uri is not None), None)
    page = next((page for page in pages if page), "")
    if not statement and rights is None and page:
        statement = (("", page),)
    return statement, rights


def _rating(text: str) -> int | None:
    """Rule: XMP part 1 §8.3: -1 for rejected, 0 for unrated, up to 5; some programs write "4.0"."""
    match = re.fullmatch(r"\s*(-1|[0-5])(?:\.[0-9]{1,6})?\s*", text)
    return int(match[1]) if match else None


def _degrees(text: str) -> float | None:
    """Rule: XMP part 2 §2.6, GPSCoordinate: "DDD,MM,SSk" or "DDD,MM.mmk"."""
    match = re.fullmatch(r"\s*([0-9]{1,3}),([0-9]{1,2}(?:\.[0-9]{1,12})?)(?:,([0-9]{1,2}))?([NSEW])\s*", text)
    if match is None:
        return None
    degrees = int(match[1]) + float(match[2]) / 60 + int(match[3] or 0) / 3600
    return -degrees if match[4] in "SW" else degrees


def _place(properties: _Properties) -> tuple[str, ...]:
    """From the most special to the widest. The plain properties are those of the place that is shown, as a rule."""
    plain = clean_names(properties.text(name) for name in names.PLACE)
    if plain:
        return plain
    for name in (names.LOCATION_SHOWN, names.LOCATION_CREATED):
        element = properties.element(name)
        for item in _structures(element) if element is not None else ():
            if parts := clean_names(_field(item, part) for part in names.PLACE_PARTS):
                return parts
    return ()


def _people_and_keywords(properties: _Properties) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of those shown; and keywords: of a hierarchy the last word, of one of people none."""
    people = [*properties.texts(names.PERSON_IN_IMAGE), *_names_of_regions(properties)]
    keywords = list(properties.texts(names.SUBJECT))
    for name, separator in names.HIERARCHIES:
        for path in properties.texts(name):
            first, _, rest = path.strip().partition(separator)
            if rest and first.strip().casefold() in names.PEOPLE_ROOTS:
                people.append(rest.rpartition(separator)[2])
            else:
                keywords.append(path.rpartition(separator)[2])
    shown = clean_names(people)
    hidden = {name.casefold() for name in (*shown, *(names.PEOPLE_ROOTS if shown else ()))}
    return shown, tuple(word for word in clean_names(keywords) if word.casefold() not in hidden)


def _names_of_regions(properties: _Properties) -> Iterator[str]:
    """Faces only: a region can as well be a pet, a bar code or where the lens was sharp."""
    for regions, name, kind in names.REGIONS:
        element = properties.element(regions)
        if element is None:
            continue
        for structure in _some(element.iter(names.LI)):
            for item in (structure, *_some(structure.iterfind(names.DESCRIPTION))):
                if _field(item, kind) in ("", "Face"):
                    yield _field(item, name)


def _structures(element: Element) -> Iterator[Element]:
    """The items of an array of structures, in either of RDF's forms."""
    for item in _some(element.iter(names.LI)):
        inner = item.find(names.DESCRIPTION)
        yield item if inner is None else inner


def _field(structure: Element, name: str) -> str:
    """A simple field of a structure, as an attribute or an element; "" if it has none."""
    value = structure.get(name)
    if value is not None:
        return str(value)
    element = structure.find(name)
    return _values(element)[0][1] if element is not None and _values(element) else ""
