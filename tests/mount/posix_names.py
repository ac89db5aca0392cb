"""Cases of POSIX about names and folders: link, mkdir, rmdir, unlink, rename, and what a name may be of."""

# ruff: noqa: E501, PTH102, PTH104, PTH106, PTH108, PTH115  (one row a case; these very calls are what is tried)

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from tests.mount.posix_cases import (
    EXCHANGE,
    LONG,
    MINE,
    NO_REPLACE,
    NOBODY,
    OTHERS,
    Case,
    closing,
    mode_of,
    open_,
    rename2,
    steps,
)

# ---- link, mkdir, rmdir, unlink ------------------------------------------------------------------------------------


def _written_through_a_link(at: Path) -> str:
    os.link(at / "a", at / "b")
    (at / "b").write_bytes(MINE)
    return (at / "a").read_bytes()[:4].decode()


def _one_of_two_names(at: Path) -> str:
    os.link(at / "a", at / "b")
    (at / "a").unlink()
    return (at / "b").read_text()


def _linked(at: Path) -> os.stat_result:
    os.link(at / "a", at / "b")
    return (at / "b").stat()


LINKS = (
    Case("link", "a second name", "a", lambda at: os.link(at / "a", at / "b")),
    Case("link", "into another folder", "a d/", lambda at: os.link(at / "a", at / "d/b")),
    Case("link", "one of two names goes", "a", _one_of_two_names),
    Case("link", "both names are one inode", "a", lambda at: _linked(at).st_ino == (at / "a").stat().st_ino),
    Case("link", "the count of names", "a", lambda at: _linked(at).st_nlink),
    Case("link", "written through one of two names", "a", _written_through_a_link),
    Case("link", "over a file", "a b", lambda at: os.link(at / "a", at / "b")),
    Case("link", "over a folder", "a d/", lambda at: os.link(at / "a", at / "d")),
    Case("link", "of nothing", "a", lambda at: os.link(at / "x", at / "b")),
    Case("link", "of a folder", "d/", lambda at: os.link(at / "d", at / "b")),
    Case("link", "into a folder that is not there", "a", lambda at: os.link(at / "a", at / "d/b")),
    Case("link", "below a file", "a c", lambda at: os.link(at / "a", at / "c/b")),
    Case("link", "to a name that is too long", "a", lambda at: os.link(at / "a", at / LONG)),
    Case("link", "by somebody else", "a", lambda at: os.link(at / "a", at / "b"), NOBODY),
)

FOLDERS = (
    Case("mkdir", "a new folder", "", lambda at: (at / "d").mkdir()),
    Case("mkdir", "a folder in a folder", "d/", lambda at: (at / "d/e").mkdir()),
    Case("mkdir", "where a folder is", "d/", lambda at: (at / "d").mkdir()),
    Case("mkdir", "where a file is", "a", lambda at: (at / "a").mkdir()),
    Case("mkdir", "in a folder that is not there", "", lambda at: (at / "d/e").mkdir()),
    Case("mkdir", "below a file", "a", lambda at: (at / "a/e").mkdir()),
    Case("mkdir", "with a name that is too long", "", lambda at: (at / LONG).mkdir()),
    Case("mkdir", "with a mode", "", steps(lambda at: os.mkdir(at / "d", 0o700), lambda at: mode_of(at / "d"))),
    Case("mkdir", "by somebody else", "", lambda at: (at / "d").mkdir(), NOBODY),
    Case("rmdir", "an empty folder", "d/", lambda at: (at / "d").rmdir()),
    Case("rmdir", "a folder with a file", "d/ d/a", lambda at: (at / "d").rmdir()),
    Case("rmdir", "a folder with a folder", "d/ d/e/", lambda at: (at / "d").rmdir()),
    Case("rmdir", "nothing", "", lambda at: (at / "d").rmdir()),
    Case("rmdir", "a file", "a", lambda at: (at / "a").rmdir()),
    Case("rmdir", "below a file", "a", lambda at: (at / "a/d").rmdir()),
    Case("rmdir", ".", "d/", lambda at: os.rmdir(f"{at}/d/.")),
    Case("rmdir", "..", "d/ d/e/", lambda at: os.rmdir(f"{at}/d/e/..")),
    Case("rmdir", "a name that is too long", "", lambda at: (at / LONG).rmdir()),
    Case("rmdir", "by somebody else", "d/", lambda at: (at / "d").rmdir(), NOBODY),
)


