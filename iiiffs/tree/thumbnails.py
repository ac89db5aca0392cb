"""The shared thumbnail repository of a folder, as desktops look for it: names and sizes.

Rule: freedesktop Thumbnail Managing Standard 0.9, "Shared Thumbnail Repositories".
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from urllib.parse import quote

THUMBNAILS = ".sh_thumbnails"
BOXES_PX: Mapping[str, int] = {"normal": 128, "large": 256, "x-large": 512, "xx-large": 1024}
"""Directory of the repository -> the square, in px a side, that its thumbnails fit in."""

_PLAIN = "!$&'()*+,:=@"
"""What GLib leaves as it is in the URI of a file, besides letters, digits and "-._~"."""


def thumbnail_uri(name: str) -> str:
    """The Thumb::URI of the file `name`: relative to the folder that the repository is in. ASCII."""
    return "./" + quote(name.encode("utf-8", "surrogateescape"), safe=_PLAIN)


def thumbnail_names(name: str) -> set[str]:
    """Every name that a program may look up for the thumbnail of the file `name`.

    The rule says the MD5 of "the file name"; programs take the name's bytes or its URI's, with and without "./".
    """
    raw, uri = name.encode("utf-8", "surrogateescape"), thumbnail_uri(name).encode("ascii")
    spellings = (raw, b"./" + raw, uri.removeprefix(b"./"), uri)
    return {f"{md5(spelling, usedforsecurity=False).hexdigest()}.png" for spelling in spellings}
