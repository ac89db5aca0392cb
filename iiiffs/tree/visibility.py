"""Which part of the galleries a mount shows (DESIGN §3).

A private mount shows all. A published one shows some albums and what is in them, and nothing of the machinery. The
rest of the code asks this filter at every lookup and listing, so that an id alone opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from iiiffs.model.gallery import AccountName, AlbumId


@dataclass(frozen=True, slots=True)
class Visibility:
    """`albums`: the (account, album) pairs that are shown, None for all. `originals`, `control`: whether those are."""

    albums: frozenset[tuple[AccountName, AlbumId]] | None
    originals: bool
    control: bool

    def shows_account(self, account: AccountName) -> bool:
        """True if anything of the account is shown."""
        return self.albums is None or any(shown == account for shown, _ in self.albums)

    def shows_album(self, account: AccountName, album: AlbumId) -> bool:
        """True if the album's directory, documents and images are shown."""
        return self.albums is None or (account, album) in self.albums

    def shows_any_of(self, account: AccountName, albums: Iterable[AlbumId]) -> bool:
        """True if an asset that is in these albums is shown."""
        return any(self.shows_album(account, album) for album in albums)


PRIVATE = Visibility(albums=None, originals=True, control=True)
"""Everything, for the person whose gallery it is."""
