"""The names in an album's directory: what is really there, and which of our own names are free."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from iiiffs.model.gallery import Album, Asset, Listing
from iiiffs.tree.junk import is_junk
from iiiffs.tree.names import assign_names, legal_name
from iiiffs.tree.thumbnails import thumbnail_names

INDEX = "index.html"
MANIFEST = "manifest.json"
COLLECTION = "collection.json"
ALIASES = "iiif"
NONE_KEPT: Mapping[str, str] = MappingProxyType({})
SYNTHETIC = (INDEX, MANIFEST, COLLECTION, ALIASES)


class AlbumNames:
    """Name -> asset or sub-album of one listing; built once a listing, O(1) to ask.

    A provider's real file keeps its name; a synthetic one that collides with it is then only at its stable URI.
    Titles of other providers are made legal and unique; `kept`, names that were given before, stay where they can.
    Rule: DESIGN §2.8.
    """

    __slots__ = ("__weakref__", "_by_id", "_by_thumbnail", "_entries", "_listing")

    def __init__(self, listing: Listing, *, real_names: bool, kept: Mapping[str, str] = NONE_KEPT) -> None:
        self._listing = listing
        self._by_thumbnail: dict[str, str] | None = None
        found: list[Album | Asset] = [*listing.albums, *listing.assets]
        if real_names:
            self._entries = {_title(entry): entry for entry in found if not is_junk(_title(entry))}
        else:
            by_id: dict[str, Album | Asset] = {entry.id: entry for entry in found}
            names = assign_names({key: _title(entry) for key, entry in by_id.items()}, set(SYNTHETIC), kept)
            self._entries = {name: by_id[key] for key, name in names.items()}
        self._by_id: dict[str, str] = {entry.id: name for name, entry in self._entries.items()}

    def with_entries(self, entries: dict[str, Album | Asset], etag: str) -> AlbumNames:
        """The same album holding `entries` by name, as a listing of that etag. An asset may have several names."""
        names = object.__new__(AlbumNames)
        assets = tuple({entry.id: entry for entry in entries.values() if isinstance(entry, Asset)}.values())
        albums = tuple(entry for entry in entries.values() if isinstance(entry, Album))
        names._listing = Listing(self._listing.album, assets, albums, etag)
        names._by_thumbnail = None
        names._entries = entries
        names._by_id = {entry.id: name for name, entry in reversed(entries.items())}
        return names

    @property
    def listing(self) -> Listing:
        """The listing that the names are of."""
        return self._listing

    @property
    def entries(self) -> dict[str, Album | Asset]:
        """Name -> what it names; not to be changed."""
        return self._entries

    def get(self, name: str) -> Album | Asset | None:
        """What `name` really names here."""
        return self._entries.get(name)

    @property
    def by_id(self) -> Mapping[str, str]:
        """Id -> name; not to be changed."""
        return self._by_id

    def unusual(self) -> dict[str, str]:
        """Id -> name, of those whose title alone does not say it: with these as `kept`, the same names come again."""
        return {entry.id: name for name, entry in self._entries.items() if name != legal_name(_title(entry))}

    def offers(self, synthetic: str) -> bool:
        """True if no real entry has the name of ours."""
        return synthetic not in self._entries

    def name_of(self, entry: str) -> str | None:
        """The name of the asset or sub-album of id `entry` here; None if it has none."""
        return self._by_id.get(entry)

    def named_by_thumbnail(self, thumbnail: str) -> str | None:
        """The name of the file here that a name in a shared thumbnail repository stands for; computed when first asked.

        O(files) once; of files that might be pictures only.
        """
        if self._by_thumbnail is None:
            media = (name for name, entry in self._entries.items() if isinstance(entry, Asset) and entry.is_media)
            self._by_thumbnail = {thumbnail: name for name in media for thumbnail in thumbnail_names(name)}
        return self._by_thumbnail.get(thumbnail)


def _title(entry: Album | Asset) -> str:
    return entry.title if isinstance(entry, Album) else entry.name
