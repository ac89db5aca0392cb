"""Whole files in the cache that are links to what was sent: exact bytes or nothing, used and evicted as one."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.cache.blocks import BlockGroup
from iiiffs.cache.environment import CLEAN_NAME
from iiiffs.cache.store import Cache, open_cache
from iiiffs.cache.whole import BYTES_MAX, label_of, sums_of
from iiiffs.sync.blocks import bytes_of, count_of
from tests.harness.block_damage import block_files

MIB = 1 << 20
QUOTA = 32 * MIB
DATA = random.Random(3).randbytes(4 * MIB + 5)
COUNT = count_of(len(DATA))
ONE = BlockGroup.of("home", "a", "v1")


def group(number: int) -> BlockGroup:
    return BlockGroup.of("home", str(number), "v1")


def block(index: int, data: bytes = DATA) -> bytes:
    offset, length = bytes_of(range(index, index + 1), len(data))
    return data[offset : offset + length]


def sums(data: bytes = DATA) -> list[int]:
    return [crc32(block(index, data)) for index in range(count_of(len(data)))]


def written(path: Path) -> Path:
    path.write_bytes(DATA)
    return path


async def linked(cache: Cache, path: Path, of: BlockGroup = ONE) -> Path:
    """The payload, which is in the cache too."""
    written(path)
    assert await cache.blocks.link_in(of, path, len(DATA), sums())
    return path


async def read(cache: Cache, of: BlockGroup = ONE) -> list[bytes | None]:
    return [await cache.blocks.get(of, index) for index in range(COUNT)]


ALL = [block(index) for index in range(COUNT)]


@given(st.lists(st.integers(0, 2**32 - 1), max_size=70))
def test_a_label_says_what_it_was_told(told: Sequence[int]) -> None:
    assert sums_of(label_of(told)) == told


@pytest.mark.parametrize("label", ["0", "17", "verified"])
def test_other_labels_say_nothing(label: str) -> None:
    assert sums_of(label) is None


def test_it_is_there_block_by_block_also_after_a_restart_and_without_the_payload(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path / "cache", QUOTA)
        payload = await linked(cache, tmp_path / "payload")
        assert await cache.blocks.link_in(ONE, payload, len(DATA), sums())
        assert payload.stat().st_nlink == 2
        for restarted in (False, True):
            if restarted:
                payload.unlink()
                cache.close()
                cache = open_cache(tmp_path / "cache", QUOTA)
            assert await read(cache) == ALL
            assert (cache.blocks.present(ONE), cache.blocks.is_verified(ONE)) == (set(range(COUNT)), True)
            assert [cache.blocks.has(ONE, index) for index in (0, COUNT - 1)] == [True, True]
        assert cache.blocks.stats().used_bytes >= len(DATA)
        assert (await cache.verify()).corrupt == 0
        cache.blocks.drop(ONE)
        await cache.writer.flush()
        assert (block_files(tmp_path / "cache"), cache.blocks.present(ONE)) == ([], set())
        cache.close()

    trio.run(main)


@pytest.mark.parametrize("by", ["reading", "verify"])
@pytest.mark.parametrize("problem", ["another byte", "shorter", "gone"])
def test_of_a_damaged_one_nothing_is_left(tmp_path: Path, problem: str, by: str) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path / "cache", QUOTA)
        (await linked(cache, tmp_path / "payload")).unlink()
        await cache.writer.flush()
        (path,) = block_files(tmp_path / "cache")
        if problem == "another byte":
            with path.open("r+b") as file:
                file.seek(MIB + 7)
                file.write(bytes((DATA[MIB + 7] ^ 1,)))
        elif problem == "shorter":
            os.truncate(path, len(DATA) - 1)
        else:
            path.unlink()
        if by == "verify":
            assert (await cache.verify()).corrupt == 1
        else:
            whole = 0 if problem == "gone" else {"another byte": 2, "shorter": COUNT - 1}[problem]
            assert (await read(cache))[whole:] == [None] * (COUNT - whole)
            assert cache.blocks.stats().corrupt == 1
        await cache.writer.flush()
        assert (block_files(tmp_path / "cache"), cache.blocks.present(ONE)) == ([], set())
        cache.close()

    trio.run(main)


def test_the_oldest_used_go_first_each_as_one(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path / "cache", QUOTA)
        for number in range(10):
            (await linked(cache, tmp_path / f"payload-{number}", group(number))).unlink()
            await cache.writer.flush()
            await cache.blocks.get(group(0), 1)
        there = [number for number in range(10) if cache.blocks.present(group(number))]
        assert there == [0, *range(there[1], 10)]
        assert 6 <= len(there) < 10
        for number in there:
            assert await read(cache, group(number)) == ALL
        files = block_files(tmp_path / "cache")
        assert sum(path.stat().st_size for path in files) <= cache.blocks.stats().used_bytes <= QUOTA
        assert len(files) == len(there)
        cache.close()

    trio.run(main)


@pytest.mark.parametrize("problem", ["the quota", "all of them", "sums of another"])
def test_what_is_too_large_or_of_another_length_is_not_linked(tmp_path: Path, problem: str) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path / "cache", 8 * MIB if problem == "the quota" else 8 * BYTES_MAX)
        payload, size_bytes = tmp_path / "payload", BYTES_MAX + 1 if problem == "all of them" else len(DATA)
        payload.touch()
        os.truncate(payload, size_bytes)
        told = [0] * (count_of(size_bytes) - (problem == "sums of another"))
        assert not await cache.blocks.link_in(ONE, payload, size_bytes, told)
        assert (payload.stat().st_nlink, cache.blocks.present(ONE)) == (1, set())
        cache.close()

    trio.run(main)


def test_what_a_crash_left_linked_keeps_its_bytes(tmp_path: Path) -> None:
    """The row was never committed: the file is swept; and one that takes its number before that is another file."""

    async def main() -> None:
        cache = open_cache(tmp_path / "cache", QUOTA)
        payload = await linked(cache, tmp_path / "payload")
        (path,) = block_files(tmp_path / "cache")
        cache.blocks._table.folder.write(int(path.name, 16), b"of another")
        assert (path.read_bytes(), payload.read_bytes(), payload.stat().st_nlink) == (b"of another", DATA, 1)
        cache.close()
        (tmp_path / "cache" / CLEAN_NAME).unlink()
        os.link(payload, path.with_name("00000000deadbe00"))
        cache = open_cache(tmp_path / "cache", QUOTA)
        assert (payload.read_bytes(), payload.stat().st_nlink) == (DATA, 1)
        cache.close()

    trio.run(main)
