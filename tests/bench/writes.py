"""Writing: what each call on a mount that may be written to costs, beside the same on the local disk, made as sure.

    .venv/bin/python -m tests.bench.writes [calls] [copies] [stream]

The promise is that what was closed is on disk, so the yardstick syncs the file before it is closed, and the folder
after each call that changes names. Mount and disk take turns, call by call; both lie on one file system.
"""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

if __name__ == "__main__":
    os.environ["IIIFFS_BENCH"] = "1"  # before the harness is imported, which reads it

from tests.bench.figures import RUNS, percentile, ratios, spread
from tests.harness.writable import writable

ROUNDS = 60
SMALL_BYTES = 4 << 10
LARGE_BYTES = 4 << 20
LARGE_EVERY = 6
"""Of the rounds, with the large file."""
COPIED_FILES = 300
COPIED_BYTES = 200_000
STREAM_MB = 300
MICROSECONDS = 1e6
SETTLE = "10 min"
"""Longer than a bench: what is measured is writing, and nothing is sent meanwhile."""


def photo(size_bytes: int) -> bytes:
    """Another picture each time, of that length: what comes after its end is noise."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "JPEG")
    return file.getvalue() + os.urandom(size_bytes - file.tell())


@dataclass(frozen=True)
class Side:
    """Where it is written: a folder on the mount, or one on the disk, where we sync ourselves."""

    folder: Path
    syncs: bool
    took: dict[str, list[float]] = field(default_factory=dict)

    def timed(self, what: str, deed: Callable[[], object]) -> None:
        """`deed` is done, and how long it took is noted."""
        began = time.perf_counter()
        deed()
        self.took.setdefault(what, []).append((time.perf_counter() - began) * MICROSECONDS)

    def write(self, path: Path, data: bytes, flags: int) -> None:
        """The bytes are in the file, which is closed; both are on disk."""
        descriptor = os.open(path, os.O_WRONLY | flags, 0o644)
        try:
            os.write(descriptor, data)
            if self.syncs:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if flags & os.O_CREAT:
            self.sync_names()

    def named(self, deed: Callable[[], object]) -> None:
        """`deed` changes names, which are on disk then."""
        deed()
        self.sync_names()

    def sync_names(self) -> None:
        """Those of the folder are on disk."""
        if self.syncs:
            sync(self.folder)


def sync(path: Path) -> None:
    """The folder's names, or the file's bytes, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def sides() -> Iterator[tuple[Side, Side]]:
    """A folder on a mount, with an original and a text in it; and one on the disk, with the same."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        for place in (folder / "photos" / "Bench", folder / "disk"):
            place.mkdir(parents=True)
            (place / "there.jpg").write_bytes(photo(SMALL_BYTES))
        with writable(folder, folder / "photos", settle=SETTLE) as mount:
            shown = mount.files / "Bench"
            assert (shown / "there.jpg").stat().st_size == SMALL_BYTES
            yield Side(shown, syncs=False), Side(folder / "disk", syncs=True)


# ---- calls ----------------------------------------------------------------------------------------------------


def calls() -> None:
    """Prints p50 / p99 of each call on both sides."""
    with sides() as (ours, disk):
        for number in range(ROUNDS):
            for side in (ours, disk) if number % 2 else (disk, ours):
                _round(side, number)
    print("calls, p50 / p99 in us: the mount; the disk, with fsync of file and folder; ratio of the medians")
    for what, took in ours.took.items():
        theirs = disk.took[what]
        ratio = percentile(took, 0.5) / percentile(theirs, 0.5)
        print(f"  {what}: {_shown(took)}; {_shown(theirs)}; {ratio:.1f} x")


def _shown(took: Sequence[float]) -> str:
    return " / ".join(f"{percentile(took, share):,.0f}" for share in (0.5, 0.99))


def _round(side: Side, number: int) -> None:
    """Each call once, on files of this round."""
    folder = side.folder
    path, other, album = folder / f"{number}.jpg", folder / f"{number} new.jpg", folder / f"Album {number}"
    small, more = photo(SMALL_BYTES), os.urandom(SMALL_BYTES)
    side.timed("create, write 4 KiB, close", lambda: side.write(path, small, os.O_CREAT | os.O_EXCL))
    side.timed("stat of a waiting file", path.stat)
    side.timed("read of a waiting file, 4 KiB", path.read_bytes)
    side.timed("append 4 KiB, close", lambda: side.write(path, more, os.O_APPEND))
    _synced(side, path, more)
    side.timed("utimens", lambda: _utimens(side, path))
    side.timed("setxattr, refused (a disk keeps it)", lambda: _noted(side, folder / "there.jpg"))
    side.timed("rename", lambda: side.named(lambda: path.rename(other)))
    side.write(path, photo(SMALL_BYTES), os.O_CREAT | os.O_EXCL)
    side.timed("rename over", lambda: side.named(lambda: path.rename(other)))
    side.timed("link", lambda: side.named(lambda: _link(folder / "there.jpg", path)))
    side.timed("unlink of a waiting file", lambda: side.named(other.unlink))
    side.timed("mkdir", lambda: side.named(album.mkdir))
    side.timed("rmdir", lambda: side.named(album.rmdir))
    if number % LARGE_EVERY == 0:
        large = photo(LARGE_BYTES)
        side.timed("create, write 4 MiB, close", lambda: side.write(other, large, os.O_CREAT | os.O_EXCL))
        other.unlink()


def _synced(side: Side, path: Path, data: bytes) -> None:
    """fsync of a file that has 4 KiB more, and is open."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, data)
        side.timed("fsync after 4 KiB more", lambda: os.fsync(descriptor))
    finally:
        os.close(descriptor)


