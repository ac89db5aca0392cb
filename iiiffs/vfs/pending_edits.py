"""What people said of assets and their provider was not told yet: it is shown as if it had been. Synchronous.

An edit names the asset as it was called when it was said: a file that was local then, or one that was replaced since.
A time that is kept (vfs.set_times) is of one asset alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import reduce

from iiiffs.model.gallery import AccountName, Asset, AssetId
from iiiffs.model.writing import Edit
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.set_times import is_kept_time


class PendingEdits:
    """Of one account. `current`: the id that is in use for another."""

    def __init__(self, account: AccountName, queue: Queue, current: Callable[[AssetId], AssetId]) -> None:
        self.serial = 0
        """Another number whenever an asset is shown with another time."""
        self._account = account
        self._queue = queue
        self._current = current
        self._by_asset: defaultdict[AssetId, dict[str, None]] = defaultdict(dict)
        self._keys: dict[str, AssetId] = {}
        items = queue.items(account)
        for item in items:
            self._changed(None, item)
        for item in items:
            self._became(item)
        queue.watch(self._changed)

    def of(self, asset: AssetId) -> Edit:
        """All of it, the last one said last. Refused ones say nothing."""
        waiting = [item.edit for item in self._items(asset) if item.edit is not None and item.stage is not Stage.FAILED]
        return reduce(Edit.then, waiting, Edit())

    def refusal(self, asset: AssetId) -> str | None:
        """Why the last one that was refused was."""
        refused = [item.reason for item in self._items(asset) if item.stage is Stage.FAILED]
        return refused[-1] if refused else None

    def dated(self, asset: Asset) -> Asset:
        """The asset with the time that it is to have."""
        mtime_ns = self.of(asset.id).mtime_ns if asset.id in self._by_asset else None
        return asset if mtime_ns is None or asset.is_local else replace(asset, mtime_ns=mtime_ns)

    def assets(self) -> set[AssetId]:
        """Those of which anything is said; not to be changed."""
        return set(self._by_asset)

    def __bool__(self) -> bool:
        """True if anything is said of any."""
        return bool(self._by_asset)

    def _items(self, asset: AssetId) -> list[Item]:
        found = (self._queue.get(id) for id in self._by_asset.get(asset, ()))
        return sorted(filter(None, found), key=lambda item: item.order)

    def _changed(self, before: Item | None, after: Item | None) -> None:
        """Rule: Queue.watch."""
        item = after or before
        if item is None or item.account != self._account:
            return
        if item.verb is Verb.EDIT:
            self._unlist(item.id)
            if after is not None:
                asset = after.assets[0]
                self._list(after.id, asset if is_kept_time(after) else self._current(asset))
            self.serial += 1
        elif after is not None and (before is None or before.sent is None):
            self._became(after)

    def _became(self, upload: Item) -> None:
        """What was said of the file, and of what it replaces, is said of the asset that it became."""
        if upload.verb is not Verb.UPLOAD or upload.sent is None:
            return
        for old in (AssetId(upload.id), *([] if upload.base is None else [upload.base.asset])):
            if old != upload.sent.id:
                for id in [item.id for item in self._items(old) if not is_kept_time(item)]:
                    self._unlist(id)
                    self._list(id, upload.sent.id)
                    self.serial += 1

    def _list(self, id: str, asset: AssetId) -> None:
        self._keys[id] = asset
        self._by_asset[asset][id] = None

    def _unlist(self, id: str) -> None:
        asset = self._keys.pop(id, None)
        if asset is not None:
            self._by_asset[asset].pop(id, None)
            if not self._by_asset[asset]:
                del self._by_asset[asset]
