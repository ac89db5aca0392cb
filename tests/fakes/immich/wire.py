"""How the tables look in JSON, in both dialects. Pure."""

from __future__ import annotations

import base64
import datetime
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.immich import moments
from tests.fakes.immich.records import Album, Asset, Face, Person, SharedLink, Stack, Tag, User
from tests.fakes.immich.state import World

Json = dict[str, object]
SHOWN = ("timeline", "archive")
MIME_TYPES = {
    ".heic": "image/heic", ".heif": "image/heif", ".webp": "image/webp", ".avif": "image/avif", ".jp2": "image/jp2",
    ".dng": "image/dng", ".nef": "image/nef", ".cr2": "image/cr2", ".cr3": "image/cr3", ".arw": "image/arw",
    ".jxl": "image/jxl", ".mov": "video/quicktime", ".mp4": "video/mp4", ".m4v": "video/x-m4v",
}  # fmt: skip


def mime_type(name: str) -> str | None:
    """Guessed from the name alone (immich.md §2); None: not known."""
    ending = f".{name.rpartition('.')[2].lower()}"
    return MIME_TYPES.get(ending) or mimetypes.guess_type(f"x{ending}")[0]


def user_json(user: User, *, stored: bool = True) -> Json:
    """A user as others see it. `stored`: with the date as the database spells it."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "profileImagePath": "",
        "avatarColor": user.colour,
        "profileChangedAt": moments.database(user.created) if stored else moments.iso(user.created),
    }


def person_json(person: Person) -> Json:
    """Somebody, without faces."""
    return {
        "id": person.id,
        "name": person.name,
        "birthDate": person.birth,
        "thumbnailPath": f"/data/thumbs/{person.owner}/{person.id}.jpeg",
        "isHidden": person.hidden,
        "isFavorite": person.favorite,
        "updatedAt": moments.iso(person.updated),
    }


def face_json(face: Face, person: Person | None = None, *, with_person: bool = False) -> Json:
    """A box in a picture."""
    x1, y1, x2, y2 = face.box
    box: Json = {
        "id": face.id,
        "imageWidth": face.size[0],
        "imageHeight": face.size[1],
        "boundingBoxX1": x1,
        "boundingBoxY1": y1,
        "boundingBoxX2": x2,
        "boundingBoxY2": y2,
        "sourceType": "machine-learning",
    }
    return {**box, "person": person_json(person) if person else None} if with_person else box


def tag_json(tag: Tag, *, stored: bool = False) -> Json:
    """A tag; one at the top names no parent (tags-list)."""
    written = moments.database if stored else moments.iso
    found: Json = {"id": tag.id}
    if tag.parent:
        found["parentId"] = tag.parent
    found |= {"name": tag.value.rpartition("/")[2], "value": tag.value}
    found |= {"createdAt": written(tag.created), "updatedAt": written(tag.updated)}
    return found | ({"color": tag.colour} if tag.colour else {})


def exif_json(asset: Asset) -> Json:
    """`exifInfo`: dates as the database spells them, and the only place of the file's size (immich.md §2)."""
    camera, place, sensor = asset.camera, asset.place, asset.sensor
    return {
        "make": camera.make,
        "model": camera.model,
        "exifImageWidth": sensor[0] if sensor else None,
        "exifImageHeight": sensor[1] if sensor else None,
        "fileSizeInByte": asset.size,
        "orientation": asset.orientation,
        "dateTimeOriginal": moments.database(asset.taken) if asset.sensor else None,
        "modifyDate": moments.database(asset.modified) if asset.sensor else None,
        "timeZone": None if asset.zone is None else moments.zone_name(asset.zone),
        "lensModel": camera.lens,
        "fNumber": camera.f_number,
        "focalLength": camera.focal_length,
        "iso": camera.iso,
        "exposureTime": camera.exposure,
        "latitude": place.latitude if place else None,
        "longitude": place.longitude if place else None,
        "city": place.city if place else None,
        "state": place.state if place else None,
        "country": place.country if place else None,
        "description": asset.description,
        "projectionType": None,
        "rating": asset.rating,
    }


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version's spelling. `v3`: 3.x, otherwise 2.x."""

    v3: bool
    world: World

    def duration(self, asset: Asset) -> object:
        """Milliseconds or null on v3; on v2 text, also of images (immich.md §2)."""
        if self.v3:
            return asset.duration_ms
        if asset.duration_ms is None:
            return "0:00:00.00000"
        clock = datetime.timedelta(milliseconds=asset.duration_ms)
        hours, rest = divmod(clock.total_seconds(), 3600)
        return f"{int(hours):02}:{int(rest // 60):02}:{rest % 60:06.3f}"

    def asset(self, asset: Asset, viewer: str, *, exif: bool = True, stored: bool = False) -> Json:
        """An asset as listings have it. `stored`: dates as the database spells them (stacks; albums of v2)."""
        written: Callable[[int], str] = moments.database if stored else moments.iso
        found: Json = {"id": asset.id, "createdAt": written(asset.created)}
        if not self.v3:
            found |= {"deviceAssetId": asset.device_asset or asset.name, "deviceId": asset.device or "fake"}
        found |= {
            "ownerId": asset.owner,
            "libraryId": asset.library,
            "type": asset.kind,
            "originalPath": asset.path,
            "originalFileName": asset.name,
            "originalMimeType": mime_type(asset.name),
            "thumbhash": asset.thumbhash,
            "fileCreatedAt": written(asset.taken),
            "fileModifiedAt": written(asset.modified),
            "localDateTime": written(asset.local),
            "updatedAt": written(asset.updated),
            "isFavorite": asset.favorite and asset.owner == viewer,
            "isArchived": asset.visibility == "archive",
            "isTrashed": asset.trashed,
            "visibility": asset.visibility,
            "duration": self.duration(asset),
        }
        if found["originalMimeType"] is None:
            del found["originalMimeType"]
        if exif and asset.has_exif:
            found["exifInfo"] = exif_json(asset)
        return found | {
            "livePhotoVideoId": asset.live_video,
            "people": [],
            "checksum": base64.b64encode(asset.checksum).decode(),
            "isOffline": asset.offline,
            "hasMetadata": True,
            "duplicateId": None,
            "resized": True,
            "width": asset.width,
            "height": asset.height,
            "isEdited": asset.edited,
        }

    def whole_asset(self, asset: Asset, viewer: str) -> Json:
        """An asset as GET of one has it: with owner, people, tags and stack."""
        world = self.world
        found = self.asset(asset, viewer)
        found["owner"] = user_json(world.users[asset.owner])
        found["tags"] = [tag_json(world.tags[id], stored=True) for id in sorted(asset.tags)]
        found["people"] = self.people(asset, viewer)
        if not self.v3:
            unknown = (face for face in self._faces(asset, viewer) if face.person is None)
            found["unassignedFaces"] = [face_json(face) for face in unknown]
        stack = world.stacks.get(asset.stack or "")
        found["stack"] = stack and {
            "id": stack.id,
            "primaryAssetId": stack.primary,
            "assetCount": len(stack.members),
        }
        return found

    def _faces(self, asset: Asset, viewer: str) -> list[Face]:
        return (
            [self.world.faces[id] for id in self.world.asset_faces.get(asset.id, [])] if asset.owner == viewer else []
        )

    def people(self, asset: Asset, viewer: str) -> list[Json]:
        """Who is seen there and not hidden; on v2 with their faces. Of others' assets: nobody."""
        seen: dict[str, list[Face]] = {}
        for face in self._faces(asset, viewer):
            if face.person and not self.world.people[face.person].hidden:
                seen.setdefault(face.person, []).append(face)
        people = []
        for id, boxes in seen.items():
            found = person_json(self.world.people[id])
            people.append(found if self.v3 else {**found, "faces": [face_json(face) for face in boxes]})
        return people

    def album(
        self, album: Album, *, listed: bool, contributors: bool = False, assets: list[Json] | None = None
    ) -> Json:
        """An album. `listed`: with the figures of GET (days, last change); writing verbs answer whole dates."""
        world = self.world
        found: Json = {
            "albumName": album.name,
            "description": album.description,
            "albumThumbnailAssetId": album.cover,
            "createdAt": moments.iso(album.created),
            "updatedAt": moments.iso(album.updated),
            "id": album.id,
        }
        guests = [{"user": user_json(world.users[id]), "role": role} for id, role in album.users.items()]
        owner = user_json(world.users[album.owner])
        linked = any(link.album == album.id for link in world.links.values())
        if self.v3:
            found["albumUsers"] = [{"user": owner, "role": "owner"}, *guests]
        else:
            found |= {"ownerId": album.owner, "owner": owner, "albumUsers": guests, "assets": assets or []}
        found |= {"shared": bool(guests) or linked, "hasSharedLink": linked}
        members = [world.assets[id] for id in album.members]
        shown = [asset for asset in members if not asset.trashed and asset.visibility in SHOWN]
        if shown:
            first, last = min(asset.local for asset in shown), max(asset.local for asset in shown)
            if listed:
                found |= {"startDate": moments.iso(moments.day(first)), "endDate": moments.iso(moments.day(last))}
            else:
                found |= {"startDate": moments.database(first), "endDate": moments.database(last)}
        found |= {"assetCount": len(shown), "isActivityEnabled": album.activity, "order": album.order}
        if listed and shown:
            found["lastModifiedAssetTimestamp"] = moments.iso(max(asset.updated for asset in shown))
        if contributors and found["shared"]:
            owners = [asset.owner for asset in shown]
            found["contributorCounts"] = [
                {"userId": id, "assetCount": owners.count(id)} for id in dict.fromkeys(owners)
            ]
        return found

    def stack(self, stack: Stack, viewer: str) -> Json:
        """A stack, its primary asset first."""
        members = sorted(stack.members, key=lambda id: id != stack.primary)
        assets = [self.asset(self.world.assets[id], viewer, stored=True) for id in members]
        return {"id": stack.id, "primaryAssetId": stack.primary, "assets": assets}

    def link(self, link: SharedLink) -> Json:
        """A shared link, as its maker sees it."""
        world = self.world
        album = world.albums.get(link.album or "")
        found: Json = {
            "id": link.id,
            "description": link.description,
            "password": link.password,
            "userId": link.user,
            "key": link.key,
            "type": "ALBUM" if link.album else "INDIVIDUAL",
            "createdAt": moments.iso(link.created),
            "expiresAt": None if link.expires is None else moments.iso(link.expires),
            "assets": [self.asset(world.assets[id], link.user) for id in link.assets],
            "allowUpload": link.upload,
            "allowDownload": link.download,
            "showMetadata": link.show_metadata,
            "slug": link.slug,
        }
        return found | ({"album": self.album(album, listed=False)} if album else {})