def _unlinked(at: Path, work: Callable[[int], object]) -> object:
    def gone(descriptor: int) -> object:
        (at / "a").unlink()
        return work(descriptor)

    return closing(at / "a", os.O_RDWR, gone)


def _write_and_read(descriptor: int) -> bytes:
    os.pwrite(descriptor, MINE, 0)
    os.fsync(descriptor)
    return os.pread(descriptor, 100, 0)


UNLINKS = (
    Case("unlink", "a file", "a", lambda at: (at / "a").unlink()),
    Case("unlink", "one of several", "a b d/ d/c", lambda at: (at / "d/c").unlink()),
    Case("unlink", "nothing", "a", lambda at: (at / "b").unlink()),
    Case("unlink", "twice", "a", steps(lambda at: (at / "a").unlink(), lambda at: (at / "a").unlink())),
    Case("unlink", "a folder", "d/", lambda at: os.unlink(at / "d")),
    Case("unlink", "below a file", "a", lambda at: os.unlink(at / "a/b")),
    Case("unlink", "a file, as a folder", "a", lambda at: os.unlink(f"{at}/a/")),
    Case("unlink", "a name that is too long", "a", lambda at: os.unlink(at / LONG)),
    Case("unlink", "and made again", "a", steps(lambda at: (at / "a").unlink(), lambda at: (at / "a").write_bytes(MINE))),
    Case("unlink", "an open file is read", "a", lambda at: _unlinked(at, lambda file: os.pread(file, 100, 0))),
    Case("unlink", "an open file is written", "a", lambda at: _unlinked(at, _write_and_read)),
    Case("unlink", "an open file is cut", "a",
         lambda at: _unlinked(at, steps(lambda file: os.ftruncate(file, 2), lambda file: os.fstat(file).st_size))),
    Case("unlink", "the count of names of an open file", "a", lambda at: _unlinked(at, lambda file: os.fstat(file).st_nlink)),
    Case("unlink", "a file that was made and is open", "",
         lambda at: closing(at / "n", os.O_RDWR | os.O_CREAT, steps(lambda file: (at / "n").unlink(), _write_and_read))),
    Case("unlink", "by somebody else", "a", lambda at: (at / "a").unlink(), NOBODY),
)  # fmt: skip

# ---- rename --------------------------------------------------------------------------------------------------------


def _renamed_while_open(at: Path) -> None:
    def work(descriptor: int) -> None:
        os.pwrite(descriptor, b"1", 0)
        os.rename(at / "a", at / "b")
        os.pwrite(descriptor, b"2", 1)

    closing(at / "a", os.O_RDWR, work)


def _replaced_while_read(at: Path) -> bytes:
    def work(descriptor: int) -> bytes:
        os.rename(at / "b", at / "a")
        return os.pread(descriptor, 100, 0)

    return closing(at / "a", os.O_RDONLY, work)  # type: ignore[return-value]


def _saved(at: Path) -> bytes:
    """As editors do: a file beside it, with another's bytes, takes the name; and once more."""
    for text in (MINE, OTHERS):
        (at / "new").write_bytes(text)
        os.rename(at / "new", at / "a")
    return (at / "a").read_bytes()


def _onto_its_own_link(at: Path) -> str:
    os.link(at / "a", at / "b")
    os.rename(at / "a", at / "b")
    return " ".join(name for name in ("a", "b") if (at / name).exists())


