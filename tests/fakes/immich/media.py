"""Bytes: originals with ranges, thumbnails and previews, video (immich.md §3; samples original-*, thumb-*, video-*)."""

from __future__ import annotations

import functools
import io
import re
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

from tests.fakes.immich.calls import Call, Refusal, Reply, no_access, not_found, route
from tests.fakes.immich.originals import Original
from tests.fakes.immich.records import Asset, Person
from tests.fakes.immich.wire import mime_type
from tests.fakes.serving import FileSlice, Response

CACHE_CONTROL = "private, max-age=86400, no-transform, stale-while-revalidate=2592000, stale-if-error=2592000"
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
WEB_SUPPORTED = frozenset({"jpg", "jpeg", "png", "webp", "gif", "avif", "bmp"})
QUALITY = 80


@dataclass(frozen=True, slots=True)
class File:
    """Something to send: bytes or a file, of `size` bytes; `modified` in microseconds."""

    data: bytes | Path
    size: int
    mime: str
    modified: int
    name: str | None = None

    @property
    def etag(self) -> str:
        """Weak: length and time in hexadecimal milliseconds, as Express makes it."""
        return f'W/"{self.size:x}-{self.modified // 1000:x}"'

    def part(self, start: int, length: int) -> bytes | FileSlice:
        """Those bytes."""
        if isinstance(self.data, Path):
            return FileSlice(self.data, start, length)
        return self.data if length == self.size else self.data[start : start + length]


@route("GET", "/assets/{id}/original")
def original(call: Call) -> Reply:
    """The uploaded bytes. Trashed ones too; to whom it is not: 404 on v3, where every trouble of sending is one."""
    asset = _sendable(call, "asset.download")
    if asset.offline:
        raise not_found()
    found = asset.original
    data = found.path if found.path else _original_bytes(found)
    mime = mime_type(asset.name) or "application/octet-stream"
    return _send(call, File(data, asset.size, mime, asset.modified, asset.name))


def _sendable(call: Call, permission: str) -> Asset:
    asset = call.access.asset(call.params["id"], permission)
    if asset is None:
        raise not_found() if call.v3 else no_access(permission)
    return asset


@functools.lru_cache(maxsize=32)
def _original_bytes(original: Original) -> bytes:
    return original.read()


@route("GET", "/assets/{id}/video/playback")
def playback(call: Call) -> Reply:
    """The video; 404 of a photo. No name is sent with it."""
    asset = _sendable(call, "asset.view")
    if asset.kind != "VIDEO" or asset.offline:
        raise not_found()
    data = asset.original.path or _original_bytes(asset.original)
    return _send(call, File(data, asset.size, mime_type(asset.name) or "video/mp4", asset.modified))


@route("GET", "/assets/{id}/thumbnail")
def thumbnail(call: Call) -> Reply:
    """thumbnail, preview, or a way to something larger. 404 until the thumbnail job ran."""
    size = call.query.get("size", "thumbnail")
    asset = call.asset("asset.view")
    if size == "original" and not call.v3:
        raise Refusal(400, "May not request original file")
    if size in ("original", "fullsize"):
        return _larger(call, asset, size)
    settings = call.settings
    side = settings.thumbnail_side if size == "thumbnail" else settings.preview_side
    kind = "webp" if size == "thumbnail" else settings.preview_format
    return _reduced(call, asset, size, side, kind)


def _larger(call: Call, asset: Asset, size: str) -> Reply:
    web = asset.name.rpartition(".")[2].lower() in WEB_SUPPORTED
    if size == "original" or web:
        return _redirect(call, "original?")
    if call.settings.fullsize_enabled and asset.kind == "IMAGE":
        return _reduced(call, asset, size, max(asset.width or 1, asset.height or 1), "jpeg")
    return _redirect(call, f"/api/assets/{asset.id}/thumbnail?size=preview")


def _redirect(call: Call, location: str) -> Reply:
    """302, with an empty body (thumb-jpeg-fullsize)."""
    return Reply(response=Response(302, [("location", location), ("vary", "Accept")]))


def _reduced(call: Call, asset: Asset, size: str, side: int, kind: str) -> Reply:
    if asset.thumbs is None:
        raise not_found()
    data = _encoded(asset.original, side, kind)
    if data is None:
        raise not_found()
    stem = asset.name.rpartition(".")[0]
    return _send(call, File(data, len(data), f"image/{kind}", asset.thumbs, f"{stem}_{size}.{kind}"))


@functools.lru_cache(maxsize=256)
def _encoded(original: Original, side: int, kind: str) -> bytes | None:
    recipe = original.recipe
    if recipe and original.serial:
        return _encoded(Original(recipe=recipe), side, kind)
    picture = original.reduced(side)
    if picture is None:
        return None
    buffer = io.BytesIO()
    picture.save(buffer, kind.upper(), quality=QUALITY)
    return buffer.getvalue()


def encoded_face(call: Call, person: Person) -> Reply:
    """A small JPEG for a person: their first picture; 404 if there is none."""
    assets = (call.world.assets[face.asset] for face in call.world.faces.values() if face.person == person.id)
    asset = next(assets, None)
    data = _encoded(asset.original, call.settings.thumbnail_side, "jpeg") if asset else None
    if asset is None or data is None:
        raise not_found()
    return _send(call, File(data, len(data), "image/jpeg", asset.created, f"{person.id}.jpeg"))


def _send(call: Call, file: File) -> Reply:
    """200, 206, 304, or what each version says to a range beyond the end (404 or 500, never 416)."""
    request = call.request
    headers = [("cache-control", CACHE_CONTROL), ("content-type", file.mime)]
    if file.name is not None:
        headers.append(("content-disposition", f"inline; filename*=UTF-8''{_component(file.name)}"))
    modified = formatdate(file.modified // 1_000_000, usegmt=True)
    headers += [("accept-ranges", "bytes"), ("last-modified", modified), ("etag", file.etag)]
    if file.etag in (request.header("if-none-match") or ""):
        return Reply(response=Response(304, [header for header in headers if header[0] != "content-type"]))
    spans = RANGE.fullmatch(request.header("range") or "")
    condition = request.header("if-range")
    if spans is None or not any(spans.groups()) or condition not in (None, file.etag, modified):
        return Reply(response=Response(200, headers, file.part(0, file.size)))
    start, end = _span(spans.group(1), spans.group(2), file.size)
    if start >= file.size or end < start:
        return Reply(response=_beyond(call, file, headers))
    headers.append(("content-range", f"bytes {start}-{end}/{file.size}"))
    return Reply(response=Response(206, headers, file.part(start, end + 1 - start)))


def _component(name: str) -> str:
    """As JavaScript's encodeURIComponent."""
    return quote(name, safe="!'()*-._~")


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


def _beyond(call: Call, file: File, headers: list[tuple[str, str]]) -> Response:
    """err-original-range-416 (v3: 404) and v2.7.5/err-original-range (500), with the headers they came with."""
    kept = [(name, value) for name, value in headers if name != "content-type" and (call.v3 or name != "cache-control")]
    kept += [("content-type", f"{file.mime}; charset=utf-8"), ("content-range", f"bytes */{file.size}")]
    if call.v3:
        return Response(404, kept, b'{"message":"Not Found"}')
    kept.append(("cache-control", "none"))
    body = b'{"message":"Internal server error","statusCode":500,"correlationId":"yjg3ixsr"}'
    return Response(500, kept, body)
