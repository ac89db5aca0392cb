"""Between ledger and disk: where an id is, and which rows a folder's entries have. Blocking: worker threads only."""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from iiiffs.errors import AssetGone, ProviderError
from iiiffs.providers.base import IdentityLedger
from iiiffs.providers.folder.disk import Chain, Disk, Scan
from iiiffs.providers.folder.original import fingerprint
from iiiffs.sync.identity import (
    FOLDER,
    LINK,
    Decision,
    Memory,
    Observed,
    Place,
    Row,
    decide,
    evolve,
    moved_key,
    new_id,
    unclaimed,
    version_of,
)

DEPTH_MAX = 2048
"""Of folders on one path: Linux's PATH_MAX of 4096 bytes holds no more."""


@dataclass(frozen=True, slots=True)
class Located:
    """A row, its path below the root, and the folders from the root down to it, as the ledger has them."""

    row: Row
    path: bytes
    chain: Chain
    folders: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A look at a folder, the rows of its entries, and what must be committed before anybody may hear of them.

    `losers`: ids of other folders that lost a row to this one.
    """

    scan: Scan
    decision: Decision
    changed: tuple[Row, ...]
    losers: frozenset[str]


class Records:
    """The rows of one account, and the files that they are about."""

    def __init__(self, account: str, disk: Disk, ledger: IdentityLedger) -> None:
        self._account = account
        self._disk = disk
        self._ledger = ledger
        self.root_id = new_id(account, b"", is_folder=True, taken=lambda _: False)

    def root_row(self) -> Row:
        """The root's row, or what it will be before the root was ever listed."""
        row = self._ledger.row(self.root_id)
        return row or Row(self.root_id, "", b"", FOLDER, 0, 0, 0, 0, 0, 0)

    def locate(self, id: str, *, is_folder: bool) -> Located:
        """Where `id` was last seen. Errors: AssetGone if no folder (or file) of that id is recorded."""
        row = self.root_row() if id == self.root_id else self._ledger.row(id)
        if row is None or row.is_folder != is_folder:
            raise AssetGone(f"there is no {'album' if is_folder else 'asset'} {id!a}")
        rows = [row]
        while rows[-1].id != self.root_id:
            parent = rows[-1].folder
            above = self.root_row() if parent == self.root_id else self._ledger.row(parent)
            if above is None or len(rows) > DEPTH_MAX:
                raise AssetGone(f"{id!a} is in no folder that is known")
            rows.append(above)
        rows.reverse()
        folders = tuple(each for each in rows if each.is_folder)
        chain = Chain(
            frozenset((each.device, each.inode) for each in folders),
            sum(each.kind.startswith(LINK) for each in folders),
        )
        return Located(row, b"/".join(each.name for each in rows[1:]), chain, folders)

    def reconcile(self, here: Located, now_ns: int) -> Reconciled:
        """A fresh look at the folder `here`, and whose rows its entries are. Nothing is written."""
        scan = self._disk.scan(here.path, here.chain)
        recorded = self._ledger.rows_in(here.row.id)
        fresh = unclaimed(scan.entries, recorded)
        inodes = {(seen.device, seen.inode) for seen in fresh}
        elsewhere = [row for row in self._ledger.rows_of_inodes(inodes) if row.folder != here.row.id]
        recorded, elsewhere = (self._recognised(here, fresh, rows) for rows in (recorded, elsewhere))
        vanished = _vanished(scan, recorded)
        there = {moved_key(seen) for seen in fresh}
        left = {row.id for row in vanished if row.is_folder and moved_key(row) not in there}
        absent = [row for row in elsewhere if moved_key(row) in there and self._is_absent(row, left)]
        absent, digests = self._with_contents(here, fresh, vanished, absent, left)
        place = Place(self._account, here.row.id, here.path)
        memory = Memory(recorded, lambda id: self._ledger.row(id) is not None, absent, digests)
        decision = decide(place, scan.entries, memory, now_ns)
        itself = evolve(here.row, scan.folder._replace(kind=here.row.kind), now_ns)
        changed = decision.changed if itself is here.row else (*decision.changed, itself)
        claimed = {row.id for row in decision.changed}
        return Reconciled(scan, decision, changed, frozenset(row.folder for row in absent if row.id in claimed))

    def row_for(self, here: Located, entry: Observed, now_ns: int, *, is_known: bool) -> Row:
        """The row of one entry of the folder `here`, without a look at the others.

        `is_known`: a listing may have seen it before, under an id that is not its path's; else its inode is new.
        """
        place = Place(self._account, here.row.id, here.path)
        before = self._row_at(place, entry, is_known=is_known)
        memory = Memory([] if before is None else [before], lambda id: self._ledger.row(id) is not None)
        return decide(place, [entry], memory, now_ns).rows[0]

    def look(self, located: Located) -> Observed:
        """The file as it is now. Errors: AssetGone if it is no regular file any more, and as Disk.stat."""
        return _seen(located.row, self._disk.stat_file(located.path))

    def with_digests(self, digests: dict[str, tuple[str, bytes]]) -> list[Row]:
        """The rows that change by digests of (version, digest), those of other versions left out."""
        rows = []
        for id, (version, digest) in digests.items():
            row = self._ledger.row(id)
            if row is not None and row.version == version and row.digest != digest:
                rows.append(replace(row, digest=digest))
        return rows

    def _row_at(self, place: Place, entry: Observed, *, is_known: bool) -> Row | None:
        """The row of that place: the one with the path's own id, else, where the entry `is_known`, any."""

        def is_it(row: Row | None) -> bool:
            return row is not None and (row.folder, row.name, row.is_folder) == (place.id, entry.name, entry.is_folder)

        own = new_id(place.account, place.below(entry.name), is_folder=entry.is_folder, taken=lambda _: False)
        row = self._ledger.row(own)
        if is_it(row) or not is_known:
            return row if is_it(row) else None
        return next((each for each in self._ledger.rows_in(place.id) if is_it(each)), None)

    def _recognised(self, here: Located, fresh: Sequence[Observed], rows: Sequence[Row]) -> list[Row]:
        """`rows`, those of folders with the mtime of the new entry that holds a file of theirs unchanged.

        So a folder that was renamed and changed since is known by what is in it.
        """
        folders = {(seen.kind, seen.device, seen.inode): seen for seen in fresh if seen.is_folder}
        recognised = []
        for row in rows:
            seen = folders.get((row.kind, row.device, row.inode))
            if seen and seen.mtime_ns != row.mtime_ns and self._holds_one_of(_below(here.path, seen.name), row.id):
                recognised.append(replace(row, mtime_ns=seen.mtime_ns))
            else:
                recognised.append(row)
        return recognised

    def _holds_one_of(self, path: bytes, folder: str) -> bool:
        for row in self._ledger.rows_in(folder):
            try:
                status = self._disk.stat(_below(path, row.name))
            except ProviderError:
                continue
            if moved_key(_seen(row, status)) == moved_key(row):
                return True
        return False

    def _with_contents(
        self, here: Located, fresh: Sequence[Observed], vanished: Sequence[Row], absent: list[Row], left: Set[str]
    ) -> tuple[list[Row], dict[bytes, bytes]]:
        """`absent` with the rows that may match by content, and the digests of the entries that may match them.

        Only entries that no inode explains are read, and only where another file has or had their size and kind.
        """
        moved = {moved_key(row) for row in (*absent, *vanished)}
        puzzling = [seen for seen in fresh if not seen.is_folder and seen.size and moved_key(seen) not in moved]
        known = {row.id for row in absent}
        wanted = {(seen.kind, seen.size) for seen in puzzling}
        rows = [
            row
            for row in self._ledger.rows_of_sizes({size for _, size in wanted})
            if (row.kind, row.size) in wanted and row.folder != here.row.id and row.id not in known
        ]
        offered = {(row.kind, row.size) for row in (*rows, *absent, *vanished) if row.digest}
        digests = {}
        for seen in puzzling:
            if (seen.kind, seen.size) in offered and (digest := self._digest(here, seen)):
                digests[seen.name] = digest
        found = set(digests.values())  # before anything is asked of the disk: of uncompressed files all have one size
        elsewhere = [row for row in rows if row.digest in found and self._is_absent(row, left)]
        return [*absent, *elsewhere], digests

    def _digest(self, here: Located, seen: Observed) -> bytes | None:
        """Of an entry's content; None if it cannot be read as it was seen, and then it is a new file."""
        path = _below(here.path, seen.name)
        version = version_of(seen.mtime_ns, seen.size, seen.inode)
        try:
            descriptor, _ = self._disk.open(path)
            with descriptor:
                return fingerprint(descriptor.number, version, seen.size)
        except (ProviderError, OSError):
            return None

    def _is_absent(self, row: Row, left: Set[str]) -> bool:
        """True only if it is certain that nothing is at the recorded path: could not ask is not gone.

        Where its folder is not there either, that folder must be known to be gone, or be one of `left`, which this
        look did not find: else it was renamed, and nobody has listed its new name yet.
        """
        try:
            folder = self.locate(row.folder, is_folder=True)
        except AssetGone:
            return False
        path = _below(folder.path, row.name)
        if not any(each.gone or each.id in left for each in folder.folders):
            return self._disk.is_absent(path, (folder.row.device, folder.row.inode))
        try:
            self._disk.stat(path)
        except AssetGone:
            return True
        except ProviderError:
            return False
        return False


def _seen(row: Row, status: os.stat_result) -> Observed:
    return Observed(row.name, row.kind, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _below(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path else name


def _vanished(scan: Scan, recorded: Sequence[Row]) -> list[Row]:
    names = {(seen.is_folder, seen.name) for seen in scan.entries}
    return [row for row in recorded if (row.is_folder, row.name) not in names]
