"""The state folder: private to its owner, on a local disk, and held by one process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from iiiffs.cache.location import refuse_network_filesystem
from iiiffs.errors import ConfigError, StoreError, StoreLocked

LOCK_NAME = "lock"


def prepare_folder(path: Path) -> None:
    """`path` is a folder with mode 0700 on a local file system; made if it was not there.

    Errors: ConfigError on a network file system (rule: lmdb.h "caveats") if it is no folder, or may not be used.
    """
    refuse_network_filesystem(path, "state")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"[state] path: {path} is not a folder; choose another one") from error
    except PermissionError as error:
        raise ConfigError(f"[state] path: may not use {path}; make it yours or choose another one") from error
    except OSError as error:
        raise StoreError(f"[state] path: {path}: {error.strerror}") from error


def lock_folder(path: Path) -> int:
    """A descriptor that holds the folder's lock until it is closed; the lock file says whose process it is.

    The lock goes with the open file, so a daemon that goes to the background must take it after its last fork.
    Errors: StoreLocked with the holder's process id.
    """
    descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode("ascii", errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreLocked(f"{path} is in use by process {holder}; stop that one first (iiiffs umount)") from error
    except OSError as error:
        os.close(descriptor)
        raise StoreError(f"{path}: cannot be locked: {error.strerror}") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return descriptor
