"""iiif.toml: what an owner says of a folder and of the files in it (DESIGN §2, Documents). Pure.

label = "Harbour, 1931"                       # or by language: { en = "Harbour", de = "Hafen" }
summary = "…"
rights = "http://creativecommons.org/licenses/by/4.0/"
required_statement = { label = "Attribution", value = "City Archive" }
provider = { id = "https://example.org/", label = "City Archive", homepage = "https://…", logo = "https://…" }
metadata = [ { label = "Fonds", value = ["A 12", "A 13"] } ]
order = "name"                                # name | date | provider
behavior = ["individuals"]
start = "IMG_2.jpg"
ranges = [ { label = "Morning", first = "IMG_1.jpg", last = "IMG_9.jpg" }, { label = "Best", items = ["IMG_3.jpg"] } ]
[file."IMG_1.jpg"]                            # label, summary, rights, required_statement, metadata
label = "The pier"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from iiiffs.errors import IiiffsError
from iiiffs.iiif.description import Agent, Order, Pair, Said, Texts
from iiiffs.iiif.overrides import Overrides, RangeWish
from iiiffs.iiif.rights import rights_uri
from iiiffs.model.description import Words

FILE_NAME = "iiif.toml"
LENGTH_MAX = 4 << 20
"""In characters: a table for each of 10,000 files, and an end to what a hostile file may cost."""

Value = TypeVar("Value")

BEHAVIORS = (
    *("auto-advance", "no-auto-advance", "repeat", "no-repeat"),
    *("unordered", "individuals", "continuous", "paged"),
)
"""What a Manifest may have. Rule: Presentation API 3.0 §3.4, behavior."""
_DISJOINT = (BEHAVIORS[:2], BEHAVIORS[2:4], BEHAVIORS[4:])
_URI = re.compile(r"https?://[^\s<>\"{}|\\^`\x00-\x20\x7f-\uffff]{1,2000}")
_LANGUAGE = re.compile("[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


class OverridesError(IiiffsError):
    """An iiif.toml says something that documents cannot hold. One line: where, and what was expected."""


def parse_overrides(text: str) -> Overrides:
    """The overrides in `text`. Errors: OverridesError for the first thing that is wrong."""
    if len(text) > LENGTH_MAX:
        raise OverridesError(f"{FILE_NAME}: longer than {LENGTH_MAX} characters")
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise OverridesError(f"{FILE_NAME}: no TOML: {' '.join(str(error).split())}") from error
    top = _Table(table, "")
    overrides = Overrides(
        album=_said(top, is_album=True),
        order=top.take("order", _order),
        ranges=top.take("ranges", _list_of(_range)) or (),
        start=top.take("start", _name),
        files=top.take("file", _files) or {},
    )
    top.expect_no_more()
    return overrides


class _Table:
    """A table of which every key is taken once; `path` is how a person would name it."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(path, "a table")
        self._left = dict(value)
        self._path = path

    def take(self, key: str, parse: Callable[[object, str], Value]) -> Value | None:
        """The parsed value of `key`; None if it is not there."""
        if key not in self._left:
            return None
        return parse(self._left.pop(key), self.path_of(key))

    def need(self, key: str, parse: Callable[[object, str], Value]) -> Value:
        """As `take`; a key that is not there is an error."""
        value = self.take(key, parse)
        if value is None:
            raise _wrong(self.path_of(key), "to be there")
        return value

    def path_of(self, key: str) -> str:
        """The whole name of a key of this table."""
        shown = key if re.fullmatch("[A-Za-z0-9_-]+", key) else ascii(key)
        return f"{self._path}.{shown}" if self._path else shown

    def expect_no_more(self) -> None:
        """Errors: OverridesError if a key is left that nobody asked for."""
        for key in self._left:
            raise OverridesError(f"{FILE_NAME}: {self.path_of(key)} is no key of it")


def _wrong(path: str, expected: str) -> OverridesError:
    return OverridesError(f"{FILE_NAME}: {path or 'the file'}: expected {expected}")


