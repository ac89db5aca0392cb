"""Whatever is cut off, lost or refused for a while, and at whatever step iiiffs ends: all arrives, and exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from iiiffs.errors import ProviderUnreachable
from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.model.writing import Edit
from iiiffs.sync.items import Item, Stage, Verb
from tests.unit.vfs.uploading import ROOT, Bench, TestProvider, base_of, living, sha1

JPEG = b"\xff\xd8\xff\xda\x00\x02 picture \xff\xd9"
OTHER = AlbumId("other")
FAULTS = (None, None, "lost", "away", "cut")


async def written(bench: Bench) -> None:
    """A new album with two files, a file that replaces one, and where albums are sets a photo that moves."""
    album = bench.item(Verb.MAKE_ALBUM, "Trip", stage=Stage.READY)
    await bench.queue.commit(album)
    await bench.file("a.jpg", JPEG + b"a", AlbumId(album.id))
    await bench.file("b.jpg", JPEG + b"b", AlbumId(album.id))
    there = bench.provider.stored[AssetId("asset-1")].asset
    await bench.file(there.name, JPEG + b"new", base=base_of(there))
    await bench.says(Verb.EDIT, there.id, edit=Edit(rating=3))
    if bench.provider.capabilities.writing is not None and bench.provider.capabilities.writing.membership:
        new = await bench.file("c.jpg", JPEG + b"c")
        await bench.says(Verb.ADD, new.id, album=OTHER)
        await bench.says(Verb.TAKE_OUT, new.id)


def check(bench: Bench) -> None:
    """All is at the provider as it was written, once, and nothing waits."""
    provider = bench.provider
    made = [album.id for album in provider.albums.values() if album.title == "Trip"]
    assert len(made) == 1
    assert provider.in_album(made[0]) == {"a.jpg": JPEG + b"a", "b.jpg": JPEG + b"b"}
    assert provider.in_album() == {"old.jpg": JPEG + b"new"}
    sums = [sha1(one.data) for one in provider.stored.values() if not one.is_trashed]
    assert len(set(sums)) == len(sums)
    assert provider.edits and provider.edits[-1][1] == Edit(rating=3)
    if provider.count("add"):
        assert provider.in_album(OTHER) == {"c.jpg": JPEG + b"c"}
    assert {item.stage for item in bench.disk.items.values()} == {Stage.SENT}
    assert all(item.sent is not None and bench.disk.successors[item.id] for item in bench.disk.items.values())
    assert bench.spool.sizes() == {} and bench.disk.conflicts == {}


def begun(path: Path, *, sets: bool) -> Bench:
    provider = TestProvider(sets=sets)
    provider.put("old.jpg", b"old")
    provider.albums[OTHER] = provider.albums[ROOT]
    bench = Bench(path / "spool", provider)

    async def write() -> None:
        await written(bench)

    trio.run(write)
    return bench


def finished(bench: Bench) -> None:
    """A last life, in which nothing goes wrong any more."""
    bench = bench.again()
    bench.provider.fault = lambda verb, about: None

    async def test() -> None:
        while not (await bench.uploader.wait_idle()).is_idle:
            await trio.sleep(10)

    living(bench, test)
    check(bench)


@pytest.mark.parametrize("sets", [True, False], ids=["sets", "folders"])
def test_a_crash_at_each_step_loses_nothing_and_doubles_nothing(tmp_path: Path, sets: bool) -> None:
    step = 0
    while True:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        bench = begun(folder, sets=sets)
        bench.disk.steps, bench.disk.crash_at = 0, step
        is_over = False

        async def test(bench: Bench = bench) -> None:
            nonlocal is_over
            await bench.uploader.wait_idle()
            is_over = True

        living(bench, test)
        finished(bench)
        if is_over:
            break
    assert step > 30, "there were steps to crash at"


@settings(max_examples=40)
@given(
    sets=st.booleans(),
    faults=st.lists(st.sampled_from(FAULTS), max_size=30),
    crashes=st.lists(st.integers(1, 60), max_size=4),
    reopened=st.booleans(),
)
def test_any_trouble_loses_nothing_and_doubles_nothing(
    sets: bool, faults: list[str | None], crashes: list[int], reopened: bool
) -> None:
    answers = iter(faults)

    def fault(verb: str, about: object) -> object:
        what = next(answers, None)
        if what == "away":
            raise ProviderUnreachable("no route")
        return what if what != "cut" or verb in ("upload", "replace") else None

    with TemporaryDirectory() as folder:
        bench = begun(Path(folder), sets=sets)
        bench.provider.fault = fault
        for steps in crashes:
            bench = bench.again()
            bench.disk.crash_at = bench.disk.steps + steps

            async def test(bench: Bench = bench) -> None:
                await trio.sleep(3.2)
                for item in on_the_way(bench) if reopened else ():
                    await bench.uploader.interrupt(item.id)
                await bench.uploader.wait_idle()

            living(bench, test)
        finished(bench)


def on_the_way(bench: Bench) -> Iterator[Item]:
    return (item for item in bench.queue.items() if item.stage is Stage.SENDING)


@pytest.mark.parametrize("stage", [Stage.SETTLING, Stage.READY, Stage.SENDING])
def test_a_start_sends_what_it_finds_in_any_stage(tmp_path: Path, stage: Stage) -> None:
    provider = TestProvider(sets=False)
    bench = Bench(tmp_path / "spool", provider)

    async def write() -> None:
        await bench.file("a.jpg", JPEG, stage=stage)

    trio.run(write)
    after = bench.again()

    async def test() -> None:
        await after.uploader.wait_idle()

    living(after, test)
    assert provider.in_album() == {"a.jpg": JPEG} and len(provider.stored) == 1


SAID = st.tuples(
    st.sampled_from([Verb.ADD, Verb.TAKE_OUT]), st.integers(0, 3), st.sampled_from([ROOT, OTHER]), st.integers(0, 4)
)


@settings(max_examples=40)
@given(said=st.lists(SAID, max_size=25), faults=st.lists(st.sampled_from(FAULTS[:4]), max_size=6))
def test_an_album_holds_what_was_said_last(
    said: list[tuple[Verb, int, AlbumId, int]], faults: list[str | None]
) -> None:
    provider = TestProvider(sets=True)
    provider.albums[OTHER] = provider.albums[ROOT]
    assets = [provider.put(f"{number}.jpg", b"%d" % number).id for number in range(4)]
    model = {ROOT: {f"{number}.jpg" for number in range(4)}, OTHER: set[str]()}
    answers = iter(faults)

    def fault(verb: str, about: object) -> object:
        what = next(answers, None)
        if what == "away":
            raise ProviderUnreachable("no route")
        return what

    provider.fault = fault
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "spool", provider)

        async def test() -> None:
            for verb, number, album, pause_s in said:
                await bench.says(verb, assets[number], album=album)
                change = model[album].add if verb is Verb.ADD else model[album].discard
                change(f"{number}.jpg")
                await trio.sleep(pause_s)
            while not (await bench.uploader.wait_idle()).is_idle:
                await trio.sleep(1)

        living(bench, test)
        assert {album: provider.in_album(album).keys() for album in model} == model
        assert len(bench.queue) == 0 and bench.disk.items == {}
