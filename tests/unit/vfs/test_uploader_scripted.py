"""The uploader against the scripted provider, which the contract of writing holds: faults that pass change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from iiiffs.model.gallery import AlbumId
from iiiffs.sync.items import Stage, Verb
from tests.harness.scripted import Fault, FaultKind, Flavour, Store, open_scripted
from tests.unit.vfs.uploading import Bench, base_of, living

JPEG = b"\xff\xd8\xff\xda\x00\x02 picture \xff\xd9"
PASSING = [
    FaultKind.LATENCY,
    FaultKind.UNREACHABLE,
    FaultKind.DENIED,
    FaultKind.SLOW,
    FaultKind.TRUNCATED,
    FaultKind.HALF,
    FaultKind.TWICE,
    FaultKind.LOST,
]


class ScriptedBench(Bench):
    """A bench whose provider is a store's."""

    def __init__(self, path: Path, store: Store) -> None:
        super().__init__(path, cast(Any, open_scripted(store, threads=False)))

    async def _names(self, album: AlbumId) -> set[str]:
        return {asset.name for asset in (await self.provider.listing(album)).assets}


@pytest.fixture(params=list(Flavour))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "server", request.param) as store:
        yield store
        store.check()


@pytest.mark.parametrize("kind", PASSING)
def test_all_arrives_once_whatever_happens_for_a_while(tmp_path: Path, store: Store, kind: FaultKind) -> None:
    album = store.make_album("Trip")
    store.put("old.jpg", b"old", album.id)
    bench = ScriptedBench(tmp_path / "spool", store)
    new = {f"{number}.jpg": JPEG + b"%d" % number for number in range(3)}

    async def test() -> None:
        (old,) = (await bench.provider.listing(album.id)).assets
        for method in ("upload", "replace"):
            store.script.add(Fault(kind, method, times=2, seconds=5.0, bytes_per_s=10.0))
        for name, data in new.items():
            await bench.file(name, data, album.id)
        await bench.file("old.jpg", JPEG + b"new", album.id, base=base_of(old))
        while not (await bench.uploader.wait_idle()).is_idle:
            await trio.sleep(1)
        assert {item.stage for item in bench.queue.items()} == {Stage.SENT}

    living(bench, test)
    found = {one.name: store.bytes_of(one.id) for one in store.members(album.id)}
    assert found == {**new, "old.jpg": JPEG + b"new"}
    assert len(store.assets()) == 4 and bench.disk.conflicts == {}


def test_a_change_that_was_none_makes_no_conflict(tmp_path: Path, store: Store) -> None:
    album = store.make_album("Trip")
    store.put("a.jpg", b"old", album.id)
    bench = ScriptedBench(tmp_path / "spool", store)

    async def test() -> None:
        (old,) = (await bench.provider.listing(album.id)).assets
        store.script.add(Fault(FaultKind.CHANGED, "replace"))
        await bench.file("a.jpg", JPEG, album.id, base=base_of(old))
        await bench.uploader.wait_idle()

    living(bench, test)
    assert [store.bytes_of(one.id) for one in store.members(album.id)] == [JPEG]
    assert bench.disk.conflicts == {}


@pytest.mark.warns("failed: not_found")
def test_a_photo_that_is_gone_spoils_no_other(tmp_path: Path) -> None:
    with Store(tmp_path / "server", Flavour.IMMICH) as store:
        album = store.make_album("Trip")
        assets = [store.put(f"{number}.jpg", b"%d" % number) for number in range(5)]
        bench = ScriptedBench(tmp_path / "spool", store)

        async def test() -> None:
            await bench.says(Verb.ADD, "asset-999", *(asset.id for asset in assets), album=album.id)
            state = await bench.uploader.wait_idle()
            assert [item.assets for item in state.failed] == [("asset-999",)]

        living(bench, test)
        assert len(store.members(album.id)) == 5
