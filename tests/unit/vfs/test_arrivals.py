"""Files that were sent: shown until what others are told of their album has them, and looked for without haste."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Listing, Version
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.tree.albums import AlbumNames
from iiiffs.vfs import arrivals
from iiiffs.vfs.arrivals import Arrivals
from tests.unit.vfs.uploading import HOME, Bench, TestProvider, living

TRIP = AlbumId("trip")


class Flights:
    """Rule: vfs.flights.Flights.begin."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._keys: set[Hashable] = set()

    def begin(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        if key not in self._keys:
            self._keys.add(key)
            self._nursery.start_soon(self._fly, key, work)

    async def _fly(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        await work()
        self._keys.discard(key)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "spool", TestProvider(sets=True))


def asset_of(album: AlbumId) -> Asset:
    return Asset(AssetId(f"asset-{album}"), album, "a.jpg", Version("v"), 1, 1, 1, "image/jpeg")


def listed(album: AlbumId, *assets: Asset) -> Listing:
    return Listing(Album(album, "", None, 0), assets, (), "")


async def sent(bench: Bench, album: AlbumId) -> Item:
    """A file of the album that its provider has."""
    item = bench.item(Verb.UPLOAD, "a.jpg", album, stage=Stage.SENT, sent=asset_of(album), generation=1)
    await bench.queue.commit(item)
    return item


def beside(bench: Bench, test: Callable[[], Awaitable[None]]) -> None:
    """Runs `test` beside the arrivals."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            found = Arrivals(HOME, bench.queue, cast(Any, Flights(nursery)), cast(Any, bench.account))
            bench.queue.watch(found.changed)
            await test()
            nursery.cancel_scope.cancel()

    living(bench, main)


def test_an_answer_that_others_are_not_told_ends_nothing(bench: Bench) -> None:
    """It was asked for, and something was done here before it came: so it is not kept."""
    bench.account.tells = lambda album: listed(album, asset_of(album))
    kept: list[AlbumNames] = []

    def told_last(album: AlbumId) -> tuple[AlbumNames | None, float]:
        return (kept[-1] if kept else None), trio.current_time()

    bench.account.told_last = told_last  # type: ignore[method-assign]

    async def test() -> None:
        item = await sent(bench, TRIP)
        await trio.sleep(20.0)
        assert bench.stage(item) is Stage.SENT
        kept.append(AlbumNames(listed(TRIP), real_names=False))
        await trio.sleep(10.0)
        assert bench.stage(item) is Stage.SENT
        kept.append(AlbumNames(listed(TRIP, asset_of(TRIP)), real_names=False))
        await trio.sleep(40.0)
        assert bench.stage(item) is None

    beside(bench, test)


@pytest.mark.parametrize("took_s", [0.1, 3.0, 20.0])
def test_so_many_albums_are_asked_for_at_once_and_no_more(bench: Bench, took_s: float) -> None:
    asking, most, answer = 0, 0, bench.account.told

    async def told(album: AlbumId, *, anew: bool = False) -> AlbumNames:
        nonlocal asking, most
        assert anew, "what is kept may be from before"
        asking += 1
        most = max(most, asking)
        await trio.sleep(took_s)
        asking -= 1
        return await answer(album)

    bench.account.told = told  # type: ignore[method-assign]
    bench.account.tells = lambda album: listed(album, asset_of(album))

    async def test() -> None:
        for number in range(30):
            await sent(bench, AlbumId(f"album-{number}"))
        await trio.sleep(30 * (took_s + 3.0))
        assert len(bench.queue) == 0
        assert most == arrivals.LOOKS_MAX

    beside(bench, test)


def test_a_list_that_takes_long_is_asked_for_less_often(bench: Bench) -> None:
    asked, took_s, answer = [0], 5.0, bench.account.told

    async def told(album: AlbumId, *, anew: bool = False) -> AlbumNames:
        asked[0] += 1
        await trio.sleep(took_s)
        return await answer(album)

    bench.account.told = told  # type: ignore[method-assign]
    there: list[Asset] = []
    bench.account.tells = lambda album: listed(album, *there)

    async def test() -> None:
        for number in range(200):  # one a second, and each list tells of those that were sent before it
            id = AssetId(f"asset-{number}")
            asset = Asset(id, TRIP, f"{number}.jpg", Version("v"), 1, 1, 1, "image/jpeg")
            await bench.queue.commit(
                bench.item(Verb.UPLOAD, asset.name, TRIP, stage=Stage.SENT, sent=asset, generation=1)
            )
            there.append(asset)
            await trio.sleep(1.0)
        assert 200 / 45 <= asked[0] <= 200 / (took_s * arrivals.LOOK_TIMES)

    beside(bench, test)
