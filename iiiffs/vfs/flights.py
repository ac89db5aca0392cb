"""One flight a question: work that several may wait for, and that outlives whoever asked first.

A handler may wait no longer than its deadline, but a listing, a render or a download that was begun is worth
finishing: the next lookup joins it. The work runs in the daemon's one nursery, so it dies with the daemon and with
nothing else. Errors reach everybody who waits and are then forgotten: the next question asks again.

State is whole between awaits: a key is in `_flights` exactly while its work runs.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar, cast

import trio

from iiiffs.errors import DeadlinePassed, IiiffsError

log = logging.getLogger(__name__)

T = TypeVar("T")


class _Flight:
    __slots__ = ("error", "landed", "scope", "value")

    def __init__(self) -> None:
        self.landed = trio.Event()
        self.scope = trio.CancelScope()
        self.value: object = None
        self.error: Exception | None = DeadlinePassed("the daemon is stopping")


class Flights:
    """Work in progress by key."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._flights: dict[Hashable, _Flight] = {}
        self._is_stopped = False

    def __len__(self) -> int:
        return len(self._flights)

    async def join(self, key: Hashable, work: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        """The result of `work`, begun now unless work of this key is already on its way.

        Errors: whatever the work raised; DeadlinePassed after `timeout_s`, the work going on behind.
        """
        flight = self._begun(key, work)
        with trio.move_on_after(timeout_s):
            await flight.landed.wait()
        if not flight.landed.is_set():
            raise DeadlinePassed(f"no answer within {timeout_s:g} s; the work goes on, ask again")
        if flight.error is not None:
            raise flight.error.with_traceback(None)
        return cast(T, flight.value)

    def is_flying(self, key: Hashable) -> bool:
        """Work of this key is on its way."""
        return key in self._flights

    async def together(self, keys: Sequence[Hashable], work: Callable[[], Awaitable[Sequence[object]]]) -> None:
        """`work`, done by the caller, answers all `keys`, none of which is on its way; who joins one meanwhile waits.

        Its results are in the order of the keys. Errors: the work's, for those who wait as well.
        """
        flights = [self._flights.setdefault(key, _Flight()) for key in keys]
        try:
            for flight, value in zip(flights, await work(), strict=True):
                flight.value, flight.error = value, None
        except Exception as error:
            for flight in flights:
                flight.error = error
            raise
        finally:
            for key, flight in zip(keys, flights, strict=True):
                del self._flights[key]
                flight.landed.set()

    async def stop(self) -> None:
        """No work goes on; what is begun from now on is cut off at once. Errors: DeadlinePassed for whoever waits."""
        self._is_stopped = True
        for flight in list(self._flights.values()):
            flight.scope.cancel()
            await flight.landed.wait()

    def begin(self, key: Hashable, work: Callable[[], Awaitable[object]]) -> None:
        """`work` runs behind, unless work of this key already does. An error is for whoever joins."""
        self._begun(key, work)

    def _begun(self, key: Hashable, work: Callable[[], Awaitable[object]]) -> _Flight:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            self._nursery.start_soon(self._fly, key, flight, work)
        return flight

    async def _fly(self, key: Hashable, flight: _Flight, work: Callable[[], Awaitable[object]]) -> None:
        if self._is_stopped:
            flight.scope.cancel()
        try:
            with flight.scope:
                flight.value = await work()
                flight.error = None
        except IiiffsError as error:
            flight.error = error
        except Exception as bug:  # must reach whoever waits, and must not end the daemon's nursery
            log.exception("work on %r", key)
            flight.error = bug
        finally:
            del self._flights[key]
            flight.landed.set()
