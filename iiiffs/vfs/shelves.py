"""What a provider without folders shows as albums: its albums, and views of its whole library, each as a listing.

Views come in pages, and pages shift while something changes; a listing is whole or an error (DESIGN §2.10), so what was
gathered is compared with the provider's own count, or gathered until it is the same twice. Only what is looked at is
asked for: the months of the timeline are one question, what is in a month is asked when somebody opens it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Protocol

import trio

from iiiffs.errors import AccessDenied, AssetGone, ProviderUnreachable
from iiiffs.model.gallery import Album, AlbumId, Asset, Listing
from iiiffs.providers.base import Provider
from iiiffs.providers.views import (
    ALBUMS,
    TRASH,
    Favorites,
    Found,
    HasAlbums,
    HasViews,
    Mark,
    Month,
    Named,
    OfPerson,
    OfTag,
    Trash,
    View,
)
from iiiffs.tree.places import Place
from iiiffs.tree.query import Field, canonical
from iiiffs.tree.shelves import TITLES, Shelf, ShelfKind, month_began_ns, months_in, shelf_of_id, years_of
from iiiffs.vfs.collector import computed

PLACES = {
    ShelfKind.ALBUMS: Place.ALBUMS,
    ShelfKind.MONTH: Place.TIMELINE,
    ShelfKind.FAVORITES: Place.FAVORITES,
    ShelfKind.TAGS: Place.TAGS,
    ShelfKind.TAG: Place.TAG,
    ShelfKind.TRASH: Place.TRASH,
}
TRIES = 4
AT_ONCE = 500
"""Assets that are made into a listing in the loop; more of them in a thread."""
SETTLE_S = 0.3
"""Before a view that changed while it was gathered is gathered again."""
ACCOUNT = AlbumId("")
"""The account itself, as the album that holds its shelves; it has no directory of an album."""


class ShelvedProvider(Provider, HasAlbums, HasViews, Protocol):
    """A provider without folders."""


Listed = Callable[[AlbumId], Awaitable[Listing]]


class Shelves:
    """Of one account. `listed`: the account's listings, kept or asked, to see what is on the shelf above."""

    def __init__(self, provider: ShelvedProvider, listed: Listed) -> None:
        self._provider = provider
        self._listed = listed

    @property
    def tops(self) -> Mapping[str, AlbumId]:
        """Directory of the account -> the shelf that it shows, in the order of people's interest."""
        return {name: AlbumId(name) for name in self._provider.capabilities.shelves if name in TITLES}

    @property
    def searches(self) -> bool:
        """The account has a search/."""
        return ShelfKind.SEARCH in self._provider.capabilities.shelves

    async def account(self, title: str, known: Callable[[AlbumId], Awaitable[Listing | None]] | None = None) -> Listing:
        """The account as an album of the shelves that hold anything, but for the trash: nobody collects that. What
        the account may not see is left out, and with `known`, which asks nobody, what that does not know.
        Errors: ProviderUnreachable, DeadlinePassed."""
        shelves = []
        for shelf in self.tops.values():
            try:
                held = await (known or self._listed)(shelf) if shelf != TRASH else None
            except AccessDenied:
                continue
            if held is not None and (held.albums or held.assets):
                shelves.append(replace(held.album, count=len(held.albums) + len(held.assets)))
        return Listing(Album(ACCOUNT, title, None, 0), (), tuple(shelves), _etag(shelves))

    async def album(self, album: AlbumId) -> Album:
        """The shelf or album of that id. Errors: AssetGone; NotOffered for what the provider cannot search for."""
        shelf = shelf_of_id(album)
        above = ALBUMS if shelf is None else shelf.parent
        if above is None:
            return (await self._listed(album)).album
        for inner in (await self._listed(above)).albums:
            if inner.id == album:
                return inner
        raise AssetGone(f"{album}: there is no such album")

    async def listing(self, album: AlbumId) -> Listing:
        """All that is in it now, whole or an error. Errors: as `album`."""
        shelf = shelf_of_id(album)
        if shelf is None:
            found = await self._provider.listing(album)
            return replace(found, album=replace(found.album, parent=ALBUMS))
        match shelf.kind:
            case ShelfKind.ALBUMS:
                return _of_albums(shelf, [replace(one, parent=ALBUMS) for one in await self._provider.albums()])
            case ShelfKind.TIMELINE:
                return _of_albums(shelf, years_of(await self._provider.months()))
            case ShelfKind.YEAR:
                return _of_albums(await self._standing(shelf), months_in(shelf.name, await self._provider.months()))
            case ShelfKind.PEOPLE:
                return _of_albums(shelf, _named(ShelfKind.PERSON, await self._provider.people()))
            case ShelfKind.TAGS:
                return _of_albums(shelf, _named(ShelfKind.TAG, await self._provider.tags()))
        return await self._of_assets(shelf)

    async def _standing(self, shelf: Shelf) -> Album | Shelf:
        """The shelf as the one above it lists it. Errors: AssetGone."""
        return shelf if shelf.parent is None else await self.album(shelf.id)

    async def _of_assets(self, shelf: Shelf) -> Listing:
        standing = await self._standing(shelf)
        album = standing if isinstance(standing, Album) else _album_of(shelf)
        gathered = await self._gathered(shelf)
        make = partial(_of_gathered, album, gathered, is_dated=shelf.kind is ShelfKind.MONTH)
        return make() if len(gathered) <= AT_ONCE else await computed(make)

    async def _gathered(self, shelf: Shelf) -> list[Asset]:
        """All assets of a shelf, whole. A search by content has no end: its first page is the answer."""
        view = _view_of(shelf)
        if shelf.query is not None and any(term.field is Field.SMART for term in shelf.query.terms):
            return list((await self._provider.page(view)).assets)
        found, could_shift = await self._pages(view)
        if not could_shift:
            return list(found.values())
        for attempt in range(TRIES):
            await trio.sleep(SETTLE_S * attempt)
            before, counted = frozenset(found), await self._count(shelf, view)
            found, _ = await self._pages(view)
            if before == frozenset(found) or len(found) == counted == await self._count(shelf, view):
                return list(found.values())
        raise ProviderUnreachable(f"{_album_of(shelf).title}: it changes faster than it can be listed")

    async def _pages(self, view: View) -> tuple[dict[str, Asset], bool]:
        """By id, since pages overlap where something comes meanwhile; and whether some may have been missed so."""
        found: dict[str, Asset] = {}
        cursor: str | None = None
        could_shift = False
        while True:
            page = await self._provider.page(view, cursor)
            found |= {asset.id: asset for asset in page.assets}
            could_shift, cursor = could_shift or page.is_cut, page.cursor
            if cursor is None:
                return found, could_shift

    async def _count(self, shelf: Shelf, view: View) -> int | None:
        if shelf.kind is ShelfKind.MONTH:
            return (await self._provider.months()).get(shelf.name, 0)
        return await self._provider.count(view)


