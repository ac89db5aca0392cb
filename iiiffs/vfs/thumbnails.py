"""`.sh_thumbnails` of an album: found by lookup, so that a desktop need not read originals to draw a folder.

A thumbnail is a rendition with words in it: made when its own name is looked up, and never by walking.
"""

from __future__ import annotations

from iiiffs.errors import Undecodable, VersionChanged
from iiiffs.model.gallery import Asset
from iiiffs.render.png_text import with_texts
from iiiffs.tree import attributes as attrs
from iiiffs.tree.attributes import Attributes
from iiiffs.tree.nodes import Thumbnail, ThumbnailDir, ThumbnailSizeDir
from iiiffs.tree.thumbnails import BOXES_PX, thumbnail_uri
from iiiffs.vfs.albums import Galleries
from iiiffs.vfs.document_records import digest_of
from iiiffs.vfs.entries import Absent, Found, Snapshot, fixed_snapshot
from iiiffs.vfs.pictures import Picture
from iiiffs.vfs.services import Services

NS_PER_S = 1_000_000_000


class Thumbnails:
    """ThumbnailDir and ThumbnailSizeDir."""

    def __init__(self, galleries: Galleries, services: Services) -> None:
        self._galleries = galleries
        self._services = services

    async def lookup(self, directory: ThumbnailDir | ThumbnailSizeDir, name: str) -> Found | Absent:
        """One of the sizes; or the thumbnail of the file whose name has that MD5."""
        if isinstance(directory, ThumbnailDir):
            found = dict(await self._sizes(directory)).get(name)
            return found or Absent(attrs.REFUSED_S)
        gallery = self._galleries[directory.account]
        names = await gallery.names(directory.album)
        shown = names.named_by_thumbnail(name)
        entry = None if shown is None else await gallery.find(directory.album, shown)
        if shown is None or not isinstance(entry, Asset):
            return Absent(attrs.ABSENT_S)
        node = Thumbnail(directory.account, entry.id, entry.version, shown, directory.box_px, "")
        try:
            picture, body = await self._made(node)
        except Undecodable as error:
            return Absent(attrs.ABSENT_S, str(error))
        node = Thumbnail(node.account, node.asset, node.version, shown, node.box_px, digest_of(body))
        return Found(node, attrs.file(len(body), self._services.made_ns(node.account, picture)))

    async def entries(self, directory: ThumbnailDir | ThumbnailSizeDir) -> Snapshot:
        """The sizes; no thumbnail, because each would have to be rendered to be sized (DESIGN §2.1)."""
        return fixed_snapshot(await self._sizes(directory) if isinstance(directory, ThumbnailDir) else [])

    async def attributes(self, directory: ThumbnailDir | ThumbnailSizeDir, last: Attributes) -> Attributes:
        """As the album is now."""
        return attrs.directory((await self._galleries[directory.account].album(directory.album)).mtime_ns)

    async def body(self, node: Thumbnail) -> bytes:
        """The bytes of exactly this thumbnail. Errors: VersionChanged, RenderError, ProviderError."""
        _, body = await self._made(node)
        if digest_of(body) != node.digest:
            raise VersionChanged(f"the thumbnail of {node.name} is another one now")
        return body

    async def _sizes(self, directory: ThumbnailDir) -> list[tuple[str, Found]]:
        album = await self._galleries[directory.account].album(directory.album)
        return [
            (name, Found(ThumbnailSizeDir(directory.account, directory.album, box_px), attrs.directory(album.mtime_ns)))
            for name, box_px in BOXES_PX.items()
        ]

    async def _made(self, node: Thumbnail) -> tuple[Picture, bytes]:
        """The picture and its thumbnail; the rendition in it is cached, so that making it again costs next to nothing.

        Rule: Thumbnail Managing Standard 0.9, "Thumbnail Attributes": MTime and Size are those that stat tells.
        """
        picture, png = await self._services.boxed(node.account, node.asset, node.version, node.box_px)
        asset = picture.asset
        texts = {"Thumb::URI": thumbnail_uri(node.name), "Thumb::MTime": str(asset.mtime_ns // NS_PER_S)}
        if asset.size_bytes is not None:
            texts["Thumb::Size"] = str(asset.size_bytes)
        texts["Thumb::Mimetype"] = picture.facts.media_type
        return picture, with_texts(png, texts)
