"""Sums taken ahead: used for the very bytes that they are of, once, and for nothing else."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from zlib import crc32

import pytest
import trio
import trio.testing

from iiiffs.errors import Rejected
from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.state.spool import Spool
from iiiffs.sync.blocks import BLOCK_BYTES, FIRST_BYTES, bytes_of, count_of
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs import payload_sums
from iiiffs.vfs.payload_sums import PayloadSums, Summed, sum_of

DATA = b"what was written"
ITEM = Item(
    "local-1", 1, AccountName("home"), Verb.UPLOAD, Stage.SETTLING, AlbumId("a"), "x.jpg", 0,
    size_bytes=len(DATA), generation=1,
)  # fmt: skip


def summed(data: bytes) -> Summed:
    """What is told of those bytes, all of which are in one block."""
    return Summed(sha1(data).digest(), len(data), (crc32(data),))


SUMMED = summed(DATA)


class Bench:
    """One payload of one item. `read`: how often all of it was read."""

    def __init__(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.items = {ITEM.id: ITEM}
        self.read = 0
        self.sums = PayloadSums(spool, self.items.get, trio.CapacityLimiter(1))
        self.path = spool.path(ITEM.id)
        spool.put(ITEM.id, [DATA])
        summed = payload_sums._summed

        def counted(*arguments: object) -> Summed:
            self.read += 1
            return summed(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(payload_sums, "_summed", counted)

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        """Beside what sums ahead."""

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.sums.run)
                await test()
                nursery.cancel_scope.cancel()

        trio.run(main)

    async def ahead(self, item: Item = ITEM) -> None:
        """It was closed, and there was time."""
        before = self.read
        self.sums.wants(item)
        with trio.move_on_after(0.5):
            while self.read == before:
                await trio.sleep(0.001)
        await trio.testing.wait_all_tasks_blocked(0.02)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(Spool(tmp_path / "spool", min_free_bytes=0), monkeypatch)


def test_it_is_read_ahead_and_not_again(bench: Bench) -> None:
    async def test() -> None:
        await bench.ahead()
        assert bench.read == 1
        assert await bench.sums.of(ITEM) == SUMMED
        assert bench.read == 1

    bench.run(test)


def test_another_try_reads_it_anew(bench: Bench) -> None:
    async def test() -> None:
        await bench.ahead()
        for read in (1, 2, 3):
            assert await bench.sums.of(ITEM) == SUMMED
            assert bench.read == read

    bench.run(test)


def test_without_time_it_is_read_when_it_is_sent(bench: Bench) -> None:
    async def test() -> None:
        bench.sums.wants(ITEM)
        assert await bench.sums.of(ITEM) == SUMMED

    bench.run(test)


@pytest.mark.parametrize("changes", ["other bytes", "longer", "another file"])
def test_bytes_that_are_others_since_are_read(bench: Bench, changes: str) -> None:
    data = {"other bytes": b"W" + DATA[1:], "longer": DATA + b"!", "another file": DATA[::-1]}[changes]

    async def test() -> None:
        await bench.ahead()
        found = bench.path.stat()
        if changes == "another file":
            bench.path.rename(bench.path.with_name("local-2"))
        with bench.path.open("r+b" if bench.path.exists() else "wb") as file:
            file.write(data)
        os.utime(bench.path, ns=(found.st_atime_ns, found.st_mtime_ns))  # as a clock that stands still would
        assert await bench.sums.of(ITEM) == summed(data)

    bench.run(test)


def test_what_was_closed_again_is_read(bench: Bench) -> None:
    async def test() -> None:
        await bench.ahead()
        later = bench.items[ITEM.id] = replace(ITEM, generation=2)
        assert await bench.sums.of(later) == SUMMED
        assert bench.read == 2

    bench.run(test)


def test_what_was_opened_again_before_its_turn_is_not_read_ahead(bench: Bench) -> None:
    async def test() -> None:
        bench.items[ITEM.id] = replace(ITEM, generation=2)
        await bench.ahead()
        del bench.items[ITEM.id]
        await bench.ahead()
        assert bench.read == 0

    bench.run(test)


@pytest.mark.parametrize("size_bytes", [0, payload_sums.AHEAD_BYTES + 1])
def test_nothing_is_read_ahead_of_what_is_large_or_empty(bench: Bench, size_bytes: int) -> None:
    async def test() -> None:
        item = bench.items[ITEM.id] = replace(ITEM, size_bytes=size_bytes)
        await bench.ahead(item)
        assert bench.read == 0

    bench.run(test)


def test_a_payload_that_has_gone_is_told_as_such(bench: Bench) -> None:
    async def test() -> None:
        await bench.ahead()
        bench.path.unlink()
        with pytest.raises(Rejected, match="not in the spool any more"):
            await bench.sums.of(ITEM)
        await bench.ahead()

    bench.run(test)


def test_so_many_are_known_ahead_and_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload_sums, "AHEAD_MAX", 2)

    async def test() -> None:
        for number in range(5):
            item = bench.items[f"local-{number}"] = replace(ITEM, id=f"local-{number}")
            if number != 1:
                bench.path.with_name(item.id).write_bytes(DATA)
            await bench.ahead(item)
        assert (bench.read, len(bench.sums._ahead)) == (5, 2)

    bench.run(test)


SIZES = [len(DATA), FIRST_BYTES, FIRST_BYTES + 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES, 4 * BLOCK_BYTES]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_each_block_has_its_sum_unless_they_are_too_many(
    size_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payload_sums, "BYTES_MAX", 3 * BLOCK_BYTES)
    spool, data = Spool(tmp_path / "spool", min_free_bytes=0), random.Random(size_bytes).randbytes(size_bytes)
    spool.put(ITEM.id, [data])
    places = [bytes_of(range(index, index + 1), size_bytes) for index in range(count_of(size_bytes))]
    blocks = tuple(crc32(data[offset : offset + length]) for offset, length in places)

    async def main() -> None:
        found = await sum_of(spool, ITEM, trio.CapacityLimiter(1))
        assert found == Summed(sha1(data).digest(), size_bytes, blocks if size_bytes <= 3 * BLOCK_BYTES else ())

    trio.run(main)
