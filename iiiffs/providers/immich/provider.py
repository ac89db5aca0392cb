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
from iiiffs.providers.base import Capabilities, Original, Preview, ProviderContext, PublicUrls
from iiiffs.providers.http import HttpAccount
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.cursors import Cursor, cursor_of
from iiiffs.providers.immich.library import (
    PLACES,
    Choice,
    combined,
    filters_of,
    is_counted,
    is_within,
    matches,
    smart_text,
    taken_before,
    values_of,
    visibilities_of,
)
from iiiffs.providers.immich.listings import Listings, uuid_of
from iiiffs.providers.immich.previews import Previews
from iiiffs.providers.immich.public import LinkAddress, PublicLink
from iiiffs.providers.immich.watch import AlbumWatch
from iiiffs.providers.immich.wire import AssetRecord, album_of, asset_of, displayed, time_ms, version_of
from iiiffs.providers.pieces import Pieces
from iiiffs.providers.remote import RemoteOriginal
from iiiffs.providers.views import LIBRARY, TRASH, Found, Month, Named, Page, Trash, View
from iiiffs.tree.query import Field

log = logging.getLogger(__name__)

POLL_S = 30.0
SHELVES = ("albums", "timeline", "favorites", "people", "tags", "trash", "search")


class ImmichProvider:
    """One account. Whoever makes it closes it."""

    def __init__(
        self, context: ProviderContext, http: HttpAccount, poll_s: float = POLL_S, link: LinkAddress | None = None
    ) -> None:
        self.http = http
        self._client = ImmichClient(http)
        self._listings = Listings(self._client)
        self._previews = Previews(self._client, context.read_headers)
        self._read_headers = context.read_headers
        self._poll_s = poll_s
        self._watch: AlbumWatch | None = None
        self._link = None if link is None else PublicLink(self._client, self._listings, link, poll_s)
        self._capabilities = Capabilities(
            folders=False, real_names=False, local=False, fresh_s=poll_s, watches=True, shelves=SHELVES
        )

    @property
    def capabilities(self) -> Capabilities:
        """Rule: Provider.capabilities."""
        return self._capabilities

    @property
    def trouble(self) -> str | None:
        """Rule: HasTrouble.trouble. Any answered question ends it, and `watch` asks at every poll; what a poll was not
        allowed to ask stays until a poll is."""
        return self.http.trouble or (self._watch.refused if self._watch else None)

    @property
    def traffic(self) -> Mapping[str, object]:
        """Rule: HasTraffic.traffic."""
        return self.http.gauges.numbers()

    async def authenticate(self) -> None:
        """Rule: Provider.authenticate. The stored key is read anew, and its permissions are known afterwards."""
        self.http.authorize_again()
        await self._client.check_key()
        if self._link is not None:
            await self._link.check()

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
        """Rule: Provider.asset. One question. Its album is that of the last listing that held it, whether or not that
        still does, and LIBRARY where there was none: then it may be in an album that nobody has listed."""
        record = await self._present(asset, in_trash=False)
        return asset_of(record, self._listings.home(asset) or LIBRARY)

    async def facts(self, asset: Asset) -> Facts:
        """Rule: Provider.facts. What the server says; headers are read where it says nothing that can be relied on."""
        told = self._listings.told(asset.id)
        if told is None or told.version != asset.version:
            await self._current(asset)
            told = self._listings.told(asset.id)
        facts = None if told is None else told.facts
        return facts if facts is not None else await self._read_facts(asset)

    def told_facts(self, asset: Asset) -> Facts | None:
        """Rule: HasToldFacts.told_facts."""
        told = self._listings.told(asset.id)
        return None if told is None or told.version != asset.version else told.facts

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
        return RemoteOriginal(size_bytes, _Fetching(self._client, id, size_bytes).pour)

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
        """Rule: HasPreviews.previews. Of an edited picture none, for they show the edit and not the original.

        No question where the kinds are known already and the asset was told of within a poll, as by a listing.
        """
        told = self._listings.told(asset.id)
        is_late = told is None or trio.current_time() - told.told_s > self._poll_s
        if told is None or is_late or told.version != asset.version:
            record = await self._current(asset)
            extent = None if record.is_edited else displayed(record)
        else:
            extent = told.displayed
        return await self._previews.of(asset, uuid_of(asset.id), extent)

    async def open_preview(self, asset: Asset, preview: Preview) -> Original | None:
        """Rule: HasPreviews.open_preview."""
        return await self._previews.open(uuid_of(asset.id), preview)

    async def public_urls(self, asset: Asset) -> PublicUrls | None:
        """Rule: HasPublicUrls.public_urls. With the setting `shared_link`."""
        if self._link is None or not await self._link.holds(asset):
            return None
        told = self._listings.told(asset.id)
        facts = told.facts if told and told.version == asset.version else None
        if facts is None:
            record = await self._current(asset)
            extent = None if record.is_edited else displayed(record)
        else:
            extent = facts.extent
        return self._link.urls(asset, await self._previews.reduced(asset, uuid_of(asset.id), extent))

    # ---- views of the library ---------------------------------------------------------------------------------

    async def page(self, view: View, cursor: str | None = None) -> Page:
        """Rule: HasViews.page. A cursor is one of iiiffs.providers.immich.cursors."""
        kinds = visibilities_of(view)
        here = Cursor(kinds[0]) if cursor is None else cursor_of(cursor)
        if here is None or here.kind not in kinds:
            raise NotOffered(f"{self.http.name}: {cursor!a} is no cursor of this view")
        filters = await self._filters(view)
        if filters is None:
            return Page((), None)
        asked = {**filters, "visibility": here.kind, "withExif": True}
        if (text := smart_text(view)) is not None:
            await self._needs_smart()
            part = await self._client.smart(text, asked, here.page)
            self._listings.name_people(part.items)
            more = Cursor(here.kind, here.page + 1)
        else:
            part = await self._client.search(taken_before({**asked, "order": "desc"}, here.before_ms), here.page)
            more = here.following([time_ms(one.file_created_at) for one in part.items])
        following = kinds[kinds.index(here.kind) + 1 :]
        rest = more if part.next_page else Cursor(following[0]) if following else None
        is_cut = rest is not None and rest.is_within_burst
        shown = [one for one in part.items if one.is_trashed == isinstance(view, Trash) and is_within(one, view)]
        if isinstance(view, Month) and (user := await self._client.user()):
            shown = [one for one in shown if one.owner_id == user]  # 3.x finds partners' too (§2)
        if isinstance(view, Trash):
            self._listings.tell_trash(one.id for one in shown)
            found = await self._listings.assets(shown, TRASH)
        else:
            found = await self._listings.told_assets(shown)
        return Page(found, None if rest is None else str(rest), is_cut)

    async def count(self, view: View) -> int | None:
        """Rule: HasViews.count. None for a key without asset.statistics, a month, the trash, and most searches."""
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

    async def months(self) -> Mapping[str, int]:
        """Rule: HasViews.months. One question. The user's own assets, though some settings show partners' beside."""
        return {one.time_bucket[:7]: one.count for one in await self._client.months() if one.count}

    async def people(self) -> Sequence[Named]:
        """Rule: HasViews.people. Needs person.read. Errors: AccessDenied."""
        return [Named(one.id, one.name) for one in await self._client.people()]

    async def tags(self) -> Sequence[Named]:
        """Rule: HasViews.tags. Needs tag.read. Errors: AccessDenied."""
        return [Named(one.id, one.value) for one in await self._client.tags()]

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
        self._watch = AlbumWatch(self._client, self._listings, self._poll_s)
        try:
            await self._watch.run(report, task_status)
        finally:
            self._watch = None

    async def aclose(self) -> None:
        """Rule: Provider.aclose."""
        await self.http.aclose()


class _Fetching:
    """Reads of one open original; the first tag that the server gives its bytes is that of all others."""

    def __init__(self, client: ImmichClient, id: UUID, size_bytes: int) -> None:
        self._ask = partial(client.original, id, size_bytes=size_bytes)
        self._etag: str | None = None

    async def pour(self, offset: int, pieces: Pieces) -> None:
        """Rule: remote.Pour."""
        etag = await self._ask(offset, pieces)
        if self._etag is None:
            self._etag = etag
        elif etag != self._etag:
            raise VersionChanged("the file was changed on the server while it was open")
