"""The state's database before LMDB sees it: whether it is whole, and out of the way if it is not.

LMDB trusts its file: a page that a truncated one has no more is SIGBUS, and ends the process without a word. A power
cut leaves it whole (iiiffs.state.environment), but a disk that lies or rots, or whoever copies it while it is written,
may not. So it is looked at before it is opened: quickly where it is byte for byte what was closed in order, else page
by page (iiiffs.cache.structure: 0.3 s for 100,000 files).
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from datetime import date
from pathlib import Path

from iiiffs.cache.structure import check_structure
from iiiffs.errors import StoreCorrupt, StoreError
from iiiffs.state.spool import sync_folder

DATA_NAME, CLOSED_NAME = "data.mdb", "closed"
DAMAGED_NAME = "db.damaged"
PART_BYTES = 1 << 20
WHAT_TO_DO = (
    "`iiiffs state renew` puts it aside and begins a new one, from an export with `--from FILE`; "
    "what waits to be sent is kept in spool/"
)


def check_database(folder: Path, *, is_new: bool) -> None:
    """Nothing, if what lies in `folder` can be opened. `is_new`: nothing was ever written to this state.

    Errors: StoreCorrupt if it is damaged; StoreError if the disk cannot read it.
    """
    data, closed = folder / DATA_NAME, folder / CLOSED_NAME
    try:
        if not data.exists() or (is_new and data.stat().st_size == 0):
            return
        closed_as = closed.read_bytes() if closed.exists() else None
        closed.unlink(missing_ok=True)
        if closed_as == _mark(data):
            return
        check_structure(data)
    except StoreCorrupt as error:
        raise StoreCorrupt(damaged(folder, str(error))) from None
    except OSError as error:
        raise StoreError(f"{data}: cannot be read: {error.strerror}; is its disk failing? {WHAT_TO_DO}") from error


def damaged(folder: Path, reason: str) -> str:
    """One line for a person."""
    reason = reason.removeprefix(DATA_NAME).lstrip()
    verb = "" if reason.startswith("is ") else "is damaged: "
    return f"{folder / DATA_NAME} {verb}{reason}; {WHAT_TO_DO}"


def mark_closed(folder: Path) -> None:
    """The database was closed in order just now. Without this mark the next start takes a longer look."""
    closed = folder / CLOSED_NAME
    with suppress(OSError):
        mark = _mark(folder / DATA_NAME)
        descriptor = os.open(closed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, mark)
        finally:
            os.close(descriptor)


def put_aside(state: Path, today: date) -> Path:
    """The database lies in another folder of the state, whose path this is. Errors: OSError."""
    name, number = f"{DAMAGED_NAME}-{today.isoformat()}", 1
    while (aside := state / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    (state / "db").rename(aside)
    sync_folder(state)
    return aside


def _mark(data: Path) -> bytes:
    """What names these bytes. Errors: OSError, also where reading through a memory map would end the process."""
    found, size_bytes = 0, 0
    with data.open("rb", buffering=0) as file:
        while part := file.read(PART_BYTES):
            found = zlib.crc32(part, found)
            size_bytes += len(part)
    return b"%d %08x\n" % (size_bytes, found)
