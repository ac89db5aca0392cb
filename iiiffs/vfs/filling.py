"""Albums that somebody made just now and goes on making things in, and what programs made there that is not kept."""

from __future__ import annotations

import trio

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.sync.items import Stage
from iiiffs.vfs.entries import Found
from iiiffs.vfs.queue import Queue

FILLING_S = 2.0
DISCARDED_S = 10.0


class Filling:
    """Of one account. Until nothing was made in such an album for a moment, nothing of ours is there, so that whoever
    copies an album meets no entry of ours where it makes its own (DESIGN §4)."""

    def __init__(self, account: AccountName, queue: Queue) -> None:
        self._account = account
        self._queue = queue
        self._since_s: dict[AlbumId, float] = {}
        self._discarded: dict[tuple[AlbumId, str], tuple[float, Found]] = {}

    def begin(self, album: AlbumId) -> None:
        """The album was made just now."""
        for other in list(self._since_s):
            self.is_on(other)  # forgets those that are not
        self._since_s[album] = trio.current_time()

    def go_on(self, album: AlbumId) -> None:
        """Something was made in it."""
        if self.is_on(album):
            self._since_s[album] = trio.current_time()

    def is_on(self, album: AlbumId) -> bool:
        """True for an album that somebody made, and goes on making things in."""
        since_s = self._since_s.get(album)
        if since_s is None:
            return False
        if trio.current_time() - since_s < FILLING_S:
            return True
        if any(item.stage is Stage.OPEN for item in self._queue.in_album(self._account, album)):
            return True
        del self._since_s[album]
        return False

    def discard(self, album: AlbumId, path: str, found: Found) -> None:
        """A program made this there, and it is not kept; `path` is relative to the album."""
        now_s = trio.current_time()
        self._discarded = {key: kept for key, kept in self._discarded.items() if now_s - kept[0] < DISCARDED_S}
        self._discarded[album, path] = now_s, found

    def discarded(self, album: AlbumId, path: str) -> Found | None:
        """What a program made there a moment ago, for it may look once more."""
        kept = self._discarded.get((album, path))
        return None if kept is None or trio.current_time() - kept[0] >= DISCARDED_S else kept[1]
