"""Which .xmp file stands beside which other: IMG_1.jpg.xmp (darktable, digiKam) or IMG_1.xmp (Adobe). Pure."""

from __future__ import annotations

from collections.abc import Iterable

_ENDING = ".xmp"


def sidecars(names: Iterable[str]) -> dict[str, str]:
    """File name -> name of its sidecar, for those of one folder that have one; the more special name wins.

    Case of the names does not matter, as cameras and programs do not agree on it; where two names differ by case alone,
    the same case wins, then the smaller name. Linear.
    """
    listed = sorted(names, reverse=True)  # so that the smallest of equals is put in last
    exact = {name for name in listed if is_sidecar(name)}
    folded = {name.lower(): name for name in listed if name in exact}
    found: dict[str, str] = {}
    for name in listed:
        if name in exact or not folded:
            continue
        for base in _bases(name):
            same_case = base + _ENDING
            sidecar = same_case if same_case in exact else folded.get(same_case.lower())
            if sidecar is not None:
                found[name] = sidecar
                break
    return found


def is_sidecar(name: str) -> bool:
    """True for the name of an .xmp file."""
    return name.lower().endswith(_ENDING)


def key_of(sidecar: str) -> str:
    """One of `keys_of` of every file that it may stand beside, and of no other's."""
    return sidecar[: -len(_ENDING)].lower()


def keys_of(name: str) -> frozenset[str]:
    """What `key_of` gives of the sidecars that may stand beside that file."""
    return frozenset(base.lower() for base in _bases(name))


def likely_beside(sidecar: str, suffixes: Iterable[str]) -> list[str]:
    """Names of files with one of these suffixes (lower case, with the dot) that it may stand beside, in the case that
    cameras and programs write."""
    base = sidecar[: -len(_ENDING)]
    return [base, *(base + written for suffix in suffixes for written in (suffix, suffix.upper()))]


def _bases(name: str) -> tuple[str, str]:
    return name, name.rpartition(".")[0] or name
