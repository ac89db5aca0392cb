"""The file system: lookup, attributes, entries, open. The same verbs as the kernel's, on nodes instead of numbers.

Each kind of directory is an object with `lookup`, `entries` and `attributes`; this one only knows which is which, and
how to open each kind of file. Nothing here knows FUSE, an inode number or a concrete provider.
"""

from __future__ import annotations

from typing import Any

from iiiffs.errors import IiiffsError, NoSuchName, RequestError, VersionChanged
from iiiffs.model.gallery import AlbumId
from iiiffs.tree import attributes as attrs
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.junk import is_junk
from iiiffs.tree.nodes import (
    AccountDir,
    AlbumDir,
    AliasDir,
    ApiDir,
    ControlDir,
    ControlFile,
    Directory,
    Discarded,
    DiscardedDir,
    Document,
    DocumentKind,
    File,
    Local,
    Node,
    Original,
    Page,
    ParameterDir,
    PathDir,
    PresentationDir,
    Rendition,
    Root,
    SearchDir,
    ServiceDir,
    Thumbnail,
    ThumbnailDir,
    ThumbnailSizeDir,
)
from iiiffs.vfs.albums import Albums, Aliases, Galleries, Presentations, asset_shown
from iiiffs.vfs.control_files import ControlFiles
from iiiffs.vfs.documents import ROOT, Documents, album_of
from iiiffs.vfs.entries import Absent, DirectoryKind, Found, Snapshot
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.handles import BodyHandle, DiscardHandle, Handle, OriginalHandle, Traffic
from iiiffs.vfs.packed import Body
from iiiffs.vfs.pages import Pages
from iiiffs.vfs.paths import Paths
from iiiffs.vfs.reasons import Reasons
from iiiffs.vfs.services import Services
from iiiffs.vfs.thumbnails import Thumbnails
from iiiffs.vfs.top import AccountDirs, ApiDirs, RootDir, SearchDirs
from iiiffs.vfs.writer import DiscardedDirs, Writer
from iiiffs.vfs.xattrs import ExtendedAttributes


