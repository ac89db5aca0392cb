"""Provider titles become legal, unique, stable file names (DESIGN §2.8).

Only for providers whose titles are not file names already; a real file keeps its name. What a name becomes depends
on the set of titles in the directory and on names given before, never on the order in which titles arrive.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Container, Mapping, Set
from hashlib import blake2b
from itertools import chain, count

from iiiffs.tree.junk import is_junk

NAME_BYTES_MAX = 255
REPLACEMENT = "_"
_PLAIN_BYTES_MAX = 200
_HOST_CHARACTERS_MAX = 32
_CONFLICT = re.compile(r" \(conflict [0-9]{4}-[0-9]{2}-[0-9]{2} [^()]*\)$")


def legal_name(title: str) -> str:
    """`title` as one path component: NFC, no '/', NUL or control characters, 1 to 255 bytes, never '.' or '..', nor
    litter (tree.junk), which no lookup finds."""
    if (
        title.isascii()
        and title.isprintable()
        and _PLAIN_BYTES_MAX >= len(title) > 2
        and "/" not in title
        and not is_junk(title)
    ):
        return title  # as nearly all are, and thirty times as fast
    text = unicodedata.normalize("NFC", title.encode("utf-8", "replace").decode("utf-8"))
    text = "".join(REPLACEMENT if _is_forbidden(character) else character for character in text)
    if is_junk(text):
        text = REPLACEMENT + text
    if text in ("", ".", ".."):
        return REPLACEMENT * max(1, len(text))
    return _shortened(text, "")


def assign_names(titles: Mapping[str, str], taken: Set[str], kept: Mapping[str, str]) -> dict[str, str]:
    """A unique legal name for each id of `titles`.

    `taken`: names that belong to others in this directory. `kept`: names given before; they stay as long as they are
    still free and made from the same title. Of equal names the smallest id has the plain one, the others a suffix
    from their id.
    """
    plain = {identity: legal_name(title) for identity, title in titles.items()}
    names: dict[str, str] = {}
    used = set(taken)
    for identity in sorted(kept.keys() & titles.keys()):
        name = kept[identity]
        if name not in used and _is_from(name, plain[identity], identity):
            names[identity] = name
            used.add(name)
    waiting: defaultdict[str, list[str]] = defaultdict(list)
    for identity in sorted(titles.keys() - names.keys()):
        waiting[plain[identity]].append(identity)
    suffixed: list[str] = []
    for name, (first, *others) in sorted(waiting.items()):
        if name in used:
            suffixed.append(first)
        else:
            names[first] = name
            used.add(name)
        suffixed += others
    for identity in suffixed:
        names[identity] = next(name for name in _candidates(plain[identity], identity) if name not in used)
        used.add(names[identity])
    return names


def conflict_name(name: str, date: str, host: str, taken: Container[str]) -> str:
    """What `name` is called where another has it: `name (conflict 2026-11-22 host).jpg`, as DESIGN §4.5 has it.

    `date`: of the day, "2026-11-22". `host`: of this machine; what no name may hold becomes "_". Never one of `taken`:
    the second is `name (conflict 2026-11-22 host 2).jpg`. Of a conflict's copy comes one of the file itself.
    """
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    plain = legal_name(_CONFLICT.sub("", stem) + dot + extension)
    host = legal_name(host.partition(".")[0])[:_HOST_CHARACTERS_MAX]
    marks = chain([""], (f" {number}" for number in count(2)))
    names = (_shortened(plain, f" (conflict {date} {host}{mark})") for mark in marks)
    return next(name for name in names if name not in taken)


def _is_forbidden(character: str) -> bool:
    return character == "/" or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _shortened(name: str, suffix: str) -> str:
    """`name` with `suffix` before its extension, cut to the limit at a character boundary."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > 16:
        stem, dot, extension = name, "", ""
    tail = suffix + dot + extension
    room = NAME_BYTES_MAX - len(tail.encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + tail


def _candidates(plain: str, identity: str) -> list[str]:
    digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    return [_shortened(plain, f" ({digest[:length]})") for length in range(6, len(digest) + 1)]


def _is_from(name: str, plain: str, identity: str) -> bool:
    return name == plain or name in _candidates(plain, identity)
