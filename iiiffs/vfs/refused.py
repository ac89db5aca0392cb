"""Photos that their provider did not put into an album: shown there as files of their own until a person decides.

The name stays (DESIGN §4.6), and is no name of the photo: where the photo is, nothing is wrong with it.
"""

from __future__ import annotations

from dataclasses import replace

from iiiffs.errors import Forbidden
from iiiffs.model.gallery import Asset
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.tree.albums import AlbumNames

UNKNOWN_TYPE = "application/octet-stream"


def is_refused(item: Item) -> bool:
    """True of an adding that the provider refused."""
    return item.verb is Verb.ADD and item.stage is Stage.FAILED


def shown_refused(item: Item, told: AlbumNames | None) -> Asset | None:
    """What the name of a refused one shows: no picture, for the album does not hold it; nothing where the photo, or
    another of that name, is in the album after all. `told`: what the provider says of the album, if that is known."""
    asset = item.assets[0]
    if told is not None and (told.name_of(asset) is not None or told.get(item.name) is not None):
        return None
    return Asset(
        id=asset,
        album=item.album,
        name=item.name,
        version=item.version,
        size_bytes=item.size_bytes,
        mtime_ns=item.mtime_ns,
        changed_ns=max(item.mtime_ns, item.began_ns),
        media_type=UNKNOWN_TYPE,
    )


def about(item: Item, asset: Asset) -> Item:
    """An adding that knows what it is about, should it be refused. `asset`: that, as its provider has it."""
    return replace(item, sent=asset, size_bytes=asset.size_bytes or 0, mtime_ns=asset.mtime_ns)


def refuse_refused(item: Item) -> None:
    """Nothing. Errors: Forbidden for one that is refused: it has no bytes of its own to change."""
    if is_refused(item):
        raise Forbidden(f"{item.name} was not put into this album: {item.reason}; change it where it is")
