"""What every provider must do: the docstrings of providers.base.Provider, one test a sentence.

A provider's own test is a subclass of ProviderContract with the four hooks; see test_folder_provider.py.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from iiiffs.errors import AssetGone, VersionChanged
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import AlbumId, Asset, AssetId
from iiiffs.providers.base import Provider

URI_SAFE = re.compile(r"[A-Za-z0-9._~-]+")
FIRST = b"first content " * 5000
SECOND = b"second content!" * 6000


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """An async test, run by trio; the provider among its arguments is closed before the loop ends."""

    async def closing(*args: Any, **kwargs: Any) -> None:
        try:
            await test(*args, **kwargs)
        finally:
            for value in kwargs.values():
                if hasattr(value, "aclose"):
                    with trio.CancelScope(shield=True):
                        await value.aclose()

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        trio.run(functools.partial(closing, *args, **kwargs))

    return run


class ProviderContract:
    """Subclass as `Test…`, give the fixture `provider` (one empty album, open) and the four hooks."""

    replaces_in_place = True
    """False where other bytes are always another asset, so that an id has one version for ever."""

    def album_id(self, provider: Provider) -> AlbumId:
        """The id of the album that the other hooks change."""
        raise NotImplementedError

    def add(self, name: str, content: bytes) -> None:
        """The album has one more asset."""
        raise NotImplementedError

    def replace(self, name: str, content: bytes) -> None:
        """The asset has other bytes."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """The asset is not there any more."""
        raise NotImplementedError

    async def only_asset(self, provider: Provider) -> Asset:
        """The album's only asset."""
        (asset,) = (await provider.listing(self.album_id(provider))).assets
        return asset

    def test_capabilities_are_constant(self, provider: Provider) -> None:
        assert provider.capabilities == provider.capabilities
        assert provider.capabilities.fresh_s > 0

    @in_trio
    async def test_it_can_be_asked_again_and_again(self, provider: Provider) -> None:
        await provider.authenticate()
        await provider.authenticate()

    @in_trio
    async def test_the_root_is_an_album_without_parent(self, provider: Provider) -> None:
        if not provider.capabilities.folders:
            pytest.skip("has no folders")
        root = await provider.root()
        assert root.parent is None
        assert URI_SAFE.fullmatch(root.id)
        assert (await provider.album(root.id)).id == root.id

    @in_trio
    async def test_an_album_answers_for_its_own_id(self, provider: Provider) -> None:
        album = self.album_id(provider)
        assert (await provider.album(album)).id == album
        assert (await provider.listing(album)).album.id == album

    @in_trio
    async def test_what_never_was_is_gone(self, provider: Provider) -> None:
        with pytest.raises(AssetGone):
            await provider.album(AlbumId("no-such-album"))
        with pytest.raises(AssetGone):
            await provider.listing(AlbumId("no-such-album"))
        with pytest.raises(AssetGone):
            await provider.asset(AssetId("no-such-asset"))

    @in_trio
    async def test_an_album_is_no_asset_and_an_asset_no_album(self, provider: Provider) -> None:
        self.add("one.jpg", FIRST)
        asset = await self.only_asset(provider)
        with pytest.raises(AssetGone):
            await provider.asset(AssetId(self.album_id(provider)))
        with pytest.raises(AssetGone):
            await provider.listing(AlbumId(asset.id))

    @in_trio
    async def test_a_listing_holds_all_that_is_there(self, provider: Provider) -> None:
        for number in range(20):
            self.add(f"{number}.jpg", FIRST[:-2] + b"%02d" % number)  # equal bytes are one asset on some servers
        listing = await provider.listing(self.album_id(provider))
        assert sorted(asset.name for asset in listing.assets) == sorted(f"{number}.jpg" for number in range(20))
        assert len({asset.id for asset in listing.assets}) == 20
        for asset in listing.assets:
            assert URI_SAFE.fullmatch(asset.id)
            assert asset.album == listing.album.id
            assert asset.media_type == "image/jpeg"
            assert asset.size_bytes in (None, len(FIRST))

    @in_trio
    async def test_the_etag_changes_with_the_listing_and_only_then(self, provider: Provider) -> None:
        album = self.album_id(provider)
        listings = [await provider.listing(album)]
        changes: tuple[Callable[[], None], ...] = (
            lambda: self.add("one.jpg", FIRST),
            lambda: self.replace("one.jpg", SECOND),
            lambda: self.add("two.jpg", FIRST),
            lambda: self.remove("one.jpg"),
        )
        for change in changes:
            change()
            listings.append(await provider.listing(album))
            assert await provider.listing(album) == listings[-1]
        assert len({listing.etag for listing in listings}) == len(listings)

    @in_trio
    async def test_an_asset_is_what_its_listing_says(self, provider: Provider) -> None:
        self.add("one.jpg", FIRST)
        asset = await self.only_asset(provider)
        assert await provider.asset(asset.id) == asset

    @in_trio
    async def test_a_removed_asset_is_gone(self, provider: Provider) -> None:
        self.add("one.jpg", FIRST)
        asset = await self.only_asset(provider)
        self.remove("one.jpg")
        with pytest.raises(AssetGone):
            await provider.asset(asset.id)
        with pytest.raises(AssetGone):
            await provider.open(asset)
        with pytest.raises(AssetGone):
            await provider.facts(asset)
        assert (await provider.listing(self.album_id(provider))).assets == ()

    @in_trio
    async def test_versions_keep_the_id_and_are_a_second_apart(self, provider: Provider) -> None:
        if not self.replaces_in_place:
            pytest.skip("other bytes are another asset")
        self.add("one.jpg", FIRST)
        versions = [await self.only_asset(provider)]
        assert versions[0].changed_ns >= versions[0].mtime_ns
        for number in range(5):
            self.replace("one.jpg", SECOND[number:])
            versions.append(await provider.asset(versions[0].id))
            assert await self.only_asset(provider) == versions[-1]
        assert len({asset.id for asset in versions}) == 1
        assert len({asset.version for asset in versions}) == len(versions)
        for index, one in enumerate(versions):
            for other in versions[:index]:
                assert abs(one.mtime_ns - other.mtime_ns) >= 1_000_000_000
                assert one.changed_ns >= other.changed_ns + 1_000_000_000

    @in_trio
    async def test_an_old_version_is_neither_opened_nor_described(self, provider: Provider) -> None:
        if not self.replaces_in_place:
            pytest.skip("other bytes are another asset")
        self.add("one.jpg", FIRST)
        old = await self.only_asset(provider)
        self.replace("one.jpg", SECOND)
        with pytest.raises(VersionChanged):
            await provider.open(old)
        with pytest.raises(VersionChanged):
            await provider.facts(old)

    @in_trio
    async def test_facts_of_no_picture_are_no_error(self, provider: Provider) -> None:
        self.add("one.jpg", FIRST)
        facts = await provider.facts(await self.only_asset(provider))
        assert facts.extent is None
        assert facts.error

    @in_trio
    async def test_reads_are_exact_and_cut_only_at_the_end(self, provider: Provider) -> None:
        self.add("one.jpg", FIRST)
        original = await provider.open(await self.only_asset(provider))
        size = original.size_bytes
        assert size == len(FIRST)
        for offset, length in [(0, 10), (3, size), (size - 1, 1), (size - 1, 10), (size, 1), (size + 9, 9), (0, 0)]:
            assert await original.read(offset, length) == FIRST[offset : offset + length]
        await original.aclose()
        await original.aclose()

    @in_trio
    async def test_a_stream_is_blocking_and_seekable(self, provider: Provider) -> None:
        self.add("one.jpg", FIRST)
        original = await provider.open(await self.only_asset(provider))

        def read() -> tuple[bytes, bytes, bytes, int]:
            with original.stream() as one, original.stream() as other:
                one.seek(-7, 2)
                return one.read(), other.read(11), other.read(), other.tell()

        assert await trio.to_thread.run_sync(read) == (FIRST[-7:], FIRST[:11], FIRST[11:], len(FIRST))
        await original.aclose()

    @in_trio
    async def test_a_prepared_original_streams_all_of_it(self, provider: Provider) -> None:
        self.add("one.jpg", FIRST)
        original = await provider.open(await self.only_asset(provider))
        await original.prepare()
        await original.prepare()

        def read() -> bytes:
            with original.stream() as stream:
                return stream.read()

        assert await trio.to_thread.run_sync(read) == FIRST
        await original.aclose()

    @in_trio
    async def test_an_open_original_never_mixes_versions(self, provider: Provider) -> None:
        self.add("one.jpg", FIRST)
        original = await provider.open(await self.only_asset(provider))
        assert await original.read(0, 100) == FIRST[:100]
        self.replace("one.jpg", SECOND)
        try:
            assert await original.read(100, 70_000) == FIRST[100:70_000]
        except (VersionChanged, AssetGone):
            pass
        finally:
            await original.aclose()

    @in_trio
    async def test_every_change_is_reported_while_it_watches(self, provider: Provider) -> None:
        if not provider.capabilities.watches:
            pytest.skip("does not watch")
        album = self.album_id(provider)
        await provider.listing(album)
        sender, reports = trio.open_memory_channel[Changeset](1000)
        changes: tuple[Callable[[], None], ...] = (
            lambda: self.add("one.jpg", FIRST),
            lambda: self.replace("one.jpg", SECOND),
            lambda: self.remove("one.jpg"),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(functools.partial(provider.watch, sender.send_nowait))
            for change in changes:
                etag = (await provider.listing(album)).etag
                change()
                with trio.fail_after(30):
                    async for reported in reports:  # those of the change before may come late
                        if reported.everything or album in reported.albums:
                            seen = (await provider.listing(album)).etag
                            if seen != etag:
                                break
            nursery.cancel_scope.cancel()

    @in_trio
    async def test_it_watches_again_after_it_was_stopped(self, provider: Provider) -> None:
        if not provider.capabilities.watches:
            pytest.skip("does not watch")
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                await nursery.start(functools.partial(provider.watch, lambda _: None))
                nursery.cancel_scope.cancel()

    @in_trio
    async def test_it_closes(self, provider: Provider) -> None:
        await provider.listing(self.album_id(provider))
        await provider.aclose()
