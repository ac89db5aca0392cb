"""The server's truth, for tests: looked at and changed while a daemon mounts it, from any process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from iiiffs.model.gallery import AlbumId
from iiiffs.model.writing import Edit, Payload
from iiiffs.providers.views import LIBRARY, OfTag
from tests.harness.scripted.answers import Answers
from tests.harness.scripted.membership import Membership
from tests.harness.scripted.provider import PAGE_SIZE
from tests.harness.scripted.records import Blobs, Flavour, Index, StoredAlbum, StoredAsset
from tests.harness.scripted.script import Script
from tests.harness.scripted.tagging import Tagging
from tests.harness.scripted.verbs import FIXED_TIMES
from tests.harness.scripted.writing import verbs_of


class Store(AbstractContextManager["Store"]):
    """The server in the folder `path`, made where there is none. Ids are texts as the provider tells them.

    `script`: what goes wrong there, and what was asked. No fault strikes what is done here. KeyError for what is not
    there. Whoever makes it closes it.
    """

    def __init__(self, path: Path, flavour: Flavour | None = None, script: Path | None = None) -> None:
        self.path = path
        self._index = Index(path, flavour)
        self._blobs = Blobs(path)
        self._verbs = verbs_of(self._index.flavour)(Answers(self._index, tells_sums=True, page_size=PAGE_SIZE))
        self._tagging = Tagging(self._verbs.answers)
        self.script = Script(script or script_of(path))

    @property
    def flavour(self) -> Flavour:
        """Of the server."""
        return self._index.flavour

    def close(self) -> None:
        """Nothing is open."""
        self._index.close()
        self.script.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- looking ----------------------------------------------------------------------------------------------

    def assets(self) -> list[StoredAsset]:
        """All but what lies in the trash, oldest first."""
        return self._index.assets("NOT is_trashed")

    def trashed(self) -> list[StoredAsset]:
        """What lies in the trash, oldest first."""
        return self._index.assets("is_trashed")

    def albums(self) -> list[StoredAlbum]:
        """All albums or folders, oldest first; the topmost folder is one."""
        return self._index.albums()

    def asset(self, id: str) -> StoredAsset:
        """Also one in the trash."""
        found = self._index.asset(id)
        if found is None:
            raise KeyError(id)
        return found

    def album(self, id: str) -> StoredAlbum:
        """The album."""
        found = self._index.album(id)
        if found is None:
            raise KeyError(id)
        return found

    def titled(self, title: str) -> StoredAlbum:
        """The one album of that title. ValueError if there are several, or none."""
        (found,) = (album for album in self.albums() if album.title == title)
        return found

    def named(self, name: str) -> list[StoredAsset]:
        """Assets of that name, but for the trash."""
        return [asset for asset in self.assets() if asset.name == name]

    def members(self, album: str) -> list[StoredAsset]:
        """What is in the album, but for the trash."""
        return self._index.members(self.album(album).number)

    def albums_of(self, asset: str) -> list[StoredAlbum]:
        """The albums that hold it."""
        return [self._index.albums("number = ?", number)[0] for number in self._index.albums_of(self.asset(asset))]

    def bytes_of(self, id: str) -> bytes:
        """Of the asset as it is now."""
        return self._blobs.path(self.asset(id).sha1).read_bytes()

    def versions_of(self, id: str) -> list[bytes]:
        """SHA-1 of what the server keeps of it from before, oldest first."""
        with self._index.transaction() as connection:
            question = "SELECT sha1 FROM versions WHERE asset = ? AND is_kept ORDER BY revision"
            return [row[0] for row in connection.execute(question, (self.asset(id).number,))]

    def contents(self) -> Mapping[str, list[str]]:
        """Name -> SHA-1 in hexadecimal of each asset of that name, but for the trash: for comparing with a manifest."""
        found: dict[str, list[str]] = {}
        for asset in self.assets():
            found.setdefault(asset.name, []).append(asset.sha1.hex())
        return found

    def check(self) -> None:
        """Everything fits together: AssertionError if a byte of an asset is not there or another, an album holds what
        is not, or two assets have what only one may have."""
        with self._index.transaction() as connection:
            assets = self._index.assets()
            for asset in assets:
                data = self._blobs.path(asset.sha1).read_bytes()
                assert hashlib.sha1(data, usedforsecurity=False).digest() == asset.sha1, f"{asset}: torn"
                assert len(data) == asset.size_bytes, f"{asset}: of another size"
            lost = "SELECT * FROM members WHERE asset NOT IN (SELECT number FROM assets) "
            lost += "OR album NOT IN (SELECT number FROM albums)"
            assert not connection.execute(lost).fetchall()
            alive = [asset for asset in assets if not asset.is_trashed]
            sets = self.flavour is Flavour.IMMICH
            places = {asset.sha1 if sets else (asset.folder, asset.name) for asset in alive}
            assert len(places) == len(alive), "two assets where there may be one"

    # ---- changing, as somebody else would ----------------------------------------------------------------------

    def put(self, name: str, data: bytes, album: str | None = None, *, mtime_ns: int = 0) -> StoredAsset:
        """A new asset, in that album; None: in no album, or in the topmost folder. Rules as for an upload: of equal
        bytes there is one. Errors: as HasWriting.upload."""
        where = AlbumId(album) if album is not None else self._top()
        blob = self._blobs.put(data)
        payload = Payload("", Path(), len(data), blob.sha1, mtime_ns or time.time_ns())
        return self.asset(self._verbs.upload(where, name, payload, blob).id)

    def at_once(self) -> AbstractContextManager[object]:
        """What is changed inside is one transaction: thousands of changes take a moment."""
        return self._index.transaction()

    def _top(self) -> AlbumId:
        return LIBRARY if self.flavour is Flavour.IMMICH else self._index.albums("parent IS NULL")[0].id

    def edit_bytes(self, id: str, data: bytes) -> StoredAsset:
        """The asset has other bytes under its id, as a file that another program overwrites on the server's disk; what
        it was is nowhere."""
        with self._index.transaction():
            changed = self._index.new_version(self.asset(id), self._blobs.put(data), time.time_ns(), is_kept=False)
            self._verbs.touched(changed)
            return changed

    def replace(self, id: str, data: bytes) -> StoredAsset:
        """Other bytes by somebody else: with another id where the flavour gives one, else as `edit_bytes`."""
        if self.flavour is Flavour.FOLDER:
            return self.edit_bytes(id, data)
        with self._index.transaction():
            asset = self._verbs.answers.asset_of(self.asset(id), LIBRARY)
            blob = self._blobs.put(data)
            payload = Payload("", Path(), len(data), blob.sha1, time.time_ns())
            return self.asset(self._verbs.replace(asset, payload, blob).asset.id)

    def fix_times(self) -> None:
        """From now on no file's own time changes, as at Immich; what is set is when it was taken."""
        self._index.set_meta(FIXED_TIMES, "yes")

    def taken_ns(self, id: str) -> int | None:
        """What was set of it, where times are fixed."""
        told = self._index.meta(f"taken {id}")
        return int(told) if told else None

    def trash(self, id: str) -> None:
        """It lies in the trash."""
        with self._index.transaction():
            self._verbs.trash(self.asset(id))

    def restore(self, id: str) -> None:
        """It does not lie in the trash any more."""
        self._verbs.restore(self.asset(id).id)

    def purge(self, id: str) -> None:
        """It is gone for good."""
        with self._index.transaction():
            self._verbs.purge(self.asset(id))

    def edit(self, id: str, edit: Edit) -> None:
        """Its properties are others."""
        self._verbs.edit(self.asset(id).id, edit)

    def tags_of(self, id: str) -> list[str]:
        """Names of the tags that the asset itself has, in their order."""
        with self._index.transaction() as connection:
            question = "SELECT name FROM tagged JOIN tags ON number = tag WHERE asset = ? ORDER BY name"
            return [row[0] for row in connection.execute(question, (self.asset(id).number,))]

    def tag(self, name: str, *ids: str) -> str:
        """Those have the tag, which is made where there is none; its id."""
        tag = self._tagging.make(name).id
        assert not self._tagging.tag(OfTag(tag), [self.asset(id).id for id in ids])
        return tag

    def set_uncarried(self, id: str, *words: str) -> None:
        """What of the asset cannot be carried over to one that replaces it, such as "faces"."""
        self._index.set_uncarried(self.asset(id).id, words)

    def rename(self, id: str, name: str) -> None:
        """It has another name, whatever the flavour lets its users do."""
        with self._index.transaction():
            self._index.update_asset(self.asset(id).number, name=name)
            self._verbs.touched(self.asset(id))

    def move(self, id: str, album: str, name: str | None = None) -> None:
        """It is in another folder, or has another name there."""
        with self._index.transaction():
            before = self.asset(id)
            self._verbs.touched(before)
            self._index.update_asset(before.number, folder=self.album(album).number, name=name or before.name)
            self._verbs.touched(self.asset(id))

    def make_album(self, title: str, parent: str | None = None) -> StoredAlbum:
        """One more; in that folder, or the topmost."""
        with self._index.transaction():
            above = None
            if self.flavour is Flavour.FOLDER:
                above = self.album(parent or self._top())
            made = self._index.insert_album(title, None if above is None else above.number, None)
            self._index.touch(["albums" if above is None else above.id, made.id])
            return made

    def rename_album(self, id: str, title: str) -> None:
        """It has another title."""
        with self._index.transaction():
            album = self._verbs.answers.album(self.album(id).id)
            self._index.update_album(self.album(id).number, title=title)
            self._index.touch([album.id, album.parent or "albums"])

    def remove_album(self, id: str) -> None:
        """It is gone; its assets stay in the library, or lie in the trash where it was their folder."""
        with self._index.transaction() as connection:
            stored = self.album(id)
            members, parent = self._index.members(stored.number), self._verbs.answers.album(stored.id).parent
            for asset in members if self.flavour is Flavour.FOLDER else []:
                self._verbs.trash(asset)
            for below in self._index.albums("parent = ?", stored.number):
                self.remove_album(below.id)
            connection.execute("DELETE FROM members WHERE album = ?", (stored.number,))
            connection.execute("DELETE FROM albums WHERE number = ?", (stored.number,))
            self._index.touch([stored.id, parent or "albums", *([] if parent else [LIBRARY])])

    def add(self, album: str, *ids: str) -> None:
        """Those are in the album too."""
        refused = self._sets().add(self.album(album).id, [self.asset(id).id for id in ids])
        assert not refused, refused

    def take_out(self, album: str, *ids: str) -> None:
        """Those are not in the album any more."""
        self._sets().take_out(self.album(album).id, [self.asset(id).id for id in ids])

    def _sets(self) -> Membership:
        assert isinstance(self._verbs, Membership), "albums are folders here"
        return self._verbs

    def set_quota(self, quota_bytes: int | None) -> None:
        """The account has so much room in all; None: nobody says."""
        self._index.set_meta("quota_bytes", "" if quota_bytes is None else str(quota_bytes))


def script_of(store: Path) -> Path:
    """Where the script of a store is where nobody says."""
    return store / "script.sqlite"
