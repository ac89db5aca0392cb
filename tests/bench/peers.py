"""Uncached tiles of one 24 MP JPEG: the mount through nginx against the IIIF servers that install from a registry.

    .venv/bin/python -m tests.bench.peers          (needs `make .tools/.peers` once)

Every server is given the same file and asked the same tile URLs in the same order by the same client. We begin with an
empty cache and a new daemon each run, and are asked for the whole pyramid; the peers keep nothing between requests, so
every SAMPLE_STEP-th of these tiles, which are of all levels in the same shares, tells their rate.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from iiiffs.model.image import Extent
from iiiffs.render.sample import write_sample_gallery
from tests.bench.client import fetch_all
from tests.bench.cold import PICTURE, TILE_PX, through_nginx, tile_paths
from tests.bench.figures import RUNS, Spread, ratios, spread
from tests.harness.nginx import free_port

TOOLS = Path(__file__).parents[2] / ".tools" / "peers"
SERVER = Path(__file__).parent / "peers_tools" / "server.mjs"
SAMPLE_STEP = 5
START_S = 20.0
STOP_S = 10.0


def run(runs: int = RUNS) -> None:
    """Prints tiles/s of all and our ratio to each peer, min / median / max."""
    if not (TOOLS.parent / ".peers").exists():
        sys.exit("the peers are not installed: make .tools/.peers")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample_gallery(folder / "photos")
        (folder / "peer").mkdir()
        picture = Path(shutil.copy(folder / "photos" / PICTURE, folder / "peer" / "picture.jpg"))
        with _iiif_processor(picture) as node, _reference(picture) as reference:
            bases = {"iiif-processor 7": node, "iiif 1.0.10": reference}
            ours: list[float] = []
            theirs: dict[str, list[float]] = {peer: [] for peer in bases}
            for port, base in bases.values():
                fetch_all(port, _sample(picture, base)[:2])  # what is loaded at the first request is not counted
            for number in range(runs):
                ours.append(through_nginx(folder, number))
                for peer, (port, base) in bases.items():
                    theirs[peer].append(_rate(port, _sample(picture, base)))
    print(f"uncached tiles of one 24 MP JPEG: the mount through nginx {spread(ours).shown()} tiles/s")
    for peer, rates in theirs.items():
        print(f"  {peer}: {spread(rates).shown(1)} tiles/s; we are {_times(ratios(ours, rates))}   (DESIGN §8: 10 x)")


def _times(ratio: Spread) -> str:
    return f"{ratio.shown(1)} x as fast"


def _sample(picture: Path, base: str) -> list[str]:
    with Image.open(picture) as opened:
        extent = Extent(*opened.size)
    return tile_paths(base, extent, TILE_PX)[::SAMPLE_STEP]


def _rate(port: int, paths: Sequence[str]) -> float:
    seconds, _ = fetch_all(port, paths)
    return len(paths) / seconds


@contextmanager
def _iiif_processor(picture: Path) -> Iterator[tuple[int, str]]:
    """iiif-processor in a server of a few lines; (port, path of the picture's service)."""
    port = free_port()
    with Image.open(picture) as opened:
        width, height = opened.size
    command = ["node", str(SERVER), str(picture), str(width), str(height), str(port)]
    with _running(command, TOOLS, port):
        yield port, "/iiif/3/picture"


@contextmanager
def _reference(picture: Path) -> Iterator[tuple[int, str]]:
    """The reference implementation in its own test server; (port, path of the picture's service)."""
    port = free_port()
    program = TOOLS / "venv" / "bin"
    command = [str(program / "python"), str(program / "iiif_testserver.py"), "--quiet"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--image-dir", str(picture.parent)]
    command += ["--api-versions", "3.0", "--manipulators", "pil", "--auth-types", "none"]
    with _running(command, picture.parent, port):
        yield port, "/3.0_pil/picture"


@contextmanager
def _running(command: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    """Inside, it listens on `port`; if it does not, its words are in the error."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + START_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except ConnectionRefusedError:
                    said.seek(0)
                    assert process.poll() is None and time.monotonic() < end, said.read().decode()
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(STOP_S)


if __name__ == "__main__":
    run()
