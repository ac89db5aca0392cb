"""What one request of the kernel costs: each of the four lookups of a tile that is in the cache, its open, read and
release, a stat, an entry of a listing; against a file system that answers the same from dicts (`static_tree`).

    .venv/bin/python -m tests.bench.lookups

The kernel has forgotten every name and page before each run. Each figure is the time that one client waits, so it holds
two changes of process that nobody can avoid: the difference to the yardstick is what our own work costs.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

if __name__ == "__main__":
    os.environ["IIIFFS_BENCH"] = "1"  # before the harness is imported, which reads it

from iiiffs.model.image import Extent
from iiiffs.render.sample import write_sample_gallery
from tests.bench.cold import PICTURE, TILE_PX, tile_paths
from tests.bench.figures import RUNS, ratios, spread
from tests.bench.listing import write_copies
from tests.harness.mount import mounted, release
from tests.mount.observing import drop_kernel_caches

MICROSECONDS = 1e6
EXTENT = Extent(6000, 4000)
LISTED = 1000
READ_BYTES = 1 << 20
PARTS = ("region", "size", "rotation", "quality.format")
STEPS = (*PARTS, "open", "read", "open and release", "stat", "entry of a listing")
AT_EMPTY_PATH, AT_STATX_FORCE_SYNC, STATX_BASIC = 0x1000, 0x2000, 0x7FF
STATX_BYTES = 256
STOP_S = 10.0

Steps = dict[str, float]


def run(runs: int = RUNS) -> None:
    """Prints µs of each step on both, and the ratio, min / median / max of the runs' medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        write_sample_gallery(photos)
        (photos / "listed").mkdir()
        write_copies(photos / "listed", LISTED)
        with mounted(folder, photos) as mount:
            album, leaf = PICTURE.rsplit("/", 1)
            service = (mount.files / album / "iiif" / leaf).resolve()
            tiles = [path.lstrip("/") for path in tile_paths("", EXTENT, TILE_PX)]
            copies = _copies(service, tiles, folder / "copies")
            (copies / "listed").mkdir()
            write_copies(copies / "listed", LISTED)
            with _static(copies, folder / "static") as static:
                ours, theirs = [], []
                for _ in range(runs):
                    ours.append(steps(service, tiles, mount.files / "listed"))
                    theirs.append(steps(static / "service", tiles, static / "listed"))
    print("one request of the kernel, what its asker waits: µs on the mount; on a static tree; ratio")
    for step in STEPS:
        own, bare = [found[step] for found in ours], [found[step] for found in theirs]
        print(f"  {step}: {spread(own).shown()}; {spread(bare).shown()}; {ratios(own, bare).shown(1)} x")


def steps(service: Path, tiles: list[str], listed: Path) -> Steps:
    """Median µs of each step over all tiles, with nothing known to the kernel at the beginning."""
    found: dict[str, list[float]] = {step: [] for step in STEPS}
    _listed(listed)
    drop_kernel_caches()
    root = os.open(service, os.O_PATH | os.O_DIRECTORY)
    for tile in tiles:
        directory, parts = os.dup(root), tile.split("/")
        for step, name in zip(PARTS, parts, strict=True):
            found[step].append(_timed(partial(os.stat, name, dir_fd=directory)))
            if name is not parts[-1]:
                above, directory = directory, os.open(name, os.O_PATH | os.O_DIRECTORY, dir_fd=directory)
                os.close(above)
        _file(directory, parts[-1], found)
        os.close(directory)
    found["stat"] = [_timed(lambda: _stat_anew(root)) for _ in tiles]
    os.close(root)
    found["entry of a listing"] = [_timed(lambda: _listed(listed)) / LISTED]
    return {step: median(values) for step, values in found.items()}


def _file(directory: int, name: str, found: dict[str, list[float]]) -> None:
    began = time.perf_counter()
    opened = os.open(name, os.O_RDONLY, dir_fd=directory)
    found["open"].append((time.perf_counter() - began) * MICROSECONDS)
    found["read"].append(_timed(lambda: os.read(opened, READ_BYTES)))
    os.close(opened)

    def open_and_release() -> None:
        os.close(os.open(name, os.O_RDONLY, dir_fd=directory))

    found["open and release"].append(_timed(open_and_release))


def _timed(work: Callable[[], object]) -> float:
    """µs"""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * MICROSECONDS


_LIBC = ctypes.CDLL(None, use_errno=True)


def _stat_anew(descriptor: int) -> None:
    """A stat that the kernel does not answer by itself. Rule: statx(2), AT_STATX_FORCE_SYNC"""
    answer = ctypes.create_string_buffer(STATX_BYTES)
    flags = AT_EMPTY_PATH | AT_STATX_FORCE_SYNC
    if _LIBC.statx(descriptor, b"", flags, STATX_BASIC, answer):
        raise OSError(ctypes.get_errno(), "statx")


def _listed(folder: Path) -> None:
    with os.scandir(folder) as entries:
        count = sum(1 for entry in entries if entry.stat(follow_symlinks=False).st_size)
    assert count >= LISTED


def _copies(service: Path, tiles: list[str], folder: Path) -> Path:
    """The tiles, rendered and copied to `folder`/service."""
    for tile in tiles:
        target = folder / "service" / tile
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((service / tile).read_bytes())
    return folder


@contextmanager
def _static(folder: Path, root: Path) -> Iterator[Path]:
    """Inside, `folder` as it is now is mounted on `root` by the yardstick."""
    root.mkdir()
    command = [sys.executable, "-m", "tests.bench.static_tree", str(folder), str(root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "mounted\n"
        yield root
    finally:
        release(root)
        process.wait(STOP_S)
        process.stdout.close()


if __name__ == "__main__":
    run()
