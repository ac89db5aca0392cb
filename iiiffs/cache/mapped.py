"""A mapped file gives back the memory it is mapped into: what was read once need not count as ours for ever.

LMDB reads through a map of its file. Each page that was ever read stays in the daemon's resident size, until that is
as large as the cache: 70 MiB of it after the index of 100,000 files was loaded, and gigabytes where renditions and
blocks are read. The pages are the kernel's cache and not lost when the map lets go of them; the next reader finds them
again for some 0.1 µs each.
"""

from __future__ import annotations

import ctypes
import mmap
import time
from pathlib import Path

MAPPED_BYTES_MAX = 8 * 1024 * 1024
"""What may be resident of it, about: more was read since the last time, and the map lets go of all."""
BETWEEN_S = 0.01
"""Between two looks at how much it is: each costs some 10 µs, and three chances to lose the interpreter."""
USES_MAX = 64
"""Nor may more happen between two looks: where rows lie apart, each maps 16 pages (the kernel's fault-around), so 64 of
them map 4 MiB within half a millisecond."""

_PAGE_BYTES = mmap.PAGESIZE
_MAPS, _STATM = Path("/proc/self/maps"), Path("/proc/self/statm")
_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class MappedFile:
    """One file that is mapped into this process, read-only and shared, until it is unmapped. For any thread."""

    def __init__(self, file: Path) -> None:
        self._ranges = _ranges_of(file)
        self._due_s = 0.0
        self._uses = 0
        self._kept_bytes = _file_bytes()

    def used(self) -> None:
        """The file was read or written once more; now and then its memory is given back.

        To be called while nobody can unmap it. What was read from it and copied stays; who reads from it, reads on.
        """
        now_s = time.monotonic()
        self._uses += 1
        if now_s < self._due_s and self._uses < USES_MAX:
            return
        self._due_s, self._uses = now_s + BETWEEN_S, 0
        if _file_bytes() - self._kept_bytes > MAPPED_BYTES_MAX:
            for start, length in self._ranges:
                _libc.madvise(start, length, mmap.MADV_DONTNEED)  # advice: where it is refused, nothing is worse
            self._kept_bytes = _file_bytes()


def _ranges_of(file: Path) -> list[tuple[int, int]]:
    """(address, length) of where `file` is mapped. Rule: proc(5), /proc/pid/maps."""
    inode = str(file.stat().st_ino)
    found = []
    with _MAPS.open(encoding="utf-8", errors="replace") as maps:
        for line in maps:
            addresses, access, _, _, number, *name = line.split(maxsplit=5)
            if number == inode and access == "r--s" and name and name[0].rstrip().endswith(f"/{file.name}"):
                start, end = (int(address, 16) for address in addresses.split("-"))
                found.append((start, end - start))
    return found


def _file_bytes() -> int:
    """Resident memory of this process that is of files, all of them. Rule: proc(5), /proc/pid/statm, `shared`."""
    with _STATM.open("rb", buffering=0) as statm:
        return int(statm.read().split()[2]) * _PAGE_BYTES
