"""The trash of the desktop, where what was removed or replaced lies until a person empties it. Blocking: threads only.

Rule: freedesktop.org Trash specification 1.0. A file is only ever renamed, so its trash is on its own file system:
the home trash ($XDG_DATA_HOME/Trash), else that of the disk's topmost folder ($topdir/.Trash/UID, $topdir/.Trash-UID).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import quote

from iiiffs.errors import Rejected
from iiiffs.providers.folder.disk import Descriptor
from iiiffs.providers.folder.renaming import has_entry, rename_folder_new, rename_new, sync_folder

INFO = b".trashinfo"
NAME_BYTES_MAX = 255
TRIES_MAX = 10_000
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
NO_TRASH = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENOENT})
"""Errors that mean: not this trash; the next one may do."""


@dataclass(frozen=True, slots=True)
class _Folders:
    """An open trash. `above`: what Paths in it are relative to; None in the home trash, where they are whole."""

    files: int
    info: int
    above: bytes | None


@dataclass(slots=True)
class Slot:
    """A place in the trash that is kept for one file or folder. Whoever has it calls `take` or `free`."""

    files: int
    info: int
    name: bytes
    taken: bool = field(default=False)

    def take(self, folder: int, name: bytes) -> None:
        """The entry `name` of `folder` is in the trash, durably. Errors: OSError, and then it is where it was."""
        _rename(folder, name, self.files, self.name)
        self.taken = True
        for number in (self.files, folder):
            sync_folder(number)

    def give_back(self, folder: int, name: bytes) -> None:
        """What `take` took is in its place again. Errors: FileExistsError, OSError, and then it is in the trash."""
        _rename(self.files, self.name, folder, name)
        self.taken = False
        sync_folder(folder)

    def free(self) -> None:
        """The place is nobody's, if nothing was put there."""
        if not self.taken:
            os.unlink(self.name + INFO, dir_fd=self.info)


def path_of(folder: int, name: bytes) -> bytes:
    """The absolute path of an entry of an open folder, free of symlinks."""
    return os.path.join(os.readlink(b"/proc/self/fd/%d" % folder), name)  # noqa: PTH115, PTH118 - bytes


def _rename(source: int, name: bytes, target: int, new_name: bytes) -> None:
    is_folder = stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode)
    (rename_folder_new if is_folder else rename_new)(source, name, target, new_name)


@contextmanager
def reserved(folder: int, path: bytes, now_ns: int) -> Iterator[Slot]:
    """A place for what is at the absolute `path` in the open `folder`. Freed if nothing was put there.

    Errors: Rejected if no trash can be used for it, OSError where the disk is full or fails.
    """
    with ExitStack() as open_folders:
        folders = _trash_for(folder, open_folders)
        if folders is None:
            raise Rejected(_advice(path))
        slot = _slot(folders, path, now_ns)
        try:
            yield slot
        finally:
            slot.free()


def _trash_for(folder: int, open_folders: ExitStack) -> _Folders | None:
    """The first trash on the mount of `folder` that can be used."""
    found = _opened(lambda: _home_trash(folder), folder, open_folders)
    if found is not None:
        return _Folders(*found, None)
    try:
        top = _top(folder)
    except PermissionError:
        return None
    for opened in (_shared_trash, _own_trash):
        found = _opened(partial(opened, top, os.getuid()), folder, open_folders)
        if found is not None:
            return _Folders(*found, top)
    return None


def _opened(trash: Callable[[], Descriptor], folder: int, open_folders: ExitStack) -> tuple[int, int] | None:
    """Its two folders, made where they lack; None if it cannot be used for what is in `folder`."""
    try:
        with trash() as base:
            if _mount(base.number) != _mount(folder):
                return None
            found = []
            for name in (b"files", b"info"):
                _make(name, base.number)
                found.append(os.open(name, FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=base.number))
                open_folders.callback(os.close, found[-1])
            return found[0], found[1]
    except OSError as error:
        if error.errno in NO_TRASH:
            return None
        raise


def _home_trash(folder: int) -> Descriptor:
    """$XDG_DATA_HOME/Trash; not made for a folder of another disk. Errors: OSError."""
    data = os.environ.get("XDG_DATA_HOME", "")
    home = Path(data if data.startswith("/") else os.path.expanduser("~/.local/share"))  # noqa: PTH111 - never raises
    if not home.is_absolute():
        raise FileNotFoundError(errno.ENOENT, "nobody knows a home")
    with Descriptor(os.open(_nearest(home / "Trash"), os.O_PATH | os.O_CLOEXEC)) as there:
        if _mount(there.number) != _mount(folder):
            raise FileNotFoundError(errno.ENOENT, "on another disk")
    home.mkdir(parents=True, exist_ok=True)
    return _own_folder(os.fsencode(home / "Trash"))


