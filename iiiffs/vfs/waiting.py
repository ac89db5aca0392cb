"""How many handlers of one account may wait for its provider: nobody can interrupt them, and all share one pool.

pyfuse3 reads no further request once all its tasks wait, so each account has its places and whoever finds none is
refused at once (DESIGN §6). Questions and reads have places of their own: hung reads leave lookups alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from iiiffs.errors import ProviderUnreachable

QUESTIONS_MAX = 192
READS_MAX = 128
WAITING_MAX = QUESTIONS_MAX + READS_MAX
"""Of one account, all told: the session has tasks for these and some more."""


_has_place: ContextVar[bool] = ContextVar("_has_place", default=False)
"""Whether this task, or the one that began it, holds a place."""


class WaitingRoom:
    """The places of one account, of one kind."""

    def __init__(self, what: str, places: int) -> None:
        self._what = what
        self._places = places
        self.waiting = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Inside, a handler has a place. Errors: ProviderUnreachable if there is none.

        What is asked inside, or by work begun inside, needs no second one: the handler waits once for all of it.
        """
        if _has_place.get():
            yield
            return
        if self.waiting >= self._places:
            raise ProviderUnreachable(f"{self._what}: {self.waiting} requests wait for it already")
        self.waiting += 1
        token = _has_place.set(True)
        try:
            yield
        finally:
            _has_place.reset(token)
            self.waiting -= 1
