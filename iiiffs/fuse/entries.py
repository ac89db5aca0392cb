"""Attributes and nodes as pyfuse3 wants them."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass

import pyfuse3

from iiiffs.tree.attributes import Attributes, FileKind

BLOCK_BYTES = 512
IO_BYTES = 1024 * 1024
TYPE_BITS: Mapping[FileKind, int] = {
    FileKind.DIRECTORY: stat.S_IFDIR,
    FileKind.FILE: stat.S_IFREG,
    FileKind.LINK: stat.S_IFLNK,
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns everything in the mount, and the mode bits that are taken away."""

    uid: int
    gid: int
    umask: int


def entry_of(number: int, attributes: Attributes, owner: Owner) -> pyfuse3.EntryAttributes:
    """The whole stat answer.

    index.html is one inode in every album and has one link: it is no hard link that a copying program should keep.
    """
    entry = pyfuse3.EntryAttributes()
    entry.st_ino = pyfuse3.InodeT(number)
    entry.generation = 0
    entry.entry_timeout = attributes.entry_s
    entry.attr_timeout = attributes.attr_s
    mode = attributes.mode if attributes.kind is FileKind.LINK else attributes.mode & ~owner.umask
    entry.st_mode = pyfuse3.ModeT(TYPE_BITS[attributes.kind] | mode)
    entry.st_nlink = attributes.links
    entry.st_uid = owner.uid
    entry.st_gid = owner.gid
    entry.st_rdev = 0
    entry.st_size = attributes.size_bytes
    entry.st_blksize = IO_BYTES
    entry.st_blocks = -(-attributes.size_bytes // BLOCK_BYTES)
    entry.st_atime_ns = entry.st_mtime_ns = entry.st_ctime_ns = attributes.mtime_ns
    return entry


def negative_entry(keep_s: float) -> pyfuse3.EntryAttributes:
    """ENOENT that the kernel may keep for `keep_s`. Rule: FUSE protocol, inode 0 in a lookup answer."""
    entry = pyfuse3.EntryAttributes()
    entry.st_ino = pyfuse3.InodeT(0)
    entry.entry_timeout = keep_s
    return entry
