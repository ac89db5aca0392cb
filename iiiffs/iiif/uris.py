"""Every URI of the tree. One place, because a URI that has been published must never change (DESIGN §2.7).

Whatever is not A-Z a-z 0-9 - . _ ~ is percent-encoded in every part, so that `id` is the URI to the byte that a client
sends back. Rule: RFC 3986 §2.3; Image API 3.0 §9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from iiiffs.iiif.parameters import ApiVersion
from iiiffs.model.gallery import AccountName, AlbumId, AssetId

ENCODED_SLASH = "%2F"
PLAIN_SLASH = "/"

_UNRESERVED = re.compile("[A-Za-z0-9._~-]*")
_PAGE = re.compile(r"(?P<name>.+);(?P<page>[1-9][0-9]{0,5})", re.DOTALL)


def encoded(name: str) -> str:
    """One part of a path, percent-encoded. Lone surrogates, as os.fsdecode makes them, become the bytes they stand for.

    A slash is encoded as well: a part is one name.
    """
    if _UNRESERVED.fullmatch(name):  # every id; ten times as fast
        return name
    return quote(name.encode("utf-8", "surrogateescape"), safe="")


@dataclass(frozen=True, slots=True)
class Identifiers:
    """How the path URIs of one account are written: those that an earlier image server gave to files below `files/`.

    `base_2`, `base_3`: what stands before the identifier in version 2 and 3 of the Image API, without a slash at its
    end. `slash`: "%2F", "/", or the substitute that stands for a slash in identifiers. `suffix`: of file names,
    left out in identifiers; "" for none. Rule: Image API 3.0 §3 (an identifier is one encoded part of a
    path), Cantaloupe's `slash_substitute`, `path_suffix` and meta-identifiers (IDENTIFIER;PAGE), IIPImage's
    FILESYSTEM_SUFFIX.
    """

    base_2: str
    base_3: str
    slash: str = ENCODED_SLASH
    suffix: str = ""

    def base(self, api: ApiVersion) -> str:
        """What stands before the identifier in version `api`."""
        return self.base_2 if api == 2 else self.base_3

    def uri(self, api: ApiVersion, identifier: str) -> str:
        """The image service whose encoded identifier is `identifier`; never ends in a slash."""
        return f"{self.base(api)}/{identifier}"

    def spelled(self, path: Sequence[str]) -> str:
        """The encoded identifier of the names that were looked up one below the other, as os.fsdecode gives them."""
        joint = PLAIN_SLASH if self.slash == PLAIN_SLASH else ENCODED_SLASH
        return joint.join(map(encoded, path))

    def readings(self, name: str) -> tuple[tuple[str, ...], ...]:
        """The paths that one looked-up name may stand for, likeliest first: itself, and with substitutes as slashes.

        Parts that no directory has, such as "" and "..", are in none.
        """
        parts = tuple(name.split(self.slash)) if self._has_substitute and self.slash in name else ()
        if not parts or any(part in {"", ".", ".."} for part in parts):
            return ((name,),)
        return (name,), parts

    def names(self, name: str) -> tuple[tuple[str, int], ...]:
        """(file name, page from 0) that the last part of a path may stand for, likeliest first."""
        plain = [(name, 0)]
        if match := _PAGE.fullmatch(name):
            plain.append((match["name"], int(match["page"]) - 1))
        return tuple(plain + [(each + self.suffix, page) for each, page in plain if self.suffix])

    @property
    def _has_substitute(self) -> bool:
        return self.slash not in {ENCODED_SLASH, PLAIN_SLASH}


@dataclass(frozen=True, slots=True)
class Uris:
    """The URIs below `base_url`, which keeps no slash at its end.

    `identifiers`: of the accounts whose images answer under paths as well.
    """

    base_url: str
    identifiers: Mapping[AccountName, Identifiers] = field(default_factory=dict)

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

    def image(self, account: AccountName, asset: AssetId, api: ApiVersion, identifier: str = "") -> str:
        """The image service in version `api`: the stable one, or the one of an encoded path `identifier`."""
        if identifier:
            return self.identifiers[account].uri(api, identifier)
        return self.service_2(account, asset) if api == 2 else self.service(account, asset)

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
