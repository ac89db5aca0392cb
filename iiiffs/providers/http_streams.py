"""Bodies of questions and answers, without leaving anything open behind an answer that is broken off."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import msgspec
import trio

from iiiffs.providers.http_policy import is_json, one_line
from iiiffs.providers.http_values import Content

TOLD_BYTES_MAX = 4096
"""Of an error's body: a sentence of it is told."""


class Body(httpx.AsyncByteStream):
    """What is sent. httpx's own is a generator, which a sending that breaks off leaves to the garbage collector."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Rule: AsyncByteStream."""
        return _Once(self._data)


class Sending(httpx.AsyncByteStream):
    """What is sent piece by piece."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Rule: AsyncByteStream."""
        return self._content.pieces()


class _Once(AsyncIterator[bytes]):
    def __init__(self, data: bytes) -> None:
        self._left = [data] if data else []

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


async def feed(chunks: AsyncIterator[bytes], take: Callable[[bytes], bool]) -> bool:
    """All chunks were given to `take`; False if it wanted no more. Then the rest stays unread, by a cancellation:
    it ends every generator below, where leaving the loop would leave them to the garbage collector."""
    with trio.CancelScope() as enough:
        async for chunk in chunks:
            if not enough.cancel_called and not take(chunk):
                enough.cancel()
    return not enough.cancel_called


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """`error` and what led to it: each library on the way wraps the one below."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


async def told_by(response: httpx.Response) -> str:
    """One line of what the server says of its refusal, if it says so in JSON; else ""."""
    if not is_json(response.headers.get("content-type")):
        return ""
    body = bytearray()

    def take(chunk: bytes) -> bool:
        body.extend(chunk)
        return len(body) <= TOLD_BYTES_MAX

    if not await feed(response.aiter_bytes(), take):
        return ""
    try:
        message = msgspec.json.decode(body, type=_Message).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return one_line(message if isinstance(message, str) else "; ".join(message))


class _Message(msgspec.Struct):
    message: str | list[str] = ""
