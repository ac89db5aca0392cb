"""The tree over a provider with titles: what is found, listed, read, cached, and asked of the provider."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from iiiffs.errors import DeadlinePassed, ProviderUnreachable, VersionChanged
from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.tree.nodes import AliasLink
from iiiffs.tree.visibility import Visibility
from iiiffs.vfs.reading import Deadlines
from tests.harness.memory import ROOT, MemoryProvider
from tests.harness.tree import jpeg, tree_of

FRESH_S = 1.1
"""Longer than the provider's answers stay fresh."""


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run by trio; time passes at once where nothing else is to do (threads are waited for)."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        trio.run(functools.partial(test, *args, **kwargs))

    return run


@pytest.fixture
def gallery() -> MemoryProvider:
    provider = MemoryProvider()
    provider.put("one", "IMG/1.jpg", jpeg())
    provider.put("two", "IMG/1.jpg", jpeg(colour="red"))
    trip = provider.add_album("trip", "Trip: day 1")
    provider.put("three", "three.jpg", jpeg(300, 200), trip)
    provider.add_album("empty", "Empty")
    return provider


@in_trio
async def test_titles_become_names_and_synthetic_names_are_ours(gallery: MemoryProvider, tmp_path: Path) -> None:
    gallery.put("four", "manifest.json", jpeg())
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        names = await tree.names("a/files")
        assert len(names) == len(set(names))
        assert {"IMG_1.jpg", "index.html", "manifest.json", "collection.json", "iiif", "Trip: day 1"} <= set(names)
        assert len([name for name in names if name.startswith("IMG_1 (")]) == 1
        assert len([name for name in names if name.startswith("manifest (")]) == 1
        manifest = json.loads(await tree.read("a/files/manifest.json"))
        assert [canvas["label"]["none"][0] for canvas in manifest["items"]] == [
            "IMG/1.jpg",
            "IMG/1.jpg",
            "manifest.json",
        ]


@pytest.mark.warns("manifest.json")
@in_trio
async def test_real_names_win_over_ours(gallery: MemoryProvider, tmp_path: Path) -> None:
    real = MemoryProvider(real_names=True)
    real.put("x", "manifest.json", b"{}")
    real.put("y", "photo.jpg", jpeg())
    async with tree_of(tmp_path, {"a": real}) as tree:
        assert await tree.read("a/files/manifest.json") == b"{}"
        assert (await tree.names("a/files")).count("manifest.json") == 1
        stable = json.loads(await tree.read("a/iiif/presentation/3/root/manifest.json"))
        assert len(stable["items"]) == 1


@in_trio
async def test_every_listed_name_is_found_with_the_listed_attributes(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery, "b": MemoryProvider()}) as tree:
        waiting = [""]
        seen = 0
        while waiting:
            path = waiting.pop()
            node = (await tree.walk(path)).node
            snapshot = await tree.filesystem.entries(node)  # type: ignore[arg-type]  # only directories are pushed
            for index, name in enumerate(snapshot.names):
                below = f"{path}/{name}".removeprefix("/")
                found, listed = await tree.walk(below), snapshot.describe(index)
                assert found.node == listed.node, below
                assert found.attributes.size_bytes == listed.attributes.size_bytes
                assert found.attributes.mtime_ns == listed.attributes.mtime_ns
                seen += 1
                if found.attributes.kind.value == "directory":
                    waiting.append(below)
                elif not isinstance(found.node, AliasLink):
                    assert len(await tree.read(below)) == found.attributes.size_bytes
        assert seen > 30
        assert tree.renditions.rendered == 0


@in_trio
async def test_equivalent_requests_are_one_node_and_one_render(gallery: MemoryProvider, tmp_path: Path) -> None:
    spellings = [
        "full/max/0/default.jpg", "full/60,/0/color.jpg", "0,0,60,40/60,40/360/default.jpg", "full/^max/0/default.jpg",
        "pct:0,0,100,100/pct:100/0/default.jpg", "0,0,999,999/!200,200/0/default.jpg", "full/,40/0/default.jpg",
    ]  # fmt: skip
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        nodes = {text: await tree.try_walk(f"a/iiif/3/one/{text}") for text in spellings}
        upscaled = nodes.pop("full/^max/0/default.jpg")
        assert len({found.node for found in nodes.values() if found}) == 1 and all(nodes.values())
        assert upscaled is not None and upscaled.node not in {found.node for found in nodes.values() if found}
        assert tree.renditions.rendered == 2


