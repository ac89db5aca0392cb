"""One short method a kernel request: number to node, call the file system, answer.

What this object holds is whole between any two awaits: the inode table changes only in `lookup` (after its last
await), `readdir` (which has none between telling an entry and counting it) and `forget`. Handles are numbered from 1.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import pyfuse3
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    FUSEError,
    InodeT,
    ReaddirToken,
    RequestContext,
    StatvfsData,
    XAttrNameT,
)

from iiiffs.errors import IiiffsError, ReadOnly
from iiiffs.fuse.entries import Owner, entry_of, negative_entry
from iiiffs.fuse.errnos import Faults, fenced
from iiiffs.tree.attributes import FileKind
from iiiffs.tree.inodes import ROOT_NUMBER, Inode, InodeTable
from iiiffs.tree.nodes import AliasLink, Directory, File, Root
from iiiffs.vfs.entries import Absent, Snapshot
from iiiffs.vfs.filesystem import Filesystem
from iiiffs.vfs.handles import Handle
from iiiffs.vfs.xattrs import PREFIX

log = logging.getLogger(__name__)

LARGE_BYTES = 1 << 50
STAT_BLOCK_BYTES = 4096
NAME_BYTES_MAX = 255
TOLD_AT_ONCE = 150
"""Entries of one answer to readdir: some 3 ms. The kernel has room for 450, and asks for the rest at once."""
XATTR_PREFIX = os.fsencode(PREFIX)
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_APPEND


class OpenDirectory:
    """A directory that is being listed: what is told was fixed when it was opened, or rewound."""

    __slots__ = ("begun", "directory", "snapshot")

    def __init__(self, directory: Directory, snapshot: Snapshot) -> None:
        self.directory = directory
        self.snapshot = snapshot
        self.begun = False


class Operations(pyfuse3.Operations):
    """The mount's requests."""

    enable_writeback_cache = False
    supports_dot_lookup = False

    def __init__(self, filesystem: Filesystem, inode_key: bytes, owner: Owner, ready: Callable[[], None]) -> None:
        super().__init__()
        self.faults = Faults()
        self.first_open: Callable[[], None] | None = None
        """Called before the first file is opened."""
        self.inodes = InodeTable(inode_key)
        self._filesystem = filesystem
        self._owner = owner
        self._ready = ready
        self._files: dict[int, tuple[File, Handle]] = {}
        self._directories: dict[int, OpenDirectory] = {}
        self._next_handle = 1
        self.inodes.remember(Root(), filesystem.root_attributes)

    @property
    def open_handles(self) -> int:
        """Files and directories that are open now."""
        return len(self._files) + len(self._directories)

    def init(self) -> None:
        """The kernel is connected: the first request can be answered."""
        self._ready()

    @fenced
    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        parent = self._inode(parent_inode)
        found = await self._filesystem.lookup(parent.node, os.fsdecode(name))
        if isinstance(found, Absent):
            return negative_entry(found.keep_s)
        inode = self.inodes.remember(found.node, found.attributes)
        return entry_of(inode.number, found.attributes, self._owner)

    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        try:
            self.inodes.forget(inode_list)
        except Exception:  # nothing may leave forget: pyfuse3 has nobody to tell and would end the mount
            self.faults.bugs += 1
            log.exception("bug in forget")

    @fenced
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        held = self._inode(inode)
        held.attributes = await self._filesystem.attributes(held.node, held.attributes)
        return entry_of(held.number, held.attributes, self._owner)

    @fenced
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        node = self._inode(inode).node
        if not isinstance(node, AliasLink):
            raise FUSEError(errno.EINVAL)
        return FileNameT(os.fsencode(node.target))

    @fenced
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        held = self._inode(inode)
        if held.attributes.kind is not FileKind.DIRECTORY:
            raise FUSEError(errno.ENOTDIR)
        directory = cast(Directory, held.node)
        snapshot = await self._filesystem.entries(directory)
        handle = self._numbered()
        self._directories[handle] = OpenDirectory(directory, snapshot)
        return FileHandleT(handle)

    @fenced
    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        opened = self._directories[fh]
        if start_id == 0 and opened.begun:  # rewinddir: POSIX wants what is there now
            opened.snapshot = await self._filesystem.entries(opened.directory)
        opened.begun = True
        snapshot = opened.snapshot
        for index in range(start_id, min(start_id + TOLD_AT_ONCE, len(snapshot.names))):
            found = snapshot.describe(index)
            number = self.inodes.number_of(found.node)
            entry = entry_of(number, found.attributes, self._owner)
            if not pyfuse3.readdir_reply(token, FileNameT(os.fsencode(snapshot.names[index])), entry, index + 1):
                break
            self.inodes.remember(found.node, found.attributes)

    async def releasedir(self, fh: FileHandleT) -> None:
        self._directories.pop(fh, None)

    @fenced
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        held = self._inode(inode)
        if flags & WRITE_FLAGS:
            raise ReadOnly("this version of iiiffs mounts read-only")
        if held.attributes.kind is not FileKind.FILE:
            raise FUSEError(errno.EISDIR)
        node = cast(File, held.node)
        if self.first_open is not None:
            called, self.first_open = self.first_open, None
            called()
        opened = await self._filesystem.open(node)
        handle = self._numbered()
        self._files[handle] = node, opened
        snapshot = opened.is_snapshot
        return FileInfo(fh=FileHandleT(handle), direct_io=snapshot, keep_cache=not snapshot)

    @fenced
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        node, opened = self._files[fh]
        try:
            return await opened.read(off, size)
        except IiiffsError as error:
            self._filesystem.reasons.failed(node, "open", error)
            raise

    @fenced
    async def release(self, fh: FileHandleT) -> None:
        closed = self._files.pop(fh, None)
        if closed is not None:
            await closed[1].aclose()

    @fenced
    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        """Names of others are absent, never unsupported: after one ENOSYS the kernel would ask for none again."""
        value = None
        if name.startswith(XATTR_PREFIX):
            value = await self._filesystem.xattrs.value(self._inode(inode).node, os.fsdecode(name))
        if value is None:
            raise FUSEError(pyfuse3.ENOATTR)
        return value

    @fenced
    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> list[XAttrNameT]:
        return [XAttrNameT(os.fsencode(name)) for name in self._filesystem.xattrs.names(self._inode(inode).node)]

    @fenced
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        """A large constant, all of it free: a zero makes programs refuse (peers.md §6)."""
        answer = StatvfsData()
        answer.f_bsize = answer.f_frsize = STAT_BLOCK_BYTES
        answer.f_blocks = answer.f_bfree = answer.f_bavail = LARGE_BYTES // STAT_BLOCK_BYTES
        answer.f_files = answer.f_ffree = answer.f_favail = 1 << 32
        answer.f_namemax = NAME_BYTES_MAX
        return answer

    def _inode(self, number: int) -> Inode:
        held = self.inodes.get(number)
        if held is None:
            raise FUSEError(errno.ESTALE)
        return held

    def _numbered(self) -> int:
        handle = self._next_handle
        self._next_handle += 1
        return handle


async def _refused(self: Operations, *args: Any) -> Any:
    raise ReadOnly("this version of iiiffs mounts read-only")


for _name in (
    "create", "mkdir", "mknod", "symlink", "link", "unlink", "rmdir", "rename", "setattr", "write", "setxattr",
    "removexattr",
):  # fmt: skip
    setattr(Operations, _name, fenced(_refused))

assert ROOT_NUMBER == pyfuse3.ROOT_INODE
