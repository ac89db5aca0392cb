"""What the pretended server answers, as the values that providers give. One transaction a question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from iiiffs.errors import AssetGone, NotOffered
from iiiffs.model.description import Description
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Listing
from iiiffs.providers.media import media_type_of
from iiiffs.providers.views import LIBRARY, TRASH, Everything, Favorites, Month, Named, OfTag, Page, Trash, View
from tests.harness.scripted.records import SECOND_NS, Flavour, Index, StoredAlbum, StoredAsset, album_id, dumped


@dataclass(frozen=True, slots=True)
class Answers:
    """`tells_sums`: assets tell their SHA-1. `page_size`: assets in a page."""

    index: Index
    tells_sums: bool
    page_size: int

    # ---- albums -----------------------------------------------------------------------------------------------

    def root(self) -> Album:
        """The topmost folder."""
        return self._album(self.index.albums("parent IS NULL")[0])

    def albums(self) -> list[Album]:
        """All, oldest first."""
        with self.index.transaction():
            return [self._album(album) for album in self.index.albums()]

    def album(self, id: AlbumId) -> Album:
        """Errors: AssetGone."""
        with self.index.transaction():
            return self._album(self.stored_album(id))

    def listing(self, id: AlbumId) -> Listing:
        """Errors: AssetGone."""
        with self.index.transaction():
            stored = self.stored_album(id)
            album = self._album(stored)
            assets = tuple(self.asset_of(asset, id) for asset in self.index.members(stored.number))
            albums: tuple[Album, ...] = ()
            if self.index.flavour is Flavour.FOLDER:
                albums = tuple(self._album(below) for below in self.index.albums("parent = ?", stored.number))
        digest = blake2b(repr((album, assets, albums)).encode("utf-8", "surrogatepass"), digest_size=16)
        return Listing(album, assets, albums, digest.hexdigest())

    def stored_album(self, id: AlbumId) -> StoredAlbum:
        """Its row. Errors: AssetGone."""
        stored = self.index.album(id)
        if stored is None:
            raise AssetGone(f"there is no album {id}")
        return stored

    def _album(self, stored: StoredAlbum) -> Album:
        parent = None if stored.parent is None else album_id(stored.parent)
        if self.index.flavour is Flavour.FOLDER:
            return Album(stored.id, stored.title, parent, stored.mtime_ns)
        return Album(stored.id, stored.title, None, stored.mtime_ns, *self.index.held(stored.number))

    # ---- assets -----------------------------------------------------------------------------------------------

    def asset(self, id: AssetId) -> Asset:
        """As a member of the first album that took it, or of the library. Errors: AssetGone; so is what is in the
        trash."""
        with self.index.transaction():
            stored = self.index.asset(id)
            if stored is None or stored.is_trashed:
                raise AssetGone(f"there is no asset {id}" if stored is None else f"{id} is in the trash")
            return self.asset_of(stored, self.home(stored))

    def home(self, stored: StoredAsset) -> AlbumId:
        """The album that it is told in where nobody said which."""
        if stored.is_trashed:
            return TRASH
        return next(map(album_id, self.index.albums_of(stored)), LIBRARY)

    def asset_of(self, stored: StoredAsset, album: AlbumId) -> Asset:
        """The row, as a member of `album`."""
        said = [stored.description, stored.favorite, stored.rating]
        return Asset(
            stored.id,
            album,
            stored.name,
            stored.version,
            stored.size_bytes,
            stored.mtime_ns,
            stored.changed_ns,
            media_type_of(stored.name),
            stored.sha1 if self.tells_sums else None,
            dumped(said) if any(said) else "",
        )

    def description(self, id: AssetId) -> Description:
        """What people said of it."""
        stored = self.index.asset(id)
        if stored is None:
            raise AssetGone(f"there is no asset {id}")
        return Description(
            summary=(("", stored.description),) if stored.description else (), rating=stored.rating or None
        )

    # ---- views ------------------------------------------------------------------------------------------------

    def page(self, view: View, cursor: str | None) -> Page:
        """Rule: HasViews.page. A cursor is the number of assets before."""
        with self.index.transaction():
            found = self._found(view)
            begin = int(cursor or 0)
            end = begin + self.page_size
            shown = found[begin:end]
            assets = tuple(self.asset_of(stored, self.home(stored)) for stored in shown)
        is_cut = end < len(found)
        return Page(assets, str(end) if is_cut else None, is_cut)

    def count(self, view: View) -> int:
        """Rule: HasViews.count."""
        return len(self._found(view))

    def months(self) -> Counter[str]:
        """Rule: HasViews.months."""
        return Counter(month_of(stored) for stored in self._found(Everything()))

    def tags(self) -> list[Named]:
        """Rule: HasViews.tags."""
        with self.index.transaction() as connection:
            rows = connection.execute("SELECT number, name FROM tags ORDER BY number").fetchall()
        return [Named(f"tag-{number}", name) for number, name in rows]

    def tagged(self, tag: str) -> set[int]:
        """Numbers of the assets that have that tag or one below it."""
        name = next((one.name for one in self.tags() if one.id == tag), None)
        if name is None:
            return set()
        with self.index.transaction() as connection:
            question = "SELECT asset FROM tagged JOIN tags ON number = tag WHERE name = ? OR name GLOB ?"
            return {row[0] for row in connection.execute(question, (name, f"{name}/*"))}

    def _found(self, view: View) -> Sequence[StoredAsset]:
        """Latest first."""
        if not isinstance(view, Everything | Month | Favorites | OfTag | Trash):
            raise NotOffered("the scripted provider finds nothing")
        found = self.index.assets("is_trashed = ?", isinstance(view, Trash))
        if isinstance(view, Month):
            found = [stored for stored in found if month_of(stored) == view.month]
        if isinstance(view, OfTag):
            tagged = self.tagged(view.id)
            found = [stored for stored in found if stored.number in tagged]
        if isinstance(view, Favorites):
            found = [stored for stored in found if stored.favorite]
        return sorted(found, key=lambda stored: (-stored.mtime_ns, stored.number))


def month_of(stored: StoredAsset) -> str:
    """When it was taken, as "2024-06" in UTC."""
    return datetime.fromtimestamp(stored.mtime_ns / SECOND_NS, UTC).strftime("%Y-%m")
