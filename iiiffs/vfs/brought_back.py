"""What was to leave an album, and is brought to it by an upload: it stays, by the name of that upload.

`cp x.jpg y.jpg; rm x.jpg` says that the album is to hold those bytes, as y.jpg. Where equal bytes are one photo, to
take out what was x.jpg would take y.jpg with it, whichever is told first (DESIGN §4.3).
"""

from __future__ import annotations

from dataclasses import replace

from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.waiting_order import WaitingOrder


class BroughtBack:
    """Of one account."""

    def __init__(self, queue: Queue, order: WaitingOrder) -> None:
        self._queue = queue
        self._order = order

    def by(self, upload: Item) -> list[Item]:
        """What said that the album is not to hold what `upload`, which was sent, has become in it: without that."""
        assert upload.sent is not None, "an upload that was sent has become an asset"
        said = [*self._order.about(upload.sent.id), *self._order.taken_out_by_sum()]
        found = {item.id: item for item in said if self._is_here(item, upload)}
        return [left for item in found.values() if (left := self._without(item, upload)) != item]

    def _is_here(self, item: Item, upload: Item) -> bool:
        """It takes something out of the album, and not the file itself, which left it after it was written."""
        if item.verb is not Verb.TAKE_OUT or item.stage is Stage.FAILED:
            return False
        is_its_own = not {upload.id, upload.asset_id}.isdisjoint(item.assets)
        return self._order.album_of(item) == self._order.album_of(upload) and not is_its_own

    def _without(self, item: Item, upload: Item) -> Item:
        photo = None if upload.sent is None else upload.sent.id
        assets = tuple(asset for asset in item.assets if self._order.current(asset) != photo)
        return replace(item, assets=assets, earlier=tuple(sha1 for sha1 in item.earlier if sha1 != upload.sha1))


def says_nothing(item: Item) -> bool:
    """It takes nothing out any more."""
    return not (item.assets or item.earlier)
