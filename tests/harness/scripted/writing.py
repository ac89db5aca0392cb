"""Provider "scripted", written to. Rule: providers.writing.HasWriting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import BinaryIO, TypeVar

import trio

from iiiffs.errors import ProviderUnreachable, Rejected, StoreError
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId
from iiiffs.model.writing import Edit, Payload, Property, Replaced, Space
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.views import Favorites, Mark, Named
from tests.harness.scripted.folders import Folders
from tests.harness.scripted.membership import Membership
from tests.harness.scripted.ordeals import Ordeal
from tests.harness.scripted.provider import ScriptedProvider, Settings, about
from tests.harness.scripted.records import Arriving, Blob, Flavour
from tests.harness.scripted.script import FaultKind
from tests.harness.scripted.tagging import Tagging
from tests.harness.scripted.verbs import Verbs

T = TypeVar("T")
PIECE_BYTES = 1 << 20
PIECES_PER_S = 20
"""Of a slow upload, so that a kill finds it in the middle."""


class WritableProvider(ScriptedProvider):
    """All of the provider."""

    def __init__(self, context: ProviderContext, settings: Settings) -> None:
        super().__init__(context, settings)
        self._verbs: Verbs = verbs_of(self._index.flavour)(self._answers)
        self._tagging = Tagging(self._answers)

    # ---- bytes ------------------------------------------------------------------------------------------------

    async def upload(self, album: AlbumId, name: str, payload: Payload) -> Asset:
        """Rule: HasWriting.upload."""
        verb = partial(self._verbs.upload, album, name, payload)
        first = partial(self._verbs.keep, album, name, payload)
        return await self._send("upload", f"{payload.token} {album} {_shown(name)}", payload, verb, first)

    async def replace(self, asset: Asset, payload: Payload) -> Replaced:
        """Rule: HasWriting.replace."""
        verb = partial(self._verbs.replace, asset, payload)
        first = partial(self._verbs.keep, None, asset.name, payload)
        return await self._send("replace", f"{payload.token} {about(asset)}", payload, verb, first)

    async def replace_beside(self, asset: Asset, payload: Payload, stays: Mapping[AlbumId, bool]) -> Replaced:
        """Rule: HasWriting.replace_beside. In the script it is a "replace"."""
        verb = partial(self._sets().replace, asset, payload, stays=stays)
        first = partial(self._verbs.keep, None, asset.name, payload)
        return await self._send("replace", f"{payload.token} {about(asset)}", payload, verb, first)

    async def _send(
        self,
        method: str,
        told: str,
        payload: Payload,
        verb: Callable[[Blob], T],
        first: Callable[[Blob], object],
    ) -> T:
        async def work(ordeal: Ordeal) -> T:
            blob = await self._arrive(payload, ordeal)
            if blob.sha1 != payload.sha1:
                await self._ordeals.run(lambda: self._store_and_discard(first, blob))
                raise ProviderUnreachable(f"{method}: the server got other bytes than were sent; it dropped them")
            if ordeal.fault(FaultKind.HALF):
                await self._ordeals.run(lambda: first(blob))
                raise ProviderUnreachable(f"{method}: the connection broke half-way")
            return await self._ordeals.run(lambda: verb(blob))

        return await self._ordeals.through(method, told, work)

    async def _arrive(self, payload: Payload, ordeal: Ordeal) -> Blob:
        """The payload's bytes, at the server."""
        cut = ordeal.fault(FaultKind.TRUNCATED)
        left = payload.size_bytes - (cut.cut_bytes if cut else 0)
        slow = ordeal.fault(FaultKind.SLOW)
        piece_bytes = max(1, int(slow.bytes_per_s / PIECES_PER_S)) if slow else PIECE_BYTES
        arriving = self._blobs.arriving()
        try:
            with payload.path.open("rb") as file:
                while left > 0 and (
                    got := await self._ordeals.run(partial(_pass, file, arriving, min(left, piece_bytes)))
                ):
                    left -= got
                    if slow:
                        await trio.sleep(got / slow.bytes_per_s)
            return arriving.finish()
        except OSError as error:
            raise StoreError(f"the payload of {payload.token} cannot be read: {error.strerror}") from error
        finally:
            arriving.discard()

    def _store_and_discard(self, first: Callable[[Blob], object], blob: Blob) -> None:
        """What a server that checks no sum does with torn bytes: it keeps them as an asset. Then the provider, which
        is told another sum than it sent, deletes that asset, if it was not there before."""
        last = max((stored.number for stored in self._index.assets()), default=0)
        first(blob)
        number, _ = self.script.begin("discard", blob.sha1.hex())
        for stored in self._index.assets("sha1 = ? AND number > ?", blob.sha1, last):
            self._verbs.purge(stored)
        self.script.end(number, "answered")

    # ---- albums -----------------------------------------------------------------------------------------------

    async def make_album(self, parent: AlbumId, title: str, token: str) -> Album:
        """Rule: HasWriting.make_album."""
        told = f"{token} {parent} {_shown(title)}"
        return await self._ask("make_album", told, partial(self._verbs.make_album, parent, title, token))

    async def rename_album(self, album: AlbumId, parent: AlbumId, title: str) -> Album:
        """Rule: HasWriting.rename_album."""
        told = f"{album} {parent} {_shown(title)}"
        return await self._ask("rename_album", told, partial(self._verbs.rename_album, album, parent, title))

    async def remove_album(self, album: AlbumId) -> None:
        """Rule: HasWriting.remove_album."""
        await self._ask("remove_album", album, partial(self._verbs.remove_album, album))

    async def add(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.add."""
        return await self._of_many("add", album, assets, partial(self._sets().add, album))

    async def take_out(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.take_out."""
        return await self._of_many("take_out", album, assets, partial(self._sets().take_out, album))

    async def tag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.tag."""
        self._may_mark(mark)
        return await self._of_many("tag", repr(mark), assets, partial(self._tagging.tag, mark))

    async def untag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Rule: HasWriting.untag."""
        self._may_mark(mark)
        return await self._of_many("untag", repr(mark), assets, partial(self._tagging.untag, mark))

    async def make_tag(self, name: str) -> Named:
        """Rule: HasWriting.make_tag."""
        self._may_mark(None)
        return await self._ask("make_tag", _shown(name), partial(self._tagging.make, name))

    def _may_mark(self, mark: Mark | None) -> None:
        """Errors: Rejected where there are none. None: any tag."""
        writing = self.capabilities.writing
        assert writing is not None
        if not (Property.FAVORITE in writing.properties if isinstance(mark, Favorites) else writing.tags):
            raise Rejected("it keeps no tags")

    async def _of_many(
        self, method: str, told: str, assets: Sequence[AssetId], verb: Callable[..., Mapping[AssetId, str]]
    ) -> Mapping[AssetId, str]:
        """`verb` of the assets, and of those that are to be refused."""

        async def work(ordeal: Ordeal) -> Mapping[AssetId, str]:
            failing = ordeal.fault(FaultKind.ITEMS)
            refused = [] if failing is None else [id for id in assets if not failing.items or id in failing.items]
            return await self._ordeals.run(lambda: verb(assets, refused))

        return await self._ordeals.through(method, " ".join([told, *assets]), work)

    # ---- assets -----------------------------------------------------------------------------------------------

    async def move(self, asset: Asset, album: AlbumId, name: str, over: Asset | None = None) -> Asset:
        """Rule: HasWriting.move."""
        told = f"{about(asset)} {album} {_shown(name)}"
        return await self._ask("move", told, lambda: self._folders().move(asset, album, name, over))

    async def link(self, asset: Asset, album: AlbumId, name: str) -> Asset:
        """Rule: HasWriting.link."""
        told = f"{about(asset)} {album} {_shown(name)}"
        return await self._ask("link", told, lambda: self._folders().link(asset, album, name))

    async def remove(self, asset: Asset) -> None:
        """Rule: HasWriting.remove."""
        await self._ask("remove", about(asset), partial(self._verbs.remove, asset))

    async def restore(self, asset: AssetId) -> Asset:
        """Rule: HasWriting.restore."""
        return await self._ask("restore", asset, partial(self._verbs.restore, asset))

    async def edit(self, asset: AssetId, edit: Edit) -> Asset:
        """Rule: HasWriting.edit. Errors: Rejected for what cannot be changed."""
        writing = self.capabilities.writing
        assert writing is not None
        if not edit.properties <= writing.properties:
            raise Rejected(f"it has no {', '.join(sorted(edit.properties - writing.properties))} that could be changed")
        return await self._ask("edit", asset, partial(self._verbs.edit, asset, edit))

    async def space(self) -> Space | None:
        """Rule: HasWriting.space."""
        return await self._ask("space", "", self._verbs.space)

    def _sets(self) -> Membership:
        if not isinstance(self._verbs, Membership):
            raise Rejected("an asset is in one folder")
        return self._verbs

    def _folders(self) -> Folders:
        if not isinstance(self._verbs, Folders):
            raise Rejected("albums hold no files")
        return self._verbs


def verbs_of(flavour: Flavour) -> type[Verbs]:
    """The verbs of a flavour."""
    return Folders if flavour is Flavour.FOLDER else Membership


def _pass(file: BinaryIO, arriving: Arriving, length: int) -> int:
    """So many bytes more have arrived; how many there were, 0 at the end."""
    data = file.read(length)
    arriving.write(data)
    return len(data)


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
