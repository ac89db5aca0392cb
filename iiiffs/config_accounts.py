"""The [account.NAME] sections as frozen values: their keys, and what one key cannot show.

`config` reads the sections; here is what they may hold, and every rule that compares keys or accounts with each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, structs

from iiiffs.config_values import (
    DurationKey,
    FlagKey,
    IdentifierBase,
    IdentifierBaseKey,
    IdentifierSlash,
    IdentifierSlashKey,
    PathKey,
    PollKey,
    PollSpan,
    Seconds,
    ServerUrlKey,
    SharedLink,
    SharedLinkKey,
    is_loopback,
)
from iiiffs.iiif.parameters import ApiVersion
from iiiffs.iiif.uris import ENCODED_SLASH, Identifiers
from iiiffs.model.gallery import AccountName, AccountNames

RESERVED_NAMES = frozenset(
    {"activity", "index.html", "collection.json", "manifest.json", "sitemap.xml", "robots.txt", "favicon.ico"}
)
"""Names at the mount's root that are no account (DESIGN §2), and two that every browser or crawler asks for."""

API_VERSIONS: tuple[ApiVersion, ...] = (2, 3)
LATER_PROVIDERS = ("nextcloud", "webdav", "google")
"""Refused by name, until a package registers them."""
LATER_ACCOUNT_KEYS = ("upload_folder",)
SETTLE = Seconds(3)
Mode = Literal["direct", "proxy", "hybrid"]


class AccountKeys(Struct, frozen=True, kw_only=True):
    """What every [account.NAME] may hold beside the keys of its provider."""

    provider: Annotated[str, Meta(description='the name of a provider, such as "folder"')]
    access: Annotated[Literal["read", "add", "edit"], Meta(description='"read", "add" or "edit"')] = "add"
    list_timeout: DurationKey = Seconds(30)
    mode: Annotated[Mode, Meta(description='"direct", "proxy" or "hybrid"')] = "hybrid"
    poll: PollKey = PollSpan(30)
    settle: DurationKey = SETTLE
    credentials: PathKey | None = None
    slug: Annotated[str, Meta(description='a name such as "pictures", or "" for the name of the section')] = ""
    aliases: Annotated[tuple[str, ...], Meta(description='a list of names such as ["old-name"]')] = ()
    identifiers: Annotated[Literal["id", "path"], Meta(description='"id" or "path"')] = "id"
    identifier_slash: IdentifierSlashKey = IdentifierSlash(ENCODED_SLASH)
    identifier_suffix: Annotated[
        str, Meta(pattern=r"\A[^/\x00-\x1f\x7f]{0,32}\Z", description='the end of file names, such as ".tif", or ""')
    ] = ""
    identifier_base_2: IdentifierBaseKey = IdentifierBase("")
    identifier_base_3: IdentifierBaseKey = IdentifierBase("")


class FolderKeys(Struct, frozen=True, kw_only=True):
    """The keys of provider "folder"."""

    path: PathKey


class ImmichKeys(Struct, frozen=True, kw_only=True):
    """The keys of provider "immich". `cleartext`: the key may travel where others can read it, by http.

    `shared_link`: what mode "direct" refers to. `ca_file`: authorities that vouch for the server, beside the machine's.
    """

    url: ServerUrlKey
    cleartext: FlagKey = False
    ca_file: PathKey | None = None
    shared_link: SharedLinkKey = SharedLink("")


PROVIDER_KEYS: Mapping[str, type[Struct]] = {"folder": FolderKeys, "immich": ImmichKeys}
"""Keys of the built-in providers, so that a slip is found at start. A third party's provider checks its own."""


class Account(Struct, frozen=True, kw_only=True):
    """One [account.NAME]. `options`: the provider's own keys as TOML has them, "~" expanded, absent ones left out;
    `paths`: those of them that name local folders or files. `access`: what a person lets the mount do. `slug`,
    `aliases`: rule: model.gallery.AccountNames. `identifiers`: None unless images answer under paths too.
    `credentials`: the file that holds its secrets; None = the system keyring."""

    name: AccountName
    slug: AccountName
    aliases: tuple[AccountName, ...]
    identifiers: Identifiers | None
    provider: str
    access: Literal["read", "add", "edit"]
    list_timeout_s: float
    mode: Mode
    poll_s: float
    settle_s: float
    credentials: Path | None
    options: Mapping[str, object]
    paths: Mapping[str, Path]

    @property
    def settings(self) -> Mapping[str, object]:
        """What its provider is opened with: its own keys, and those of all accounts that it has to know."""
        return {**self.options, "poll": self.poll_s}

    @property
    def names(self) -> AccountNames:
        """All that it is called."""
        return AccountNames(self.name, self.slug, self.aliases)


