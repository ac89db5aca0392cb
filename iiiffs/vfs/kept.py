"""A listing as its provider told it last, and what was done here since: that is known without another question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from iiiffs.model.gallery import Album, Asset, Listing
from iiiffs.tree.albums import AlbumNames

NEVER_S = float("-inf")


@dataclass(slots=True)
class Kept:
    """A listing with its names. `asked_s`: when it was told; NEVER_S if it must be asked again.

    `done`: id -> what the provider made of that asset or album since, as it answered; None: it is not in the album any
    more. Shown while no newer listing can be had: what a program has done must not be undone by a provider that is away
    (DESIGN §4.3, §4.6).
    """

    names: AlbumNames
    asked_s: float
    done: dict[str, Album | Asset | None] = field(default_factory=dict)

    def known(self) -> AlbumNames:
        """The names, with what was done."""
        if self.done:
            self.names, self.done = _with(self.names, self.done), {}
        return self.names


@dataclass(frozen=True, slots=True)
class Aside:
    """A listing that is on the disk and was kept before. `asked_s`: as Kept.asked_s."""

    asked_s: float
    etag: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about an album. `began_s`: when it was asked. `reports`, `era`: how much others had reported to have
    changed by then, and what was done here. `kept`: what was known."""

    began_s: float
    reports: int
    era: tuple[int, int]
    kept: Kept | None


def _with(names: AlbumNames, done: dict[str, Album | Asset | None]) -> AlbumNames:
    entries = {name: entry for name, entry in names.entries.items() if entry.id not in done}
    for entry in done.values():
        if entry is not None:
            entries[entry.title if isinstance(entry, Album) else entry.name] = entry
    return names.with_entries(entries, _etag(names.listing, done))


def with_done(listing: Listing, done: Mapping[str, Album | Asset | None]) -> Listing:
    """The listing with what was done (rule: Kept.done), where names are not what the provider says."""
    album = listing.album.id
    assets = {one.id: one for one in listing.assets if done.get(one.id, one) is not None}
    albums = {one.id: one for one in listing.albums if done.get(one.id, one) is not None}
    for entry in done.values():
        if isinstance(entry, Album):
            albums[entry.id] = replace(entry, parent=album)
        elif entry is not None:
            assets[entry.id] = replace(entry, album=album)
    return Listing(listing.album, tuple(assets.values()), tuple(albums.values()), _etag(listing, done))


def _etag(listing: Listing, done: Mapping[str, Album | Asset | None]) -> str:
    said = repr((listing.etag, done)).encode("utf-8", "surrogateescape")
    return blake2b(said, digest_size=16).hexdigest()
