"""The file system: lookup, attributes, entries, open. The same verbs as the kernel's, on nodes instead of numbers.

Each kind of directory is an object with `lookup`, `entries` and `attributes`; this one only knows which is which, and
how to open each kind of file. Nothing here knows FUSE, an inode number or a concrete provider.
"""

from __future__ import annotations

from typing import Any

from iiiffs.errors import NoSuchName, RequestError, VersionChanged
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
    Document,
    DocumentKind,
    File,
    Node,
    Original,
    Page,
    ParameterDir,
    PresentationDir,
    Rendition,
    Root,
    SearchDir,
    ServiceDir,
)
from iiiffs.vfs.albums import Albums, Aliases, Galleries, Presentations
from iiiffs.vfs.control_files import ControlFiles
from iiiffs.vfs.documents import ROOT, Documents, album_of
from iiiffs.vfs.entries import Absent, DirectoryKind, Found, Snapshot
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.handles import BodyHandle, Handle, OriginalHandle
from iiiffs.vfs.pages import Pages
from iiiffs.vfs.services import Services
from iiiffs.vfs.top import AccountDirs, ApiDirs, RootDir, SearchDirs


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
        self._kinds: dict[type[Node], DirectoryKind[Any]] = {
            Root: self._root,
            AccountDir: AccountDirs(galleries, documents, pages, flights),
            SearchDir: SearchDirs(galleries),
            ApiDir: ApiDirs(galleries, documents, services),
            AlbumDir: Albums(galleries, documents, pages, flights),
            AliasDir: Aliases(galleries),
            PresentationDir: Presentations(galleries, documents, flights),
            ServiceDir: services,
            ParameterDir: services,
            ControlDir: control,
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
        try:
            return await kind.lookup(parent, name)
        except RequestError:
            return Absent(attrs.ABSENT_S)

    async def entries(self, directory: Directory) -> Snapshot:
        """All that is listed in `directory`."""
        return await self._kinds[type(directory)].entries(directory)

    async def attributes(self, node: Node, last: Attributes) -> Attributes:
        """What stat answers now. An inode that names bytes never changes; a directory is asked."""
        if isinstance(node, ControlFile):
            return self._control.file_attributes(node)
        kind = self._kinds.get(type(node))
        return last if kind is None else await kind.attributes(node, last)

    async def open(self, node: File) -> Handle:
        """The bytes of exactly this node. Errors: VersionChanged if they cannot be had any more."""
        match node:
            case Original(account, asset_id, version):
                gallery = self._galleries[account]
                asset = await gallery.asset(asset_id)
                if asset.version != version:
                    raise VersionChanged(f"{asset.name} has changed since it was looked up")
                return OriginalHandle(await gallery.open(asset), gallery.deadlines.read_s)
            case Rendition():
                return BodyHandle(await self._services.rendition_body(node))
            case Document():
                return BodyHandle(await self._document_body(node))
            case Page():
                return BodyHandle(self._pages.body(node))
            case ControlFile():
                return BodyHandle(self._control.body(node), is_snapshot=True)

    async def _document_body(self, node: Document) -> bytes:
        """The bytes of exactly this document, built again if they were dropped meanwhile."""
        body = self._documents.body(node)
        if body is None and node.kind in (DocumentKind.INFO, DocumentKind.INFO_2):
            return await self._services.info_body(node)
        if body is None:
            current = await self._current(node)
            body = self._documents.body(current) if current == node else None
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
