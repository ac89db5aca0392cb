"""Image services: iiif/3/ASSET-ID/, iiif/2/ASSET-ID/, and the three directories and the file of a request below it.

The grammar is asked one component at a time; what it refuses is absent for as long as this version lives, because
the service's inode names the version (DESIGN §2.3, §2.6). All spellings of a request end at one inode.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial

from iiiffs.errors import (
    AssetGone,
    DeadlinePassed,
    NoSuchName,
    ProviderUnreachable,
    RequestError,
    Undecodable,
    VersionChanged,
)
from iiiffs.iiif.parameters import ApiVersion
from iiiffs.iiif.request import canonical, canonical_2, parse_request, resolve_parts
from iiiffs.model.gallery import AccountName, Asset, AssetId, Version
from iiiffs.sync.previews import ORIGINAL_ONLY, UNDECIDED, Sources, chosen
from iiiffs.tree import attributes as attrs
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import Document, DocumentKind, ParameterDir, Rendition, ServiceDir
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.documents import Documents, service_of
from iiiffs.vfs.entries import Absent, Found, Snapshot, fixed_snapshot
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.pictures import Picture, asset_of, picture_of
from iiiffs.vfs.renditions import Rendered, Renditions, Wanted

INFO = "info.json"
PARTS = 4
"""REGION / SIZE / ROTATION / QUALITY.FORMAT"""
PICTURES_KEPT = 4096


@dataclass(frozen=True, slots=True)
class ServiceName:
    """What a service of an asset is called: its id, the version of the Image API, and the path identifier or ""."""

    service: AssetId
    api: ApiVersion
    identifier: str = ""


class Services:
    """ServiceDir and ParameterDir."""

    def __init__(self, galleries: Galleries, documents: Documents, renditions: Renditions, began_ns: int) -> None:
        self._galleries = galleries
        self._documents = documents
        self._renditions = renditions
        self._visibility = documents.rules.visibility
        self._began_ns = began_ns
        self._pictures: OrderedDict[tuple[AccountName, AssetId, Version], Picture] = OrderedDict()

    async def service(self, account: AccountName, service: AssetId, api: ApiVersion) -> Found | Absent:
        """iiif/API/ASSET-ID: absent for what is not there, not shown, or no picture."""
        gallery = self._galleries[account]
        try:
            asset = await gallery.asset(asset_of(service)[0])
        except AssetGone:
            return Absent(attrs.ABSENT_S)
        return await self.named(account, asset, ServiceName(service, api))

    async def named(self, account: AccountName, asset: Asset, name: ServiceName) -> Found | Absent:
        """The service of that name of `asset`: absent if it is not shown or no picture, or has no such page."""
        if not self._visibility.shows_any_of(account, [asset.album]):
            return Absent(attrs.ABSENT_S)
        gallery = self._galleries[account]
        picture = self._remember(account, picture_of(asset, name.service, await gallery.facts(asset)))
        if picture is None:
            return Absent(attrs.ABSENT_S)
        revision = (self._renditions.known_sources(gallery, picture) or UNDECIDED).revision
        node = ServiceDir(account, name.service, asset.version, name.api, name.identifier, revision)
        # A program that may change the file must see what it wrote: the kernel cannot be told to forget the name (§6).
        may_change = asset.is_local or (gallery.writing is not None and gallery.access.edits)
        entry_s = 0.0 if may_change else attrs.MUTABLE_S
        made_ns = self.made_ns(account, picture)
        return Found(node, attrs.directory(made_ns, entry_s=entry_s, attr_s=attrs.IMMUTABLE_S))

    async def lookup(self, directory: ServiceDir | ParameterDir, name: str) -> Found | Absent:
        """One more component of a request, or info.json.

        Errors: VersionChanged if the asset is another now, also by a successor: who looks again finds that; AssetGone.
        """
        try:
            return await self._component(directory, name)
        except AssetGone as error:
            await self._galleries[directory.account].asset(asset_of(directory.asset)[0])
            raise VersionChanged(f"{directory.asset} is another asset now") from error

    async def _component(self, directory: ServiceDir | ParameterDir, name: str) -> Found | Absent:
        gallery = self._galleries[directory.account]
        picture = await self._picture(directory.account, directory.asset, directory.version)
        spelled = _spelled(directory)
        if not spelled and name == INFO:
            return await self._found_info(directory, picture)
        parts = (*spelled, name)
        try:
            if len(parts) == PARTS:
                wanted = self._wanted(picture, parts, directory.api)
            else:
                resolve_parts(parts, picture.extent, self._documents.rules.limits, directory.api)
        except RequestError as error:
            return Absent(attrs.REFUSED_S, str(error))
        if len(parts) < PARTS:
            account, asset, version = directory.account, directory.asset, directory.version
            node = ParameterDir(account, asset, version, directory.api, parts, directory.identifier, directory.revision)
            return Found(node, attrs.fixed_directory(self.made_ns(account, picture)))
        try:
            rendered = await self._rendered(gallery, wanted)
        except Undecodable as error:
            return Absent(attrs.REFUSED_S, str(error))
        return self._found_rendition(rendered, picture)

    async def entries(self, directory: ServiceDir | ParameterDir) -> Snapshot:
        """info.json, and of the endless rest what is rendered already, in canonical spelling."""
        picture = await self._picture(directory.account, directory.asset, directory.version)
        gallery, spelled = self._galleries[directory.account], _spelled(directory)
        found: dict[str, Found] = {} if spelled else {INFO: await self._found_info(directory, picture)}
        is_current = partial(self._is_current, picture, await self._sources(gallery, picture))
        version = picture.asset.version
        for label, rendered in self._renditions.existing(gallery, picture.service, version, is_current):
            parts = self._listed_as(picture, label, directory.api)
            if parts is None or parts[: len(spelled)] != spelled:
                continue
            name = parts[len(spelled)]
            if len(spelled) == PARTS - 1:
                found[name] = self._found_rendition(rendered, picture)
            elif name not in found:
                node = replace(_parameters(directory), spelled=(*spelled, name))
                found[name] = Found(node, attrs.fixed_directory(self.made_ns(directory.account, picture)))
        return fixed_snapshot(list(found.items()))

    async def attributes(self, directory: ServiceDir | ParameterDir, last: Attributes) -> Attributes:
        """What was told: nothing of a version changes."""
        return last

    async def info_body(self, node: Document) -> bytes:
        """The bytes of an info.json. Errors: VersionChanged if they would differ."""
        body = self._documents.body(node)
        if body is None:
            service, identifier = service_of(node.owner)
            asset = await self._galleries[node.account].asset(asset_of(service)[0])
            picture = await self._picture(node.account, service, asset.version)
            picture = await self._with_sources(node.account, picture)
            made = self._documents.info(node.account, picture, _api_of(node), identifier)
            body = self._documents.body(made.node) if made.node == node else None
        if body is None:
            raise VersionChanged(f"info.json of {node.owner} is another one now")
        return body

    async def rendition_body(self, node: Rendition) -> bytes:
        """The bytes of exactly this rendition. Errors: VersionChanged, RenderError, ProviderError."""
        picture = await self._picture(node.account, node.asset, node.version)
        wanted = self._wanted(picture, tuple(node.canonical.split("/")), 3)
        return await self._renditions.body(self._galleries[node.account], node, wanted)

    async def boxed(self, account: AccountName, asset: AssetId, version: Version, box_px: int) -> tuple[Picture, bytes]:
        """The first page of a picture, and it as a PNG that fits in a square of `box_px` a side; never enlarged.

        Errors: NoSuchName if it is no picture; Undecodable, VersionChanged, ProviderError.
        """
        gallery = self._galleries[account]
        picture = await self._picture(account, asset, version)
        wanted = self._wanted(picture, ("full", f"!{box_px},{box_px}", "0", "default.png"), 3)
        rendered = await self._rendered(gallery, wanted)
        return picture, await self._renditions.body(gallery, rendered.node, wanted)

    async def _rendered(self, gallery: Gallery, wanted: Wanted) -> Rendered:
        """The rendition, there to be read; a picture that turns out to be none is withdrawn before Undecodable."""
        try:
            return await self._renditions.rendition(gallery, wanted)
        except Undecodable as error:
            await self._withdraw(gallery, wanted.picture, str(error))
            raise

    async def _picture(self, account: AccountName, service: AssetId, version: Version) -> Picture:
        """The picture in this version; the provider is asked only if it was not lately.

        Errors: VersionChanged if it has another version now; NoSuchName if it is no picture.
        """
        picture = self._pictures.get((account, service, version))
        if picture is None:
            gallery = self._galleries[account]
            asset = await gallery.asset(asset_of(service)[0])
            if asset.version != version:
                raise VersionChanged(f"{service} has changed")
            picture = self._remember(account, picture_of(asset, service, await gallery.facts(asset)))
            if picture is None:
                raise NoSuchName(f"{service} is no picture")
        return picture

    async def _withdraw(self, gallery: Gallery, picture: Picture, reason: str) -> None:
        """The file has no service and no canvas any more: its pixels are damaged, though its header was not."""
        gallery.facts_reader.withdraw(picture.asset, reason)
        self._pictures.pop((gallery.account, picture.service, picture.asset.version), None)
        self._documents.outdate_collections(gallery, await gallery.album(picture.asset.album))

    def _remember(self, account: AccountName, picture: Picture | None) -> Picture | None:
        if picture is not None:
            key = (account, picture.service, picture.asset.version)
            self._pictures[key] = picture
            self._pictures.move_to_end(key)
            while len(self._pictures) > PICTURES_KEPT:
                self._pictures.popitem(last=False)
        return picture

    def _is_current(self, picture: Picture, sources: Sources, label: str, tag: str) -> bool:
        """A request of that canonical label is rendered from the source of that tag."""
        if not sources.reduced:
            return not tag
        request = self._wanted(picture, tuple(label.split("/")), 3).request
        reduced = chosen(sources, picture.extent, request.region, request.size.extent)
        return tag == ("" if reduced is None else reduced.tag)

    def _listed_as(self, picture: Picture, label: str, api: ApiVersion) -> tuple[str, ...] | None:
        """A canonical label in the words of `api`; None if it has none for it, as for upscaled ones in version 2."""
        parts = tuple(label.split("/"))
        if api == 3:
            return parts
        request = self._wanted(picture, parts, 3).request
        return None if request.size.upscaled else canonical_2(request, picture.extent)

    def _wanted(self, picture: Picture, parts: tuple[str, ...], api: ApiVersion) -> Wanted:
        region, size, rotation, leaf = parts
        limits, monochrome = self._documents.rules.limits, picture.facts.monochrome
        request = parse_request(
            picture.extent, (region, size, rotation, leaf), limits, monochrome=monochrome, version=api
        )
        return Wanted(picture, request, "/".join(canonical(request, picture.extent)))

    async def _sources(self, gallery: Gallery, picture: Picture) -> Sources:
        """What it is rendered from; undecided while the provider cannot be asked: info.json is there all the same."""
        try:
            return await self._renditions.sources(gallery, picture)
        except (ProviderUnreachable, DeadlinePassed):
            return UNDECIDED

    async def _with_sources(self, account: AccountName, picture: Picture) -> Picture:
        return replace(picture, sources=await self._sources(self._galleries[account], picture))

    async def _found_info(self, directory: ServiceDir | ParameterDir, picture: Picture) -> Found:
        picture = await self._with_sources(directory.account, picture)
        made = self._documents.info(directory.account, picture, directory.api, directory.identifier)
        return Found(made.node, attrs.file(made.size_bytes, made.mtime_ns, entry_s=attrs.IMMUTABLE_S))

    def _found_rendition(self, rendered: Rendered, picture: Picture) -> Found:
        made_ns = self.made_ns(rendered.node.account, picture)
        attributes = attrs.file(rendered.size_bytes, made_ns, entry_s=attrs.IMMUTABLE_S)
        return Found(rendered.node, attributes)

    def made_ns(self, account: AccountName, picture: Picture) -> int:
        """What is made from a version begins with it, or with the renderer, configuration and sources that make it."""
        sources = self._renditions.known_sources(self._galleries[account], picture) or ORIGINAL_ONLY
        return max(picture.asset.changed_ns, self._began_ns, sources.since_ns)


def _spelled(directory: ServiceDir | ParameterDir) -> tuple[str, ...]:
    return directory.spelled if isinstance(directory, ParameterDir) else ()


def _parameters(directory: ServiceDir | ParameterDir) -> ParameterDir:
    """`directory` as one of parameters, none spelled yet for a service."""
    if isinstance(directory, ParameterDir):
        return directory
    account, asset, version = directory.account, directory.asset, directory.version
    return ParameterDir(account, asset, version, directory.api, (), directory.identifier, directory.revision)


def _api_of(node: Document) -> ApiVersion:
    return 2 if node.kind is DocumentKind.INFO_2 else 3
