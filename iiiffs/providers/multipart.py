"""A form with one file, sent while the file is read: as little of it in memory for 4 GB as for 4 kB. Small files that
belong to it go before it.

Rule: RFC 7578; names in headers as HTML 5 writes them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, TypeVar, cast

import trio

from iiiffs.errors import StoreError

T = TypeVar("T")

NOTHING_BESIDE: Mapping[str, tuple[str, bytes]] = MappingProxyType({})
PIECE_BYTES = 1 << 20
ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class FileForm:
    """Text fields, then a file. Rule: http_values.Content. Made by `opened_form`. `sent`: told how many bytes of the
    file have been handed on so far."""

    sent: Callable[[int], None] | None = None

    def __init__(self, head: bytes, file: BinaryIO, size_bytes: int, boundary: str) -> None:
        self._head = head
        self._file = file
        self._size_bytes = size_bytes
        self._boundary = boundary
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    @property
    def headers(self) -> Mapping[str, str]:
        """Rule: Content.headers."""
        length = len(self._head) + self._size_bytes + len(self._tail)
        return {"content-type": f"multipart/form-data; boundary={self._boundary}", "content-length": str(length)}

    def pieces(self) -> AsyncIterator[bytes]:
        """Rule: Content.pieces. Errors: StoreError if the file cannot be read."""
        return _Pieces(self._head, self._file, self._size_bytes, self._tail, self.sent)


class _Pieces(AsyncIterator[bytes]):
    """Not a generator: a sending that breaks off leaves nothing behind that somebody would have to close."""

    def __init__(
        self, head: bytes, file: BinaryIO, size_bytes: int, tail: bytes, sent: Callable[[int], None] | None
    ) -> None:
        self._file = file
        self._size_bytes = self._left = size_bytes
        self._sent = sent
        self._ends: Iterator[bytes] = iter((head, tail))
        self._is_begun = False

    async def __anext__(self) -> bytes:
        if not self._is_begun:
            self._is_begun = True
            return next(self._ends)
        offset = self._size_bytes - self._left
        if self._sent is not None:
            self._sent(offset)
        length = min(PIECE_BYTES, self._left)
        piece = await _blocking(partial(os.pread, self._file.fileno(), length, offset)) if length else b""
        self._left -= len(piece)
        if piece:
            return piece
        if self._left:
            raise StoreError(f"the file that is sent is {self._left} bytes shorter than it was")
        if (tail := next(self._ends, None)) is None:
            raise StopAsyncIteration
        return tail


@asynccontextmanager
async def opened_form(
    fields: Mapping[str, str],
    field: str,
    path: Path,
    size_bytes: int,
    *,
    file_name: str,
    beside: Mapping[str, tuple[str, bytes]] = NOTHING_BESIDE,
) -> AsyncIterator[FileForm]:
    """Inside, a form whose field `field` is the first `size_bytes` of the file at `path`. `beside`: field -> name and
    bytes of another file. Errors: StoreError."""
    boundary = f"iiiffs-{secrets.token_hex(16)}"
    parts = [_part(boundary, name) + f"\r\n{value}\r\n".encode("utf-8", "replace") for name, value in fields.items()]
    kind = b"Content-Type: application/octet-stream\r\n\r\n"
    parts += [_part(boundary, key, name) + kind + data + b"\r\n" for key, (name, data) in beside.items()]
    parts.append(_part(boundary, field, file_name) + kind)
    file = await _blocking(lambda: cast(BinaryIO, path.open("rb", buffering=0)))
    try:
        yield FileForm(b"".join(parts), file, size_bytes, boundary)
    finally:
        file.close()


def _part(boundary: str, name: str, file_name: str | None = None) -> bytes:
    told = f'--{boundary}\r\nContent-Disposition: form-data; name="{name.translate(ESCAPES)}"'
    if file_name is not None:
        told += f'; filename="{file_name.translate(ESCAPES)}"'
    return f"{told}\r\n".encode("utf-8", "replace")


async def _blocking(work: Callable[[], T]) -> T:
    try:
        return await trio.to_thread.run_sync(work)
    except OSError as error:
        raise StoreError(f"the file that is to be sent cannot be read: {error.strerror}") from error
