"""Uploads whose asset a later one has replaced before any listing told of it: no listing ever will.

They are no more in the moment in which the later one is SENT. One that was left, if only for a moment, would show under
its name an asset that lies in the trash; and a program that writes then would be in conflict with itself.
"""

from __future__ import annotations

from iiiffs.model.gallery import Asset
from iiiffs.state.given import Given
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.waiting_order import WaitingOrder


async def outlived_by(item: Item, asset: Asset, order: WaitingOrder, queue: Queue) -> list[str]:
    """Ids of uploads to the same album whose asset is no more, now that `item` has become `asset`.

    Copies under whose names it goes on are none of them. Their own ids and their other names lead to what takes their
    place, on disk too. Errors: StoreFull, StoreError.
    """
    if item.base is None or item.base.asset == asset.id:
        return []
    found = []
    for other in queue.in_album(item.account, item.album):
        is_sent = other.verb is Verb.UPLOAD and other.stage is Stage.SENT
        if is_sent and other.sent is not None and other.sent.id == item.base.asset:
            if (other.album, other.name) in item.kept:
                continue
            found.append(other.id)
            await order.record(other.id, asset.id if item.kept else other.sent.id)
            if other.name != item.name:  # another name for it, which no listing has been asked for yet
                await queue.notes.given.give(item.account, item.album, other.name, Given(asset.id, also=other.also))
    return found
