"""Seen at once, on disk a moment later, bounded in memory."""

import random
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trio.testing

from iiiffs.cache.entries import digest_of
from iiiffs.cache.store import Cache, open_cache
from iiiffs.cache.writer import COMMIT_INTERVAL_S, PENDING_BYTES_MAX, SLICE_BYTES, TOUCH_INTERVAL_S

MIB = 1024 * 1024
QUOTA = 128 * MIB


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return open_cache(tmp_path, QUOTA)


def committed(cache: Cache) -> int:
    return cache.renditions.stats().entries


def test_seen_before_it_is_committed(cache: Cache) -> None:
    stored = cache.renditions.put_nowait(b"key", b"g", "label", b"data")
    assert committed(cache) == 0
    assert cache.renditions.get(b"key") == b"data"
    assert cache.renditions.peek(b"key") == stored
    assert cache.renditions.labels(b"g") == [("label", 4, digest_of(b"data"))]
    cache.renditions.delete(b"key")
    assert cache.renditions.get(b"key") is None
    cache.close()


def test_the_service_commits_after_its_interval(cache: Cache) -> None:
    async def main() -> float:
        async with trio.open_nursery() as nursery:
            await nursery.start(cache.writer.run)
            began = trio.current_time()
            cache.renditions.put_nowait(b"key", b"", "", b"data")
            await cache.writer.wait_committed()
            took = trio.current_time() - began
            nursery.cancel_scope.cancel()
        return took

    took = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.05))
    assert took >= COMMIT_INTERVAL_S
    assert committed(cache) == 1
    cache.close()


def test_touches_alone_wait_for_company(cache: Cache) -> None:
    cache.renditions.put_nowait(b"key", b"", "", b"data")
    cache.writer.commit_now()

    async def main() -> tuple[float, float]:
        async with trio.open_nursery() as nursery:
            await nursery.start(cache.writer.run)
            began = trio.current_time()
            cache.renditions.get(b"key")
            await cache.writer.wait_committed()
            alone = trio.current_time() - began
            cache.renditions.get(b"key")
            began = trio.current_time()
            cache.renditions.put_nowait(b"other", b"", "", b"data")
            await cache.writer.wait_committed()
            accompanied = trio.current_time() - began
            nursery.cancel_scope.cancel()
        return alone, accompanied

    alone, accompanied = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.05))
    assert alone >= TOUCH_INTERVAL_S
    assert accompanied < TOUCH_INTERVAL_S
    cache.close()


def test_a_flush_that_finds_nothing_left_leaves_the_service_awake(cache: Cache) -> None:
    """It takes an empty slice while the service waits for something to arrive."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(cache.writer.run)
            await trio.testing.wait_all_tasks_blocked()
            await cache.writer._commit_slice()
            cache.renditions.put_nowait(b"key", b"", "", b"data")
            with trio.fail_after(5):
                await cache.writer.wait_committed()
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_cancelled_it_commits_what_is_pending(cache: Cache) -> None:
    data = random.Random(1).randbytes(3 * SLICE_BYTES)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(cache.writer.run)
            for n in range(60):
                cache.renditions.put_nowait(b"%d" % n, b"", "", data[n * 200_000 : (n + 1) * 200_000])
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert cache.writer.backlog_bytes == 0
    assert committed(cache) == 60
    cache.close()


def test_flush_commits_what_came_before_it(cache: Cache) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(cache.writer.run)
            for n in range(100):
                await cache.renditions.put(b"%d" % n, b"", "", bytes(100_000))
            await cache.writer.flush()
            assert committed(cache) == 100
            nursery.cancel_scope.cancel()

    trio.run(main)
    cache.close()


@pytest.mark.parametrize("runs", [True, False])
def test_put_waits_while_too_much_is_pending(cache: Cache, runs: bool) -> None:
    data = random.Random(2).randbytes(MIB)
    most = 0

    async def main() -> None:
        nonlocal most
        async with trio.open_nursery() as nursery:
            if runs:
                await nursery.start(cache.writer.run)
            for n in range(100):
                await cache.renditions.put(b"%d" % n, b"", "", data)
                most = max(most, cache.writer.backlog_bytes)
            await cache.writer.flush()
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert SLICE_BYTES < most <= PENDING_BYTES_MAX + 1024
    assert committed(cache) == 100
    assert cache.writer.stats.dropped == 0
    cache.close()


def test_put_nowait_drops_rather_than_grow(cache: Cache) -> None:
    for n in range(100):
        cache.renditions.put_nowait(b"%d" % n, b"", "", bytes(MIB))
    assert cache.writer.backlog_bytes <= PENDING_BYTES_MAX + 1024
    kept = sum(cache.renditions.get(b"%d" % n) is not None for n in range(100))
    assert cache.writer.stats.dropped == 100 - kept > 60
    cache.writer.commit_now()
    assert committed(cache) == kept
    cache.close()


def test_one_key_put_often_costs_its_last_value_only(cache: Cache) -> None:
    for n in range(1000):
        cache.renditions.put_nowait(b"key", b"", "", b"%d" % n)
    assert cache.writer.backlog_bytes < 1024
    cache.writer.commit_now()
    assert cache.renditions.get(b"key") == b"999"
    assert committed(cache) == 1
    cache.close()


def test_readers_never_see_a_key_go_back(cache: Cache) -> None:
    """While slices are committed behind them, readers see each key's newest value at every moment."""
    newest: dict[bytes, bytes] = {}

    async def write(seed: int) -> None:
        source = random.Random(seed)
        for step in range(150):
            key = b"%d" % source.randrange(20)
            newest[key] = b"%d-%d-" % (seed, step) + bytes(source.randrange(100_000))
            await cache.renditions.put(key, b"", "", newest[key])
            await trio.lowlevel.checkpoint()
            for known, value in newest.items():
                assert cache.renditions.get(known) == value

    async def main() -> None:
        async with trio.open_nursery() as service:
            await service.start(cache.writer.run)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(write, 1)
                nursery.start_soon(flush_often)
            service.cancel_scope.cancel()

    async def flush_often() -> None:
        for _ in range(50):
            await cache.writer.flush()
            await trio.lowlevel.checkpoint()

    trio.run(main)
    assert {key: cache.renditions.get(key) for key in newest} == newest
    cache.close()
