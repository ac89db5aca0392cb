"""Python's garbage collector rests while a large thing is put together that holds no cycles.

Each of its rounds over all objects holds the interpreter, and with it the loop, for 15 to 50 ms where there are some
hundred thousand of them; and making 10,000 canvases sets off several. What is made is freed without it.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import trio

T = TypeVar("T")


@dataclass(slots=True)
class _Rest:
    """How many want it now, and whether it worked before. One a process, as the collector is."""

    wanted: int = 0
    was_on: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


_rest = _Rest()


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing is collected inside, in any thread. For work of at most a second or so that waits for nobody."""
    with _rest.lock:
        if not _rest.wanted:
            _rest.was_on = gc.isenabled()
            gc.disable()
        _rest.wanted += 1
    try:
        yield
    finally:
        with _rest.lock:
            _rest.wanted -= 1
            if not _rest.wanted and _rest.was_on:
                gc.enable()


async def computed(job: Callable[[], T]) -> T:
    """What `job` makes, in a thread, `uncollected`: it computes or reads the cache, and waits for nobody."""

    def run() -> T:
        with uncollected():
            return job()

    return await trio.to_thread.run_sync(run)
