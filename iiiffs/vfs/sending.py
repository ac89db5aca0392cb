"""One thing is told to a provider, and what it answered is kept.

The order of what an upload does is the promise (DESIGN §4): the sum of its bytes is on disk before the first of them
goes out, so that after any crash what has arrived is known for ours; that it was sent is on disk before the payload is
removed. What is cut off anywhere is done again from its beginning, and the provider ends with one asset.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Protocol

import trio

from iiiffs.errors import (
    AlreadyThere,
    AssetGone,
    IiiffsError,
    NotEmpty,
    ProviderError,
    ProviderUnreachable,
    Rejected,
    StoreError,
)
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId
from iiiffs.model.writing import Edit, Payload, Replaced
from iiiffs.providers.base import Provider
from iiiffs.providers.views import LIBRARY
from iiiffs.providers.writing import HasWriting, writing_of
from iiiffs.sync.items import ASKED_FOR, Item, Stage, Verb, is_unwanted
from iiiffs.vfs.added_names import keep_names
from iiiffs.vfs.blocks import BlockCache
from iiiffs.vfs.brought_back import BroughtBack, says_nothing
from iiiffs.vfs.crossing import Brought
from iiiffs.vfs.kept_names import NOTHING, Kept, KeptNames, asset_of_base
from iiiffs.vfs.listings import Listings, told_anew
from iiiffs.vfs.membership import CALL_ASSETS_MAX, Outcome, Told, coalesced, outcomes, tell
from iiiffs.vfs.outlived import outlived_by
from iiiffs.vfs.payload_sums import PayloadSums, Summed
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.set_times import end_told, kept_times
from iiiffs.vfs.shelves import mark_of
from iiiffs.vfs.sidecars import Sidecars
from iiiffs.vfs.unanswered import is_unanswered, with_assets
from iiiffs.vfs.waiting_order import WaitingOrder

log = logging.getLogger(__name__)

CALL_S = 120.0
"""For what moves no bytes."""
UPLOAD_S = 600.0
SLOWEST_BYTES_PER_S = 4096
"""An upload may last UPLOAD_S, and as much longer as its bytes take at this rate, and those that went before it and are
on their way still; then it is begun anew."""


class Account(Listings, Protocol):
    """What a gallery is to the uploader."""

    @property
    def name(self) -> AccountName:
        """What its items say."""
        ...

    @property
    def provider(self) -> Provider:
        """Who gets it all; it can be written to."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why the provider cannot be asked; None if all is well."""
        ...

    @property
    def settle_s(self) -> float:
        """So long after it was closed a file is sent."""
        ...

    @property
    def blocks(self) -> BlockCache | None:
        """What keeps originals that are not local; None: nothing does, or they are."""
        ...

    def learnt(self, asset: Asset) -> None:
        """The provider has told of the asset just now."""
        ...

    def done(self, album: AlbumId, id: str, entry: Album | Asset | None) -> None:
        """Rule: vfs.gallery.Gallery.done."""
        ...


class Deserted(Protocol):
    """Rule: vfs.deserted.DesertedAlbums."""

    async def keep(self, album: AlbumId, failing: set[str]) -> list[Item]:
        """What waits in an album that is gone is kept; what has FAILED by that."""
        ...


class AlbumGone(Rejected):
    """What photos were to be put into is not there any more."""


class NotArrived(Exception):
    """The provider has something, and it is not what was sent. Nobody sees it but the uploader."""


class PartlyDone(Exception):
    """Some of it was done, and is kept; `failed`: of that, what was refused. Its cause is why the rest was not done."""

    def __init__(self, failed: list[Item]) -> None:
        super().__init__()
        self.failed = failed


