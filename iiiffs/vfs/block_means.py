"""What all originals that are not local share: memory, places, counts. No work is done here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from iiiffs.cache.blocks import BlockGroup, BlockStore
from iiiffs.model.gallery import AccountName, Asset, AssetId, Version
from iiiffs.providers.base import Original
from iiiffs.sync.blocks import REQUEST_MAX_BYTES
from iiiffs.vfs.budget import PixelBudget
from iiiffs.vfs.flights import Flights

OnWrong = Callable[[AccountName, AssetId, Version], object]
"""Told which bytes turned out to be wrong after some of them were handed out."""


class RecentBlocks:
    """The blocks that came last, up to `bytes_max` of them: the kernel reads each in several requests.

    Not those used last: what was read ahead and is still to be used must not go for what was used a moment ago, and
    has been in the kernel's own cache since.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.bytes_held = 0
        self._kept: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()

    def get(self, group: BlockGroup, index: int) -> bytes | None:
        """The block, if it is still held."""
        return self._kept.get((group.key, index))

    def put(self, group: BlockGroup, index: int, data: bytes) -> None:
        """It is held for a while."""
        if (group.key, index) in self._kept:
            return
        self._kept[group.key, index] = data
        self.bytes_held += len(data)
        while self.bytes_held > self._bytes_max:
            self.bytes_held -= len(self._kept.popitem(last=False)[1])

    def used_up(self, group: BlockGroup, index: int) -> None:
        """It was read to its end: it goes before all others."""
        if (group.key, index) in self._kept:
            self._kept.move_to_end((group.key, index), last=False)

    def drop(self, group: BlockGroup) -> None:
        """None of the group is held."""
        for place in [place for place in self._kept if place[0] == group.key]:
            self.bytes_held -= len(self._kept.pop(place))


@dataclass(slots=True)
class Lane:
    """What may be asked of one account at once. `most_bytes`: of one question, by how long the last ones took."""

    questions: trio.CapacityLimiter
    most_bytes: int = REQUEST_MAX_BYTES


@dataclass(slots=True)
class BlockTraffic:
    """Since the start: questions for blocks, how many of them failed, bytes that came, originals that were wrong."""

    requests: int = 0
    failed: int = 0
    fetched_bytes: int = 0
    wrong: int = 0


def _nobody(_account: AccountName, _asset: AssetId, _version: Version) -> None:
    return None


@dataclass(slots=True)
class Means:
    """What all originals share. `wrong`: how often the bytes of a group were wrong, and when that was, last of all.

    `budget`: of bytes in flight over all accounts. `scratch`: a folder for files that have no name. `fetching`: of how
    many originals something is on its way; they share what is read ahead.
    """

    store: BlockStore
    flights: Flights
    recent: RecentBlocks
    budget: PixelBudget
    scratch: Path
    on_wrong: OnWrong = _nobody
    fetching: int = 0
    traffic: BlockTraffic = field(default_factory=BlockTraffic)
    wrong: OrderedDict[bytes, tuple[int, float]] = field(default_factory=OrderedDict)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the bytes come from. `account`: its name. `open`: the provider's, for this asset in this version."""

    account: AccountName
    asset: Asset
    size_bytes: int
    open: Callable[[], Awaitable[Original]]
