"""Cold deep zoom of a 24 MP JPEG: every tile through nginx on the mount, against raw Pillow in one thread; and the
first overview tile, against a draft decode by Pillow at the scale it needs.

    .venv/bin/python -m tests.bench.cold

Every run has a new daemon with an empty cache, whose library knows the picture already (its header was read, and
info.json asked for) and whose nginx has begun all its workers. The yardsticks are taken in the same run, just before.
What else the machine did is told of each run: the yardstick has one thread, and does not see who takes the other core.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iiiffs.iiif.pyramid import scale_factors, tiles
from iiiffs.model.image import Extent
from iiiffs.render.sample import write_sample_gallery
from tests.bench.client import fetch_all
from tests.bench.figures import RUNS, ratios, spread
from tests.bench.load import Load, Watch
from tests.bench.raw_pillow import draft_decode_s, raw_pillow_pyramid
from tests.harness.mount import Mount, mounted, write_config
from tests.harness.nginx import free_port, printed_nginx

PICTURE = "Fjord trip/Evening light.jpg"
TILE_PX = 512
MILLISECONDS = 1000
DRAFT_SCALE_MAX = 8
"""What a JPEG decoder can leave out by itself."""
SETTLE_S = 0.5
"""Until nginx's workers and a daemon that has just begun have nothing left to do."""
ALLOWED_MS = 30.0
"""Beyond the draft decode. Rule: DESIGN §8"""


def tile_paths(base: str, extent: Extent, side: int) -> list[str]:
    """Every tile as viewers spell it, coarsest level first, as a viewer that zooms in asks."""
    paths = []
    for scale in reversed(scale_factors(extent, side)):
        for tile in tiles(extent, side, scale):
            region = tile.region
            size = f"{region.left},{region.top},{region.right - region.left},{region.bottom - region.top}"
            paths.append(f"{base}/{size}/{tile.extent.width},{tile.extent.height}/0/default.jpg")
    return paths


def run(runs: int = RUNS) -> None:
    """Prints tiles/s of both, ms of the first tile, and the ratios, min / median / max."""
    raw, through, drafts, by_nginx, direct = [], [], [], [], []
    quiet: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample_gallery(folder / "photos")
        picture = folder / "photos" / PICTURE
        for number in range(runs):
            count, seconds = raw_pillow_pyramid(picture)
            raw.append(count / seconds)
            drafts.append(draft_decode_s(picture, DRAFT_SCALE_MAX) * MILLISECONDS)
            rate, load = _zoom(folder, number)
            through.append(rate)
            if load.is_quiet:
                quiet.append(number)
            print(f"  run {number + 1}: {rate:.0f} tiles/s, {rate / raw[-1]:.2f} x; {load.shown()}", flush=True)
            by_nginx.append(_overview_ms(folder, number))
            direct.append(_direct_ms(folder, number))
    print(
        f"cold deep zoom: raw Pillow {spread(raw).shown()} tiles/s, nginx on the mount {spread(through).shown()}:",
        end="",
    )
    print(f" {ratios(through, raw).shown(2)} x   (DESIGN §8: 0.77 x is the floor, 1.0 x the goal)")
    if 0 < len(quiet) < runs:
        alone = ratios([through[number] for number in quiet], [raw[number] for number in quiet])
        print(f"  of the {len(quiet)} runs in which others took next to nothing: {alone.shown(2)} x")
    print(f"first overview tile: draft decode of 1/{DRAFT_SCALE_MAX} by Pillow {spread(drafts).shown(1)} ms; ", end="")
    print(f"through nginx {_beyond(by_nginx, drafts)}; read on the mount {_beyond(direct, drafts)}", end="")
    print(f"   (DESIGN §8: at most {ALLOWED_MS:.0f} ms beyond)")


def _beyond(took: list[float], drafts: list[float]) -> str:
    beyond = spread(own - draft for own, draft in zip(took, drafts, strict=True))
    return f"{spread(took).shown(1)} ms, beyond the draft {beyond.shown(1)} ms"


def through_nginx(folder: Path, number: int) -> float:
    """tiles/s: every tile of PICTURE in `folder`/photos, coarse ones first, from a daemon that has rendered nothing."""
    return _zoom(folder, number)[0]


def _zoom(folder: Path, number: int) -> tuple[float, Load]:
    """As `through_nginx`, and what else the machine did."""
    port = free_port()
    with (
        _new_mount(folder, f"run{number}", port) as (mount, paths),
        printed_nginx(mount.root, mount.folder / "n", port),
    ):
        time.sleep(SETTLE_S)
        watch = Watch()
        seconds, _ = fetch_all(port, paths)
        return len(paths) / seconds, watch.load()


def _overview_ms(folder: Path, number: int) -> float:
    """From the request to the last byte of the answer."""
    port = free_port()
    name = f"overview{number}"
    with _new_mount(folder, name, port) as (mount, paths), printed_nginx(mount.root, mount.folder / "n", port):
        time.sleep(SETTLE_S)
        return fetch_all(port, paths[:1], connections=1)[0] * MILLISECONDS


def _direct_ms(folder: Path, number: int) -> float:
    """The first tile read as a file."""
    with _new_mount(folder, f"direct{number}", free_port()) as (mount, paths):
        time.sleep(SETTLE_S)
        tile = mount.root / paths[0].lstrip("/")
        began = time.perf_counter()
        tile.read_bytes()
        return (time.perf_counter() - began) * MILLISECONDS


@contextmanager
def _new_mount(folder: Path, name: str, port: int) -> Iterator[tuple[Mount, list[str]]]:
    """A daemon with an empty cache, and the paths of PICTURE's tiles, coarsest first."""
    home = folder / name
    home.mkdir()
    config = write_config(home, folder / "photos", base_url=f"http://127.0.0.1:{port}")
    with mounted(home, folder / "photos", config=config) as mount:
        album, leaf = PICTURE.rsplit("/", 1)
        info = json.loads((mount.files / album / "iiif" / leaf / "info.json").read_text())
        yield mount, tile_paths(info["id"].split(str(port))[1], Extent(info["width"], info["height"]), TILE_PX)
    shutil.rmtree(home)


if __name__ == "__main__":
    run()
