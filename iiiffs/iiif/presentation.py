"""Manifests and Collections as plain dicts of str, int, list and dict. Rule: Presentation API 3.0 §3, §5.

Written by hand because iiif-prezi3's helpers are quadratic (10,000 canvases not done in 300 s, measured 2026-11); the
tests validate with it. Not here: JSON encoding, videos, navPlace (places are shown only when asked for, DESIGN §2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from iiiffs.errors import NoSuchName
from iiiffs.iiif.info import PROFILE
from iiiffs.iiif.pyramid import sizes
from iiiffs.iiif.scaling import Limits, fitted
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.model.image import Extent

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
COVER_SIDE_PX = 400
THUMBNAIL_SIDE_PX = 200
"""A thumbnail is the smallest listed size whose long side has at least so many px: sharp in a grid of 100 to 200 px."""


@dataclass(frozen=True, slots=True)
class OriginalFile:
    """An original that may be downloaded. `size_bytes` is None while unknown."""

    uri: str
    media_type: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class CanvasItem:
    """One picture of an album.

    `label` may be any text. `extent`: upright. `original` is None where originals are not shown.
    `captured`: as `Facts.captured`; without a zone, or no date at all, it gives no navDate.
    """

    asset: AssetId
    label: str
    extent: Extent
    original: OriginalFile | None
    captured: str | None = None


@dataclass(frozen=True, slots=True)
class AlbumHeading:
    """What a Manifest says of its album. `part_of`: URI of the Collection that lists it; `homepage`: of its page."""

    account: AccountName
    album: AlbumId
    label: str
    part_of: str | None
    homepage: str | None = None


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture to stand for an album: the URI of its image service, and the upright extent of the image."""

    service_id: str
    extent: Extent


@dataclass(frozen=True, slots=True)
class CollectionItem:
    """A reference to a document, by its URI. `label` may be any text. `homepage`: URI of a page that shows it."""

    id: str
    type: Literal["Manifest", "Collection"]
    label: str
    thumbnail: Thumbnail | None
    homepage: str | None = None


def manifest(uris: Uris, heading: AlbumHeading, items: Sequence[CanvasItem], limits: Limits) -> dict[str, object]:
    """The Manifest of one album: one Canvas an item, in their order. Linear in `items`.

    Errors: NoSuchName if there are none, for an album without pictures has no manifest (§5.2 wants a canvas).
    """
    if not items:
        raise NoSuchName(f"album {heading.album} has no pictures, so no manifest")
    canvases = [_canvas(uris, heading, item, limits) for item in items]
    return {
        "@context": CONTEXT,
        "id": uris.manifest(heading.account, heading.album),
        "type": "Manifest",
        "label": language_map(heading.label),
        "thumbnail": canvases[0]["thumbnail"],
        "behavior": ["individuals"],
        **_homepage(heading.homepage, heading.label),
        **_part_of(heading.part_of),
        "items": canvases,
    }


def collection(
    uri: str, label: str, items: Iterable[CollectionItem], limits: Limits, *, part_of: str | None
) -> dict[str, object]:
    """The Collection at `uri`: a reference an item, in their order; it may be empty. Linear in `items`."""
    return {
        "@context": CONTEXT,
        "id": uri,
        "type": "Collection",
        "label": language_map(label),
        **_part_of(part_of),
        "items": [_reference(item, limits) for item in items],
    }


def language_map(text: str) -> dict[str, list[str]]:
    """`text` as a value of no known language; never empty, always valid Unicode.

    Lone surrogates become U+FFFD (JSON cannot hold them), control characters go.
    """
    return {"none": [_CONTROLS.sub("", _SURROGATES.sub("\ufffd", text)) or "Untitled"]}


_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")


def thumbnails(thumbnail: Thumbnail, limits: Limits) -> list[dict[str, object]]:
    """The value of `thumbnail`: one Image of a listed size, with its service, so that viewers may choose another."""
    listed = sizes(thumbnail.extent, limits)
    chosen = next((size for size in listed if max(size.width, size.height) >= THUMBNAIL_SIDE_PX), listed[-1])
    service = {
        **_service(thumbnail.service_id),
        "sizes": [{"width": size.width, "height": size.height} for size in listed],
    }
    return [
        {
            "id": f"{thumbnail.service_id}/full/{chosen.width},{chosen.height}/0/default.jpg",
            "type": "Image",
            "format": "image/jpeg",
            "width": chosen.width,
            "height": chosen.height,
            "service": [service],
        }
    ]


