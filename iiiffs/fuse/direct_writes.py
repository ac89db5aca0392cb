"""What is written past the kernel's page cache, and what the kernel may keep of it: pure bookkeeping.

A new file that its program can only write (O_WRONLY: nobody can map such an open) is written straight to us: its bytes
are in memory once, in the payload's own pages, and not twice. Kernels before 6.6 leave pages in their cache as they are
when others write past it (Linux 80e4f25262f9), so no page of the file may be there as long as such a program writes:
whoever opens it meanwhile passes the cache by too, and who does so first afterwards has it emptied, for a private
mapping fills it even then.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class Caching(NamedTuple):
    """For one open. `is_direct`: it passes the page cache by. `keeps`: pages of earlier opens are good."""

    is_direct: bool
    keeps: bool


KEPT = Caching(is_direct=False, keeps=True)
EMPTIED = Caching(is_direct=False, keeps=False)
PASSED_BY = Caching(is_direct=True, keeps=False)


class DirectWrites:
    """By inode number. Nothing is held of files that nobody writes so, but for those whose pages are in doubt."""

    def __init__(self) -> None:
        self._writers: Counter[int] = Counter()
        self._doubted: set[int] = set()

    def __len__(self) -> int:
        return len(self._writers) + len(self._doubted)

    def made(self, number: int, flags: int, *, is_new: bool) -> Caching:
        """For the open that made the file. `is_new`: the kernel had no inode of it before, so it has no page."""
        if not is_new or flags & os.O_ACCMODE != os.O_WRONLY:
            return self.opened(number, flags)
        self._writers[number] += 1
        return PASSED_BY

    def opened(self, number: int, flags: int) -> Caching:
        """For any other open. One that can write, too, and comes meanwhile, goes on as it began: the file has no pages
        until the last of them is closed."""
        if number in self._writers:
            self._doubted.add(number)
            self._writers[number] += can_write(flags)
            return PASSED_BY
        if number in self._doubted:
            self._doubted.discard(number)
            return EMPTIED
        return KEPT

    def closed(self, number: int) -> None:
        """An open that passed the cache by, and could write, is over."""
        self._writers[number] -= 1
        if not self._writers[number]:
            del self._writers[number]

    def forgotten(self, numbers: Iterable[int]) -> None:
        """The kernel has no inode of these, and so no page."""
        if self._doubted:
            self._doubted.difference_update(numbers)


def can_write(flags: int) -> bool:
    """An open with these may write."""
    return flags & os.O_ACCMODE != os.O_RDONLY