@dataclass(slots=True)
class Flight:
    """Items that are on their way, in one call.

    `scope`: may be cancelled until the provider has answered; what comes then is finished. `landed`: nothing of it goes
    on. `began_s`: of trio's clock.
    """

    items: tuple[Item, ...]
    began_s: float
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    landed: trio.Event = field(default_factory=trio.Event)

    @property
    def item(self) -> Item:
        """The first one, of an upload the only one."""
        return self.items[0]

    @property
    def is_upload(self) -> bool:
        """It has bytes."""
        return self.item.verb is Verb.UPLOAD

    def is_into_gone(self, error: Exception) -> bool:
        """True if by that error the album is gone into which it puts something."""
        is_making = self.item.verb in (Verb.UPLOAD, Verb.MAKE_ALBUM)
        return isinstance(error, AlbumGone) or (is_making and isinstance(error, AssetGone))


class Sender:
    """Tells one account's provider. Every method ends when its flight's scope is cancelled before the answer."""

    def __init__(self, account: Account, queue: Queue, order: WaitingOrder, threads: trio.CapacityLimiter) -> None:
        writing = writing_of(account.provider)
        if writing is None:
            raise ValueError(f"{account.name} cannot be written to")
        self._writing: HasWriting = writing
        capabilities = account.provider.capabilities.writing
        self._is_in_sets = capabilities is not None and capabilities.membership
        """An asset has no one place."""
        self._account = account
        self._queue = queue
        self._order = order
        self._threads = threads
        self._aloft_bytes = 0
        self._brought_back = BroughtBack(queue, order)
        self.sums = PayloadSums(queue.spool, queue.get, threads)
        self._kept_names = KeptNames(account.provider, account, queue, order, threads)
        self.sidecars = Sidecars(account, queue, order, threads)

    async def send(self, flight: Flight) -> list[Item]:
        """It is told, and kept; items that the provider refused meanwhile, FAILED now.

        Errors: what the provider raised, NotArrived, StoreError; then nothing is kept but that it may have arrived.
        """
        match flight.item.verb:
            case Verb.UPLOAD if self.sidecars.is_one(flight.item):
                with flight.scope, _deadline(CALL_S):
                    await self.sidecars.tell(flight.item)
            case Verb.UPLOAD:
                self._aloft_bytes += flight.item.size_bytes
                try:
                    with self._order.crossing.until_over(flight.item.id):
                        await self._upload(flight)
                finally:
                    self._aloft_bytes -= flight.item.size_bytes
            case Verb.MAKE_ALBUM:
                await self._make_album(flight)
            case Verb.EDIT:
                return await self._edit(flight)
            case _:
                return await self._change_album(flight)
        return []

    # ---- files ------------------------------------------------------------------------------------------------

    async def _upload(self, flight: Flight) -> None:
        item, replaced = flight.item, None
        with flight.scope:
            summed = await self.sums.of(item)
            kept = await self._kept(item, summed)
            if self._queue.get(item.id) is None:  # somebody has dropped it meanwhile, and nothing brings it back
                flight.scope.cancel()
                await trio.lowlevel.checkpoint()
            item = await self._begun(replace(item, kept=kept.names), summed)
            album = self._order.album_of(item)
            timeout_s = UPLOAD_S + self._aloft_bytes / SLOWEST_BYTES_PER_S
            with _deadline(timeout_s):
                replaced = await self._sent(item, album, summed, kept)
        if replaced is None:
            return
        asset = replaced.asset
        if asset.size_bytes not in (None, item.size_bytes) or asset.checksum not in (None, item.sha1):
            raise NotArrived(f"the provider has {asset.size_bytes} bytes that are not the {item.size_bytes} sent")
        await self.arrived(item, asset, replaced.not_carried, summed.blocks)

    async def arrived(
        self, item: Item, asset: Asset, not_carried: tuple[str, ...] = (), sums: tuple[int, ...] = ()
    ) -> None:
        """The provider has the item's bytes, as `asset`; nothing if it has others by now. `sums`: rule Summed.blocks.
        Errors: StoreError."""
        outlived: list[str] = []
        if self._to_be_told(item) is not None:
            await self._keep(item, asset, sums)
            outlived = await outlived_by(item, asset, self._order, self._queue)
        current = self._to_be_told(item)
        if current is None:
            return
        album, name = self._order.album_of(current), current.name
        if current.base is not None and not self._is_in_sets:
            album, name = asset.album, asset.name  # others may have moved it since it was opened
        sent = replace(current, stage=Stage.SENT, sent=asset, album=album, name=name, reason=None)
        sent = replace(sent, not_carried=not_carried)
        stays = self._brought_back.by(sent)
        outlived += [other.id for other in stays if says_nothing(other)]
        beside = (*self.sidecars.told(item, asset.id), *stays)
        is_there_still = any(self._order.current(kept) == album for kept, _ in item.kept)
        if item.base is not None and item.base.asset != asset.id and not is_there_still:
            self._account.done(album, item.base.asset, None)
        if item.base is not None or item.earlier[:-1]:  # what it replaced is told of still; the new is shown
            self._account.expire(album)
        await self._queue.exchange(sent, outlived, *beside)  # with what was said of it: rule vfs.unanswered.follow
        await self.finish(sent)

    def _to_be_told(self, item: Item) -> Item | None:
        """The item as it is now, if it is still what was sent."""
        current = self._queue.get(item.id)
        is_same = current is not None and current.generation == item.generation
        return current if current is not None and is_same and current.stage is Stage.SENDING else None

    async def _keep(self, item: Item, asset: Asset, sums: tuple[int, ...]) -> None:
        """Read your writes: from the moment that the asset is what its name shows, nobody need be asked for its bytes.

        Not where that would leave too little room for what is still to be written.
        """
        blocks, spool = self._account.blocks, self._queue.spool
        if blocks is None or item.sha1 is None:
            return
        try:
            await trio.to_thread.run_sync(spool.room, item.size_bytes, limiter=self._threads)
        except StoreError as error:
            log.debug("%s: %s is not kept: %s", self._account.name, item.name, error)
            return
        await blocks.keep(self._account.name, asset, spool.path(item.id), item.sha1, sums)

    async def finish(self, item: Item) -> None:
        """What was SENT has no payload, and its ids go on answering. A second call does nothing. Errors: StoreError."""
        assert item.sent is not None, "an upload that was sent has become an asset"
        await self._order.record(item.id, item.sent.id)
        if item.base is not None:
            await self._kept_names.pass_on(item, item.base.asset, item.sent.id)
        if item.base is not None and item.base.asset != item.sent.id and not item.kept:
            await self._order.record(item.base.asset, item.sent.id)
            await self._queue.drop_all(kept_times(self._queue, item.base.asset))
        await trio.to_thread.run_sync(self._queue.spool.remove, item.id, limiter=self._threads)

    async def _begun(self, item: Item, summed: Summed) -> Item:
        """The item as it is on disk before its first byte goes out."""
        earlier = tuple(sha1 for sha1 in item.earlier if sha1 != summed.sha1)
        summed_up = replace(item, size_bytes=summed.size_bytes, sha1=summed.sha1, earlier=(*earlier, summed.sha1))
        sending = replace(summed_up, stage=Stage.SENDING)
        await self._queue.commit(sending)
        return sending

    async def _kept(self, item: Item, summed: Summed) -> Kept:
        """What goes on of what it replaces; nothing that is on its way takes away what it brings."""
        kept = None if self._is_in_sets else NOTHING
        while kept is None:
            brought = Brought(item.id, self._order.album_of(item), summed)
            await self._order.crossing.turn(brought)
            with _deadline(CALL_S):
                kept = await self._kept_names.begin(item, brought)
        return kept

    async def _sent(self, item: Item, album: AlbumId, summed: Summed, kept: Kept) -> Replaced:
        payload = Payload(
            token=item.token or item.id,
            path=self._queue.spool.path(item.id),
            size_bytes=summed.size_bytes,
            sha1=summed.sha1,
            mtime_ns=item.mtime_ns,
            earlier=item.earlier[:-1],
        )
        if item.base is None:
            return Replaced(await self._uploaded(album, item, payload))
        replaced = asset_of_base(item.base, self._order)
        if kept.stays is not None:
            return await self._writing.replace_beside(replaced, payload, kept.stays)
        return await self._writing.replace(replaced, payload)

    async def _uploaded(self, album: AlbumId, item: Item, payload: Payload) -> Asset:
        """What is put into favorites/ or a tag is in the library, and that is said of it. Errors: Rejected."""
        mark = mark_of(album)
        if mark is None:
            return await self.sidecars.upload(item, album, payload)
        asset = await self.sidecars.upload(item, LIBRARY, payload)
        refused = await self._writing.tag(mark, [asset.id])
        if refused:
            raise Rejected(f"it is in the library as {asset.name}, and {refused[asset.id]}")
        return asset

    # ---- albums -----------------------------------------------------------------------------------------------

    async def _make_album(self, flight: Flight) -> None:
        """Its row says that it was asked for before it is; one that is not wanted any more is removed again.

        Until a list tells of it, it is known with what was told last of its parent, which is at hand by then.
        """
        item, made = flight.item, None
        parent = self._order.album_of(item)
        with flight.scope, _deadline(CALL_S):
            if not item.generation:
                item = replace(item, generation=ASKED_FOR)
                await self._queue.commit(item)
            if self._account.told_last(parent)[0] is None:  # as after a start
                with suppress(IiiffsError):
                    await self._account.told(parent)
            made = await self._made(item, parent)
            if is_unwanted(item):
                await self._unmade(item, parent, made)
        if made is None or is_unwanted(item):
            return
        self._account.expire(parent)
        self._account.done(parent, made, Album(made, item.name, parent, item.began_ns))  # no list tells of it yet
        await self._order.record(item.id, made)
        moved = [replace(other, album=made) for other in self._queue.in_album(self._account.name, AlbumId(item.id))]
        if moved:
            await self._queue.commit(*moved)
        if not await told_anew(self._account, parent):
            raise ProviderUnreachable("the albums cannot be listed")
        await self._queue.drop(item.id)

    async def _made(self, item: Item, parent: AlbumId) -> AlbumId:
        """What its provider has of it, which is asked for once: somebody may have put something into it since, and then
        it is not known by the token any more."""
        known = self._order.current(item.id)
        if known != item.id and not is_unwanted(item):
            return AlbumId(known)
        try:
            return (await self._writing.make_album(parent, item.name, item.token or item.id)).id
        except AlreadyThere:
            return parent if is_unwanted(item) else await self._found(parent, item.name)

    async def _unmade(self, item: Item, parent: AlbumId, made: AlbumId) -> None:
        """`made`: what its provider has of it; `parent` itself if that is somebody else's."""
        if made != parent:
            with suppress(NotEmpty):  # somebody else has put something into it: it is theirs
                await self._writing.remove_album(made)
        if not await told_anew(self._account, parent):
            raise ProviderUnreachable("the albums cannot be listed")
        await self._queue.drop(item.id)

    async def _found(self, parent: AlbumId, title: str) -> AlbumId:
        """Somebody made one of that title meanwhile: it is what was asked for. Errors: AlreadyThere if it is a file."""
        listing = await self._account.provider.listing(parent)
        for album in listing.albums:
            if album.title == title:
                return album.id
        raise AlreadyThere(f"{title}: a file of that name is there")

    async def _change_album(self, flight: Flight) -> list[Item]:
        """What was done goes on being said by its items until a listing tells of it: told twice, it is done once."""
        album = self._order.album_of(flight.item)
        items: Sequence[Item] = flight.items
        wanted, told = coalesced(items, self._current), Told()
        error: ProviderError | None = None
        is_listed = False
        try:
            with flight.scope, _deadline(CALL_S * (1 + len(items) / CALL_ASSETS_MAX)):
                items = await with_assets(self._account.provider, album, items)
                wanted = coalesced(items, self._current)
                await tell(self._writing, album, wanted, told)
                is_listed = await told_anew(self._account, album)
                if not is_listed:
                    raise ProviderUnreachable("the album cannot be listed")
        except AssetGone:
            error = AlbumGone("the album is not there any more")
        except ProviderError as raised:
            error = raised
        failed: list[Item] = []
        if not is_listed:
            told.done.clear()
        if is_listed:
            await keep_names(self._account, self._queue.notes.given, items, told.done, self._current)
        if is_listed or told.refused:
            self._account.expire(album)
            found = outcomes(items, wanted, told, self._current)
            failed = await self._share_out([one for one in found if is_listed or not is_unanswered(one.item)])
        if error is not None:
            raise PartlyDone(failed) from error
        return failed

    async def _share_out(self, found: Sequence[Outcome]) -> list[Item]:
        """Each item is what is left of it: nothing if all was done; those that FAILED."""
        failed, waiting, done = [], [], []
        for outcome in found:
            current = self._queue.get(outcome.item.id)
            if current is None:
                continue
            refusals: dict[str, list[AssetId]] = {}
            for asset, reason in outcome.refused.items():
                refusals.setdefault(reason, []).append(asset)
            parts = [
                replace(current, stage=Stage.FAILED, reason=reason, assets=tuple(assets))
                for reason, assets in refusals.items()
            ]
            if outcome.left:
                waiting.append(replace(current, assets=outcome.left))
            elif not parts:
                done.append(current.id)
            new = parts if outcome.left else parts[1:]
            failed += parts[: len(parts) - len(new)]
            failed += [replace(part, id=self._queue.new_id(), order=self._queue.next_order()) for part in new]
        if failed or waiting:
            await self._queue.commit(*failed, *waiting)
        if done:
            await self._queue.drop_all(done)
        return failed

    def _current(self, asset: AssetId) -> AssetId:
        return AssetId(self._order.current(asset))

    # ---- properties -------------------------------------------------------------------------------------------

    async def _edit(self, flight: Flight) -> list[Item]:
        """All edits of one asset at once; if that is refused, one after the other, so that one spoils no other."""
        asset = self._current(flight.item.assets[0])
        edits = [item.edit for item in flight.items if item.edit is not None]
        refused: dict[str, str] = {}
        edited: Asset | None = None
        is_told = False
        with flight.scope:
            try:
                edited = await self._edited(asset, reduce(Edit.then, edits))
                self._account.learnt(edited)
            except Rejected as error:
                if len(edits) == 1:
                    raise
                log.info("%s: %s; its edits are told one by one", flight.item.name, error)
                for item in flight.items:
                    answer = None if item.edit is None else await self._edited_or_reason(asset, item.edit)
                    if isinstance(answer, str):
                        refused[item.id] = answer
                    else:
                        edited = answer or edited
            is_told = True
        if not is_told:
            return []
        failed = [
            replace(current, stage=Stage.FAILED, reason=reason)
            for id, reason in refused.items()
            if (current := self._queue.get(id)) is not None
        ]
        if failed:
            await self._queue.commit(*failed)
        await end_told(self._queue, [item for item in flight.items if item.id not in refused], edited)
        return failed

    async def _edited(self, asset: AssetId, edit: Edit) -> Asset:
        with _deadline(CALL_S):
            return await self._writing.edit(asset, edit)
        raise AssertionError("a deadline that has passed raises")

    async def _edited_or_reason(self, asset: AssetId, edit: Edit) -> Asset | str:
        try:
            return await self._edited(asset, edit)
        except Rejected as error:
            return str(error)


@contextmanager
def _deadline(timeout_s: float) -> Iterator[None]:
    """Errors: ProviderUnreachable when it has passed."""
    with trio.move_on_after(timeout_s) as scope:
        yield
    if scope.cancelled_caught:
        raise ProviderUnreachable(f"no answer within {timeout_s:.0f} s")
