"""Originals in blocks: where each one lies, what to ask for together, and how far ahead of a reader to ask.

Block 0 is small: it is enough for headers and EXIF, and all that a thumbnailer that looks for a preview needs. Block 1
is the rest of the first BLOCK_BYTES, so every other block begins at a multiple of BLOCK_BYTES.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

FIRST_BYTES = 128 << 10
BLOCK_BYTES = 1 << 20
AHEAD_FIRST_BYTES = 1 << 20
AHEAD_MAX_BYTES = 32 << 20
SLACK_BYTES = 512 << 10
"""How far from where it was expected a read may lie and still go on where the last ended: what the kernel reads ahead
comes in several requests, in any order."""
REQUEST_MAX_BYTES = 8 << 20
"""Of one question to a provider: what waits for its last byte in memory, and is asked for again if it fails."""
SLOW_S, QUICK_S = 5.0, 1.0
NOTHING = range(0)


def start_of(index: int) -> int:
    """The offset of a block's first byte."""
    return (0, FIRST_BYTES)[index] if index < 2 else (index - 1) * BLOCK_BYTES


def index_at(offset: int) -> int:
    """The block that holds the byte at `offset`."""
    return 0 if offset < FIRST_BYTES else offset // BLOCK_BYTES + 1


def count_of(size_bytes: int) -> int:
    """How many blocks a file has."""
    return index_at(size_bytes - 1) + 1 if size_bytes else 0


def bytes_of(blocks: range, size_bytes: int) -> tuple[int, int]:
    """(offset, length) of neighbouring blocks of a file of that size."""
    start = start_of(blocks.start)
    return start, min(start_of(blocks.stop), size_bytes) - start


def blocks_of(offset: int, length: int, size_bytes: int) -> range:
    """The blocks that hold [offset, offset + length) of a file of that size, in order; none past its end."""
    end = min(offset + length, size_bytes)
    return range(index_at(offset), index_at(end - 1) + 1) if offset < end else NOTHING


def runs_of(missing: Collection[int], size_bytes: int, most_bytes: int = REQUEST_MAX_BYTES) -> Iterator[range]:
    """`missing` blocks with their neighbours: each run is one question of at most `most_bytes`, or one block."""
    run = NOTHING
    for index in sorted(missing):
        longer = range(run.start, index + 1) if run else range(index, index + 1)
        if run and (index != run.stop or bytes_of(longer, size_bytes)[1] > most_bytes):
            yield run
            longer = range(index, index + 1)
        run = longer
    if run:
        yield run


@dataclass(frozen=True, slots=True)
class Window:
    """How one reader reads, and how far ahead of it has been asked for.

    `next`: where a read goes on if it is sequential; None before the first. `ahead_bytes`: how much of what follows is
    to be there or on its way. `grown_at`: where it was when that became so much. `asked_to`: up to where was asked.
    """

    next: int | None = None
    ahead_bytes: int = 0
    grown_at: int = 0
    asked_to: int = 0

    def after(
        self, offset: int, length: int, size_bytes: int, most_bytes: int = AHEAD_MAX_BYTES
    ) -> tuple[Window, range]:
        """The window after that read, and the blocks behind it to ask for now, often none.

        It doubles each time it was read through once, up to `most_bytes`, and is nothing after a seek. Reads within
        block 0 are no sign that anybody wants the rest. Asked again when half of it is used up, so in few questions.
        """
        end = min(offset + length, size_bytes)
        if self.next is not None and abs(offset - self.next) > SLACK_BYTES:
            return Window(end, 0, end, end), NOTHING
        here = max(end, self.next or 0)
        asked_to, ahead_bytes, grown_at = max(here, self.asked_to), self.ahead_bytes, self.grown_at
        if here <= FIRST_BYTES or (self.next is None and offset > 0):
            return Window(here, ahead_bytes, here, asked_to), NOTHING
        if here - grown_at >= ahead_bytes:
            ahead_bytes, grown_at = max(2 * ahead_bytes, AHEAD_FIRST_BYTES), here
        ahead_bytes = min(ahead_bytes, most_bytes)
        wanted = min(here + ahead_bytes, size_bytes)
        if asked_to - here > ahead_bytes // 2 or wanted <= asked_to:
            return Window(here, ahead_bytes, grown_at, asked_to), NOTHING
        return Window(here, ahead_bytes, grown_at, wanted), blocks_of(asked_to, wanted - asked_to, size_bytes)


def whole_window(position: int) -> Window:
    """That of a reader at `position` who is known to want all that follows."""
    return Window(position, AHEAD_MAX_BYTES, position, position)


def next_most_bytes(most_bytes: int, took_s: float) -> int:
    """How much the next question may ask for, after one of about `most_bytes` took so long (inf: it was given up)."""
    if took_s > SLOW_S:
        return max(most_bytes // 2, BLOCK_BYTES)
    return min(most_bytes * 2, REQUEST_MAX_BYTES) if took_s < QUICK_S else most_bytes
