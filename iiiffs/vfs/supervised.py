"""Services that run as long as the mount: a bug in one costs a traceback and a pause, never the mount."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from iiiffs.model.gallery import AccountName

log = logging.getLogger(__name__)

RESTART_S = 30.0


@dataclass(slots=True)
class _Running:
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)


class Supervised:
    """All services of a mount, in the daemon's nursery."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._running: list[_Running] = []

    def start(self, account: AccountName, service: Callable[[], Awaitable[None]]) -> None:
        """The service runs until it ends by itself, or all are stopped."""
        running = _Running()
        self._running.append(running)
        self._nursery.start_soon(_supervised, account, service, running)

    async def stop(self) -> None:
        """No service goes on."""
        for running in self._running:
            running.scope.cancel()
        for running in self._running:
            await running.ended.wait()


async def _supervised(account: AccountName, service: Callable[[], Awaitable[None]], running: _Running) -> None:
    try:
        with running.scope:
            while True:
                try:
                    await service()
                except Exception:
                    log.exception("%s: a service failed; it is begun again in %g s", account, RESTART_S)
                    await trio.sleep(RESTART_S)
                else:
                    return
    finally:
        running.ended.set()
