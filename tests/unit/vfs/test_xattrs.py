"""Extended attributes over providers in memory: what is told, what it costs, and what went wrong last."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from iiiffs.errors import ProviderUnreachable, VersionChanged
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import AccountName, AssetId, Facts
from iiiffs.tree.nodes import Directory, Node, Original, Root
from iiiffs.tree.visibility import Visibility
from iiiffs.vfs.reasons import REASONS_KEPT, Reasons
from tests.harness.memory import MemoryProvider
from tests.harness.tree import BASE_URL, Tree, jpeg, tree_of


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        trio.run(functools.partial(test, *args, **kwargs))

    return run


async def told(tree: Tree, path: str) -> dict[str, str]:
    """All attributes that are listed at `path`, without their common beginnings."""
    return await told_of(tree, (await tree.walk(path)).node)


async def told_of(tree: Tree, node: Node) -> dict[str, str]:
    values = {}
    for name in tree.filesystem.xattrs.names(node):
        value = await tree.filesystem.xattrs.value(node, name)
        assert value is not None, f"{name} is listed"
        values[name.removeprefix("user.").removeprefix("iiiffs.")] = value.decode()
    return values


@pytest.fixture
def gallery() -> MemoryProvider:
    provider = MemoryProvider()
    provider.put("one", "a b.jpg", jpeg())
    provider.put("bad", "bad.jpg", b"no picture")
    trip = provider.add_album("trip", "Trip: 1/2")
    provider.put("two", "two.jpg", jpeg(300, 200), trip)
    provider.add_album("deep", "Deep", provider.add_album("holder", "Holder"))
    return provider


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_originals(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        version = gallery.assets[AssetId("one")].version
        assert await told(tree, "a/files/a b.jpg") == {
            "mime_type": "image/jpeg",
            "id": "one",
            "uri": f"{BASE_URL}/a/iiif/3/one",
            "version": version,
            "etag": version,
            "state": "local",
        }
        assert (await told(tree, "a/files/bad.jpg"))["uri"] == f"{BASE_URL}/a/files/bad.jpg"
        assert await told(tree, "a/files/Trip: 1_2/two.jpg") == await told(tree, "a/search/two/two.jpg")


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_uris_are_those_that_documents_carry(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        documents = (
            "collection.json", "a/collection.json", "a/files/manifest.json", "a/files/collection.json",
            "a/files/Trip: 1_2/manifest.json", "a/iiif/presentation/3/trip/manifest.json",
        )  # fmt: skip
        for path in documents:
            body = json.loads(await tree.read(path))
            assert await told(tree, path) == {"mime_type": "application/ld+json", "uri": body["id"]}
        for api, key in (("3", "id"), ("2", "@id")):
            service = json.loads(await tree.read(f"a/iiif/{api}/one/info.json"))[key]
            assert await told(tree, f"a/iiif/{api}/one") == {"id": "one", "uri": service}
            assert (await told(tree, f"a/iiif/{api}/one/info.json"))["uri"] == f"{service}/info.json"
        assert await told(tree, "") == {"uri": f"{BASE_URL}/collection.json"}
        assert await told(tree, "a") == {"uri": f"{BASE_URL}/a/collection.json"}


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_albums(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        base = f"{BASE_URL}/a/iiif/presentation/3"
        assert await told(tree, "a/files") == {"id": "root", "uri": f"{base}/root/manifest.json"}
        assert await told(tree, "a/files/Holder") == {"id": "holder", "uri": f"{base}/holder/collection.json"}
        assert await told(tree, "a/iiif/presentation/3/trip") == {"id": "trip", "uri": f"{base}/trip/manifest.json"}


@pytest.mark.parametrize(
    ("path", "canonical", "media_type"),
    [
        ("a/iiif/3/one/full/!30,30/0/default.jpg", "full/30,20/0/default.jpg", "image/jpeg"),
        ("a/iiif/2/one/full/30,/0/default.png", "full/30,20/0/default.png", "image/png"),
        ("a/iiif/3/one/full/^120,80/!90/gray.webp", "full/%5E120,80/!90/gray.webp", "image/webp"),
    ],
)
@pytest.mark.warns("bad.jpg")
@in_trio
async def test_renditions(gallery: MemoryProvider, tmp_path: Path, path: str, canonical: str, media_type: str) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert await told(tree, path) == {"mime_type": media_type, "uri": f"{BASE_URL}/a/iiif/3/one/{canonical}"}


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_what_has_none(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert await told(tree, "a/files/index.html") == {"mime_type": "text/html"}
        for path in ("a/files/iiif", "a/files/iiif/a b.jpg", "a/search", ".iiiffs", ".iiiffs/status.json", "a/iiif/3"):
            assert await told(tree, path) == {}
        node = (await tree.walk("a/files/a b.jpg")).node
        for name in ("user.note", "user.iiiffs.error", "user.iiiffs.live", "security.selinux", "user.iiiffs.", "user."):
            assert await tree.filesystem.xattrs.value(node, name) is None


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_names_and_values_of_a_known_gallery_cost_no_question(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        nodes: list[Node] = []
        waiting: list[tuple[str, Node]] = [("", Root())]
        while waiting:
            path, node = waiting.pop()
            nodes.append(node)
            if isinstance(node, Directory):
                snapshot = await tree.filesystem.entries(node)
                waiting += [(f"{path}/{name}", snapshot.describe(at).node) for at, name in enumerate(snapshot.names)]
        assert len(nodes) > 20
        asked = gallery.asked.total()
        for node in nodes:
            assert isinstance(tree.filesystem.xattrs.names(node), tuple)
            assert await tree.filesystem.xattrs.value(node, "security.capability") is None
            for name in tree.filesystem.xattrs.names(node):
                if not name.endswith(".uri"):
                    assert await tree.filesystem.xattrs.value(node, name) is not None
        assert gallery.asked.total() == asked
        assert tree.renditions.rendered == 0


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_an_old_version_has_no_new_address(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        node = (await tree.walk("a/files/a b.jpg")).node
        assert isinstance(node, Original)
        old = replace(node, version="v0")  # type: ignore[arg-type]  # a version that nobody has
        assert await tree.filesystem.xattrs.value(old, "user.iiiffs.version") == b"v0"
        with pytest.raises(VersionChanged):
            await tree.filesystem.xattrs.value(old, "user.iiiffs.uri")


class WithVideos(MemoryProvider):
    """Files that end in .MOV are videos of two seconds."""

    async def facts(self, asset: Any) -> Facts:
        if asset.name.endswith(".MOV"):
            return Facts("video/quicktime", None, duration_s=2.0)
        return await super().facts(asset)


@in_trio
async def test_the_video_of_a_live_photo(tmp_path: Path) -> None:
    provider = WithVideos(real_names=True)
    provider.put("still", "IMG_1.jpg", jpeg())
    provider.put("other", "IMG_2.jpg", jpeg())
    provider.put("video", "IMG_1.MOV", b"moving")
    video = provider.assets[AssetId("video")]
    provider.assets[video.id] = replace(video, media_type="video/quicktime")
    async with tree_of(tmp_path, {"a": provider}) as tree:
        assert (await told(tree, "a/files/IMG_1.jpg"))["live"] == "video"
        assert "live" not in await told(tree, "a/files/IMG_2.jpg")
        assert "live" not in await told(tree, "a/files/IMG_1.MOV")


# ---- user.iiiffs.error ------------------------------------------------------------------------------------------


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_a_directory_says_why_a_picture_is_not_there(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert await tree.try_walk("a/files/iiif/absent.jpg") is None
        assert await told(tree, "a/files/iiif") == {}
        assert await tree.try_walk("a/files/iiif/bad.jpg") is None
        (reason,) = (await told(tree, "a/files/iiif")).values()
        assert "bad.jpg" in reason
        assert "\n" not in reason


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_a_refused_request_says_why(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert await tree.try_walk("a/iiif/3/one/full/9999,") is None
        assert "upscales" in (await told(tree, "a/iiif/3/one/full"))["error"]
        assert "error" not in await told(tree, "a/iiif/3/two")


@pytest.mark.warns("bad.jpg")
@pytest.mark.warns("unreachable")
@in_trio
async def test_a_failure_is_told_until_the_same_works_again(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        service = (await tree.walk("a/iiif/3")).node
        gallery.unreachable = True
        with pytest.raises(ProviderUnreachable):
            await tree.filesystem.lookup(service, "one")
        assert await told_of(tree, service) == {"error": "the memory provider was told to be unreachable"}
        gallery.unreachable = False
        await tree.walk("a/iiif/3/two")
        assert "error" in await told_of(tree, service)
        await tree.walk("a/iiif/3/one")
        assert await told_of(tree, service) == {}


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_a_file_that_cannot_be_opened_says_why(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        node = (await tree.walk("a/files/a b.jpg")).node
        gallery.unreachable = True
        with pytest.raises(ProviderUnreachable):
            await tree.filesystem.open(node)  # type: ignore[arg-type]  # it is a file
        assert (await told_of(tree, node))["error"] == "the memory provider was told to be unreachable"
        gallery.unreachable = False
        await (await tree.filesystem.open(node)).aclose()  # type: ignore[arg-type]  # it is a file
        assert "error" not in await told_of(tree, node)


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_reasons_are_for_the_private_mount(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}, visibility=Visibility(None, originals=True, control=False)) as tree:
        assert await tree.try_walk("a/files/iiif/bad.jpg") is None
        assert await told(tree, "a/files/iiif") == {}


def test_reasons_are_few_and_short() -> None:
    reasons = Reasons()
    nodes = [Original(AccountName("a"), AssetId(str(number)), "v") for number in range(REASONS_KEPT + 1)]  # type: ignore[arg-type]
    for node in nodes:
        reasons.failed(node, "open", "two\n lines " + "x" * 5000)
    assert reasons.of(nodes[0]) is None
    reason = reasons.of(nodes[-1])
    assert reason is not None
    assert reason.startswith("two lines xxx")
    assert len(reason) == 1000
    reasons.worked(nodes[-1], "lookup x")
    assert reasons.of(nodes[-1]) is not None
    reasons.worked(nodes[-1], "open")
    assert reasons.of(nodes[-1]) is None


def test_a_rendition_is_a_uri() -> None:
    uris = Uris("http://h/")
    assert uris.rendition(AccountName("a"), AssetId("x"), "full/^!9,9/0/default.jpg") == (
        "http://h/a/iiif/3/x/full/%5E!9,9/0/default.jpg"
    )
