"""Every verb that changes something, with the reason kept where it did not work: what fuse/ calls."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from iiiffs.errors import Forbidden, IiiffsError, ReadOnly, Rejected, VersionChanged
from iiiffs.model.writing import Space
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import DiscardedDir, File, Local, Node
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.changes import Changes, Touched, Wanted
from iiiffs.vfs.entries import Absent, Found, Snapshot, fixed_snapshot
from iiiffs.vfs.handles import WritableHandle
from iiiffs.vfs.local_files import LocalHandle
from iiiffs.vfs.reasons import Reasons
from iiiffs.vfs.removing import Removals
from iiiffs.vfs.renaming import Renames

log = logging.getLogger(__name__)

REFUSALS = (ReadOnly, Forbidden, Rejected)
LINES_KEPT = 128
LINES_A_MINUTE = 10


class Writer:
    """The changing half of the file system. Errors of all: ReadOnly, Forbidden and below, StoreFull, StoreError."""

    def __init__(
        self,
        changes: Changes,
        removals: Removals,
        renames: Renames,
        reasons: Reasons,
        space: Callable[[], Awaitable[Space | None]],
    ) -> None:
        """`space`: how much room there is, after a moment at the most; None where nobody says."""
        self.changes = changes
        self.space = space
        self._removals = removals
        self._renames = renames
        self._reasons = reasons
        self._told: dict[str, float] = {}

    async def create(self, parent: Node, name: str, flags: int) -> tuple[Found, WritableHandle]:
        """Rule: Changes.create."""
        async with self._reasoned(parent, f"create {name}"):
            return await self.changes.create(parent, name, flags)

    async def open(self, node: File, flags: int) -> tuple[WritableHandle, Local | None]:
        """Rule: Changes.open."""
        async with self._reasoned(node, "open for writing"):
            return await self.changes.open(node, flags)

    async def make_directory(self, parent: Node, name: str) -> Found:
        """Rule: Changes.make_directory."""
        async with self._reasoned(parent, f"mkdir {name}"):
            return await self.changes.make_directory(parent, name)

    async def symlink(self, parent: Node, name: str) -> Found:
        """Rule: Changes.symlink."""
        async with self._reasoned(parent, f"symlink {name}"):
            return self.changes.symlink(parent, name)

    async def link(self, node: Node, parent: Node, name: str) -> Found:
        """Rule: Changes.link."""
        async with self._reasoned(parent, f"link {name}"):
            return await self.changes.link(node, parent, name)

    async def unlink(self, parent: Node, name: str) -> None:
        """Rule: Removals.unlink."""
        async with self._reasoned(parent, f"unlink {name}"):
            await self._removals.unlink(parent, name)

    async def remove_directory(self, parent: Node, name: str) -> None:
        """Rule: Removals.remove_directory."""
        async with self._reasoned(parent, f"rmdir {name}"):
            await self._removals.remove_directory(parent, name)

    async def rename(self, parent: Node, name: str, to_parent: Node, to_name: str, flags: int) -> None:
        """Rule: Renames.rename."""
        async with self._reasoned(parent, f"rename {name}"):
            await self._renames.rename(parent, name, to_parent, to_name, flags)

    async def set_attributes(self, node: Node, wanted: Wanted, handle: LocalHandle | None) -> Local | Touched | None:
        """Rule: Changes.set_attributes."""
        async with self._reasoned(node, "setattr"):
            return await self.changes.set_attributes(node, wanted, handle)

    async def set_property(self, node: Node, name: str, value: bytes) -> None:
        """Rule: Properties.set."""
        async with self._reasoned(node, f"set {name}"):
            await self.changes.properties.set(node, name, value)

    async def dismiss_note(self, node: Node) -> bool:
        """Rule: Properties.dismiss_note."""
        async with self._reasoned(node, "dismiss its note"):
            return await self.changes.properties.dismiss_note(node)

    @asynccontextmanager
    async def _reasoned(self, node: Node, deed: str) -> AsyncIterator[None]:
        try:
            yield
        except VersionChanged:  # the kernel looks again, and asks anew
            raise
        except IiiffsError as error:
            self._reasons.failed(node, deed, error)
            self._tell(error)
            raise
        self._reasons.worked(node, deed)

    def _tell(self, error: IiiffsError) -> None:
        """What the access level, the provider or the key's permissions refuse is one line, and one only: the same text
        again says nothing new, and of thousands of files that a program copies some say enough."""
        text, now_s = str(error), trio.current_time()
        if type(error) not in REFUSALS or text in self._told:
            return
        self._told[text] = now_s
        if len(self._told) > LINES_KEPT:
            del self._told[next(iter(self._told))]
        if sum(now_s - told_s < 60.0 for told_s in self._told.values()) <= LINES_A_MINUTE:
            log.info("refused: %s", text)


class DiscardedDirs:
    """DiscardedDir: what a program puts in it is taken, and nothing of it stays."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    async def lookup(self, directory: DiscardedDir, name: str) -> Found | Absent:
        """What was put there a moment ago, for programs look at what they made."""
        overlay = self._galleries[directory.account].overlay
        if overlay is None:
            return Absent(0.0)
        found = overlay.filling.discarded(overlay.album_id(directory.album), f"{directory.name}/{name}")
        return found or Absent(0.0)

    async def entries(self, directory: DiscardedDir) -> Snapshot:
        """Nothing."""
        return fixed_snapshot([])

    async def attributes(self, directory: DiscardedDir, last: Attributes) -> Attributes:
        """As it was made."""
        return last
