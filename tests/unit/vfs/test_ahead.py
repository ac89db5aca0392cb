"""Cutting ahead: what is begun, in which order, and what ends it. Tiles of 64 px, pictures of a few hundred."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from PIL import Image
from trio.testing import trio_test

from iiiffs.iiif.pyramid import scale_factors, tiles
from iiiffs.iiif.request import parse_request
from iiiffs.iiif.scaling import Limits
from iiiffs.model.gallery import AccountName, AssetId, Version
from iiiffs.model.image import Extent
from iiiffs.vfs import ahead as cutting
from iiiffs.vfs.ahead import PICTURES_MAX, TILES_AT_ONCE
from tests.harness.memory import ROOT, MemoryProvider
from tests.harness.tree import Tree, jpeg, tree_of

EXTENT = Extent(600, 400)
SIDE = 64
TILES = sum(1 for scale in scale_factors(EXTENT, SIDE) for _ in tiles(EXTENT, SIDE, scale))
TILE = "128,64,64,64/64,64/0/default.jpg"
SERVICE = "memory/iiif/3/{}"
WAIT_S = 20


@pytest.fixture
def gallery() -> MemoryProvider:
    provider = MemoryProvider()
    for number in range(PICTURES_MAX + 2):
        provider.put(f"a{number}", f"IMG_{number}.jpg", jpeg(600, 400), ROOT)
    return provider


async def until(done: Callable[[], bool]) -> None:
    with trio.fail_after(WAIT_S):
        while not done():
            await trio.sleep(0.01)


def labels(tree: Tree, asset: str) -> set[str]:
    """What is rendered of it, in canonical spelling."""
    gallery = tree.galleries[AccountName("memory")]
    version = Version("v2") if asset == "a0" else Version(f"v{int(asset[1:]) + 2}")
    return {label for label, _ in tree.renditions.existing(gallery, AssetId(asset), version)}


@trio_test
async def test_one_tile_brings_all_of_its_picture_and_nothing_else(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": gallery}) as tree, trio.open_nursery() as nursery:
        tree.renditions.on_miss = tree.ahead.missed
        nursery.start_soon(tree.ahead.run)
        await tree.read(SERVICE.format("a0") + "/" + TILE)
        await until(lambda: tree.ahead.is_idle)
        assert tree.renditions.rendered == TILES
        assert tree.ahead.cut == TILES - 1
        assert labels(tree, "a1") == set()
        for path in (f"{left},{top},64,64/64,64/0/default.jpg" for left in (0, 448) for top in (0, 320)):
            await tree.read(SERVICE.format("a0") + "/" + path)
        assert tree.renditions.rendered == TILES
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "path",
    [
        "full/max/0/default.jpg",
        "full/38,25/0/default.jpg",  # the coarsest tile is the whole picture: a thumbnail asks for that too
        "0,0,64,64/32,32/0/default.jpg",
        "1,0,64,64/64,64/0/default.jpg",
        "0,0,64,64/64,64/90/default.jpg",
        "0,0,64,64/64,64/!0/default.jpg",
        "0,0,64,64/64,64/0/gray.jpg",
        "0,0,64,64/64,64/0/default.png",
    ],
)
@trio_test
async def test_what_is_no_tile_begins_nothing(path: str, gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": gallery}) as tree:
        tree.renditions.on_miss = tree.ahead.missed
        await tree.read(SERVICE.format("a0") + "/" + path)
        assert tree.ahead.waiting == 0


@pytest.mark.parametrize("path", [TILE, "128,64,64,64/max/0/color.jpg", "0,0,600,256/75,32/0/default.jpg"])
@trio_test
async def test_a_tile_in_any_spelling_begins_it(path: str, gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": gallery}) as tree:
        tree.renditions.on_miss = tree.ahead.missed
        expected = 0 if path.startswith("0,0,600") else 1  # that one is as wide as no tile is
        await tree.read(SERVICE.format("a0") + "/" + path)
        assert tree.ahead.waiting == expected


@trio_test
async def test_the_picture_looked_at_last_is_first_and_only_some_wait(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": gallery}) as tree, trio.open_nursery() as nursery:
        tree.renditions.on_miss = tree.ahead.missed
        for number in range(PICTURES_MAX + 2):
            await tree.read(SERVICE.format(f"a{number}") + "/" + TILE)
        assert tree.ahead.waiting == PICTURES_MAX
        nursery.start_soon(tree.ahead.run)
        await until(lambda: tree.ahead.waiting < PICTURES_MAX)
        last = f"a{PICTURES_MAX + 1}"
        assert len(labels(tree, last)) > TILES - 2 * TILES_AT_ONCE  # the other thread may still be at it
        await until(lambda: tree.ahead.is_idle)
        assert len(labels(tree, "a0")) == 1
        assert len(labels(tree, "a2")) == TILES
        nursery.cancel_scope.cancel()


@trio_test
async def test_it_stops_where_the_cache_would_forget_something(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": gallery}, quota_bytes=1 << 20) as tree, trio.open_nursery() as nursery:
        tree.renditions.on_miss = tree.ahead.missed
        nursery.start_soon(tree.ahead.run)
        await tree.read(SERVICE.format("a0") + "/" + TILE)
        await until(lambda: tree.ahead.is_idle)
        assert tree.ahead.cut == 0
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_provider_that_fails_ends_it_for_that_picture(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": gallery}) as tree, trio.open_nursery() as nursery:
        tree.renditions.on_miss = tree.ahead.missed
        await tree.read(SERVICE.format("a0") + "/full/38,25/0/default.jpg")
        tile = await tree.walk(SERVICE.format("a0") + "/128,64,64,64/64,64/0")
        gallery.put("a0", "IMG_0.jpg", jpeg(600, 400, "red"), ROOT)
        with pytest.raises(Exception, match="a0"):
            await tree.filesystem.lookup(tile.node, "default.jpg")
        assert tree.ahead.waiting == 1
        nursery.start_soon(tree.ahead.run)
        await until(lambda: tree.ahead.is_idle)
        from_draft = sum(1 for scale in (4, 8, 16) for _ in tiles(EXTENT, SIDE, scale))
        assert tree.ahead.cut < from_draft  # its pixels were there before the picture changed
        nursery.cancel_scope.cancel()


@trio_test
async def test_what_was_done_with_is_begun_again_only_later(
    gallery: MemoryProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tree_of(tmp_path, {"memory": gallery}) as tree, trio.open_nursery() as nursery:
        tree.renditions.on_miss = tree.ahead.missed
        nursery.start_soon(tree.ahead.run)
        await tree.read(SERVICE.format("a0") + "/" + TILE)
        await until(lambda: tree.ahead.is_idle)
        tree.cache.renditions.clear()
        await tree.walk(SERVICE.format("a0") + "/0,0,64,64/64,64/0/default.jpg")
        assert (tree.ahead.waiting, tree.renditions.rendered) == (0, TILES + 1)
        monkeypatch.setattr(cutting, "AGAIN_S", 0.0)
        await tree.walk(SERVICE.format("a0") + "/64,0,64,64/64,64/0/default.jpg")
        await until(lambda: tree.ahead.is_idle)
        assert tree.renditions.rendered == 2 * TILES
        nursery.cancel_scope.cancel()


@trio_test
async def test_what_is_cut_ahead_is_what_is_cut_when_asked(gallery: MemoryProvider, tmp_path: Path) -> None:
    """Slivers at the edge among them, which need a finer level than the tiles beside them."""
    extent = Extent(517, 403)
    noise = Image.effect_noise((extent.width, extent.height), 60).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG")
    gallery.put("sliver", "s.jpg", buffer.getvalue(), ROOT)
    paths = [
        f"{tile.region.left},{tile.region.top},{tile.region.extent.width},{tile.region.extent.height}"
        f"/{tile.extent.width},{tile.extent.height}/0/default.jpg"
        for scale in scale_factors(extent, SIDE)
        for tile in tiles(extent, SIDE, scale)
    ]
    service = SERVICE.format("sliver")
    async with tree_of(tmp_path / "asked", {"memory": gallery}) as tree:
        asked = [await tree.read(f"{service}/{path}") for path in paths]
    async with tree_of(tmp_path / "ahead", {"memory": gallery}) as tree, trio.open_nursery() as nursery:
        tree.renditions.on_miss = tree.ahead.missed
        nursery.start_soon(tree.ahead.run)
        await tree.read(f"{service}/{TILE}")
        await until(lambda: tree.ahead.is_idle)
        assert tree.renditions.rendered == len(paths)
        assert [await tree.read(f"{service}/{path}") for path in paths] == asked
        assert tree.renditions.rendered == len(paths)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("extent", [Extent(600, 400), Extent(601, 399), Extent(63, 1), Extent(64, 700)])
def test_what_is_cut_ahead_is_what_is_asked_for(extent: Extent) -> None:
    limits = Limits(200, 200, 30_000)
    for scale in scale_factors(extent, SIDE):
        for tile in tiles(extent, SIDE, scale):
            region = tile.region
            words = (
                f"{region.left},{region.top},{region.extent.width},{region.extent.height}",
                f"{tile.extent.width},{tile.extent.height}",
                "0",
                "default.jpg",
            )
            assert cutting.tile_request(tile, limits) == parse_request(extent, words, limits, monochrome=False)
