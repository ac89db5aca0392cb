"""`.iiiffs/`: what the daemon says of itself; a snapshot an open, read past the page cache (DESIGN §2.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from iiiffs.tree.attributes import Attributes, FileKind
from iiiffs.tree.nodes import ControlDir, ControlFile
from iiiffs.vfs.entries import Absent, Found, Snapshot, fixed_snapshot

OWNER_FILE = 0o400
STEP_BYTES = 1024
"""Texts are a multiple of this long: few change their length between a stat and the reading, which tar dislikes."""


class ControlFiles:
    """ControlDir: name -> what writes the file's text now."""

    def __init__(self, writers: Mapping[str, Callable[[], bytes]], began_ns: int) -> None:
        self._writers = dict(writers)
        self._began_ns = began_ns

    async def lookup(self, directory: ControlDir, name: str) -> Found | Absent:
        """One of the fixed names."""
        return self._found(name) if name in self._writers else Absent(0.0)

    async def entries(self, directory: ControlDir) -> Snapshot:
        """All of them."""
        return fixed_snapshot([(name, self._found(name)) for name in self._writers])

    async def attributes(self, directory: ControlDir, last: Attributes) -> Attributes:
        """Nothing about the directory changes."""
        return last

    def body(self, node: ControlFile) -> bytes:
        """Its text at this moment, ended by blanks."""
        text = self._writers[node.name]()
        return text + b" " * ((-len(text) - 1) % STEP_BYTES) + b"\n"

    def file_attributes(self, node: ControlFile) -> Attributes:
        """Its length at this moment; not to be kept."""
        return Attributes(FileKind.FILE, OWNER_FILE, len(self.body(node)), self._began_ns, 0.0, 0.0)

    def _found(self, name: str) -> Found:
        node = ControlFile(name)
        return Found(node, self.file_attributes(node))
