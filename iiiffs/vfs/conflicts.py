"""Two versions of one file: what is at the provider stays, and ours goes beside it under a name that says so (§4.5).

What there is now is asked before anything is decided: an answer that was lost can look like somebody else's change.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

import trio

from iiiffs.errors import AssetGone, DeadlinePassed, ProviderError, ProviderUnreachable
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId
from iiiffs.sync.items import Conflict, Item, Stage
from iiiffs.sync.merge import Merge, Theirs, decide_merge
from iiiffs.sync.stages import Event, advance
from iiiffs.tree.names import conflict_name
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.sending import Account
from iiiffs.vfs.waiting_order import WaitingOrder

ASKED_S = 30.0
BAFFLING = 3
"""After so many tries the provider says no though all seems well: both are kept."""

NamesIn = Callable[[AlbumId], Awaitable[Collection[str]]]
"""The names that an album shows now. May raise ProviderError and DeadlinePassed."""


@dataclass(frozen=True, slots=True)
class Now:
    """What has our name, or is our asset, at the provider."""

    asset: Asset | None = None
    album: Album | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """`merge`: what becomes of ours. `asset`: what is there. `ours`: the item as it is then, for a CONFLICT or SEND."""

    merge: Merge
    asset: Asset | None
    ours: Item


class Conflicts:
    """Of one account."""

    def __init__(self, account: Account, queue: Queue, order: WaitingOrder, names_in: NamesIn) -> None:
        self._account = account
        self._queue = queue
        self._order = order
        self._names_in = names_in
        self.host = socket.gethostname().partition(".")[0]
        self.now_ns: Callable[[], int] = time.time_ns

    async def decide(self, item: Item) -> Decided:
        """What becomes of an upload that the provider did not take because of what is there. Nothing is changed yet.

        Errors: ProviderError, if that cannot be asked.
        """
        now = await self._now(item)
        theirs = None if now.asset is None else Theirs(now.asset.version, now.asset.checksum)
        merge = Merge.CONFLICT
        if now.album is None:
            base = None if item.base is None else item.base.version
            merge = decide_merge(base, item.sha1 or b"", item.earlier, theirs)
        if merge is not Merge.DONE and item.tries >= BAFFLING:
            merge = Merge.CONFLICT
        if merge is Merge.SEND:
            return Decided(merge, None, replace(item, base=None, stage=_ready(item)))
        if merge is Merge.CONFLICT:
            return Decided(merge, now.asset, await self._beside(item))
        return Decided(merge, now.asset, item)

    async def record(self, ours: Item, theirs: Asset | None) -> Conflict:
        """Ours has its new name, and a person is told until it is decided; one commit. Errors: StoreError."""
        found = Conflict(
            id=ours.id,
            account=ours.account,
            album=ours.album,
            name=ours.conflict_with or ours.name,
            ours=ours.name,
            theirs=None if theirs is None else theirs.id,
            found_ns=self.now_ns(),
        )
        self._queue.note(ours)
        await self._queue.record_conflict(found)
        return found

    async def _now(self, item: Item) -> Now:
        provider = self._account.provider
        with trio.move_on_after(ASKED_S):
            try:
                if item.base is not None:
                    return Now(await provider.asset(AssetId(self._order.current(item.base.asset))))
                listing = await provider.listing(self._order.album_of(item))
            except AssetGone:
                return Now()
            named = [asset for asset in listing.assets if asset.name == item.name]
            albums = [album for album in listing.albums if album.title == item.name]
            return Now(next(iter(named), None), next(iter(albums), None))
        raise ProviderUnreachable(f"no answer within {ASKED_S:.0f} s")

    async def _beside(self, item: Item) -> Item:
        wanted = item.conflict_with or item.name
        date = datetime.fromtimestamp(self.now_ns() / 1e9).astimezone().date().isoformat()
        taken = {wanted, item.name, *await self._taken(item)}
        name = conflict_name(wanted, date, self.host, taken)
        return replace(item, name=name, base=None, conflict_with=wanted, stage=_ready(item), tries=0, reason=None)

    async def _taken(self, item: Item) -> set[str]:
        """Names in the album; without the provider's if they cannot be had, for it says again if one is taken."""
        album = self._order.album_of(item)
        items = self._queue.in_album(self._account.name, album) + self._queue.in_album(self._account.name, item.album)
        taken = {other.name for other in items}
        with trio.move_on_after(ASKED_S):
            try:
                taken.update(await self._names_in(album))
            except (ProviderError, DeadlinePassed):
                return taken
        return taken


def _ready(item: Item) -> Stage:
    stage = advance(item.stage, Event.CONFLICT)
    assert stage is not None, "what is in conflict is still to be sent"
    return stage
