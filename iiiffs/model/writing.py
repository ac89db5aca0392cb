"""What may be written, as frozen values: what a provider can take, the bytes it is given, and how much room it has."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from iiiffs.model.gallery import Asset


class Access(StrEnum):
    """What a person lets the mount do with an account (DESIGN §4). Each allows what the one before does."""

    READ = "read"
    ADD = "add"
    EDIT = "edit"

    @property
    def adds(self) -> bool:
        """Uploads, new albums, and adding to albums are allowed."""
        return self is not Access.READ

    @property
    def edits(self) -> bool:
        """So are renaming, replacing, removing and deleting."""
        return self is Access.EDIT


class AlbumVerb(StrEnum):
    """What can be done with an album itself."""

    MAKE = "make"
    RENAME = "rename"
    REMOVE = "remove"


class Property(StrEnum):
    """What can be changed of an asset without changing its bytes."""

    DESCRIPTION = "description"
    FAVORITE = "favorite"
    RATING = "rating"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Writing:
    """What of writing a provider offers, as data.

    `membership`: albums are sets of assets: adding and taking out moves no bytes, and what is in no album is still in
        the library. Else albums are folders: a file is in one of them, and links and moves are the disk's.
    `fixed_names`: an asset's name cannot be changed.
    `replaces_id`: new bytes are a new asset with another id; the old one goes to the trash.
    `album_verbs`: of all albums but the topmost folder. `nested`: albums may be made in albums.
    `properties`: that can be changed. `tags`: they can be made, set and taken away. `suffixes`: lower case, with the
        dot, of the files that it takes; None: any file. `sidecars`: of an .xmp file it takes what that says of
        a photo, and shows the file to nobody.
    `lacks`: what is not offered only because the account's key may not -> the permissions that it needs; of AlbumVerb
        and Property their values, "tags", "upload".
    """

    membership: bool
    fixed_names: bool
    replaces_id: bool
    album_verbs: Set[AlbumVerb]
    nested: bool
    properties: Set[Property] = frozenset()
    suffixes: Set[str] | None = None
    tags: bool = False
    sidecars: bool = False
    lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def lack(self, *deeds: str) -> str:
        """The rest of a sentence that refuses them: which permissions the key lacks; "" if it lacks none."""
        missing = dict.fromkeys(permission for deed in deeds for permission in self.lacks.get(deed, ()))
        return f": its key lacks {', '.join(missing)}; give it that at the server" if missing else ""

    def takes(self, name: str) -> bool:
        """True if a file of that name may be sent."""
        return self.suffixes is None or ("." + name.rpartition(".")[2].lower()) in self.suffixes


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes of one file that are to be sent; nobody changes them meanwhile.

    `token`: of this file, the same in every try and after every restart, and no other file's: [a-z0-9-], 30 at most.
    `sha1`: 20 bytes. `mtime_ns`: the time that the file is to have.
    `sidecar`: the .xmp that stands beside the file, whole; None if none does.
    `earlier`: SHA-1 of bytes that were sent for this file before and may have arrived, though no answer did: what has
        one of these sums is ours, and no change by anybody else.
    """

    token: str
    path: Path
    size_bytes: int
    sha1: bytes
    mtime_ns: int
    earlier: tuple[bytes, ...] = ()
    sidecar: bytes | None = None


@dataclass(frozen=True, slots=True)
class Replaced:
    """An asset whose bytes were replaced, as it is now.

    `not_carried`: what people had said of it before and what the new one has not got, in plain words, such as "faces"
        or "3 shared links"; where a second call finds all done, it tells the same.
    """

    asset: Asset
    not_carried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to become of an asset's properties; None leaves one as it is.

    `rating`: 0 (none) to 5. `mtime_ns`: when it was taken, as far as the provider keeps one time.
    """

    description: str | None = None
    favorite: bool | None = None
    rating: int | None = None
    mtime_ns: int | None = None

    def then(self, later: Edit) -> Edit:
        """Both, the later one last."""
        return Edit(
            self.description if later.description is None else later.description,
            self.favorite if later.favorite is None else later.favorite,
            self.rating if later.rating is None else later.rating,
            self.mtime_ns if later.mtime_ns is None else later.mtime_ns,
        )

    @property
    def properties(self) -> frozenset[Property]:
        """Those that it changes."""
        values = {
            Property.DESCRIPTION: self.description,
            Property.FAVORITE: self.favorite,
            Property.RATING: self.rating,
            Property.DATE: self.mtime_ns,
        }
        return frozenset(name for name, value in values.items() if value is not None)


@dataclass(frozen=True, slots=True)
class Space:
    """The room of an account, in bytes. `reserved_bytes`: free as well, but not for us."""

    total_bytes: int
    free_bytes: int
    reserved_bytes: int = 0
