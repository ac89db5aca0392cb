"""Descriptions as documents show them: language maps, metadata pairs, and what privacy leaves of both. Pure.

Rule: Presentation API 3.0 §3.1, §4.4 (language maps), §4.5 (HTML). All texts are plain text: a value that a
client would take for HTML is escaped, so that nobody's caption becomes markup on somebody's page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from typing import Literal

from iiiffs.model.description import Description, Words

Texts = tuple[tuple[str, tuple[str, ...]], ...]
"""Pairs of language ("" for none) and texts, at most one a language."""

Order = Literal["name", "date", "provider"]


@dataclass(frozen=True, slots=True)
class Privacy:
    """What documents may tell of what is in files: places and positions, people who are shown, cameras, and creators.

    What is off appears nowhere: also no keyword, caption or statement of a file that holds a name which is off. What
    the owner wrote into an iiif.toml is always shown. `creators` covers statements in files too, for they name them.
    `place_mentions`: titles, captions and keywords may name a place although `places` is off.
    """

    places: bool = False
    people: bool = True
    cameras: bool = True
    creators: bool = True
    place_mentions: bool = False

    @property
    def hides_names(self) -> bool:
        """True if a keyword, title or caption may be left out for a name in it."""
        return not (self.people and self.cameras and self.creators and (self.places or self.place_mentions))


PRIVATE = Privacy(place_mentions=True)
"""No place as such (it may be a home), and no caption is lost for it."""
PUBLISHED = Privacy(places=False, people=False, cameras=True, creators=False)
"""No place and nobody's name (DESIGN §3)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One label and its values, as in metadata and requiredStatement."""

    label: Words
    value: Texts


