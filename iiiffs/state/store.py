"""State: what must not be lost. Ids, versions and times that were promised, in one durable LMDB environment."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import trio

from iiiffs.errors import StoreCorrupt, StoreError
from iiiffs.model.gallery import AccountName
from iiiffs.state.archive import Archive
from iiiffs.state.damage import DATA_NAME, check_database, damaged, mark_closed, put_aside
from iiiffs.state.environment import MAP_BYTES, Environment, Reading, Writing
from iiiffs.state.folder import lock_folder, prepare_folder
from iiiffs.state.homes import HomesKept
from iiiffs.state.identities import AccountLedger
from iiiffs.state.journal import Journal
from iiiffs.state.notes import Notes
from iiiffs.state.previews import PreviewLedger
from iiiffs.state.salvage import salvaged
from iiiffs.state.spool import MIN_FREE_BYTES, Spool, sync_folder
from iiiffs.state.successors import Successors
from iiiffs.state.times import DocumentTimes
from iiiffs.state.transfer import (
    INODE_KEY,
    TakenIn,
    exported,
    gather,
    pack,
    put_items,
    put_payloads,
    refuse_if_used,
    take_in,
    wanted_payloads,
)

SCHEMA = 1
"""Raised when older code would misread what newer code writes."""

INODE_KEY_BYTES = 16
DATABASE, SPOOL_NAME = "db", "spool"
EXPORT_PREFIX = "export-"
"""Of folders in the state's own that wait to be packed by `iiiffs state export`."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """`aside`: the folder of the damaged database. `without`: payloads that had no row; `found`: how many of those have
    one again."""

    aside: Path
    taken: TakenIn | None
    without: int
    found: int


class State:
    """The one state of one daemon. Made by `State.open`; reads are synchronous and short, writes are on disk when
    they return. No lock is held between calls, so state is whole between two awaits."""

    def __init__(self, path: Path, environment: Environment, lock: int, inode_key: bytes, spool: Spool) -> None:
        self._path = path
        self._environment = environment
        self._lock = lock
        self._writer = trio.Lock()
        self._inode_key = inode_key
        self._spool = spool
        self._journal = Journal(environment, self._writer)

    @classmethod
    def open(cls, path: Path, map_bytes: int = MAP_BYTES, min_free_bytes: int = MIN_FREE_BYTES) -> State:
        """The state in the folder `path`, made with mode 0700 if it was not there.

        Blocking, for start-up, after the last fork. `map_bytes`: of the memory map to begin with; it grows.
        `min_free_bytes`: of the disk, that the spool leaves.
        Errors: StoreLocked with the other process's id, ConfigError (network file system, access),
        StoreCorrupt, StoreError if a newer iiiffs wrote it.
        """
        prepare_folder(path)
        lock = lock_folder(path)
        try:
            for left in path.glob(f"{EXPORT_PREFIX}*"):  # of a command that was killed
                remove_export(left)
            check_database(path / DATABASE, is_new=not (path / SPOOL_NAME).exists())
            environment = Environment(path / DATABASE, map_bytes)
            try:
                inode_key = environment.write(lambda writing: _begin(path, writing))
                spool = Spool(path / SPOOL_NAME, min_free_bytes)
                _sync_folders(path)
            except BaseException:
                environment.close()
                raise
        except BaseException:
            os.close(lock)
            raise
        return cls(path, environment, lock, inode_key, spool)

    @classmethod
    def renew(cls, path: Path, archive: Archive | None = None) -> Renewed:
        """A new state is in the folder `path`, in the place of a damaged one, with what `archive` holds if given.
        The damaged database is kept beside it, and every payload in the spool; those without a row get what can be
        found of theirs, or none. Blocking, while nothing uses the state.

        Errors: StoreError if the state is whole, or there is none: then nothing has changed; StoreLocked, StoreFull.
        """
        prepare_folder(path)
        lock = lock_folder(path)
        try:
            if not (path / DATABASE / DATA_NAME).exists():
                raise StoreError(f"{path}: there is no state; it begins with the first `iiiffs mount`")
            if _is_whole(path):
                raise StoreError(f"{path}: the state is whole, and is left as it is")
            aside = put_aside(path, date.today())
        except OSError as error:
            raise StoreError(f"{path}: cannot be changed: {error.strerror}") from error
        finally:
            os.close(lock)
        state = cls.open(path, min_free_bytes=0)
        try:
            taken = None if archive is None else state._take_in(archive, merge=False)
            known = {item.id for item in state.journal.load().items}
            without = [id for id in state.spool.sizes() if id not in known]
            found = salvaged(aside / DATA_NAME, without)
            state._environment.write(lambda writing: put_items(writing, found))
        finally:
            state.close()
        return Renewed(aside, taken, len(without), len(found))

    def close(self) -> None:
        """Closed and unlocked; a second call does nothing."""
        if self._lock >= 0:
            if self._environment.close():
                mark_closed(self._path / DATABASE)
            os.close(self._lock)
            self._lock = -1

    @property
    def inode_key(self) -> bytes:
        """16 random bytes, made once in the life of the state: the key of keyed inode hashes."""
        return self._inode_key

    def ledger(self, account: AccountName) -> AccountLedger:
        """The recorded identities of that account."""
        return AccountLedger(self._environment, self._writer, account)

    def previews(self, account: AccountName, fingerprint: str) -> PreviewLedger:
        """What was learnt of the account's reduced pictures, for the renderer of that name. Made once an account."""
        return PreviewLedger(self._environment, self._writer, account, fingerprint)

    @property
    def journal(self) -> Journal:
        """What waits to be sent."""
        return self._journal

    @property
    def spool(self) -> Spool:
        """The bytes of what waits to be sent."""
        return self._spool

    @property
    def successors(self) -> Successors:
        """What ids have become."""
        return Successors(self._environment, self._writer)

    def notes(self) -> Notes:
        """What people should know of assets, and the names that they gave them. Blocking, once."""
        return Notes(self._environment, self._writer)

    def homes(self) -> HomesKept:
        """Where albums are that something waits for. Blocking, once."""
        return HomesKept(self._environment, self._writer)

    @property
    def times(self) -> DocumentTimes:
        """The times of documents that must outlive the cache."""
        return DocumentTimes(self._environment, self._writer)

    def export(self, target: Path) -> None:
        """All of it is in the new file `target`, for `import_from` on another host. Blocking, while nobody writes.

        Errors: ConfigError if `target` is there already or cannot be made, StoreError if it cannot be filled.
        """
        folder = self._gather()
        try:
            pack(folder, target)
        finally:
            remove_export(folder)

    async def gather(self) -> Path:
        """A new folder in the state's own with all of it as it is on the disk at one moment, for `transfer.pack`;
        whoever fetches it removes it. Payloads of what is sent later stay in it. Errors: StoreError."""
        with suppress(StoreError):  # what is on the disk is what was promised; the journal tells of the rest itself
            await self._journal.commit()
        async with self._writer:  # no row changes, so no payload is let go whose row says that it is needed
            return await trio.to_thread.run_sync(self._gather)

    def _gather(self) -> Path:
        folder = self._path / f"{EXPORT_PREFIX}{secrets.token_hex(8)}"
        gather(folder, self._environment.read(exported), self._spool)
        return folder

    def import_from(self, archive: Archive, *, merge: bool = False) -> TakenIn:
        """What another host exported is in this state. With `merge`, what is known here stays as it is.

        Blocking, before anything else uses this state. Errors: StoreError if it holds anything and `merge` was not
        asked for, StoreFull; then nothing has changed.
        """
        if not merge:
            self._environment.read(lambda reading: refuse_if_used(reading, self._spool, self._path))
        return self._take_in(archive, merge=merge)

    def _take_in(self, archive: Archive, *, merge: bool) -> TakenIn:
        held, ledgers = archive.held, {account: self.ledger(account) for account in archive.held.rows}
        payloads = self._environment.read(lambda reading: wanted_payloads(reading, archive, self._spool))
        put_payloads(self._spool, archive, payloads)
        try:
            taken = self._environment.write(lambda writing: take_in(writing, held, ledgers, merge=merge))
        except BaseException:
            for payload in payloads:
                self._spool.remove(payload.id)
            raise
        self._inode_key = self._environment.read(lambda reading: reading.get("meta", INODE_KEY)) or self._inode_key
        return taken

    async def first_seen_ns(self, fingerprint: str, now_ns: int) -> int:
        """When `fingerprint` was first asked about: `now_ns` if that is now, and the same for ever after."""
        key = fingerprint.encode()
        if len(key) > 500:
            raise ValueError("a fingerprint is at most 500 bytes long")

        def recorded(reading: Reading) -> bytes | None:
            return reading.get("seen", key)

        def job(writing: Writing) -> bytes:
            there = recorded(writing)
            if there is None:
                there = now_ns.to_bytes(8, "big")
                writing.put("seen", key, there)
            return there

        if there := self._environment.read(recorded):
            return int.from_bytes(there, "big")
        async with self._writer:
            return int.from_bytes(await trio.to_thread.run_sync(self._environment.write, job), "big")


