"""Files that were sent a moment ago: shown under their names until their provider's listing tells of them.

A listing may lag behind an answer, so what was SENT goes on waiting: it ends when a listing has it, or when one that
was asked for LISTED_S later has not.
"""

from __future__ import annotations

import logging
from functools import partial

import trio

from iiiffs.errors import AssetGone, IiiffsError
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.state.given import Given
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.listings import Listings
from iiiffs.vfs.queue import Queue

log = logging.getLogger(__name__)

LISTED_S = 30.0
"""So long after it was sent a file may be missing from its provider's listing, and is shown all the same."""
LOOK_S = 2.0
"""So long after something was sent its album is asked for it; then after twice that, and so on. Nobody waits for that:
the file is shown, and a program that puts thousands into one album would wait for the whole list at each."""
LOOKS_MAX = 4
"""At once: after a start there may be files in hundreds of albums to look for, and programs have questions too."""
LOOK_TIMES = 4
"""A list that takes long is asked for less often: no more than a fifth of the time is spent on it."""

SHOWING = frozenset({Verb.UPLOAD, Verb.ADD})
"""What shows an asset in an album."""


class Arrivals:
    """Of one account."""

    def __init__(self, account: AccountName, queue: Queue, flights: Flights, listings: Listings) -> None:
        self._account = account
        self._queue = queue
        self._flights = flights
        self.listings = listings
        self._given = queue.notes.given
        self._asking = trio.CapacityLimiter(LOOKS_MAX)
        self._sent_s: dict[str, float] = {}
        self._by_asset: dict[AssetId, set[str]] = {}
        """Asset -> the uploads that became it, and are SENT."""

    @property
    def real_names(self) -> bool:
        """Rule: providers.base.Capabilities.real_names."""
        return self.listings.capabilities.real_names

    def changed(self, before: Item | None, after: Item | None) -> None:
        """An item is another; rule: Queue.watch."""
        for item in (before, after):
            if item is not None and item.stage is Stage.SENT and item.sent is not None:
                self._by_asset.setdefault(item.sent.id, set()).discard(item.id)
                if item is after:
                    self._by_asset[item.sent.id].add(item.id)
                elif not self._by_asset[item.sent.id]:
                    del self._by_asset[item.sent.id]
        if after is not None and after.stage is Stage.SENT and after.sent is not None:
            self._sent_s.setdefault(after.id, trio.current_time())
            self._flights.begin(("arrived", self._account, after.album), partial(self._await_listing, after.album))
        if before is not None and after is None:
            self._sent_s.pop(before.id, None)

    def of(self, album: AlbumId | None, asset: AssetId) -> list[Item]:
        """The uploads that became the asset in that album (None: in any), and whose names are shown until its listing
        has it: whoever renames or removes the asset ends them, for the listing will never have it under that name."""
        found = (self._queue.get(id) for id in self._by_asset.get(asset, ()))
        return [item for item in found if item is not None and album in (None, item.album)]

    def untold(self, asset: AssetId) -> int:
        """The number of albums in which it is shown and no list of theirs tells of it: it was sent to them, or put into
        them. The kernel counts names down at each unlink, and links nothing of which it thinks that no name is left."""
        said = self._queue.about(asset)
        if not said and asset not in self._by_asset:  # as of nearly all that a listing tells of
            return 0
        albums = {item.album for item in (*self.of(None, asset), *said) if item.verb in SHOWING}
        return sum(not self._is_told(album, asset) for album in albums)

    def _is_told(self, album: AlbumId, asset: AssetId) -> bool:
        told, _ = self.listings.told_last(album)
        return told is not None and told.name_of(asset) is not None

    async def _await_listing(self, album: AlbumId) -> None:
        """Nothing of the album is SENT any more: its listing tells of it, or has not for LISTED_S, or there is none.

        A listing that cannot be had says nothing: then the files go on being shown.
        """
        wait_s, took_s = LOOK_S, 0.0
        while any(item.stage is Stage.SENT for item in self._queue.in_album(self._account, album)):
            await trio.sleep(max(wait_s, LOOK_TIMES * took_s))
            wait_s = min(wait_s * 2, LISTED_S)
            told = None
            try:
                async with self._asking:
                    asked_s = trio.current_time()
                    await self.listings.told(album, anew=True)
                    took_s = trio.current_time() - asked_s
                told = self.listings.told_last(album)[0]  # what others are told: the answer may have come too late
                if told is None:
                    continue
            except AssetGone:
                log.debug("%s: %s is gone, and what was sent to it", self._account, album)
            except IiiffsError as error:
                log.debug("%s: %s cannot be listed: %s", self._account, album, error)
                continue
            await self.listings.remembered(album)  # until then, its row is all that is known of a file after a kill
            listed: list[Item] = []
            for item in self._queue.in_album(self._account, album):
                if item.stage is Stage.SENT and item.sent is not None:
                    name = None if told is None else told.name_of(item.sent.id)
                    if name is not None or told is None or self._is_missing(item):
                        await self._keep_name(item, name)
                        listed.append(item)
            await self._queue.drop_all([item.id for item in listed if self._queue.get(item.id) is item])
            wait_s = LOOK_S if listed else wait_s

    def _is_missing(self, item: Item) -> bool:
        """A listing that was asked for long after it was sent has it not."""
        sent_s = self._sent_s.setdefault(item.id, trio.current_time())
        if self.listings.told_last(item.album)[1] - sent_s > LISTED_S:
            return True
        if trio.current_time() - sent_s > LISTED_S:
            self.listings.expire(item.album)
        return False

    async def _keep_name(self, item: Item, name: str | None) -> None:
        """The listing tells of it by `name`: it goes by the name that it has here for as long as it is there."""
        assert item.sent is not None, "an upload that was sent has become an asset"
        if name is None or self.listings.capabilities.real_names:
            return
        if name == item.name and self._is_known_by_others(item, item.sent.id):
            await self._given.give(self._account, item.album, name, Given(item.sent.id, also=False))
        elif name != item.name:
            others = [one for one in self.of(item.album, item.sent.id) if one.name == name]
            was = self._given.of(self._account, item.album).get(item.name)
            also = item.also if was is None or was.asset != item.sent.id else was.also  # said later: rule Notes.parted
            await self._given.give(self._account, item.album, item.name, Given(item.sent.id, also or bool(others)))

    def _is_known_by_others(self, item: Item, asset: AssetId) -> bool:
        """By names that it was given, which hide its own."""
        given = self._given.of(self._account, item.album)
        return any(name != item.name and one.asset == asset and not one.also for name, one in given.items())
