"""What a file, its sidecar, its provider or its owner says of its content: words, rights, place, people."""

from __future__ import annotations

from dataclasses import dataclass, fields

Words = tuple[tuple[str, str], ...]
"""Pairs of language (BCP 47; "" where nobody said) and text, at most one a language; () for nothing said."""


@dataclass(frozen=True, slots=True)
class Description:
    """Descriptive metadata; every part may be absent. Texts are plain text as found, never HTML to be trusted.

    `rights`: a Creative Commons or RightsStatements URI in its http:// form, else None. `statement`: what must be shown
    with the thing (copyright notice, credit). `rating`: 1 to 5, 0 unrated, -1 rejected. `captured`: as Facts.captured,
    where XMP knows better than EXIF. `place`: from the most special to the widest, such as (location, city, country).
    `position`: latitude and longitude in degrees. `people`: names of those shown. Serial numbers are never read.
    """

    label: Words = ()
    summary: Words = ()
    statement: Words = ()
    rights: str | None = None
    creators: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    rating: int | None = None
    camera: str | None = None
    captured: str | None = None
    place: tuple[str, ...] = ()
    position: tuple[float, float] | None = None
    people: tuple[str, ...] = ()


NOTHING_SAID = Description()


def merged(*descriptions: Description) -> Description:
    """What all of them say together, weakest first: of each part, what the strongest that says anything says.

    Parts are taken whole: a stronger list of keywords replaces a weaker one, for it may have lost a word on purpose.
    """
    known: dict[str, object] = {}
    for description in descriptions:
        for name in _PARTS:
            value = getattr(description, name)
            if value is not None and value != ():
                known[name] = value
    return Description(**known) if known else NOTHING_SAID  # type: ignore[arg-type]  # by name


_PARTS = tuple(field.name for field in fields(Description))