def _nearest(path: Path) -> Path:
    """`path`, or the first folder above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def _shared_trash(top: bytes, uid: int) -> Descriptor:
    """$topdir/.Trash/UID. Rule: only if .Trash is no symlink and has the sticky bit."""
    with Descriptor(os.open(os.path.join(top, b".Trash"), FOLDER_FLAGS | os.O_NOFOLLOW)) as shared:  # noqa: PTH118
        if not os.fstat(shared.number).st_mode & stat.S_ISVTX:
            raise PermissionError(errno.EPERM, "not sticky")
        return _own_folder(b"%d" % uid, shared.number)


def _own_trash(top: bytes, uid: int) -> Descriptor:
    return _own_folder(os.path.join(top, b".Trash-%d" % uid))  # noqa: PTH118 - bytes


def _own_folder(path: bytes, above: int | None = None) -> Descriptor:
    """The folder at `path`, made where it lacks; nobody else's, and no symlink. Errors: OSError."""
    _make(path, above)
    found = Descriptor(os.open(path, FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=above))
    if os.fstat(found.number).st_uid != os.getuid():
        found.close()
        raise PermissionError(errno.EPERM, "somebody else's")
    return found


def _make(path: bytes, above: int | None) -> None:
    """The folder is there, and durably if it was not. Errors: OSError."""
    try:
        os.mkdir(path, 0o700, dir_fd=above)
    except FileExistsError:
        return
    parent = os.path.dirname(path) or b"."  # noqa: PTH120 - bytes
    with Descriptor(os.open(parent, FOLDER_FLAGS, dir_fd=above)) as opened:
        sync_folder(opened.number)


def _slot(folders: _Folders, path: bytes, now_ns: int) -> Slot:
    """A free name, by a .trashinfo that was not there before.

    Rule: Trash specification, "Contents of a trash directory".
    """
    where = path if folders.above is None else os.path.relpath(path, folders.above)
    when = datetime.fromtimestamp(now_ns // 10**9).strftime("%Y-%m-%dT%H:%M:%S")
    text = f"[Trash Info]\nPath={quote(where, safe='/')}\nDeletionDate={when}\n".encode()
    for name in _names(path.rpartition(b"/")[2]):
        try:
            number = os.open(name + INFO, NEW_FLAGS, 0o600, dir_fd=folders.info)
        except FileExistsError:
            continue
        slot = Slot(folders.files, folders.info, name)
        try:
            with Descriptor(number):
                os.write(number, text)
                os.fsync(number)
            if not has_entry(folders.files, name):  # else its .trashinfo was lost: it is left alone
                sync_folder(folders.info)
                return slot
            slot.free()
        except OSError:
            slot.free()
            raise
    raise FileExistsError(errno.EEXIST, "the trash has too many files of that name")


def _names(name: bytes) -> Iterator[bytes]:
    """`name`, then with numbers before its suffix; short enough that `.trashinfo` has room."""
    stem, dot, suffix = name.rpartition(b".")
    if not stem:
        stem, dot, suffix = name, b"", b""
    for number in range(1, TRIES_MAX):
        tail = (b"" if number == 1 else b".%d" % number) + (dot + suffix)[:40]
        yield stem[: NAME_BYTES_MAX - len(INFO) - len(tail)] + tail


def _top(folder: int) -> bytes:
    """The topmost folder of the mount that `folder` is on."""
    path = os.readlink(b"/proc/self/fd/%d" % folder)  # noqa: PTH115 - bytes
    mount = _mount(folder)
    while path != b"/":
        above = os.path.dirname(path)  # noqa: PTH120 - bytes
        with Descriptor(os.open(above, os.O_PATH | os.O_CLOEXEC)) as opened:
            if _mount(opened.number) != mount:
                return path
        path = above
    return path


def _mount(number: int) -> tuple[int, bytes]:
    """Device and mount of an open folder: between two of equal ones, renames work. Rule: proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{number}", "rb") as lines:  # noqa: PTH123 - a line, quickly
        mount = next((line.split()[1] for line in lines if line.startswith(b"mnt_id:")), b"")
    return os.fstat(number).st_dev, mount


def _advice(path: bytes) -> str:
    shown = ascii(os.fsdecode(path))
    return (
        f"{shown} stays: its disk has no trash that iiiffs may use; "
        f"make a folder .Trash-{os.getuid()} at the top of that disk, owned by the user of iiiffs, or remove it there"
    )
