"""A file without a name: bytes that must be there for a while, whatever the cache forgets; gone when it is closed."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from iiiffs.errors import StoreError, StoreFull
from iiiffs.providers.seeking import Seeking

FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
BUFFER_BYTES = 256 << 10


class ScratchFile:
    """Written from its beginning to its end, then read, by as many at once as like. Every method blocks."""

    def __init__(self, folder: Path) -> None:
        """An empty one on the file system of `folder`. Errors: StoreError."""
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # lives as long as this object
        except OSError as error:
            raise _ours(error) from error

    def append(self, data: bytes) -> None:
        """`data` stands behind what was written before. Errors: StoreFull, StoreError."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _ours(error) from error

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """What was written, with a position of its own. Stays readable when this object is closed meanwhile."""
        number = os.dup(self._file.fileno())
        try:
            raw = _Positioned(number)
            with io.BufferedReader(raw, BUFFER_BYTES) as buffered:
                yield cast(BinaryIO, buffered)
        finally:
            os.close(number)

    def close(self) -> None:
        """Its room on the disk is free once the last stream has ended; a second call does nothing."""
        self._file.close()


class _Positioned(Seeking):
    """A descriptor that is read by pread, since descriptors of one file share their position."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    @property
    def length_bytes(self) -> int:
        """Rule: Seeking.length_bytes."""
        return os.fstat(self._number).st_size

    def readinto(self, buffer: object) -> int:
        """Rule: io.RawIOBase.readinto."""
        try:
            count = os.preadv(self._number, [buffer], self._position)  # type: ignore[list-item]  # Buffer is no name
        except OSError as error:
            raise _ours(error) from error
        self._position += count
        return count


def _ours(error: OSError) -> StoreError:
    kind = StoreFull if error.errno in FULL else StoreError
    return kind(f"no room to hold an original while it is rendered: {error.strerror}")
