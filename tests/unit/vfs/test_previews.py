"""Mode "hybrid" over a scripted provider: what is opened, what is remembered, and what happens with bad previews."""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from PIL import Image
from trio.testing import trio_test

from iiiffs.errors import AccessDenied, ProviderUnreachable, StoreFull
from iiiffs.model.gallery import AccountName, Asset, AssetId, Facts, Version
from iiiffs.model.image import Extent
from iiiffs.providers.base import Original, Preview
from iiiffs.providers.remote import BytesOriginal
from iiiffs.state.previews import PreviewLedger
from iiiffs.state.store import State
from iiiffs.sync.previews import Sources
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import Node
from iiiffs.tree.thumbnails import thumbnail_names
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.previews import Previews
from tests.harness.memory import MemoryProvider
from tests.harness.tree import Tree, jpeg, tree_of

WIDTH, HEIGHT = 600, 400
SERVICE = "memory/iiif/3/a1"
SMALL = f"{SERVICE}/full/80,/0/default.jpg"
MIDDLE = f"{SERVICE}/full/200,/0/default.jpg"
LARGE = f"{SERVICE}/full/max/0/default.jpg"
TILE = f"{SERVICE}/128,64,64,64/64,64/0/default.jpg"
COARSE_TILE = f"{SERVICE}/256,0,256,256/64,64/0/default.jpg"
BLACK = 40
THUMB, PREVIEW = "thumbnail", "preview"


class PreviewProvider(MemoryProvider):
    """Previews of plain colours, so that an answer tells what it was made from; originals are navy."""

    def __init__(self) -> None:
        super().__init__(local=False)
        self.bodies = {THUMB: jpeg(90, 60, "red"), PREVIEW: jpeg(240, 160, "lime")}
        self.told = {THUMB: (90, 60), PREVIEW: (240, 160)}
        self.opened: Counter[str] = Counter()
        self.denied = False
        self.media_type: str | None = None
        self.put("a1", "IMG_1.jpg", jpeg(WIDTH, HEIGHT))

    @property
    def originals(self) -> int:
        """Reads of originals for pixels: `facts` reads headers by itself."""
        return self.asked["open"]

    async def facts(self, asset: Asset) -> Facts:
        facts = await super().facts(asset)
        if self.media_type is not None:
            return Facts(self.media_type, Extent(WIDTH, HEIGHT))
        return facts

    async def previews(self, asset: Asset) -> Sequence[Preview]:
        await self._asked("previews")
        if self.denied:
            raise AccessDenied("no asset.view")
        return [Preview(name, Extent(*size), "image/jpeg") for name, size in self.told.items()]

    async def open_preview(self, asset: Asset, preview: Preview) -> Original | None:
        await self._asked("open_preview")
        self.opened[preview.name] += 1
        body = self.bodies.get(preview.name)
        return None if body is None else BytesOriginal(body)


@pytest.fixture
def provider() -> PreviewProvider:
    return PreviewProvider()


def colour(body: bytes) -> str:
    """Which of the three pictures it was made from."""
    with Image.open(io.BytesIO(body)) as image:
        red, green, blue = image.convert("RGB").resize((1, 1)).getpixel((0, 0))
    return {True: "red", green > BLACK: "lime", blue > BLACK: "navy"}[True] if red <= BLACK else "red"


async def found(tree: Tree, path: str) -> tuple[bytes, Node, Attributes]:
    node = await tree.walk(path)
    return await tree.read(path), node.node, node.attributes


async def until_kept(tree: Tree) -> None:
    await tree.cache.writer.flush()


