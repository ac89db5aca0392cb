"""The contract of writing, held by Immich in both dialects.

With IIIFFS_TEST_IMMICH_URL and IIIFFS_TEST_IMMICH_KEY (a key with all permissions) it is held by a real server too, in
albums and with assets of its own, which are deleted for good afterwards.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from iiiffs.errors import Rejected
from iiiffs.model.gallery import AccountName, Album, AlbumId
from iiiffs.model.writing import Edit, Payload
from iiiffs.providers.base import Provider, ProviderContext
from iiiffs.providers.immich import provider_of
from iiiffs.providers.immich.writing import WritableImmichProvider
from iiiffs.providers.views import ALBUMS
from iiiffs.render.headers import read_facts
from tests.contract.provider_contract import in_trio
from tests.contract.writing_contract import MTIME_NS, OURS, SECOND_NS, WritingContract, sha1
from tests.fakes.certificates import NO_TLS
from tests.fakes.immich import immich
from tests.harness.immich_account import NoLedger, account_of, stored


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


class WritingOverTheApi(WritingContract):
    """The hooks as calls of the API, so that they work on any server. Subclasses give `server`: url and key."""

    takes_empty = False
    mtime_step_ns = 1_000_000
    replaces_in_place = False

    @pytest.fixture
    def provider(self, server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
        url, key = server
        self.sums: set[bytes] = set()
        self.made: list[str] = []
        verify = NO_TLS if url.startswith("http:") else True
        settings = {"url": url, "poll": 0.2}
        with httpx.Client(base_url=f"{url}/api", headers={"x-api-key": key}, timeout=30, verify=verify) as self.client:
            self.made.append(self.call("POST", "/albums", json={"albumName": "iiiffs contract"})["id"])
            provider = provider_of(ProviderContext(AccountName("home"), settings, NoLedger(), read_facts, stored(key)))
            make = provider.make_album

            async def making(*args: Any) -> Album:
                made = await make(*args)
                self.made.append(made.id)
                return made

            monkeypatch.setattr(provider, "make_album", making)
            yield provider
            for album in dict.fromkeys(self.made):
                self.client.delete(f"/albums/{album}")
            if ids := [asset["id"] for asset in self.own()]:
                self.call("DELETE", "/assets", json={"ids": ids, "force": True})

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = self.client.request(method, path, **body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def own(self) -> list[Any]:
        """What these tests made, in the trash or not."""
        found: dict[str, Any] = {}
        for each in self.sums:
            asked = {"checksum": base64.b64encode(each).decode(), "withDeleted": True}
            for asset in self.call("POST", "/search/metadata", json=asked)["assets"]["items"]:
                found[asset["id"]] = asset
        return list(found.values())

    def payload(self, content: bytes, token: str = "local-1", earlier: Sequence[bytes] = ()) -> Payload:
        self.sums.add(sha1(content))
        return super().payload(content, token, earlier)

    def album_id(self, provider: Provider) -> AlbumId:
        return AlbumId(self.made[0])

    def parent_id(self, provider: Provider) -> AlbumId:
        return ALBUMS

    async def albums(self, provider: Provider) -> list[Album]:
        assert isinstance(provider, WritableImmichProvider)
        return list(await provider.albums())

    def add(self, name: str, content: bytes) -> None:
        self.sums.add(sha1(content))
        now = "2024-05-01T10:00:00.000Z"
        form = {"deviceAssetId": name, "deviceId": "other", "fileCreatedAt": now, "fileModifiedAt": now}
        sent = self.call("POST", "/assets", data=form, files={"assetData": (name, content)})
        self.call("PUT", f"/albums/{self.made[0]}/assets", json={"ids": [sent["id"]]})

    def trashed(self) -> list[bytes]:
        return [
            self.client.get(f"/assets/{asset['id']}/original").content for asset in self.own() if asset["isTrashed"]
        ]

    @in_trio
    async def test_a_date_is_kept(self, provider: Provider) -> None:
        """Rule: TestImmichWriting."""
        half, _ = self.writing(provider)
        asset = await half.upload(self.album_id(provider), "new.jpg", self.payload(OURS))
        for _ in range(2):
            edited = await half.edit(asset.id, Edit(mtime_ns=MTIME_NS + 3600 * SECOND_NS))
            assert (edited.id, edited.version, edited.mtime_ns) == (asset.id, asset.version, asset.mtime_ns)


class TestRealImmichWriting(WritingOverTheApi):
    @pytest.fixture
    def server(self) -> tuple[str, str]:
        url, key = os.environ.get("IIIFFS_TEST_IMMICH_URL"), os.environ.get("IIIFFS_TEST_IMMICH_KEY")
        if not url or not key:
            pytest.skip("IIIFFS_TEST_IMMICH_URL and IIIFFS_TEST_IMMICH_KEY name no server")
        return url.rstrip("/").removesuffix("/api"), key
