"""The open bytes of one version of one file, and their fingerprint.

The file may be changed by anybody while it is read. A file replaced by rename does no harm: the descriptor keeps the
old bytes. One written in place has another mtime or size after the read, and then what was read is thrown away.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import trio

from iiiffs.errors import ProviderUnreachable, VersionChanged
from iiiffs.model.gallery import Version
from iiiffs.providers.folder.disk import Descriptor
from iiiffs.providers.seeking import Seeking
from iiiffs.sync.identity import version_of

FINGERPRINT_BYTES = 64 << 10
"""Of head and of tail: more than any EXIF date, so two shots of one camera differ, and 1 ms from a cold disk."""

BUFFER_BYTES = 256 << 10
"""Of a stream: one look at the version for each."""

NOT_NOW = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS})


class FileOriginal:
    """providers.base.Original over one descriptor."""

    def __init__(
        self, descriptor: Descriptor, version: Version, size_bytes: int, limiter: trio.CapacityLimiter
    ) -> None:
        self._limiter = limiter
        self._descriptor = descriptor
        self._version = version
        self._size_bytes = size_bytes

    @property
    def size_bytes(self) -> int:
        """Rule: Original.size_bytes."""
        return self._size_bytes

    async def read(self, offset: int, length: int) -> bytes:
        """Rule: Original.read. What the page cache holds is read at once, without the 0.1 ms of a thread's hop."""
        length = max(0, min(length, self._size_bytes - offset))
        if not length:
            return b""
        number = self._descriptor.number
        with _reading():
            data = _read_cached(number, offset, length)
            if data is None:
                # The thread has a descriptor of its own: after a cancellation it may outlive this object.
                again = Descriptor(os.dup(number))
                return await trio.to_thread.run_sync(
                    self._read_blocking, again, offset, length, abandon_on_cancel=True, limiter=self._limiter
                )
            check_version(number, self._version)
        return data

    async def prepare(self) -> None:
        """Rule: Original.prepare. The file is on this machine."""

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Rule: Original.stream. Outlives `aclose`: it has a descriptor of its own."""
        with Descriptor(os.dup(self._descriptor.number)) as again:
            raw = CheckedFile(again.number, self._version, self._size_bytes)
            with io.BufferedReader(raw, BUFFER_BYTES) as buffered:
                yield cast(BinaryIO, buffered)

    async def aclose(self) -> None:
        """Rule: Original.aclose."""
        self._descriptor.close()

    def _read_blocking(self, descriptor: Descriptor, offset: int, length: int) -> bytes:
        with descriptor, _reading():
            return read_exactly(descriptor.number, self._version, offset, length)


class CheckedFile(Seeking):
    """A seekable file that reads one version or raises VersionChanged. The descriptor is not its own."""

    def __init__(self, number: int, version: Version, size_bytes: int) -> None:
        super().__init__()
        self._number = number
        self._version = version
        self._size_bytes = size_bytes

    @property
    def length_bytes(self) -> int:
        """Rule: Seeking.length_bytes."""
        return self._size_bytes

    def readinto(self, buffer: object) -> int:
        """As much of `buffer` as the file has from here on, filled."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed's Buffer is no name at run time
        length = max(0, min(len(view), self._size_bytes - self._position))
        with _reading():
            view[:length] = read_exactly(self._number, self._version, self._position, length)
        self._position += length
        return length

    def readall(self) -> bytes:
        """All from here on, checked once."""
        length = max(0, self._size_bytes - self._position)
        with _reading():
            data = read_exactly(self._number, self._version, self._position, length)
        self._position += length
        return data


def read_exactly(number: int, version: Version, offset: int, length: int) -> bytes:
    """The bytes [offset, offset + length) of that version. Blocking. Errors: VersionChanged, OSError."""
    parts: list[bytes] = []
    missing = length
    while missing:
        part = os.pread(number, missing, offset + length - missing)
        if not part:
            raise VersionChanged("the file became shorter while it was read")
        parts.append(part)
        missing -= len(part)
    check_version(number, version)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def fingerprint(number: int, version: Version, size_bytes: int) -> bytes:
    """16 bytes that say which content this is: of size, head and tail. Blocking. Errors: VersionChanged, OSError."""
    digest = hashlib.blake2b(b"%d\0" % size_bytes, digest_size=16)
    head = min(size_bytes, FINGERPRINT_BYTES)
    tail = min(size_bytes - head, FINGERPRINT_BYTES)
    digest.update(read_exactly(number, version, 0, head))
    digest.update(read_exactly(number, version, size_bytes - tail, tail))
    return digest.digest()


def check_version(number: int, version: Version) -> None:
    """The open file is still in that version. Errors: VersionChanged."""
    status = os.fstat(number)
    if version_of(status.st_mtime_ns, status.st_size, status.st_ino) != version:
        raise VersionChanged("the file was changed while it was open")


def _read_cached(number: int, offset: int, length: int) -> bytes | None:
    """The bytes if all of them are in the page cache, else None. Never waits for a disk."""
    buffer = bytearray(length)
    try:
        count = os.preadv(number, [buffer], offset, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno in NOT_NOW:
            return None
        raise
    return bytes(buffer) if count == length else None


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProviderUnreachable(f"a file cannot be read: {error.strerror}") from error
