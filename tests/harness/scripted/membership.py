"""Immich's way: albums are sets, equal bytes are one asset, new bytes are a new asset.

Rule: research immich.md §4, §5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iiiffs.errors import AssetGone, ProviderUnreachable, Rejected, VersionChanged
from iiiffs.model.gallery import AlbumId, Asset, AssetId
from iiiffs.model.writing import AlbumVerb, Payload, Property, Replaced, Writing
from iiiffs.providers.media import MEDIA_TYPES
from iiiffs.providers.views import ALBUMS, LIBRARY
from tests.harness.scripted.records import Blob, StoredAlbum, StoredAsset, album_id, asset_id
from tests.harness.scripted.verbs import Verbs, mtime_of

SUFFIXES = frozenset(
    suffix for suffix, kind in MEDIA_TYPES.items() if kind.startswith(("image/", "video/")) and suffix != ".apng"
)
WRITING = Writing(
    membership=True,
    fixed_names=True,
    replaces_id=True,
    album_verbs=frozenset(AlbumVerb),
    nested=False,
    properties=frozenset(Property),
    suffixes=SUFFIXES,
    tags=True,
)


class Membership(Verbs):
    """Rule: Verbs."""

    def upload(self, album: AlbumId, name: str, payload: Payload, blob: Blob) -> Asset:
        """Rule: HasWriting.upload. `album` may be LIBRARY: then it is in no album.

        What `payload.earlier` left behind is replaced if this very file made it; what somebody else had before, and
        was only put into the album, stays as it is.
        """
        with self.index.transaction():
            self._needs_album(album)
            stored = self.keep(album, name, payload, blob)
            for before in self._earlier(payload):
                if before.number != stored.number:
                    self._succeed(before, stored)
            if album != LIBRARY:
                self._put_in(album, stored)
            return self.answers.asset_of(self._again(stored), album)

    def keep(self, album: AlbumId | None, name: str, payload: Payload, blob: Blob) -> StoredAsset:
        """Rule: Verbs.keep. The asset of these bytes, the one that is there or a new one; not in the trash."""
        with self.index.transaction():
            if payload.size_bytes and not blob.size_bytes:
                raise ProviderUnreachable("nothing of the file has arrived")
            if album is not None and not (WRITING.takes(name) and blob.size_bytes):
                raise Rejected(f"unsupported file type {name!a}" if blob.size_bytes else "the file is empty")
            known = self._of_bytes(blob.sha1)
            if known is not None:
                self.untrash(known)
                return self._again(known)
            self.needs_room(blob)
            made = self.index.insert_asset(name, None, blob, mtime_of(payload), payload.token)
            self.touched(made)
            return made

    def replace(
        self, asset: Asset, payload: Payload, blob: Blob, stays: Mapping[AlbumId, bool] | None = None
    ) -> Replaced:
        """Rule: HasWriting.replace; with `stays` HasWriting.replace_beside.

        What `payload.earlier` left behind is replaced too, as by `upload`.
        """
        with self.index.transaction():
            now = self._present(asset, payload, blob)
            if now.sha1 != blob.sha1:
                is_own = now.id == asset.id or now.token == payload.token
                new = self.keep(None, now.name if is_own else asset.name, payload, blob)
                if not is_own:
                    self._join(asset.id, new)
                elif stays is None:
                    self._succeed(now, new)
                else:
                    self._part(now, new, stays)
                now = self._again(new)
            for before in self._earlier(payload):
                if before.number != now.number and (stays is None or before.id != asset.id):
                    self._succeed(before, now)
                    now = self._again(now)
            albums = [album_id(number) for number in self.index.albums_of(now)]
            home = asset.album if asset.album in albums else self.answers.home(now)
            lost = () if now.id == asset.id else self.index.uncarried(asset.id)
            return Replaced(self.answers.asset_of(now, home), lost)

    def _present(self, asset: Asset, payload: Payload, blob: Blob) -> StoredAsset:
        """What `asset` is now, where it may be replaced: also what an earlier try has made of it."""
        ours = (blob.sha1, *payload.earlier)
        stored = self.index.asset(asset.id)
        while stored is not None and stored.is_trashed and stored.replaced_by is not None:
            stored = self.index.asset(asset_id(stored.replaced_by))
            if stored is not None and stored.sha1 not in ours:
                raise VersionChanged(f"{asset.name!a} was replaced by somebody else")
        if stored is None or stored.is_trashed:
            raise AssetGone(f"{asset.id} is not there any more")
        if stored.sha1 not in ours and (stored.id != asset.id or stored.version != asset.version):
            raise VersionChanged(f"{asset.name!a} is in another version now")
        return stored

    def _succeed(self, old: StoredAsset, new: StoredAsset) -> None:
        """All that was said of `old` is said of `new`, and `old` is in the trash."""
        for number in self.index.albums_of(old):
            self._put_in(album_id(number), new)
        self._describe_as(old, new)
        self.trash(old)
        self.index.update_asset(old.number, replaced_by=new.number)

    def _join(self, old: AssetId, new: StoredAsset) -> None:
        """`new` is in the albums of `old`, whose place an earlier try gave to what the library had before: that stays
        as it is."""
        stored = self.index.asset(old)
        assert stored is not None
        for number in self.index.albums_of(stored):
            self._put_in(album_id(number), new)
        self._describe_as(stored, new)

    def _part(self, old: StoredAsset, new: StoredAsset, stays: Mapping[AlbumId, bool]) -> None:
        """All that was said of `old` is said of `new`, and `old` is in the albums of `stays` that it was in."""
        for album in map(album_id, self.index.albums_of(old)):
            if stays.get(album, True):
                self._put_in(album, new)
            if album not in stays:
                self.take_out(album, [old.id])
        self._describe_as(old, new)
        self.index.update_asset(old.number, favorite=False)
        with self.index.transaction() as connection:
            connection.execute("DELETE FROM tagged WHERE asset = ?", (old.number,))
        self.touched(old)

    def _describe_as(self, old: StoredAsset, new: StoredAsset) -> None:
        self.index.update_asset(
            new.number,
            favorite=new.favorite or old.favorite,
            description=old.description or new.description,
            rating=old.rating or new.rating,
        )
        with self.index.transaction() as connection:
            copied = "INSERT OR IGNORE INTO tagged SELECT tag, ? FROM tagged WHERE asset = ?"
            connection.execute(copied, (new.number, old.number))
        self.touched(new)

    def _of_bytes(self, sha1: bytes) -> StoredAsset | None:
        found = self.index.assets("sha1 = ?", sha1)
        return min(found, key=lambda one: (one.is_trashed, one.number), default=None)

    def _earlier(self, payload: Payload) -> list[StoredAsset]:
        """What earlier tries of this file made."""
        return [
            stored
            for sha1 in payload.earlier
            if sha1 != payload.sha1
            for stored in self.index.assets("sha1 = ? AND token = ? AND NOT is_trashed", sha1, payload.token)
        ]

    def _again(self, stored: StoredAsset) -> StoredAsset:
        return self.index.assets("number = ?", stored.number)[0]

    # ---- albums -----------------------------------------------------------------------------------------------

    def _needs_album(self, album: AlbumId) -> None:
        if album != LIBRARY:
            self.answers.stored_album(album)

    def _place(self, parent: AlbumId, title: str, album: StoredAlbum | None) -> None:
        if parent != ALBUMS:
            raise Rejected("there are no albums in albums")

    def _put_in(self, album: AlbumId, stored: StoredAsset) -> None:
        holder = self.answers.stored_album(album)
        with self.index.transaction() as connection:
            values = (holder.number, stored.number)
            cursor = connection.execute("INSERT OR IGNORE INTO members (album, asset) VALUES (?, ?)", values)
            if cursor.rowcount:
                self.index.touch([album, LIBRARY])

    def add(self, album: AlbumId, assets: Sequence[AssetId], refused: Sequence[AssetId] = ()) -> dict[AssetId, str]:
        """Rule: HasWriting.add. `refused`: those that cannot be put in, whatever they are."""
        with self.index.transaction():
            self.answers.stored_album(album)
            failed: dict[AssetId, str] = {}
            for id in assets:
                stored = self.index.asset(id)
                if id in refused:
                    failed[id] = "no_permission"
                elif stored is None or stored.is_trashed:
                    failed[id] = "not_found"
                else:
                    self._put_in(album, stored)
            return failed

    def take_out(
        self, album: AlbumId, assets: Sequence[AssetId], refused: Sequence[AssetId] = ()
    ) -> dict[AssetId, str]:
        """Rule: HasWriting.take_out. `refused`: those that stay, whatever they are.

        Nothing is in an album that is gone.
        """
        with self.index.transaction() as connection:
            holder = self.index.album(album)
            if holder is None:
                return {}
            failed: dict[AssetId, str] = {}
            for id in assets:
                stored = self.index.asset(id)
                if id in refused:
                    failed[id] = "no_permission"
                elif stored is not None:
                    values = (holder.number, stored.number)
                    cursor = connection.execute("DELETE FROM members WHERE album = ? AND asset = ?", values)
                    if cursor.rowcount:
                        self.index.touch([album, LIBRARY])
            return failed
