"""Sidecars (.xmp) where a provider takes one only together with its photo, and shows it to nobody (Immich).

The photo's upload takes the sidecar along. Where that cannot be (the photo is there already, by whatever way, or has
new bytes), what the sidecar says is told in the provider's own words. Either way the file stays here, KEPT under its
name: nobody gives it back, so its bytes are never dropped but by who removes them.

What went along is committed with the photo; before that, and after a crash, a sidecar that was not told is told, and
telling it twice ends as once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import trio

from iiiffs.errors import AssetGone, IiiffsError, Rejected, StoreError
from iiiffs.model.gallery import AccountName, AlbumId, Asset, AssetId
from iiiffs.model.writing import Payload
from iiiffs.providers.base import Provider
from iiiffs.providers.writing import HasWriting, writing_of
from iiiffs.render.metadata.reading import SidecarRead, read_whole_sidecar
from iiiffs.sync.items import Item, Stage
from iiiffs.sync.sidecars import Sidecar, decide_sidecar
from iiiffs.sync.stages import Event, advance
from iiiffs.tree.albums import AlbumNames
from iiiffs.tree.sidecars import likely_beside
from iiiffs.vfs.beside import Beside, stands_beside
from iiiffs.vfs.listings import Listings
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.waiting_order import WaitingOrder

SIDECAR_BYTES_MAX = 4 << 20
"""Larger ones are no XMP that anybody reads."""
TAKEN_ALONG = frozenset({Stage.SETTLING, Stage.READY, Stage.KEPT, Stage.FAILED})
DAMAGED = f"it is no XMP that can be read, or is larger than {SIDECAR_BYTES_MAX >> 20} MiB"


class Account(Listings, Protocol):
    """What a gallery is here."""

    @property
    def name(self) -> AccountName:
        """What its items say."""
        ...

    @property
    def provider(self) -> Provider:
        """Who is told; it can be written to."""
        ...

    def learnt(self, asset: Asset) -> None:
        """The provider has told of the asset just now."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """A sidecar that goes along with its photo: the item as it was when its bytes were read."""

    item: Item
    xmp: bytes


def beside_of(account: Account, queue: Queue) -> Beside | None:
    """What waits beside each other there; None where an .xmp is a file like any other."""
    writing = account.capabilities.writing
    return Beside(account.name, queue) if writing is not None and writing.sidecars else None


class Sidecars:
    """Of one account. Nothing is one where its provider takes them as files."""

    def __init__(self, account: Account, queue: Queue, order: WaitingOrder, threads: trio.CapacityLimiter) -> None:
        self._account = account
        self._queue = queue
        self._order = order
        self._threads = threads
        self._beside = order.beside
        self._took: dict[str, Taken] = {}
        """Id of a photo that has just arrived -> what went along with it."""

    def is_one(self, item: Item) -> bool:
        """It is a sidecar, and goes with its photo."""
        return self._beside is not None and stands_beside(item)

    # ---- with its photo ---------------------------------------------------------------------------------------

    async def upload(self, photo: Item, album: AlbumId, payload: Payload) -> Asset:
        """Rule: HasWriting.upload; its sidecar goes along, if it has one that can."""
        self._took.pop(photo.id, None)
        provider = self._provider
        taken = await self._taken(photo)
        if taken is None:
            return await provider.upload(album, photo.name, payload)
        payload = replace(payload, sidecar=taken.xmp)
        asset, is_its = await provider.upload_with_sidecar(album, photo.name, payload)
        if is_its:
            self._took[photo.id] = taken
        return asset

    async def _taken(self, photo: Item) -> Taken | None:
        """None if nothing can go along, or it is being written."""
        item = None if self._beside is None else self._beside.sidecar_of(photo.album, photo.name)
        if item is None or item.stage not in TAKEN_ALONG or item.missing is not None:
            return None
        try:
            xmp, read = await self._read(item)
        except (StoreError, Rejected):
            return None  # told when its own turn comes
        current = self._queue.get(item.id)
        is_same = current is not None and (current.generation, current.stage in TAKEN_ALONG) == (item.generation, True)
        return Taken(item, xmp) if is_same and read is not None else None

    def told(self, photo: Item, asset: AssetId) -> list[Item]:
        """The row of what went along with a photo that arrived, to be committed with the photo's; none if nothing did,
        or it has other bytes by now."""
        taken = self._took.pop(photo.id, None)
        current = None if taken is None else self._queue.get(taken.item.id)
        if taken is None or current is None or current.generation != taken.item.generation:
            return []
        current = replace(current, told=tuple(dict.fromkeys((*current.told, asset))))
        if current.stage not in TAKEN_ALONG:
            return [current]
        assert self._beside is not None, "it is a sidecar"
        if any(one.id != photo.id and one.stage is not Stage.SENT for one in self._beside.waiting(current)):
            return [replace(current, stage=Stage.READY, reason=None) if current.stage is Stage.FAILED else current]
        return [_kept(current, None)]

    # ---- by itself --------------------------------------------------------------------------------------------

    async def has_photo(self, sidecar: Item) -> bool:
        """Its photo is on its way, or is known to be there."""
        assert self._beside is not None, "it is a sidecar"
        if self._beside.comes_first(sidecar) is not None:
            return True
        try:
            return bool(await self._photos(sidecar, asks=self._last(sidecar) is None))
        except IiiffsError:
            return False

    async def tell(self, sidecar: Item) -> None:
        """All its photos have what it says, and it is KEPT. Errors: Rejected if it has none or cannot be read, and what
        the provider raises; then those that were told are not told again."""
        photos = await self._photos(sidecar, asks=False)
        if not photos and not sidecar.told:
            photos = await self._photos(sidecar, asks=True)
        current = [self._current(photo) for photo in photos.values()]
        is_outdone = bool(self._likely(sidecar, self._last(sidecar)))
        told = {self._current(asset) for asset in sidecar.told}
        decision = decide_sidecar(current, told, is_outdone=is_outdone)
        if decision.what is Sidecar.FAIL:
            raise Rejected(decision.reason)
        if decision.what is Sidecar.TELL:
            _, read = await self._read(sidecar)
            if read is None:
                raise Rejected(DAMAGED)
            for asset in decision.assets:
                await self._describe(asset, read)
                told.add(asset)
        latest = self._queue.get(sidecar.id)
        if latest is not None and latest.generation == sidecar.generation:
            latest = replace(latest, told=tuple(sorted(told)))
            is_free = latest.stage in TAKEN_ALONG
            await self._queue.commit(_kept(latest, decision.reason) if is_free else latest)

    async def _describe(self, asset: AssetId, read: SidecarRead) -> None:
        try:
            await self._provider.describe(asset, read.description, read.tags)
            self._account.learnt(await self._account.provider.asset(asset))
        except AssetGone as error:  # of the photo; its album is there
            raise Rejected(f"its photo is not there any more: {error}") from error

    @property
    def _provider(self) -> HasWriting:
        provider = writing_of(self._account.provider)
        assert provider is not None, "only what can be written to has an uploader"
        return provider

    def _current(self, asset: AssetId) -> AssetId:
        return AssetId(self._order.current(asset))

    async def _photos(self, sidecar: Item, *, asks: bool) -> dict[str, AssetId]:
        """Name -> asset of those that it is the sidecar of and that their provider has. `asks`: what it told last is
        not enough. Errors: AssetGone if their album is gone, and what the provider raises."""
        assert self._beside is not None, "it is a sidecar"
        last = await self._account.told(self._order.album_of(sidecar)) if asks else self._last(sidecar)
        found = self._likely(sidecar, last)
        found |= {photo.name: photo.sent.id for photo in self._beside.waiting(sidecar) if photo.sent is not None}
        return {name: found[name] for name in self._beside.photos_of(sidecar, found) if name in found}

    def _last(self, sidecar: Item) -> AlbumNames | None:
        return self._account.told_last(self._order.album_of(sidecar))[0]

    def _likely(self, sidecar: Item, told: AlbumNames | None) -> dict[str, AssetId]:
        """Of photos of its album those whose name it has, whatever other sidecars are beside them."""
        writing = self._account.capabilities.writing
        given = self._queue.notes.given.of(self._account.name, self._order.album_of(sidecar))
        found: dict[str, AssetId] = {}
        for name in likely_beside(sidecar.name, () if writing is None else writing.suffixes or ()):
            entry = None if told is None else told.get(name)
            if isinstance(entry, Asset):
                found[name] = entry.id
            if name in given:
                found[name] = given[name].asset
        return found

    # ---- its bytes --------------------------------------------------------------------------------------------

    async def _read(self, sidecar: Item) -> tuple[bytes, SidecarRead | None]:
        """The bytes as they are now, and what they say. Errors: StoreError, Rejected if they are too many."""
        if sidecar.size_bytes > SIDECAR_BYTES_MAX:
            raise Rejected(DAMAGED)
        work = partial(self._read_payload, sidecar)
        try:
            return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
        except FileNotFoundError:
            raise Rejected("its bytes are not in the spool any more") from None
        except OSError as error:
            raise StoreError(f"the bytes of {sidecar.name} cannot be read: {error.strerror}") from error

    def _read_payload(self, sidecar: Item) -> tuple[bytes, SidecarRead | None]:
        """Blocking. Errors: OSError."""
        with self._queue.spool.path(sidecar.id).open("rb") as payload:
            xmp = payload.read(SIDECAR_BYTES_MAX)
        return xmp, read_whole_sidecar(xmp)


def _kept(sidecar: Item, reason: str | None) -> Item:
    stage = advance(sidecar.stage, Event.TOLD)
    assert stage is not None, "what was told is kept"
    return replace(sidecar, stage=stage, reason=reason, tries=0)
