"""Everything that can have an inode number, as frozen values.

A node is what an inode number names: two equal nodes are one inode, two different nodes never are. So a node of
bytes carries what decides its bytes (version, digest), and a directory the way to it where spellings matter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import TypeAlias

from iiiffs.iiif.parameters import ApiVersion
from iiiffs.model.gallery import AccountName, AlbumId, AssetId, Version


class DocumentKind(Enum):
    """The documents that are made from listings and facts."""

    MANIFEST = "manifest.json"
    COLLECTION = "collection.json"
    INFO = "info.json"
    INFO_2 = "info.json of Image API 2.1"


class PageKind(Enum):
    """The constant pages: `collection` shows a collection.json (and the manifest that it lists as its own), `album` a
    manifest.json."""

    COLLECTION = "collection"
    ALBUM = "album"


@dataclass(frozen=True, slots=True)
class Root:
    """MOUNT/"""


@dataclass(frozen=True, slots=True)
class ControlDir:
    """MOUNT/.iiiffs/, and the directories in it; `path` is "", "queue" or "failed"."""

    path: str = ""


@dataclass(frozen=True, slots=True)
class ControlFile:
    """MOUNT/.iiiffs/NAME: a new snapshot at every open. `name`: with its directory's, as "queue/local-0-a.jpg"."""

    name: str


@dataclass(frozen=True, slots=True)
class AccountDir:
    """MOUNT/ACCOUNT/"""

    account: AccountName


@dataclass(frozen=True, slots=True)
class AlbumDir:
    """An album's directory. `depth`: components between the account's directory and it (`files/` is 1)."""

    account: AccountName
    album: AlbumId
    depth: int


@dataclass(frozen=True, slots=True)
class SearchDir:
    """ACCOUNT/search/: every query is an album, found by lookup and not listed."""

    account: AccountName


@dataclass(frozen=True, slots=True)
class AliasDir:
    """ALBUM/iiif/: a symlink an image."""

    account: AccountName
    album: AlbumId
    depth: int


@dataclass(frozen=True, slots=True)
class AliasLink:
    """ALBUM/iiif/NAME -> the image service. `depth` is that of the album.

    One an album, so that each has one link: tar takes two symlinks of one inode for hard links.
    """

    account: AccountName
    album: AlbumId
    asset: AssetId
    depth: int

    @property
    def target(self) -> str:
        """The symlink's text, relative to ALBUM/iiif/."""
        return "../" * (self.depth + 1) + f"iiif/3/{self.asset}"


@dataclass(frozen=True, slots=True)
class ApiDir:
    """ACCOUNT/iiif/ and the fixed directories below it; `path` is "", "2", "3", "presentation" or "presentation/3"."""

    account: AccountName
    path: str


@dataclass(frozen=True, slots=True)
class PresentationDir:
    """ACCOUNT/iiif/presentation/3/ALBUM-ID/"""

    account: AccountName
    album: AlbumId


@dataclass(frozen=True, slots=True)
class ServiceDir:
    """ACCOUNT/iiif/API/ASSET-ID/ of one version, so that one revalidation drops all that is below. `api`: 2 or 3.

    `identifier`: "", or the encoded path by which the same picture was asked for: a directory of its own, since it has
    an info.json of its own, and a directory inode has one parent. `revision`: of what it is rendered from; another
    number when that is another, so that the same revalidation drops what was rendered before.
    """

    account: AccountName
    asset: AssetId
    version: Version
    api: ApiVersion
    identifier: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class PathDir:
    """ACCOUNT/iiif/API/PATH/: the folder `album` on the way to an image service by its path; nothing in it is listed.

    `spelled`: the names that were looked up below iiif/API.
    """

    account: AccountName
    api: ApiVersion
    album: AlbumId
    spelled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParameterDir:
    """REGION/, REGION/SIZE/ or REGION/SIZE/ROTATION/ of a service, as spelled: one inode a spelling.

    `identifier`, `revision`: of the service.
    """

    account: AccountName
    asset: AssetId
    version: Version
    api: ApiVersion
    spelled: tuple[str, ...]
    identifier: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Rendition:
    """One rendition: all legal spellings of a request reach the node of its canonical form (DESIGN §2.6).

    In both versions of the Image API; `canonical` is in the words of version 3.
    """

    account: AccountName
    asset: AssetId
    version: Version
    canonical: str
    fingerprint: str
    digest: str


@dataclass(frozen=True, slots=True)
class Original:
    """The original bytes of one version: one inode in all views."""

    account: AccountName
    asset: AssetId
    version: Version


@dataclass(frozen=True, slots=True)
class Copy(Original):
    """The original under a name that a copy of its bytes has, where equal bytes are kept once: an inode of its own, for
    what is written under `name` in `album` is another file.
    """

    album: AlbumId
    name: str


@dataclass(frozen=True, slots=True)
class Local:
    """A file whose bytes wait to be sent: one inode from its first byte to its last, whatever it is called meanwhile.

    `item`: rule: sync.items.Item.id.
    """

    account: AccountName
    item: str


@dataclass(frozen=True, slots=True)
class Discarded:
    """What a program writes under the name of an entry of ours, such as a copy of a manifest.json: it is not kept."""

    account: AccountName
    album: AlbumId
    name: str


@dataclass(frozen=True, slots=True)
class DiscardedDir:
    """As Discarded, of a directory such as a copy of iiif/."""

    account: AccountName
    album: AlbumId
    name: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document whose bytes have `digest`. `owner` is an album's or asset's id, "" for an account's or the root's.

    More may follow a slash in it: an album's part, or the identifier of an image service by its path.
    """

    account: AccountName
    kind: DocumentKind
    owner: str
    digest: str


@dataclass(frozen=True, slots=True)
class ThumbnailDir:
    """ALBUM/.sh_thumbnails/"""

    account: AccountName
    album: AlbumId


@dataclass(frozen=True, slots=True)
class ThumbnailSizeDir:
    """ALBUM/.sh_thumbnails/SIZE/: thumbnails that fit in a square of `box_px` a side."""

    account: AccountName
    album: AlbumId
    box_px: int


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The thumbnail of one version under one name, with words in it; its bytes have `digest`."""

    account: AccountName
    asset: AssetId
    version: Version
    name: str
    box_px: int
    digest: str


@dataclass(frozen=True, slots=True)
class Page:
    """index.html: one inode a kind, wherever it is listed."""

    kind: PageKind
    digest: str


Directory: TypeAlias = (
    Root
    | ControlDir
    | AccountDir
    | AlbumDir
    | SearchDir
    | AliasDir
    | ApiDir
    | PresentationDir
    | ServiceDir
    | PathDir
    | ParameterDir
    | ThumbnailDir
    | ThumbnailSizeDir
    | DiscardedDir
)
File: TypeAlias = ControlFile | Rendition | Original | Local | Discarded | Document | Page | Thumbnail
Node: TypeAlias = Directory | File | AliasLink


def node_key(node: Node) -> bytes:
    """Bytes that are equal exactly for equal nodes; what inode numbers are hashed from."""
    parts = [type(node).__name__]
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, tuple):
            parts += [str(len(value)), *value]
        else:
            parts.append(str(value.value) if isinstance(value, Enum) else str(value))
    return "\0".join(parts).encode("utf-8", "surrogateescape")