@trio_test
async def test_the_smallest_that_suffices_and_each_is_decoded_once(provider: PreviewProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour(await tree.read(SMALL)) == "red"
        assert colour(await tree.read(MIDDLE)) == "lime"
        assert colour(await tree.read(COARSE_TILE)) == "lime"
        assert provider.originals == 0
        assert provider.opened == {THUMB: 1, PREVIEW: 1}
        assert provider.asked["previews"] == 1
        assert colour(await tree.read(LARGE)) == "navy"
        assert provider.opened == {THUMB: 1, PREVIEW: 1}


@trio_test
async def test_many_tiles_at_once_are_one_download(provider: PreviewProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        async with trio.open_nursery() as nursery:
            for left in range(0, 512, 128):
                for top in (0, 128):
                    nursery.start_soon(tree.read, f"{SERVICE}/{left},{top},128,128/48,48/0/default.jpg")
        assert provider.opened == {PREVIEW: 1}
        assert provider.asked["previews"] == 1
        assert provider.originals == 0


@trio_test
async def test_the_same_decision_after_a_restart_whatever_the_server_has_then(
    provider: PreviewProvider, tmp_path: Path
) -> None:
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        first = [await found(tree, path) for path in (SMALL, MIDDLE, LARGE)]
        await until_kept(tree)
    provider.told, provider.bodies = {}, {}
    provider.asked.clear()
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert [await found(tree, path) for path in (SMALL, MIDDLE, LARGE)] == first
    assert provider.asked["previews"] == provider.asked["open_preview"] == provider.originals == 0


@trio_test
async def test_what_is_not_made_yet_is_left_out_until_the_server_says_something_else(
    provider: PreviewProvider, tmp_path: Path
) -> None:
    bodies, provider.bodies = provider.bodies, {}
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour((await found(tree, SMALL))[0]) == "navy"
        without = await tree.walk(SERVICE)
        provider.bodies = bodies
        asset = next(iter(provider.assets.values()))
        provider.assets[asset.id] = replace(asset, described="its thumbnail is there")
        provider.unreachable, provider.asked = False, Counter()
        assert colour((await found(tree, SMALL))[0]) == "red"
        assert (await tree.walk(SERVICE)).node != without.node
        assert provider.originals == 0
        assert provider.asked["previews"] == 1
        provider.assets[asset.id] = replace(asset, described="and a caption")
        now = await tree.walk(SERVICE)
        assert colour((await found(tree, SMALL))[0]) == "red"
        assert (await tree.walk(SERVICE)).node == now.node
        assert provider.asked["previews"] == 1


@trio_test
async def test_what_is_not_made_yet_is_left_out_over_a_restart(provider: PreviewProvider, tmp_path: Path) -> None:
    bodies, provider.bodies = provider.bodies, {}
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        before = await tree.walk(SERVICE)
        first = await found(tree, SMALL)
        assert colour(first[0]) == "navy"
        assert (await tree.walk(SERVICE)).node != before.node
        assert provider.opened == {THUMB: 1, PREVIEW: 1}
    provider.bodies = bodies
    provider.asked.clear()
    for folder in (tmp_path / "cache").iterdir():
        if folder.is_dir():
            for file in folder.iterdir():
                file.unlink()
        else:
            folder.unlink()
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert await found(tree, SMALL) == first
        assert provider.asked["open_preview"] == 0
        assert provider.originals == 1


@pytest.mark.warns("its thumbnail is not used")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no picture at all", "not a picture"),
        (jpeg(90, 60, "red")[:-30], "image file is truncated"),
        (jpeg(60, 60, "red"), "it shows something else"),
        (jpeg(60, 90, "red"), "it shows something else"),
        (jpeg(1200, 800, "red"), "it shows something else"),
    ],
)
@trio_test
async def test_a_bad_one_is_not_used_and_told_once(
    provider: PreviewProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture, body: bytes, said: str
) -> None:
    provider.bodies[THUMB] = body
    caplog.set_level(logging.WARNING)
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour(await tree.read(SMALL)) == "lime"  # the next larger one
        for name in ("81,", "82,", "83,"):
            assert colour(await tree.read(SMALL.replace("80,", name))) == "lime"
        assert provider.originals == 0
        assert provider.opened[THUMB] == 1
    (record,) = caplog.records
    assert record.getMessage().startswith("memory: IMG_1.jpg: its thumbnail is not used: ")
    assert said in record.getMessage()


