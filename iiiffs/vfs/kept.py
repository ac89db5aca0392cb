"""A listing as its provider told it last, and what was done here since: that is known without another question."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from iiiffs.model.gallery import Album, Asset
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


def _with(names: AlbumNames, done: dict[str, Album | Asset | None]) -> AlbumNames:
    entries = {name: entry for name, entry in names.entries.items() if entry.id not in done}
    for entry in done.values():
        if entry is not None:
            entries[entry.title if isinstance(entry, Album) else entry.name] = entry
    said = repr((names.listing.etag, done)).encode("utf-8", "surrogateescape")
    return names.with_entries(entries, blake2b(said, digest_size=16).hexdigest())
