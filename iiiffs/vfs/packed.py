"""Long bodies, compressed in pieces: a twentieth of the memory for a manifest, and any part is read without the rest.

A manifest of 10,000 canvases has 19 MB. As bytes it would be held by memory, by the queue of what is to be written and
by each open handle; and digested, compressed and unpacked at once while everybody waits. In pieces of PIECE_BYTES it
has 0.8 MB, and the part that one read asks for is unpacked in 0.2 ms. Pure: no I/O, for any thread.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import accumulate, pairwise

import msgspec

from iiiffs.errors import StoreCorrupt

PIECE_BYTES = 128 * 1024
"""As much as the kernel asks for at once, and too little to hold up the loop. A body of one piece is not packed."""
LEVEL = 1
"""Of zlib: JSON of many alike parts becomes a twentieth, at 200 MB/s."""
MARK = b"\0packed\1"
"""What a packed body begins with where it is stored. No document begins so."""


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    sizes: list[int]
    pieces: list[bytes]


class PackedBody:
    """The bytes of a document, in compressed pieces. Never changed.

    `size_bytes`: of the document; `len()`: what it holds in memory, about.
    """

    __slots__ = ("_ends", "_pieces", "size_bytes")

    def __init__(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """`pieces`: (bytes before compression, compressed) in order."""
        sizes, packed = zip(*pieces, strict=True)
        self._pieces: tuple[bytes, ...] = packed
        self._ends = tuple(accumulate(sizes))
        self.size_bytes = self._ends[-1]

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def pieces(self) -> Iterator[bytes]:
        """The document's bytes, piece by piece."""
        return map(zlib.decompress, self._pieces)

    def part(self, offset: int, length: int) -> bytes:
        """Those bytes of the document, cut at its end. Only what they are in is unpacked."""
        end = min(offset + length, self.size_bytes)
        found = []
        index = bisect_right(self._ends, offset)
        while offset < end:
            began = self._ends[index - 1] if index else 0
            found.append(zlib.decompress(self._pieces[index])[offset - began : end - began])
            offset = self._ends[index]
            index += 1
        return b"".join(found)

    def stored(self) -> bytes:
        """As `unstored` understands it."""
        ends = (0, *self._ends)
        sizes = [end - began for began, end in pairwise(ends)]
        return MARK + msgspec.msgpack.encode(_Stored(sizes, list(self._pieces)))


Body = bytes | PackedBody


class Packer:
    """Makes pieces of bytes that come one after the other."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, bytes]] = []
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def add(self, data: bytes) -> None:
        """`data` follows."""
        if len(data) > PIECE_BYTES:
            for start in range(0, len(data), PIECE_BYTES):
                self.add(data[start : start + PIECE_BYTES])
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= PIECE_BYTES:
            self._pack()

    def add_packed(self, other: Packer) -> None:
        """All that was added to `other` follows."""
        self._pack()
        self._pieces += other._pieces
        self._waiting, self._waiting_bytes = list(other._waiting), other._waiting_bytes

    def body(self) -> Body:
        """All that was added; packed if it is longer than a piece."""
        if not self._pieces:
            return b"".join(self._waiting)
        self._pack()
        if sum(size for size, _ in self._pieces) <= PIECE_BYTES:
            return b"".join(zlib.decompress(piece) for _, piece in self._pieces)
        return PackedBody(self._pieces)

    def _pack(self) -> None:
        if self._waiting_bytes:
            self._pieces.append((self._waiting_bytes, zlib.compress(b"".join(self._waiting), LEVEL)))
        self._waiting, self._waiting_bytes = [], 0


def packed(data: bytes) -> Body:
    """`data`, packed if it is longer than a piece."""
    packer = Packer()
    packer.add(data)
    return packer.body()


def size_of(body: Body) -> int:
    """The bytes of the document that `body` is."""
    return body.size_bytes if isinstance(body, PackedBody) else len(body)


def digest_of(body: Body) -> str:
    """What names these bytes in a node: the same whether or not they are packed, and however."""
    digest = blake2b(digest_size=16)
    for piece in body.pieces() if isinstance(body, PackedBody) else (body,):
        digest.update(piece)
    return digest.hexdigest()


def whole(body: Body) -> bytes:
    """All bytes of the document at once."""
    return b"".join(body.pieces()) if isinstance(body, PackedBody) else body


def stored(body: Body) -> bytes:
    """As a store keeps it; `unstored` gives it back."""
    return body.stored() if isinstance(body, PackedBody) else body


def unstored(row: bytes) -> Body:
    """The body of a row that `stored` made, or of a plain document. Errors: StoreCorrupt."""
    if not row.startswith(MARK):
        return row
    try:
        known = msgspec.msgpack.decode(memoryview(row)[len(MARK) :], type=_Stored)
        return PackedBody(zip(known.sizes, known.pieces, strict=True))
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreCorrupt("a packed document cannot be read") from error
