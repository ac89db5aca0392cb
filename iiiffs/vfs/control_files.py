"""`.iiiffs/`: what the daemon says of itself; a snapshot an open, read past the page cache (DESIGN §2.2).

status.json  metrics
queue/ID-NAME           an item that waits: what, where, stage, tries, reason, since when; JSON
failed/ID-NAME          the bytes of one that could not be sent
failed/ID-NAME.txt      why, and what it is; JSON after the first line
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping

import trio

from iiiffs.errors import NoSuchName, StoreError
from iiiffs.sync.items import Item, Stage, is_local_id
from iiiffs.tree import attributes as attrs
from iiiffs.tree.attributes import Attributes, FileKind
from iiiffs.tree.names import NAME_BYTES_MAX, legal_name
from iiiffs.tree.nodes import ControlDir, ControlFile
from iiiffs.vfs.entries import Absent, Found, Snapshot, fixed_snapshot
from iiiffs.vfs.handles import BodyHandle, Handle
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.queue_report import QueueReport

OWNER_FILE = 0o400
OWNER_DIR = 0o500
STEP_BYTES = 1024
"""Texts are a multiple of this long: few change their length between a stat and the reading, which tar dislikes."""
QUEUE = "queue"
FAILED = "failed"
REASON = ".txt"


class ControlFiles:
    """ControlDir: name -> what writes the file's text now; and the queue, where the mount has one."""

    def __init__(self, writers: Mapping[str, Callable[[], bytes]], began_ns: int) -> None:
        self._writers = dict(writers)
        self._began_ns = began_ns
        self._queued: QueueFiles | None = None

    def show(self, queue: Queue, report: QueueReport) -> None:
        """From now on there are queue/ and failed/. Called before anybody looks."""
        self._queued = QueueFiles(queue, report)

    async def lookup(self, directory: ControlDir, name: str) -> Found | Absent:
        """One of the fixed names; below queue/ and failed/ one of an item."""
        if directory.path:
            return Absent(0.0) if self._queued is None else await self._queued.lookup(directory.path, name)
        if name in self._writers:
            return self._found(name)
        return self._found_directory(name) if self._queued and name in (QUEUE, FAILED) else Absent(0.0)

    async def entries(self, directory: ControlDir) -> Snapshot:
        """All of them."""
        if directory.path:
            return fixed_snapshot([]) if self._queued is None else await self._queued.entries(directory.path)
        found = [(name, self._found(name)) for name in self._writers]
        if self._queued is not None:
            found += [(name, self._found_directory(name)) for name in (QUEUE, FAILED)]
        return fixed_snapshot(found)

    async def attributes(self, directory: ControlDir, last: Attributes) -> Attributes:
        """Nothing about the directories themselves changes."""
        return last

    async def open(self, node: ControlFile) -> Handle:
        """What it says at this moment. Errors: NoSuchName if its item is gone; StoreError."""
        if node.name in self._writers:
            return BodyHandle(self.body(node), is_snapshot=True)
        if self._queued is None:
            raise NoSuchName(f"{node.name} is not there any more")
        return await self._queued.open(node)

    def body(self, node: ControlFile) -> bytes:
        """The text of one of the fixed files at this moment, ended by blanks."""
        return padded(self._writers[node.name]())

    def file_attributes(self, node: ControlFile) -> Attributes:
        """Its length at this moment; not to be kept. Errors: NoSuchName if its item is gone."""
        if node.name in self._writers:
            return _file(len(self.body(node)), self._began_ns)
        if self._queued is None:
            raise NoSuchName(f"{node.name} is not there any more")
        return self._queued.file_attributes(node)

    def _found(self, name: str) -> Found:
        node = ControlFile(name)
        return Found(node, self.file_attributes(node))

    def _found_directory(self, name: str) -> Found:
        return Found(ControlDir(name), attrs.directory(self._began_ns, mode=OWNER_DIR))


