"""Freed memory is given back where there is more than there was."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from iiiffs.vfs import trimming
from iiiffs.vfs.trimming import GROWN_BYTES, PERIOD_S


def test_only_what_has_grown_is_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([0, GROWN_BYTES, GROWN_BYTES + 1, 100, 100, GROWN_BYTES + 100, GROWN_BYTES + 101, 0])
    monkeypatch.setattr(trimming, "_own_bytes", lambda: next(sizes, 0))
    trimmed: list[int] = []

    async def walk() -> None:
        with trio.move_on_after(6.5 * PERIOD_S):
            await trimming.run(trimmed.append)

    trio.run(walk, clock=trio.testing.MockClock(autojump_threshold=0.05))
    assert trimmed == [0, 0]


def test_the_real_one_can_be_called() -> None:
    async def soon() -> None:
        with trio.move_on_after(0.01):
            await trimming.run()

    trio.run(soon)
    assert trimming._own_bytes() > 1 << 20
