"""What is on its way at one time, where equal bytes are one photo: no upload brings what something else takes away.

What new bytes replace goes to the trash, but for copies of it that are known by then. Who brings the former bytes while
that is on its way would find the photo still there, be told that all is done, and lose it a moment later; so such an
upload has its turn afterwards. What it replaces is known before it asks, so no two wait for each other.

What leaves an album is not brought to it by an upload meanwhile, nor is it told to leave while one brings it: that
upload says whether it is to leave at all (rule: vfs.brought_back).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

from iiiffs.model.gallery import AlbumId
from iiiffs.vfs.payload_sums import Summed


@dataclass(frozen=True, slots=True)
class Brought:
    """What the upload of that id brings to an album."""

    id: str
    album: AlbumId
    summed: Summed


@dataclass(frozen=True, slots=True)
class Taken:
    """What an upload takes away. `sha1`: None if nobody knows. `copies`: ids of uploads of those bytes that it minds.
    `is_over`: nothing of that upload goes on."""

    sha1: bytes | None
    size_bytes: int
    copies: frozenset[str]
    is_over: trio.Event = field(default_factory=trio.Event)

    def is_brought_by(self, brought: Brought) -> bool:
        """The upload brings it, and nobody minds."""
        is_same = self.size_bytes == brought.summed.size_bytes and self.sha1 in (None, brought.summed.sha1)
        return is_same and brought.id not in self.copies


@dataclass(frozen=True, slots=True)
class Leaving:
    """What leaves an album. `sums`: SHA-1 of each; with None it may be anything."""

    album: AlbumId
    sums: frozenset[bytes | None]
    is_over: trio.Event = field(default_factory=trio.Event)

    def is_brought_by(self, brought: Brought) -> bool:
        """The upload brings it to that album."""
        is_same = None in self.sums or brought.summed.sha1 in self.sums
        return is_same and brought.album == self.album


class Crossing:
    """Of one account. Synchronous but for `turn`."""

    def __init__(self) -> None:
        self._taken: dict[str, Taken | Leaving] = {}
        self._brought: dict[str, Brought] = {}

    async def turn(self, brought: Brought) -> None:
        """Nothing on its way takes away what the upload brings."""
        while (taken := self._in_the_way(brought)) is not None:
            await taken.is_over.wait()

    def enters(self, brought: Brought, taken: Taken | None = None) -> bool:
        """The upload is on its way, and takes that away; False if it is not its turn."""
        if self._in_the_way(brought) is not None:
            return False
        self._brought[brought.id] = brought
        if taken is not None:
            self._taken[brought.id] = taken
        return True

    def brings(self, leaving: Leaving) -> str | None:
        """The id of an upload on its way that brings what is to leave."""
        return next((id for id, brought in self._brought.items() if leaving.is_brought_by(brought)), None)

    def leaves(self, id: str, leaving: Leaving) -> None:
        """It is on its way, by that id, until `over`. Nothing `brings` it."""
        self._taken[id] = leaving

    def over(self, *ids: str) -> None:
        """Nothing of these is on its way."""
        for id in ids:
            self._brought.pop(id, None)
            taken = self._taken.pop(id, None)
            if taken is not None:
                taken.is_over.set()

    @contextmanager
    def until_over(self, id: str) -> Iterator[None]:
        """After this it brings and takes nothing."""
        try:
            yield
        finally:
            self.over(id)

    def _in_the_way(self, brought: Brought) -> Taken | Leaving | None:
        others = (taken for id, taken in self._taken.items() if id != brought.id)
        return next((taken for taken in others if taken.is_brought_by(brought)), None)


def leaving_of(album: AlbumId, sums: Iterable[Iterable[bytes | None]]) -> Leaving:
    """What those say that is taken out of the album, each by the sums that it may have; none: nobody knows."""
    return Leaving(album, frozenset(sum for each in sums for sum in (tuple(each) or (None,))))
