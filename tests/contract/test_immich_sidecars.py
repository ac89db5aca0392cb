"""Sidecars at Immich: they go with the upload of their photo, or what they say is told of it (immich.md §4, §5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from iiiffs.errors import AssetGone, Forbidden, Rejected
from iiiffs.model.description import Description
from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.providers.immich.writing import WritableImmichProvider
from tests.contract.provider_contract import in_trio
from tests.contract.test_immich_replacing import picture
from tests.contract.test_immich_writing_facts import UNKNOWN, Spool, id_of, sent
from tests.fakes.immich import ImmichServer, immich
from tests.fakes.immich.records import Asset
from tests.harness.immich_account import account_of, stored
from tests.unit.render.metadata.described_files import alternatives, array, xmp

TOLD = xmp(
    alternatives("dc:description", x_default="At the quay") + array("dc:subject", "Bag", "sea", "boats"),
    'xmp:Rating="4" exif:DateTimeOriginal="2020-02-03T04:05:06+02:00" exif:GPSLatitude="52,31.2N" '
    'exif:GPSLongitude="13,24.6E"',
)
SAID = Description(
    summary=(("", "At the quay"),), rating=4, captured="2020-02-03T04:05:06+02:00", position=(52.52, 13.41)
)
TAGS = ("sea", "boats")


@pytest.fixture
def spool(tmp_path: Any) -> Spool:
    return Spool(tmp_path)


@pytest.fixture(params=["3.1.0", "2.7.5"])
def server(request: pytest.FixtureRequest) -> Iterator[ImmichServer]:
    with immich(request.param) as server:
        yield server


@pytest.fixture
def account(server: ImmichServer) -> WritableImmichProvider:
    return account_of(server)


def said_of(server: ImmichServer, asset: Asset) -> dict[str, object]:
    """What the server knows of it."""
    place = asset.place
    return {
        "description": asset.description,
        "rating": asset.rating,
        "taken_s": asset.taken // 1_000_000,
        "ahead_min": asset.zone,
        "place": None if place is None else (round(place.latitude, 3), round(place.longitude, 3)),
        "tags": {server.tags[id].value for id in asset.tags},
    }


ALL = {
    "description": "At the quay",
    "rating": 4,
    "taken_s": 1580695506,
    "ahead_min": 120,
    "place": (52.52, 13.41),
    "tags": {"sea", "boats"},
}


@in_trio
async def test_it_goes_along_with_an_upload_and_is_read(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    album = server.add_album("A")
    payload = replace(spool(picture(1)), sidecar=TOLD)
    asset, is_its = await account.upload_with_sidecar(id_of(album), "Zürich.jpg", payload)
    (record,) = server.assets.values()
    assert is_its and asset.id == record.id and record.sidecar == TOLD
    assert (record.name, asset.name, record.original.read()) == ("Zürich.jpg", "Zürich.jpg", picture(1))
    server.release_jobs()
    assert said_of(server, record) == ALL


@in_trio
async def test_equal_bytes_have_their_sidecar_already_and_nothing_is_said_of_them(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    album = server.add_album("A")
    there = server.add_asset("a.jpg", data=picture(1))
    payload = replace(spool(picture(1)), sidecar=TOLD)
    asset, is_its = await account.upload_with_sidecar(id_of(album), "b.jpg", payload)
    assert (asset.id, is_its, there.sidecar, there.rating) == (there.id, False, None, None)


@in_trio
async def test_what_it_says_is_told_of_a_photo_that_is_there_once(
    server: ImmichServer, account: WritableImmichProvider
) -> None:
    there = server.add_asset("a.jpg", data=picture(1))
    for _ in range(2):
        await account.describe(AssetId(there.id), SAID, TAGS)
        server.release_jobs()
        assert said_of(server, there) == ALL
    assert len(sent(server, "PUT", f"/assets/{there.id}")) == 1
    assert len(sent(server, "PUT", "/tags")) == len(sent(server, "PUT", "/tags/assets")) == 1


@in_trio
async def test_of_what_it_does_not_speak_stays(server: ImmichServer, account: WritableImmichProvider) -> None:
    there = server.add_asset("a.jpg", data=picture(1))
    await account.describe(AssetId(there.id), SAID, TAGS)
    server.release_jobs()
    await account.describe(AssetId(there.id), Description(rating=0), ())
    await account.describe(AssetId(there.id), Description(rating=2), ("Trips/2024",))
    server.release_jobs()
    assert said_of(server, there) == ALL | {"rating": 2, "tags": {"sea", "boats", "Trips/2024"}}


@in_trio
async def test_a_wall_clock_without_a_zone_is_that_of_the_photo(
    server: ImmichServer, account: WritableImmichProvider
) -> None:
    there = server.add_asset("a.jpg", data=picture(1))
    await account.describe(AssetId(there.id), SAID, ())
    server.release_jobs()
    await account.describe(AssetId(there.id), Description(captured="2021-02-03T04:05:06"), ())
    server.release_jobs()
    found = said_of(server, there)
    assert (found["taken_s"], found["ahead_min"]) == (1612317906, 120)


@in_trio
async def test_what_is_not_there_or_not_ones_own(server: ImmichServer, account: WritableImmichProvider) -> None:
    with pytest.raises(AssetGone):
        await account.describe(UNKNOWN, SAID, TAGS)
    bob = server.add_user("Bob")
    theirs = server.add_asset("theirs.jpg", data=picture(2), owner=bob.id)
    server.share(server.add_album("B", [theirs], owner=bob), server.owner, "editor")
    with pytest.raises(Forbidden):
        await account.describe(AssetId(theirs.id), SAID, TAGS)


@pytest.mark.parametrize("lacking", ["asset.update", "tag.create"])
@in_trio
async def test_a_key_that_may_not_say_all_of_it_says_nothing(server: ImmichServer, lacking: str) -> None:
    held = {"album.read", "asset.read", "asset.view", "asset.download", "user.read", "asset.update", "tag.create"}
    key = server.add_key(permissions=sorted({*held, "tag.asset"} - {lacking}))
    account = account_of(server, stored(key.secret))
    there = server.add_asset("a.jpg", data=picture(1))
    try:
        await account.authenticate()
        with pytest.raises(Rejected, match=f"lacks {lacking}: telling what a sidecar says"):
            await account.describe(AssetId(there.id), SAID, TAGS)
    finally:
        await account.aclose()
    server.release_jobs()
    assert (there.description, there.tags) == ("", frozenset())


@in_trio
async def test_a_replacement_takes_it_along(
    server: ImmichServer, account: WritableImmichProvider, spool: Spool
) -> None:
    album = server.add_album("A")
    payload = replace(spool(picture(1)), sidecar=TOLD)
    asset, _ = await account.upload_with_sidecar(id_of(album), "a.jpg", payload)
    server.release_jobs()
    done = await account.replace(asset, spool(picture(2), "local-2"))
    new = server.assets[done.asset.id]
    assert new.id != asset.id and new.sidecar is not None
    server.release_jobs()
    assert said_of(server, new) == ALL and AlbumId(album.id) == done.asset.album