def _said(table: _Table, *, is_album: bool) -> Said:
    return Said(
        label=table.take("label", _words) or (),
        summary=table.take("summary", _words) or (),
        rights=table.take("rights", _rights),
        statement=table.take("required_statement", _pair),
        provider=table.take("provider", _agent) if is_album else None,
        metadata=table.take("metadata", _list_of(_pair)) or (),
        behavior=(table.take("behavior", _behavior) or ()) if is_album else (),
    )


def _files(value: object, path: str) -> Mapping[str, Said]:
    table = _Table(value, path)
    names = cast(Mapping[str, object], value)
    return {name: table.need(name, _file) for name in names}


def _file(value: object, path: str) -> Said:
    table = _Table(value, path)
    said = _said(table, is_album=False)
    table.expect_no_more()
    return said


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(path, "a text")
    return value.strip()


def _name(value: object, path: str) -> str:
    if not isinstance(value, str) or not value or "/" in value:
        raise _wrong(path, "the name of a file in this folder")
    return value


def _words(value: object, path: str) -> Words:
    """A text, or a table of one text a language."""
    if not isinstance(value, dict):
        return (("", _text(value, path)),)
    return tuple((_language(key, path), _text(text, f"{path}.{key}")) for key, text in value.items())


def _texts(value: object, path: str) -> Texts:
    """A text, a list of texts, or a table of either a language."""
    if not isinstance(value, dict):
        return (("", _several(value, path)),)
    return tuple((_language(key, path), _several(texts, f"{path}.{key}")) for key, texts in value.items())


def _several(value: object, path: str) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_text(text, f"{path}[{place}]") for place, text in enumerate(value))
    return (_text(value, path),)


def _language(key: str, path: str) -> str:
    if key == "none":
        return ""
    if not _LANGUAGE.fullmatch(key):
        raise _wrong(path, f'languages such as "en" or "none" as keys, not {key!a}')
    return key


def _rights(value: object, path: str) -> str:
    uri = rights_uri(value) if isinstance(value, str) else None
    if uri is None:
        raise _wrong(
            path, "a URI of creativecommons.org or rightsstatements.org (other terms belong in required_statement)"
        )
    return uri


def _uri(value: object, path: str) -> str:
    if not isinstance(value, str) or not _URI.fullmatch(value):
        raise _wrong(path, "an http or https URI")
    return value


def _order(value: object, path: str) -> Order:
    return cast(Order, _one_of(value, path, ("name", "date", "provider")))


def _behavior(value: object, path: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    found = tuple(dict.fromkeys(_one_of(one, path, BEHAVIORS) for one in values))
    for group in _DISJOINT:
        if len([one for one in found if one in group]) > 1:
            raise _wrong(path, f"only one of {', '.join(group)}")
    return found


def _one_of(value: object, path: str, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise _wrong(path, f"one of {', '.join(choices)}")
    return value


def _pair(value: object, path: str) -> Pair:
    table = _Table(value, path)
    pair = Pair(table.need("label", _words), table.need("value", _texts))
    table.expect_no_more()
    return pair


def _agent(value: object, path: str) -> Agent:
    table = _Table(value, path)
    agent = Agent(
        table.need("id", _uri), table.need("label", _words), table.take("homepage", _uri), table.take("logo", _uri)
    )
    table.expect_no_more()
    return agent


def _range(value: object, path: str) -> RangeWish:
    table = _Table(value, path)
    wish = RangeWish(
        label=table.need("label", _words),
        items=table.take("items", _names) or (),
        first=table.take("first", _name),
        last=table.take("last", _name),
    )
    table.expect_no_more()
    if bool(wish.items) == bool(wish.first or wish.last):
        raise _wrong(path, "either items, or first and last")
    return wish


def _names(value: object, path: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong(path, "a list of names of files")
    return tuple(_name(name, f"{path}[{place}]") for place, name in enumerate(value))


def _list_of(parse: Callable[[object, str], Value]) -> Callable[[object, str], tuple[Value, ...]]:
    def parse_list(value: object, path: str) -> tuple[Value, ...]:
        if not isinstance(value, list):
            raise _wrong(path, "a list")
        return tuple(parse(one, f"{path}[{place}]") for place, one in enumerate(value))

    return parse_list
