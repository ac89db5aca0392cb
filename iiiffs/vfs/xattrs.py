"""Extended attributes: what a file or directory is in IIIF, for programs that only know paths. Read-only.

They are in no list (fuse.operations.listxattr): who knows a name asks for it. Whether it has a value is mostly known
from memory; a value may take what reading the thing itself would. Names of others (`security.*`, `user.xdg.*`) are
absent at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from iiiffs.errors import VersionChanged
from iiiffs.iiif.parameters import OFFERED, ApiVersion, Format
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import AccountName, AlbumId, Asset, AssetId
from iiiffs.providers.media import kind_of
from iiiffs.sync.entries import IndexEntry, pairs
from iiiffs.sync.items import Item, Stage
from iiiffs.tree.nodes import (
    AccountDir,
    AlbumDir,
    Copy,
    Document,
    DocumentKind,
    Local,
    Node,
    Original,
    Page,
    PresentationDir,
    Rendition,
    Root,
    ServiceDir,
    Thumbnail,
)
from iiiffs.vfs.albums import Galleries, asset_shown
from iiiffs.vfs.documents import ROOT, Documents, album_of, service_of
from iiiffs.vfs.notes import has_note, note_of
from iiiffs.vfs.reasons import Reasons
from iiiffs.vfs.said import said_of

PREFIX = "user."
MIME_TYPE = "user.mime_type"
ID = "user.iiiffs.id"
URI = "user.iiiffs.uri"
VERSION = "user.iiiffs.version"
ETAG = "user.iiiffs.etag"
STATE = "user.iiiffs.state"
LIVE = "user.iiiffs.live"
ERROR = "user.iiiffs.error"
NOTE = "user.iiiffs.note"
CHECKSUM = "user.iiiffs.checksum.sha1"
SETTABLE: Mapping[str, str] = {
    "user.iiiffs.description": "description",
    "user.iiiffs.favorite": "favorite",
    "user.iiiffs.rating": "rating",
}
"""What a program may set -> the property of vfs.properties.Properties.set."""

URL = "user.iiiffs.url"
DESCRIPTION, FAVORITE, RATING = SETTABLE
UNTOLD = frozenset((URL, CHECKSUM, DESCRIPTION, FAVORITE, RATING))
"""Whether a file has one of these may take a question."""

NAMES: Mapping[type[Node], tuple[str, ...]] = {
    Root: (URI,),
    AccountDir: (URI,),
    AlbumDir: (ID, URI),
    PresentationDir: (ID, URI),
    ServiceDir: (ID, URI),
    Original: (MIME_TYPE, ID, URI, VERSION, ETAG, STATE),
    Copy: (MIME_TYPE, ID, URI, VERSION, ETAG, STATE),
    Local: (MIME_TYPE, ID, VERSION, ETAG, STATE),
    Rendition: (MIME_TYPE, URI),
    Document: (MIME_TYPE, URI),
    Page: (MIME_TYPE,),
    Thumbnail: (MIME_TYPE,),
}
"""What each kind of node always has; LIVE, NOTE and ERROR come and go."""

ALL = frozenset().union(*NAMES.values(), UNTOLD, (LIVE, NOTE, ERROR))

JSON_LD = "application/ld+json"
HTML = "text/html"
ALBUMS_PAIRED = 64


class ExtendedAttributes:
    """Names and values of one mount's nodes."""

    def __init__(self, galleries: Galleries, documents: Documents, reasons: Reasons) -> None:
        self._galleries = galleries
        self._uris: Uris = documents.rules.uris
        self._reasons: Reasons | None = reasons if documents.rules.visibility.control else None
        self._paired: OrderedDict[
            tuple[AccountName, AlbumId], tuple[tuple[IndexEntry, ...], dict[AssetId, AssetId]]
        ] = OrderedDict()

    def names(self, node: Node) -> tuple[str, ...]:
        """The names that `value` answers now, but for those of UNTOLD, for which somebody may have to be asked."""
        names = NAMES.get(type(node), ())
        if isinstance(node, Original) and self._live(node) is not None:
            names = (*names, LIVE)
        if isinstance(node, Original) and has_note(self._galleries[node.account].overlay, node.asset):
            names = (*names, NOTE)
        if isinstance(node, Local) and self._item(node) is None:
            names = ()
        if isinstance(node, AlbumDir) and self._failed_album(node) is not None:
            names = (*names, STATE)
        return (*names, ERROR) if self._error(node) is not None else names

    async def value(self, node: Node, name: str) -> bytes | None:
        """The value as UTF-8; None if `node` has no attribute of that name.

        Errors: VersionChanged, AssetGone, ProviderUnreachable … for a `user.iiiffs.uri` that takes a question.
        """
        if name in UNTOLD and isinstance(node, Original | Local):
            return _encoded(await self._untold(node, name))
        if not name.startswith(PREFIX) or name not in self.names(node):
            return None
        text = self._error(node) if name == ERROR else await self._text(node, name)
        return _encoded(text)

    async def _untold(self, node: Original | Local, name: str) -> str | None:
        """What is known of a file beyond what `NAMES` holds; None where nothing is."""
        gallery = self._galleries[node.account]
        item = self._item(node) if isinstance(node, Local) else None
        if isinstance(node, Local) and name in (URL, CHECKSUM):
            return None if item is None or name != CHECKSUM or item.sha1 is None else item.sha1.hex()
        if item is not None:
            return await said_of(gallery, item.asset_id, None, SETTABLE[name])
        if isinstance(node, Local):
            return None
        asset = await self._asset(node)
        if name == URL:
            return await self._place(node.account, asset)
        if name == CHECKSUM:
            return None if asset.checksum is None else asset.checksum.hex()
        return await said_of(gallery, asset.id, asset, SETTABLE[name])

    async def _text(self, node: Node, name: str) -> str | None:
        match node:
            case Original():
                return await self._of_original(node, name)
            case Local():
                return self._of_local(node, name)
            case AlbumDir() if name == STATE:
                return Stage.FAILED.value
            case AlbumDir(account, album) | PresentationDir(account, album):
                return album if name == ID else await self._album_uri(account, album)
            case ServiceDir(account, asset, _, api, identifier):
                return asset if name == ID else self._uris.image(account, asset, api, identifier)
            case Rendition(account, asset, _, canonical):
                if name == URI:
                    return self._uris.rendition(account, asset, canonical)
                return OFFERED[Format(canonical.rpartition(".")[2])]
            case Document():
                return JSON_LD if name == MIME_TYPE else self._document_uri(node)
            case Page():
                return HTML
            case Thumbnail():
                return OFFERED[Format.PNG]
            case Root():
                return self._uris.root_collection()
            case AccountDir(account):
                return self._uris.account_collection(account)
        return None

    # ---- originals ------------------------------------------------------------------------------------------

    async def _of_original(self, node: Original, name: str) -> str | None:
        match name:
            case "user.iiiffs.id":
                return node.asset
            case "user.iiiffs.version" | "user.iiiffs.etag":
                return node.version
            case "user.iiiffs.state":
                return "local" if self._galleries[node.account].capabilities.local else "remote"
            case "user.iiiffs.live":
                return self._live(node)
        asset = await self._asset(node)
        if name == NOTE:
            return note_of(self._galleries[node.account].overlay, asset)
        if name == URI:
            return await self._original_uri(node.account, asset)
        known = self._galleries[node.account].facts_reader.known(asset)
        return asset.media_type if known is None else known.media_type

    def _item(self, node: Local) -> Item | None:
        overlay = self._galleries[node.account].overlay
        return None if overlay is None else overlay.item(node.item)

    def _failed_album(self, node: AlbumDir) -> Item | None:
        """What could not make the album, if it is one that its provider does not have."""
        overlay = self._galleries[node.account].overlay
        item = None if overlay is None else overlay.making(node.album)
        return item if item is not None and item.stage is Stage.FAILED else None

    def _of_local(self, node: Local, name: str) -> str | None:
        """Of a file that waits to be sent; `state` is the stage in which it is."""
        item = self._item(node)
        if item is None:
            return None
        match name:
            case "user.iiiffs.id":
                return item.asset_id
            case "user.iiiffs.version" | "user.iiiffs.etag":
                return item.version
            case "user.iiiffs.state":
                return item.stage.value
        return kind_of(item.name) or "application/octet-stream"

    async def _asset(self, node: Original) -> Asset:
        """The asset in the node's version; from the index if it is there. Errors: VersionChanged, AssetGone."""
        gallery = self._galleries[node.account]
        known = None if gallery.library is None else gallery.library.index.entry(node.asset)
        if known is not None and known.asset.version == node.version:
            return known.asset
        asset = await asset_shown(gallery, node)
        if asset.version != node.version:
            raise VersionChanged(f"{asset.name} has changed since it was looked up")
        return asset

    async def _original_uri(self, account: AccountName, asset: Asset) -> str:
        """The image service of what has one, else where the file itself is."""
        gallery = self._galleries[account]
        if (await gallery.facts(asset)).extent is not None:
            return self._uris.service(account, asset.id)
        return await self._place(account, asset)

    async def _place(self, account: AccountName, asset: Asset) -> str:
        """Where the file itself is served."""
        gallery = self._galleries[account]
        path = await gallery.path(await gallery.album(asset.album))
        name: str | None = asset.name
        if not gallery.capabilities.real_names:
            name = (await gallery.names(asset.album)).name_of(asset.id)
        return self._uris.place(account, (*path, asset.name if name is None else name))

    def _live(self, node: Original) -> str | None:
        """The id of the video that a still moves in; from the index, an album's pairs once a change of it."""
        gallery = self._galleries[node.account]
        library = gallery.library
        known = None if library is None else library.index.entry(node.asset)
        if library is None:
            return gallery.motion(node.asset)
        if known is None or not known.asset.is_image:
            return None
        key, entries = (node.account, known.asset.album), library.index.album_entries(known.asset.album)
        kept = self._paired.get(key)
        if kept is None or kept[0] is not entries:
            kept = self._paired[key] = (entries, pairs(entries))
            while len(self._paired) > ALBUMS_PAIRED:
                self._paired.popitem(last=False)
        return kept[1].get(node.asset)

    # ---- albums and documents -------------------------------------------------------------------------------

    async def _album_uri(self, account: AccountName, album: AlbumId) -> str:
        """The manifest; the collection of an album that only holds albums."""
        listing = await self._galleries[account].listing(album)
        if listing.albums and not any(asset.is_media for asset in listing.assets):
            return self._uris.collection(account, album)
        return self._uris.manifest(account, album)

    def _document_uri(self, node: Document) -> str:
        match node.kind:
            case DocumentKind.MANIFEST:
                album, part = album_of(node.owner)
                if part is not None:
                    return self._uris.part_manifest(node.account, album, part)
                return self._uris.manifest(node.account, album)
            case DocumentKind.INFO | DocumentKind.INFO_2:
                service, identifier = service_of(node.owner)
                api: ApiVersion = 2 if node.kind is DocumentKind.INFO_2 else 3
                return f"{self._uris.image(node.account, service, api, identifier)}/info.json"
        if node.account == ROOT:
            return self._uris.root_collection()
        if not node.owner:
            return self._uris.account_collection(node.account)
        return self._uris.collection(node.account, AlbumId(node.owner))

    def _error(self, node: Node) -> str | None:
        if self._reasons is None:
            return None
        item = self._item(node) if isinstance(node, Local) else None
        if isinstance(node, AlbumDir):
            item = self._failed_album(node)
        if item is not None and item.stage is Stage.FAILED:
            return (
                f"{item.reason or 'it failed'}; see to that and `iiiffs queue retry {item.id}`, or export or discard it"
            )
        refusal = None
        if isinstance(node, Original) and (overlay := self._galleries[node.account].overlay) is not None:
            refusal = overlay.edits.refusal(node.asset)
        return self._reasons.of(node) or refusal or (None if item is None else item.reason)


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "replace")
