"""Looking at a mount as programs do, and waiting for what it shows a moment later."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from iiiffs.vfs.xattrs import ALL, UNTOLD

ASKED_FOR = sorted(ALL - UNTOLD)
SEEN_S = 3.0
"""A change underneath is seen within this (issue 2)."""

T = TypeVar("T")


def names(folder: Path) -> list[str]:
    """What is listed in `folder`, sorted; each name as often as it was told."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def attributes(path: str | Path) -> dict[str, str]:
    """Name without `user.` -> value, of those attributes of ours that take no question; none of them is in a list."""
    found = {}
    for name in ASKED_FOR:
        try:
            found[name.removeprefix("user.")] = os.getxattr(path, name).decode()
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
    return found


def errno_of(question: Callable[[], object]) -> int:
    """The errno that `question` fails with; 0 if it does not."""
    try:
        question()
    except OSError as error:
        return error.errno or -1
    return 0


def eventually(question: Callable[[], T], wanted: Callable[[T], bool] = bool, deadline_s: float = SEEN_S) -> T:
    """The first answer that is `wanted`; AssertionError with the last one after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            answer: T | OSError = question()
        except OSError as error:
            answer = error
        if not isinstance(answer, OSError) and wanted(answer):
            return answer
        assert time.monotonic() < end, f"not within {deadline_s} s; the last answer was {answer!r}"
        time.sleep(0.05)


def drop_kernel_caches() -> None:
    """The kernel forgets names and inodes that nobody uses, and clean pages."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def walk(root: Path) -> Iterator[os.DirEntry[str]]:
    """Every entry below `root`, symlinks not followed, with the attributes that its listing told."""
    with os.scandir(root) as entries:
        found = list(entries)
    for entry in found:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path))


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """Inside, this thread asks the file system as `uid`, without root's powers. Rule: setfsuid(2)."""
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
