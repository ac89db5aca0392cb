"""Canvases: what one asset becomes in a Manifest. Rule: Presentation API 3.0 §3.1, §5.3 to §5.7.

A picture is one Canvas; a picture of several pages one a page; a video has width, height and duration, its bytes as
body and its poster as placeholder; sound has a duration alone. What cannot be shown has none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf

from iiiffs.iiif.description import (
    NOTHING_MORE,
    Privacy,
    Said,
    best_capture_time,
    descriptive,
    label_map,
    language_map,
    shown,
)
from iiiffs.iiif.info import PROFILE
from iiiffs.iiif.info2 import PROFILE_2
from iiiffs.iiif.navigation import nav_date, nav_place
from iiiffs.iiif.pyramid import sizes
from iiiffs.iiif.scaling import Limits, fitted
from iiiffs.iiif.uris import Uris
from iiiffs.model.description import NOTHING_SAID, Description
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.model.image import Extent

THUMBNAIL_SIDE_PX = 200
"""A thumbnail is the smallest listed size whose long side has at least so many px: sharp in a grid of 100 to 200 px."""
SIDECAR_PROFILE = "http://ns.adobe.com/xap/1.0/"


@dataclass(frozen=True, slots=True)
class OriginalFile:
    """A file that may be downloaded. `size_bytes` is None while unknown."""

    uri: str
    media_type: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class LinkedImage:
    """A picture at an address of the provider's own. `extent`: upright px."""

    uri: str
    media_type: str
    extent: Extent


@dataclass(frozen=True, slots=True)
class Linked:
    """Where the provider itself hands an asset out: what is painted, and what stands for it where that is small."""

    painted: LinkedImage
    thumbnail: LinkedImage


