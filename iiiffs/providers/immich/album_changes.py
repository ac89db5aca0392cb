"""Albums made, renamed, removed, filled and emptied. Rule: research immich.md §5.

Immich knows no token by which an album would be made once only, and titles may be equal. So a new album's description
is a mark with the token until the album is used: whoever asks for it again finds it by that, and never takes an album
of equal title, somebody else's or the user's own, for it.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

import trio

from iiiffs.errors import AssetGone, Forbidden, IiiffsError, NotEmpty, ProviderError, Rejected
from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.providers.gathering import Gathering
from iiiffs.providers.immich.change_calls import ChangeCalls
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.listings import Listings, uuid_of
from iiiffs.providers.immich.refusals import sorted_out, told
from iiiffs.providers.immich.wire import AlbumRecord, time_ms
from iiiffs.providers.views import ALBUMS

log = logging.getLogger(__name__)

MARK = re.compile(r"made by iiiffs \([a-z0-9-]{1,30}\)")
UNUSED_S = 60.0
"""So long after it was made, who made it has noted that: then the mark goes from an album that nobody uses."""
OLD_S = 3600.0
"""The mark of an album that another run of iiiffs left is taken off when this old."""
TIDY_S = 30.0
SEEN_S = 10.0
"""An album that was there so lately is not asked for before each of many uploads into it."""
SEEN_MAX = 1000


class AlbumChanges:
    """Of one account."""

    def __init__(self, client: ImmichClient, calls: ChangeCalls, listings: Listings) -> None:
        self._client = client
        self._calls = calls
        self._listings = listings
        self._making = trio.Lock()
        self._made: dict[str, str] = {}
        """Token -> id of the album, of this run."""
        self._marked: dict[str, float] = {}
        """Id of an album that has its mark still -> when it was made, of trio's clock."""
        self._seen: dict[AlbumId, float] = {}
        self._looking = trio.Lock()
        self._adding: dict[UUID, Gathering[str, str]] = {}
        """Of each album into which something is being put."""

    # ---- albums themselves ------------------------------------------------------------------------------------

    async def make(self, parent: AlbumId, title: str, token: str) -> AlbumRecord:
        """Rule: HasWriting.make_album."""
        self._must_be_top(parent)
        async with self._making:
            found = await self._made_before(token)
            if found is None:
                found = await self._calls.create_album(title, mark_of(token))
            self._made[token] = found.id
            if found.description == mark_of(token):
                self._marked.setdefault(found.id, trio.current_time())
            return found

    async def _made_before(self, token: str) -> AlbumRecord | None:
        if (id := self._made.get(token)) is not None:
            try:
                return await self._client.album(UUID(id))
            except AssetGone:
                del self._made[token]
        records = (await self._client.albums()).albums or ()
        user = await self._client.user()
        mine = (one for one in records if one.description == mark_of(token))
        return next((one for one in mine if one.role_of(user) in ("owner", None)), None)

    async def rename(self, album: AlbumId, parent: AlbumId, title: str) -> AlbumRecord:
        """Rule: HasWriting.rename_album."""
        self._must_be_top(parent)
        id = uuid_of(album)
        try:
            record = await self._calls.update_album(id, {"albumName": title})
        except AssetGone:
            raise await self._why_not(id, "renames it") from None
        await self._used(record)
        return record

    async def remove(self, album: AlbumId) -> None:
        """Rule: HasWriting.remove_album."""
        try:
            id = uuid_of(album)
            record = await self._client.album(id)
            if not self._is_owner(record, await self._client.user()):
                raise Forbidden(f"{self._client.name}: only its owner removes the album {record.album_name!a}")
            if record.asset_count or await self._holds_something(id):
                raise NotEmpty(f"{self._client.name}: there are still pictures in {record.album_name!a}")
        except AssetGone:
            return
        try:
            await self._calls.delete_album(id)
        except AssetGone:
            why = await self._why_not(id, "removes it")
            if isinstance(why, Forbidden):
                raise why from None
        self._forget(album)

    async def _holds_something(self, id: UUID) -> bool:
        """What the album's count may leave out."""
        if (await self._client.dialect()).albums_hold_assets:
            return bool((await self._client.album(id, with_assets=True)).assets)
        return bool((await self._client.search({"albumIds": [str(id)]}, size=1)).items)

    def _must_be_top(self, parent: AlbumId) -> None:
        if parent != ALBUMS:
            raise Rejected(f"{self._client.name}: Immich has no albums in albums")

    # ---- what is in them --------------------------------------------------------------------------------------

    async def must_take(self, album: AlbumId) -> None:
        """The album is there, and the user may put something into it. Errors: AssetGone, Forbidden."""
        id = uuid_of(album)
        async with self._looking:  # many uploads into an album begin at once
            if trio.current_time() - self._seen.get(album, float("-inf")) < SEEN_S:
                return
            record = await self._client.album(id)
            if record.role_of(await self._client.user()) == "viewer":
                raise Forbidden(
                    f"{self._client.name}: the album {record.album_name!a} is shared with you to look at only"
                )
            await self._used(record)
            if len(self._seen) >= SEEN_MAX:
                self._seen.clear()
            self._seen[album] = trio.current_time()

    async def add(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.add."""
        id = uuid_of(album)
        await self.must_take(album)
        wanted, refused = sorted_out(assets)
        try:
            refused |= told(await self._added(id, wanted))
        except AssetGone:
            self._forget(album)
            raise await self._why_not(id, "puts something into it") from None
        self._listings.forget_listing(album)
        return refused

    async def _added(self, album: UUID, ids: Sequence[str]) -> dict[str, str]:
        """Those are in the album; of the others, what the server says of each. Many uploads into one album are few
        calls."""
        gathering = self._adding.setdefault(album, Gathering(partial(self._calls.add, album)))
        try:
            return await gathering.ask(ids)
        finally:
            if gathering.is_idle:
                self._adding.pop(album, None)

    async def take_out(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.take_out."""
        wanted, _ = sorted_out(assets)  # what can be no asset is in no album
        try:
            id = uuid_of(album)
        except AssetGone:
            return {}
        try:
            refused = told(await self._calls.take_out(id, wanted) if wanted else {})
        except AssetGone:
            self._forget(album)
            why = await self._why_not(id, "takes something out of it")
            if isinstance(why, Forbidden):
                raise why from None
            return {}
        self._listings.forget_listing(album)
        return refused

    async def _why_not(self, id: UUID, deed: str) -> ProviderError | Forbidden:
        """The server says alike that an album is not there, and that the user may not do that."""
        try:
            record = await self._client.album(id)
        except AssetGone as error:
            return error
        return Forbidden(f"{self._client.name}: who is only a guest of the album {record.album_name!a} never {deed}")

    def _is_owner(self, record: AlbumRecord, user: str) -> bool:
        return not user or record.role_of(user) in ("owner", None)

    def _forget(self, album: AlbumId) -> None:
        self._seen.pop(album, None)
        self._marked.pop(album, None)
        self._listings.drop(album)

    # ---- marks ------------------------------------------------------------------------------------------------

    async def tidy(self) -> None:
        """For as long as it runs, marks do not stay on albums that nobody uses."""
        while True:
            await trio.sleep(TIDY_S)
            late = [id for id, made_s in self._marked.items() if trio.current_time() - made_s > UNUSED_S]
            for id in late:
                try:
                    await self._used(await self._client.album(UUID(id)))
                except AssetGone:
                    self._marked.pop(id, None)
                except IiiffsError as error:
                    log.debug("%s: a mark stays for now: %s", self._client.name, error)

    async def _used(self, record: AlbumRecord) -> None:
        """Who made the album knows that it is there: its mark goes. A mark that stays harms nobody."""
        if not MARK.fullmatch(record.description):
            self._marked.pop(record.id, None)
            return
        made_ms = time_ms(record.created_at)
        is_old = made_ms is not None and time.time() * 1000 - made_ms > OLD_S * 1000
        if record.id not in self._marked and not is_old:
            return
        try:
            await self._calls.update_album(UUID(record.id), {"description": ""})
        except IiiffsError as error:
            log.info("%s: the mark in the description of an album stays: %s", self._client.name, error)
            return
        self._marked.pop(record.id, None)


def mark_of(token: str) -> str:
    """The description of an album that was made for that token, and not used yet."""
    return f"made by iiiffs ({token})"
