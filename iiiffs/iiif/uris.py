"""Every URI of the tree. One place, because a URI that has been published must never change (DESIGN §2.7).

Whatever is not A-Z a-z 0-9 - . _ ~ is percent-encoded in every part, so that `id` is the URI to the byte that a client
sends back. Rule: RFC 3986 §2.3; Image API 3.0 §9.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from iiiffs.model.gallery import AccountName, AlbumId, AssetId


def encoded(name: str) -> str:
    """One part of a path, percent-encoded. Lone surrogates, as os.fsdecode makes them, become the bytes they stand for.

    A slash is encoded as well: a part is one name.
    """
    if _UNRESERVED.fullmatch(name):  # every id; ten times as fast
        return name
    return quote(name.encode("utf-8", "surrogateescape"), safe="")


_UNRESERVED = re.compile("[A-Za-z0-9._~-]*")


@dataclass(frozen=True, slots=True)
class Uris:
    """The URIs below `base_url`, which keeps no slash at its end."""

    base_url: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))

    def root_collection(self) -> str:
        """The Collection of all accounts."""
        return f"{self.base_url}/collection.json"

    def account_collection(self, account: AccountName) -> str:
        """The Collection of an account's albums."""
        return f"{self.base_url}/{encoded(account)}/collection.json"

    def service(self, account: AccountName, asset: AssetId) -> str:
        """The Image API 3.0 service of one asset; never ends in a slash."""
        return f"{self.base_url}/{encoded(account)}/iiif/3/{encoded(asset)}"

    def service_2(self, account: AccountName, asset: AssetId) -> str:
        """The Image API 2.1 service of the same asset; never ends in a slash."""
        return f"{self.base_url}/{encoded(account)}/iiif/2/{encoded(asset)}"

    def album(self, account: AccountName, album: AlbumId) -> str:
        """What all of one album's documents and canvases start with; names no document itself."""
        return f"{self.base_url}/{encoded(account)}/iiif/presentation/3/{encoded(album)}"

    def manifest(self, account: AccountName, album: AlbumId) -> str:
        """The Manifest of one album."""
        return f"{self.album(account, album)}/manifest.json"

    def part_manifest(self, account: AccountName, album: AlbumId, part: str) -> str:
        """The Manifest of one part of an album, such as a month."""
        return f"{self.album(account, album)}/manifest-{encoded(part)}.json"

    def range(self, account: AccountName, album: AlbumId, name: str) -> str:
        """A Range of an album, such as a day."""
        return f"{self.album(account, album)}/range/{encoded(name)}"

    def collection(self, account: AccountName, album: AlbumId) -> str:
        """The Collection of one album that has albums below it."""
        return f"{self.album(account, album)}/collection.json"

    def rendition(self, account: AccountName, asset: AssetId, canonical: str) -> str:
        """One image of the service in version 3; `canonical` is REGION/SIZE/ROTATION/QUALITY.FORMAT.

        Rule: Image API 3.0 §9: only a caret is encoded of what its parameters are made of.
        """
        return f"{self.service(account, asset)}/{quote(canonical, safe='/,!:')}"

    def canvas(self, account: AccountName, album: AlbumId, asset: AssetId) -> str:
        """The Canvas of one asset in one album: by its id, never by its place."""
        return f"{self.album(account, album)}/canvas/{encoded(asset)}"

    def original(self, account: AccountName, path: Sequence[str]) -> str:
        """The original under files/; `path` holds the names of its folders and its own, as os.fsdecode gives them."""
        return self.place(account, ("files", *path))

    def place(self, account: AccountName, path: Sequence[str]) -> str:
        """What stands at `path`, the names of its directories below the account's and its own; no slash at its end."""
        return "/".join((self.base_url, encoded(account), *map(encoded, path)))

    def account_page(self, account: AccountName) -> str:
        """The directory of an account, where a web server shows its page."""
        return f"{self.base_url}/{encoded(account)}/"

    def directory_page(self, account: AccountName, path: Sequence[str]) -> str:
        """A directory below an account's, where a web server shows its page; `path` as for `place`."""
        return self.place(account, path) + "/"
