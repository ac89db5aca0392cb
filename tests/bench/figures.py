"""How a bench says what it found: the least, the median and the most of its runs, and the machine they are of."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

RUNS = 5
"""Of every comparison."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What several runs gave."""

    least: float
    median: float
    most: float

    def shown(self, digits: int = 0) -> str:
        """min / median / max"""
        return " / ".join(f"{value:,.{digits}f}" for value in (self.least, self.median, self.most))


def spread(values: Iterable[float]) -> Spread:
    """Of at least one value."""
    found = list(values)
    return Spread(min(found), median(found), max(found))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """ours / theirs, run by run: the two of one run had the same machine and its noise."""
    return spread(our / their for our, their in zip(ours, theirs, strict=True))


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0 to 1) of all do not exceed. Rule: nearest rank."""
    found = sorted(values)
    rank = -int(-share * len(found) // 1)
    return found[max(rank, 1) - 1]


def machine() -> str:
    """The machine, for a report: a figure without it says nothing."""
    described = Path("/proc/cpuinfo").read_text()
    names = [line.split(":", 1)[1].strip() for line in described.splitlines() if line.startswith("model name")]
    total_kb = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({names[0] if names else platform.machine()}), {total_kb >> 20} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}; load of the last minute {load:.1f}"
    )
