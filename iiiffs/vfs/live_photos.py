"""The two halves of a live photo: beside IMG_1.HEIC its moving half is IMG_1~live.mov, which no listing holds. Pure."""

from __future__ import annotations

import re

from iiiffs.model.gallery import Asset
from iiiffs.tree.albums import AlbumNames

LIVE = re.compile(r"(?P<stem>.+)~live(?P<suffix>\.[A-Za-z0-9]{1,5})")


def still_of(name: str, names: AlbumNames) -> Asset | None:
    """The live photo whose moving half has that name in the album."""
    match = LIVE.fullmatch(name)
    if match is None:
        return None
    stills = (entry for shown, entry in names.entries.items() if shown.rpartition(".")[0] == match["stem"])
    return next((still for still in stills if isinstance(still, Asset) and still.motion is not None), None)


def is_half(half: Asset, name: str) -> bool:
    """True if the moving half of a live photo may have that name: its suffix is its own."""
    return _suffix(half.name) == _suffix(name)


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()
