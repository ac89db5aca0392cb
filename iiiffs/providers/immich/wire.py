"""What we read of Immich's JSON, and what it means here. Pure. Unknown fields are ignored, absent ones are borne.

Facts: the research of Immich's API, §2. Names and values of fields are Immich's; of 2.x and 3.x alike, because what is
read here has the same spelling in both.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from iiiffs.errors import ProviderUnreachable
from iiiffs.model.description import Description
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Facts, Listing, Version
from iiiffs.model.image import Extent
from iiiffs.providers.media import UNKNOWN, media_type_of

T = TypeVar("T")

SHOWN = frozenset({"timeline", "archive"})
"""`hidden` is the moving half of a live photo, `locked` is nobody's business. Rule: research §2."""
SHA1_BYTES = 20
SIDE_PX_MAX = 1 << 31
"""A wider picture is a slip of the server's."""
BY_CONTENT, BY_PATH = "sha1-", "path-"
"""How versions begin: whether what follows is the SHA-1 of the bytes."""
TRUSTED = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/heic", "image/heif", "image/bmp"}
)
"""Kinds whose width and height, as Immich shows them, are those of the original's upright pixels. Not RAW, whose EXIF
tells the sensor's or a thumbnail's; not TIFF, which may have pages; not PSD and SVG."""
Placed = tuple[int, Asset]
"""When it was taken, in ms since 1970 of UTC, which albums are sorted by; and the asset."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)


class ServerVersion(msgspec.Struct):
    """GET /server/version."""

    major: int
    minor: int
    patch: int = 0


class ServerConfig(msgspec.Struct, rename="camel"):
    """GET /server/config."""

    maintenance_mode: bool = False


class ServerFeatures(msgspec.Struct, rename="camel"):
    """GET /server/features."""

    smart_search: bool = False
    trash: bool = False


class KeyRecord(msgspec.Struct):
    """GET /api-keys/me. Before 1.136 keys had no permissions."""

    permissions: list[str]
    name: str = ""


class ExifRecord(msgspec.Struct, rename="camel", gc=False):
    """`exifInfo`: the file's length is nowhere else."""

    file_size_in_byte: int | None = None
    make: str | None = None
    model: str | None = None
    date_time_original: str | None = None
    time_zone: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    description: str | None = None
    rating: float | None = None


class PersonRecord(msgspec.Struct, rename="camel", gc=False):
    """Somebody; `name` is "" until somebody is named."""

    id: str
    name: str = ""
    is_hidden: bool = False


class TagRecord(msgspec.Struct, rename="camel", gc=False):
    """A tag; `value` is the whole path ("Trips/2023")."""

    id: str
    value: str


class AssetRecord(msgspec.Struct, rename="camel", gc=False):
    """An asset, in a listing or alone. `duration`: ms or null on 3.x, text such as "00:00:02.000" on 2.x."""

    id: str
    type: str
    original_file_name: str
    checksum: str
    file_created_at: str
    file_modified_at: str
    local_date_time: str
    created_at: str
    updated_at: str
    visibility: str
    is_trashed: bool
    owner_id: str = ""
    original_mime_type: str | None = None
    width: float | None = None
    height: float | None = None
    duration: str | int | float | None = None
    live_photo_video_id: str | None = None
    library_id: str | None = None
    is_edited: bool = False
    is_offline: bool = False
    thumbhash: str | None = None
    exif_info: ExifRecord | None = None
    people: list[PersonRecord] = []
    tags: list[TagRecord] = []

    @property
    def is_shown(self) -> bool:
        """True if an album lists it."""
        return self.visibility in SHOWN and not self.is_trashed


class StackedRecord(msgspec.Struct, rename="camel"):
    """The stack of an asset."""

    id: str
    primary_asset_id: str


class WholeAsset(AssetRecord, rename="camel"):
    """An asset, alone: with its stack and all its tags and people. `device_asset_id`, `device_id`: on 2.x alone."""

    is_favorite: bool = False
    stack: StackedRecord | None = None
    device_asset_id: str = ""
    device_id: str = ""


