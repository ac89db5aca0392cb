"""Addresses of an Immich that anybody may ask: those of a shared link, which somebody made there for the world.

What is known of shared links is read in the server's source, not recorded: a link is named by `key` or `slug` in the
query, of an album or of single assets; one with a password hides itself until it is told, and one whose downloads are
off has no originals. An API key is in no address.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

import trio

from iiiffs.errors import AccessDenied, ConfigError
from iiiffs.model.gallery import AlbumId, Asset
from iiiffs.providers.base import Preview, PublicFile, PublicUrls
from iiiffs.providers.http_policy import origin_of
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.listings import Listings
from iiiffs.providers.immich.wire import SharedLinkRecord

log = logging.getLogger(__name__)

NAMED_BY = {"share": "key", "s": "slug"}
"""What the last but one part of a link's path says of the last: https://HOST/share/KEY, https://HOST/s/SLUG."""


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """Where the world finds a link. `base`: of the server, as the link has it; `named_by`: "key" or "slug"."""

    base: str
    named_by: str
    name: str

    @property
    def query(self) -> dict[str, str]:
        """What lets anybody in."""
        return {self.named_by: self.name}

    def url(self, asset: str, route: str, **query: str) -> str:
        """Of a route of an asset ("original")."""
        return f"{self.base}/api/assets/{quote(asset)}/{route}?{urlencode({**query, **self.query})}"


def link_address(shared_link: object, key: str) -> LinkAddress | None:
    """The setting `key`, None for "" and for none. Errors: ConfigError if it cannot be the address of a link."""
    if shared_link in (None, ""):
        return None
    if isinstance(shared_link, str):
        try:
            origin_of(shared_link)
            parts = urlsplit(shared_link)
        except ValueError:
            parts = urlsplit("")
        *before, kind, name = ("", "", *parts.path.rstrip("/").split("/"))
        if kind in NAMED_BY and name and not parts.query and not parts.fragment and "@" not in parts.netloc:
            path = "/".join(part for part in before if part)
            base = f"{parts.scheme}://{parts.netloc}" + (f"/{path}" if path else "")
            return LinkAddress(base, NAMED_BY[kind], unquote(name))
    raise ConfigError(f'{key}: expected a shared link of Immich, such as "https://photos.example.org/share/KEY"')


class PublicLink:
    """One link. What it holds is asked again when the last answer is older than `fresh_s`."""

    def __init__(self, client: ImmichClient, listings: Listings, address: LinkAddress, fresh_s: float) -> None:
        self._client = client
        self._listings = listings
        self._address = address
        self._fresh_s = fresh_s
        self._members: frozenset[str] = frozenset()
        self._asked_s = float("-inf")
        self._refused: str | None = None
        self._asking = trio.Lock()
        self._warned = False

    async def check(self) -> None:
        """It is there, asks for no password, and lets originals out. Errors: AccessDenied with what to do."""
        try:
            self._members = await self._members_of(await self._usable())
            self._refused = None
        except AccessDenied as error:
            self._refused = str(error)
            raise
        finally:
            self._asked_s = trio.current_time()

    async def holds(self, asset: Asset) -> bool:
        """True if the link lets anybody see it. Errors: AccessDenied if the link does not do any more."""
        async with self._asking:
            if trio.current_time() - self._asked_s >= self._fresh_s:
                await self.check()
        if self._refused is not None:
            raise AccessDenied(self._refused)
        return asset.id in self._members

    async def _usable(self) -> SharedLinkRecord:
        record = await self._client.shared_link(self._address.query)
        name = self._client.name
        if record.password is not None:
            raise AccessDenied(f"{name}: the shared link asks for a password; take that off in Immich")
        if not record.allow_download:
            raise AccessDenied(f"{name}: the shared link allows no downloads; allow them in Immich")
        if record.expires_at is not None and not self._warned:
            log.warning("%s: the shared link, and every document with it, ends on %s", name, record.expires_at[:10])
            self._warned = True
        return record

    def urls(self, asset: Asset, previews: Sequence[Preview]) -> PublicUrls:
        """Of an asset that it holds. `previews`: those that the server keeps of it."""
        found = {
            one.name: PublicFile(self._address.url(asset.id, "thumbnail", size=one.name), one.media_type, one.extent)
            for one in previews
        }
        original = PublicFile(self._address.url(asset.id, "original"), asset.media_type)
        return PublicUrls(original, found.get("preview"), found.get("thumbnail"))

    async def _members_of(self, record: SharedLinkRecord) -> frozenset[str]:
        if record.album is None:
            return frozenset(asset.id for asset in record.assets)
        return frozenset(asset.id for asset in (await self._listings.listing(AlbumId(record.album.id))).assets)
