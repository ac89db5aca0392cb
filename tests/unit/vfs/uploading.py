"""What the uploader's tests stand on: a journal that may be cut off, and a provider that does what a test says.

The provider is written for these tests alone: small, in memory, both ways (folders and sets). It keeps every asset that
ever was, so that a test can say "exactly once".
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import trio
import trio.testing

from iiiffs.errors import AlreadyThere, AssetGone, ProviderUnreachable, Rejected, StoreFull, VersionChanged
from iiiffs.model.description import Description
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Listing, Version
from iiiffs.model.writing import AlbumVerb, Edit, Payload, Replaced, Writing
from iiiffs.providers.base import Capabilities, Provider
from iiiffs.state.given import Given
from iiiffs.state.spool import Spool
from iiiffs.sync.items import Base, Conflict, Item, Stage, Verb
from iiiffs.sync.stages import recovered
from iiiffs.tree.albums import AlbumNames
from iiiffs.vfs.blocks import BlockCache
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.sending_news import News
from iiiffs.vfs.uploader import Uploader

HOME = AccountName("home")
ROOT = AlbumId("root")
SETTLE_S = 3.0


def sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


@dataclass
class Disk:
    """What is there after a crash. `log`: what came to the disk, in order."""

    items: dict[str, Item] = field(default_factory=dict)
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    successors: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    full: int = 0
    """So many commits fail."""
    unrecorded: int = 0
    """So many successors cannot be recorded."""
    steps: int = 0
    crash_at: int | None = None
    crashed: trio.Event = field(default_factory=trio.Event)

    async def step(self) -> None:
        """One of the moments at which a crash may come; it ends there for who gets here at `crash_at`."""
        await trio.lowlevel.checkpoint()
        self.steps += 1
        if self.steps == self.crash_at or self.crashed.is_set():
            self.crashed.set()
            await trio.sleep(math.inf)


class MemoryJournal:
    """state.journal.Journal, on a Disk. What is only noted comes to it with the next commit."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._noted: list[tuple[str, Item | None]] = []

    def note(self, puts: Sequence[Item] = (), deletes: Sequence[str] = ()) -> None:
        self._noted += [(item.id, item) for item in puts]
        self._noted += [(id, None) for id in deletes]

    async def commit(self, puts: Sequence[Item] = (), deletes: Sequence[str] = ()) -> None:
        self.note(puts, deletes)
        await self._commit()

    async def _commit(self) -> None:
        await self.disk.step()
        if self.disk.full:
            self.disk.full -= 1
            raise StoreFull("the disk is full")
        for id, item in self._noted:
            if item is None:
                self.disk.items.pop(id, None)
            else:
                self.disk.items[id] = item
            self.disk.log.append(f"{id} {'gone' if item is None else item.stage.value}")
        self._noted.clear()
        await self.disk.step()

    async def put_conflict(self, conflict: Conflict) -> None:
        await self.disk.step()
        self.disk.conflicts[conflict.id] = conflict  # in one transaction with what was noted before
        await self._commit()

    async def delete_conflict(self, id: str) -> None:
        await self._commit()
        self.disk.conflicts.pop(id, None)


