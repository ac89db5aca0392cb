"""What a provider has: albums, assets, listings; and what an asset's bytes say of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from iiiffs.model.description import NOTHING_SAID, Description
from iiiffs.model.image import Extent

AccountName = NewType("AccountName", str)
"""One name of an account. `AccountNames` says which: nodes and URIs hold the slug, state and cache the name."""

AlbumId = NewType("AlbumId", str)
"""Stable for life; only A-Z a-z 0-9 - . _ ~ (DESIGN §2.7)."""

AssetId = NewType("AssetId", str)
"""Stable for life; only A-Z a-z 0-9 - . _ ~ (DESIGN §2.7)."""

LOCAL = "local-"
"""What ids of albums and assets begin with that no provider has yet, and versions of bytes that it has not got."""

Version = NewType("Version", str)
"""Names one version of an asset's bytes; ASCII, opaque, compared for equality only."""


@dataclass(frozen=True, slots=True)
class AccountNames:
    """What one account is called (DESIGN §2.7).

    `name`: of its [account.NAME] section: the key of what state and cache know of it, and a part of what new ids are
    made from. `slug`: the directory below the mount and the first part of every URI. `aliases`: further names under
    which that directory is found, and not listed.
    """

    name: AccountName
    slug: AccountName
    aliases: tuple[AccountName, ...] = ()


@dataclass(frozen=True, slots=True)
class Album:
    """An album, or a folder of a provider with a real folder tree. `parent` is None for the topmost folder.

    `title` may hold lone surrogates where a file name is not UTF-8 (os.fsdecode). `mtime_ns` is 0 where nobody knows.
    `count`, `cover`: how many assets are in it and which one stands for it, where the provider says so unasked.
    """

    id: AlbumId
    title: str
    parent: AlbumId | None
    mtime_ns: int
    count: int | None = None
    cover: AssetId | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """One original in one version.

    `name`: the provider's title or file name; may hold lone surrogates (os.fsdecode).
    `size_bytes`: true length; None while the provider has not said.
    `mtime_ns`: the time shown on the original; versions of one asset are at least 1 s apart (DESIGN §2.4).
    `changed_ns`: when this version is known to have begun; never earlier than `mtime_ns` of a first version, at least
        1 s after the version before, the same over restarts. What is made from the asset is never older than this.
    `media_type`: by name until the bytes were seen, such as "image/jpeg"; "application/octet-stream" if unknown.
    `checksum`: SHA-1 of the bytes of this version, 20 bytes, where the provider tells one that holds; else None.
    `described`: another text when what the provider says of the asset is another, though its bytes are the same; ""
        where only the bytes say anything.
    `motion`: the moving half of a live photo, which is in no listing; None if it has none.
    """

    id: AssetId
    album: AlbumId
    name: str
    version: Version
    size_bytes: int | None
    mtime_ns: int
    changed_ns: int
    media_type: str
    checksum: bytes | None = None
    described: str = ""
    motion: AssetId | None = None

    @property
    def is_media(self) -> bool:
        """True if its name says that it is a picture, a video or sound."""
        return self.media_type.startswith(("image/", "video/", "audio/"))

    @property
    def is_local(self) -> bool:
        """True if the bytes of this version wait in the spool for their provider."""
        return self.version.startswith(LOCAL)

    @property
    def is_image(self) -> bool:
        """True if its name says that it is a picture (its bytes may still disagree: see Facts.error)."""
        return self.media_type.startswith("image/")


@dataclass(frozen=True, slots=True)
class Listing:
    """All that is directly in one album: whole, never partial. Order is the provider's own.

    `etag` changes whenever anything in the listing does; equal etags mean equal listings.
    """

    album: Album
    assets: tuple[Asset, ...]
    albums: tuple[Album, ...]
    etag: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the bytes of one asset version say of themselves, read from headers without decoding.

    `extent`: upright, EXIF orientation applied; None if `error` says why there is no picture.
    `monochrome`: True when no pixel can have colour (so quality `color` is not offered).
    `captured`: ISO 8601 local time, with "+hh:mm" or "Z" only where the file itself tells the zone; None if unknown.
    `error`: one line for a person when the bytes are no decodable picture, else None.
    `pages`: upright extents of all pages where there is more than one (the first is `extent`), else ().
    `duration_s`: of a video or sound; then `extent` is that of the video's upright frames, None for sound alone.
    `description`: what is written in the file.
    """

    media_type: str
    extent: Extent | None
    monochrome: bool = False
    captured: str | None = None
    error: str | None = None
    pages: tuple[Extent, ...] = ()
    duration_s: float | None = None
    description: Description = NOTHING_SAID
