"""A photo goes on under the name by which it was put into an album, where that is not its provider's.

Names are fixed where one asset of equal bytes is kept, and people have given some of them another one (rule:
iiiffs.state.given): who links or moves what they see does so by the name that they see (DESIGN §4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId
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


@dataclass(frozen=True, slots=True)
class OwnName:
    """What the provider tells of an album under a name."""

    name: str
    entry: Album | Asset


def own_name(listings: Listings, item: Item, asset: AssetId) -> OwnName | None:
    """What the album has the photo as already, if that is another name than that by which it is put into it now."""
    told = listings.told_last(AlbumId(item.album))[0]
    name = None if told is None else told.name_of(asset)
    entry = None if told is None or name is None else told.get(name)
    return None if name is None or entry is None or name == item.name else OwnName(name, entry)
