"""The open bytes of an asset that are somewhere else: read by ranges, or whole in memory."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import trio

from iiiffs.errors import StoreFull
from iiiffs.providers.pieces import Pieces
from iiiffs.providers.seeking import Seeking

Pour = Callable[[int, Pieces], Awaitable[None]]
"""(offset, pieces): the pieces were taken, all of which are in the file. Errors: as Original.read."""

WINDOW_BYTES = 8 << 20
"""Of a whole download: some seconds of a slow line, so that one broken connection costs little."""

BUFFER_BYTES = 256 << 10
"""Of a stream: headers and EXIF of most files come with the first question."""


class RemoteOriginal:
    """providers.base.Original over questions. Holds nothing open but what `prepare` brought."""

    def __init__(self, size_bytes: int, pour: Pour) -> None:
        self._size_bytes = size_bytes
        self._pour = pour
        self._whole: BinaryIO | None = None

    @property
    def size_bytes(self) -> int:
        """Rule: Original.size_bytes."""
        return self._size_bytes

    async def read(self, offset: int, length: int) -> bytes:
        """Rule: Original.read. Never asks beyond the end."""
        length = max(0, min(length, self._size_bytes - offset))
        if not length:
            return b""
        found: dict[int, bytes | bytearray] = {}
        await self._pour(offset, Pieces((length,), found.__setitem__))
        return bytes(found[0])

    async def pour(self, offset: int, pieces: Pieces) -> None:
        """Rule: Pouring."""
        await self._pour(offset, pieces)

    async def prepare(self) -> None:
        """Rule: Original.prepare. All of it is in an unnamed file of this machine; for who has no cache above."""
        if self._whole is not None:
            return
        file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  # closed by aclose
        try:
            for offset in range(0, self._size_bytes, WINDOW_BYTES):
                data = await self.read(offset, WINDOW_BYTES)
                await trio.to_thread.run_sync(file.write, data)
            await trio.to_thread.run_sync(file.flush)
        except OSError as error:
            file.close()
            raise StoreFull(f"a download finds no room: {error.strerror}") from error
        except BaseException:
            file.close()
            raise
        self._whole = file

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Rule: Original.stream. Its reads go back to the loop, so only a thread that trio started may use it."""
        if self._whole is not None:
            with Path(f"/proc/self/fd/{self._whole.fileno()}").open("rb") as again:  # a position of its own
                yield again
            return
        raw = _RemoteFile(self._size_bytes, self.read)
        with io.BufferedReader(raw, BUFFER_BYTES) as buffered:
            yield cast(BinaryIO, buffered)

    async def aclose(self) -> None:
        """Rule: Original.aclose."""
        if self._whole is not None:
            self._whole.close()
            self._whole = None


class BytesOriginal:
    """providers.base.Original over bytes that are here."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size_bytes(self) -> int:
        """Rule: Original.size_bytes."""
        return len(self._data)

    async def read(self, offset: int, length: int) -> bytes:
        """Rule: Original.read."""
        return self._data[offset : offset + max(0, length)]

    async def prepare(self) -> None:
        """Rule: Original.prepare."""

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Rule: Original.stream."""
        with io.BytesIO(self._data) as stream:
            yield stream

    async def aclose(self) -> None:
        """Rule: Original.aclose."""


class _RemoteFile(Seeking):
    """A seekable file whose reads are answered by the loop that the thread came from."""

    def __init__(self, size_bytes: int, read: Callable[[int, int], Awaitable[bytes]]) -> None:
        super().__init__()
        self._size_bytes = size_bytes
        self._read = read

    @property
    def length_bytes(self) -> int:
        """Rule: Seeking.length_bytes."""
        return self._size_bytes

    def readinto(self, buffer: object) -> int:
        """As much of `buffer` as the file has from here on, filled."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed's Buffer is no name at run time
        data = trio.from_thread.run(self._read, self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
