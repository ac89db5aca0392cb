"""The grammar of search/QUERY, the same on every provider. Rule: DESIGN §2.

    query  = term *(space term)             every term must match
    term   = [prefix ":"] value             a term without a prefix is a word
    value  = bare | '"' phrase '"'          bare: no space, no colon, no quote; phrase: anything but a quote
    prefix = person | tag | city | from | to | type | rating | smart

    beach  "two words"      found in name, label, summary, keywords, people, place or camera, also inside a word
    person:anna  city:york  whole words of a person's name, of a part of the place
    tag:beach               the whole keyword
    from:2024-06  to:2024   local capture date, both ends included: a year, a month or a day
    type:raw  type:jpeg     image, video, sound, raw (which are images too), else the file name's ending
    rating:4  rating:=4     at least, exactly; unrated is 0, rejected -1
    smart:"a red boat"      the provider's own picture search, where it has one

Case, accents and compatibility forms make no difference, on either side: the whole query is folded before it is read,
so a full-width colon is a colon too. A colon that is searched for stands in quotes; a quote cannot be searched for.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from iiiffs.errors import BadSyntax
from iiiffs.model.gallery import AlbumId

QUERY_BYTES_MAX = 255
"""One path component."""
CANONICAL_BYTES_MAX = 120
"""Of the canonical spelling, so that the album's id has at most 200 bytes and stays a legal key and file name."""
SEARCH = "search~"


class Field(StrEnum):
    """What a term asks about; the value is its prefix."""

    WORD = ""
    PERSON = "person"
    TAG = "tag"
    CITY = "city"
    FROM = "from"
    TO = "to"
    TYPE = "type"
    RATING = "rating"
    SMART = "smart"


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """One condition. `value` is folded and in its one spelling: dates are whole days, aliases of types replaced."""

    field: Field
    value: str

    def __str__(self) -> str:
        value = f'"{self.value}"' if " " in self.value or ":" in self.value else self.value
        return f"{self.field}:{value}" if self.field else value


@dataclass(frozen=True, slots=True)
class Query:
    """All of `terms` hold. Sorted and each once, so that queries that ask the same are equal."""

    terms: tuple[Term, ...]


def fold(text: str) -> str:
    """`text` as it is compared: no case, accents, compatibility forms, invisible characters; white space as one " ".

    fold(fold(text)) == fold(text). Rule: Unicode §3.13, compatibility caseless matching, less its combining marks.
    """
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
        decomposed = unicodedata.normalize("NFKD", text).translate(_BARE).casefold()
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", decomposed).translate(_BARE))
    return " ".join(text.casefold().split())


def parse_query(text: str) -> Query:
    """The query that a path component below search/ spells.

    Errors: BadSyntax if it is not in the grammar, has an unknown prefix, holds nothing, is no text, or is too long.
    """
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        raise BadSyntax(f"search {text!r} is not UTF-8") from error
    if size_bytes > QUERY_BYTES_MAX:
        raise BadSyntax(f"a search of {size_bytes} bytes; at most {QUERY_BYTES_MAX} are read")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise BadSyntax(f"search {text!r} holds a control character")
    folded = fold(text)
    if "/" in folded:
        raise BadSyntax(f"search {text!r} holds a slash")
    query = Query(tuple(sorted(_terms(folded))))
    if not query.terms:
        raise BadSyntax("a search for nothing")
    if len(canonical(query).encode()) > CANONICAL_BYTES_MAX:
        raise BadSyntax(f"search {text!r} is too long: at most {CANONICAL_BYTES_MAX} bytes in its plainest spelling")
    return query


def canonical(query: Query) -> str:
    """The one spelling of `query`: parse_query reads it back, and equal queries have equal ones."""
    return " ".join(str(term) for term in query.terms)


def query_album_id(query: Query) -> AlbumId:
    """The id of the album that holds the answer: at most 200 of the characters a-z 2-7 ~; equal for equal queries.

    `query` is one of parse_query's.
    """
    return AlbumId(SEARCH + encoded(canonical(query).encode()))


