"""What albums are called and where they are, of those that something is to be sent into: known when they are gone.

Kept beside the journal, because a name that waits is shown where it was made, whatever becomes of its album (DESIGN
§4.6), and the cache may be deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec
import trio

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.state.environment import Environment, Writing

DATABASE = "homes"
KEY_BYTES_MAX = 500
"""LMDB takes 511."""


@dataclass(frozen=True, slots=True)
class Home:
    """The name of an album's directory, and the album that it is in; None: it is at the top."""

    name: str
    parent: AlbumId | None


class _Row(msgspec.Struct, array_like=True, frozen=True):
    name: bytes
    parent: str | None


class HomesKept:
    """(account, album) -> its home. Reads are from memory: all of it is loaded once."""

    def __init__(self, environment: Environment, writer: trio.Lock) -> None:
        """Blocking, for start-up. Errors: StoreCorrupt."""
        self._environment = environment
        self._writer = writer
        self._homes: dict[tuple[str, str], Home] = {}
        for key, value in environment.read(lambda reading: reading.below(DATABASE, b"")):
            row = msgspec.msgpack.decode(value, type=_Row)
            name = row.name.decode("utf-8", "surrogateescape")
            parent = None if row.parent is None else AlbumId(row.parent)
            self._homes[msgspec.msgpack.decode(key, type=tuple[str, str])] = Home(name, parent)

    def of(self, account: AccountName, album: AlbumId) -> Home | None:
        """Where the album is or was; None if nobody noted it."""
        return self._homes.get((account, album))

    async def note(self, account: AccountName, album: AlbumId, home: Home) -> None:
        """The album is there, also after a restart. Errors: StoreFull, StoreError."""
        key = _key(account, album)
        if self._homes.get((account, album)) == home or len(key) > KEY_BYTES_MAX:
            return
        row = _Row(home.name.encode("utf-8", "surrogateescape"), home.parent)
        await self._write(lambda writing: writing.put(DATABASE, key, msgspec.msgpack.encode(row)))
        self._homes[account, album] = home

    async def keep_only(self, account: AccountName, albums: Collection[AlbumId]) -> None:
        """Of that account nothing is kept but those, and what they are in. Errors: StoreFull, StoreError."""
        kept = set(albums)
        for album in albums:
            home = self.of(account, album)
            while home is not None and home.parent is not None and home.parent not in kept:
                kept.add(home.parent)
                home = self.of(account, home.parent)
        gone = [key for key in self._homes if key[0] == account and key[1] not in kept]
        if not gone:
            return
        keys = [_key(AccountName(account), AlbumId(album)) for account, album in gone]

        def job(writing: Writing) -> None:
            for key in keys:
                writing.delete(DATABASE, key)

        for each in gone:
            del self._homes[each]  # before the write: what is noted anew meanwhile is written after it
        await self._write(job)

    async def _write(self, job: Callable[[Writing], None]) -> None:
        async with self._writer:
            await trio.to_thread.run_sync(self._environment.write, job)


def _key(account: str, album: str) -> bytes:
    return msgspec.msgpack.encode((account, album))
