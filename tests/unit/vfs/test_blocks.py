"""Originals through the block cache: exact bytes, fetched once, whatever the provider and the cache do."""

from __future__ import annotations

import errno
import functools
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import trio
import trio.testing

from iiiffs.cache.store import Cache, open_cache
from iiiffs.errors import ProviderError, ProviderUnreachable, VersionChanged
from iiiffs.model.gallery import AccountName, AccountNames, Asset
from iiiffs.providers.base import Original
from iiiffs.sync.blocks import bytes_of, count_of
from iiiffs.vfs.block_files import FETCH_S, REFUSED_S
from iiiffs.vfs.blocks import RECENT_BYTES, BlockCache
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.reading import Deadlines, Reading
from tests.harness.block_damage import damage_block
from tests.harness.memory import ROOT, MemoryProvider, sha1
from tests.harness.tree import jpeg

KIB, MIB = 1 << 10, 1 << 20
STEP = 128 * KIB
CONTENT = random.Random(5).randbytes(9 * MIB + 77)
HOME = AccountName("home")
QUOTA = 64 * MIB


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run by trio; where nothing but time can go on it does at once."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        clock = trio.testing.MockClock(autojump_threshold=0.05)
        trio.run(functools.partial(test, *args, **kwargs), clock=clock)

    return run


class Rig:
    """A provider whose bytes come over a network, and a cache before it."""

    def __init__(self, cache: Cache, flights: Flights, folder: Path, recent_bytes: int) -> None:
        self.cache, self.flights = cache, flights
        self.provider = MemoryProvider(local=False)
        self.blocks = BlockCache(cache.blocks, flights, folder, recent_bytes=recent_bytes)

    async def open(self, asset: Asset, account: AccountName = HOME) -> Original:
        return await self.blocks.open(account, asset, partial(self.provider.open, asset))

    async def committed(self) -> None:
        """All that was put into the cache is on the disk, and the quota holds."""
        await self.settled()
        while self.cache.writer.backlog_bytes:
            await trio.sleep(0.1)

    async def settled(self) -> None:
        """Nothing is on its way any more."""
        while len(self.flights):
            await trio.sleep(0.01)


@asynccontextmanager
async def rig(folder: Path, quota: int = QUOTA, recent_bytes: int = RECENT_BYTES) -> AsyncIterator[Rig]:
    """Closed in order afterwards; nothing may be left open or in memory that is not counted as kept."""
    cache = open_cache(folder, quota)
    async with trio.open_nursery() as nursery:
        await nursery.start(cache.writer.run)
        made = Rig(cache, Flights(nursery), folder, recent_bytes)
        yield made
        made.provider.reads.hang = False
        await made.settled()
        gauges = made.blocks.gauges()
        assert (gauges.in_flight_bytes, gauges.open) == (0, 0), "something was not given back"
        nursery.cancel_scope.cancel()
    cache.close()


async def read_all(original: Original, step: int = STEP) -> bytes:
    return b"".join([await original.read(offset, step) for offset in range(0, original.size_bytes, step)])


def stream_all(original: Original) -> bytes:
    with original.stream() as stream:
        return stream.read()


@pytest.mark.parametrize("size", [0, 1, STEP, STEP + 1, MIB, 3 * MIB + 5, len(CONTENT)])
@in_trio
async def test_a_sequential_reader_gets_the_bytes_each_asked_for_once(tmp_path: Path, size: int) -> None:
    async with rig(tmp_path) as r:
        original = await r.open(r.provider.put("a", "a.jpg", CONTENT[:size]))
        assert await read_all(original) == CONTENT[:size]
        await original.aclose()
        await original.aclose()
        await r.settled()
        assert r.provider.reads.given_bytes == size
        assert len(r.provider.reads.asked) <= 8
        asked = len(r.provider.reads.asked)
        again = await r.open(r.provider.assets[next(iter(r.provider.assets))])
        assert await read_all(again, 70_001) == CONTENT[:size]
        await again.aclose()
        assert (len(r.provider.reads.asked), r.provider.asked["open"]) == (asked, min(asked, 1))


