"""An in-memory provider without folders: albums, and a library by months, in pages that may shift; faults on order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import trio

from iiiffs.errors import AccessDenied, AssetGone, NotOffered, ProviderUnreachable
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Facts, Listing, Version
from iiiffs.providers.base import Capabilities, Original
from iiiffs.providers.remote import BytesOriginal
from iiiffs.providers.views import LIBRARY, Month, Named, Page, View

SECOND_NS = 10**9
SHELVES = ("albums", "timeline", "favorites", "people", "tags", "trash", "search")


class ShelvedMemory:
    """`page_size`: assets a page. `between_pages`: called before each page but the first. `trouble`: as in HasTrouble.

    `fails`: every question raises it. `hangs`: none is answered. `asked`: how often each question was.
    """

    def __init__(self, page_size: int = 3, fresh_s: float = 0.0) -> None:
        self.capabilities = Capabilities(
            folders=False, real_names=False, local=False, fresh_s=fresh_s, watches=True, shelves=SHELVES
        )
        self.assets: dict[AssetId, Asset] = {}
        self.months_of: dict[AssetId, str] = {}
        self.contents: dict[AssetId, bytes] = {}
        self.held: dict[AlbumId, tuple[Album, list[AssetId]]] = {}
        self.asked: Counter[str] = Counter()
        self.page_size = page_size
        self.counts = True
        self.between_pages: Callable[[], None] | None = None
        self.fails: Exception | None = None
        self.hangs = False
        self.trouble: str | None = None
        self.denies_people = False

    def take(self, number: int, month: str = "2024-06", motion: AssetId | None = None, name: str = "") -> Asset:
        """One more note, found in the library."""
        id = AssetId(f"a{number:03}")
        content = b"x" * (number + 1)
        asset = Asset(
            id, LIBRARY, name or f"note {number}.txt", Version(f"v{number}"), len(content), SECOND_NS, SECOND_NS,
            "text/plain", motion=motion,
        )  # fmt: skip
        self.assets[id], self.months_of[id], self.contents[id] = asset, month, content
        return asset

    def lose(self, number: int) -> None:
        """It is gone."""
        self.assets.pop(AssetId(f"a{number:03}"))

    def hold(self, album: str, title: str, numbers: Sequence[int]) -> AlbumId:
        """One more album, or an album with other assets."""
        ids = [AssetId(f"a{number:03}") for number in numbers]
        self.held[AlbumId(album)] = (
            Album(AlbumId(album), title, None, SECOND_NS, len(ids), ids[0] if ids else None),
            ids,
        )
        return AlbumId(album)

    async def _question(self, what: str) -> None:
        self.asked[what] += 1
        if self.hangs:
            await trio.sleep_forever()
        if self.fails is not None:
            raise self.fails
        await trio.lowlevel.checkpoint()

    async def authenticate(self) -> None:
        await self._question("authenticate")

    async def root(self) -> Album:
        raise AssetGone("no folders")

    async def albums(self) -> Sequence[Album]:
        await self._question("albums")
        return [album for album, _ in self.held.values()]

    async def album(self, album: AlbumId) -> Album:
        await self._question("album")
        if album not in self.held:
            raise AssetGone(album)
        return self.held[album][0]

    async def listing(self, album: AlbumId) -> Listing:
        found = await self.album(album)
        assets = tuple(replace(self.assets[id], album=album) for id in self.held[album][1] if id in self.assets)
        return Listing(found, assets, (), repr((found, assets)))

    async def asset(self, asset: AssetId) -> Asset:
        await self._question("asset")
        if asset not in self.assets:
            raise AssetGone(asset)
        return self.assets[asset]

    async def facts(self, asset: Asset) -> Facts:
        return Facts(asset.media_type, None, error="a note")

    async def open(self, asset: Asset) -> Original:
        await self._question("open")
        return BytesOriginal(self.contents[asset.id])

    async def page(self, view: View, cursor: str | None = None) -> Page:
        await self._question("page")
        if cursor is not None and self.between_pages is not None:
            self.between_pages()
        if not isinstance(view, Month) and "smart" in repr(view):
            raise NotOffered("no search by content")
        found = [
            asset
            for id, asset in self.assets.items()
            if not isinstance(view, Month) or self.months_of[id] == view.month
        ]
        begin = int(cursor or 0)
        end = begin + self.page_size
        is_cut = end < len(found)
        return Page(tuple(found[begin:end]), str(end) if is_cut else None, is_cut)

    async def count(self, view: View) -> int | None:
        await self._question("count")
        return len(self.assets) if self.counts else None

    async def months(self) -> Mapping[str, int]:
        await self._question("months")
        return Counter(self.months_of[id] for id in self.assets)

    async def people(self) -> Sequence[Named]:
        await self._question("people")
        if self.denies_people:
            raise AccessDenied("no person.read")
        return [Named("p1", "Anna"), Named("p2", "Anna")]

    async def tags(self) -> Sequence[Named]:
        await self._question("tags")
        return [Named("t1", "Trips/2024")]

    async def motion(self, asset: Asset) -> Asset | None:
        return None if asset.motion is None else self.assets[asset.motion]

    async def watch(
        self, report: Callable[[Changeset], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        task_status.started()
        await trio.sleep_forever()

    async def aclose(self) -> None:
        self.fails = ProviderUnreachable("closed")
