"""A hundred thousand files in 200 albums: starts, the first scan, listings, views, searches, memory.

    .venv/bin/python -m tests.bench.library [FILES] [--folder F] [--twins]

Nothing is fetched by HTTP here: it is the mount's own time. Yardsticks of the same run: os.scandir with a stat of each
entry on the folder itself, and os.walk + reading the first 4 KiB of every file. `--folder` keeps photos and cache.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

if __name__ == "__main__":
    os.environ["IIIFFS_BENCH"] = "1"  # before the harness is imported, which reads it

from iiiffs.control import ask
from tests.bench.photos import LARGEST, ORDINARY, Sizes, sizes_of, write_library
from tests.harness.mount import Mount, check_log, start, take_down, write_config

FILES = 100_000
SCAN_MAX_S = 1200.0
RUNS = 5
HEADER_BYTES = 4096
PROBE_S = 0.05


def run(files: int = FILES, folder: Path | None = None, *, twins: bool = False) -> None:
    """Prints one line a figure."""
    if folder is not None:
        _run(files, folder, twins)
        return
    with tempfile.TemporaryDirectory() as name:
        _run(files, Path(name), twins)


def _run(files: int, folder: Path, twins: bool) -> None:
    photos = folder / "photos"
    sizes = sizes_of(files)
    if not photos.exists():
        began = time.perf_counter()
        write_library(photos, files, twins=twins)
        print(f"library of {files} files, {sizes.largest} of them in one album, written in {_since(began):.1f} s")
        _first_start(folder, photos, files)
    with _started("second start", folder, photos) as mount:
        _second_start(mount, sizes)
        _manifest(mount, sizes)
        _listings(mount, photos, sizes)
        _views(mount)
    with _started("third start, after kill -9", folder, photos, kill_first=True) as mount:
        _second_start(mount, sizes)


def _config(folder: Path, photos: Path) -> Path:
    """As a person has it: with the cache size that is the default, on which hangs how long a document may be kept."""
    config = write_config(folder, photos)
    config.write_text(config.read_text().replace("1 GiB", "20 GiB"))
    return config


def _first_start(folder: Path, photos: Path, files: int) -> None:
    walk_s = _walked(photos)
    print(f"yardstick: os.walk and {HEADER_BYTES} bytes of every file, one thread: {files / walk_s:.0f} files/s")
    with _started("first start", folder, photos) as mount:
        scan_s = _first_scan(mount, files)
        print(f"first scan: {scan_s:.1f} s, {files / scan_s:.0f} files/s, {walk_s / scan_s:.4f} x the yardstick")
        _tell_memory(mount, "after the first scan")
        _phase(mount, "timeline/ just after it", lambda: _names(mount.account / "timeline"))


@contextmanager
def _started(what: str, folder: Path, photos: Path, *, kill_first: bool = False) -> Iterator[Mount]:
    """A daemon, from its start on; with `kill_first` one that died a moment ago had the cache before it."""
    if kill_first:
        victim = start(folder, photos, config=_config(folder, photos))
        _until_whole(victim)
        victim.kill()
        take_down(victim)
    began = time.perf_counter()
    mount = start(folder, photos, config=_config(folder, photos))
    try:
        assert "pictures" in _names(mount.root)
        print(f"{what}: the mount answers after {_since(began):.2f} s (Python's own start and imports included)")
        yield mount
    finally:
        take_down(mount)
    check_log(mount)


def _first_scan(mount: Mount, files: int) -> float:
    """Seconds until all is in the index; progress is printed as `iiiffs status` tells it."""
    began, told = time.perf_counter(), 0
    while not _is_whole(library := _library(mount)):
        assert _since(began) < SCAN_MAX_S, library
        known = int(str(library["files"]))
        if known * 5 // files > told:
            told = known * 5 // files
            print(f"  status after {_since(began):6.1f} s: {library}")
        time.sleep(0.1)
    assert library["files"] == files, library
    _tell_lag(mount)
    return _since(began)


def _second_start(mount: Mount, sizes: Sizes) -> None:
    began = time.perf_counter()
    years = _names(mount.account / "timeline")
    print(f"  timeline/ with {len(years)} names answers {_since(began):.2f} s after the mount")
    _until_whole(mount)
    print(f"  library whole {_since(began):.2f} s after the mount: {_library(mount)}")
    _tell_lag(mount)
    assert _library(mount)["files"] == sizes.files
    _tell_memory(mount, "once the library is whole")


def _listings(mount: Mount, photos: Path, sizes: Sizes) -> None:
    ask(mount.socket, "cache.clear")  # so that the first one has to build what is listed with it
    for title, count in ((ORDINARY, sizes.ordinary), (LARGEST, sizes.largest)):
        shown, bare = partial(_listed, mount.files / title, count), partial(_listed, photos / title, count)
        _phase(mount, f"ls of {title}, {count} files, first", shown)
        warm_s, bare_s = [], []
        for _ in range(RUNS):
            time.sleep(1.1)  # older than the provider's freshness: every run asks the folder again
            warm_s.append(_timed(shown))
            bare_s.append(_timed(bare))
        ratio = median(warm_s) / median(bare_s)
        print(f"  warm {median(warm_s):.3f} s, os.scandir on the disk {median(bare_s):.3f} s: {ratio:.0f} x")
    _tell_lag(mount)
    _tell_memory(mount, "after the listings")


def _manifest(mount: Mount, sizes: Sizes) -> None:
    """Built from known facts, RUNS times: the library is whole, and what was built before is cleared."""
    path = mount.files / LARGEST / "manifest.json"
    built_s = []
    for run in range(RUNS):
        ask(mount.socket, "cache.clear")
        time.sleep(1.1)
        built_s.append(_phase(mount, f"manifest of {sizes.largest} canvases, run {run + 1}", path.read_bytes))
    print(f"  built from known facts: {min(built_s):.2f}/{median(built_s):.2f}/{max(built_s):.2f} s (min/median/max)")
    _phase(mount, "the same again, bytes from the kernel or the daemon", path.read_bytes)
    _tell_lag(mount)
    _tell_memory(mount, "after the manifest")


def _views(mount: Mount) -> None:
    months = mount.account / "timeline" / "2021"
    _phase(mount, "months of a year", partial(_names, months))
    _phase(mount, "ls of a month, first", partial(_listed, months / "2021-06", 1))
    _phase(mount, "ls of a month, again", partial(_listed, months / "2021-06", 1))
    for query in ("harbour", "harbour from:2020", "tag:tag07 from:2020", "nothinghasthisname"):
        search = mount.account / "search" / query
        _phase(mount, f"search/{query}: lookup", search.stat)
        _phase(mount, f"search/{query}: ls, first", partial(_names, search))
        _phase(mount, f"search/{query}: ls, again", partial(_names, search))
    _tell_lag(mount)
    _tell_memory(mount, "after views and searches")


def _phase(mount: Mount, what: str, work: Callable[[], object]) -> float:
    """Seconds of `work`, printed with the longest that another client waited for `iiiffs status` meanwhile."""
    before = mount.gauge("loop", "lag_max_s")
    with _probing(mount) as waits:
        seconds = _timed(work)
    after = mount.gauge("loop", "lag_max_s")
    lag = f"; lag of the loop now {after * 1000:.0f} ms" if after > before else ""
    print(f"{what}: {seconds:.3f} s (status meanwhile at most {max(waits, default=0.0) * 1000:.0f} ms{lag})")
    return seconds


@contextmanager
def _probing(mount: Mount) -> Iterator[list[float]]:
    waits: list[float] = []
    over = threading.Event()

    def probe() -> None:
        while not over.wait(PROBE_S):
            waits.append(_timed(lambda: ask(mount.socket, "status")))

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


def _until_whole(mount: Mount) -> None:
    end = time.monotonic() + SCAN_MAX_S
    while not _is_whole(library := _library(mount)):
        assert time.monotonic() < end, library
        time.sleep(0.05)


def _is_whole(library: dict[str, object]) -> bool:
    return bool(library["whole"])


def _library(mount: Mount) -> dict[str, object]:
    accounts = mount.status()["accounts"]
    assert isinstance(accounts, list)
    library = accounts[0]["library"]
    assert isinstance(library, dict)
    return library


def _tell_lag(mount: Mount) -> None:
    print(f"  worst lag of the loop since the start: {mount.gauge('loop', 'lag_max_s') * 1000:.0f} ms")


def _tell_memory(mount: Mount, when: str) -> None:
    status = Path(f"/proc/{mount.process.pid}/status").read_text()
    kinds = {kind: int(status.split(f"{kind}:")[1].split()[0]) // 1024 for kind in ("RssAnon", "VmRSS", "VmHWM")}
    print(f"  memory {when}: " + ", ".join(f"{kind} {size} MiB" for kind, size in kinds.items()))


def _walked(photos: Path) -> float:
    began = time.perf_counter()
    for folder, _, names in os.walk(photos):
        for name in names:
            descriptor = os.open(f"{folder}/{name}", os.O_RDONLY)
            os.read(descriptor, HEADER_BYTES)
            os.close(descriptor)
    return _since(began)


def _listed(folder: Path, count: int) -> None:
    with os.scandir(folder) as entries:
        found = sum(1 for entry in entries if entry.stat(follow_symlinks=False).st_size)
    assert found >= count, f"{found} of {count} in {folder}"


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return _since(began)


def _since(began: float) -> float:
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=int, nargs="?", default=FILES)
    parser.add_argument(
        "--folder",
        type=Path,
        help="for photos, cache and state; kept and used again",
    )
    parser.add_argument("--twins", action="store_true", help="all files have the same size")
    arguments = parser.parse_args()
    run(arguments.files, arguments.folder, twins=arguments.twins)


if __name__ == "__main__":
    main()
