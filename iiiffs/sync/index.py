"""The views of one account, computed from what is known of its assets. Pure: no scan, no waiting, all in memory.

Albums go in whole and come out whole; what a view holds is kept an album at a time, so that a changed album costs
what is in it, and a view costs what is in the view. An asset in several albums is in a view once, from the album of
the smallest id. Order in every view: `taken`, then name, then id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from operator import attrgetter

from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.sync.entries import IndexEntry
from iiiffs.sync.matching import matching
from iiiffs.tree.query import Query
from iiiffs.tree.views import TAG_BYTES_MAX, View, ViewKind, view_id, view_of_id

_KINDS = (ViewKind.MONTH, ViewKind.FAVORITES, ViewKind.TAG)
_BY_NAME = attrgetter("asset.name", "asset.id")
_BY_TAKEN = attrgetter("taken")
_BY_ALBUM = attrgetter("asset.album")


Parts = tuple[tuple[IndexEntry, ...], ...]


@dataclass(slots=True)
class _Shelf:
    """One view of assets: those of each album, in order; and what was computed of the whole since it changed."""

    by_album: dict[AlbumId, tuple[IndexEntry, ...]]
    etag: str | None = None
    changed_ns: int | None = None


class LibraryIndex:
    """Everything that is known of one account's assets, by month, tag and word.

    Not for two threads at once. Memory: about 600 bytes an asset, its Asset included.
    """

    def __init__(self) -> None:
        self._albums: dict[AlbumId, tuple[IndexEntry, ...]] = {}
        self._shown: dict[AlbumId, tuple[IndexEntry, ...]] = {}
        self._assets: dict[AssetId, IndexEntry] = {}
        self._shared: dict[AssetId, tuple[IndexEntry, ...]] = {}
        self._shelves: dict[ViewKind, dict[str, _Shelf]] = {kind: {} for kind in _KINDS}
        self._generation = 0

    def __len__(self) -> int:
        """Number of assets, those in several albums once."""
        return len(self._assets)

    @property
    def generation(self) -> int:
        """Another number after every change: while it is the same, so is every answer."""
        return self._generation

    def replace_album(self, album: AlbumId, entries: Sequence[IndexEntry]) -> None:
        """The album holds exactly `entries`: each of another asset, and with `album` as that asset's album.

        O(entries in it, before and now). Where they are as before, nothing changes, `generation` neither.
        """
        new, old = tuple(_ordered(entries)), self._albums.get(album, ())
        if new == old:
            return
        for entry in old:
            self._forget(entry)
        for entry in new:
            self._remember(entry)
        _keep(self._albums, album, new)
        _keep(self._shown, album, new if all(entry.is_media for entry in new) else _media(new))
        self._generation += 1
        before, after = _sorted_out(old), _sorted_out(new)
        for kind, name in before.keys() | after.keys():
            self._shelve(album, kind, name, tuple(after.get((kind, name), ())))

    def remove_album(self, album: AlbumId) -> None:
        """Nothing is known of the album. O(entries in it)."""
        self.replace_album(album, ())

    def album_entries(self, album: AlbumId) -> tuple[IndexEntry, ...]:
        """What the album holds, in the order of views; () if nothing is known of it."""
        return self._albums.get(album, ())

    def entry(self, asset: AssetId) -> IndexEntry | None:
        """What is known of the asset; None for nothing."""
        return self._assets.get(asset)

    def links(self, asset: AssetId) -> int:
        """The number of names that are listed for it: one an album, one in timeline/, one in favorites/, one a tag.

        1 for an asset of which nothing is known: somebody has seen a name of it.
        """
        first = self._assets.get(asset)
        if first is None:
            return 1
        if asset not in self._shared:
            return 2 + first.is_favorite + len(set(first.keywords)) if first.is_media else 1
        held = self._shared[asset]
        shown = [entry for entry in held if entry.is_media]
        months = {entry.month for entry in shown}
        tags = {tag for entry in shown for tag in entry.keywords}
        return len(held) + len(months) + any(entry.is_favorite for entry in shown) + len(tags)

    def years(self) -> list[str]:
        """Those with a picture, earliest first, as "2024"."""
        return sorted({month[:4] for month in self._shelves[ViewKind.MONTH]})

    def months(self, year: str) -> list[str]:
        """Those of the year with a picture, earliest first, as "2024-06"."""
        return sorted(month for month in self._shelves[ViewKind.MONTH] if month.startswith(f"{year}-"))

    def month(self, month: str) -> list[IndexEntry]:
        """What was taken in "2024-06", by local time; assets without a date by their mtime in UTC."""
        return self._on(ViewKind.MONTH, month)

    def favorites(self) -> list[IndexEntry]:
        """All for which `is_favorite`."""
        return self._on(ViewKind.FAVORITES, "")

    def tags(self) -> list[str]:
        """All keywords, as they are spelled, sorted. "Sea" and "sea" are two."""
        return sorted(self._shelves[ViewKind.TAG])

    def tagged(self, tag: str) -> list[IndexEntry]:
        """What has exactly this keyword."""
        return self._on(ViewKind.TAG, tag)

    def search(self, query: Query) -> list[IndexEntry]:
        """All pictures, videos and sounds that match every term. O(entries).

        Errors: NotOffered for a term smart:, which only a provider can answer.
        """
        return self.merged(self.found_in(query, chain.from_iterable(self._shown.values())))

    def parts(self, size: int) -> Iterator[Sequence[IndexEntry]]:
        """All pictures, videos and sounds as they are now, `size` at a time, whatever changes between two of them."""
        for entries in tuple(self._shown.values()):
            for start in range(0, len(entries), size):
                yield entries[start : start + size]

    def found_in(self, query: Query, entries: Iterable[IndexEntry]) -> list[IndexEntry]:
        """Those of `entries` that match every term. `merged` of what is found in all `parts` is `search`.

        Errors: as `search`.
        """
        found = list(entries)
        for term in query.terms:
            found = matching(term, found)
        return found

    def merged(self, found: Iterable[IndexEntry]) -> list[IndexEntry]:
        """Each asset once, in the order of views. For any thread."""
        return self._merged([found])

    def view_of_id(self, album: AlbumId) -> View | None:
        """The view of that id if there is anything in it, or if it is always there (timeline, favorites, tags)."""
        long = (tag for tag in self._shelves[ViewKind.TAG] if len(tag.encode()) > TAG_BYTES_MAX)
        view = view_of_id(album, long)
        if view is None or view.kind in (ViewKind.TIMELINE, ViewKind.FAVORITES, ViewKind.TAGS):
            return view
        if view.kind is ViewKind.YEAR:
            return view if self.months(view.name) else None
        return view if view.name in self._shelves[view.kind] else None

    def views(self, view: View) -> list[View]:
        """The views in `view`, in order; [] for one that holds assets."""
        match view.kind:
            case ViewKind.TIMELINE:
                return [View(ViewKind.YEAR, year) for year in self.years()]
            case ViewKind.YEAR:
                return [View(ViewKind.MONTH, month) for month in self.months(view.name)]
            case ViewKind.TAGS:
                return [View(ViewKind.TAG, tag) for tag in self.tags()]
        return []

    def entries(self, view: View) -> list[IndexEntry]:
        """The assets in `view`, in order; [] for one that holds views."""
        return [] if view.holds_views else self._on(view.kind, view.name)

    def etag(self, view: View) -> str:
        """Changes when, and only when, the assets or views that are in `view` or their order do; over restarts too."""
        if view.holds_views:
            return _digest(view_id(inner) for inner in self.views(view))
        shelf = self._shelves[view.kind].get(view.name)
        if shelf is None:
            return etag_of(())
        if shelf.etag is None:
            shelf.etag = etag_of(self._merged(shelf.by_album.values()))
        return shelf.etag

    def parts_of(self, view: View) -> Parts:
        """What is in `view`, album by album, for `merged` in any thread; () for one that holds views."""
        shelf = None if view.holds_views else self._shelves[view.kind].get(view.name)
        return () if shelf is None else tuple(shelf.by_album.values())

    def keep_etag(self, view: View, parts: Parts, etag: str) -> bool:
        """`etag` is that of `view` if `parts` are still what is in it; whether they are."""
        now = self.parts_of(view)
        if len(now) != len(parts) or any(one is not other for one, other in zip(now, parts, strict=True)):
            return False
        if parts:
            self._shelves[view.kind][view.name].etag = etag
        return True

    def has_etag(self, view: View) -> bool:
        """True if `etag` has nothing to compute but of views in views."""
        shelf = None if view.holds_views else self._shelves[view.kind].get(view.name)
        return shelf is None or shelf.etag is not None

    def changed_ns(self, view: View) -> int:
        """The latest `Asset.changed_ns` in `view` and below it; 0 where nothing is."""
        if view.holds_views:
            return max((self.changed_ns(inner) for inner in self.views(view)), default=0)
        shelf = self._shelves[view.kind].get(view.name)
        if shelf is None:
            return 0
        if shelf.changed_ns is None:
            shelf.changed_ns = max(entry.asset.changed_ns for entry in chain.from_iterable(shelf.by_album.values()))
        return shelf.changed_ns

    def _on(self, kind: ViewKind, name: str) -> list[IndexEntry]:
        shelf = self._shelves[kind].get(name)
        return [] if shelf is None else self._merged(shelf.by_album.values())

    def _merged(self, parts: Iterable[Iterable[IndexEntry]]) -> list[IndexEntry]:
        """The entries of several albums, each asset once, in order."""
        found: Iterable[IndexEntry] = chain.from_iterable(parts)
        if self._shared:
            first: dict[AssetId, IndexEntry] = {}
            for entry in found:
                kept = first.setdefault(entry.asset.id, entry)
                if entry.asset.album < kept.asset.album:
                    first[entry.asset.id] = entry
            found = first.values()
        return _ordered(found)

    def _shelve(self, album: AlbumId, kind: ViewKind, name: str, entries: tuple[IndexEntry, ...]) -> None:
        shelves = self._shelves[kind]
        shelf = shelves.setdefault(name, _Shelf({}))
        if entries == shelf.by_album.get(album, ()):
            return
        shelf.etag = shelf.changed_ns = None
        _keep(shelf.by_album, album, entries)
        if not shelf.by_album:
            del shelves[name]

    def _remember(self, entry: IndexEntry) -> None:
        asset = entry.asset.id
        first = self._assets.setdefault(asset, entry)
        if first is not entry:
            held = (*self._shared.get(asset, (first,)), entry)
            self._shared[asset] = tuple(sorted(held, key=_BY_ALBUM))
            self._assets[asset] = self._shared[asset][0]

    def _forget(self, entry: IndexEntry) -> None:
        asset = entry.asset.id
        left = tuple(held for held in self._shared.pop(asset, ()) if held is not entry)
        if left:
            self._assets[asset] = left[0]
        else:
            del self._assets[asset]
        if len(left) > 1:
            self._shared[asset] = left


def etag_of(entries: Iterable[IndexEntry]) -> str:
    """Equal for equal assets in the same order, else different: the etag of a listing of them."""
    return _digest(
        f"{asset.id}\0{asset.album}\0{asset.name}\0{asset.version}\0{asset.size_bytes}\0{asset.mtime_ns}\0"
        f"{asset.changed_ns}\0{asset.media_type}"
        for asset in (entry.asset for entry in entries)
    )


def _digest(lines: Iterable[str]) -> str:
    digest = blake2b(digest_size=16)
    for line in lines:
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n\0")
    return digest.hexdigest()


def _keep(table: dict[AlbumId, tuple[IndexEntry, ...]], album: AlbumId, entries: tuple[IndexEntry, ...]) -> None:
    if entries:
        table[album] = entries
    else:
        table.pop(album, None)


def _media(entries: Iterable[IndexEntry]) -> tuple[IndexEntry, ...]:
    return tuple(entry for entry in entries if entry.is_media)


def _ordered(entries: Iterable[IndexEntry]) -> list[IndexEntry]:
    return sorted(sorted(entries, key=_BY_NAME), key=_BY_TAKEN)


def _sorted_out(entries: Iterable[IndexEntry]) -> Mapping[tuple[ViewKind, str], list[IndexEntry]]:
    """The entries by the views that they are in, in their order."""
    found: dict[tuple[ViewKind, str], list[IndexEntry]] = {}
    for entry in entries:
        if entry.is_media:
            found.setdefault((ViewKind.MONTH, entry.month), []).append(entry)
            if entry.is_favorite:
                found.setdefault((ViewKind.FAVORITES, ""), []).append(entry)
            for tag in entry.keywords:
                found.setdefault((ViewKind.TAG, tag), []).append(entry)
    return found
