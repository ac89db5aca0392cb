"""The fake's world: all tables, and the verbs that tests and handlers share. One lock guards it (`World.lock`)."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.fakes.immich.media_types import MEDIA_TYPES
from tests.fakes.immich.moments import Clock
from tests.fakes.immich.records import (
    Album,
    ApiKey,
    Asset,
    Face,
    Job,
    Person,
    SharedLink,
    Stack,
    Tag,
    User,
)

VIDEO_ENDINGS = frozenset(ending[1:] for ending in MEDIA_TYPES["video"])
THUMBHASH_BYTES = 21


class World:
    """Users, albums, assets and all that hangs on them. The first user is the owner of what names no other."""

    def __init__(self, seed: int = 5) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.revision = 0
        self.users: dict[str, User] = {}
        self.keys: dict[str, ApiKey] = {}
        self.albums: dict[str, Album] = {}
        self.assets: dict[str, Asset] = {}
        self.people: dict[str, Person] = {}
        self.faces: dict[str, Face] = {}
        self.tags: dict[str, Tag] = {}
        self.stacks: dict[str, Stack] = {}
        self.links: dict[str, SharedLink] = {}
        self.partners: dict[tuple[str, str], bool] = {}
        """(who shares, with whom) -> shown in the timeline."""
        self.memberships: dict[str, set[str]] = {}
        """Asset id -> ids of the albums that hold it."""
        self.by_checksum: dict[tuple[str, bytes], str] = {}
        """(owner, SHA-1) -> asset id, of uploaded assets only (immich.md §4)."""
        self.asset_faces: dict[str, list[str]] = {}
        self.found: dict[tuple[int, str, str], list[Asset]] = {}
        """(revision, user, question) -> what the last search found, for its next page."""
        self.job_delay_s = 0.0
        self._held = False
        self._jobs: list[Job] = []
        self._random = random.Random(seed)
        self._serial = 0

    # -- ids and secrets ---------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """A UUID of version 4, the same in every run."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def new_secret(self, length: int = 32) -> str:
        """Letters and digits that are in no other place."""
        return base64.urlsafe_b64encode(self._random.randbytes(length)).decode().rstrip("=")

    def changed(self) -> None:
        """Whatever was derived from the tables is stale."""
        self.revision += 1

    # -- jobs --------------------------------------------------------------------------------------------------------

    def later(self, work: Callable[[], None]) -> None:
        """Done by the next request after `job_delay_s`, or by `release_jobs` while jobs are held."""
        due = float("inf") if self._held else time.monotonic() + self.job_delay_s
        self._jobs.append(Job(due, work))

    def run_due_jobs(self) -> None:
        """What is due is done."""
        if not self._jobs:
            return
        now = time.monotonic()
        due = [job for job in self._jobs if job.due <= now]
        self._jobs = [job for job in self._jobs if job.due > now]
        for job in due:
            job.work()
            self.changed()

    def hold_jobs(self) -> None:
        """From now on nothing is processed, thumbnailed or purged: a busy server (immich.md §3, §4)."""
        with self.lock:
            self._held = True

    def release_jobs(self) -> None:
        """All that was held is done now."""
        with self.lock:
            self._held = False
            for job in self._jobs:
                job.due = 0.0
            self.run_due_jobs()

    # -- adding ------------------------------------------------------------------------------------------------------

    def add_user(self, name: str, *, id: str | None = None, email: str | None = None, quota: int | None = None) -> User:
        """One more person; the first is the administrator."""
        with self.lock:
            now = self.clock.now()
            email = email or f"{name.lower()}@example.org"
            user = User(id or self.new_id(), name, email, not self.users, now, now, quota)
            user.colour = "orange" if user.is_admin else "yellow"
            self.users[user.id] = user
            return user

    def add_key(self, user: User | None = None, permissions: Iterable[str] = ("all",), name: str = "iiiffs") -> ApiKey:
        """A key of that user, or of the first."""
        with self.lock:
            now = self.clock.now()
            owner = user or self.first_user
            key = ApiKey(self.new_id(), owner.id, name, self.new_secret(), tuple(permissions), now, now)
            self.keys[key.secret] = key
            return key

    @property
    def first_user(self) -> User:
        """The administrator."""
        return next(iter(self.users.values()))

    def keep(self, data: bytes) -> Path:
        """A file of the fake that holds `data`."""
        raise NotImplementedError

    def insert(self, asset: Asset) -> None:
        """Its row is there."""
        self.assets[asset.id] = asset
        if not asset.library:
            self.by_checksum[asset.owner, asset.checksum] = asset.id
        self.changed()

    def process(self, asset: Asset, *, touch: bool = True) -> None:
        """Its jobs have run: dimensions, thumbnails, hash (immich.md §4). Metadata of given files is not read here."""
        if asset.id not in self.assets:
            return
        probe = asset.original.probe()
        asset.undecodable = probe is None
        if probe:
            asset.sensor = probe.sensor
            asset.orientation = asset.orientation or probe.orientation
            asset.width, asset.height = probe.displayed
            if asset.duration_ms is None:
                asset.duration_ms = probe.duration_ms
        if asset.kind == "VIDEO":
            asset.orientation, asset.zone = "1", asset.zone or 0
        if not asset.undecodable:
            self.make_thumbs(asset)
        if touch:
            asset.updated = self.clock.now()
        self.changed()

    def make_thumbs(self, asset: Asset) -> None:
        """The thumbnail job has run; hidden halves of live photos have no hash (asset-live-video)."""
        asset.thumbs = self.clock.now()
        if asset.visibility != "hidden":
            digest = hashlib.shake_128(asset.checksum).digest(THUMBHASH_BYTES)
            asset.thumbhash = base64.b64encode(digest).decode()

    def add_album(
        self, name: str, assets: Iterable[Asset] = (), *, owner: User | None = None, id: str | None = None
    ) -> Album:
        """One more album; the first of `assets` is its cover."""
        with self.lock:
            now = self.clock.now()
            album = Album(id or self.new_id(), (owner or self.first_user).id, name, now, now)
            self.albums[album.id] = album
            self.join(album, [asset.id for asset in assets])
            self.changed()
            return album

    def add_tag(self, value: str, assets: Iterable[Asset] = (), *, owner: User | None = None) -> Tag:
        """The tag of that path, made with those above it where they are missing, on all `assets`."""
        with self.lock:
            user, parent, tag = (owner or self.first_user).id, None, None
            parts = value.split("/")
            for depth in range(len(parts)):
                path = "/".join(parts[: depth + 1])
                tag = next((known for known in self.tags.values() if known.owner == user and known.value == path), None)
                if tag is None:
                    now = self.clock.now()
                    tag = Tag(self.new_id(), user, path, parent, now, now)
                    self.tags[tag.id] = tag
                parent = tag.id
            assert tag
            for asset in assets:
                asset.tags |= {tag.id}
                asset.updated = self.clock.now()
            self.changed()
            return tag

    def add_face(self, asset: Asset, person: str | None, box: tuple[int, int, int, int], size: tuple[int, int]) -> Face:
        """Somebody was seen there."""
        face = Face(self.new_id(), asset.id, person, box, size)
        self.faces[face.id] = face
        self.asset_faces.setdefault(asset.id, []).append(face.id)
        self.changed()
        return face

    # -- changing ----------------------------------------------------------------------------------------------------

    def edit(self, asset: Asset, **fields: object) -> None:
        """The attributes of those names are set, and it counts as updated."""
        with self.lock:
            for key, value in fields.items():
                assert hasattr(asset, key), key
                setattr(asset, key, value)
            asset.updated = self.clock.now()
            self.changed()

    def join(self, album: Album, ids: Iterable[str]) -> None:
        """Those assets are in the album; `updatedAt` is bumped (immich.md §6), the first one becomes the cover."""
        before = len(album.members)
        for id in ids:
            album.members.setdefault(id)
            self.memberships.setdefault(id, set()).add(album.id)
            album.cover = album.cover or id
        if len(album.members) > before:
            album.updated = self.clock.now()
        self.changed()

    def leave(self, album: Album, ids: Iterable[str]) -> None:
        """Those assets are not in the album any more; only a lost cover bumps `updatedAt` (immich.md §6)."""
        for id in ids:
            album.members.pop(id, None)
            self.memberships.get(id, set()).discard(album.id)
            if album.cover == id:
                album.cover = next(iter(album.members), None)
                album.updated = self.clock.now()
        self.changed()

    def trash(self, *assets: Asset) -> None:
        """In the trash; they stay in their albums (immich.md §5)."""
        with self.lock:
            for asset in assets:
                asset.deleted = asset.updated = self.clock.now()
            self.changed()

    def restore(self, *assets: Asset) -> None:
        """Out of the trash."""
        with self.lock:
            for asset in assets:
                asset.deleted, asset.updated = None, self.clock.now()
            self.changed()

    def purge(self, asset: Asset) -> None:
        """Gone for good, and from wherever it was."""
        with self.lock:
            if self.assets.pop(asset.id, None) is None:
                return
            if self.by_checksum.get((asset.owner, asset.checksum)) == asset.id:
                del self.by_checksum[asset.owner, asset.checksum]
            for album_id in self.memberships.pop(asset.id, set()):
                album = self.albums[album_id]
                album.members.pop(asset.id, None)
                if album.cover == asset.id:
                    album.cover = next(iter(album.members), None)
            for face in self.asset_faces.pop(asset.id, []):
                del self.faces[face]
            if asset.stack:
                self.unstack(self.stacks[asset.stack], asset.id)
            for link in self.links.values():
                if asset.id in link.assets:
                    link.assets.remove(asset.id)
            self.changed()

    def delete_album(self, album: Album) -> None:
        """Gone; its assets stay, its links go."""
        with self.lock:
            self.albums.pop(album.id, None)
            for id in album.members:
                self.memberships.get(id, set()).discard(album.id)
            self.links = {id: link for id, link in self.links.items() if link.album != album.id}
            self.changed()

    def unstack(self, stack: Stack, id: str) -> None:
        """Out of its stack; a stack of one is none."""
        stack.members = [member for member in stack.members if member != id]
        if asset := self.assets.get(id):
            asset.stack = None
        if len(stack.members) < 2:
            for member in stack.members:
                self.assets[member].stack = None
            self.stacks.pop(stack.id, None)
        elif stack.primary == id:
            stack.primary = stack.members[0]
        self.changed()

    def usage(self, user: str) -> int:
        """Bytes of the uploaded originals of that user."""
        return sum(asset.size for asset in self.assets.values() if asset.owner == user and not asset.library)

    def purge_all(self, assets: Iterable[Asset]) -> None:
        """Several at once."""
        for asset in list(assets):
            self.purge(asset)


def ending(name: str) -> str:
    """After the last dot, in small letters."""
    return name.rpartition(".")[2].lower()
