"""The spool: one file of bytes for each item that has any, called as the item's id, until its provider has them.

Nothing here is ever removed but by `remove`, for an item whose row is gone or says that it was sent. Blocking, all of
it: called in threads, several at once. What a file system says is StoreFull or StoreError here.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from iiiffs.errors import ConfigError, StoreError, StoreFull

MIN_FREE_BYTES = 2 << 30
"""Rule: DESIGN §4, `[state] min_free`."""

FULL = frozenset([errno.ENOSPC, errno.EDQUOT])
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
PART_SUFFIX = ".part"
"""Of what `put` has not all yet; no id ends so."""
CHUNK_BYTES = 1 << 20


class Spool:
    """The folder at `path`, with mode 0700; its files have mode 0600."""

    def __init__(self, path: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        """The folder is there, on disk. `min_free_bytes`: of its file system, that no payload may take.

        Errors: ConfigError if it is no folder, StoreFull, StoreError.
        """
        self._path = path
        self._min_free_bytes = min_free_bytes
        self._unsure: set[tuple[int, int]] = set()
        self._owning = threading.Lock()
        if path.exists() and not path.is_dir():
            raise ConfigError(f"[state] path: {path} is not a folder; move it away")
        with self._telling():
            path.mkdir(mode=0o700, exist_ok=True)
            if path.stat().st_mode & 0o077:
                path.chmod(0o700)
            with suppress(PermissionError):  # a folder that may be entered and not listed cannot be opened
                sync_folder(path.parent)
            for part in path.glob(f"*{PART_SUFFIX}"):  # of a `put` that was killed
                if ID.fullmatch(part.stem):
                    part.unlink()
            sync_folder(path)  # names that a process made which ended before it had synced them

    def path(self, id: str) -> Path:
        """Of the payload of that item, whether it is there or not. Errors: ValueError if that can be no item's id."""
        if not ID.fullmatch(id):
            raise ValueError(f"{id!r} is no id of an item")
        return self._path / id

    def create(self, id: str) -> int:
        """A descriptor, to read and to write, of a new and empty payload; on disk after `sync(…, is_new=True)`.

        Errors: StoreError if there is one, or none can be made; StoreFull.
        """
        return self._opened(id, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def open(self, id: str, *, write: bool) -> int:
        """A descriptor of a payload that is there, to read or to read and write; then it is no other file's too, such
        as one that is kept of what was sent. Errors: StoreFull, StoreError."""
        if write:
            with self._owning:
                self._own(id)
        return self._opened(id, os.O_RDWR if write else os.O_RDONLY)

    def put(self, id: str, parts: Iterable[bytes]) -> None:
        """There is a payload of those bytes, on disk, name and all; or none, after any error.

        Errors: StoreError if there is one, StoreFull, and what `parts` raises.
        """
        if self.path(id).exists():
            raise StoreError(f"the spool {self._path}: {id} is there already")
        self._place(id, parts)

    def sync(self, descriptor: int, is_new: bool) -> None:
        """All bytes of the payload are on disk; with `is_new`, so is its name.

        After an error nothing is known. A kernel that could not write pages forgets that they were to be written, and
        calls the next fsync a success; so what has failed once is written anew, whole, before that.
        Rule: fsync(2) ERRORS; "PostgreSQL's fsync() surprise" (2018). Errors: StoreFull, StoreError.
        """
        with self._telling():
            found = os.fstat(descriptor)
            file = (found.st_dev, found.st_ino)
            was_unsure = file in self._unsure
            self._unsure.add(file)
            if was_unsure:
                _write_anew(descriptor, found.st_size)
            os.fsync(descriptor)
            self._unsure.discard(file)
            if is_new:
                sync_folder(self._path)

    def remove(self, id: str) -> None:
        """There is no payload of that item, on disk too; that there was none is no error. Errors: StoreError."""
        self.remove_all([id])

    def remove_all(self, ids: Iterable[str]) -> None:
        """As `remove`, of all those items."""
        removed = False
        with self._telling():
            try:
                for id in ids:
                    with suppress(FileNotFoundError):
                        self.path(id).unlink()
                        removed = True
            finally:
                if removed:
                    sync_folder(self._path)

    def sizes(self) -> dict[str, int]:
        """The length in bytes of every payload that is there. Errors: StoreError."""
        with self._telling(), os.scandir(self._path) as entries:
            return {
                entry.name: entry.stat(follow_symlinks=False).st_size
                for entry in entries
                if ID.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            }

    def free_bytes(self) -> int:
        """Of the spool's file system, for its owner. Errors: StoreError."""
        with self._telling():
            found = os.statvfs(self._path)
            return found.f_bavail * found.f_frsize

    def room(self, wanted_bytes: int) -> None:
        """Nothing, if that much may be written now. Errors: StoreFull if less than `min_free` would be left."""
        free_bytes = self.free_bytes()
        if free_bytes - wanted_bytes < self._min_free_bytes:
            raise StoreFull(
                f"{self._path} has {free_bytes >> 20} MiB free, and [state] min_free keeps "
                f"{self._min_free_bytes >> 20} MiB; free some on that disk"
            )

    def copy_out(self, id: str, target: Path, mtime_ns: int | None = None) -> None:
        """The new file `target` holds the payload, on disk, and has that time. The payload stays.

        Errors: ConfigError if there is something already or nothing can be made, StoreError, and no file, if the
        payload is missing or cannot be read, or `target` cannot be filled.
        """
        source = self.open(id, write=False)
        try:
            try:
                made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                raise ConfigError(f"{target}: is there already, and is left as it is; name a new file") from None
            except OSError as error:
                raise ConfigError(f"{target}: cannot be written: {error.strerror}") from None
            try:
                _copy(source, made)
                if mtime_ns is not None:
                    os.utime(made, ns=(mtime_ns, mtime_ns))
                os.fsync(made)
                with suppress(PermissionError):
                    sync_folder(target.absolute().parent)
            except OSError as error:
                with suppress(OSError):
                    target.unlink()
                raise StoreError(f"{target}: cannot be written: {error.strerror}") from None
            finally:
                os.close(made)
        finally:
            os.close(source)

    def _own(self, id: str) -> None:
        """The payload has one name only: it was copied if it had more."""
        with self._telling():
            if self.path(id).lstat().st_nlink > 1:
                with self.path(id).open("rb", buffering=0) as file:
                    self._place(id, iter(lambda: file.read(CHUNK_BYTES), b""))

    def _place(self, id: str, parts: Iterable[bytes]) -> None:
        """The payload is those bytes, on disk, name and all; or what it was, after any error."""
        path = self.path(id)
        part = path.with_name(id + PART_SUFFIX)
        try:
            with self._telling():
                descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.writelines(parts)
                    file.flush()
                    os.fsync(descriptor)
                part.rename(path)
                sync_folder(self._path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _opened(self, id: str, flags: int) -> int:
        with self._telling():
            return os.open(self.path(id), flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = StoreFull if error.errno in FULL else StoreError
            raise kind(f"the spool {self._path}: {error.strerror}") from error


def sync_folder(path: Path) -> None:
    """The names in the folder are on disk. Errors: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_anew(descriptor: int, size_bytes: int) -> None:
    offset = 0
    while offset < size_bytes and (chunk := os.pread(descriptor, CHUNK_BYTES, offset)):
        offset += os.pwrite(descriptor, chunk, offset)


def _copy(source: int, target: int) -> None:
    offset = 0
    while chunk := os.pread(source, CHUNK_BYTES, offset):
        offset += len(chunk)
        while chunk:
            chunk = chunk[os.write(target, chunk) :]
