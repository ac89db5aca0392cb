"""Begins to write a payload to the disk while the rest of it still comes, so that its fsync has less to wait for.

A hint, and no promise: what is durable is what `Spool.sync` has returned for (DESIGN §4.1). It waits for no disk and
takes no error from the descriptor: the kernel keeps the disk's errors for the next fsync, which reports them.
Rule: sync_file_range(2), SYNC_FILE_RANGE_WRITE alone.
"""

from __future__ import annotations

import ctypes

STEP_BYTES = 1 << 20
"""Begun at once: what a `cp` writes in one call, and enough for a disk to take in one piece."""
_WRITE = 2
"""SYNC_FILE_RANGE_WRITE."""

_begin = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _begin is not None:
    _begin.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def full_steps(offset: int, end: int) -> range:
    """Where those steps begin that a write of `offset` to `end` has come to the end of."""
    return range(offset - offset % STEP_BYTES, end - end % STEP_BYTES, STEP_BYTES)


def begin_write_out(descriptor: int, offset: int, end: int) -> bool:
    """Blocking, shortly. The disk has begun to take each step that a write of `offset` to `end` has filled.

    False if there was none, or where the system or the file system cannot: then fsync does all of it, as ever.
    """
    steps = full_steps(offset, end)
    if _begin is None or not steps:
        return False
    return bool(_begin(descriptor, steps.start, steps.stop - steps.start, _WRITE) == 0)
