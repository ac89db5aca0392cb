"""An asset gets other bytes: a new asset takes over what people had said of the old one, which goes to the trash.

Immich has no other way (research §4, §8). Each step ends the same when it is made twice, and the last one is the old
asset's way to the trash; before that, a note beside it names its successor. So a repeat after any interruption finds
either the old asset, and does what is left, or its successor by the note, and is done.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import msgspec
import trio

from iiiffs.errors import AccessDenied, AssetGone, Forbidden, ProviderError, Rejected, VersionChanged
from iiiffs.model.description import Description
from iiiffs.model.gallery import AlbumId, Asset, Facts
from iiiffs.model.writing import Payload
from iiiffs.providers.base import ReadHeaders
from iiiffs.providers.immich.change_calls import ChangeCalls
from iiiffs.providers.immich.change_records import CheckRecord, FaceRecord, NoteValue
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.dialect import lacking
from iiiffs.providers.immich.listings import uuid_of
from iiiffs.providers.immich.permissions import REPLACE, told_lack
from iiiffs.providers.immich.uploads import Uploads
from iiiffs.providers.immich.wire import (
    ExifRecord,
    WholeAsset,
    ahead_min,
    captured,
    moment_text,
    sha1_of,
    time_ms,
    version_of,
)

log = logging.getLogger(__name__)

SUCCESSORS_MAX = 100
TRASH_S = 60.0
"""So long it is known that the server keeps a trash."""
NOTHING_READ = Facts("application/octet-stream", None)


@dataclass(slots=True)
class Said:
    """What a file says of itself, before and after. None where it could not be read."""

    before: Facts | None
    after: Facts | None


@dataclass(slots=True)
class Replacement:
    """What became of it. `not_carried`: what people had said of the old one and could not be said of the new one."""

    id: UUID
    replaced: list[str] = field(default_factory=list)
    not_carried: list[str] = field(default_factory=list)


class Replacing:
    """Of one account.

    `read_before`: what the bytes of an asset say of themselves. `unfinished`: gets the ids of what is taking another's
    place, for as long as that lasts.
    """

    def __init__(
        self,
        client: ImmichClient,
        calls: ChangeCalls,
        uploads: Uploads,
        read_headers: ReadHeaders,
        read_before: Callable[[WholeAsset], Awaitable[Facts]],
        unfinished: set[str],
    ) -> None:
        self._client = client
        self._calls = calls
        self._uploads = uploads
        self._read_headers = read_headers
        self._read_before = read_before
        self._unfinished = unfinished
        self._trash_s = float("-inf")

    async def replace(self, asset: Asset, payload: Payload, stays: Mapping[AlbumId, bool] | None = None) -> Replacement:
        """Rule: HasWriting.replace; with `stays` HasWriting.replace_beside."""
        source, not_carried = await self._source(asset, payload)
        known = await self._uploads.known(payload)
        if sha1_of(version_of(source)) == payload.sha1:
            done = Replacement(uuid_of(source.id), not_carried=not_carried)
        else:
            await self.must_be_own(source, "replaced")
            await self._must_be_allowed()
            await self._must_be_known_as_own(source)
            self._uploads.must_be_taken(source.original_file_name, payload)
            goes_on = stays if source.id == asset.id else None
            if source.id == asset.id or await self._uploads.proves(source, payload.token):
                done = await self._succeeded(source, payload, known.get(payload.sha1), goes_on)
            else:
                done = await self._beside(uuid_of(asset.id), source, payload, known.get(payload.sha1))
            done.not_carried[:0] = [what for what in not_carried if what not in done.not_carried]
        await self.clear(done, payload, known)
        return done

    async def clear(self, done: Replacement, payload: Payload, known: Mapping[bytes, CheckRecord]) -> None:
        """What earlier tries of this file made is in the trash; its successor is wherever it was."""
        for before in await self._uploads.earlier(payload, known):
            if before.id != str(done.id) and before.id not in done.replaced:
                await self._must_be_allowed()
                await self._hand_over_places(before, await self._client.whole(done.id), done)
                await self._retire(before, done, payload.token)

    async def must_be_own(self, record: WholeAsset, deed: str) -> None:
        """It is the user's own, uploaded, and there is a trash. `deed`: such as "removed". Errors: Forbidden."""
        name, user = self._client.name, await self._client.user()
        if user and record.owner_id and record.owner_id != user:
            raise Forbidden(f"{name}: {record.original_file_name!a} is somebody else's; only its owner has it {deed}")
        if record.library_id is not None:
            raise Forbidden(
                f"{name}: {record.original_file_name!a} is a file of an external library, which Immich never has {deed}"
            )
        if not await self._has_trash():
            raise Forbidden(
                f"{name}: the server keeps no trash, so what is {deed} would be lost; switch it on in Immich's settings"
            )

    async def _has_trash(self) -> bool:
        if trio.current_time() - self._trash_s > TRASH_S:
            if not (await self._client.features()).trash:
                return False
            self._trash_s = trio.current_time()
        return True

    async def _must_be_allowed(self) -> None:
        """The key may do all of it, before anything is done. Errors: AccessDenied: bytes that wait, wait on."""
        key = self._client.key
        if key is not None and (missing := lacking(key.permissions, REPLACE)):
            raise AccessDenied(told_lack(self._client.name, missing, "replacing a picture"))

    async def _must_be_known_as_own(self, record: WholeAsset) -> None:
        """Nobody's but the user's, also for a key that may not ask who the user is: only owners keep notes."""
        if not await self._client.user():
            try:
                await self._calls.put_note(uuid_of(record.id), NoteValue())
            except AssetGone:
                raise Forbidden(f"{self._client.name}: {record.original_file_name!a} is not yours to replace") from None

    # ---- what is replaced -------------------------------------------------------------------------------------

    async def _source(self, asset: Asset, payload: Payload) -> tuple[WholeAsset, list[str]]:
        """What `asset` is now: also what an earlier try has made of it, and what that could not carry over.
        Errors: AssetGone, VersionChanged."""
        not_carried: list[str] = []
        ours = (payload.sha1, *payload.earlier)
        record = await self._client.whole(uuid_of(asset.id))
        for _ in range(SUCCESSORS_MAX):
            sha1 = sha1_of(version_of(record))
            is_first = record.id == asset.id
            if sha1 not in ours and not (is_first and version_of(record) == asset.version):
                raise VersionChanged(f"{self._client.name}: {asset.name!a} was replaced by somebody else")
            if not record.is_trashed and record.visibility != "locked":
                return record, not_carried
            note = await self._calls.note(uuid_of(record.id))
            if note.replaced_by is None or note.token != payload.token:
                break
            not_carried += note.not_carried
            record = await self._client.whole(uuid_of(note.replaced_by))
        raise AssetGone(f"{self._client.name}: {asset.name!a} is in the trash, or locked away")

    async def _succeeded(
        self, old: WholeAsset, payload: Payload, found: CheckRecord | None, stays: Mapping[AlbumId, bool] | None
    ) -> Replacement:
        fields = {"fileCreatedAt": old.file_created_at}
        if old.visibility == "archive":
            fields["visibility"] = "archive"
        taking: set[str] = set()
        if found is not None and found.is_trashed and found.asset_id is not None:
            taking.add(found.asset_id)
            self._unfinished |= taking
        try:
            arrived = await self._uploads.arrive(payload, old.original_file_name, found, fields)
            if arrived.is_new:
                taking.add(arrived.record.id)
                self._unfinished |= taking
            done = Replacement(uuid_of(arrived.record.id))
            said = Said(await self._said_before(old), await self._said_after(payload, old))
            if stays is None:
                await self._hand_over(old, done, said)
                await self._retire(old, done, payload.token)
            else:
                await self._part(old, done, said, stays)
        finally:
            self._unfinished -= taking
        return done

    async def _beside(
        self, old_id: UUID, there: WholeAsset, payload: Payload, found: CheckRecord | None
    ) -> Replacement:
        """The new one is in the albums of the old one, which is in the trash; `there` stays as it is. An earlier try
        brought bytes that the library had as `there`, for others to see: they are none of this file's."""
        old = await self._client.whole(old_id)
        fields = {"fileCreatedAt": old.file_created_at}
        arrived = await self._uploads.arrive(payload, old.original_file_name, found, fields)
        done = Replacement(uuid_of(arrived.record.id), [there.id])
        said = Said(await self._said_before(there), await self._said_after(payload, old))
        places = {album.id for album in await self._calls.albums_of(old_id)}
        others = await self._calls.albums_of(uuid_of(there.id))
        stays = {AlbumId(album.id): album.id in places for album in others}
        await self._hand_over(msgspec.structs.replace(there, stack=None), done, said, stays)
        return done

    async def _retire(self, old: WholeAsset, done: Replacement, token: str) -> None:
        await self._calls.put_note(uuid_of(old.id), NoteValue(token, str(done.id), done.not_carried))
        await self._calls.trash(uuid_of(old.id))
        done.replaced.append(old.id)

    async def _part(self, old: WholeAsset, done: Replacement, said: Said, stays: Mapping[AlbumId, bool]) -> None:
        """The new one has what was said of `old`, which goes on, and loses its places last. No note says so: cut off
        anywhere, all of it is done again, of the places that are left."""
        old_id = uuid_of(old.id)
        albums = await self._calls.albums_of(old_id)
        await self._hand_over(old, done, said, stays)
        if old.is_favorite:
            await self._calls.update(old_id, {"isFavorite": False})
        for tag in old.tags:
            losing = partial(self._must_lose, partial(self._calls.unset_tag, UUID(tag.id), [old.id]))
            await self._tried(losing, done, f"that only it has the tag {tag.value!a}")
        for album in albums:
            if AlbumId(album.id) not in stays:
                losing = partial(self._must_lose, partial(self._calls.take_out, UUID(album.id), [old.id]))
                await self._tried(losing, done, f"that only it is in album {album.album_name!a}")
        done.replaced.append(old.id)

    async def _must_lose(self, work: Callable[[], Awaitable[dict[str, str]]]) -> None:
        for reason in (await work()).values():
            raise Rejected(f"{self._client.name}: {reason}")

    async def _said_before(self, old: WholeAsset) -> Facts | None:
        try:
            return await self._read_before(old)
        except ProviderError as error:
            log.info("%s: what the file said before is not known: %s", self._client.name, error)
            return None

    async def _said_after(self, payload: Payload, old: WholeAsset) -> Facts:
        def read() -> Facts:
            with payload.path.open("rb") as stream:
                return self._read_headers(stream, old.original_file_name)

        return await trio.to_thread.run_sync(read)

    # ---- what is carried over ---------------------------------------------------------------------------------

    async def _hand_over(
        self, old: WholeAsset, done: Replacement, said: Said, stays: Mapping[AlbumId, bool] | None = None
    ) -> None:
        """All that was said of `old` is said of the new one; but for the albums that `stays` says False of."""
        new = await self._client.whole(done.id)
        await self._hand_over_places(old, new, done, stays)
        if fields := changes(old, new, said):
            await self._calls.update(done.id, fields)
        await self._hand_over_faces(old, done, said)

    async def _hand_over_places(
        self, old: WholeAsset, new: WholeAsset, done: Replacement, stays: Mapping[AlbumId, bool] | None = None
    ) -> None:
        """The new one is wherever `old` is, but for the albums that `stays` says False of."""
        await self._hand_over_links(old, new, done, stays)
        if old.stack is not None and old.stack.primary_asset_id == old.id:
            lead = partial(self._calls.lead_stack, old.stack.id, done.id)
            await self._tried(lead, done, "that it stands for its stack")
        if tags := {tag.id for tag in old.tags} - {tag.id for tag in new.tags}:
            await self._tried(partial(self._calls.tag, done.id, sorted(tags)), done, "tags")

    async def _hand_over_links(
        self, old: WholeAsset, new: WholeAsset, done: Replacement, stays: Mapping[AlbumId, bool] | None
    ) -> None:
        old_id = uuid_of(old.id)
        stack = old.stack is not None and new.stack is None
        try:
            await self._calls.copy(old_id, done.id, favorite=old.is_favorite, stack=stack, albums=stays is None)
            if stays is not None:
                await self._hand_over_albums(old, done, stays)
        except Forbidden:
            await self._hand_over_albums(old, done, stays or {})
            done.not_carried += ["shared links", "sidecar (the key lacks asset.copy)"]
            if old.stack is not None:
                done.not_carried.append("stack")
            if old.is_favorite and not new.is_favorite:
                await self._calls.update(done.id, {"isFavorite": True})

    async def _hand_over_albums(self, old: WholeAsset, done: Replacement, stays: Mapping[AlbumId, bool]) -> None:
        for album in await self._calls.albums_of(uuid_of(old.id)):
            if not stays.get(AlbumId(album.id), True):
                continue
            try:
                refused = await self._calls.add(UUID(album.id), [str(done.id)])
            except (AssetGone, Forbidden, Rejected) as error:
                refused = {str(done.id): str(error)}
            if refused:
                done.not_carried.append(f"album {album.album_name!a}")

    async def _hand_over_faces(self, old: WholeAsset, done: Replacement, said: Said) -> None:
        """Of a picture of the same size; the server looks for faces by itself where it can."""
        if not old.people:
            return
        name = "who is seen there"
        extent = None if said.before is None else said.before.extent
        if extent is None or said.after is None or said.after.extent != extent:
            done.not_carried.append(name)
            return

        async def mark() -> None:
            there = [_place(face) for face in await self._calls.faces(done.id)]
            for face in await self._calls.faces(uuid_of(old.id)):
                if face.person is not None and _place(face) not in there:
                    await self._calls.mark_face(done.id, face)

        await self._tried(mark, done, name)

    async def _tried(self, work: Callable[[], Awaitable[None]], done: Replacement, what: str) -> None:
        """What cannot be carried over is named, and stops nothing."""
        try:
            await work()
        except (Forbidden, Rejected, AssetGone) as error:
            log.info("%s: not carried over: %s: %s", self._client.name, what, error)
            done.not_carried.append(what)


