"""What an album's owner wants of its documents, as values; `iiiffs.tree.overrides` reads them from an iiif.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from iiiffs.iiif.description import NOTHING_MORE, Order, Said
from iiiffs.model.description import Words


@dataclass(frozen=True, slots=True)
class RangeWish:
    """A part of an album: the files named in `items`, or all from `first` to `last` in the album's order.

    Where `first` or `last` is None it is the album's own. Names that are not in the album are left out.
    """

    label: Words
    items: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True)
class Overrides:
    """`order`: None for the caller's. `start`: a file's name. `files`: by file name."""

    album: Said = NOTHING_MORE
    order: Order | None = None
    ranges: tuple[RangeWish, ...] = ()
    start: str | None = None
    files: Mapping[str, Said] = field(default_factory=dict)


NO_OVERRIDES = Overrides()
