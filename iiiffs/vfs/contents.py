"""What an album's documents are made of: its files, what they say, and what their owner says in an iiif.toml."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from iiiffs.errors import IiiffsError
from iiiffs.iiif.canvases import CanvasItem, Linked, LinkedImage, OriginalFile
from iiiffs.iiif.description import NOTHING_MORE
from iiiffs.iiif.overrides import NO_OVERRIDES, Overrides
from iiiffs.iiif.uris import Uris, encoded
from iiiffs.model.gallery import AccountName, AlbumId, Asset, AssetId, Facts, Listing, Version
from iiiffs.providers.base import PublicFile, PublicUrls, public_urls_of
from iiiffs.sync.entries import entry_of, pairs
from iiiffs.tree.albums import AlbumNames
from iiiffs.tree.overrides import parse_overrides
from iiiffs.tree.sidecars import sidecars
from iiiffs.tree.visibility import Visibility
from iiiffs.vfs.collector import computed
from iiiffs.vfs.gallery import Gallery

log = logging.getLogger(__name__)

OVERRIDES = "iiif.toml"
OVERRIDES_BYTES_MAX = 4 << 20
OVERRIDES_KEPT = 256
DIRECT = "direct"
"""The mode in which documents refer to the provider's own addresses. Rule: DESIGN §2, Modes."""
SHOWN_BY_BROWSERS = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"})


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Contents:
    """`items`: what may be shown, in the album's order; `overrides`: what the owner wants."""

    names: AlbumNames
    items: list[CanvasItem]
    overrides: Overrides


class ContentsReader:
    """Reads the contents of albums; remembers parsed iiif.toml files, one a version."""

    def __init__(self, uris: Uris, visibility: Visibility) -> None:
        self._uris = uris
        self._visibility = visibility
        self._parsed: OrderedDict[tuple[str, AssetId, Version], Overrides] = OrderedDict()

    async def read(self, gallery: Gallery, album: AlbumId) -> Contents:
        """What is in the album now. Errors: as `Gallery.with_facts`."""
        names, facts = await gallery.with_facts(album)
        overrides = await self.overrides(gallery, names)
        items = await self._items(gallery, names, facts, overrides)
        return Contents(names, items, overrides)

    async def overrides(self, gallery: Gallery, names: AlbumNames) -> Overrides:
        """What the album's iiif.toml says; a file that cannot be understood is logged once and left out."""
        entry = names.get(OVERRIDES)
        is_folder = names.listing.album.id == (entry.album if isinstance(entry, Asset) else None)
        default = replace(NO_OVERRIDES, order="name") if self._by_name(gallery, names) else NO_OVERRIDES
        if not isinstance(entry, Asset) or not is_folder:
            return default
        key = (gallery.account, entry.id, entry.version)
        if key not in self._parsed:
            self._parsed[key] = await self._parse(gallery, entry)
            while len(self._parsed) > OVERRIDES_KEPT:
                self._parsed.popitem(last=False)
        parsed = self._parsed[key]
        return replace(parsed, order=default.order) if parsed.order is None else parsed

    async def _parse(self, gallery: Gallery, asset: Asset) -> Overrides:
        try:
            original = await gallery.open(asset)
            try:
                text = await original.read(0, OVERRIDES_BYTES_MAX)
            finally:
                await original.aclose()
            return parse_overrides(text.decode("utf-8"))
        except (IiiffsError, UnicodeDecodeError) as error:
            log.warning("%s: %s is left out: %s", gallery.name, asset.name, error)
            return NO_OVERRIDES

    def _by_name(self, gallery: Gallery, names: AlbumNames) -> bool:
        """Folders are in the order of names; views have an order of their own."""
        return gallery.library is not None and not gallery.library.is_view(names.listing.album.id)

    async def _items(
        self, gallery: Gallery, names: AlbumNames, facts: Mapping[AssetId, Facts], overrides: Overrides
    ) -> list[CanvasItem]:
        folders: dict[AlbumId, tuple[str, ...]] = {}
        if self._visibility.originals:
            for home in dict.fromkeys(asset.album for asset in names.listing.assets):
                folders[home] = await gallery.path(await gallery.album(home))
        public = await self._public(gallery, names.listing) if gallery.mode == DIRECT else None
        found = _Found(gallery.account, self._uris, names, facts, folders, gallery.capabilities.real_names, public)
        return await computed(partial(_items_of, found, overrides))

    async def _public(self, gallery: Gallery, listing: Listing) -> dict[AssetId, PublicUrls]:
        """Where the provider hands out what its public link holds. Errors: as HasPublicUrls.public_urls."""
        provider = public_urls_of(gallery.provider)
        found: dict[AssetId, PublicUrls] = {}
        for asset in listing.assets if provider is not None else ():
            urls = await provider.public_urls(asset) if provider is not None and asset.is_media else None
            if urls is not None:
                found[asset.id] = urls
        return found


