"""The least that a pyfuse3 file system can do: a folder read into memory once, answered from dicts. A yardstick.

    .venv/bin/python -m tests.bench.static_tree FOLDER MOUNTPOINT          (ends when it is unmounted)

Every answer is made before it is asked for; nothing is counted, checked, logged or caught.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileHandleT, FileInfo, FileNameT, FlagT, FUSEError, InodeT, ReaddirToken
from pyfuse3 import RequestContext as Context

KEPT_S = 3600.0


class StaticTree(pyfuse3.Operations):
    """`folder`, as it was when this was made. A file's handle is its inode's number."""

    supports_dot_lookup = False
    enable_writeback_cache = False

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._names: dict[int, dict[bytes, EntryAttributes]] = {}
        self._listed: dict[int, list[tuple[bytes, EntryAttributes]]] = {}
        self._entries: dict[int, EntryAttributes] = {}
        self._bodies: dict[int, bytes] = {}
        self._infos: dict[int, FileInfo] = {}
        self._add(folder)

    def _add(self, path: Path) -> EntryAttributes:
        number = len(self._entries) + 1
        entry = self._entries[number] = EntryAttributes()
        entry.st_ino = InodeT(number)
        entry.entry_timeout = entry.attr_timeout = KEPT_S
        if path.is_dir():
            entry.st_mode = pyfuse3.ModeT(stat.S_IFDIR | 0o555)
            self._names[number] = {os.fsencode(below.name): self._add(below) for below in sorted(path.iterdir())}
            self._listed[number] = list(self._names[number].items())
            return entry
        entry.st_mode = pyfuse3.ModeT(stat.S_IFREG | 0o444)
        self._bodies[number] = path.read_bytes()
        self._infos[number] = FileInfo(fh=FileHandleT(number), keep_cache=True)
        entry.st_size = len(self._bodies[number])
        return entry

    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: Context) -> EntryAttributes:
        try:
            return self._names[parent_inode][name]
        except KeyError:
            raise FUSEError(errno.ENOENT) from None

    async def getattr(self, inode: InodeT, ctx: Context) -> EntryAttributes:
        return self._entries[inode]

    async def opendir(self, inode: InodeT, ctx: Context) -> FileHandleT:
        return FileHandleT(inode)

    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        listed = self._listed[fh]
        for index in range(start_id, len(listed)):
            if not pyfuse3.readdir_reply(token, FileNameT(listed[index][0]), listed[index][1], index + 1):
                break

    async def open(self, inode: InodeT, flags: FlagT, ctx: Context) -> FileInfo:
        return self._infos[inode]

    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        return self._bodies[fh][off : off + size]


def main(folder: str, mountpoint: str) -> None:
    """Mounted until somebody unmounts it; says "mounted" once it is."""
    tree = StaticTree(Path(folder))
    pyfuse3.init(tree, mountpoint, {"fsname=static", "ro", "default_permissions"})
    print("mounted", flush=True)
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
