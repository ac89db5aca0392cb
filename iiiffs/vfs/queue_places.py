"""Where in the mount an item of the queue is seen: a path for people, below the mount.

What is kept in memory answers at once; `learn` asks for the rest, and is never a reason to wait long: without a place
an item is shown below its account, with its album's id.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress

import trio

from iiiffs.errors import IiiffsError
from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.sync.items import Verb
from iiiffs.tree.names import legal_name
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.queue import Queue

LEARN_S = 1.0
PLACES_KEPT = 1024
UNKNOWN = "(unknown)"
"""Of a payload that was found without its row."""
DEPTH_MAX = 64
"""Albums that are still to be made, one in the other."""


class Places:
    """Paths of the albums that items are in."""

    def __init__(self, queue: Queue, galleries: Mapping[AccountName, Gallery]) -> None:
        """`galleries`: by the account's name, which items have (not by its slug)."""
        self._queue = queue
        self._galleries = galleries
        self._known: OrderedDict[tuple[AccountName, AlbumId], tuple[str, ...]] = OrderedDict()

    async def learn(self, albums: Iterable[tuple[AccountName, AlbumId]]) -> None:
        """The places of those albums are known, as far as that takes no longer than LEARN_S in all."""
        with trio.move_on_after(LEARN_S):
            for account, album in dict.fromkeys(albums):
                _, made_in = self._to_be_made(account, album)
                gallery = self._galleries.get(account)
                if gallery is None:
                    continue
                with suppress(IiiffsError):  # could not ask: the place is what it was
                    self._keep(account, made_in, await gallery.path(await gallery.album(made_in)))

    def folder(self, account: AccountName, album: AlbumId) -> str:
        """The directory that shows the album, relative to the mount; nobody is asked."""
        titles, made_in = self._to_be_made(account, album)
        gallery = self._galleries.get(account)
        top = (account or UNKNOWN) if gallery is None else gallery.account
        return "/".join((top, *self._known.get((account, made_in), (f"({made_in})" if made_in else UNKNOWN,)), *titles))

    def path(self, account: AccountName, album: AlbumId, name: str) -> str:
        """The file or directory `name` in the album, relative to the mount; nobody is asked."""
        return f"{self.folder(account, album)}/{name}"

    def _to_be_made(self, account: AccountName, album: AlbumId) -> tuple[tuple[str, ...], AlbumId]:
        """The names of the albums down to `album` that wait to be made, and the album that they are in."""
        titles: list[str] = []
        for _ in range(DEPTH_MAX):
            item = self._queue.get(album)
            if item is None or item.verb is not Verb.MAKE_ALBUM or item.account != account:
                break
            titles.insert(0, legal_name(item.name))
            album = item.album
        return tuple(titles), album

    def _keep(self, account: AccountName, album: AlbumId, path: tuple[str, ...]) -> None:
        self._known[account, album] = path
        self._known.move_to_end((account, album))
        while len(self._known) > PLACES_KEPT:
            self._known.popitem(last=False)
