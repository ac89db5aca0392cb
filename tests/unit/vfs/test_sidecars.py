"""Sidecars where a provider takes them only together with their photos: none is lost, none is told of another photo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
import trio

from iiiffs.errors import ProviderUnreachable
from iiiffs.model.gallery import AlbumId, Listing
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.sync.sidecars import ANOTHER_IS, WITHOUT_PHOTO
from iiiffs.vfs.sidecars import DAMAGED, SIDECAR_BYTES_MAX
from iiiffs.vfs.unfinished import ALONE
from tests.unit.vfs.test_library import xmp
from tests.unit.vfs.uploading import ROOT, Bench, Disk, TestProvider, base_of, living

JPEG = b"\xff\xd8\xff\xda\x00\x02 picture \xff\xd9"
TOLD = xmp(["sea", "fjord"], 4)
CHANGED = xmp(["sea"], 2)


class SidecarBench(Bench):
    """Its account tells of what the provider has, as a gallery does."""

    def __init__(self, path: Path, provider: TestProvider, disk: Disk | None = None) -> None:
        super().__init__(path, provider, disk)
        self.account.tells = self._listing

    def _listing(self, album: AlbumId) -> Listing | None:
        found = [one.asset for one in self.provider.stored.values() if album in one.albums and not one.is_trashed]
        return Listing(self.provider.albums[album], tuple(found), (), "")

    def again(self) -> SidecarBench:
        self.disk.crash_at, self.disk.crashed = None, trio.Event()
        return SidecarBench(self.path, self.provider, self.disk)

    def bytes_of(self, item: Item) -> bytes:
        return self.spool.path(item.id).read_bytes()

    def now(self, item: Item) -> Item:
        current = self.queue.get(item.id)
        assert current is not None, "a sidecar is never dropped"
        return current

    async def rewritten(self, item: Item, data: bytes) -> None:
        """A program writes other bytes into it, and closes it."""
        self.spool.path(item.id).write_bytes(data)
        current = self.now(item)
        generation = current.generation + 1
        await self.queue.commit(
            replace(
                current, stage=Stage.SETTLING, generation=generation, size_bytes=len(data), sha1=None, told=(),
                reason=None,
            )
        )  # fmt: skip


@pytest.fixture
def provider() -> TestProvider:
    return TestProvider(sets=True)


@pytest.fixture
def bench(tmp_path: Path, provider: TestProvider) -> SidecarBench:
    return SidecarBench(tmp_path / "spool", provider)


def alive(bench: SidecarBench, test: Callable[[], Awaitable[None]]) -> None:
    living(bench, test)


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp", "A.JPG.XMP"])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("pause_s", [0.0, 2.5])
def test_what_comes_within_the_settle_time_goes_along_whatever_the_order(
    bench: SidecarBench, provider: TestProvider, name: str, is_first: bool, pause_s: float
) -> None:
    async def test() -> None:
        files = [("a.jpg", JPEG), (name, TOLD)]
        for one, data in files[::-1] if is_first else files:
            await bench.file(one, data)
            await trio.sleep(pause_s)
        await bench.uploader.wait_idle()
        (sidecar,) = [item for item in bench.queue.items() if item.stage is Stage.KEPT]
        (photo,) = provider.in_album()
        assert photo == "a.jpg" and list(provider.sidecars.values()) == [TOLD]
        assert provider.count("describe") == 0 and provider.count("upload") == 1
        assert bench.bytes_of(sidecar) == TOLD and sidecar.told == tuple(provider.stored)
        assert bench.disk.items[sidecar.id] == sidecar

    alive(bench, test)


def test_raw_and_jpeg_of_one_name_both_have_it(bench: SidecarBench, provider: TestProvider) -> None:
    async def test() -> None:
        for name, data in (("a.cr2", JPEG + b"raw"), ("a.xmp", TOLD), ("a.jpg", JPEG)):
            await bench.file(name, data)
        await bench.uploader.wait_idle()
        assert provider.sidecars == dict.fromkeys(provider.stored, TOLD) and len(provider.stored) == 2
        (sidecar,) = [item for item in bench.queue.items() if item.stage is Stage.KEPT]
        assert set(sidecar.told) == set(provider.stored)

    alive(bench, test)


@pytest.mark.parametrize("order", list(permutations(["a.jpg", "a.jpg.xmp", "a.xmp"])))
def test_the_more_special_name_wins_and_both_files_stay(
    bench: SidecarBench, provider: TestProvider, order: tuple[str, ...]
) -> None:
    content = {"a.jpg": JPEG, "a.jpg.xmp": TOLD, "a.xmp": CHANGED}

    async def test() -> None:
        for name in order:
            await bench.file(name, content[name])
        await bench.uploader.wait_idle()
        assert list(provider.sidecars.values()) == [TOLD] and provider.said == []
        kept = {item.name: item.reason for item in bench.queue.items() if item.stage is Stage.KEPT}
        assert kept == {"a.jpg.xmp": None, "a.xmp": ANOTHER_IS}

    alive(bench, test)


# ---- what cannot go along ----------------------------------------------------------------------------------------


def test_after_its_photo_it_is_told_in_other_words(bench: SidecarBench, provider: TestProvider) -> None:
    async def test() -> None:
        photo = provider.put("a.jpg", JPEG)
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        await bench.uploader.wait_idle()
        ((asset, said, tags),) = provider.said
        assert (asset, said.rating, tags) == (photo.id, 4, ("sea", "fjord")) and provider.sidecars == {}
        kept = bench.now(sidecar)
        assert (kept.stage, kept.told) == (Stage.KEPT, (photo.id,)) and bench.bytes_of(sidecar) == TOLD

    alive(bench, test)


def test_bytes_that_are_there_already_are_told_too(bench: SidecarBench, provider: TestProvider) -> None:
    """The server takes no second copy of them, and so no sidecar with them."""

    async def test() -> None:
        photo = provider.put("other.jpg", JPEG)
        await bench.file("a.jpg", JPEG)
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        await bench.uploader.wait_idle()
        assert [asset for asset, _, _ in provider.said] == [photo.id] and bench.stage(sidecar) is Stage.KEPT

    alive(bench, test)


def test_of_a_photo_that_gets_new_bytes_it_is_told_after_it(bench: SidecarBench, provider: TestProvider) -> None:
    """What takes a photo's place takes the sidecar that the server has along, so the new one comes after it."""

    async def test() -> None:
        old = provider.put("a.jpg", JPEG)
        await bench.file("a.jpg", JPEG + b"new", base=base_of(old))
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        await bench.uploader.wait_idle()
        (new,) = [one.asset.id for one in provider.stored.values() if not one.is_trashed]
        assert [asset for asset, _, _ in provider.said] == [new] and bench.stage(sidecar) is Stage.KEPT
        assert [verb for verb, _ in provider.calls if verb in ("replace", "describe")] == ["replace", "describe"]

    alive(bench, test)


