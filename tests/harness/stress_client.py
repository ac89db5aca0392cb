"""A program that does all that programs do with files of its own on a mount, for a while, and tells what they are now.

    python -m tests.harness.stress_client ROOT NAME SEED SECONDS REPORT [--albums] [--troubled]

All that it makes is below ROOT, in Home and in folders whose names begin with NAME; it reads what is in Old, too.
`--albums`: names of what was sent are fixed. `--troubled`: the provider is away at times, so calls that ask it may be
refused. REPORT gets one JSON object: rule `Report`.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import io
import json
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

OLD, HOME = "Old", "Home"
"""Folders that are there."""
SIZES_BYTES = (0, 300, 40_000, 300_000)
FOLDERS_MAX = 4
FILES_MAX = 24
REFUSED = frozenset({errno.EROFS, errno.EIO, errno.ETIMEDOUT})
"""What a call may say whose provider is away."""
FIXED = frozenset({errno.EPERM, errno.EXDEV})
"""What a call may say that would rename what was sent."""
LOOK_AGAIN = 3


@dataclass
class Report:
    """`files`: path -> SHA-256 of what may be there, or None for nothing; more than one where a call was refused.

    `refused`: how often which call was, and its errno. `wrong`: what was not as it must be.
    """

    files: dict[str, list[str | None]] = field(default_factory=dict)
    deeds: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Client:
    """What it knows of its files is what it did."""

    def __init__(self, root: Path, name: str, seed: int, allowed: frozenset[int], *, is_fixed: bool) -> None:
        self._root = root
        self._name = name
        self._random = random.Random(f"{name} {seed}")
        self._allowed = allowed
        self._is_fixed = is_fixed
        self._serial = f"{seed:x}"
        self._count = 0
        self._heads = [_head(size, self._random.randrange(256)) for size in ((64, 48), (600, 400), (1400, 900))]
        self._folders = [HOME]
        self._files: dict[str, bytes] = {}
        self._maybe: dict[str, set[bytes | None]] = {}
        self._shared: set[str] = set()
        """Files that are one photo in several albums: what changes one changes all, so none is changed."""
        self._old = {path.name: path.read_bytes() for path in sorted((root / OLD).glob("*.jpg"))}
        self.report = Report()

    def run(self, seconds: float) -> None:
        """Does this and that; what it knows at the end is in the report."""
        deeds: dict[Callable[[], None], int] = {
            self.create: 5, self.copy: 2, self.rewrite: 3, self.append: 2, self.replace: 3, self.rename: 2,
            self.make_folder: 1, self.remove_folder: 1, self.link: 2, self.remove: 3,
            self.read_old: 2, self.read: 4, self.zoom: 4, self.scan: 3, self.ask: 2,
        }  # fmt: skip
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            (deed,) = self._random.choices(list(deeds), list(deeds.values()))
            try:
                deed()
            except OSError as error:
                if error.errno not in self._allowed:
                    self._wrong(deed.__name__, str(error))
                self.report.refused[f"{deed.__name__} {errno.errorcode.get(error.errno or 0)}"] += 1
            self.report.deeds[deed.__name__] += 1
        for path, data in self._files.items():
            self.report.files[path] = [_sum(data)]
        for path, options in self._maybe.items():
            self.report.files[path] = [None if data is None else _sum(data) for data in options]

    def _wrong(self, deed: str, text: str) -> None:
        self.report.wrong.append(f"{self._name} {deed}: {text}")

    # ---- changing ---------------------------------------------------------------------------------------------

    def make_folder(self) -> None:
        """One more, if there are few."""
        if len(self._folders) < FOLDERS_MAX:
            folder = f"{self._name}-{self._serial}-{self._next()}"
            (self._root / folder).mkdir()
            self._folders.append(folder)

    def remove_folder(self) -> None:
        """One of them, with all that is in it, is no more."""
        if len(self._folders) < FOLDERS_MAX:
            return
        folder = self._random.choice(self._folders[1:])
        self._folders.remove(folder)
        paths = [path for path in self._files if path.startswith(f"{folder}/")]
        for path in paths:
            self._unlink(path)
        if not any(path.startswith(f"{folder}/") for path in self._maybe):
            (self._root / folder).rmdir()

    def create(self) -> None:
        """A new file."""
        path = self._new()
        if path is not None:
            data = self._photo()
            with self._changing(path, data):
                self._write(path, data, os.O_CREAT | os.O_EXCL)

    def copy(self) -> None:
        """A new file, by cp -p."""
        path = self._new()
        if path is None:
            return
        data = self._photo()
        with tempfile.NamedTemporaryFile() as outside:
            outside.write(data)
            outside.flush()
            with self._changing(path, data):
                command = ["cp", "-p", outside.name, str(self._root / path)]
                ended = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
                if ended.returncode:
                    number = next((n for n in self._allowed if os.strerror(n) in ended.stderr), errno.EPROTO)
                    raise OSError(number, ended.stderr)

    def rewrite(self) -> None:
        """Other bytes in the middle, in place."""
        path = self._one(changes=True)
        if path is None:
            return
        before = self._files[path]
        begin = before.find(b"\xff\xd9") + 2
        if begin >= len(before):
            return
        offset = self._random.randrange(begin, len(before))
        more = self._random.randbytes(min(5_000, len(before) - offset))
        with self._changing(path, before[:offset] + more + before[offset + len(more) :]):
            self._write(path, more, 0, offset)

    def append(self) -> None:
        """More at the end."""
        path = self._one(changes=True)
        if path is not None:
            more = self._random.randbytes(1_000)
            with self._changing(path, self._files[path] + more):
                self._write(path, more, os.O_APPEND)

    def replace(self) -> None:
        """As editors do: a temporary file, renamed over it."""
        path = self._one(changes=True)
        if path is None:
            return
        data, temporary = self._photo(), f"{Path(path).parent}/.{Path(path).name}.{self._next():06x}"
        with self._changing(path, data):
            self._write(temporary, data, os.O_CREAT | os.O_EXCL)
            try:
                (self._root / temporary).rename(self._root / path)
            except OSError:
                (self._root / temporary).unlink(missing_ok=True)
                raise

    def rename(self) -> None:
        """Another name, perhaps in another folder."""
        source, target = self._one(changes=True), self._new()
        if source is None or target is None:
            return
        data = self._files.pop(source)
        try:
            (self._root / source).rename(self._root / target)
        except OSError as error:
            if self._is_fixed and error.errno in FIXED:
                self._files[source] = data
                return
            self._maybe[source] = self._maybe[target] = {data, None}
            raise
        self._files[target] = data

    def link(self) -> None:
        """One more name of a file, in another folder."""
        source = self._one()
        if source is None:
            return
        others = [folder for folder in self._folders if not source.startswith(f"{folder}/")]
        if not others:
            return
        target = f"{self._random.choice(others)}/{Path(source).name}"
        if target in self._files or target in self._maybe:
            return
        try:
            os.link(self._root / source, self._root / target)
        except OSError as error:
            if error.errno == errno.EPERM:  # what was not sent has one name
                return
            self._maybe[target] = {self._files[source], None}
            raise
        self._files[target] = self._files[source]
        if self._is_fixed:
            self._shared |= {source, target}

    def remove(self) -> None:
        """One file less."""
        path = self._one()
        if path is not None:
            self._unlink(path)

    # ---- looking ----------------------------------------------------------------------------------------------

    def read_old(self) -> None:
        """An original that nobody changes."""
        name = self._random.choice(list(self._old))
        if (self._root / OLD / name).read_bytes() != self._old[name]:
            self._wrong("read", f"{name} has other bytes")

    def read(self) -> None:
        """A file of its own: as it was written last."""
        path = self._one()
        if path is not None:
            found = self._look((self._root / path).read_bytes)
            if found != self._files[path]:
                self._wrong("read", f"{path} has {len(found)} bytes, not the {len(self._files[path])} written last")

    def zoom(self) -> None:
        """A rendition of a photo that waits, or was sent. In a folder that is being filled there are none yet."""
        paths = [f"{OLD}/{name}" for name in self._old] + [path for path in self._files if path.startswith(f"{HOME}/")]
        folder, _, name = self._random.choice(paths).partition("/")
        width = self._random.randrange(8, 60)
        tile = self._root / folder / "iiif" / name / "full" / f"{width}," / "0" / "default.jpg"
        data = self._look(tile.read_bytes)
        with Image.open(io.BytesIO(data)) as image:
            if image.width != width:
                self._wrong("zoom", f"{name} is {image.width} px wide, not {width}")

    def scan(self) -> None:
        """What is in a folder of its own."""
        folder = self._random.choice(self._folders)
        with os.scandir(self._root / folder) as entries:
            found = [entry.name for entry in entries if entry.name.startswith(f"photo-{self._name}-")]
        sure = {Path(path).name for path in self._files if path.startswith(f"{folder}/")}
        maybe = {Path(path).name for path in self._maybe if path.startswith(f"{folder}/")}
        if len(found) != len(set(found)) or not sure <= set(found) <= sure | maybe:
            self._wrong("scan", f"{folder}: {sorted(set(found) ^ sure - maybe)} should not, or should be there")

    def ask(self) -> None:
        """Where a file is."""
        path = self._one()
        if path is not None:
            self._look(lambda: os.getxattr(self._root / path, "user.iiiffs.state"))

    # ---- how --------------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _new(self) -> str | None:
        if len(self._files) >= FILES_MAX:
            return None
        return f"{self._random.choice(self._folders)}/photo-{self._name}-{self._serial}-{self._next()}.jpg"

    def _one(self, *, changes: bool = False) -> str | None:
        paths = [path for path in self._files if not (changes and path in self._shared)]
        return self._random.choice(paths) if paths else None

    def _photo(self) -> bytes:
        return self._random.choice(self._heads) + self._random.randbytes(
            self._random.choice(SIZES_BYTES) + self._random.randrange(8, 100)
        )

    @contextmanager
    def _changing(self, path: str, data: bytes) -> Iterator[None]:
        """Inside, the file at `path` becomes `data`; if that fails, it may be either."""
        before = self._files.pop(path, None)
        try:
            yield
        except BaseException:
            self._maybe[path] = {before, data, b""}
            raise
        self._files[path] = data

    def _write(self, path: str, data: bytes, flags: int, offset: int | None = None) -> None:
        descriptor = os.open(self._root / path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o644)
        try:
            if offset is not None:
                os.lseek(descriptor, offset, os.SEEK_SET)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view[:65_536]) :]
        finally:
            os.close(descriptor)

    def _unlink(self, path: str) -> None:
        data = self._files.pop(path)
        try:
            (self._root / path).unlink()
        except OSError:
            self._maybe[path] = {data, None}
            raise

    def _look(self, question: Callable[[], bytes]) -> bytes:
        """The answer; asked again where it is about what was another a moment ago (ESTALE, which the kernel repeats
        once only)."""
        for _ in range(LOOK_AGAIN):
            try:
                return question()
            except OSError as error:
                if error.errno != errno.ESTALE:
                    raise
                self.report.refused["looked again"] += 1
        return question()


def _head(size: tuple[int, int], shade: int) -> bytes:
    """A picture that ends with its end marker, which is nowhere else in it."""
    file = io.BytesIO()
    Image.new("RGB", size, (shade, 90, 255 - shade)).save(file, "JPEG")
    return file.getvalue()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("name")
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("report", type=Path)
    parser.add_argument("--albums", action="store_true")
    parser.add_argument("--troubled", action="store_true")
    given = parser.parse_args()
    allowed = REFUSED if given.troubled else frozenset()
    client = Client(given.root, given.name, given.seed, allowed, is_fixed=given.albums)
    client.run(given.seconds)
    given.report.write_text(json.dumps(vars(client.report)))


if __name__ == "__main__":
    main()
