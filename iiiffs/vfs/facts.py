"""What assets' bytes say: from the catalogue, else read once; and what turned out to be no picture at all."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

import trio

from iiiffs.cache.catalogue import Catalogue
from iiiffs.errors import AccessDenied
from iiiffs.model.description import Description, merged
from iiiffs.model.gallery import AccountName, Asset, AssetId, Facts, Listing, Version
from iiiffs.providers.base import Original, Provider, told_facts_of
from iiiffs.render.headers import read_facts
from iiiffs.render.metadata.reading import read_sidecar
from iiiffs.tree.sidecars import sidecars
from iiiffs.vfs.collector import computed
from iiiffs.vfs.flights import Flights

log = logging.getLogger(__name__)

Found = TypeVar("Found")

READERS = 2
"""Headers read at once: one waits for the disk while the other is looked at. Four are slower by a third where the disk
is quick, for they take turns in one interpreter."""
READERS_AFAR = 6
"""Where what is waited for is a network."""
BATCH = 64
"""Headers that are asked for before the first answer is waited for."""
AT_ONCE = 100
"""Facts that are read in the loop: 1 to 2 ms. More are read in a thread."""
SLICE = 125
"""Facts that are read in one transaction: some 3 ms, in a thread. They lie anywhere in the file, and the kernel maps
64 KiB round each: 8 MiB that count as ours until then."""
COMPLAINTS_KEPT = 4096
SIDECAR_BYTES_MAX = 8 << 20
SIDECAR = ".xmp"
"""What every name of one ends with, in any case."""


class FactsReader:
    """The facts of one account's assets."""

    def __init__(
        self,
        account: AccountName,
        provider: Provider,
        catalogue: Catalogue,
        flights: Flights,
        wait_s: float,
        read_by: str,
    ) -> None:
        self.open: Callable[[Asset], Awaitable[Original]] = provider.open
        """How originals are opened: a gallery's way, through the block cache."""
        self.serial = 0
        """Raised when facts turn out to be others than what documents were built from: a file that is no picture after
        all, or a sidecar."""
        self._beside: dict[AssetId, Description] = {}
        self._account = account
        self._provider = provider
        self._catalogue = catalogue
        self._flights = flights
        self._wait_s = wait_s
        self._read_by = read_by
        self._readers = trio.CapacityLimiter(READERS if provider.capabilities.local else READERS_AFAR)
        self._complained: OrderedDict[tuple[AssetId, Version], None] = OrderedDict()

    def known(self, asset: Asset) -> Facts | None:
        """The facts if no byte must be read for them."""
        if not asset.is_media:
            return Facts(asset.media_type, None, error="neither picture, video nor sound")
        return self._catalogue.facts(self._account, asset.id, self._versioned(asset))

    async def read(self, asset: Asset) -> Facts:
        """What the asset's bytes say: from the catalogue, else read once. Errors: VersionChanged, AssetGone."""
        known = self.known(asset)
        if known is not None:
            return known
        return await self._flights.join(self._key(asset), partial(self._read, asset), self._wait_s)

    async def read_all(self, listing: Listing) -> dict[AssetId, Facts]:
        """The facts of every picture, video and sound of a listing. Errors: VersionChanged: list again."""
        media = [asset for asset in listing.assets if asset.is_media]
        known = await self.known_of(listing)
        known |= await self._told(asset for asset in media if asset.id not in known and not asset.is_local)
        missing = [asset for asset in media if asset.id not in known]
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            for asset in batch:
                self._flights.begin(self._key(asset), partial(self._read, asset))
            for asset in batch:
                known[asset.id] = await self.read(asset)
        for sidecar in self._sidecars(listing).values():
            if self._catalogue.facts(self._account, sidecar.id, self._versioned(sidecar)) is None:
                await self._read_sidecar(sidecar)
        return await self._with_sidecars(listing, known)

    async def _told(self, assets: Iterable[Asset]) -> dict[AssetId, Facts]:
        """Facts of those of which the provider has told them already, recorded; in slices, and no flight for each."""
        provider = told_facts_of(self._provider)
        found: dict[AssetId, Facts] = {}
        asked = iter(assets) if provider is not None else iter(())
        while some := list(islice(asked, AT_ONCE)):
            told = [(asset, provider.told_facts(asset)) for asset in some if provider is not None]
            rows = {self._key_of(asset): facts for asset, facts in told if facts is not None}
            self._catalogue.put_facts(self._account, rows)
            found |= {asset: facts for (asset, _), facts in rows.items()}
            await self._catalogue.written()
            await trio.lowlevel.checkpoint()
        return found

    async def known_of(self, listing: Listing) -> dict[AssetId, Facts]:
        """Those facts of a listing for which no byte must be read. The loop runs on meanwhile."""
        media = [asset for asset in listing.assets if asset.is_media]
        known: dict[AssetId, Facts] = {}
        for start in range(0, len(media), SLICE):
            read = self._catalogue.reading_facts(self._account, map(self._key_of, media[start : start + SLICE]))
            known |= {asset: facts for (asset, _), facts in (await _done(read, len(media))).items()}
        return await self._with_sidecars(listing, known)

    def said_beside(self, listing: Listing) -> list[str]:
        """What stands in sidecars of a listing's files, as something to compare."""
        held = ((asset.id, self._beside[asset.id]) for asset in listing.assets if asset.id in self._beside)
        return [f"{asset}\0{said!r}" for asset, said in held]

    async def unfit_in(self, listing: Listing) -> list[AssetId]:
        """What of a listing has a picture's name and is known to be none."""
        media = [asset for asset in listing.assets if asset.is_media]
        unfit: list[AssetId] = []
        for start in range(0, len(media), SLICE):
            read = self._catalogue.reading_unfit(self._account, map(self._key_of, media[start : start + SLICE]))
            unfit += await _done(read, len(media))
        await self._look_beside(listing)
        return unfit

    def withdraw(self, asset: Asset, reason: str) -> None:
        """The picture turned out to be none when it was decoded: from now on it is a file only."""
        self._complain(asset, reason)
        self.serial += 1
        self._record(asset, Facts(asset.media_type, None, error=reason))

    def _sidecars(self, listing: Listing) -> dict[AssetId, Asset]:
        """The sidecar of each file that has one in its folder."""
        if not any(asset.name[-len(SIDECAR) :].lower() == SIDECAR for asset in listing.assets):
            return {}
        by_name = {asset.name: asset for asset in listing.assets if asset.album == listing.album.id}
        return {by_name[name].id: by_name[sidecar] for name, sidecar in sidecars(by_name).items()}

    async def _look_beside(self, listing: Listing) -> None:
        """What is known of a folder's sidecars is noted. In views it is what the folders said last."""
        found = self._sidecars(listing)
        if not found and not self._beside:
            return
        read = self._catalogue.reading_facts(self._account, map(self._key_of, found.values()))
        said = {sidecar: facts.description for (sidecar, _), facts in (await _done(read, len(found))).items()}
        for asset in listing.assets:
            if asset.album != listing.album.id or not asset.is_media:
                continue
            told = said.get(found[asset.id].id) if asset.id in found else None
            if told is not None and self._beside.get(asset.id) != told:
                self._beside[asset.id] = told
                self.serial += 1
            elif told is None and self._beside.pop(asset.id, None) is not None:
                self.serial += 1

    async def _with_sidecars(self, listing: Listing, known: dict[AssetId, Facts]) -> dict[AssetId, Facts]:
        """`known` with what sidecars say, which is stronger."""
        await self._look_beside(listing)
        beside = {asset: self._beside[asset] for asset in known if asset in self._beside} if self._beside else {}

        def merge() -> dict[AssetId, Facts]:
            return {
                asset: replace(facts, description=merged(facts.description, beside[asset]))
                if asset in beside
                else facts
                for asset, facts in known.items()
            }

        return await _done(merge, len(beside)) if beside else known

    async def _read_sidecar(self, sidecar: Asset) -> None:
        """What the .xmp file says is in the catalogue, as the description of a file that is no picture."""
        original = await self.open(sidecar)
        try:
            xml = await original.read(0, SIDECAR_BYTES_MAX)
        finally:
            await original.aclose()
        said = await trio.to_thread.run_sync(read_sidecar, xml, limiter=self._readers)
        self._record(sidecar, Facts(sidecar.media_type, None, error="a sidecar", description=said))

    async def _read(self, asset: Asset) -> Facts:
        try:
            async with self._readers:
                facts = await self._asked(asset)
        except AccessDenied as error:  # may be allowed later without a new version, so nothing is recorded
            self._complain(asset, str(error))
            return Facts(asset.media_type, None, error=str(error))
        if facts.error is not None:
            self._complain(asset, facts.error)
            self.serial += 1
        self._record(asset, facts)
        return facts

    async def _asked(self, asset: Asset) -> Facts:
        """What the provider says, or else what stands in the headers: of an original afar, its first block mostly."""
        if self._provider.capabilities.tells_facts and not asset.is_local:
            return await self._provider.facts(asset)
        original = await self.open(asset)
        try:
            return await trio.to_thread.run_sync(_headers, original, asset.name)
        finally:
            with trio.CancelScope(shield=True):
                await original.aclose()

    def _record(self, asset: Asset, facts: Facts) -> None:
        self._catalogue.put_facts(self._account, {(asset.id, self._versioned(asset)): facts})

    def _key_of(self, asset: Asset) -> tuple[AssetId, Version]:
        return asset.id, self._versioned(asset)

    def _versioned(self, asset: Asset) -> Version:
        """What facts are kept by: other readers, such as with another codec installed, find other facts; so does who
        asks after the provider was told something new."""
        told = f"{asset.version} {asset.described}" if asset.described else asset.version
        return Version(f"{told} {self._read_by}")

    def _complain(self, asset: Asset, reason: str) -> None:
        """One line a version."""
        key = (asset.id, asset.version)
        if key not in self._complained:
            self._complained[key] = None
            said = reason.removeprefix(f"{asset.name}: ")
            log.warning("%s: %s: %s; shown as a file only", self._account, asset.name, said)
        while len(self._complained) > COMPLAINTS_KEPT:
            self._complained.popitem(last=False)

    def _key(self, asset: Asset) -> tuple[str, ...]:
        return ("facts", self._account, asset.id, self._versioned(asset))


def _headers(original: Original, name: str) -> Facts:
    with original.stream() as stream:
        return read_facts(stream, name)


async def _done(job: Callable[[], Found], count: int) -> Found:
    """What `job` finds, in a thread where there is much."""
    if count <= AT_ONCE:
        await trio.lowlevel.checkpoint()
        return job()
    return await computed(job)
