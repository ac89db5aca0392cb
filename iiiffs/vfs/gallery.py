"""One account as the mount sees it: listings, assets and facts, asked once and kept for a moment.

Could not ask is not gone: while a provider cannot be reached, what it said last goes on being shown (DESIGN §4.6).
Between two awaits the dictionaries are whole; each question flies once (`Flights`).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import trio

from iiiffs.cache.catalogue import Catalogue
from iiiffs.errors import AccessDenied, AssetGone, ProviderUnreachable, VersionChanged
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Facts, Listing, Version
from iiiffs.providers.base import Capabilities, Original, Provider
from iiiffs.tree.albums import AlbumNames
from iiiffs.vfs.flights import Flights

log = logging.getLogger(__name__)

LISTINGS_KEPT = 512
READERS = 4
"""Headers read at once: enough to hide a disk's latency, few enough to leave a core to renders."""
BATCH = 64
"""Headers that are asked for before the first answer is waited for."""
RELISTS = 3
COMPLAINTS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a handler may wait, in seconds, before EIO; the work itself goes on.

    `lookup_s` one question of a lookup; `list_s` a first listing or manifest; `render_s` a rendition; `read_s` a read.
    `patience_s`: how long a listing waits for documents that could be listed with it.
    """

    lookup_s: float = 5.0
    list_s: float = 30.0
    render_s: float = 60.0
    read_s: float = 30.0
    patience_s: float = 1.0


WAITING_MAX = 256
"""Handlers of one account that may wait for its provider at once; the rest are refused at once (DESIGN §6)."""


@dataclass(slots=True)
class _Kept:
    names: AlbumNames
    asked_s: float


class Gallery:
    """One account."""

    def __init__(
        self, account: AccountName, provider: Provider, catalogue: Catalogue, flights: Flights, deadlines: Deadlines
    ) -> None:
        self.account = account
        self.deadlines = deadlines
        self.waiting = 0
        self._provider = provider
        self._catalogue = catalogue
        self._flights = flights
        self._readers = trio.CapacityLimiter(READERS)
        self._kept: OrderedDict[AlbumId, _Kept] = OrderedDict()
        self._complained: OrderedDict[tuple[AssetId, Version], None] = OrderedDict()
        self.unreachable: str | None = None
        self.unfit = 0
        """Files found to be no pictures since the start; what was built before the last of them may show it."""

    @property
    def capabilities(self) -> Capabilities:
        """What the provider can do."""
        return self._provider.capabilities

    async def root(self) -> Album:
        """The folder shown as `files/`."""
        async with self._waits():
            return await self._flights.join(("root", self.account), self._provider.root, self.deadlines.lookup_s)

    async def album(self, album: AlbumId) -> Album:
        """The album itself: from a fresh listing, else asked; what it was when it cannot be asked."""
        kept = self._kept.get(album)
        if kept is not None and self._is_fresh(kept):
            return kept.names.listing.album
        try:
            async with self._waits():
                return await self._flights.join(
                    ("album", self.account, album), partial(self._provider.album, album), self.deadlines.lookup_s
                )
        except ProviderUnreachable:
            if kept is None:
                raise
            return kept.names.listing.album

    async def names(self, album: AlbumId) -> AlbumNames:
        """The album's listing with its names, not older than the provider's `fresh_s`.

        Errors: AssetGone; ProviderUnreachable or DeadlinePassed if it was never listed and cannot be now.
        """
        kept = self._kept.get(album)
        if kept is not None and self._is_fresh(kept):
            return kept.names
        async with self._waits():
            return await self._flights.join(
                ("listing", self.account, album), partial(self._list, album), self.deadlines.list_s
            )

    async def listing(self, album: AlbumId) -> Listing:
        """As `names`, without them."""
        return (await self.names(album)).listing

    async def find(self, album: AlbumId, name: str) -> Album | Asset | None:
        """What `name` names in `album` now: one question to the provider, no listing, where the name is known."""
        kept = self._kept.get(album)
        if kept is None or self._is_fresh(kept) or not isinstance(entry := kept.names.get(name), Asset):
            return (await self.names(album)).get(name)
        try:
            current = await self.asset(entry.id)
        except AssetGone:
            return await self._find_again(album, name)
        return current if (current.album, current.name) == (album, entry.name) else await self._find_again(album, name)

    async def _find_again(self, album: AlbumId, name: str) -> Album | Asset | None:
        self._kept.pop(album, None)
        return (await self.names(album)).get(name)

    async def asset(self, asset: AssetId) -> Asset:
        """The asset's present version. Errors: AssetGone, ProviderUnreachable, DeadlinePassed."""
        async with self._waits():
            return await self._flights.join(
                ("asset", self.account, asset), partial(self._provider.asset, asset), self.deadlines.lookup_s
            )

    async def facts(self, asset: Asset) -> Facts:
        """What the asset's bytes say: from the catalogue, else read once."""
        known = self.known_facts(asset)
        if known is not None:
            return known
        async with self._waits():
            return await self._flights.join(
                self._facts_key(asset), partial(self._read_facts, asset), self.deadlines.list_s
            )

    def known_facts(self, asset: Asset) -> Facts | None:
        """The facts if no byte must be read for them."""
        if not asset.is_image:
            return Facts(asset.media_type, None, error="not an image")
        return self._catalogue.facts(self.account, asset.id, asset.version)

    async def facts_of(self, listing: Listing) -> dict[AssetId, Facts]:
        """The facts of every image of a listing. Errors: VersionChanged if one changed meanwhile: list again."""
        images = [asset for asset in listing.assets if asset.is_image]
        stored = self._catalogue.facts_of(self.account, [(asset.id, asset.version) for asset in images])
        known = {asset: facts for (asset, _), facts in stored.items()}
        missing = [asset for asset in images if asset.id not in known]
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            for asset in batch:
                self._flights.begin(self._facts_key(asset), partial(self._read_facts, asset))
            for asset in batch:
                known[asset.id] = await self.facts(asset)
        return known

    def unfit_in(self, listing: Listing) -> list[AssetId]:
        """The images of a listing that are known to be none."""
        images = [(asset.id, asset.version) for asset in listing.assets if asset.is_image]
        return [asset for (asset, _), facts in self._catalogue.facts_of(self.account, images).items() if facts.error]

    async def open(self, asset: Asset) -> Original:
        """The bytes of exactly this version. Errors: VersionChanged, AssetGone."""
        return await self._provider.open(asset)

    async def with_facts(self, album: AlbumId) -> tuple[AlbumNames, dict[AssetId, Facts]]:
        """A listing and the facts of its images that belong together, though files change meanwhile."""
        for _ in range(RELISTS):
            names = await self.names(album)
            try:
                return names, await self.facts_of(names.listing)
            except (VersionChanged, AssetGone):
                self._kept.pop(album, None)
        raise VersionChanged(f"{self.account}: a folder changes faster than it can be read; try again later")

    async def path(self, album: Album) -> tuple[str, ...]:
        """The names of the directories below `files/` that lead to `album`, its own last; () for the topmost.

        Errors: AssetGone if it was moved or removed meanwhile.
        """
        names: list[str] = []
        while album.parent is not None:
            name: str | None = album.title
            if not self.capabilities.real_names:
                name = (await self.names(album.parent)).name_of(album.id)
            if name is None:
                raise AssetGone(f"{album.id} is not in its folder any more")
            names.append(name)
            album = await self.album(album.parent)
        return tuple(reversed(names))

    async def _list(self, album: AlbumId) -> AlbumNames:
        kept = self._kept.get(album)
        try:
            listing = await self._provider.listing(album)
        except ProviderUnreachable as error:
            self._went_away(error)
            if kept is None:
                raise
            return kept.names
        except AssetGone:
            self._kept.pop(album, None)
            raise
        if self.unreachable is not None:
            log.info("%s: can be reached again", self.account)
            self.unreachable = None
        if kept is not None and kept.names.listing.etag == listing.etag:
            names = kept.names
        else:
            names = AlbumNames(listing, real_names=self.capabilities.real_names)
        self._kept[album] = _Kept(names, trio.current_time())
        self._kept.move_to_end(album)
        while len(self._kept) > LISTINGS_KEPT:
            self._kept.popitem(last=False)
        return names

    def _went_away(self, error: ProviderUnreachable) -> None:
        if self.unreachable is None:
            log.warning("%s: %s; showing what is known", self.account, error)
        self.unreachable = str(error)

    async def _read_facts(self, asset: Asset) -> Facts:
        try:
            async with self._readers:
                facts = await self._provider.facts(asset)
        except AccessDenied as error:  # may be allowed later without a new version, so nothing is recorded
            self._complain(asset, str(error))
            return Facts(asset.media_type, None, error=str(error))
        if facts.error is not None:
            self._complain(asset, facts.error)
            self.unfit += 1
        self._catalogue.put_facts(self.account, {(asset.id, asset.version): facts})
        return facts

    def withdraw(self, asset: Asset, reason: str) -> None:
        """The picture turned out to be none when it was decoded: from now on it is a file only."""
        self._complain(asset, reason)
        self.unfit += 1
        facts = Facts(asset.media_type, None, error=reason)
        self._catalogue.put_facts(self.account, {(asset.id, asset.version): facts})

    def _complain(self, asset: Asset, reason: str) -> None:
        """One line a version."""
        key = (asset.id, asset.version)
        if key not in self._complained:
            self._complained[key] = None
            log.warning(
                "%s: %s: %s; shown as a file only", self.account, asset.name, reason.removeprefix(f"{asset.name}: ")
            )
        while len(self._complained) > COMPLAINTS_KEPT:
            self._complained.popitem(last=False)

    def _facts_key(self, asset: Asset) -> tuple[str, ...]:
        return ("facts", self.account, asset.id, asset.version)

    def _is_fresh(self, kept: _Kept) -> bool:
        return trio.current_time() - kept.asked_s < self.capabilities.fresh_s

    @asynccontextmanager
    async def _waits(self) -> AsyncIterator[None]:
        """Inside, a handler waits for the provider; refused when too many of this account do already."""
        if self.waiting >= WAITING_MAX:
            raise ProviderUnreachable(f"{self.account}: {self.waiting} requests wait for it already")
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1