class ReferredRecord(msgspec.Struct):
    """Something of which only the id counts."""

    id: str


class MemberRecord(msgspec.Struct):
    """Somebody with whom an album is shared; on 3.x its owner too. `role`: "owner", "editor" or "viewer"."""

    user: ReferredRecord
    role: str


class AlbumRecord(msgspec.Struct, rename="camel"):
    """An album. `assets` on 2.x alone; empty or absent where they were not asked for. `owner_id`: on 2.x."""

    id: str
    album_name: str
    updated_at: str
    asset_count: int
    order: str = "desc"
    last_modified_asset_timestamp: str | None = None
    album_thumbnail_asset_id: str | None = None
    assets: list[AssetRecord] | None = None
    description: str = ""
    created_at: str = ""
    owner_id: str = ""
    album_users: list[MemberRecord] = []

    def role_of(self, user: str) -> str | None:
        """What that user is in it; None for nothing, or where that is not told."""
        if self.owner_id == user:
            return "owner"
        return next((one.role for one in self.album_users if one.user.id == user), None)

    @property
    def figures(self) -> tuple[str, int, str | None]:
        """They differ if the listing does: removing bumps no time, and editing an asset none of the album's (§6)."""
        return self.updated_at, self.asset_count, self.last_modified_asset_timestamp


class SharedLinkRecord(msgspec.Struct, rename="camel"):
    """GET /shared-links/me: of an album, or of `assets`."""

    allow_download: bool
    password: str | None = None
    expires_at: str | None = None
    album: ReferredRecord | None = None
    assets: list[ReferredRecord] = []


class MessageRecord(msgspec.Struct):
    """What a refusal says (§7)."""

    message: str | list[str] = ""


class SearchPart(msgspec.Struct, rename="camel"):
    """`assets` of a search: `next_page` is a number as text."""

    items: list[AssetRecord]
    next_page: str | None = None


class SearchAnswer(msgspec.Struct):
    """POST /search/metadata and /search/smart."""

    assets: SearchPart


class CountAnswer(msgspec.Struct):
    """POST /search/statistics."""

    total: int


class BucketRecord(msgspec.Struct, rename="camel"):
    """One of GET /timeline/buckets: a month as its first day, "2024-06-01"."""

    time_bucket: str
    count: int


class UserRecord(msgspec.Struct, rename="camel"):
    """GET /users/me. Without a quota its size is null."""

    id: str
    quota_size_in_bytes: int | None = None
    quota_usage_in_bytes: int | None = None


class PeopleAnswer(msgspec.Struct, rename="camel"):
    """GET /people."""

    people: list[PersonRecord]
    has_next_page: bool = False


def decoded(body: bytes, type: type[T], what: str) -> T:
    """`body` as that. Errors: ProviderUnreachable if it cannot be understood; its text quotes no value."""
    try:
        return msgspec.json.decode(body, type=type, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderUnreachable(f"{what}: an answer that cannot be understood: {error}") from error


def time_ms(text: str | None) -> int | None:
    """Milliseconds since 1970 in UTC; None if it is no moment of the years 1 to 9999. Finer parts are cut off, for the
    same moment is written in milliseconds here and in microseconds there."""
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or datetime.UTC) - _EPOCH) // _MILLISECOND


def time_text(ms: int) -> str:
    """That moment as the server writes it. `ms` since 1970 in UTC, of the years 1 to 9999."""
    return (_EPOCH + ms * _MILLISECOND).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def moment_text(utc_ms: int, ahead_min: int) -> str:
    """That moment by a wall clock that is so many minutes ahead of UTC, with its zone."""
    wall = (_EPOCH + (utc_ms + ahead_min * 60_000) * _MILLISECOND).replace(tzinfo=None)
    sign, (hours, minutes) = "+" if ahead_min >= 0 else "-", divmod(abs(ahead_min), 60)
    return f"{wall.isoformat(timespec='milliseconds')}{sign}{hours:02}:{minutes:02}"


