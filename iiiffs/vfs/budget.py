"""A budget of pixels: renders wait for room, first come first served."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class PixelBudget:
    """At most `pixels_max` are held by those inside; one that needs more than all of it goes alone."""

    def __init__(self, pixels_max: int) -> None:
        self._pixels_max = pixels_max
        self._held = 0
        self._queue: deque[tuple[int, trio.Event]] = deque()

    @property
    def held(self) -> int:
        """Pixels that are taken now."""
        return self._held

    @asynccontextmanager
    async def hold(self, pixels: int) -> AsyncIterator[None]:
        """Inside, `pixels` of the budget are taken."""
        wanted = min(pixels, self._pixels_max)
        if self._queue or self._held + wanted > self._pixels_max:
            await self._wait(wanted)
        else:
            self._held += wanted
        try:
            yield
        finally:
            self._held -= wanted
            self._admit()

    async def _wait(self, wanted: int) -> None:
        ticket = (wanted, trio.Event())
        self._queue.append(ticket)
        try:
            await ticket[1].wait()
        except trio.Cancelled:
            if ticket[1].is_set():
                self._held -= wanted
            else:
                self._queue.remove(ticket)
            self._admit()
            raise

    def _admit(self) -> None:
        while self._queue and self._held + self._queue[0][0] <= self._pixels_max:
            wanted, admitted = self._queue.popleft()
            self._held += wanted
            admitted.set()
