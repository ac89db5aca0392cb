"""Uploads that are on their way at one time, where equal bytes are one photo: none brings what another takes away.

What new bytes replace goes to the trash, but for copies of it that are known by then. Who brings the former bytes while
that is on its way would find the photo still there, be told that all is done, and lose it a moment later; so such an
upload has its turn afterwards. What it replaces is known before it asks, so no two wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

from iiiffs.vfs.payload_sums import Summed


@dataclass(frozen=True, slots=True)
class Taken:
    """What an upload takes away. `sha1`: None if nobody knows. `copies`: ids of uploads of those bytes that it minds.
    `is_over`: nothing of that upload goes on."""

    sha1: bytes | None
    size_bytes: int
    copies: frozenset[str]
    is_over: trio.Event = field(default_factory=trio.Event)

    def is_brought_by(self, id: str, summed: Summed) -> bool:
        """The upload of that id brings it, and nobody minds."""
        is_same = self.size_bytes == summed.size_bytes and self.sha1 in (None, summed.sha1)
        return is_same and id not in self.copies


class Crossing:
    """Of one account. Synchronous but for `turn`."""

    def __init__(self) -> None:
        self._taken: dict[str, Taken] = {}

    async def turn(self, id: str, summed: Summed) -> None:
        """Nothing on its way takes away what the upload of that id brings."""
        while (taken := self._in_the_way(id, summed)) is not None:
            await taken.is_over.wait()

    def enters(self, id: str, summed: Summed, taken: Taken | None = None) -> bool:
        """The upload is on its way, and takes that away; False if it is not its turn."""
        if self._in_the_way(id, summed) is not None:
            return False
        if taken is not None:
            self._taken[id] = taken
        return True

    @contextmanager
    def until_over(self, id: str) -> Iterator[None]:
        """After this it takes nothing away."""
        try:
            yield
        finally:
            taken = self._taken.pop(id, None)
            if taken is not None:
                taken.is_over.set()

    def _in_the_way(self, id: str, summed: Summed) -> Taken | None:
        others = (taken for other, taken in self._taken.items() if other != id)
        return next((taken for taken in others if taken.is_brought_by(id, summed)), None)
