"""One picture of one asset version: a page of it, if it has several. Every picture has an image service of its own.

The first page's service has the asset's id, the n-th one the id, "~" and n (DESIGN §2.7: stable, URI-safe).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from iiiffs.model.gallery import Asset, AssetId, Facts
from iiiffs.model.image import Extent
from iiiffs.sync.previews import ORIGINAL_ONLY, Sources

_PAGE = re.compile(r"(?P<asset>.+)~(?P<page>[2-9]|[1-9][0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Picture:
    """`service`: the id of its image service. `page`: from 0. `facts`: the page's, `extent` the extent in them.

    `sources`: what it is rendered from, as far as that was known when it was looked up; `vfs.previews` knows now.
    """

    asset: Asset
    service: AssetId
    page: int
    facts: Facts
    extent: Extent
    sources: Sources = ORIGINAL_ONLY


def asset_of(service: AssetId) -> tuple[AssetId, int]:
    """The asset and the page, from 0, that the service of that id shows."""
    match = _PAGE.fullmatch(service)
    return (service, 0) if match is None else (AssetId(match["asset"]), int(match["page"]) - 1)


def page_of(asset: AssetId, page: int) -> AssetId:
    """The id of the service that shows page `page`, from 0, of the asset."""
    return AssetId(f"{asset}~{page + 1}") if page else asset


def picture_of(asset: Asset, service: AssetId, facts: Facts) -> Picture | None:
    """The picture that the service shows; None if the asset is no picture, or has no such page."""
    page = asset_of(service)[1]
    if facts.extent is None or (page and page >= len(facts.pages)):
        return None
    extent = facts.pages[page] if page else facts.extent
    return Picture(asset, service, page, replace(facts, extent=extent), extent)
