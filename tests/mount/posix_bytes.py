"""Cases of POSIX about what is in a file, and what it is like: open, write, truncate, utimensat, attributes."""

# ruff: noqa: E501  (one row a case)

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import time
from pathlib import Path

from tests.mount.posix_cases import (
    LONG,
    MINE,
    NOBODY,
    OTHERS,
    THEN_S,
    TIME_NOW,
    TIME_OMIT,
    Act,
    Case,
    closing,
    mode_of,
    open_,
    opened,
    steps,
    utimens,
)

# ---- open and write ------------------------------------------------------------------------------------------------


def _appended_by_two(at: Path) -> None:
    first, second = (opened(at / "a", os.O_WRONLY | os.O_APPEND) for _ in range(2))
    for turn in range(6):
        os.write((first, second)[turn % 2], b"%d" % turn)
    os.close(first)
    os.close(second)


def _read_while_written(at: Path) -> bytes:
    """A reader that was there before a writer, and one that comes later, and the writer itself."""
    reader, writer = opened(at / "a", os.O_RDONLY), opened(at / "a", os.O_RDWR)
    os.pwrite(writer, MINE, 0)
    later = opened(at / "a", os.O_RDONLY)
    seen = {os.pread(descriptor, 100, 0) for descriptor in (reader, writer, later)}
    for descriptor in (reader, writer, later):
        os.close(descriptor)
    return b"|".join(sorted(seen | {(at / "a").read_bytes()}))


def _new_and_read_while_written(at: Path) -> bytes:
    """A reader that comes while a new file is written, to read and to map it; who comes after it; a second writer."""
    made = os.O_CREAT | os.O_WRONLY | os.O_EXCL
    writer = opened(at / "n", made)
    os.write(writer, MINE)
    reader = opened(at / "n", os.O_RDONLY)
    seen = [os.pread(reader, 100, 0)]
    with mmap.mmap(reader, len(MINE), mmap.MAP_PRIVATE, mmap.PROT_READ) as view:
        seen.append(view[:])
    os.pwrite(writer, OTHERS, 0)
    seen.append(os.pread(reader, 100, 0))
    second = opened(at / "n", os.O_WRONLY | os.O_APPEND)
    os.write(second, b"!")
    seen.append(os.pread(reader, 100, 0))
    os.close(writer)
    os.write(second, b"?")
    for descriptor in (second, reader):
        seen.append(os.pread(reader, 100, 0))
        os.close(descriptor)
    after = opened(at / "n", os.O_RDONLY)
    seen.append(os.pread(after, 100, 0))
    with mmap.mmap(after, os.fstat(after).st_size, prot=mmap.PROT_READ) as view:
        seen.append(view[:])
    os.close(after)
    return b"|".join(seen)


def _new_and_mapped_while_written(at: Path) -> str:
    writer = opened(at / "n", os.O_CREAT | os.O_WRONLY)
    reader = opened(at / "n", os.O_RDONLY)
    try:
        os.write(writer, MINE)
        mmap.mmap(reader, len(MINE), prot=mmap.PROT_READ).close()
    except OSError as error:
        return f"no: {errno.errorcode[error.errno or 0]}"
    finally:
        os.close(writer)
        os.close(reader)
    return "yes"


def _read_after_it_was_cut(at: Path) -> bytes:
    def cut(reader: int) -> bytes:
        os.truncate(at / "a", 2)
        return os.pread(reader, 100, 0)

    return closing(at / "a", os.O_RDONLY, cut)  # type: ignore[return-value]


def _mapped(at: Path) -> bytes:
    def work(descriptor: int) -> None:
        os.ftruncate(descriptor, 8192)
        with mmap.mmap(descriptor, 8192) as view:
            view[4090:4100] = b"0123456789"

    closing(at / "a", os.O_RDWR, work)
    return (at / "a").read_bytes()[4090:4100]


def _locked_twice(at: Path) -> None:
    with (at / "a").open("r+b") as first, (at / "a").open("r+b") as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holes(descriptor: int) -> int:
    os.ftruncate(descriptor, 1 << 20)
    return os.lseek(descriptor, 0, os.SEEK_HOLE)


def _copied_range(at: Path) -> int:
    with (at / "a").open("rb") as source, (at / "b").open("wb") as target:
        return os.copy_file_range(source.fileno(), target.fileno(), 100)


