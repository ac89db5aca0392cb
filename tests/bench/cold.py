"""Cold deep zoom: every tile of a 24 MP JPEG through nginx on the mount, against raw Pillow in one thread."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from iiiffs.iiif.pyramid import scale_factors, tiles
from iiiffs.model.image import Extent
from iiiffs.render.sample import write_sample_gallery
from tests.bench.client import fetch_all
from tests.bench.raw_pillow import raw_pillow_pyramid
from tests.harness.mount import mounted, write_config
from tests.harness.nginx import free_port, printed_nginx

PICTURE = "Fjord trip/Evening light.jpg"


def tile_paths(base: str, extent: Extent, side: int) -> list[str]:
    """Every tile as viewers spell it, coarsest level first, as a viewer that zooms in asks."""
    paths = []
    for scale in reversed(scale_factors(extent, side)):
        for tile in tiles(extent, side, scale):
            region = tile.region
            size = f"{region.left},{region.top},{region.right - region.left},{region.bottom - region.top}"
            paths.append(f"{base}/{size}/{tile.extent.width},{tile.extent.height}/0/default.jpg")
    return paths


def run(runs: int = 3) -> None:
    """Prints tiles/s of both and the ratio of the medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample_gallery(folder / "photos")
        raw, through = [], []
        for number in range(runs):
            count, seconds = raw_pillow_pyramid(folder / "photos" / PICTURE)
            raw.append(count / seconds)
            through.append(_through_nginx(folder, number))
        ratio = sorted(through)[runs // 2] / sorted(raw)[runs // 2]
        print(f"cold deep zoom: raw Pillow {_shown(raw)} tiles/s, nginx on the mount {_shown(through)}: {ratio:.2f} x")
        print("  (DESIGN §8: 0.77 x is the floor, 1.0 x the goal)")


def _through_nginx(folder: Path, number: int) -> float:
    port = free_port()
    home = folder / f"run{number}"
    home.mkdir()
    config = write_config(home, folder / "photos", base_url=f"http://127.0.0.1:{port}")
    with mounted(home, folder / "photos", config=config) as mount:
        info = json.loads((mount.files / "Fjord trip/iiif/Evening light.jpg/info.json").read_text())
        paths = tile_paths(info["id"].split(str(port))[1], Extent(info["width"], info["height"]), 512)
        with printed_nginx(mount.root, home / "nginx", port):
            seconds, _ = fetch_all(port, paths)
    shutil.rmtree(home)
    return len(paths) / seconds


def _shown(rates: list[float]) -> str:
    return "/".join(f"{rate:.0f}" for rate in sorted(rates))


if __name__ == "__main__":
    run()
