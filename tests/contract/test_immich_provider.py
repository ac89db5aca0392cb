"""The provider contract, held by Immich: uploads, which never change, and external libraries, whose files may.

With IIIFFS_TEST_IMMICH_URL and IIIFFS_TEST_IMMICH_KEY (a key with all permissions) it is held by a real server too: an
album of its own, whose assets are deleted for good afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.providers.base import Provider, ProviderContext
from iiiffs.providers.immich import open_provider
from iiiffs.render.headers import read_facts
from tests.contract.provider_contract import ProviderContract
from tests.fakes.certificates import NO_TLS
from tests.fakes.immich import immich
from tests.fakes.immich.originals import Original
from tests.fakes.immich.records import Asset
from tests.harness.immich_account import NoLedger, context_of, stored


class TestImmich(ProviderContract):
    replaces_in_place = False

    @pytest.fixture(params=["3.1.0", "2.7.5"])
    def provider(self, request: pytest.FixtureRequest) -> Iterator[Provider]:
        with immich(request.param) as self.server:
            self.album = self.server.add_album("An album")
            self.assets: dict[str, Asset] = {}
            yield open_provider(context_of(self.server))

    def album_id(self, provider: Provider) -> AlbumId:
        return AlbumId(self.album.id)

    def add(self, name: str, content: bytes) -> None:
        self.assets[name] = self.server.add_asset(name, data=content, album=self.album)

    def replace(self, name: str, content: bytes) -> None:
        self.remove(name)
        self.add(name, content)

    def remove(self, name: str) -> None:
        self.server.trash(self.assets.pop(name))


class TestImmichPurged(TestImmich):
    def remove(self, name: str) -> None:
        self.server.purge(self.assets.pop(name))


class TestImmichExternalLibrary(TestImmich):
    """Files on the server's own disk: their checksum is that of the path, and they may change."""

    replaces_in_place = True

    def add(self, name: str, content: bytes) -> None:
        self.assets[name] = self.server.add_asset(
            name, data=content, album=self.album, library="9f6c2f3e-0f6b-4c8e-8a55-1a7f2d1c3b4e", path=f"/mnt/{name}"
        )

    def replace(self, name: str, content: bytes) -> None:
        asset = self.assets[name]
        original = Original(path=self.server.keep(content))
        self.server.edit(asset, original=original, size=len(content), modified=asset.modified + 2_000_000)


class UploadedOverTheApi(ProviderContract):
    """The hooks as calls of the API, so that they work on any server. Subclasses give `servers`."""

    replaces_in_place = False
    poll_s = 0.02

    @pytest.fixture
    def provider(self, server: tuple[str, str]) -> Iterator[Provider]:
        url, key = server
        self.ids: dict[str, str] = {}
        self.made: set[str] = set()
        settings = {"url": url, "poll": self.poll_s}
        verify = NO_TLS if url.startswith("http:") else True
        with httpx.Client(base_url=f"{url}/api", headers={"x-api-key": key}, timeout=30, verify=verify) as self.client:
            self.album = self.call("POST", "/albums", json={"albumName": "iiiffs contract"})["id"]
            yield open_provider(ProviderContext(AccountName("home"), settings, NoLedger(), read_facts, stored(key)))
            self.call("DELETE", f"/albums/{self.album}")
            if self.made:
                self.call("DELETE", "/assets", json={"ids": sorted(self.made), "force": True})

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = self.client.request(method, path, **body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def album_id(self, provider: Provider) -> AlbumId:
        return AlbumId(self.album)

    def add(self, name: str, content: bytes) -> None:
        now = "2024-05-01T10:00:00.000Z"
        form = {"deviceAssetId": name, "deviceId": "iiiffs", "fileCreatedAt": now, "fileModifiedAt": now}
        sent = self.call("POST", "/assets", data=form, files={"assetData": (name, content)})
        if sent["status"] == "duplicate":  # of one that a test has trashed
            self.call("POST", "/trash/restore/assets", json={"ids": [sent["id"]]})
        self.ids[name] = sent["id"]
        self.made.add(sent["id"])
        self.call("PUT", f"/albums/{self.album}/assets", json={"ids": [sent["id"]]})

    def replace(self, name: str, content: bytes) -> None:
        self.remove(name)
        self.add(name, content)

    def remove(self, name: str) -> None:
        self.call("DELETE", "/assets", json={"ids": [self.ids.pop(name)]})


class TestImmichOverTheApi(UploadedOverTheApi):
    @pytest.fixture(params=["3.1.0", "2.7.5"])
    def server(self, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
        with immich(request.param) as server:
            yield server.url, server.key


class TestRealImmich(UploadedOverTheApi):
    poll_s = 0.2

    @pytest.fixture
    def server(self) -> tuple[str, str]:
        url, key = os.environ.get("IIIFFS_TEST_IMMICH_URL"), os.environ.get("IIIFFS_TEST_IMMICH_KEY")
        if not url or not key:
            pytest.skip("IIIFFS_TEST_IMMICH_URL and IIIFFS_TEST_IMMICH_KEY name no server")
        return url.rstrip("/").removesuffix("/api"), key
