"""Files of one user: written whole or not at all, and read by nobody else."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from iiiffs.errors import ConfigError


def rewrite(file: Path, data: bytes, mode: int | None = None) -> None:
    """`file` holds `data`, on disk; whoever read it meanwhile saw all of the old or all of the new.

    A new file is 0600, in a folder that is made (0700) if it is missing. An old one keeps its owner, and its mode
    unless `mode` is given; a symbolic link goes on leading to it. Blocking.
    Errors: ConfigError, and then nothing has changed.
    """
    try:
        target = Path(os.path.realpath(file))
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                _take_after(target, descriptor, mode)
                stream.write(data)
                stream.flush()
                os.fsync(descriptor)
            os.replace(beside, target)  # noqa: PTH105 - both are text
        except BaseException:
            with suppress(FileNotFoundError):
                beside.unlink()
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror or error}") from None


def _take_after(target: Path, descriptor: int, mode: int | None) -> None:
    """The open file has `mode`, or that of the one at `target`, and its owner where that may be given."""
    try:
        old = target.stat()
    except FileNotFoundError:
        return
    with suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o777 if mode is None else mode)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
