"""What is done about an error of sending, and when it is tried again. Pure: draws come in as arguments.

There is no limit of tries: an item waits for its provider as long as it takes, or for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from iiiffs import errors

ACCOUNT_BASE_S, ACCOUNT_CEILING_S = 2.0, 300.0
REFUSED_BASE_S, REFUSED_CEILING_S = 60.0, 3600.0
ITEM_BASE_S, ITEM_CEILING_S = 5.0, 900.0
ASKED_MAX_S = 6 * 3600.0
"""Who asks for more is asked again after this: a wrong date must not silence an account for a year."""

LEAST = 0.5
"""Of the ceiling: a wait is between this part of it and all of it."""


class Remedy(StrEnum):
    """OFFLINE: the whole account waits, its items stay ready. REFUSED: so it does, and a person should see to its
    login. LATER: this item waits, others go on. FAILED: a person is to decide. CONFLICT: iiiffs.sync.merge decides."""

    OFFLINE = "offline"
    REFUSED = "refused"
    LATER = "later"
    FAILED = "failed"
    CONFLICT = "conflict"


REMEDIES: Mapping[type[errors.IiiffsError], Remedy] = {
    errors.IiiffsError: Remedy.LATER,
    errors.RequestError: Remedy.FAILED,
    errors.ReadOnly: Remedy.FAILED,
    errors.Forbidden: Remedy.FAILED,
    errors.AlreadyThere: Remedy.CONFLICT,
    errors.ProviderError: Remedy.LATER,
    errors.AssetGone: Remedy.FAILED,
    errors.VersionChanged: Remedy.CONFLICT,
    errors.AccessDenied: Remedy.REFUSED,
    errors.PlaceDenied: Remedy.FAILED,
    errors.Rejected: Remedy.FAILED,
    errors.OverQuota: Remedy.FAILED,
    errors.ProviderUnreachable: Remedy.OFFLINE,
    errors.StoreCorrupt: Remedy.FAILED,
    errors.DeadlinePassed: Remedy.OFFLINE,
}
"""By class, the nearest ancestor wins, so the order does not matter."""

WAITS: Mapping[Remedy, tuple[float, float]] = {
    Remedy.OFFLINE: (ACCOUNT_BASE_S, ACCOUNT_CEILING_S),
    Remedy.REFUSED: (REFUSED_BASE_S, REFUSED_CEILING_S),
    Remedy.LATER: (ITEM_BASE_S, ITEM_CEILING_S),
}


@dataclass(frozen=True, slots=True)
class Retry:
    """`wait_s`: before it is tried again; None where nothing is tried until somebody or something decides."""

    remedy: Remedy
    wait_s: float | None


def remedy_of(error: errors.IiiffsError) -> Remedy:
    """What is done about `error`."""
    return next(REMEDIES[kind] for kind in type(error).__mro__ if kind in REMEDIES)


def decide_retry(error: errors.IiiffsError, failures: int, draw: float, asked_s: float | None = None) -> Retry:
    """What is done about the `failures`-th error in a row (from 1), of the account or of the item.

    The wait doubles from error to error up to a ceiling; `draw` in [0, 1) spreads it, so that clients of a server that
    comes back do not come back together. `asked_s`: what the server asked for (Retry-After), never shortened; what the
    error says of that where it is None.
    """
    if asked_s is None and isinstance(error, errors.ProviderUnreachable):
        asked_s = error.retry_after_s
    remedy = remedy_of(error)
    if remedy not in WAITS:
        return Retry(remedy, None)
    base_s, ceiling_s = WAITS[remedy]
    doublings = min(max(failures, 1) - 1, 30)
    top_s = min(ceiling_s, base_s * 2.0**doublings)
    wait_s = top_s * (LEAST + (1 - LEAST) * draw)
    return Retry(remedy, wait_s if asked_s is None else min(max(asked_s, 0.0), ASKED_MAX_S) + wait_s)
