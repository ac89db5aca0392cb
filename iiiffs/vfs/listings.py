"""What lies over an account's albums asks of what the provider tells of them."""

from __future__ import annotations

from typing import Protocol

import trio

from iiiffs.errors import AssetGone, IiiffsError
from iiiffs.model.gallery import AlbumId, Asset, AssetId
from iiiffs.providers.base import Capabilities
from iiiffs.sync.items import Item
from iiiffs.tree.albums import AlbumNames

TRIES = 2
"""While the first is on its way, something may change."""


class Listings(Protocol):
    """What an account's provider tells of its albums. Rule of all: vfs.gallery.Gallery."""

    @property
    def capabilities(self) -> Capabilities:
        """What the provider can do."""
        ...

    async def told(self, album: AlbumId, *, anew: bool = False) -> AlbumNames:
        """What the provider has; asked, where the last answer is not good any more. `anew`: asked in any case, and
        waited for as long as for a first one, while readers are told what is known; errors: ProviderUnreachable,
        DeadlinePassed."""
        ...

    def told_last(self, album: AlbumId) -> tuple[AlbumNames | None, float]:
        """The last answer, if it is kept, and when it was asked for; -inf if it is not good any more."""
        ...

    def expire(self, album: AlbumId | None) -> None:
        """The last answer is not good any more."""
        ...

    async def remembered(self, album: AlbumId) -> None:
        """What was told last is known after a kill too."""
        ...


async def told_anew(listings: Listings, album: AlbumId) -> bool:
    """What is kept of the album was asked for after this, and survives a kill; False if it cannot be had now."""
    since_s = trio.current_time()
    listings.expire(album)
    for _ in range(TRIES):
        try:
            await listings.told(album, anew=True)
        except AssetGone:
            return True
        except IiiffsError:
            return False
        if listings.told_last(album)[1] >= since_s:
            await listings.remembered(album)
            return True
    return False


def has_told_bytes(listings: Listings, item: Item) -> bool:
    """The item's album was told last to hold its bytes, as another asset than what it is for."""
    told, _ = listings.told_last(item.album)
    assets = () if told is None else told.listing.assets
    return item.sha1 in {one.checksum for one in assets if one.id != item.asset_id}


def is_told_otherwise(listings: Listings, item: Item, asset: AssetId) -> bool:
    """The item's album was told last to hold the asset under another name; not under one that it has only as long as
    what the item replaces, and is called the same, stands beside it: a kill came between the two."""
    told, _ = listings.told_last(item.album)
    if told is None or told.name_of(asset) in (None, item.name):
        return False
    is_alone = item.base is None or told.name_of(item.base.asset) is None
    return is_alone or (item.base is not None and is_beside(listings, item.album, item.base.asset, asset))


def is_beside(listings: Listings, album: AlbumId, old: AssetId, new: AssetId) -> bool:
    """The album was told last to hold both, and they are called otherwise: none is there in the place of the other."""
    told, _ = listings.told_last(album)
    names = [None if told is None else told.name_of(asset) for asset in (old, new)]
    found = [None if told is None or name is None else told.get(name) for name in names]
    return len({one.name for one in found if isinstance(one, Asset)}) > 1
