"""The fixed top of the tree: MOUNT/, MOUNT/ACCOUNT/ and MOUNT/ACCOUNT/iiif/…"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from iiiffs.errors import AssetGone, NotOffered, ProviderUnreachable
from iiiffs.iiif.parameters import ApiVersion
from iiiffs.model.gallery import AccountName, Album, AlbumId, AssetId
from iiiffs.tree import attributes as attrs
from iiiffs.tree.albums import ALIASES, COLLECTION, INDEX
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import (
    AccountDir,
    AlbumDir,
    ApiDir,
    ControlDir,
    PageKind,
    PathDir,
    PresentationDir,
    Root,
    SearchDir,
)
from iiiffs.tree.query import parse_query, query_album_id
from iiiffs.vfs.albums import Galleries, found_document, soon
from iiiffs.vfs.document_records import Made
from iiiffs.vfs.documents import Documents
from iiiffs.vfs.entries import Absent, Found, Snapshot, fixed_snapshot
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.library import SEARCH, TOP_VIEWS
from iiiffs.vfs.modes import directory_mode
from iiiffs.vfs.pages import Pages
from iiiffs.vfs.paths import Paths
from iiiffs.vfs.services import Services

CONTROL = ".iiiffs"
FILES = "files"
CONTROL_MODE = 0o500
ID_FORM = re.compile(r"[A-Za-z0-9._~-]+")
"""Of every ASSET-ID and ALBUM-ID (DESIGN §2.7). What else is looked up, bytes that are no text among it, is no id."""


class RootDir:
    """Root: the accounts, their collection, the page, and `.iiiffs`."""

    def __init__(self, galleries: Galleries, documents: Documents, pages: Pages) -> None:
        self._galleries = galleries
        self._documents = documents
        self._pages = pages
        self._slugs = {alias: slug for slug, gallery in galleries.items() for alias in gallery.aliases}

    @property
    def attributes_now(self) -> Attributes:
        """The root's own: as long as the mount lives."""
        return attrs.fixed_directory(self._documents.rules.began_ns)

    @property
    def accounts(self) -> list[AccountName]:
        """Those that this mount shows, in the configuration's order."""
        visibility = self._documents.rules.visibility
        return [account for account in self._galleries if visibility.shows_account(account)]

    async def lookup(self, directory: Root, name: str) -> Found | Absent:
        """One of a fixed set; by an alias of an account, that account's one directory."""
        name = self._slugs.get(AccountName(name), name)
        return dict(self._found()).get(name) or Absent(attrs.REFUSED_S)

    async def entries(self, directory: Root) -> Snapshot:
        """All of it."""
        return fixed_snapshot(self._found())

    async def attributes(self, directory: Root, last: Attributes) -> Attributes:
        """They do not change."""
        return self.attributes_now

    def _found(self) -> list[tuple[str, Found]]:
        found = [
            (INDEX, self._pages.found(PageKind.COLLECTION)),
            (COLLECTION, found_document(self._documents.root_collection(self.accounts))),
        ]
        found += [(account, Found(AccountDir(account), self.attributes_now)) for account in self.accounts]
        if self._documents.rules.visibility.control:
            attributes = attrs.directory(self._documents.rules.began_ns, mode=CONTROL_MODE)
            found.append((CONTROL, Found(ControlDir(), attributes)))
        return found


class AccountDirs:
    """AccountDir: the page, the collection, `files/` and `iiif/`."""

    def __init__(self, galleries: Galleries, documents: Documents, pages: Pages, flights: Flights) -> None:
        self._galleries = galleries
        self._documents = documents
        self._pages = pages
        self._flights = flights
        self._asked: set[AccountName] = set()
        """Whose collection was made from what they said since the start."""
        self._roots: dict[AccountName, Album] = {}
        """The folders shown as `files/`, as they were told last."""

    async def lookup(self, directory: AccountDir, name: str) -> Found | Absent:
        """What the provider's capabilities bring."""
        gallery = self._galleries[directory.account]
        match name:
            case "index.html":
                return self._pages.found(PageKind.COLLECTION)
            case "collection.json":
                return found_document(await self._documents.account_collection(gallery))
            case "iiif":
                return self._api(directory)
            case "files" if gallery.capabilities.folders:
                root = await self._folder(gallery)
                mode = directory_mode(gallery, root.id)
                return Found(AlbumDir(directory.account, root.id, 1), attrs.directory(root.mtime_ns, mode=mode))
            case "search" if gallery.searches:
                return Found(SearchDir(directory.account), attrs.fixed_directory(self._documents.rules.began_ns))
        if name in gallery.tops:
            return self._view(directory, gallery, name)
        return Absent(attrs.REFUSED_S)

    async def entries(self, directory: AccountDir) -> Snapshot:
        """All of it; the collection once it is built, and at a start as it was last time."""
        gallery = self._galleries[directory.account]
        found = [(INDEX, self._pages.found(PageKind.COLLECTION)), (ALIASES, self._api(directory))]
        if gallery.capabilities.folders:
            files = await self.lookup(directory, FILES)
            assert isinstance(files, Found), "files/ is there, or its lookup raises"
            found.append((FILES, files))
        found += [(name, self._view(directory, gallery, name)) for name in gallery.tops]
        if gallery.searches:
            search = Found(SearchDir(directory.account), attrs.fixed_directory(self._documents.rules.began_ns))
            found.append((SEARCH, search))
        made = await self._collection(gallery)
        found += [(COLLECTION, found_document(made))] if made else []
        return fixed_snapshot(found)

    async def _folder(self, gallery: Gallery) -> Album:
        """The folder shown as `files/`; of a server that cannot be asked, what it was, like all that is below it."""
        try:
            self._roots[gallery.account] = await gallery.root()
        except ProviderUnreachable:
            if gallery.capabilities.local or gallery.account not in self._roots:
                raise
        return self._roots[gallery.account]

    async def _collection(self, gallery: Gallery) -> Made | None:
        """All shelves are asked for it: so what was known when the mount ended is listed while the first answers are
        on their way, which come behind."""
        if not gallery.capabilities.folders and gallery.account not in self._asked:
            last = await self._documents.last_account_collection(gallery)
            self._flights.begin(("account", gallery.account), partial(self._ask, gallery))
            if last is not None:
                return last
        return await soon(self._documents.account_collection(gallery, wait_s=gallery.deadlines.patience_s))

    async def _ask(self, gallery: Gallery) -> None:
        await self._documents.account_collection(gallery)
        self._asked.add(gallery.account)

    async def attributes(self, directory: AccountDir, last: Attributes) -> Attributes:
        """They do not change."""
        return last

    def _view(self, directory: AccountDir, gallery: Gallery, name: str) -> Found:
        """timeline/ and the like; there at once, while what is in them may have to wait for the first scan."""
        changed_ns = 0 if gallery.library is None else gallery.library.index.changed_ns(TOP_VIEWS[name])
        node = AlbumDir(directory.account, gallery.tops[name], 1)
        mode = directory_mode(gallery, node.album)
        return Found(node, attrs.directory(max(changed_ns, self._documents.rules.began_ns), mode=mode))

    def _api(self, directory: AccountDir) -> Found:
        return Found(ApiDir(directory.account, ""), attrs.fixed_directory(self._documents.rules.began_ns))


