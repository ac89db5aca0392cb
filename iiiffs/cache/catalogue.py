"""What is known of listings, assets and documents, so that a restart asks and builds nothing again.

Listings: one row an album, about 100 bytes an asset in it; bounded by what the provider has, and `drop_listing` drops
those of albums that are gone. Facts: one small row an asset (about 150 bytes), the newest version's; bounded by the
number of assets, and `keep_only` drops those of assets that are gone. Documents: one small row each (about 120 bytes),
bounded by the number of albums and assets; their bodies, compressed, are in a table with a quota of its own
(`documents_quota`), oldest used forgotten first, and a document without its body is only built again. None of it
counts against the renditions' quota; all of it is in `stats`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from iiiffs.cache.environment import CacheEnvironment
from iiiffs.cache.listing_rows import (
    ListingHeading,
    decode_heading,
    decode_listing,
    decode_named,
    encode_listing,
    is_of_nothing,
)
from iiiffs.cache.renditions import RenditionStats, RenditionStore
from iiiffs.cache.rows import RowTable
from iiiffs.cache.writer import PENDING_BYTES_MAX, CacheWriter
from iiiffs.errors import StoreError
from iiiffs.model.gallery import AccountName, AlbumId, AssetId, Facts, Listing, Version

if TYPE_CHECKING:
    import lmdb

DOCUMENT_BODY_BYTES_MAX = 30 * 1024 * 1024
"""Of a body as it is given; larger ones are not kept, their rows are."""
ID_BYTES_MAX = 200
WAITING_BYTES = 1024 * 1024
"""So much is little."""


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document as it was built last.

    `inputs`: digest of all that it was built from; `digest`: of its bytes, as the caller computes it.
    `body`: its bytes; None where they are not kept or were not asked for.
    """

    inputs: bytes
    digest: bytes
    size_bytes: int
    mtime_ns: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class CatalogueStats:
    """Committed rows, and bytes of the file that they use. `corrupt`: rows met damaged since the start."""

    facts: int
    facts_bytes: int
    documents: int
    documents_bytes: int
    listings: int
    listings_bytes: int
    bodies: RenditionStats


class _FactsRow(msgspec.Struct, array_like=True, frozen=True):
    version: str
    facts: Facts


class _Refusal(msgspec.Struct, frozen=True):
    """Of Facts what says that they are of no picture; the rest is skipped, which is six times as fast."""

    error: str | None = None


class _RefusalRow(msgspec.Struct, array_like=True, frozen=True):
    version: str
    facts: _Refusal


class _DocumentRow(msgspec.Struct, array_like=True, frozen=True):
    """`stored`: the digest under which the body was stored; empty if it was not."""

    inputs: bytes
    digest: bytes
    size_bytes: int
    mtime_ns: int
    stored: bytes


