"""Album directories: originals, documents, the page, and the symlinks that lead to image services."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import replace

from iiiffs.errors import DeadlinePassed, IiiffsError, NoSuchName
from iiiffs.iiif.ranges import part_of_file
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Facts
from iiiffs.tree import attributes as attrs
from iiiffs.tree.albums import ALIASES, COLLECTION, INDEX, MANIFEST, AlbumNames
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import (
    AlbumDir,
    AliasDir,
    AliasLink,
    Copy,
    Local,
    Original,
    PageKind,
    PresentationDir,
    ThumbnailDir,
)
from iiiffs.vfs.collector import computed
from iiiffs.vfs.document_records import Made
from iiiffs.vfs.documents import Documents
from iiiffs.vfs.entries import Absent, Found, Snapshot, fixed_snapshot
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import NAMED_AT_ONCE, Gallery
from iiiffs.vfs.modes import directory_mode, file_mode
from iiiffs.vfs.pages import Pages

log = logging.getLogger(__name__)

Galleries = dict[AccountName, Gallery]


class Albums:
    """AlbumDir: an album or folder, such as `files/` and all below it."""

    def __init__(self, galleries: Galleries, documents: Documents, pages: Pages, flights: Flights) -> None:
        self._galleries = galleries
        self._documents = documents
        self._pages = pages
        self._flights = flights
        self._visibility = documents.rules.visibility

    async def lookup(self, directory: AlbumDir, name: str) -> Found | Absent:
        """A real entry first, then what we add."""
        gallery = self._galleries[directory.account]
        entry = await gallery.find(directory.album, name)
        if entry is not None:
            return self._shown(directory, name, entry) or Absent(attrs.ABSENT_S)
        if _is_filling(gallery, directory) and gallery.overlay is not None:
            return gallery.overlay.filling.discarded(gallery.overlay.album_id(directory.album), name) or Absent(0.0)
        match name:
            case "index.html":
                return self._page(await gallery.names(directory.album))
            case str() if is_document(name):
                return await _document(self._documents, gallery, directory.album, name)
            case "iiif":
                names = await gallery.names(directory.album)
                return _alias_dir(directory, names.listing.album) if _has_images(names) else _nothing(gallery)
            case ".sh_thumbnails" if self._visibility.originals:
                album = await gallery.album(directory.album)
                return Found(ThumbnailDir(directory.account, directory.album), attrs.directory(album.mtime_ns))
        return Absent(attrs.ABSENT_S)

    async def entries(self, directory: AlbumDir) -> Snapshot:
        """What is really there, and those of our own entries whose size is known (DESIGN §2.1, §2.2)."""
        gallery = self._galleries[directory.account]
        names = await gallery.names(directory.album)
        ours = [entry for entry in await self._ours(gallery, directory, names) if names.offers(entry[0])]
        real = [name for name, entry in names.entries.items() if self._is_shown(directory, entry)]

        def describe(index: int) -> Found:
            if index < len(ours):
                return ours[index][1]
            name, now = real[index - len(ours)], gallery.kept(directory.album) or names
            entry = now.get(name)
            found = None if entry is None else self._shown(directory, name, entry)
            if found is None:  # it went meanwhile: its name was promised, and is told as it was
                found = self._shown(directory, name, names.entries[name])
            assert found is not None, "only shown entries are in the snapshot"
            return found

        return Snapshot([name for name, _ in ours] + real, describe)

    async def attributes(self, directory: AlbumDir, last: Attributes) -> Attributes:
        """As the album is now; a view that waits for the first scan is as it was."""
        library = self._galleries[directory.account].library
        if library is not None and not library.is_whole and library.is_view(directory.album):
            return last
        gallery = self._galleries[directory.account]
        return self._directory(gallery, await gallery.album(directory.album))

    def _directory(self, gallery: Gallery, album: Album) -> Attributes:
        """Of an album whose time nobody knows: as old as this configuration."""
        mtime_ns = album.mtime_ns or self._documents.rules.began_ns
        return attrs.directory(mtime_ns, mode=directory_mode(gallery, album.id))

    def _shown(self, directory: AlbumDir, name: str, entry: Album | Asset) -> Found | None:
        """A real entry as this mount shows it; None if it does not, or cannot size it yet."""
        account = directory.account
        if not self._is_shown(directory, entry):
            return None
        gallery = self._galleries[account]
        if isinstance(entry, Album):
            return Found(AlbumDir(account, entry.id, directory.depth + 1), self._directory(gallery, entry))
        assert entry.size_bytes is not None, "only entries of known size are shown"
        if entry.is_local and gallery.overlay is not None:
            live = gallery.overlay.live(entry)
            node = Local(account, entry.version.rpartition(".")[0])
            return Found(node, attrs.local_file(live.size_bytes, live.mtime_ns))
        shown = Original(account, entry.id, entry.version)
        if gallery.overlay is not None:
            shown = gallery.overlay.copies.node(account, entry, gallery.overlay.album_id(directory.album), name)
        links = 1 if isinstance(shown, Copy) else gallery.links(entry.id)
        return Found(shown, attrs.file(entry.size_bytes, entry.mtime_ns, links=links, mode=file_mode(gallery)))

    def _is_shown(self, directory: AlbumDir, entry: Album | Asset) -> bool:
        if isinstance(entry, Album):
            return self._visibility.shows_album(directory.account, entry.id)
        return self._visibility.originals and entry.size_bytes is not None

    async def _ours(self, gallery: Gallery, directory: AlbumDir, names: AlbumNames) -> list[tuple[str, Found]]:
        listing = names.listing
        if _is_filling(gallery, directory):
            return []
        ours = [(INDEX, self._page(names))]
        if _has_images(names):
            ours.append((ALIASES, _alias_dir(directory, listing.album)))
            made = await self._documents.known_manifest(gallery, listing) or await soon(
                self._documents.manifest(gallery, directory.album, wait_s=gallery.deadlines.patience_s)
            )
            ours += [(MANIFEST, found_document(made))] if made else []
        if listing.albums or self._documents.is_long(listing):
            made = await self._documents.known_collection(gallery, listing) or await soon(
                self._documents.collection(gallery, directory.album, wait_s=gallery.deadlines.patience_s)
            )
            ours += [(COLLECTION, found_document(made))] if made else []
        return ours

    def _page(self, names: AlbumNames) -> Found:
        has_collection = names.listing.albums or self._documents.is_long(names.listing)
        return self._pages.found(PageKind.COLLECTION if has_collection else PageKind.ALBUM)


class Aliases:
    """AliasDir: ALBUM/iiif/, a symlink a picture."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    async def lookup(self, directory: AliasDir, name: str) -> Found | Absent:
        """The link of a picture; a file that is none has no service."""
        gallery = self._galleries[directory.account]
        entry = await gallery.find(directory.album, name)
        if not isinstance(entry, Asset):
            return _nothing(gallery)
        facts = await gallery.facts(entry)
        if not _is_picture(facts):
            return _nothing(gallery, facts.error)
        return _looked_at_again(gallery, _alias(directory, entry))

    async def entries(self, directory: AliasDir) -> Snapshot:
        """A link for every picture of the album; each is made when it is told, for there may be 20,000."""
        gallery = self._galleries[directory.account]
        album, facts = await gallery.with_facts(directory.album)

        def pictures() -> list[tuple[str, Asset]]:
            found = ((name, entry) for name, entry in album.entries.items() if isinstance(entry, Asset))
            return [(name, asset) for name, asset in found if _is_shown_picture(facts, asset.id)]

        shown = pictures() if len(album.entries) <= NAMED_AT_ONCE else await computed(pictures)
        return Snapshot([name for name, _ in shown], lambda index: _alias(directory, shown[index][1]))

    async def attributes(self, directory: AliasDir, last: Attributes) -> Attributes:
        """As the album is now."""
        return attrs.directory((await self._galleries[directory.account].album(directory.album)).mtime_ns)


