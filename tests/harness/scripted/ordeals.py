"""How a call of the provider suffers what the script says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import trio

from iiiffs.errors import (
    AccessDenied,
    AssetGone,
    IiiffsError,
    OverQuota,
    ProviderError,
    ProviderUnreachable,
    Rejected,
    VersionChanged,
)
from tests.harness.scripted.script import Fault, FaultKind, Script, Struck

T = TypeVar("T")
HELD_S = 0.02
"""Between two looks whether a fault that holds a call was taken away."""
REFUSALS: Mapping[FaultKind, type[ProviderError]] = {
    FaultKind.UNREACHABLE: ProviderUnreachable,
    FaultKind.DENIED: AccessDenied,
    FaultKind.REJECTED: Rejected,
    FaultKind.OVER_QUOTA: OverQuota,
    FaultKind.GONE: AssetGone,
    FaultKind.CHANGED: VersionChanged,
}


@dataclass(frozen=True, slots=True)
class Ordeal:
    """What one call suffers."""

    struck: tuple[Struck, ...]

    def fault(self, kind: FaultKind) -> Fault | None:
        """The first of that kind, if there is one."""
        return next((one.fault for one in self.struck if one.fault.kind is kind), None)


class Ordeals:
    """All calls of one provider. `trouble`: why the last one could not be asked; None if it was answered."""

    def __init__(self, script: Script, *, in_threads: bool) -> None:
        self._script = script
        self._in_threads = in_threads
        self.trouble: str | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` answers: of a thread, or at once in the loop, where a clock that jumps would not wait for it."""
        if self._in_threads:
            return await trio.to_thread.run_sync(work)
        await trio.lowlevel.checkpoint()
        return work()

    async def through(
        self, method: str, about: str, work: Callable[[Ordeal], Awaitable[T]], *, noted: bool = True
    ) -> T:
        """What `work` answers, noted in the script unless it is not to be, and with what the script has in store."""
        number, struck = await self.run(lambda: self._script.begin(method, about, noted=noted))
        outcome = "cancelled"
        try:
            ordeal = Ordeal(tuple(struck))
            answer = await self._suffered(method, ordeal, work)
            outcome, self.trouble = "answered", None
        except IiiffsError as error:
            outcome = type(error).__name__
            self.trouble = str(error) if isinstance(error, ProviderUnreachable) else None
            raise
        finally:
            self._script.end(number, outcome)
        return answer

    async def _suffered(self, method: str, ordeal: Ordeal, work: Callable[[Ordeal], Awaitable[T]]) -> T:
        for one in ordeal.struck:
            if one.fault.kind is FaultKind.LATENCY:
                await trio.sleep(one.fault.seconds)
            if one.fault.kind is FaultKind.HANG:
                await self._held(one)
        for one in ordeal.struck:
            if one.fault.kind in REFUSALS:
                raise REFUSALS[one.fault.kind](f"{method}: the script says {one.fault.kind}")
        if ordeal.fault(FaultKind.TWICE) is not None:
            await work(ordeal)
        answer = await work(ordeal)
        for one in ordeal.struck:
            if one.fault.kind is FaultKind.LATE:
                await trio.sleep(one.fault.seconds)
            if one.fault.kind is FaultKind.LOST_SILENTLY:
                await self._held(one)
            if one.fault.kind in (FaultKind.LOST, FaultKind.LOST_SILENTLY):
                raise ProviderUnreachable(f"{method}: the answer was lost")
        return answer

    async def _held(self, struck: Struck) -> None:
        """Until that fault is taken away."""
        while await self.run(lambda: self._script.holds(struck.number)):
            await trio.sleep(HELD_S)
