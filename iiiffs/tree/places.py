"""What may be done in a directory: which kind of place an album is. Rule: DESIGN §4, the table and what is below it."""

from __future__ import annotations

from enum import Enum

from iiiffs.iiif.ranges import part_of_file
from iiiffs.tree.albums import SYNTHETIC
from iiiffs.tree.thumbnails import THUMBNAILS


class Place(Enum):
    """FOLDER: of a real folder tree. ALBUM: a set of assets. ALBUMS: where albums are made and named. TIMELINE: the
    library by time. FAVORITES, TAG: what is marked. TAGS: where tags are made. TRASH. DERIVED: everything else that is
    only shown."""

    FOLDER = "folder"
    ALBUM = "album"
    ALBUMS = "albums"
    TIMELINE = "timeline"
    FAVORITES = "favorites"
    TAG = "tag"
    TAGS = "tags"
    TRASH = "trash"
    DERIVED = "derived"

    @property
    def holds_files(self) -> bool:
        """Files may be made in it."""
        return self in (Place.FOLDER, Place.ALBUM, Place.FAVORITES, Place.TAG)

    @property
    def is_set(self) -> bool:
        """What is in it is in the library, and may be in others too."""
        return self in (Place.ALBUM, Place.FAVORITES, Place.TAG)

    @property
    def is_mark(self) -> bool:
        """To be in it is said of an asset, and is no place for it."""
        return self in (Place.FAVORITES, Place.TAG)

    @property
    def holds_albums(self) -> bool:
        """Albums may be made in it, where the provider nests them or this is where they are."""
        return self in (Place.FOLDER, Place.ALBUMS)


def is_synthetic(name: str) -> bool:
    """True for the names of our own entries in an album: what is written under one is not kept, and it stays."""
    return name in SYNTHETIC or name == THUMBNAILS or part_of_file(name) is not None
