"""What moves to another host, so that no address changes and nothing that waits is lost: gathered, and taken in.

The file between the two: iiiffs.state.archive.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from iiiffs.errors import StoreCorrupt, StoreError
from iiiffs.model.gallery import AccountName
from iiiffs.state.archive import Archive, Exported, Packed, Pairs, encoded, write_archive
from iiiffs.state.environment import DATABASES, Reading, Writing
from iiiffs.state.identities import AccountLedger, rows_by_account
from iiiffs.state.journal import ITEMS
from iiiffs.state.queue_rows import decode_item, encode_item
from iiiffs.state.spool import Spool
from iiiffs.state.successors import add_successors, successor_of
from iiiffs.sync.items import Item

INODE_KEY = b"inode_key"
ROWS_NAME, PAYLOADS_NAME = "rows", "payloads"
NOT_EMPTY = (
    "the state at {path} is not empty: move that folder away and import again; "
    "or `--merge` keeps what it knows and adds the rest"
)


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Rows of each account that an import brought, and those that it left out because id or path was known; `waiting`:
    changes of each account that it brought, which wait to be sent."""

    added: Mapping[AccountName, int]
    known: Mapping[AccountName, int]
    waiting: Mapping[AccountName, int]


COPIED = ("seen", "times", "previews", "conflicts", "given", "notes", "homes")
"""Databases that an export has row by row; one that the state has a row of already keeps it."""


# ---- gathering ------------------------------------------------------------------------------------------------------


def exported(reading: Reading) -> Exported:
    """All of one consistent view."""
    return Exported(
        inode_key=reading.get("meta", INODE_KEY) or b"",
        rows={account: tuple(rows) for account, rows in rows_by_account(reading).items()},
        journal=tuple(reading.below(ITEMS, b"")),
        successors=tuple(reading.below("successors", b"")),
        **{database: tuple(reading.below(database, b"")) for database in COPIED},
    )


def gather(folder: Path, held: Exported, spool: Spool) -> None:
    """The new `folder` has all that `pack` needs; payloads are second names of those in the spool, and so cost nothing,
    and stay though they be sent meanwhile. Errors: StoreError, and no folder."""
    try:
        (folder / PAYLOADS_NAME).mkdir(mode=0o700, parents=True)
        folder.chmod(0o700)
        for id in spool.sizes():
            _link(spool.path(id), folder / PAYLOADS_NAME / id)
        (folder / ROWS_NAME).write_bytes(encoded(held))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StoreError(f"{folder}: cannot be written: {error.strerror}") from error


def _link(payload: Path, target: Path) -> None:
    """Nothing if it is gone meanwhile: it was sent, or a person has discarded it."""
    try:
        os.link(payload, target)
    except FileNotFoundError:
        return
    except OSError:  # a file system that has no second names
        shutil.copyfile(payload, target)


def pack(folder: Path, target: Path) -> None:
    """What was gathered in `folder` is in the new file `target`. Errors: as `write_archive`; StoreError."""
    try:
        rows = (folder / ROWS_NAME).read_bytes()
        payloads = sorted((folder / PAYLOADS_NAME).iterdir())
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read: {error.strerror}") from None
    write_archive(target, rows, payloads)


# ---- taking in ------------------------------------------------------------------------------------------------------


def refuse_if_used(reading: Reading, spool: Spool, path: Path) -> None:
    """Nothing, of a state that holds nothing. Errors: StoreError."""
    if spool.sizes() or not all(reading.is_empty(name) for name in DATABASES if name != "meta"):
        raise StoreError(NOT_EMPTY.format(path=path))


def wanted_payloads(reading: Reading, archive: Archive, spool: Spool) -> list[Packed]:
    """Those that are to come into the spool: what is there stays, and what was sent from here is not sent again."""
    there = spool.sizes()
    items = {item.id: item for item in _items(archive.held.journal)}

    def is_wanted(id: str) -> bool:
        if id in there:
            return False
        if (known := reading.get(ITEMS, id.encode())) is not None:
            return _has_payload(id, known)
        return id not in items or not _is_done_with(reading, items[id])

    return [payload for payload in archive.payloads if is_wanted(payload.id)]


def take_in(writing: Writing, held: Exported, ledgers: Mapping[AccountName, AccountLedger], *, merge: bool) -> TakenIn:
    """`held` is in the state. With `merge` what the state knows stays as it is; else it holds nothing."""
    if not merge and held.inode_key:
        writing.put("meta", INODE_KEY, held.inode_key)
    for database in COPIED:
        _add(writing, database, getattr(held, database))
    waiting = _take_in_items(writing, held.journal)
    add_successors(writing, held.successors)
    added = {account: ledgers[account].take_in(writing, rows) for account, rows in held.rows.items()}
    known = {account: len(rows) - added[account] for account, rows in held.rows.items()}
    return TakenIn(added, known, waiting)


def _add(writing: Writing, database: str, pairs: Pairs) -> None:
    for key, value in pairs:
        if writing.get(database, key) is None:
            writing.put(database, key, value)


def _take_in_items(writing: Writing, pairs: Pairs) -> Counter[AccountName]:
    """How many of each account were not known here; they come after those that are."""
    here = _items(writing.below(ITEMS, b""))
    last = max((item.order for item in here), default=0)
    new = [item for item in _items(pairs) if writing.get(ITEMS, item.id.encode()) is None]
    new = [item for item in new if not _is_done_with(writing, item)]
    put_items(writing, [replace(item, order=item.order + last) for item in new])
    readable = {item.id.encode() for item in _items(pairs)}
    _add(writing, ITEMS, tuple(pair for pair in pairs if pair[0] not in readable))
    return Counter(item.account for item in new)


def put_items(writing: Writing, items: Collection[Item]) -> None:
    """Their rows are as they are."""
    for item in items:
        key = item.id.encode()
        writing.put(ITEMS, key, encode_item(key, item))


def _is_done_with(reading: Reading, item: Item) -> bool:
    """It was sent from here, or an earlier import of it was."""
    return successor_of(reading, item.account, item.id) is not None


def _has_payload(id: str, row: bytes) -> bool:
    items = _items([(id.encode(), row)])
    return not items or items[0].has_payload


def _items(pairs: Collection[tuple[bytes, bytes]]) -> list[Item]:
    """Those of the rows that can be read; the others are told of when iiiffs starts."""
    found = []
    for key, row in pairs:
        try:
            found.append(decode_item(key, row))
        except StoreCorrupt:
            continue
    return found


def put_payloads(spool: Spool, archive: Archive, payloads: Collection[Packed]) -> None:
    """Those are in the spool, on disk, all or none of them. Errors: StoreFull, StoreError."""
    spool.room(sum(payload.size_bytes for payload in payloads))
    done: list[str] = []
    try:
        for payload in payloads:
            spool.put(payload.id, archive.bytes_of(payload))
            done.append(payload.id)
    except BaseException:
        for id in done:
            spool.remove(id)
        raise