def place_of(album: AlbumId) -> Place:
    """What may be done in the shelf or album of that id."""
    shelf = shelf_of_id(album)
    return Place.ALBUM if shelf is None else PLACES.get(shelf.kind, Place.DERIVED)


def mark_of(album: AlbumId) -> Mark | None:
    """What is said of an asset that is put into the shelf of that id; None where that says nothing."""
    shelf = shelf_of_id(album)
    if shelf is None or shelf.kind not in (ShelfKind.FAVORITES, ShelfKind.TAG):
        return None
    return Favorites() if shelf.kind is ShelfKind.FAVORITES else OfTag(shelf.name)


def path_of(shelf: Shelf) -> tuple[str, ...] | None:
    """The directories below the account's that lead to a shelf that stands on none; None of others."""
    if shelf.query is not None:
        return ShelfKind.SEARCH.value, canonical(shelf.query)
    return None if shelf.parent is not None else (shelf.kind.value,)


def is_counted(album: AlbumId) -> bool:
    """True if names there count as names of a file (st_nlink): what is found or thrown away has no further one."""
    shelf = shelf_of_id(album)
    return shelf is None or shelf.kind not in (ShelfKind.SEARCH, ShelfKind.TRASH)


def is_month(album: AlbumId) -> bool:
    """True for a month of the timeline."""
    shelf = shelf_of_id(album)
    return shelf is not None and shelf.kind is ShelfKind.MONTH


def is_stored(album: AlbumId) -> bool:
    """True if the disk has its listing: of all but searches."""
    shelf = shelf_of_id(album)
    return shelf is None or shelf.kind is not ShelfKind.SEARCH


def is_view(album: AlbumId) -> bool:
    """True for what shows the library, or of it what fits; not for an album, nor for the list of them."""
    return album != ALBUMS and shelf_of_id(album) is not None


def _view_of(shelf: Shelf) -> View:
    match shelf.kind:
        case ShelfKind.MONTH:
            return Month(shelf.name)
        case ShelfKind.FAVORITES:
            return Favorites()
        case ShelfKind.TRASH:
            return Trash()
        case ShelfKind.PERSON:
            return OfPerson(shelf.name)
        case ShelfKind.TAG:
            return OfTag(shelf.name)
    assert shelf.query is not None, f"{shelf.kind} holds no assets"
    return Found(shelf.query)


def _album_of(shelf: Shelf) -> Album:
    if shelf.query is not None:
        return Album(shelf.id, canonical(shelf.query), None, 0)
    began_ns = month_began_ns(shelf.name) if shelf.kind in (ShelfKind.YEAR, ShelfKind.MONTH) else 0
    return Album(shelf.id, TITLES.get(shelf.kind, shelf.name), shelf.parent, began_ns)


def _of_albums(shelf: Shelf | Album, albums: Sequence[Album]) -> Listing:
    album = shelf if isinstance(shelf, Album) else _album_of(shelf)
    album = replace(album, mtime_ns=max((inner.mtime_ns for inner in albums), default=album.mtime_ns))
    return Listing(album, (), tuple(albums), _etag([album, *albums]))


def _of_gathered(album: Album, gathered: Iterable[Asset], *, is_dated: bool) -> Listing:
    """The album with these assets. For any thread: of 10,000 it takes 0.15 s."""
    assets = [replace(asset, album=album.id) for asset in gathered]
    if not is_dated:
        album = replace(album, mtime_ns=max((asset.changed_ns for asset in assets), default=0))
    return Listing(album, tuple(assets), (), _etag([album, *assets]))


def _named(kind: ShelfKind, some: Iterable[Named]) -> list[Album]:
    """People or tags as albums. Nobody knows when they changed before they are listed: 0."""
    shelves = ((Shelf(kind, one.id), one.name) for one in some)
    return [Album(shelf.id, name, shelf.parent, 0) for shelf, name in shelves]


def _etag(parts: Iterable[Album | Asset]) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(f"{part!r}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
