"""The provider contract, held by a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.providers.base import Provider, ProviderContext
from iiiffs.providers.registry import open_provider
from iiiffs.render.headers import read_facts
from iiiffs.state import State
from iiiffs.sync.identity import new_id
from tests.contract.provider_contract import ProviderContract


class TestFolder(ProviderContract):
    @pytest.fixture
    def provider(self, tmp_path: Path) -> Iterator[Provider]:
        self.root = tmp_path / "pictures"
        self.root.mkdir()
        state = State.open(tmp_path / "state")
        account = AccountName("pictures")
        yield open_provider(
            "folder", ProviderContext(account, {"path": str(self.root)}, state.ledger(account), read_facts)
        )
        state.close()

    def album_id(self, provider: Provider) -> AlbumId:
        return AlbumId(new_id("pictures", b"", is_folder=True, taken=lambda _: False))

    def add(self, name: str, content: bytes) -> None:
        (self.root / name).write_bytes(content)

    def replace(self, name: str, content: bytes) -> None:
        self.add("temp", content)
        (self.root / "temp").replace(self.root / name)

    def remove(self, name: str) -> None:
        (self.root / name).unlink()


class TestFolderWrittenInPlace(TestFolder):
    def replace(self, name: str, content: bytes) -> None:
        (self.root / name).write_bytes(content)
