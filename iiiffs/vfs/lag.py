"""A gauge of how late the loop runs: what is frozen cannot say so, but it can say afterwards for how long it was."""

from __future__ import annotations

import time
from collections import deque

import trio

PERIOD_S = 0.05
WINDOW_S = 60.0
STEP_S = 1.0
"""The window is kept as one worst value for each of these."""


class LoopLag:
    """How many seconds later than asked for a sleeper woke; filled while `run` runs."""

    def __init__(self) -> None:
        self._max_s = 0.0
        self._worst: deque[tuple[float, float]] = deque(maxlen=int(WINDOW_S / STEP_S))

    @property
    def max_s(self) -> float:
        """The worst since the start."""
        return self._max_s

    def recent_s(self, now_s: float) -> float:
        """The worst of the last WINDOW_S before `now_s`, a time of `time.monotonic`."""
        return max((lag_s for began_s, lag_s in self._worst if now_s - began_s <= WINDOW_S), default=0.0)

    def record(self, now_s: float, lag_s: float) -> None:
        """One sleeper woke at `now_s`, `lag_s` too late."""
        self._max_s = max(self._max_s, lag_s)
        if self._worst and now_s - self._worst[-1][0] < STEP_S:
            began_s, worst_s = self._worst[-1]
            self._worst[-1] = (began_s, max(worst_s, lag_s))
        else:
            self._worst.append((now_s, lag_s))

    async def run(self) -> None:
        """Sleeps and measures for ever."""
        due_s = time.monotonic()
        while True:
            due_s += PERIOD_S
            await trio.sleep(max(0.0, due_s - time.monotonic()))
            now_s = time.monotonic()
            self.record(now_s, max(0.0, now_s - due_s))
            due_s = now_s
