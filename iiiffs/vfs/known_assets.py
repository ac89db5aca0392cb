"""Assets of an account as listings and questions told them last: found by id without a question, also offline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from iiiffs.model.gallery import Asset, AssetId, Listing
from iiiffs.vfs.shelves import is_counted, is_month

ASSETS_KEPT = 120_000
MONTH = 1 << 16
"""More than there are albums that hold one asset."""


@dataclass(frozen=True, slots=True)
class Known:
    """`asked_s`: when the question began that was answered with it; -inf if it must be asked again."""

    asset: Asset
    asked_s: float


class KnownAssets:
    """Of one account. Between two awaits its tables are whole. One entry an asset each: there may be 100,000."""

    def __init__(self) -> None:
        self._assets: dict[AssetId, Known] = {}
        """What was told longest ago is first."""
        self._links: dict[AssetId, int] = {}
        """The number of names, those in months as many times MONTH."""
        self.expired_s = float("-inf")
        """What was asked before this must be asked again."""

    def __len__(self) -> int:
        """Number of assets."""
        return len(self._assets)

    def find(self, asset: AssetId) -> Known | None:
        """What was told last; None for nothing."""
        return self._assets.get(asset)

    def note(self, asset: Asset, asked_s: float) -> None:
        """It was told so; an older answer changes nothing."""
        known = self._assets.get(asset.id)
        if known is None or known.asked_s <= asked_s:
            self._assets.pop(asset.id, None)
            self._assets[asset.id] = Known(asset, asked_s)
        while len(self._assets) > ASSETS_KEPT:
            del self._assets[next(iter(self._assets))]

    def doubt(self, assets: Iterable[AssetId]) -> None:
        """They are not where they were: what was told of them must be asked again."""
        for asset in assets:
            if asset in self._assets:
                self._assets[asset] = replace(self._assets[asset], asked_s=float("-inf"))

    def forget(self, asset: AssetId) -> None:
        """It is gone."""
        self._assets.pop(asset, None)

    def listed(self, listing: Listing) -> None:
        """Its names count until it is `unlisted`."""
        self._count(listing, 1)

    def unlisted(self, listing: Listing) -> None:
        """Its names do not count any more."""
        self._count(listing, -1)

    def links(self, asset: AssetId) -> int:
        """The number of names that are listed for it, as far as is known: every one has a name on the timeline."""
        months, others = divmod(self._links.get(asset, 0), MONTH)
        return max(1, others + (months or (others > 0)))

    def _count(self, listing: Listing, names: int) -> None:
        if not is_counted(listing.album.id):
            return
        step = names * (MONTH if is_month(listing.album.id) else 1)
        for asset in listing.assets:
            links = self._links.get(asset.id, 0) + step
            if links:
                self._links[asset.id] = links
            else:
                self._links.pop(asset.id, None)
