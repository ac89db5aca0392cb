"""Threads that run while the loop waits for them, so that the same calls give the same run, always.

A clock that stands still waits for no thread, the real time that one takes is another every time, and of two the one or
the other ends first. In a trio run that has said `one_at_a_time()`, either the loop runs or one thread, until that ends
or asks something of the loop; other tasks have a moment before and after it. All other runs have threads as ever.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

import outcome
import trio

from iiiffs.vfs.render_threads import RenderThreads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_IS_SAID: trio.lowlevel.RunVar[bool] = trio.lowlevel.RunVar("one_at_a_time", default=False)
_run_beside = trio.to_thread.run_sync
_ask_beside = trio.from_thread.run
_own = threading.local()


def one_at_a_time() -> None:
    """No thread of this trio run is beside its loop from now on."""
    _IS_SAID.set(True)


class _Errand:
    """One call in a thread. Whoever has the turn, the loop or the thread, is the only one that runs."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.answer: outcome.Outcome[Any]
        self.result: outcome.Outcome[Any]
        self._question: Callable[[], Awaitable[object]] | None = None
        self._of_loop, self._of_thread = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)

    def begun(self) -> Callable[[], Awaitable[object]] | None:
        """What the thread asks of the loop first; None if it has ended, and its `result` is there. Blocking."""
        self._thread.start()
        return self._waited()

    def told(self) -> Callable[[], Awaitable[object]] | None:
        """As `begun`, what it asks next, once `answer` is told to it."""
        self._of_thread.release()
        return self._waited()

    def _waited(self) -> Callable[[], Awaitable[object]] | None:
        self._of_loop.acquire()
        return self._question

    def _run(self, work: Callable[[], object]) -> None:
        _own.errand = self
        self.result = outcome.capture(work)
        self._question = None
        self._of_loop.release()

    def asked(self, question: Callable[[], Awaitable[object]]) -> Any:
        """The loop's answer. For the thread."""
        self._question = question
        self._of_loop.release()
        self._of_thread.acquire()
        return self.answer.unwrap()


async def _run_sync(
    work: Callable[[*Ts], T],
    *args: *Ts,
    thread_name: str | None = None,
    abandon_on_cancel: bool = False,
    limiter: trio.CapacityLimiter | None = None,
) -> T:
    """Rule: trio.to_thread.run_sync. What it would abandon has ended here."""
    if not _IS_SAID.get():
        return await _run_beside(
            work, *args, thread_name=thread_name, abandon_on_cancel=abandon_on_cancel, limiter=limiter
        )
    await trio.lowlevel.checkpoint_if_cancelled()
    limiter, errand = limiter or trio.to_thread.current_default_thread_limiter(), _Errand(partial(work, *args))
    await limiter.acquire_on_behalf_of(errand)
    try:
        await trio.lowlevel.cancel_shielded_checkpoint()
        question = errand.begun()
        while question is not None:
            errand.answer = await outcome.acapture(question)
            question = errand.told()
        with trio.CancelScope(shield=not abandon_on_cancel):
            await trio.lowlevel.checkpoint()
        result: T = errand.result.unwrap()
        return result
    finally:
        limiter.release_on_behalf_of(errand)


def _run_from_thread(
    question: Callable[[*Ts], Awaitable[T]], *args: *Ts, trio_token: trio.lowlevel.TrioToken | None = None
) -> T:
    """Rule: trio.from_thread.run."""
    errand: _Errand | None = getattr(_own, "errand", None)
    if errand is None or trio_token is not None:
        return _ask_beside(question, *args, trio_token=trio_token)
    answer: T = errand.asked(partial(question, *args))
    return answer


trio.to_thread.run_sync = _run_sync  # type: ignore[assignment]
trio.from_thread.run = _run_from_thread  # type: ignore[assignment]


class RenderedInTurn(RenderThreads):
    """Rule: RenderThreads, of threads that are never beside the loop."""

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Rule: RenderThreads.run."""
        return await trio.to_thread.run_sync(work, *args, abandon_on_cancel=True)
