"""The provider contract, held by the scripted provider in both flavours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from iiiffs.model.gallery import AlbumId
from iiiffs.providers.base import Provider
from tests.contract.provider_contract import ProviderContract
from tests.harness.scripted import Flavour, Store, open_scripted


class TestScripted(ProviderContract):
    """As on Immich, other bytes are another asset."""

    flavour = Flavour.IMMICH
    replaces_in_place = False

    @pytest.fixture
    def provider(self, tmp_path: Path) -> Iterator[Provider]:
        self.ids: dict[str, str] = {}
        with Store(tmp_path / "server", self.flavour) as self.store:
            self.album = self.store.make_album("An album").id
            yield open_scripted(self.store, look=0.02)
            self.store.check()

    def album_id(self, provider: Provider) -> AlbumId:
        return self.album

    def add(self, name: str, content: bytes) -> None:
        self.ids[name] = self.store.put(name, content, self.album).id

    def replace(self, name: str, content: bytes) -> None:
        self.ids[name] = self.store.replace(self.ids[name], content).id

    def remove(self, name: str) -> None:
        self.store.trash(self.ids.pop(name))


class TestScriptedExternalLibrary(TestScripted):
    """Bytes that change under their id, and assets that are gone for good."""

    replaces_in_place = True

    def replace(self, name: str, content: bytes) -> None:
        self.store.edit_bytes(self.ids[name], content)

    def remove(self, name: str) -> None:
        self.store.purge(self.ids.pop(name))


class TestScriptedFolders(TestScripted):
    """Real names in folders."""

    flavour = Flavour.FOLDER
    replaces_in_place = True
