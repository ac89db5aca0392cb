"""Names that a program has just renamed away where names are fixed: not shown for a moment, or until a file has them.

In memory alone: nothing was done to the photo, and after a moment, or a crash, it is shown again.
"""

from __future__ import annotations

import trio

from iiiffs.model.gallery import AlbumId

ASIDE_S = 10.0


class Aside:
    """Of one account."""

    def __init__(self) -> None:
        self._until_s: dict[tuple[AlbumId, str], float] = {}
        self._serial = 0

    @property
    def serial(self) -> int:
        """Another number whenever another name is shown."""
        self._forget()
        return self._serial

    def __bool__(self) -> bool:
        """True if any name is not shown."""
        self._forget()
        return bool(self._until_s)

    def put(self, album: AlbumId, name: str) -> None:
        """The name is not shown there, for a moment."""
        self._until_s[album, name] = trio.current_time() + ASIDE_S
        self._serial += 1

    def take(self, album: AlbumId, name: str) -> bool:
        """The name is shown again; False if it was anyway."""
        self._forget()
        was_there = self._until_s.pop((album, name), None) is not None
        self._serial += was_there
        return was_there

    def hides(self, album: AlbumId, name: str) -> bool:
        """True if it is not shown."""
        return bool(self._until_s) and self._until_s.get((album, name), 0.0) > trio.current_time()

    def names(self, album: AlbumId) -> list[str]:
        """Those that are not shown there."""
        self._forget()
        return [name for place, name in self._until_s if place == album]

    def _forget(self) -> None:
        for place in [place for place, until_s in self._until_s.items() if until_s <= trio.current_time()]:
            del self._until_s[place]
            self._serial += 1
