"""What else the machine did during a run: without it, a slow run says nothing of us.

A yardstick of one thread does not see another process that computes, while a run that needs both cores loses one of
them to it (measured 2026-11: 0.56 to 0.61 x instead of 0.79 to 0.92 x).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
QUIET_CORES = 0.2
"""A run is quiet if all other processes together had less than this of a core."""
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq. Rule: proc_stat(5), as all numbers here
_IDLE = (3, 4)
_STEAL = 7


@dataclass(frozen=True, slots=True)
class Load:
    """Of a span of time: cores that others had, that nobody had, and that the host did not give us."""

    others: float
    idle: float
    steal: float

    @property
    def is_quiet(self) -> bool:
        """Others can have cost us little."""
        return self.others + self.steal < QUIET_CORES

    def shown(self) -> str:
        """In words."""
        return f"others had {self.others:.2f} cores, steal {self.steal:.2f}, idle {self.idle:.2f}"


class Watch:
    """Begins when it is made. Ours is this process and all that it started, if it has not ended before `load`."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._machine = _machine_s()
        self._ours_s = _ours_s()

    def load(self) -> Load:
        """Since the beginning."""
        took_s = time.monotonic() - self._began_s
        spent = [after - before for before, after in zip(self._machine, _machine_s(), strict=True)]
        others_s = sum(spent[index] for index in _BUSY) - (_ours_s() - self._ours_s)
        idle_s = sum(spent[index] for index in _IDLE)
        return Load(max(0.0, others_s) / took_s, idle_s / took_s, spent[_STEAL] / took_s)


def _machine_s() -> list[float]:
    total = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return [int(ticks) * TICK_S for ticks in total[: _STEAL + 1]]


def _ours_s() -> float:
    """Processor time of this process and all below it, its threads included."""
    spent: dict[int, float] = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rsplit(") ", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
            number = int(folder.name)
            parents[number] = int(fields[1])
            spent[number] = (int(fields[11]) + int(fields[12])) * TICK_S
    return sum(seconds for number, seconds in spent.items() if _is_below(number, parents))


def _is_below(number: int, parents: dict[int, int]) -> bool:
    while number > 1:
        if number == os.getpid():
            return True
        number = parents.get(number, 0)
    return False
