"""What `iiiffs sync` does with a local folder and an album: copies what the other side lacks, and nothing else.

Nothing is deleted or overwritten, so a file that was removed on one side comes back. Files are the same if their bytes
are: of one name with other bytes is a conflict, of another name with the same bytes is nothing to copy (a provider may
have given it another name). Pure: sums are told where they are needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file on one side. `sha1`: 20 bytes; None while nobody has read it."""

    size_bytes: int
    sha1: bytes | None = None


Files = Mapping[str, FolderFile]
"""Name -> file, of one folder."""


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """What is to be done, by names, each in the order of names.

    `upload`: only in the folder. `download`: only in the album. `conflicts`: in both, with other bytes. `same`: in both
    with the same.
    `renamed`: (in the folder, in the album), the same bytes under two names.
    """

    upload: tuple[str, ...]
    download: tuple[str, ...]
    conflicts: tuple[str, ...]
    same: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]


def sums_needed(local: Files, album: Files) -> tuple[frozenset[str], frozenset[str]]:
    """The names in the folder, and in the album, whose sums decide something: files of a size that the other has."""
    shared = local.keys() & album.keys()
    own, theirs = _only(local, album), _only(album, local)
    lengths = {local[name].size_bytes for name in own} & {album[name].size_bytes for name in theirs}
    twins = {name for name in shared if local[name].size_bytes == album[name].size_bytes}
    return (
        frozenset(twins | {name for name in own if local[name].size_bytes in lengths}),
        frozenset(twins | {name for name in theirs if album[name].size_bytes in lengths}),
    )


def folder_plan(local: Files, album: Files) -> FolderPlan:
    """What is to be done. The sums of `sums_needed` are there. Errors: ValueError if one is not."""
    shared = sorted(local.keys() & album.keys())
    equal = {name for name in shared if _equal(local[name], album[name])}
    renamed = _renamed(local, album)
    here, there = {pair[0] for pair in renamed}, {pair[1] for pair in renamed}
    return FolderPlan(
        upload=tuple(sorted(name for name in _only(local, album) if name not in here)),
        download=tuple(sorted(name for name in _only(album, local) if name not in there)),
        conflicts=tuple(name for name in shared if name not in equal),
        same=tuple(name for name in shared if name in equal),
        renamed=renamed,
    )


def _renamed(local: Files, album: Files) -> tuple[tuple[str, str], ...]:
    """Files that only differ in their names, one for one."""
    own, theirs = _only(local, album), _only(album, local)
    lengths = {local[name].size_bytes for name in own} & {album[name].size_bytes for name in theirs}
    unmatched: defaultdict[tuple[int, bytes], list[str]] = defaultdict(list)
    for name in sorted(theirs, reverse=True):
        if album[name].size_bytes in lengths:
            unmatched[_identity(album[name])].append(name)
    return tuple(
        (name, found.pop())
        for name in sorted(own)
        if local[name].size_bytes in lengths and (found := unmatched.get(_identity(local[name])))
    )


def _only(here: Files, there: Files) -> Iterable[str]:
    return here.keys() - there.keys()


def _equal(one: FolderFile, other: FolderFile) -> bool:
    return one.size_bytes == other.size_bytes and _identity(one) == _identity(other)


def _identity(file: FolderFile) -> tuple[int, bytes]:
    if file.sha1 is None:
        raise ValueError("the sum of a file is needed and missing")
    return file.size_bytes, file.sha1