@dataclass(frozen=True, slots=True)
class Agent:
    """Who provides a thing. Rule: Presentation API 3.0 §3.1, provider. All three are URIs."""

    id: str
    label: Words
    homepage: str | None = None
    logo: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What the owner says of an album or of one file of it; stronger than all that is found in files."""

    label: Words = ()
    summary: Words = ()
    rights: str | None = None
    statement: Pair | None = None
    provider: Agent | None = None
    metadata: tuple[Pair, ...] = ()
    behavior: tuple[str, ...] = ()


NOTHING_MORE = Said()


def shown(description: Description, privacy: Privacy) -> Description:
    """`description` without what `privacy` does not let out, wherever in it that is written."""
    if _is_all_shown(description, privacy):
        return description
    kept = replace(
        description,
        place=description.place if privacy.places else (),
        position=description.position if privacy.places else None,
        people=description.people if privacy.people else (),
        camera=description.camera if privacy.cameras else None,
        creators=description.creators if privacy.creators else (),
        statement=description.statement if privacy.creators else (),
    )
    secrets = _secrets(description, privacy)
    if not secrets:
        return kept
    return replace(
        kept,
        label=_words_without(kept.label, secrets),
        summary=_words_without(kept.summary, secrets),
        statement=_words_without(kept.statement, secrets),
        keywords=_names_without(kept.keywords, secrets),
        creators=_names_without(kept.creators, secrets),
        people=_names_without(kept.people, secrets),
        place=_names_without(kept.place, secrets),
    )


def _is_all_shown(description: Description, privacy: Privacy) -> bool:
    """True if nothing in it is of a kind that is off: the rule, and much quicker than a copy."""
    return (
        (privacy.places or not (description.place or description.position))
        and (privacy.people or not description.people)
        and (privacy.cameras or not description.camera)
        and (privacy.creators or not (description.creators or description.statement))
    )


_SECRET_CHARACTERS_MIN = 3
"""A shorter name, such as "US" or "Li", is a word of too many texts to be looked for."""


def _secrets(description: Description, privacy: Privacy) -> list[str]:
    """The names that are off, casefolded."""
    names = [
        *(() if privacy.places or privacy.place_mentions else description.place),
        *(() if privacy.people else description.people),
        *(() if privacy.creators else description.creators),
        *(() if privacy.cameras or description.camera is None else (description.camera,)),
    ]
    return [name.casefold() for name in names if len(name) >= _SECRET_CHARACTERS_MIN]


def _words_without(words: Words, secrets: Sequence[str]) -> Words:
    return tuple((language, text) for language, text in words if not _mentions(text, secrets))


def _names_without(names: Sequence[str], secrets: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not _mentions(name, secrets))


def _mentions(text: str, secrets: Sequence[str]) -> bool:
    """True if `text` holds one of these as whole words, whatever the case."""
    folded = text.casefold()
    for secret in secrets:
        place = folded.find(secret)
        while place >= 0:
            end = place + len(secret)
            if not (folded[max(0, place - 1) : place].isalnum() or folded[end : end + 1].isalnum()):
                return True
            place = folded.find(secret, place + 1)
    return False


def best_capture_time(in_tags: str | None, description: Description) -> str | None:
    """When it was taken: XMP knows better than EXIF, unless both name one moment and only EXIF has its zone."""
    known = description.captured
    if known is None or (in_tags is not None and in_tags.startswith(known)):
        return in_tags
    return known


def language_map(text: str) -> dict[str, list[str]]:
    """`text` as a value of no known language; never empty, always valid Unicode.

    Lone surrogates become U+FFFD (JSON cannot hold them), control characters go.
    """
    return {"none": [_line(text) or "Untitled"]}


def label_map(words: Words, otherwise: str) -> dict[str, list[str]]:
    """A `label`: `words` by language, or `otherwise` where nothing is said. Labels hold no HTML (§4.5)."""
    if words:
        made = {language or "none": [line] for language, text in words if (line := _line(text))}
        if made:
            return made
    return language_map(otherwise)


def value_map(texts: Texts) -> dict[str, list[str]]:
    """A `value`: no value is HTML to a client. Empty if there is no text."""
    made = {language or "none": [plain(text) for text in values if text] for language, values in texts}
    return {language: values for language, values in made.items() if values}


def plain(text: str) -> str:
    """`text`, or, where a client would take it for HTML, the HTML that shows it. Rule: §4.5."""
    if not text.isprintable():
        text = _TEXT_CONTROLS.sub("", _SURROGATES.sub("\ufffd", text))
    if "<" in text and text.lstrip().startswith("<") and text.rstrip().endswith(">"):
        return f"<span>{escape(text, quote=False)}</span>"
    return text


def descriptive(description: Description, said: Said, captured: str | None) -> dict[str, object]:
    """The properties other than `label` that a resource gets: summary, metadata, requiredStatement, rights, provider.

    `description` as `shown` gave it. `captured`: as Facts.captured.
    """
    found: dict[str, object] = {}
    if summary := _word_map(said.summary or description.summary):
        found["summary"] = summary
    pairs = [*_owner_pairs(said.metadata), *_pairs(description, captured)]
    if pairs:
        found["metadata"] = pairs
    if statement := _statement(description, said):
        found["requiredStatement"] = statement
    if rights := said.rights or description.rights:
        found["rights"] = rights
    if said.provider is not None:
        found["provider"] = [_agent(said.provider)]
    return found


def _statement(description: Description, said: Said) -> dict[str, object] | None:
    if said.statement is not None:
        return next(iter(_owner_pairs([said.statement])), None)
    value = _word_map(description.statement)
    return {"label": {"en": ["Attribution"]}, "value": value} if value else None


def _pairs(description: Description, captured: str | None) -> list[dict[str, object]]:
    rating = description.rating or 0
    before = [_pair("Creator", description.creators)] if description.creators else []
    if captured:
        before.append(_made_pair("Date", (captured.replace("T", " "),)))  # of each picture another one
    parts: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("Place", (", ".join(description.place),) if description.place else ()),
        ("People", description.people),
        ("Keywords", description.keywords),
        ("Rating", ("rejected" if rating < 0 else f"{rating} of 5",) if rating else ()),
        ("Camera", (description.camera,) if description.camera else ()),
    )
    return before + [_pair(label, values) for label, values in parts if values]


@lru_cache(maxsize=4096)
def _pair(label: str, values: tuple[str, ...]) -> dict[str, object]:
    """One object for equal pairs, which nobody may change: the pictures of an album say much the same."""
    return _made_pair(label, values)


def _made_pair(label: str, values: tuple[str, ...]) -> dict[str, object]:
    return {"label": {"en": [label]}, "value": {"none": [plain(text) for text in values]}}


def _owner_pairs(pairs: Iterable[Pair]) -> list[dict[str, object]]:
    made = [{"label": label_map(pair.label, ""), "value": value_map(pair.value)} for pair in pairs]
    return [{"label": pair["label"], "value": pair["value"]} for pair in made if pair["value"]]


def _agent(agent: Agent) -> dict[str, object]:
    label = label_map(agent.label, agent.id)
    made: dict[str, object] = {"id": agent.id, "type": "Agent", "label": label}
    if agent.homepage is not None:
        made["homepage"] = [{"id": agent.homepage, "type": "Text", "label": label, "format": "text/html"}]
    if agent.logo is not None:
        made["logo"] = [{"id": agent.logo, "type": "Image"}]
    return made


def _word_map(words: Words) -> dict[str, list[str]]:
    return {language or "none": [plain(text)] for language, text in words if text}


def _line(text: str) -> str:
    if text.isprintable():  # neither controls nor surrogates are
        return text
    return _CONTROLS.sub("", _SURROGATES.sub("\ufffd", text))


_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
_TEXT_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
