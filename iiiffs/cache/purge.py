"""Everything that the cache holds of one account is gone, and no more of the others than costs them little.

Keys of renditions and blocks are hashes that do not tell whose they are. So what is *kept* is looked up: what belongs
to assets in listings of the other accounts, in the versions that these know. All else goes: the account's own, also of
versions that nobody remembers, and leftovers of the others that will be fetched or made again where they are wanted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

import trio

from iiiffs.cache.blocks import BlockGroup
from iiiffs.cache.entries import EntryTable
from iiiffs.cache.environment import CacheEnvironment
from iiiffs.cache.store import BLOCKS, RENDITIONS, Cache
from iiiffs.model.gallery import AccountName

STEP_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Purged:
    """How many of each were dropped. `documents` are of all accounts: they are only built again."""

    listings: int
    facts: int
    documents: int
    renditions: int
    blocks: int


def rendition_group(account: str, asset: str, version: str, fingerprint: str) -> bytes:
    """What renditions of one asset version are filed under (vfs.renditions). 20 bytes."""
    return blake2b("\0".join((account, asset, version, fingerprint)).encode(), digest_size=20).digest()


async def purge_account(
    cache: Cache, account: AccountName, others: Collection[AccountName], fingerprint: str
) -> Purged:
    """Nothing of `account` is in the cache. `others`: whose things are kept; `fingerprint`: the renderer's.

    What is put in while it runs may stay. Gives the loop its turn; `writer.run` need not run.
    """
    await cache.writer.flush()
    renditions: set[bytes] = set()
    blocks: set[bytes] = set()
    for other in others:
        for listing in cache.catalogue.listings(other):
            for asset in listing.assets:
                renditions.add(rendition_group(other, asset.id, asset.version, fingerprint))
                blocks.add(BlockGroup.of(other, asset.id, asset.version).key)
            await trio.lowlevel.checkpoint()
    albums = [listing.album.id for listing in cache.catalogue.listings(account)]
    for album in albums:
        cache.catalogue.drop_listing(account, album)
    facts, documents = cache.catalogue.keep_only(account, ()), cache.catalogue.stats().documents
    cache.catalogue.clear_documents()
    dropped = [await _sweep(cache, RENDITIONS, renditions), await _sweep(cache, BLOCKS, blocks)]
    await cache.writer.flush()
    return Purged(len(albums), facts, documents, *dropped)


async def _sweep(cache: Cache, table: str, kept: Collection[bytes]) -> int:
    """Of the table, only what is filed under the groups in `kept` is left; how many values went."""
    rows, after, dropped = EntryTable(cache.environment, table, 0), b"", 0
    while True:
        keys, unwanted = await trio.to_thread.run_sync(_step, cache.environment, rows, after, kept)
        for key in unwanted:
            cache.writer.delete(table, key)
        dropped += len(unwanted)
        await cache.writer.flush()
        if not keys:
            return dropped
        after = keys[-1]


def _step(
    environment: CacheEnvironment, rows: EntryTable, after: bytes, kept: Collection[bytes]
) -> tuple[list[bytes], list[bytes]]:
    """(the next keys, those of them that go). Damaged rows go too. Runs in a worker thread. Errors: StoreError."""
    with environment.reading() as transaction:
        keys = list(islice(rows.keys(transaction, after), STEP_KEYS))
        records = [rows.record(transaction, key) for key in keys]
    return keys, [key for key, record in zip(keys, records, strict=True) if record is None or record.group not in kept]
