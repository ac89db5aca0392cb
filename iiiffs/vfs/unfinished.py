"""Files whose end is missing, as an interrupted copy leaves them: they settle longer, and are reported (§4.4). So do
sidecars whose photo is not there yet."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial

import trio

from iiiffs.errors import StoreError
from iiiffs.sync.endings import is_whole
from iiiffs.sync.items import Item
from iiiffs.sync.stages import CHANGED_SINCE
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.sidecars import Sidecars

UNFINISHED_S = 60.0
UNFINISHED = "its end is missing"
ALONE_S = 600.0
ALONE_LOOK_S = 10.0
"""So often it is looked whether the photo has come, however it came."""
ALONE = "its photo is not there yet"


class Endings:
    """When files that were closed have settled, by what is at their end. Times are of trio's clock."""

    def __init__(self, queue: Queue, threads: trio.CapacityLimiter, sidecars: Sidecars) -> None:
        self._sidecars = sidecars
        self._queue = queue
        self._threads = threads
        self._closed_s: dict[str, float] = {}
        self._hurried: set[str] = set()
        self._looked_at: set[str] = set()

    def closed(self, id: str, now_s: float) -> None:
        """The file was closed just now."""
        self._closed_s[id] = now_s
        self._hurried.discard(id)

    def forget(self, id: str) -> None:
        """There is no such item."""
        self._closed_s.pop(id, None)
        self._hurried.discard(id)

    def hurry(self, ids: Iterable[str]) -> None:
        """These have settled, whatever is at their end, until they are closed again."""
        self._hurried.update(id for id in ids if id in self._closed_s)

    def begins(self, id: str) -> bool:
        """True if nobody looks at that file; then who asked is to call `until_s`."""
        if id in self._looked_at:
            return False
        self._looked_at.add(id)
        return True

    async def until_s(self, item: Item, now_s: float) -> float | None:
        """How long it must settle; None if it has. A file that cannot be read has: sending it tells why."""
        if self._sidecars.is_one(item):
            return await self._alone_until_s(item, now_s)
        latest_s = self._closed_s.get(item.id, now_s) + UNFINISHED_S
        try:
            if item.id in self._hurried or now_s >= latest_s:
                return None
            if item.reason != CHANGED_SINCE and await self._is_whole(item.id):
                return None
        except StoreError:
            return None
        finally:
            self._looked_at.discard(item.id)
        return None if item.id in self._hurried else latest_s

    async def _alone_until_s(self, item: Item, now_s: float) -> float | None:
        latest_s = self._closed_s.get(item.id, now_s) + ALONE_S
        try:
            if item.id in self._hurried or now_s >= latest_s or await self._sidecars.has_photo(item):
                return None
        finally:
            self._looked_at.discard(item.id)
        return None if item.id in self._hurried else min(latest_s, now_s + ALONE_LOOK_S)

    def reason(self, item: Item) -> str:
        """Why it settles longer."""
        return ALONE if self._sidecars.is_one(item) else UNFINISHED

    async def _is_whole(self, id: str) -> bool:
        look = partial(self._look, id)
        return await trio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=self._threads)

    def _look(self, id: str) -> bool:
        """Blocking. True also where the format does not tell."""
        descriptor = self._queue.spool.open(id, write=False)
        try:
            size_bytes = os.fstat(descriptor).st_size
            return is_whole(size_bytes, lambda offset, length: os.pread(descriptor, length, offset)) is not False
        except OSError as error:
            raise StoreError(f"the payload {id} cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)