class MemorySuccessors:
    """state.successors.Successors, on a Disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def successor(self, account: AccountName, id: str) -> str | None:
        last = None
        while (found := self._disk.successors.get(last or id)) is not None:
            last = found
        return last

    async def record(self, account: AccountName, old: str, new: str) -> None:
        await self._disk.step()
        if self._disk.unrecorded:
            self._disk.unrecorded -= 1
            raise StoreFull("no room for a successor")
        if old != new:
            self._disk.successors.pop(new, None)
            self._disk.successors[old] = new
            self._disk.log.append(f"{old} is {new}")
        await self._disk.step()


class NoNames:
    """state.given.GivenNames; nobody calls anything otherwise."""

    def of(self, account: AccountName, album: AlbumId) -> Mapping[str, Given]:
        return {}

    def places_of(self, account: AccountName, asset: AssetId) -> list[tuple[AlbumId, str]]:
        return []


class MemoryNotes:
    """state.notes.Notes; nothing is ever lost by a replacement."""

    given = NoNames()

    async def replaced(
        self,
        account: AccountName,
        old: AssetId,
        new: AssetId,
        not_carried: tuple[str, ...],
        beside: Collection[AlbumId],
    ) -> None:
        assert not (not_carried or beside)
        await trio.lowlevel.checkpoint()


@dataclass
class Stored:
    """An asset at the provider."""

    asset: Asset
    data: bytes
    albums: set[AlbumId]
    is_trashed: bool = False


Fault = Callable[[str, object], Any]
"""(verb, about) before a call: may raise, or return "lost" (done, and the answer lost), "hang", or None."""


class TestProvider:
    """`sets`: as Immich; else as a folder. `fault`: is asked before each call. `calls`: (verb, about), as they came."""

    __test__ = False

    def __init__(self, *, sets: bool) -> None:
        verbs = frozenset(AlbumVerb)
        writing = Writing(
            membership=sets, fixed_names=sets, replaces_id=sets, album_verbs=verbs, nested=not sets, sidecars=sets,
            suffixes=frozenset({".jpg", ".cr2"}) if sets else None,
        )  # fmt: skip
        self.capabilities = Capabilities(
            folders=not sets, real_names=not sets, local=False, fresh_s=1.0, writing=writing
        )
        self._sets = sets
        self.stored: dict[AssetId, Stored] = {}
        self.albums: dict[AlbumId, Album] = {ROOT: Album(ROOT, "root", None, 0)}
        self.tokens: dict[str, AlbumId] = {}
        self.edits: list[tuple[AssetId, Edit]] = []
        self.sidecars: dict[AssetId, bytes] = {}
        self.said: list[tuple[AssetId, Description, tuple[str, ...]]] = []
        self.fault: Fault = lambda verb, about: None
        self.latency_s = 0.1
        self.calls: list[tuple[str, object]] = []
        self.busy = Counter[str]()
        self.busiest = Counter[str]()
        self.step: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self.bad: set[AssetId] = set()
        """A call that holds one of these is refused whole."""
        self.refused: dict[AssetId, str] = {}
        """These are refused one by one."""
        self._number = 0

    # ---- what tests look at -----------------------------------------------------------------------------------

    def in_album(self, album: AlbumId = ROOT) -> dict[str, bytes]:
        found = [one for one in self.stored.values() if album in one.albums and not one.is_trashed]
        names = [one.asset.name for one in found]
        assert self._sets or len(set(names)) == len(names), "one file a name"
        return {one.asset.name: one.data for one in found}

    def count(self, verb: str) -> int:
        return sum(called == verb for called, _ in self.calls)

    def put(self, name: str, data: bytes, album: AlbumId = ROOT) -> Asset:
        return self._insert(name, data, album).asset

    def change(self, id: AssetId, data: bytes) -> None:
        one = self.stored[id]
        one.data, one.asset = data, self._asset(id, one.asset.name, data, one.asset.album)

    # ---- Provider ---------------------------------------------------------------------------------------------

    async def asset(self, asset: AssetId) -> Asset:
        async def answer() -> Asset:
            one = self.stored.get(asset)
            if one is None or one.is_trashed:
                raise AssetGone(asset)
            return one.asset

        return cast(Asset, await self._call("asset", asset, answer))

    async def listing(self, album: AlbumId) -> Listing:
        async def answer() -> Listing:
            assets = tuple(one.asset for one in self.stored.values() if album in one.albums and not one.is_trashed)
            albums = tuple(one for one in self.albums.values() if one.parent == album)
            return Listing(self.albums[album], assets, albums, "")

        return cast(Listing, await self._call("listing", album, answer))

    # ---- HasWriting -------------------------------------------------------------------------------------------

    async def upload(self, album: AlbumId, name: str, payload: Payload) -> Asset:
        data = payload.path.read_bytes()
        assert (len(data), sha1(data)) == (payload.size_bytes, payload.sha1), "the payload is what is told of it"

        async def answer() -> Asset:
            if album not in self.albums:
                raise AssetGone(f"there is no album {album}")
            held = self._held(album, name, payload.sha1)
            if held is None:
                made = self._insert(name, data, album).asset
                if payload.sidecar is not None:
                    self.sidecars[made.id] = payload.sidecar
                return made
            if held.data != data:
                if sha1(held.data) not in payload.earlier:
                    raise AlreadyThere(f"{name} is another's")
                self.change(held.asset.id, data)
            held.albums.add(album)
            held.is_trashed = False
            return held.asset

        return cast(Asset, await self._call("upload", name, answer))

    async def upload_with_sidecar(self, album: AlbumId, name: str, payload: Payload) -> tuple[Asset, bool]:
        assert payload.sidecar is not None
        is_there = self._held(album, name, payload.sha1) is not None
        asset = await self.upload(album, name, payload)
        return asset, not is_there

    async def describe(self, asset: AssetId, said: Description, tags: Sequence[str]) -> None:
        async def answer() -> None:
            if asset not in self.stored or self.stored[asset].is_trashed:
                raise AssetGone(asset)
            self.said.append((asset, said, tuple(tags)))

        await self._call("describe", asset, answer)

    async def replace(self, asset: Asset, payload: Payload) -> Replaced:
        data = payload.path.read_bytes()

        async def answer() -> Asset:
            one = self.stored.get(asset.id)
            same = next((other for other in self.stored.values() if other.data == data and not other.is_trashed), None)
            if self._sets and same is not None and (one is None or one.is_trashed):
                return same.asset
            if one is None or one.is_trashed:
                raise AssetGone(asset.id)
            if one.data == data:
                return one.asset
            if one.asset.version != asset.version and sha1(one.data) not in payload.earlier:
                raise VersionChanged(f"{asset.name} is another")
            if not self._sets:
                self.change(asset.id, data)
                return one.asset
            new = self._insert(asset.name, data, asset.album)
            new.albums |= one.albums
            one.is_trashed = True
            return new.asset

        return Replaced(cast(Asset, await self._call("replace", asset.id, answer)))

    async def make_album(self, parent: AlbumId, title: str, token: str) -> Album:
        async def answer() -> Album:
            if token in self.tokens:
                return self.albums[self.tokens[token]]
            if not self._sets and any(one.parent == parent and one.title == title for one in self.albums.values()):
                raise AlreadyThere(title)
            self._number += 1
            album = Album(AlbumId(f"album-{self._number}"), title, parent, 0)
            self.albums[album.id], self.tokens[token] = album, album.id
            return album

        return cast(Album, await self._call("make_album", title, answer))

    async def add(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        return await self._membership("add", album, assets, lambda one: one.albums.add(album))

    async def take_out(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        return await self._membership("take_out", album, assets, lambda one: one.albums.discard(album))

    async def _membership(
        self, verb: str, album: AlbumId, assets: Sequence[AssetId], change: Callable[[Stored], None]
    ) -> Mapping[AssetId, str]:
        async def answer() -> dict[AssetId, str]:
            if album not in self.albums:
                raise AssetGone(album)
            if self.bad.intersection(assets):
                raise Rejected("one of them is no id")
            failed = {id: "not_found" for id in assets if id not in self.stored}
            failed.update({id: self.refused[id] for id in assets if id in self.refused})
            for id in assets:
                if id not in failed:
                    change(self.stored[id])
            return failed

        return cast(dict[AssetId, str], await self._call(verb, tuple(assets), answer))

    async def edit(self, asset: AssetId, edit: Edit) -> Asset:
        async def answer() -> Asset:
            self.edits.append((asset, edit))
            return self.stored[asset].asset

        return cast(Asset, await self._call("edit", asset, answer))

    # ---- within -----------------------------------------------------------------------------------------------

    async def _call(self, verb: str, about: object, answer: Callable[[], Any]) -> object:
        self.calls.append((verb, about))
        self.busy[verb] += 1
        self.busiest[verb] = max(self.busiest[verb], self.busy[verb])
        try:
            await self.step()
            await trio.sleep(self.latency_s)
            what = self.fault(verb, about)
            if what == "hang":
                await trio.sleep(math.inf)
            answered = await answer()
            await self.step()
            if what == "lost":
                raise ProviderUnreachable("the answer was lost")
            if what == "cut":
                return replace(answered, size_bytes=1)
            return answered
        finally:
            self.busy[verb] -= 1

    def _held(self, album: AlbumId, name: str, sum_: bytes) -> Stored | None:
        for one in self.stored.values():
            if sha1(one.data) == sum_ if self._sets else (one.asset.name == name and album in one.albums):
                if not self._sets and one.is_trashed:
                    continue
                return one
        return None

    def _insert(self, name: str, data: bytes, album: AlbumId) -> Stored:
        self._number += 1
        id = AssetId(f"asset-{self._number}")
        self.stored[id] = Stored(self._asset(id, name, data, album), data, {album})
        return self.stored[id]

    def _asset(self, id: AssetId, name: str, data: bytes, album: AlbumId) -> Asset:
        self._number += 1
        checksum = sha1(data) if self._sets else None
        return Asset(id, album, name, Version(f"v{self._number}"), len(data), 1, 1, "image/jpeg", checksum)


@dataclass
class Account:
    """vfs.sending.Account."""

    provider: Provider
    name: AccountName = HOME
    trouble: str | None = None
    settle_s: float = SETTLE_S
    blocks: BlockCache | None = None
    expired: list[AlbumId | None] = field(default_factory=list)
    tells: Callable[[AlbumId], Listing | None] = lambda album: None
    """What listings hold; None: nothing."""
    names: dict[AlbumId, AlbumNames] = field(default_factory=dict)
    known_for_good: dict[AlbumId, AlbumNames] = field(default_factory=dict)

    def expire(self, album: AlbumId | None) -> None:
        self.expired.append(album)

    def learnt(self, asset: Asset) -> None:
        self.expired.append(asset.album)

    def done(self, album: AlbumId, id: str, entry: Album | Asset | None) -> None:
        self.expired.append(album)

    @property
    def capabilities(self) -> Capabilities:
        return self.provider.capabilities

    async def told(self, album: AlbumId, *, anew: bool = False) -> AlbumNames:
        listing = self.tells(album) or Listing(Album(album, "", None, 0), (), (), "")
        self.names[album] = AlbumNames(listing, real_names=False)
        return self.names[album]

    def told_last(self, album: AlbumId) -> tuple[AlbumNames | None, float]:
        return self.names.get(album), trio.current_time()

    async def remembered(self, album: AlbumId) -> None:
        self.known_for_good[album] = self.names[album]


class Bench:
    """One daemon's life over a disk and a provider; a second one over the same is what comes after a crash."""

    def __init__(self, path: Path, provider: TestProvider, disk: Disk | None = None) -> None:
        self.path = path
        self.provider = provider
        self.disk = disk or Disk()
        provider.step = self.disk.step
        self.spool = Spool(path, min_free_bytes=0)
        found = recovered(self.disk.items.values(), self.spool.sizes(), 0)
        self.queue = Queue(
            cast(Any, MemoryJournal(self.disk)), self.spool, cast(Any, MemorySuccessors(self.disk)),
            cast(Any, MemoryNotes()), found.items, self.disk.conflicts.values(),
        )  # fmt: skip
        self.account = Account(cast(Provider, provider))
        self.news: list[tuple[News, str]] = []
        self.uploader = Uploader(
            self.account, self.queue, self._names, lambda news, text: self.news.append((news, text)), lambda: 0.5
        )

    async def _names(self, album: AlbumId) -> set[str]:
        return set(self.provider.in_album(album))

    def again(self) -> Bench:
        """The next life: only what was on the disk is known."""
        self.disk.crash_at, self.disk.crashed = None, trio.Event()
        return Bench(self.path, self.provider, self.disk)

    def item(self, verb: Verb, name: str = "", album: AlbumId = ROOT, **more: Any) -> Item:
        stage = more.pop("stage", Stage.SETTLING)
        return Item(self.queue.new_id(), self.queue.next_order(), HOME, verb, stage, album, name, 0, mtime_ns=1, **more)

    async def file(self, name: str, data: bytes, album: AlbumId = ROOT, **more: Any) -> Item:
        """A file that was written and closed."""
        item = self.item(Verb.UPLOAD, name, album, size_bytes=len(data), generation=1, **more)
        self.spool.path(item.id).write_bytes(data)
        await self.queue.commit(item)
        return item

    async def says(self, verb: Verb, *assets: AssetId | str, album: AlbumId = ROOT, **more: Any) -> Item:
        """A change of an album or of an asset."""
        item = self.item(verb, "some", album, assets=tuple(map(AssetId, assets)), **more)
        await self.queue.commit(item)
        return item

    def stage(self, item: Item) -> Stage | None:
        current = self.queue.get(item.id)
        return None if current is None else current.stage


