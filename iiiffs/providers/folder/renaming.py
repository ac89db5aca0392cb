"""Renames that never overwrite, which Python's os has not. Blocking: worker threads only.

Rule: renameat2(2). Names are bytes below open folders, so no symlink on the way can lead elsewhere.
"""

from __future__ import annotations

import ctypes
import errno
import os

NOREPLACE = 1
EXCHANGE = 2
UNKNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""What file systems say that do not know a flag. EINVAL may also mean a folder that is to go into itself."""

_libc = ctypes.CDLL(None, use_errno=True)


class FlagUnknown(OSError):
    """This file system cannot do it in one step; nothing has changed."""


def rename_new(source: int, name: bytes, target: int, new_name: bytes) -> None:
    """`name` in the folder `source` is `new_name` in `target`, which was free. Errors: FileExistsError, OSError.

    Where the disk does not know such a rename: a second name, then without the first. Both are there for a moment.
    """
    try:
        _renameat2(source, name, target, new_name, NOREPLACE)
    except FlagUnknown:
        os.link(name, new_name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        os.unlink(name, dir_fd=source)


def rename_folder_new(source: int, name: bytes, target: int, new_name: bytes) -> None:
    """As `rename_new`, of a folder.

    Where the disk does not know such a rename, an empty folder that another program makes at the same moment is lost.
    """
    try:
        _renameat2(source, name, target, new_name, NOREPLACE)
    except FlagUnknown:
        if has_entry(target, new_name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(new_name)) from None
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)


def has_entry(folder: int, name: bytes) -> bool:
    """True if the open folder has an entry of that name, whatever it is. Errors: OSError."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def sync_folder(folder: int) -> None:
    """What was renamed in an open folder is on disk, as far as its file system can promise that. Errors: OSError."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise


def exchange(source: int, name: bytes, target: int, other: bytes) -> None:
    """Both entries have changed places, in one step. Errors: FlagUnknown, OSError."""
    _renameat2(source, name, target, other, EXCHANGE)


def _renameat2(source: int, name: bytes, target: int, new_name: bytes, flag: int) -> None:
    if _libc.renameat2(source, name, target, new_name, flag) == 0:
        return
    number = ctypes.get_errno()
    kind = FlagUnknown if number in UNKNOWN else OSError
    raise kind(number, os.strerror(number), os.fsdecode(name), None, os.fsdecode(new_name))
