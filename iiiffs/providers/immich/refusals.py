"""What Immich says of single ones among many, for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iiiffs.errors import AssetGone
from iiiffs.model.gallery import AssetId
from iiiffs.providers.immich.listings import uuid_of

REFUSALS = {
    "no_permission": "it is not yours, or not there any more",
    "not_found": "it is not there any more",
}


def sorted_out(assets: Sequence[AssetId]) -> tuple[list[str], dict[AssetId, str]]:
    """Those that Immich can be asked about, and why the others cannot be: one of these would spoil a whole call."""
    wanted, refused = [], dict[AssetId, str]()
    for asset in assets:
        try:
            wanted.append(str(uuid_of(asset)))
        except AssetGone as error:
            refused[asset] = str(error)
    return wanted, refused


def told(refused: Mapping[str, str]) -> dict[AssetId, str]:
    """What the server said of each, in words."""
    return {AssetId(id): REFUSALS.get(reason, reason) for id, reason in refused.items()}
