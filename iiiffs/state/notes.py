"""What goes with an asset when another takes its place: names that it was given, and what people should know of it.

notes   account, id -> what of the one that it replaced it has not got, in plain words

A note is kept until the asset is replaced itself, or the note is dismissed. The names: iiiffs.state.given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
import trio

from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.state.environment import Environment, Writing
from iiiffs.state.given import Given, GivenNames

DATABASE = "notes"


class Notes:
    """Of all accounts. Reads are from memory: all of it is loaded once."""

    def __init__(self, environment: Environment, writer: trio.Lock) -> None:
        """Blocking, for start-up. Errors: StoreCorrupt."""
        self.given = GivenNames(environment, writer)
        self._environment = environment
        self._writer = writer
        self._kept: dict[tuple[str, str], tuple[str, ...]] = {}
        for key, value in environment.read(lambda reading: reading.below(DATABASE, b"")):
            account, asset = msgspec.msgpack.decode(key, type=tuple[str, str])
            self._kept[account, asset] = msgspec.msgpack.decode(value, type=tuple[str, ...])

    def not_carried(self, account: AccountName, asset: AssetId) -> tuple[str, ...]:
        """What the asset has not got of the one that it replaced; () for nothing, or for none."""
        return self._kept.get((account, asset), ())

    async def replaced(
        self,
        account: AccountName,
        old: AssetId,
        new: AssetId,
        not_carried: tuple[str, ...],
        beside: Collection[AlbumId] = (),
    ) -> None:
        """`new` has taken the place of `old`, of which nobody need know anything any more. `beside`: albums in which it
        is by a name of its own as well. On disk when it returns.

        Errors: StoreFull, StoreError.
        """
        await self.given.succeed(account, old, new, beside=beside)
        await self._keep({(account, old): (), (account, new): not_carried})

    async def _keep(self, wanted: Mapping[tuple[str, str], tuple[str, ...]]) -> None:
        changed = {key: words for key, words in wanted.items() if self._kept.get(key, ()) != words}
        if not changed:
            return

        def job(writing: Writing) -> None:
            for place, words in changed.items():
                key = msgspec.msgpack.encode(place)
                if words:
                    writing.put(DATABASE, key, msgspec.msgpack.encode(words))
                else:
                    writing.delete(DATABASE, key)

        async with self._writer:
            await trio.to_thread.run_sync(self._environment.write, job)
        for place, words in changed.items():
            if words:
                self._kept[place] = words
            else:
                self._kept.pop(place, None)

    async def parted(
        self,
        account: AccountName,
        old: AssetId,
        new: AssetId,
        not_carried: tuple[str, ...],
        kept: Collection[tuple[AlbumId, str]],
        beside: Collection[AlbumId] = (),
    ) -> None:
        """As `replaced`, but `old` goes on under the names that are `kept`, and no other, in those albums."""
        for album, name in kept:
            await self.given.give(account, album, name, Given(old, also=False))
        await self.given.succeed(account, old, new, kept, beside)
        await self._keep({(account, new): not_carried})

    async def dismiss(self, account: AccountName, asset: AssetId) -> bool:
        """Nothing is kept of it any more, also on disk; False if nothing was. Errors: StoreFull, StoreError."""
        was_there = bool(self.not_carried(account, asset))
        await self.replaced(account, asset, asset, ())
        return was_there