def changes(old: WholeAsset, new: WholeAsset, said: Said) -> dict[str, object]:
    """What is to be changed of the new asset, so that what people had said of the old one holds for it.

    What the file itself says otherwise than it did before is what somebody has just changed in it, and holds; what it
    says as the server did before needs no saying.
    """
    was, has = old.exif_info or ExifRecord(), new.exif_info or ExifRecord()
    before, after = said.before or NOTHING_READ, said.after or NOTHING_READ
    told_before, told = before.description, after.description
    fields: dict[str, object] = {}
    is_retold = bool(told.summary) and (told.summary != told_before.summary or was.description in _texts(told))
    if was.description and was.description != has.description and not is_retold:
        fields["description"] = was.description
    is_rated = told.rating is not None and (told.rating != told_before.rating or told.rating == was.rating)
    if was.rating is not None and was.rating != has.rating and not is_rated:
        fields["rating"] = round(was.rating)
    is_dated = after.captured is not None and (after.captured != before.captured or after.captured == captured(old))
    taken_ms = time_ms(was.date_time_original)
    if taken_ms is not None and not is_dated and not _same_date(old, new):
        fields["dateTimeOriginal"] = moment_text(taken_ms, ahead_min(old))
    if was.latitude is not None and was.longitude is not None and has.latitude is None and told.position is None:
        fields |= {"latitude": was.latitude, "longitude": was.longitude}
    if old.visibility != new.visibility and old.visibility == "archive":
        fields["visibility"] = "archive"
    if old.live_photo_video_id and not new.live_photo_video_id:
        fields["livePhotoVideoId"] = old.live_photo_video_id
    return fields


def _texts(description: Description) -> set[str]:
    return {text for _, text in description.summary}


def _same_date(old: WholeAsset, new: WholeAsset) -> bool:
    was, has = old.exif_info or ExifRecord(), new.exif_info or ExifRecord()
    is_same = time_ms(was.date_time_original) == time_ms(has.date_time_original)
    return is_same and was.time_zone == has.time_zone


def _place(face: FaceRecord) -> tuple[str, int, int, int, int]:
    """Who is where."""
    person = "" if face.person is None else face.person.id
    return person, face.bounding_box_x1, face.bounding_box_y1, face.bounding_box_x2, face.bounding_box_y2
