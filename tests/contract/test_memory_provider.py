"""The provider contract, held by the in-memory provider that other tests trust."""

from __future__ import annotations

import pytest

from iiiffs.model.gallery import AlbumId
from iiiffs.providers.base import Provider
from tests.contract.provider_contract import ProviderContract
from tests.harness.memory import ROOT, MemoryProvider


class TestMemory(ProviderContract):
    @pytest.fixture
    def provider(self) -> Provider:
        self.memory = MemoryProvider()
        return self.memory

    def album_id(self, provider: Provider) -> AlbumId:
        return ROOT

    def add(self, name: str, content: bytes) -> None:
        self.memory.put(f"id-{name}", name, content)

    def replace(self, name: str, content: bytes) -> None:
        self.memory.put(f"id-{name}", name, content)

    def remove(self, name: str) -> None:
        self.memory.remove(f"id-{name}")
