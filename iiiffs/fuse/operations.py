"""One short method a kernel request: number to node, call the file system, answer.

What this object holds is whole between any two awaits: the inode table changes only in `lookup` (after its last
await), `readdir` (which has none between telling an entry and counting it) and `forget`. Handles are numbered from 1.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import pyfuse3
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    FUSEError,
    InodeT,
    ModeT,
    ReaddirToken,
    RequestContext,
    SetattrFields,
    StatvfsData,
    XAttrNameT,
)

from iiiffs.errors import IiiffsError, ReadOnly, VersionChanged
from iiiffs.fuse.direct_writes import PASSED_BY, Caching, DirectWrites, can_write
from iiiffs.fuse.entries import Owner, entry_of, negative_entry
from iiiffs.fuse.errnos import Faults, fenced
from iiiffs.fuse.open_files import OpenFile
from iiiffs.model.gallery import AccountName, AlbumId, Asset
from iiiffs.model.writing import Space
from iiiffs.sync.items import Item, Verb
from iiiffs.tree import attributes
from iiiffs.tree.attributes import FileKind
from iiiffs.tree.inodes import ROOT_NUMBER, Inode, InodeTable
from iiiffs.tree.nodes import AlbumDir, AliasLink, Directory, File, Local, Node, Root
from iiiffs.vfs.changes import Touched, Wanted
from iiiffs.vfs.entries import Absent, Found, Snapshot
from iiiffs.vfs.filesystem import Filesystem
from iiiffs.vfs.handles import Handle, WritableHandle
from iiiffs.vfs.local_files import LocalHandle
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.writer import Writer
from iiiffs.vfs.xattrs import NOTE, PREFIX, SETTABLE

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
        self._files: dict[int, OpenFile] = {}
        self._directories: dict[int, OpenDirectory] = {}
        self._direct = DirectWrites()
        self._next_handle = 1
        self.inodes.remember(Root(), filesystem.root_attributes)

    @property
    def is_read_only(self) -> bool:
        """Nothing of the mount may be changed."""
        return self._filesystem.writer is None

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
            self._direct.forgotten(number for number, _ in inode_list if self.inodes.get(number) is None)
        except Exception:  # nothing may leave forget: pyfuse3 has nobody to tell and would end the mount
            self.faults.bugs += 1
            log.exception("bug in forget")

    @fenced
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        held = self._inode(inode)
        attributes = await self._filesystem.attributes(held.node, held.attributes)
        self.inodes.retell(held.number, attributes)
        return entry_of(held.number, attributes, self._owner)

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
        if held.attributes.kind is not FileKind.FILE:
            raise FUSEError(errno.EISDIR)
        node = cast(File, held.node)
        try:
            return await self._open(held.number, node, flags)
        except VersionChanged:
            now = self._inode(inode).node
            if now == node:
                raise
        return await self._open(held.number, cast(File, now), flags)  # it was sent meanwhile: its inode is the asset's

    async def _open(self, number: int, node: File, flags: int) -> FileInfo:
        if flags & WRITE_FLAGS:
            handle, local = await self._writing().open(node, flags)
            if local is not None:
                self._bind(number, local)
            return self._opened(number, local or node, handle, self._direct.opened(number, flags), flags)
        if self.first_open is not None:
            called, self.first_open = self.first_open, None
            called()
        read = await self._filesystem.open(node)
        caching = PASSED_BY if read.is_snapshot else self._direct.opened(number, flags)
        return self._opened(number, node, read, caching, flags)

    def _opened(self, inode: int, node: File, opened: Handle, caching: Caching, flags: int) -> FileInfo:
        handle = self._numbered()
        self._files[handle] = OpenFile(inode, node, opened, writes_direct=caching.is_direct and can_write(flags))
        return FileInfo(fh=FileHandleT(handle), direct_io=caching.is_direct, keep_cache=caching.keeps)

    @fenced
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        opened = self._files[fh]
        try:
            held = None if self.is_read_only else self.inodes.get(opened.number)
            if held is not None and held.node != opened.node and not self._is_untouched(held.node):
                await self._open_anew(opened, cast(File, held.node))
            return await opened.read(off, size)
        except IiiffsError as error:
            self._filesystem.reasons.failed(opened.node, "open", error)
            raise

    async def _open_anew(self, opened: OpenFile, node: File) -> None:
        """What was opened before its inode got other bytes, by a program that writes it, reads those from now on.

        The kernel has one page cache for all opens of an inode: old bytes in it would be read by everybody, and would
        be written back with what a program has mapped.
        """
        handle = await self._filesystem.open(node)
        if opened.node == node:  # another read was quicker
            await handle.aclose()
        else:
            await opened.exchange(node, handle)

    def _is_untouched(self, node: Node) -> bool:
        """True of a file that is open to be written, and still has the bytes that it had."""
        writer = self._filesystem.writer
        return isinstance(node, Local) and writer is not None and writer.changes.is_untouched(node)

    @fenced
    async def release(self, fh: FileHandleT) -> None:
        closed = self._files.pop(fh, None)
        if closed is None:
            return
        if closed.writes_direct:
            self._direct.closed(closed.number)
        try:
            await closed.aclose()
        finally:
            writer, node = self._filesystem.writer, closed.node
            if isinstance(node, Local) and writer is not None and not writer.changes.waits(node):
                inode = self.inodes.find(node)
                if inode is not None:  # it was opened for writing, and nothing was written
                    self.inodes.unbind(inode.number)

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
        """Nothing: what is listed is copied, and removed where the original has it not, and none of ours can be set
        everywhere; `rsync -X` would end with 23 (prior art: ceph's vxattrs, in no list since Linux 5.10)."""
        self._inode(inode)
        return []

    @fenced
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        """The room of the one account; a large constant, all of it free, where there are several, or nobody says: a
        zero makes programs refuse (peers.md §6)."""
        writer = self._filesystem.writer
        space = (None if writer is None else await writer.space()) or Space(LARGE_BYTES, LARGE_BYTES)
        answer = StatvfsData()
        answer.f_bsize = answer.f_frsize = STAT_BLOCK_BYTES
        answer.f_blocks = max(1, space.total_bytes // STAT_BLOCK_BYTES)
        answer.f_bavail = space.free_bytes // STAT_BLOCK_BYTES
        answer.f_bfree = (space.free_bytes + space.reserved_bytes) // STAT_BLOCK_BYTES
        answer.f_files = answer.f_ffree = answer.f_favail = 1 << 32
        answer.f_namemax = NAME_BYTES_MAX
        return answer

    # ---- what changes something -------------------------------------------------------------------------------

    @fenced
    async def create(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, flags: FlagT, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        parent = self._inode(parent_inode)
        found, handle = await self._writing().create(parent.node, os.fsdecode(name), flags)
        is_new = self.inodes.find(found.node) is None
        entry = self._remembered(found)
        caching = self._direct.made(entry.st_ino, flags, is_new=is_new)
        return self._opened(entry.st_ino, cast(File, found.node), handle, caching, flags), entry

    @fenced
    async def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        opened = self._files[fh]
        try:
            return await self._writable(opened.handle).write(off, buf)
        except IiiffsError as error:
            self._filesystem.reasons.failed(opened.node, "write", error)
            raise

    @fenced
    async def flush(self, fh: FileHandleT) -> None:
        """close(2) returns when this does. Of a mount that is read-only the kernel need not ask again."""
        if self._filesystem.writer is None:
            raise FUSEError(errno.ENOSYS)
        await self._flush(fh)

    @fenced
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        await self._flush(fh)

    @fenced
    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        """Names are on disk before the call that made them returns, or with the file's own flush."""

    async def _flush(self, fh: FileHandleT) -> None:
        opened = self._files[fh]
        if hasattr(opened.handle, "flush"):
            try:
                await self._writable(opened.handle).flush()
            except IiiffsError as error:
                self._filesystem.reasons.failed(opened.node, "flush", error)
                raise

    @fenced
    async def setattr(
        self,
        inode: InodeT,
        attr: EntryAttributes,
        fields: SetattrFields,
        fh: FileHandleT | None,
        ctx: RequestContext,
    ) -> EntryAttributes:
        held = self._inode(inode)
        wanted = Wanted(attr.st_size if fields.update_size else None, attr.st_mtime_ns if fields.update_mtime else None)
        opened = None if fh is None else self._files.get(fh)
        handle = opened.handle if opened is not None and isinstance(opened.handle, LocalHandle) else None
        changed = await self._writing().set_attributes(held.node, wanted, handle)
        held = self._inode(inode)
        if isinstance(changed, Local):
            self._bind(held.number, changed)
        elif changed is not None and isinstance(held.node, Local):
            self.inodes.rebase(held.number, changed.node, changed.mtime_ns)
        elif changed is not None and held.node != changed.node:
            self.inodes.bind(
                held.number, changed.node, replace(held.attributes, mtime_ns=changed.mtime_ns), for_good=True
            )
        held = self._inode(inode)
        told = await self._filesystem.attributes(held.node, held.attributes)
        if isinstance(changed, Touched):
            told = replace(told, mtime_ns=changed.mtime_ns)
        self.inodes.retell(held.number, told)
        return entry_of(held.number, told, self._owner)

    @fenced
    async def mkdir(self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: RequestContext) -> EntryAttributes:
        parent = self._inode(parent_inode)
        return self._remembered(await self._writing().make_directory(parent.node, os.fsdecode(name)))

    @fenced
    async def mknod(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, rdev: int, ctx: RequestContext
    ) -> EntryAttributes:
        parent, writing = self._inode(parent_inode), self._writing()
        if not stat.S_ISREG(mode):
            writing.changes.refuse_kind(parent.node, os.fsdecode(name), "devices, pipes and sockets")
        found, handle = await writing.create(parent.node, os.fsdecode(name), os.O_EXCL)
        await handle.aclose()
        return self._remembered(found)

    @fenced
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        parent = self._inode(parent_inode)
        return self._remembered(await self._writing().symlink(parent.node, os.fsdecode(name)))

    @fenced
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        held, parent = self._inode(inode), self._inode(new_parent_inode)
        return self._remembered(await self._writing().link(held.node, parent.node, os.fsdecode(new_name)))

    @fenced
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        parent = self._inode(parent_inode)
        await self._writing().unlink(parent.node, os.fsdecode(name))

    @fenced
    async def rmdir(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        parent = self._inode(parent_inode)
        await self._writing().remove_directory(parent.node, os.fsdecode(name))

    @fenced
    async def rename(
        self,
        parent_inode_old: InodeT,
        name_old: FileNameT,
        parent_inode_new: InodeT,
        name_new: FileNameT,
        flags: FlagT,
        ctx: RequestContext,
    ) -> None:
        old, new = self._inode(parent_inode_old).node, self._inode(parent_inode_new).node
        await self._writing().rename(old, os.fsdecode(name_old), new, os.fsdecode(name_new), flags)

    @fenced
    async def setxattr(self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: RequestContext) -> None:
        """Attributes of others cannot be kept, which copying programs take for an answer."""
        node, writing = self._inode(inode).node, self._writing()
        wanted = os.fsdecode(name)
        if wanted not in SETTABLE:
            raise FUSEError(errno.EOPNOTSUPP)
        await writing.set_property(node, SETTABLE[wanted], value)

    @fenced
    async def removexattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> None:
        """What can be set can be emptied."""
        node, writing = self._inode(inode).node, self._writing()
        wanted = SETTABLE.get(os.fsdecode(name))
        if wanted is None and (os.fsdecode(name) != NOTE or not await writing.dismiss_note(node)):
            raise FUSEError(pyfuse3.ENOATTR)
        if wanted is None:
            return
        await writing.set_property(node, wanted, b"" if wanted == "description" else b"0")

    def sent(self, account: AccountName, item: Item, asset: Asset) -> None:
        """A file that waited has become an asset with the same bytes: its inode is that one's now, and who has it open
        goes on reading what is here."""
        local, node = Local(account, item.id), self._writing().changes.sent_as(account, item, asset)
        for opened in self._files.values():
            if opened.node == local:
                opened.node = node
        inode = self.inodes.find(local)
        if inode is not None:
            told = attributes.file(asset.size_bytes or 0, asset.mtime_ns, mode=inode.attributes.mode)
            self.inodes.bind(inode.number, node, told, for_good=True)

    def made(self, account: AccountName, item: str, album: AlbumId) -> None:
        """An album that waited to be made is its provider's: its directory stays the inode that it was, for whoever is
        in it."""
        for inode in self.inodes.directories(account, AlbumId(item)):
            node = replace(cast(AlbumDir, inode.node), album=album)
            self.inodes.bind(inode.number, node, inode.attributes, for_good=True)

    def follow(self, queue: Queue, slugs: Mapping[AccountName, AccountName]) -> None:
        """From now on inodes are what files and albums that waited have become. `slugs`: of accounts by their names."""

        def changed(before: Item | None, after: Item | None) -> None:
            is_news = before is None or before.sent is None
            if after is not None and after.sent is not None and after.verb is Verb.UPLOAD and is_news:
                self.sent(slugs[after.account], after, after.sent)
            if before is not None and after is None and before.verb is Verb.MAKE_ALBUM:
                album = queue.successors.successor(before.account, before.id)
                if album is not None:
                    self.made(slugs[before.account], before.id, AlbumId(album))

        queue.watch(changed)

    def _bind(self, number: int, local: Local) -> None:
        """An original that is being written keeps its number."""
        writer = self._writing()
        if self.inodes.get(number) is not None:
            self.inodes.bind(number, local, writer.changes.local_attributes(local))

    def _writing(self) -> Writer:
        writer = self._filesystem.writer
        if writer is None:
            raise ReadOnly("this mount is read-only")
        return writer

    def _writable(self, handle: Handle) -> WritableHandle:
        if not hasattr(handle, "write"):
            raise FUSEError(errno.EBADF)
        return cast(WritableHandle, handle)

    def _remembered(self, found: Found) -> EntryAttributes:
        """The answer to what made something; counts as a lookup."""
        inode = self.inodes.remember(found.node, found.attributes)
        return entry_of(inode.number, found.attributes, self._owner)

    def _inode(self, number: int) -> Inode:
        held = self.inodes.get(number)
        if held is None:
            raise FUSEError(errno.ESTALE)
        return held

    def _numbered(self) -> int:
        handle = self._next_handle
        self._next_handle += 1
        return handle


assert ROOT_NUMBER == pyfuse3.ROOT_INODE