def block_sums(data: bytes) -> list[int]:
    """The CRC-32 of each block."""
    places = [bytes_of(range(index, index + 1), len(data)) for index in range(count_of(len(data)))]
    return [crc32(data[offset : offset + length]) for offset, length in places]


@pytest.mark.parametrize("linked", [False, True], ids=["copied", "linked"])
@pytest.mark.parametrize("size", [1, STEP, MIB, 3 * MIB + 5, len(CONTENT)])
@in_trio
async def test_what_was_sent_is_kept_and_never_asked_for(tmp_path: Path, size: int, linked: bool) -> None:
    source = tmp_path / "payload"
    source.write_bytes(CONTENT[:size])
    async with rig(tmp_path / "cache") as r:
        asset = r.provider.put("a", "a.jpg", CONTENT[:size])
        await r.blocks.keep(HOME, asset, source, sha1(CONTENT[:size]), block_sums(CONTENT[:size]) if linked else ())
        assert (source.stat().st_nlink == 2) == linked
        source.unlink()
        original = await r.open(asset)
        assert await read_all(original) == CONTENT[:size]
        await original.prepare()
        assert stream_all(original) == CONTENT[:size]
        await original.aclose()
        assert (r.provider.reads.asked, r.provider.asked["open"]) == ([], 0)


@pytest.mark.parametrize("linked", [False, True], ids=["copied", "linked"])
@in_trio
async def test_a_reader_who_has_some_of_it_goes_on_with_what_was_kept(tmp_path: Path, linked: bool) -> None:
    source = tmp_path / "payload"
    source.write_bytes(CONTENT)
    async with rig(tmp_path / "cache") as r:
        asset = r.provider.put("a", "a.jpg", CONTENT)
        original = await r.open(asset)
        assert await original.read(0, 10) == CONTENT[:10]
        await r.settled()
        asked = len(r.provider.reads.asked)
        await r.blocks.keep(HOME, asset, source, sha1(CONTENT), block_sums(CONTENT) if linked else ())
        assert await read_all(original) == CONTENT
        await original.aclose()
        assert len(r.provider.reads.asked) == asked


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
@in_trio
async def test_what_cannot_be_linked_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    source = tmp_path / "payload"
    source.write_bytes(CONTENT)
    async with rig(tmp_path / "cache") as r:
        asset = r.provider.put("a", "a.jpg", CONTENT)
        monkeypatch.setattr(os, "link", refuses)
        await r.blocks.keep(HOME, asset, source, sha1(CONTENT), block_sums(CONTENT))
        assert source.stat().st_nlink == 1
        original = await r.open(asset)
        assert await read_all(original) == CONTENT
        await original.aclose()
        assert r.provider.reads.asked == []


@in_trio
async def test_a_linked_file_that_somebody_changed_is_fetched_anew(tmp_path: Path) -> None:
    """Nobody may; it is as if the disk had damaged it."""
    source = tmp_path / "payload"
    source.write_bytes(CONTENT)
    async with rig(tmp_path / "cache") as r:
        asset = r.provider.put("a", "a.jpg", CONTENT)
        await r.blocks.keep(HOME, asset, source, sha1(CONTENT), block_sums(CONTENT))
        with source.open("r+b") as file:
            file.seek(3 * MIB)
            file.write(b"changed")
        original = await r.open(asset)
        assert await read_all(original) == CONTENT
        await original.aclose()
        assert r.provider.reads.asked
        await r.committed()
        assert source.stat().st_nlink == 1
        assert r.cache.blocks.stats().corrupt == 1


