"""What writers were promised: one line before each change of a file, one after it returned 0, each on disk at once.

The manifests lie outside of what is mounted, one a writer. A file's bytes are made from a text that the manifest names,
so that what was promised can be made again. Sums are kept beside them, so that a wrong remake is found.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import reduce
from pathlib import Path
from typing import Any


class Deed(StrEnum):
    """What a writer does. CREATE: a new file. REPLACE: another one renamed over it. REWRITE: emptied, then written.
    PATCH: some bytes in the middle are others. APPEND: some more at its end. FOLDER: mkdir, of a new name."""

    CREATE = "create"
    REPLACE = "replace"
    REWRITE = "rewrite"
    PATCH = "patch"
    APPEND = "append"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of `path`, which is relative to where writers write. `text`, `size_bytes`: of the bytes it brings.
    `offset`: where to; only of PATCH."""

    deed: Deed
    path: str
    text: str = ""
    size_bytes: int = 0
    offset: int = 0

    @property
    def data(self) -> bytes:
        """What it brings."""
        return data_of(self.text, self.size_bytes)

    def after(self, before: bytes) -> bytes:
        """The whole file, once all is done."""
        match self.deed:
            case Deed.PATCH:
                return before[: self.offset] + self.data + before[self.offset + self.size_bytes :]
            case Deed.APPEND:
                return before + self.data
        return self.data

    def may_leave(self, before: bytes | None, found: bytes) -> bool:
        """True if a file that held `before` (None: there was none) may hold `found` when the change was cut off."""
        whole = self.after(before or b"")
        if found in (before, whole):
            return True
        match self.deed:
            case Deed.REWRITE:
                return whole.startswith(found)
            case Deed.APPEND:
                return whole.startswith(found) and found.startswith(before or b"")
            case Deed.PATCH if before is not None and len(found) == len(before):
                return all(byte in pair for byte, pair in zip(found, zip(before, whole, strict=True), strict=True))
        return False


def data_of(text: str, size_bytes: int) -> bytes:
    """The same for the same text, and for no other; of no format that tells where its end is."""
    head = f"storm {text} ".encode()
    return (head + random.Random(text).randbytes(size_bytes))[:size_bytes]


def sum_of(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class Manifest:
    """The file that one writer writes. `promises`: what it says."""

    def __init__(self, path: Path) -> None:
        self.promises = read_manifests(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def begun(self, *changes: Change) -> None:
        """They are about to be made."""
        self._write([{"begun": asdict(change)} for change in changes])

    def done(self, *changes: tuple[str, str]) -> None:
        """The call after which nothing may be lost has returned 0, for each (path, sum of the whole file)."""
        self._write([{"done": path, "sum": digest} for path, digest in changes])

    def failed(self, change: Change | None, error: str) -> None:
        """A call failed, and no kill explains it."""
        self._write([{"failed": None if change is None else asdict(change), "error": error, "at_ns": time.time_ns()}])

    def _write(self, lines: Sequence[Mapping[str, object]]) -> None:
        data = "".join(json.dumps(line) + "\n" for line in lines).encode()
        assert os.write(self._descriptor, data) == len(data)
        os.fsync(self._descriptor)
        for line in lines:
            self.promises.take(line)


@dataclass
class Promised:
    """What is known of one path. `done`: the changes that made what was promised last, from the one that needs no other
    before it; none if nothing was promised. `begun`: what was begun since, and is not known to have ended. `past`: sums
    of all that was promised so far."""

    done: tuple[Change, ...] = ()
    begun: Change | None = None
    is_folder: bool = False
    past: list[str] = field(default_factory=list)

    @property
    def is_sure(self) -> bool:
        """Nothing but what was promised may be found."""
        return bool(self.done) and self.begun is None

    @property
    def whole(self) -> bytes | None:
        """The bytes that were promised; None if none were."""
        return reduce(lambda before, change: change.after(before), self.done, b"") if self.done else None

    def finish(self) -> None:
        """What was begun is done."""
        assert self.begun is not None, "it was not begun"
        needs_others = self.begun.deed in (Deed.PATCH, Deed.APPEND)
        self.done, self.begun = ((*self.done, self.begun) if needs_others else (self.begun,)), None

    def allows(self, found: bytes | None) -> bool:
        """True if that may be found; None: no file."""
        if self.begun is None or found is None:
            return found == self.whole
        return self.begun.may_leave(self.whole, found)


@dataclass
class Promises:
    """What the manifests of all writers say. `errors`: calls that failed and should not have."""

    paths: dict[str, Promised] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def take(self, line: Mapping[str, Any]) -> None:
        """One more line. AssertionError if bytes are made again that are not those that were written."""
        match line:
            case {"begun": begun}:
                change = Change(**{**begun, "deed": Deed(begun["deed"])})
                known = self.paths.setdefault(change.path, Promised(is_folder=change.deed is Deed.FOLDER))
                known.begun = change
            case {"done": str(path), "sum": digest}:
                known = self.paths[path]
                known.finish()
                known.past.append(str(digest))
                assert sum_of(known.whole or b"") == digest, f"{path}: the manifest is not what was written"
            case {"error": str(error)}:
                self.errors.append(f"{line['failed']}: {error}")

    def files(self) -> Iterator[tuple[str, Promised]]:
        """Paths of files, with what is known of them."""
        return ((path, known) for path, known in self.paths.items() if not known.is_folder)

    def folders(self) -> Iterator[tuple[str, Promised]]:
        """Paths of folders, with what is known of them."""
        return ((path, known) for path, known in self.paths.items() if known.is_folder)


def read_manifests(*manifests: Path) -> Promises:
    """What they say now."""
    promises = Promises()
    for manifest in manifests:
        for line in manifest.read_text().splitlines() if manifest.exists() else ():
            promises.take(json.loads(line))
    return promises
