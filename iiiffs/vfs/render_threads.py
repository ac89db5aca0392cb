"""The threads that render: first come first served, and a word on whether anybody waits for one.

Not trio's own threads: those hear of the next job from the loop, which is busy with lookups while tiles are cut, so a
thread that had ended a job was idle for a millisecond before the next of 2 ms (measured 2026-11). Here a thread takes
its next job by itself.

Concurrency: `run` and `spare` are trio's thread's, and so is all state but the queue and what a thread holds itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar, TypeVarTuple

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Job(Generic[T]):
    """One call. `is_wanted` is set by trio's thread and looked at once, when a thread takes the job."""

    def __init__(self, work: Callable[[], T], done: Callable[[_Job[T]], None]) -> None:
        self.is_wanted = True
        self.answers: list[T] = []
        self.error: BaseException | None = None
        self._work = work
        self._done = done
        self._token = trio.lowlevel.current_trio_token()

    def do(self) -> None:
        """Runs in a thread: the call was made, unless nobody wants it any more, and trio's thread is told."""
        if self.is_wanted:
            try:
                self.answers.append(self._work())
            except BaseException as error:  # for whoever waits
                self.error = error
        with suppress(trio.RunFinishedError):  # an abandoned thread may outlive the daemon's loop: nobody waits
            self._token.run_sync_soon(self._done, self)


class RenderThreads:
    """At most `count` jobs run at once. Who works ahead asks for `spare` before each small job, so that what somebody
    waits for comes next."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._threads = 0
        self._jobs = 0
        self._queue: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._ended = trio.Event()
        weakref.finalize(self, _dismiss, self._queue, count)

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """`work(*args)`, done in a thread. If cancelled, it goes on there and its result is dropped; what no thread
        has begun is never done."""
        await trio.lowlevel.checkpoint_if_cancelled()
        ended = trio.Event()

        def done(job: _Job[T]) -> None:
            self._jobs -= 1
            ended.set()
            others, self._ended = self._ended, trio.Event()
            others.set()

        job = _Job(lambda: work(*args), done)
        self._begin(job)
        try:
            await ended.wait()
        finally:
            job.is_wanted = False
        if (error := job.error) is None:
            return job.answers.pop()
        try:
            raise error
        finally:
            del error, job  # its traceback holds this frame

    async def spare(self) -> None:
        """Nobody waits for a thread: who asks for one now is next."""
        while self._jobs > self.count:
            await self._ended.wait()

    def _begin(self, job: _Job[Any]) -> None:
        self._jobs += 1
        self._queue.put(job)
        if self._threads < min(self._jobs, self.count):
            self._threads += 1
            # A daemon's: the process can end while a codec is stuck in one.
            Thread(target=_work, args=(self._queue,), name=f"render {self._threads}", daemon=True).start()


def _work(queue: SimpleQueue[_Job[Any] | None]) -> None:
    """A thread: job after job, until it is dismissed."""
    while (job := queue.get()) is not None:
        job.do()
        del job  # its result is of many megabytes, and the next job may be far


def _dismiss(queue: SimpleQueue[_Job[Any] | None], count: int) -> None:
    """Its threads end once what they were given is done."""
    for _ in range(count):
        queue.put(None)
