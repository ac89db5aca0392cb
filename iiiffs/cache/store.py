"""The cache as the daemon holds it: opened in one call, closed in one; while closed, anybody may delete it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iiiffs.cache.block_folder import BlockFolder
from iiiffs.cache.block_table import FiledTable
from iiiffs.cache.blocks import BlockStore
from iiiffs.cache.catalogue import Catalogue, CatalogueStats
from iiiffs.cache.entries import EntryTable, database_names
from iiiffs.cache.environment import BLOCKS_FOLDER, CacheEnvironment, documents_quota
from iiiffs.cache.renditions import RenditionStats, RenditionStore, Verification
from iiiffs.cache.rows import RowTable
from iiiffs.cache.shares import SharingTable
from iiiffs.cache.writer import CacheWriter, WriterStats

FACTS, DOCUMENTS, LISTINGS = "facts", "documents", "listings"
BODIES, RENDITIONS, BLOCKS = "bodies", "renditions", "blocks"
ENTRIES = (BODIES, RENDITIONS, BLOCKS)
DATABASES = (FACTS, DOCUMENTS, LISTINGS, *(name for table in ENTRIES for name in database_names(table)))


@dataclass(frozen=True, slots=True)
class CacheStats:
    """All of it. `file_bytes`: the length of the file; `map_bytes`: the longest it may become.

    The quota of `renditions` and `blocks` is one, which they share.
    """

    file_bytes: int
    map_bytes: int
    renditions: RenditionStats
    blocks: RenditionStats
    catalogue: CatalogueStats
    writer: WriterStats


@dataclass(frozen=True, slots=True)
class Cache:
    """The parts of one open cache. `writer.run` is to be started in the daemon's nursery."""

    environment: CacheEnvironment
    writer: CacheWriter
    renditions: RenditionStore
    blocks: BlockStore
    catalogue: Catalogue

    def stats(self) -> CacheStats:
        """How full it is and what it did since it was opened."""
        return CacheStats(
            self.environment.file_bytes(),
            self.environment.map_bytes,
            self.renditions.stats(),
            self.blocks.stats(),
            self.catalogue.stats(),
            self.writer.stats,
        )

    async def verify(self) -> Verification:
        """Every rendition and every block was read and checked; damaged ones are deleted."""
        renditions, blocks = await self.renditions.verify(), await self.blocks.verify()
        return Verification(renditions.checked + blocks.checked, renditions.corrupt + blocks.corrupt)

    def clear(self) -> None:
        """No rendition, block or document is left. What is known of files is."""
        self.renditions.clear()
        self.blocks.clear()
        self.catalogue.clear_documents()

    def close(self) -> None:
        """What waits is committed, the file is closed in order and unlocked. `writer.run` must have ended."""
        if self.environment.is_open:
            self.writer.commit_now()
            self.environment.close()


def open_cache(path: Path, quota_bytes: int, *, map_bytes: int | None = None) -> Cache:
    """The cache in the folder `path`, made if absent. Errors: as `CacheEnvironment.open`."""
    environment = CacheEnvironment.open(path, quota_bytes, databases=DATABASES, map_bytes=map_bytes)
    facts, documents, listings = (RowTable(environment, name) for name in (FACTS, DOCUMENTS, LISTINGS))
    renditions = SharingTable(environment, RENDITIONS, quota_bytes)
    blocks = FiledTable(environment, BLOCKS, quota_bytes, BlockFolder(path / BLOCKS_FOLDER))
    renditions.share_with(blocks)
    if not environment.was_clean:
        with environment.writing() as transaction:
            blocks.sweep(transaction)
    bodies = EntryTable(environment, BODIES, documents_quota(quota_bytes), compresses=True)
    tables = (facts, documents, listings, renditions, blocks, bodies)
    writer = CacheWriter(environment, {table.name: table for table in tables})
    body_store = RenditionStore(environment, bodies, writer)
    return Cache(
        environment,
        writer,
        RenditionStore(environment, renditions, writer),
        BlockStore(environment, blocks, writer),
        Catalogue(environment, facts, documents, listings, body_store, writer),
    )