def write(at: str, flags: int, data: bytes = MINE, offset: int | None = None) -> Act:
    """`data` is written to the file `at`, opened with `flags`; at `offset`, or where the file says."""

    def work(descriptor: int) -> int:
        return os.write(descriptor, data) if offset is None else os.pwrite(descriptor, data, offset)

    return lambda folder: closing(folder / at, flags, work)


OPENS = (
    Case("open", "a new file", "", open_("n", os.O_CREAT | os.O_WRONLY)),
    Case("open", "a new file in a folder", "d/", open_("d/n", os.O_CREAT | os.O_WRONLY)),
    Case("open", "a new file, exclusively", "", open_("n", os.O_CREAT | os.O_EXCL | os.O_RDWR)),
    Case("open", "exclusively, where a file is", "a", open_("a", os.O_CREAT | os.O_EXCL | os.O_RDWR)),
    Case("open", "exclusively, where a folder is", "d/", open_("d", os.O_CREAT | os.O_EXCL | os.O_RDWR)),
    Case("open", "O_CREAT, where a file is", "a", write("a", os.O_CREAT | os.O_WRONLY)),
    Case("open", "O_CREAT, to read, where a file is", "a", open_("a", os.O_CREAT | os.O_RDONLY)),
    Case("open", "O_CREAT, where a folder is", "d/", open_("d", os.O_CREAT | os.O_WRONLY)),
    Case("open", "a new file, to read", "", open_("n", os.O_CREAT | os.O_RDONLY)),
    Case("open", "nothing", "", open_("n", os.O_RDONLY)),
    Case("open", "nothing, to write", "", open_("n", os.O_WRONLY)),
    Case("open", "a folder, to write", "d/", open_("d", os.O_WRONLY)),
    Case("open", "a folder, to read", "d/", open_("d", os.O_RDONLY)),
    Case("open", "a file, as a folder", "a", open_("a", os.O_RDONLY | os.O_DIRECTORY)),
    Case("open", "in a folder that is not there", "", open_("d/n", os.O_CREAT | os.O_WRONLY)),
    Case("open", "below a file", "a", open_("a/n", os.O_CREAT | os.O_WRONLY)),
    Case("open", "a new file with a name that is too long", "", open_(LONG, os.O_CREAT | os.O_WRONLY)),
    Case("open", "a name that is too long", "", open_(LONG, os.O_RDONLY)),
    Case("open", "O_TRUNC", "a", open_("a", os.O_WRONLY | os.O_TRUNC)),
    Case("open", "O_TRUNC, and written", "a", write("a", os.O_WRONLY | os.O_TRUNC, b"x")),
    Case("open", "O_TRUNC, to read and write", "a", write("a", os.O_RDWR | os.O_TRUNC, b"x", 3)),
    Case("open", "O_TRUNC, where nothing is", "", write("n", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)),
    Case("open", "a file without a name", "", open_(".", os.O_TMPFILE | os.O_RDWR)),
    Case("open", "with a mode", "",
         steps(lambda at: closing(at / "n", os.O_CREAT | os.O_WRONLY, mode=0o600), lambda at: mode_of(at / "n"))),
    Case("open", "by somebody else, to read", "a", lambda at: len((at / "a").read_bytes()), NOBODY),
    Case("open", "by somebody else, to write", "a", open_("a", os.O_WRONLY), NOBODY),
    Case("open", "by somebody else, to cut", "a", open_("a", os.O_RDONLY | os.O_TRUNC), NOBODY),
    Case("open", "by somebody else, a new file", "", open_("n", os.O_CREAT | os.O_WRONLY), NOBODY),
)  # fmt: skip