def _utimens(side: Side, path: Path) -> None:
    os.utime(path, ns=(1_400_000_000 * 10**9,) * 2)
    if side.syncs:
        sync(path)


def _noted(side: Side, path: Path) -> None:
    """An attribute that the daemon is asked to set, and does not keep; a name that the kernel refuses by itself, or a
    value that is too long for it, would never get to the daemon."""
    try:
        os.setxattr(path, "user.note", b"mine")
        is_kept = True
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        is_kept = False
    assert is_kept == side.syncs, "kept on the disk, refused on the mount"


def _link(source: Path, target: Path) -> None:
    os.link(source, target)


# ---- many, and large ------------------------------------------------------------------------------------------


def copies() -> None:
    """Prints how long `cp -r` of many files takes on both sides."""
    with sides() as (ours, disk), tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        source = Path(name) / "source"
        source.mkdir()
        for number in range(COPIED_FILES):
            (source / f"{number}.jpg").write_bytes(photo(COPIED_BYTES))
        taken: tuple[list[float], list[float]] = ([], [])
        for run in range(RUNS):
            for side, took in zip((ours, disk), taken, strict=True):
                began = time.perf_counter()
                _copy(side, source, side.folder / f"copy {run}")
                took.append(time.perf_counter() - began)
    print(
        f"cp -r of {COPIED_FILES} files of {COPIED_BYTES // 1000} kB, s: the mount {spread(taken[0]).shown(2)}, "
        f"the disk with fsync of each {spread(taken[1]).shown(2)}: {ratios(*taken).shown(2)} x"
    )


def _copy(side: Side, source: Path, target: Path) -> None:
    if not side.syncs:
        subprocess.run(["cp", "-r", source, target], check=True)
        return
    target.mkdir()
    for path in source.iterdir():
        data = path.read_bytes()
        Side(target, syncs=True).write(target / path.name, data, os.O_CREAT | os.O_EXCL)


def stream() -> None:
    """Prints MB/s of one large file, until it is on disk."""
    rates: tuple[list[float], list[float]] = ([], [])
    with sides() as (ours, disk):
        for run in range(RUNS):
            for side, found in zip((ours, disk), rates, strict=True):
                target = side.folder / f"large {run}.mov"
                command = ["dd", "if=/dev/zero", f"of={target}", "bs=1M", f"count={STREAM_MB}", "status=none"]
                began = time.perf_counter()
                subprocess.run([*command, "conv=fsync"], check=True)
                found.append(STREAM_MB * 1.048576 / (time.perf_counter() - began))
                target.unlink()
    print(
        f"one file of {STREAM_MB} MiB, MB/s: the mount {spread(rates[0]).shown()}, "
        f"the disk {spread(rates[1]).shown()}: {ratios(*rates).shown(2)} x"
    )


PARTS = {"calls": calls, "copies": copies, "stream": stream}


def run(parts: Sequence[str] = tuple(PARTS)) -> None:
    """Prints all, or those parts."""
    for part in parts:
        PARTS[part]()


if __name__ == "__main__":
    run(sys.argv[1:] or tuple(PARTS))
