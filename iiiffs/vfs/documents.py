"""Manifests, Collections and info.json: built from listings and facts, kept with what they were built from.

A document is current when a record of the catalogue was built from the same inputs; then nothing is built. Its inode
names its bytes (digest). Its mtime is when its content or this configuration began, never "now", and different bytes
of one name are at least 1 s apart (DESIGN §2.4).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from math import inf
from weakref import WeakValueDictionary

import trio

from iiiffs.errors import AccessDenied, AssetGone, NoSuchName
from iiiffs.iiif import presentation
from iiiffs.iiif.canvases import CanvasItem, CanvasRules
from iiiffs.iiif.description import NOTHING_MORE, Privacy
from iiiffs.iiif.info import image_info
from iiiffs.iiif.info2 import image_info_2
from iiiffs.iiif.overrides import Overrides
from iiiffs.iiif.parameters import ApiVersion
from iiiffs.iiif.presentation import AlbumHeading, CollectionItem
from iiiffs.iiif.ranges import MonthPart, month_parts, ordered
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import AccountName, Album, AlbumId, AssetId, Listing
from iiiffs.tree.nodes import Document, DocumentKind
from iiiffs.tree.visibility import Visibility
from iiiffs.vfs.bare_albums import BareAlbums
from iiiffs.vfs.collector import computed
from iiiffs.vfs.contents import DIRECT, OVERRIDES, Contents, ContentsReader
from iiiffs.vfs.document_records import DocumentRecords, Made, Name, Written, encoded, gathered, of_body, written
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.packed import Body, whole
from iiiffs.vfs.pictures import Picture

log = logging.getLogger(__name__)

INPUTS_KEPT = 1024
DIGESTED_AT_ONCE = 1000
"""Assets of a listing that are digested in the loop: 1 ms."""
MOVED_S = 1.5
"""So long after a folder was moved an answer about its old place may still be kept; a little more than `fresh_s`."""
READS_MAX = 3
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
    privacy: Privacy
    manifest_max: int
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

    def __init__(self, rules: Rules, records: DocumentRecords, flights: Flights) -> None:
        self.rules = rules
        self._records = records
        self._flights = flights
        self._bare = BareAlbums(records.lists_nothing, flights)
        self._contents = ContentsReader(rules.uris, rules.visibility)
        self._held: WeakValueDictionary[tuple[AccountName, AlbumId, int], Contents] = WeakValueDictionary()
        """As long as a document is being built from them."""
        self._inputs_of: dict[tuple[AccountName, str], tuple[tuple[object, ...], bytes]] = {}

    # ---- manifests ------------------------------------------------------------------------------------------

    async def manifest(
        self, gallery: Gallery, album: AlbumId, part: str | None = None, wait_s: float | None = None
    ) -> Made:
        """The album's manifest, or that of a part of it, current; built once, whoever asks how often.

        Errors: NoSuchName if nothing in it can be shown; DeadlinePassed after `wait_s` (the account's list_timeout,
        unless said), the building going on.
        """
        owner = owner_of(album, part)
        made = await self._known(gallery, await gallery.listing(album), owner)
        if made is not None:
            return made
        build = partial(self._build_manifest, gallery, album, part)
        return await self._built((gallery.account, DocumentKind.MANIFEST, owner), gallery, build, wait_s)

    async def _build_manifest(self, gallery: Gallery, album: AlbumId, part: str | None) -> Made:
        owner = owner_of(album, part)
        contents, path, inputs = await self._settled(gallery, album)
        listing = contents.names.listing
        heading = self._heading(gallery, listing, path)
        items: Sequence[CanvasItem] = contents.items
        if part is not None:
            items = await computed(partial(self._part, contents, part))
            heading = replace(heading, part=part, part_of=self.rules.uris.collection(gallery.account, album))
        made = await computed(partial(self._written_manifest, heading, items, contents.overrides))
        began = max([listing.album.mtime_ns, *(asset.changed_ns for asset in listing.assets)])
        return self._keep((gallery.account, DocumentKind.MANIFEST, owner), inputs, made, began)

    def _written_manifest(self, heading: AlbumHeading, items: Sequence[CanvasItem], overrides: Overrides) -> Written:
        """For any thread: of 10,000 canvases it takes 0.3 s."""
        rules = CanvasRules(self.rules.uris, heading.account, heading.album, self.rules.limits, self.rules.privacy)
        return written(presentation.gathered_manifest(rules, heading, items, overrides, gathered))

    async def _settled(self, gallery: Gallery, album: AlbumId) -> tuple[Contents, tuple[str, ...], bytes]:
        """Contents, path and the inputs that stand for them: read again if facts became others meanwhile."""
        for _ in range(READS_MAX):
            serial = gallery.facts_reader.serial
            contents = await self._read(gallery, album)
            path = await gallery.path(contents.names.listing.album)
            inputs = await self._manifest_inputs(gallery, contents.names.listing, path)
            if gallery.facts_reader.serial == serial:
                break
        return contents, path, inputs

    async def _read(self, gallery: Gallery, album: AlbumId) -> Contents:
        """The album's contents; once for all that are built at the same time: of 20,000 assets they have 20 MB.

        Never those of facts that were known to be others when it was called. Errors: as ContentsReader.read.
        """
        key = (gallery.account, album, gallery.facts_reader.serial)
        held = self._held.get(key)
        if held is not None and held.names is gallery.kept(album):
            return held
        contents = await self._flights.join(("contents", *key), partial(self._contents.read, gallery, album), inf)
        self._held[key] = contents
        return contents

    async def known_manifest(self, gallery: Gallery, listing: Listing) -> Made | None:
        """The manifest if it was built from this very listing, for directories: nothing is read or built."""
        return await self._known(gallery, listing, listing.album.id)

    async def _known(self, gallery: Gallery, listing: Listing, owner: str) -> Made | None:
        inputs = await self._manifest_inputs(gallery, listing, await gallery.path(listing.album))
        return self._records.find((gallery.account, DocumentKind.MANIFEST, owner), inputs)

    def _heading(self, gallery: Gallery, listing: Listing, path: Sequence[str]) -> AlbumHeading:
        album = listing.album
        part_of, homepage = self._part_of(gallery, listing), self._homepage(gallery, path)
        return AlbumHeading(gallery.account, album.id, gallery.label(album), part_of, homepage)

    def _part(self, contents: Contents, name: str) -> Sequence[CanvasItem]:
        for part in self._parts(contents):
            if part.name == name:
                return part.items
        raise NoSuchName(f"the album has no part {name}")

    def _parts(self, contents: Contents) -> tuple[MonthPart, ...]:
        return month_parts(ordered(contents.items, contents.overrides.order), self.rules.manifest_max)

    def is_long(self, listing: Listing) -> bool:
        """True if the album may have more canvases than one manifest should hold, so that it has parts."""
        if len(listing.assets) <= self.rules.manifest_max:
            return False
        return sum(asset.is_media for asset in listing.assets) > self.rules.manifest_max

    def _part_of(self, gallery: Gallery, listing: Listing) -> str:
        uris, album = self.rules.uris, listing.album
        if listing.albums or self.is_long(listing):
            return uris.collection(gallery.account, album.id)
        if album.parent is not None:
            return uris.collection(gallery.account, album.parent)
        return uris.account_collection(gallery.account)

    async def _manifest_inputs(self, gallery: Gallery, listing: Listing, path: tuple[str, ...]) -> bytes:
        """Computed once for a listing object, and again when a file of the account turned out to be no picture, or a
        folder has got another name or place: then once more a little later, for an old answer may come late."""
        moves = (0, True)
        if gallery.library is not None:
            moves = gallery.library.moves, trio.current_time() - gallery.library.moved_s > MOVED_S
        key, state = (gallery.account, listing.album.id), (listing.etag, gallery.facts_reader.serial, path, *moves)
        known = self._inputs_of.get(key)
        if known is None or known[0] != state:
            known = state, await self._computed_inputs(gallery, listing, path)
            self._remember_inputs(key, known)
        return known[1]

    async def _computed_inputs(self, gallery: Gallery, listing: Listing, path: tuple[str, ...]) -> bytes:
        album = listing.album
        homes: list[str] = []
        for home in sorted({asset.album for asset in listing.assets} - {album.id}):
            homes += ["in", home, *await gallery.path(await gallery.album(home))]
        unfit = sorted(await gallery.facts_reader.unfit_in(listing))
        beside = gallery.facts_reader.said_beside(listing)

        def digest() -> bytes:
            parts = ["manifest", album.title, *path, str(album.parent), str(album.mtime_ns), str(bool(listing.albums))]
            parts += [f"{asset.id}\0{asset.version}\0{asset.name}\0{asset.album}" for asset in listing.assets]
            parts += [f"{asset.id}\0{asset.described}" for asset in listing.assets if asset.described]
            parts += [gallery.mode] if gallery.mode == DIRECT else []
            return self._inputs([*parts, *homes, "unfit", *unfit, "beside", *beside])

        return digest() if len(listing.assets) <= DIGESTED_AT_ONCE else await computed(digest)

    # ---- collections ----------------------------------------------------------------------------------------

    async def collection(self, gallery: Gallery, album: AlbumId, wait_s: float | None = None) -> Made:
        """The collection of an album with sub-albums or parts. Errors: NoSuchName if it has none; as `manifest`."""
        listing = await gallery.listing(album)
        if not listing.albums and not self.is_long(listing):
            raise NoSuchName("neither sub-albums nor parts, so no collection.json")
        parent, uris = listing.album.parent, self.rules.uris
        heading = Heading(
            uri=uris.collection(gallery.account, album),
            owner=album,
            label=gallery.label(listing.album),
            part_of=uris.collection(gallery.account, parent) if parent else uris.account_collection(gallery.account),
        )
        return await self._collection(gallery, listing, heading, wait_s)

    async def known_collection(self, gallery: Gallery, listing: Listing) -> Made | None:
        """The collection if it was built from this very listing."""
        uri = self.rules.uris.collection(gallery.account, listing.album.id)
        inputs = await self._collection_inputs(gallery, listing, uri, await gallery.path(listing.album))
        return self._records.find((gallery.account, DocumentKind.COLLECTION, listing.album.id), inputs)

    async def account_collection(self, gallery: Gallery, wait_s: float | None = None) -> Made:
        """The collection of one account: what `files/` holds, or its shelves. Errors: as `manifest`."""
        uris, listing = self.rules.uris, await gallery.top()
        heading = Heading(uris.account_collection(gallery.account), "", gallery.account, uris.root_collection())
        return await self._collection(gallery, listing, heading, wait_s)

    async def last_account_collection(self, gallery: Gallery) -> Made | None:
        """As `account_collection` was when the account was asked last, if it was built from that. Nobody is asked."""
        listing, uri = await gallery.top(is_asked=False), self.rules.uris.account_collection(gallery.account)
        inputs = await self._collection_inputs(gallery, listing, uri, await gallery.path(listing.album))
        return self._records.find((gallery.account, DocumentKind.COLLECTION, ""), inputs)

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
        return self._keep((ROOT, DocumentKind.COLLECTION, ""), inputs, written(body), 0)

    async def _collection(self, gallery: Gallery, listing: Listing, heading: Heading, wait_s: float | None) -> Made:
        inputs = await self._collection_inputs(gallery, listing, heading.uri, await gallery.path(listing.album))
        name = (gallery.account, DocumentKind.COLLECTION, heading.owner)
        known = self._records.find(name, inputs)
        if known is not None:
            return known
        return await self._built(name, gallery, partial(self._build_collection, gallery, listing, heading), wait_s)

    async def _build_collection(self, gallery: Gallery, listing: Listing, heading: Heading) -> Made:
        path = await gallery.path(listing.album)
        inputs = await self._collection_inputs(gallery, listing, heading.uri, path)
        name = (gallery.account, DocumentKind.COLLECTION, heading.owner)
        items = await self._references(gallery, listing, path)
        said = NOTHING_MORE
        if heading.owner:
            said = (await self._contents.overrides(gallery, await gallery.names(listing.album.id))).album
        limits = self.rules.limits
        body = presentation.collection(heading.uri, heading.label, items, limits, part_of=heading.part_of, said=said)
        began = max([listing.album.mtime_ns, *(album.mtime_ns for album in listing.albums)])
        return self._keep(name, inputs, await computed(partial(written, body)), began)

    async def _references(self, gallery: Gallery, listing: Listing, path: Sequence[str]) -> list[CollectionItem]:
        """The album's own manifest first, then what each sub-album has; what has nothing is left out."""
        own = await self._reference(gallery, listing, path, below=False)
        items = [own] if own is not None else []
        if self.is_long(listing):
            contents = await self._read(gallery, listing.album.id)
            heading = self._heading(gallery, listing, path)
            parts = await computed(partial(self._parts, contents))
            items += presentation.part_references(self.rules.uris, heading, parts)
        bare = await self._bare.among(gallery, listing.albums)
        for album in listing.albums:
            if album.id in bare or not self.rules.visibility.shows_album(gallery.account, album.id):
                continue
            try:
                if gallery.library is None:
                    item = await self._told_reference(gallery, album)
                else:
                    below = await gallery.listing(album.id)
                    item = await self._reference(gallery, below, await gallery.path(below.album), below=True)
            except (AssetGone, AccessDenied) as error:
                log.debug("%s: %s is left out of its collection: %s", gallery.name, album.title, error)
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
        if cover is None and not await self._is_heard(gallery, listing):
            return None
        label = gallery.label(album)
        return CollectionItem(uris.manifest(account, album.id), "Manifest", label, cover, homepage)

    async def _told_reference(self, gallery: Gallery, album: Album) -> CollectionItem | None:
        """As `_reference`, by what the shelf says: no album is listed because somebody looks at the shelf."""
        uris, account = self.rules.uris, gallery.account
        homepage = self._homepage(gallery, await gallery.path(album))
        if gallery.holds_albums(album.id):
            return CollectionItem(uris.collection(account, album.id), "Collection", album.title, None, homepage)
        if album.count == 0:
            return None
        hides_services = gallery.mode == DIRECT
        cover = None if album.cover is None or hides_services else uris.service(account, album.cover)
        return CollectionItem(uris.manifest(account, album.id), "Manifest", album.title, cover, homepage)

    def _homepage(self, gallery: Gallery, path: Sequence[str]) -> str | None:
        """The folder's page, where the names of all folders above it may be shown."""
        if self.rules.visibility.albums is not None:
            return None
        return self.rules.uris.directory_page(gallery.account, path)

    async def _cover(self, gallery: Gallery, listing: Listing) -> str | None:
        """The image service of the first picture of an album; None if it has none."""
        for asset in listing.assets:
            if asset.is_media:
                facts = await gallery.facts(asset)
                if facts.extent is not None:
                    return self.rules.uris.service(gallery.account, asset.id)
        return None

    async def _is_heard(self, gallery: Gallery, listing: Listing) -> bool:
        """True if an album without any picture has sound, so that it has a manifest all the same."""
        if not self.rules.visibility.originals:
            return False
        for asset in listing.assets:
            if asset.is_media and (await gallery.facts(asset)).duration_s:
                return True
        return False

    async def _collection_inputs(self, gallery: Gallery, listing: Listing, uri: str, path: tuple[str, ...]) -> bytes:
        """Computed once for a listing object, its place, and what its sub-albums hold."""
        below: list[str] = []
        if gallery.library is not None:
            below = [await gallery.library.etag(album.id) for album in listing.albums]
        bare = sorted(await self._bare.among(gallery, listing.albums))
        key, state = (gallery.account, uri), (listing.etag, listing.album, listing.albums, path, *below, "bare", *bare)
        known = self._inputs_of.get(key)
        if known is None or known[0] != state:
            digest = partial(self._digested_collection, listing, uri, path, [*below, *bare])
            is_short = len(listing.assets) <= DIGESTED_AT_ONCE
            known = state, digest() if is_short else await computed(digest)
            self._remember_inputs(key, known)
        return known[1]

    def _digested_collection(self, listing: Listing, uri: str, path: Sequence[str], below: Sequence[str]) -> bytes:
        """For any thread."""
        album = listing.album
        parts = ["collection", uri, album.title, *path, str(album.mtime_ns)]
        parts += [f"{inner.id}\0{inner.title}\0{inner.mtime_ns}" for inner in listing.albums]
        parts += [f"{inner.id}\0{inner.count}\0{inner.cover}" for inner in listing.albums if inner.count is not None]
        parts += below
        parts += [f"{asset.id}\0{asset.version}" for asset in listing.assets if asset.is_media][:1]
        parts += [f"{asset.id}\0{asset.version}" for asset in listing.assets if asset.name == OVERRIDES]
        if self.is_long(listing):
            parts += [f"{asset.id}\0{asset.version}\0{asset.name}" for asset in listing.assets]
        return self._inputs(parts)

    def _remember_inputs(self, key: tuple[AccountName, str], known: tuple[tuple[object, ...], bytes]) -> None:
        self._inputs_of[key] = known
        while len(self._inputs_of) > INPUTS_KEPT:
            self._inputs_of.pop(next(iter(self._inputs_of)))

    # ---- info.json ------------------------------------------------------------------------------------------

    def info(self, account: AccountName, picture: Picture, api: ApiVersion, identifier: str = "") -> Made:
        """The info.json of one picture in Image API `api`; of its stable URI, or of that of a path `identifier`."""
        limits, side = self.rules.limits, self.rules.tile_size
        kind, write = (DocumentKind.INFO_2, image_info_2) if api == 2 else (DocumentKind.INFO, image_info)
        uri = self.rules.uris.image(account, picture.service, api, identifier)
        at_hand = [one.extent for one in picture.sources.reduced]
        body = write(uri, picture.extent, limits, side, monochrome=picture.facts.monochrome, at_hand=at_hand)
        mtime_ns = max(picture.asset.changed_ns, self.rules.began_ns, picture.sources.since_ns)
        name = (account, kind, info_owner(picture.service, identifier))
        return self._records.hold(name, of_body(encoded(body)), mtime_ns)

    # ---- all of them ----------------------------------------------------------------------------------------

    def body(self, node: Document) -> bytes | None:
        """The bytes of exactly this document, all at once, if they are still to be had without building."""
        body = self._records.body(node)
        return None if body is None else whole(body)

    def opened(self, node: Document) -> Body | None:
        """As `body`, to be read part by part."""
        return self._records.body(node)

    async def _built(
        self, name: Name, gallery: Gallery, build: Callable[[], Awaitable[Made]], wait_s: float | None
    ) -> Made:
        """What `build` makes, in one flight a name."""
        with gallery.questions.place():
            return await self._flights.join(
                ("document", *name), build, gallery.deadlines.list_s if wait_s is None else wait_s
            )

    def outdate_collections(self, gallery: Gallery, album: Album) -> None:
        """Collections that may show a picture of `album`, or that it has any, are built anew when asked for."""
        for owner in {"", album.id, album.parent or ""}:
            self._records.outdate((gallery.account, DocumentKind.COLLECTION, owner))

    def _keep(self, name: Name, inputs: bytes, made: Written, began_ns: int) -> Made:
        """Never older than this configuration."""
        return self._records.keep(name, inputs, made, max(began_ns, self.rules.began_ns))

    def _inputs(self, parts: Sequence[str]) -> bytes:
        text = "\n".join([self.rules.fingerprint, *parts])
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def owner_of(album: AlbumId, part: str | None) -> str:
    """The owner, in names and nodes, of an album's manifest or of a part's."""
    return album if part is None else f"{album}/{part}"


def album_of(owner: str) -> tuple[AlbumId, str | None]:
    """The album and part of `owner_of`; ids have no slash."""
    album, _, part = owner.partition("/")
    return AlbumId(album), part or None


def info_owner(service: AssetId, identifier: str) -> str:
    """The owner, in names and nodes, of the info.json of a service, or of it under a path identifier."""
    return f"{service}/{identifier}" if identifier else service


def service_of(owner: str) -> tuple[AssetId, str]:
    """The service and the identifier of `info_owner`; ids have no slash."""
    service, _, identifier = owner.partition("/")
    return AssetId(service), identifier
