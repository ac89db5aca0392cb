"""A decode in progress, and who waits for its rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Event
from typing import BinaryIO

import trio
from PIL import Image
from trio.testing import trio_test, wait_all_tasks_blocked

from iiiffs.errors import Undecodable
from iiiffs.iiif.parameters import Format
from iiiffs.render.plan import Decode
from iiiffs.render.pyramid import Pyramid
from iiiffs.render.renderer import Renderer, RenderLimits
from iiiffs.render.sheets import Sheet, Sheets
from iiiffs.vfs.growing import Growth, Growths
from iiiffs.vfs.render_threads import RenderThreads
from tests.unit.render.render_pictures import Source, image_request, saved

PYRAMID = Pyramid(Sheet(Image.new("L", (4, 4))), 0, 1, None, Sheets(None, 1 << 62))


@trio_test
async def test_who_waits_for_rows_goes_on_when_they_are_there() -> None:
    growth, had = Growth(), []
    async with trio.open_nursery() as nursery:

        async def wait(rows: int) -> None:
            assert await growth.begun() is PYRAMID
            had.append((rows, await growth.has(rows)))

        for rows in (2, 3, 4):
            nursery.start_soon(wait, rows)
        await wait_all_tasks_blocked()
        assert had == []
        await trio.to_thread.run_sync(growth.watch, PYRAMID, 3)
        await wait_all_tasks_blocked()
        assert sorted(had) == [(2, True), (3, True)]
        growth.end()
    assert (4, False) in had


@trio_test
async def test_one_that_ends_before_it_begins_has_nothing() -> None:
    growth = Growth()
    growth.end()
    assert await growth.begun() is None
    assert not await growth.has(1)


def test_rows_that_come_after_the_daemon_are_nobodys() -> None:
    growths = []

    async def begin() -> None:
        growths.append(Growth())

    trio.run(begin)
    growths[0].watch(PYRAMID, 1)
    assert growths[0].pyramid is None


NOISE = saved(Image.frombytes("RGB", (1600, 1200), random.Random(3).randbytes(3 * 1600 * 1200)), "JPEG", quality=95)
KEY = ("a", 0, Decode.FULL)
TOP = image_request((0, 0, 512, 256), (512, 256), format=Format.JPG)
BOTTOM = image_request((0, 1024, 512, 1200), (512, 176), format=Format.JPG)
RESAMPLED = image_request((0, 0, 512, 256), (500, 250), format=Format.JPG)


class Slow(BytesIO):
    """What comes after three quarters waits for `go`."""

    def __init__(self, data: bytes, go: Event) -> None:
        super().__init__(data)
        self._held = len(data) * 3 // 4
        self._go = go

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= self._held:
            assert self._go.wait(20)
        return super().read(size)


class Decoding:
    """A decode of NOISE that stands still before its end; `draft`: its draft was decoded before."""

    def __init__(self, *, draft: bool, data: bytes = NOISE) -> None:
        self.source = Source(NOISE)
        self.renderer = Renderer(RenderLimits())
        self.growths = Growths(self.renderer, RenderThreads(2))
        self.go = Event()
        self.data = data
        self.errors: list[Undecodable] = []
        self.pyramid: Pyramid | None = None
        if draft:
            self.renderer.decoded("a", self.source.open, Decode.EIGHTH, self.source.facts)

    @contextmanager
    def _slow(self) -> Iterator[BinaryIO]:
        yield Slow(self.data, self.go)

    async def run(self) -> None:
        try:
            self.pyramid = await self.growths.decoded(KEY, self._slow, self.source.facts)
        except Undecodable as error:
            self.errors.append(error)


@trio_test
async def test_rows_that_are_there_are_cut_before_the_decode_ends() -> None:
    decoding = Decoding(draft=True)
    growths, facts = decoding.growths, decoding.source.facts
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(decoding.run)
            await wait_all_tasks_blocked()
            assert KEY in growths
            growing = await growths.rows_for(KEY, [TOP], facts)
            assert growing is not None
            assert decoding.renderer.kept("a", Decode.FULL) is None
            early = decoding.renderer.cut(growing, TOP, facts)
            assert await growths.rows_for(KEY, [TOP, RESAMPLED], facts) is None
            assert list(growths.order(KEY, [RESAMPLED, BOTTOM, TOP], facts)) == [2, 1, 0]
            decoding.go.set()
    assert decoding.pyramid is growing
    assert early == Source(NOISE).render(TOP)
    assert KEY not in growths
    assert await growths.rows_for(KEY, [TOP], facts) is None
    assert list(growths.order(KEY, [BOTTOM, TOP], facts)) == [0, 1]


@trio_test
async def test_of_one_that_may_be_damaged_nothing_is_cut_early() -> None:
    decoding = Decoding(draft=False)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(decoding.run)
            await wait_all_tasks_blocked()
            assert KEY in decoding.growths
            assert await decoding.growths.rows_for(KEY, [TOP], decoding.source.facts) is None
            decoding.go.set()


@trio_test
async def test_who_waits_for_rows_of_a_decode_that_fails_goes_on() -> None:
    decoding, had = Decoding(draft=True, data=NOISE[: len(NOISE) * 7 // 8]), []

    async def wait() -> None:
        had.append(await decoding.growths.rows_for(KEY, [BOTTOM], decoding.source.facts))

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(decoding.run)
            await wait_all_tasks_blocked()
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            assert had == []
            decoding.go.set()
    assert had == [None]
    assert len(decoding.errors) == 1
    assert KEY not in decoding.growths


@trio_test
async def test_who_gives_up_leaves_nothing_behind() -> None:
    decoding = Decoding(draft=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(decoding.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert KEY not in decoding.growths
    decoding.go.set()
    with trio.fail_after(20):
        while decoding.renderer.kept("a", Decode.FULL) is None:  # the thread ends its work
            await trio.sleep(0.01)
