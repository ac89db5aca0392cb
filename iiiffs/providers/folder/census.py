"""What all folders looked like at one time: which there are, and whether one has changed since. Blocking: threads only.

A quick census asks each known folder for its mtime, and looks into those alone where it moved: names that came or
went are found. One from nothing looks at every entry, and so finds files that were written in place as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from iiiffs.errors import ProviderError
from iiiffs.providers.folder.disk import Chain, Disk
from iiiffs.sync.identity import LINK

Key = tuple[int, int]
"""(device, inode)."""

SETTLED_NS = 2_000_000_000
"""A folder that changed less than this before it was looked at may change again without another mtime: the kernel's
clock for files moves in steps of 4 ms, that of some file systems in steps of 2 s."""


@dataclass(frozen=True, slots=True)
class Look:
    """One folder. `signature`: differs whenever name, kind, inode, size or mtime of an entry does.

    `folders`: names of the real folders in it. `targets`: paths of the folders that hold what its symlinks lead to.
    `nameable`: its path and all names in it are UTF-8.
    """

    key: Key
    mtime_ns: int
    taken_ns: int
    signature: int
    folders: frozenset[bytes]
    targets: frozenset[bytes]
    nameable: bool

    def holds(self, status: os.stat_result) -> bool:
        """True if nothing can have come or gone in the folder, going by what it says of itself."""
        same = (status.st_dev, status.st_ino, status.st_mtime_ns) == (*self.key, self.mtime_ns)
        return same and self.mtime_ns < self.taken_ns - SETTLED_NS


@dataclass(frozen=True, slots=True)
class Census:
    """All folders by path below the root (b""). Those behind a symlink are found at their real path only."""

    looks: Mapping[bytes, Look]
    linked: Mapping[bytes, frozenset[bytes]] = field(default_factory=dict)
    """Path of a folder -> paths of the folders with symlinks to something in it."""

    def nameable(self) -> dict[bytes, Key]:
        """The folders that watchfiles can watch."""
        return {path: look.key for path, look in self.looks.items() if look.nameable}

    def differences(self, newer: Census) -> set[bytes]:
        """Folders that are in one of both only, or look different."""
        paths = self.looks.keys() | newer.looks.keys()
        return {path for path in paths if _signature(self, path) != _signature(newer, path)}


def take_census(disk: Disk, before: Census | None = None, again: Container[bytes] = ()) -> Census:
    """All folders now; looks of `before` are used again where they hold, but for the folders in `again`.

    Folders that cannot be read are left out. Errors: ProviderUnreachable, AccessDenied if the root cannot be read.
    """
    looks: dict[bytes, Look] = {}
    waiting: list[tuple[bytes, frozenset[Key]]] = [(b"", frozenset())]
    while waiting:
        path, above = waiting.pop()
        old = before.looks.get(path) if before is not None and path not in again else None
        try:
            look = old if old is not None and old.holds(disk.stat_folder(path)) else look_at(disk, path, above)
        except ProviderError:
            if not path:
                raise
            continue
        looks[path] = look
        below = above | {look.key}
        waiting.extend((join(path, name), below) for name in look.folders)
    return _census(looks)


def look_again(disk: Disk, census: Census, paths: Iterable[bytes]) -> tuple[Census, bool]:
    """`census` with fresh looks at those of its folders; and True if folders came or went, so that more is to be seen.

    Errors: ProviderUnreachable, AccessDenied if the root is one of `paths` and cannot be read.
    """
    looks = dict(census.looks)
    moved = False
    for path in paths:
        old = looks.get(path)
        if old is None:
            moved = True
            continue
        try:
            looks[path] = look_at(disk, path, frozenset(looks[each].key for each in ancestors(path) if each in looks))
        except ProviderError:
            if not path:
                raise
            moved = True
            continue
        fresh = looks[path]
        moved |= (fresh.key, fresh.folders, fresh.nameable) != (old.key, old.folders, old.nameable)
    return _census(looks), moved


def look_at(disk: Disk, path: bytes, above: frozenset[Key]) -> Look:
    """One folder, every entry looked at. Errors: as Disk.scan."""
    taken_ns = time.time_ns()
    scan = disk.scan(path, Chain(above, 0))
    links = [entry.name for entry in scan.entries if entry.kind.startswith(LINK)]
    return Look(
        key=(scan.folder.device, scan.folder.inode),
        mtime_ns=scan.folder.mtime_ns,
        taken_ns=taken_ns,
        signature=hash((scan.folder, scan.entries)),
        folders=frozenset(entry.name for entry in scan.entries if entry.is_folder and not entry.kind.startswith(LINK)),
        targets=frozenset(_target(disk.root, join(path, name)) for name in links),
        nameable=_is_nameable(os.path.join(disk.root, os.fsdecode(path))),  # noqa: PTH118 - bytes names
    )


def join(path: bytes, name: bytes) -> bytes:
    """The path of an entry."""
    return path + b"/" + name if path else name


def parent(path: bytes) -> bytes:
    """The path of the folder that holds it."""
    return path.rpartition(b"/")[0]


def ancestors(path: bytes) -> list[bytes]:
    """All folders above it, the nearest first; the root has none."""
    found = []
    while path:
        path = parent(path)
        found.append(path)
    return found


def _census(looks: dict[bytes, Look]) -> Census:
    linked: dict[bytes, frozenset[bytes]] = {}
    for path, look in looks.items():
        for target in look.targets:
            linked[target] = linked.get(target, frozenset()) | {path}
    return Census(looks, linked)


def _signature(census: Census, path: bytes) -> int | None:
    look = census.looks.get(path)
    return None if look is None else look.signature


def _target(root: str, path: bytes) -> bytes:
    """The path of the real folder that holds what the symlink at `path` leads to."""
    real = os.path.realpath(os.path.join(os.fsencode(root), path))  # noqa: PTH118 - bytes names
    return parent(os.path.relpath(real, os.path.realpath(os.fsencode(root))))


def _is_nameable(folder: str) -> bool:
    """Also of names that are not shown: watchfiles gives up at any name that is not UTF-8."""
    try:
        return all(_is_utf8(name) for name in (folder, *os.listdir(folder)))  # noqa: PTH208 - 10 times as quick
    except OSError:
        return False


def _is_utf8(name: str) -> bool:
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