def query_of_album_id(album: AlbumId) -> Query | None:
    """The query whose answer the album of that id is; None if it is no such id, or not the one spelling of it."""
    if not album.startswith(SEARCH):
        return None
    try:
        query = parse_query(decoded(album.removeprefix(SEARCH)).decode())
    except (ValueError, BadSyntax):
        return None
    return query if query_album_id(query) == album else None


def encoded(raw: bytes) -> str:
    """`raw` as base32 that is safe in URIs and file names: a-z 2-7, without padding."""
    return base64.b32encode(raw).decode().rstrip("=").lower()


def decoded(text: str) -> bytes:
    """The bytes that `encoded` wrote. Errors: ValueError. Some texts that it never writes are read as well."""
    try:
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except binascii.Error as error:
        raise ValueError(f"{text!r} is not base32") from error


class _Bare(dict[int, int | None]):
    """For str.translate: without marks, joiners and variation selectors, which change or join the letters around them.

    Filled as characters are met, because whole libraries are folded at a start.
    """

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        goes = (
            unicodedata.combining(character)
            or unicodedata.category(character) == "Cf"
            or "\ufe00" <= character <= "\ufe0f"
        )
        self[code] = None if goes else code
        return self[code]


_BARE = _Bare()


_TERM = re.compile(r'(?:([^ :"]+):)?(?:"([^"]*)"|([^ :"]+))(?: |$)')


def _terms(folded: str) -> set[Term]:
    found: set[Term] = set()
    at = 0
    while at < len(folded):
        match = _TERM.match(folded, at)
        if match is None:
            raise BadSyntax(f'search: cannot read {folded[at:]!r}; a colon or a space goes into "quotes"')
        prefix, phrase, bare = match.groups()
        try:
            field = Field(prefix or "")
        except ValueError:
            known = ", ".join(sorted(field for field in Field if field))
            raise BadSyntax(f"search: no prefix {prefix!r}; there are {known}") from None
        value = (bare if phrase is None else phrase).strip()
        if not value:
            raise BadSyntax(f"search: an empty value in {folded!r}")
        found.add(Term(field, _VALUES.get(field, str)(value)))
        at = match.end()
    return found


_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?(?:-([0-9]{2}))?")


def _first_day(value: str) -> str:
    year, month, day = _date_parts(value)
    return _day(value, year, month or 1, day or 1)


def _last_day(value: str) -> str:
    year, month, day = _date_parts(value)
    month = 12 if month is None else month
    if day is None and 1 <= month <= 12 and year:
        day = monthrange(year, month)[1]
    return _day(value, year, month, day or 0)


def _date_parts(value: str) -> tuple[int, int | None, int | None]:
    match = _DATE.fullmatch(value)
    if match is None:
        raise BadSyntax(f"search: {value!r} is no date such as 2024, 2024-06 or 2024-06-01")
    year, month, day = (None if part is None else int(part) for part in match.groups())
    assert year is not None
    return year, month, day


def _day(value: str, year: int, month: int, day: int) -> str:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        raise BadSyntax(f"search: no such day as {value!r}") from None


_TYPES = {"photo": "image", "audio": "sound", "jpg": "jpeg", "tif": "tiff", "heif": "heic"}
"""Other words for a type; `type_of_name` uses it for file names too."""


def _type(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]{1,10}", value):
        raise BadSyntax(f"search: {value!r} is no type such as image, video, sound, raw or jpeg")
    return _TYPES.get(value, value)


def type_of_name(name: str) -> str:
    """The value of type: that names the ending of the file `name`; "" if it has none."""
    stem, dot, ending = name.rpartition(".")
    ending = ending.casefold() if dot and stem else ""
    return _TYPES.get(ending, ending)


def _rating(value: str) -> str:
    if not re.fullmatch(r"=?(?:-1|[0-5])", value):
        raise BadSyntax(f"search: {value!r} is no rating: 0 to 5, -1 for rejected, =3 for exactly 3")
    return value


_VALUES: Mapping[Field, Callable[[str], str]] = {
    Field.FROM: _first_day,
    Field.TO: _last_day,
    Field.TYPE: _type,
    Field.RATING: _rating,
}
