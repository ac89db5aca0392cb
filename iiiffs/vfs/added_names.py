"""A photo goes on under the name by which it was put into an album, where that is not its provider's.

Names are fixed where one asset of equal bytes is kept, and people have given some of them another one (rule:
iiiffs.state.given): who links or moves what they see does so by the name that they see (DESIGN §4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.state.given import Given, GivenNames
from iiiffs.sync.items import Item, Verb
from iiiffs.vfs.listings import Listings
from iiiffs.vfs.shelves import mark_of


async def keep_names(
    listings: Listings,
    given: GivenNames,
    items: Iterable[Item],
    done: Collection[AssetId],
    current: Callable[[AssetId], AssetId],
) -> None:
    """Those of `items` whose photo is among `done` go on under their names when they are no more: the album's listing
    was asked for since. `current`: the id that is in use for another. Errors: StoreFull, StoreError."""
    for item in items:
        if item.verb is not Verb.ADD or listings.capabilities.real_names or mark_of(item.album) is not None:
            continue
        asset, told = current(item.assets[0]), listings.told_last(item.album)[0]
        name = None if told is None or asset not in done else told.name_of(asset)
        if name not in (None, item.name):
            await given.give(item.account, item.album, item.name, Given(asset, also=item.also))


def has_another(listings: Listings, item: Item, asset: AssetId) -> bool:
    """The album has the photo already, by another name than that by which it is put into it now."""
    told = listings.told_last(AlbumId(item.album))[0]
    return told is not None and told.name_of(asset) not in (None, item.name)
