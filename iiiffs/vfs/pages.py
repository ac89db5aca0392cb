"""index.html: one constant page a kind, the same inode wherever it stands."""

from __future__ import annotations

from collections.abc import Mapping

from iiiffs.tree import attributes as attrs
from iiiffs.tree.nodes import Page, PageKind
from iiiffs.vfs.document_records import digest_of
from iiiffs.vfs.entries import Found


class Pages:
    """The pages of this mount; made by `iiiffs.web.page`, passed in as bytes."""

    def __init__(self, bodies: Mapping[PageKind, bytes], began_ns: int) -> None:
        self._bodies = dict(bodies)
        self._nodes = {kind: Page(kind, digest_of(body)) for kind, body in bodies.items()}
        self._began_ns = began_ns

    def found(self, kind: PageKind) -> Found:
        """The page of `kind` as a file."""
        return Found(self._nodes[kind], attrs.file(len(self._bodies[kind]), self._began_ns))

    def body(self, node: Page) -> bytes:
        """Its bytes."""
        return self._bodies[node.kind]
