"""A queue on a real journal and spool, over accounts in memory: what tests of the queue's verbs look at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import trio

from iiiffs.errors import AssetGone, ProviderUnreachable, VersionChanged
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Version
from iiiffs.model.writing import Access, AlbumVerb, Payload, Replaced, Writing
from iiiffs.providers.base import Capabilities
from iiiffs.state.store import State
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.queue_control import QueueControl

HOME = AccountName("home")
SHOWN = AccountName("shown")
"""The account's slug."""
TRIP = AlbumId("trip")
NOW_NS = 1_700_000_000 * 10**9


class MemoryOriginal:
    """Bytes in memory."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.size_bytes = len(body)

    async def read(self, offset: int, length: int) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.body[offset : offset + length]

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@dataclass
class MemoryAccount:
    """Gallery, provider and sender in one, of one account with files in albums; `trash` is what was removed."""

    name: AccountName = HOME
    account: AccountName = SHOWN
    aliases: tuple[AccountName, ...] = ()
    access: Access = Access.EDIT
    replaces_id: bool = False
    is_away: bool = False
    trouble: str | None = None
    held_back: int = 0
    assets: dict[AssetId, tuple[Asset, bytes]] = field(default_factory=dict)
    trash: list[tuple[str, bytes]] = field(default_factory=list)
    sent_bytes: dict[str, int] = field(default_factory=dict)
    hurried: list[tuple[str, ...] | None] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    paths: dict[AlbumId, tuple[str, ...]] = field(default_factory=lambda: {TRIP: ("albums", "Trip")})

    @property
    def provider(self) -> MemoryAccount:
        return self

    @property
    def capabilities(self) -> Capabilities:
        writing = Writing(False, False, self.replaces_id, frozenset(AlbumVerb), nested=True)
        return Capabilities(folders=True, real_names=True, local=False, fresh_s=1.0, writing=writing)

    def take(self, id: str, name: str, body: bytes, version: str = "1") -> Asset:
        """There is such an asset now."""
        asset = Asset(AssetId(id), TRIP, name, Version(version), len(body), NOW_NS, NOW_NS, "image/jpeg")
        self.assets[asset.id] = (asset, body)
        return asset

    @property
    def bodies(self) -> dict[str, bytes]:
        """Name -> bytes, of all that is there."""
        return {asset.name: body for asset, body in self.assets.values()}

    # ---- as a gallery

    def _ask(self) -> None:
        if self.is_away:
            raise ProviderUnreachable("nobody answers")

    async def album(self, album: AlbumId) -> Album:
        await trio.lowlevel.checkpoint()
        self._ask()
        if album not in self.paths:
            raise AssetGone(f"{album} is gone")
        return Album(album, self.paths[album][-1], None, 0)

    async def path(self, album: Album) -> tuple[str, ...]:
        await trio.lowlevel.checkpoint()
        return self.paths[album.id]

    async def asset(self, asset: AssetId) -> Asset:
        await trio.lowlevel.checkpoint()
        self._ask()
        if asset not in self.assets:
            raise AssetGone(f"{asset} is gone")
        return self.assets[asset][0]

    async def find(self, album: AlbumId, name: str) -> Asset | None:
        await trio.lowlevel.checkpoint()
        self._ask()
        return next((asset for asset, _ in self.assets.values() if (asset.album, asset.name) == (album, name)), None)

    async def open(self, asset: Asset) -> MemoryOriginal:
        await trio.lowlevel.checkpoint()
        self._ask()
        return MemoryOriginal(self.assets[asset.id][1])

    def expire(self, album: AlbumId | None) -> None:
        pass

    # ---- as a provider that can be written to

    async def replace(self, asset: Asset, payload: Payload) -> Replaced:
        await trio.lowlevel.checkpoint()
        self._ask()
        current, body = self.assets[asset.id]
        if current.version != asset.version:
            raise VersionChanged(f"{asset.name} has changed")
        new_body = payload.path.read_bytes()
        assert (hashlib.sha1(new_body).digest(), len(new_body)) == (payload.sha1, payload.size_bytes)
        self.trash.append((current.name, body))
        if self.replaces_id:
            del self.assets[asset.id]
        id = f"{asset.id}-new" if self.replaces_id else asset.id
        return Replaced(self.take(id, current.name, new_body, "2"))

    async def remove(self, asset: Asset) -> None:
        await trio.lowlevel.checkpoint()
        self._ask()
        current, body = self.assets.pop(asset.id)
        self.trash.append((current.name, body))

    async def move(self, asset: Asset, album: AlbumId, name: str, over: Asset | None = None) -> Asset:
        await trio.lowlevel.checkpoint()
        self._ask()
        current, body = self.assets[asset.id]
        moved = replace(current, album=album, name=name)
        self.assets[asset.id] = (moved, body)
        return moved

    # ---- as a sender

    def state(self) -> MemoryAccount:
        return self

    def send_now(self, ids: Collection[str] | None = None) -> None:
        self.hurried.append(None if ids is None else tuple(ids))

    async def interrupt(self, id: str) -> None:
        await trio.lowlevel.checkpoint()
        self.interrupted.append(id)


@dataclass
class Queued:
    """The parts that tests look at."""

    queue: Queue
    state: State
    account: MemoryAccount
    control: QueueControl

    async def ask(self, verb: str, **args: object) -> object:
        """What the daemon's socket would answer."""
        return await self.control.handlers[verb](args)

    async def listed(self, verb: str, **args: object) -> list[Mapping[str, object]]:
        """As `ask`, of a verb that answers rows."""
        rows = await self.ask(verb, **args)
        assert isinstance(rows, list)
        return rows

    async def add(self, id: str, stage: Stage, body: bytes = b"bytes", **changes: object) -> Item:
        """An item in the queue, with its payload where it has one."""
        item = Item(
            id=f"local-{id}",
            order=self.queue.next_order(),
            account=HOME,
            verb=Verb.UPLOAD,
            stage=stage,
            album=TRIP,
            name=f"{id}.jpg",
            began_ns=NOW_NS,
            size_bytes=len(body),
            mtime_ns=NOW_NS,
            generation=1,
        )
        item = replace(item, **changes)  # type: ignore[arg-type]  # fields by name
        if item.has_payload:
            descriptor = self.queue.spool.create(item.id)
            os.write(descriptor, body)
            os.close(descriptor)
        await self.queue.commit(item)
        return item

    @property
    def payloads(self) -> set[str]:
        """The ids that have one."""
        return set(self.queue.spool.sizes())


@asynccontextmanager
async def queued(folder: Path, account: MemoryAccount | None = None) -> AsyncIterator[Queued]:
    """A queue with one account, `home`."""
    account = account or MemoryAccount()
    state = State.open(folder / "state", min_free_bytes=0)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(state.journal.run)
            loaded = state.journal.load()
            queue = Queue(state.journal, state.spool, state.successors, state.notes(), loaded.items, loaded.conflicts)
            gallery = cast(Gallery, account)
            control = QueueControl(queue, {HOME: account}, [gallery], lambda name: account.trouble)
            yield Queued(queue, state, account, control)
            nursery.cancel_scope.cancel()
    finally:
        state.close()
