"""Bodies of downloads, received by a worker thread straight into the bytes that are handed on.

A transport of httpx, so that redirects, refusals and errors are everybody's. Not httpx's own: there each packet wakes
the loop and is copied four times on its way (h11's buffer, its events, the joined body), all in the loop's thread.
Each piece is taken by the thread that received it, while the processor's cache still holds it: to write and sum 500 MB
costs half as much then.

A thread that nobody waits for any more is woken by shutting its socket down, and closes it itself.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

import httpx
import trio

from iiiffs.providers.http_streams import feed
from iiiffs.providers.pieces import Pieces

T = TypeVar("T")
Origin = tuple[str, str, int]

DOWNLOAD = "download"
"""The extension of a response under which its `Download` is found."""
CHUNK_BYTES = 1 << 20
IDLE_S = 5.0
"""How long a connection that nobody uses is kept. Rule: httpx's own."""


def is_proxied(scheme: str, host: str) -> bool:
    """The environment names a proxy for that host: then there is no way but httpx's own."""
    proxies = urllib.request.getproxies()
    return bool(proxies.get(scheme) or proxies.get("all")) and not urllib.request.proxy_bypass(host)


class Downloads(httpx.AsyncBaseTransport):
    """Rule: httpx.AsyncBaseTransport. HTTP/1.1; up to `at_once` answers are waited for or read at once."""

    def __init__(self, tls: ssl.SSLContext, at_once: int) -> None:
        tls.set_alpn_protocols(["http/1.1"])
        self._tls = tls
        self._threads = trio.CapacityLimiter(at_once)
        self._idle: list[_Line] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Rule: AsyncBaseTransport. The body waits in the connection."""
        timeout = request.extensions["timeout"]
        body = await request.aread()
        line = self._kept(_origin(request.url)) or await self._connected(request.url, timeout["connect"])
        try:
            answer = await line.work(partial(line.ask, request, body, timeout["read"]))
        except BaseException:
            line.give_up()
            raise
        download = Download(line, answer, self._done)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.getheaders()]
        return httpx.Response(answer.status, headers=headers, stream=download, extensions={DOWNLOAD: download})

    async def aclose(self) -> None:
        """Rule: AsyncBaseTransport. Connections that are in use are closed when their answers are."""
        while self._idle:
            self._idle.pop().give_up()

    def _kept(self, origin: Origin) -> _Line | None:
        """One that is open and that nobody uses; those that are too old, or that the server closed, go."""
        while self._idle:
            line = self._idle.pop()
            is_young = trio.current_time() - line.idle_since_s < IDLE_S
            if line.origin == origin and is_young and not line.has_news():
                return line
            line.give_up()
        return None

    async def _connected(self, url: httpx.URL, timeout_s: float) -> _Line:
        origin = _origin(url)
        try:
            with trio.fail_after(timeout_s):
                stream = await trio.open_tcp_stream(origin[1], origin[2])
        except trio.TooSlowError as error:
            raise httpx.ConnectTimeout("no connection") from error
        except OSError as error:
            raise httpx.ConnectError("no connection") from error
        line = _Line(origin, socket.socket(fileno=stream.socket.detach()), self._threads)
        line.limit(timeout_s)
        if url.scheme == "https":
            try:
                await line.work(partial(line.secure, self._tls))
            except httpx.TimeoutException as error:
                line.give_up()
                raise httpx.ConnectTimeout("no handshake") from error
            except httpx.TransportError as error:
                line.give_up()
                raise httpx.ConnectError("no handshake") from error
            except BaseException:
                line.give_up()
                raise
        return line

    def _done(self, line: _Line) -> None:
        line.idle_since_s = trio.current_time()
        self._idle.append(line)


class Download(httpx.AsyncByteStream):
    """The body of an answer that waits in its connection."""

    def __init__(self, line: _Line, answer: http.client.HTTPResponse, done: Callable[[_Line], None]) -> None:
        self._line = line
        self._answer = answer
        self._done: Callable[[_Line], None] | None = done

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Rule: AsyncByteStream."""
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._line.work(partial(_chunk, self._answer))
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def pour(self, skip: int, pieces: Pieces, *, to_end: bool) -> int:
        """The pieces, that follow `skip` other bytes, are taken; how many bytes were read: all, with `to_end`. If it
        ends before, those that it does not have are not taken.
        """
        return await self._line.work(partial(_pour, self._answer, skip, pieces, to_end))

    async def aclose(self) -> None:
        """Rule: AsyncByteStream. The connection is used again if all of it was read."""
        done, self._done = self._done, None
        if done is None:
            return
        if self._answer.isclosed() and not self._answer.will_close:
            done(self._line)
        else:
            self._line.give_up()


