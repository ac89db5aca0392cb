"""Texts as they may leave this package: valid Unicode, no control characters, bounded in length and number."""

from __future__ import annotations

import re
from collections.abc import Iterable

TEXT_CHARACTERS_MAX = 4_000
NAME_CHARACTERS_MAX = 200
NAMES_MAX = 200

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean_text(text: str) -> str:
    """`text` with lines ended by \\n, without controls and outer space, at most TEXT_CHARACTERS_MAX; "" if empty."""
    if text.isascii() and text.isprintable():
        return text[:TEXT_CHARACTERS_MAX].strip()
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()[:TEXT_CHARACTERS_MAX].strip()


def clean_name(text: str) -> str:
    """`text` on one line, at most NAME_CHARACTERS_MAX; "" if empty."""
    return " ".join(clean_text(text).split())[:NAME_CHARACTERS_MAX].rstrip()


def clean_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Every text as a name, once, in their order; the first NAMES_MAX of them."""
    found: dict[str, None] = {}
    for text in texts:
        if name := clean_name(text):
            found[name] = None
        if len(found) == NAMES_MAX:
            break
    return tuple(found)


def decoded(raw: bytes) -> str:
    """Bytes of no declared encoding: UTF-8 if they are valid UTF-8, else Latin-1 as Windows has it."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def camera_name(make: str, model: str) -> str | None:
    """Maker and model without saying the maker twice: "NIKON CORPORATION" and "NIKON D850" are "NIKON D850"."""
    make, model = _COMPANY.sub("", clean_name(make)).strip(" ,"), clean_name(model)
    if not model:
        return make or None
    if not make or model.casefold().startswith(make.split()[0].casefold()):
        return model
    return f"{make} {model}"


_COMPANY = re.compile(r"(?i)\b(?:imaging|corporation|corp\b\.?|company|co\b\.?|ltd\b\.?|inc\b\.?|optical|electric)")
