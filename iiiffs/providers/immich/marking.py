"""Tags and favorites of many assets. Rule: research immich.md §5; each refusal is one asset's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iiiffs.errors import AccessDenied, AssetGone, Rejected
from iiiffs.model.gallery import AssetId
from iiiffs.providers.immich.change_calls import ChangeCalls, by_halves
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.listings import uuid_of
from iiiffs.providers.immich.refusals import sorted_out, told
from iiiffs.providers.views import Favorites, Mark, Named, OfTag


class Marking:
    """Of one account."""

    def __init__(self, client: ImmichClient, calls: ChangeCalls) -> None:
        self._client = client
        self._calls = calls

    async def tag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.tag."""
        wanted, refused = sorted_out(assets)
        if isinstance(mark, Favorites):
            return refused | told(await self._liked(wanted, is_favorite=True))
        id = uuid_of(mark.id)
        return refused | told(await self._calls.set_tag(id, wanted) if wanted else {})

    async def untag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.untag. What can be no asset, or is none of the user's, is not shown there."""
        wanted, _ = sorted_out(assets)
        if isinstance(mark, Favorites):
            await self._liked(wanted, is_favorite=False)
            return {}
        try:
            refused = told(await self._calls.unset_tag(uuid_of(mark.id), wanted) if wanted else {})
        except AssetGone:
            return {}
        return refused | await self._tagged_below(mark, [id for id in wanted if AssetId(id) not in refused])

    async def _liked(self, ids: Sequence[str], *, is_favorite: bool) -> dict[str, str]:
        """One bad id makes the whole call fail, so it is looked for by halves."""

        async def call(part: Sequence[str]) -> dict[str, str]:
            try:
                await self._calls.update_many(part, {"isFavorite": is_favorite})
            except AssetGone as error:
                raise Rejected("it is not yours, or not there any more") from error
            return {}

        return await by_halves(call, list(dict.fromkeys(ids)))

    async def _tagged_below(self, mark: OfTag, ids: Sequence[str]) -> dict[AssetId, str]:
        """Those that a tag shows for the sake of one below it."""
        try:
            known = {tag.id: tag.value for tag in await self._client.tags()}
        except AccessDenied:
            if self._client.http.denied is not None:
                raise
            return {}
        above = known.get(mark.id)
        below = {id: value for id, value in known.items() if above is not None and value.startswith(f"{above}/")}
        found = {}
        for id in ids if below else ():
            try:
                record = await self._client.whole(uuid_of(id))
            except AssetGone:
                continue
            if names := sorted(below[tag.id] for tag in record.tags if tag.id in below):
                found[AssetId(id)] = f"it has the tag {names[0]!a} below this one: take that away"
        return found

    async def make(self, name: str) -> Named:
        """Rule: HasWriting.make_tag."""
        if not name:
            raise Rejected(f"{self._client.name}: a tag has a name")
        made = await self._calls.make_tag(name)
        return Named(made.id, made.value)
