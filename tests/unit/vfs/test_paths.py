"""Image services by path: who is asked, for how long the kernel may keep it, and what a filter hides."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from PIL import Image

from iiiffs.errors import ProviderUnreachable
from iiiffs.iiif.uris import Identifiers
from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.tree import attributes as attrs
from iiiffs.tree.nodes import Document, PathDir, Rendition, ServiceDir
from iiiffs.tree.visibility import PRIVATE, Visibility
from iiiffs.vfs.entries import Absent
from tests.harness.memory import ROOT, MemoryProvider
from tests.harness.tree import Tree, jpeg, tree_of

A = AccountName("a")
OLD = {A: Identifiers("https://old.example.org/2", "https://old.example.org/3", ":")}
FRESH_S = 1.1
"""Longer than the provider's answers stay fresh."""


@pytest.fixture
def gallery() -> MemoryProvider:
    provider = MemoryProvider(real_names=True)
    provider.put("one", "top.jpg", jpeg())
    year = provider.add_album("year", "2024")
    trip = provider.add_album("trip", "Trip", year)
    provider.put("three", "three.jpg", jpeg(300, 200), trip)
    return provider


def walked(
    folder: Path,
    gallery: MemoryProvider,
    test: Callable[[Tree], Awaitable[None]],
    visibility: Visibility = PRIVATE,
) -> None:
    async def run() -> None:
        async with tree_of(folder, {"a": gallery}, identifiers=OLD, visibility=visibility) as tree:
            await test(tree)

    trio.run(run)


def test_names_may_change_and_what_is_below_a_service_may_not(gallery: MemoryProvider, tmp_path: Path) -> None:
    async def test(tree: Tree) -> None:
        folder = await tree.walk("a/iiif/3/2024/Trip")
        assert folder.node == PathDir(A, 3, AlbumId("trip"), ("2024", "Trip"))
        assert (folder.attributes.entry_s, folder.attributes.attr_s) == (attrs.MUTABLE_S, attrs.MUTABLE_S)
        service = await tree.walk("a/iiif/3/2024/Trip/three.jpg")
        assert isinstance(service.node, ServiceDir)
        assert service.node.identifier == "2024%2FTrip%2Fthree.jpg"
        assert service.attributes.entry_s == attrs.MUTABLE_S
        for below in ("info.json", "full", "full/max/0/default.jpg"):
            assert (await tree.walk(f"a/iiif/3/2024/Trip/three.jpg/{below}")).attributes.entry_s == attrs.IMMUTABLE_S
        for parent in ("a/iiif/3", "a/iiif/3/2024"):
            for name in ("nothing.jpg", "no thing.jpg", "x:y"):
                absent = await tree.filesystem.lookup((await tree.walk(parent)).node, name)
                assert isinstance(absent, Absent)
                assert absent.keep_s <= attrs.ABSENT_S, (parent, name)

    walked(tmp_path, gallery, test)


def test_renditions_are_one_node_and_documents_are_not(gallery: MemoryProvider, tmp_path: Path) -> None:
    async def test(tree: Tree) -> None:
        services = ("three", "2024/Trip/three.jpg", "2024:Trip:three.jpg", "2024/Trip:three.jpg")
        renditions = {(await tree.walk(f"a/iiif/3/{path}/full/30,/0/default.jpg")).node for path in services}
        assert len(renditions) == 1
        assert isinstance(renditions.pop(), Rendition)
        ids = [json.loads(await tree.read(f"a/iiif/3/{path}/info.json"))["id"] for path in services]
        assert ids == [
            "http://127.0.0.1:8080/a/iiif/3/three",
            "https://old.example.org/3/2024%2FTrip%2Fthree.jpg",
            "https://old.example.org/3/2024%3ATrip%3Athree.jpg",
            "https://old.example.org/3/2024%2FTrip%3Athree.jpg",
        ]
        assert tree.renditions.rendered == 1

    walked(tmp_path, gallery, test)


