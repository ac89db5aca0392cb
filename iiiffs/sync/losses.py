"""When a listing has lost so much that it is asked for a second time before anything is dropped. Pure.

Rule: DESIGN §2.10: "A listing that lost more than 20 % of an album is confirmed by a second question".
"""

from __future__ import annotations

from collections.abc import Set

from iiiffs.model.gallery import Listing

ENTRIES_MIN = 5
"""Whoever deletes the only picture of an album, or two of four, need not wait for a second look."""

LOSS_PERCENT_MAX = 20


def needs_confirmation(before: Listing, after: Listing) -> bool:
    """True if more than 20 % of `before`'s assets are not in `after`, or of its albums; of 5 at least in either case.

    A replaced or renamed asset is no loss: ids are compared.
    """
    return _lost_many(_assets(before), _assets(after)) or _lost_many(_albums(before), _albums(after))


def confirmed(first: Listing, second: Listing) -> bool:
    """True if `second`, asked for later, bears out what `first` lost: nothing is in it that `first` had not.

    It may have lost a little more, as it does while somebody deletes; a second mass loss confirms nothing. False may
    also mean that something new came meanwhile: ask once more.
    """
    came_back = _assets(second) - _assets(first) or _albums(second) - _albums(first)
    return not came_back and not needs_confirmation(first, second)


def _lost_many(before: Set[str], after: Set[str]) -> bool:
    return len(before) >= ENTRIES_MIN and len(before - after) * 100 > len(before) * LOSS_PERCENT_MAX


def _assets(listing: Listing) -> Set[str]:
    return {asset.id for asset in listing.assets}


def _albums(listing: Listing) -> Set[str]:
    return {album.id for album in listing.albums}
