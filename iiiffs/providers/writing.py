"""What a provider that can be written to must do. The docstrings are the contract; tests/contract runs them.

Optional beside Provider: `Capabilities.writing` says that it is there. Every call is whole or nothing: an error means
that nothing has changed, but for ProviderUnreachable, after which nobody knows; then the same call is made again, and
must end as if it had been made once. Nothing here is ever thrown away: what is removed or replaced lies in a trash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from iiiffs.model.description import Description
from iiiffs.model.gallery import Album, AlbumId, Asset, AssetId
from iiiffs.model.writing import Edit, Payload, Replaced, Space
from iiiffs.providers.base import Provider
from iiiffs.providers.views import Mark, Named


class HasWriting(Protocol):
    """An account that can be written to. All may raise ProviderUnreachable, AccessDenied and Rejected."""

    async def upload(self, album: AlbumId, name: str, payload: Payload) -> Asset:
        """`album` holds an asset with exactly these bytes, called `name`, once however often this is asked; that asset.

        Where names are real file names: AlreadyThere if `name` is taken by other bytes than these or `payload.earlier`;
        those of `earlier` are replaced. Where the library keeps one asset of equal bytes: that one is put into the
        album (and taken out of the trash), whatever it is called. The sum is checked where the provider tells one.
        Errors: AssetGone if the album is not there, OverQuota.
        """
        ...

    async def upload_with_sidecar(self, album: AlbumId, name: str, payload: Payload) -> tuple[Asset, bool]:
        """As `upload`; True if `payload.sidecar` is the asset's, which is read by the provider. False: the asset was
        there, and nothing is said of it. Only with `Writing.sidecars`."""
        ...

    async def describe(self, asset: AssetId, said: Description, tags: Sequence[str]) -> None:
        """What a sidecar says is said of the asset, as far as the provider keeps such things; what it does not speak of
        stays. `tags`: levels divided by "/". Only with `Writing.sidecars`. Errors: AssetGone; Forbidden for others'."""
        ...

    async def replace(self, asset: Asset, payload: Payload) -> Replaced:
        """The asset has these bytes; the asset as it is then, with another id where `Writing.replaces_id`.

        What it was lies in the trash, or in what the provider keeps of versions. What people had said of it (albums,
        favorite, description, rating, tags …) is carried over, and `Replaced.not_carried` names what could not be. If
        its bytes are these already, nothing is done.
        Errors: VersionChanged if its version is neither `asset.version` nor one with these or `payload.earlier` bytes;
        AssetGone; OverQuota.
        """
        ...

    async def replace_beside(self, asset: Asset, payload: Payload, stays: Mapping[AlbumId, bool]) -> Replaced:
        """As `replace`, but what the asset was goes on as an asset of its own, for people have copies of it by other
        names: of the albums that it is in, in those of `stays` alone. The one that takes its place is in all of them,
        but for those of `stays` that say False; it is favorite, and has the tags, and what it was neither.
        Only with `Writing.membership`."""
        ...

    async def make_album(self, parent: AlbumId, title: str, token: str) -> Album:
        """An album of that title in `parent` (views.ALBUMS where there are no folders). `token`: as Payload.token: a
        second call with it makes no second album. Errors: AlreadyThere where titles are folder names."""
        ...

    async def rename_album(self, album: AlbumId, parent: AlbumId, title: str) -> Album:
        """It has that title, and is in `parent`. Errors: AlreadyThere where titles are folder names, AssetGone."""
        ...

    async def remove_album(self, album: AlbumId) -> None:
        """The album is gone; that it is gone already is no error. Errors: NotEmpty while an asset or album is in it."""
        ...

    async def move(self, asset: Asset, album: AlbumId, name: str, over: Asset | None = None) -> Asset:
        """The asset is in `album` under `name`, with its id. Only without `Writing.membership`.

        `over`: what has that name now and gives way, to the trash. Errors: AlreadyThere if something else has the name;
        VersionChanged if `asset` or `over` is in another version; AssetGone; OtherAccount between two disks.
        """
        ...

    async def link(self, asset: Asset, album: AlbumId, name: str) -> Asset:
        """The same bytes are in `album` under `name` too, and no second copy of them is kept. Without `membership`.

        Errors: AlreadyThere, AssetGone, Rejected where the disk cannot.
        """
        ...

    async def remove(self, asset: Asset) -> None:
        """The asset is in the trash; that it is gone already is no error. Errors: VersionChanged, and then it stays."""
        ...

    async def add(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Those are in the album; the ones that could not be put in, and why. Only with `membership`. Errors: AssetGone
        if the album is gone."""
        ...

    async def take_out(self, album: AlbumId, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Those are not in the album; the ones that still are, and why. Only with `membership`. Nothing is trashed.
        Nothing is in an album that is gone."""
        ...

    async def tag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """Those have the tag, or are favorites; the ones that could not be given it, and why. OfTag only with
        `Writing.tags`, Favorites only where FAVORITE is one of `Writing.properties`. Errors: AssetGone if the tag is
        gone."""
        ...

    async def untag(self, mark: Mark, assets: Sequence[AssetId]) -> Mapping[AssetId, str]:
        """`page(mark)` does not show those any more; the ones that it still shows, and why: one that has a tag below
        this one. Only as `tag`. Nothing has a tag that is gone."""
        ...

    async def make_tag(self, name: str) -> Named:
        """A tag of that name; the one that is there already, if one is. Only with `Writing.tags`."""
        ...

    async def restore(self, asset: AssetId) -> Asset:
        """What lies in the trash is in the library again. Only where views.Trash is shown. Errors: AssetGone."""
        ...

    async def edit(self, asset: AssetId, edit: Edit) -> Asset:
        """The asset's properties are those; only ones of `Writing.properties`. Errors: AssetGone."""
        ...

    async def space(self) -> Space | None:
        """The account's room; None where nobody says."""
        ...


def writing_of(provider: Provider) -> HasWriting | None:
    """`provider`, if it can be written to."""
    return None if provider.capabilities.writing is None else cast(HasWriting, provider)
