"""A small HTTP/1.1 server in threads, for fakes and the fault proxy: h11 speaks, every byte of an answer can be bent.

One thread a connection, connections are kept alive. What a handler raises is a bug of the fake: it is answered 500 and
kept in `HttpServer.bugs`. Nothing here knows a service.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import h11

CHUNK_BYTES = 256 * 1024
LINGER_RESET = struct.pack("ii", 1, 0)
JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Bytes [offset, offset + length) of a file, sent by the kernel."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an answer goes onto the wire; the default is as it should be. Counts are bytes of the body.

    `wait_s`: nothing before that. `stall_after`: then silence, until the client goes or the server stops. `cut_after`:
    then the connection is closed in an orderly way. `reset_after`: then it is reset (RST). `declared_length`: a
    Content-Length that is not true. `refuse`: closed without any answer, as after a lost one.
    """

    wait_s: float = 0.0
    stall_after: int | None = None
    cut_after: int | None = None
    reset_after: int | None = None
    declared_length: int | None = None
    refuse: bool = False

    @property
    def bent(self) -> bool:
        """True if the connection cannot be used again afterwards."""
        counts = (self.stall_after, self.cut_after, self.reset_after, self.declared_length)
        return self.refuse or any(count is not None for count in counts)


PROMPT = Delivery()


@dataclass(slots=True)
class Response:
    """An answer. `headers` without Content-Length; that is the body's, or chunked for `chunked`."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | FileSlice = b""
    chunked: bool = False
    told_length: int | None = None
    """Content-Length of an answer to HEAD that was passed on without its body."""
    delivery: Delivery = PROMPT
    value: object = None
    """What the body says, before it was encoded: for logs and checks."""

    def header(self, name: str) -> str | None:
        """The first header of that name in any case; None if there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return self.body.length if isinstance(self.body, FileSlice) else len(self.body)


