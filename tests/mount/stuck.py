"""Visitors of a web server before a mount of a provider that hangs: some wait for it, others look at tiles that are
there, by HTTP/1.1 or by HTTP/2 without TLS."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Protocol

from tests.harness.http2 import Http2Closed, Http2Connection
from tests.harness.mount import Mount
from tests.mount.hanging import hung_renders

CACHED = 100
STUCK_S = 60.0
"""No answer takes a stuck visitor's patience before this."""
APART_S = 0.02
JOIN_S = 0.1
PROTOCOLS = ("HTTP/1.1", "HTTP/2")
OK = 200


class Connection(Protocol):
    """A visitor's connection to a web server. Where the server closes it after an answer, a new one is made."""

    def cut(self) -> None:
        """Whoever waits for an answer is told that there will be none."""
        ...

    def get(self, path: str) -> int:
        """The status of the answer, whose body has arrived."""
        ...

    def close(self) -> None:
        """Closed."""
        ...


class Http1Visitor:
    """A Connection of HTTP/1.1."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        self._connection.connect()

    def cut(self) -> None:
        """Whoever waits for an answer is told that there will be none."""
        _cut(self._connection.sock)

    def get(self, path: str) -> int:
        """The status of the answer, whose body has arrived."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def close(self) -> None:
        """Closed."""
        self._connection.close()


class Http2Visitor:
    """A Connection of HTTP/2."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self._port, self._timeout_s = port, timeout_s
        self._connection = Http2Connection(port, timeout_s)
        self._is_cut = False

    def cut(self) -> None:
        """Whoever waits for an answer is told that there will be none."""
        self._is_cut = True
        _cut(self._connection.socket)

    def get(self, path: str) -> int:
        """The status of the answer, whose body has arrived."""
        try:
            return self._connection.get(path)
        except (Http2Closed, ConnectionError):  # it had gone away before it saw this request
            self._connection.close()
            if self._is_cut:
                raise
            self._connection = Http2Connection(self._port, self._timeout_s)
            return self._connection.get(path)

    def close(self) -> None:
        """Closed."""
        self._connection.close()


def _cut(connection: socket.socket | None) -> None:
    with suppress(OSError):
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class Front:
    """Where a web server listens, and which of PROTOCOLS its visitors speak."""

    port: int
    protocol: str

    def connect(self, timeout_s: float) -> Connection:
        """A new connection. A wait of more than `timeout_s` is TimeoutError."""
        kind: Callable[[int, float], Connection] = Http1Visitor if self.protocol == "HTTP/1.1" else Http2Visitor
        return kind(self.port, timeout_s)


def cached_paths(mount: Mount) -> list[str]:
    """URL paths of CACHED small renditions of good.jpg, all of them in the daemon's cache now."""
    service = (mount.files / "iiif" / "good.jpg").resolve()
    tiles = [service / "full" / f"{width}," / "0" / "default.jpg" for width in range(20, 20 + CACHED)]
    for tile in tiles:
        tile.read_bytes()
    return [_path(mount, tile) for tile in tiles]


def hung_paths(mount: Mount, server: int = 0) -> list[str]:
    """URL paths of HUNG renditions whose original cannot be opened: each lookup is refused after 5 s, no sooner.

    Those of each `server` are in directories of their own: the kernel looks names of one directory up one at a time.
    """
    return [_path(mount, tile).replace("/full/20,/", f"/full/{20 + server},/") for tile in hung_renders(mount)]


def _path(mount: Mount, file: Path) -> str:
    return "/" + str(file.relative_to(mount.root))


@contextmanager
def stuck_visitors(front: Front, paths: Sequence[str]) -> Iterator[None]:
    """Inside, each path is asked for over a connection of its own and waited for, and again once it is refused.

    They come one after the other, so that each holds up whatever of the server is free to take it.
    """
    over = threading.Event()
    connections: dict[str, Connection] = {}
    statuses: list[int] = []

    def wait(path: str) -> None:
        while not over.is_set():
            with suppress(OSError, HTTPException, Http2Closed):
                connections[path] = front.connect(STUCK_S)
                while not over.is_set():
                    statuses.append(connections[path].get(path))

    threads = [threading.Thread(target=wait, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
        time.sleep(APART_S)
    try:
        yield
        assert OK not in statuses, "they were to be stuck until now"
    finally:
        over.set()
        for connection in list(connections.values()):
            connection.cut()
        for thread, path in zip(threads, paths, strict=True):
            while thread.is_alive():
                connections[path].cut()
                thread.join(JOIN_S)
            connections[path].close()


@contextmanager
def stuck_streams(port: int, paths: Sequence[str]) -> Iterator[None]:
    """As `stuck_visitors`, but one visitor who asks for all of them over one HTTP/2 connection."""
    connection = Http2Connection(port, STUCK_S)
    for path in paths:
        connection.begin(path)
    try:
        yield
    finally:
        connection.close()


@dataclass
class Visitors:
    """Who looks at tiles that are there, each for `give_up_s` at the most.

    `took_s`: seconds of each answer; one that came later than `give_up_s`, or was not asked for because the one before
    it on its connection did not come, counts as that many.
    """

    front: Front
    paths: Sequence[str]
    give_up_s: float
    took_s: list[float] = field(default_factory=list)

    def come_and_go(self, seconds: float, requests: int) -> None:
        """One after the other, each over a connection of its own: so many, or as many as begin within `seconds`."""
        end = time.monotonic() + seconds
        for number in range(requests):
            if time.monotonic() >= end:
                break
            self.took_s += self._ask(number, 1, 0.0)

    @contextmanager
    def staying(self, connections: int, requests: int, pause_s: float) -> Iterator[threading.Event]:
        """Inside, `connections` are open, each having asked for a tile; once the event is set, each asks `requests`
        times, one every `pause_s`. Afterwards all are through."""
        begin = threading.Event()
        ready = threading.Barrier(connections + 1)

        def stay(number: int) -> None:
            self.took_s += self._ask(number * requests, requests, pause_s, lambda: (ready.wait(), begin.wait()))

        threads = [threading.Thread(target=stay, args=(number,)) for number in range(connections)]
        for thread in threads:
            thread.start()
        ready.wait()
        try:
            yield begin
        finally:
            begin.set()
            for thread in threads:
                thread.join()

    def _ask(
        self, first: int, requests: int, pause_s: float, once_open: Callable[[], object] | None = None
    ) -> list[float]:
        """Seconds of each answer over one connection, its opening counted; with `once_open` that is called after a
        request that is not counted."""
        took: list[float] = []
        began = time.monotonic()
        with suppress(TimeoutError, Http2Closed), ExitStack() as stack:
            connection = self.front.connect(self.give_up_s)
            stack.callback(connection.close)
            if once_open is not None:
                connection.get(self.paths[first % len(self.paths)])
                once_open()
                began = time.monotonic()
            for number in range(requests):
                status = connection.get(self.paths[(first + number) % len(self.paths)])
                took.append(time.monotonic() - began)
                assert status == OK, f"{status} for a tile that is there"
                time.sleep(pause_s)
                began = time.monotonic()
        return took + [self.give_up_s] * (requests - len(took))
