"""Albums that hold nothing, of those whose shelf does not say how many assets are in them: people and tags.

Their manifest would be 404, so a collection leaves them out. What is known is believed and nobody waits: an album that
was never listed counts as full, and one that was empty when it was last listed stays so until it is listed anew, which
begins as soon as its collection is looked at and the old answer is not good any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from iiiffs.model.gallery import AccountName, Album, AlbumId
from iiiffs.vfs.collector import computed
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.gallery import Gallery

ASKED_MAX = 4
"""Albums that are listed anew for one look at their collection."""
MUST_BE_ASKED_S = float("-inf")


class BareAlbums:
    """Of all accounts. `listed_empty`: (name of an account, album) -> the disk has its listing, and nothing in it."""

    def __init__(self, listed_empty: Callable[[AccountName, AlbumId], bool], flights: Flights) -> None:
        self._listed_empty = listed_empty
        self._flights = flights
        self._known: dict[tuple[AccountName, AlbumId], bool] = {}

    async def among(self, gallery: Gallery, albums: Iterable[Album]) -> frozenset[AlbumId]:
        """Those of the albums that hold nothing, as far as is known."""
        if gallery.library is not None:
            return frozenset()
        untold = [album.id for album in albums if album.count is None and not gallery.holds_albums(album.id)]
        unknown = [id for id in untold if (gallery.name, id) not in self._known and gallery.kept(id) is None]
        if unknown:
            self._known |= await computed(partial(self._read, gallery.name, unknown))
        bare = frozenset(id for id in untold if self._is_bare(gallery, id))
        for id in [id for id in bare if gallery.told_last(id)[1] == MUST_BE_ASKED_S][:ASKED_MAX]:
            self._flights.begin(("bare", gallery.account, id), partial(gallery.listing, id))
        return bare

    def _read(self, account: AccountName, albums: Iterable[AlbumId]) -> dict[tuple[AccountName, AlbumId], bool]:
        """For any thread."""
        return {(account, id): self._listed_empty(account, id) for id in albums}

    def _is_bare(self, gallery: Gallery, album: AlbumId) -> bool:
        kept = gallery.kept(album)
        if kept is not None:
            self._known[gallery.name, album] = not kept.listing.assets
        return self._known[gallery.name, album]
