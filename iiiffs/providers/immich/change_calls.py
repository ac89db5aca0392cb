"""Calls to one Immich that change something, and what their refusals mean. Rule: research immich.md §4, §5, §7.

A 200 of a call about many says nothing of each: its items are read one by one. A call about many that fails whole
because of one of them is asked again by halves. All calls end the same when they are made twice, but for POST /albums.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

import msgspec

from iiiffs.errors import AccessDenied, Forbidden, OverQuota, ProviderError, Rejected
from iiiffs.model.writing import Space
from iiiffs.providers.http import Refusal
from iiiffs.providers.http_values import Ask, Content, Lane
from iiiffs.providers.immich.change_records import (
    DUPLICATE,
    NOT_FOUND,
    NOTE,
    CheckAnswer,
    CheckRecord,
    FaceRecord,
    ItemRecord,
    MediaTypes,
    NoteRecord,
    NoteValue,
    StorageRecord,
    UploadAnswer,
)
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.permissions import told_lack
from iiiffs.providers.immich.wire import AlbumRecord, TagRecord, UserRecord, decoded

T = TypeVar("T")

IDS_MAX = 1000
"""Of one call: some 40 kB of the 10 MB that the server takes (§7)."""
UPLOAD_S = 600.0
SLOWEST_BYTES_PER_S = 4096
SILENCE_S, QUICKEST_BYTES_PER_S = 60.0, 10e6
"""After the last byte, a proxy that keeps whole bodies hands them on at this rate before the server answers."""
MISSING = "Missing required permission"
CREATED, NO_CONTENT = frozenset({200, 201}), frozenset({200, 204})


class ChangeCalls:
    """Of one account. Errors of all calls: ProviderUnreachable, AccessDenied, Rejected; Forbidden where the key lacks a
    permission; of those with an id AssetGone, also for what the user may not change."""

    def __init__(self, client: ImmichClient) -> None:
        self._client = client
        self._name = client.name

    # ---- assets -----------------------------------------------------------------------------------------------

    async def check(self, sums: Sequence[bytes]) -> dict[bytes, CheckRecord]:
        """Those of these SHA-1 that the user has uploaded already, trashed ones too."""
        assets = [{"id": sha1.hex(), "checksum": sha1.hex()} for sha1 in dict.fromkeys(sums)]
        ask = Ask("POST", "/assets/bulk-upload-check", "a look for equal bytes", json={"assets": assets})
        answer = await self._told(ask, CheckAnswer, "asset.upload")
        return {bytes.fromhex(one.id): one for one in answer.results if one.action == "reject" and one.asset_id}

    async def upload(self, form: Content, sha1: bytes, size_bytes: int) -> UploadAnswer:
        """The asset that has the form's bytes, a new one or one that was there. Not tried twice: whoever asks looks
        first whether it arrived. Errors: OverQuota."""
        ask = Ask(
            "POST",
            "/assets",
            "an upload",
            content=form,
            headers={"x-immich-checksum": sha1.hex()},
            lane=Lane.UPLOADS,
            deadline_s=UPLOAD_S + size_bytes / SLOWEST_BYTES_PER_S,
            silence_s=SILENCE_S + size_bytes / QUICKEST_BYTES_PER_S,
            expected=CREATED,
            repeatable=False,
        )
        return await self._told(ask, UploadAnswer, "asset.upload")

    async def update(self, id: UUID, fields: Mapping[str, object]) -> None:
        """The asset's fields are those."""
        ask = Ask("PUT", f"/assets/{id}", "a change of an asset", json=dict(fields))
        await self._changed(ask, "asset.update")

    async def note(self, id: UUID) -> NoteValue:
        """What is kept beside the asset; an empty note if nothing is."""
        ask = Ask("GET", f"/assets/{id}/metadata", "the notes beside an asset")
        for record in await self._client.told(ask, list[NoteRecord]):
            if record.key == NOTE:
                return decoded(bytes(record.value), NoteValue, f"{self._name}: a note of iiiffs")
        return NoteValue()

    async def put_note(self, id: UUID, note: NoteValue) -> None:
        """That is kept beside the asset."""
        items = [{"key": NOTE, "value": msgspec.to_builtins(note)}]
        ask = Ask("PUT", f"/assets/{id}/metadata", "a note beside an asset", json={"items": items})
        await self._changed(ask, "asset.update")

    async def copy(self, source: UUID, target: UUID, *, favorite: bool, stack: bool, albums: bool = True) -> None:
        """Sidecar and shared links of `source` are `target`'s too; and albums, whether it is liked, and its stack, if
        that is wanted. `stack` only where they are not in one already: the server would dissolve it."""
        body = {"sourceId": str(source), "targetId": str(target), "favorite": favorite, "stack": stack}
        body |= {} if albums else {"albums": False}
        await self._changed(Ask("PUT", "/assets/copy", "what hangs on an asset", json=body), "asset.copy")

    async def trash(self, id: UUID) -> None:
        """It is in the trash."""
        ask = Ask("DELETE", "/assets", "a deletion", json={"ids": [str(id)]})
        await self._changed(ask, "asset.delete")

    async def purge(self, id: UUID) -> None:
        """It is nowhere: only for what has just been made, and is not what it should be."""
        ask = Ask("DELETE", "/assets", "the end of a torn upload", json={"ids": [str(id)], "force": True})
        await self._changed(ask, "asset.delete")

    async def restore(self, id: UUID) -> None:
        """It is not in the trash."""
        ask = Ask("POST", "/trash/restore/assets", "a restoration", json={"ids": [str(id)]})
        await self._changed(ask, "asset.delete")

    async def tag(self, id: UUID, tags: Sequence[str]) -> None:
        """It has these tags too."""
        body = {"tagIds": list(tags), "assetIds": [str(id)]}
        await self._changed(Ask("PUT", "/tags/assets", "tags", json=body), "tag.asset")

    async def update_many(self, ids: Sequence[str], fields: Mapping[str, object]) -> None:
        """The fields of all of them are those. Errors: AssetGone if one is not there, and then nothing has changed."""
        for begin in range(0, len(ids), IDS_MAX):
            body = {"ids": list(ids[begin : begin + IDS_MAX]), **fields}
            await self._changed(Ask("PUT", "/assets", "a change of assets", json=body), "asset.update")

    async def make_tag(self, value: str) -> TagRecord:
        """The tag of that path, and those above it."""
        made = await self.make_tags([value])
        found = next((tag for tag in made if tag.value == value), made[-1] if made else None)
        if found is None:
            raise Rejected(f"{self._name}: the server made no tag {value!a}")
        return found

    async def make_tags(self, values: Sequence[str]) -> list[TagRecord]:
        """The tags of those paths; those above them are there too."""
        ask = Ask("PUT", "/tags", "tags", json={"tags": list(values)})
        return await self._told(ask, list[TagRecord], "tag.create")

    async def set_tag(self, tag: UUID, ids: Sequence[str]) -> dict[str, str]:
        """Those have the tag; of the others, what the server says of each."""
        refused = await self._each("PUT", f"/tags/{tag}/assets", ids, "a tag's assets", "tag.asset")
        return {id: reason for id, reason in refused.items() if reason != DUPLICATE}

    async def unset_tag(self, tag: UUID, ids: Sequence[str]) -> dict[str, str]:
        """Those do not have the tag; of the others, what the server says of each."""
        refused = await self._each("DELETE", f"/tags/{tag}/assets", ids, "a tag's assets", "tag.asset")
        return {id: reason for id, reason in refused.items() if reason != NOT_FOUND}

    async def lead_stack(self, stack: str, id: UUID) -> None:
        """It is the one that stands for the stack."""
        body = {"primaryAssetId": str(id)}
        await self._changed(Ask("PUT", f"/stacks/{stack}", "a stack", json=body), "stack.update")

    async def faces(self, id: UUID) -> list[FaceRecord]:
        """The faces that were found there, or marked."""
        ask = Ask("GET", "/faces", "the faces of an asset", query={"id": str(id)})
        return await self._told(ask, list[FaceRecord], "face.read")

    async def mark_face(self, id: UUID, face: FaceRecord) -> None:
        """That face is there. Not tried twice: it would be there twice."""
        assert face.person is not None, "only somebody is marked"
        body = {
            "assetId": str(id),
            "personId": face.person.id,
            "x": face.bounding_box_x1,
            "y": face.bounding_box_y1,
            "width": face.bounding_box_x2 - face.bounding_box_x1,
            "height": face.bounding_box_y2 - face.bounding_box_y1,
            "imageWidth": face.image_width,
            "imageHeight": face.image_height,
        }
        ask = Ask("POST", "/faces", "a face", json=body, expected=CREATED, repeatable=False)
        await self._changed(ask, "face.create")

    # ---- albums -----------------------------------------------------------------------------------------------

    async def albums_of(self, id: UUID) -> list[AlbumRecord]:
        """Those that hold the asset, as far as the user sees them."""
        return await self._client.told(
            Ask("GET", "/albums", "an asset's albums", query={"assetId": str(id)}), list[AlbumRecord]
        )

    async def create_album(self, title: str, description: str) -> AlbumRecord:
        """A new album, with each call another."""
        body = {"albumName": title, "description": description}
        ask = Ask("POST", "/albums", "a new album", json=body, expected=CREATED, repeatable=False)
        return await self._told(ask, AlbumRecord, "album.create")

    async def update_album(self, id: UUID, fields: Mapping[str, object]) -> AlbumRecord:
        """The album's fields are those."""
        ask = Ask("PATCH", f"/albums/{id}", "a change of an album", json=dict(fields))
        return await self._told(ask, AlbumRecord, "album.update")

    async def delete_album(self, id: UUID) -> None:
        """The album is gone; what was in it stays in the library."""
        await self._changed(Ask("DELETE", f"/albums/{id}", "the end of an album"), "album.delete")

    async def add(self, album: UUID, ids: Sequence[str]) -> dict[str, str]:
        """Those are in the album; of the others, what the server says of each."""
        refused = await self._each("PUT", f"/albums/{album}/assets", ids, "additions to an album", "albumAsset.create")
        return {id: reason for id, reason in refused.items() if reason != DUPLICATE}

    async def take_out(self, album: UUID, ids: Sequence[str]) -> dict[str, str]:
        """Those are not in the album; of the others, what the server says of each."""
        refused = await self._each(
            "DELETE", f"/albums/{album}/assets", ids, "removals from an album", "albumAsset.delete"
        )
        return {id: reason for id, reason in refused.items() if reason != NOT_FOUND}

    async def _each(self, method: str, path: str, ids: Sequence[str], what: str, permission: str) -> dict[str, str]:
        async def call(part: Sequence[str]) -> dict[str, str]:
            ask = Ask(method, path, what, json={"ids": list(part)})
            answer = await self._told(ask, list[ItemRecord], permission)
            told = {one.id: one for one in answer}
            return {id: reason for id in part if (reason := _refusal(told.get(id))) is not None}

        refused: dict[str, str] = {}
        wanted = list(dict.fromkeys(ids))
        for begin in range(0, len(wanted), IDS_MAX):
            refused |= await by_halves(call, wanted[begin : begin + IDS_MAX])
        return refused

    # ---- the account ------------------------------------------------------------------------------------------

    async def suffixes(self) -> frozenset[str]:
        """What the server takes, in small letters, with the dot."""
        types = await self._client.told(Ask("GET", "/server/media-types", "the types of files"), MediaTypes)
        return frozenset(suffix.lower() for suffix in (*types.image, *types.video))

    async def space(self) -> Space | None:
        """The user's quota, else the server's disk; None for a key that may ask neither."""
        try:
            user = await self._client.told(Ask("GET", "/users/me", "the user's quota"), UserRecord)
            if user.quota_size_in_bytes is not None:
                free = max(0, user.quota_size_in_bytes - (user.quota_usage_in_bytes or 0))
                return Space(user.quota_size_in_bytes, free)
            disk = await self._client.told(Ask("GET", "/server/storage", "the server's disk"), StorageRecord)
        except AccessDenied:
            if self._client.http.denied is not None:
                raise
            return None
        return Space(disk.disk_size_raw, min(disk.disk_size_raw, disk.disk_available_raw))

    # ---- asking -----------------------------------------------------------------------------------------------

    async def _told(self, ask: Ask, type: type[T], permission: str) -> T:
        try:
            return await self._client.told(ask, type)
        except (Refusal, AccessDenied) as error:
            raise self._meant(error, ask, permission) from error

    async def _changed(self, ask: Ask, permission: str) -> None:
        try:
            await self._client.answer(replace(ask, expected=ask.expected | NO_CONTENT))
        except (Refusal, AccessDenied) as error:
            raise self._meant(error, ask, permission) from error

    def _meant(self, error: Refusal | AccessDenied, ask: Ask, permission: str) -> ProviderError | Forbidden:
        if isinstance(error, AccessDenied):
            is_known = self._client.http.denied is None and MISSING in str(error)
            return Forbidden(told_lack(self._name, [permission], ask.what)) if is_known else error
        return meaning(self._name, ask.what, error)