def ahead_min(record: AssetRecord) -> int:
    """How many minutes the wall clock of an asset was ahead of UTC; 0 where nobody knows."""
    local_ms, utc_ms = time_ms(record.local_date_time), time_ms(record.file_created_at)
    is_known = record.exif_info is not None and record.exif_info.time_zone is not None
    if not is_known or local_ms is None or utc_ms is None or abs(local_ms - utc_ms) >= 24 * 3_600_000:
        return 0
    return round((local_ms - utc_ms) / 60_000)


def version_of(record: AssetRecord) -> Version:
    """Names the bytes: by their SHA-1, and of an external library, whose checksum is of the path, by time and size."""
    try:
        digest = base64.b64decode(record.checksum, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if record.library_id is None and len(digest) == SHA1_BYTES:
        return Version(BY_CONTENT + digest.hex())
    parts = (record.checksum, str(time_ms(record.file_modified_at)), str(size_of(record)))
    return Version(BY_PATH + hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest())


def sha1_of(version: Version) -> bytes | None:
    """The SHA-1 of the bytes of that version; None where the server does not tell it (external libraries)."""
    return bytes.fromhex(version.removeprefix(BY_CONTENT)) if version.startswith(BY_CONTENT) else None


def size_of(record: AssetRecord) -> int | None:
    """The original's length in bytes; None while the server has not looked at the file."""
    return None if record.exif_info is None else record.exif_info.file_size_in_byte


def kind_of(record: AssetRecord) -> str:
    """Its media type: by the name, and where the name says nothing, as the server has it."""
    by_name, told = media_type_of(record.original_file_name), record.original_mime_type or ""
    return told if by_name == UNKNOWN and told.startswith(("image/", "video/", "audio/")) else by_name


def motion_of(record: AssetRecord) -> AssetId | None:
    """The video that belongs to a live photo; None if it has none."""
    return AssetId(record.live_photo_video_id) if record.live_photo_video_id else None


def asset_of(record: AssetRecord, album: AlbumId) -> Asset:
    """The asset, as a member of `album`. Its time is the file's own (`fileModifiedAt`), which uploading keeps."""
    modified_ms = max(0, time_ms(record.file_modified_at) or 0)
    # Of an upload there is one version, from its upload on; of an external file as many as it has times.
    uploaded_ms = 0 if record.library_id else time_ms(record.created_at) or 0
    begun_ms = max(modified_ms, uploaded_ms)
    version = version_of(record)
    return Asset(
        AssetId(record.id),
        album,
        record.original_file_name,
        version,
        size_of(record),
        modified_ms * 1_000_000,
        begun_ms * 1_000_000,
        kind_of(record),
        sha1_of(version),
        facts_tag(record),
        motion_of(record),
    )


def album_of(record: AlbumRecord) -> Album:
    """The album; its time is that of the last change that the server dates."""
    times = (time_ms(record.updated_at), time_ms(record.last_modified_asset_timestamp))
    mtime_ns = max(0, *(time or 0 for time in times)) * 1_000_000
    cover = AssetId(record.album_thumbnail_asset_id) if record.album_thumbnail_asset_id else None
    return Album(AlbumId(record.id), record.album_name, None, mtime_ns, record.asset_count, cover)


def evenly(record: AssetRecord, people_of: str | None) -> AssetRecord:
    """`record` as every question that tells of the asset could have told it, so that it is described the same whichever
    was asked last: tags come with single assets alone; people with single ones, with searches of 3.x, and of assets of
    others with some of these. `people_of`: whose assets may name people; None for nobody's."""
    record.tags = []
    if people_of is None or record.owner_id != people_of:
        record.people = []
    return record


def displayed(record: AssetRecord) -> Extent | None:
    """Upright px of what the server shows, edits applied; None until it has looked at the file."""
    width, height = round(record.width or 0), round(record.height or 0)
    return Extent(width, height) if 0 < width <= SIDE_PX_MAX and 0 < height <= SIDE_PX_MAX else None


def extent_of(record: AssetRecord) -> Extent | None:
    """Upright px of the original; None while unknown, or where only the bytes tell: see TRUSTED."""
    trusted = record.type == "VIDEO" or media_type_of(record.original_file_name) in TRUSTED
    return displayed(record) if trusted and not record.is_edited else None


def facts_of(record: AssetRecord) -> Facts | None:
    """What the server says of the original; None where the bytes must be read for it."""
    extent = extent_of(record)
    if extent is None or record.type not in ("IMAGE", "VIDEO"):
        return None
    return Facts(
        kind_of(record),
        extent,
        captured=captured(record),
        duration_s=duration_s(record) if record.type == "VIDEO" else None,
        description=description_of(record),
    )


def captured(record: AssetRecord) -> str | None:
    """Rule: Facts.captured. `localDateTime` is the wall clock, written as if it were UTC; what it is ahead of
    `fileCreatedAt` is the zone, which counts only where the server knows one."""
    exif, local_ms, utc_ms = record.exif_info, time_ms(record.local_date_time), time_ms(record.file_created_at)
    if exif is None or exif.date_time_original is None or local_ms is None or utc_ms is None:
        return None
    text = (_EPOCH + local_ms * _MILLISECOND).replace(tzinfo=None).isoformat(timespec="seconds")
    if exif.time_zone is None:
        return text
    ahead_min = round((local_ms - utc_ms) / 60_000)
    if not ahead_min:
        return text + "Z"
    sign, (hours, minutes) = "+" if ahead_min > 0 else "-", divmod(abs(ahead_min), 60)
    return f"{text}{sign}{hours:02}:{minutes:02}" if hours < 24 else text


def duration_s(record: AssetRecord) -> float:
    """Seconds; 0.0 if nobody knows."""
    value = record.duration
    if value is None or isinstance(value, int | float):
        return (value or 0) / 1000
    hours, _, rest = value.partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return round(int(hours) * 3600 + int(minutes) * 60 + float(seconds), 3)
    except ValueError:
        return 0.0


def description_of(record: AssetRecord) -> Description:
    """What the server says of the content: people and tags where this record carries them."""
    exif = record.exif_info or ExifRecord()
    summary = (exif.description or "").strip()
    places = (exif.city, exif.state, exif.country)
    has_position = exif.latitude is not None and exif.longitude is not None
    return Description(
        summary=(("", summary),) if summary else (),
        keywords=tuple(sorted(tag.value for tag in record.tags)),
        rating=None if exif.rating is None else max(-1, min(5, round(exif.rating))),
        camera=_camera(exif.make, exif.model),
        place=tuple(dict.fromkeys(place for place in places if place)),
        position=(exif.latitude or 0.0, exif.longitude or 0.0) if has_position else None,
        people=tuple(sorted({one.name for one in record.people if one.name and not one.is_hidden})),
    )


def _camera(make: str | None, model: str | None) -> str | None:
    make, model = (make or "").strip(), (model or "").strip()
    return model if make and model.lower().startswith(make.lower()) else f"{make} {model}".strip() or None


def facts_tag(record: AssetRecord) -> str:
    """Differs if what the server says of the asset does, though its bytes are the same: facts, previews, live half."""
    parts = (repr(facts_of(record)), record.thumbhash or "", record.live_photo_video_id or "")
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def listing_of(album: AlbumRecord, records: Iterable[AssetRecord]) -> Listing:
    """All that is in the album, in the order that the album is shown in."""
    shown = (record for record in records if record.is_shown)
    id = AlbumId(album.id)
    return listing_of_placed(album, {one.id: (time_ms(one.file_created_at) or 0, asset_of(one, id)) for one in shown})


def listing_of_placed(album: AlbumRecord, placed: Mapping[str, Placed]) -> Listing:
    """As `listing_of`, of assets by their ids."""
    ordered = sorted(placed.values(), key=lambda one: (one[0], one[1].id), reverse=album.order == "desc")
    found = album_of(album)
    digest = hashlib.blake2b(repr(found).encode("utf-8", "surrogatepass"), digest_size=16)
    for _, asset in ordered:
        digest.update(f"{asset!r}\0".encode("utf-8", "surrogatepass"))
    return Listing(found, tuple(asset for _, asset in ordered), (), digest.hexdigest())
