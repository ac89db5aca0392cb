"""A third party's provider, found by its entry point: a folder whose files and folders named `hang…` never answer.

Bytes of files `hang…` cannot be opened, those of `slow…` cannot be read, folders `hang…` cannot be listed.
"""

from __future__ import annotations

import trio

from iiiffs.model.gallery import AlbumId, Asset, Listing
from iiiffs.providers.base import Original, Provider, ProviderContext
from iiiffs.providers.folder import FolderProvider

HANG = "hang"
SLOW = "slow"


class SlowOriginal:
    """providers.base.Original that is there and never gives a byte."""

    def __init__(self, original: Original) -> None:
        self._original = original
        self.size_bytes = original.size_bytes
        self.prepare = original.prepare
        self.stream = original.stream
        self.aclose = original.aclose

    async def read(self, offset: int, length: int) -> bytes:
        """Never."""
        await trio.sleep_forever()
        raise AssertionError


class HangingProvider(FolderProvider):
    """providers.base.Provider, for tests."""

    async def listing(self, album: AlbumId) -> Listing:
        """Never, for some."""
        if (await self.album(album)).title.startswith(HANG):
            await trio.sleep_forever()
        return await super().listing(album)

    async def open(self, asset: Asset) -> Original:
        """Never, for some."""
        if asset.name.startswith(HANG):
            await trio.sleep_forever()
        original = await super().open(asset)
        return SlowOriginal(original) if asset.name.startswith(SLOW) else original


def open_provider(context: ProviderContext) -> Provider:
    """As the folder provider's."""
    return HangingProvider(str(context.settings["path"]), context)
