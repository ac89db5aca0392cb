"""Which blocks stay in memory."""

from __future__ import annotations

from iiiffs.cache.blocks import BlockGroup
from iiiffs.vfs.block_means import RecentBlocks

GROUP = BlockGroup.of("home", "one", "1")


def test_blocks_that_were_read_go_before_those_that_will_be() -> None:
    recent = RecentBlocks(3)
    for index in range(3):
        recent.put(GROUP, index, b"x")
    recent.used_up(GROUP, 2)
    recent.used_up(GROUP, 7)
    recent.put(GROUP, 3, b"x")
    assert [recent.get(GROUP, index) for index in range(4)] == [b"x", b"x", None, b"x"]
    assert recent.bytes_held == 3
