"""An Immich server as a gallery. Entry point `immich` of the group `iiiffs.providers`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path

import trio

from iiiffs.errors import AccessDenied, ConfigError
from iiiffs.providers.base import Provider, ProviderContext
from iiiffs.providers.http import HttpAccount, plain_context, tls_context
from iiiffs.providers.http_policy import one_line, origin_of
from iiiffs.providers.http_values import SETTINGS, HttpSettings
from iiiffs.providers.immich.client import ImmichClient
from iiiffs.providers.immich.dialect import VIEW_PERMISSIONS, lacking
from iiiffs.providers.immich.permissions import UPLOAD
from iiiffs.providers.immich.provider import POLL_S, ImmichProvider
from iiiffs.providers.immich.public import link_address
from iiiffs.providers.immich.writing import WritableImmichProvider

__all__ = ["ImmichProvider", "WritableImmichProvider", "api_url", "open_provider", "probe", "provider_of"]


def open_provider(context: ProviderContext) -> Provider:
    """The account at the server that `url` names. Nothing is asked yet.

    Settings: `url`; `ca_file`, a file with the authorities of a private server; `poll`, seconds between two looks for
    changes; `shared_link`, what documents of mode "direct" refer to. Secrets: "api_key", and "headers", which go with
    every question. Errors: ConfigError.
    """
    return provider_of(context)


async def probe(settings: Mapping[str, object], secrets: Mapping[str, object]) -> str:
    """Rule: registry.Probe. Says which Immich it is, which key it let in, and what the key lacks."""

    async def authorize() -> Mapping[str, str]:
        return headers_of("Immich", secrets)

    url, tls = place_of("", settings)
    http = HttpAccount("Immich", url, authorize, tls=tls, advice="make another one there (account settings, API keys)")
    try:
        client = ImmichClient(http)
        await client.check_key()
        version, albums = (await client.dialect()).version, len((await client.albums()).albums or ())
    finally:
        with trio.CancelScope(shield=True):
            await http.aclose()
    held = client.key.permissions if client.key else []
    missing = lacking(held, VIEW_PERMISSIONS)
    more = f"; with {', '.join(missing)} it would show more" if missing else ""
    if lacking(held, UPLOAD):
        more += "; it may only read, for it lacks " + ", ".join(lacking(held, UPLOAD))
    name = one_line(client.key.name, 60) if client.key else ""
    return f"Immich {version} lets the key {name!r} in: {albums} album{'' if albums == 1 else 's'}{more}"


def place_of(prefix: str, settings: Mapping[str, object]) -> tuple[str, ssl.SSLContext]:
    """Where the API is, and whom to trust. `prefix`: of keys in messages ("account.home."). Errors: ConfigError."""
    url = api_url(settings.get("url"), f"{prefix}url")
    ca_file = settings.get("ca_file")
    if ca_file is not None and not isinstance(ca_file, str | Path):
        raise ConfigError(f"{prefix}ca_file: expected the path of a file with certificates")
    if ca_file is None and url.startswith("http://"):
        return url, plain_context()
    try:
        return url, tls_context(None if ca_file is None else Path(ca_file).expanduser())
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from error


def provider_of(context: ProviderContext, http: HttpSettings = SETTINGS) -> WritableImmichProvider:
    """As `open_provider`, with other limits."""
    key = f"account.{context.account}"
    url, tls = place_of(f"{key}.", context.settings)
    poll_s = context.settings.get("poll", POLL_S)
    if isinstance(poll_s, bool) or not isinstance(poll_s, int | float) or poll_s <= 0:
        raise ConfigError(f"{key}.poll: expected a number of seconds above 0")

    async def authorize() -> Mapping[str, str]:
        return headers_of(context.account, await context.secrets())

    link = link_address(context.settings.get("shared_link"), f"{key}.shared_link")
    account = HttpAccount(context.account, url, authorize, tls=tls, settings=http)
    return WritableImmichProvider(context, account, float(poll_s), link)


def api_url(url: object, key: str) -> str:
    """Where the API is: `url`, with /api behind it unless it has that. Errors: ConfigError."""
    if isinstance(url, str):
        text = url.strip().rstrip("/")
        try:
            origin_of(text)
        except ValueError:
            text = ""
        if text and not re.search(r"[@?#\s]", text):
            return text if text.endswith("/api") else f"{text}/api"
    raise ConfigError(
        f'{key}: expected where the server is, such as "https://photos.example.org", without user or query'
    )


def headers_of(account: str, secrets: Mapping[str, object]) -> Mapping[str, str]:
    """What lets the account in. Errors: AccessDenied if there is no key, or what is stored can be none."""
    key = secrets.get("api_key")
    if not isinstance(key, str) or not key:
        raise AccessDenied(f"{account}: no API key is stored; make one in Immich, then: iiiffs login {account}")
    extra = secrets.get("headers", {})
    pairs = extra.items() if isinstance(extra, Mapping) else [("", None)]
    headers = {"x-api-key": key}
    for name, value in pairs:
        if not isinstance(value, str) or not isinstance(name, str) or not re.fullmatch(r"[!-9;-~]+", name):
            raise AccessDenied(f"{account}: the stored headers are no names with texts; log in again: iiiffs login")
        headers[name.lower()] = value
    if not all(re.fullmatch(r"[\x20-\x7e]+", value) for value in headers.values()):
        raise AccessDenied(f"{account}: the stored key or a header holds what HTTP cannot send; log in again")
    return headers