WRITES = (
    Case("write", "at the beginning", "a", write("a", os.O_WRONLY, b"x")),
    Case("write", "in the middle", "a", write("a", os.O_RDWR, b"x", 3)),
    Case("write", "past the end", "a", write("a", os.O_WRONLY, b"x", 10_000)),
    Case("write", "a megabyte", "a", write("a", os.O_WRONLY, bytes(range(256)) * 4096, 3)),
    Case("write", "nothing", "a", write("a", os.O_WRONLY, b"")),
    Case("write", "O_APPEND", "a", write("a", os.O_WRONLY | os.O_APPEND)),
    Case("write", "O_APPEND, by two in turn", "a", _appended_by_two),
    Case("write", "O_APPEND, a new file", "", write("n", os.O_WRONLY | os.O_APPEND | os.O_CREAT)),
    Case("write", "O_SYNC", "a", write("a", os.O_WRONLY | os.O_SYNC)),
    Case("write", "to what is open to read", "a", write("a", os.O_RDONLY)),
    Case("write", "reading what is open to write", "a",
         lambda at: closing(at / "a", os.O_WRONLY, lambda file: os.read(file, 1))),
    Case("write", "and seen by readers", "a", _read_while_written),
    Case("write", "and seen by readers of a new file", "", _new_and_read_while_written),
    Case("write", "a new file, mapped meanwhile", "", _new_and_mapped_while_written),
    Case("write", "into memory", "a", _mapped),
    Case("write", "a new file, twice", "", steps(lambda at: (at / "n").write_bytes(MINE), lambda at: (at / "n").write_bytes(OTHERS))),
    Case("write", "fsync", "a", lambda at: closing(at / "a", os.O_RDWR, os.fsync)),
    Case("write", "fsync of a folder", "d/", lambda at: closing(at / "d", os.O_RDONLY, os.fsync)),
    Case("write", "room is reserved", "a", lambda at: closing(at / "a", os.O_RDWR, lambda f: os.posix_fallocate(f, 0, 999))),
    Case("write", "holes are told", "a", lambda at: closing(at / "a", os.O_RDWR, _holes)),
    Case("write", "copy_file_range", "a", _copied_range),
    Case("write", "a lock is one", "a", _locked_twice),
)  # fmt: skip

CUTS = (
    Case("truncate", "shorter", "a", lambda at: os.truncate(at / "a", 2)),
    Case("truncate", "longer", "a", lambda at: os.truncate(at / "a", 5000)),
    Case("truncate", "to nothing", "a", lambda at: os.truncate(at / "a", 0)),
    Case("truncate", "to nothing and longer", "a", steps(lambda at: os.truncate(at / "a", 0), lambda at: os.truncate(at / "a", 9))),
    Case("truncate", "to what it has", "a", lambda at: os.truncate(at / "a", 6)),
    Case("truncate", "by a descriptor", "a", lambda at: closing(at / "a", os.O_RDWR, lambda f: os.ftruncate(f, 3))),
    Case("truncate", "and written", "a",
         lambda at: closing(at / "a", os.O_RDWR, steps(lambda f: os.ftruncate(f, 1), lambda f: os.pwrite(f, b"x", 4)))),
    Case("truncate", "what is open to read", "a", lambda at: closing(at / "a", os.O_RDONLY, lambda f: os.ftruncate(f, 1))),
    Case("truncate", "and seen by a reader", "a", _read_after_it_was_cut),
    Case("truncate", "to less than nothing", "a", lambda at: os.truncate(at / "a", -1)),
    Case("truncate", "to more than any disk holds", "a", lambda at: os.truncate(at / "a", 1 << 62)),
    Case("truncate", "a folder", "d/", lambda at: os.truncate(at / "d", 0)),
    Case("truncate", "nothing", "", lambda at: os.truncate(at / "n", 0)),
    Case("truncate", "by somebody else", "a", lambda at: os.truncate(at / "a", 0), NOBODY),
)  # fmt: skip

# ---- times, modes, attributes, names -------------------------------------------------------------------------------


def _time(at: Path, name: str = "a") -> int:
    return (at / name).stat().st_mtime_ns


def _times_set(at: Path, access: tuple[int, int], change: tuple[int, int], name: str = "a") -> Path:
    utimens(at / name, access, change)
    return at / name


def _is_then(time_ns: int) -> bool:
    return time_ns == THEN_S * 10**9 + THEN[1]


def _near(at: Path) -> bool:
    """A time that is close to what it has."""
    utimens(at / "a", (THEN_S, 0), (THEN_S, 0))
    utimens(at / "a", (THEN_S, 0), (THEN_S, 400_000_000))
    return _time(at) == THEN_S * 10**9 + 400_000_000


