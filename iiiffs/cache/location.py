"""Where a store may lie: never on a network file system.

LMDB maps its file into memory and locks it with fcntl; over a network the map is not coherent and the locks are advice
(lmdb.h, caveats: "Do not use LMDB databases on remote filesystems"). The spool needs an fsync that means it. Cache and
state are therefore refused on one (DESIGN §7), before a single file is made.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from iiiffs.errors import ConfigError

log = logging.getLogger(__name__)

MOUNTINFO = Path("/proc/self/mountinfo")

KERNEL_TYPES = (
    "9p acfs afs beegfs ceph cifs coda davfs fhgfs gfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs pvfs2 "
    "smb3 smbfs"
)
FUSE_TYPES = (
    "ceph ceph-fuse cifs curlftpfs dav davfs davfs2 gcsfuse glusterfs goofys google-drive-ocamlfuse gvfsd-fuse hdfs "
    "iiiffs juicefs mount-s3 mountpoint-s3 onedriver rclone s3fs s3ql seaweedfs smbnetfs sshfs webdavfs"
)
NETWORK_TYPES = frozenset([*KERNEL_TYPES.split(" "), *(f"fuse.{name}" for name in FUSE_TYPES.split(" "))])
"""Types as /proc/self/mountinfo spells them. Local FUSE (fuseblk, fuse.gocryptfs, fuse.mergerfs, …) is not here."""


def refuse_network_filesystem(path: Path, purpose: str) -> None:
    """Nothing, if `path` (which need not exist yet) is on a local file system.

    `purpose`: what the folder is for, as a person knows it, such as "cache" or "state".
    Errors: ConfigError if it is on a network file system. Without /proc it warns and lets pass.
    Rule: DESIGN §7; lmdb.h caveats.
    """
    try:
        mountinfo = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        log.warning("cannot tell the file system of the %s folder %s: %s", purpose, path, error)
        return
    found = filesystem_type(path.resolve(), mountinfo)
    if found in NETWORK_TYPES:
        raise ConfigError(f"the {purpose} folder {path} is on a network file system ({found}); choose a local disk")


def filesystem_type(path: Path, mountinfo: str) -> str | None:
    """The type of the mount that `path` (absolute, links resolved) is on; None if no line of `mountinfo` covers it.

    The deepest mount point wins, and of several on one point the last, which hides the others. Rule: proc(5).
    """
    best: tuple[int, str] | None = None
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = Path(_unescaped(fields[4]))
        depth = len(point.parts)
        if path.is_relative_to(point) and (best is None or depth >= best[0]):
            best = (depth, right.split(" ", 1)[0])
    return best[1] if best else None


def _unescaped(field: str) -> str:
    """`field` with proc's octal escapes (space, tab, newline, backslash) undone."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
