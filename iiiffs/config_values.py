"""Values of the configuration file: what a size, a duration, a path or a URL is, and how each is written.

A parser takes what TOML gives and returns the value or raises ValueError; it looks at no disk and no network. The
`…Key` annotations add the text that a person reads when a key holds something else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

SIZE_UNITS = {
    **{"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
}
DURATION_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_WEB_URL = r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~%!$&'()*+,=:@/-]*)?"
_SUBSTITUTE = r"(?!\.{1,2}\Z)[A-Za-z0-9!$&'()*+,.:;=@^_|~-]{1,16}"
_NUMBER = r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)"


class ByteSize(int):
    """A length in bytes, written as "20 GiB", "500 MB" or a whole number of bytes."""


class Seconds(float):
    """A span of time in seconds, written as "30 s", "5 min", "1 h" or a number of seconds."""


class WebUrl(str):
    """An http or https URL without user, query or fragment; no slash at its end."""

    __slots__ = ()


class Origin(str):
    """A web origin (scheme, host, port), or "*"."""

    __slots__ = ()


class ViewerBase(str):
    """Where viewers are served: "" or a WebUrl."""

    __slots__ = ()


class ServerUrl(str):
    """Where a gallery's server is: a WebUrl."""

    __slots__ = ()


class SharedLink(str):
    """The address of an album that its server shows to everybody: "" or an http or https URL."""

    __slots__ = ()


class PollSpan(float):
    """A span of time in seconds between two questions whether anything changed: a Seconds from 1 s to 1 d."""


class IdentifierBase(str):
    """What path URIs of an account begin with: "" for the account's own, or a WebUrl with a plain path."""

    __slots__ = ()


class IdentifierSlash(str):
    """How a slash is written in identifiers that are paths: "%2F", "/", or a substitute."""

    __slots__ = ()


def parse_size(value: object) -> ByteSize:
    """Bytes; ValueError if it is neither a length with a known unit nor a whole number, or is below 1."""
    if isinstance(value, str) and (match := re.fullmatch(_NUMBER, value.strip())) and match[2] in SIZE_UNITS:
        value = int(float(match[1].replace("_", "")) * SIZE_UNITS[match[2]])
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62:
        return ByteSize(value)
    raise ValueError("not a size")


def parse_duration(value: object) -> Seconds:
    """Seconds; ValueError if it is neither a number nor one with a known unit, or is not above 0."""
    if isinstance(value, str) and (match := re.fullmatch(_NUMBER, value.strip())) and match[2] in DURATION_UNITS:
        value = float(match[1].replace("_", "")) * DURATION_UNITS[match[2]]
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**31:
        return Seconds(value)
    raise ValueError("not a duration")


def parse_path(value: object) -> Path:
    """An absolute path without "." and ".." parts, "~" and "~user" expanded; ValueError if it is relative.

    Symbolic links are kept: nothing on the disk is looked at, since the path may lie below a mount that hangs.
    """
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a path")
    try:
        expanded = Path(value).expanduser() if value.startswith("~") else Path(value)
    except RuntimeError as error:
        raise ValueError("nobody's home") from error
    if not expanded.is_absolute():
        raise ValueError("not an absolute path")
    return Path(os.path.normpath(expanded))


def parse_web_url(value: object) -> WebUrl:
    """The URL without a slash at its end; ValueError if a IIIF id cannot begin with it."""
    if not isinstance(value, str) or not re.fullmatch(_WEB_URL, value):
        raise ValueError("not a URL")
    parts = urlsplit(value)
    if not parts.hostname or (parts.port is not None and parts.port < 1):  # .port raises ValueError above 65535
        raise ValueError("no host")
    if any(part in {".", "..", ""} for part in parts.path.rstrip("/").split("/")[1:]):
        raise ValueError("not a canonical path")
    return WebUrl(value.rstrip("/"))