def test_other_bytes_are_told_anew_and_the_same_ones_are_not(bench: SidecarBench, provider: TestProvider) -> None:
    async def test() -> None:
        await bench.file("a.jpg", JPEG)
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        await bench.uploader.wait_idle()
        await bench.queue.commit(replace(bench.now(sidecar), stage=Stage.SETTLING))  # renamed to and fro
        await bench.uploader.wait_idle()
        assert provider.said == [] and bench.stage(sidecar) is Stage.KEPT
        await bench.rewritten(sidecar, CHANGED)
        await bench.uploader.wait_idle()
        assert [(said.rating, tags) for _, said, tags in provider.said] == [(2, ("sea",))]
        assert bench.stage(sidecar) is Stage.KEPT and bench.bytes_of(sidecar) == CHANGED

    alive(bench, test)


def test_what_is_being_written_waits_and_is_told_when_it_is_whole(bench: SidecarBench, provider: TestProvider) -> None:
    async def test() -> None:
        sidecar = await bench.file("a.jpg.xmp", TOLD[:40], stage=Stage.OPEN)
        await bench.file("a.jpg", JPEG)
        await bench.uploader.wait_idle()
        assert (provider.sidecars, provider.said, bench.stage(sidecar)) == ({}, [], Stage.OPEN)
        await bench.rewritten(sidecar, TOLD)
        await bench.uploader.wait_idle()
        assert len(provider.said) == 1 and bench.stage(sidecar) is Stage.KEPT

    alive(bench, test)


def test_what_changes_while_it_goes_along_is_told_again(bench: SidecarBench, provider: TestProvider) -> None:
    provider.latency_s = 5.0

    async def test() -> None:
        await bench.file("a.jpg", JPEG)
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        await trio.sleep(5)
        assert bench.uploader.gauges()["sending"] == 1
        await bench.rewritten(sidecar, CHANGED)
        await bench.uploader.wait_idle()
        assert list(provider.sidecars.values()) == [TOLD]
        assert [said.rating for _, said, _ in provider.said] == [2] and bench.stage(sidecar) is Stage.KEPT

    alive(bench, test)


# ---- without a photo -----------------------------------------------------------------------------------------------