def cover(service_id: str) -> list[dict[str, object]]:
    """The `thumbnail` of an album in a Collection: the same bytes whatever version its first picture is in.

    So no width and height (a SHOULD of §3.1): a Collection is built from the names below it, not from their pixels.
    """
    uri = f"{service_id}/full/!{COVER_SIDE_PX},{COVER_SIDE_PX}/0/default.jpg"
    return [{"id": uri, "type": "Image", "format": "image/jpeg", "service": [_service(service_id)]}]


def nav_date(captured: str | None) -> str | None:
    """`captured` in UTC as xsd:dateTime; None without a zone, or if the calendar has no such moment (cameras err).

    Rule: Presentation API 3.0 §3.1, navDate.
    """
    if captured is None or not _ZONED.fullmatch(captured):
        return None
    try:
        moment = datetime.fromisoformat(captured).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


_ZONED = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


def _canvas(uris: Uris, heading: AlbumHeading, item: CanvasItem, limits: Limits) -> dict[str, object]:
    """The Canvas, as large as the image itself; what is painted on it is as large as `limits` let it be."""
    uri = uris.canvas(heading.account, heading.album, item.asset)
    service_id = uris.service(heading.account, item.asset)
    canvas: dict[str, object] = {
        "id": uri,
        "type": "Canvas",
        "label": language_map(item.label),
        "width": item.extent.width,
        "height": item.extent.height,
        "thumbnail": thumbnails(Thumbnail(service_id, item.extent), limits),
    }
    if (date := nav_date(item.captured)) is not None:
        canvas["navDate"] = date
    if item.original is not None:
        canvas["rendering"] = [_rendering(item.original, item.label)]
    canvas["items"] = [_painting_page(uri, service_id, fitted(item.extent, limits, upscale=False))]
    return canvas


def _painting_page(canvas: str, service_id: str, shown: Extent) -> dict[str, object]:
    """The AnnotationPage that paints an image of extent `shown` on `canvas`; ids are below the canvas's, so unique."""
    body = {
        "id": f"{service_id}/full/max/0/default.jpg",
        "type": "Image",
        "format": "image/jpeg",
        "width": shown.width,
        "height": shown.height,
        "service": [_service(service_id)],
    }
    annotation = {
        "id": f"{canvas}/annotation",
        "type": "Annotation",
        "motivation": "painting",
        "body": body,
        "target": canvas,
    }
    return {"id": f"{canvas}/page", "type": "AnnotationPage", "items": [annotation]}


def _service(service_id: str) -> dict[str, object]:
    return {"id": service_id, "type": "ImageService3", "profile": PROFILE}


# Rule: Presentation API 3.0 §3.2, the types of content resources; what is none of these is data.
_RESOURCE_TYPES = {
    "image": "Image",
    "video": "Video",
    "audio": "Sound",
    "text": "Text",
}


def _rendering(original: OriginalFile, name: str) -> dict[str, object]:
    """The download of an original, labelled with its name and size, as in "IMG_1.jpg (3.4 MB)"."""
    size = "" if original.size_bytes is None else f" ({_size_words(original.size_bytes)})"
    return {
        "id": original.uri,
        "type": _RESOURCE_TYPES.get(original.media_type.partition("/")[0], "Dataset"),
        "label": language_map(name + size),
        "format": original.media_type,
    }


def _size_words(size_bytes: int) -> str:
    """Decimal units with at most one place: "999 B", "1.5 kB", "3.4 MB"."""
    for unit, unit_bytes in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.1f} {unit}"
    return f"{size_bytes} B"


def _part_of(uri: str | None) -> dict[str, object]:
    return {} if uri is None else {"partOf": [{"id": uri, "type": "Collection"}]}


def _reference(item: CollectionItem, limits: Limits) -> dict[str, object]:
    reference: dict[str, object] = {"id": item.id, "type": item.type, "label": language_map(item.label)}
    if item.thumbnail is not None:
        reference["thumbnail"] = cover(item.thumbnail.service_id)
    return reference | _homepage(item.homepage, item.label)


def _homepage(uri: str | None, label: str) -> dict[str, object]:
    """The page that shows the thing. Rule: Presentation API 3.0 §3.3, homepage."""
    if uri is None:
        return {}
    return {"homepage": [{"id": uri, "type": "Text", "format": "text/html", "label": language_map(label)}]}