@pytest.mark.parametrize("linked", [False, True], ids=["copied", "linked"])
@pytest.mark.parametrize("problem", ["other bytes", "shorter", "gone", "too large"])
@in_trio
async def test_what_is_not_what_was_sent_is_not_kept(tmp_path: Path, problem: str, linked: bool) -> None:
    source = tmp_path / "payload"
    bytes_there = {"other bytes": CONTENT[1:] + b"x", "shorter": CONTENT[:MIB]}.get(problem, CONTENT)
    if problem != "gone":
        source.write_bytes(bytes_there)
    async with rig(tmp_path / "cache", quota=32 * MIB if problem == "too large" else QUOTA) as r:
        asset = r.provider.put("a", "a.jpg", CONTENT)
        await r.blocks.keep(HOME, asset, source, sha1(CONTENT), block_sums(bytes_there)[1:] if linked else ())
        await r.committed()
        assert (r.cache.blocks.stats().entries, list((tmp_path / "cache").rglob("?" * 16))) == (0, [])
        original = await r.open(asset)
        assert await read_all(original) == CONTENT
        await original.aclose()


@in_trio
async def test_headers_cost_one_small_question(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        original = await r.open(r.provider.put("a", "a.jpg", CONTENT))
        for offset in range(0, STEP, 16 * KIB):
            assert await original.read(offset, 16 * KIB) == CONTENT[offset : offset + 16 * KIB]
        await original.aclose()
        await r.settled()
        assert [(offset, length) for _, offset, length in r.provider.reads.asked] == [(0, STEP)]


@in_trio
async def test_random_reads_under_eviction_are_exact(tmp_path: Path) -> None:
    """The quota holds less than a third of the file, so blocks come, go and come again."""
    async with rig(tmp_path, 6 * MIB, recent_bytes=MIB) as r:
        original = await r.open(r.provider.put("a", "a.jpg", CONTENT))
        dice = random.Random(1)
        for number in range(150):
            if number % 5 == 0:
                await r.committed()
            offset, length = dice.randrange(len(CONTENT)), dice.choice((1, 4096, 64 * KIB, STEP, 3 * MIB))
            assert await original.read(offset, length) == CONTENT[offset : offset + length]
        await original.aclose()
        await r.settled()
        await r.committed()
        assert r.provider.reads.given_bytes > 2 * len(CONTENT), "nothing was evicted"
        assert r.cache.blocks.stats().used_bytes <= 6 * MIB


@in_trio
async def test_two_readers_one_download(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        r.provider.reads.latency_s = 0.5
        asset = r.provider.put("a", "a.jpg", CONTENT)
        got: list[bytes] = []

        async def reader(step: int) -> None:
            original = await r.open(asset)
            got.append(await read_all(original, step))
            await original.aclose()

        async with trio.open_nursery() as nursery:
            for step in (STEP, STEP, 100_000, MIB):
                nursery.start_soon(reader, step)
        assert got == [CONTENT] * 4
        await r.settled()
        assert r.provider.reads.given_bytes == len(CONTENT)
        assert r.provider.asked["open"] == 1


@in_trio
async def test_a_download_outlives_its_reader(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        r.provider.reads.latency_s = 2.0
        asset = r.provider.put("a", "a.jpg", CONTENT)
        original = await r.open(asset)
        with trio.move_on_after(1.0) as scope:
            await original.read(5 * MIB, MIB)
        assert scope.cancelled_caught
        await original.aclose()
        assert r.provider.reads.given_bytes == 0
        again = await r.open(asset)
        assert await again.read(5 * MIB, MIB) == CONTENT[5 * MIB : 6 * MIB]
        await again.aclose()
        assert r.provider.reads.asked == [(asset.id, 5 * MIB, MIB)]


@in_trio
async def test_what_is_kept_needs_no_provider_and_the_rest_fails(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        asset = r.provider.put("a", "a.jpg", CONTENT)
        original = await r.open(asset)
        await original.read(0, 10)
        await original.read(6 * MIB, 10)
        await original.aclose()
        r.provider.unreachable = True
        original = await r.open(asset)
        assert await original.read(3, STEP - 3) == CONTENT[3:STEP]
        assert await original.read(6 * MIB + 5, MIB - 5) == CONTENT[6 * MIB + 5 : 7 * MIB]
        with pytest.raises(ProviderUnreachable):
            await original.read(3 * MIB, 10)
        r.provider.unreachable = False
        assert await original.read(3 * MIB, 10) == CONTENT[3 * MIB : 3 * MIB + 10], "it came back by itself"
        await original.aclose()


@in_trio
async def test_what_hangs_is_given_up_and_others_go_on(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        asset = r.provider.put("a", "a.jpg", CONTENT)
        good = r.provider.put("b", "b.jpg", CONTENT[:MIB])
        r.provider.reads.hang = True
        hung = [await r.open(asset) for _ in range(3)]

        async def read(original: Original, offset: int) -> None:
            with pytest.raises(ProviderUnreachable, match="no bytes within"):
                await original.read(offset, 10)

        async with trio.open_nursery() as nursery:
            for number, original in enumerate(hung):
                nursery.start_soon(read, original, number * 2 * MIB)
            await trio.testing.wait_all_tasks_blocked(0.01)
            r.provider.reads.hang = False
            other = await r.open(good)
            with trio.fail_after(FETCH_S / 2):
                assert await read_all(other) == CONTENT[:MIB]
            await other.aclose()
        for original in hung:
            assert await original.read(5, 5) == CONTENT[5:10]
            await original.aclose()


@pytest.mark.parametrize("fault", [{"fails_after_bytes": 5 * MIB}, {"cuts_bytes": 1}])
@in_trio
async def test_a_broken_answer_is_an_error_and_never_a_byte_of_the_cache(tmp_path: Path, fault: dict[str, int]) -> None:
    async with rig(tmp_path) as r:
        original = await r.open(r.provider.put("a", "a.jpg", CONTENT))
        for name, value in fault.items():
            setattr(r.provider.reads, name, value)
        with pytest.raises(ProviderUnreachable):
            await original.read(5 * MIB, MIB)
        with pytest.raises(ProviderUnreachable):
            await read_all(original)
        r.provider.reads.fails_after_bytes, r.provider.reads.cuts_bytes = None, 0
        assert await read_all(original) == CONTENT
        await original.aclose()


@in_trio
async def test_a_changed_version_is_told_and_its_blocks_go_when_nobody_reads_it(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        old = r.provider.put("a", "a.jpg", CONTENT)
        original = await r.open(old)
        await original.read(0, 10)
        new = r.provider.put("a", "a.jpg", CONTENT[::-1])
        assert await original.read(0, STEP) == CONTENT[:STEP], "what was fetched is that version"
        with pytest.raises(VersionChanged):
            await original.read(2 * MIB, 10)
        await original.aclose()
        await r.settled()
        assert r.cache.blocks.stats().entries == 0
        original = await r.open(new)
        assert await read_all(original) == CONTENT[::-1]
        await original.aclose()


@in_trio
async def test_an_original_of_another_length_than_listed_is_refused(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        asset = r.provider.put("a", "a.jpg", CONTENT)
        r.provider.contents[asset.id] = CONTENT + b"more"
        original = await r.open(asset)
        with pytest.raises(ProviderError, match="was listed with"):
            await original.read(0, 10)
        await original.aclose()


@in_trio
async def test_a_damaged_block_is_fetched_again(tmp_path: Path) -> None:
    async with rig(tmp_path, recent_bytes=0) as r:
        asset = r.provider.put("a", "a.jpg", CONTENT)
        original = await r.open(asset)
        await original.read(4 * MIB, MIB)
        await original.aclose()
        await r.committed()
        damage_block(tmp_path, CONTENT[4 * MIB : 4 * MIB + 64], 300_000)
        original = await r.open(asset)
        assert await original.read(4 * MIB, MIB) == CONTENT[4 * MIB : 5 * MIB]
        await original.aclose()
        assert r.cache.blocks.stats().corrupt == 1
        assert len(r.provider.reads.asked) == 2


@in_trio
async def test_a_prepared_original_streams_without_a_network_whatever_was_evicted(tmp_path: Path) -> None:
    async with rig(tmp_path, 6 * MIB) as r:
        asset = r.provider.put("a", "a.jpg", CONTENT, checksum=sha1(CONTENT))
        original = await r.open(asset)
        await original.prepare()
        await original.prepare()
        assert r.provider.reads.given_bytes == len(CONTENT)
        r.provider.unreachable = True
        r.cache.blocks.clear()
        assert await trio.to_thread.run_sync(stream_all, original) == CONTENT

        def outlives() -> bytes:
            with original.stream() as stream:
                trio.from_thread.run(original.aclose)
                stream.seek(-7, 2)
                return stream.read()

        assert await trio.to_thread.run_sync(outlives) == CONTENT[-7:]


@in_trio
async def test_a_stream_that_is_not_prepared_fetches_what_it_reads(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        original = await r.open(r.provider.put("a", "a.jpg", CONTENT))

        def read() -> bytes:
            with original.stream() as stream:
                head = stream.read(1000)
                stream.seek(-50, 2)
                return head + stream.read()

        assert await trio.to_thread.run_sync(read) == CONTENT[:1000] + CONTENT[-50:]
        await original.aclose()
        await r.settled()
        assert [(offset, length) for _, offset, length in r.provider.reads.asked] == [(0, STEP), (9 * MIB, 77)]


@in_trio
async def test_right_bytes_are_verified_once_and_for_all(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        asset = r.provider.put("a", "a.jpg", CONTENT, checksum=sha1(CONTENT))
        original = await r.open(asset)
        for offset in reversed(range(0, len(CONTENT), STEP)):
            await original.read(offset, STEP)
        await original.aclose()
        await r.settled()
        again = await r.open(asset)
        assert not again._file.wants_check  # type: ignore[attr-defined]
        await again.aclose()
        assert r.blocks.traffic.wrong == 0


@pytest.mark.warns("its bytes are wrong")
@pytest.mark.parametrize("backwards", [False, True])
@in_trio
async def test_wrong_bytes_are_an_error_before_the_last_block_and_fetched_once_more(
    tmp_path: Path, backwards: bool
) -> None:
    async with rig(tmp_path) as r:
        asset = r.provider.put("a", "a.jpg", CONTENT, checksum=sha1(CONTENT))
        r.provider.reads.wrong = 1
        original = await r.open(asset)
        offsets = range(0, len(CONTENT), STEP)
        with pytest.raises(ProviderError, match="wrong"):
            for offset in reversed(offsets) if backwards else offsets:
                await original.read(offset, STEP)
        with pytest.raises(ProviderError, match="open it again"):
            await original.read(0, 10)
        await original.aclose()
        await r.settled()
        again = await r.open(asset)
        assert await read_all(again) == CONTENT
        await again.aclose()
        assert r.blocks.traffic.wrong == 1


@pytest.mark.warns("its bytes are wrong")
@in_trio
async def test_bytes_that_are_wrong_twice_are_not_asked_for_again_and_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        asset = r.provider.put("a", "a.jpg", CONTENT, checksum=sha1(b"something else"))
        original = await r.open(asset)
        with pytest.raises(ProviderError, match="wrong"):
            await original.prepare()
        await original.aclose()
        await r.settled()
        given_bytes = r.provider.reads.given_bytes
        assert len(CONTENT) < given_bytes <= 3 * len(CONTENT)
        original = await r.open(asset)
        for _ in range(3):
            with pytest.raises(ProviderError, match="twice"):
                await original.read(0, 10)
        await original.aclose()
        assert r.provider.reads.given_bytes == given_bytes
        await trio.sleep(REFUSED_S)
        original = await r.open(asset)
        assert await original.read(0, 10) == CONTENT[:10]
        await original.aclose()
        await r.settled()


@pytest.mark.warns("its bytes are wrong")
@in_trio
async def test_a_render_gets_right_bytes_though_the_first_were_wrong(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        r.provider.reads.wrong = 1
        original = await r.open(r.provider.put("a", "a.jpg", CONTENT, checksum=sha1(CONTENT)))
        await original.prepare()
        assert await trio.to_thread.run_sync(stream_all, original) == CONTENT
        await original.aclose()


@in_trio
async def test_what_is_in_flight_stays_within_the_budget_and_the_account_within_its_places(tmp_path: Path) -> None:
    async with rig(tmp_path, 256 * MIB) as r:
        r.provider.reads.latency_s = 1.0
        assets = [r.provider.put(f"a{number}", f"{number}.jpg", CONTENT) for number in range(24)]
        most_bytes, most_places = 0, 0

        async def reader(number: int) -> None:
            original = await r.open(assets[number], AccountName(f"account {number % 8}"))
            assert await read_all(original, MIB) == CONTENT
            await original.aclose()

        async def watch() -> None:
            nonlocal most_bytes, most_places
            while True:
                most_bytes = max(most_bytes, r.blocks.gauges().in_flight_bytes)
                lanes = r.blocks._lanes.values()
                most_places = max([most_places, *(lane.questions.borrowed_tokens for lane in lanes)])
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            async with trio.open_nursery() as readers:
                for number in range(24):
                    readers.start_soon(reader, number)
            nursery.cancel_scope.cancel()
        assert 16 * MIB < most_bytes <= 64 * MIB
        assert most_places == 4


def gallery_of(r: Rig, provider: MemoryProvider) -> Gallery:
    names = AccountNames(HOME, HOME)
    return Gallery(names, provider, r.cache.catalogue, r.flights, Deadlines(), Reading("", blocks=r.blocks))


@in_trio
async def test_a_gallery_reads_what_is_not_local_through_blocks_and_the_rest_directly(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        for local in (True, False):
            provider = MemoryProvider(local=local)
            asset = provider.put("a", "a.jpg", CONTENT)
            gallery = gallery_of(r, provider)
            for _ in range(2):
                original = await gallery.open(asset)
                assert await read_all(original) == CONTENT
                await original.aclose()
            assert provider.reads.given_bytes == len(CONTENT) * (2 if local else 1)
            assert provider.asked["open"] == (2 if local else 1)


@pytest.mark.warns("not a picture")
@in_trio
async def test_facts_come_from_the_first_block_where_the_provider_tells_none(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        provider = MemoryProvider(local=False, tells_facts=False)
        picture = jpeg(300, 200) + bytes(5 * MIB)
        asset, text = provider.put("a", "a.jpg", picture), provider.put("b", "b.jpg", b"no picture" * 20_000)
        names, facts = await gallery_of(r, provider).with_facts(ROOT)
        assert len(names.listing.assets) == 2
        extent = facts[asset.id].extent
        assert extent is not None
        assert (extent.width, extent.height) == (300, 200)
        assert facts[text.id].error
        assert provider.asked["facts"] == 0
        assert sorted(provider.reads.asked) == [(asset.id, 0, STEP), (text.id, 0, STEP)]


@in_trio
async def test_facts_that_could_not_be_read_are_no_facts(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        provider = MemoryProvider(local=False, tells_facts=False)
        asset = provider.put("a", "a.jpg", jpeg(300, 200))
        gallery = gallery_of(r, provider)
        provider.reads.fails_after_bytes = 0
        with pytest.raises(ProviderUnreachable):
            await gallery.facts(asset)
        provider.reads.fails_after_bytes = None
        assert (await gallery.facts(asset)).extent is not None
