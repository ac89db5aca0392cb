"""Small rows under a seal, so that a flipped byte makes a row absent and never wrong."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from iiiffs.cache.environment import CacheEnvironment, pages_bytes

if TYPE_CHECKING:
    import lmdb

SEAL_BYTES = 4


def seal(key: bytes, row: bytes) -> bytes:
    """`row` with a CRC-32 of key and row before it, so that a row under another key does not open either."""
    return zlib.crc32(row, zlib.crc32(key)).to_bytes(SEAL_BYTES, "big") + row


def unseal(key: bytes, sealed: bytes) -> bytes | None:
    """The row that `seal` closed; None if key or row are not those."""
    row = sealed[SEAL_BYTES:]
    if len(sealed) < SEAL_BYTES or int.from_bytes(sealed[:SEAL_BYTES], "big") != zlib.crc32(row, zlib.crc32(key)):
        return None
    return row


class RowTable:
    """One database of small sealed rows; the writer's side. Its size follows the number of rows, without a quota."""

    def __init__(self, environment: CacheEnvironment, name: str) -> None:
        self.name = name
        self._environment = environment

    def row(self, transaction: lmdb.Transaction, key: bytes) -> bytes | None:
        """The committed row; None if absent or damaged."""
        sealed = transaction.get(key, db=self._environment.database(self.name))
        return None if sealed is None else unseal(key, bytes(sealed))

    def keys(self, transaction: lmdb.Transaction, prefix: bytes) -> list[bytes]:
        """The committed keys that begin with `prefix`, in order."""
        found = []
        with transaction.cursor(self._environment.database(self.name)) as cursor:
            if cursor.set_range(prefix):
                for key in cursor.iternext(values=False):
                    if not bytes(key).startswith(prefix):
                        break
                    found.append(bytes(key))
        return found

    def write(self, transaction: lmdb.Transaction, key: bytes, value: bytes) -> None:
        """The row is `value`."""
        transaction.put(key, seal(key, value), db=self._environment.database(self.name))

    def erase(self, transaction: lmdb.Transaction, key: bytes) -> None:
        """The row is absent."""
        transaction.delete(key, db=self._environment.database(self.name))

    def touch(self, transaction: lmdb.Transaction, key: bytes, stamp: int) -> None:
        """Nothing: rows have no recency."""

    def lose(self, value: bytes) -> None:
        """Rule: Table.lose. All of it was in memory."""

    def wipe(self, transaction: lmdb.Transaction) -> None:
        """No row is left."""
        transaction.drop(self._environment.database(self.name), delete=False)

    def settle(self, transaction: lmdb.Transaction) -> int:
        """0: rows are never evicted."""
        return 0

    def relieve(self, transaction: lmdb.Transaction) -> int:
        """0: rows are never evicted."""
        return 0

    def stat(self, transaction: lmdb.Transaction) -> tuple[int, int]:
        """Number of rows, bytes of the file that they use."""
        stat = transaction.stat(self._environment.database(self.name))
        return stat["entries"], pages_bytes(stat)
