"""A table of many short rows of bytes in little more room than the rows take. Pure.

A dict needs 150 bytes an entry beside what is in it: its own slots, the key and the row as objects. Here some rows lie
one after the other in each of many buckets, and a bucket is one object. Buckets are split and joined one at a time
(linear hashing), so no change takes long, however much is in the table.
"""

from __future__ import annotations

from collections.abc import Iterator

BUCKETS_MIN = 16
LOAD = 8
"""Rows a bucket, about; a look-up passes half of them, some 0.1 µs each."""
_LENGTH_BYTES = 3
ROW_BYTES_MAX = (1 << 8 * _LENGTH_BYTES) - 1


class PackedTable:
    """Key -> row. All keys have `key_bytes` bytes. Between two calls it is whole."""

    def __init__(self, key_bytes: int) -> None:
        self._key_bytes = key_bytes
        self._head_bytes = key_bytes + _LENGTH_BYTES
        self._buckets = [b""] * BUCKETS_MIN
        self._base = BUCKETS_MIN
        """Number of buckets when none of the present round was split; a power of two."""
        self._split = 0
        """Buckets below this are split in the present round."""
        self._count = 0
        self._oldest = 0

    def __len__(self) -> int:
        return self._count

    def get(self, key: bytes) -> bytes | None:
        """The row of `key`; None if there is none."""
        bucket = self._buckets[self._place(key)]
        start, end = self._span(bucket, key)
        return bucket[start + self._head_bytes : end] if end else None

    def put(self, key: bytes, row: bytes) -> None:
        """The row of `key` is `row`, of ROW_BYTES_MAX at most; it is the last of its bucket to be the `oldest`."""
        place = self._place(key)
        bucket = self._buckets[place]
        start, end = self._span(bucket, key)
        added = key + len(row).to_bytes(_LENGTH_BYTES, "little") + row
        self._buckets[place] = bucket[:start] + bucket[end:] + added if end else bucket + added
        if not end:
            self._count += 1
            if self._count > len(self._buckets) * LOAD:
                self._grow()

    def pop(self, key: bytes) -> bytes | None:
        """The row that `key` had; it has none any more."""
        place = self._place(key)
        bucket = self._buckets[place]
        start, end = self._span(bucket, key)
        if not end:
            return None
        self._buckets[place] = bucket[:start] + bucket[end:]
        self._count -= 1
        if self._count * 4 < len(self._buckets) * LOAD:
            self._shrink()
        return bucket[start + self._head_bytes : end]

    def oldest(self) -> bytes:
        """A key whose row was put before most others were; another one each time. Errors: KeyError for an empty table.

        Buckets take turns, so what many rows of were put at one time goes at about one time.
        """
        for _ in range(len(self._buckets)):
            self._oldest = (self._oldest + 1) % len(self._buckets)
            bucket = self._buckets[self._oldest]
            if bucket:
                return bucket[: self._key_bytes]
        raise KeyError("the table is empty")

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key and its row, in no order; the table must not be changed meanwhile."""
        for bucket in self._buckets:
            yield from self._rows(bucket)

    def _place(self, key: bytes) -> int:
        """Python's hash of bytes has a secret, so that nobody chooses keys that meet in one bucket."""
        hashed = hash(key)
        place = hashed & (self._base - 1)
        return place if place >= self._split else hashed & (2 * self._base - 1)

    def _span(self, bucket: bytes, key: bytes) -> tuple[int, int]:
        """Where the row of `key` begins and ends, with its head; (0, 0) if it is not there."""
        if key not in bucket:
            return 0, 0
        at, length = 0, len(bucket)
        while at < length:
            rows = at + self._head_bytes
            end = rows + int.from_bytes(bucket[at + self._key_bytes : rows], "little")
            if bucket.startswith(key, at):
                return at, end
            at = end
        return 0, 0

    def _rows(self, bucket: bytes) -> Iterator[tuple[bytes, bytes]]:
        at = 0
        while at < len(bucket):
            rows = at + self._head_bytes
            end = rows + int.from_bytes(bucket[at + self._key_bytes : rows], "little")
            yield bucket[at : at + self._key_bytes], bucket[rows:end]
            at = end

    def _grow(self) -> None:
        """One bucket more, which takes over what belongs there of the next one to be split."""
        split, place = self._buckets[self._split], self._split
        self._buckets.append(b"")
        self._split += 1
        if self._split == self._base:
            self._base, self._split = 2 * self._base, 0
        staying: list[bytes] = []
        going: list[bytes] = []
        at = 0
        for key, row in self._rows(split):
            end = at + self._head_bytes + len(row)
            (staying if self._place(key) == place else going).append(split[at:end])
            at = end
        self._buckets[place], self._buckets[-1] = b"".join(staying), b"".join(going)

    def _shrink(self) -> None:
        """One bucket less: what is in the last goes where it came from."""
        if len(self._buckets) <= BUCKETS_MIN:
            return
        if not self._split:
            self._base, self._split = self._base // 2, self._base // 2
        self._split -= 1
        self._buckets[self._split] += self._buckets.pop()