def account_name_problem(name: str) -> str | None:
    """Why `name` cannot be a directory of the mount and a part of every URI; None if it can. Rule: DESIGN §2.7."""
    if not re.fullmatch(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,99}", name):
        return 'expected a name of 1 to 100 characters A-Z a-z 0-9 . _ ~ - that begins with no "."'
    if name in RESERVED_NAMES:
        return "this name is the mount's own"
    return None


def identifiers_of(keys: AccountKeys, slug: str, base_url: str) -> Identifiers | None:
    """How the account's path URIs are written; None where it has none."""
    if keys.identifiers == "id":
        return None
    own = f"{base_url}/{slug}/iiif"
    return Identifiers(
        keys.identifier_base_2 or f"{own}/2",
        keys.identifier_base_3 or f"{own}/3",
        keys.identifier_slash,
        keys.identifier_suffix,
    )


def network_problems(keys: AccountKeys, provider: Struct) -> Iterator[tuple[str, str]]:
    """(key, problem) for keys of one account that do not go together. `provider`: its own keys."""
    if isinstance(provider, FolderKeys):
        if keys.credentials is not None:
            yield "credentials", 'provider "folder" has no secrets; remove it'
        if keys.mode == "direct":
            yield "mode", 'provider "folder" has no addresses of its own; expected "hybrid" or "proxy"'
    if isinstance(provider, ImmichKeys):
        if provider.url.startswith("http:") and not (provider.cleartext or is_loopback(provider.url)):
            yield "url", "the key would travel in clear; expected https, or cleartext = true where others may read it"
        if keys.mode == "direct" and not provider.shared_link:
            yield "mode", '"direct" needs a shared_link of the server; add it, or choose "hybrid" or "proxy"'
        if keys.mode != "direct" and provider.shared_link:
            yield "shared_link", 'of use with mode = "direct" only; add that, or remove it'


def needless_identifier_keys(keys: AccountKeys) -> Iterator[str]:
    """The keys that say something of path URIs where there are none."""
    if keys.identifiers == "id":
        for field in structs.fields(AccountKeys):
            if field.name.startswith("identifier_") and getattr(keys, field.name) != field.default:
                yield field.name


def shared_names(accounts: Sequence[Account]) -> Iterator[str]:
    """A problem for each name that two accounts have, or one has twice: else an old URI might lead elsewhere."""
    holders = {account.name: account.name for account in accounts}
    for account in accounts:
        own = {account.slug}
        for alias in account.aliases:
            if alias in own:
                yield f"account.{account.name}.aliases: {shown(alias)} is named twice; remove one"
            own.add(alias)
        for name in sorted(own):
            holder = holders.setdefault(name, account.name)
            if holder != account.name:
                key = f"account.{account.name}.{'slug' if name == account.slug else 'aliases'}"
                yield f"{key}: {shown(name)} is a name of account.{holder}; choose another one"


def former_bases(accounts: Sequence[Account], base_url: str) -> Iterator[tuple[str, AccountName, ApiVersion]]:
    """What path URIs begin with that do not begin with `base_url`: the URL, whose it is, and the version."""
    for account in accounts:
        if account.identifiers is not None:
            for api in API_VERSIONS:
                base = account.identifiers.base(api)
                if base != f"{base_url}/{account.slug}/iiif/{api}":
                    yield base, account.slug, api


def misplaced_bases(accounts: Sequence[Account], base_url: str) -> Iterator[str]:
    """A problem for each former base that a web server could not tell from another one, or from the mount itself.

    Hosts are not compared: one server may answer on all of them.
    """
    names = {name for account in accounts for name in (account.name, account.slug, *account.aliases)}
    sections = {account.slug: account.name for account in accounts}
    mount, holders = urlsplit(base_url).path, dict[str, str]()
    for url, slug, api in former_bases(accounts, base_url):
        key, path = f"account.{sections[slug]}.identifier_base_{api}", urlsplit(url).path
        holder = holders.setdefault(path, key)
        if holder != key:
            yield f"{key}: {path} is the place of {holder}; choose another one"
        first = path.removeprefix(mount + "/").partition("/")[0] if path.startswith(mount + "/") else None
        if f"{mount}/".startswith(path + "/") or first in names or first in RESERVED_NAMES:
            yield f"{key}: {path} is a place of the mount itself ({base_url}); choose another one"


def shown(value: object) -> str:
    """A TOML value on one short line; of URLs, no password and nothing of a query's values: one may be a secret."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = re.sub(r"(//[^/@\s:]*):[^/@\s]*@", r"\1:…@", text)
    text = re.sub(r"([?&][^=&\s]*)=[^&\s#\"]+", r"\1=…", text)
    return text if len(text) <= 80 else text[:77] + "..."