@dataclass(slots=True)
class Request:
    """What a client asked. The body is read by `chunks` or `read`, once; the rest is drained by the server."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    chunks: Iterator[bytes]

    @property
    def path(self) -> str:
        """The path, percent-decoded, without the query."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> list[tuple[str, str]]:
        """Name and value in the order they were sent."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name: str) -> str | None:
        """The first header of that name, which is given in small letters; None if there is none."""
        return next((value for key, value in self.headers if key == name), None)

    def read(self) -> bytes:
        """The rest of the body."""
        return b"".join(self.chunks)


Handler = Callable[[Request], Response]


class ClientGone(Exception):
    """The client closed the connection, or broke the protocol; or the server is stopping."""


class HttpServer:
    """Listens from construction until `close`; `port` is its own choice unless given.

    A connection on which nothing is asked for `idle_s` is closed.
    """

    def __init__(
        self, handler: Handler, *, port: int = 0, tls: ssl.SSLContext | None = None, idle_s: float | None = None
    ) -> None:
        self.handler = handler
        self.idle_s = idle_s
        self.bugs: list[str] = []
        self.stopping = threading.Event()
        self._tls = tls
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self.connections_made = 0
        self._accepting = threading.Thread(target=self._accept, name=f"fake-{self.port}", daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Nothing listens or answers any more; whoever stalls is let go. A second call does nothing."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        self._accepting.join(JOIN_S)
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(JOIN_S)

    def drop_connections(self) -> None:
        """All open connections are broken, as by a restart of the server; new ones are welcome."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self.connections_made += 1
                self._connections.add(connection)
                self._threads.add(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = self._tls.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._connections.discard(raw)
                    self._connections.add(connection)
            _Conversation(connection, self).run()
        except (ClientGone, OSError, h11.RemoteProtocolError):
            pass  # the client went away, or the server did: neither is of interest to a test
        finally:
            connection.close()
            with self._lock:
                self._connections.discard(connection)
                self._connections.discard(raw)
                self._threads.discard(threading.current_thread())


class _Conversation:
    """One connection: requests and answers in turn."""

    def __init__(self, connection: socket.socket, server: HttpServer) -> None:
        self._socket = connection
        self._server = server
        self._h11 = h11.Connection(h11.SERVER)

    def run(self) -> None:
        """All requests of the connection were answered."""
        while not self._server.stopping.is_set():
            event = self._next()
            if not isinstance(event, h11.Request):
                return
            head = event.method == b"HEAD"
            request = Request(
                event.method.decode(),
                event.target.decode("ascii"),
                [(name.decode(), value.decode("latin-1")) for name, value in event.headers],
                self._body(),
            )
            response = self._answer(request)
            if response.delivery.wait_s and self._server.stopping.wait(response.delivery.wait_s):
                raise ClientGone
            if response.delivery.bent:
                self._send_bent(response)
                return
            self._send(response, head=head)
            for _ in request.chunks:
                pass
            if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
                return
            self._h11.start_next_cycle()

    def _answer(self, request: Request) -> Response:
        try:
            return self._server.handler(request)
        except (ClientGone, h11.RemoteProtocolError, ConnectionError):
            raise
        except Exception:  # the fence of a test server: the test reads `bugs`
            self._server.bugs.append(f"{request.method} {request.target}\n{traceback.format_exc()}")
            return Response(500, [("content-type", "text/plain")], b"the fake has a bug")

    def _next(self) -> object:
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                if self._h11.they_are_waiting_for_100_continue:
                    self._socket.sendall(self._h11.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                self._socket.settimeout(self._server.idle_s if self._h11.their_state is h11.IDLE else None)
                self._h11.receive_data(self._socket.recv(CHUNK_BYTES))
                self._socket.settimeout(None)
                continue
            return event

    def _body(self) -> Iterator[bytes]:
        while self._h11.their_state is h11.SEND_BODY:
            event = self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif not isinstance(event, h11.EndOfMessage):
                raise ClientGone

    def _head(self, response: Response) -> h11.Response:
        headers = list(response.headers)
        if response.chunked:
            headers.append(("transfer-encoding", "chunked"))
        elif response.status not in (204, 304):
            lengths = (response.delivery.declared_length, response.told_length, response.length)
            headers.append(("content-length", str(next(length for length in lengths if length is not None))))
        return h11.Response(status_code=response.status, headers=headers)

    def _send(self, response: Response, *, head: bool) -> None:
        start = self._h11.send(self._head(response)) or b""
        silent = head or response.status in (204, 304)
        if isinstance(response.body, FileSlice) and not silent:
            self._socket.sendall(start)
            self._send_file(response.body)
            return
        body = b"" if silent or isinstance(response.body, FileSlice) else response.body
        parts = [start]
        if body:
            parts.append(self._h11.send(h11.Data(data=body)) or b"")
        parts.append(self._h11.send(h11.EndOfMessage()) or b"")
        self._socket.sendall(b"".join(parts))

    def _send_file(self, piece: FileSlice) -> None:
        with piece.path.open("rb") as file:
            file.seek(piece.offset)
            left = piece.length
            if isinstance(self._socket, ssl.SSLSocket):
                while left and (data := file.read(min(left, CHUNK_BYTES))):
                    self._socket.sendall(data)
                    left -= len(data)
            else:
                while left and (sent := os.sendfile(self._socket.fileno(), file.fileno(), None, min(left, 1 << 30))):
                    left -= sent
        if left:
            raise ClientGone
        # The bytes went past h11, which wants to count them.
        self._h11.send_with_data_passthrough(h11.Data(data=_Counted(piece.length)))  # type: ignore[arg-type]
        self._h11.send(h11.EndOfMessage())

    def _send_bent(self, response: Response) -> None:
        delivery = response.delivery
        if delivery.refuse:
            self._reset()
            return
        body = response.body
        if isinstance(body, FileSlice):
            with body.path.open("rb") as file:
                file.seek(body.offset)
                body = file.read(body.length)
        counts = [
            count for count in (delivery.stall_after, delivery.cut_after, delivery.reset_after) if count is not None
        ]
        # A conversation of its own for the head: this answer need not fit its length.
        writer = h11.Connection(h11.SERVER)
        writer.receive_data(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        writer.next_event()
        self._socket.sendall((writer.send(self._head(response)) or b"") + body[: min(counts, default=len(body))])
        if delivery.stall_after is not None:
            self._wait_for_the_end()
        elif delivery.reset_after is not None:
            self._reset()

    def _wait_for_the_end(self) -> None:
        with contextlib.suppress(OSError):
            while self._socket.recv(CHUNK_BYTES):
                pass

    def _reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)


class _Counted:
    """Stands for bytes that were sent already."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length
