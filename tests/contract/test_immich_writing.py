"""The contract of writing, held by Immich in both dialects.

With IIIFFS_TEST_IMMICH_URL and IIIFFS_TEST_IMMICH_KEY (a key with all permissions) it is held by a real server too, in
albums and with assets of its own, which are deleted for good afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from iiiffs.errors import Rejected
from iiiffs.model.gallery import Album, AlbumId
from iiiffs.model.writing import Edit
from iiiffs.providers.base import Provider
from iiiffs.providers.immich.writing import WritableImmichProvider
from iiiffs.providers.views import ALBUMS
from tests.contract.provider_contract import in_trio
from tests.contract.writing_contract import MTIME_NS, OURS, SECOND_NS, WritingContract
from tests.fakes.immich import immich
from tests.harness.immich_account import account_of


class TestImmichWriting(WritingContract):
    takes_empty = False
    mtime_step_ns = 1_000_000
    replaces_in_place = False

    @pytest.fixture(params=["3.1.0", "2.7.5"])
    def provider(self, request: pytest.FixtureRequest) -> Iterator[Provider]:
        with immich(request.param) as self.server:
            self.album = self.server.add_album("An album")
            yield account_of(self.server)

    def album_id(self, provider: Provider) -> AlbumId:
        return AlbumId(self.album.id)

    def parent_id(self, provider: Provider) -> AlbumId:
        return ALBUMS

    async def albums(self, provider: Provider) -> list[Album]:
        assert isinstance(provider, WritableImmichProvider)
        return list(await provider.albums())

    def add(self, name: str, content: bytes) -> None:
        self.server.add_asset(name, data=content, album=self.album)

    def trashed(self) -> list[bytes]:
        found = [asset for asset in self.server.assets.values() if asset.trashed]
        return [asset.original.path.read_bytes() for asset in found if asset.original.path is not None]

    @in_trio
    async def test_a_date_is_kept(self, provider: Provider) -> None:
        """Immich keeps two: what is changed is when it was taken; the file's own time, which is shown, stays."""
        half, _ = self.writing(provider)
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        for _ in range(2):
            edited = await half.edit(asset.id, Edit(mtime_ns=MTIME_NS + 3600 * SECOND_NS))
            assert (edited.id, edited.version, edited.mtime_ns) == (asset.id, asset.version, asset.mtime_ns)
        (record,) = self.server.assets.values()
        assert record.taken * 1000 == MTIME_NS + 3600 * SECOND_NS

    @in_trio
    async def test_what_can_be_done_in_folders_alone_is_rejected(self, provider: Provider) -> None:
        half, _ = self.writing(provider)
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        for verb in (half.move, half.link):
            with pytest.raises(Rejected, match="no folders"):
                await verb(asset, self.album_id(provider), "other.jpg")
        for make in (half.make_album, half.rename_album):
            with pytest.raises(Rejected, match="no albums in albums"):
                await make(self.album_id(provider), self.album_id(provider), "Inner")
