"""An account of an Immich server as a gallery of flat albums. Rule: providers.base.Provider, HasPreviews, views."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

import trio

from iiiffs.errors import AccessDenied, AssetGone, NotOffered, VersionChanged
from iiiffs.model.changes import Changeset
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Facts, Listing
from iiiffs.providers.base import Capabilities, Original, Preview, ProviderContext
from iiiffs.providers.http import HttpAccount
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.library import (
    PLACES,
    Choice,
    combined,
    filters_of,
    is_counted,
    is_within,
    matches,
    smart_text,
    values_of,
    visibilities_of,
)
from iiiffs.providers.immich.listings import Listings, facts_in, uuid_of
from iiiffs.providers.immich.previews import Previews
from iiiffs.providers.immich.watch import AlbumWatch
from iiiffs.providers.immich.wire import AssetRecord, album_of, asset_of, displayed, version_of
from iiiffs.providers.remote import RemoteOriginal
from iiiffs.providers.views import LIBRARY, TRASH, Found, Named, Page, Trash, View
from iiiffs.tree.query import Field

log = logging.getLogger(__name__)

POLL_S = 30.0


class ImmichProvider:
    """One account. Whoever makes it closes it."""

    def __init__(self, context: ProviderContext, http: HttpAccount, poll_s: float = POLL_S) -> None:
        self.http = http
        self._client = ImmichClient(http)
        self._listings = Listings(self._client)
        self._previews = Previews(self._client, context.read_headers)
        self._read_headers = context.read_headers
        self._poll_s = poll_s
        self._capabilities = Capabilities(folders=False, real_names=False, local=False, fresh_s=poll_s, watches=True)

    @property
    def capabilities(self) -> Capabilities:
        """Rule: Provider.capabilities."""
        return self._capabilities

    async def authenticate(self) -> None:
        """Rule: Provider.authenticate. The stored key is read anew, and its permissions are known afterwards."""
        self.http.authorize_again()
        await self._client.check_key()

    async def root(self) -> Album:
        """There is none. Errors: AssetGone."""
        raise AssetGone(f"{self.http.name}: Immich has no folder of folders")

    # ---- albums -----------------------------------------------------------------------------------------------

    async def albums(self) -> Sequence[Album]:
        """Rule: HasAlbums.albums."""
        return [album_of(record) for record in (await self._client.albums()).albums or ()]

    async def album(self, album: AlbumId) -> Album:
        """Rule: Provider.album."""
        return album_of(await self._client.album(uuid_of(album)))

    async def listing(self, album: AlbumId) -> Listing:
        """Rule: Provider.listing. Archived ones are in it, halves of live photos and locked ones never."""
        return await self._listings.listing(album)

    # ---- assets -----------------------------------------------------------------------------------------------

    async def asset(self, asset: AssetId) -> Asset:
        """Rule: Provider.asset. One question, and a second whether the album of the last listing that held it still
        does. LIBRARY where none did: then it may be in an album that nobody has listed."""
        record = await self._present(asset, in_trash=False)
        told = self._listings.told(asset)
        if told is None or told.album is None:
            return asset_of(record, LIBRARY)
        holders = await self._client.albums_with(UUID(record.id))
        home = told.album if told.album in holders else AlbumId(min(holders, default=LIBRARY))
        return asset_of(record, home)

    async def facts(self, asset: Asset) -> Facts:
        """Rule: Provider.facts. What the server says; headers are read where it says nothing that can be relied on."""
        told = self._listings.told(asset.id)
        if told is None or told.version != asset.version:
            await self._current(asset)
            told = self._listings.told(asset.id)
        facts = None if told is None else facts_in(told)
        return facts if facts is not None else await self._read_facts(asset)

    async def _read_facts(self, asset: Asset) -> Facts:
        original = await self.open(asset)

        def read() -> Facts:
            with original.stream() as stream:
                return self._read_headers(stream, asset.name)

        try:
            return await trio.to_thread.run_sync(read)
        finally:
            await original.aclose()

    async def open(self, asset: Asset) -> Original:
        """Rule: Provider.open. One question; of the bytes, nothing is fetched yet."""
        record = await self._current(asset)
        id = UUID(record.id)
        size_bytes = asset.size_bytes if asset.size_bytes is not None else await self._client.length(id)
        return RemoteOriginal(size_bytes, _Fetching(self._client, id, size_bytes).fetch)

    async def motion(self, asset: Asset) -> Asset | None:
        """Rule: HasViews.motion."""
        record = await self._current(asset)
        if record.live_photo_video_id is None:
            return None
        return asset_of(await self._client.asset(uuid_of(record.live_photo_video_id)), LIBRARY)

    async def _current(self, asset: Asset) -> AssetRecord:
        """What the server says now, of exactly that version. Errors: VersionChanged, AssetGone."""
        record = await self._present(asset.id, in_trash=asset.album == TRASH)
        if version_of(record) != asset.version:
            raise VersionChanged(f"{self.http.name}: {asset.name!a} has been replaced by a newer version")
        return record

    async def _present(self, asset: AssetId, *, in_trash: bool) -> AssetRecord:
        try:
            record = await self._client.asset(uuid_of(asset))
        except AssetGone:
            self._listings.forget(asset)
            raise
        if (record.is_trashed and not in_trash) or record.visibility == "locked":
            self._listings.forget(asset)
            raise AssetGone(f"{self.http.name}: the asset is in the trash, or locked away")
        self._listings.tell([record])
        return record

    # ---- previews ---------------------------------------------------------------------------------------------

    async def previews(self, asset: Asset) -> Sequence[Preview]:
        """Rule: HasPreviews.previews. One question where the kinds are known already. Of an edited picture none, for
        they show the edit and not the original."""
        record = await self._current(asset)
        return () if record.is_edited else await self._previews.of(asset, UUID(record.id), displayed(record))

    async def open_preview(self, asset: Asset, preview: Preview) -> Original | None:
        """Rule: HasPreviews.open_preview."""
        return await self._previews.open(uuid_of(asset.id), preview)

    # ---- views of the library ---------------------------------------------------------------------------------

    async def page(self, view: View, cursor: str | None = None) -> Page:
        """Rule: HasViews.page. A cursor is "VISIBILITY:PAGE"."""
        kinds = visibilities_of(view)
        kind, _, number = (cursor or f"{kinds[0]}:1").partition(":")
        if kind not in kinds or not number.isdecimal():
            raise NotOffered(f"{self.http.name}: {cursor!a} is no cursor of this view")
        filters = await self._filters(view)
        if filters is None:
            return Page((), None)
        asked = {**filters, "visibility": kind, "withExif": True}
        if (text := smart_text(view)) is not None:
            await self._needs_smart()
            part = await self._client.smart(text, asked, int(number))
        else:
            part = await self._client.search({**asked, "order": "desc"}, int(number))
        following = kinds[kinds.index(kind) + 1 :]
        rest = f"{kind}:{part.next_page}" if part.next_page else f"{following[0]}:1" if following else None
        shown = [one for one in part.items if one.is_trashed == isinstance(view, Trash) and is_within(one, view)]
        if not isinstance(view, Trash):
            self._listings.tell(shown)
        return Page(tuple(self._found(record, view) for record in shown), rest)

    async def count(self, view: View) -> int | None:
        """Rule: HasViews.count. None for a key without asset.statistics, the trash, and most searches."""
        if not is_counted(view):
            return None
        filters = await self._filters(view)
        if filters is None:
            return 0
        try:
            counts = [await self._client.count({**filters, "visibility": kind}) for kind in visibilities_of(view)]
        except AccessDenied:
            return None
        return sum(counts)

    async def people(self) -> Sequence[Named]:
        """Rule: HasViews.people. Needs person.read. Errors: AccessDenied."""
        return [Named(one.id, one.name) for one in await self._client.people()]

    async def tags(self) -> Sequence[Named]:
        """Rule: HasViews.tags. Needs tag.read. Errors: AccessDenied."""
        return [Named(one.id, one.value) for one in await self._client.tags()]

    def _found(self, record: AssetRecord, view: View) -> Asset:
        told = self._listings.told(AssetId(record.id))
        home = told.album if told and told.album else LIBRARY
        return asset_of(record, TRASH if isinstance(view, Trash) else home)

    async def _filters(self, view: View) -> Mapping[str, object] | None:
        """As `filters_of`, with people, tags and places of a search as the server knows them; None where it knows none
        of such a name."""
        filters = dict(filters_of(view))
        if not isinstance(view, Found):
            return filters
        for field, known in ((Field.PERSON, self._person_ids), (Field.TAG, self._tag_ids), (Field.CITY, self._places)):
            for value in values_of(view.query, field):
                matching = [choice for name, choice in await known() if matches(field, value, name)]
                if not matching:
                    return None
                if len(matching) > 1 and any(choice != matching[0] for choice in matching):
                    raise NotOffered(f"{self.http.name}: several of them are called {value!a}; use the whole name")
                filters = combined(filters, matching[0])
        return filters

    async def _person_ids(self) -> list[Choice]:
        return [(one.name, {"personIds": [one.id]}) for one in await self.people()]

    async def _tag_ids(self) -> list[Choice]:
        return [(one.name, {"tagIds": [one.id]}) for one in await self.tags()]

    async def _places(self) -> list[Choice]:
        return [(name, {kind: name}) for kind in PLACES for name in await self._client.suggestions(kind)]

    async def _needs_smart(self) -> None:
        if not (await self._client.features()).smart_search:
            raise NotOffered(f"{self.http.name}: this server has no search by content")

    # ---- its life ---------------------------------------------------------------------------------------------

    async def watch(
        self, report: Callable[[Changeset], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Rule: Provider.watch. How: iiiffs.providers.immich.watch."""
        await AlbumWatch(self._client, self._poll_s).run(report, task_status)

    async def aclose(self) -> None:
        """Rule: Provider.aclose."""
        await self.http.aclose()


class _Fetching:
    """Reads of one open original; the first tag that the server gives its bytes is that of all others."""

    def __init__(self, client: ImmichClient, id: UUID, size_bytes: int) -> None:
        self._ask = partial(client.original, id, size_bytes=size_bytes)
        self._etag: str | None = None

    async def fetch(self, offset: int, length: int) -> bytes:
        """Rule: remote.Fetch."""
        part = await self._ask(offset, length)
        if self._etag is None:
            self._etag = part.etag
        elif part.etag != self._etag:
            raise VersionChanged("the file was changed on the server while it was open")
        return part.data
