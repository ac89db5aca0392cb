"""Albums that were deleted at their provider while files waited to be sent into them: their directories stay.

Such an album is one that is still to be made, and FAILED: what waited is in it, under its name, and readable, until a
person lets it be made anew (`iiiffs queue retry`), or gives the files up (DESIGN §4.6).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import trio

from iiiffs.errors import AssetGone, IiiffsError, ProviderError
from iiiffs.model.gallery import AlbumId
from iiiffs.providers.views import ALBUMS
from iiiffs.state.homes import Home, HomesKept
from iiiffs.sync.items import Item, Stage, Verb, is_local_id
from iiiffs.tree.names import legal_name
from iiiffs.tree.places import Place
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.queue import Queue

log = logging.getLogger(__name__)

DELETED = "the album was deleted at its provider; `iiiffs queue retry` makes it anew, and sends what is in it"
NAMELESS = "deleted album"
"""What nobody ever called otherwise here."""

ASKED_S = 10.0
SENT_INTO = frozenset({Verb.UPLOAD, Verb.ADD})
NOT_BEGUN = frozenset({Stage.SETTLING, Stage.READY})
LEARNT_MIN = 64
"""Homes of so many albums are known, whatever waits: of those that are sent into again and again none is written each
time."""


class DesertedAlbums:
    """Of one account. Knows the homes of all albums that something is sent into, as soon as it is."""

    def __init__(
        self,
        gallery: Gallery,
        queue: Queue,
        homes: HomesKept,
        flights: Flights,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._gallery = gallery
        self._queue = queue
        self._homes = homes
        self._flights = flights
        self._now_ns = now_ns
        self._top = AlbumId("") if gallery.capabilities.folders else ALBUMS
        """What albums are in of which nobody knows more."""
        self._learnt: set[AlbumId] = set()
        """Those that were looked at in this run."""
        self._learnt_max = LEARNT_MIN
        flights.begin(("homes", gallery.name), self._forget)
        for item in queue.items(gallery.name):
            self._changed(None, item)
        queue.watch(self._changed)

    def _changed(self, before: Item | None, after: Item | None) -> None:
        if after is None or after.account != self._gallery.name or after.verb not in (*SENT_INTO, Verb.MAKE_ALBUM):
            return
        if after.album not in self._learnt and not is_local_id(after.album) and after.stage is not Stage.SENT:
            self._learnt.add(after.album)
            self._flights.begin(("home", self._gallery.name, after.album), partial(self._learn, after.album))
            if len(self._learnt) > self._learnt_max:
                self._flights.begin(("homes", self._gallery.name), self._forget)

    async def _forget(self) -> None:
        """Of albums that nothing is sent into any more no home is known. Errors: StoreFull, StoreError."""
        albums = {item.album for item in self._queue.items(self._gallery.name)}
        self._learnt &= albums
        self._learnt_max = max(LEARNT_MIN, 2 * len(self._learnt))
        await self._homes.keep_only(self._gallery.name, albums)

    async def _learn(self, album: AlbumId) -> None:
        """The home of the album is known, and those of all that it is in."""
        try:
            while self._gallery.place(album) in (Place.ALBUM, Place.FOLDER):
                told = await self._gallery.told_album(album)
                if told.parent is None:
                    self._top = album
                    return
                await self._homes.note(self._gallery.name, album, Home(legal_name(told.title), told.parent))
                album = told.parent
        except IiiffsError as error:
            self._learnt.discard(album)
            log.debug("%s: where %s is cannot be told: %s", self._gallery.name, album, error)

    async def keep(self, album: AlbumId, failing: set[str]) -> list[Item]:
        """What waits in an album that is gone waits in one that is to be made again; the items that have FAILED by
        that. `failing`: ids of those that were on their way into it. Errors: StoreError."""
        changed: list[Item] = []
        failed: list[Item] = []
        maker = await self._maker(album)
        for item in self._queue.in_album(self._gallery.name, album):
            if item.verb is Verb.TAKE_OUT or item.stage is Stage.SENT:
                continue
            is_to_fail = item.id in failing or (item.verb in SENT_INTO and item.stage in NOT_BEGUN)
            if is_to_fail and item.base is None:
                failed.append(
                    replace(item, album=AlbumId(maker.id), stage=Stage.FAILED, tries=item.tries + 1, reason=DELETED)
                )
            elif item.base is None and item.stage is not Stage.SENDING:
                changed.append(replace(item, album=AlbumId(maker.id)))
        await self._queue.commit(maker, *failed, *changed)
        taken_out = [item for item in self._queue.in_album(self._gallery.name, album) if item.verb is Verb.TAKE_OUT]
        await self._queue.drop_all([item.id for item in taken_out])  # nothing is in an album that is gone
        return failed

    async def _maker(self, album: AlbumId) -> Item:
        """The item that makes the album anew; one album of a name in another. Several may find out at once: nothing is
        awaited between the look for such an item and its commit."""
        home = self._homes.of(self._gallery.name, album) or Home(NAMELESS, None)
        parent = home.parent
        if parent is None:
            parent = self._top
        elif self._gallery.place(parent) is Place.FOLDER and await self._is_gone(parent):
            above = await self._maker(parent)
            await self._queue.commit(above)
            parent = AlbumId(above.id)
        name = home.name if self._is_free(parent, home.name, album) else f"{home.name} (deleted)"
        for item in self._queue.in_album(self._gallery.name, parent):
            if item.verb is Verb.MAKE_ALBUM and item.name == name and item.stage is not Stage.SENT:
                return item
        id, order = self._queue.new_id(), self._queue.next_order()
        return Item(
            id, order, self._gallery.name, Verb.MAKE_ALBUM, Stage.FAILED, parent, name, self._now_ns(),
            reason=DELETED,
        )  # fmt: skip

    def _is_free(self, parent: AlbumId, name: str, gone: AlbumId) -> bool:
        """Nobody has made another one of that name meanwhile, as far as is known."""
        kept = self._gallery.told_last(parent)[0]
        entry = None if kept is None else kept.get(name)
        return entry is None or entry.id == gone

    async def _is_gone(self, album: AlbumId) -> bool:
        """What could not be asked is not gone."""
        with trio.move_on_after(ASKED_S):
            try:
                await self._gallery.provider.album(album)
            except AssetGone:
                return True
            except ProviderError as error:
                log.debug("%s: %s: %s", self._gallery.name, album, error)
        return False


def is_deserted(item: Item) -> bool:
    """True of what makes an album anew that was deleted."""
    return item.verb is Verb.MAKE_ALBUM and item.stage is Stage.FAILED and item.reason == DELETED
