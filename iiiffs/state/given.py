"""Names that people gave to assets whose provider calls them otherwise: kept, so that the name goes on working.

A library that keeps one asset of equal bytes calls a second copy of them by the first one's name (DESIGN §4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
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
        for key, value in environment.read(lambda reading: reading.below(DATABASE, b"")):
            account, album, name = msgspec.msgpack.decode(key, type=tuple[str, str, bytes])
            given = msgspec.msgpack.decode(value, type=Given)
            self._names.setdefault((account, album), {})[_text(name)] = given

    def of(self, account: AccountName, album: AlbumId) -> Mapping[str, Given]:
        """Name -> asset, of those in that album; not to be changed."""
        return self._names.get((account, album), {})

    async def give(self, account: AccountName, album: AlbumId, name: str, given: Given | None) -> None:
        """The name stands for that asset in that album; for nothing of ours with None. On disk when it returns.

        Errors: StoreFull, StoreError.
        """
        names = self._names.setdefault((account, album), {})
        if names.get(name) == given:
            return
        key = msgspec.msgpack.encode((account, album, name.encode("utf-8", "surrogateescape")))
        if len(key) > KEY_BYTES_MAX:
            return

        def job(writing: Writing) -> None:
            if given is None:
                writing.delete(DATABASE, key)
            else:
                writing.put(DATABASE, key, msgspec.msgpack.encode(given))

        async with self._writer:
            await trio.to_thread.run_sync(self._environment.write, job)
        self.serial += 1
        if given is None:
            names.pop(name, None)
        else:
            names[name] = given


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