def parse_origin(value: object) -> Origin:
    """The origin as browsers send it; ValueError for anything with a path."""
    if value == "*":
        return Origin("*")
    url = parse_web_url(value)
    if urlsplit(url).path:
        raise ValueError("an origin has no path")
    return Origin(url.lower())


def parse_viewer_base(value: object) -> ViewerBase:
    """ "" or a place without a slash at its end; ValueError for anything else."""
    if value == "":
        return ViewerBase("")
    return ViewerBase(parse_web_url(value))


def parse_server_url(value: object) -> ServerUrl:
    """The URL without a slash at its end; ValueError for anything else."""
    return ServerUrl(parse_web_url(value))


def parse_shared_link(value: object) -> SharedLink:
    """ "" or the URL; ValueError for anything else, and where nothing follows the host."""
    if value == "":
        return SharedLink("")
    url = parse_web_url(value)
    if not urlsplit(url).path:
        raise ValueError("not the address of a link")
    return SharedLink(url)


def parse_poll(value: object) -> PollSpan:
    """Seconds; ValueError for what is no duration, and below 1 s or above a day."""
    seconds = parse_duration(value)
    if not 1.0 <= seconds <= DURATION_UNITS["d"]:
        raise ValueError("not a span between two questions")
    return PollSpan(seconds)


def is_loopback(url: str) -> bool:
    """True if the URL's host is this machine by its name or number: what is sent there meets no network."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_identifier_base(value: object) -> IdentifierBase:
    """ "" or a place; ValueError for anything else, and where its path is empty or needs encoding.

    The path becomes a location of web servers, so it holds what is written the same everywhere.
    """
    if value == "":
        return IdentifierBase("")
    url = parse_web_url(value)
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", urlsplit(url).path):
        raise ValueError("not a plain path")
    return IdentifierBase(url)


def parse_identifier_slash(value: object) -> IdentifierSlash:
    """ "%2F", "/", or a substitute of characters that a file name and a URI can hold; ValueError for anything else."""
    if not isinstance(value, str) or not (value in {"%2F", "/"} or re.fullmatch(_SUBSTITUTE, value)):
        raise ValueError("not a slash")
    return IdentifierSlash(value)


PARSERS: Mapping[type, Callable[[object], object]] = {
    ByteSize: parse_size,
    Seconds: parse_duration,
    Path: parse_path,
    WebUrl: parse_web_url,
    Origin: parse_origin,
    ViewerBase: parse_viewer_base,
    ServerUrl: parse_server_url,
    SharedLink: parse_shared_link,
    PollSpan: parse_poll,
    IdentifierBase: parse_identifier_base,
    IdentifierSlash: parse_identifier_slash,
}

PathKey = Annotated[Path, Meta(description='an absolute path or one that begins with "~"')]
SizeKey = Annotated[ByteSize, Meta(description='a size such as "20 GiB" or a number of bytes')]
DurationKey = Annotated[Seconds, Meta(description='a duration such as "30 s" or a number of seconds')]
UrlKey = Annotated[
    WebUrl,
    Meta(
        description='an http or https URL without user, query and fragment, such as "https://photos.example.org/iiif"'
    ),
]
ServerUrlKey = Annotated[
    ServerUrl,
    Meta(description='an http or https URL without user, query and fragment, such as "https://photos.example.org"'),
]
SharedLinkKey = Annotated[
    SharedLink, Meta(description='"" or the URL of a shared link, such as "https://photos.example.org/share/KEY"')
]
PollKey = Annotated[PollSpan, Meta(description='a duration from "1 s" to "1 d", such as "30 s"')]
FlagKey = Annotated[bool, Meta(description="true or false")]
IdentifierBaseKey = Annotated[
    IdentifierBase,
    Meta(
        description='"" or an http or https URL with a path of A-Z a-z 0-9 . _ ~ -, such as "https://example.org/iiif/3"'
    ),
]
IdentifierSlashKey = Annotated[
    IdentifierSlash,
    Meta(description='"%2F", "/", or 1 to 16 ASCII characters that stand for a slash, such as ":"'),
]
