"""What a sidecar says of a picture that the server has already, told in the server's own words.

An upload takes its sidecar along, and no call of Immich brings one later (POST /assets alone knows `sidecarData`; equal
bytes are not taken twice). So what Immich reads of a sidecar is said by its other calls: description, rating, date and
place by PUT /assets/{id}, keywords as tags. Rule: research immich.md §4, §5.
"""

from __future__ import annotations

from collections.abc import Sequence

from iiiffs.errors import Rejected
from iiiffs.model.description import Description, Words
from iiiffs.providers.immich.change_calls import ChangeCalls
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.dialect import lacking
from iiiffs.providers.immich.listings import uuid_of
from iiiffs.providers.immich.permissions import DESCRIBE, TAG, told_lack
from iiiffs.providers.immich.wire import ExifRecord, WholeAsset, ahead_min, moment_text, time_ms

NEAR_DEGREES = 1e-6
"""A tenth of a metre: the same place, written otherwise."""


class Describing:
    """Of one account."""

    def __init__(self, client: ImmichClient, calls: ChangeCalls) -> None:
        self._client = client
        self._calls = calls

    async def tell(self, record: WholeAsset, said: Description, tags: Sequence[str]) -> None:
        """The asset has all of that; what it has already is not told again. Errors: Rejected if the key may not say all
        of it: then nothing is said."""
        id, fields = uuid_of(record.id), described(record, said)
        have = {tag.value for tag in record.tags}
        new = [tag for tag in dict.fromkeys(tags) if tag not in have]
        self._must_be_allowed([*(DESCRIBE if fields else ()), *(TAG if new else ())])
        if fields:
            await self._calls.update(id, fields)
        if new:
            made = await self._calls.make_tags(new)
            await self._calls.tag(id, sorted({tag.id for tag in made if tag.value in new}))

    def _must_be_allowed(self, needed: Sequence[str]) -> None:
        key = self._client.key
        if key is not None and (missing := lacking(key.permissions, needed)):
            raise Rejected(told_lack(self._client.name, missing, "telling what a sidecar says"))


def described(record: WholeAsset, said: Description) -> dict[str, object]:
    """What of it the asset does not say yet, as PUT /assets/{id} wants it."""
    has = record.exif_info or ExifRecord()
    fields: dict[str, object] = {}
    text = plain(said.summary)
    if text and text != has.description:
        fields["description"] = text
    if said.rating and said.rating != has.rating:  # 0 is "unrated", of which most programs write one always
        fields["rating"] = said.rating
    if said.captured is not None:
        told = _with_zone(said.captured, record)
        if time_ms(told) != time_ms(has.date_time_original):
            fields["dateTimeOriginal"] = told
    if said.position is not None and not _is_at(has, said.position):
        fields |= {"latitude": said.position[0], "longitude": said.position[1]}
    return fields


def plain(words: Words) -> str:
    """In the language that nobody named, else in the first."""
    return dict(words).get("", words[0][1] if words else "")


def _with_zone(captured: str, record: WholeAsset) -> str:
    """A wall clock without a zone is that of the asset."""
    if captured.endswith("Z") or captured[-6] in "+-":
        return captured
    wall_ms = time_ms(captured)
    ahead = ahead_min(record)
    return captured if wall_ms is None else moment_text(wall_ms - ahead * 60_000, ahead)


def _is_at(has: ExifRecord, position: tuple[float, float]) -> bool:
    if has.latitude is None or has.longitude is None:
        return False
    return max(abs(has.latitude - position[0]), abs(has.longitude - position[1])) < NEAR_DEGREES
