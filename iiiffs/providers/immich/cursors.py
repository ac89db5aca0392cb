"""Where a view goes on: before a moment rather than at a page's number, which moves when something comes. Pure.

Answers are sorted by `fileCreatedAt`, and 2.x leaves the order of equal moments open, so that a burst may come twice or
never where a page ends within it (the research, §2). What was taken at the last moment of a part is in the next part
again; only within a burst that is longer than a part are numbers of pages gone by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Cursor:
    """A part of a view: page `page` of what has the visibility `kind` and was taken up to `before_ms`, since 1970."""

    kind: str
    page: int = 1
    before_ms: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.page}:{'' if self.before_ms is None else self.before_ms}"

    @property
    def is_within_burst(self) -> bool:
        """True if it counts pages."""
        return self.page > 1

    def following(self, taken_ms: Sequence[int | None]) -> Cursor:
        """The part after this one, which held what was taken then, in the answer's order."""
        times = [time for time in taken_ms if time is not None]
        is_sorted = len(times) == len(taken_ms) and times == sorted(times, reverse=True)
        if times and is_sorted:
            before_ms = times[-1] + 1  # the server's clock is finer than its answers
            if self.before_ms is None or before_ms < self.before_ms:
                return Cursor(self.kind, 1, before_ms)
        return replace(self, page=self.page + 1)


def cursor_of(text: str) -> Cursor | None:
    """What `str` of a Cursor says; None for anything else."""
    kind, _, rest = text.partition(":")
    page, _, before = rest.partition(":")
    numbers = [part.removeprefix("-") for part in (page, before or "0")]
    if not all(number.isascii() and number.isdecimal() and len(number) <= 15 for number in numbers) or int(page) < 1:
        return None
    return Cursor(kind, int(page), int(before) if before else None)
