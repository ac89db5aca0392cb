"""A third party's provider, found by its entry point: a folder whose originals come as if over a network.

Beside the folder lies another, `afar`, whose files say what goes wrong: `unreachable` (nothing can be asked),
`latency_s` (a number: how long each answer takes), `wrong` (a name: the first byte of that file is another,
once). `sums` is a folder with the SHA-1 of files, by their names, which it tells as their checksums. It writes
`asked`: a line `NAME OFFSET LENGTH` for each read of an original.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import trio

from iiiffs.errors import ProviderUnreachable
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Facts, Listing
from iiiffs.providers.base import Capabilities, Original, Provider, ProviderContext
from iiiffs.providers.folder import FolderProvider


class AfarOriginal:
    """providers.base.Original whose bytes take their time."""

    def __init__(self, original: Original, name: str, control: Path) -> None:
        self._original = original
        self._name = name
        self._control = control
        self.size_bytes = original.size_bytes
        self.prepare = original.prepare
        self.stream = original.stream
        self.aclose = original.aclose

    async def read(self, offset: int, length: int) -> bytes:
        """Rule: Original.read."""
        with (self._control / "asked").open("a") as asked:
            asked.write(f"{self._name} {offset} {length}\n")
        latency = self._control / "latency_s"
        if latency.exists():
            await trio.sleep(float(latency.read_text()))
        await reach(self._control)
        data = await self._original.read(offset, length)
        wrong = self._control / "wrong"
        if offset or not wrong.exists() or wrong.read_text() != self._name:
            return data
        wrong.unlink()
        return bytes((data[0] ^ 1,)) + data[1:]


class AfarProvider(FolderProvider):
    """providers.base.Provider, for tests and benches."""

    def __init__(self, path: str, context: ProviderContext) -> None:
        super().__init__(path, context)
        self._control = Path(path).with_name("afar")

    @property
    def capabilities(self) -> Capabilities:
        """A folder's, but that nothing of it is here."""
        return replace(super().capabilities, local=False, tells_facts=False)

    async def album(self, album: AlbumId) -> Album:
        """Rule: Provider.album."""
        await reach(self._control)
        return await super().album(album)

    async def listing(self, album: AlbumId) -> Listing:
        """Rule: Provider.listing."""
        await reach(self._control)
        listing = await super().listing(album)
        return replace(listing, assets=tuple(map(self._summed, listing.assets)))

    async def asset(self, asset: AssetId) -> Asset:
        """Rule: Provider.asset."""
        await reach(self._control)
        return self._summed(await super().asset(asset))

    async def facts(self, asset: Asset) -> Facts:
        """Never asked."""
        raise AssertionError("it says that it tells no facts")

    async def open(self, asset: Asset) -> Original:
        """Rule: Provider.open."""
        await reach(self._control)
        return AfarOriginal(await super().open(asset), asset.name, self._control)

    def _summed(self, asset: Asset) -> Asset:
        told = self._control / "sums" / asset.name
        return replace(asset, checksum=told.read_bytes()) if told.exists() else asset


async def reach(control: Path) -> None:
    """It can be reached now. Errors: ProviderUnreachable."""
    await trio.lowlevel.checkpoint()
    if (control / "unreachable").exists():
        raise ProviderUnreachable("the network is down")


def open_provider(context: ProviderContext) -> Provider:
    """As the folder provider's."""
    return AfarProvider(str(context.settings["path"]), context)
