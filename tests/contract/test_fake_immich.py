"""The fake Immich against what was recorded of the real 3.1.0 and 2.7.5: every sample is asked again, in order.

Compared are the status, the headers that mean something, and the shape of the body: names, types, and how dates and ids
are spelled. A null on either side fits any type, as the documents allow; an empty list fits any list.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from PIL import ExifTags, Image

from tests.fakes.certificates import NO_TLS
from tests.fakes.immich import ImmichServer, immich
from tests.fakes.immich.faults import samples
from tests.fakes.immich.originals import Recipe, drawn

SPELLINGS = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z"), "date as JavaScript"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}(\.\d+)?\+00:00"), "date as PostgreSQL"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}(\.\d+)?"), "date without zone"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "day"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), "id"),
    (re.compile(r"[A-Za-z0-9+/]{27}="), "SHA-1"),
    (re.compile(r"\d+:\d\d:\d\d\.\d+"), "duration"),
)
HEADERS_OF_THE_WIRE = {"date", "content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive"}
WITH_EMPTY_BODY = ("/albums", "/search/statistics")
"""POSTs recorded without a body that sent an empty object."""
HEADERS_COMPARED = ("content-type", "cache-control", "content-disposition", "accept-ranges", "vary")
SAME = """
success error status action reason role type visibility isArchived isTrashed orientation timeZone nextPage shared order
albumName originalFileName originalMimeType isFavorite isOffline hasSharedLink iso fNumber exposureTime city country
rating description assetCount total count permissions value email avatarColor isAdmin duration
"""
"""What stands under these names must be equal, not only of the same type."""
SAME_NAMES = frozenset(SAME.split())
FREE = {"parameters", "errors"}
"""Their items differ from case to case."""

UPLOADS = """
upload-IMG_0001_jpg upload-IMG_0002_jpg upload-IMG_0003_rotated_jpg upload-Ünïcode_näme___jpg upload-clip_mp4
upload-plain_png upload-scan_tif upload-tiny_jpg upload-filename-field upload-old-style-v1-fields upload-duplicate
upload-wrong-checksum-hdr upload-duplicate-checksum-hdr-hex
"""
READING = """
server-ping server-version server-features server-config server-media-types server-about server-storage users-me users
api-keys-me people tags stacks partners shared-links err-noauth err-badkey trash-empty
"""
ASSETS = """
asset-jpeg upload-checksum-hdr-no-body
asset-jpeg asset-png-noexif asset-rotated asset-tiff asset-unicode asset-video err-asset-unknown err-asset-baduuid
original-jpeg original-head original-range-0-99 original-range-suffix original-range-multi original-tiff
original-unicode original-if-none-match original-if-range-old err-original-range-416 thumb-default
thumb-jpeg-thumbnail thumb-jpeg-preview thumb-jpeg-fullsize thumb-jpeg-original thumb-tiff-fullsize thumb-tiff-preview
thumb-tiny-preview thumb-video-fullsize thumb-video-preview err-thumb-badsize err-thumb-unknown video-playback
video-playback-range err-video-playback-on-image assets-statistics search-metadata-all search-statistics
search-metadata-filename search-metadata-checksum search-cities search-suggestions-city err-search-size-1001
err-search-locked err-search-smart-disabled err-search-albumIds-foreign timeline-buckets err-sync-stream-apikey
bulk-upload-check
"""
ALBUMS = """
album-create album-add-assets album-add-assets-unknown albums-list album-get album-get-withoutAssets-param
albums-list-isOwned albums-list-isShared albums-list-v2-shared-param albums-list-by-asset albums-list-by-name
album-statistics search-metadata-album search-metadata-album-page2 search-metadata-album-lastpage
search-metadata-pastend search-statistics-album search-metadata-notinalbum search-metadata-updatedAfter
timeline-buckets-album timeline-bucket-album err-album-unknown err-album-create-noname err-album-put-seeddoc
album-patch-name album-patch-cover-desc-order err-album-patch-cover-foreign err-album-patch-desc-null
album-create-same-name album-create-slash-name album-create-empty-name album-delete album-remove-assets
"""
CHANGES = """
asset-put-description asset-put-date asset-put-filename-ignored asset-put-visibility-archive
asset-put-visibility-timeline err-asset-put-visibility-locked err-asset-put-unlock assets-put-bulk assets-delete-trash
assets-statistics-trashed search-trashed timeline-bucket-trash bulk-upload-check-trashed upload-duplicate-of-trashed
trash-restore-assets trash-restore-all err-assets-delete-mixed err-assets-delete-unknown assets-delete-force
err-asset-after-force-delete upload-with-sidecar asset-after-sidecar upload-live-video upload-live-still
asset-live-video asset-live-still upload-noexif-filecreated upload-checksum-lie err-upload-empty err-upload-text
err-upload-missing-dates err-upload-duration-string asset-metadata-put asset-metadata-get tag-upsert tag-assets
tags-list search-by-tag stack-create stacks-list asset-in-stack stack-delete assets-copy
"""
SHARING = """
album-share-viewer bob:shared-albums-list-as-guest bob:shared-asset-as-guest bob:shared-search-as-guest bob:bob-upload
bob:err-viewer-add-assets bob:err-viewer-remove-assets bob:err-viewer-rename bob:err-viewer-delete-album
bob:err-viewer-delete-asset bob:err-viewer-update-asset bob:err-upload-quota album-user-role-editor
bob:editor-add-own bob:editor-rename bob:editor-add-others-asset bob:editor-remove-others-asset
bob:editor-remove-own-asset album-get-shared bob:err-editor-delete-album bob:bob-leave-album bob:err-bob-after-leave
ro:ro-api-keys-me
ro:ro-users-me ro:ro-albums ro:ro-search ro:ro-buckets ro:ro-orig ro:ro-thumb ro:err-ro-about ro:err-ro-album-create
ro:err-ro-stats ro:err-ro-upload ro:ro-search-statistics view:err-nodownload-orig
"""
STEPS_OF_2 = """
upload-v3-style-0 upload-v2-style-0 upload-v2-style-1 upload-v2-style-2 upload-v2-style-3 upload-v2-style-4
upload-v2-style-5 upload-v2-style-6 upload-v2-style-7 upload-duration-int upload-duplicate server-version
server-features server-config server-media-types server-about asset-jpeg asset-rotated asset-video err-asset-unknown
err-asset-baduuid err-noauth original-range err-original-range thumb-fullsize thumb-original err-search-size
search-smart-disabled err-sync-stream-apikey err-album-create-noname album-create asset-put-archive album-get
album-get-withoutAssets albums-list search-metadata-album timeline-buckets-album timeline-bucket-album album-share
bob:albums-list-guest-default bob:albums-list-guest-shared bob:guest-search-album album-remove-assets
album-get-after-remove album-patch albums-param-isOwned assets-delete trash-restore assets-patch-v3-verb
"""
STEPS = {
    "3.1.0": (UPLOADS + READING + ASSETS + ALBUMS + CHANGES + SHARING).split(),
    "2.7.5": STEPS_OF_2.split(),
}
"""Names of samples, each with its actor if that is not the owner."""
NOT_IN_THE_FAKE = {
    "admin-user-create": "add_user does it",
    "asset-edits-get": "edits", "asset-edits-put": "edits", "asset-edits-delete": "edits", "original-edited": "edits",
    "thumb-edited-fullsize": "edits", "thumb-edited-preview": "edits",
    "download-info": "zips", "download-archive": "zips", "memories": "memories", "search-explore": "explore",
    "view-folder-unique-paths": "server paths",
    "nodownload-fullsize": "as thumb-jpeg-fullsize, with the body that axios wants",
    "asset-replace-original": "v2 only, gone in v3",
}  # fmt: skip
AS_THE_FIRST = re.compile(r"upload-v3-style-[1-7]")
"""The same refusal, seven times."""
READ_ONLY = ("album.read", "asset.read", "asset.view", "asset.download", "user.read")


def picture(size: tuple[int, int], taken: str | None = None, zone: str | None = None, **more: Any) -> bytes:
    """A JPEG with EXIF."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "TestCam", "Model One"
    if "orientation" in more:
        exif[ExifTags.Base.Orientation] = more["orientation"]
    if "told" in more:
        exif[ExifTags.Base.ImageDescription] = more["told"]
    below = exif.get_ifd(ExifTags.IFD.Exif)
    if taken:
        below[ExifTags.Base.DateTimeOriginal] = taken
    if zone:
        below[ExifTags.Base.OffsetTimeOriginal] = zone
    below[ExifTags.Base.FNumber], below[ExifTags.Base.FocalLength] = 2.8, 35.0
    below[ExifTags.Base.ISOSpeedRatings], below[ExifTags.Base.ExposureTime] = 200, 1 / 125
    if "place" in more:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(more["place"])
    buffer = io.BytesIO()
    Image.new("RGB", size, more.get("colour", (90, 120, 200))).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def at(latitude: float, longitude: float) -> dict[int, object]:
    """GPS tags, north and east."""
    return {1: "N", 2: (latitude, 0.0, 0.0), 3: "E", 4: (longitude, 0.0, 0.0)}


