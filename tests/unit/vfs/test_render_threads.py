"""Render threads: how many at once, in which order, and what becomes of what nobody waits for any more."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Coroutine

import pytest
import trio
import trio.testing

from iiiffs.vfs.render_threads import RenderThreads

SOON_S = 10.0


def in_trio(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """The test, run in a loop of its own."""

    def run() -> None:
        trio.run(test)

    return run


class Gate:
    """Work that a test holds up."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.go = threading.Event()

    def work(self, name: str) -> Callable[[], str]:
        """Notes that it began and ends when it may."""

        def done() -> str:
            self.began.append(name)
            assert self.go.wait(SOON_S)
            return name

        return done


async def until(true: Callable[[], bool]) -> None:
    """It is true."""
    with trio.fail_after(SOON_S):
        while not true():
            await trio.sleep(0.001)


@in_trio
async def test_no_more_than_count_run_at_once_and_the_others_in_order() -> None:
    threads, gate, answers = RenderThreads(2), Gate(), []

    async def ask(name: str) -> None:
        answers.append(await threads.run(gate.work(name)))

    async with trio.open_nursery() as nursery:
        for name in "abcde":
            nursery.start_soon(ask, name)
            await trio.testing.wait_all_tasks_blocked()
        await until(lambda: len(gate.began) == 2)
        assert sorted(gate.began) == ["a", "b"]
        gate.go.set()
    assert sorted(answers) == list("abcde")
    assert set(gate.began[2:4]) <= set("cde")
    assert gate.began.index("e") >= 3, "what came last was not before two that waited"


@in_trio
async def test_an_error_is_the_askers_and_the_thread_goes_on() -> None:
    threads = RenderThreads(1)

    def fail() -> None:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        await threads.run(fail)
    assert await threads.run(divmod, 7, 2) == (3, 1)


@in_trio
async def test_what_is_cancelled_before_it_began_is_never_done() -> None:
    threads, gate = RenderThreads(1), Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(threads.run, gate.work("first"))
        await until(lambda: gate.began == ["first"])
        with trio.move_on_after(0):
            await threads.run(gate.work("cancelled"))
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as waiting:
                waiting.start_soon(threads.run, gate.work("cancelled too"))
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        gate.go.set()
    assert await threads.run(gate.work("last")) == "last"
    assert gate.began == ["first", "last"]


@in_trio
async def test_what_is_cancelled_in_a_thread_holds_it_until_it_ends() -> None:
    threads, gate = RenderThreads(1), Gate()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(threads.run, gate.work("abandoned"))
            await until(lambda: gate.began == ["abandoned"])
            scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(threads.run, gate.work("next"))
        await trio.testing.wait_all_tasks_blocked()
        assert gate.began == ["abandoned"]
        gate.go.set()
    assert gate.began == ["abandoned", "next"]


@in_trio
async def test_there_is_a_spare_thread_as_soon_as_nobody_waits_for_one() -> None:
    threads, gate, told = RenderThreads(1), Gate(), []

    async def wait_spare() -> None:
        await threads.spare()
        told.append(list(gate.began))

    async with trio.open_nursery() as nursery:
        await threads.spare()
        nursery.start_soon(threads.run, gate.work("runs"))
        await until(lambda: gate.began == ["runs"])
        await threads.spare()
        nursery.start_soon(threads.run, gate.work("waits"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(wait_spare)
        await trio.testing.wait_all_tasks_blocked()
        assert not told
        gate.go.set()
    assert told


@in_trio
async def test_threads_end_with_what_they_belong_to() -> None:
    threads = RenderThreads(2)
    names = {thread.ident for thread in threading.enumerate()}
    idents = set()
    for _ in range(3):
        idents.add(await threads.run(threading.get_ident))
    assert not idents & names
    del threads
    gc.collect()
    await until(lambda: not idents & {thread.ident for thread in threading.enumerate()})