def _now(at: Path) -> bool:
    utimens(at / "a", (THEN_S, 0), (THEN_S, 0))
    utimens(at / "a", (0, TIME_NOW), (0, TIME_NOW))
    return abs(_time(at) / 1e9 - time.time()) < 60


def _kept_over_a_write(at: Path) -> int:
    def work(descriptor: int) -> None:
        os.write(descriptor, MINE)
        os.utime(descriptor, ns=(THEN_S * 10**9, THEN_S * 10**9))

    closing(at / "a", os.O_WRONLY, work)
    return _time(at)


def _written_is_now(at: Path) -> bool:
    utimens(at / "a", (THEN_S, 0), (THEN_S, 0))
    (at / "a").write_bytes(MINE)
    return abs(_time(at) / 1e9 - time.time()) < 60


def _read_by_a_handle(at: Path) -> bytes:
    """What was open when its time was changed is read on."""
    return closing(
        at / "a", os.O_RDONLY, steps(lambda f: os.utime(at / "a", (1, THEN_S)), lambda f: os.pread(f, 100, 0))
    )  # type: ignore[return-value]


OMIT = (0, TIME_OMIT)
THEN = (THEN_S, 123_456_789)
TIMES = (
    Case("utimensat", "the time of a file", "a", lambda at: _times_set(at, OMIT, THEN).stat().st_mtime_ns),
    Case("utimensat", "by a descriptor", "a",
         steps(lambda at: closing(at / "a", os.O_RDONLY, lambda f: os.utime(f, (1, THEN_S))), _time)),
    Case("utimensat", "before 1970", "a", lambda at: _times_set(at, OMIT, (-1000, 0)).stat().st_mtime_ns),
    Case("utimensat", "after 2038", "a", lambda at: _times_set(at, OMIT, (1 << 32, 5)).stat().st_mtime_ns),
    Case("utimensat", "less than a second away", "a", _near),
    Case("utimensat", "now", "a", _now),
    Case("utimensat", "while it is written", "a", _kept_over_a_write),
    Case("utimensat", "a write after it", "a", _written_is_now),
    Case("utimensat", "of what is being read", "a", _read_by_a_handle),
    Case("utimensat", "the access time", "a", lambda at: _is_then(_times_set(at, THEN, OMIT).stat().st_atime_ns)),
    Case("utimensat", "nothing", "a", lambda at: _times_set(at, OMIT, OMIT) and None),
    Case("utimensat", "of a folder", "d/", lambda at: _is_then(_times_set(at, OMIT, THEN, "d").stat().st_mtime_ns)),
    Case("utimensat", "of nothing", "", lambda at: _times_set(at, OMIT, THEN)),
    Case("utimensat", "nanoseconds that are none", "a", lambda at: _times_set(at, OMIT, (1, 10**9))),
    Case("utimensat", "by somebody else", "a", lambda at: _times_set(at, OMIT, THEN), NOBODY),
    Case("utimensat", "now, by somebody else", "a", lambda at: _times_set(at, (0, TIME_NOW), (0, TIME_NOW)), NOBODY),
)  # fmt: skip

ATTRIBUTES = (
    Case("attributes", "chmod", "a", steps(lambda at: (at / "a").chmod(0o600), lambda at: mode_of(at / "a"))),
    Case(
        "attributes", "chmod of a folder", "d/", steps(lambda at: (at / "d").chmod(0o700), lambda at: mode_of(at / "d"))
    ),
    Case("attributes", "chown", "a", steps(lambda at: os.chown(at / "a", 1, 1), lambda at: (at / "a").stat().st_uid)),
    Case("attributes", "chmod by somebody else", "a", lambda at: (at / "a").chmod(0o600), NOBODY),
    Case("attributes", "chown by somebody else", "a", lambda at: os.chown(at / "a", NOBODY, -1), NOBODY),
    Case("attributes", "setxattr", "a", lambda at: os.setxattr(at / "a", "user.note", b"x")),
    Case("attributes", "getxattr of nothing", "a", lambda at: os.getxattr(at / "a", "user.note")),
    Case("attributes", "removexattr of nothing", "a", lambda at: os.removexattr(at / "a", "user.note")),
    Case("attributes", "the longest name", "", lambda at: os.statvfs(at).f_namemax),
)

BYTE_CASES = (*OPENS, *WRITES, *CUTS, *TIMES, *ATTRIBUTES)
