"""The one LMDB environment of the cache: opened, locked, checked, thrown away when it is of no use.

Four caveats of lmdb.h, and what holds them here:

1. *Never open one environment twice in a process.* A flock is taken first, and it refuses a second opening by the
   same process as well as by another.
2. *Never use it after a fork.* `daemon` forks (`--background`) before it opens the cache; nothing here forks.
3. *No long-lived read transactions*: they keep freed pages from being used again, and the file grows. `reading()` is
   synchronous and short; no await may stand inside it, and what is handed out is copied.
4. *Not on a network file system.* `location.refuse_network_filesystem`.

Sync: `sync=True, metasync=False`. A commit writes its pages, waits for the disk (fdatasync), then writes the meta page
and does not wait. A killed process loses nothing that was committed, since the page cache outlives it; a power cut may
lose the last commits, never tear a tree, because no meta page can reach the disk before the pages it points to. With
`sync=False` a power cut could leave a meta page that points to garbage, and a cache must never be wrong. The wait costs
the worker thread a few ms a batch and no reader anything.

Read-ahead stays on: values are runs of adjacent pages, and one disk read should fetch a whole rendition.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import lmdb

from iiiffs.cache.block_folder import BlockFolder
from iiiffs.cache.location import refuse_network_filesystem
from iiiffs.cache.mapped import MappedFile
from iiiffs.cache.structure import check_structure
from iiiffs.errors import ConfigError, StoreCorrupt, StoreError, StoreFull, StoreLocked

if TYPE_CHECKING:
    from lmdb import _Database as Database
    from lmdb import _StatDict as Stat

log = logging.getLogger(__name__)

T = TypeVar("T")

SCHEMA = b"iiiffs cache 4"
"""Changes with any change of what rows hold; a cache of another schema is thrown away."""

MIB = 1024 * 1024
BLOCKS_FOLDER = "blocks"
LOCK_NAME, CLEAN_NAME, DATA_NAME, LMDB_LOCK_NAME = "iiiffs.lock", "closed", "data.mdb", "lock.mdb"
META = "meta"

ERRORS: Mapping[type[Exception], type[StoreError]] = {
    lmdb.MapFullError: StoreFull,
    lmdb.TxnFullError: StoreFull,
    lmdb.DiskError: StoreFull,
    lmdb.MemoryError: StoreFull,
    lmdb.LockError: StoreLocked,
    lmdb.ReadersFullError: StoreLocked,
    lmdb.BadValsizeError: StoreError,
    lmdb.InvalidParameterError: StoreError,
    lmdb.Error: StoreCorrupt,
    StoreCorrupt: StoreCorrupt,
}
"""By class, the nearest ancestor wins. A plain StoreError is a mistake of ours.
Whatever else LMDB complains of means a file that cannot be trusted."""


FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
"""What comes through LMDB where there is no more room; EIO is its word for a write that was cut short (mdb.c)."""


def map_bytes_for(quota_bytes: int) -> int:
    """How large the file may ever grow, for renditions of `quota_bytes`.

    quota                     what renditions may use (`EntryTable` holds it in every commit)
    + documents_quota(quota)  bodies of documents, 64 to 512 MiB
    + 25 % of both            pages freed by the last two commits, which LMDB cannot use yet, and gaps too narrow for
                              the next value's run of pages
    + 512 MiB                 listings (100 bytes an asset), facts (200 to 450) and document rows (200): 700,000 assets
    + 64 MiB                  two batches of the writer being written while their predecessors are being freed
    """
    bounded = quota_bytes + documents_quota(quota_bytes)
    return _whole_pages(bounded + bounded // 4 + 512 * MIB + 64 * MIB)


def documents_quota(quota_bytes: int) -> int:
    """What bodies of documents may use: a sixteenth of the quota, but 64 to 512 MiB."""
    return min(max(quota_bytes // 16, 64 * MIB), 512 * MIB)


def _whole_pages(size_bytes: int) -> int:
    page = os.sysconf("SC_PAGESIZE")
    return -(-size_bytes // page) * page


class CacheEnvironment:
    """The open environment. Read in any thread, write in one at a time; `open` is the only way to make one.

    Concurrency: `reading` may run in many threads at once; `rebuild` and `close` wait until all have left, and keep
    new ones out while the file is exchanged. LMDB itself keeps writers apart.
    """

    def __init__(self, path: Path, quota_bytes: int, map_bytes: int, databases: tuple[str, ...], lock_fd: int) -> None:
        self.path = path
        self.quota_bytes = quota_bytes
        self.map_bytes = map_bytes
        self.condemned: str | None = None
        self.was_clean = False
        """It was closed in order the last time, so what lies outside LMDB is what its rows say."""
        self._names = (META, *databases)
        self._lock_fd = lock_fd
        self._env: lmdb.Environment | None = None
        self._mapped: MappedFile | None = None
        self._databases: dict[str, Database] = {}
        self._gate = threading.Condition()
        self._inside = 0
        self._exchanging = False
        self._closed = False
        self._complained_of: str | None = None

    @classmethod
    def open(
        cls, path: Path, quota_bytes: int, *, databases: tuple[str, ...], map_bytes: int | None = None
    ) -> CacheEnvironment:
        """The environment in the folder `path`, made if absent (0700, files 0600), locked, whole, of our schema.

        One that is damaged, of another schema, or larger than its map may be is thrown away with one warning.
        `map_bytes`: only for tests; `map_bytes_for(quota_bytes)` if None.
        Errors: ConfigError if `path` is on a network file system or cannot be made or written; StoreLocked, with the
            other's process id, if it is in use; StoreFull if the disk has no room for an empty one.
        """
        refuse_network_filesystem(path, "cache")
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            lock_fd = _locked(path)
        except OSError as error:
            raise ConfigError(f"the cache folder {path} cannot be used: {error.strerror}") from error
        map_bytes = _whole_pages(map_bytes) if map_bytes else map_bytes_for(quota_bytes)
        environment = cls(path, quota_bytes, map_bytes, databases, lock_fd)
        try:
            environment._open_or_discard()
        except BaseException:
            os.close(lock_fd)
            raise
        return environment

    @property
    def is_open(self) -> bool:
        """False once closed."""
        return not self._closed

    def database(self, name: str) -> Database:
        """The named database, valid inside the transaction that asks for it."""
        return self._databases[name]

    def reading(self) -> AbstractContextManager[lmdb.Transaction]:
        """A read transaction. No await inside, nothing slow, and nothing borrowed from it afterwards.

        Errors: StoreCorrupt if the file is damaged; it is then condemned, and the writer rebuilds it.
        """
        return self._transaction(False)

    def writing(self) -> AbstractContextManager[lmdb.Transaction]:
        """A write transaction, committed on leaving, undone by any exception. In one thread from start to end.

        Errors: StoreFull if map or disk are full (nothing was changed); StoreCorrupt as in `reading`.
        """
        return self._transaction(True)

    @contextmanager
    def _transaction(self, writes: bool) -> Iterator[lmdb.Transaction]:
        if self.condemned is not None:
            raise StoreCorrupt(self.condemned)
        with self._gate:
            while self._exchanging:
                self._gate.wait()
            self._inside += 1
        try:
            with self._opened().begin(write=writes) as transaction:
                yield transaction
            self.used()
        except lmdb.Error as error:
            raise self._ours(error) from error
        finally:
            with self._gate:
                self._inside -= 1
                if self._exchanging or not self._inside:
                    self._gate.notify_all()

    def used(self) -> None:
        """To be called within long transactions, now and then: what they read of the file is not all held at once."""
        if self._mapped is not None:
            self._mapped.used()

    def used_bytes(self) -> int:
        """What all databases use of the file: branch, leaf and overflow pages, without the free ones."""
        with self.reading() as transaction:
            stats = [transaction.stat(database) for database in self._databases.values()]
            stats.append(self._opened().stat())
        return sum(pages_bytes(stat) for stat in stats)

    def file_bytes(self) -> int:
        """The length of the file. It never shrinks while open; freed pages are used again."""
        return (self.path / DATA_NAME).stat().st_size

    def rebuild(self, reason: str) -> None:
        """The file is thrown away and replaced by an empty one, with one warning. Waits for transactions to end.

        Not to be called from inside one.
        Errors: StoreFull if there is no room for an empty one; it stays condemned then, everything in it absent, and
            the next commit tries again.
        """
        with self._alone():
            self._discard(reason)
            try:
                self._open_lmdb()
            except lmdb.Error as error:
                self.condemned = reason
                if self._env is not None:
                    self._env.close()
                    self._env = None
                raise self._ours(error) from error
            self.condemned = None

    def close(self) -> None:
        """Closed in order and unlocked; a second call does nothing. Waits for transactions to end."""
        with self._alone():
            if self._closed:
                return
            self._closed = True
            if self._env is not None:
                self._env.close()
                self._env = None
                if self.condemned is None:
                    _write_private(self.path / CLEAN_NAME, _mark(self.path / DATA_NAME))
            os.close(self._lock_fd)

    def _opened(self) -> lmdb.Environment:
        if self._closed:
            raise ValueError(f"the cache {self.path} is closed")
        if self._env is None:
            raise StoreCorrupt(f"the cache {self.path} could not be rebuilt")
        return self._env

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._gate:
            while self._exchanging or self._inside:
                self._gate.wait()
            self._exchanging = True
        try:
            yield
        finally:
            with self._gate:
                self._exchanging = False
                self._gate.notify_all()

    def _ours(self, error: lmdb.Error) -> StoreError:
        kind = StoreFull if error.code in FULL else nearest(ERRORS, type(error))
        if kind is StoreCorrupt and self.condemned is None:
            self.condemned = str(error)
        return kind(f"the cache {self.path}: {error}")

    def _open_or_discard(self) -> None:
        reason = self._reason_to_discard()
        if reason:
            self._discard(reason)
        try:
            try:
                self._open_lmdb()
            except (lmdb.Error, StoreCorrupt) as error:
                if nearest(ERRORS, type(error)) is not StoreCorrupt:
                    raise
                self._discard(str(error))
                self._open_lmdb()
        except lmdb.Error as error:
            raise self._ours(error) from error

    def _reason_to_discard(self) -> str | None:
        """Why what lies there must not even be shown to LMDB; None if it may be opened."""
        data, clean = self.path / DATA_NAME, self.path / CLEAN_NAME
        if not data.exists():
            return None
        if data.stat().st_size > self.map_bytes:
            return f"its file is larger than the configured size allows ({self.map_bytes} bytes)"
        closed_as = clean.read_bytes() if clean.exists() else b""
        clean.unlink(missing_ok=True)
        if closed_as == _mark(data):
            self.was_clean = True
            return None
        try:
            check_structure(data)
        except StoreCorrupt as error:
            return str(error)
        return None

    def _discard(self, reason: str) -> None:
        if reason != self._complained_of:  # while the disk is full this is tried again and again
            log.warning("cache %s: %s; starting with an empty one", self.path, reason)
            self._complained_of = reason
        if self._env is not None:
            self._env.close()
            self._env = None
        for name in (DATA_NAME, LMDB_LOCK_NAME, CLEAN_NAME):
            (self.path / name).unlink(missing_ok=True)
        BlockFolder(self.path / BLOCKS_FOLDER).empty()

    def _open_lmdb(self) -> None:
        """LMDB open and of our schema. Errors: lmdb.Error; StoreCorrupt if it is of another schema."""
        self._env = lmdb.open(
            str(self.path),
            map_size=self.map_bytes,
            max_dbs=len(self._names) + 2,
            mode=0o700,
            sync=True,
            metasync=False,
        )
        self._mapped = MappedFile(self.path / DATA_NAME)
        self._env.reader_check()
        with self._env.begin(write=True) as transaction:
            if transaction.stat()["entries"]:
                self._check_schema(self._env, transaction)
            self._databases = {
                name: self._env.open_db(name.encode(), txn=transaction, create=True) for name in self._names
            }
            if transaction.get(b"schema", db=self._databases[META]) != SCHEMA:
                transaction.put(b"schema", SCHEMA, db=self._databases[META])
        self._complained_of = None

    def _check_schema(self, env: lmdb.Environment, transaction: lmdb.Transaction) -> None:
        try:
            found = transaction.get(b"schema", db=env.open_db(META.encode(), txn=transaction, create=False))
        except lmdb.NotFoundError:
            found = None
        if found != SCHEMA:
            raise StoreCorrupt(
                f"it was made by another version ({bytes(found or b'unknown').decode(errors='replace')})"
            )


def pages_bytes(stat: Stat) -> int:
    """What the database of an LMDB `stat` uses: branch, leaf and overflow pages, in bytes."""
    return (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]) * stat["psize"]


def nearest(table: Mapping[type[Exception], T], kind: type[Exception]) -> T:
    """The entry for `kind` or for its closest ancestor."""
    return next(table[base] for base in kind.__mro__ if base in table)


def _locked(path: Path) -> int:
    """A descriptor that holds the lock of the folder until closed, with our process id in it.

    Errors: StoreLocked with the holder's process id; OSError if the file cannot be made.
    """
    fd = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise StoreLocked(f"the cache {path} is in use by process {holder}; stop it or choose another path") from None
    except OSError:
        os.close(fd)
        raise
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _mark(data: Path) -> bytes:
    """What names this state of the file: its length and the time of its last change."""
    stat = data.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}\n".encode()


def _write_private(path: Path, content: bytes) -> None:
    """`content` in the file at `path`, 0600. A mark that cannot be written costs one check at the next start."""
    with suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
