"""An Immich account of a hundred thousand assets in 300 albums, over the fake: starts, listings, the whole timeline.

    .venv/bin/python -m tests.bench shelves

The fake answers from a thread of this process, so its time is in every figure that asks; how much of it, the line
"the fake alone" says. Requests are counted at the fake.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from tests.fakes.immich import ImmichServer, immich
from tests.harness.mount import Mount, Program, check_log, start, take_down
from tests.mount.immich_mount import BYTES, environ_of, home_of, status_of, write_config

ASSETS = 100_000
ALBUMS = 300
LARGEST = 20_000
LARGE = 10_000
STEP_S = 3_000
"""Between two photos: so 9.5 years, 114 months."""
POLL = "30 s"
POLLS_S = 65.0
PAGE = 1000
PAGES = 5
READ_MAX = 50
"""Manifests that are read after a walk."""


def run(assets: int = ASSETS, albums: int = ALBUMS) -> None:
    """Prints one line a figure."""
    with tempfile.TemporaryDirectory() as name, immich("3.1.0") as server:
        began = time.perf_counter()
        _fill(server, assets, albums)
        print(f"{assets} assets in {albums} albums seeded in {_since(began):.1f} s")
        print(f"the fake alone: {_page_s(server):.2f} s for a page of {PAGE} assets, checked against the document")
        folder = Path(name)
        with _started("first start", folder, server) as mount:
            _look(server, mount)
        with _started("second start", folder, server) as mount:
            _measured(server, "  albums/", lambda: _names(home_of(mount) / "albums"))
            _look(server, mount)
            _idle(server, mount)


def _fill(server: ImmichServer, assets: int, albums: int) -> None:
    """Everything is in one album: the largest, a large one, and many of one size."""
    each = (assets - LARGEST - LARGE) // (albums - 2)
    sizes = [LARGEST, LARGE, *[each] * (albums - 2)]
    sizes[-1] += assets - sum(sizes)
    at_s = 1_400_000_000
    for number, size in enumerate(sizes):
        taken = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
        album = server.add_album(f"Album {number:03}")
        server.add_assets(size, album=album, taken=taken, step_s=STEP_S)
        at_s += size * STEP_S


def _page_s(server: ImmichServer) -> float:
    """Seconds for one page of an album, nothing done with it; the least of a few."""
    body = {"albumIds": [next(iter(server.albums))], "size": PAGE, "page": 1, "withExif": True, "order": "asc"}
    headers = {"x-api-key": server.key, "content-type": "application/json", "accept-encoding": "gzip"}
    took = []
    for _ in range(PAGES):
        request = Request(f"{server.url}/api/search/metadata", json.dumps(body).encode(), headers)
        began = time.perf_counter()
        with urlopen(request) as answer:
            answer.read()
        took.append(_since(began))
    return min(took)


@contextmanager
def _started(what: str, folder: Path, server: ImmichServer) -> Iterator[Mount]:
    server.requests.clear()
    config = write_config(folder, server.url, poll=POLL)
    config.write_text(config.read_text().replace("1 GiB", "20 GiB"))
    began = time.perf_counter()
    mount = start(folder, folder / "photos", config=config, program=Program(environment=environ_of(home=server.key)))
    try:
        names = _names(home_of(mount))
        print(f"{what}: the first ls after {_since(began):.2f} s (Python's own start included); {len(names)} names")
        yield mount
    finally:
        take_down(mount)
    check_log(mount)


def _look(server: ImmichServer, mount: Mount) -> None:
    albums = home_of(mount) / "albums"
    _measured(server, "albums/, first time", lambda: _names(albums))
    large = albums / "Album 000"
    _measured(server, f"ls -l of {LARGEST} assets, first time", lambda: _stats(large))
    _measured(server, "again", lambda: _stats(large))
    _drop_caches()
    _measured(server, "again, nothing in the kernel", lambda: _stats(large))
    _measured(server, f"manifest of {LARGE}", lambda: [(albums / "Album 001" / "manifest.json").read_bytes()])
    _measured(server, "the whole timeline: find", lambda: _found(home_of(mount) / "timeline"))
    _measured(server, "all albums: find", lambda: _found(albums))
    _measured(server, "ls -lR of the whole account", lambda: _listed(home_of(mount)))
    known = [path for path in sorted(albums.iterdir()) if path.is_dir()][-READ_MAX:]
    _measured(server, f"{READ_MAX} manifests", lambda: [(path / "manifest.json").read_bytes() for path in known])
    _tell(server, mount)


def _idle(server: ImmichServer, mount: Mount) -> None:
    time.sleep(2.0)
    before = len(server.requests)
    time.sleep(POLLS_S)
    print(f"  idle for {POLLS_S:.0f} s, polls every {POLL}: {len(server.requests) - before} requests")
    _tell(server, mount)


def _measured(server: ImmichServer, what: str, question: Callable[[], list[str] | list[bytes]]) -> None:
    before, began = len(server.requests), time.perf_counter()
    found = question()
    took_s = _since(began)
    asked = len(server.requests) - before
    print(f"  {what}: {took_s:.2f} s, {len(found)} entries, {asked} requests", flush=True)


def _tell(server: ImmichServer, mount: Mount) -> None:
    told = Path(f"/proc/{mount.process.pid}/status").read_text()
    peak_mb = int(told.split("VmHWM:")[1].split()[0]) / 1024
    now_mb = int(told.split("VmRSS:")[1].split()[0]) / 1024
    own_mb = int(told.split("RssAnon:")[1].split()[0]) / 1024
    lag_s = mount.gauge("loop", "lag_max_s")
    memory = f"RSS {now_mb:.0f} MB, {own_mb:.0f} MB of it not files, at its peak {peak_mb:.0f} MB"
    print(f"  {memory}; worst lag of the loop {lag_s * 1000:.0f} ms")
    print(f"  status: {json.dumps(status_of(mount)['library'])}; {server.requests.count(BYTES)} requests for bytes")


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _stats(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.stat(follow_symlinks=False).st_size >= 0]


def _found(folder: Path) -> list[str]:
    return subprocess.run(["find", str(folder)], capture_output=True, text=True, check=True).stdout.splitlines()


def _listed(folder: Path) -> list[str]:
    return subprocess.run(["ls", "-lR", str(folder)], capture_output=True, text=True, check=True).stdout.splitlines()


def _drop_caches() -> None:
    Path("/proc/sys/vm/drop_caches").write_text("3")


def _since(began: float) -> float:
    return time.perf_counter() - began