class Filesystem:
    """One mount's tree."""

    def __init__(
        self,
        galleries: Galleries,
        documents: Documents,
        pages: Pages,
        services: Services,
        control: ControlFiles,
        flights: Flights,
    ) -> None:
        self._galleries = galleries
        self._documents = documents
        self._pages = pages
        self._services = services
        self._control = control
        self._root = RootDir(galleries, documents, pages)
        self._thumbnails = Thumbnails(galleries, services)
        paths = Paths(galleries, documents, services)
        self.reasons = Reasons()
        self.writer: Writer | None = None
        """What changes things; None where nothing may be changed."""
        self.originals = Traffic()
        self.xattrs = ExtendedAttributes(galleries, documents, self.reasons)
        self._kinds: dict[type[Node], DirectoryKind[Any]] = {
            Root: self._root,
            AccountDir: AccountDirs(galleries, documents, pages, flights),
            SearchDir: SearchDirs(galleries),
            ApiDir: ApiDirs(galleries, documents, services, paths),
            PathDir: paths,
            AlbumDir: Albums(galleries, documents, pages, flights),
            AliasDir: Aliases(galleries),
            PresentationDir: Presentations(galleries, documents, flights),
            ServiceDir: services,
            ParameterDir: services,
            ThumbnailDir: self._thumbnails,
            ThumbnailSizeDir: self._thumbnails,
            ControlDir: control,
            DiscardedDir: DiscardedDirs(galleries),
        }

    @property
    def root_attributes(self) -> Attributes:
        """Those of the mount's root."""
        return self._root.attributes_now

    async def lookup(self, parent: Node, name: str) -> Found | Absent:
        """What `name` is in the directory `parent`. Errors: all but RequestError, which is Absent."""
        kind = self._kinds.get(type(parent))
        if kind is None:
            raise NoSuchName(f"{name!r} is looked up below something that is no directory")
        if is_junk(name):
            return Absent(attrs.REFUSED_S)
        deed = f"lookup {name}"
        try:
            found = await kind.lookup(parent, name)
        except NoSuchName:
            return Absent(attrs.ABSENT_S)
        except RequestError as error:
            found = Absent(attrs.ABSENT_S, str(error))
        except IiiffsError as error:
            self.reasons.failed(parent, deed, error)
            raise
        if isinstance(found, Found):
            self.reasons.worked(parent, deed)
        elif found.reason is not None:
            self.reasons.failed(parent, deed, found.reason)
        return found

    async def entries(self, directory: Directory) -> Snapshot:
        """All that is listed in `directory`."""
        try:
            snapshot = await self._kinds[type(directory)].entries(directory)
        except IiiffsError as error:
            self.reasons.failed(directory, "list", error)
            raise
        self.reasons.worked(directory, "list")
        return snapshot

    async def attributes(self, node: Node, last: Attributes) -> Attributes:
        """What stat answers now. An inode that names bytes never changes; a directory is asked."""
        if isinstance(node, ControlFile):
            return self._control.file_attributes(node)
        if isinstance(node, Local) and self.writer is not None:
            return self.writer.changes.local_attributes(node)
        kind = self._kinds.get(type(node))
        return last if kind is None else await kind.attributes(node, last)

    async def open(self, node: File) -> Handle:
        """The bytes of exactly this node. Errors: VersionChanged if they cannot be had any more."""
        try:
            handle = await self._opened(node)
        except IiiffsError as error:
            self.reasons.failed(node, "open", error)
            raise
        self.reasons.worked(node, "open")
        return handle

    async def _opened(self, node: File) -> Handle:
        match node:
            case Original():
                return await self._opened_original(node)
            case Rendition():
                return BodyHandle(await self._services.rendition_body(node))
            case Document():
                return BodyHandle(await self._document_body(node))
            case Page():
                return BodyHandle(self._pages.body(node))
            case Thumbnail():
                return BodyHandle(await self._thumbnails.body(node))
            case ControlFile():
                return await self._control.open(node)
            case Local() if self.writer is not None:
                refused = await self.writer.changes.refused(node)
                if refused is not None:
                    return await self._opened_original(Original(node.account, refused.id, refused.version))
                return await self.writer.changes.open_local(node)
            case Local():
                raise VersionChanged("nothing waits to be sent on this mount")
            case Discarded():
                return DiscardHandle()

    async def _opened_original(self, node: Original) -> Handle:
        """The original in this version. One that has another is listed anew, so that the kernel's retry finds that."""
        gallery = self._galleries[node.account]
        asset = await asset_shown(gallery, node)
        if asset.version != node.version:
            gallery.expire(asset.album)
            raise VersionChanged(f"{asset.name} has changed since it was looked up")
        try:
            with gallery.questions.place():
                original = await gallery.open(asset)
        except VersionChanged:
            gallery.expire(asset.album)
            raise
        return OriginalHandle(original, gallery.deadlines.read_s, gallery.reads, self.originals)

    async def _document_body(self, node: Document) -> Body:
        """The bytes of exactly this document, built again if they were dropped meanwhile."""
        body = self._documents.opened(node)
        if body is None and node.kind in (DocumentKind.INFO, DocumentKind.INFO_2):
            return await self._services.info_body(node)
        if body is None:
            current = await self._current(node)
            body = self._documents.opened(current) if current == node else None
        if body is None:
            raise VersionChanged(f"{node.kind.value} is another one now")
        return body

    async def _current(self, node: Document) -> Document:
        """The manifest or collection that has this one's name now."""
        if node.account == ROOT:
            return self._documents.root_collection(self._root.accounts).node
        gallery = self._galleries[node.account]
        if node.kind is DocumentKind.MANIFEST:
            return (await self._documents.manifest(gallery, *album_of(node.owner))).node
        if node.owner:
            return (await self._documents.collection(gallery, AlbumId(node.owner))).node
        return (await self._documents.account_collection(gallery)).node
