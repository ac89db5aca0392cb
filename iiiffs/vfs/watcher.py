"""What a provider says has changed, brought to the listings, the index and the kernel.

One service an account. Reports are merged while a round is under way: a storm costs one round more, not one a report.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from iiiffs.errors import AssetGone, IiiffsError
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.library import Library

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AlbumChange:
    """Names of one album name something else now, or nothing any more; and its documents may differ."""

    account: AccountName
    album: AlbumId


Told = Callable[[AlbumChange], Awaitable[None]]


async def run_account(gallery: Gallery, told: Told) -> None:
    """The account's library is known, and kept so: its provider watches before its folders are read, so that no change
    falls between the two. Until cancelled, or at once where there is nothing to watch."""
    async with trio.open_nursery() as nursery:
        if gallery.capabilities.watches:
            await nursery.start(run_watcher, gallery, told)
        if gallery.library is not None:
            await gallery.library.run()


async def run_watcher(
    gallery: Gallery, told: Told, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Every change that the provider reports is looked at, and `told` to the kernel's side; until cancelled."""
    watcher = Watcher(gallery, told)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(gallery.provider.watch, watcher.report)
            gallery.watched_since_s = trio.current_time()
            task_status.started()
            await watcher.run()
    finally:
        gallery.watched_since_s = None


class Watcher:
    """Reports in, rounds out."""

    def __init__(self, gallery: Gallery, told: Told) -> None:
        self._gallery = gallery
        self._told = told
        self._pending = Changeset(frozenset())
        self._woken = trio.Event()

    def report(self, changes: Changeset) -> None:
        """`changes` will be looked at soon."""
        self._pending |= changes
        self._woken.set()

    async def run(self) -> None:
        """A round whenever something was reported."""
        while True:
            await self._woken.wait()
            self._woken = trio.Event()
            changes, self._pending = self._pending, Changeset(frozenset())
            await self._look(changes)

    async def _look(self, changes: Changeset) -> None:
        gallery, library = self._gallery, self._gallery.library
        albums = gallery.changed(changes)
        if changes.everything:
            log.info("%s: all albums are looked at again", gallery.name)
            if library is not None and library.is_whole:
                await self._crawl_again(library)
        for album in sorted(albums):  # in one order, whatever the order of the set
            try:
                await self._look_at(album)
            except IiiffsError as error:
                log.debug("%s: %s changed, and could not be looked at: %s", gallery.name, album, error)

    async def _crawl_again(self, library: Library) -> None:
        try:
            await library.crawl_again(trusting=False)
        except IiiffsError as error:
            log.info("%s: not all folders could be looked at: %s", self._gallery.name, error)

    async def _look_at(self, album: AlbumId) -> None:
        gallery, library = self._gallery, self._gallery.library
        before = await gallery.last(album)
        gallery.expire(album)
        try:
            after = await gallery.told(album)
        except AssetGone:
            if library is not None:
                await library.forget_gone(album)
            after = None
        else:
            if library is not None and library.is_whole:
                await library.album_seen(album)
        if before is not None and before is not after:
            await self._told(AlbumChange(gallery.account, album))