@dataclass(frozen=True)
class _Found:
    """What an album's canvases are made of.

    `folders`: where originals are shown: the paths of the folders they are in, whatever view lists them; empty where
    originals are not shown. `real_names`: they have their own names there, not those that this album gives them.
    `public`: with mode "direct", where the provider hands them out; what it does not hand out has no canvas.
    """

    account: AccountName
    uris: Uris
    names: AlbumNames
    facts: Mapping[AssetId, Facts]
    folders: Mapping[AlbumId, tuple[str, ...]]
    real_names: bool
    public: Mapping[AssetId, PublicUrls] | None = None

    @property
    def listing(self) -> Listing:
        """What is in the album."""
        return self.names.listing

    def file_of(self, asset: Asset | None) -> OriginalFile | None:
        """The original, if it is shown anywhere."""
        if asset is None or asset.album not in self.folders:
            return None
        if self.public is not None:
            urls = self.public.get(asset.id)
            if urls is None:
                return None
            return OriginalFile(urls.original.url, urls.original.media_type, asset.size_bytes)
        name = asset.name if self.real_names else self.names.name_of(asset.id)
        if name is None:
            return None
        told = self.facts.get(asset.id)
        uri = f"{self._folder_uris[asset.album]}/{encoded(name)}"
        return OriginalFile(uri, asset.media_type if told is None else told.media_type, asset.size_bytes)

    def linked(self, asset: Asset, facts: Facts) -> Linked | None:
        """With mode "direct": what is shown in the place of an image service."""
        urls = None if self.public is None else self.public.get(asset.id)
        if urls is None:
            return None
        thumbnail = _shown(urls.thumbnail, facts)
        painted = _shown(urls.preview, facts) or _shown(urls.original, facts) or thumbnail
        return None if painted is None else Linked(painted, thumbnail or painted)

    @cached_property
    def _folder_uris(self) -> Mapping[AlbumId, str]:
        return {album: self.uris.place(self.account, path) for album, path in self.folders.items()}


def _shown(file: PublicFile | None, facts: Facts) -> LinkedImage | None:
    """The file, if browsers show it and somebody knows how large it is."""
    if file is None or file.media_type not in SHOWN_BY_BROWSERS:
        return None
    extent = file.extent or facts.extent
    return None if extent is None else LinkedImage(file.url, file.media_type, extent)


def _items_of(found: _Found, overrides: Overrides) -> list[CanvasItem]:
    """A canvas for all that may be shown. For any thread: of 10,000 files it takes 0.1 s."""
    assets = {asset.id: asset for asset in found.listing.assets}
    has_video = any(asset.media_type.startswith("video/") for asset in found.listing.assets)
    looked_at = found.listing.assets if has_video else ()
    motions = pairs(entry_of(asset, found.facts.get(asset.id)) for asset in looked_at)
    beside = sidecars(asset.name for asset in found.listing.assets)
    by_name = {asset.name: asset for asset in found.listing.assets}

    items = []
    moving = set(motions.values())
    for asset in found.listing.assets:
        told = found.facts.get(asset.id)
        if told is None or asset.id in moving or (told.extent is None and told.duration_s is None):
            continue
        linked = found.linked(asset, told)
        if found.public is not None and linked is None and told.extent is not None:
            continue
        items.append(
            CanvasItem(
                asset.id,
                asset.name,
                told.extent,
                found.file_of(asset),
                told.captured,
                description=told.description,
                said=overrides.files.get(asset.name, NOTHING_MORE),
                pages=told.pages,
                duration_s=told.duration_s,
                motion=found.file_of(assets.get(motions[asset.id])) if asset.id in motions else None,
                sidecar=found.file_of(by_name.get(beside.get(asset.name, ""))),
                linked=linked,
            )
        )
    return items
