"""Verbs by which a test fills the world: pictures that nobody drew yet, a hundred thousand of them if need be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from tests.fakes.immich.moments import parsed
from tests.fakes.immich.originals import FORMATS, LOOKS, Original, Recipe
from tests.fakes.immich.records import Album, Asset, Camera, Person, Place, Role, User, Visibility
from tests.fakes.immich.state import VIDEO_ENDINGS, World, ending

BULK_SHAPES = ((640, 480), (480, 640), (960, 640), (320, 240))


class AssetFields(TypedDict, total=False):
    """What `add_asset` may be told beside the picture; the names are those of `Asset`."""

    id: str
    owner: str
    visibility: Visibility
    favorite: bool
    description: str
    rating: int | None
    camera: Camera
    place: Place | None
    live_video: str | None
    duration_ms: int | None
    library: str | None
    path: str
    offline: bool
    has_exif: bool
    depicts: str
    device_asset: str
    device: str
    created: int
    updated: int
    modified: int
    zone: int | None


class SeededWorld(World):
    """A world that tests fill."""

    def add_asset(
        self,
        name: str = "IMG_0001.jpg",
        *,
        data: bytes | Path | None = None,
        size_px: tuple[int, int] = (640, 480),
        orientation: str | None = None,
        taken: str = "2024-05-01T10:00:00Z",
        processed: bool = True,
        album: Album | None = None,
        **fields: Unpack[AssetFields],
    ) -> Asset:
        """One more asset, as if it had been uploaded and, if `processed`, its jobs had run.

        Without `data` a picture (or a clip of two seconds) is drawn, `size_px` as displayed. `taken` carries the zone
        of the wall clock: "2023-05-01T10:11:12+02:00". Of a library (`library`): its checksum is that of its path.
        """
        with self.lock:
            asset = self._new_asset(name, data, size_px, orientation)
            asset.taken = asset.modified = parsed(taken)
            if taken[-6] in "+-":
                asset.zone = (int(taken[-5:-3]) * 60 + int(taken[-2:])) * (-1 if taken[-6] == "-" else 1)
            for key, value in fields.items():
                setattr(asset, key, value)
            asset.path = (
                asset.path or f"/data/upload/{asset.owner}/{asset.id[:2]}/{asset.id[2:4]}/{asset.id}.{ending(name)}"
            )
            if asset.library:
                asset.checksum = hashlib.sha1(f"path:{asset.path}".encode()).digest()
            self.insert(asset)
            if processed:
                self.process(asset, touch="updated" not in fields)
            else:
                self.later(lambda: self.process(asset))
            if album:
                self.join(album, [asset.id])
            return asset

    def _new_asset(
        self, name: str, data: bytes | Path | None, size_px: tuple[int, int], orientation: str | None
    ) -> Asset:
        kind: Literal["IMAGE", "VIDEO"] = "VIDEO" if ending(name) in VIDEO_ENDINGS else "IMAGE"
        self._serial += 1
        if data is None:
            recipe = Recipe(FORMATS.get(ending(name), "TIFF"), *size_px, self._serial % LOOKS, orientation)
            original = Original(recipe=recipe, serial=self._serial)
        else:
            original = Original(path=data if isinstance(data, Path) else self.keep(data))
        size, digest = original.measure()
        now = self.clock.now()
        return Asset(self.new_id(), self.first_user.id, name, kind, original, digest, size, now, now, now, now)

    def add_assets(
        self, count: int, *, album: Album | None = None, taken: str = "2020-01-01T00:00:00Z", step_s: int = 60
    ) -> list[Asset]:
        """`count` photos, IMG_00000.jpg and on, `step_s` apart: some microseconds each, none of them drawn but four."""
        with self.lock:
            start, added, owner = parsed(taken), [], self.first_user.id
            for index in range(count):
                self._serial += 1
                recipe = Recipe("JPEG", *BULK_SHAPES[index % len(BULK_SHAPES)])
                original = Original(recipe=recipe, serial=self._serial)
                size, digest = original.measure()
                now = self.clock.now()
                when = start + index * step_s * 1_000_000
                asset = Asset(
                    self.new_id(), owner, f"IMG_{index:05}.jpg", "IMAGE", original, digest, size, now, now, when, when
                )
                asset.path = f"/data/upload/{owner}/{asset.id[:2]}/{asset.id}.jpg"
                asset.width, asset.height, asset.sensor = recipe.width, recipe.height, recipe.sensor
                self.make_thumbs(asset)
                self.assets[asset.id] = asset
                self.by_checksum[owner, digest] = asset.id
                added.append(asset)
            if album:
                self.join(album, [asset.id for asset in added])
            self.changed()
            return added

    def share(self, album: Album, user: User, role: Role = "viewer") -> None:
        """That user sees the album."""
        with self.lock:
            album.users[user.id] = role
            album.updated = self.clock.now()
            self.changed()

    def add_person(
        self, name: str, assets: Iterable[Asset] = (), *, hidden: bool = False, owner: User | None = None
    ) -> Person:
        """Somebody, with a face in all `assets`."""
        with self.lock:
            now = self.clock.now()
            person = Person(self.new_id(), (owner or self.first_user).id, name, now, now, hidden)
            self.people[person.id] = person
            for asset in assets:
                self.add_face(asset, person.id, (10, 10, 50, 60), (asset.width or 640, asset.height or 480))
            return person
