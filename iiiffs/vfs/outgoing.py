"""Everything of a mount that changes something, joined up: the queue, what lies over the galleries, who sends.

What was left by the last run is taken up before anything is shown, without a question to any provider.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import NoReturn

import trio

from iiiffs.model.gallery import AccountName, AlbumId, Asset
from iiiffs.state.store import State
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.sync.stages import recovered, resting
from iiiffs.vfs.changes import Changes
from iiiffs.vfs.deserted import DesertedAlbums
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.local_files import LocalFiles
from iiiffs.vfs.overlay import Overlay
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.reasons import Reasons
from iiiffs.vfs.removing import Removals
from iiiffs.vfs.renaming import Renames
from iiiffs.vfs.rooms import Rooms
from iiiffs.vfs.sending_news import Notify
from iiiffs.vfs.unanswered import caught_up, follow
from iiiffs.vfs.uploader import Uploader
from iiiffs.vfs.writer import Writer

log = logging.getLogger(__name__)

LOST_S = 60.0
"""No verb holds a file back for as long."""


class Outgoing:
    """One mount's. Made by `build`."""

    def __init__(self, queue: Queue, galleries: Mapping[AccountName, Gallery], flights: Flights) -> None:
        self.queue = queue
        self.uploaders: dict[AccountName, Uploader] = {}
        """By the accounts' names."""
        self._flights = flights
        self.rooms = Rooms(queue, galleries.values(), flights)
        self.files = LocalFiles(queue, self._interrupt, room=self.rooms.needed)
        self.writer: Writer

    @classmethod
    async def build(
        cls,
        state: State,
        galleries: Mapping[AccountName, Gallery],
        flights: Flights,
        reasons: Reasons,
        notify: Notify,
    ) -> Outgoing:
        """What waited is in the queue again; those of `galleries` that may be changed show it. Errors: StoreError."""
        loaded = await trio.to_thread.run_sync(state.journal.load)
        for broken in loaded.broken:
            log.error("the journal: %s cannot be read and is kept aside: %s", broken.key, broken.reason)
        sizes = await trio.to_thread.run_sync(state.spool.sizes)
        recovery = recovered(loaded.items, sizes, time.time_ns())
        notes = await trio.to_thread.run_sync(state.notes)
        queue = Queue(state.journal, state.spool, state.successors, notes, recovery.items, loaded.conflicts)
        by_name = {gallery.name: gallery for gallery in galleries.values()}
        queue.watch(partial(follow, queue, partial(_told_last, by_name)))
        queue.complete(partial(caught_up, queue))
        if recovery.changed:
            await queue.commit(*recovery.changed)
        for id in recovery.spent:
            await trio.to_thread.run_sync(state.spool.remove, id)
        _tell_of(recovery.items)
        outgoing = cls(queue, galleries, flights)
        homes = await trio.to_thread.run_sync(state.homes)
        for gallery in galleries.values():
            writing = gallery.capabilities.writing
            if writing is None or not gallery.access.adds:
                continue
            gallery.overlay = Overlay(gallery.name, queue, outgoing.files, flights, gallery)
            uploader = Uploader(gallery, queue, partial(_names_in, gallery), notify)
            uploader.deserted = DesertedAlbums(gallery, queue, homes, flights)
            outgoing.uploaders[gallery.name] = uploader
        changes = Changes(dict(galleries), queue, outgoing.files)
        removals = Removals(dict(galleries), queue, outgoing._interrupt, outgoing.files.is_held_open)
        renames = Renames(dict(galleries), queue, removals, outgoing.files)
        outgoing.writer = Writer(changes, removals, renames, reasons, outgoing.rooms.space)
        return outgoing

    async def _interrupt(self, item: Item) -> None:
        uploader = self.uploaders.get(item.account)
        if uploader is not None:
            await uploader.interrupt(item.id)

    async def run(self) -> NoReturn:
        """Nothing stays OPEN that nobody has open: what a verb or a program left so by whatever accident is sent."""
        suspected: set[str] = set()
        while True:
            await trio.sleep(LOST_S)
            lost = {item.id for item in self.queue.items() if self._is_lost(item)}
            for id in lost & suspected:
                item = self.queue.get(id)
                if item is not None:
                    log.info("%s: %s is sent, though nobody has closed it", item.account, item.name)
                    self.queue.note(resting(item, is_open=False))
            suspected = lost

    def _is_lost(self, item: Item) -> bool:
        is_open = item.verb is Verb.UPLOAD and item.stage is Stage.OPEN
        return is_open and not self.files.is_held_open(item.id)

    def gauges(self) -> dict[str, object]:
        """What is held now, for status and metrics: nothing of it may be left when nobody does anything."""
        return {
            "open_files": self.files.open_files,
            "flights": len(self._flights),
            "tasks": trio.lowlevel.current_statistics().tasks_living,
        }


def _told_last(galleries: Mapping[AccountName, Gallery], account: AccountName, album: AlbumId) -> Collection[Asset]:
    gallery = galleries.get(account)
    told = None if gallery is None else gallery.told_last(album)[0]
    return () if told is None else told.listing.assets


async def _names_in(gallery: Gallery, album: AlbumId) -> Collection[str]:
    return (await gallery.names(album)).entries.keys()


def _tell_of(items: Collection[Item]) -> None:
    """One line at the start for what a person should know of."""
    waiting = [item for item in items if item.stage not in (Stage.FAILED, Stage.SENT, Stage.KEPT)]
    failed = [item for item in items if item.stage is Stage.FAILED]
    if waiting:
        log.info("%d changes wait to be sent", len(waiting))
    if failed:
        log.warning("%d changes could not be sent; `iiiffs queue list` says why", len(failed))
