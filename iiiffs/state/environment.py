"""The state's LMDB environment: durable, growing, one writer. The only place in state/ that knows lmdb's errors.

Rules (lmdb.h, "caveats"): never open it twice in one process, never use it after a fork, keep no read transaction
open, not on network file systems. Here every transaction begins and ends inside one call, in one thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar

import lmdb

from iiiffs.cache.environment import FULL
from iiiffs.errors import StoreCorrupt, StoreError, StoreFull
from iiiffs.state.damage import damaged

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Transaction: TypeAlias = "lmdb.Transaction[bytes]"

DATABASES = (
    "meta",
    "rows",
    "ids",
    "inodes",
    "sizes",
    "seen",
    "times",
    "previews",
    "journal",
    "conflicts",
    "successors",
    "given",
    "notes",
    "homes",
)
MAP_BYTES = 64 << 20
MAP_GROWTH = 2
CLOSE_S = 2.0
CORRUPT = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError, lmdb.VersionMismatchError)


class Environment:
    """Named databases in one file; `read` and `write` may be called from any thread, and not inside one another."""

    def __init__(self, path: Path, map_bytes: int = MAP_BYTES) -> None:
        """Open, made if it was not there. Errors: StoreCorrupt, StoreFull, StoreError."""
        self._path = path
        self._idle = threading.Condition()
        self._active = 0
        self._resizing = False
        # Made here, because py-lmdb would give the folder the mode of its files, and only root can enter a 0600 folder.
        path.mkdir(mode=0o700, exist_ok=True)
        with self._translated():
            self._lmdb = lmdb.open(
                str(path),
                map_size=map_bytes,
                max_dbs=len(DATABASES),
                max_readers=512,
                mode=0o600,
                sync=True,
                metasync=True,
            )
            self._databases = {name: self._lmdb.open_db(name.encode()) for name in DATABASES}

    def close(self) -> bool:
        """Closed, and True; a second call does nothing. False if a thread hangs in it: LMDB must not be closed then."""
        with self._idle:
            if not self._idle.wait_for(lambda: self._active == 0, CLOSE_S):
                log.error("%s: a thread is still in it; it ends with the process", self._path)
                return False
        self._lmdb.close()
        return True

    @property
    def map_bytes(self) -> int:
        """How large the map is now."""
        return int(self._lmdb.info()["map_size"])

    def read(self, job: Callable[[Reading], Result]) -> Result:
        """What `job` makes of one consistent view. It must be short, and keep nothing of the transaction."""
        with self._transacting(), self._translated(), self._lmdb.begin() as transaction:
            return job(Reading(transaction, self._databases))

    def write(self, job: Callable[[Writing], Result]) -> Result:
        """What `job` returns, after all that it wrote is on disk; after an error nothing is written.

        `job` is run again from the start when the map had to grow, so it must change nothing but the transaction.
        Errors: StoreFull when the disk is full.
        """
        while True:
            try:
                with self._transacting(), self._translated(), self._lmdb.begin(write=True) as transaction:
                    return job(Writing(transaction, self._databases))
            except _MapTooSmall:
                self._grow()

    def _grow(self) -> None:
        """The map is larger. Rule: lmdb.h mdb_env_set_mapsize: only while no transaction is open in this process."""
        with self._idle:
            self._resizing = True
            try:
                self._idle.wait_for(lambda: self._active == 0)
                with self._translated():
                    self._lmdb.set_mapsize(self.map_bytes * MAP_GROWTH)
            finally:
                self._resizing = False
                self._idle.notify_all()

    @contextmanager
    def _transacting(self) -> Iterator[None]:
        with self._idle:
            self._idle.wait_for(lambda: not self._resizing)
            self._active += 1
        try:
            yield
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except lmdb.MapFullError as error:
            raise _MapTooSmall from error
        except lmdb.PanicError as error:
            raise StoreError(f"{self._path}: the disk failed in the middle of a change; start iiiffs again") from error
        except CORRUPT as error:
            raise StoreCorrupt(damaged(self._path, str(error))) from error
        except lmdb.Error as error:
            if error.code in FULL:
                raise StoreFull(f"no space left for {self._path}; free some on that disk") from error
            raise StoreError(f"{self._path}: {error}") from error


class _MapTooSmall(StoreFull):
    """The map is full, not the disk."""


class Reading:
    """One transaction, by database name."""

    def __init__(self, transaction: Transaction, databases: dict[str, lmdb._Database]) -> None:
        self._transaction = transaction
        self._databases = databases

    def get(self, database: str, key: bytes) -> bytes | None:
        """The value of `key`, None if there is none."""
        return self._transaction.get(key, db=self._databases[database])

    def is_empty(self, database: str) -> bool:
        """True if nothing is in it."""
        with self._transaction.cursor(self._databases[database]) as cursor:
            return not cursor.first()

    def below(self, database: str, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """All (key, value) whose key begins with `prefix`, in order of keys."""
        found = []
        with self._transaction.cursor(self._databases[database]) as cursor:
            if cursor.set_range(prefix):
                for key, value in cursor:
                    if not key.startswith(prefix):
                        break
                    found.append((key, value))
        return found


class Writing(Reading):
    """One transaction that may change."""

    def put(self, database: str, key: bytes, value: bytes) -> None:
        """`key` has `value`."""
        self._transaction.put(key, value, db=self._databases[database])

    def delete(self, database: str, key: bytes) -> None:
        """`key` has no value."""
        self._transaction.delete(key, db=self._databases[database])