@trio_test
async def test_another_size_is_used_as_it_is_under_other_keys(provider: PreviewProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        first = await found(tree, SMALL)
        service = await tree.walk(SERVICE)
        provider.bodies[PREVIEW] = jpeg(300, 200, "lime")
        assert colour(await tree.read(MIDDLE)) == "lime"
        other = await tree.walk(SERVICE)
        assert other.node != service.node
        assert other.attributes.mtime_ns >= service.attributes.mtime_ns + 10**9
        second = await found(tree, SMALL)
        assert (second[0], second[1]) == (first[0], first[1])  # the thumbnail is the same
        assert provider.opened == {THUMB: 1, PREVIEW: 1}
        assert colour(await tree.read(MIDDLE.replace("200,", "300,"))) == "lime"
        assert provider.originals == 0


@trio_test
async def test_an_edited_picture_is_shown_as_its_original(provider: PreviewProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        await tree.walk(f"{SERVICE}/info.json")
    provider.told = {}
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour(await tree.read(SMALL)) == "navy"
        assert provider.asked["open_preview"] == 0


@trio_test
async def test_listings_show_what_is_rendered_from_what_is_used_now(provider: PreviewProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        await tree.read(SMALL)
        await tree.read(MIDDLE)
        assert set(await tree.names(f"{SERVICE}/full")) == {"80,53", "200,133"}
        await until_kept(tree)
    provider.bodies[PREVIEW] = jpeg(300, 200, "red")
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour(await tree.read(MIDDLE)) == "lime"  # as it was rendered
        await tree.read(MIDDLE.replace("200,", "240,"))
        assert set(await tree.names(f"{SERVICE}/full")) == {"80,53", "240,160"}
        assert colour(await tree.read(MIDDLE)) == "red"
        assert set(await tree.names(f"{SERVICE}/full")) == {"80,53", "200,133", "240,160"}


@trio_test
async def test_only_what_needs_the_original_is_cut_ahead(provider: PreviewProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        tree.renditions.on_miss = tree.ahead.missed
        await tree.read(COARSE_TILE)
        await tree.read(SMALL)
        assert tree.ahead.waiting == 0
        await tree.read(TILE)
        assert tree.ahead.waiting == 1
        assert provider.originals == 1


@trio_test
async def test_tiles_that_are_cut_ahead_are_the_same(provider: PreviewProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path / "one", {"memory": provider}) as tree, trio.open_nursery() as nursery:
        tree.renditions.on_miss = tree.ahead.missed
        nursery.start_soon(tree.ahead.run)
        await tree.read(TILE)
        with trio.fail_after(20):
            while not tree.ahead.is_idle:
                await trio.sleep(0.01)
        ahead = await found(tree, COARSE_TILE)
        assert colour(ahead[0]) == "lime"
        nursery.cancel_scope.cancel()
    async with tree_of(tmp_path / "two", {"memory": provider}) as tree:
        assert (await found(tree, COARSE_TILE))[:2] == ahead[:2]


@trio_test
async def test_proxy_asks_for_no_preview(provider: PreviewProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        tree.galleries[AccountName("memory")].mode = "proxy"
        assert colour(await tree.read(SMALL)) == "navy"
        assert provider.asked["previews"] == 0


@pytest.mark.warns("pictures are made of their originals")
@trio_test
async def test_who_may_not_see_previews_gets_originals(
    provider: PreviewProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider.denied = True
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour(await tree.read(SMALL)) == "navy"
        assert colour(await tree.read(MIDDLE)) == "navy"
        assert provider.asked["previews"] == 1
    assert len(caplog.records) == 1
    provider.denied = False
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour(await tree.read(SMALL)) == "red"


@pytest.mark.warns("its preview answers for it")
@trio_test
async def test_an_original_of_which_nothing_can_be_made_is_answered_for(
    provider: PreviewProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asset = provider.assets[AssetId("a1")]
    provider.contents[asset.id] = provider.contents[asset.id][:700]
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour(await tree.read(LARGE)) == "lime"
        assert colour(await tree.read(SMALL)) == "red"
        assert (await tree.walk(SERVICE)).node
        assert await tree.try_walk(f"{SERVICE}/info.json") is not None
        await until_kept(tree)
        opened = provider.originals
        assert colour(await tree.read(TILE)) == "lime"
        assert provider.originals == opened
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["memory"]
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour(await tree.read(LARGE.replace("max", "590,"))) == "lime"
        assert provider.originals == opened


@trio_test
async def test_a_film_is_never_fetched_for_its_poster(provider: PreviewProvider, tmp_path: Path) -> None:
    provider.media_type = "video/mp4"
    told, provider.told = provider.told, {}
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        pending = await found(tree, f"{SERVICE}/info.json")
        with pytest.raises(ProviderUnreachable, match="no preview of it yet"):
            await tree.read(SMALL)
        provider.told = told
        bodies, provider.bodies = provider.bodies, {}
        with pytest.raises(ProviderUnreachable, match="no preview of it yet"):
            await tree.read(SMALL)
        provider.bodies = bodies
        assert colour(await tree.read(SMALL)) == "red"
        assert colour(await tree.read(LARGE)) == "lime"
        assert provider.originals == 0
        made = await tree.walk(f"{SERVICE}/full/80,53/0/default.jpg")
        assert made.attributes.mtime_ns >= pending[2].mtime_ns + 10**9


@trio_test
async def test_offline_what_was_decided_goes_on(provider: PreviewProvider, tmp_path: Path) -> None:
    provider.put("a2", "IMG_2.jpg", jpeg(WIDTH, HEIGHT))
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        first = await tree.read(SMALL)
        gallery = tree.galleries[AccountName("memory")]
        for asset in provider.assets.values():
            await gallery.facts(asset)
        asking, provider.previews = provider.previews, _unreachable  # type: ignore[method-assign]
        assert await tree.read(SMALL) == first
        assert await tree.try_walk(f"{SERVICE}/info.json") is not None
        other = SERVICE.replace("a1", "a2")
        undecided = await tree.walk(other)
        with pytest.raises(ProviderUnreachable):
            await tree.read(SMALL.replace("a1", "a2"))
        provider.previews = asking  # type: ignore[method-assign]
        assert colour(await tree.read(SMALL.replace("a1", "a2"))) == "red"
        assert (await tree.walk(other)).node == undecided.node  # nothing had been rendered


async def _unreachable(asset: Asset) -> Sequence[Preview]:
    raise ProviderUnreachable("not now")


@trio_test
async def test_thumbnails_of_desktops_are_made_of_previews(provider: PreviewProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        path = f"memory/files/.sh_thumbnails/normal/{min(thumbnail_names('IMG_1.jpg'))}"
        assert colour(await tree.read(path)) == "lime"  # 128 px
        assert provider.originals == 0


class FullLedger(PreviewLedger):
    """Of a state whose disk is full."""

    async def put(self, asset: AssetId, version: Version, sources: Sources) -> None:
        raise StoreFull("no space left")


@pytest.mark.warns("what pictures are made of is not remembered: no space left")
@trio_test
async def test_a_full_disk_keeps_nobody_from_looking(
    provider: PreviewProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider.put("a2", "IMG_2.jpg", jpeg(WIDTH, HEIGHT))
    state = State.open(tmp_path / "full")
    async with tree_of(tmp_path, {"memory": provider}) as tree, trio.open_nursery() as nursery:
        ledger = FullLedger(state._environment, state._writer, AccountName("memory"), "renderer")
        tree.renditions.previews = Previews(lambda account: ledger, Flights(nursery))
        assert colour(await tree.read(SMALL)) == "red"
        assert colour(await tree.read(SMALL.replace("a1", "a2"))) == "red"
    state.close()
    assert len(caplog.records) == 1


@trio_test
async def test_a_size_that_was_thought_to_be_another_is_fetched_once(provider: PreviewProvider, tmp_path: Path) -> None:
    provider.told[PREVIEW] = (239, 160)
    async with tree_of(tmp_path, {"memory": provider}) as tree:
        assert colour(await tree.read(MIDDLE)) == "lime"
        assert provider.opened == {PREVIEW: 1}
