"""Uncompressed RAW files all have one size: a new folder of them asks nothing of the disk about those known before."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio

from iiiffs.model.gallery import AccountName
from iiiffs.providers.folder.disk import Disk
from iiiffs.providers.folder.original import fingerprint
from iiiffs.providers.folder.records import Reconciled, Records
from iiiffs.state import State

ACCOUNT = AccountName("home")
COUNT = 5


class AskedDisk(Disk):
    """A disk that remembers whether which paths are gone was asked."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.asked: list[bytes] = []

    def is_absent(self, path: bytes, folder_key: tuple[int, int]) -> bool:
        self.asked.append(path)
        return super().is_absent(path, folder_key)


def write(folder: Path, first: int) -> None:
    folder.mkdir(parents=True)
    for number in range(first, first + COUNT):
        (folder / f"{number}.jpg").write_bytes(b"%08d" % number)


def digest_of(path: Path, version: str) -> bytes:
    with path.open("rb") as file:
        return fingerprint(file.fileno(), version, path.stat().st_size)  # type: ignore[arg-type]  # as recorded


@pytest.mark.parametrize("moved", [False, True])
def test_only_files_of_equal_content_are_looked_for(moved: bool, tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root / "A", 0)
    disk, state = AskedDisk(str(root)), State.open(tmp_path / "state")
    ledger = state.ledger(ACCOUNT)
    records = Records(ACCOUNT, disk, ledger)

    def look(folder: str) -> Reconciled:
        found = records.reconcile(records.locate(folder, is_folder=True), 10**18)
        digested = [
            row if row.is_folder or row.folder == "" else replace(row, digest=digest_of(path, row.version))
            for row in found.changed
            if (path := next(root.rglob(row.name.decode() or "A"))) is not None
        ]
        trio.run(partial(ledger.commit, digested, found.decision.forgotten))
        return found

    def folder_named(name: bytes) -> str:
        return next(row.id for row in look(records.root_id).decision.rows if row.name == name)

    try:
        known = {row.id for row in look(folder_named(b"A")).decision.rows}
        write(root / "B", COUNT)
        if moved:  # to another disk, as it were: the same bytes in another inode with another time
            (root / "B" / "moved.jpg").write_bytes((root / "A" / "0.jpg").read_bytes())
            (root / "A" / "0.jpg").unlink()
        disk.asked.clear()
        rows = look(folder_named(b"B")).decision.rows
        assert disk.asked == ([b"A/0.jpg"] if moved else [])
        assert {row.name for row in rows if row.id in known} == ({b"moved.jpg"} if moved else set())
    finally:
        state.close()
