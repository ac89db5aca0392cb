"""POST /assets and bulk-upload-check: immich.md §4, samples upload-*, err-upload-*, bulk-upload-check*."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from python_multipart.multipart import MultipartParser, parse_options_header

from tests.fakes.immich.calls import Call, Refusal, Reply, route
from tests.fakes.immich.media_types import MEDIA_TYPES
from tests.fakes.immich.moments import parsed
from tests.fakes.immich.originals import Original
from tests.fakes.immich.records import Asset, Visibility
from tests.fakes.immich.state import ending
from tests.fakes.immich.told import read_told
from tests.fakes.immich.wire import Json
from tests.fakes.serving import Request

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

BASE64_SHA1 = 28
"""Characters; a checksum of another length is hexadecimal."""


def checksum_of(text: str) -> bytes:
    """SHA-1 as the API spells it, in base64 or hexadecimal; empty if it is neither."""
    try:
        return base64.b64decode(text, validate=True) if len(text) == BASE64_SHA1 else bytes.fromhex(text)
    except ValueError:
        return b""


@dataclass(slots=True)
class UploadedFile:
    """One file of a form, on disk already."""

    name: str
    path: Path
    size: int
    sha1: bytes


@dataclass(slots=True)
class Form:
    """A multipart form: text fields and files by their field names."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, UploadedFile] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """All of it as text, files by their names."""
        return self.fields | {name: f"<file {file.name}>" for name, file in self.files.items()}


class _FormReader:
    """Takes a form apart while it arrives: files go to disk, whatever their size."""

    def __init__(self, folder: Iterator[Path]) -> None:
        self.form = Form()
        self._paths = folder
        self._headers: dict[str, str] = {}
        self._header = [bytearray(), bytearray()]
        self._options: dict[bytes, bytes] = {}
        self._target: BinaryIO = io.BytesIO()
        self._path: Path | None = None
        self._sha1 = hashlib.sha1()

    def callbacks(self) -> MultipartCallbacks:
        """For python_multipart."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def close(self) -> None:
        """Nothing is open, though the form broke off."""
        self._target.close()

    def _begin(self) -> None:
        self._headers, self._path = {}, None

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[name.decode().lower()] = value.decode("latin-1")
        self._header = [bytearray(), bytearray()]

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        self._options = options
        if b"filename" in options:
            self._path = next(self._paths)
            self._target, self._sha1 = self._path.open("wb"), hashlib.sha1()
        else:
            self._target = io.BytesIO()

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = memoryview(data)[start:end]
        self._target.write(piece)
        if self._path:
            self._sha1.update(piece)

    def _end(self) -> None:
        name = self._options.get(b"name", b"").decode()
        if self._path is None:
            assert isinstance(self._target, io.BytesIO)
            self.form.fields[name] = self._target.getvalue().decode()
            return
        size = self._target.tell()
        self._target.close()
        file_name = self._options[b"filename"].decode()
        self.form.files[name] = UploadedFile(file_name, self._path, size, self._sha1.digest())


def read_form(request: Request, paths: Iterator[Path]) -> Form:
    """The whole form; its files under the next of `paths`. An empty body is an empty form."""
    kind, options = parse_options_header(request.header("content-type") or "")
    if kind != b"multipart/form-data" or b"boundary" not in options:
        return Form()
    reader = _FormReader(paths)
    parser = MultipartParser(options[b"boundary"], reader.callbacks())
    try:
        for chunk in request.chunks:
            parser.write(chunk)
        parser.finalize()
    finally:
        reader.close()
    return reader.form


def known_asset(call: Call) -> Asset | None:
    """The caller's asset of the SHA-1 in `x-immich-checksum`: no body is needed then (upload-checksum-hdr-no-body)."""
    text = call.request.header("x-immich-checksum")
    return _duplicate(call, checksum_of(text)) if text else None


def _duplicate(call: Call, sha1: bytes) -> Asset | None:
    return call.world.assets.get(call.world.by_checksum.get((call.access.user, sha1), ""))


def duplicate(asset: Asset) -> Reply:
    """200, and nothing changed: not its name, its dates, nor its being in the trash (upload-duplicate-of-trashed)."""
    return Reply({"status": "duplicate", "id": asset.id})