class Presentations:
    """PresentationDir: the stable URIs of one album's documents."""

    def __init__(self, galleries: Galleries, documents: Documents, flights: Flights) -> None:
        self._galleries = galleries
        self._documents = documents
        self._flights = flights

    async def lookup(self, directory: PresentationDir, name: str) -> Found | Absent:
        """The documents that the album has."""
        gallery = self._galleries[directory.account]
        if is_document(name):
            return await _document(self._documents, gallery, directory.album, name)
        return Absent(attrs.REFUSED_S)

    async def entries(self, directory: PresentationDir) -> Snapshot:
        """Those that are made, or are made within a moment."""
        gallery = self._galleries[directory.account]
        found = []
        patience_s = gallery.deadlines.patience_s
        for name, building in (
            (MANIFEST, self._documents.manifest(gallery, directory.album, wait_s=patience_s)),
            (COLLECTION, self._documents.collection(gallery, directory.album, wait_s=patience_s)),
        ):
            made = await soon(building)
            found += [(name, found_document(made))] if made else []
        return fixed_snapshot(found)

    async def attributes(self, directory: PresentationDir, last: Attributes) -> Attributes:
        """As the album is now."""
        return attrs.directory((await self._galleries[directory.account].album(directory.album)).mtime_ns)


def _is_filling(gallery: Gallery, directory: AlbumDir) -> bool:
    overlay = gallery.overlay
    return overlay is not None and overlay.filling.is_on(overlay.album_id(directory.album))


