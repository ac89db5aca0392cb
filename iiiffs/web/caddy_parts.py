"""The words of Caddy's JSON that the configuration is made of: routes, matchers, handlers."""

from __future__ import annotations

import re

from iiiffs.web.answers import GZIP_LEVEL, GZIP_MIN_BYTES

Part = dict[str, object]


def route(name: str, *handlers: Part, **match: object) -> Part:
    """A route; `match`: matchers that must all hold. It has answered if one of its handlers is final."""
    matching: Part = {"match": [match]} if match else {}
    return {"@id": name, **matching, "handle": list(handlers)}


def routes(name: str, *routes: Part, **match: object) -> Part:
    """Routes of their own for what matches."""
    return route(name, {"handler": "subroute", "routes": list(routes)}, **match)


def pattern(regex: str, name: str = "") -> Part:
    """A regular expression; its groups are placeholders `http.regexp.NAME.1` if it has a name."""
    return {"name": name, "pattern": regex} if name else {"pattern": regex}


def set_headers(**headers: str) -> Part:
    """Response headers, written with `_` for `-`, instead of what was there."""
    named = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return {"handler": "headers", "response": {"set": named}}


def add_header(name: str, value: str) -> Part:
    """One more response header."""
    return {"handler": "headers", "response": {"add": {name: [value]}}}


def refuse(status: int) -> Part:
    """The request ends in this error, which the error routes answer."""
    return {"handler": "error", "status_code": status}


def say(status: int | str) -> Part:
    """An answer without a body."""
    return {"handler": "static_response", "status_code": status}


def strip(prefix: str) -> Part:
    """From here on, the path is the one below `prefix`."""
    return {"handler": "rewrite", "strip_path_prefix": prefix}


def folder(path: str) -> str:
    """A folder, where Caddy looks for placeholders."""
    return re.sub(r"([\\{}])", r"\\\1", path.rstrip("/") or "/")


def whole() -> Part:
    """Not a part of a file: what is compressed has other bytes."""
    return {"not": [{"header": {"Range": ["*"]}}]}


def compress() -> Part:
    """gzip of whatever type, for who accepts it."""
    any_type = {"headers": {"Content-Type": ["*"]}}
    gzip = {"gzip": {"level": GZIP_LEVEL}}
    return {"handler": "encode", "encodings": gzip, "minimum_length": GZIP_MIN_BYTES, "match": any_type}


def untyped() -> Part:
    """The answer has no media type any more."""
    return {"handler": "headers", "response": {"delete": ["Content-Type"]}}
