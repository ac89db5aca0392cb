"""What a power cut leaves: a run's system calls are recorded, and its files made anew as a disk had them at any moment.

The page cache survives a SIGKILL, so killing a process shows nothing about fsync. Here a write is on the disk only once
an fsync or fdatasync of its file that began after it has ended (or it went through O_DSYNC), and a name only once an
fsync of its folder has: the least that POSIX promises, less than any real file system does. What is written through a
memory map is never on the disk.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "open,openat,creat,mkdir,mkdirat,write,writev,pwrite64,pwritev,lseek,ftruncate,truncate,fallocate,fsync,fdatasync,"
    "sync,syncfs,sync_file_range,msync,unlink,unlinkat,rmdir,rename,renameat,renameat2,link,linkat,sendfile,copy_file_range"
)
LINE = re.compile(r"(\d+) +(.*)")
BEGUN = re.compile(r"(.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(?:<([^>]*)>)?.*")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
FILE = re.compile(r"(\d+)<([^>]*)>")
SYNCS = ("fsync", "fdatasync")


@dataclass(frozen=True)
class Call:
    """One system call that did not fail. `begun`, `ended`: lines of the trace. `fd`: the first argument's, or the
    result's of an open; -1 if there is none. `path`: of it, or the first path named."""

    name: str
    arguments: str
    result: int
    begun: int
    ended: int
    fd: int
    path: Path
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.name} {self.path}"


def record(command: Sequence[str | Path], trace: Path) -> list[Call]:
    """The calls of `command`, which must end with 0, in the order in which they ended. Needs strace."""
    strace: list[str | Path] = ["strace", "-f", "-y", "-xx", "-s", "33554432", "-e", f"trace={CALLS}"]
    strace += ["-e", "signal=none", "-o", trace]
    subprocess.run([*strace, *command], check=True, stdout=subprocess.DEVNULL, timeout=120)
    return list(parse(trace.read_text().splitlines()))


def parse(lines: Iterable[str]) -> Iterable[Call]:
    """The calls in a trace."""
    begun: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        found = LINE.fullmatch(line)
        assert found, line[:200]
        process, text = found.groups()
        if waiting := BEGUN.fullmatch(text):
            begun[process] = (number, waiting[1])
            continue
        start = number
        if rest := RESUMED.fullmatch(text):
            start, first = begun.pop(process)
            text = first + rest[1]
        found = CALL.fullmatch(text)
        if found is None:
            assert text.startswith("+++") or " = ?" in text, text[:200]
            continue
        name, arguments, result, opened = found.groups()
        if result != "?" and int(result) >= 0:
            yield _call(name, arguments, int(result), opened, (start, number))


def _call(name: str, arguments: str, result: int, opened: str | None, lines: tuple[int, int]) -> Call:
    texts = [_decoded(text) for text in TEXT.findall(arguments)]
    file = FILE.match(arguments)
    fd, path = (int(file[1]), _decoded(file[2]).decode()) if file else (-1, texts[0].decode() if texts else "")
    if name in ("open", "openat", "creat"):
        fd, path = result, _decoded(opened or "").decode()
    elif name.endswith("at") and texts:
        fd, path = -1, texts[0].decode()
    data = b"".join(texts) if "write" in name else b""
    return Call(name, arguments, result, *lines, fd, Path(path), data)


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass
class _File:
    """`synced`: what is on the disk; None before the first sync."""

    content: bytearray = field(default_factory=bytearray)
    synced: bytes | None = None


class Disk:
    """The files below `root` as programs see them, and as a power cut would leave them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[Path, _File] = {}
        self._folders: set[Path] = {root}
        self._named: set[Path] = {root}
        self._open: dict[int, tuple[int, bool]] = {}
        self._changes: list[tuple[int, Callable[[], None]]] = []

    def take(self, call: Call) -> None:
        """That call has ended."""
        if call.path != self._root and self._root not in call.path.parents:
            return
        taker = getattr(self, f"_{call.name}", None)
        assert taker is not None, f"this disk does not know {call}"
        taker(call)

    def left(self, target: Path) -> None:
        """The new folder `target` holds what a power cut would leave now."""
        target.mkdir()
        for path in sorted(self._named - {self._root}):
            if not self._named.issuperset(self._above(path)):
                continue
            copy = target / path.relative_to(self._root)
            if path in self._folders:
                copy.mkdir(mode=0o700)
            else:
                copy.write_bytes(self._files[path].synced or b"")

    def _above(self, path: Path) -> list[Path]:
        return [folder for folder in path.parents if self._root in (folder, *folder.parents)]

    def _openat(self, call: Call) -> None:
        if call.path in self._folders:
            return
        file = self._files.setdefault(call.path, _File())
        if "O_TRUNC" in call.arguments:
            del file.content[:]
        assert "O_APPEND" not in call.arguments
        self._open[call.fd] = (0, "O_DSYNC" in call.arguments or "O_SYNC" in call.arguments)

    def _mkdir(self, call: Call) -> None:
        self._folders.add(call.path)

    def _lseek(self, call: Call) -> None:
        self._open[call.fd] = (call.result, self._open[call.fd][1])

    def _write(self, call: Call) -> None:
        offset, is_synced = self._open[call.fd]
        self._put(call, offset)
        self._open[call.fd] = (offset + call.result, is_synced)

    _writev = _write

    def _pwrite64(self, call: Call) -> None:
        self._put(call, int(call.arguments.rsplit(", ", 1)[1]))

    def _put(self, call: Call, offset: int) -> None:
        file, data = self._files[call.path], call.data[: call.result]
        _lay(file.content, offset, data)
        if self._open[call.fd][1]:
            synced = bytearray(file.synced or b"")
            _lay(synced, offset, data)
            file.synced = bytes(synced)

    def _ftruncate(self, call: Call) -> None:
        size = int(call.arguments.rsplit(", ", 1)[1])
        content = self._files[call.path].content
        content[:] = content[:size].ljust(size, b"\0")

    def _unlink(self, call: Call) -> None:
        del self._files[call.path]

    def _fsync(self, call: Call) -> None:
        if call.path in self._folders:
            there = {path for path in {*self._files, *self._folders} if path.parent == call.path}
            self._named -= {path for path in self._named if path.parent == call.path}
            self._named |= there
        else:
            file = self._files[call.path]
            file.synced = bytes(file.content)

    _fdatasync = _fsync


def _lay(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data
