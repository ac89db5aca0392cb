"""Files on their way into a folder: complete and on disk under a hidden name before anybody sees them. Blocking."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress

from iiiffs.errors import ProviderUnreachable, StoreCorrupt
from iiiffs.model.writing import Payload
from iiiffs.providers.folder.disk import Descriptor
from iiiffs.providers.folder.litter import hidden_name, live

SWEPT = "what was being sent was swept away; it is sent again"
COPY_BYTES = 8 << 20
"""Between two looks whether the copy is still wanted."""

FICLONE = 0x40049409
"""Rule: linux/fs.h. The copy shares the blocks of the original until one is written (btrfs, xfs, bcachefs)."""

NOT_HERE = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM, errno.EBADF, errno.ETXTBSY}
)
"""This way of copying is not for these two files."""


class Unwanted(Exception):
    """Whoever asked for the copy is gone; nothing of it is left."""


class Part:
    """A hidden file in an open folder; deleted with this object, unless its name was given to somebody else."""

    def __init__(self, folder: int, token: str) -> None:
        """An empty one. Errors: OSError."""
        self.name = hidden_name(token)
        self.folder = Descriptor(os.dup(folder))
        self._mine = False
        self._stem = self.name.rpartition(b".")[0]
        live.add(self._stem)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self.file = Descriptor(os.open(self.name, flags, 0o666, dir_fd=self.folder.number))
        except OSError:
            self.discard()
            raise
        self._mine = True

    def renamed(self) -> None:
        """Its name is not its own any more, and so is not deleted."""
        self._mine = False

    def to_swap(self) -> bytes:
        """From now on it is kept, whatever happens: its name. Errors: ProviderUnreachable, OSError."""
        name = self.name.removesuffix(b".part") + b".swap"
        try:
            os.rename(self.name, name, src_dir_fd=self.folder.number, dst_dir_fd=self.folder.number)
        except FileNotFoundError:
            raise ProviderUnreachable(SWEPT) from None
        self.name = name
        return name

    def discard(self) -> None:
        """Deleted, if it is still its own; closed. A second call does nothing."""
        if self._mine:
            self._mine = False
            with suppress(FileNotFoundError):
                os.unlink(self.name, dir_fd=self.folder.number)
        if hasattr(self, "file"):
            self.file.close()
        self.folder.close()
        live.discard(self._stem)

    def __del__(self) -> None:
        if hasattr(self, "_stem"):
            self.discard()


def receive(folder: int, payload: Payload, like: int | None, is_unwanted: Callable[[], bool]) -> Part:
    """The payload's bytes and time in a hidden file, on disk. `like`: an open file whose permissions it has.

    Errors: StoreCorrupt if the payload is not what it says, Unwanted, OSError of the folder's disk; nothing is left.
    """
    try:
        source = Descriptor(os.open(payload.path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise StoreCorrupt(f"the payload {payload.token} cannot be read: {error.strerror}") from error
    part = Part(folder, payload.token)
    try:
        with source:
            _copy(source.number, part.file.number, payload, is_unwanted)
        if like is not None:
            _copy_permissions(like, part.file.number)
        os.utime(part.file.number, ns=(time.time_ns(), payload.mtime_ns))
        os.fsync(part.file.number)
        _check_wanted(is_unwanted)
    except BaseException:
        part.discard()
        raise
    return part


def sum_of(number: int, is_unwanted: Callable[[], bool]) -> bytes:
    """SHA-1 of an open file. Errors: Unwanted, OSError."""
    digest = hashlib.sha1(usedforsecurity=False)
    offset = 0
    while data := os.pread(number, COPY_BYTES, offset):
        _check_wanted(is_unwanted)
        digest.update(data)
        offset += len(data)
    return digest.digest()


def _copy(source: int, target: int, payload: Payload, is_unwanted: Callable[[], bool]) -> None:
    """All bytes: shared blocks where the disk can, else by the kernel, else through memory. Errors: as receive."""
    size_bytes = payload.size_bytes
    if os.fstat(source).st_size != size_bytes:
        raise StoreCorrupt(f"the payload {payload.token} has not the size that was recorded of it")
    if size_bytes and _clone(source, target):
        return
    in_kernel, offset = True, 0
    while offset < size_bytes:
        _check_wanted(is_unwanted)
        count = _copy_range(source, target, offset, size_bytes) if in_kernel else None
        if not count:
            in_kernel = False
            data = os.pread(source, min(COPY_BYTES, size_bytes - offset), offset)
            if not data:
                raise StoreCorrupt(f"the payload {payload.token} became shorter while it was copied")
            count = os.pwrite(target, data, offset)
        offset += count


def _check_wanted(is_unwanted: Callable[[], bool]) -> None:
    if is_unwanted():
        raise Unwanted


def _clone(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in NOT_HERE:
            return False
        raise
    return True


def _copy_range(source: int, target: int, offset: int, size_bytes: int) -> int | None:
    try:
        return os.copy_file_range(source, target, min(COPY_BYTES, size_bytes - offset), offset, offset)
    except OSError as error:
        if error.errno in NOT_HERE:
            return None
        raise


def _copy_permissions(like: int, target: int) -> None:
    """Mode, owner, and what other programs have noted (user.*), as far as we may."""
    status = os.fstat(like)
    with suppress(PermissionError):
        os.fchown(target, status.st_uid, status.st_gid)
    with suppress(PermissionError):
        os.fchmod(target, stat.S_IMODE(status.st_mode) & 0o777)
    with suppress(OSError):
        for name in os.listxattr(like):
            if name.startswith("user."):
                os.setxattr(target, name, os.getxattr(like, name))
