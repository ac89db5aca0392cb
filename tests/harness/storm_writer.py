"""A program that writes to a mount until the mount dies under it, and notes what it was promised.

    python -m tests.harness.storm_writer ROOT MANIFEST NAME SEED [--flat]

All that it writes is below ROOT, in folders whose names begin with NAME. `--flat`: folders hold no folders. Ends with 0
when nothing answers any more; with 1 when a call failed in another way, which the manifest tells.
"""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.harness.manifest import Change, Deed, Manifest, sum_of

GONE = frozenset({errno.ENOTCONN, errno.ECONNABORTED})
GONE_TEXTS = tuple(os.strerror(number) for number in GONE)
LATER_S = 1.0
SIZES_BYTES = (100, 5_000, 70_000, 300_000)
PIECE_BYTES = 32_768
COPIED_FILES = 4


class Gone(Exception):
    """Nobody serves the mount any more."""


class Writer:
    """One writer. What it knows of its files is what the manifest says, so it goes on where another one ended."""

    def __init__(self, root: Path, manifest: Path, name: str, seed: int, *, is_flat: bool) -> None:
        self._root = root
        self._name = name
        self._serial = f"{seed:x}"
        self._count = 0
        self._random = random.Random(f"{name} {seed}")
        self._is_flat = is_flat
        self._manifest = Manifest(manifest)
        self._promises = self._manifest.promises
        self._change: Change | None = None

    def write_on(self) -> int:
        """Until the mount is gone; the exit code."""
        deeds: list[Callable[[], None]] = [self.create, self.create_synced, self.replace, self.rewrite]
        deeds += [self.patch, self.append, self.copy_tree, self.make_folder]
        weights = [6, 2, 3, 2, 2, 2, 1, 1]
        try:
            self.make_folder()
            while True:
                (deed,) = self._random.choices(deeds, weights)
                deed()
        except Gone:
            return 0
        except OSError as error:
            if error.errno in GONE or (error.errno == errno.EIO and self._is_gone()):
                return 0
            self._manifest.failed(self._change, f"{error!r}, and there is {self._seen()}")
            return 1

    def _is_gone(self) -> bool:
        """Nobody serves the mount already. A call that is being copied to or from the daemon in the moment of its kill
        is an EIO: the copy fails before the connection ends. Rule: Linux fs/fuse/dev.c, fuse_dev_do_read and _write."""
        try:
            self._root.stat()
        except OSError as error:
            return error.errno in GONE
        return False

    def _seen(self) -> str:
        """What is there of what was being changed, now and a moment later: nobody can look when this is read."""
        assert self._change is not None, "something is done all the time"
        path, told = self._root / self._change.path, []
        for wait_s in (0.0, LATER_S):
            time.sleep(wait_s)
            try:
                found: object = [entry.name for entry in path.parent.iterdir() if path.stem in entry.name]
            except OSError as error:
                found = error
            told.append(f"{found!r} at {time.time():.3f}")
        return ", then ".join(told)

    # ---- new files --------------------------------------------------------------------------------------------

    def create(self) -> None:
        """A new file, written and closed."""
        change = self._new()
        with self._promised(change):
            self._written(change, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def create_synced(self) -> None:
        """A new file: what counts is that fsync has returned."""
        change = self._new()
        self._begin(change)
        descriptor = self._open(change.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            self._put(descriptor, change.data, 0)
            os.fsync(descriptor)
            self._done(change)
        finally:
            with suppress(OSError):
                os.close(descriptor)

    def copy_tree(self) -> None:
        """`cp -r` of a folder, with folders in it where there may be any."""
        top = self._fresh("copy")
        below = [top] if self._is_flat else [top, f"{top}/in", f"{top}/in/deep"]
        folders = [Change(Deed.FOLDER, path) for path in below]
        files = [self._new(self._random.choice(below)) for _ in range(COPIED_FILES)]
        with tempfile.TemporaryDirectory() as outside:
            source = Path(outside) / "tree"
            for folder in folders:
                (source / Path(folder.path).relative_to(top)).mkdir()
            for file in files:
                (source / Path(file.path).relative_to(top)).write_bytes(file.data)
            self._begin(*folders, *files)
            ended = subprocess.run(
                ["cp", "-r", source, self._root / top], capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
            )
        if ended.returncode != 0:
            if any(text in ended.stderr for text in GONE_TEXTS):
                raise Gone
            raise OSError(errno.EIO, f"cp -r: {ended.stderr}")
        self._done(*folders, *files)

    def make_folder(self) -> None:
        """One more folder."""
        change = Change(Deed.FOLDER, self._fresh("made"))
        with self._promised(change):
            (self._root / change.path).mkdir()

    # ---- files that are there ---------------------------------------------------------------------------------

    def replace(self) -> None:
        """As editors and rsync do: a temporary file, renamed over it."""
        change = self._changed(Deed.REPLACE)
        if change is None:
            return
        path = Path(change.path)
        temporary = Change(Deed.CREATE, str(path.with_name(f".{path.name}.{self._random.randrange(16**6):06x}")))
        with self._promised(change):
            self._written(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, change.data)
            (self._root / temporary.path).rename(self._root / change.path)

    def rewrite(self) -> None:
        """Emptied by open, then written."""
        change = self._changed(Deed.REWRITE)
        if change is not None:
            with self._promised(change):
                self._written(change, os.O_WRONLY | os.O_TRUNC)

    def patch(self) -> None:
        """Other bytes in the middle."""
        change = self._changed(Deed.PATCH)
        if change is not None:
            with self._promised(change):
                self._written(change, os.O_RDWR)

    def append(self) -> None:
        """More bytes at the end."""
        change = self._changed(Deed.APPEND)
        if change is not None:
            with self._promised(change):
                self._written(change, os.O_WRONLY | os.O_APPEND)

    # ---- how --------------------------------------------------------------------------------------------------

    def _fresh(self, kind: str) -> str:
        self._count += 1
        return f"{self._name}-{kind}-{self._serial}-{self._count}"

    def _new(self, folder: str | None = None) -> Change:
        if folder is None:
            made = [path for path, known in self._promises.folders() if known.is_sure]
            folder = self._random.choice(made)
        name = self._fresh("photo")
        return Change(Deed.CREATE, f"{folder}/{name}.jpg", name, self._size())

    def _changed(self, deed: Deed) -> Change | None:
        there = [(path, known.whole) for path, known in self._promises.files() if known.is_sure]
        if not there:
            return None
        path, whole = self._random.choice(there)
        assert whole is not None, "only sure ones"
        offset, size_bytes = 0, self._size()
        if deed is Deed.PATCH:
            offset = self._random.randrange(len(whole))
            size_bytes = self._random.randint(1, len(whole) - offset)
        return Change(deed, path, self._fresh(deed), size_bytes, offset)

    def _size(self) -> int:
        return self._random.choice(SIZES_BYTES) + self._random.randrange(100)

    def _begin(self, *changes: Change) -> None:
        self._change = changes[-1]
        self._manifest.begun(*changes)

    def _done(self, *changes: Change) -> None:
        told = []
        for change in changes:
            before = self._promises.paths[change.path].whole
            told.append((change.path, sum_of(change.after(before or b""))))
        self._manifest.done(*told)

    @contextmanager
    def _promised(self, change: Change) -> Iterator[None]:
        """Inside, the change is made; when that has returned, it is promised."""
        self._begin(change)
        yield
        self._done(change)

    def _written(self, change: Change, flags: int, data: bytes | None = None) -> None:
        descriptor = self._open(change.path, flags)
        try:
            self._put(descriptor, change.data if data is None else data, change.offset)
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            raise
        os.close(descriptor)

    def _open(self, path: str, flags: int) -> int:
        return os.open(self._root / path, flags | os.O_CLOEXEC, 0o644)

    def _put(self, descriptor: int, data: bytes, offset: int) -> None:
        os.lseek(descriptor, offset, os.SEEK_SET)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view[:PIECE_BYTES]) :]


def main() -> None:
    """See above."""
    root, manifest, name, seed = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    sys.exit(Writer(root, manifest, name, seed, is_flat="--flat" in sys.argv).write_on())


if __name__ == "__main__":
    main()