async def asset_shown(gallery: Gallery, node: Original) -> Asset:
    """The asset of the node, in its version if that is still there. Rule: Gallery.asset_in. New bytes that wait for the
    photo under its own name are not its copy's."""
    found = await gallery.asset_in(node.asset, node.version)
    if not (isinstance(node, Copy) and found.is_local):
        return found
    told = await gallery.told_asset(node.asset)
    return told if told.version == node.version else found


def found_document(made: Made) -> Found:
    """A document under a name that may come to name another one."""
    return Found(made.node, attrs.file(made.size_bytes, made.mtime_ns))


async def soon(building: Awaitable[Made]) -> Made | None:
    """The document if it is made in time, else None: a listing does without it, a lookup says why."""
    try:
        return await building
    except (NoSuchName, DeadlinePassed):
        return None
    except IiiffsError as error:
        log.debug("a document is not listed: %s", error)
        return None


def _has_images(names: AlbumNames) -> bool:
    return any(asset.is_media for asset in names.listing.assets)


def _is_picture(facts: Facts) -> bool:
    return facts.extent is not None


def _is_shown_picture(facts: dict[AssetId, Facts], asset: AssetId) -> bool:
    told = facts.get(asset)
    return told is not None and _is_picture(told)


def is_document(name: str) -> bool:
    """True if a document of an album could have that name."""
    return name in (MANIFEST, COLLECTION) or part_of_file(name) is not None


async def _document(documents: Documents, gallery: Gallery, album: AlbumId, name: str) -> Found | Absent:
    try:
        if name == COLLECTION:
            made = await documents.collection(gallery, album)
        else:
            made = await documents.manifest(gallery, album, part_of_file(name))
    except NoSuchName:
        return _nothing(gallery)
    return _looked_at_again(gallery, found_document(made))


def _looked_at_again(gallery: Gallery, found: Found) -> Found:
    """Not kept where a program may change what the name leads to: the kernel does not see that what it writes here
    makes another of something there."""
    return found if gallery.writing is None else replace(found, attributes=replace(found.attributes, entry_s=0.0))


def _nothing(gallery: Gallery, reason: str | None = None) -> Absent:
    """Not kept where a program may make what has the name."""
    return Absent(attrs.ABSENT_S if gallery.writing is None else 0.0, reason)


def _alias_dir(directory: AlbumDir, album: Album) -> Found:
    return Found(AliasDir(directory.account, directory.album, directory.depth), attrs.directory(album.mtime_ns))


def _alias(directory: AliasDir, asset: Asset) -> Found:
    node = AliasLink(directory.account, directory.album, asset.id, directory.depth)
    return Found(node, attrs.link(node.target, asset.changed_ns))
