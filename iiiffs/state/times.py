"""The times of documents that no content explains: kept, so that a web server's ETag outlives the cache.

A document's time is that of its content or configuration, unless other bytes had that time already: then it is younger
by a second (DESIGN §2.4). What was added so cannot be computed again, and is recorded here.
"""

from __future__ import annotations

import trio

from iiiffs.state.environment import Environment

TIME_BYTES = 8


class DocumentTimes:
    """Key of a document's name -> (digest of its bytes, time), for those that need it."""

    def __init__(self, environment: Environment, writer: trio.Lock) -> None:
        self._environment = environment
        self._writer = writer

    def get(self, key: bytes) -> tuple[bytes, int] | None:
        """What was kept last for `key`; short and synchronous."""
        row = self._environment.read(lambda reading: reading.get("times", key))
        if row is None or len(row) <= TIME_BYTES:
            return None
        return row[TIME_BYTES:], int.from_bytes(row[:TIME_BYTES], "big", signed=True)

    async def put(self, key: bytes, digest: bytes, mtime_ns: int) -> None:
        """On disk when this returns. Errors: StoreFull."""
        row = mtime_ns.to_bytes(TIME_BYTES, "big", signed=True) + digest
        async with self._writer:
            await trio.to_thread.run_sync(self._environment.write, lambda writing: writing.put("times", key, row))
