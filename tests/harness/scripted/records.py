"""What the pretended server keeps: one SQLite file of albums and assets, and the bytes as files named by their SHA-1.

Both are an ordinary folder's, so they outlive a daemon that is killed, and two processes may use them at once: each
verb is one transaction of SQLite, which also is the lock between them. Nothing is ever synced: a kill loses nothing
that was committed, and of a power failure no test of this provider tells.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from iiiffs.model.gallery import AlbumId, AssetId, Version

SECOND_NS = 10**9
BUSY_S = 30.0
"""For a lock that another process holds: it holds it for milliseconds."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS albums (
    number INTEGER PRIMARY KEY AUTOINCREMENT, title BLOB, parent INTEGER, mtime_ns INTEGER, token TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS assets (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB, folder INTEGER, sha1 BLOB, size_bytes INTEGER,
    revision INTEGER, mtime_ns INTEGER, changed_ns INTEGER, is_trashed INTEGER, favorite INTEGER, description TEXT,
    rating INTEGER, token TEXT, replaced_by INTEGER);
CREATE INDEX IF NOT EXISTS assets_sha1 ON assets (sha1);
CREATE INDEX IF NOT EXISTS assets_folder ON assets (folder, name);
CREATE TABLE IF NOT EXISTS members (
    added INTEGER PRIMARY KEY AUTOINCREMENT, album INTEGER, asset INTEGER, UNIQUE (album, asset));