class SearchDirs:
    """SearchDir: an album for every query of the grammar."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    async def lookup(self, directory: SearchDir, name: str) -> Found | Absent:
        """The album that holds the answer. Errors: BadSyntax, which is an absent name."""
        album_id = query_album_id(parse_query(name))
        try:
            album = await self._galleries[directory.account].album(album_id)
        except NotOffered as error:
            return Absent(attrs.REFUSED_S, str(error))
        return Found(AlbumDir(directory.account, album.id, 2), attrs.directory(album.mtime_ns))

    async def entries(self, directory: SearchDir) -> Snapshot:
        """Nothing: there is no end of queries."""
        return fixed_snapshot([])

    async def attributes(self, directory: SearchDir, last: Attributes) -> Attributes:
        """They do not change."""
        return last


API_CHILDREN: Mapping[str, tuple[str, ...]] = {
    "": ("2", "3", "presentation"),
    "presentation": ("3",),
    "2": (),
    "3": (),
    "presentation/3": (),
}
"""ApiDir.path -> what is listed below it; the ids below the leaves are found by lookup and not listed."""


class ApiDirs:
    """ApiDir: ACCOUNT/iiif/ down to where ids begin."""

    def __init__(self, galleries: Galleries, documents: Documents, services: Services, paths: Paths) -> None:
        self._galleries = galleries
        self._documents = documents
        self._services = services
        self._paths = paths

    async def lookup(self, directory: ApiDir, name: str) -> Found | Absent:
        """A fixed name, or an id; or the first part of a path, where the account's images are found by those too."""
        if name in API_CHILDREN[directory.path]:
            return self._child(directory, name)
        match directory.path:
            case "2":
                return await self._image(directory.account, name, 2)
            case "3":
                return await self._image(directory.account, name, 3)
            case "presentation/3" if ID_FORM.fullmatch(name):
                return await self._presentation(directory.account, AlbumId(name))
        return Absent(attrs.REFUSED_S)

    async def entries(self, directory: ApiDir) -> Snapshot:
        """The fixed names only."""
        names = API_CHILDREN[directory.path]
        return fixed_snapshot([(name, self._child(directory, name)) for name in names])

    async def attributes(self, directory: ApiDir, last: Attributes) -> Attributes:
        """They do not change."""
        return last

    def _child(self, directory: ApiDir, name: str) -> Found:
        path = f"{directory.path}/{name}" if directory.path else name
        return Found(ApiDir(directory.account, path), attrs.fixed_directory(self._documents.rules.began_ns))

    async def _image(self, account: AccountName, name: str, api: ApiVersion) -> Found | Absent:
        """An id before a path: stable URIs stay what they are, whatever a file is called."""
        found: Found | Absent = Absent(attrs.REFUSED_S)
        if ID_FORM.fullmatch(name):
            found = await self._services.service(account, AssetId(name), api)
        if isinstance(found, Found) or not self._paths.answers(account):
            return found
        top = PathDir(account, api, await self._paths.top(account), ())
        return await self._paths.lookup(top, name)

    async def _presentation(self, account: AccountName, album_id: AlbumId) -> Found | Absent:
        if not self._documents.rules.visibility.shows_album(account, album_id):
            return Absent(attrs.ABSENT_S)
        try:
            album = await self._galleries[account].album(album_id)
        except AssetGone:
            return Absent(attrs.ABSENT_S)
        return Found(PresentationDir(account, album.id), attrs.directory(album.mtime_ns))
