"""What the kernel keeps and should not: times of directories whose content has changed underneath.

Nothing here may take a lock of the kernel that a client holds while it waits for us: killed then, the daemon would wait
for its client and the client for the daemon, until somebody aborted the connection. To have a name forgotten
(FUSE_NOTIFY_INVAL_ENTRY) takes the directory's lock, so no name is: the kernel asks again after MUTABLE_S. Attributes
take none. Inodes name their bytes, so bytes need no word, but for those that were wrong when a provider sent them,
which is known at the end of a file. In a few threads, given up at the end; an inode that the kernel has dropped
already, or a mount that is gone, is no error. Rule: DESIGN §6 "Invalidation".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pyfuse3
import trio

from iiiffs.model.gallery import AccountName, AssetId, Version
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
        """The kernel asks again for the time of every directory that shows the album."""
        for directory in _places(change):
            inode = self._inodes.find(directory)
            if inode is not None:
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


def _places(change: AlbumChange) -> Iterator[Directory]:
    for depth in range(1, DEPTH_MAX + 1):
        yield AlbumDir(change.account, change.album, depth)
        yield AliasDir(change.account, change.album, depth)
    yield PresentationDir(change.account, change.album)