@pytest.mark.warns("failed: its provider keeps a sidecar only with its photo")
def test_without_a_photo_it_waits_then_fails_and_keeps_its_bytes(bench: SidecarBench, provider: TestProvider) -> None:
    async def test() -> None:
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        provider.put("b.jpg", JPEG)
        await trio.sleep(595)
        waiting = bench.now(sidecar)
        assert (waiting.stage, waiting.reason) == (Stage.SETTLING, ALONE)
        await trio.sleep(10)
        failed = bench.now(sidecar)
        assert (failed.stage, failed.reason) == (Stage.FAILED, WITHOUT_PHOTO) and bench.bytes_of(sidecar) == TOLD
        await bench.file("a.jpg", JPEG + b"late")
        await bench.uploader.wait_idle()
        assert list(provider.sidecars.values()) == [TOLD] and bench.stage(sidecar) is Stage.KEPT

    alive(bench, test)


@pytest.mark.warns("failed: its provider keeps a sidecar only with its photo")
def test_who_cannot_wait_is_told_at_once(bench: SidecarBench, provider: TestProvider) -> None:
    async def test() -> None:
        began_s = trio.current_time()
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        bench.uploader.send_now()
        await bench.uploader.wait_idle()
        assert bench.stage(sidecar) is Stage.FAILED and trio.current_time() - began_s < 5

    alive(bench, test)


@pytest.mark.parametrize("came", ["copied", "linked by somebody"])
def test_a_photo_that_comes_minutes_later_has_it(bench: SidecarBench, provider: TestProvider, came: str) -> None:
    async def test() -> None:
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        await trio.sleep(300)
        if came == "copied":
            await bench.file("a.jpg", JPEG)
        else:
            provider.put("a.jpg", JPEG)
            bench.account.names.clear()
        await bench.uploader.wait_idle()
        assert bench.stage(sidecar) is Stage.KEPT
        assert (len(provider.sidecars), len(provider.said)) == ((1, 0) if came == "copied" else (0, 1))

    alive(bench, test)


@pytest.mark.warns("failed: it is no XMP that can be read")
@pytest.mark.parametrize("content", [TOLD[:-20], b"no xml", b"<x/>" + b" " * SIDECAR_BYTES_MAX], ids=len)
def test_what_is_no_xmp_fails_and_harms_no_photo(bench: SidecarBench, provider: TestProvider, content: bytes) -> None:
    async def test() -> None:
        await bench.file("a.jpg", JPEG)
        sidecar = await bench.file("a.jpg.xmp", content)
        await bench.uploader.wait_idle()
        failed = bench.now(sidecar)
        assert (failed.stage, failed.reason) == (Stage.FAILED, DAMAGED) and bench.bytes_of(sidecar) == content
        assert list(provider.in_album()) == ["a.jpg"] and provider.sidecars == {} and provider.said == []

    alive(bench, test)


@pytest.mark.warns("failed: its photo is not there any more")
def test_a_photo_that_went_to_the_trash_meanwhile(bench: SidecarBench, provider: TestProvider) -> None:
    """The album is there: nothing else of it fails."""

    async def test() -> None:
        photo = provider.put("a.jpg", JPEG)
        await bench.account.told(ROOT)
        provider.stored[photo.id].is_trashed = True
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        await bench.uploader.wait_idle()
        assert bench.stage(sidecar) is Stage.FAILED

    alive(bench, test)


@pytest.mark.warns("failed: its photo is not there any more")
def test_a_photo_that_goes_to_the_trash_while_it_is_told(bench: SidecarBench, provider: TestProvider) -> None:
    async def test() -> None:
        photo = provider.put("a.jpg", JPEG)
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        provider.fault = lambda verb, _: setattr(provider.stored[photo.id], "is_trashed", verb == "asset")
        await bench.uploader.wait_idle()
        assert bench.stage(sidecar) is Stage.FAILED and len(provider.said) == 1

    alive(bench, test)


def test_a_photo_that_is_still_empty_is_waited_for(bench: SidecarBench, provider: TestProvider) -> None:
    """Some programs make a file first, and fill it later."""

    async def test() -> None:
        photo = await bench.file("a.jpg", b"", stage=Stage.SCRATCH)
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        await trio.sleep(60)
        assert (bench.stage(sidecar), bench.now(sidecar).reason) == (Stage.SETTLING, ALONE)
        bench.spool.path(photo.id).write_bytes(JPEG)
        await bench.queue.commit(replace(photo, stage=Stage.SETTLING, size_bytes=len(JPEG), generation=2))
        await bench.uploader.wait_idle()
        assert list(provider.sidecars.values()) == [TOLD] and bench.stage(sidecar) is Stage.KEPT

    alive(bench, test)


