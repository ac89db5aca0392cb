"""An account of a fake Immich, for tests of the provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from iiiffs.model.gallery import AccountName
from iiiffs.providers.base import ProviderContext, Secrets
from iiiffs.providers.http_policy import RetryPolicy
from iiiffs.providers.http_values import HttpSettings
from iiiffs.providers.immich import provider_of
from iiiffs.providers.immich.writing import WritableImmichProvider
from iiiffs.render.headers import read_facts
from iiiffs.sync.identity import Row
from tests.fakes.immich import ImmichServer

POLL_S = 0.02
QUICK = HttpSettings(rate_per_s=5000.0, retry=RetryPolicy(base_s=0.001))
"""Nothing is waited for that need not be."""


class NoLedger:
    """Of a provider whose server has ids of its own: nothing may be kept there."""

    def row(self, id: str) -> Row | None:
        """Rule: IdentityLedger.row."""
        return None

    def rows_in(self, folder: str) -> list[Row]:
        """Rule: IdentityLedger.rows_in."""
        return []

    def rows_of_inodes(self, inodes: Iterable[tuple[int, int]]) -> list[Row]:
        """Rule: IdentityLedger.rows_of_inodes."""
        return []

    def rows_of_sizes(self, sizes: Iterable[int]) -> list[Row]:
        """Rule: IdentityLedger.rows_of_sizes."""
        return []

    async def commit(self, rows: Sequence[Row], forgotten: Sequence[str] = ()) -> None:
        """Rule: IdentityLedger.commit; never called."""
        raise AssertionError("the ledger is not for this provider")


def stored(key: str | Callable[[], str], headers: Mapping[str, str] | None = None) -> Secrets:
    """What `iiiffs login` would have stored."""

    async def secrets() -> Mapping[str, object]:
        found: dict[str, object] = {"api_key": key if isinstance(key, str) else key()}
        return found | ({"headers": headers} if headers else {})

    return secrets


def context_of(
    server: ImmichServer,
    secrets: Secrets | None = None,
    url: str | None = None,
    settings: Mapping[str, object] | None = None,
) -> ProviderContext:
    """With the server's first key, and polls that come at once."""
    settings = {"url": url or server.url, "poll": POLL_S, **(settings or {})}
    return ProviderContext(AccountName("home"), settings, NoLedger(), read_facts, secrets or stored(server.key))


def account_of(
    server: ImmichServer,
    secrets: Secrets | None = None,
    url: str | None = None,
    *,
    http: HttpSettings = QUICK,
    settings: Mapping[str, object] | None = None,
) -> WritableImmichProvider:
    """The provider of such an account. Whoever asks for it closes it."""
    return provider_of(context_of(server, secrets, url, settings), http)
