"""The sum of what is about to be sent, taken in a thread."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from functools import partial

import trio

from iiiffs.errors import Rejected, StoreError
from iiiffs.state.spool import Spool
from iiiffs.sync.items import Item

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Summed:
    """What the payload is, as it lies in the spool."""

    sha1: bytes
    size_bytes: int


async def sum_of(spool: Spool, item: Item, threads: trio.CapacityLimiter) -> Summed:
    """Of all its bytes. Errors: StoreError; Rejected if they are not all there."""
    is_over = threading.Event()
    try:
        summed = partial(_summed, os.fspath(spool.path(item.id)), is_over)
        found = await trio.to_thread.run_sync(summed, abandon_on_cancel=True, limiter=threads)
    except FileNotFoundError:
        raise Rejected("its bytes are not in the spool any more") from None
    except OSError as error:
        raise StoreError(f"the bytes of {item.name} cannot be read: {error.strerror}") from error
    finally:
        is_over.set()
    if found.size_bytes < item.size_bytes:
        raise Rejected(f"of its {item.size_bytes} bytes only {found.size_bytes} are in the spool")
    return found


def _summed(path: str, is_over: threading.Event) -> Summed:
    """Blocking; ends soon after `is_over`, with anything. Errors: OSError."""
    sha1 = hashlib.sha1(usedforsecurity=False)
    size_bytes = 0
    with open(path, "rb", buffering=0) as payload:  # noqa: PTH123
        while not is_over.is_set() and (data := payload.read(READ_BYTES)):
            sha1.update(data)
            size_bytes += len(data)
    return Summed(sha1.digest(), size_bytes)
