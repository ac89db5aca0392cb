"""An original that is not local, read from beginning to end: through the mount, against the same bytes asked of the
provider directly by as many questions at once as the mount may have. Both in one run, with and without latency.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from iiiffs.model.gallery import AccountName
from iiiffs.providers.base import Original, ProviderContext
from iiiffs.render.headers import read_facts
from iiiffs.state.store import State
from iiiffs.sync.blocks import REQUEST_MAX_BYTES
from iiiffs.vfs.blocks import QUESTIONS_MAX
from tests.bench.figures import machine, ratios, spread
from tests.mount.afar import PLUGINS, mounted_afar

SIZE_BYTES = 200 << 20
LATENCIES_S = (0.0, 0.02)
RUNS = 3
STEP = 1 << 20


def run(runs: int = RUNS) -> None:
    """Prints MB/s of both, and of a second reading that needs no provider."""
    print(machine())
    for latency_s in LATENCIES_S:
        directly, through, again = [], [], []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                _film(folder / "photos" / "film.bin")
                (folder / "afar").mkdir()
                if latency_s:
                    (folder / "afar" / "latency_s").write_text(str(latency_s))
                directly.append(_timed(partial(trio.run, _read_directly, folder)))
                with mounted_afar(folder, folder / "photos") as (mount, _):
                    film = mount.files / "film.bin"
                    through.append(_timed(partial(_read_file, film)))
                    Path("/proc/sys/vm/drop_caches").write_text("1")
                    again.append(_timed(partial(_read_file, film)))
        print(
            f"original of {SIZE_BYTES >> 20} MiB, {latency_s * 1000:.0f} ms a question: "
            f"directly {spread(directly).shown()} MB/s, through the mount {spread(through).shown()} MB/s "
            f"({ratios(through, directly).shown(2)} x), again from the cache {spread(again).shown()} MB/s"
        )


def _film(path: Path) -> None:
    path.parent.mkdir()
    with path.open("wb") as film:
        for _ in range(SIZE_BYTES // STEP):
            film.write(os.urandom(STEP))


def _timed(read: Callable[[], None]) -> float:
    """MB/s"""
    began = time.perf_counter()
    read()
    return SIZE_BYTES / 1e6 / (time.perf_counter() - began)


def _read_file(path: Path) -> None:
    total = 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(STEP):
            total += len(data)
    assert total == SIZE_BYTES


async def _read_directly(folder: Path) -> None:
    sys.path.insert(0, str(PLUGINS))
    from afar_provider import open_provider  # type: ignore[import-not-found]  # a plugin, below no package

    state = State.open(folder / "state-of-the-bench")
    account = AccountName("pictures")
    settings = {"path": str(folder / "photos")}
    provider = open_provider(ProviderContext(account, settings, state.ledger(account), read_facts))
    (asset,) = (await provider.listing((await provider.root()).id)).assets
    original = await provider.open(asset)
    places = trio.CapacityLimiter(QUESTIONS_MAX)
    async with trio.open_nursery() as nursery:
        for offset in range(0, SIZE_BYTES, REQUEST_MAX_BYTES):
            nursery.start_soon(_ask, original, offset, places)
    await original.aclose()
    await provider.aclose()
    state.close()


async def _ask(original: Original, offset: int, places: trio.CapacityLimiter) -> None:
    async with places:
        assert len(await original.read(offset, REQUEST_MAX_BYTES)) == REQUEST_MAX_BYTES


if __name__ == "__main__":
    os.environ["IIIFFS_BENCH"] = "1"
    run()
