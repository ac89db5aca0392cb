"""The contract of writing, held by a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.providers.base import Provider, ProviderContext
from iiiffs.providers.registry import open_provider
from iiiffs.render.headers import read_facts
from iiiffs.state import State
from iiiffs.sync.identity import new_id
from tests.contract.writing_contract import NAMES, WritingContract


class TestFolderWriting(WritingContract):
    names = (*NAMES.values(), os.fsdecode(b"not \xff UTF-8.jpg"))

    @pytest.fixture
    def provider(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
        self.root = tmp_path / "pictures"
        self.root.mkdir()
        self.trash = tmp_path / "home" / "Trash"
        monkeypatch.setenv("XDG_DATA_HOME", str(self.trash.parent))
        state = State.open(tmp_path / "state")
        account = AccountName("pictures")
        yield open_provider(
            "folder", ProviderContext(account, {"path": str(self.root)}, state.ledger(account), read_facts)
        )
        state.close()

    def album_id(self, provider: Provider) -> AlbumId:
        return AlbumId(new_id("pictures", b"", is_folder=True, taken=lambda _: False))

    def parent_id(self, provider: Provider) -> AlbumId:
        return self.album_id(provider)

    def add(self, name: str, content: bytes) -> None:
        (self.root / name).write_bytes(content)

    def replace(self, name: str, content: bytes) -> None:
        (self.root / ".temp").write_bytes(content)
        (self.root / ".temp").replace(self.root / name)

    def trashed(self) -> list[bytes]:
        files, info = self.trash / "files", self.trash / "info"
        if not self.trash.exists():
            return []
        assert {f"{path.name}.trashinfo" for path in files.iterdir()} == {path.name for path in info.iterdir()}
        return [path.read_bytes() for path in sorted(files.iterdir())]

    def litter(self) -> list[str]:
        return [path.name for path in self.root.rglob(".iiiffs-*")]


class TestFolderWritingInPlace(TestFolderWriting):
    """Other programs write into the files themselves."""

    def replace(self, name: str, content: bytes) -> None:
        (self.root / name).write_bytes(content)
