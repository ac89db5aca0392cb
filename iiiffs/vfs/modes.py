"""Permission bits: what they advertise is what the access level allows; every verb asks again (DESIGN §2.9)."""

from __future__ import annotations

from iiiffs.model.gallery import AlbumId
from iiiffs.model.writing import Property
from iiiffs.tree.places import Place
from iiiffs.vfs.gallery import Gallery


def file_mode(gallery: Gallery) -> int:
    """Of an original: who may replace it may write it."""
    return 0o644 if gallery.writing is not None and gallery.access.edits else 0o444


def directory_mode(gallery: Gallery, album: AlbumId) -> int:
    """Of an album's directory."""
    place = gallery.place(album)
    writing = gallery.writing
    if writing is None:
        return 0o555
    match place:
        case Place.TAG | Place.TAGS:
            is_written = writing.tags
        case Place.FAVORITES:
            is_written = Property.FAVORITE in writing.properties
        case _:
            is_written = place.holds_files or place.holds_albums or place is Place.TRASH
    return 0o755 if is_written else 0o555
