"""Warm renditions: each web server on the mount against the same server on copies of the same files on the local disk.

    .venv/bin/python -m tests.bench.warm [nginx|caddy|apache …]

Every server runs as `iiiffs webserver` prints it, and is asked for the 129 tiles of one picture in turn by wrk. nginx
keeps files open; Caddy and Apache open one a request, which the daemon has to answer.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

if __name__ == "__main__":
    os.environ["IIIFFS_BENCH"] = "1"  # before the harness is imported, which reads it

from iiiffs.model.image import Extent
from iiiffs.render.sample import write_sample_gallery
from tests.bench.client import fetch_all
from tests.bench.cold import PICTURE, TILE_PX, tile_paths
from tests.bench.figures import RUNS, ratios, spread
from tests.harness.mount import Mount, mounted, write_config
from tests.harness.servers import SERVERS, free_port, printed

DURATION_S = 2
CONNECTIONS = 16
BARS = {"nginx": "   (DESIGN §8: 0.95 x)"}


def run(runs: int = RUNS, kinds: Sequence[str] = SERVERS) -> None:
    """Prints requests/s of both and the ratios, min / median / max; the two take turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample_gallery(folder / "photos")
        port = free_port()
        config = write_config(folder, folder / "photos", base_url=f"http://127.0.0.1:{port}")
        with mounted(folder, folder / "photos", config=config) as mount:
            paths = _tiles(mount, port)
            copies, script = _copies(mount.root, folder / "disk", paths), _script(folder, paths)
            for kind in kinds:
                _compare(kind, mount.root, copies, script, runs, paths)


def _compare(kind: str, root: Path, copies: Path, script: Path, runs: int, paths: list[str]) -> None:
    port, disk_port = free_port(), free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(printed(kind, root, folder / "mount", port))
        stack.enter_context(printed(kind, copies, folder / "disk", disk_port))
        fetch_all(port, paths)
        fetch_all(disk_port, paths)
        rates = [(_rate(disk_port, script), _rate(port, script)) for _ in range(runs)]
    disk, through = zip(*rates, strict=True)
    print(f"warm renditions, {kind}: local disk {spread(disk).shown()} requests/s, ", end="")
    print(f"the mount {spread(through).shown()}: {ratios(through, disk).shown(2)} x{BARS.get(kind, '')}")


def _tiles(mount: Mount, port: int) -> list[str]:
    album, leaf = PICTURE.rsplit("/", 1)
    info = json.loads((mount.files / album / "iiif" / leaf / "info.json").read_text())
    return tile_paths(info["id"].split(str(port))[1], Extent(info["width"], info["height"]), TILE_PX)


def _copies(root: Path, folder: Path, paths: list[str]) -> Path:
    for path in paths:
        target = folder / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / path.removeprefix("/")).read_bytes())
    return folder


def _script(folder: Path, paths: list[str]) -> Path:
    """A wrk script that asks the paths in turn."""
    listed = ",".join(json.dumps(path) for path in paths)
    script = folder / "paths.lua"
    script.write_text(
        f"local paths = {{{listed}}}\nlocal n = 0\n"
        "request = function() n = n % #paths + 1; return wrk.format('GET', paths[n]) end\n"
    )
    return script


def _rate(port: int, script: Path) -> float:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{DURATION_S}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    return float(found[1])


if __name__ == "__main__":
    run(kinds=sys.argv[1:] or SERVERS)
