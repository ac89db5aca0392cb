"""One quota for two tables: each has half of it for certain, and what the other leaves.

A cache of a folder's renditions alone uses all of the quota; one whose originals come over a network gives them what
renditions do not need, and neither drives out the other altogether.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iiiffs.cache.entries import EntryTable
from iiiffs.cache.environment import CacheEnvironment

if TYPE_CHECKING:
    import lmdb


class SharingTable(EntryTable):
    """An EntryTable whose quota is the larger of a half and what `partner` leaves.

    The writer settles every table at the end of each transaction. After that the two are within `quota_bytes`
    together: whichever settles later is within what the other then leaves, or both are within their halves.
    """

    def __init__(self, environment: CacheEnvironment, name: str, quota_bytes: int) -> None:
        super().__init__(environment, name, quota_bytes)
        self.partner: EntryTable | None = None

    def settle(self, transaction: lmdb.Transaction) -> int:
        """Rule: EntryTable.settle."""
        others = 0 if self.partner is None else self.partner.stat(transaction)[1]
        return self._evict(transaction, max(self.quota_bytes // 2, self.quota_bytes - others))

    def share_with(self, other: SharingTable) -> None:
        """The two have one quota from now on."""
        self.partner, other.partner = other, self
