"""What the C library keeps of freed memory is given back to the kernel.

Answers of servers, listings and buffers of the cache are megabytes that are freed a moment later. glibc keeps their
room for the next ones, up to twice the largest that was ever freed in each of its heaps, beside what lasts: 30 MB after
a walk over 33,000 photos. Fixed thresholds would give it back at once, and made decoding and cutting a picture slower
by 18 %, as each picture then comes in fresh pages.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from pathlib import Path

import trio

PERIOD_S = 1.0
GROWN_BYTES = 8 << 20
"""So much more memory than after the last time, and it is worth another one: some ms, in which the heap is locked."""
_STATM = Path("/proc/self/statm")


async def run(trim: Callable[[int], object] | None = None) -> None:
    """A service: every second, where memory has grown. `trim`: by default the C library's; ends where it has none."""
    trim = trim or getattr(ctypes.CDLL(None), "malloc_trim", None)
    kept_bytes = _own_bytes()
    while trim is not None:
        await trio.sleep(PERIOD_S)
        if _own_bytes() - kept_bytes > GROWN_BYTES:
            await trio.to_thread.run_sync(trim, 0)
            kept_bytes = _own_bytes()


def _own_bytes() -> int:
    """Resident memory of this process that is of no file. Rule: proc(5), /proc/pid/statm."""
    _, resident, shared, *_ = map(int, _STATM.read_bytes().split())
    return (resident - shared) * mmap.PAGESIZE
