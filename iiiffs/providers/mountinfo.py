"""What is mounted where, from Linux's /proc/self/mountinfo. Rule: proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

KERNEL_TYPES = (
    "9p acfs afs beegfs ceph cifs coda davfs fhgfs gfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs pvfs2 "
    "smb2 smb3 smbfs"
)
FUSE_TYPES = (
    "ceph ceph-fuse cifs curlftpfs dav davfs davfs2 gcsfuse glusterfs goofys google-drive-ocamlfuse gvfsd-fuse hdfs "
    "iiiffs juicefs mount-s3 mountpoint-s3 onedriver rclone s3fs s3ql seaweedfs smbnetfs sshfs webdavfs"
)
NETWORK_TYPES = frozenset([*KERNEL_TYPES.split(" "), *(f"fuse.{name}" for name in FUSE_TYPES.split(" "))])
"""File systems whose locks and memory maps LMDB cannot trust. Rule: lmdb.h, "Do not use LMDB databases on remote
filesystems". (9p: shared with a host.) Local FUSE (fuseblk, fuse.gocryptfs, fuse.mergerfs, …) is not here."""

OWN_TYPE = "fuse.iiiffs"


@dataclass(frozen=True, slots=True)
class Mount:
    """One line: `device` is st_dev's (major, minor), `point` where it is seen."""

    device: tuple[int, int]
    point: str
    type: str


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts in the order of the file; a later one at the same point hides an earlier one."""
    mounts = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if not separator or len(fields) < 6 or not tail[0]:
            continue
        major, _, minor = fields[2].partition(":")
        mounts.append(Mount((int(major), int(minor)), _unescaped(fields[4]), tail[0]))
    return mounts


def mount_of(path: str, mounts: list[Mount]) -> Mount | None:
    """The mount that holds the absolute, symlink-free `path`; None if there is none."""
    found: Mount | None = None
    for mount in mounts:
        point = mount.point.rstrip("/") + "/"
        longer = found is None or len(mount.point) >= len(found.point)
        if longer and (path.rstrip("/") + "/").startswith(point):
            found = mount
    return found


def mountinfo_text() -> str:
    """The kernel's table as this process sees it now. Errors: OSError where there is no /proc."""
    return MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")


def read_mounts() -> list[Mount]:
    """The mounts that this process sees now; none where there is no /proc."""
    try:
        return parse_mountinfo(mountinfo_text())
    except FileNotFoundError:
        return []


def network_type(path: Path, mounts: list[Mount]) -> str | None:
    """The type of the file system that holds `path` (which may not exist yet) if it is a network one, else None."""
    mount = mount_of(str(path.resolve()), mounts)
    return mount.type if mount is not None and mount.type in NETWORK_TYPES else None


def _unescaped(field: str) -> str:
    """Space, tab, newline and backslash are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