def meaning(account: str, what: str, refusal: Refusal) -> ProviderError:
    """What a refusal of a change says; `refusal` where it says nothing but that it could not be asked."""
    if refusal.status == 413:
        return Rejected(f"{account}: {what}: the proxy in front of Immich refuses bodies of this size (413)")
    if refusal.status not in (400, 409, 415, 422):
        return refusal
    if "uota" in refusal.told:
        return OverQuota(f"{account}: {refusal.told}")
    return Rejected(f"{account}: {what}: {refusal.told or refusal.status}")


async def by_halves(call: Callable[[Sequence[str]], Awaitable[dict[str, str]]], ids: Sequence[str]) -> dict[str, str]:
    """What `call` says of all of them; what it rejects whole is asked again by halves, so that one that spoils it is
    found. Errors: as of `call`, but for Rejected."""
    refused: dict[str, str] = {}
    waiting = [ids] if ids else []
    while waiting:
        part = waiting.pop()
        try:
            refused |= await call(part)
        except Rejected as error:
            if len(part) == 1:
                refused[part[0]] = str(error)
                continue
            half = len(part) // 2
            waiting += [part[half:], part[:half]]
    return refused


def _refusal(record: ItemRecord | None) -> str | None:
    """None: it worked."""
    if record is None:
        return "the server said nothing of it"
    return None if record.success else record.error or "the server refused it"
