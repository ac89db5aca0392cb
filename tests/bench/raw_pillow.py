"""The yardstick of a cold deep zoom: what Pillow alone does in one thread. And the renderer beside it, in one run.

    .venv/bin/python tests/bench/raw_pillow.py [PICTURE.jpg] [--runs N]

Without a picture, the 24 MP landscape of the sample gallery is painted and taken.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from time import perf_counter

from PIL import Image

from iiiffs.iiif.parameters import Format, Quality, Rotation, Size
from iiiffs.iiif.pyramid import scale_factors, tiles
from iiiffs.iiif.request import ImageRequest
from iiiffs.model.gallery import Facts
from iiiffs.render.encode import JPEG_QUALITY, JPEG_SUBSAMPLING
from iiiffs.render.headers import read_facts
from iiiffs.render.renderer import Renderer, RenderLimits
from iiiffs.render.sample import TRIP, write_sample_gallery

TILE_PX = 512


def raw_pillow_pyramid(path: Path, tile: int = TILE_PX) -> tuple[int, float]:
    """(tiles, seconds): one decode, halving, every tile encoded with the renderer's settings, in this thread."""
    started = perf_counter()
    count = 0
    with Image.open(path) as opened:
        opened.load()  # not convert(): that would copy 24 MP that are RGB already, and flatter us
        level: Image.Image = opened if opened.mode in ("L", "RGB") else opened.convert("RGB")
    while True:
        for top in range(0, level.height, tile):
            for left in range(0, level.width, tile):
                box = (left, top, min(left + tile, level.width), min(top + tile, level.height))
                level.crop(box).save(BytesIO(), "JPEG", quality=JPEG_QUALITY, subsampling=JPEG_SUBSAMPLING)
                count += 1
        if max(level.size) <= tile:
            return count, perf_counter() - started
        level = level.reduce(2)


def pyramid_requests(facts: Facts, tile: int = TILE_PX) -> list[list[ImageRequest]]:
    """Every tile of the IIIF pyramid, one list a scale factor, finest first."""
    assert facts.extent is not None
    upright = Rotation(mirrored=False, degrees=Fraction(0))
    return [
        [
            ImageRequest(
                cell.region,
                Size(cell.extent, False, cell.extent == cell.region.extent),
                upright,
                Quality.DEFAULT,
                Format.JPG,
            )
            for cell in tiles(facts.extent, tile, scale)
        ]
        for scale in scale_factors(facts.extent, tile)
    ]


def coarse_first(levels: list[list[ImageRequest]]) -> list[ImageRequest]:
    """As a client that zooms in asks."""
    return [request for level in reversed(levels) for request in level]


def overview_then_finest(levels: list[list[ImageRequest]]) -> list[ImageRequest]:
    """As whoever cuts ahead should ask: draft and full decode begin at once in two threads, and one thread halves the
    full picture while the other cuts it."""
    first = [levels[-1][0], *(level[0] for level in levels[:2] if level is not levels[-1])]
    return first + [request for level in levels for request in level if not any(request is one for one in first)]


def renderer_pyramid(path: Path, requests: list[ImageRequest], threads: int = 2) -> tuple[int, float]:
    """(tiles, seconds) of a renderer that has never seen the picture."""
    renderer = Renderer(RenderLimits())
    started = perf_counter()
    with path.open("rb") as stream:
        facts = read_facts(stream, path.name)
    with ThreadPoolExecutor(threads) as pool:
        answers = list(
            pool.map(lambda request: renderer.render("x", lambda: path.open("rb"), request, facts), requests)
        )
    return len(answers), perf_counter() - started


def first_overview_s(path: Path, overview: ImageRequest) -> float:
    """Seconds to the one tile that shows all of it, cold."""
    return renderer_pyramid(path, [overview], threads=1)[1]


def draft_decode_s(path: Path, scale: int) -> float:
    """Seconds of a draft decode by Pillow alone."""
    started = perf_counter()
    with Image.open(path) as picture:
        picture.draft(None, (picture.width // scale, picture.height // scale))
        picture.load()
    return perf_counter() - started


def compare(path: Path, runs: int) -> dict[str, object]:
    """Median seconds of each, taken in turns so that noise of the machine meets all alike."""
    with path.open("rb") as stream:
        levels = pyramid_requests(read_facts(stream, path.name))
    works: dict[str, Callable[[], float]] = {
        "raw_pillow_s": lambda: raw_pillow_pyramid(path)[1],
        "coarse_first_s": lambda: renderer_pyramid(path, coarse_first(levels))[1],
        "overview_then_finest_s": lambda: renderer_pyramid(path, overview_then_finest(levels))[1],
        "one_thread_s": lambda: renderer_pyramid(path, overview_then_finest(levels), threads=1)[1],
        "first_overview_s": lambda: first_overview_s(path, levels[-1][0]),
        "draft_1_8_s": lambda: draft_decode_s(path, 8),
        "draft_1_4_s": lambda: draft_decode_s(path, 4),
        "full_decode_s": lambda: draft_decode_s(path, 1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            seconds[name].append(work())
    report: dict[str, object] = {name: round(statistics.median(values), 4) for name, values in seconds.items()}
    report["tiles"] = sum(map(len, levels))
    for name in ("coarse_first", "overview_then_finest", "one_thread"):
        ratios = [raw / own for raw, own in zip(seconds["raw_pillow_s"], seconds[f"{name}_s"], strict=True)]
        report[f"{name}_ratio"] = [round(value, 2) for value in (min(ratios), statistics.median(ratios), max(ratios))]
    return report


def main() -> None:
    """Prints the comparison as JSON; ratios are min, median, max of raw Pillow's seconds / ours: above 1 is faster."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.picture
        if path is None:
            write_sample_gallery(Path(folder))
            path = Path(folder) / TRIP / "Evening light.jpg"
        print(json.dumps(compare(path, arguments.runs), indent=2))


if __name__ == "__main__":
    main()
