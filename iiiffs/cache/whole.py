"""Originals that lie in the cache as one file: a link to the payload that was sent, whose bytes are not copied.

Such a file is one entry of the table, used and evicted as one. It is read block by block, and each block has its sum in
the entry's label, so that damaged bytes are told from good ones as those of single blocks are.
"""

from __future__ import annotations

from collections.abc import Sequence

from iiiffs.sync.blocks import bytes_of

WHOLE = "whole"
BYTES_MAX = 64 << 20
"""Of a larger one, parts of which may be used and others not for long, each block is an entry of its own."""
SUM_DIGITS = 8


def label_of(sums: Sequence[int]) -> str:
    """Of an entry whose blocks have those CRC-32."""
    return f"{WHOLE} " + "".join(f"{sum:0{SUM_DIGITS}x}" for sum in sums)


def sums_of(label: str) -> list[int] | None:
    """By number of block, as `label_of` was told; None if the label is that of another kind of entry."""
    kind, _, digits = label.partition(" ")
    if kind != WHOLE:
        return None
    return [int(digits[at : at + SUM_DIGITS], 16) for at in range(0, len(digits), SUM_DIGITS)]


def place_of(index: int, size_bytes: int) -> tuple[int, int]:
    """(offset, length) of a block in the file."""
    return bytes_of(range(index, index + 1), size_bytes)
