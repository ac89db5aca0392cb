"""A third party's provider, found by its entry point: a folder whose files and folders named `hang…` never answer.

Bytes of files `hang…` cannot be opened, facts of files `hang-facts…` cannot be read, folders `hang…` cannot be listed.
"""

from __future__ import annotations

import trio

from iiiffs.model.gallery import AlbumId, Asset, Facts, Listing
from iiiffs.providers.base import Original, Provider, ProviderContext
from iiiffs.providers.folder import FolderProvider

HANG = "hang"
HANG_FACTS = "hang-facts"


class HangingProvider(FolderProvider):
    """providers.base.Provider, for tests."""

    async def listing(self, album: AlbumId) -> Listing:
        """Never, for some."""
        if (await self.album(album)).title.startswith(HANG):
            await trio.sleep_forever()
        return await super().listing(album)

    async def facts(self, asset: Asset) -> Facts:
        """Never, for some."""
        if asset.name.startswith(HANG_FACTS):
            await trio.sleep_forever()
        return await super().facts(asset)

    async def open(self, asset: Asset) -> Original:
        """Never, for some."""
        if asset.name.startswith(HANG):
            await trio.sleep_forever()
        return await super().open(asset)


def open_provider(context: ProviderContext) -> Provider:
    """As the folder provider's."""
    return HangingProvider(str(context.settings["path"]), context)
