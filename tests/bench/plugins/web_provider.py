"""A provider for benches: a folder whose originals are asked of a web server, by the client that all network providers
share (`providers.http`). So what is measured is that client, the block cache and the mount, and no service's API.

Beside the folder lies `url`, a file with the server's address, and `sums`, a folder with each file's SHA-1, which it
tells as the checksum, as a photo server does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from iiiffs.model.gallery import AlbumId, Asset, AssetId, Facts, Listing
from iiiffs.providers.base import Capabilities, Original, Provider, ProviderContext
from iiiffs.providers.folder import FolderProvider
from iiiffs.providers.http import HttpAccount
from iiiffs.providers.http_values import Ask
from iiiffs.providers.pieces import Pieces
from iiiffs.providers.remote import RemoteOriginal


class WebProvider(FolderProvider):
    """providers.base.Provider; names, sizes and versions are the folder's."""

    def __init__(self, path: str, context: ProviderContext) -> None:
        super().__init__(path, context)
        self._sums = Path(path).with_name("sums")
        self._http = HttpAccount(str(context.account), Path(path).with_name("url").read_text(), _nothing_needed)

    @property
    def capabilities(self) -> Capabilities:
        """A folder's, but that nothing of it is here."""
        return replace(super().capabilities, local=False, tells_facts=False)

    async def listing(self, album: AlbumId) -> Listing:
        """Rule: Provider.listing."""
        listing = await super().listing(album)
        return replace(listing, assets=tuple(map(self._summed, listing.assets)))

    async def asset(self, asset: AssetId) -> Asset:
        """Rule: Provider.asset."""
        return self._summed(await super().asset(asset))

    async def facts(self, asset: Asset) -> Facts:
        """Never asked."""
        raise AssertionError("it says that it tells no facts")

    async def open(self, asset: Asset) -> Original:
        """Rule: Provider.open."""
        size_bytes = asset.size_bytes
        assert size_bytes is not None

        async def pour(offset: int, pieces: Pieces) -> None:
            await self._http.pour(Ask("GET", f"/{asset.name}", "an original"), offset, pieces, size_bytes)

        return RemoteOriginal(size_bytes, pour)

    async def aclose(self) -> None:
        """Rule: Provider.aclose."""
        await self._http.aclose()
        await super().aclose()

    def _summed(self, asset: Asset) -> Asset:
        told = self._sums / asset.name
        return replace(asset, checksum=told.read_bytes()) if told.exists() else asset


async def _nothing_needed() -> Mapping[str, str]:
    return {}


def open_provider(context: ProviderContext) -> Provider:
    """As the folder provider's."""
    return WebProvider(str(context.settings["path"]), context)
