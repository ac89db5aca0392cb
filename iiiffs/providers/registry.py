"""Providers by name: built-in ones and other people's register under the entry point group `iiiffs.providers`.

An entry point names a function `open_provider(context) -> Provider`. The module that it is in may have a `Probe` beside
it, under the name `probe`: then `iiiffs add` and `iiiffs login` try the account before they keep anything.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

from iiiffs.errors import ConfigError
from iiiffs.providers.base import OpenProvider, Provider, ProviderContext

GROUP = "iiiffs.providers"


class Probe(Protocol):
    """Whether an account can be used, asked once, without a mount."""

    async def __call__(self, settings: Mapping[str, object], secrets: Mapping[str, object], /) -> str:
        """A sentence for a person: who is let in, where, and what is missing. Nothing of it runs afterwards.

        `settings`, `secrets`: as in ProviderContext. Errors: AccessDenied, ProviderUnreachable, ConfigError.
        """
        ...


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


def probe_of(kind: str) -> Probe | None:
    """The probe of that kind of provider; None if it has none. Errors: ConfigError if it cannot be imported."""
    point = _registered().get(kind)
    if point is None:
        return None
    try:
        module = importlib.import_module(point.module)
    except ImportError as error:
        raise ConfigError(f"provider {kind!r} cannot be loaded: {error}") from error
    return cast(Probe | None, getattr(module, "probe", None))


def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
