"""Blocks as files of their own, named by a serial number. Nothing here is believed: the index says which of them are
there, how long they are and what their checksum is.

Not values of LMDB: a value of 1 MiB is a run of pages that is copied into the map, written back page by page at the
commit, and read through the map; a file is written once, by the kernel, whenever it likes, and costs two system calls.
"""

from __future__ import annotations

import errno
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from iiiffs.errors import StoreError, StoreFull

PAGE_BYTES = 4096
FOLDERS = 256
WRITE_BYTES = 128 << 10
"""Of one call. For a whole MiB the kernel takes a large page from memory that nobody used of late, which a virtual
machine's host may have taken back: 500 MB cost 0.8 s more of the processor so (on such a host; nothing on others)."""
FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
_HEX = re.compile("[0-9a-f]{16}")
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def sum_of(data: bytes | memoryview) -> int:
    """CRC-32 of `data`: what a disk does to bytes it finds, as that of a file system that sums its blocks does."""
    return zlib.crc32(data)


def room_of(size_bytes: int) -> int:
    """What a file of that size takes of the disk, about."""
    return -(-size_bytes // PAGE_BYTES) * PAGE_BYTES


class BlockFolder:
    """The files in one folder. All methods block, and may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, serial: int, data: bytes) -> None:
        """The file holds `data`; it is not waited until it is on the disk. Errors: StoreFull, StoreError; no file then.

        A power cut may leave it short or empty: then it is not what the index says. What a crash left under that number
        may have another name, and keeps its bytes.
        """
        path = self._file(serial)
        try:
            number = _made(path)
        except OSError as error:
            raise _ours(error) from error
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(number, view[:WRITE_BYTES]) :]
        except OSError as error:
            self.remove(serial)
            raise _ours(error) from error
        finally:
            os.close(number)

    def link(self, serial: int, source: Path) -> None:
        """The file is `source`, by a second name, and the kernel holds none of it in memory: thousands of photos that
        were sent would push out what somebody uses, and the next ones need pages, which those that are given back
        spare (of 500 photos of 4 MB, 3 s of 16). Errors: StoreFull; StoreError, also where the two folders lie on two
        disks, or on one that has no links."""
        target = self._file(serial)
        try:
            try:
                target.hardlink_to(source)
            except FileNotFoundError:
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                target.hardlink_to(source)
            number = os.open(target, _READ)
        except OSError as error:
            self.remove(serial)
            raise _ours(error) from error
        try:
            with suppress(OSError):  # a file system may not take advice
                os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(number)

    def read(self, serial: int, size_bytes: int, offset: int = 0) -> bytes | None:
        """The file from `offset` on, but at most a byte more than `size_bytes`; None if there is none or it cannot be
        read."""
        try:
            number = os.open(self._file(serial), _READ)
        except OSError:
            return None
        try:
            return os.pread(number, size_bytes + 1, offset)
        except OSError:
            return None
        finally:
            os.close(number)

    def remove(self, serial: int) -> None:
        """There is no such file, or it cannot be removed now and is swept at a later start."""
        with suppress(OSError):
            self._file(serial).unlink()

    def serials(self) -> Iterator[int]:
        """Of all files that are there. Others that somebody put there are removed."""
        for path in self._path.glob("*/*"):
            serial = int(path.name, 16) if _HEX.fullmatch(path.name) else None
            if serial is not None and path == self._file(serial):
                yield serial
            else:
                with suppress(OSError):
                    path.unlink()

    def empty(self) -> None:
        """No file is there."""
        for serial in self.serials():
            self.remove(serial)

    def _file(self, serial: int) -> Path:
        # Neighbours together: a new folder for each costs more than its first file does.
        return self._path / f"{serial // FOLDERS % FOLDERS:02x}" / f"{serial:016x}"


def _made(path: Path) -> int:
    try:
        return os.open(path, _WRITE, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        path.unlink()
    return os.open(path, _WRITE, 0o600)


def _ours(error: OSError) -> StoreError:
    kind = StoreFull if error.errno in FULL else StoreError
    return kind(f"a block is not kept: {error.strerror}")
