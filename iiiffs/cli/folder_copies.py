"""Files of `iiiffs sync` on the disk and in the mount: which there are, their sums, copies that overwrite nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from iiiffs.errors import IiiffsError
from iiiffs.sync.folders import FolderFile
from iiiffs.tree.junk import is_junk

ID = "user.iiiffs.id"
CHECKSUM = "user.iiiffs.checksum.sha1"
PART = ".iiiffs-part-"
"""What copies in the folder are called until they are whole."""
CHUNK_BYTES = 1 << 20
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


def local_files(folder: Path) -> tuple[dict[str, FolderFile], int]:
    """The regular files of the folder, without hidden ones and litter; and how many sub-folders there are.

    Errors: IiiffsError if it cannot be read.
    """
    files, folders = {}, 0
    with _telling(folder), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or is_junk(entry.name):
                continue
            folders += entry.is_dir()
            if entry.is_file():
                files[entry.name] = FolderFile(entry.stat().st_size)
    return files, folders


def album_files(album: Path) -> dict[str, FolderFile]:
    """The originals in an album's directory of the mount: those regular files that have an id.

    Errors: IiiffsError if it cannot be listed.
    """
    files = {}
    with _telling(album), os.scandir(album) as entries:
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                continue
            path = Path(entry.path)
            if _attribute(path, ID) is not None:
                sum_hex = _attribute(path, CHECKSUM)
                sha1 = bytes.fromhex(sum_hex) if sum_hex and len(sum_hex) == 40 else None
                files[entry.name] = FolderFile(entry.stat(follow_symlinks=False).st_size, sha1)
    return files


def with_sums(folder: Path, files: Mapping[str, FolderFile], names: Iterable[str]) -> dict[str, FolderFile]:
    """`files`, those of `names` with their SHA-1; read where nobody told it. Errors: IiiffsError."""
    known = dict(files)
    for name in names:
        if known[name].sha1 is None:
            known[name] = replace(known[name], sha1=sha1_of(folder / name))
    return known


def sha1_of(path: Path) -> bytes:
    """Of the file's bytes. Errors: IiiffsError."""
    with _telling(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.sha1(usedforsecurity=False)).digest()


def upload(source: Path, target: Path) -> None:
    """The new file `target` of the mount has the bytes and the time of `source`, and close said that it is safe.

    Errors: IiiffsError if the name is taken or the mount refuses; then no half of it stays.
    """
    with _telling(source), source.open("rb") as stream, _telling(target):
        found = os.fstat(stream.fileno())
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, stat.S_IMODE(found.st_mode))
        try:
            try:
                _copy(stream.fileno(), descriptor)
                os.utime(descriptor, ns=(found.st_mtime_ns, found.st_mtime_ns))
            finally:
                os.close(descriptor)
        except BaseException:
            with suppress(OSError):
                target.unlink()
            raise


def download(source: Path, target: Path) -> None:
    """The new file `target` of the folder has the bytes and the time of `source`, whole and on disk, or is not there.

    Errors: IiiffsError if the name is taken by now, or `source` cannot be read whole.
    """
    beside = target.with_name(f"{PART}{secrets.token_hex(6)}")
    with _telling(source), source.open("rb") as stream, _telling(target):
        found = os.fstat(stream.fileno())
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            try:
                if _copy(stream.fileno(), descriptor) != found.st_size:
                    raise IiiffsError(f"{source}: changed while it was read; try again")
                os.utime(descriptor, ns=(found.st_mtime_ns, found.st_mtime_ns))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _name(beside, target)
        finally:
            beside.unlink(missing_ok=True)


def _name(beside: Path, target: Path) -> None:
    """The file at `beside` is called `target`, which nothing was. Errors: FileExistsError."""
    try:
        os.link(beside, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if target.exists():  # as near as a file system without hard links lets us come
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        beside.rename(target)


def _copy(source: int, target: int) -> int:
    """How many bytes there were."""
    total = 0
    while chunk := os.read(source, CHUNK_BYTES):
        total += len(chunk)
        while chunk:
            chunk = chunk[os.write(target, chunk) :]
    return total


def _attribute(path: Path, name: str) -> str | None:
    try:
        return os.getxattr(path, name, follow_symlinks=False).decode("ascii", "replace")
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOENT, errno.ESTALE):
            return None
        raise


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IiiffsError(f"{path}: {error.strerror or error}") from error
