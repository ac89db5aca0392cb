"""What Immich answers to who changes something. Pure. Names are Immich's; rule: wire.py."""

from __future__ import annotations

import msgspec

NOTE = "iiiffs"
"""The key of what is kept beside an asset, in its own key-value store."""
DEVICE = "iiiffs"
DUPLICATE = "duplicate"
NOT_FOUND = "not_found"


class CheckRecord(msgspec.Struct, rename="camel"):
    """One of POST /assets/bulk-upload-check: `action` is "accept", or "reject" for an asset that is there already."""

    id: str
    action: str
    asset_id: str | None = None
    is_trashed: bool = False


class CheckAnswer(msgspec.Struct):
    """POST /assets/bulk-upload-check."""

    results: list[CheckRecord]


class UploadAnswer(msgspec.Struct):
    """POST /assets: `status` is "created" or "duplicate"."""

    id: str
    status: str


class ItemRecord(msgspec.Struct):
    """What became of one of many: 200 says nothing of them."""

    id: str
    success: bool
    error: str | None = None


class NoteValue(msgspec.Struct, rename="camel", omit_defaults=True):
    """What iiiffs keeps beside an asset.

    `token`: of the file that it was made from, or that replaced it. `replaced_by`: the asset that has what people had
    said of this one, before this one went to the trash; `not_carried`: but for this.
    """

    token: str = ""
    replaced_by: str | None = None
    not_carried: list[str] = []


class NoteRecord(msgspec.Struct):
    """One of GET /assets/{id}/metadata. Others keep what they like under their keys."""

    key: str
    value: msgspec.Raw


class MediaTypes(msgspec.Struct):
    """GET /server/media-types: suffixes with their dot."""

    image: list[str] = []
    video: list[str] = []


class StorageRecord(msgspec.Struct, rename="camel"):
    """GET /server/storage: the server's disk."""

    disk_size_raw: int
    disk_available_raw: int


class FacePerson(msgspec.Struct):
    """Who it is."""

    id: str


class FaceRecord(msgspec.Struct, rename="camel"):
    """One of GET /faces: a box in a picture of that size, px."""

    image_width: int
    image_height: int
    bounding_box_x1: int = msgspec.field(name="boundingBoxX1")
    bounding_box_y1: int = msgspec.field(name="boundingBoxY1")
    bounding_box_x2: int = msgspec.field(name="boundingBoxX2")
    bounding_box_y2: int = msgspec.field(name="boundingBoxY2")
    person: FacePerson | None = None
