"""What a provider says has changed."""

from __future__ import annotations

from dataclasses import dataclass

from iiiffs.model.gallery import AlbumId


@dataclass(frozen=True, slots=True)
class Changeset:
    """Albums whose listing may differ from what was answered before; with `everything`, all of them.

    May name too much: unchanged albums, and albums that are gone. Says nothing about what the change was.
    """

    albums: frozenset[AlbumId]
    everything: bool = False

    def __or__(self, other: Changeset) -> Changeset:
        """Both."""
        return Changeset(self.albums | other.albums, self.everything or other.everything)

    def __bool__(self) -> bool:
        """False if nothing has changed."""
        return self.everything or bool(self.albums)


EVERYTHING = Changeset(frozenset(), everything=True)
