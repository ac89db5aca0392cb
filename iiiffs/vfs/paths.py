"""Image services by the path of their file, such as iiif/3/2024/Trip/a.jpg, of accounts that want it.

Found by lookup, never listed: the URIs that an earlier image server gave go on answering, the stable ones are what
documents hold. A web server turns %2F into a slash before it looks a name up, so an encoded path arrives here as
directories; a path with substitutes for slashes arrives as one name. All that is here may be renamed, so the kernel
keeps it for a second; what is below a service names a version and is kept as everywhere.
"""

from __future__ import annotations

from iiiffs.iiif.uris import Identifiers
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset
from iiiffs.tree import attributes as attrs
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import PathDir
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.documents import Documents
from iiiffs.vfs.entries import Absent, Found, Snapshot, fixed_snapshot
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.pictures import page_of
from iiiffs.vfs.services import ServiceName, Services


class Paths:
    """PathDir."""

    def __init__(self, galleries: Galleries, documents: Documents, services: Services) -> None:
        self._galleries = galleries
        self._identifiers = documents.rules.uris.identifiers
        self._visibility = documents.rules.visibility
        self._services = services

    def answers(self, account: AccountName) -> bool:
        """True if the account's images are found by their paths."""
        return account in self._identifiers

    async def top(self, account: AccountName) -> AlbumId:
        """The folder that paths begin in: `files/`."""
        return (await self._galleries[account].root()).id

    async def lookup(self, directory: PathDir, name: str) -> Found | Absent:
        """A folder on the way, or the service of a picture; a file that is none has no service."""
        gallery, identifiers = self._galleries[directory.account], self._identifiers[directory.account]
        for reading in identifiers.readings(name):
            album = await self._folder(gallery, directory.album, reading[:-1])
            found = None if album is None else await self._entry(gallery, identifiers, album, reading[-1])
            if found is not None:
                return await self._described(directory, name, *found)
        return Absent(attrs.ABSENT_S)

    async def entries(self, directory: PathDir) -> Snapshot:
        """Nothing: `files/` is where folders are listed."""
        return fixed_snapshot([])

    async def attributes(self, directory: PathDir, last: Attributes) -> Attributes:
        """As the folder is now."""
        return attrs.directory((await self._galleries[directory.account].album(directory.album)).mtime_ns)

    async def _folder(self, gallery: Gallery, album: AlbumId, path: tuple[str, ...]) -> AlbumId | None:
        """The folder at `path` below `album`; None if there is none, or a name in it is not a folder's."""
        for name in path:
            entry = await gallery.find(album, name)
            if not isinstance(entry, Album):
                return None
            album = entry.id
        return album

    async def _entry(
        self, gallery: Gallery, identifiers: Identifiers, album: AlbumId, name: str
    ) -> tuple[Album | Asset, int] | None:
        """What the last name of a path names, and the page of it, from 0."""
        for called, page in identifiers.names(name):
            entry = await gallery.find(album, called)
            if isinstance(entry, Asset) or (isinstance(entry, Album) and called == name):
                return entry, page
        return None

    async def _described(self, directory: PathDir, name: str, entry: Album | Asset, page: int) -> Found | Absent:
        account, spelled = directory.account, (*directory.spelled, name)
        if isinstance(entry, Asset):
            identifier = self._identifiers[account].spelled(spelled)
            service = ServiceName(page_of(entry.id, page), directory.api, identifier)
            return await self._services.named(account, entry, service)
        if not self._visibility.shows_album(account, entry.id):
            return Absent(attrs.ABSENT_S)
        return Found(PathDir(account, directory.api, entry.id, spelled), attrs.directory(entry.mtime_ns))
