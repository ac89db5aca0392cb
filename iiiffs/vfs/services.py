"""Image services: iiif/3/ASSET-ID/, iiif/2/ASSET-ID/, and the three directories and the file of a request below it.

The grammar is asked one component at a time; what it refuses is absent for as long as this version lives, because
the service's inode names the version (DESIGN §2.3, §2.6). All spellings of a request end at one inode.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from iiiffs.errors import AssetGone, NoSuchName, RequestError, Undecodable, VersionChanged
from iiiffs.iiif.parameters import SIZE_FORMS, ApiVersion, resolve_region, resolve_rotation, resolve_size
from iiiffs.iiif.request import canonical_2, parse_request
from iiiffs.iiif.scaling import Limits
from iiiffs.model.gallery import AccountName, Asset, AssetId, Facts, Version
from iiiffs.model.image import Extent
from iiiffs.tree import attributes as attrs
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import Document, DocumentKind, ParameterDir, Rendition, ServiceDir
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.documents import Documents
from iiiffs.vfs.entries import Absent, Found, Snapshot, fixed_snapshot
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.renditions import Rendered, Renditions, Wanted

INFO = "info.json"
PARTS = 4
"""REGION / SIZE / ROTATION / QUALITY.FORMAT"""
SUBJECTS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Subject:
    """A picture in one version: nothing below its service needs more, and none of it can change."""

    asset: Asset
    facts: Facts
    extent: Extent


class Services:
    """ServiceDir and ParameterDir."""

    def __init__(self, galleries: Galleries, documents: Documents, renditions: Renditions, began_ns: int) -> None:
        self._galleries = galleries
        self._documents = documents
        self._renditions = renditions
        self._visibility = documents.rules.visibility
        self._began_ns = began_ns
        self._subjects: OrderedDict[tuple[AccountName, AssetId, Version], Subject] = OrderedDict()

    async def service(self, account: AccountName, asset_id: AssetId, api: ApiVersion) -> Found | Absent:
        """iiif/API/ASSET-ID: absent for what is not there, not shown, or no picture."""
        gallery = self._galleries[account]
        try:
            asset = await gallery.asset(asset_id)
        except AssetGone:
            return Absent(attrs.ABSENT_S)
        if not self._visibility.shows_any_of(account, [asset.album]):
            return Absent(attrs.ABSENT_S)
        if self._remember(account, asset, await gallery.facts(asset)) is None:
            return Absent(attrs.ABSENT_S)
        node = ServiceDir(account, asset.id, asset.version, api)
        return Found(node, attrs.directory(self._mtime_ns(asset), attr_s=attrs.IMMUTABLE_S))

    async def lookup(self, directory: ServiceDir | ParameterDir, name: str) -> Found | Absent:
        """One more component of a request, or info.json."""
        gallery = self._galleries[directory.account]
        subject = await self._subject(directory.account, directory.asset, directory.version)
        spelled = _spelled(directory)
        if not spelled and name == INFO:
            return self._found_info(directory, subject)
        parts = (*spelled, name)
        try:
            if len(parts) == PARTS:
                wanted = self._wanted(subject, parts, directory.api)
            else:
                check(parts, subject.extent, self._documents.rules.limits, directory.api)
        except RequestError:
            return Absent(attrs.REFUSED_S)
        if len(parts) < PARTS:
            node = ParameterDir(directory.account, directory.asset, directory.version, directory.api, parts)
            return Found(node, attrs.fixed_directory(self._mtime_ns(subject.asset)))
        try:
            rendered = await self._renditions.rendition(gallery, wanted)
        except Undecodable as error:
            self._withdraw(gallery, subject.asset, str(error))
            return Absent(attrs.REFUSED_S)
        return self._found_rendition(rendered, subject.asset)

    async def entries(self, directory: ServiceDir | ParameterDir) -> Snapshot:
        """info.json, and of the endless rest what is rendered already, in canonical spelling."""
        subject = await self._subject(directory.account, directory.asset, directory.version)
        asset, spelled = subject.asset, _spelled(directory)
        found: dict[str, Found] = {} if spelled else {INFO: self._found_info(directory, subject)}
        for label, rendered in self._renditions.existing(directory.account, asset.id, asset.version):
            parts = self._listed_as(subject, label, directory.api)
            if parts is None or parts[: len(spelled)] != spelled:
                continue
            name = parts[len(spelled)]
            if len(spelled) == PARTS - 1:
                found[name] = self._found_rendition(rendered, asset)
            elif name not in found:
                node = replace(_parameters(directory), spelled=(*spelled, name))
                found[name] = Found(node, attrs.fixed_directory(self._mtime_ns(asset)))
        return fixed_snapshot(list(found.items()))

    async def attributes(self, directory: ServiceDir | ParameterDir, last: Attributes) -> Attributes:
        """What was told: nothing of a version changes."""
        return last

    async def info_body(self, node: Document) -> bytes:
        """The bytes of an info.json. Errors: VersionChanged if they would differ."""
        body = self._documents.body(node)
        if body is None:
            gallery = self._galleries[node.account]
            asset = await gallery.asset(AssetId(node.owner))
            made = self._documents.info(node.account, asset, await gallery.facts(asset), _api_of(node))
            body = self._documents.body(made.node) if made.node == node else None
        if body is None:
            raise VersionChanged(f"info.json of {node.owner} is another one now")
        return body

    async def rendition_body(self, node: Rendition) -> bytes:
        """The bytes of exactly this rendition. Errors: VersionChanged, RenderError, ProviderError."""
        subject = await self._subject(node.account, node.asset, node.version)
        wanted = self._wanted(subject, tuple(node.canonical.split("/")), 3)
        return await self._renditions.body(self._galleries[node.account], node, wanted)

    async def _subject(self, account: AccountName, asset_id: AssetId, version: Version) -> Subject:
        """The picture in this version; the provider is asked only if it was not lately.

        Errors: VersionChanged if it has another version now; NoSuchName if it is no picture.
        """
        subject = self._subjects.get((account, asset_id, version))
        if subject is None:
            gallery = self._galleries[account]
            asset = await gallery.asset(asset_id)
            if asset.version != version:
                raise VersionChanged(f"{asset_id} has changed")
            subject = self._remember(account, asset, await gallery.facts(asset))
            if subject is None:
                raise NoSuchName(f"{asset_id} is no picture")
        return subject

    def _withdraw(self, gallery: Gallery, asset: Asset, reason: str) -> None:
        """The file has no service and no canvas any more: its pixels are damaged, though its header was not."""
        gallery.withdraw(asset, reason)
        self._subjects.pop((gallery.account, asset.id, asset.version), None)

    def _remember(self, account: AccountName, asset: Asset, facts: Facts) -> Subject | None:
        if facts.extent is None:
            return None
        key = (account, asset.id, asset.version)
        subject = self._subjects[key] = Subject(asset, facts, facts.extent)
        self._subjects.move_to_end(key)
        while len(self._subjects) > SUBJECTS_KEPT:
            self._subjects.popitem(last=False)
        return subject

    def _listed_as(self, subject: Subject, label: str, api: ApiVersion) -> tuple[str, ...] | None:
        """A canonical label in the words of `api`; None if it has none for it, as for upscaled ones in version 2."""
        parts = tuple(label.split("/"))
        if api == 3:
            return parts
        request = self._wanted(subject, parts, 3).request
        return None if request.size.upscaled else canonical_2(request, subject.extent)

    def _wanted(self, subject: Subject, parts: tuple[str, ...], api: ApiVersion) -> Wanted:
        region, size, rotation, leaf = parts
        limits, monochrome = self._documents.rules.limits, subject.facts.monochrome
        request = parse_request(
            subject.extent, (region, size, rotation, leaf), limits, monochrome=monochrome, version=api
        )
        return Wanted(subject.asset, subject.facts, subject.extent, request)

    def _found_info(self, directory: ServiceDir | ParameterDir, subject: Subject) -> Found:
        made = self._documents.info(directory.account, subject.asset, subject.facts, directory.api)
        return Found(made.node, attrs.file(made.size_bytes, made.mtime_ns, entry_s=attrs.IMMUTABLE_S))

    def _found_rendition(self, rendered: Rendered, asset: Asset) -> Found:
        attributes = attrs.file(rendered.size_bytes, self._mtime_ns(asset), entry_s=attrs.IMMUTABLE_S)
        return Found(rendered.node, attributes)

    def _mtime_ns(self, asset: Asset) -> int:
        """What is made from a version begins with it, or with the renderer and configuration that make it."""
        return max(asset.changed_ns, self._began_ns)


def check(parts: tuple[str, ...], image: Extent, limits: Limits, api: ApiVersion) -> None:
    """The first one to three components of a request are legal for `image`. Errors: RequestError."""
    region = resolve_region(parts[0], image)
    if len(parts) > 1:
        resolve_size(parts[1], region.extent, limits, SIZE_FORMS[api])
    if len(parts) > 2:
        resolve_rotation(parts[2])


def _spelled(directory: ServiceDir | ParameterDir) -> tuple[str, ...]:
    return directory.spelled if isinstance(directory, ParameterDir) else ()


def _parameters(directory: ServiceDir | ParameterDir) -> ParameterDir:
    """`directory` as one of parameters, none spelled yet for a service."""
    if isinstance(directory, ParameterDir):
        return directory
    return ParameterDir(directory.account, directory.asset, directory.version, directory.api, ())


def _api_of(node: Document) -> ApiVersion:
    return 2 if node.kind is DocumentKind.INFO_2 else 3