def other(name: str, format: str = "PNG") -> bytes:
    """A file that differs by its name."""
    return drawn(Recipe(format, 64, 48)) + name.encode()  # type: ignore[arg-type]


BERLIN, PARIS = at(52.5, 13.4), at(48.85, 2.35)
FILES: dict[str, Callable[[], bytes]] = {
    "IMG_0001.jpg": lambda: picture((160, 120), "2023:05:01 10:11:12", "+02:00", place=BERLIN, told="Berlin gate"),
    "IMG_0002.jpg": lambda: picture((300, 200), "2023:05:02 12:00:00", "+02:00", place=PARIS),
    "IMG_0003 rotated.jpg": lambda: picture((120, 80), "2023:06:10 08:00:00", orientation=6),
    "Ünïcode näme ☀.jpg": lambda: picture((90, 60), "2024:01:31 23:59:59", told="Umlaute aeoeue"),
    "tiny.jpg": lambda: picture((40, 30), "2022:12:24 18:00:00"),
    "IMG_L.jpg": lambda: picture((40, 30), "2022:12:24 18:00:00", colour=(1, 2, 3)),
    "clip.mp4": lambda: other("clip", "MP4"),
    "IMG_L.mov": lambda: other("live", "MP4"),
    "scan.tif": lambda: other("scan", "TIFF"),
    "empty.jpg": lambda: b"",
    "big.jpg": lambda: picture((2000, 1500)) + b"\0" * 3_000_000,
    "side.png.xmp": lambda: bytes(SIDECAR, "utf-8"),
}  # fmt: skip
SIDECAR = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 exif:DateTimeOriginal="2001-02-03T04:05:06+01:00">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">from sidecar</rdf:li></rdf:Alt></dc:description>
<dc:subject><rdf:Bag><rdf:li>tagA</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


