"""What POSIX says of a folder, as cases: what is there, what is done to it, and what came of that, as one word.

The groups are those of pjdfstest (https://github.com/pjd/pjdfstest), and `write`, `attributes` and `names`. A case is
run on an ordinary disk and on a mount; which answer is right is the disk's to say.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

NOBODY = 65534
LONG = "n" * 256
NO_REPLACE, EXCHANGE = 1, 2
TIME_NOW, TIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
THEN_S = 1_000_000_000
MINE, OTHERS = b"mine, and somewhat longer", b"others"

Act = Callable[[Path], object]
T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Case:
    """`spec`: what is there first: "a" and "d/c" are files that hold their own names, "d/" is a folder. `act` is called
    with the folder; its result or errno is the outcome; None is "0". `uid`: who does it."""

    group: str
    name: str
    spec: str
    act: Act
    uid: int = 0


def prepare(at: Path, spec: str) -> None:
    """The folder `at`, which is made, holds what `spec` says."""
    at.mkdir()
    for name in spec.split():
        if name.endswith("/"):
            (at / name).mkdir()
        else:
            (at / name).write_bytes(f"I am {name}".encode())


def outcome(act: Act, at: Path) -> str:
    """What `act` came to: the name of its errno, or its result."""
    try:
        result = act(at)
    except OSError as error:
        return "EOPNOTSUPP" if error.errno == errno.EOPNOTSUPP else errno.errorcode[error.errno or 0]
    return "0" if result is None else str(result)


def tree(at: Path) -> dict[str, bytes | None]:
    """Path -> bytes of all files below `at`; None of what is no file. What a mount adds is left out."""
    found: dict[str, bytes | None] = {}
    for path in sorted(at.rglob("*")):
        if not {"index.html", "collection.json", "manifest.json"} & set(path.parts):
            is_file = stat.S_ISREG(path.lstat().st_mode)
            found[str(path.relative_to(at))] = path.read_bytes() if is_file else None
    return found


def opened(path: Path, flags: int, mode: int = 0o666) -> int:
    """A descriptor, which the caller closes."""
    return os.open(path, flags | os.O_CLOEXEC, mode)


def closing(
    path: Path, flags: int, work: Callable[[int], object] = lambda descriptor: None, mode: int = 0o666
) -> object:
    """What `work` says to an open of `path`, which is closed then: errors of that count."""
    descriptor = opened(path, flags, mode)
    try:
        result = work(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return result


def rename2(old: Path, new: Path, flags: int) -> None:
    """renameat2(2)."""
    if _libc.renameat2(-100, bytes(old), -100, bytes(new), flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def utimens(path: Path, access: tuple[int, int], change: tuple[int, int]) -> None:
    """utimensat(2): both as (seconds, nanoseconds)."""
    times = (ctypes.c_long * 4)(*access, *change)
    if _libc.utimensat(-100, bytes(path), times, 0):
        raise OSError(ctypes.get_errno(), "utimensat")


def mode_of(path: Path) -> str:
    return oct(path.stat().st_mode & 0o7777)


def open_(at: str, flags: int) -> Act:
    """The file `at` is opened with `flags`, and closed."""
    return lambda folder: closing(folder / at, flags)


def steps(*acts: Callable[[T], object]) -> Callable[[T], object]:
    """One after the other; the last one's result."""

    def act(subject: T) -> object:
        return [each(subject) for each in acts][-1]

    return act