@in_trio
async def test_both_versions_of_the_image_api_share_their_renditions(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        newer = await tree.walk("a/iiif/3/three/full/max/0/default.jpg")
        for text in ("full/full", "full/max", "full/300,", "0,0,300,200/pct:100"):
            assert (await tree.walk(f"a/iiif/2/three/{text}/0/default.jpg")).node == newer.node
        await tree.walk("a/iiif/3/three/full/^600,/0/default.jpg")
        await tree.walk("a/iiif/3/three/full/100,50/0/default.png")
        assert tree.renditions.rendered == 3
        assert await tree.try_walk("a/iiif/2/three/full/^600,") is None
        assert await tree.try_walk("a/iiif/3/three/full/full") is None
        assert sorted(await tree.names("a/iiif/2/three/full")) == ["100,50", "full"]
        assert sorted(await tree.names("a/iiif/3/three/full")) == ["100,50", "^600,400", "max"]
        info = json.loads(await tree.read("a/iiif/2/three/info.json"))
        assert info["@id"] == "http://127.0.0.1:8080/a/iiif/2/three"
        assert (await tree.walk("a/iiif/2/three")).node != (await tree.walk("a/iiif/3/three")).node


@pytest.mark.parametrize(
    "path",
    ["fulll", "full/max/0/default.bmp", "full/full/0/default.jpg", "0,0,0,1", "full/61,", "full/max/361", "info.jsonx",
     "full/max/0/default.jpg/x", "full/ max", "60,0,10,10", "full/max/+5", ".DS_Store"],
)  # fmt: skip
@in_trio
async def test_what_the_grammar_refuses_is_absent(gallery: MemoryProvider, tmp_path: Path, path: str) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        try:
            assert await tree.try_walk(f"a/iiif/3/one/{path}") is None
        except Exception as error:
            assert type(error).__name__ == "NoSuchName", error  # below a file


@in_trio
async def test_below_a_version_the_provider_is_not_asked_again(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        service = await tree.walk("a/iiif/3/three")
        before = gallery.asked.copy()
        node = service.node
        for name in ("0,0,100,100", "50,", "0"):
            below = await tree.filesystem.lookup(node, name)
            assert hasattr(below, "node")
            node = below.node
        assert gallery.asked == before


@in_trio
async def test_a_changed_asset_is_a_new_version_everywhere(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        before = {path: await tree.walk(path) for path in PATHS}
        bodies = {path: await tree.read(path) for path in PATHS}
        original = await tree.filesystem.open(before["a/files/Trip: day 1/three.jpg"].node)  # type: ignore[arg-type]
        gallery.put("three", "three.jpg", jpeg(30, 20), AlbumId("trip"))
        await trio.sleep(FRESH_S)
        for path in PATHS:
            after = await tree.walk(path)
            assert after.node != before[path].node, path
            assert after.attributes.mtime_ns >= before[path].attributes.mtime_ns + 10**9, path
            assert await tree.read(path)
        with pytest.raises(VersionChanged):
            await original.read(0, 10)
        for path, found in before.items():  # the old node is its old bytes or nothing, never the new ones
            try:
                assert await tree.read_node(found.node, found.attributes.size_bytes) == bodies[path]
            except VersionChanged:
                assert path == PATHS[0], "what was made lately is still in memory"
        assert len(await tree.read(PATHS[0])) == len(gallery.contents[gallery.assets["three"].id])  # type: ignore[index]


PATHS = (
    "a/files/Trip: day 1/three.jpg",
    "a/files/Trip: day 1/manifest.json",
    "a/iiif/3/three/info.json",
    "a/iiif/3/three/full/max/0/default.jpg",
)


@in_trio
async def test_documents_and_renditions_keep_node_and_time_over_a_restart(
    gallery: MemoryProvider, tmp_path: Path
) -> None:
    paths = [*PATHS, "a/collection.json", "collection.json", "a/files/collection.json", "index.html"]
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        first = {path: await tree.walk(path) for path in paths}
        bodies = {path: await tree.read(path) for path in paths}
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        for path in paths:
            assert await tree.walk(path) == first[path]
            assert await tree.read(path) == bodies[path]
        assert tree.renditions.rendered == 0
    (tmp_path / "cache" / "data.mdb").unlink()
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        for path in paths:
            assert await tree.walk(path) == first[path], "the same without its cache"


@pytest.mark.warns("showing what is known")
@in_trio
async def test_unreachable_is_not_gone(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery, "b": gallery_like()}) as tree:
        listed = await tree.names("a/files")
        gallery.unreachable = True
        await trio.sleep(FRESH_S)
        node = (await tree.filesystem.lookup((await tree.walk("b")).node, "files")).node  # type: ignore[union-attr]
        assert node is not None
        files = tree.galleries[AccountName("a")]
        assert [*(await files.names(ROOT)).entries]
        assert files.unreachable is not None
        with pytest.raises(ProviderUnreachable):
            await files.listing(AlbumId("trip2"))
        gallery.unreachable = False
        assert await tree.names("a/files") == listed
        assert files.unreachable is None


def gallery_like() -> MemoryProvider:
    provider = MemoryProvider()
    provider.put("one", "x.jpg", jpeg())
    return provider


@in_trio
async def test_a_hung_provider_holds_nobody_past_the_deadline(gallery: MemoryProvider, tmp_path: Path) -> None:
    deadlines = Deadlines(lookup_s=0.05, list_s=0.1, patience_s=0.05)
    async with tree_of(tmp_path, {"a": gallery, "b": gallery_like()}, deadlines=deadlines) as tree:
        await tree.walk("a")
        await trio.sleep(FRESH_S)
        gallery.hangs = True
        for path in ("iiif/3/three", "iiif/presentation/3/trip"):
            with trio.fail_after(2), pytest.raises(DeadlinePassed):
                await tree.walk(f"a/{path}")
        with trio.fail_after(2):
            assert await tree.read("b/files/x.jpg")


@pytest.mark.warns("text.jpg", "cut.jpg")
@in_trio
async def test_a_file_that_cannot_be_decoded_harms_nobody_else(gallery: MemoryProvider, tmp_path: Path) -> None:
    whole = jpeg(300, 200)
    gallery.put("cut", "cut.jpg", whole[: len(whole) // 2])
    gallery.put("text", "text.jpg", b"no picture at all")
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert "text.jpg" in await tree.names("a/files")
        assert "text.jpg" not in await tree.names("a/files/iiif")
        assert await tree.try_walk("a/iiif/3/text") is None
        assert b"cut.jpg" in await tree.read("a/files/manifest.json"), "its header is a picture's"
        before = await tree.walk("a/files/manifest.json")
        assert await tree.try_walk("a/iiif/3/cut/info.json") is not None
        for _ in range(2):
            assert await tree.try_walk("a/iiif/3/cut/full/max/0/default.jpg") is None
        assert await tree.try_walk("a/iiif/3/cut") is None, "its pixels are not: it has no service and no canvas"
        assert await tree.try_walk("a/files/iiif/cut.jpg") is None
        after = await tree.walk("a/files/manifest.json")
        assert b"cut.jpg" not in await tree.read("a/files/manifest.json")
        assert after.attributes.mtime_ns >= before.attributes.mtime_ns + 10**9
        assert await tree.read("a/iiif/3/one/full/max/0/default.jpg")
        manifest = json.loads(await tree.read("a/files/manifest.json"))
        assert "text.jpg" not in str(manifest)


@in_trio
async def test_albums_without_pictures_have_no_manifest(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert await tree.names("a/files/Empty") == ["index.html"]
        assert await tree.try_walk("a/files/Empty/manifest.json") is None
        assert await tree.try_walk("a/files/Trip: day 1/collection.json") is None
        collection = json.loads(await tree.read("a/files/collection.json"))
        assert [item["label"]["none"][0] for item in collection["items"]] == ["a", "Trip: day 1"]
        assert [item["type"] for item in collection["items"]] == ["Manifest", "Manifest"]


@in_trio
async def test_only_what_is_visible_is_there_by_name_and_by_id(gallery: MemoryProvider, tmp_path: Path) -> None:
    shown = Visibility(frozenset({(AccountName("a"), AlbumId("trip"))}), originals=False, control=False)
    async with tree_of(tmp_path, {"a": gallery, "b": gallery_like()}, visibility=shown) as tree:
        assert sorted(await tree.names("")) == ["a", "collection.json", "index.html"]
        for hidden in ("b", ".iiiffs", "a/iiif/3/one", "a/iiif/presentation/3/root", "a/iiif/3/nobody"):
            assert await tree.try_walk(hidden) is None, hidden
        assert await tree.try_walk("a/files/Trip: day 1/three.jpg") is None
        manifest = await tree.read("a/iiif/presentation/3/trip/manifest.json")
        assert b"/files/" not in manifest
        assert await tree.read("a/iiif/3/three/full/max/0/default.jpg")
        assert b"IMG" not in await tree.read("a/collection.json")
