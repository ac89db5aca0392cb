"""What is done in threads and in pieces where an album is large is the same as where it is small."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import trio

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.tree.nodes import AlbumDir, Original
from iiiffs.vfs import documents, facts, gallery, library
from iiiffs.vfs.packed import PIECE_BYTES, PackedBody
from tests.harness.memory import MemoryProvider
from tests.harness.tree import Tree, jpeg, tree_of
from tests.unit.vfs.test_library import dated, in_trio, xmp

A = AccountName("a")
PLACES = (
    "a/files",
    "a/files/Trip",
    "a/timeline/2024",
    "a/timeline/2024/2024-06",
    "a/tags/sea",
    "a/favorites",
    "a/search/img from:2024",
)
FILES = 130
"""Canvases of these are more than a piece of a packed body."""


def filled() -> MemoryProvider:
    """A folder of pictures, some with sidecars, one that is none, and a folder in it."""
    provider = MemoryProvider(real_names=True)
    for number in range(6):
        provider.put(f"p{number}", f"IMG_{number}.jpg", dated(f"2024-06-{number + 1:02}", "red"))
    provider.put("broken", "IMG_broken.jpg", b"no picture")
    provider.put("x1", "IMG_1.jpg.xmp", xmp(["sea", "favorite"], title="Harbour"))
    provider.put("x2", "IMG_2.xmp", xmp(["sea"], rating=5))
    trip = provider.add_album("trip", "Trip")
    provider.put("t1", "IMG_1.jpg", dated("2024-06-09", "green"), trip)
    return provider


async def told(tree: Tree) -> dict[str, object]:
    """Names, nodes, attributes and documents of some places."""
    found: dict[str, object] = {}
    for place in PLACES:
        for name in sorted(await tree.names(place)):
            found[f"{place}/{name}"] = await tree.walk(f"{place}/{name}")
        for document in ("manifest.json", "collection.json"):
            if await tree.try_walk(f"{place}/{document}") is not None:
                found[f"{place}/{document} body"] = json.loads(await tree.read(f"{place}/{document}"))
    return found


@pytest.mark.warns("IMG_broken.jpg")
@in_trio
async def test_an_album_above_all_bounds_shows_what_one_below_them_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tree_of(tmp_path / "small", {"a": filled()}, manifest_max=4) as tree:
        small = await told(tree)
    assert "a/files/collection.json body" in small and "a/tags/sea/IMG_2.jpg" in small
    monkeypatch.setattr(documents, "DIGESTED_AT_ONCE", 0)
    monkeypatch.setattr(facts, "AT_ONCE", 0)
    monkeypatch.setattr(facts, "SLICE", 2)
    monkeypatch.setattr(gallery, "NAMED_AT_ONCE", 0)
    monkeypatch.setattr(library, "SLICE", 1)
    monkeypatch.setattr(library, "SEARCH_SLICE", 1)
    async with tree_of(tmp_path / "large", {"a": filled()}, manifest_max=4) as tree:
        assert await told(tree) == small


@pytest.mark.warns("IMG_broken.jpg")
@in_trio
async def test_a_view_that_changes_while_its_names_are_made_is_shown_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SLICE", 1)
    provider = filled()
    async with tree_of(tmp_path, {"a": provider}) as tree:
        held = tree.galleries[A].library
        assert held is not None
        month = "a/timeline/2024/2024-06"
        before = set(await tree.names(month))
        provider.put("new", "IMG_new.jpg", dated("2024-06-30", "blue"))
        tree.galleries[A].expire(None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(held.album_seen, AlbumId("root"))
            for _ in range(20):
                assert set(await tree.names(month)) - {"manifest.json"} in (
                    before - {"manifest.json"},
                    before - {"manifest.json"} | {"IMG_new.jpg"},
                )
        assert set(await tree.names(month)) == before | {"IMG_new.jpg"}
        listing = await tree.galleries[A].listing(AlbumId("timeline~2024-06"))
        assert listing.etag == await held.etag(AlbumId("timeline~2024-06"))


@in_trio
async def test_a_long_manifest_is_read_part_by_part_also_after_a_restart(tmp_path: Path) -> None:
    provider = MemoryProvider(real_names=True)
    for number in range(FILES):
        provider.put(f"p{number}", f"IMG_{number}.jpg", jpeg())
    bodies = []
    for _ in range(2):
        async with tree_of(tmp_path, {"a": provider}) as tree:
            found = await tree.walk("a/files/manifest.json")
            size_bytes = found.attributes.size_bytes
            assert isinstance(tree.documents.opened(found.node), PackedBody)  # type: ignore[arg-type]
            handle = await tree.filesystem.open(found.node)  # type: ignore[arg-type]
            parts = [await handle.read(offset, 50_001) for offset in range(0, size_bytes, 50_001)]
            assert await handle.read(size_bytes, 10) == b""
            await handle.aclose()
            bodies.append(b"".join(parts))
            assert len(bodies[-1]) == size_bytes > PIECE_BYTES
            assert tree.documents.body(found.node) == bodies[-1]  # type: ignore[arg-type]
    assert bodies[0] == bodies[1]
    manifest = json.loads(bodies[0])
    assert bodies[0] == msgspec.json.encode(manifest), "compact, and in the order of a plain encoding"
    assert [canvas["label"]["none"] for canvas in manifest["items"]] == [[f"IMG_{n}.jpg"] for n in range(FILES)]


@in_trio
async def test_a_listing_that_is_under_way_tells_sizes_of_now_and_keeps_its_names(tmp_path: Path) -> None:
    provider = MemoryProvider(real_names=True)
    for name in ("changes.jpg", "goes.jpg", "stays.jpg"):
        provider.put(name, name, jpeg())
    async with tree_of(tmp_path, {"a": provider}) as tree:
        album = (await tree.walk("a/files")).node
        assert isinstance(album, AlbumDir)
        snapshot = await tree.filesystem.entries(album)
        before = {name: snapshot.describe(index) for index, name in enumerate(snapshot.names)}
        changed = provider.put("changes.jpg", "changes.jpg", jpeg(90, 90, "red"))
        provider.remove("goes.jpg")
        tree.galleries[A].expire(None)
        assert "goes.jpg" not in await tree.names("a/files")
        after = {name: snapshot.describe(index) for index, name in enumerate(snapshot.names)}
    assert after["changes.jpg"].attributes.size_bytes == changed.size_bytes
    assert after["changes.jpg"].node == Original(A, changed.id, changed.version) != before["changes.jpg"].node
    assert after["goes.jpg"].node == before["goes.jpg"].node, "its name was promised, and is told as it was"
    assert after["stays.jpg"] == before["stays.jpg"]
    assert list(after) == list(before)
