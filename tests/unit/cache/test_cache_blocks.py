"""Blocks: exact bytes or nothing, and one quota with the renditions."""

from __future__ import annotations

import os
import random
import resource
import signal
from functools import partial
from pathlib import Path

import pytest
import trio

from iiiffs.cache.blocks import BlockGroup
from iiiffs.cache.entries import digest_of
from iiiffs.cache.environment import CLEAN_NAME, META
from iiiffs.cache.scratch import ScratchFile
from iiiffs.cache.store import Cache, open_cache
from tests.harness.block_damage import block_files, damage_block

MIB = 1 << 20
QUOTA = 24 * MIB
ONE, OTHER = BlockGroup.of("home", "a", "v1"), BlockGroup.of("home", "a", "v2")


def used(cache: Cache) -> tuple[int, int]:
    stats = cache.stats()
    return stats.renditions.used_bytes, stats.blocks.used_bytes


async def put_blocks(cache: Cache, number: int, size: int = MIB, group: BlockGroup = ONE) -> None:
    for index in range(number):
        await cache.blocks.put(group, index, random.Random(index).randbytes(size))
    await cache.writer.flush()


async def put_renditions(cache: Cache, number: int, size: int = 64 * 1024) -> None:
    for index in range(number):
        await cache.renditions.put(digest_of(b"%d" % index), b"group", "", random.Random(index).randbytes(size))
    await cache.writer.flush()


def test_blocks_are_what_was_put_in_also_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        await cache.blocks.put(ONE, 0, b"first")
        await cache.blocks.put(ONE, 7, b"seventh")
        await cache.blocks.put(OTHER, 0, b"another version")
        cache.blocks.set_verified(OTHER)
        for restarted in (False, True):
            if restarted:
                cache.close()
                cache = open_cache(tmp_path, QUOTA)
            assert await cache.blocks.get(ONE, 0) == b"first"
            assert await cache.blocks.get(OTHER, 0) == b"another version"
            assert await cache.blocks.get(ONE, 1) is None
            assert cache.blocks.present(ONE) == {0, 7}
            assert cache.blocks.present(OTHER) == {0}
            assert (cache.blocks.is_verified(ONE), cache.blocks.is_verified(OTHER)) == (False, True)
        assert cache.blocks.drop(OTHER) == 2
        assert await cache.blocks.get(OTHER, 0) is None
        assert not cache.blocks.is_verified(OTHER)
        assert cache.blocks.present(ONE) == {0, 7}
        cache.close()

    trio.run(main)


def test_a_damaged_block_is_absent_and_counted_once(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        await put_blocks(cache, 3)
        good = await cache.blocks.get(ONE, 2)
        damage_block(tmp_path, random.Random(1).randbytes(MIB)[:64], 500_000)
        assert cache.blocks.has(ONE, 1)
        assert await cache.blocks.get(ONE, 1) is None
        assert await cache.blocks.get(ONE, 1) is None
        assert not cache.blocks.has(ONE, 1)
        assert await cache.blocks.get(ONE, 2) == good
        assert cache.blocks.stats().corrupt == 1
        cache.close()

    trio.run(main)


def test_the_oldest_used_go_first(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, 8 * MIB)
        await put_blocks(cache, 6)
        assert await cache.blocks.get(ONE, 0) is not None
        for index in range(6, 9):
            await cache.blocks.put(ONE, index, bytes(MIB))
        await cache.writer.flush()
        left = cache.blocks.present(ONE)
        assert 0 in left
        assert 1 not in left
        assert {6, 7, 8} < left
        assert used(cache)[1] <= 8 * MIB
        cache.close()

    trio.run(main)


@pytest.mark.parametrize("renditions_first", [True, False])
def test_each_has_half_for_certain_and_what_the_other_leaves(tmp_path: Path, renditions_first: bool) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        fills = [partial(put_renditions, cache, 500), partial(put_blocks, cache, 32)]
        first, second = fills if renditions_first else reversed(fills)
        mine, theirs = (0, 1) if renditions_first else (1, 0)
        await first()
        assert QUOTA * 9 // 10 < used(cache)[mine] <= QUOTA, "alone it has all of it"
        await second()
        after = used(cache)
        assert sum(after) <= QUOTA
        assert after[mine] >= QUOTA // 2 - 2 * MIB
        assert after[theirs] >= QUOTA // 2 - 2 * MIB
        await first()
        assert sum(used(cache)) <= QUOTA
        cache.close()

    trio.run(main)


def test_a_storm_of_both_finds_room_for_all(tmp_path: Path) -> None:
    """Values of all sizes come and go: the file keeps runs of pages that are long enough for a block."""

    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA, map_bytes=QUOTA * 2)
        dice = random.Random(4)
        for number in range(400):
            if dice.random() < 0.7:
                size = dice.choice((3_000, 20_000, 60_000, 200_000))
                await cache.renditions.put(digest_of(b"%d" % dice.randrange(300)), b"", "", dice.randbytes(size))
            else:
                await cache.blocks.put(ONE, dice.randrange(40), dice.randbytes(MIB))
            if number % 10 == 0:
                await cache.writer.flush()
        await cache.writer.flush()
        assert sum(used(cache)) <= QUOTA
        assert (cache.writer.stats.dropped, cache.writer.stats.rebuilt) == (0, 0)
        cache.close()

    trio.run(main)