class Catalogue:
    """Listings by (account, album), facts by (account, asset), documents by key.

    Trio's thread's; reads wait for nothing but the disk.
    """

    def __init__(
        self,
        environment: CacheEnvironment,
        facts: RowTable,
        documents: RowTable,
        listings: RowTable,
        bodies: RenditionStore,
        writer: CacheWriter,
    ) -> None:
        self._environment = environment
        self._facts = facts
        self._documents = documents
        self._listings = listings
        self._bodies = bodies
        self._writer = writer
        self._encoder = msgspec.msgpack.Encoder()
        self._facts_decoder = msgspec.msgpack.Decoder(_FactsRow)
        self._refusal_decoder = msgspec.msgpack.Decoder(_RefusalRow)
        self._document_decoder = msgspec.msgpack.Decoder(_DocumentRow)

    def facts(self, account: AccountName, asset: AssetId, version: Version) -> Facts | None:
        """The facts of that version of the asset; None if unknown or known of another version only."""
        return self.facts_of(account, [(asset, version)]).get((asset, version))

    def facts_of(
        self, account: AccountName, wanted: Iterable[tuple[AssetId, Version]]
    ) -> dict[tuple[AssetId, Version], Facts]:
        """The facts of those asset versions that are known; one read transaction for all."""
        found = self.reading_facts(account, wanted)()
        if self._environment.condemned is not None:
            self._writer.wake()
        return found

    def reading_facts(
        self, account: AccountName, wanted: Iterable[tuple[AssetId, Version]]
    ) -> Callable[[], dict[tuple[AssetId, Version], Facts]]:
        """A call for any thread that answers as `facts_of` does now, or later: never older than this moment.

        For many of them: each row is a chance to lose the interpreter to another thread for some milliseconds.
        """
        rows = self._reading_rows(account, wanted)

        def read() -> dict[tuple[AssetId, Version], Facts]:
            decoded = ((key, self._facts_decoder.decode(row)) for key, row in rows())
            return {key: known.facts for key, known in decoded if known.version == key[1]}

        return read

    def reading_unfit(
        self, account: AccountName, wanted: Iterable[tuple[AssetId, Version]]
    ) -> Callable[[], list[AssetId]]:
        """As `reading_facts`: those of the asset versions whose facts are known and have an `error`."""
        rows = self._reading_rows(account, wanted)

        def read() -> list[AssetId]:
            decoded = ((key, self._refusal_decoder.decode(row)) for key, row in rows())
            return [key[0] for key, known in decoded if known.version == key[1] and known.facts.error]

        return read

    def put_facts(self, account: AccountName, rows: Mapping[tuple[AssetId, Version], Facts]) -> None:
        """Readers see them from now on; of an asset with an older version, only the new one's facts are left.

        Never waits and never refuses: they are small, and finding them again would cost a download.
        """
        for (asset, version), facts in rows.items():
            row = self._encode(version, facts)
            self._writer.put(self._facts.name, _facts_key(account, asset), row, len(row))

    async def written(self) -> None:
        """Little waits to be written: for who puts thousands of facts, so that they do not all wait in memory."""
        await self._writer.wait_for_room(PENDING_BYTES_MAX - WAITING_BYTES)

    async def committed(self) -> None:
        """What was put in before this call is in the file, and survives a kill of the process."""
        await self._writer.flush()

    def keep_only(self, account: AccountName, assets: Collection[AssetId]) -> int:
        """Of the account, facts of other assets than these are gone; how many were. `()` forgets the account."""
        wanted = {_facts_key(account, asset) for asset in assets}
        gone = [key for key in self._keys(self._facts, _prefix(account)) if key not in wanted]
        for key in gone:
            self._writer.delete(self._facts.name, key)
        return len(gone)

    def listing(self, account: AccountName, album: AlbumId) -> Listing | None:
        """The listing of the album as it was put last; None if unknown."""
        return self._listing(_listing_key(account, album))

    def reading_named(
        self, account: AccountName, album: AlbumId
    ) -> Callable[[], tuple[Listing, dict[str, str]] | None]:
        """A call for any thread that answers as `listing` does now, with names: of 20,000 assets it takes 40 ms."""
        row = self._listing_row(_listing_key(account, album))
        return lambda: None if row is None else decode_named(row)

    def heading(self, account: AccountName, album: AlbumId) -> ListingHeading | None:
        """As `listing`, without the assets: quick, however many there are."""
        row = self._listing_row(_listing_key(account, album))
        return None if row is None else decode_heading(row)

    def is_listed_empty(self, account: AccountName, album: AlbumId) -> bool:
        """True if the album's listing is known, and nothing is in it."""
        row = self._listing_row(_listing_key(account, album))
        return row is not None and is_of_nothing(row)

    def listings(self, account: AccountName) -> Iterator[Listing]:
        """All of the account, one decoded at a time; the caller may wait between two of them.

        Each as it is when its turn comes: those dropped since the start are left out, those new since then may be.
        """
        for key in self._keys(self._listings, _prefix(account)):
            listing = self._listing(key)
            if listing is not None:
                yield listing

    def put_listing(self, account: AccountName, listing: Listing) -> None:
        """Readers see it from now on, in the place of the album's older one. Never waits and never refuses."""
        self.put_listing_row(account, listing.album.id, encode_listing(listing, {}))

    def put_listing_row(self, account: AccountName, album: AlbumId, row: bytes) -> None:
        """As `put_listing`, of a row that `encode_listing` made: of 20,000 assets that takes 60 ms in some thread."""
        self._writer.put(self._listings.name, _listing_key(account, album), row, len(row))

    def drop_listing(self, account: AccountName, album: AlbumId) -> None:
        """The listing of the album is unknown."""
        self._writer.delete(self._listings.name, _listing_key(account, album))

    def document(self, key: bytes) -> DocumentRecord | None:
        """The document, with its body where that is still kept; None if unknown."""
        record, stored = self._document(key)
        if record is None or not stored:
            return record
        body = self._bodies.get(_body_key(key))
        kept = body is not None and self._bodies.peek(_body_key(key))
        return replace(record, body=body if kept and kept.digest == stored else None)

    def peek_document(self, key: bytes) -> DocumentRecord | None:
        """As `document`, its body left out: for a stat."""
        return self._document(key)[0]

    def put_document(self, key: bytes, record: DocumentRecord) -> None:
        """Readers see it from now on. A body above DOCUMENT_BODY_BYTES_MAX, or of None, is not kept.

        Never waits; where too much waits to be written, the row is kept and the body is not.
        """
        stored = b""
        if record.body is not None and len(record.body) <= DOCUMENT_BODY_BYTES_MAX:
            stored = self._bodies.put_nowait(_body_key(key), b"", "", record.body).digest
        else:
            self._bodies.delete(_body_key(key))
        row = self._encoder.encode(
            _DocumentRow(record.inputs, record.digest, record.size_bytes, record.mtime_ns, stored)
        )
        self._writer.put(self._documents.name, _document_key(key), row, len(row))

    def clear_documents(self) -> None:
        """No document is known."""
        self._writer.wipe(self._documents.name)
        self._bodies.clear()

    def stats(self) -> CatalogueStats:
        """How much is committed."""
        try:
            with self._environment.reading() as transaction:
                tables = (self._facts, self._documents, self._listings)
                facts, documents, listings = (table.stat(transaction) for table in tables)
        except StoreError:
            self._writer.wake()
            facts = documents = listings = (0, 0)
        return CatalogueStats(*facts, *documents, *listings, self._bodies.stats())

    def _reading_rows(
        self, account: AccountName, wanted: Iterable[tuple[AssetId, Version]]
    ) -> Callable[[], Iterator[tuple[tuple[AssetId, Version], bytes]]]:
        """What waits to be written is looked up now; the rest is committed, and read by the call, in any thread."""
        if self._environment.condemned is not None:
            self._writer.wake()
        waiting: list[tuple[tuple[AssetId, Version], bytes]] = []
        committed: list[tuple[tuple[AssetId, Version], bytes]] = []
        for asset, version in wanted:
            key = _facts_key(account, asset)
            decided, row = self._writer.find(self._facts.name, key)
            if not decided:
                committed.append(((asset, version), key))
            elif row is not None:
                waiting.append(((asset, version), row))

        def read() -> Iterator[tuple[tuple[AssetId, Version], bytes]]:
            found = []
            try:
                with self._environment.reading() as transaction:
                    for wanted_key, key in committed:
                        self._environment.used()
                        row = self._facts.row(transaction, key)
                        if row is not None:
                            found.append((wanted_key, row))
            except StoreError:  # it is condemned now, which the next question in trio's thread tells the writer
                found = []
            return iter(waiting + found)

        return read

    def _row(self, transaction: lmdb.Transaction, table: RowTable, key: bytes) -> bytes | None:
        decided, row = self._writer.find(table.name, key)
        return row if decided else table.row(transaction, key)

    def _listing(self, key: bytes) -> Listing | None:
        row = self._listing_row(key)
        return None if row is None else decode_listing(row)

    def _listing_row(self, key: bytes) -> bytes | None:
        try:
            with self._environment.reading() as transaction:
                return self._row(transaction, self._listings, key)
        except StoreError:
            self._writer.wake()
            return None

    def _document(self, key: bytes) -> tuple[DocumentRecord | None, bytes]:
        """(the record without its body, the digest under which the body is stored)."""
        try:
            with self._environment.reading() as transaction:
                row = self._row(transaction, self._documents, _document_key(key))
        except StoreError:
            self._writer.wake()
            return None, b""
        if row is None:
            return None, b""
        known = self._document_decoder.decode(row)
        return DocumentRecord(known.inputs, known.digest, known.size_bytes, known.mtime_ns, None), known.stored

    def _keys(self, table: RowTable, prefix: bytes) -> list[bytes]:
        found: dict[bytes, object] = {}
        try:
            with self._environment.reading() as transaction:
                found.update(dict.fromkeys(table.keys(transaction, prefix), True))
        except StoreError:
            self._writer.wake()
        self._writer.overlay(table.name, found, lambda row: row)
        return [key for key in found if key.startswith(prefix)]

    def _encode(self, version: Version, facts: Facts) -> bytes:
        try:
            return self._encoder.encode(_FactsRow(version, facts))
        except UnicodeEncodeError:  # a file name that is not UTF-8, quoted in `error`
            error = None if facts.error is None else facts.error.encode("utf-8", "replace").decode()
            return self._encoder.encode(_FactsRow(version, replace(facts, error=error)))


def _prefix(account: AccountName) -> bytes:
    return _short(account.encode()) + b"\0"


def _facts_key(account: AccountName, asset: AssetId) -> bytes:
    return _prefix(account) + _short(asset.encode())


def _listing_key(account: AccountName, album: AlbumId) -> bytes:
    return _prefix(account) + _short(album.encode())


def _document_key(key: bytes) -> bytes:
    return _short(key)


def _body_key(key: bytes) -> bytes:
    return blake2b(key, digest_size=32).digest()


def _short(name: bytes) -> bytes:
    """`name`, or where it is longer than LMDB's keys may be (511 bytes for two of them), "\\x01" and its BLAKE2b."""
    return name if len(name) <= ID_BYTES_MAX else b"\1" + blake2b(name, digest_size=32).digest()