def _is_whole(path: Path) -> bool:
    """Every row of it can be read. Errors: StoreError if a newer iiiffs wrote it."""
    try:
        check_database(path / DATABASE, is_new=False)
    except StoreError:
        return False
    environment = None
    try:
        environment = Environment(path / DATABASE)
        environment.write(lambda writing: _begin(path, writing))
        environment.read(exported)
    except StoreCorrupt:
        return False
    finally:
        if environment is not None:
            environment.close()
    return True


def remove_export(path: Path) -> None:
    """What `State.gather` made is not there any more; also the file that iiiffs once made in its place."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_folders(path: Path) -> None:
    """The names of the state's files are on disk, so that what is written to them is found again; those in its own
    folder are since the spool was opened."""
    try:
        sync_folder(path / DATABASE)
        with suppress(PermissionError):  # a folder that may be entered and not listed cannot be opened
            sync_folder(path.absolute().parent)
    except OSError as error:
        raise StoreError(f"[state] path: {path}: {error.strerror}") from error


def _begin(path: Path, writing: Writing) -> bytes:
    """The inode key, after schema and key are known to be there."""
    schema = writing.get("meta", b"schema")
    if schema is None:
        writing.put("meta", b"schema", b"%d" % SCHEMA)
    elif not schema.isdigit():
        raise StoreCorrupt(damaged(path / DATABASE, f"its schema {schema!r} is no number"))
    elif int(schema) > SCHEMA:
        raise StoreError(
            f"state was written by a newer iiiffs: {path} has schema {int(schema)}, this one knows {SCHEMA}; upgrade"
        )
    inode_key = writing.get("meta", INODE_KEY)
    if inode_key is None:
        inode_key = secrets.token_bytes(INODE_KEY_BYTES)
        writing.put("meta", INODE_KEY, inode_key)
    return inode_key
