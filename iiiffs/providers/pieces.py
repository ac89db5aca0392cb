"""Bytes of an original that are handed on piece by piece, by the thread that received them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import trio

from iiiffs.providers.base import Original


@dataclass(frozen=True, slots=True)
class Pieces:
    """How bytes are cut, and who takes them. `lengths`: of neighbours, in order, each > 0.

    `take`: called in a worker thread with a piece's number and bytes (or a bytearray that is left to it) as soon as
    they came. It may be called again from the first piece on, after trouble on the way. What it was given is right only
    if the question ended well; if that is given up, one more call may follow.
    """

    lengths: Sequence[int]
    take: Callable[[int, bytes | bytearray], object]

    def take_all(self, data: bytes) -> None:
        """Each piece of `data`, which is all of them together, is taken."""
        offset = 0
        for number, length in enumerate(self.lengths):
            self.take(number, data[offset : offset + length])
            offset += length


@runtime_checkable
class Pouring(Protocol):
    """An Original that hands on pieces while it receives them."""

    async def pour(self, offset: int, pieces: Pieces) -> None:
        """The pieces, which lie in the file from `offset` on, were taken. Errors: as `Original.read`."""
        ...


async def pour(original: Original, offset: int, pieces: Pieces) -> bool:
    """Rule: Pouring; of any original. False if it gave fewer bytes than were asked for."""
    if isinstance(original, Pouring):
        await original.pour(offset, pieces)
        return True
    length = sum(pieces.lengths)
    data = await original.read(offset, length)
    if len(data) == length:
        await trio.to_thread.run_sync(pieces.take_all, data)
    return len(data) == length
