"""Runs whose threads are never beside the loop: whatever a thread takes, the run is the same."""

from __future__ import annotations

import time
from functools import partial

import pytest
import trio
import trio.testing

from tests.harness.one_at_a_time import one_at_a_time


def test_of_two_threads_the_one_that_began_first_ends_first_however_long_it_takes() -> None:
    """The clock stands still meanwhile, and whoever waits until all is quiet waits for both."""
    ended: list[str] = []

    async def do(name: str, real_s: float) -> None:
        await trio.to_thread.run_sync(time.sleep, real_s)
        ended.append(name)

    async def main() -> None:
        one_at_a_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(do, "long", 0.02)
            await trio.lowlevel.cancel_shielded_checkpoint()
            nursery.start_soon(do, "short", 0.0)
            await trio.testing.wait_all_tasks_blocked()
            assert ended == ["long", "short"]
            assert trio.current_time() == 0

    trio.run(main, clock=trio.testing.MockClock())


def test_a_thread_is_answered_by_the_loop_and_its_errors_are_the_callers() -> None:
    """As trio has it of threads beside the loop."""

    async def half(number: int) -> int:
        await trio.lowlevel.checkpoint()
        if number % 2:
            raise ValueError(number)
        return number // 2

    def quarter(number: int) -> int:
        return trio.from_thread.run(half, trio.from_thread.run(half, number))

    async def main() -> None:
        one_at_a_time()
        assert await trio.to_thread.run_sync(quarter, 12) == 3
        with pytest.raises(ValueError, match="3"):
            await trio.to_thread.run_sync(partial(quarter, 6))

    trio.run(main)


def test_what_is_cancelled_ends_as_a_thread_would() -> None:
    """What may be abandoned answers nobody; what may not is waited for, and its place is free then."""

    async def main() -> None:
        one_at_a_time()
        limiter, done = trio.CapacityLimiter(1), []
        for is_abandoned in (True, False):
            with trio.CancelScope() as scope:
                work = partial(scope.cancel)
                await trio.to_thread.run_sync(work, abandon_on_cancel=is_abandoned, limiter=limiter)
                done.append(is_abandoned)
            assert limiter.borrowed_tokens == 0
        assert done == [False]

    trio.run(main)