def test_a_scratch_file_is_read_by_many_and_outlives_its_closing(tmp_path: Path) -> None:
    whole = random.Random(1).randbytes(3 * MIB + 5)
    scratch = ScratchFile(tmp_path)
    assert list(tmp_path.iterdir()) == []
    for start in range(0, len(whole), MIB):
        scratch.append(whole[start : start + MIB])
    with scratch.stream() as one, scratch.stream() as other:
        scratch.close()
        scratch.close()
        assert one.seek(-7, 2) == len(whole) - 7
        assert one.read() == whole[-7:]
        assert other.read(11) == whole[:11]
        assert other.read() == whole[11:]
        assert other.tell() == len(whole)


def disk_bytes(cache: Path) -> int:
    return sum(path.stat().st_size for path in block_files(cache))


def test_files_are_those_of_the_rows_whatever_comes_and_goes(tmp_path: Path) -> None:
    """Put twice, deleted before and after the commit, evicted, dropped, cleared: no file stays that no row names."""

    async def main() -> None:
        cache = open_cache(tmp_path, 8 * MIB)
        await put_blocks(cache, 4)
        await cache.blocks.put(ONE, 0, bytes(MIB))
        await cache.blocks.put(ONE, 0, b"once more")
        await cache.blocks.put(ONE, 9, b"never committed")
        cache.blocks.delete(ONE, 9)
        cache.blocks.delete(ONE, 1)
        assert await cache.blocks.get(ONE, 0) == b"once more"
        await cache.writer.flush()
        assert cache.blocks.present(ONE) == {0, 2, 3}
        assert disk_bytes(tmp_path) == 2 * MIB + len(b"once more")
        await put_blocks(cache, 12, group=OTHER)
        assert len(block_files(tmp_path)) == len(cache.blocks.present(ONE)) + len(cache.blocks.present(OTHER)) < 9
        cache.blocks.drop(OTHER)
        await cache.writer.flush()
        assert len(block_files(tmp_path)) == len(cache.blocks.present(ONE))
        await cache.blocks.put(ONE, 20, b"waits")
        cache.blocks.clear()
        await cache.blocks.put(ONE, 21, b"later")
        await cache.writer.flush()
        assert [path.read_bytes() for path in block_files(tmp_path)] == [b"later"]
        assert await cache.blocks.get(ONE, 21) == b"later"
        cache.close()

    trio.run(main)


def test_after_a_crash_files_without_a_row_go_and_the_room_is_counted_anew(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        await put_blocks(cache, 3)
        used_before = used(cache)[1]
        cache.close()
        (tmp_path / CLEAN_NAME).unlink()
        files = block_files(tmp_path)
        files[0].with_name("00000000deadbe00").write_bytes(b"its row was never committed")
        files[1].with_name("what is this").write_bytes(b"")
        cache = open_cache(tmp_path, QUOTA)
        assert block_files(tmp_path) == files
        assert used(cache)[1] == used_before
        assert [await cache.blocks.get(ONE, index) is not None for index in range(4)] == [True, True, True, False]
        cache.close()

    trio.run(main)


@pytest.mark.parametrize("length", [0, 1, 500_000, MIB + 1, None])
def test_a_file_that_a_power_cut_left_is_never_believed(tmp_path: Path, length: int | None) -> None:
    """Shorter, longer, or gone."""

    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        await put_blocks(cache, 1)
        (path,) = block_files(tmp_path)
        if length is None:
            path.unlink()
        else:
            os.truncate(path, length)
        assert await cache.blocks.get(ONE, 0) is None
        assert not cache.blocks.has(ONE, 0)
        assert cache.blocks.stats().corrupt == 1
        await put_blocks(cache, 1)
        assert await cache.blocks.get(ONE, 0) is not None
        cache.close()

    trio.run(main)


@pytest.mark.warns("starting with an empty one")
def test_a_cache_of_another_version_takes_its_files_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        await put_blocks(cache, 2)
        with cache.environment.writing() as transaction:
            transaction.put(b"schema", b"another", db=cache.environment.database(META))
        cache.close()
        cache = open_cache(tmp_path, QUOTA)
        assert block_files(tmp_path) == []
        assert cache.blocks.stats().entries == 0
        cache.close()

    trio.run(main)


def test_a_disk_without_room_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
        try:
            await cache.blocks.put_run(ONE, {0: b"small", 1: bytes(MIB)})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, before)
        assert cache.blocks.present(ONE) == {0}
        assert cache.writer.stats.dropped == 1
        assert len(block_files(tmp_path)) == 1
        cache.close()

    trio.run(main)


@pytest.mark.parametrize("late", [False, True], ids=["written before", "being written"])
def test_blocks_that_are_given_up_leave_no_file(tmp_path: Path, late: bool) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        filing = cache.blocks.filing([3, 4])
        filing.write(3, b"old")
        filing.write(3, b"new")
        assert len(block_files(tmp_path)) == 1
        if not late:
            filing.write(4, b"four")
        filing.give_up()
        if late:
            filing.write(4, b"four")
        assert not block_files(tmp_path)
        cache.close()

    trio.run(main)