def upload(call: Call, form: Form) -> Reply:
    """201 and a new asset that is processed later, or 200 and the old one. Errors: Refusal."""
    file = form.files.get("assetData")
    _require(call, form)
    if file is None or not file.size:
        raise Refusal(400, "File is empty")
    if ending(file.name) not in _endings(call):
        raise Refusal(400, f"Unsupported file type {file.name}")
    if known := _duplicate(call, file.sha1):
        file.path.unlink()
        return duplicate(known)
    quota = call.user.quota
    if quota is not None and call.world.usage(call.user.id) + file.size > quota:
        file.path.unlink()
        raise Refusal(400, "Quota has been exceeded!")
    asset = _asset(call, form, file)
    call.world.insert(asset)
    call.world.later(lambda: read_told(call.world, asset))
    return Reply({"id": asset.id, "status": "created"}, 201)


def _asset(call: Call, form: Form, file: UploadedFile) -> Asset:
    world, fields = call.world, form.fields
    name = fields.get("filename") or file.name
    id, now = world.new_id(), world.clock.now()
    asset = Asset(
        id,
        call.user.id,
        name,
        "VIDEO" if f".{ending(name)}" in media_types(call)["video"] else "IMAGE",
        Original(path=file.path),
        file.sha1,
        file.size,
        now,
        now,
        parsed(fields["fileCreatedAt"]),
        parsed(fields["fileModifiedAt"]),
    )
    asset.path = f"/data/upload/{asset.owner}/{id[:2]}/{id[2:4]}/{id}.{ending(name)}"
    asset.favorite = fields.get("isFavorite") == "true"
    asset.visibility = cast(Visibility, fields.get("visibility", "timeline"))
    asset.live_video = fields.get("livePhotoVideoId")
    asset.device_asset, asset.device = fields.get("deviceAssetId", ""), fields.get("deviceId", "")
    if notes := json.loads(fields.get("metadata", "[]")):
        asset.notes = {note["key"]: (note["value"], now) for note in notes}
    if asset.live_video:
        video = call.asset("asset.update", asset.live_video)
        video.visibility = "hidden"
    if sidecar := form.files.get("sidecarData"):
        asset.sidecar = sidecar.path.read_bytes()
    return asset


def _require(call: Call, form: Form) -> None:
    """What the schema says, in the server's words; the gate has refused it already unless it is lenient."""
    missing = [name for name in ("fileCreatedAt", "fileModifiedAt") if name not in form.fields]
    if call.v3 and missing:
        raise Refusal(400, "Validation failed", [_undefined(name) for name in missing])
    if not call.v3:
        devices = [name for name in ("deviceAssetId", "deviceId") if not form.fields.get(name)]
        if devices:
            words = ("must be a string", "should not be empty")
            raise Refusal(400, "Bad Request", messages=[f"{name} {word}" for name in devices for word in words])
    elif not form.fields.get("duration", "0").isdecimal():
        problem: Json = {"expected": "number", "code": "invalid_type", "received": "NaN", "path": ["duration"]}
        raise Refusal(400, "Validation failed", [problem | {"message": "Invalid input: expected number, received NaN"}])


def _undefined(name: str) -> Json:
    message = "Invalid input: expected ISO 8601 datetime string, received undefined"
    return {"expected": "string", "code": "invalid_type", "path": [name], "message": message}


def media_types(call: Call) -> dict[str, list[str]]:
    """The endings that may be uploaded, as server-media-types.json lists them; v2 knows no .mpo."""
    return {**MEDIA_TYPES, "image": [one for one in MEDIA_TYPES["image"] if call.v3 or one != ".mpo"]}


def _endings(call: Call) -> set[str]:
    types = media_types(call)
    return {one[1:] for one in types["image"] + types["video"]}


@route("POST", "/assets/bulk-upload-check")
def bulk_upload_check(call: Call) -> Reply:
    """For each checksum: accept, or reject with the asset that has it, and whether that one is in the trash."""
    results: list[Json] = []
    for item in cast(list[dict[str, str]], call.body["assets"]):
        known = _duplicate(call, checksum_of(item["checksum"]))
        if known is None:
            results.append({"id": item["id"], "action": "accept"})
        else:
            found: Json = {"id": item["id"], "action": "reject", "reason": "duplicate"}
            results.append(found | {"assetId": known.id, "isTrashed": known.trashed})
    return Reply({"results": results})
