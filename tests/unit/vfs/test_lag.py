"""The gauge tells for how long something had to wait for the loop."""

from __future__ import annotations

import trio
import trio.testing

from iiiffs.vfs.lag import STEP_S, WINDOW_S, LoopLag


class Clock:
    """Stands still but for what a test lets pass."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def held_for(seconds: float, lag: LoopLag, clock: Clock) -> None:
    """One task holds the loop while the gauge runs."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.run)
        await trio.testing.wait_all_tasks_blocked()
        clock.now_s += seconds
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


def test_a_turn_that_takes_long_is_seen_whole_though_no_sleeper_was_due() -> None:
    clock = Clock()
    lag = LoopLag(clock)
    assert lag.max_s == 0
    trio.run(held_for, 0.015, lag, clock)
    assert abs(lag.max_s - 0.015) < 1e-9


def test_nothing_is_measured_while_it_does_not_run() -> None:
    clock = Clock()
    lag = LoopLag(clock)
    trio.run(held_for, 0.003, lag, clock)

    async def hold() -> None:
        await trio.lowlevel.checkpoint()
        clock.now_s += 5

    trio.run(hold)
    trio.run(held_for, 0.004, lag, clock)
    assert abs(lag.max_s - 0.004) < 1e-9


def test_the_worst_of_a_while_ago_is_only_the_worst_since_the_start() -> None:
    lag = LoopLag()
    lag.record(10.0, 0.5)
    lag.record(10.0 + STEP_S / 2, 0.2)
    lag.record(12.0, 0.1)
    assert (lag.max_s, lag.recent_s(12.0)) == (0.5, 0.5)
    assert (lag.max_s, lag.recent_s(10.5 + WINDOW_S)) == (0.5, 0.1)
    assert lag.recent_s(13.0 + WINDOW_S) == 0
