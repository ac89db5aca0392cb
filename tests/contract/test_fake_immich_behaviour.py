"""What the fake Immich does, fact by fact: a client that is right here is right about the traps that were recorded."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.fakes import faults
from tests.fakes.certificates import NO_TLS
from tests.fakes.immich import ImmichServer, client_context, immich
from tests.fakes.immich.faults import inconsistent_page, internal_error, no_thumbnail_yet, recorded
from tests.fakes.immich.records import Camera, Place

BOTH = pytest.mark.parametrize("version", ["3.1.0", "2.7.5"])
ROOT = Path(__file__).parents[2]
UNKNOWN = "00000000-0000-4000-8000-000000000000"
UPLOAD = {"fileCreatedAt": "2020-01-01T00:00:00.000Z", "fileModifiedAt": "2020-01-01T00:00:00.000Z"}
DEVICE = {"deviceAssetId": "x", "deviceId": "iiiffs"}


@contextmanager
def client_of(server: ImmichServer, key: str | None = None) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{server.url}/api", headers={"x-api-key": key or server.key}, timeout=20, verify=NO_TLS
    ) as client:
        yield client


def jpeg(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (48, 32), (seed % 256, 90, 200)).save(buffer, "JPEG")
    return buffer.getvalue() + str(seed).encode()


def search(client: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    """All pages."""
    items: list[dict[str, Any]] = []
    page: str | None = "1"
    while page:
        answer = client.post("/search/metadata", json={**body, "page": int(page)}).json()["assets"]
        items += answer["items"]
        page = answer["nextPage"]
    return items


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["originalFileName"] for item in items]


def ids(results: list[dict[str, Any]]) -> list[tuple[bool, str | None]]:
    return [(result["success"], result.get("error")) for result in results]


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.get("/nowhere"),
        lambda client: client.put(f"/albums/{UNKNOWN}", json={"ids": [UNKNOWN]}),
        lambda client: client.get("/albums", params={"shared": "true"}),
        lambda client: client.get("/assets/zzz"),
        lambda client: client.post("/search/metadata", json={"filter": {}}),
        lambda client: client.post("/search/metadata", json={"size": 1001}),
        lambda client: client.post("/albums", json={}),
        lambda client: client.post("/albums", content=b"{"),
        lambda client: client.post("/albums", content=b"{}", headers={"content-type": "text/plain"}),
        lambda client: client.post("/assets", data={"filename": "x"}, files={"assetData": ("a.jpg", b"x")}),
        lambda client: client.get("/memories"),
    ],
)
def test_what_is_not_in_the_document_fails_the_test(ask: Callable[[httpx.Client], httpx.Response]) -> None:
    with pytest.raises(AssertionError, match="outside the document"), immich() as server, client_of(server) as client:
        assert ask(client).status_code == 500


def test_an_answer_that_is_not_in_the_document_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="the fake's answer"), immich() as server, client_of(server) as client:
        asset = server.add_asset()
        server.edit(asset, rating=17)
        client.get(f"/assets/{asset.id}")


def test_a_lenient_fake_answers_as_the_server_does() -> None:
    with immich(strict=False) as server, client_of(server) as client:
        server.add_assets(3)
        assert len(search(client, filter={"albumIds": {"any": [UNKNOWN]}})) == 3
        assert client.get("/nowhere").json() == {"message": "Cannot GET /api/nowhere"}


@BOTH
def test_processing_that_finishes_later(version: str) -> None:
    with immich(version) as server, client_of(server) as client:
        server.hold_jobs()
        form = UPLOAD | (DEVICE if version == "2.7.5" else {})
        id = client.post("/assets", data=form, files={"assetData": ("a.jpg", jpeg())}).json()["id"]
        before = client.get(f"/assets/{id}").json()
        assert (before["width"], before["thumbhash"]) == (None, None)
        assert before["exifInfo"]["fileSizeInByte"] == len(jpeg())
        assert client.get(f"/assets/{id}/thumbnail").status_code == 404
        server.release_jobs()
        after = client.get(f"/assets/{id}").json()
        assert (after["width"], after["height"]) == (48, 32)
        assert after["updatedAt"] > before["updatedAt"]
        assert client.get(f"/assets/{id}/thumbnail").headers["content-type"] == "image/webp"


@BOTH
def test_sizes_of_previews_are_of_the_short_side(version: str) -> None:
    with immich(version) as server, client_of(server) as client:
        large = server.add_asset(size_px=(3000, 2000))
        small = server.add_asset(size_px=(300, 200))
        turned = server.add_asset(size_px=(1000, 1600), orientation="6")
        server.settings.preview_side = 720

        def size(id: str, name: str) -> tuple[int, int]:
            return Image.open(io.BytesIO(client.get(f"/assets/{id}/thumbnail", params={"size": name}).content)).size

        assert (size(large.id, "thumbnail"), size(large.id, "preview")) == ((375, 250), (1080, 720))
        assert size(small.id, "preview") == (300, 200)
        assert size(turned.id, "preview") == (720, 1152)
        told = client.get(f"/assets/{turned.id}").json()
        assert (told["width"], told["height"]) == (1000, 1600)
        assert (told["exifInfo"]["exifImageWidth"], told["exifInfo"]["orientation"]) == (1600, "6")
        original = Image.open(io.BytesIO(client.get(f"/assets/{turned.id}/original").content))
        assert original.size == (1600, 1000)


def test_fullsize_is_a_redirect_or_a_file_as_the_admin_chose() -> None:
    with immich() as server, client_of(server) as client:
        raw, web = server.add_asset("a.dng", size_px=(90, 60)), server.add_asset("a.jpg")

        def fullsize(id: str) -> httpx.Response:
            return client.get(f"/assets/{id}/thumbnail", params={"size": "fullsize"})

        assert fullsize(web.id).headers["location"] == "original?"
        assert fullsize(raw.id).headers["location"] == f"/api/assets/{raw.id}/thumbnail?size=preview"
        server.settings.fullsize_enabled = True
        assert Image.open(io.BytesIO(fullsize(raw.id).content)).size == (90, 60)


@pytest.mark.parametrize(("version", "status"), [("3.1.0", 404), ("2.7.5", 500)])
def test_a_range_beyond_the_end_is_never_416(version: str, status: int) -> None:
    with immich(version) as server, client_of(server) as client:
        asset = server.add_asset()
        answer = client.get(f"/assets/{asset.id}/original", headers={"range": f"bytes={asset.size}-"})
        assert (answer.status_code, answer.headers["content-range"]) == (status, f"bytes */{asset.size}")
        last = client.get(f"/assets/{asset.id}/original", headers={"range": f"bytes={asset.size - 1}-{asset.size + 9}"})
        assert (last.status_code, len(last.content)) == (206, 1)


def test_big_originals_are_files(tmp_path: Path) -> None:
    path = tmp_path / "big.jpg"
    path.write_bytes(jpeg() + bytes(3_000_000))
    with immich() as server, client_of(server) as client:
        asset = server.add_asset("big.jpg", data=path)
        got = client.get(f"/assets/{asset.id}/original").content
        assert hashlib.sha1(got).digest() == asset.checksum
        part = client.get(f"/assets/{asset.id}/original", headers={"range": "bytes=1000-2000999"}).content
        assert part == path.read_bytes()[1000:2_001_000]


def test_library_assets_have_the_checksum_of_their_path() -> None:
    with immich() as server, client_of(server) as client:
        asset = server.add_asset(library=server.new_id(), path="/photos/a.jpg")
        told = client.get(f"/assets/{asset.id}").json()["checksum"]
        assert base64.b64decode(told) == hashlib.sha1(b"path:/photos/a.jpg").digest()
        check = {"assets": [{"id": "x", "checksum": asset.checksum.hex()}]}
        assert client.post("/assets/bulk-upload-check", json=check).json()["results"][0]["action"] == "accept"


def test_without_an_exif_row_an_asset_vanishes_from_searches_with_exif() -> None:
    with immich() as server, client_of(server) as client:
        server.add_asset("with.jpg")
        server.add_asset("without.jpg", library=server.new_id(), has_exif=False)
        assert names(search(client, withExif=True)) == ["with.jpg"]
        assert len(search(client)) == 2


def test_hidden_halves_are_in_searches_and_locked_ones_nowhere() -> None:
    with immich() as server, client_of(server) as client:
        video = server.add_asset("live.mov", visibility="hidden")
        server.add_asset("live.jpg", live_video=video.id)
        locked = server.add_asset("locked.jpg", visibility="locked")
        server.add_asset("old.jpg", visibility="archive")
        assert sorted(names(search(client))) == ["live.jpg", "live.mov", "old.jpg"]
        assert names(search(client, visibility="timeline")) == ["live.jpg"]
        assert client.get(f"/assets/{locked.id}").json()["message"] == "Not found or no asset.read access"
        assert client.get("/assets/statistics").json() == {"images": 2, "videos": 0, "total": 2}


def test_v3_finds_everybodys_assets_in_an_album_and_v2_only_ones_own_in_the_timeline() -> None:
    with immich("3.1.0") as server, client_of(server) as client:
        bob = server.add_user("Bob")
        album = server.add_album("A", [server.add_asset("own.jpg"), server.add_asset("old.jpg", visibility="archive")])
        server.add_asset("bobs.jpg", owner=bob.id, album=album)
        assert sorted(names(search(client, albumIds=[album.id]))) == ["bobs.jpg", "old.jpg", "own.jpg"]
        server.version = "2.7.5"
        assert names(search(client, albumIds=[album.id])) == ["own.jpg"]
        whole = client.get(f"/albums/{album.id}").json()
        assert sorted(names(whole["assets"])) == ["bobs.jpg", "old.jpg", "own.jpg"]
        assert client.get(f"/albums/{album.id}", params={"withoutAssets": "true"}).json()["assets"] == []
        assert client.get("/server/version").json() == {"major": 2, "minor": 7, "patch": 5}


def test_bursts_repeat_between_pages_of_v2_alone() -> None:
    for version, whole in (("3.1.0", True), ("2.7.5", False)):
        with immich(version) as server, client_of(server) as client:
            server.add_assets(30, step_s=0)
            found = names(search(client, size=10))
            assert len(found) == 30
            assert (len(set(found)) == 30) is whole


def test_album_lists_differ_between_versions() -> None:
    with immich("3.1.0") as server:
        bob = server.add_user("Bob")
        album = server.add_album("Shared", [server.add_asset()])
        server.share(album, bob)
        with client_of(server, server.add_key(bob).secret) as client:
            assert [one["albumName"] for one in client.get("/albums").json()] == ["Shared"]
            assert client.get("/albums", params={"isOwned": "true"}).json() == []
            server.version = "2.7.5"
            assert client.get("/albums").json() == []
            assert [one["albumName"] for one in client.get("/albums", params={"shared": "true"}).json()] == ["Shared"]


@BOTH
def test_only_the_triple_tells_every_change_of_an_album(version: str) -> None:
    with immich(version) as server, client_of(server) as client:
        first, second, third = (server.add_asset(f"{index}.jpg") for index in range(3))
        album = server.add_album("A", [first, second])
        etag = ""

        def triple() -> tuple[object, object, object]:
            nonlocal etag
            answer = client.get("/albums", headers={"if-none-match": etag})
            assert answer.status_code == 200
            etag = answer.headers["etag"]
            assert client.get("/albums", headers={"if-none-match": etag}).status_code == 304
            one = answer.json()[0]
            return one["updatedAt"], one["assetCount"], one["lastModifiedAssetTimestamp"]

        start = triple()
        client.put(f"/albums/{album.id}/assets", json={"ids": [third.id]})
        added = triple()
        assert (added[0] != start[0], added[1]) == (True, 3)
        client.request("DELETE", f"/albums/{album.id}/assets", json={"ids": [second.id]})
        removed = triple()
        assert (removed[0], removed[1]) == (added[0], 2)
        client.request("DELETE", "/assets", json={"ids": [third.id]})
        trashed = triple()
        assert (trashed[0], trashed[1]) == (added[0], 1)
        client.post("/trash/restore/assets", json={"ids": [third.id]})
        restored = triple()
        assert (restored[0], restored[1], restored[2] > trashed[2]) == (added[0], 2, True)  # type: ignore[operator]
        client.patch(f"/albums/{album.id}", json={"albumName": "B"})
        assert triple()[0] != restored[0]


def test_force_deleted_assets_are_there_until_the_job_ran() -> None:
    with immich() as server, client_of(server) as client:
        asset = server.add_asset()
        server.hold_jobs()
        client.request("DELETE", "/assets", json={"ids": [asset.id], "force": True})
        assert client.get(f"/assets/{asset.id}").status_code == 200
        server.release_jobs()
        assert client.get(f"/assets/{asset.id}").status_code == 400
        assert search(client, withDeleted=True) == []


def test_one_bad_id_spoils_a_deletion_and_none_a_membership() -> None:
    with immich() as server, client_of(server) as client:
        asset, album = server.add_asset(), server.add_album("A")
        assert client.request("DELETE", "/assets", json={"ids": [asset.id, UNKNOWN]}).status_code == 400
        assert not asset.trashed
        added = client.put(f"/albums/{album.id}/assets", json={"ids": [asset.id, UNKNOWN, asset.id]}).json()
        assert ids(added) == [(True, None), (False, "no_permission"), (False, "duplicate")]
        removed = client.request("DELETE", f"/albums/{album.id}/assets", json={"ids": [UNKNOWN, asset.id]}).json()
        assert ids(removed) == [(False, "not_found"), (True, None)]


@BOTH
def test_equal_bytes_are_one_asset_even_in_the_trash(version: str) -> None:
    with immich(version) as server, client_of(server) as client:
        form = UPLOAD | (DEVICE if version == "2.7.5" else {})

        def upload(name: str) -> httpx.Response:
            return client.post("/assets", data=form, files={"assetData": (name, jpeg(7))})

        first, second = upload("a.jpg"), upload("copy.jpg")
        assert (first.status_code, second.status_code) == (201, 200)
        assert second.json() == {"id": first.json()["id"], "status": "duplicate"}
        server.trash(server.assets[first.json()["id"]])
        assert upload("again.jpg").json()["status"] == "duplicate"
        assert server.assets[first.json()["id"]].trashed


def test_copying_takes_along_what_was_set_over_the_api() -> None:
    with immich() as server, client_of(server) as client:
        old = server.add_asset("old.jpg", favorite=True)
        new = server.add_asset("new.jpg", data=jpeg(), taken="2021-01-01T00:00:00Z")
        album = server.add_album("A", [old])
        told = {"description": "A & B", "rating": 3, "dateTimeOriginal": "2023-05-01T12:30:00.000+02:00"}
        client.put(f"/assets/{old.id}", json=told)
        client.get("/server/ping")
        assert client.put("/assets/copy", json={"sourceId": old.id, "targetId": new.id}).status_code == 204
        found = client.get(f"/assets/{new.id}").json()
        assert (found["isFavorite"], found["fileCreatedAt"]) == (True, "2023-05-01T10:30:00.000Z")
        assert [found["exifInfo"][key] for key in ("description", "rating", "timeZone")] == ["A & B", 3, "UTC+2"]
        assert set(album.members) == {old.id, new.id}


def test_keys_may_do_what_they_hold() -> None:
    with immich() as server:
        asset = server.add_asset()
        key = server.add_key(permissions=["album.read", "asset.read"])
        with client_of(server, key.secret) as client:
            assert client.get("/api-keys/me").json()["permissions"] == ["album.read", "asset.read"]
            refused = client.get(f"/assets/{asset.id}/original")
            assert (refused.status_code, refused.json()["message"]) == (
                403,
                "Missing required permission: asset.download",
            )
            server.revoke(key)
            assert client.get("/albums").json() == {"message": "Invalid API key"}
        bearer = httpx.get(f"{server.url}/api/albums", headers={"authorization": f"Bearer {server.key}"})
        assert bearer.status_code == 401
        assert httpx.get(f"{server.url}/api/albums", params={"apiKey": server.key}).status_code == 200
        assert {key.secret, server.key} <= server.secrets


@BOTH
def test_maintenance_mode_leaves_the_configuration_alone(version: str) -> None:
    with immich(version) as server, client_of(server) as client:
        server.settings.maintenance = True
        assert client.get("/server/config").json()["maintenanceMode"] is True
        assert client.get("/albums").status_code == 404
        assert client.get("/server/version").status_code == 404


def test_searches_by_what_a_picture_is() -> None:
    with immich() as server, client_of(server) as client:
        place = Place(48.85, 2.35, "Paris", "Ile-de-France", "France")
        eiffel = server.add_asset("Éiffel.jpg", place=place, camera=Camera(make="Leica"), rating=5, favorite=True)
        beach = server.add_asset("beach.mp4", description="Strand bei Köln", taken="2019-07-01T10:00:00+02:00")
        ada = server.add_person("Ada", [eiffel])
        tag = server.add_tag("Trips/2023", [eiffel])
        parent = next(one for one in server.tags.values() if one.value == "Trips")
        questions: list[tuple[dict[str, Any], str]] = [
            ({"originalFileName": "eiffel"}, eiffel.name),
            ({"description": "koln"}, beach.name),
            ({"city": "Paris"}, eiffel.name),
            ({"make": "Leica"}, eiffel.name),
            ({"rating": 5}, eiffel.name),
            ({"type": "VIDEO"}, beach.name),
            ({"isFavorite": True}, eiffel.name),
            ({"personIds": [ada.id]}, eiffel.name),
            ({"tagIds": [tag.id]}, eiffel.name),
            ({"tagIds": [parent.id]}, eiffel.name),
            ({"takenBefore": "2020-01-01T00:00:00.000Z"}, beach.name),
            ({"checksum": base64.b64encode(beach.checksum).decode()}, beach.name),
        ]
        assert [names(search(client, **body)) for body, _ in questions] == [[name] for _, name in questions]
        assert client.get("/people").json()["people"][0]["name"] == "Ada"
        assert [one["name"] for one in search(client, type="IMAGE", withPeople=True)[0]["people"]] == ["Ada"]
        assert search(client, type="IMAGE")[0]["people"] == []
        assert client.get(f"/people/{ada.id}/thumbnail").headers["content-type"] == "image/jpeg"
        whole = client.get(f"/assets/{eiffel.id}").json()
        assert ([one["name"] for one in whole["people"]], whole["tags"][0]["value"]) == (["Ada"], "Trips/2023")
        server.version = "2.7.5"
        assert len(client.get(f"/assets/{eiffel.id}").json()["people"][0]["faces"]) == 1
        assert names(search(client, type="VIDEO")) == [beach.name]
        assert search(client, type="VIDEO")[0]["duration"] == "00:00:02.000"


def test_the_date_without_metadata_is_the_earlier_one_and_a_sidecar_wins() -> None:
    with immich() as server, client_of(server) as client:
        packet = b"""<x xmlns:e="http://ns.adobe.com/exif/1.0/" e:DateTimeOriginal="2001-02-03T04:05:06+01:00"/>"""
        form = {"fileCreatedAt": "2012-01-01T00:00:00.000Z", "fileModifiedAt": "2011-11-11T11:11:11.000Z"}
        plain = client.post("/assets", data=form, files={"assetData": ("a.jpg", jpeg(1))}).json()["id"]
        files = {"assetData": ("b.jpg", jpeg(2)), "sidecarData": ("b.jpg.xmp", packet)}
        told = client.post("/assets", data=form, files=files).json()["id"]
        found = [client.get(f"/assets/{id}").json()["fileCreatedAt"] for id in (plain, told)]
        assert found == ["2011-11-11T11:11:11.000Z", "2001-02-03T03:05:06.000Z"]


def test_smart_search_sorts_and_cuts_nothing_off() -> None:
    with immich() as server, client_of(server) as client:
        server.settings.smart_search = True
        server.add_asset("city.jpg", depicts="a street at night")
        server.add_asset("sea.jpg", depicts="sunset beach")
        found = client.post("/search/smart", json={"query": "beach at sunset"}).json()["assets"]["items"]
        assert names(found) == ["sea.jpg", "city.jpg"]
        assert client.get("/server/features").json()["smartSearch"] is True


def test_changes_since_a_moment_include_that_moment_and_the_trash() -> None:
    with immich() as server, client_of(server) as client:
        server.add_asset("old.jpg", updated=1)
        changed = server.add_asset("changed.jpg")
        server.trash(changed)
        since = client.get(f"/assets/{changed.id}").json()["updatedAt"]
        server.edit(server.add_asset("later.jpg"))
        found = search(client, updatedAfter=since, withDeleted=True)
        assert sorted((one["originalFileName"], one["isTrashed"]) for one in found) == [
            ("changed.jpg", True),
            ("later.jpg", False),
        ]


def test_a_shared_link_is_a_way_in_to_its_album_alone() -> None:
    with immich() as server, client_of(server) as client:
        inside, outside = server.add_asset("in.jpg"), server.add_asset("out.jpg")
        album = server.add_album("A", [inside])
        link = client.post("/shared-links", json={"type": "ALBUM", "albumId": album.id}).json()
        assert link["key"] in server.secrets
        with httpx.Client(base_url=f"{server.url}/api", params={"key": link["key"]}, verify=NO_TLS) as guest:
            assert guest.get(f"/assets/{inside.id}/original").status_code == 200
            assert guest.get(f"/assets/{inside.id}/thumbnail", params={"key": link["key"]}).status_code == 200
            assert guest.get(f"/assets/{outside.id}/original").status_code == 404
            assert guest.get(f"/albums/{album.id}").json()["hasSharedLink"] is True
        wrong = httpx.get(f"{server.url}/api/albums/{album.id}", params={"key": "wrong"})
        assert (wrong.status_code, wrong.json()["message"]) == (401, "Invalid share key")


def test_faults_of_immich_itself() -> None:
    with immich() as server, client_of(server) as client:
        asset = server.add_asset()
        server.fault(no_thumbnail_yet(), "/thumbnail")
        server.fault(recorded("err-badkey"), "/albums")
        server.fault(internal_error(), "/tags")
        server.fault(faults.latency(0.01), "/people")
        answers = [
            client.get(path).status_code for path in (f"/assets/{asset.id}/thumbnail", "/albums", "/tags", "/people")
        ]
        assert answers == [404, 401, 500, 200]
        assert client.get(f"/assets/{asset.id}/thumbnail").status_code == 200
        server.add_assets(20)
        server.fault(inconsistent_page(), "/search/metadata")
        assert len(search(client, size=10)) == 20
        assert server.requests.count("/search/metadata", "POST") == 3


def test_the_clock_is_the_servers_own() -> None:
    with immich() as server, client_of(server) as client:
        before = client.get("/server/ping").headers["date"]
        server.clock.shift_s = 86_400 * 400
        assert year(client.get("/server/ping").headers["date"]) > year(before)
        asset = server.add_asset()
        server.clock.shift_s = 0
        assert client.get(f"/assets/{asset.id}").json()["updatedAt"][:4] > str(year(before))


def year(date: str) -> int:
    return int(date.split()[3])


def test_https_with_a_private_authority() -> None:
    with immich(tls=True) as server:
        url = f"{server.url}/api/server/ping"
        with httpx.Client(verify=client_context(server)) as client:
            assert client.get(url).json() == {"res": "pong"}
            asset = server.add_asset(data=jpeg())
            got = client.get(f"{server.url}/api/assets/{asset.id}/original", headers={"x-api-key": server.key})
            assert got.content == jpeg()
        with pytest.raises(httpx.ConnectError), httpx.Client(verify=ssl.create_default_context()) as client:
            client.get(url)


def test_a_hundred_thousand_assets_are_put_in_and_none_is_drawn() -> None:
    with immich() as server, client_of(server) as client:
        album = server.add_album("Big")
        server.add_assets(100_000, album=album)
        assert client.get("/albums").json()[0]["assetCount"] == 100_000
        page = client.post("/search/metadata", json={"albumIds": [album.id], "size": 1000, "withExif": True}).json()
        assert (page["assets"]["count"], page["assets"]["nextPage"]) == (1000, "2")
        assert len({asset.checksum for asset in server.assets.values()}) == 100_000


def test_a_fake_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.fakes.immich", "--assets", "3", "--version", "2.7.5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        albums = httpx.get(f"{told['url']}/api/albums", headers={"x-api-key": told["key"]}).json()
        assert albums[0]["assetCount"] == 3
        process.communicate()
    assert process.returncode == 0
