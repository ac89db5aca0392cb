"""Manifests, Collections and info.json: built from listings and facts, kept with what they were built from.

A document is current when a record of the catalogue was built from the same inputs; then nothing is built. Its inode
names its bytes (digest). Its mtime is when its content or this configuration began, never "now", and different bytes
of one name are at least 1 s apart (DESIGN §2.4).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from iiiffs.errors import AccessDenied, AssetGone, NoSuchName
from iiiffs.iiif import presentation
from iiiffs.iiif.info import image_info
from iiiffs.iiif.info2 import image_info_2
from iiiffs.iiif.parameters import ApiVersion
from iiiffs.iiif.presentation import AlbumHeading, CanvasItem, CollectionItem, OriginalFile, Thumbnail
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Facts, Listing
from iiiffs.tree.albums import AlbumNames
from iiiffs.tree.nodes import Document, DocumentKind
from iiiffs.tree.visibility import Visibility
from iiiffs.vfs.document_records import DocumentRecords, Made, Name
from iiiffs.vfs.gallery import Gallery

log = logging.getLogger(__name__)

INPUTS_KEPT = 1024
ROOT = AccountName("")


@dataclass(frozen=True, slots=True)
class Rules:
    """What all documents are made by.

    `fingerprint`: of this configuration; `began_ns`: when it was first seen.
    """

    uris: Uris
    limits: Limits
    tile_size: int
    visibility: Visibility
    fingerprint: str
    began_ns: int


@dataclass(frozen=True, slots=True)
class Heading:
    """What a Collection says of itself. `owner`: as in the node."""

    uri: str
    owner: str
    label: str
    part_of: str


class Documents:
    """Builds documents once and finds them again."""

    def __init__(self, rules: Rules, records: DocumentRecords) -> None:
        self.rules = rules
        self._records = records
        self._inputs_of: dict[tuple[AccountName, AlbumId], tuple[tuple[object, ...], bytes]] = {}

    # ---- manifests ------------------------------------------------------------------------------------------

    async def manifest(self, gallery: Gallery, album: AlbumId) -> Made:
        """The album's manifest, current. Errors: NoSuchName if the album has no picture."""
        made = await self.known_manifest(gallery, await gallery.listing(album))
        if made is not None:
            return made
        names, facts = await gallery.with_facts(album)
        listing, uris = names.listing, self.rules.uris
        path = await gallery.path(listing.album)
        heading = AlbumHeading(
            gallery.account,
            album,
            _label(gallery, listing.album),
            self._part_of(gallery, listing),
            homepage=self._homepage(gallery, path),
        )
        items = self._canvases(gallery, names, facts, path)
        body = presentation.manifest(uris, heading, items, self.rules.limits)
        began = max([listing.album.mtime_ns, *(asset.changed_ns for asset in listing.assets)])
        inputs = self._manifest_inputs(gallery, listing, path)
        return self._keep((gallery.account, DocumentKind.MANIFEST, album), inputs, body, began)

    async def known_manifest(self, gallery: Gallery, listing: Listing) -> Made | None:
        """The manifest if it was built from this very listing, for directories: nothing is read or built."""
        inputs = self._manifest_inputs(gallery, listing, await gallery.path(listing.album))
        return self._records.find((gallery.account, DocumentKind.MANIFEST, listing.album.id), inputs)

    def _canvases(
        self, gallery: Gallery, names: AlbumNames, facts: dict[AssetId, Facts], path: Sequence[str]
    ) -> list[CanvasItem]:
        items = []
        for asset in names.listing.assets:
            told, name = facts.get(asset.id), names.name_of(asset.id)
            if told is None or told.extent is None:
                continue
            original = None
            if self.rules.visibility.originals and name is not None:
                uri = self.rules.uris.original(gallery.account, [*path, name])
                original = OriginalFile(uri, told.media_type, asset.size_bytes)
            items.append(CanvasItem(asset.id, asset.name, told.extent, original, told.captured))
        return items

    def _part_of(self, gallery: Gallery, listing: Listing) -> str:
        uris, album = self.rules.uris, listing.album
        if listing.albums:
            return uris.collection(gallery.account, album.id)
        if album.parent is not None:
            return uris.collection(gallery.account, album.parent)
        return uris.account_collection(gallery.account)

    def _manifest_inputs(self, gallery: Gallery, listing: Listing, path: tuple[str, ...]) -> bytes:
        """Computed once for a listing object, and again when a file of the account turned out to be no picture."""
        key, state = (gallery.account, listing.album.id), (listing.etag, gallery.unfit, path)
        known = self._inputs_of.get(key)
        if known is None or known[0] != state:
            known = self._inputs_of[key] = (state, self._computed_inputs(gallery, listing, path))
            while len(self._inputs_of) > INPUTS_KEPT:
                self._inputs_of.pop(next(iter(self._inputs_of)))
        return known[1]

    def _computed_inputs(self, gallery: Gallery, listing: Listing, path: tuple[str, ...]) -> bytes:
        album = listing.album
        parts = ["manifest", album.title, *path, str(album.parent), str(album.mtime_ns), str(bool(listing.albums))]
        parts += [f"{asset.id}\0{asset.version}\0{asset.name}" for asset in listing.assets]
        parts += ["unfit", *sorted(gallery.unfit_in(listing))]
        return self._inputs(parts)

    # ---- collections ----------------------------------------------------------------------------------------

    async def collection(self, gallery: Gallery, album: AlbumId) -> Made:
        """The collection of an album that has sub-albums. Errors: NoSuchName if it has none."""
        listing = await gallery.listing(album)
        if not listing.albums:
            raise NoSuchName("no sub-albums, so no collection.json")
        parent, uris = listing.album.parent, self.rules.uris
        heading = Heading(
            uri=uris.collection(gallery.account, album),
            owner=album,
            label=_label(gallery, listing.album),
            part_of=uris.collection(gallery.account, parent) if parent else uris.account_collection(gallery.account),
        )
        return await self._collection(gallery, listing, heading)

    async def known_collection(self, gallery: Gallery, listing: Listing) -> Made | None:
        """The collection if it was built from this very listing."""
        uri = self.rules.uris.collection(gallery.account, listing.album.id)
        inputs = self._collection_inputs(listing, uri, await gallery.path(listing.album))
        return self._records.find((gallery.account, DocumentKind.COLLECTION, listing.album.id), inputs)

    async def account_collection(self, gallery: Gallery) -> Made:
        """The collection of one account: what `files/` holds."""
        listing = await gallery.listing((await gallery.root()).id)
        uris = self.rules.uris
        uri = uris.account_collection(gallery.account)
        return await self._collection(gallery, listing, Heading(uri, "", gallery.account, uris.root_collection()))

    def root_collection(self, accounts: Sequence[AccountName]) -> Made:
        """The collection of all accounts."""
        uris = self.rules.uris
        inputs = self._inputs(["root", *accounts])
        known = self._records.find((ROOT, DocumentKind.COLLECTION, ""), inputs)
        if known is not None:
            return known
        items = [
            CollectionItem(
                uris.account_collection(account), "Collection", account, None, homepage=uris.account_page(account)
            )
            for account in accounts
        ]
        body = presentation.collection(uris.root_collection(), "iiiffs", items, self.rules.limits, part_of=None)
        return self._keep((ROOT, DocumentKind.COLLECTION, ""), inputs, body, 0)

    async def _collection(self, gallery: Gallery, listing: Listing, heading: Heading) -> Made:
        path = await gallery.path(listing.album)
        inputs = self._collection_inputs(listing, heading.uri, path)
        name = (gallery.account, DocumentKind.COLLECTION, heading.owner)
        known = self._records.find(name, inputs)
        if known is not None:
            return known
        items = await self._references(gallery, listing, path)
        body = presentation.collection(heading.uri, heading.label, items, self.rules.limits, part_of=heading.part_of)
        began = max([listing.album.mtime_ns, *(album.mtime_ns for album in listing.albums)])
        return self._keep(name, inputs, body, began)

    async def _references(self, gallery: Gallery, listing: Listing, path: Sequence[str]) -> list[CollectionItem]:
        """The album's own manifest first, then what each sub-album has; what has nothing is left out."""
        own = await self._reference(gallery, listing, path, below=False)
        items = [own] if own is not None else []
        for album in listing.albums:
            if not self.rules.visibility.shows_album(gallery.account, album.id):
                continue
            try:
                below = await gallery.listing(album.id)
                item = await self._reference(gallery, below, await gallery.path(below.album), below=True)
            except (AssetGone, AccessDenied) as error:
                log.debug("%s: %s is left out of its collection: %s", gallery.account, album.title, error)
                continue
            items += [item] if item is not None else []
        return items

    async def _reference(
        self, gallery: Gallery, listing: Listing, path: Sequence[str], *, below: bool
    ) -> CollectionItem | None:
        """How an album is listed: as a Collection if it is `below` and has sub-albums, else by its Manifest, if any."""
        account, album, uris = gallery.account, listing.album, self.rules.uris
        cover = await self._cover(gallery, listing)
        homepage = self._homepage(gallery, path)
        if below and listing.albums:
            return CollectionItem(uris.collection(account, album.id), "Collection", album.title, cover, homepage)
        if cover is None:
            return None
        label = _label(gallery, album)
        return CollectionItem(uris.manifest(account, album.id), "Manifest", label, cover, homepage)

    def _homepage(self, gallery: Gallery, path: Sequence[str]) -> str | None:
        """The folder's page, where the names of all folders above it may be shown."""
        if self.rules.visibility.albums is not None:
            return None
        return self.rules.uris.folder_page(gallery.account, path)

    async def _cover(self, gallery: Gallery, listing: Listing) -> Thumbnail | None:
        """The first picture of an album; None if it has none."""
        for asset in listing.assets:
            if asset.is_image:
                facts = await gallery.facts(asset)
                if facts.extent is not None:
                    return Thumbnail(self.rules.uris.service(gallery.account, asset.id), facts.extent)
        return None

    def _collection_inputs(self, listing: Listing, uri: str, path: Sequence[str]) -> bytes:
        album = listing.album
        parts = ["collection", uri, album.title, *path, str(album.mtime_ns)]
        parts += [f"{below.id}\0{below.title}\0{below.mtime_ns}" for below in listing.albums]
        parts += [f"{asset.id}\0{asset.version}" for asset in listing.assets if asset.is_image][:1]
        return self._inputs(parts)

    # ---- info.json ------------------------------------------------------------------------------------------

    def info(self, account: AccountName, asset: Asset, facts: Facts, api: ApiVersion) -> Made:
        """The info.json of one version in Image API `api`. Errors: NoSuchName if it is no picture."""
        if facts.extent is None:
            raise NoSuchName(f"{asset.id} has no image service: {facts.error}")
        uris, limits, side = self.rules.uris, self.rules.limits, self.rules.tile_size
        if api == 2:
            kind, uri, write = DocumentKind.INFO_2, uris.service_2(account, asset.id), image_info_2
        else:
            kind, uri, write = DocumentKind.INFO, uris.service(account, asset.id), image_info
        body = write(uri, facts.extent, limits, side, monochrome=facts.monochrome)
        mtime_ns = max(asset.changed_ns, self.rules.began_ns)
        return self._records.hold((account, kind, asset.id), body, mtime_ns)[0]

    # ---- all of them ----------------------------------------------------------------------------------------

    def body(self, node: Document) -> bytes | None:
        """The bytes of exactly this document, if they are still to be had without building."""
        return self._records.body(node)

    def _keep(self, name: Name, inputs: bytes, body: dict[str, object], began_ns: int) -> Made:
        """Never older than this configuration."""
        return self._records.keep(name, inputs, body, max(began_ns, self.rules.began_ns))

    def _inputs(self, parts: Sequence[str]) -> bytes:
        text = "\n".join([self.rules.fingerprint, *parts])
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _label(gallery: Gallery, album: Album) -> str:
    """What people see: the topmost folder is the account."""
    return album.title if album.parent is not None else gallery.account
