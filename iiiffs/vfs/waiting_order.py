"""Which item of an account waits for which: in their order where that matters, and side by side where it does not.

    an upload       for the album that is still to be made
    anything        for the uploads that make its assets, and for those that replace them
    add, take out   for what was said before of the same asset in the same album
    take out        for what puts its asset into another album, so that no photo is in neither; for an upload on its
                    way that brings the same bytes to the album, which says whether they are to leave at all
    a sidecar       for its photo, which takes it along, where a provider takes the two together

What cannot be sent (FAILED) holds back only what makes no sense without it. Synchronous; asked anew before anything is
sent, so that nothing here has to foresee what people do meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterator, Sequence

from iiiffs.errors import Rejected
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.sync.items import Item, Stage, Verb, is_local_id
from iiiffs.vfs.beside import Beside, stands_beside
from iiiffs.vfs.crossing import Crossing, Leaving, leaving_of
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.shelves import mark_of

MEMBERSHIP = frozenset({Verb.ADD, Verb.TAKE_OUT})
TO_BE_SENT = frozenset({Stage.SETTLING, Stage.READY, Stage.SENDING})
NONE_OF_THEM: frozenset[str] = frozenset()
CURRENT_KEPT = 10_000
"""Ids of which it is known, without a look at the disk, what they have become."""


class WaitingOrder:
    """Of the items of one account. `changed` must be told of every change of one."""

    def __init__(self, account: AccountName, queue: Queue, beside: Beside | None = None) -> None:
        """`beside`: where sidecars go with their photos; it is told of every change here."""
        self.beside = beside
        self.crossing = Crossing()
        self._account = account
        self._queue = queue
        self._by_asset: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._assets: dict[str, set[str]] = {}
        self._current: dict[str, str] = {}
        self._of_bytes: dict[str, None] = {}
        """Ids of those that say of bytes, not of an asset alone, that they are to be taken out."""
        for item in queue.items(account):
            self._list(item)

    def current(self, id: str) -> str:
        """The id that is in use for what was `id`."""
        known = self._current.get(id)
        if known is None:
            if len(self._current) >= CURRENT_KEPT:
                self._current.clear()
            known = self._current[id] = self._queue.successors.successor(self._account, id) or id
        return known

    async def record(self, old: str, new: str) -> None:
        """`new` has taken the place of `old`, on disk too. Errors: StoreFull, StoreError."""
        if self._queue.successors.successor(self._account, old) != new:
            await self._queue.successors.record(self._account, old, new)
        self._current.clear()

    def album_of(self, item: Item) -> AlbumId:
        """Where it is to be sent."""
        return AlbumId(self.current(item.album))

    def changed(self, before: Item | None, after: Item | None) -> None:
        """An item has come, is another, or has gone."""
        if self.beside is not None:
            self.beside.changed(before, after)
        if after is None:
            assert before is not None, "something has changed"
            self._unlist(before.id)
        elif before is None or _said(before) != _said(after):
            self._unlist(after.id)
            self._list(after)
        if after is not None and after.sent is not None and after.verb is Verb.UPLOAD:
            self._became(after, after.sent.id)

    def about(self, asset: AssetId) -> list[Item]:
        """The items that say something of it, in their order."""
        return sorted(self._sharing({asset}), key=lambda item: item.order)

    def taken_out_by_sum(self) -> list[Item]:
        """Those that say of bytes that an album is not to hold them."""
        return [item for id in self._of_bytes if (item := self._queue.get(id)) is not None]

    def departs(self, items: Sequence[Item]) -> None:
        """They go in one call, until `landed`."""
        gone = [item for item in items if item.verb is Verb.TAKE_OUT]
        if gone:
            self.crossing.leaves(items[0].id, self._leaving(*gone))

    def landed(self, items: Sequence[Item]) -> None:
        """Nothing of that call goes on."""
        self.crossing.over(items[0].id)

    def blocker(
        self, item: Item, flying: Container[str] = NONE_OF_THEM, beside: Container[str] = NONE_OF_THEM
    ) -> str | None:
        """The id of an item that must be dealt with before; None if it may be sent now.

        `flying`: ids of items that are being sent. `beside`: of those that are sent with it, in one call.
        Errors: Rejected if what it needs was thrown away.
        """
        if is_local_id(item.album) and self.current(item.album) == item.album:
            return self._maker(item.album, "its album was never made: that was given up")
        if self.beside is not None and stands_beside(item):
            return self.beside.comes_first(item)
        assets = _assets_of(item)
        for asset in sorted(assets):
            if is_local_id(asset) and asset != item.id and self.current(asset) == asset:
                return self._maker(asset, "one of its files was never sent: that was given up")
        for other in self._sharing(assets):
            if other.id == item.id or other.id in beside or item.id in other.assets:
                continue  # what is said of a file waits for it, however late it got its place
            if self._is_unrecorded(other) or (
                _holds_back(other, item)
                if other.order < item.order
                else other.id in flying and _holds_back(item, other)
            ):
                return other.id
        return self.crossing.brings(self._leaving(item)) if item.verb is Verb.TAKE_OUT else None

    def is_free(self, item: Item, flying: Container[str], beside: Container[str]) -> bool:
        """It waits for nothing, and will not for ever. Rule: `blocker`."""
        try:
            return self.blocker(item, flying, beside) is None
        except Rejected:
            return False

    def _leaving(self, *items: Item) -> Leaving:
        sums = ((*(() if item.sha1 is None else (item.sha1,)), *item.earlier) for item in items)
        return leaving_of(self.album_of(items[0]), sums)

    def _is_unrecorded(self, upload: Item) -> bool:
        """It was sent just now, and what was said of the asset that it replaced would still be told of that one."""
        old = upload.ends
        if old is None or upload.sent is None:
            return False
        return old != upload.sent.id and self.current(old) == old

    def _maker(self, id: str, reason: str) -> str:
        if self._queue.get(id) is None:
            raise Rejected(reason)
        return id

    def _sharing(self, assets: Collection[str]) -> Iterator[Item]:
        ids = {id for asset in assets for name in (asset, self.current(asset)) for id in self._by_asset.get(name, ())}
        return (item for id in ids if (item := self._queue.get(id)) is not None)

    def _list(self, item: Item) -> None:
        assets = self._assets[item.id] = {name for asset in _assets_of(item) for name in (asset, self.current(asset))}
        for asset in assets:
            self._by_asset[asset][item.id] = None
        if item.verb is Verb.TAKE_OUT and item.earlier:
            self._of_bytes[item.id] = None

    def _unlist(self, id: str) -> None:
        self._of_bytes.pop(id, None)
        for asset in self._assets.pop(id, ()):
            self._by_asset[asset].pop(id, None)
            if not self._by_asset[asset]:
                del self._by_asset[asset]

    def _became(self, upload: Item, asset: AssetId) -> None:
        """What was said of the file is said of the asset that it became."""
        for id in [id for name in _assets_of(upload) for id in self._by_asset.get(name, ())]:
            self._assets[id].add(asset)
            self._by_asset[asset][id] = None


def _said(item: Item) -> tuple[object, ...]:
    return item.assets, item.base, item.earlier


def _assets_of(item: Item) -> set[str]:
    if item.verb is Verb.UPLOAD:
        return {item.id} if item.base is None else {item.id, item.base.asset}
    return set(item.assets)


def _holds_back(earlier: Item, later: Item) -> bool:
    """True if `later`, of the same asset, is sent after `earlier`."""
    is_said = any(mark_of(item.album) is not None for item in (earlier, later))  # which is no place to be in
    is_move = earlier.verb is Verb.ADD and later.verb is Verb.TAKE_OUT and not is_said
    if earlier.stage is Stage.FAILED:
        return is_move and earlier.album != later.album
    if earlier.stage not in TO_BE_SENT:
        return _may_have_replaced(earlier) and later.verb is not Verb.UPLOAD
    if earlier.verb in MEMBERSHIP and later.verb in MEMBERSHIP:
        return is_move or earlier.album == later.album
    return earlier.verb is later.verb or Verb.UPLOAD in (earlier.verb, later.verb)


def _may_have_replaced(upload: Item) -> bool:
    """A program has it open, and new bytes of an asset were sent before that: nobody knows which asset is there now."""
    is_here = upload.verb is Verb.UPLOAD and upload.stage in (Stage.OPEN, Stage.SCRATCH)
    return is_here and upload.base is not None and bool(upload.earlier)
