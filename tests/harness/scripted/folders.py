"""The way of servers with folders, such as Nextcloud: real names, one file a name, new bytes in place."""

from __future__ import annotations

import os

from iiiffs.errors import AlreadyThere, AssetGone, Rejected, VersionChanged
from iiiffs.model.gallery import AlbumId, Asset
from iiiffs.model.writing import AlbumVerb, Payload, Property, Replaced, Writing
from tests.harness.scripted.records import Blob, StoredAlbum, StoredAsset, number_of
from tests.harness.scripted.verbs import Verbs, mtime_of

NAME_BYTES_MAX = 250
WRITING = Writing(
    membership=False,
    fixed_names=False,
    replaces_id=False,
    album_verbs=frozenset(AlbumVerb),
    nested=True,
    properties=frozenset({Property.FAVORITE, Property.DATE}),
)


class Folders(Verbs):
    """Rule: Verbs."""

    def upload(self, album: AlbumId, name: str, payload: Payload, blob: Blob) -> Asset:
        """Rule: HasWriting.upload."""
        with self.index.transaction():
            folder = self.answers.stored_album(album).number
            held = self._held(folder, name)
            if isinstance(held, StoredAlbum) or (held and held.sha1 not in (blob.sha1, *payload.earlier)):
                raise AlreadyThere(f"{name!a} is another's")
            if held is not None and held.sha1 == blob.sha1:
                return self.answers.asset_of(held, album)
            self.needs_room(blob)
            if held is None:
                made = self.index.insert_asset(name, folder, blob, mtime_of(payload), payload.token)
            else:
                made = self.index.new_version(held, blob, mtime_of(payload), is_kept=True)
            self.touched(made)
            return self.answers.asset_of(made, album)

    def keep(self, album: AlbumId | None, name: str, payload: Payload, blob: Blob) -> None:
        """Rule: Verbs.keep. All is one step here."""
        return

    def replace(self, asset: Asset, payload: Payload, blob: Blob) -> Replaced:
        """Rule: HasWriting.replace."""
        with self.index.transaction():
            stored = self._present(asset)
            if stored.version != asset.version and stored.sha1 not in (blob.sha1, *payload.earlier):
                raise VersionChanged(f"{stored.name!a} is in another version now")
            if stored.sha1 != blob.sha1:
                self.needs_room(blob)
                stored = self.index.new_version(stored, blob, mtime_of(payload), is_kept=True)
                self.touched(stored)
            return Replaced(self.answers.asset_of(stored, self.answers.home(stored)))

    def move(self, asset: Asset, album: AlbumId, name: str, over: Asset | None) -> Asset:
        """Rule: HasWriting.move."""
        with self.index.transaction():
            folder = self.answers.stored_album(album).number
            stored = self._present(asset)
            self._expect(stored, asset)
            held = self._held(folder, name)
            if isinstance(held, StoredAsset) and held.number == stored.number:
                return self.answers.asset_of(stored, album)
            if held is not None:
                if over is None or held.id != over.id or isinstance(held, StoredAlbum):
                    raise AlreadyThere(f"{name!a} is another's")
                self._expect(held, over)
                self.trash(held)
            self.touched(stored)
            self.index.update_asset(stored.number, folder=folder, name=name)
            moved = self._present(asset)
            self.touched(moved)
            return self.answers.asset_of(moved, album)

    def link(self, asset: Asset, album: AlbumId, name: str) -> Asset:
        """Rule: HasWriting.link. Two assets of one blob; of equal bytes under that name already, nothing is done."""
        with self.index.transaction():
            folder = self.answers.stored_album(album).number
            stored = self._present(asset)
            held = self._held(folder, name)
            if held is not None and (isinstance(held, StoredAlbum) or held.sha1 != stored.sha1):
                raise AlreadyThere(f"{name!a} is another's")
            if held is None:
                blob = Blob(stored.sha1, stored.size_bytes)
                held = self.index.insert_asset(name, folder, blob, stored.mtime_ns)
                self.touched(held)
            return self.answers.asset_of(held, album)

    def untrash(self, stored: StoredAsset) -> None:
        """Rule: Verbs.untrash. Errors: AlreadyThere; AssetGone if its folder is not there any more."""
        if stored.is_trashed:
            if stored.folder is None or not self.index.albums("number = ?", stored.folder):
                raise AssetGone(f"the folder of {stored.name!a} is not there any more")
            if self._held(stored.folder, stored.name) is not None:
                raise AlreadyThere(f"{stored.name!a} is another's")
        super().untrash(stored)

    def _present(self, asset: Asset) -> StoredAsset:
        stored = self.index.asset(asset.id)
        if stored is None or stored.is_trashed:
            raise AssetGone(f"{asset.name!a} is not there any more")
        return stored

    def _held(self, folder: int, name: str) -> StoredAsset | StoredAlbum | None:
        """What has that name. Errors: Rejected for what can be no name."""
        if name in ("", ".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > NAME_BYTES_MAX:
            raise Rejected(f"{name!a} can be no name")
        encoded = os.fsencode(name)
        found = self.index.assets("folder = ? AND name = ? AND NOT is_trashed", folder, encoded)
        albums = self.index.albums("parent = ? AND title = ?", folder, encoded)
        return found[0] if found else albums[0] if albums else None

    def _place(self, parent: AlbumId, title: str, album: StoredAlbum | None) -> int:
        folder = self.answers.stored_album(parent).number
        held = self._held(folder, title)
        if held is not None and not (album is not None and isinstance(held, StoredAlbum) and held == album):
            raise AlreadyThere(f"{title!a} is another's")
        above: int | None = folder
        while above is not None and album is not None:
            if above == album.number:
                raise Rejected("a folder cannot be in itself")
            above = self.index.albums("number = ?", above)[0].parent
        return number_of("album", parent)
