"""The names that the items of one album show, and those of its provider that they hide. Synchronous bookkeeping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from operator import itemgetter

from iiiffs.model.gallery import Album, Asset, AssetId
from iiiffs.sync.items import Item, Stage, Verb, is_unwanted


class WaitingNames:
    """What the items of one album say, kept up to date change by change, so that finding a name costs the same however
    many wait."""

    __slots__ = ("hidden", "named", "unanswered", "unwanted")

    def __init__(self) -> None:
        self.named: dict[str, dict[str, int]] = {}
        """Name -> ids of the items that show something under it, and their order; the last one rules."""
        self.hidden: Counter[AssetId] = Counter()
        """Assets that the provider tells of under a name, and that are not shown under that."""
        self.unanswered: dict[str, tuple[bytes, ...]] = {}
        """Id of an item -> SHA-1 of bytes that may have arrived because of it, and are not shown by their own name."""
        self.unwanted: dict[str, str] = {}
        """Id of an item -> title of an album that may have been made, and is to be removed if it was."""

    @property
    def is_empty(self) -> bool:
        """They say nothing."""
        return not (self.named or self.hidden or self.unanswered or self.unwanted)

    def hides(self, entry: Album | Asset) -> bool:
        """The provider tells of it, and it is not shown by the name that it has there."""
        if self.hidden.get(AssetId(entry.id), 0) > 0:
            return True
        if isinstance(entry, Album):
            return entry.title in self.unwanted.values()
        return entry.checksum is not None and any(entry.checksum in sums for sums in self.unanswered.values())

    def lay(self, item: Item, hidden: Iterable[AssetId], unanswered: tuple[bytes, ...] = ()) -> None:
        """The item is one of the album's, and because of it those are not shown by their own names."""
        if is_unwanted(item):
            self.unwanted[item.id] = item.name
        if unanswered:
            self.unanswered[item.id] = unanswered
        if shows_name(item):
            ids = {**self.named.get(item.name, {}), item.id: item.order}
            self.named[item.name] = dict(sorted(ids.items(), key=itemgetter(1)))
        self.hidden.update(hidden)

    def lift(self, item: Item, hidden: Iterable[AssetId]) -> None:
        """It is not any more."""
        self.unanswered.pop(item.id, None)
        self.unwanted.pop(item.id, None)
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
            return item.stage is not Stage.SENT and not is_unwanted(item)
        case Verb.ADD:
            return True
    return False


def hidden_by(item: Item, real_names: bool) -> tuple[AssetId, ...]:
    """The assets that are not shown by their provider's name because of it. What was sent has its own name there, or
    somebody else has renamed it since, where names are real."""
    if item.sent is not None and item.verb is Verb.UPLOAD and real_names:
        return ()
    match item.verb:
        case Verb.UPLOAD if item.is_aside:
            return ()
        case Verb.UPLOAD:
            base = () if item.base is None else (item.base.asset,)
            return base if item.sent is None or item.also else (*base, item.sent.id)
        case Verb.TAKE_OUT if item.stage is not Stage.FAILED:
            return item.assets
        case Verb.ADD if item.stage is not Stage.FAILED and not item.also and not real_names:
            return item.assets
    return ()
