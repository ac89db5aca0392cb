"""What goes into an album and what comes out of it, said to the provider in few calls instead of one a photo.

What was said last of an asset counts; a call takes CALL_ASSETS_MAX of them. One asset that spoils a whole call is found
by halves, so that the others do not suffer for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from iiiffs.errors import Rejected
from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.providers.writing import HasWriting
from iiiffs.sync.items import Item, Verb
from iiiffs.vfs.shelves import mark_of

CALL_ASSETS_MAX = 1000
HOPELESS = 8
"""So many assets were refused, one by one, and none taken: it is the call that is refused, whatever it is about."""

Call = Callable[[Sequence[AssetId]], Awaitable[Mapping[AssetId, str]]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an album is to hold and what not. Asset -> the id of the item that said so last; each in one of them."""

    into: Mapping[AssetId, str]
    out: Mapping[AssetId, str]


@dataclass(slots=True)
class Told:
    """What the provider said of it. `done`: assets that are as wanted. `refused`: asset -> why it is not."""

    done: set[AssetId] = field(default_factory=set)
    refused: dict[AssetId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of an item. `refused`: asset -> reason. `left`: its assets of which nothing was said yet."""

    item: Item
    refused: Mapping[AssetId, str]
    left: tuple[AssetId, ...]


def coalesced(items: Iterable[Item], current: Callable[[AssetId], AssetId]) -> Wanted:
    """What those of one album, in their order, come to. `current`: the id that is in use for another."""
    last: dict[AssetId, Item] = {}
    for item in items:
        for asset in item.assets:
            last[current(asset)] = item
    return Wanted(
        {asset: item.id for asset, item in last.items() if item.verb is Verb.ADD},
        {asset: item.id for asset, item in last.items() if item.verb is Verb.TAKE_OUT},
    )


async def tell(writing: HasWriting, album: AlbumId, wanted: Wanted, told: Told) -> None:
    """All of it is said of an album, of favorites/ or of a tag, and `told` says how it went; after an error, how far it
    went.

    What comes in is said before what goes out. Errors: as the provider's, but for Rejected.
    """
    mark = mark_of(album)
    into: Call = partial(writing.add, album) if mark is None else partial(writing.tag, mark)
    out: Call = partial(writing.take_out, album) if mark is None else partial(writing.untag, mark)
    for call, assets in ((into, wanted.into), (out, wanted.out)):
        for part in _parts(list(assets)):
            await _said(call, part, told)


def outcomes(items: Iterable[Item], wanted: Wanted, told: Told, current: Callable[[AssetId], AssetId]) -> list[Outcome]:
    """What becomes of each of the items that `wanted` was made of. A refusal is of the item that said it last."""
    said_last = {**wanted.into, **wanted.out}
    found = []
    for item in items:
        ids = {asset: current(asset) for asset in item.assets}
        refused = {
            asset: told.refused[id] for asset, id in ids.items() if id in told.refused and said_last.get(id) == item.id
        }
        left = tuple(asset for asset, id in ids.items() if id not in told.done and id not in told.refused)
        found.append(Outcome(item, refused, left))
    return found


async def _said(call: Call, assets: Sequence[AssetId], told: Told) -> None:
    """One call; where it is refused whole, its halves, and so on. Not recursive: the order of the assets stays."""
    waiting = [assets]
    done = refused = 0
    while waiting:
        part = waiting.pop()
        try:
            answer = await call(part)
        except Rejected as error:
            if len(part) > 1 and (done or refused < HOPELESS):
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
            else:
                refused += len(part)
                told.refused.update(dict.fromkeys(part, str(error)))
            continue
        told.refused.update(answer)
        told.done.update(asset for asset in part if asset not in answer)
        done += len(part) - len(answer)


def _parts(assets: Sequence[AssetId]) -> Iterator[Sequence[AssetId]]:
    for begin in range(0, len(assets), CALL_ASSETS_MAX):
        yield assets[begin : begin + CALL_ASSETS_MAX]
