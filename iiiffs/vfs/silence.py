"""Whether a server answers: whoever knows what was there does not wait for one that is silent.

A server is silent that has let somebody's whole deadline pass, and has answered nobody since. It is asked all the same,
a few questions at a time and behind everybody's back, so that its first answer ends that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from iiiffs.errors import AccessDenied, AssetGone, DeadlinePassed

ASKING_MAX = 4
"""Questions that are under way behind the backs of those who do not wait for a silent server."""


class Silence:
    """Of one account's server."""

    def __init__(self) -> None:
        self._is_silent = False
        self._asking = 0

    def spares(self, trouble: str | None, ask: Callable[[], None]) -> bool:
        """Whoever knows what was there need not wait, for the account cannot be asked (`trouble`), or its server is
        silent. Then `ask` begins the question all the same, unless many are under way."""
        if trouble is not None:
            self._is_silent = False
            return True
        if self._is_silent and self._asking < ASKING_MAX:
            ask()
        return self._is_silent

    def noticed(self, error: Exception) -> None:
        """Somebody who knew what was there did not get an answer."""
        self._is_silent = isinstance(error, DeadlinePassed)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Inside, a question is asked; whoever answers it, even by a refusal, is not silent."""
        self._asking += 1
        try:
            yield
            self._is_silent = False
        except (AssetGone, AccessDenied):
            self._is_silent = False
            raise
        finally:
            self._asking -= 1