@pytest.mark.warns("failed: its provider keeps a sidecar only with its photo")
def test_other_albums_do_not_matter(bench: SidecarBench, provider: TestProvider) -> None:
    async def test() -> None:
        trip = await provider.make_album(ROOT, "Trip", "t")
        provider.put("a.jpg", JPEG)
        sidecar = await bench.file("a.jpg.xmp", TOLD, trip.id)
        bench.uploader.send_now()
        await bench.uploader.wait_idle()
        assert bench.stage(sidecar) is Stage.FAILED and provider.said == []

    alive(bench, test)


def test_both_wait_for_the_album_that_is_to_be_made(bench: SidecarBench, provider: TestProvider) -> None:
    async def test() -> None:
        album = bench.item(Verb.MAKE_ALBUM, "Trip", stage=Stage.READY)
        await bench.queue.commit(album)
        await bench.file("a.jpg.xmp", TOLD, AlbumId(album.id))
        await bench.file("a.jpg", JPEG, AlbumId(album.id))
        await bench.uploader.wait_idle()
        assert list(provider.sidecars.values()) == [TOLD]

    alive(bench, test)


def test_where_an_xmp_is_a_file_it_is_sent_as_one(tmp_path: Path) -> None:
    folder = TestProvider(sets=False)
    bench = SidecarBench(tmp_path / "spool", folder)

    async def test() -> None:
        await bench.file("a.jpg", JPEG)
        await bench.file("a.jpg.xmp", TOLD)
        await bench.uploader.wait_idle()
        assert folder.in_album() == {"a.jpg": JPEG, "a.jpg.xmp": TOLD}

    alive(bench, test)


# ---- trouble -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["upload", "describe"])
def test_a_lost_answer_tells_twice_what_ends_as_once(bench: SidecarBench, provider: TestProvider, verb: str) -> None:
    lost: list[str] = []

    def fault(called: str, about: object) -> str | None:
        if called != verb or lost:
            return None
        lost.append(called)
        return "lost"

    provider.fault = fault

    async def test() -> None:
        if verb == "describe":
            provider.put("a.jpg", JPEG)
        else:
            await bench.file("a.jpg", JPEG)
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        while not (await bench.uploader.wait_idle()).is_idle:
            await trio.sleep(1)
        assert lost == [verb] and len(provider.stored) == 1 and bench.stage(sidecar) is Stage.KEPT
        assert provider.said or verb == "upload"

    alive(bench, test)


def test_offline_it_waits(bench: SidecarBench, provider: TestProvider) -> None:
    def fault(verb: str, about: object) -> None:
        if trio.current_time() - began_s < 1000:
            raise ProviderUnreachable("away")

    began_s = 0.0

    async def test() -> None:
        nonlocal began_s
        began_s = trio.current_time()
        provider.fault = fault
        provider.put("a.jpg", JPEG)
        sidecar = await bench.file("a.jpg.xmp", TOLD)
        await trio.sleep(900)
        assert bench.stage(sidecar) is Stage.READY and bench.bytes_of(sidecar) == TOLD
        while not (await bench.uploader.wait_idle()).is_idle:
            await trio.sleep(10)
        assert len(provider.said) == 1 and bench.stage(sidecar) is Stage.KEPT

    alive(bench, test)


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "after its photo"])
def test_a_crash_anywhere_loses_nothing_and_sends_one_photo(tmp_path: Path, is_there: bool) -> None:
    """Each step of disk and provider in turn is the last one of a life; the next one ends what it began."""
    crashes = 0
    while _survives_a_crash(tmp_path / str(crashes), crashes + 1, is_there=is_there):
        crashes += 1
    assert crashes > 4


def _survives_a_crash(path: Path, crash_at: int, *, is_there: bool) -> bool:
    """False if there was none, since all was over before that step."""
    provider = TestProvider(sets=True)
    bench = SidecarBench(path, provider)
    if is_there:
        provider.put("a.jpg", JPEG)
    written: list[Item] = []

    async def first() -> None:
        if not is_there:
            await bench.file("a.jpg", JPEG)
        written.append(await bench.file("a.jpg.xmp", TOLD))
        bench.disk.steps, bench.disk.crash_at = 0, crash_at
        await bench.uploader.wait_idle()

    alive(bench, first)
    has_crashed = bench.disk.crashed.is_set()
    second, (sidecar,) = bench.again(), written

    async def then() -> None:
        await second.uploader.wait_idle()

    alive(second, then)
    kept = second.now(sidecar)
    assert kept.stage is Stage.KEPT and second.bytes_of(sidecar) == TOLD, crash_at
    assert len(provider.stored) == 1, crash_at
    assert provider.sidecars or provider.said, crash_at
    assert [one.name for one in path.iterdir()] == [sidecar.id], crash_at
    return has_crashed
