"""The contract of writing, held by the scripted provider in both flavours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from iiiffs.model.gallery import Album, AlbumId
from iiiffs.providers.base import Provider
from tests.contract.writing_contract import NEWER, OURS, THEIRS, WritingContract, sha1
from tests.harness.scripted import Flavour, Store, WritableProvider, open_scripted
from tests.harness.scripted.folders import NAME_BYTES_MAX


class TestScriptedWriting(WritingContract):
    """As on Immich: albums are sets, and equal bytes are one asset."""

    flavour = Flavour.IMMICH
    takes_empty = False
    replaces_in_place = False

    @pytest.fixture
    def provider(self, tmp_path: Path) -> Iterator[Provider]:
        with Store(tmp_path / "server", self.flavour) as self.store:
            self.album = self.store.make_album("An album").id
            yield open_scripted(self.store, look=0.02)
            self.store.check()

    def album_id(self, provider: Provider) -> AlbumId:
        return self.album

    def parent_id(self, provider: Provider) -> AlbumId:
        return AlbumId("albums")

    async def albums(self, provider: Provider) -> list[Album]:
        assert isinstance(provider, WritableProvider)
        return list(await provider.albums())

    def add(self, name: str, content: bytes) -> None:
        self.store.put(name, content, self.album)

    def replace(self, name: str, content: bytes) -> None:
        (asset,) = self.store.named(name)
        self.store.replace(asset.id, content)

    def trashed(self) -> list[bytes]:
        return [self.store.bytes_of(asset.id) for asset in self.store.trashed()]


class TestScriptedFoldersWriting(TestScriptedWriting):
    """Real names in folders; earlier versions are kept beside the present one."""

    flavour = Flavour.FOLDER
    takes_empty = True
    replaces_in_place = True
    name_bytes_max = NAME_BYTES_MAX

    def trashed(self) -> list[bytes]:
        known = {sha1(content): content for content in (OURS, THEIRS, NEWER)}
        before = [known[digest] for asset in self.store.assets() for digest in self.store.versions_of(asset.id)]
        return [*super().trashed(), *before]

    def parent_id(self, provider: Provider) -> AlbumId:
        return self.album

    async def albums(self, provider: Provider) -> list[Album]:
        return list((await provider.listing(self.album)).albums)
