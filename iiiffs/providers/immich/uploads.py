"""How the bytes of a file come to Immich, once however often they are sent. Rule: research immich.md §4.

The library keeps one asset of equal bytes, so what is there already is found by its sum and not sent again, whoever
brought it; out of the trash it is taken. What this file's own earlier tries made is known by a token that is stored
with the asset in the same call (`proves`): without it an asset is somebody's photo, and is never thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from iiiffs.errors import AccessDenied, AssetGone, Forbidden, ProviderUnreachable, Rejected
from iiiffs.model.writing import Payload
from iiiffs.providers.gathering import Gathering
from iiiffs.providers.immich.change_calls import ChangeCalls
from iiiffs.providers.immich.change_records import DEVICE, NOTE, CheckRecord, NoteValue
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.library import LATEST_MS
from iiiffs.providers.immich.listings import uuid_of
from iiiffs.providers.immich.permissions import SUFFIXES
from iiiffs.providers.immich.wire import SHOWN, AssetRecord, WholeAsset, sha1_of, time_text, version_of
from iiiffs.providers.multipart import opened_form

CREATED = "created"


@dataclass(frozen=True, slots=True)
class Arrived:
    """The asset that has a payload's bytes. `is_new`: it was made just now."""

    record: AssetRecord
    is_new: bool


class Uploads:
    """Of one account. `progress`: token -> bytes that have been sent, of payloads that are on their way."""

    def __init__(self, client: ImmichClient, calls: ChangeCalls) -> None:
        self._client = client
        self._calls = calls
        self._looks = Gathering(calls.check)
        self.suffixes = SUFFIXES
        """What the server takes."""
        self.progress: dict[str, int] = {}

    def must_be_taken(self, name: str, payload: Payload) -> None:
        """Immich takes such a file. Errors: Rejected."""
        if ("." + name.rpartition(".")[2].lower()) not in self.suffixes:
            raise Rejected(f"{self._client.name}: Immich takes no files like {name!a}")
        if not payload.size_bytes:
            raise Rejected(f"{self._client.name}: {name!a} is empty, and Immich takes no empty files")

    async def known(self, payload: Payload) -> dict[bytes, CheckRecord]:
        """By SHA-1, what the library has of the payload's bytes and of those sent before. One question."""
        return await self._asked_for_bytes([payload.sha1, *payload.earlier])

    async def arrive(
        self, payload: Payload, name: str, found: CheckRecord | None, fields: Mapping[str, str] | None = None
    ) -> Arrived:
        """There is an asset of these bytes, and it is not in the trash. `found`: as `known` says. `fields`: of the
        form, where it is sent.

        Errors: OverQuota; ProviderUnreachable also if other bytes arrived, which are nowhere then; Rejected for bytes
            that are there and nobody is shown.
        """
        if found is not None and found.asset_id is not None:
            return await self._present(uuid_of(found.asset_id), payload, is_new=False)
        async with opened_form(
            {**self._fields(payload, name, (await self._client.dialect()).names_devices), **(fields or {})},
            "assetData",
            payload.path,
            payload.size_bytes,
            file_name="file." + name.rpartition(".")[2].lower(),
            beside={} if payload.sidecar is None else {"sidecarData": ("file.xmp", payload.sidecar)},
        ) as form:
            self.progress[payload.token] = 0
            form.sent = lambda count: self.progress.__setitem__(payload.token, count)
            try:
                answer = await self._calls.upload(form, payload.sha1, payload.size_bytes)
            except Forbidden as error:
                raise AccessDenied(str(error)) from error
            finally:
                self.progress.pop(payload.token, None)
        return await self._present(uuid_of(answer.id), payload, is_new=answer.status == CREATED)

    def _fields(self, payload: Payload, name: str, names_devices: bool) -> dict[str, str]:
        """What goes with every upload: the device's names, which 2.x wants and shows again, and 3.x drops; there a note
        takes their place. No duration: the two versions want another (§4)."""
        mtime_ms = min((payload.mtime_ns if payload.mtime_ns > 0 else time.time_ns()) // 1_000_000, LATEST_MS)
        fields = {
            "deviceAssetId": payload.token,
            "deviceId": DEVICE,
            "fileCreatedAt": time_text(mtime_ms),
            "fileModifiedAt": time_text(mtime_ms),
            "filename": name,
        }
        if not names_devices:
            note = {"key": NOTE, "value": msgspec.to_builtins(NoteValue(payload.token))}
            fields["metadata"] = msgspec.json.encode([note]).decode()
        return fields

    async def _present(self, id: UUID, payload: Payload, *, is_new: bool) -> Arrived:
        try:
            record = await self._client.asset(id)
        except AssetGone as error:
            if is_new:
                raise
            raise Rejected(f"{self._client.name}: these bytes are in the library already, locked away") from error
        if record.visibility not in SHOWN:
            raise Rejected(
                f"{self._client.name}: these bytes are in the library already, as the moving half of a live photo, or "
                "locked away"
            )
        if sha1_of(version_of(record)) != payload.sha1:
            if is_new:
                await self._calls.purge(id)
            raise ProviderUnreachable(f"{self._client.name}: other bytes arrived than were sent; they are sent again")
        if record.is_trashed:
            await self._calls.restore(id)
            record = await self._client.asset(id)
        return Arrived(record, is_new)

    # ---- what earlier tries made ------------------------------------------------------------------------------

    async def earlier(self, payload: Payload, known: Mapping[bytes, CheckRecord]) -> list[WholeAsset]:
        """What earlier tries of this very file made, and is not in the trash. What was there before it is not."""
        found = []
        for sha1 in payload.earlier:
            check = known.get(sha1)
            if sha1 == payload.sha1 or check is None or check.is_trashed or check.asset_id is None:
                continue
            try:
                record = await self._client.whole(uuid_of(check.asset_id))
            except AssetGone:
                continue
            if not record.is_trashed and await self.proves(record, payload.token):
                found.append(record)
        return found

    async def proves(self, record: WholeAsset, token: str) -> bool:
        """True if the asset was made by an upload with that token."""
        if record.device_id == DEVICE and record.device_asset_id == token:
            return True
        return (await self._calls.note(uuid_of(record.id))).token == token

    async def _asked_for_bytes(self, sums: list[bytes]) -> dict[bytes, CheckRecord]:
        try:
            return await self._looks.ask(sums)
        except Forbidden as error:  # bytes that wait, wait on: the key may be given more
            raise AccessDenied(str(error)) from error
