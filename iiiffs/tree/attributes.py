"""What stat answers, and for how long the kernel may keep it; no FUSE type.

Three spans say all about caching (DESIGN §2.3): what a name that can change may be kept, what can never change, and
what was refused for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MUTABLE_S = 1.0
"""Names and directories that the provider can change."""
IMMUTABLE_S = 3600.0
"""What is below a version, and names that live as long as the mount."""
REFUSED_S = 3600.0
"""Names that the grammar refuses below a version, and junk."""
ABSENT_S = 0.5
"""Names that a provider does not have at the moment."""


class FileKind(Enum):
    """The file types of this file system."""

    DIRECTORY = "directory"
    FILE = "file"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Attributes:
    """One stat answer.

    `mode`: permission bits before the mount's umask. `links`: listed names of it.
    `entry_s`: how long the kernel may keep the name; `attr_s`: how long it may keep these attributes.
    """

    kind: FileKind
    mode: int
    size_bytes: int
    mtime_ns: int
    entry_s: float
    attr_s: float
    links: int = 1


def directory(mtime_ns: int, *, mode: int = 0o555, entry_s: float = MUTABLE_S, attr_s: float = MUTABLE_S) -> Attributes:
    """A directory: by default one whose content may change."""
    return Attributes(FileKind.DIRECTORY, mode, 0, mtime_ns, entry_s, attr_s)


def fixed_directory(mtime_ns: int) -> Attributes:
    """A directory whose name and content live as long as the mount or the version above it."""
    return directory(mtime_ns, entry_s=IMMUTABLE_S, attr_s=IMMUTABLE_S)


def file(
    size_bytes: int, mtime_ns: int, *, entry_s: float = MUTABLE_S, links: int = 1, mode: int = 0o444
) -> Attributes:
    """A file whose inode names its bytes: attributes never change but for `links`, the name may."""
    return Attributes(FileKind.FILE, mode, size_bytes, mtime_ns, entry_s, IMMUTABLE_S, links)


def link(target: str, mtime_ns: int) -> Attributes:
    """A symlink."""
    return Attributes(FileKind.LINK, 0o777, len(target.encode()), mtime_ns, MUTABLE_S, IMMUTABLE_S)


def local_file(size_bytes: int, mtime_ns: int) -> Attributes:
    """A file that is being written, or waits to be sent: nothing of it is kept by the kernel but its bytes."""
    return Attributes(FileKind.FILE, 0o644, size_bytes, mtime_ns, 0.0, 0.0)
