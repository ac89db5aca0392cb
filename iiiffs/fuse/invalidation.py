"""What the kernel keeps and should not: names and directories that have changed underneath.

Never from the loop itself: the kernel may hold a lock of ours until a handler answers (peers.md §5.2). A few threads,
given up at the end; an entry that the kernel has dropped already, or a mount that is gone, is no error. Inodes name
their bytes, so bytes need no word, only names and directories' times do; but for bytes that were wrong when a provider
sent them, which is known at the end of a file. Rule: DESIGN §6 "Invalidation".
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator

import pyfuse3
import trio

from iiiffs.model.gallery import AccountName, AssetId, Version
from iiiffs.tree.albums import ALIASES, COLLECTION, MANIFEST
from iiiffs.tree.inodes import InodeTable
from iiiffs.tree.nodes import AlbumDir, AliasDir, Directory, PresentationDir
from iiiffs.vfs.watcher import AlbumChange

log = logging.getLogger(__name__)

THREADS = 4
DEPTH_MAX = 64
"""Folders deeper than this are found by their timeouts alone, a second later."""


class Invalidator:
    """Tells the kernel; knows numbers, which the vfs does not."""

    def __init__(self, inodes: InodeTable) -> None:
        self._inodes = inodes
        self._threads = trio.CapacityLimiter(THREADS)
        self.told = 0

    async def tell(self, change: AlbumChange) -> None:
        """The kernel asks again for every changed name of the album, for its documents and for its time."""
        for directory, names in _places(change):
            inode = self._inodes.find(directory)
            if inode is None:
                continue
            for name in names:
                await self._run(pyfuse3.invalidate_entry, inode.number, os.fsencode(name))
            await self._run(pyfuse3.invalidate_inode, inode.number, True)

    async def drop_bytes(self, account: AccountName, asset: AssetId, version: Version) -> None:
        """The kernel keeps no byte of that original. `account`: its name; nodes have the slug, so all are looked at."""
        for number in self._inodes.numbers_of(asset, version):
            log.debug("%s: bytes of %s are dropped", account, asset)
            await self._run(pyfuse3.invalidate_inode, number, False)

    async def _run(self, notify: Callable[..., None], *args: object) -> None:
        self.told += 1
        try:
            await trio.to_thread.run_sync(notify, *args, limiter=self._threads, abandon_on_cancel=True)
        except OSError as error:
            log.debug("the kernel need not be told %s: %s", args, error)


def _places(change: AlbumChange) -> Iterator[tuple[Directory, tuple[str, ...]]]:
    """Every directory that may show the album, and the names in it that may be others now."""
    documents = (MANIFEST, COLLECTION)
    for depth in range(1, DEPTH_MAX + 1):
        yield AlbumDir(change.account, change.album, depth), (*change.names, *documents, ALIASES)
        yield AliasDir(change.account, change.album, depth), change.names
    yield PresentationDir(change.account, change.album), documents