@dataclass(frozen=True, slots=True)
class CanvasItem:
    """One asset of an album.

    `label`: the file's name; may be any text. `extent`: upright; None for sound and for what cannot be shown.
    `original` is None where originals are not shown. `captured`, `pages`, `duration_s`, `description`: as in Facts.
    `said`: what the owner says of it. `motion`: the video of a live photo. `sidecar`: the .xmp beside it.
    `linked`: pictures to be shown in the place of an image service, which there is none of then.
    """

    asset: AssetId
    label: str
    extent: Extent | None
    original: OriginalFile | None
    captured: str | None = None
    description: Description = NOTHING_SAID
    said: Said = NOTHING_MORE
    pages: tuple[Extent, ...] = ()
    duration_s: float | None = None
    motion: OriginalFile | None = None
    sidecar: OriginalFile | None = None
    linked: Linked | None = None

    @property
    def taken(self) -> str | None:
        """When it was taken, by the best that is known of it; as Facts.captured."""
        return best_capture_time(self.captured, self.description)

    @property
    def is_played(self) -> bool:
        """True if it has a duration that a Canvas can have, and bytes that may be played."""
        return self.original is not None and self.duration_s is not None and 0 < self.duration_s < inf

    @property
    def canvas_assets(self) -> tuple[AssetId, ...]:
        """The ids that its Canvases and image services have, in order: its own, then ID~2, ID~3 … of further pages."""
        if self.extent is None:
            return (self.asset,) if self.is_played else ()
        further = range(2, len(self.pages) + 1) if self.duration_s is None and self.linked is None else ()
        return (self.asset, *(AssetId(f"{self.asset}~{page}") for page in further))


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture to stand for an album: the URI of its image service, and the upright extent of the image."""

    service_id: str
    extent: Extent


@dataclass(frozen=True, slots=True)
class CanvasRules:
    """What all Canvases of a Manifest are made by."""

    uris: Uris
    account: AccountName
    album: AlbumId
    limits: Limits
    privacy: Privacy


def canvases(rules: CanvasRules, item: CanvasItem) -> list[dict[str, object]]:
    """The Canvases of `item`, with the ids of `canvas_assets`; none for what cannot be shown."""
    if not item.canvas_assets:
        return []
    description = shown(item.description, rules.privacy)
    said = item if description is item.description else replace(item, description=description)
    if item.is_played and item.original is not None and item.duration_s is not None:
        return [_played(rules, said, item.original, max(0.001, round(item.duration_s, 3)))]
    if item.extent is None:
        return []
    if len(item.canvas_assets) == 1:
        label = label_map(said.said.label or said.description.label, item.label)
        if item.linked is not None:
            return [_linked(rules, item.asset, item.linked, item.extent, label) | _about(rules, said)]
        return [_picture(rules, item.asset, item.extent, label) | _about(rules, said)]
    return _pages(rules, said)


def _pages(rules: CanvasRules, item: CanvasItem) -> list[dict[str, object]]:
    """A Canvas a page; the first says what the file says of itself."""
    words = label_map(item.said.label or item.description.label, item.label)
    made = []
    for number, (asset, extent) in enumerate(zip(item.canvas_assets, item.pages, strict=True), 1):
        label = {language: [f"{text} (page {number})" for text in texts] for language, texts in words.items()}
        made.append(_picture(rules, asset, extent, label))
    made[0] |= _about(rules, item)
    return made


def _picture(rules: CanvasRules, asset: AssetId, extent: Extent, label: dict[str, list[str]]) -> dict[str, object]:
    """The Canvas, as large as the image itself; what is painted on it is as large as the limits let it be."""
    uri = rules.uris.canvas(rules.account, rules.album, asset)
    service_id = rules.uris.service(rules.account, asset)
    return {
        "id": uri,
        "type": "Canvas",
        "label": label,
        "width": extent.width,
        "height": extent.height,
        "thumbnail": thumbnails(Thumbnail(service_id, extent), rules.limits),
        "items": [painting_page(uri, _image(rules, asset, extent))],
    }


def _linked(
    rules: CanvasRules, asset: AssetId, linked: Linked, extent: Extent, label: dict[str, list[str]]
) -> dict[str, object]:
    """The Canvas of a picture that the provider hands out, as large as the picture itself."""
    uri = rules.uris.canvas(rules.account, rules.album, asset)
    return {
        "id": uri,
        "type": "Canvas",
        "label": label,
        "width": extent.width,
        "height": extent.height,
        "thumbnail": [_linked_image(linked.thumbnail)],
        "items": [painting_page(uri, _linked_image(linked.painted))],
    }


def _linked_image(image: LinkedImage) -> dict[str, object]:
    sides = {"width": image.extent.width, "height": image.extent.height}
    return {"id": image.uri, "type": "Image", "format": image.media_type, **sides}


def _played(rules: CanvasRules, item: CanvasItem, file: OriginalFile, duration_s: float) -> dict[str, object]:
    """A Canvas in time. A video's has an extent as well, or it may not be painted with one (§5.3)."""
    uri = rules.uris.canvas(rules.account, rules.album, item.asset)
    sides: dict[str, object] = {}
    poster: dict[str, object] = {}
    if item.extent is not None:
        sides = {"width": item.extent.width, "height": item.extent.height}
        poster = _poster(rules, item.asset, item.extent, item.linked)
    body = {
        "id": file.uri,
        "type": "Sound" if item.extent is None else "Video",
        "format": file.media_type,
        **sides,
        "duration": duration_s,
    }
    return {
        "id": uri,
        "type": "Canvas",
        "label": label_map(item.said.label or item.description.label, item.label),
        **sides,
        "duration": duration_s,
        **poster,
        **_about(rules, item),
        "items": [painting_page(uri, body)],
    }


def _poster(rules: CanvasRules, asset: AssetId, extent: Extent, linked: Linked | None) -> dict[str, object]:
    """The picture that stands for a video until it plays: its image service is that of one of its frames."""
    uri = f"{rules.uris.canvas(rules.account, rules.album, asset)}/poster"
    placeholder = {
        "id": uri,
        "type": "Canvas",
        "width": extent.width,
        "height": extent.height,
        "items": [
            painting_page(uri, _image(rules, asset, extent) if linked is None else _linked_image(linked.painted))
        ],
    }
    if linked is not None:
        return {"thumbnail": [_linked_image(linked.thumbnail)], "placeholderCanvas": placeholder}
    thumbnail = Thumbnail(rules.uris.service(rules.account, asset), extent)
    return {"thumbnail": thumbnails(thumbnail, rules.limits), "placeholderCanvas": placeholder}