def spelled(value: object, key: str = "") -> object:
    """The shape of a value; under some keys the value itself."""
    if key in SAME_NAMES and not isinstance(value, dict | list):
        return None if value is None else f"={value}"
    if isinstance(value, dict):
        return {name: None if name in FREE else spelled(below, name) for name, below in value.items()}
    if isinstance(value, list):
        shapes: list[object] = []
        for item in value:
            shape = spelled(item)
            if shape not in shapes:
                shapes.append(shape)
        return shapes
    if isinstance(value, str):
        return next((name for pattern, name in SPELLINGS if pattern.fullmatch(value)), "text")
    return {bool: "boolean", int: "number", float: "number"}.get(type(value))


def differences(where: str, ours: object, real: object) -> Iterator[str]:
    """In what two shapes differ; items of lists must each find one like them on the other side."""
    if ours is None or real is None or ours == real:
        return
    if isinstance(ours, dict) and isinstance(real, dict):
        for key in ours.keys() ^ real.keys():
            yield f"{where}.{key} is {'not recorded' if key in ours else 'missing'}"
        for key in ours.keys() & real.keys():
            yield from differences(f"{where}.{key}", ours[key], real[key])
    elif isinstance(ours, list) and isinstance(real, list):
        for mine in ours if real else []:
            found = [list(differences(f"{where}[]", mine, theirs)) for theirs in real]
            yield from min(found, key=len)
    else:
        yield f"{where}: {ours} instead of {real}"


