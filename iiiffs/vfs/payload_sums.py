"""The sums of what is about to be sent, taken in a thread; of small files while they settle: nobody waits then."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import trio

from iiiffs.cache.block_folder import sum_of as sum_of_block
from iiiffs.cache.whole import BYTES_MAX
from iiiffs.errors import Rejected, StoreError
from iiiffs.state.spool import Spool
from iiiffs.sync.blocks import BLOCK_BYTES, FIRST_BYTES, count_of
from iiiffs.sync.items import Item

AHEAD_BYTES, AHEAD_MAX = 64 << 20, 4096
"""Of larger files nothing is summed ahead: some programs open and close theirs many times. So many sums are kept."""


@dataclass(frozen=True, slots=True)
class Summed:
    """What the payload is, as it lies in the spool. `blocks`: the CRC-32 of each of its blocks (rule: sync.blocks), of
    the very bytes that have the SHA-1; none of a file that is too large to be kept as one."""

    sha1: bytes
    size_bytes: int
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A sum, and of what: `stamp` is the file's own."""

    generation: int
    stamp: tuple[int, ...]
    summed: Summed


class PayloadSums:
    """Of one account. `run` sums ahead."""

    def __init__(self, spool: Spool, current: Callable[[str], Item | None], threads: trio.CapacityLimiter) -> None:
        """`current`: the item of that id as it is now."""
        self._spool = spool
        self._current = current
        self._threads = threads
        self._wanted: dict[str, int] = {}
        self._ahead: dict[str, _Ahead] = {}
        self._more = trio.Event()

    def wants(self, item: Item) -> None:
        """It was closed, and will be sent if nobody opens it again."""
        self._ahead.pop(item.id, None)
        if 0 < item.size_bytes <= AHEAD_BYTES:
            self._wanted[item.id] = item.generation
            self._more.set()

    async def of(self, item: Item) -> Summed:
        """Rule: `sum_of`. What was summed ahead is taken once: another try sums anew."""
        self._wanted.pop(item.id, None)
        ahead = self._ahead.pop(item.id, None)
        if ahead is not None and ahead.generation == item.generation:
            stamp = await trio.to_thread.run_sync(self._stamp, item.id, limiter=self._threads)
            if stamp == ahead.stamp and ahead.summed.size_bytes >= item.size_bytes:
                return ahead.summed
        return await sum_of(self._spool, item, self._threads)

    async def run(self) -> NoReturn:
        """Sums ahead, one file after the other, until it is cancelled."""
        while True:
            while self._wanted:
                id = next(iter(self._wanted))
                generation = self._wanted.pop(id)
                item = self._current(id)
                if item is not None and item.generation == generation:
                    with suppress(StoreError, Rejected):  # who sends it is told
                        await self._sum_ahead(item)
            await self._more.wait()
            self._more = trio.Event()

    async def _sum_ahead(self, item: Item) -> None:
        stamp = await trio.to_thread.run_sync(self._stamp, item.id, limiter=self._threads)
        if stamp is None:
            return
        summed = await sum_of(self._spool, item, self._threads)
        now = self._current(item.id)
        if now is None or now.generation != item.generation:
            return
        if len(self._ahead) >= AHEAD_MAX:
            del self._ahead[next(iter(self._ahead))]
        self._ahead[item.id] = _Ahead(item.generation, stamp, summed)

    def _stamp(self, id: str) -> tuple[int, ...] | None:
        """Blocking. Another one once the file has been written to; None if it cannot be looked at."""
        try:
            found = self._spool.path(id).stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


async def sum_of(spool: Spool, item: Item, threads: trio.CapacityLimiter) -> Summed:
    """Of all its bytes. Errors: StoreError; Rejected if they are not all there."""
    is_over = threading.Event()
    try:
        summed = partial(_summed, os.fspath(spool.path(item.id)), is_over)
        found = await trio.to_thread.run_sync(summed, abandon_on_cancel=True, limiter=threads)
    except FileNotFoundError:
        raise Rejected("its bytes are not in the spool any more") from None
    except OSError as error:
        raise StoreError(f"the bytes of {item.name} cannot be read: {error.strerror}") from error
    finally:
        is_over.set()
    if found.size_bytes < item.size_bytes:
        raise Rejected(f"of its {item.size_bytes} bytes only {found.size_bytes} are in the spool")
    return found


def _summed(path: str, is_over: threading.Event) -> Summed:
    """Blocking; ends soon after `is_over`, with anything. Errors: OSError."""
    sha1 = hashlib.sha1(usedforsecurity=False)
    blocks: list[int] = []
    size_bytes = 0
    with open(path, "rb", buffering=0) as payload:  # noqa: PTH123
        while not is_over.is_set() and (data := payload.read(BLOCK_BYTES)):
            sha1.update(data)
            if size_bytes < BYTES_MAX:
                view = memoryview(data)
                parts = (view[:FIRST_BYTES], view[FIRST_BYTES:]) if not blocks else (view,)
                blocks += [sum_of_block(part) for part in parts if part]
            size_bytes += len(data)
    return Summed(sha1.digest(), size_bytes, tuple(blocks) if len(blocks) == count_of(size_bytes) else ())