CREATE INDEX IF NOT EXISTS members_asset ON members (asset);
CREATE TABLE IF NOT EXISTS tags (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS tagged (tag INTEGER, asset INTEGER, UNIQUE (tag, asset));
CREATE TABLE IF NOT EXISTS versions (
    asset INTEGER, revision INTEGER, sha1 BLOB, mtime_ns INTEGER, is_kept INTEGER);
CREATE TABLE IF NOT EXISTS changes (revision INTEGER PRIMARY KEY AUTOINCREMENT, album TEXT);
"""


class Flavour(StrEnum):
    """IMMICH: albums are sets of assets, one asset of equal bytes, fixed names, new bytes are a new asset.

    FOLDER: albums are folders in folders, names are real and unique, new bytes keep the id.
    """

    IMMICH = "immich"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class StoredAlbum:
    """An album. `parent`: the folder's number; None at the top, and where albums are in no folder."""

    number: int
    title: str
    parent: int | None
    mtime_ns: int
    token: str | None = None

    @property
    def id(self) -> AlbumId:
        """What the provider calls it."""
        return album_id(self.number)


@dataclass(frozen=True, slots=True)
class StoredAsset:
    """An asset. `folder`: where it is; None where albums are sets. `token`: Payload.token of who made it, "" of others.

    `replaced_by`: the number of the asset that has its place since, where new bytes are a new asset.
    """

    number: int
    name: str
    folder: int | None
    sha1: bytes
    size_bytes: int
    revision: int
    mtime_ns: int
    changed_ns: int
    is_trashed: bool = False
    favorite: bool = False
    description: str = ""
    rating: int = 0
    token: str = ""
    replaced_by: int | None = None

    @property
    def id(self) -> AssetId:
        """What the provider calls it."""
        return asset_id(self.number)

    @property
    def version(self) -> Version:
        """Of its bytes; that of bytes which come back is another."""
        return Version(f"{self.revision}-{self.sha1.hex()}")


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that arrived."""

    sha1: bytes
    size_bytes: int


def album_id(number: int) -> AlbumId:
    """What the provider calls the album."""
    return AlbumId(f"album-{number}")


def asset_id(number: int) -> AssetId:
    """What the provider calls the asset."""
    return AssetId(f"asset-{number}")


def number_of(kind: str, id: str) -> int:
    """The number in an id of "album" or "asset"; -1, which nothing has, if it is none."""
    prefix, _, digits = id.partition("-")
    return int(digits) if prefix == kind and digits.isdecimal() and len(digits) < 16 else -1


class Index:
    """The SQLite file of one folder. For any thread. Whoever makes it closes it."""

    def __init__(self, folder: Path, flavour: Flavour | None = None) -> None:
        """Made where there is none, as IMMICH unless told; ValueError if there is one of the other flavour."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = connect(folder / "index.sqlite")
        with self.transaction():
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._connection.execute(statement)
            wanted = flavour or Flavour.IMMICH
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('flavour', ?)", (wanted,))
            self.flavour = Flavour(self.meta("flavour"))
            if flavour is not None and self.flavour is not flavour:
                raise ValueError(f"{folder} is of flavour {self.flavour}")
            if self.flavour is Flavour.FOLDER and not self.albums():
                self.insert_album("files", None, None)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Inside, nobody else reads or changes anything; all of it is kept, or nothing if it raises. May be nested."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Nothing is open."""
        with self._lock:
            self._connection.close()

    # ---- rows -------------------------------------------------------------------------------------------------

    def meta(self, key: str) -> str:
        """A value that is set once; "" for none."""
        with self._lock:
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return "" if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """It has that value."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def albums(self, where: str = "1", *values: object) -> list[StoredAlbum]:
        """Those that fit, oldest first."""
        with self._lock:
            rows = self._connection.execute(f"SELECT * FROM albums WHERE {where} ORDER BY number", values).fetchall()
        return [StoredAlbum(row[0], os.fsdecode(row[1]), *row[2:]) for row in rows]

    def assets(self, where: str = "1", *values: object) -> list[StoredAsset]:
        """Those that fit, oldest first."""
        with self._lock:
            rows = self._connection.execute(f"SELECT * FROM assets WHERE {where} ORDER BY number", values).fetchall()
        return [_asset_of(row) for row in rows]

    def album(self, id: str) -> StoredAlbum | None:
        """The album of that id."""
        return next(iter(self.albums("number = ?", number_of("album", id))), None)

    def asset(self, id: str) -> StoredAsset | None:
        """The asset of that id, also one in the trash."""
        return next(iter(self.assets("number = ?", number_of("asset", id))), None)

    def members(self, album: int) -> list[StoredAsset]:
        """What is in an album or folder, but for the trash; in the order in which it came."""
        if self.flavour is Flavour.FOLDER:
            return self.assets("folder = ? AND NOT is_trashed", album)
        with self.transaction() as connection:
            found = self.assets("number IN (SELECT asset FROM members WHERE album = ?) AND NOT is_trashed", album)
            rows = connection.execute("SELECT asset, added FROM members WHERE album = ?", (album,)).fetchall()
        added = dict(rows)
        return sorted(found, key=lambda asset: added[asset.number])

    def held(self, album: int) -> tuple[int, AssetId | None]:
        """How many are in an album, but for the trash, and the one that came first."""
        question = "SELECT count(*), asset FROM members JOIN assets ON number = asset "
        question += "WHERE album = ? AND NOT is_trashed ORDER BY added"
        with self._lock:
            first = self._connection.execute(question.replace("count(*),", ""), (album,)).fetchone()
            count = self._connection.execute(question.replace(", asset", ""), (album,)).fetchone()[0]
        return count, None if first is None else asset_id(first[0])

    def albums_of(self, asset: StoredAsset) -> list[int]:
        """Numbers of the albums that hold it, the first that took it first; also while it is in the trash."""
        if asset.folder is not None:
            return [asset.folder]
        with self._lock:
            rows = self._connection.execute("SELECT album FROM members WHERE asset = ? ORDER BY added", (asset.number,))
            return [row[0] for row in rows]

    def used_bytes(self) -> int:
        """Of all that is kept, the trash too."""
        with self._lock:
            return int(self._connection.execute("SELECT coalesce(sum(size_bytes), 0) FROM assets").fetchone()[0])

    def uncarried(self, asset: AssetId) -> tuple[str, ...]:
        """What of the asset none that replaces it can be given."""
        return tuple(json.loads(self.meta(f"uncarried {asset}") or "[]"))

    def set_uncarried(self, asset: AssetId, words: Sequence[str]) -> None:
        """Rule: uncarried."""
        self.set_meta(f"uncarried {asset}", json.dumps(list(words)))

    # ---- changes ----------------------------------------------------------------------------------------------

    def insert_album(self, title: str, parent: int | None, token: str | None) -> StoredAlbum:
        """One more."""
        with self.transaction() as connection:
            values = (os.fsencode(title), parent, time.time_ns(), token)
            cursor = connection.execute(
                "INSERT INTO albums (title, parent, mtime_ns, token) VALUES (?, ?, ?, ?)", values
            )
            return self.albums("number = ?", cursor.lastrowid)[0]

    def insert_asset(self, name: str, folder: int | None, blob: Blob, mtime_ns: int, token: str = "") -> StoredAsset:
        """One more, in its first version."""
        with self.transaction() as connection:
            now_ns = max(time.time_ns(), mtime_ns)
            values = (os.fsencode(name), folder, blob.sha1, blob.size_bytes, 1, mtime_ns, now_ns, 0, 0, "", 0, token)
            cursor = connection.execute(
                "INSERT INTO assets (name, folder, sha1, size_bytes, revision, mtime_ns, changed_ns, is_trashed, "
                f"favorite, description, rating, token) VALUES ({', '.join('?' * len(values))})",
                values,
            )
            return self.assets("number = ?", cursor.lastrowid)[0]

    def update_album(self, number: int, **values: object) -> None:
        """These columns of it are those."""
        self._update("albums", number, values)

    def update_asset(self, number: int, **values: object) -> None:
        """These columns of it are those."""
        self._update("assets", number, values)

    def _update(self, table: str, number: int, values: dict[str, object]) -> None:
        pairs = {name: os.fsencode(value) if name in ("name", "title") else value for name, value in values.items()}  # type: ignore[arg-type]  # those are texts
        columns = ", ".join(f"{name} = ?" for name in pairs)
        with self.transaction() as connection:
            connection.execute(f"UPDATE {table} SET {columns} WHERE number = ?", (*pairs.values(), number))

    def new_version(self, asset: StoredAsset, blob: Blob, mtime_ns: int, *, is_kept: bool) -> StoredAsset:
        """The asset with other bytes, at least a second from every version before. `is_kept`: what it was is."""
        with self.transaction() as connection:
            past = (asset.number, asset.revision, asset.sha1, asset.mtime_ns, is_kept)
            connection.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?)", past)
            rows = connection.execute("SELECT mtime_ns FROM versions WHERE asset = ?", (asset.number,)).fetchall()
            for past_ns in sorted(row[0] for row in rows):
                if abs(mtime_ns - past_ns) < SECOND_NS:
                    mtime_ns = past_ns + SECOND_NS
            self.update_asset(
                asset.number,
                sha1=blob.sha1,
                size_bytes=blob.size_bytes,
                revision=asset.revision + 1,
                mtime_ns=mtime_ns,
                changed_ns=max(time.time_ns(), asset.changed_ns + SECOND_NS, mtime_ns),
            )
            return self.assets("number = ?", asset.number)[0]

    def touch(self, albums: Iterable[str]) -> None:
        """Those have changed: they have another time, and whoever watches will hear of them, and of the folders that
        list them with their times. Rule: model.changes."""
        with self.transaction() as connection:
            touched = [(album, self.album(album)) for album in dict.fromkeys(albums)]
            above = [album_id(stored.parent) for _, stored in touched if stored and stored.parent is not None]
            for album in dict.fromkeys([*(album for album, _ in touched), *above]):
                connection.execute("INSERT INTO changes (album) VALUES (?)", (album,))
            for stored in filter(None, (stored for _, stored in touched)):
                self.update_album(stored.number, mtime_ns=max(stored.mtime_ns + 1, time.time_ns()))

    def changes_since(self, revision: int) -> tuple[int, frozenset[AlbumId]]:
        """The last revision, and the albums that were touched after that one."""
        with self._lock:
            rows = self._connection.execute("SELECT revision, album FROM changes WHERE revision > ?", (revision,))
            found = rows.fetchall()
        return max((row[0] for row in found), default=revision), frozenset(AlbumId(row[1]) for row in found)

    def last_revision(self) -> int:
        """Of all changes so far."""
        with self._lock:
            return int(self._connection.execute("SELECT coalesce(max(revision), 0) FROM changes").fetchone()[0])


def _asset_of(row: Sequence[Any]) -> StoredAsset:
    number, name, *plain = row
    plain[6:8] = map(bool, plain[6:8])
    return StoredAsset(number, os.fsdecode(name), *plain)


def connect(path: Path) -> sqlite3.Connection:
    """A connection for any thread, without transactions of its own."""
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    return connection


class Blobs:
    """Files by the SHA-1 of their bytes. None is ever removed, nor changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "blobs"
        self._incoming = folder / "incoming"
        for made in (self._folder, self._incoming):
            made.mkdir(parents=True, exist_ok=True)

    def path(self, sha1: bytes) -> Path:
        """Where those bytes are."""
        return self._folder / sha1.hex()

    def put(self, data: bytes) -> Blob:
        """These bytes are kept."""
        arriving = self.arriving()
        arriving.write(data)
        return arriving.finish()

    def arriving(self) -> Arriving:
        """For bytes that come in pieces. Whoever asks for it finishes or discards it."""
        return Arriving(self, self._incoming / uuid.uuid4().hex)


class Arriving:
    """Bytes on their way in; nobody sees them before all of them are there."""

    def __init__(self, blobs: Blobs, path: Path) -> None:
        self._blobs = blobs
        self._path = path
        self._file = path.open("wb", buffering=0)
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._size_bytes = 0

    def write(self, data: bytes) -> None:
        """These came next."""
        self._file.write(data)
        self._sha1.update(data)
        self._size_bytes += len(data)

    def finish(self) -> Blob:
        """All are there."""
        self._file.close()
        self._path.rename(self._blobs.path(self._sha1.digest()))
        return Blob(self._sha1.digest(), self._size_bytes)

    def discard(self) -> None:
        """Nobody will finish it. A second call, or one after `finish`, does nothing."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def dumped(value: object) -> str:
    """A value as JSON, the same text for equal ones."""
    return json.dumps(value, sort_keys=True)
