"""Views over the index: timeline, tags, favorites and search; sidecars, iiif.toml, parts; and the watcher."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from PIL import Image, TiffImagePlugin

from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.vfs.watcher import AlbumChange, Watcher
from tests.harness.memory import ROOT, MemoryProvider
from tests.harness.tree import jpeg, tree_of

A = AccountName("a")


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        trio.run(functools.partial(test, *args, **kwargs))

    return run


def dated(day: str, colour: str = "navy") -> bytes:
    """A picture taken on that day, as EXIF says."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = f"{day.replace('-', ':')} 12:00:00"
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def xmp(keywords: list[str], rating: int = 0, title: str = "") -> bytes:
    items = "".join(f"<rdf:li>{keyword}</rdf:li>" for keyword in keywords)
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
       xmp:Rating="{rating}"><dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>
       <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
      </rdf:Description></rdf:RDF></x:xmpmeta>""".encode()


@pytest.fixture
def photos() -> MemoryProvider:
    provider = MemoryProvider(real_names=True)
    provider.put("one", "IMG_2.jpg", dated("2024-06-01"))
    provider.put("two", "IMG_10.jpg", dated("2024-06-15", "red"))
    trip = provider.add_album("trip", "Trip")
    provider.put("three", "IMG_2.jpg", dated("2023-01-05", "green"), trip)
    return provider


@in_trio
async def test_the_timeline_has_years_months_and_documents(photos: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": photos}) as tree:
        assert {"2023", "2024", "collection.json", "index.html"} == set(await tree.names("a/timeline"))
        assert "2024-06" in await tree.names("a/timeline/2024")
        month = await tree.names("a/timeline/2024/2024-06")
        assert {"IMG_2.jpg", "IMG_10.jpg", "manifest.json", "iiif", "index.html"} == set(month)
        listed = await tree.walk("a/timeline/2024/2024-06/IMG_2.jpg")
        assert listed.node == (await tree.walk("a/files/IMG_2.jpg")).node
        assert listed.attributes.links == 2
        manifest = json.loads(await tree.read("a/timeline/2024/2024-06/manifest.json"))
        assert manifest["label"] == {"none": ["2024-06"]}
        assert [item["label"]["none"][0] for item in manifest["items"]] == ["IMG_2.jpg", "IMG_10.jpg"]
        assert manifest["items"][0]["rendering"][0]["id"].endswith("/a/files/IMG_2.jpg")
        assert await tree.try_walk("a/timeline/2022") is None
        assert await tree.try_walk("a/iiif/presentation/3/timeline~2024-06/manifest.json") is not None
        collection = json.loads(await tree.read("a/timeline/collection.json"))
        assert [item["label"]["none"][0] for item in collection["items"]] == ["2023", "2024"]


@in_trio
async def test_search_is_an_album_found_by_name(photos: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": photos}) as tree:
        assert await tree.names("a/search") == []
        found = await tree.names("a/search/from:2024-06 to:2024-06-10")
        assert "IMG_2.jpg" in found and "IMG_10.jpg" not in found
        both = await tree.names("a/search/img_2")
        assert len([name for name in both if name.startswith("IMG_2")]) == 2, "equal names of two folders"
        assert (await tree.walk("a/search/IMG_2")).node == (await tree.walk("a/search/img_2")).node
        for refused in ("colour:red", "smart:sunset", "from:yesterday", '"'):
            assert await tree.try_walk(f"a/search/{refused}") is None, refused
        assert await tree.read("a/search/img_10/iiif/../manifest.json".replace("iiif/../", ""))


@in_trio
async def test_sidecars_make_tags_and_favorites(photos: MemoryProvider, tmp_path: Path) -> None:
    photos.put("side", "IMG_2.xmp", xmp(["sea", "fjord"], 5, "Evening"))
    async with tree_of(tmp_path, {"a": photos}) as tree:
        assert {"sea", "fjord"} <= set(await tree.names("a/tags"))
        assert "IMG_2.jpg" in await tree.names("a/tags/sea")
        assert "IMG_2.jpg" in await tree.names("a/favorites")
        assert (await tree.walk("a/files/IMG_2.jpg")).attributes.links == 5
        for path in ("a/files/manifest.json", "a/timeline/2024/2024-06/manifest.json"):
            assert "Evening" in (await tree.read(path)).decode(), path
        before = await tree.walk("a/tags/sea/manifest.json")
        photos.put("side", "IMG_2.xmp", xmp(["sea"], 0, "Morning"))
        tree.galleries[A].expire(ROOT)
        await tree.galleries[A].library.album_seen(ROOT)  # type: ignore[union-attr]  # it has folders
        assert set(await tree.names("a/tags")) & {"sea", "fjord"} == {"sea"}
        assert "IMG_2.jpg" not in await tree.names("a/favorites")
        after = await tree.walk("a/tags/sea/manifest.json")
        assert b"Morning" in await tree.read("a/tags/sea/manifest.json")
        assert after.attributes.mtime_ns >= before.attributes.mtime_ns + 10**9


@pytest.mark.warns("iiif.toml is left out")
@in_trio
async def test_what_the_owner_says_is_stronger(photos: MemoryProvider, tmp_path: Path) -> None:
    text = """
        label = "The fjords"
        rights = "http://creativecommons.org/licenses/by/4.0/"
        order = "date"
        [file."IMG_2.jpg"]
        summary = "The first evening"
    """
    photos.put("toml", "iiif.toml", text.encode())
    async with tree_of(tmp_path, {"a": photos}) as tree:
        manifest = json.loads(await tree.read("a/files/manifest.json"))
        assert "The fjords" in str(manifest["label"])
        assert manifest["rights"] == "http://creativecommons.org/licenses/by/4.0/"
        assert "The first evening" in str(manifest["items"][0]["summary"])
        assert "The fjords" in str(json.loads(await tree.read("a/files/collection.json"))["label"])
        photos.put("toml", "iiif.toml", b"label = 5")
        tree.galleries[A].expire(ROOT)
        assert "The fjords" not in (await tree.read("a/files/manifest.json")).decode()


@in_trio
async def test_folders_are_in_natural_order(photos: MemoryProvider, tmp_path: Path) -> None:
    photos.put("four", "IMG_1.jpg", dated("2025-01-01"))
    async with tree_of(tmp_path, {"a": photos}) as tree:
        manifest = json.loads(await tree.read("a/files/manifest.json"))
        assert [item["label"]["none"][0] for item in manifest["items"]] == ["IMG_1.jpg", "IMG_2.jpg", "IMG_10.jpg"]


@in_trio
async def test_a_long_album_has_parts_beside_its_whole_manifest(photos: MemoryProvider, tmp_path: Path) -> None:
    photos.put("four", "IMG_3.jpg", dated("2024-07-01"))
    async with tree_of(tmp_path, {"a": photos}, manifest_max=2) as tree:
        assert "collection.json" in await tree.names("a/files")
        whole = json.loads(await tree.read("a/files/manifest.json"))
        assert len(whole["items"]) == 3
        collection = json.loads(await tree.read("a/files/collection.json"))
        parts = [item["id"] for item in collection["items"] if "/manifest-" in item["id"]]
        assert [part.rpartition("/")[2] for part in parts] == ["manifest-2024-06.json", "manifest-2024-07.json"]
        for part in parts:
            path = part.removeprefix("http://127.0.0.1:8080/")
            document = json.loads(await tree.read(path))
            assert document["id"] == part
            assert {item["id"] for item in document["items"]} <= {item["id"] for item in whole["items"]}
        assert await tree.try_walk("a/iiif/presentation/3/root/manifest-2024-08.json") is None


@in_trio
async def test_every_page_has_a_service_and_a_canvas(photos: MemoryProvider, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer) as writer:
        for side in (40, 50, 60):
            Image.new("RGB", (side, 30), "white").save(writer, "TIFF")
            writer.newFrame()
    photos.put("scan", "scan.tif", buffer.getvalue())
    async with tree_of(tmp_path, {"a": photos}) as tree:
        for service, width in (("scan", 40), ("scan~2", 50), ("scan~3", 60)):
            info = json.loads(await tree.read(f"a/iiif/3/{service}/info.json"))
            assert (info["width"], info["id"].rpartition("/")[2]) == (width, service)
            body = await tree.read(f"a/iiif/3/{service}/full/max/0/default.png")
            assert Image.open(io.BytesIO(body)).size == (width, 30)
        for absent in ("scan~1", "scan~4", "scan~02", "one~2"):
            assert await tree.try_walk(f"a/iiif/3/{absent}") is None, absent
        manifest = json.loads(await tree.read("a/files/manifest.json"))
        scans = [item["id"].rpartition("/")[2] for item in manifest["items"] if "/scan" in item["id"]]
        assert scans == ["scan", "scan~2", "scan~3"]


@in_trio
async def test_the_index_is_there_again_without_a_listing(photos: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": photos}) as tree:
        first = await tree.names("a/timeline/2024/2024-06")
    photos.asked.clear()
    async with tree_of(tmp_path, {"a": photos}) as tree:
        assert await tree.names("a/timeline/2024/2024-06") == first
        assert photos.asked["facts"] == 0
        assert photos.asked["listing"] == 0, "folders that have kept their time are not listed"


@in_trio
async def test_changes_reach_index_and_kernel(photos: MemoryProvider, tmp_path: Path) -> None:
    told: list[AlbumChange] = []

    async def tell(change: AlbumChange) -> None:
        told.append(change)

    async with tree_of(tmp_path, {"a": photos}) as tree, trio.open_nursery() as nursery:
        watcher = Watcher(tree.galleries[A], tell)
        nursery.start_soon(watcher.run)
        await tree.names("a/files")
        photos.put("new", "new.jpg", dated("2021-03-03"))
        photos.remove("two")
        watcher.report(Changeset(frozenset({ROOT})))
        with trio.fail_after(10):
            while not told:
                await trio.sleep(0.01)
        assert told == [AlbumChange(A, ROOT)]
        assert {"new.jpg", "IMG_10.jpg"} & set(await tree.names("a/files")) == {"new.jpg"}
        assert "2021" in await tree.names("a/timeline")
        assert "IMG_10.jpg" not in await tree.names("a/timeline/2024/2024-06")
        photos.put("deep", "deep.jpg", dated("2020-02-02"), photos.add_album("below", "Below", AlbumId("trip")))
        watcher.report(Changeset(frozenset(), everything=True))
        with trio.fail_after(10):
            while "2020" not in await tree.names("a/timeline"):
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


@in_trio
async def test_folders_are_counted_that_are_there(photos: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": photos}) as tree:
        gallery = tree.galleries[A]
        assert gallery.library is not None
        assert gallery.gauges() == {"whole": True, "files": 3, "folders": 2}
        await gallery.library.crawl_again(trusting=False)
        assert gallery.gauges()["folders"] == 2, "looked at twice, and there once"
        empty = photos.add_album("empty", "Empty")
        gallery.expire(ROOT)
        await gallery.library.album_seen(ROOT)
        assert gallery.gauges()["folders"] == 3
        del photos.albums[empty]
        gallery.expire(ROOT)
        await gallery.library.album_seen(ROOT)
        assert gallery.gauges()["folders"] == 2
    del photos.albums[AlbumId("trip")], photos.assets[AssetId("three")]
    photos.put("four", "four.jpg", dated("2024-06-02"))
    async with tree_of(tmp_path, {"a": photos}) as tree:
        assert tree.galleries[A].gauges() == {"whole": True, "files": 3, "folders": 1}, "gone while nobody looked"


@in_trio
async def test_what_comes_while_everything_is_looked_at_stays(photos: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": photos}) as tree, trio.open_nursery() as nursery:
        library, listing = tree.galleries[A].library, photos.listing
        assert library is not None
        reached, go_on = trio.Event(), trio.Event()

        async def slow(album: AlbumId) -> Any:
            if album == "trip":
                reached.set()
                await go_on.wait()
            return await listing(album)

        photos.listing = slow  # type: ignore[method-assign]
        tree.galleries[A].expire(ROOT)
        tree.galleries[A].expire(AlbumId("trip"))
        nursery.start_soon(functools.partial(library.crawl_again, trusting=False))
        await reached.wait()
        photos.put("late", "late.jpg", dated("2020-02-02"), photos.add_album("below", "Below"))
        tree.galleries[A].expire(ROOT)
        await library.album_seen(ROOT)
        assert "2020" in await tree.names("a/timeline")
        go_on.set()
    assert library.index.entry(AssetId("late")) is not None


@in_trio
async def test_a_folder_that_loses_much_is_asked_twice(tmp_path: Path) -> None:
    photos = MemoryProvider(real_names=True)
    for number in range(20):
        photos.put(f"id{number:02}", f"{number:02}.jpg", jpeg())
    async with tree_of(tmp_path, {"a": photos}) as tree:
        gallery = tree.galleries[A]
        whole, flickers = dict(photos.assets), True
        listing = photos.listing

        async def flickering(album: AlbumId) -> Any:
            nonlocal flickers
            photos.assets = {} if flickers else whole
            flickers = False
            return await listing(album)

        photos.listing = flickering  # type: ignore[method-assign]
        gallery.expire(ROOT)
        assert len((await gallery.listing(ROOT)).assets) == 20, "one bad answer evicts nothing"
        photos.listing = listing  # type: ignore[method-assign]
        photos.assets = {}
        gallery.expire(ROOT)
        assert len((await gallery.listing(ROOT)).assets) == 0, "two that agree are believed"
