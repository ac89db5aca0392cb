"""Providers by name: built-in ones and other people's register under the entry point group `iiiffs.providers`.

An entry point names a function `open_provider(context) -> Provider`.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import cast

from iiiffs.errors import ConfigError
from iiiffs.providers.base import OpenProvider, Provider, ProviderContext

GROUP = "iiiffs.providers"


def provider_kinds() -> tuple[str, ...]:
    """The values that `provider = …` may have, sorted."""
    return tuple(sorted(_registered()))


def open_provider(kind: str, context: ProviderContext) -> Provider:
    """The provider of that kind for one account, not yet asked anything.

    Errors: ConfigError if nobody registered `kind`, if its package cannot be imported, or from the provider itself.
    """
    registered = _registered()
    if kind not in registered:
        known = ", ".join(provider_kinds()) or "none"
        raise ConfigError(f"account.{context.account}: unknown provider {kind!r}; known are: {known}")
    try:
        opener = cast(OpenProvider, registered[kind].load())
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"account.{context.account}: provider {kind!r} cannot be loaded: {error}") from error
    return opener(context)


def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
