"""An account of an Immich server that can be written to. Rule: providers.writing.HasWriting; research immich.md §4, §5.

What is the case where: uploads.py has the bytes, replacing.py what takes another's place, album_changes.py the albums,
change_calls.py the server's words. Nothing that was there is ever deleted for good.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import trio

from iiiffs.errors import AssetGone, Forbidden, Rejected, VersionChanged
from iiiffs.model.changes import Changeset
from iiiffs.model.description import Description
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId, Facts
from iiiffs.model.writing import Edit, Payload, Replaced, Space
from iiiffs.providers.base import Capabilities, ProviderContext
from iiiffs.providers.http import HttpAccount
from iiiffs.providers.immich.album_changes import AlbumChanges
from iiiffs.providers.immich.change_calls import ChangeCalls
from iiiffs.providers.immich.describing import Describing
from iiiffs.providers.immich.listings import uuid_of
from iiiffs.providers.immich.marking import Marking
from iiiffs.providers.immich.permissions import offered
from iiiffs.providers.immich.provider import POLL_S, ImmichProvider
from iiiffs.providers.immich.public import LinkAddress
from iiiffs.providers.immich.replacing import Replacement, Replacing
from iiiffs.providers.immich.uploads import Uploads
from iiiffs.providers.immich.wire import AssetRecord, WholeAsset, ahead_min, album_of, asset_of, moment_text, version_of
from iiiffs.providers.views import LIBRARY, Mark, Named


class WritableImmichProvider(ImmichProvider):
    """All of the provider. Of `capabilities.writing` the key's permissions are left, since the last login."""

    def __init__(
        self, context: ProviderContext, http: HttpAccount, poll_s: float = POLL_S, link: LinkAddress | None = None
    ) -> None:
        super().__init__(context, http, poll_s, link)
        self._calls = ChangeCalls(self._client)
        self._uploads = Uploads(self._client, self._calls)
        self._albums = AlbumChanges(self._client, self._calls, self._listings)
        self._replacing = Replacing(
            self._client,
            self._calls,
            self._uploads,
            context.read_headers,
            self._facts_in_file,
            self._listings.unfinished,
        )
        self._marking = Marking(self._client, self._calls)
        self._describing = Describing(self._client, self._calls)
        self._offer()

    def _offer(self) -> None:
        held = None if self._client.key is None else self._client.key.permissions
        self._writing = offered(held, self._uploads.suffixes)

    @property
    def capabilities(self) -> Capabilities:
        """Rule: Provider.capabilities."""
        return dataclasses.replace(self._capabilities, writing=self._writing)

    @property
    def upload_progress(self) -> Mapping[str, int]:
        """Token of each payload that is being sent -> how many of its bytes were."""
        return self._uploads.progress

    async def authenticate(self) -> None:
        """Rule: Provider.authenticate. What may be written is known afterwards."""
        await super().authenticate()
        self._uploads.suffixes = await self._calls.suffixes()
        self._offer()

    async def watch(
        self, report: Callable[[Changeset], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Rule: Provider.watch."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._albums.tidy)
            await super().watch(report, task_status=task_status)

    # ---- bytes ------------------------------------------------------------------------------------------------

    async def upload(self, album: AlbumId, name: str, payload: Payload) -> Asset:
        """Rule: HasWriting.upload. `album` may be LIBRARY: then it is in no album."""
        return (await self.upload_with_sidecar(album, name, payload))[0]

    async def upload_with_sidecar(self, album: AlbumId, name: str, payload: Payload) -> tuple[Asset, bool]:
        """Rule: HasWriting.upload_with_sidecar."""
        self._uploads.must_be_taken(name, payload)
        if album != LIBRARY:
            await self._albums.must_take(album)
        known = await self._uploads.known(payload)
        arrived = await self._uploads.arrive(payload, name, known.get(payload.sha1))
        id = AssetId(arrived.record.id)
        if payload.earlier:
            await self._replacing.clear(Replacement(uuid_of(id)), payload, known)
        if album != LIBRARY and (refused := await self._albums.add(album, [id])):
            raise Forbidden(f"{self.http.name}: {name!a} cannot be put into the album: {refused[id]}")
        self._changed(id)
        return self._told(arrived.record, album), arrived.is_new

    async def describe(self, asset: AssetId, said: Description, tags: Sequence[str]) -> None:
        """Rule: HasWriting.describe. Of what Immich reads of sidecars: description, rating, date, place and tags."""
        record = await self._client.whole(uuid_of(asset))
        try:
            await self._describing.tell(record, said, tags)
        except AssetGone:
            await self._must_be_gone(asset, "describes it")
            raise
        self._changed(asset)

    async def replace(self, asset: Asset, payload: Payload) -> Replaced:
        """Rule: HasWriting.replace."""
        return await self._replaced(asset, await self._replacing.replace(asset, payload))

    async def _replaced(self, asset: Asset, done: Replacement) -> Replaced:
        self._changed(str(done.id), *done.replaced)
        album = asset.album if asset.album != LIBRARY else self._listings.home(asset.id) or LIBRARY
        record = await self._client.asset(done.id)
        return Replaced(self._told(record, album), tuple(done.not_carried))

    async def replace_beside(self, asset: Asset, payload: Payload, stays: Mapping[AlbumId, bool]) -> Replaced:
        """Rule: HasWriting.replace_beside."""
        done = await self._replacing.replace(asset, payload, stays)
        return await self._replaced(asset, done)

    def _told(self, record: AssetRecord, album: AlbumId) -> Asset:
        """The asset, which is remembered as a member of that, for no listing has had it yet."""
        self._listings.tell([record], None if album == LIBRARY else album)
        return asset_of(record, album)

    async def _facts_in_file(self, record: WholeAsset) -> Facts:
        return await self._read_facts(asset_of(record, LIBRARY))

    # ---- albums -----------------------------------------------------------------------------------------------

    async def make_album(self, parent: AlbumId, title: str, token: str) -> Album:
        """Rule: HasWriting.make_album."""
        return album_of(await self._albums.make(parent, title, token))

    async def rename_album(self, album: AlbumId, parent: AlbumId, title: str) -> Album:
        """Rule: HasWriting.rename_album."""
        return album_of(await self._albums.rename(album, parent, title))

    async def remove_album(self, album: AlbumId) -> None:
        """Rule: HasWriting.remove_album. Looks right before; what somebody puts in at that very moment stays in the
        library. Errors: Forbidden for who is not its owner."""
        await self._albums.remove(album)

    async def add(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.add."""
        return await self._albums.add(album, assets)

    async def take_out(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.take_out. Of another's album, an editor takes out what is his own."""
        return await self._albums.take_out(album, assets)

    # ---- assets -----------------------------------------------------------------------------------------------

    async def move(self, asset: Asset, album: AlbumId, name: str, over: Asset | None = None) -> Asset:
        """Never. Errors: Rejected."""
        raise Rejected(f"{self.http.name}: Immich keeps no folders; albums take pictures in and out")

    async def link(self, asset: Asset, album: AlbumId, name: str) -> Asset:
        """Never. Errors: Rejected."""
        raise Rejected(f"{self.http.name}: Immich keeps no folders; albums take pictures in and out")

    async def remove(self, asset: Asset) -> None:
        """Rule: HasWriting.remove. Errors: Forbidden for others' assets, external libraries, a server without trash."""
        try:
            id = uuid_of(asset.id)
            record = await self._client.whole(id)
        except AssetGone:
            return
        if record.is_trashed:
            return
        if version_of(record) != asset.version:
            raise VersionChanged(f"{self.http.name}: {asset.name!a} is in another version now")
        await self._replacing.must_be_own(record, "removed")
        try:
            await self._calls.trash(id)
        except AssetGone:
            await self._must_be_gone(asset.id, "removes it")
        self._changed(asset.id)

    async def tag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.tag."""
        return await self._marking.tag(mark, assets)

    async def untag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.untag."""
        return await self._marking.untag(mark, assets)

    async def make_tag(self, name: str) -> Named:
        """Rule: HasWriting.make_tag."""
        return await self._marking.make(name)

    async def restore(self, asset: AssetId) -> Asset:
        """Rule: HasWriting.restore."""
        id = uuid_of(asset)
        try:
            await self._calls.restore(id)
        except AssetGone:
            await self._must_be_gone(asset, "restores it")
            raise
        self._changed(asset)
        return await self.asset(asset)

    async def edit(self, asset: AssetId, edit: Edit) -> Asset:
        """Rule: HasWriting.edit. The date is when it was taken, in the zone that it has; the file's own time, which
        `mtime_ns` shows, can be changed by nobody."""
        if missing := edit.properties - self._writing.properties:
            names = ", ".join(sorted(missing))
            raise Rejected(f"{self.http.name}: the key lacks asset.update, and so {names} cannot be changed")
        record = await self._present(asset, in_trash=False)
        if fields := _fields(edit, record):
            try:
                await self._calls.update(uuid_of(asset), fields)
            except AssetGone:
                await self._must_be_gone(asset, "describes it")
                raise
        self._changed(asset)
        return await self.asset(asset)

    async def _must_be_gone(self, asset: AssetId, deed: str) -> None:
        """The server says alike that an asset is not there and that it is not the user's. Errors: Forbidden."""
        try:
            record = await self._client.whole(uuid_of(asset))
        except AssetGone:
            return
        raise Forbidden(f"{self.http.name}: only who owns {record.original_file_name!a} {deed}")

    async def space(self) -> Space | None:
        """Rule: HasWriting.space. The user's quota, else the server's disk."""
        return await self._calls.space()

    def _changed(self, *assets: str) -> None:
        """What is remembered of albums that hold these is asked anew."""
        self._listings.forget_holding(assets)


def _fields(edit: Edit, record: AssetRecord) -> dict[str, object]:
    """The edit as PUT /assets/{id} wants it."""
    fields: dict[str, object] = {}
    if edit.description is not None:
        fields["description"] = edit.description
    if edit.favorite is not None:
        fields["isFavorite"] = edit.favorite
    if edit.rating is not None:
        fields["rating"] = edit.rating or None
    if edit.mtime_ns is not None:
        fields["dateTimeOriginal"] = moment_text(edit.mtime_ns // 1_000_000, ahead_min(record))
    return fields
