"""Copies that became names of a photo which was there already: read, they are that photo; written, files of their own.

A library that keeps equal bytes once makes no second photo of `cp a.jpg copy.jpg` (rule: iiiffs.state.given). Whoever
writes under such a name means the copy, and never the photo that has its own name somewhere else (DESIGN §4.3).
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Protocol

from iiiffs.model.gallery import AccountName, AlbumId, Asset, AssetId
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.tree.names import legal_name
from iiiffs.tree.nodes import Copy, Original
from iiiffs.vfs.arrivals import Arrivals
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.listings import has_told_bytes
from iiiffs.vfs.queue import Queue


class Shown(Protocol):
    """Rule: vfs.overlay.Overlay."""

    def named(self, album: AlbumId, name: str) -> Iterable[str]:
        """The ids of the items that show something under the name."""
        ...

    def item_of(self, asset: AssetId) -> Item | None:
        """The upload that replaces the asset, if one waits."""
        ...

    async def take_name(self, album: AlbumId, name: str, asset: AssetId) -> bool:
        """The asset goes by `name` no more; True if it is still in the album."""
        ...


class Copies:
    """Those of one account."""

    def __init__(
        self,
        account: AccountName,
        queue: Queue,
        flights: Flights,
        arrivals: Arrivals,
        shown: Shown,
    ) -> None:
        self._account = account
        self._queue = queue
        self._flights = flights
        self._arrivals = arrivals
        self._shown = shown

    def node(self, account: AccountName, asset: Asset, album: AlbumId, name: str) -> Original:
        """The asset as `name` shows it in the album. `account`: as nodes call it."""
        if self.is_copy(asset, album, name):
            return Copy(account, asset.id, asset.version, album, name)
        return Original(account, asset.id, asset.version)

    def is_copy(self, asset: Asset, album: AlbumId, name: str) -> bool:
        """The name was given to the asset by a copy: the asset itself goes by another one."""
        if self._arrivals.real_names or asset.is_local:
            return False
        given = self._queue.notes.given.of(self._account, album).get(name)
        if given is not None and given.asset == asset.id:
            return given.also or is_another(asset.name, name)
        sent = [item for item in self._arrivals.of(album, asset.id) if item.name == name]
        return any(item.also or is_another(asset.name, name_of(item)) for item in sent)

    def also(self, item: Item, asset: Asset) -> bool | None:
        """Rule: Item.also, of a copy that got the bytes again whose name it was, or came with the photo itself, before
        any listing told of that; None of anything else."""
        if self._arrivals.real_names or item.base is not None:
            return None
        given = self._queue.notes.given.of(self._account, item.album).get(item.name)
        if given is not None and given.asset == asset.id:
            return given.also
        arrived = self._arrivals.of(item.album, asset.id)
        again = [one for one in arrived if one.name == item.name and one.base is None]
        if again:
            return again[-1].also
        return legal_name(asset.name) != item.name if arrived else None

    def asset_of(self, album: AlbumId, name: str) -> AssetId | None:
        """What the name was given to there, though a file of its own may wait under it now."""
        given = self._queue.notes.given.of(self._account, album).get(name)
        if given is not None:
            return given.asset
        for id in self._shown.named(album, name):
            item = self._queue.get(id)
            if item is not None and item.sent is not None and self.is_copy(item.sent, album, name):
                return item.sent.id
        return None

    def changed(self, before: Item | None, after: Item | None) -> None:
        """An item is another; rule: Queue.watch. Bytes of its own that were sent end what the name was given to."""
        if after is None or after.sent is None or after.verb is not Verb.UPLOAD:
            return
        is_news = before is None or before.sent is None
        own = (None, after.sent.id, None if after.base is None else after.base.asset)
        if is_news and self.asset_of(after.album, after.name) not in own:
            work = partial(self.leave, after.album, after.name, after.sent.id)
            self._flights.begin(("left", self._account, after.id), work)

    async def leave(self, album: AlbumId, name: str, now: AssetId | None = None) -> None:
        """The name was given to nothing there but, at most, `now`; a photo that was in the album by that name alone is
        taken out of it. Errors: StoreFull, StoreError."""
        if self._arrivals.real_names:
            return
        asset = self.asset_of(album, name)
        is_there = asset is not None and self._has_bytes(album, asset)  # before lists tell of what has its place
        if asset in (None, now) or asset is None or await self._shown.take_name(album, name, asset):
            return
        heir = self._heir(album, name, asset)
        if heir != asset and (heir == now or is_there or self._is_named(album, heir)):
            return  # what has taken its place is there by a name of its own
        id, order, now_ns = self._queue.new_id(), self._queue.next_order(), time.time_ns()
        assets = (asset,) if heir == asset else (asset, heir)  # whichever of the two the album is told to hold
        item = Item(id, order, self._account, Verb.TAKE_OUT, Stage.SETTLING, album, name, now_ns, assets=assets)
        self._queue.note(item)

    def _heir(self, album: AlbumId, name: str, asset: AssetId) -> AssetId:
        """What has taken the place of the photo, in its albums too; itself if it goes on there under that name."""
        item = self._shown.item_of(asset)
        if item is not None and (album, name) in item.kept:
            return asset
        if item is not None and item.sent is not None:
            return item.sent.id
        return AssetId(self._queue.successors.successor(self._account, asset) or asset)

    def _has_bytes(self, album: AlbumId, asset: AssetId) -> bool:
        """The album was told last to hold what takes the place of the asset, beside that."""
        item, told = self._shown.item_of(asset), self._arrivals.listings.told_last(album)[0]
        is_before = told is not None and told.name_of(asset) is not None
        return is_before and item is not None and has_told_bytes(self._arrivals.listings, replace(item, album=album))

    def _is_named(self, album: AlbumId, asset: AssetId) -> bool:
        given = self._queue.notes.given.of(self._account, album).values()
        return bool(self._arrivals.of(album, asset)) or any(one.asset == asset for one in given)


def name_of(item: Item) -> str:
    """By which what it brings would be known, if nobody had had these bytes: new bytes leave a photo its own."""
    return item.name if item.base is None else item.base.name


def is_another(own: str, name: str) -> bool:
    """The photo was there under a name of its own: not one that its server made of `name`, by changing signs of it."""
    return _plain(own) != _plain(name)


def _plain(name: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())
