"""An original that cannot be opened now, and of which perhaps nobody wants a byte: who empties it needs none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO

import trio

from iiiffs.errors import DeadlinePassed, ProviderUnreachable
from iiiffs.model.gallery import Asset
from iiiffs.providers.base import Original
from iiiffs.vfs.gallery import Gallery


class UnopenedOriginal:
    """Rule: providers.base.Original. `opened`: asked again by whoever wants bytes; errors of all: as its."""

    def __init__(self, size_bytes: int, opened: Callable[[], Awaitable[Original]]) -> None:
        self.size_bytes = size_bytes
        self._opened = opened
        self._opening = trio.Lock()
        self._original: Original | None = None

    async def read(self, offset: int, length: int) -> bytes:
        """Rule: Original.read."""
        return await (await self._found()).read(offset, length)

    async def prepare(self) -> None:
        """Rule: Original.prepare."""
        await (await self._found()).prepare()

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Rule: Original.stream."""
        with trio.from_thread.run(self._found).stream() as body:
            yield body

    async def aclose(self) -> None:
        """Rule: Original.aclose."""
        original, self._original = self._original, None
        if original is not None:
            await original.aclose()

    async def _found(self) -> Original:
        async with self._opening:
            if self._original is None:
                self._original = await self._opened()
            return self._original


async def opened_or_later(gallery: Gallery, asset: Asset) -> Original:
    """Its bytes; if nobody can be asked for them now, whoever reads asks again. Errors: VersionChanged, AssetGone."""
    try:
        return await gallery.open(asset)
    except (ProviderUnreachable, DeadlinePassed):
        if asset.size_bytes is None:
            raise
        return UnopenedOriginal(asset.size_bytes, partial(gallery.open, asset))
