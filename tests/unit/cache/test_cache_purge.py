"""An account is purged: all of it is gone, in every version, and what the others' listings know is kept."""

from __future__ import annotations

from pathlib import Path

import trio

from iiiffs.cache.blocks import BlockGroup
from iiiffs.cache.catalogue import DocumentRecord
from iiiffs.cache.purge import Purged, purge_account, rendition_group
from iiiffs.cache.store import Cache, open_cache
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Facts, Listing, Version
from iiiffs.vfs import renditions as vfs_renditions

QUOTA = 10 << 20
PRINT = "renderer 1"
HOME, OTHER = AccountName("home"), AccountName("other")


def listing(account: str) -> Listing:
    """One album with one asset, "1" in version "v2"."""
    album = Album(AlbumId(f"album of {account}"), "Trip", None, 0)
    asset = Asset(AssetId("1"), album.id, "a.jpg", Version("v2"), 3, 0, 0, "image/jpeg")
    return Listing(album, (asset,), (), "etag")


async def fill(cache: Cache, account: AccountName) -> None:
    """A listing, facts, and of an old and a new version a block and a rendition each."""
    cache.catalogue.put_listing(account, listing(account))
    cache.catalogue.put_facts(account, {(AssetId("1"), Version("v2")): Facts("image/jpeg", None)})
    for version in ("v1", "v2"):
        await cache.blocks.put(BlockGroup.of(account, "1", version), 0, b"block")
        key = f"{account}{version}".encode()
        await cache.renditions.put(key, rendition_group(account, "1", version, PRINT), "full", key)
    cache.catalogue.put_document(account.encode(), DocumentRecord(b"i", b"d", 4, 0, b"body"))


def has(cache: Cache, account: AccountName, version: str) -> tuple[bool, bool]:
    """Block and rendition of that version."""
    return (
        cache.blocks.has(BlockGroup.of(account, "1", version), 0),
        cache.renditions.has(f"{account}{version}".encode()),
    )


def test_all_of_one_account_and_nothing_that_others_know(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        await fill(cache, HOME)
        await fill(cache, OTHER)
        purged = await purge_account(cache, HOME, [OTHER], PRINT)
        assert purged == Purged(listings=1, facts=1, documents=2, renditions=3, blocks=3)
        for restarted in (False, True):
            if restarted:
                cache.close()
                cache = open_cache(tmp_path, QUOTA)
            assert has(cache, HOME, "v1") == has(cache, HOME, "v2") == (False, False)
            assert has(cache, OTHER, "v2") == (True, True)
            assert has(cache, OTHER, "v1") == (False, False)
            assert cache.catalogue.listing(HOME, AlbumId("album of home")) is None
            assert cache.catalogue.listing(OTHER, AlbumId("album of other")) == listing(OTHER)
            assert cache.catalogue.facts(HOME, AssetId("1"), Version("v2")) is None
            assert cache.catalogue.facts(OTHER, AssetId("1"), Version("v2")) is not None
            assert cache.catalogue.document(b"home") is None
        assert await purge_account(cache, HOME, [OTHER], PRINT) == Purged(0, 0, 0, 0, 0)
        cache.close()

    trio.run(main)


def test_it_goes_on_beside_the_daemons_writer(tmp_path: Path) -> None:
    async def main() -> None:
        cache = open_cache(tmp_path, QUOTA)
        async with trio.open_nursery() as nursery:
            await nursery.start(cache.writer.run)
            await fill(cache, HOME)
            assert (await purge_account(cache, HOME, [], PRINT)).renditions == 2
            nursery.cancel_scope.cancel()
        assert cache.renditions.stats().entries == cache.blocks.stats().entries == 0
        cache.close()

    trio.run(main)


def test_groups_are_those_of_the_vfs() -> None:
    assert rendition_group("a", "1", "v", PRINT) == vfs_renditions._hashed("a", "1", "v", PRINT)