class QueueFiles:
    """queue/ and failed/: two files at the most of each item that was not sent."""

    def __init__(self, queue: Queue, report: QueueReport) -> None:
        self._queue = queue
        self._report = report

    async def lookup(self, folder: str, name: str) -> Found | Absent:
        """The file of an item that is in `folder` now."""
        item = self._queue.get(id_of(name))
        if item is None or name not in file_names(folder, item):
            return Absent(0.0)
        await self._report.learn([item])
        return self._found(folder, name)

    async def entries(self, folder: str) -> Snapshot:
        """Those of all items that are in `folder` now."""
        items = self._queue.items()
        await self._report.learn(item for item in items if file_names(folder, item))
        names = [name for item in self._queue.items() for name in file_names(folder, item)]
        return fixed_snapshot([(name, self._found(folder, name)) for name in names])

    async def open(self, node: ControlFile) -> Handle:
        """What is told of the item, or its payload. Errors: NoSuchName if it is gone, StoreError."""
        item, is_payload = self._item(node)
        if not is_payload:
            return BodyHandle(self._text(node, item), is_snapshot=True)
        spool = self._queue.spool
        return PayloadHandle(await trio.to_thread.run_sync(lambda: spool.open(item.id, write=False)))

    def file_attributes(self, node: ControlFile) -> Attributes:
        """Its length now. Errors: NoSuchName if it is gone."""
        item, is_payload = self._item(node)
        if is_payload:
            return _file(item.size_bytes, item.mtime_ns)
        return _file(len(self._text(node, item)), item.began_ns)

    def _found(self, folder: str, name: str) -> Found:
        node = ControlFile(f"{folder}/{name}")
        return Found(node, self.file_attributes(node))

    def _item(self, node: ControlFile) -> tuple[Item, bool]:
        """Whose file it is, and whether it is the payload."""
        folder, _, name = node.name.partition("/")
        item = self._queue.get(id_of(name))
        if item is None or name not in file_names(folder, item):
            raise NoSuchName(f"{node.name} is not there any more")
        return item, folder == FAILED and name == file_name(item)

    def _text(self, node: ControlFile, item: Item) -> bytes:
        told = json.dumps(self._report.item(item), indent=2, ensure_ascii=False) + "\n"
        if node.name.startswith(FAILED):
            told = f"{item.reason or 'it failed'}\n\n{told}"
        return padded(told.encode("utf-8", "backslashreplace"))


class PayloadHandle:
    """The bytes of a payload, read where they lie, though it be sent or discarded meanwhile."""

    is_snapshot = True

    def __init__(self, descriptor: int) -> None:
        """`descriptor`: closed with this."""
        self._descriptor = descriptor

    async def read(self, offset: int, length: int) -> bytes:
        """Those bytes. Errors: StoreError."""
        try:
            return await trio.to_thread.run_sync(os.pread, self._descriptor, length, offset)
        except OSError as error:
            raise StoreError(f"the spool: {error.strerror}") from error

    async def aclose(self) -> None:
        """Closed; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def file_names(folder: str, item: Item) -> tuple[str, ...]:
    """The names of the item's files in queue/ or failed/ of its stage; () where it has none."""
    match folder, item.stage:
        case (_, Stage.SENT | Stage.KEPT):
            return ()
        case ("failed", Stage.FAILED):
            name = file_name(item)
            return (name, name + REASON) if item.has_payload else (name + REASON,)
        case ("queue", stage) if stage is not Stage.FAILED:
            return (file_name(item),)
    return ()


def file_name(item: Item) -> str:
    """ID-NAME, in 251 bytes at most, so that REASON may follow; a long name loses its middle, and keeps its suffix."""
    room = NAME_BYTES_MAX - len(REASON) - len(item.id) - 1
    name = legal_name(item.name)
    if len(name.encode()) > room:
        stem, dot, suffix = name.rpartition(".")
        end = (dot + suffix) if stem and len(suffix.encode()) < room // 2 else ""
        stem = name[: len(name) - len(end)].encode()[: room - len(end.encode())].decode("utf-8", "ignore")
        name = stem + end
    return f"{item.id}-{name}"


def id_of(name: str) -> str:
    """The id of the item whose file may be called so; "" for none's."""
    local, _, rest = name.partition("-")
    id = f"{local}-{rest.partition('-')[0]}"
    return id if is_local_id(id) else ""


def padded(text: bytes) -> bytes:
    """`text`, ended by blanks and a line's end, of a length that rarely changes."""
    return text + b" " * ((-len(text) - 1) % STEP_BYTES) + b"\n"


def _file(size_bytes: int, mtime_ns: int) -> Attributes:
    return Attributes(FileKind.FILE, OWNER_FILE, size_bytes, mtime_ns, 0.0, 0.0)