RENAMES = (
    Case("rename", "to a free name", "a", lambda at: os.rename(at / "a", at / "b")),
    Case("rename", "to itself", "a", lambda at: os.rename(at / "a", at / "a")),
    Case(
        "rename",
        "and back",
        "a",
        steps(lambda at: os.rename(at / "a", at / "b"), lambda at: os.rename(at / "b", at / "a")),
    ),
    Case("rename", "over a file", "a b", lambda at: os.rename(at / "a", at / "b")),
    Case("rename", "to another folder", "a d/", lambda at: os.rename(at / "a", at / "d/b")),
    Case("rename", "over a file in another folder", "a d/ d/b", lambda at: os.rename(at / "a", at / "d/b")),
    Case("rename", "over a folder", "a d/", lambda at: os.rename(at / "a", at / "d")),
    Case("rename", "over another name of it", "a", _onto_its_own_link),
    Case("rename", "while it is written", "a", _renamed_while_open),
    Case("rename", "over what is read", "a b", _replaced_while_read),
    Case("rename", "as editors save", "a", _saved),
    Case("rename", "a folder", "d/ d/a", lambda at: os.rename(at / "d", at / "e")),
    Case("rename", "a folder into a folder", "d/ d/a e/", lambda at: os.rename(at / "d", at / "e/d")),
    Case("rename", "a folder over an empty one", "d/ d/a e/", lambda at: os.rename(at / "d", at / "e")),
    Case("rename", "a folder over a full one", "d/ d/a e/ e/b", lambda at: os.rename(at / "d", at / "e")),
    Case("rename", "a folder over a file", "d/ a", lambda at: os.rename(at / "d", at / "a")),
    Case("rename", "a folder into itself", "d/", lambda at: os.rename(at / "d", at / "d/e")),
    Case("rename", "nothing", "a", lambda at: os.rename(at / "x", at / "b")),
    Case("rename", "into a folder that is not there", "a", lambda at: os.rename(at / "a", at / "d/b")),
    Case("rename", "below a file", "a b", lambda at: os.rename(at / "a", at / "b/c")),
    Case("rename", "a file, as a folder", "a", lambda at: os.rename(f"{at}/a/", at / "b")),
    Case("rename", "to a name that is too long", "a", lambda at: os.rename(at / "a", at / LONG)),
    Case("rename", "not over: to a free name", "a", lambda at: rename2(at / "a", at / "b", NO_REPLACE)),
    Case("rename", "not over: to a name that is taken", "a b", lambda at: rename2(at / "a", at / "b", NO_REPLACE)),
    Case("rename", "exchange two files", "a b", lambda at: rename2(at / "a", at / "b", EXCHANGE)),
    Case("rename", "exchange with nothing", "a", lambda at: rename2(at / "a", at / "b", EXCHANGE)),
    Case("rename", "by somebody else", "a", lambda at: os.rename(at / "a", at / "b"), NOBODY),
)


NAMES = (
    Case("names", "symlink", "a", lambda at: (at / "s").symlink_to("a")),
    Case("names", "symlink, where a file is", "a b", lambda at: (at / "b").symlink_to("a")),
    Case("names", "fifo", "", lambda at: os.mkfifo(at / "p")),
    Case("names", "mknod of a file", "", lambda at: os.mknod(at / "n", stat.S_IFREG | 0o644)),
    Case("names", "mknod of a device", "", lambda at: os.mknod(at / "n", stat.S_IFCHR | 0o600, os.makedev(1, 3))),
    Case("names", "readlink of a file", "a", lambda at: os.readlink(at / "a")),
    Case("names", "of 255 bytes", "", lambda at: (at / ("ü" * 127 + "n")).write_bytes(MINE)),
    Case("names", "that are no UTF-8", "", lambda at: (at / os.fsdecode(b"\xff\xfe\x80")).write_bytes(MINE)),
    Case("names", "with what shells dislike", "", lambda at: (at / " *\n'\"\\$(x)?#% ").write_bytes(MINE)),
    Case("names", "in capitals are others", "a", lambda at: (at / "A").write_bytes(MINE)),
    Case("names", "of litter", "", open_(".DS_Store", os.O_CREAT | os.O_WRONLY)),
)


NAME_CASES = (*LINKS, *FOLDERS, *UNLINKS, *RENAMES, *NAMES)
