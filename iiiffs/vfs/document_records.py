"""What was built before: documents by name, with what they were built from, their bytes and their time.

A document's inode names its bytes (digest). Its time is when its content or this configuration began, never "now", and
different bytes of one name are at least 1 s apart (DESIGN §2.4). Between two awaits everything here is whole: nothing
waits but the writing of times, which runs behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b

import msgspec

from iiiffs.cache.catalogue import Catalogue, DocumentRecord
from iiiffs.errors import StoreCorrupt
from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.state.times import DocumentTimes
from iiiffs.tree.nodes import Document, DocumentKind
from iiiffs.vfs.bodies import Bodies, RecentBodies
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.packed import Body, PackedBody, Packer, packed, size_of, stored, unstored
from iiiffs.vfs.packed import digest_of as digest_of

SECOND_NS = 1_000_000_000
PACKED_BYTES_MAX = 4 << 20
"""Of long documents kept in memory, as they are packed: five manifests of 10,000 canvases. The cache has them too."""

Name = tuple[AccountName, DocumentKind, str]
"""Account, kind and owner: the name whose bytes may change."""


@dataclass(frozen=True, slots=True)
class Made:
    """A document as the tree shows it."""

    node: Document
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Written:
    """A document's bytes and what names them."""

    body: Body
    digest: str


class DocumentRecords:
    """Documents that were built, and may still be current."""

    def __init__(self, catalogue: Catalogue, bodies: Bodies, times: DocumentTimes, flights: Flights) -> None:
        self._catalogue = catalogue
        self._bodies = bodies
        self._times = times
        self._flights = flights
        self._packed = RecentBodies[PackedBody](PACKED_BYTES_MAX)
        self._lost: set[bytes] = set()

    def lists_nothing(self, account: AccountName, album: AlbumId) -> bool:
        """True if it is known what is in the album of that [account.NAME], and that is nothing."""
        return self._catalogue.is_listed_empty(account, album)

    def find(self, name: Name, inputs: bytes) -> Made | None:
        """The document of `name` if it was built from these very inputs and its bytes can still be had."""
        key = record_key(*name)
        record = self._catalogue.peek_document(key)
        if record is None or record.inputs != inputs or key in self._lost:
            return None
        return Made(Document(*name, record.digest.hex()), record.size_bytes, record.mtime_ns)

    def keep(self, name: Name, inputs: bytes, written: Written, began_ns: int) -> Made:
        """`written` recorded. Same bytes as before keep their time; others are at least 1 s younger."""
        made = self.hold(name, written, began_ns)
        key, digest, mtime_ns = record_key(*name), bytes.fromhex(made.node.digest), began_ns
        before = self._last_time(key)
        if before is not None:
            mtime_ns = before[1] if before[0] == digest else max(began_ns, before[1] + SECOND_NS)
        if mtime_ns != began_ns:
            self._flights.begin(("time", key, digest), partial(self._times.put, key, digest, mtime_ns))
        record = DocumentRecord(inputs, digest, made.size_bytes, mtime_ns, stored(written.body))
        self._catalogue.put_document(key, record)
        self._lost.discard(key)
        return Made(made.node, made.size_bytes, mtime_ns)

    def outdate(self, name: Name) -> None:
        """What was built under `name` is not current any more; its time is remembered, so that the next is younger."""
        key = record_key(*name)
        record = self._catalogue.document(key)
        if record is not None:
            self._catalogue.put_document(key, replace(record, inputs=b""))

    def hold(self, name: Name, written: Written, mtime_ns: int) -> Made:
        """`written` held in memory, without a record: for documents that are cheaper to build than to find."""
        node = Document(*name, written.digest)
        self._held(node, written.body)
        return Made(node, size_of(written.body), mtime_ns)

    def body(self, node: Document) -> Body | None:
        """The bytes of exactly this document, if they are still to be had without building."""
        body = self._bodies.get(node)
        if body is not None:
            return body
        packed_body = self._packed.get(node)
        if packed_body is not None:
            return packed_body
        key = record_key(node.account, node.kind, node.owner)
        record = self._catalogue.document(key)
        if record is None or record.digest.hex() != node.digest:
            return None
        found = _unstored(record.body)
        if found is None:  # evicted, or too long to be kept: what is recorded of it must not keep it unbuilt
            self._lost.add(key)
            return None
        self._held(node, found)
        return found

    def _held(self, node: Document, body: Body) -> None:
        if isinstance(body, PackedBody):
            self._packed.put(node, body)
        else:
            self._bodies.put(node, body)

    def _last_time(self, key: bytes) -> tuple[bytes, int] | None:
        """Digest and time of the bytes that had this name last, as far as anybody remembers."""
        record = self._catalogue.peek_document(key)
        return self._times.get(key) if record is None else (record.digest, record.mtime_ns)


_encode = msgspec.json.Encoder().encode


def encoded(document: Mapping[str, object]) -> bytes:
    """A document's bytes. For any thread."""
    return _encode(document)


def written(document: Mapping[str, object]) -> Written:
    """The document as it is kept: the bytes of `encoded`, where what `gathered` made stands for a list.

    For any thread: none of the steps holds the interpreter for more than some milliseconds.
    """
    packer, opening = Packer(), b"{"
    for key, value in document.items():
        packer.add(opening + _encode(key) + b":")
        if isinstance(value, Packer):
            packer.add_packed(value)
        else:
            packer.add(_encode(value))
        opening = b","
    packer.add(b"}")
    return of_body(packer.body())


def of_body(body: Body) -> Written:
    """`body`, digested and, if it is long, packed. For any thread."""
    kept = packed(body) if isinstance(body, bytes) else body
    return Written(kept, digest_of(kept))


def gathered(items: Iterable[Mapping[str, object]]) -> Packer:
    """`items` as a list, each encoded and forgotten before the next is made. For any thread."""
    packer, opening = Packer(), b"["
    for item in items:
        packer.add(opening + _encode(item))
        opening = b","
    packer.add(b"]" if opening == b"," else b"[]")
    return packer


def _unstored(row: bytes | None) -> Body | None:
    try:
        return None if row is None else unstored(row)
    except StoreCorrupt:  # by a version of ours with another form of packing: as good as absent
        return None


def record_key(account: AccountName, kind: DocumentKind, owner: str) -> bytes:
    """The catalogue's key of one document."""
    return blake2b("\0".join((account, kind.name, owner)).encode(), digest_size=20).digest()