def base_of(asset: Asset) -> Base:
    return Base(
        asset.id, asset.version, asset.album, asset.name, asset.size_bytes or 0, asset.mtime_ns, asset.changed_ns
    )


def living(bench: Bench, test: Callable[[], Awaitable[None]]) -> None:
    """Runs `test` beside the uploader's service, then stops it. Time jumps whenever nothing but time is waited for."""
    clock = trio.testing.MockClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(jump, clock, bench.uploader.threads)
            await nursery.start(bench.uploader.run)
            nursery.start_soon(_end, bench.disk.crashed, nursery.cancel_scope)
            await test()
            nursery.cancel_scope.cancel()

    trio.run(main, clock=clock)


async def _end(crashed: trio.Event, scope: trio.CancelScope) -> None:
    await crashed.wait()
    scope.cancel()


async def jump(clock: trio.testing.MockClock, threads: trio.CapacityLimiter) -> None:
    """trio's own autojump takes a task that waits for a thread for an idle one."""
    others = trio.to_thread.current_default_thread_limiter()
    own = trio.CapacityLimiter(1)
    while True:
        await trio.testing.wait_all_tasks_blocked()
        next_s = trio.lowlevel.current_statistics().seconds_to_next_deadline
        if threads.borrowed_tokens or others.borrowed_tokens or next_s == math.inf:
            await trio.to_thread.run_sync(time.sleep, 0.0002, limiter=own)
        else:
            clock.jump(max(next_s, 0.0))
