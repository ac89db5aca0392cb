"""Which sidecars and photos that wait stand beside each other, kept up to date change by change. Synchronous.

Only where a provider keeps a sidecar together with its photo; elsewhere an .xmp is a file like any other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.tree.sidecars import is_sidecar, key_of, keys_of, sidecars
from iiiffs.vfs.queue import Queue

COMES_FIRST = frozenset({Stage.OPEN, Stage.SETTLING, Stage.READY, Stage.SENDING})
"""A photo that is on its way takes its sidecar along."""

Places = defaultdict[tuple[AlbumId, str], dict[str, None]]
"""(album, key of the name) -> ids of items."""


class Beside:
    """Of the files of one account. `changed` must be told of every change of an item."""

    def __init__(self, account: AccountName, queue: Queue) -> None:
        self._queue = queue
        self._photos: Places = defaultdict(dict)
        self._sidecars: Places = defaultdict(dict)
        for item in queue.items(account):
            self.changed(None, item)

    def changed(self, before: Item | None, after: Item | None) -> None:
        """An item has come, is another, or has gone."""
        if before is not None and after is not None and (before.album, before.name) == (after.album, after.name):
            return
        for places, key in _keys(before):
            places_of = self._of(places)
            places_of[key].pop(before.id if before is not None else "", None)
            if not places_of[key]:
                del places_of[key]
        for places, key in _keys(after):
            self._of(places)[key][after.id if after is not None else ""] = None

    def _of(self, are_sidecars: bool) -> Places:
        return self._sidecars if are_sidecars else self._photos

    def sidecar_of(self, album: AlbumId, photo: str) -> Item | None:
        """The sidecar that waits, or is kept, beside the photo of that name."""
        found = self._sidecars_of(album, [photo])
        name = sidecars([photo, *found]).get(photo)
        return None if name is None else found[name]

    def photos_of(self, sidecar: Item, told: Iterable[str] = ()) -> list[str]:
        """The names of those that it is the sidecar of: of photos that wait, and of `told`, which may be others too."""
        names = {item.name for item in self.waiting(sidecar)} | set(told)
        names = {name for name in names if key_of(sidecar.name) in keys_of(name) and not is_sidecar(name)}
        beside = sidecars([*names, *self._sidecars_of(sidecar.album, names)])
        return [name for name in sorted(names) if beside.get(name) == sidecar.name]

    def waiting(self, sidecar: Item) -> list[Item]:
        """Photos that wait beside it, or were sent and are not listed yet, that may be its: of their names' case and of
        other sidecars nothing is said."""
        ids = self._photos.get((sidecar.album, key_of(sidecar.name)), ())
        return [item for id in ids if (item := self._queue.get(id)) is not None]

    def comes_first(self, sidecar: Item) -> str | None:
        """The id of a photo that is on its way, and takes it along; None if there is none."""
        on_the_way = [item for item in self.waiting(sidecar) if item.stage in COMES_FIRST]
        names = self.photos_of(sidecar) if on_the_way else []
        return next((item.id for item in on_the_way if item.name in names), None)

    def _sidecars_of(self, album: AlbumId, photos: Iterable[str]) -> dict[str, Item]:
        """By their names, those that may stand beside one of the photos, but for what nobody will ever send."""
        ids = {id for photo in photos for key in keys_of(photo) for id in self._sidecars.get((album, key), ())}
        found = (self._queue.get(id) for id in ids)
        return {item.name: item for item in found if item is not None and not item.stays}


def stands_beside(item: Item) -> bool:
    """True of a sidecar."""
    return item.verb is Verb.UPLOAD and is_sidecar(item.name)


def _keys(item: Item | None) -> list[tuple[bool, tuple[AlbumId, str]]]:
    """(of a sidecar, (album, key)) where it is listed."""
    if item is None or item.verb is not Verb.UPLOAD:
        return []
    if is_sidecar(item.name):
        return [(True, (item.album, key_of(item.name)))]
    return [(False, (item.album, key)) for key in keys_of(item.name)]
