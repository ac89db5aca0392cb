"""Warm renditions: nginx on the mount against the same nginx on copies of the same files on the local disk."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

from iiiffs.model.image import Extent
from iiiffs.render.sample import write_sample_gallery
from tests.bench.client import fetch_all
from tests.bench.cold import PICTURE, tile_paths
from tests.harness.mount import mounted, write_config
from tests.harness.nginx import free_port, printed_nginx

DURATION_S = 4
CONNECTIONS = 16


def run(runs: int = 3) -> None:
    """Prints requests/s of both and the ratio of the medians; the two take turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample_gallery(folder / "photos")
        port, disk_port = free_port(), free_port()
        config = write_config(folder, folder / "photos", base_url=f"http://127.0.0.1:{port}")
        with mounted(folder, folder / "photos", config=config) as mount:
            info = json.loads(
                (mount.files / Path(PICTURE).parent / "iiif" / Path(PICTURE).name / "info.json").read_text()
            )
            paths = tile_paths(info["id"].split(str(port))[1], Extent(info["width"], info["height"]), 512)
            with (
                printed_nginx(mount.root, folder / "nginx", port),
                printed_nginx(_copies(mount.root, folder / "disk", paths), folder / "nginx-disk", disk_port),
            ):
                fetch_all(port, paths)
                script = _script(folder, paths)
                rates = [(_rate(disk_port, script), _rate(port, script)) for _ in range(runs)]
    disk, through = (sorted(column) for column in zip(*rates, strict=True))
    print(f"warm renditions: local disk {_shown(disk)} requests/s, the mount {_shown(through)}: ", end="")
    print(f"{through[runs // 2] / disk[runs // 2]:.2f} x   (DESIGN §8: 0.95 x)")


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


def _shown(rates: list[float]) -> str:
    return "/".join(f"{rate:.0f}" for rate in rates)


if __name__ == "__main__":
    run()
