"""Which id belongs to which file: recorded rows and what is seen on disk in, decided rows out. Pure.

The order of claims on a row, strongest first, each pass over all observed entries before the next one begins:

1. the same path (an editor's temp + rename over keeps the id);
2. the same device, inode, mtime and size, where the recorded path is positively absent (a rename keeps the id);
3. the same content, where the recorded path is positively absent (a move between disks keeps the id);
4. nobody: a new id, a hash of account and path, so that a host without state gives the same URIs.

An inode number alone says nothing: ext4 gives that of a deleted file to the very next one that is made.
2 and 3 want the same kind too, so that the backup `IMG.jpg~` does not take the id of `IMG.jpg` between an editor's two
renames. A row belongs to a folder's *id*, not to its path: when a folder is renamed, all below it follows.
Rows of what vanished stay (`gone`), so that a file that comes back has its old id; see `_is_forgettable` for the bound.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from iiiffs.model.gallery import Version

FOLDER = "folder"
LINK = "link:"
"""Prefix of the kind of what is reached through a symlink, so that a link never takes the id of the real thing."""

ELSEWHERE = 0
"""Device and inode of a row that came from another host, where nobody has seen the file here yet. No file has them."""

SECOND_NS = 1_000_000_000
SHOWN_MAX = 16
"""How many earlier shown times of one file are remembered. A file that was replaced more often than that, and then by
one with the time of its 17th last version, could show that time again."""


class Observed(NamedTuple):
    """One directory entry as seen now. `kind`: FOLDER, a media type or a suffix; after LINK if through a symlink.

    A NamedTuple because 10,000 are made and compared at every look at a large folder (a third of a dataclass's time).
    """

    name: bytes
    kind: str
    device: int
    inode: int
    size: int
    mtime_ns: int

    @property
    def is_folder(self) -> bool:
        """True for a folder, also one behind a symlink."""
        return self.kind.removeprefix(LINK) == FOLDER


@dataclass(frozen=True, slots=True)
class Row:
    """What is recorded of one file or folder. Fields are stored in this order: append only, with defaults.

    `folder`: id of the folder it is in; "" for the topmost one.
    `shown_ns`, `changed_ns`: model.gallery.Asset's `mtime_ns` and `changed_ns`.
    `digest`: of size, head and tail; b"" while nobody has read the file in this version.
    `earlier_ns`: shown times of earlier versions, oldest first, SHOWN_MAX at most.
    `gone`: its folder was listed without it, and nothing else has claimed the row since.
    """

    id: str
    folder: str
    name: bytes
    kind: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    shown_ns: int
    changed_ns: int
    digest: bytes = b""
    earlier_ns: tuple[int, ...] = ()
    gone: bool = False

    @property
    def is_folder(self) -> bool:
        """True for a folder, also one behind a symlink."""
        return self.kind.removeprefix(LINK) == FOLDER

    @property
    def version(self) -> Version:
        """The version that was last recorded."""
        return version_of(self.mtime_ns, self.size, self.inode)


@dataclass(frozen=True, slots=True)
class Place:
    """The folder whose entries are decided. `path`: of bytes names joined by "/", below the topmost folder's b""."""

    account: str
    id: str
    path: bytes

    def below(self, name: bytes) -> bytes:
        """The path of an entry in it."""
        return self.path + b"/" + name if self.path else name


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known beside the folder's present entries.

    `recorded`: all rows of the folder. `absent`: rows of other folders whose recorded path is positively absent.
    `digests`: entry name -> digest, of those entries where one was computed. `taken`: whether any row has that id.
    """

    recorded: Sequence[Row]
    taken: Callable[[str], bool]
    absent: Sequence[Row] = ()
    digests: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """`rows`: one for each observed entry, in its order. `changed`: to be recorded. `forgotten`: ids to be dropped."""

    rows: tuple[Row, ...]
    changed: tuple[Row, ...]
    forgotten: tuple[str, ...]


def version_of(mtime_ns: int, size: int, inode: int) -> Version:
    """Another one whenever any of the three is."""
    return Version(f"{mtime_ns:x}-{size:x}-{inode:x}")


def new_id(account: str, path: bytes, *, is_folder: bool, taken: Callable[[str], bool]) -> str:
    """24 letters of a-z and 2-7: a hash of account, kind and path, and of a counter where that is taken."""
    salt = 0
    while True:
        text = b"\0".join([account.encode(), b"folder" if is_folder else b"file", path, b"%d" % salt])
        digest = hashlib.blake2b(text, digest_size=15, person=b"iiiffs id").digest()
        found = base64.b32encode(digest).decode().lower()
        if not taken(found):
            return found
        salt += 1


def moved_key(entry: Observed | Row) -> tuple[object, ...]:
    """What a rename leaves as it was. (The size of a folder is the file system's own affair.)"""
    size = 0 if entry.is_folder else entry.size
    return (entry.kind, entry.device, entry.inode, entry.mtime_ns, size)


def evolve(row: Row, seen: Observed, now_ns: int) -> Row:
    """`row` after `seen` was found at its path; `row` itself when nothing differs. Rule: DESIGN §2.4.

    A file of another host that has kept size and mtime is the version that it was there: it shows the same time.
    A new version shows the file's mtime, or the next later time that is at least 1 s from what earlier ones showed;
    and has begun at the file's mtime or now, whichever is later, and at least 1 s after the one before.
    """
    if row.is_folder:
        now = (seen.kind, seen.device, seen.inode, seen.mtime_ns, False)
        if (row.kind, row.device, row.inode, row.mtime_ns, row.gone) == now:
            return row
        return replace(row, kind=seen.kind, device=seen.device, inode=seen.inode, mtime_ns=seen.mtime_ns, gone=False)
    brought = row.inode == ELSEWHERE and (row.mtime_ns, row.size) == (seen.mtime_ns, seen.size)
    if brought or row.version == version_of(seen.mtime_ns, seen.size, seen.inode):
        if (row.kind, row.device, row.inode, row.gone) == (seen.kind, seen.device, seen.inode, False):
            return row
        return replace(row, kind=seen.kind, device=seen.device, inode=seen.inode, gone=False)
    earlier = (*row.earlier_ns, row.shown_ns)[-SHOWN_MAX:]
    return replace(
        row,
        kind=seen.kind,
        device=seen.device,
        inode=seen.inode,
        size=seen.size,
        mtime_ns=seen.mtime_ns,
        shown_ns=_apart(seen.mtime_ns, earlier),
        changed_ns=max(seen.mtime_ns, now_ns, row.changed_ns + SECOND_NS),
        digest=b"",
        earlier_ns=earlier,
        gone=False,
    )


def unclaimed(observed: Sequence[Observed], recorded: Iterable[Row]) -> list[Observed]:
    """The entries that have no row by path: those for which rows of other folders and contents are worth a look."""
    paths = {(row.is_folder, row.name) for row in recorded}
    return [seen for seen in observed if (seen.is_folder, seen.name) not in paths]


def decide(place: Place, observed: Sequence[Observed], memory: Memory, now_ns: int) -> Decision:
    """The rows of all that is in one folder. The order of `observed`, `recorded` and `absent` does not matter.

    Each row is claimed at most once, so two live paths never share an id.
    """
    claims = _claims(observed, memory)
    fresh: set[str] = set()
    decided: dict[bytes, Row] = {}
    changed: list[Row] = []
    for seen in sorted(observed, key=lambda entry: entry.name):
        old = claims.get(seen.name)
        if old is None:
            row = _new_row(place, seen, lambda found: found in fresh or memory.taken(found))
            fresh.add(row.id)
        else:
            row = evolve(old, seen, now_ns)
            if (row.folder, row.name) != (place.id, seen.name):
                row = replace(row, folder=place.id, name=seen.name)
        decided[seen.name] = row
        if row is not old:
            changed.append(row)
    kept, forgotten = _vanished(place, memory.recorded, {row.id for row in decided.values()})
    return Decision(tuple(decided[seen.name] for seen in observed), (*changed, *kept), forgotten)


def _claims(observed: Sequence[Observed], memory: Memory) -> dict[bytes, Row]:
    """Entry name -> the row that it claims, by path, then inode, then content."""
    paths = {(row.is_folder, row.name): row for row in memory.recorded}
    claims = {seen.name: paths[key] for seen in observed if (key := (seen.is_folder, seen.name)) in paths}
    claimed = {row.id for row in claims.values()}
    free = [row for row in (*memory.recorded, *memory.absent) if row.id not in claimed]
    rest = sorted((seen for seen in observed if seen.name not in claims), key=lambda entry: entry.name)
    inodes = _by_key(free, moved_key)
    contents = _by_key((row for row in free if row.digest and row.size), lambda row: (row.kind, row.size, row.digest))
    for seen in rest:
        _claim(claims, claimed, seen, inodes.get(moved_key(seen), ()))
    for seen in rest:
        if seen.name not in claims and seen.name in memory.digests:
            _claim(claims, claimed, seen, contents.get((seen.kind, seen.size, memory.digests[seen.name]), ()))
    return claims


def _by_key(rows: Iterable[Row], key: Callable[[Row], object]) -> dict[object, list[Row]]:
    """The rows in groups, each in an order that does not depend on arrival: what vanished last known first."""
    groups: dict[object, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.gone, row.id)):
        groups.setdefault(key(row), []).append(row)
    return groups


def _claim(claims: dict[bytes, Row], claimed: set[str], seen: Observed, candidates: Iterable[Row]) -> None:
    """The first candidate that nobody has yet is `seen`'s."""
    for row in candidates:
        if row.id not in claimed:
            claims[seen.name] = row
            claimed.add(row.id)
            return


def _new_row(place: Place, seen: Observed, taken: Callable[[str], bool]) -> Row:
    return Row(
        id=new_id(place.account, place.below(seen.name), is_folder=seen.is_folder, taken=taken),
        folder=place.id,
        name=seen.name,
        kind=seen.kind,
        device=seen.device,
        inode=seen.inode,
        size=seen.size,
        mtime_ns=seen.mtime_ns,
        shown_ns=seen.mtime_ns,
        changed_ns=seen.mtime_ns,
    )


def _apart(mtime_ns: int, earlier_ns: Sequence[int]) -> int:
    """The first time from `mtime_ns` on that is at least 1 s from each earlier one."""
    shown = mtime_ns
    for earlier in sorted(earlier_ns):
        if abs(shown - earlier) < SECOND_NS:
            shown = earlier + SECOND_NS
    return shown


def _vanished(place: Place, recorded: Sequence[Row], live: set[str]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Rows of this folder that nobody claimed: newly marked as gone, and ids to be dropped."""
    kept, forgotten = [], []
    for row in sorted(recorded, key=lambda row: row.id):
        if row.id in live:
            continue
        if _is_forgettable(place, row):
            forgotten.append(row.id)
        elif not row.gone:
            kept.append(replace(row, gone=True))
    return tuple(kept), tuple(forgotten)


def _is_forgettable(place: Place, row: Row) -> bool:
    """True if a vanished row says nothing that the path alone would not say again.

    So editors' temp files and lock files leave nothing behind, while pictures, videos and folders are remembered for
    ever: some 400 bytes for each that ever was, which is less than a thousandth of what the picture took.
    """
    if row.is_folder or "/" in row.kind.removeprefix(LINK):
        return False
    return row.id == new_id(place.account, place.below(row.name), is_folder=False, taken=lambda _: False)
