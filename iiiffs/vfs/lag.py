"""A gauge of how late the loop runs: what is frozen cannot say so, but it can say afterwards for how long it was.

Two things make an event wait. A turn of the loop that runs its tasks for long: each is measured, from poll to poll.
And a thread that holds the interpreter while the loop is at its poll: a sleeper wakes late.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import trio

PERIOD_S = 0.02
"""Of what a thread holds up while nothing else happens, up to so much is not seen."""
WINDOW_S = 60.0
STEP_S = 1.0
"""The window is kept as one worst value for each of these."""
FLOOR_S = 0.001
"""Shorter turns are not recorded: there are thousands of them a second."""


class LoopLag(trio.abc.Instrument):
    """For how many seconds something that happened had to wait for the loop, at worst; filled while `run` runs.

    Rule: trio.abc.Instrument: `after_io_wait` and `before_io_wait` are called around each poll.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._max_s = 0.0
        self._worst: deque[tuple[float, float]] = deque(maxlen=int(WINDOW_S / STEP_S))
        self._turn_s: float | None = None

    @property
    def max_s(self) -> float:
        """The worst since the start."""
        return self._max_s

    def recent_s(self, now_s: float) -> float:
        """The worst of the last WINDOW_S before `now_s`, a time of `time.monotonic`."""
        return max((lag_s for began_s, lag_s in self._worst if now_s - began_s <= WINDOW_S), default=0.0)

    def record(self, now_s: float, lag_s: float) -> None:
        """Something had waited for `lag_s` at `now_s`."""
        self._max_s = max(self._max_s, lag_s)
        if self._worst and now_s - self._worst[-1][0] < STEP_S:
            began_s, worst_s = self._worst[-1]
            self._worst[-1] = (began_s, max(worst_s, lag_s))
        else:
            self._worst.append((now_s, lag_s))

    def after_io_wait(self, timeout: float) -> None:
        """A turn begins."""
        self._turn_s = self._clock()

    def before_io_wait(self, timeout: float) -> None:
        """The turn is over: what came after its poll has waited since then."""
        if self._turn_s is None:
            return
        now_s = self._clock()
        if now_s - self._turn_s >= FLOOR_S:
            self.record(now_s, now_s - self._turn_s)

    async def run(self) -> None:
        """Measures for ever."""
        trio.lowlevel.add_instrument(self)
        try:
            due_s = self._clock()
            while True:
                due_s += PERIOD_S
                await trio.sleep(max(0.0, due_s - self._clock()))
                now_s = self._clock()
                self.record(now_s, max(0.0, now_s - due_s))
                due_s = now_s
        finally:
            trio.lowlevel.remove_instrument(self)
            self._turn_s = None
