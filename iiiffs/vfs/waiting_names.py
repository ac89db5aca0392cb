"""The names that the items of one album show, and those of its provider that they hide. Synchronous bookkeeping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from iiiffs.model.gallery import AssetId
from iiiffs.sync.items import Item, Stage, Verb


class WaitingNames:
    """What the items of one album say, kept up to date change by change, so that finding a name costs the same however
    many wait."""

    __slots__ = ("hidden", "named")

    def __init__(self) -> None:
        self.named: dict[str, dict[str, None]] = {}
        """Name -> ids of the items that show something under it, the last one rules."""
        self.hidden: Counter[AssetId] = Counter()
        """Assets that the provider tells of under a name, and that are not shown under that."""

    def lay(self, item: Item, hidden: Iterable[AssetId]) -> None:
        """The item is one of the album's, and because of it those are not shown by their own names."""
        if shows_name(item):
            self.named.setdefault(item.name, {})[item.id] = None
        self.hidden.update(hidden)

    def lift(self, item: Item, hidden: Iterable[AssetId]) -> None:
        """It is not any more."""
        ids = self.named.get(item.name)
        if ids is not None and shows_name(item):
            ids.pop(item.id, None)
            if not ids:
                del self.named[item.name]
        for asset in hidden:
            self.hidden[asset] -= 1
            if not self.hidden[asset]:
                del self.hidden[asset]


def shows_name(item: Item) -> bool:
    """True if a name is shown because of it."""
    match item.verb:
        case Verb.UPLOAD:
            return not item.is_aside
        case Verb.MAKE_ALBUM:
            return item.stage is not Stage.SENT
        case Verb.ADD:
            return True
    return False
