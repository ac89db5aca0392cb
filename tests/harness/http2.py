"""A small HTTP/2 client without TLS, by prior knowledge (RFC 9113 §3.3): what tests and benches ask web servers with.

Debian's curl 7.88 fails at the second request of such a connection, and Python brings none. Requests are written with
literal header fields and no Huffman code, which every server must take; of an answer only the status is understood.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
INITIAL_WINDOW_SIZE, ENABLE_PUSH, HEADER_TABLE_SIZE = 0x4, 0x2, 0x1
LARGE_WINDOW = (1 << 30) - 1
STATUSES = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
"""HPACK's static table, as an indexed field. Rule: RFC 7541 Appendix A"""
OTHER_STATUS = 0
TABLE_SIZE_UPDATE = 0x20


class Http2Closed(Exception):
    """The server will not answer this request on this connection: it may be asked again on another."""


class Http2Connection:
    """One connection to 127.0.0.1:`port`. TimeoutError where a single wait takes longer than `timeout_s`.

    Not for two threads at once.
    """

    def __init__(self, port: int, timeout_s: float) -> None:
        self._authority = f"127.0.0.1:{port}".encode()
        self._next_stream = 1
        self._received = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wanted = struct.pack(">HIHIHI", HEADER_TABLE_SIZE, 0, ENABLE_PUSH, 0, INITIAL_WINDOW_SIZE, LARGE_WINDOW)
        window = struct.pack(">I", LARGE_WINDOW)
        self.socket.sendall(PREFACE + _frame(SETTINGS, 0, 0, wanted) + _frame(WINDOW_UPDATE, 0, 0, window))

    def begin(self, path: str) -> int:
        """GET of `path` is on its way; the number of its stream."""
        stream = self._next_stream
        self._next_stream += 2
        fields = (
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", self._authority),
        )
        block = b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in fields)
        self.socket.sendall(_frame(HEADERS, END_STREAM | END_HEADERS, stream, block))
        return stream

    def get(self, path: str) -> int:
        """The status of the answer to GET of `path`, whose body has arrived; OTHER_STATUS if it is a rare one."""
        wanted, status = self.begin(path), OTHER_STATUS
        for kind, flags, stream, payload in self._frames():
            if kind == SETTINGS and not flags & ACK:
                self.socket.sendall(_frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                self.socket.sendall(_frame(PING, ACK, 0, payload))
            elif kind == GOAWAY and int.from_bytes(payload[:4]) < wanted:
                raise Http2Closed("the connection ends before this request")
            elif kind == RESET and stream == wanted:
                raise Http2Closed("the request was refused")
            elif kind == HEADERS and stream == wanted:
                status = _status(payload)
            if kind in (HEADERS, DATA) and stream == wanted and flags & END_STREAM:
                return status
        raise Http2Closed("the connection was closed")

    def close(self) -> None:
        """Closed."""
        self.socket.close()

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """(type, flags, stream, payload) as they come, until the other side closes. Rule: RFC 9113 §4.1"""
        while head := self._take(9):
            length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
            stream = int.from_bytes(head[5:]) & 0x7FFFFFFF
            yield kind, flags, stream, self._take(length)

    def _take(self, count: int) -> bytes:
        """So many bytes; none at the end."""
        while len(self._received) < count:
            received = self.socket.recv(1 << 16)
            if not received:
                return b""
            self._received += received
        taken, self._received = self._received[:count], self._received[count:]
        return taken


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _literal(text: bytes) -> bytes:
    """A string literal, not Huffman coded. Rule: RFC 7541 §5.2"""
    return _integer(len(text), 7) + text


def _integer(number: int, bits: int) -> bytes:
    """Rule: RFC 7541 §5.1"""
    most = (1 << bits) - 1
    if number < most:
        return bytes((number,))
    coded = [most]
    number -= most
    while number >= 128:
        coded.append(number % 128 + 128)
        number //= 128
    return bytes((*coded, number))


def _status(block: bytes) -> int:
    """The status, which is the first field of an answer, by its place in the static table."""
    first = next((byte for byte in block if byte & 0xE0 != TABLE_SIZE_UPDATE), 0)
    return STATUSES.get(first, OTHER_STATUS)
