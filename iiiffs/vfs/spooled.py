"""The bytes of a file that waits, as providers give those of an asset: for readers and renderers."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import trio

from iiiffs.errors import StoreError, VersionChanged


class SpooledOriginal:
    """providers.base.Original over a payload, in the version that was flushed last."""

    def __init__(
        self, descriptor: int, size_bytes: int, check: Callable[[], None], threads: trio.CapacityLimiter
    ) -> None:
        """`descriptor`: of the payload, closed with this. `check`: raises VersionChanged once it has other bytes."""
        self._descriptor = descriptor
        self._check = check
        self._threads = threads
        self.size_bytes = size_bytes

    async def read(self, offset: int, length: int) -> bytes:
        """Rule: Original.read. Errors: StoreError too."""
        length = max(0, min(length, self.size_bytes - offset))
        descriptor = os.dup(self._descriptor)
        try:
            data = await trio.to_thread.run_sync(os.pread, descriptor, length, offset, limiter=self._threads)
        except OSError as error:
            raise StoreError(f"the spool cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)
        self._check()
        if len(data) != length:
            raise VersionChanged("the file became shorter while it was read")
        return data

    async def prepare(self) -> None:
        """Rule: Original.prepare. The file is on this machine."""
        self._check()

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Rule: Original.stream. With a position of its own, since the file is opened again."""
        self._check()
        with io.FileIO(f"/proc/self/fd/{self._descriptor}") as raw, io.BufferedReader(raw, 256 << 10) as buffered:
            yield cast(BinaryIO, buffered)
            self._check()

    async def aclose(self) -> None:
        """Rule: Original.aclose."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
