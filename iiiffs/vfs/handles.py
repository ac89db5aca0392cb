"""Open files: what a handle reads is decided when it is opened, and does not change under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import trio

from iiiffs.errors import DeadlinePassed
from iiiffs.providers.base import Original
from iiiffs.vfs.blocks import CachedOriginal
from iiiffs.vfs.packed import Body, PackedBody
from iiiffs.vfs.waiting import WaitingRoom


@dataclass(slots=True)
class Traffic:
    """What was read of originals since the start: `opened` handles, `read_bytes` answered to the kernel."""

    opened: int = 0
    read_bytes: int = 0


class Handle(Protocol):
    """One open file."""

    @property
    def is_snapshot(self) -> bool:
        """True if it shows the state of this moment, which no other open will show (read past the page cache)."""
        ...

    async def read(self, offset: int, length: int) -> bytes | memoryview:
        """Exactly those bytes, cut only at the end of the file."""
        ...

    async def aclose(self) -> None:
        """Closed."""
        ...


class WritableHandle(Handle, Protocol):
    """One file that is open for writing."""

    async def write(self, offset: int, data: bytes) -> int:
        """All of `data` is at `offset`; how many bytes that were. Errors: StoreFull."""
        ...

    async def truncate(self, size_bytes: int) -> None:
        """It is that long."""
        ...

    async def flush(self) -> None:
        """What was written is safe: on disk, and known to be this file's. Errors: StoreFull, StoreError."""
        ...


class BodyHandle:
    """Bytes in memory: a document, a page, a rendition."""

    def __init__(self, body: Body, *, is_snapshot: bool = False) -> None:
        self._body = body
        self.is_snapshot = is_snapshot

    async def read(self, offset: int, length: int) -> bytes | memoryview:
        """Those bytes of the body."""
        if isinstance(self._body, PackedBody):
            return self._body.part(offset, length)
        return self._body[offset : offset + length]

    async def aclose(self) -> None:
        """Nothing to close."""


class OriginalHandle:
    """An original, read where it lies."""

    is_snapshot = False

    def __init__(self, original: Original, read_s: float, room: WaitingRoom, traffic: Traffic) -> None:
        traffic.opened += 1
        self._traffic = traffic
        self._original = original
        self._read = original.read_view if isinstance(original, CachedOriginal) else original.read
        self._read_s = read_s
        self._room = room

    async def read(self, offset: int, length: int) -> bytes | memoryview:
        """Those bytes of that version. Errors: VersionChanged; DeadlinePassed after `read_s`."""
        with self._room.place(), trio.move_on_after(self._read_s):
            data = await self._read(offset, length)
            self._traffic.read_bytes += len(data)
            return data
        raise DeadlinePassed(f"no bytes within {self._read_s:g} s")

    async def aclose(self) -> None:
        """The original is closed."""
        await self._original.aclose()


class DiscardHandle:
    """What is written to it is not kept: a program copies an entry of ours, which is made anew where it goes."""

    is_snapshot = True

    async def read(self, offset: int, length: int) -> bytes:
        """Nothing."""
        return b""

    async def write(self, offset: int, data: bytes) -> int:
        """All of it is taken."""
        return len(data)

    async def truncate(self, size_bytes: int) -> None:
        """Nothing to cut."""

    async def flush(self) -> None:
        """Nothing to keep."""

    async def aclose(self) -> None:
        """Nothing to close."""
