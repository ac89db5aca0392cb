"""The reduced pictures that an Immich keeps: which there are, and how large they are on this server.

Sizes are the admin's and no question tells them; so the first preview of each kind that is large enough is looked at,
and its short side holds for all of that kind until one is seen that differs (§3: sharp's fit outside, never enlarged).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import trio

from iiiffs.errors import ProviderUnreachable
from iiiffs.model.gallery import Asset, Facts
from iiiffs.model.image import Extent
from iiiffs.providers.base import Preview, ReadHeaders
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.remote import BytesOriginal

KINDS = ("thumbnail", "preview")
FULLSIZE = "fullsize"
DAMAGED_TIMES = 3
"""So often may a preview come that is no picture before it is taken to be so on the server."""
WEB = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/bmp"})
"""What browsers show: of these `fullsize` is the original itself (§3)."""


@dataclass(frozen=True, slots=True)
class _Seen:
    short_side_px: int
    media_type: str


class Previews:
    """Of one account. What was learnt of the server lasts as long as this object."""

    def __init__(self, client: ImmichClient, read_headers: ReadHeaders) -> None:
        self._client = client
        self._read_headers = read_headers
        self._seen: dict[str, _Seen] = {}
        self._has_fullsize: bool | None = None
        self._looking = trio.Lock()
        self._whole: dict[str, _Seen] = {}
        """Of pictures that are as large in that kind as they are: those that are no larger are so too."""
        self._damaged: Counter[tuple[str, UUID]] = Counter()

    async def of(self, asset: Asset, id: UUID, extent: Extent | None) -> Sequence[Preview]:
        """Rule: HasPreviews.previews. `extent`: as displayed; None while the server has not looked at the file."""
        found = await self.reduced(asset, id, extent)
        if extent is not None and asset.is_image and asset.media_type not in WEB and await self._keeps_fullsize(id):
            found.append(Preview(FULLSIZE, extent, "image/jpeg"))
        return tuple(found)

    async def reduced(self, asset: Asset, id: UUID, extent: Extent | None) -> list[Preview]:
        """As `of`, without those that are as large as the original."""
        if extent is None or not asset.media_type.startswith(("image/", "video/")):
            return []
        found = []
        for kind in KINDS:
            preview = self._expected(kind, extent)
            if preview is None:
                async with self._looking:  # of those that wait, the first one finds it out for all
                    preview = self._expected(kind, extent) or await self._look(kind, id, extent)
            if preview is not None:
                found.append(preview)
        return found

    def _expected(self, kind: str, extent: Extent) -> Preview | None:
        seen, whole = self._seen.get(kind), self._whole.get(kind)
        if seen is not None:
            return Preview(kind, reduced(extent, seen.short_side_px), seen.media_type)
        if whole is not None and _short(extent) <= whole.short_side_px:
            return Preview(kind, extent, whole.media_type)
        return None

    async def open(self, id: UUID, preview: Preview) -> BytesOriginal | None:
        """Rule: HasPreviews.open_preview. One of another size than was thought: the admin changed it, so that kind is
        looked at anew."""
        answer = await self._client.thumbnail(id, preview.name)
        if answer is None:
            return None
        facts = await trio.to_thread.run_sync(self._headers, preview.name, answer.body)
        if facts.extent is None or abs(_short(facts.extent) - _short(preview.extent)) > 1:
            self._seen.pop(preview.name, None)
            self._whole.pop(preview.name, None)
        return BytesOriginal(answer.body)

    async def _look(self, kind: str, id: UUID, extent: Extent) -> Preview | None:
        """One is fetched to see how large such ones are; None while it is not made, or if it stays no picture.

        Errors: ProviderUnreachable for what is no picture once: whatever cut it on the way may not do so again.
        """
        answer = await self._client.thumbnail(id, kind)
        if answer is None:
            return None
        facts = await self._learn(kind, answer.body, extent)
        if facts.extent is not None:
            self._damaged.pop((kind, id), None)
            return Preview(kind, facts.extent, facts.media_type)
        self._damaged[kind, id] += 1
        if self._damaged[kind, id] < DAMAGED_TIMES:
            raise ProviderUnreachable(f"{self._client.name}: a {kind} that came is no picture; ask again")
        return None

    async def _learn(self, kind: str, body: bytes, extent: Extent) -> Facts:
        facts = await trio.to_thread.run_sync(self._headers, kind, body)
        if facts.extent is None:
            return facts
        seen = _Seen(_short(facts.extent), facts.media_type)
        if seen.short_side_px < _short(extent):
            self._seen[kind] = seen
        elif facts.extent == extent and (
            kind not in self._whole or self._whole[kind].short_side_px < seen.short_side_px
        ):
            self._whole[kind] = seen
        return facts

    def _headers(self, kind: str, body: bytes) -> Facts:
        with BytesOriginal(body).stream() as stream:
            return self._read_headers(stream, f"a {kind}")

    async def _keeps_fullsize(self, id: UUID) -> bool:
        if self._has_fullsize is None:
            self._has_fullsize = await self._client.has_fullsize(id)
        return self._has_fullsize


def _short(extent: Extent) -> int:
    return min(extent.width, extent.height)


def reduced(extent: Extent, short_side_px: int) -> Extent:
    """`extent` with that short side at most, rounded to the nearest px (halves up), never enlarged."""
    short = _short(extent)
    if short <= short_side_px:
        return extent
    width, height = (
        max(1, (2 * side * short_side_px + short) // (2 * short)) for side in (extent.width, extent.height)
    )
    return Extent(width, height)