class Replay:
    """The recorded questions put to the fake, with its own ids in place of the recorded ones."""

    def __init__(self, server: ImmichServer, version: str) -> None:
        self.samples = samples(version)
        self._server = server
        self._client = httpx.Client(timeout=30, verify=NO_TLS)
        self._ids: dict[str, str] = {}
        self._checksums: dict[str, str] = {}
        self._keys = {
            "": server.api_key.secret,
            "ro": server.add_key(permissions=READ_ONLY, name="iiiffs-ro").secret,
            "view": server.add_key(permissions=READ_ONLY[:3], name="view").secret,
        }
        self._learn_users(list(self.samples.values()), "Admin", server.owner.id)

    def close(self) -> None:
        """No connection is open."""
        self._client.close()

    def _learn_users(self, body: object, name: str, id: str) -> None:
        if isinstance(body, dict):
            if {"email", "id"} <= body.keys() and body.get("name") == name:
                self._ids[body["id"]] = id
            for below in body.values():
                self._learn_users(below, name, id)
        elif isinstance(body, list):
            for below in body:
                self._learn_users(below, name, id)

    def _add_bob(self) -> None:
        bob = self._server.add_user("Bob", quota=3_000_000)
        self._keys["bob"] = self._server.add_key(bob).secret
        self._learn_users(list(self.samples.values()), "Bob", bob.id)

    def ask(self, step: str) -> list[str]:
        """In what the fake's answer differs from the recorded one."""
        actor, _, name = step.rpartition(":")
        sample = self.samples[name]
        if name in ("album-share-viewer", "album-share"):
            self._add_bob()
        response = self._send(sample, actor, name)
        found = (
            []
            if response.status_code == sample["status"]
            else [f"status {response.status_code}: {response.text[:300]}"]
        )
        found += self._header_differences(response, sample["response_headers"])
        real = sample["body"]
        if not found and isinstance(real, dict | list):
            ours = response.json()
            self._learn(ours, real)
            found += differences("", spelled(ours), spelled(real))
            if (
                "message" in real
                and isinstance(real, dict)
                and "errors" not in real
                and isinstance(real["message"], str)
            ):
                expected = self._translated(real["message"])
                found += [] if ours["message"] == expected else [f"says {ours['message']!r}, not {expected!r}"]
        return [f"{name}: {one}" for one in found]

    def _send(self, sample: dict[str, Any], actor: str, name: str) -> httpx.Response:
        asked = sample["request"]
        headers = {"x-api-key": self._keys[actor], **(asked["headers"] or {})}
        if name == "err-noauth":
            del headers["x-api-key"]
        if "If-None-Match" in headers:
            target = self._server.url + self._translated(asked["path"])
            headers["If-None-Match"] = self._client.head(target, headers=headers).headers["etag"]
        if "x-immich-checksum" in headers:
            headers["x-immich-checksum"] = self._translated(headers["x-immich-checksum"])
        url = self._server.url + self._translated(asked["path"])
        query = {key: self._translated(value) for key, value in (asked["query"] or {}).items()}
        body, options = asked["body"], dict[str, Any]()
        if isinstance(body, dict) and "multipart" in body:
            options = self._form(body["multipart"])
        elif body is not None or (asked["method"] == "POST" and "stat" in asked["path"]):
            options["json"] = json.loads(self._translated(json.dumps(body or {})))
        elif asked["method"] in ("POST", "PATCH") and asked["path"].endswith(
            ("albums", "trash/empty", "trash/restore")
        ):
            options["json"] = {}
        options |= {"params": query or None, "headers": headers, "timeout": 30, "verify": NO_TLS}
        return httpx.request(asked["method"], url, **options)

    def _form(self, fields: dict[str, str]) -> dict[str, Any]:
        files, data = {}, {}
        for key, value in fields.items():
            if value.startswith("<file "):
                name = value[6:-1]
                make = FILES.get(name)
                files[key] = (name, make() if make else other(name))
            else:
                data[key] = self._translated(value)
        return {"data": data, "files": files}

    def _learn(self, ours: object, real: object) -> None:
        """Whatever has an id in the recording has one in the fake."""
        if isinstance(ours, dict) and isinstance(real, dict):
            for key in ours.keys() & real.keys():
                if key in ("id", "parentId") and isinstance(real[key], str):
                    self._ids.setdefault(real[key], ours[key])
                elif key == "checksum":
                    self._checksums.setdefault(real[key], ours[key])
                else:
                    self._learn(ours[key], real[key])
        elif isinstance(ours, list) and isinstance(real, list) and len(ours) == len(real):
            named = {self._name(item): item for item in ours}
            for theirs in real:
                if self._name(theirs) in named:
                    self._learn(named[self._name(theirs)], theirs)

    @staticmethod
    def _name(item: object) -> object:
        if not isinstance(item, dict):
            return None
        names = (item[key] for key in ("originalFileName", "value", "albumName", "name") if key in item)
        return next((name for name in names if isinstance(name, str)), None)

    def _translated(self, text: str) -> str:
        for real, ours in self._ids.items():
            text = text.replace(real, ours)
        for real, ours in self._checksums.items():
            for spell in (str, lambda one: base64.b64decode(one).hex()):
                text = text.replace(spell(real), spell(ours))
        return text

    def _header_differences(self, response: httpx.Response, real: dict[str, str]) -> Iterator[str]:
        ours = {name for name in response.headers if name not in HEADERS_OF_THE_WIRE}
        theirs = {name for name in real if name not in HEADERS_OF_THE_WIRE}
        for name in ours ^ theirs:
            yield f"header {name} is {'not recorded' if name in ours else 'missing'}"
        for name in HEADERS_COMPARED:
            if name in real and response.headers.get(name) != real[name]:
                yield f"header {name}: {response.headers.get(name)}, recorded {real[name]}"
        if "location" in real and response.headers.get("location") != self._translated(real["location"]):
            yield f"location {response.headers.get('location')}"
        etag = real.get("etag")
        if etag and response.headers.get("etag", "").startswith("W/") != etag.startswith("W/"):
            yield f"etag {response.headers.get('etag')}, recorded {etag}"


@pytest.mark.parametrize("version", STEPS)
def test_every_recorded_exchange_has_the_same_shape(version: str) -> None:
    with immich(version, strict=False) as server:
        replay = Replay(server, version)
        found = [difference for step in STEPS[version] for difference in replay.ask(step)]
        replay.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("version", STEPS)
def test_no_recorded_exchange_is_left_out(version: str) -> None:
    asked = {step.rpartition(":")[2] for step in STEPS[version]}
    left = {name for name in samples(version) if not AS_THE_FIRST.fullmatch(name)} - asked - NOT_IN_THE_FAKE.keys()
    assert not left


def test_originals_are_what_their_checksums_say() -> None:
    with immich() as server:
        for name in ("a.jpg", "b.png", "c.tif", "d.webp", "e.gif", "f.heic", "g.mp4", "h.dng"):
            server.add_asset(name, size_px=(64, 48))
        for asset in server.assets.values():
            response = httpx.get(f"{server.url}/api/assets/{asset.id}/original", headers={"x-api-key": server.key})
            assert hashlib.sha1(response.content).digest() == asset.checksum
            assert len(response.content) == asset.size
