"""What one open of a file reads: another handle whenever its inode has got other bytes, and never one too many."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import cast

from iiiffs.errors import IiiffsError
from iiiffs.tree.nodes import File
from iiiffs.vfs.handles import Handle

log = logging.getLogger(__name__)


class OpenFile:
    """One open of a file: the inode's number, what it was when `handle` was opened.

    A handle that was exchanged is closed with the last read of it that is on its way; one that writes is kept to the
    end, for closing it tells that its program has.
    """

    __slots__ = ("_former", "_reads", "handle", "node", "number", "writes_direct")

    def __init__(self, number: int, node: File, handle: Handle, *, writes_direct: bool = False) -> None:
        self.number = number
        self.node = node
        self.handle = handle
        self.writes_direct = writes_direct
        """It can write, and does so past the page cache (rule: DirectWrites)."""
        self._reads: dict[int, int] = {}
        """How many reads are on their way, by the id of their handle."""
        self._former: dict[int, Handle] = {}

    async def read(self, offset: int, length: int) -> bytes:
        """Those bytes, of what is open now. Errors: as Handle.read."""
        handle = self.handle
        self._reads[id(handle)] = self._reads.get(id(handle), 0) + 1
        try:
            return cast(bytes, await handle.read(offset, length))  # pyfuse3 takes any buffer
        finally:
            self._reads[id(handle)] -= 1
            await self._let_go(handle)

    async def exchange(self, node: File, handle: Handle) -> None:
        """From now on `handle`, of `node`, is read."""
        former = self.handle
        self._former[id(former)] = former
        self.handle, self.node = handle, node
        await self._let_go(former)

    async def aclose(self) -> None:
        """All are closed, whatever one of them says. Errors: theirs."""
        former, self._former = list(self._former.values()), {}
        async with AsyncExitStack() as all_closed:
            for handle in (*former, self.handle):
                all_closed.push_async_callback(handle.aclose)

    async def _let_go(self, handle: Handle) -> None:
        """Closed, if it was exchanged and nobody reads it."""
        if self._reads.get(id(handle)):
            return
        self._reads.pop(id(handle), None)
        if id(handle) not in self._former or getattr(handle, "writes", False):
            return
        del self._former[id(handle)]
        try:
            await handle.aclose()
        except IiiffsError as error:
            log.warning("a file that is read from elsewhere now could not be put away: %s", error)
