"""What was on its way when its answer was lost may have arrived: in an album that is a set, under the sum of its bytes.

Whoever removes such a file, or moves it to another album, says by that, that the album is not to hold it: a TAKE_OUT
whose `earlier` are those sums. Nobody is asked for it at once, so it can be said offline (DESIGN §4.6). Albums that
are folders are asked instead (`Removals.held`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from iiiffs.errors import AssetGone
from iiiffs.model.gallery import AccountName, AlbumId, Asset, AssetId
from iiiffs.providers.base import Provider
from iiiffs.sync.items import UNWANTED, Item, Stage, Verb, is_local_id
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.refused import about


def taken_back(queue: Queue, file: Item, earlier: tuple[bytes, ...], now_ns: int, *, stays: bool) -> Item:
    """What says that the album of `file` is not to hold it. `earlier`: its sums that may have arrived. `stays`: it is
    sent to another album all the same, and known by its id when it was; else what has its bytes is looked for."""
    return Item(
        queue.new_id(), queue.next_order(), file.account, Verb.TAKE_OUT, Stage.SETTLING, file.album, file.name, now_ns,
        assets=(AssetId(file.id),) if stays else (), earlier=earlier,
    )  # fmt: skip


def unwanted(making: Item) -> Item:
    """What removes the album that `making` may have made."""
    return replace(making, generation=UNWANTED, stage=Stage.READY, tries=0, reason=None)


def is_unanswered(item: Item) -> bool:
    """It says of bytes, not of an asset, that they are to be taken out."""
    return item.verb is Verb.TAKE_OUT and bool(item.earlier) and not item.assets


async def with_assets(provider: Provider, album: AlbumId, items: Iterable[Item]) -> list[Item]:
    """The items; those that say it of bytes, or of files that nobody has answered for, say it of the assets that have
    those bytes now. Errors: as Provider.listing."""
    items = list(items)
    if not any(_is_open(item) for item in items):
        return items
    try:
        there = (await provider.listing(album)).assets
    except AssetGone:
        return items
    return [replace(item, assets=_assets(item, there)) if _is_open(item) else item for item in items]


def _is_open(item: Item) -> bool:
    return item.verb is Verb.TAKE_OUT and bool(item.earlier)


def _assets(item: Item, there: Iterable[Asset]) -> tuple[AssetId, ...]:
    known = [asset for asset in item.assets if not is_local_id(asset)]
    return tuple(dict.fromkeys([*known, *(asset.id for asset in there if asset.checksum in item.earlier)]))


def caught_up(queue: Queue, before: Item | None, after: Item) -> Item:
    """Rule: Queue.complete. As `follow`, of what is said only after the file was sent, by whoever found it before."""
    if before is not None or after.verb not in (Verb.ADD, Verb.TAKE_OUT):
        return after
    for id in filter(is_local_id, after.assets):
        upload = queue.get(id)
        sent = None if upload is None or upload.stage is not Stage.SENT else upload.sent
        if sent is not None and after.verb is Verb.ADD:
            return replace(about(after, sent), assets=(sent.id,))
        if sent is not None:
            after = replace(after, assets=(*after.assets, sent.id))
    return after


Told = Callable[[AccountName, AlbumId], Iterable[Asset]]
"""What the provider told last of an album, as far as that is kept."""


def follow(queue: Queue, told: Told, before: Item | None, after: Item | None) -> None:
    """Rule: Queue.watch. What was said of a file, or of what it replaces, is said of the asset that it became.

    What goes on under other names (`Item.kept`) is meant by what names those, and by nothing else.

    Something is taken out by both ids: a listing from before tells of the old one. Before anybody answers, also by the
    sum of its new bytes, for they take over the albums of the old ones; but not what that album had of them before.
    """
    if after is None or after.verb is not Verb.UPLOAD:
        return
    if after.earlier and (before is None or before.earlier != after.earlier):
        for other in queue.about(after.asset_id):
            has_left = after.base is not None or other.album != after.album
            if other.verb is Verb.TAKE_OUT and has_left and not _has(queue, told, other, after):
                earlier = tuple(dict.fromkeys((*other.earlier, *after.earlier)))
                queue.note(replace(other, earlier=earlier))
    if after.sent is None or (before is not None and before.sent is not None):
        return
    sent = after.sent
    for old in {AssetId(after.id), after.asset_id} - {sent.id}:
        for other in queue.about(old):
            if old == after.asset_id and (other.album, other.name) in after.kept:
                continue
            if other.verb is Verb.EDIT and after.kept and other.stage is not Stage.KEPT:
                queue.note(replace(other, assets=(sent.id,)))
            elif other.verb is Verb.ADD:
                assets = tuple(sent.id if asset == old else asset for asset in other.assets)
                known = about(other, sent) if assets[0] == sent.id else other
                queue.note(replace(known, assets=assets))
            elif other.verb is Verb.TAKE_OUT and sent.id not in other.assets:
                is_there = after.sha1 not in other.earlier and _has(queue, told, other, after)
                assets = tuple(id for id in other.assets if id != old) if is_there else (*other.assets, sent.id)
                queue.note(replace(other, assets=assets))


def _has(queue: Queue, told: Told, out: Item, upload: Item) -> bool:
    """The album has what `upload` brings now, without it."""
    if upload.sha1 is None:
        return False
    sent = (item for item in queue.in_album(out.account, out.album) if item.id != upload.id and item.sent is not None)
    is_sent = any(item.verb is Verb.UPLOAD and item.sha1 == upload.sha1 for item in sent)
    return is_sent or any(asset.checksum == upload.sha1 for asset in told(out.account, out.album))