def _about(rules: CanvasRules, item: CanvasItem) -> dict[str, object]:
    """All that a Canvas says beside what is painted on it."""
    taken = item.taken
    about = descriptive(item.description, item.said, taken)
    if (date := nav_date(taken)) is not None:
        about["navDate"] = date
    if item.description.position is not None:
        uri = rules.uris.canvas(rules.account, rules.album, item.asset)
        about["navPlace"] = nav_place(uri, item.description.position)
    downloads = [file for file in (item.original, item.motion) if file is not None]
    if downloads:
        about["rendering"] = [rendering(file, item.label) for file in downloads]
    if item.sidecar is not None:
        about["seeAlso"] = [
            {
                "id": item.sidecar.uri,
                "type": "Dataset",
                "label": {"en": ["XMP"]},
                "format": "application/rdf+xml",
                "profile": SIDECAR_PROFILE,
            }
        ]
    return about


def painting_page(canvas: str, body: dict[str, object]) -> dict[str, object]:
    """The AnnotationPage that paints `body` on `canvas`; ids are below the canvas's, so unique."""
    annotation = {
        "id": f"{canvas}/annotation",
        "type": "Annotation",
        "motivation": "painting",
        "body": body,
        "target": canvas,
    }
    return {"id": f"{canvas}/page", "type": "AnnotationPage", "items": [annotation]}


def _image(rules: CanvasRules, asset: AssetId, extent: Extent) -> dict[str, object]:
    """The body: as large as the limits let it be, with the services of both Image APIs, for viewers of either age."""
    service_id, size = rules.uris.service(rules.account, asset), _painted(extent, rules.limits)
    older = {"@id": rules.uris.service_2(rules.account, asset), "@type": "ImageService2", "profile": PROFILE_2}
    return {
        "id": f"{service_id}/full/max/0/default.jpg",
        "type": "Image",
        "format": "image/jpeg",
        "width": size.width,
        "height": size.height,
        "service": [service(service_id), older],
    }


@lru_cache(maxsize=256)
def _painted(extent: Extent, limits: Limits) -> Extent:
    """How large it is painted. The pictures of an album have few extents."""
    return fitted(extent, limits, upscale=False)


@lru_cache(maxsize=256)
def _listed(extent: Extent, limits: Limits) -> tuple[Extent, list[dict[str, int]]]:
    """A thumbnail's size, and all listed ones: one object for equal extents, which nobody may change."""
    listed = sizes(extent, limits)
    chosen = next((size for size in listed if max(size.width, size.height) >= THUMBNAIL_SIDE_PX), listed[-1])
    return chosen, [{"width": size.width, "height": size.height} for size in listed]


def service(service_id: str) -> dict[str, object]:
    """The reference to an image service."""
    return {"id": service_id, "type": "ImageService3", "profile": PROFILE}


def thumbnails(thumbnail: Thumbnail, limits: Limits) -> list[dict[str, object]]:
    """The value of `thumbnail`: one Image of a listed size, with its service, so that viewers may choose another."""
    chosen, listed = _listed(thumbnail.extent, limits)
    offered = {**service(thumbnail.service_id), "sizes": listed}
    return [
        {
            "id": f"{thumbnail.service_id}/full/{chosen.width},{chosen.height}/0/default.jpg",
            "type": "Image",
            "format": "image/jpeg",
            "width": chosen.width,
            "height": chosen.height,
            "service": [offered],
        }
    ]


# Rule: Presentation API 3.0 §3.2, the types of content resources; what is none of these is data.
_RESOURCE_TYPES = {"image": "Image", "video": "Video", "audio": "Sound", "text": "Text"}


def rendering(original: OriginalFile, name: str) -> dict[str, object]:
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
