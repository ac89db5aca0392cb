"""`.iiiffs/queue` and `.iiiffs/failed`: private, read-only, and true at the moment of the open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.errors import NoSuchName
from iiiffs.model.gallery import Asset, AssetId, Version
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.tree.nodes import ControlDir, ControlFile, node_key
from iiiffs.vfs.control_files import ControlFiles, file_name, file_names, id_of
from iiiffs.vfs.entries import Found
from tests.harness.queued import HOME, NOW_NS, TRIP, Queued, queued

SENT = Asset(AssetId("a9"), TRIP, "sent.jpg", Version("1"), 5, NOW_NS, NOW_NS, "image/jpeg")
TOP, QUEUE, FAILED = ControlDir(), ControlDir("queue"), ControlDir("failed")


def files_of(parts: Queued) -> ControlFiles:
    files = ControlFiles({"status.json": lambda: b"{}"}, NOW_NS)
    files.show(parts.queue, parts.control.report)
    return files


async def read(files: ControlFiles, name: str) -> bytes:
    """The whole file, whose length is what was told of it."""
    node = ControlFile(name)
    size_bytes = files.file_attributes(node).size_bytes
    handle = await files.open(node)
    try:
        assert handle.is_snapshot
        body = await handle.read(0, size_bytes + 1)
    finally:
        await handle.aclose()
    assert len(body) == size_bytes
    return bytes(body)


def test_what_is_listed_and_what_it_says(tmp_path: Path) -> None:
    async def main() -> None:
        async with queued(tmp_path) as parts:
            files = files_of(parts)
            await parts.add("a", Stage.READY, b"abc", tries=2, reason="away")
            await parts.add("b", Stage.FAILED, b"\xff\xd8 bytes", reason="the server says no")
            await parts.add("m", Stage.FAILED, verb=Verb.MAKE_ALBUM, name="New/Album", reason="no")
            await parts.add("s", Stage.SENT, sent=SENT)
            assert list((await files.entries(TOP)).names) == ["status.json", "queue", "failed"]
            assert list((await files.entries(QUEUE)).names) == ["local-a-a.jpg"]
            failed = ["local-b-b.jpg", "local-b-b.jpg.txt", "local-m-New_Album.txt"]
            assert list((await files.entries(FAILED)).names) == failed
            told = json.loads(await read(files, "queue/local-a-a.jpg"))
            assert (told["path"], told["stage"], told["tries"], told["reason"]) == (
                "shown/albums/Trip/a.jpg",
                "ready",
                2,
                "away",
            )
            assert await read(files, "failed/local-b-b.jpg") == b"\xff\xd8 bytes"
            reason, _, rest = (await read(files, "failed/local-b-b.jpg.txt")).decode().partition("\n")
            assert reason == "the server says no"
            assert json.loads(rest)["id"] == "local-b"

    trio.run(main)


def test_modes_are_the_owners_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with queued(tmp_path) as parts:
            files = files_of(parts)
            await parts.add("b", Stage.FAILED)
            for directory in (QUEUE, FAILED):
                found = await files.lookup(TOP, directory.path)
                assert isinstance(found, Found)
                assert (found.node, found.attributes.mode) == (directory, 0o500)
            snapshot = await files.entries(FAILED)
            for index, name in enumerate(snapshot.names):
                found = await files.lookup(FAILED, name)
                assert found == snapshot.describe(index)
                assert isinstance(found, Found)
                assert (found.attributes.mode, found.attributes.attr_s, found.attributes.entry_s) == (0o400, 0.0, 0.0)

    trio.run(main)


def test_a_name_is_there_only_in_its_stage_and_folder(tmp_path: Path) -> None:
    async def main() -> None:
        async with queued(tmp_path) as parts:
            files = files_of(parts)
            await parts.add("a", Stage.READY)
            await parts.add("b", Stage.FAILED)
            for directory, name in {
                (QUEUE, "local-b-b.jpg"),
                (QUEUE, "local-a-a.jpg.txt"),
                (QUEUE, "local-a-other.jpg"),
                (QUEUE, "local-a"),
                (QUEUE, "local-z-z.jpg"),
                (QUEUE, ""),
                (FAILED, "local-a-a.jpg"),
                (TOP, "local-a-a.jpg"),
            }:
                assert not isinstance(await files.lookup(directory, name), Found), name
            node = ControlFile("failed/local-b-b.jpg")
            handle = await files.open(node)
            await parts.queue.drop("local-b")
            assert await handle.read(0, 100) == b"bytes"
            await handle.aclose()
            with pytest.raises(NoSuchName):
                files.file_attributes(node)
            with pytest.raises(NoSuchName):
                await files.open(node)

    trio.run(main)


def test_without_a_queue_there_are_no_directories() -> None:
    async def main() -> None:
        files = ControlFiles({"status.json": lambda: b"{}"}, NOW_NS)
        assert list((await files.entries(TOP)).names) == ["status.json"]
        assert not isinstance(await files.lookup(TOP, "queue"), Found)
        assert not isinstance(await files.lookup(QUEUE, "local-a-a.jpg"), Found)

    trio.run(main)


def test_directories_are_inodes_of_their_own() -> None:
    assert len({node_key(node) for node in (TOP, QUEUE, FAILED)}) == 3


@given(st.text(min_size=1), st.sampled_from(list(Stage)))
def test_every_item_has_names_that_lead_back_to_it(name: str, stage: Stage) -> None:
    item = Item("local-0a1", 1, HOME, Verb.UPLOAD, stage, TRIP, name, NOW_NS)
    names = [name for folder in ("queue", "failed") for name in file_names(folder, item)]
    assert len(names) == {Stage.SENT: 0, Stage.KEPT: 0, Stage.FAILED: 2}.get(stage, 1)
    for each in names:
        assert id_of(each) == "local-0a1"
        assert "/" not in each
        assert len(each.encode()) <= 255


def test_a_long_name_keeps_its_suffix() -> None:
    item = Item("local-0a1", 1, HOME, Verb.UPLOAD, Stage.READY, TRIP, "ä" * 120 + ".jpeg", NOW_NS)
    assert file_name(item).startswith("local-0a1-ä")
    assert file_name(item).endswith("ä.jpeg")