def test_an_info_that_left_memory_is_made_again(gallery: MemoryProvider, tmp_path: Path) -> None:
    noise = Image.frombytes("RGB", (900, 900), random.Random(1).randbytes(3 * 900 * 900))
    noise.save(tmp_path / "noise.png")
    gallery.put("noise", "noise.png", (tmp_path / "noise.png").read_bytes())

    async def test(tree: Tree) -> None:
        found = await tree.walk("a/iiif/2/2024/Trip/three.jpg/info.json")
        assert isinstance(found.node, Document)
        for width in (500, 510, 520):
            await tree.read(f"a/iiif/3/noise/full/{width},/0/default.png")
        assert tree.documents.body(found.node) is None
        body = await tree.read_node(found.node, found.attributes.size_bytes)
        assert json.loads(body)["@id"] == "https://old.example.org/2/2024%2FTrip%2Fthree.jpg"

    walked(tmp_path, gallery, test)


def test_a_filter_hides_pictures_and_folders_under_paths_too(gallery: MemoryProvider, tmp_path: Path) -> None:
    other = gallery.add_album("other", "Other", AlbumId("trip"))
    gallery.put("four", "four.jpg", jpeg(), other)

    async def test(tree: Tree) -> None:
        assert json.loads(await tree.read("a/iiif/3/2024/Trip/three.jpg/info.json"))["width"] == 300
        hidden = ("top.jpg", "2024/Trip/Other", "2024/Trip/Other/four.jpg", "2024:Trip:Other:four.jpg", "Trip")
        for path in hidden:
            for api in ("2", "3"):
                assert await tree.try_walk(f"a/iiif/{api}/{path}") is None, path

    shown = frozenset({(A, AlbumId("year")), (A, AlbumId("trip"))})
    walked(tmp_path, gallery, test, Visibility(shown, originals=False, control=False))


def test_what_cannot_be_asked_is_not_absent(gallery: MemoryProvider, tmp_path: Path) -> None:
    async def test(tree: Tree) -> None:
        assert await tree.try_walk("a/iiif/3/top.jpg") is not None
        assert await tree.try_walk("a/iiif/3/2024/Trip/three.jpg") is not None
        tree.galleries[A].expire(AlbumId("trip"))
        gallery.unreachable = True
        await trio.sleep(FRESH_S)
        with pytest.raises(ProviderUnreachable):
            await tree.try_walk("a/iiif/3/2024/Trip/three.jpg")

    walked(tmp_path, gallery, test)


def test_lookups_of_what_is_known_ask_for_no_listing(gallery: MemoryProvider, tmp_path: Path) -> None:
    async def test(tree: Tree) -> None:
        path = "a/iiif/3/2024/Trip/three.jpg"
        await tree.walk(path)
        asked = gallery.asked["listing"]
        for _ in range(5):
            await tree.walk(f"{path}/full/30,/0/default.jpg")
        assert gallery.asked["listing"] == asked

    walked(tmp_path, gallery, test)


def test_accounts_without_path_identifiers_have_none(gallery: MemoryProvider, tmp_path: Path) -> None:
    async def run() -> None:
        async with tree_of(tmp_path, {"a": gallery, "b": gallery}, identifiers=OLD) as tree:
            assert await tree.try_walk("a/iiif/3/top.jpg") is not None
            for path in ("top.jpg", "2024", "2024/Trip/three.jpg"):
                assert await tree.try_walk(f"b/iiif/3/{path}") is None
            assert await tree.names("a/iiif/3") == await tree.names("a/iiif/3/2024") == []

    trio.run(run)


def test_the_topmost_folder_is_where_paths_begin(gallery: MemoryProvider, tmp_path: Path) -> None:
    async def test(tree: Tree) -> None:
        assert gallery.albums[ROOT].title == "root"
        assert await tree.try_walk("a/iiif/3/root/top.jpg") is None
        assert await tree.try_walk("a/iiif/3/files/top.jpg") is None

    walked(tmp_path, gallery, test)
