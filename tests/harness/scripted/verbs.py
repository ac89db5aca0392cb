"""What both flavours do alike when they are written to: rooms, trash, properties, and the albums themselves."""

from __future__ import annotations

import time
from collections.abc import Iterable

from iiiffs.errors import AssetGone, NotEmpty, OverQuota, Rejected, VersionChanged
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId
from iiiffs.model.writing import Edit, Payload, Replaced, Space
from iiiffs.providers.views import ALBUMS, LIBRARY, TRASH
from tests.harness.scripted.answers import Answers
from tests.harness.scripted.records import Blob, Flavour, Index, StoredAlbum, StoredAsset, album_id

FIXED_TIMES = "fixed times"
"""What is set of it: a file's own time stays what it was when it came, and another one is kept beside it."""


class Verbs:
    """One transaction a verb. Blobs have arrived already. A flavour is a subclass."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.index: Index = answers.index

    # ---- what a flavour does ----------------------------------------------------------------------------------

    def upload(self, album: AlbumId, name: str, payload: Payload, blob: Blob) -> Asset:
        """Rule: HasWriting.upload."""
        raise NotImplementedError

    def replace(self, asset: Asset, payload: Payload, blob: Blob) -> Replaced:
        """Rule: HasWriting.replace."""
        raise NotImplementedError

    def keep(self, album: AlbumId | None, name: str, payload: Payload, blob: Blob) -> StoredAsset | None:
        """Of an upload (`album`) or a replacement (None), only what comes first: the asset is kept, where the server
        does it in several steps. None where it does not."""
        raise NotImplementedError

    # ---- albums -----------------------------------------------------------------------------------------------

    def make_album(self, parent: AlbumId, title: str, token: str) -> Album:
        """Rule: HasWriting.make_album."""
        with self.index.transaction():
            made = next(iter(self.index.albums("token = ?", token)), None)
            if made is None:
                above = self._place(parent, title, None)
                made = self.index.insert_album(title, above, token)
                self._touch_around(made)
            return self.answers.album(made.id)

    def rename_album(self, album: AlbumId, parent: AlbumId, title: str) -> Album:
        """Rule: HasWriting.rename_album."""
        with self.index.transaction():
            stored = self._changeable(album)
            above = self._place(parent, title, stored)
            self._touch_around(stored)
            self.index.update_album(stored.number, title=title, parent=above)
            self._touch_around(self.answers.stored_album(album))
            return self.answers.album(album)

    def remove_album(self, album: AlbumId) -> None:
        """Rule: HasWriting.remove_album."""
        with self.index.transaction() as connection:
            if self.index.album(album) is None:
                return
            stored = self._changeable(album)
            if self.index.members(stored.number) or self.index.albums("parent = ?", stored.number):
                raise NotEmpty(f"{stored.title!a} is not empty")
            connection.execute("DELETE FROM members WHERE album = ?", (stored.number,))
            connection.execute("DELETE FROM albums WHERE number = ?", (stored.number,))
            self._touch_around(stored)

    def _place(self, parent: AlbumId, title: str, album: StoredAlbum | None) -> int | None:
        """The folder where an album of that title may be made, or where `album` may be brought to."""
        raise NotImplementedError

    def _changeable(self, album: AlbumId) -> StoredAlbum:
        """Errors: AssetGone; Rejected for the topmost folder."""
        stored = self.answers.stored_album(album)
        if self.index.flavour is Flavour.FOLDER and stored.parent is None:
            raise Rejected("the topmost folder stays as it is")
        return stored

    def _touch_around(self, album: StoredAlbum) -> None:
        self.index.touch([album.id, ALBUMS if album.parent is None else album_id(album.parent)])

    # ---- assets -----------------------------------------------------------------------------------------------

    def remove(self, asset: Asset) -> None:
        """Rule: HasWriting.remove."""
        with self.index.transaction():
            stored = self.index.asset(asset.id)
            if stored is None or stored.is_trashed:
                return
            self._expect(stored, asset)
            self.trash(stored)

    def trash(self, stored: StoredAsset) -> None:
        """It lies in the trash; of its albums, it is in those that it was in."""
        self.index.update_asset(stored.number, is_trashed=True)
        self.touched(stored, TRASH)

    def purge(self, stored: StoredAsset) -> None:
        """It is nowhere any more."""
        with self.index.transaction() as connection:
            self.touched(stored, *([TRASH] if stored.is_trashed else []))
            connection.execute("DELETE FROM members WHERE asset = ?", (stored.number,))
            connection.execute("DELETE FROM assets WHERE number = ?", (stored.number,))

    def restore(self, asset: AssetId) -> Asset:
        """Rule: HasWriting.restore."""
        with self.index.transaction():
            stored = self.index.asset(asset)
            if stored is None:
                raise AssetGone(f"there is no asset {asset}")
            self.untrash(stored)
            return self.answers.asset(asset)

    def untrash(self, stored: StoredAsset) -> None:
        """It is not in the trash."""
        if stored.is_trashed:
            self.index.update_asset(stored.number, is_trashed=False, replaced_by=None)
            self.touched(stored, TRASH)

    def edit(self, asset: AssetId, edit: Edit) -> Asset:
        """Rule: HasWriting.edit."""
        with self.index.transaction():
            stored = self.index.asset(asset)
            if stored is None or stored.is_trashed:
                raise AssetGone(f"there is no asset {asset}")
            columns = {
                "description": edit.description,
                "favorite": edit.favorite,
                "rating": edit.rating,
                "mtime_ns": edit.mtime_ns,
            }
            values = {name: value for name, value in columns.items() if value is not None}
            if edit.mtime_ns is not None and self.index.meta(FIXED_TIMES):
                del values["mtime_ns"]
                self.index.set_meta(f"taken {stored.id}", str(edit.mtime_ns))
            if edit.mtime_ns is not None:
                values["changed_ns"] = max(stored.changed_ns, edit.mtime_ns)
            if values:
                self.index.update_asset(stored.number, **values)
                self.touched(stored)
            return self.answers.asset(asset)

    def space(self) -> Space | None:
        """Rule: HasWriting.space."""
        quota = self.index.meta("quota_bytes")
        return None if not quota else Space(int(quota), max(0, int(quota) - self.index.used_bytes()))

    # ---- for the flavours -------------------------------------------------------------------------------------

    def touched(self, stored: StoredAsset, *more: AlbumId) -> None:
        """The asset, and so all that shows it, is another."""
        albums: Iterable[AlbumId] = map(album_id, self.index.albums_of(stored))
        views = () if self.index.flavour is Flavour.FOLDER else (LIBRARY, *more)
        self.index.touch([*albums, *views])

    def needs_room(self, blob: Blob) -> None:
        """Errors: OverQuota."""
        space = self.space()
        if space is not None and blob.size_bytes > space.free_bytes:
            raise OverQuota(f"the account is full: {space.free_bytes} of {space.total_bytes} bytes are free")

    def _expect(self, stored: StoredAsset, asset: Asset) -> None:
        if stored.version != asset.version:
            raise VersionChanged(f"{stored.name!a} is in another version now")


def mtime_of(payload: Payload) -> int:
    """The time that the file is to have; now where it has none."""
    return payload.mtime_ns if payload.mtime_ns > 0 else time.time_ns()
