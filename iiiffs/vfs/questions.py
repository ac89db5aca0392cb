"""What is asked of one account's provider: each question flies once, and whoever asks after a change joins none from
before it, whose answer may not tell of the change (DESIGN §4.3).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.waiting import WaitingRoom

T = TypeVar("T")

ALBUMS_NOTED = 4096
"""Those whose last change is known. Of all others it is that of the one that gave way last."""


class Questions:
    """Of one account."""

    def __init__(self, account: AccountName, flights: Flights, room: WaitingRoom) -> None:
        self._account = account
        self._flights = flights
        self._room = room
        self._changes = 0
        self._of_all = 0
        self._of_album: OrderedDict[AlbumId, int] = OrderedDict()
        """Album -> the number of its last change."""
        self._before_all = 0

    def changed(self, album: AlbumId | None) -> None:
        """Something of the album (None: of any) may be another now: what is asked already may not tell of it."""
        self._changes += 1
        if album is None:
            self._of_all += 1
        else:
            self._of_album[album] = self._changes
            self._of_album.move_to_end(album)
            if len(self._of_album) > ALBUMS_NOTED:
                self._before_all = self._of_album.popitem(last=False)[1]

    def era(self, album: AlbumId | None = None) -> tuple[int, int]:
        """Another one after each change of the album, and at times without one; None: of anything."""
        return (self._changes, 0) if album is None else (self._of_all, self._of_album.get(album, self._before_all))

    async def ask(self, kind: str, album: AlbumId, work: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        """What `work` answers, which is about that album alone. Errors: its own, DeadlinePassed, ProviderUnreachable if
        too many wait."""
        return await self._join(self._key(kind, album), work, timeout_s)

    def begin(self, kind: str, album: AlbumId, work: Callable[[], Awaitable[object]]) -> None:
        """As `ask`, and nobody waits."""
        self._flights.begin(self._key(kind, album), work)

    def _key(self, kind: str, album: AlbumId) -> tuple[object, ...]:
        return kind, self._account, album, self.era(album)

    async def ask_of(self, kind: str, about: str, work: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        """As `ask`, of what any change may change."""
        return await self._join(self._key_of(kind, about), work, timeout_s)

    def begin_of(self, kind: str, about: str, work: Callable[[], Awaitable[object]]) -> None:
        """As `ask_of`, and nobody waits."""
        self._flights.begin(self._key_of(kind, about), work)

    def _key_of(self, kind: str, about: str) -> tuple[object, ...]:
        return kind, self._account, about, self.era()

    async def _join(self, key: tuple[object, ...], work: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        with self._room.place():
            return await self._flights.join(key, work, timeout_s)
