"""The folder on disk: safe opening below its root, scanning, and what an OSError means. Blocking: worker threads only.

Nothing outside the root is reached: a path is opened first (O_PATH: no side effects on fifos and devices), and then the
kernel is asked what was opened (/proc/self/fd). So a symlink that is exchanged between two looks changes nothing.
No descriptor of the root is kept, because that would keep its disk from being unmounted.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from iiiffs.errors import AccessDenied, AssetGone, ProviderUnreachable
from iiiffs.providers.media import kind_of
from iiiffs.providers.mountinfo import OWN_TYPE, read_mounts
from iiiffs.sync.identity import FOLDER, LINK, Observed
from iiiffs.tree.junk import is_junk

log = logging.getLogger(__name__)

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
DENIED = frozenset({errno.EACCES, errno.EPERM})
LINK_DEPTH = 2
"""How many symlinked folders may be on one path. Folders full of links to one another would otherwise be shown in
exponentially many places; every path is free of loops in any case."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One folder as it is now: itself, and its entries by name."""

    folder: Observed
    entries: tuple[Observed, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The folders from the topmost to the one that is scanned: (device, inode) of each, and the symlinks among them."""

    folders: Collection[tuple[int, int]]
    links: int


class Descriptor:
    """An open descriptor that is closed at the latest when nobody has it any more (an abandoned thread's result)."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        """Closed; a second call does nothing."""
        if self.number >= 0:
            number, self.number = self.number, -1
            os.close(number)

    def __enter__(self) -> Descriptor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    __del__ = close


class Disk:
    """The files below `root`, an absolute path. Relative paths are bytes, b"" is the root itself."""

    def __init__(self, root: str) -> None:
        self._root = os.fsencode(root)
        self._expected: tuple[int, int] | None = None

    def expect_root(self, device: int, inode: int) -> None:
        """The root is that folder. An empty one of another identity then counts as a disk that is not mounted."""
        self._expected = (device, inode)

    @property
    def root(self) -> str:
        """As it was configured."""
        return os.fsdecode(self._root)

    def check(self) -> None:
        """The root can be listed. Errors: AccessDenied, ProviderUnreachable."""
        self.scan(b"", Chain(frozenset(), 0))

    def stat(self, path: bytes) -> os.stat_result:
        """Of what is there, symlinks followed. Errors: AssetGone, AccessDenied, ProviderUnreachable."""
        with self._asking(path), self._located(path) as place:
            return os.fstat(place.number)

    def stat_folder(self, path: bytes) -> os.stat_result:
        """As `stat`. Errors: AssetGone if it is no folder."""
        status = self.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            raise AssetGone(f"{self._shown(path)} is no folder")
        return status

    def stat_file(self, path: bytes) -> os.stat_result:
        """As `stat`. Errors: AssetGone if it is no regular file."""
        status = self.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise AssetGone(f"{self._shown(path)} is no regular file")
        return status

    def open(self, path: bytes) -> tuple[Descriptor, os.stat_result]:
        """A regular file, open for reading, and its state. Errors: AssetGone if it is no regular file, as `stat`."""
        with self._asking(path), self._located(path) as place:
            status = os.fstat(place.number)
            if not stat.S_ISREG(status.st_mode):
                raise AssetGone(f"{self._shown(path)} is no regular file")
            return Descriptor(os.open(f"/proc/self/fd/{place.number}", os.O_RDONLY | os.O_CLOEXEC)), status

    def open_folder(self, path: bytes) -> Descriptor:
        """A folder, open for changes of what is in it. Errors: AssetGone if it is no folder, as `stat`."""
        with self._asking(path), self._located(path) as place:
            if not stat.S_ISDIR(os.fstat(place.number).st_mode):
                raise AssetGone(f"{self._shown(path)} is no folder")
            return Descriptor(os.open(f"/proc/self/fd/{place.number}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def scan(self, path: bytes, chain: Chain) -> Scan:
        """What is in a folder: regular files and folders, no junk, nothing outside the root, no loops.

        What vanishes meanwhile is left out. Errors: AssetGone if it is no folder, as `stat`.
        """
        with self._asking(path), self._located(path) as place:
            status = os.fstat(place.number)
            if not stat.S_ISDIR(status.st_mode):
                raise AssetGone(f"{self._shown(path)} is no folder")
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            with Descriptor(os.open(f"/proc/self/fd/{place.number}", flags)) as folder:
                itself = _observed(b"", status, FOLDER)
                entries = tuple(self._entries(folder.number, itself, chain))
            if not path and not entries and not self._has_root():
                raise ProviderUnreachable(self._unmounted())
            return Scan(itself, entries)

    def is_absent(self, path: bytes, folder_key: tuple[int, int]) -> bool:
        """True only if the folder that would hold it is there, has that (device, inode), and does not hold it."""
        folder, _, name = path.rpartition(b"/")
        try:
            with self._located(folder) as place:
                status = os.fstat(place.number)
                if (status.st_dev, status.st_ino) != folder_key:
                    return False
                return not _has_entry(place.number, name)
        except (OSError, AssetGone):
            return False

    def _entries(self, folder: int, itself: Observed, chain: Chain) -> Iterator[Observed]:
        own_mounts: set[tuple[int, int]] | None = None
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_junk(entry.name):
                    continue
                try:
                    seen = self._entry(folder, entry)
                except FileNotFoundError:
                    continue
                if seen is None:
                    continue
                if seen.is_folder:
                    key = (seen.device, seen.inode)
                    if key in chain.folders or key == (itself.device, itself.inode):
                        log.debug("%r is not followed: it leads back to a folder above it", entry.name)
                        continue
                    if seen.kind.startswith(LINK) and chain.links >= LINK_DEPTH:
                        log.debug("%r is not followed: it is below %d symlinks already", entry.name, chain.links)
                        continue
                    if seen.device != itself.device:
                        own_mounts = _own_mounts() if own_mounts is None else own_mounts
                        if (os.major(seen.device), os.minor(seen.device)) in own_mounts:
                            continue
                yield seen

    def _entry(self, folder: int, entry: os.DirEntry[str]) -> Observed | None:
        """One entry; None if it is not to be shown. FileNotFoundError if it has vanished."""
        name = os.fsencode(entry.name)
        if entry.is_symlink():
            return self._linked(folder, name)
        status = entry.stat(follow_symlinks=False)
        mode = status.st_mode
        if stat.S_ISREG(mode):
            return _observed(name, status, kind_of(entry.name))
        return _observed(name, status, FOLDER) if stat.S_ISDIR(mode) else None

    def _linked(self, folder: int, name: bytes) -> Observed | None:
        try:
            with Descriptor(os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=folder)) as target:
                self._check_inside(target, name)
                status = os.fstat(target.number)
        except (OSError, AssetGone) as error:
            log.debug("the symlink %r is not followed: %s", name, error)
            return None
        if stat.S_ISREG(status.st_mode):
            return _observed(name, status, LINK + kind_of(os.fsdecode(name)))
        return _observed(name, status, LINK + FOLDER) if stat.S_ISDIR(status.st_mode) else None

    def _located(self, path: bytes) -> Descriptor:
        """An O_PATH descriptor of what is at `path`, which is inside the root."""
        whole = os.path.join(self._root, path) if path else self._root  # noqa: PTH118 - Path knows no bytes
        place = Descriptor(os.open(whole, os.O_PATH | os.O_CLOEXEC))
        if path:
            self._check_inside(place, path)
        return place

    def _check_inside(self, place: Descriptor, path: bytes) -> None:
        real = os.readlink(f"/proc/self/fd/{place.number}".encode())  # noqa: PTH115 - Path knows no bytes
        root = os.path.realpath(self._root)
        if real != root and not real.startswith(root.rstrip(b"/") + b"/"):
            place.close()
            raise AssetGone(f"{self._shown(path)} leads out of {self.root}")

    @contextmanager
    def _asking(self, path: bytes) -> Iterator[None]:
        """OSErrors become ours. Gone is only said while the root itself can be opened."""
        try:
            yield
        except OSError as error:
            shown = self._shown(path)
            if error.errno in GONE and path and self._has_root():
                raise AssetGone(f"{shown} is not there") from error
            if error.errno in DENIED:
                raise AccessDenied(f"{shown} may not be read; give the user of iiiffs read access to it") from error
            if error.errno in GONE:
                raise ProviderUnreachable(self._unmounted()) from error
            raise ProviderUnreachable(f"{shown} cannot be read: {error.strerror}") from error

    def _has_root(self) -> bool:
        """True if the root is there and is not an empty mount point in the place of what was there before."""
        try:
            with Descriptor(os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as root:
                status = os.fstat(root.number)
                return self._expected in (None, (status.st_dev, status.st_ino)) or _has_entries(root.number)
        except OSError:
            return False

    def _unmounted(self) -> str:
        return f"{self.root} is not there, or empty where there were files; is its disk mounted?"

    def _shown(self, path: bytes) -> str:
        """For a message: one line, whatever bytes the name has."""
        return ascii(os.fsdecode(os.path.join(self._root, path))) if path else self.root  # noqa: PTH118 - bytes


def _observed(name: bytes, status: os.stat_result, kind: str) -> Observed:
    return Observed(name, kind, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _has_entries(folder: int) -> bool:
    with os.scandir(folder) as entries:
        return any(True for _ in entries)


def _has_entry(folder: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _own_mounts() -> set[tuple[int, int]]:
    """Devices of iiiffs mounts: a gallery must not hold itself."""
    return {mount.device for mount in read_mounts() if mount.type == OWN_TYPE}
