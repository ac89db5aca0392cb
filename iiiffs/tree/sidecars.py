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
    exact = {name for name in listed if name.lower().endswith(_ENDING)}
    folded = {name.lower(): name for name in listed if name in exact}
    found: dict[str, str] = {}
    for name in listed:
        if name in exact or not folded:
            continue
        stem = name.rpartition(".")[0] or name
        for base in (name, stem):
            same_case = base + _ENDING
            sidecar = same_case if same_case in exact else folded.get(same_case.lower())
            if sidecar is not None:
                found[name] = sidecar
                break
    return found
