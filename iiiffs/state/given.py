"""Names that people gave to assets whose provider calls them otherwise: kept, so that the name goes on working.

A library that keeps one asset of equal bytes calls a second copy of them by the first one's name (DESIGN §4.3).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import msgspec
import trio

from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.state.environment import Environment, Writing

DATABASE = "given"
KEY_BYTES_MAX = 500
"""LMDB takes 511."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a name that was given stands for. `also`: the asset has its provider's name in that album too."""

    asset: AssetId
    also: bool


class GivenNames:
    """(account, album, name) -> the asset. Reads are from memory: all of it is loaded once."""

    def __init__(self, environment: Environment, writer: trio.Lock) -> None:
        """Blocking, for start-up. Errors: StoreCorrupt."""
        self._environment = environment
        self._writer = writer
        self.serial = 0
        """Another number whenever a name is another."""
        self._names: dict[tuple[str, str], dict[str, Given]] = {}
        self._by_asset: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for key, value in environment.read(lambda reading: reading.below(DATABASE, b"")):
            account, album, name = msgspec.msgpack.decode(key, type=tuple[str, str, bytes])
            given = msgspec.msgpack.decode(value, type=Given)
            self._list(account, album, _text(name), given)

    def of(self, account: AccountName, album: AlbumId) -> Mapping[str, Given]:
        """Name -> asset, of those in that album; not to be changed."""
        return self._names.get((account, album), {})

    def names_of(self, account: AccountName, asset: AssetId) -> list[str]:
        """Those that the asset was given, in whatever album."""
        return [name for _, name in self._by_asset.get((account, asset), ())]

    def places_of(self, account: AccountName, asset: AssetId) -> list[tuple[AlbumId, str]]:
        """The albums, and the names that it was given there."""
        return [(AlbumId(album), name) for album, name in self._by_asset.get((account, asset), ())]

    async def give(self, account: AccountName, album: AlbumId, name: str, given: Given | None) -> None:
        """The name stands for that asset in that album; for nothing of ours with None. On disk when it returns.

        Errors: StoreFull, StoreError.
        """
        if self.of(account, album).get(name) == given:
            return
        key = _key(account, album, name)
        if len(key) > KEY_BYTES_MAX:
            return

        def job(writing: Writing) -> None:
            if given is None:
                writing.delete(DATABASE, key)
            else:
                writing.put(DATABASE, key, msgspec.msgpack.encode(given))

        async with self._writer:
            await trio.to_thread.run_sync(self._environment.write, job)
        self._put(account, album, name, given)

    async def succeed(
        self,
        account: AccountName,
        old: AssetId,
        new: AssetId,
        kept: Container[tuple[AlbumId, str]] = (),
        beside: Container[AlbumId] = (),
    ) -> None:
        """What stood for `old` stands for `new`, but for the names that are `kept`; it has its provider's name too in
        the albums `beside`. On disk when it returns.

        Errors: StoreFull, StoreError.
        """
        places = [place for place in self.places_of(account, old) if place not in kept] if old != new else []
        given = {(album, name): self._names[account, album][name] for album, name in places}
        moved = {place: Given(new, one.also or place[0] in beside) for place, one in given.items()}
        if not moved:
            return

        def job(writing: Writing) -> None:
            for (album, name), one in moved.items():
                writing.put(DATABASE, _key(account, album, name), msgspec.msgpack.encode(one))

        async with self._writer:
            await trio.to_thread.run_sync(self._environment.write, job)
        for (album, name), one in moved.items():
            if self.of(account, album).get(name) == given[album, name]:
                self._put(account, album, name, one)

    def _put(self, account: AccountName, album: AlbumId, name: str, given: Given | None) -> None:
        self.serial += 1
        self._unlist(account, album, name)
        if given is not None:
            self._list(account, album, name, given)

    def _list(self, account: str, album: str, name: str, given: Given) -> None:
        self._names.setdefault((account, album), {})[name] = given
        self._by_asset.setdefault((account, given.asset), set()).add((album, name))

    def _unlist(self, account: str, album: str, name: str) -> None:
        names = self._names.get((account, album), {})
        before = names.pop(name, None)
        if before is None:
            return
        if not names:
            del self._names[account, album]
        places = self._by_asset[account, before.asset]
        places.discard((album, name))
        if not places:
            del self._by_asset[account, before.asset]


def _key(account: AccountName, album: AlbumId, name: str) -> bytes:
    return msgspec.msgpack.encode((account, album, name.encode("utf-8", "surrogateescape")))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
