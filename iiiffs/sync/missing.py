"""Bytes of a file that a program wrote and that could not be kept: [from, to), or None for none. Pure."""

from __future__ import annotations


def with_missing(missing: tuple[int, int] | None, begin: int, end: int) -> tuple[int, int]:
    """Those bytes are not there either."""
    return (begin, end) if missing is None else (min(missing[0], begin), max(missing[1], end))


def without_written(missing: tuple[int, int] | None, begin: int, end: int) -> tuple[int, int] | None:
    """Those bytes are there; what of `missing` is still not."""
    if missing is None:
        return None
    first = end if begin <= missing[0] < end else missing[0]
    last = begin if begin < missing[1] <= end else missing[1]
    return (first, last) if first < last else None


def without_cut(missing: tuple[int, int] | None, size_bytes: int) -> tuple[int, int] | None:
    """The file has been made that long: what would be behind its end is missed by nobody."""
    if missing is None or missing[0] >= size_bytes:
        return None
    return missing[0], min(missing[1], size_bytes)
