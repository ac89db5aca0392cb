"""Questions of several tasks asked in one call: while a call is on its way, whoever comes waits for the next.

Alone, nobody waits. Where many come, a call begins some time after the one before it, and takes more of them with it.
Whoever is cancelled takes his part back: a call that has it in it is broken off, as his own would be, and made again
without it for the others. So calls are ones that may be made twice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import trio

from iiiffs.errors import IiiffsError

Key = TypeVar("Key")
Value = TypeVar("Value")

PAUSE_S = 0.05
"""Between the beginnings of two calls: less than anybody notices of an upload, and many uploads on a quick network."""


class _Batch(Generic[Key, Value]):
    """What goes together. `wanted`: how many ask for each key."""

    def __init__(self) -> None:
        self.wanted: Counter[Key] = Counter()
        self.scope = trio.CancelScope()
        self.found: Mapping[Key, Value] | None = None
        self.error: IiiffsError | None = None

    @property
    def is_over(self) -> bool:
        return self.found is not None or self.error is not None

    def take_back(self, keys: Iterable[Key]) -> None:
        """Whoever asked for those has gone."""
        self.wanted -= Counter(keys)
        self.scope.cancel()


class Gathering(Generic[Key, Value]):
    """One call at a time, of all keys that were asked for since the last one began."""

    def __init__(self, call: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        """`call`: what is known of those keys, each once; what it raises that is no IiiffsError is a bug."""
        self._call = call
        self._asking = trio.Lock()
        self._next: _Batch[Key, Value] = _Batch()
        self._askers = 0
        self._begun_s = -math.inf

    @property
    def is_idle(self) -> bool:
        """True if nobody asks."""
        return not self._askers

    async def ask(self, keys: Iterable[Key]) -> dict[Key, Value]:
        """What a call that begins after this was called says of them; nothing is asked of none. Errors: the call's."""
        batch, mine = self._next, list(dict.fromkeys(keys))
        if not mine:
            return {}
        batch.wanted.update(mine)
        self._askers += 1
        try:
            async with self._asking:
                while not batch.is_over:
                    await self._run(batch)
        except BaseException:
            batch.take_back(mine)
            raise
        finally:
            self._askers -= 1
        if batch.error is not None:
            raise batch.error
        assert batch.found is not None, "it is over"
        return {key: batch.found[key] for key in mine if key in batch.found}

    async def _run(self, batch: _Batch[Key, Value]) -> None:
        """The batch is over, or somebody who was in it has gone."""
        await trio.sleep_until(self._begun_s + PAUSE_S)
        self._begun_s = trio.current_time()
        if self._next is batch:
            self._next = _Batch()
        batch.scope = trio.CancelScope()
        with batch.scope:
            try:
                batch.found = await self._call(list(batch.wanted))
            except IiiffsError as error:
                batch.error = error
