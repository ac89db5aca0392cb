"""What was built before: documents by name, with what they were built from, their bytes and their time.

A document's inode names its bytes (digest). Its time is when its content or this configuration began, never "now", and
different bytes of one name are at least 1 s apart (DESIGN §2.4). Between two awaits everything here is whole: nothing
waits but the writing of times, which runs behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b

import msgspec

from iiiffs.cache.catalogue import Catalogue, DocumentRecord
from iiiffs.model.gallery import AccountName
from iiiffs.state.times import DocumentTimes
from iiiffs.tree.nodes import Document, DocumentKind
from iiiffs.vfs.bodies import Bodies
from iiiffs.vfs.flights import Flights

SECOND_NS = 1_000_000_000

Name = tuple[AccountName, DocumentKind, str]
"""Account, kind and owner: the name whose bytes may change."""


@dataclass(frozen=True, slots=True)
class Made:
    """A document as the tree shows it."""

    node: Document
    size_bytes: int
    mtime_ns: int


class DocumentRecords:
    """Documents that were built, and may still be current."""

    def __init__(self, catalogue: Catalogue, bodies: Bodies, times: DocumentTimes, flights: Flights) -> None:
        self._catalogue = catalogue
        self._bodies = bodies
        self._times = times
        self._flights = flights
        self._lost: set[bytes] = set()

    def find(self, name: Name, inputs: bytes) -> Made | None:
        """The document of `name` if it was built from these very inputs and its bytes can still be had."""
        key = record_key(*name)
        record = self._catalogue.peek_document(key)
        if record is None or record.inputs != inputs or key in self._lost:
            return None
        return Made(Document(*name, record.digest.hex()), record.size_bytes, record.mtime_ns)

    def keep(self, name: Name, inputs: bytes, body: bytes, began_ns: int) -> Made:
        """`body` recorded. Same bytes as before keep their time; others are at least 1 s younger."""
        made = self.hold(name, body, began_ns)
        key, digest, mtime_ns = record_key(*name), bytes.fromhex(made.node.digest), began_ns
        before = self._last_time(key)
        if before is not None:
            mtime_ns = before[1] if before[0] == digest else max(began_ns, before[1] + SECOND_NS)
        if mtime_ns != began_ns:
            self._flights.begin(("time", key, digest), partial(self._times.put, key, digest, mtime_ns))
        self._catalogue.put_document(key, DocumentRecord(inputs, digest, len(body), mtime_ns, body))
        self._lost.discard(key)
        return Made(made.node, made.size_bytes, mtime_ns)

    def outdate(self, name: Name) -> None:
        """What was built under `name` is not current any more; its time is remembered, so that the next is younger."""
        key = record_key(*name)
        record = self._catalogue.document(key)
        if record is not None:
            self._catalogue.put_document(key, replace(record, inputs=b""))

    def hold(self, name: Name, body: bytes, mtime_ns: int) -> Made:
        """`body` held in memory, without a record: for documents that are cheaper to build than to find."""
        node = Document(*name, digest_of(body))
        self._bodies.put(node, body)
        return Made(node, len(body), mtime_ns)

    def body(self, node: Document) -> bytes | None:
        """The bytes of exactly this document, if they are still to be had without building."""
        body = self._bodies.get(node)
        if body is not None:
            return body
        key = record_key(node.account, node.kind, node.owner)
        record = self._catalogue.document(key)
        if record is None or record.digest.hex() != node.digest:
            return None
        if record.body is None:  # evicted, or too long to be kept: what is recorded of it must not keep it unbuilt
            self._lost.add(key)
            return None
        self._bodies.put(node, record.body)
        return record.body

    def _last_time(self, key: bytes) -> tuple[bytes, int] | None:
        """Digest and time of the bytes that had this name last, as far as anybody remembers."""
        record = self._catalogue.peek_document(key)
        return self._times.get(key) if record is None else (record.digest, record.mtime_ns)


def encoded(body: Mapping[str, object]) -> bytes:
    """A document's bytes. For any thread."""
    return msgspec.json.encode(body)


def digest_of(body: bytes) -> str:
    """What names these bytes in a node."""
    return blake2b(body, digest_size=16).hexdigest()


def record_key(account: AccountName, kind: DocumentKind, owner: str) -> bytes:
    """The catalogue's key of one document."""
    return blake2b("\0".join((account, kind.name, owner)).encode(), digest_size=20).digest()
