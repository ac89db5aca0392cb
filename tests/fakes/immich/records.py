"""What the fake keeps: its tables as plain records. Moments are microseconds (moments.py), ids UUIDs as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.fakes.immich.originals import Original

Role = Literal["owner", "editor", "viewer"]
Visibility = Literal["timeline", "archive", "hidden", "locked"]


@dataclass(slots=True)
class User:
    """A person with a library. `quota`: bytes, None = unlimited."""

    id: str
    name: str
    email: str
    is_admin: bool
    created: int
    updated: int
    quota: int | None = None
    colour: str = "orange"


@dataclass(slots=True)
class ApiKey:
    """`secret` is what the client sends."""

    id: str
    user: str
    name: str
    secret: str
    permissions: tuple[str, ...]
    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class Camera:
    """What exifInfo says of the camera and the exposure."""

    make: str | None = None
    model: str | None = None
    lens: str | None = None
    f_number: float | None = None
    focal_length: float | None = None
    iso: int | None = None
    exposure: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where, as coordinates and as names."""

    latitude: float
    longitude: float
    city: str | None = None
    state: str | None = None
    country: str | None = None


UNKNOWN_CAMERA = Camera()


@dataclass(slots=True)
class Asset:
    """A photo or video. `taken` is UTC; `zone` the wall clock's, in minutes, None = not known.

    `width`, `height`: as displayed, None until processed. `sensor`: of the raw file. `thumbs`: when the thumbnail job
    ran, None = not yet. `undecodable`: it never will. `deleted`: when it went to the trash. `purging`: force-deleted,
    and gone with the next job.
    """

    id: str
    owner: str
    name: str
    kind: Literal["IMAGE", "VIDEO"]
    original: Original
    checksum: bytes
    size: int
    created: int
    updated: int
    taken: int
    modified: int
    zone: int | None = None
    visibility: Visibility = "timeline"
    favorite: bool = False
    deleted: int | None = None
    purging: bool = False
    width: int | None = None
    height: int | None = None
    sensor: tuple[int, int] | None = None
    orientation: str | None = None
    duration_ms: int | None = None
    thumbs: int | None = None
    undecodable: bool = False
    edited: bool = False
    """Cropped or turned in Immich: `width` and `height` are those of the edit, the original is what it was."""
    thumbhash: str | None = None
    has_exif: bool = True
    description: str = ""
    rating: int | None = None
    camera: Camera = UNKNOWN_CAMERA
    place: Place | None = None
    live_video: str | None = None
    library: str | None = None
    path: str = ""
    offline: bool = False
    stack: str | None = None
    tags: frozenset[str] = frozenset()
    depicts: str = ""
    sidecar: bytes | None = None
    written: frozenset[str] = frozenset()
    """Fields that were set over the API, and so stand in the sidecar: description, rating, taken, place."""
    device_asset: str = ""
    device: str = ""
    notes: dict[str, tuple[dict[str, object], int]] | None = None
    """The key-value store of /assets/{id}/metadata: key -> (value, when)."""

    @property
    def local(self) -> int:
        """The wall clock, written as if it were UTC."""
        return self.taken + (self.zone or 0) * 60_000_000

    @property
    def trashed(self) -> bool:
        """In the trash, or about to vanish."""
        return self.deleted is not None


@dataclass(slots=True)
class Album:
    """`members`: asset id -> nothing, in the order they were added. `users`: everyone but the owner -> role."""

    id: str
    owner: str
    name: str
    created: int
    updated: int
    description: str = ""
    cover: str | None = None
    order: Literal["asc", "desc"] = "desc"
    activity: bool = True
    users: dict[str, Role] = field(default_factory=dict)
    members: dict[str, None] = field(default_factory=dict)

    def role(self, user: str) -> Role | None:
        """None: it is not shared with that user."""
        return "owner" if user == self.owner else self.users.get(user)


@dataclass(slots=True)
class Person:
    """Somebody that faces belong to. `name` may be "": not named yet."""

    id: str
    owner: str
    name: str
    created: int
    updated: int
    hidden: bool = False
    favorite: bool = False
    birth: str | None = None


@dataclass(slots=True)
class Face:
    """Where somebody is in a picture: x1, y1, x2, y2 in a picture of `size`."""

    id: str
    asset: str
    person: str | None
    box: tuple[int, int, int, int]
    size: tuple[int, int]


@dataclass(slots=True)
class Tag:
    """`value` is the whole path, "Trips/2023"; `parent` the tag above."""

    id: str
    owner: str
    value: str
    parent: str | None
    created: int
    updated: int
    colour: str | None = None


@dataclass(slots=True)
class Stack:
    """Several assets shown as one."""

    id: str
    owner: str
    primary: str
    members: list[str]


@dataclass(slots=True)
class SharedLink:
    """A way in without an account, to an album or to some assets."""

    id: str
    user: str
    key: str
    created: int
    album: str | None = None
    assets: list[str] = field(default_factory=list)
    description: str | None = None
    password: str | None = None
    slug: str | None = None
    expires: int | None = None
    download: bool = True
    upload: bool = False
    show_metadata: bool = True


@dataclass(slots=True)
class Job:
    """Work that is done later: `due` of the monotonic clock in seconds, infinite while jobs are held."""

    due: float
    work: Callable[[], None]
