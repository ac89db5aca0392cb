"""Where the daemon's time goes in a cold deep zoom, and in lookups of what is in the cache.

    .venv/bin/python -m tests.bench.profile [cold] [lookups] [--gil | --native]          (needs py-spy in the venv)

py-spy looks 500 times a second at every thread that runs. Shares are of a thread's own samples, by function, without
what it calls; threads of one kind are taken together.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":
    os.environ["IIIFFS_BENCH"] = "1"  # before the harness is imported, which reads it

from iiiffs.render.sample import write_sample_gallery
from tests.bench.client import fetch_all
from tests.bench.cold import PICTURE, TILE_PX, tile_paths
from tests.bench.listing import write_copies
from tests.bench.lookups import EXTENT, LISTED, steps
from tests.harness.mount import Mount, mounted, write_config
from tests.harness.servers import free_port, printed

RATE_HZ = 500
ZOOMS = 8
OPTIONS: list[str] = []
ROUNDS = 20
TOP = 6
WAITING = ("EpollIOManager.get_events", "WorkerThread._work", "Notifier.wait")
"""Functions that do nothing themselves: seen there, a thread waits."""
STOP_S = 30.0


def cold() -> None:
    """ZOOMS pictures of 24 MP, equal but for a byte after their end, each zoomed once through nginx."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        write_sample_gallery(folder / "photos")
        zooms = folder / "photos" / "zooms"
        zooms.mkdir()
        for number in range(ZOOMS):
            (zooms / f"{number}.jpg").write_bytes((folder / "photos" / PICTURE).read_bytes() + bytes((number,)))
        config = write_config(folder, folder / "photos", base_url=f"http://127.0.0.1:{port}")
        with (
            mounted(folder, folder / "photos", config=config) as mount,
            printed("nginx", mount.root, folder / "n", port),
        ):
            services = [_service(mount.files / "zooms" / "iiif" / f"{number}.jpg", port) for number in range(ZOOMS)]
            with _profiled(mount, "cold deep zoom"):
                for service in services:
                    fetch_all(port, tile_paths(service, EXTENT, TILE_PX))


def _service(alias: Path, port: int) -> str:
    return str(json.loads((alias / "info.json").read_text())["id"]).split(str(port))[1]


def lookups() -> None:
    """The requests of `lookups`, over and over."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample_gallery(folder / "photos")
        (folder / "photos" / "listed").mkdir()
        write_copies(folder / "photos" / "listed", LISTED)
        with mounted(folder, folder / "photos") as mount:
            album, leaf = PICTURE.rsplit("/", 1)
            service = (mount.files / album / "iiif" / leaf).resolve()
            tiles = [path.lstrip("/") for path in tile_paths("", EXTENT, TILE_PX)]
            for tile in tiles:
                (service / tile).read_bytes()
            with _profiled(mount, "lookups, opens and reads of what is in the cache, and listings"):
                for _ in range(ROUNDS):
                    steps(service, tiles, mount.files / "listed")


@contextmanager
def _profiled(mount: Mount, what: str) -> Iterator[None]:
    """Inside, py-spy looks; afterwards what it saw is printed."""
    raw = mount.folder / "profile.raw"
    command = [str(Path(sys.executable).parent / "py-spy"), "record", "-F", "-t", "-r", str(RATE_HZ), "-f", "raw"]
    command += OPTIONS
    command += ["-o", str(raw), "-d", "600", "-p", str(mount.process.pid)]
    spy = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert spy.stdout is not None
    assert "Sampling process" in spy.stdout.readline()
    try:
        yield
    finally:
        spy.send_signal(signal.SIGINT)
        spy.communicate(timeout=STOP_S)
    _tell(what, raw.read_text().splitlines())


def _tell(what: str, lines: Sequence[str]) -> None:
    own: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        stack, count = line.rsplit(" ", 1)
        thread, *frames = stack.split(";")
        if frames and not frames[-1].startswith(WAITING):
            own[_kind(thread, frames)][frames[-1]] += int(count)
    print(f"profile of: {what}")
    for kind, functions in sorted(own.items(), key=lambda pair: -pair[1].total()):
        total = functions.total()
        print(f"  {kind}: {total / RATE_HZ:.1f} s")
        for function, seen in functions.most_common(TOP):
            print(f"    {seen / total:5.1%}  {function}")


def _kind(thread: str, frames: Sequence[str]) -> str:
    """What a thread is doing: trio's threads do now this, now that."""
    if "MainThread" in thread:
        return "main thread"
    return "render threads" if any("iiiffs/render/" in frame for frame in frames) else "other threads"


KINDS: dict[str, Callable[[], None]] = {"cold": cold, "lookups": lookups}


if __name__ == "__main__":
    OPTIONS += [option for option in sys.argv[1:] if option.startswith("-")]
    for asked in [word for word in sys.argv[1:] if word in KINDS] or KINDS:
        KINDS[asked]()
