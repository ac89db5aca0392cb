"""The threads that render: first come first served, and a word on whether anybody waits for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class RenderThreads:
    """At most `count` jobs run at once. Who works ahead asks for `spare` before each small job, so that what somebody
    waits for comes next."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._limiter = trio.CapacityLimiter(count)
        self._ended = trio.Event()

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """`work(*args)`, done in a thread. If cancelled, it goes on there and its result is dropped."""
        try:
            return await trio.to_thread.run_sync(work, *args, limiter=self._limiter, abandon_on_cancel=True)
        finally:
            ended, self._ended = self._ended, trio.Event()
            ended.set()

    async def spare(self) -> None:
        """Nobody waits for a thread: who asks for one now is next."""
        while self._limiter.statistics().tasks_waiting:
            await self._ended.wait()