async def pour(response: httpx.Response, skip: int, pieces: Pieces, *, to_end: bool) -> int:
    """Rule: Download.pour; of any response. What httpx received is cut out of its chunks."""
    download = response.extensions.get(DOWNLOAD)
    if isinstance(download, Download):
        return await download.pour(skip, pieces, to_end=to_end)
    end = skip + sum(pieces.lengths)
    parts: list[bytes] = []
    count = 0

    def collect(chunk: bytes) -> bool:
        nonlocal count
        parts.append(chunk[max(0, skip - count) : max(0, end - count)])
        count += len(chunk)
        return to_end or count < end

    await feed(response.aiter_raw(), collect)
    if count >= end:
        await trio.to_thread.run_sync(pieces.take_all, b"".join(parts))
    return count


class _Line:
    """One connection. `work` is done by one thread at a time."""

    def __init__(self, origin: Origin, connected: socket.socket, threads: trio.CapacityLimiter) -> None:
        self.origin = origin
        self.idle_since_s = 0.0
        self._socket = connected
        self._threads = threads
        self._http = http.client.HTTPConnection(origin[1], origin[2])
        self._http.auto_open = 0
        self._http.sock = connected
        self._answer: http.client.HTTPResponse | None = None
        self._lock = threading.Lock()
        self._is_working = self._is_given_up = False

    def limit(self, silence_s: float) -> None:
        """How long is waited for a packet, from now on."""
        self._socket.settimeout(silence_s)

    def has_news(self) -> bool:
        """There is something to read where nothing was asked: mostly that the server has closed it."""
        watch = select.poll()
        watch.register(self._socket, select.POLLIN)
        return bool(watch.poll(0))

    def give_up(self) -> None:
        """It is closed, now or by the thread that works, which is woken for it."""
        with self._lock:
            self._is_given_up = True
            if not self._is_working:
                self._close()
                return
            with suppress(OSError):  # not connected any more; not SSLSocket's, which forgets that it was one
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    async def work(self, work: Callable[[], T]) -> T:
        """What `work` returns, from a thread. Who is cancelled has to give the connection up. Errors: httpx's."""
        with _told():
            return await trio.to_thread.run_sync(self._guarded, work, abandon_on_cancel=True, limiter=self._threads)

    # From here on: worker threads.

    def secure(self, tls: ssl.SSLContext) -> None:
        """It is encrypted, and the server is who it should be."""
        self._socket = self._http.sock = tls.wrap_socket(self._socket, server_hostname=self.origin[1])

    def ask(self, request: httpx.Request, body: bytes, silence_s: float) -> http.client.HTTPResponse:
        """The head of the answer."""
        self.limit(silence_s)
        self._http.putrequest(
            request.method, request.url.raw_path.decode("ascii"), skip_host=True, skip_accept_encoding=True
        )
        for name, value in request.headers.raw:
            self._http.putheader(name, value)
        self._http.endheaders(body or None)
        self._answer = self._http.getresponse()
        return self._answer

    def _guarded(self, work: Callable[[], T]) -> T:
        with self._lock:
            if self._is_given_up:
                raise ConnectionAbortedError
            self._is_working = True
        try:
            return work()
        finally:
            with self._lock:
                self._is_working = False
                if self._is_given_up:
                    self._close()

    def _close(self) -> None:
        if self._answer is not None:
            self._answer.close()
        self._http.close()
        self._socket.close()


def _pour(answer: http.client.HTTPResponse, skip: int, pieces: Pieces, to_end: bool) -> int:
    count = 0
    while count < skip and (chunk := _chunk(answer, skip - count)):
        count += len(chunk)
    for number, length in enumerate(pieces.lengths):
        piece = _piece(answer, length)
        count += len(piece)
        if len(piece) < length:
            return count
        pieces.take(number, piece)
    while to_end and (chunk := _chunk(answer)):
        count += len(chunk)
    return count


def _piece(answer: http.client.HTTPResponse, length: int) -> bytes | bytearray:
    piece, filled = bytearray(length), 0
    view = memoryview(piece)
    while filled < length and (received := answer.readinto(view[filled:])):
        filled += received
    _expect_whole(answer, filled == length)
    return piece if filled == length else piece[:filled]


def _chunk(answer: http.client.HTTPResponse, most_bytes: int = CHUNK_BYTES) -> bytes:
    chunk = answer.read(min(most_bytes, CHUNK_BYTES))
    _expect_whole(answer, bool(chunk))
    return chunk


def _expect_whole(answer: http.client.HTTPResponse, has_more: bool) -> None:
    if not has_more and answer.length:
        raise http.client.IncompleteRead(b"", answer.length)


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}[url.scheme]


@contextmanager
def _told() -> Iterator[None]:
    """What a socket and http.client raise becomes httpx's."""
    try:
        yield
    except TimeoutError as error:
        raise httpx.ReadTimeout("silence") from error
    except http.client.HTTPException as error:
        raise httpx.RemoteProtocolError(type(error).__name__) from error
    except ValueError as error:
        raise httpx.LocalProtocolError("a header that cannot be sent") from error
    except OSError as error:
        raise httpx.ReadError(type(error).__name__) from error
