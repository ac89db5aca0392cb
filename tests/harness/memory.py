"""An in-memory provider with titles instead of file names, and faults on order. Held by the contract suite."""

from __future__ import annotations

import hashlib
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import trio

from iiiffs.errors import AssetGone, ProviderUnreachable, VersionChanged
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Facts, Listing, Version
from iiiffs.providers.base import Capabilities, Original
from iiiffs.render.headers import read_facts

SECOND_NS = 10**9
ROOT = AlbumId("root")


@dataclass
class Reads:
    """What was read of originals, and what goes wrong with it.

    `asked`: (asset, offset, length) of each read. `given_bytes`: what was answered. `latency_s`: before each answer.
    `fails_after_bytes`: of an original, no byte from here on can be had. `cuts_bytes`: an answer lacks so many at its
    end, which no provider may do. `wrong`: so many of the next answers have a flipped byte. `hang`: none is answered.
    """

    asked: list[tuple[AssetId, int, int]] = field(default_factory=list)
    given_bytes: int = 0
    latency_s: float = 0.0
    fails_after_bytes: int | None = None
    cuts_bytes: int = 0
    wrong: int = 0
    hang: bool = False

    async def answer(self, asset: AssetId, content: bytes, offset: int, length: int) -> bytes:
        """The bytes, or what goes wrong with them."""
        self.asked.append((asset, offset, length))
        await trio.sleep(math.inf if self.hang else self.latency_s)
        if self.fails_after_bytes is not None and offset + length > self.fails_after_bytes:
            raise ProviderUnreachable(f"the connection broke after {self.fails_after_bytes} bytes")
        data = content[offset : offset + length]
        if self.wrong:
            self.wrong -= 1
            data = bytes((data[0] ^ 1,)) + data[1:]
        data = data[: len(data) - self.cuts_bytes]
        self.given_bytes += len(data)
        return data


def sha1(content: bytes) -> bytes:
    """What `Asset.checksum` holds of `content`."""
    return hashlib.sha1(content, usedforsecurity=False).digest()


class MemoryProvider:
    """Albums and assets in dictionaries. `unreachable` and `hangs` make every question fail or wait for ever."""

    def __init__(self, *, real_names: bool = False, local: bool = True, tells_facts: bool = True) -> None:
        self.capabilities = Capabilities(
            folders=True, real_names=real_names, local=local, fresh_s=1.0, watches=True, tells_facts=tells_facts
        )
        self.albums: dict[AlbumId, Album] = {ROOT: Album(ROOT, "root", None, SECOND_NS)}
        self.assets: dict[AssetId, Asset] = {}
        self.contents: dict[AssetId, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.unreachable = False
        self.hangs = False
        self.reads = Reads()
        self._clock = 1
        self._watching: list[Callable[[Changeset], None]] = []

    def add_album(self, album: str, title: str, parent: AlbumId = ROOT) -> AlbumId:
        """One more album."""
        self.albums[AlbumId(album)] = Album(AlbumId(album), title, parent, self._tick())
        self._report(AlbumId(album))
        return AlbumId(album)

    def put(
        self, asset: str, name: str, content: bytes, album: AlbumId = ROOT, *, checksum: bytes | None = None
    ) -> Asset:
        """A new asset, or new bytes of one."""
        now_ns = self._tick()
        version = Version(f"v{now_ns // SECOND_NS}")
        self.contents[AssetId(asset)] = content
        self.assets[AssetId(asset)] = Asset(
            AssetId(asset), album, name, version, len(content), now_ns, now_ns, _media_type(name), checksum
        )
        self.albums[album] = replace(self.albums[album], mtime_ns=now_ns)
        self._report(album)
        return self.assets[AssetId(asset)]

    def remove(self, asset: str) -> None:
        """It is not there any more."""
        gone = self.assets.pop(AssetId(asset))
        self.albums[gone.album] = replace(self.albums[gone.album], mtime_ns=self._tick())
        self._report(gone.album)

    async def authenticate(self) -> None:
        await self._asked("authenticate")

    async def root(self) -> Album:
        await self._asked("root")
        return self.albums[ROOT]

    async def album(self, album: AlbumId) -> Album:
        await self._asked("album")
        if album not in self.albums:
            raise AssetGone(album)
        return self.albums[album]

    async def listing(self, album: AlbumId) -> Listing:
        found = await self.album(album)
        await self._asked("listing")
        assets = tuple(asset for asset in self.assets.values() if asset.album == album)
        albums = tuple(below for below in self.albums.values() if below.parent == album)
        etag = repr((found, albums, [(asset.id, asset.version, asset.name) for asset in assets]))
        return Listing(found, assets, albums, etag)

    async def asset(self, asset: AssetId) -> Asset:
        await self._asked("asset")
        if asset not in self.assets:
            raise AssetGone(asset)
        return self.assets[asset]

    async def facts(self, asset: Asset) -> Facts:
        await self._asked("facts")
        return read_facts(io.BytesIO(self._bytes(asset)), asset.name)

    async def open(self, asset: Asset) -> Original:
        await self._asked("open")
        return MemoryOriginal(self, asset, self._bytes(asset))

    async def watch(
        self, report: Callable[[Changeset], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        self._watching.append(report)
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self._watching.remove(report)

    async def aclose(self) -> None:
        """Nothing runs."""

    def _bytes(self, asset: Asset) -> bytes:
        if asset.id not in self.assets:
            raise AssetGone(asset.id)
        if self.assets[asset.id].version != asset.version:
            raise VersionChanged(asset.id)
        return self.contents[asset.id]

    async def _asked(self, what: str) -> None:
        self.asked[what] += 1
        await trio.lowlevel.checkpoint()
        if self.unreachable:
            raise ProviderUnreachable("the memory provider was told to be unreachable")
        if self.hangs:
            await trio.sleep_forever()

    def _report(self, album: AlbumId) -> None:
        above = self.albums[album].parent
        for report in self._watching:
            report(Changeset(frozenset({album} if above is None else {album, above})))

    def _tick(self) -> int:
        self._clock += 1
        return self._clock * SECOND_NS


def _media_type(name: str) -> str:
    return "application/octet-stream" if name.endswith((".xmp", ".toml", ".txt")) else "image/jpeg"


class MemoryOriginal:
    """The bytes of one version, for as long as it is the present one."""

    def __init__(self, provider: MemoryProvider, asset: Asset, content: bytes) -> None:
        self._provider = provider
        self._asset = asset
        self._content = content

    @property
    def size_bytes(self) -> int:
        return len(self._content)

    async def read(self, offset: int, length: int) -> bytes:
        await trio.lowlevel.checkpoint()
        current = self._provider.assets.get(self._asset.id)
        if current is not None and current.version != self._asset.version:
            raise VersionChanged(self._asset.id)
        if self._provider.unreachable:
            raise ProviderUnreachable("the memory provider was told to be unreachable")
        return await self._provider.reads.answer(self._asset.id, self._content, offset, length)

    async def prepare(self) -> None:
        """The bytes are here."""

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        yield io.BytesIO(self._content)

    async def aclose(self) -> None:
        """Nothing is open."""
