"""Listings come back as they were put, whole, or not at all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.cache.environment import DATA_NAME
from iiiffs.cache.listing_rows import (
    ListingHeading,
    decode_heading,
    decode_listing,
    decode_named,
    encode_listing,
    is_of_nothing,
)
from iiiffs.cache.store import Cache, open_cache
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Facts, Listing, Version

QUOTA = 8 * 1024 * 1024
HOME, AWAY = AccountName("home"), AccountName("home2")

NAMES = st.one_of(st.text(), st.text(st.characters(), max_size=5), st.binary(max_size=9).map(os.fsdecode))
TIMES = st.integers(-(2**63), 2**63 - 1)
IDS = st.text("abz27.-_~", min_size=1, max_size=24)
ALBUMS = st.builds(
    Album, IDS.map(AlbumId), NAMES, st.none() | IDS.map(AlbumId), TIMES,
    st.none() | st.integers(0, 2**31), st.none() | IDS.map(AssetId),
)  # fmt: skip
ASSETS = st.builds(
    Asset, IDS.map(AssetId), st.sampled_from("ab").map(AlbumId), NAMES, IDS.map(Version),
    st.none() | st.integers(0, 2**63), TIMES, TIMES, st.sampled_from(["image/jpeg", "video/mp4"]),
    st.none() | st.binary(min_size=20, max_size=20), st.text("0af", max_size=3), st.none() | IDS.map(AssetId),
)  # fmt: skip
LISTINGS = st.builds(
    Listing, ALBUMS, st.lists(ASSETS, max_size=4).map(tuple), st.lists(ALBUMS, max_size=3).map(tuple), st.text("0a")
)


def listing(album: str, count: int = 3) -> Listing:
    own = Album(AlbumId(album), f"Album {album}", AlbumId("root"), 5)
    assets = (
        Asset(AssetId(f"{album}{n}"), own.id, f"IMG_{n}.jpg", Version("1"), n, 10**18 + n, 10**18, "image/jpeg")
        for n in range(count)
    )
    return Listing(own, tuple(assets), (replace(own, id=AlbumId(f"{album}-in"), parent=own.id),), f"etag {album}")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return open_cache(tmp_path, QUOTA)


def reopened(cache: Cache) -> Cache:
    cache.close()
    return open_cache(cache.environment.path, QUOTA)


@given(LISTINGS, st.dictionaries(IDS, NAMES, max_size=3))
def test_a_listing_is_its_row(whole: Listing, names: dict[str, str]) -> None:
    row = encode_listing(whole, names)
    assert decode_listing(row) == whole
    assert decode_named(row) == (whole, names)
    assert decode_heading(row) == ListingHeading(whole.album, whole.albums, whole.etag)
    assert is_of_nothing(row) == (not whole.assets and not whole.albums)


def test_what_is_listed_empty(cache: Cache) -> None:
    full = listing("full")
    bare = replace(listing("bare"), assets=(), albums=())
    for one in (full, bare):
        cache.catalogue.put_listing(HOME, one)
    for _ in range(2):
        found = [id for id in ("full", "bare", "unknown") if cache.catalogue.is_listed_empty(HOME, AlbumId(id))]
        assert found == ["bare"]
        cache = reopened(cache)
    cache.close()


def test_assets_share_what_is_equal() -> None:
    one, two, three = decode_listing(encode_listing(listing("a"), {})).assets
    assert one.album is two.album is three.album and one.media_type is two.media_type


def test_listings_before_and_after_a_restart(cache: Cache) -> None:
    some = [listing("a"), listing("b", 0), listing("x" * 600), listing("x" * 600 + "y")]
    for one in some:
        cache.catalogue.put_listing(HOME, one)
    cache.catalogue.put_listing(AWAY, listing("a", 7))
    for _ in range(2):
        assert sorted(cache.catalogue.listings(HOME), key=lambda one: one.etag) == some
        assert list(cache.catalogue.listings(AWAY)) == [listing("a", 7)]
        assert cache.catalogue.listing(HOME, AlbumId("a")) == some[0]
        assert cache.catalogue.listing(HOME, AlbumId("x" * 600)) == some[2]
        assert cache.catalogue.listing(AWAY, AlbumId("b")) is None
        assert list(cache.catalogue.listings(AccountName("hom"))) == []
        cache = reopened(cache)
    stats = cache.catalogue.stats()
    assert stats.listings == 5 and stats.listings_bytes > 0
    cache.close()


def test_a_newer_listing_takes_the_older_one_s_place(cache: Cache) -> None:
    for committed in (False, True):
        cache.catalogue.put_listing(HOME, listing("a"))
        cache = reopened(cache) if committed else cache
        cache.catalogue.put_listing(HOME, listing("a", 1))
        for _ in range(2):
            assert list(cache.catalogue.listings(HOME)) == [listing("a", 1)]
            cache = reopened(cache)
    cache.close()


def test_a_dropped_listing_is_gone_and_nothing_else_is(cache: Cache) -> None:
    cache.catalogue.put_facts(HOME, {(AssetId("a0"), Version("1")): Facts("image/jpeg", None, error="cut off")})
    for account in (HOME, AWAY):
        cache.catalogue.put_listing(account, listing("a"))
        cache.catalogue.put_listing(account, listing("b"))
    cache = reopened(cache)
    cache.catalogue.drop_listing(HOME, AlbumId("a"))
    cache.catalogue.drop_listing(HOME, AlbumId("never"))
    for _ in range(2):
        assert cache.catalogue.listing(HOME, AlbumId("a")) is None
        assert list(cache.catalogue.listings(HOME)) == [listing("b")]
        assert list(cache.catalogue.listings(AWAY)) == [listing("a"), listing("b")]
        assert cache.catalogue.facts(HOME, AssetId("a0"), Version("1")) is not None
        cache = reopened(cache)
    cache.close()


def test_listings_may_change_while_they_are_gone_through(cache: Cache) -> None:
    for name in "abc":
        cache.catalogue.put_listing(HOME, listing(name))
    cache = reopened(cache)
    found = cache.catalogue.listings(HOME)
    assert next(found) == listing("a")
    cache.catalogue.drop_listing(HOME, AlbumId("b"))
    cache.catalogue.put_listing(HOME, listing("c", 1))
    cache.writer.commit_now()
    assert list(found) == [listing("c", 1)]
    cache.close()


def test_a_flipped_bit_makes_one_listing_absent(cache: Cache) -> None:
    for name in "abc":
        cache.catalogue.put_listing(HOME, listing(name))
    cache.close()
    data = cache.environment.path / DATA_NAME
    content = data.read_bytes()
    assert b"etag b" in content
    data.write_bytes(content.replace(b"etag b", b"etag q"))
    cache = open_cache(cache.environment.path, QUOTA)
    assert list(cache.catalogue.listings(HOME)) == [listing("a"), listing("c")]
    assert cache.catalogue.listing(HOME, AlbumId("b")) is None
    cache.close()
