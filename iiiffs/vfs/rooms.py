"""How much room accounts have at their providers: for statfs, and to refuse at the call what would not fit (§4).

What a provider said is believed for SPACE_S; an answer is waited for ROOM_S at most. Bytes that wait count as taken;
not so for accounts on this machine, whose bytes leave the spool as they arrive, mostly on the same disk.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import trio

from iiiffs.errors import DeadlinePassed, IiiffsError, OverQuota, StoreFull
from iiiffs.model.gallery import AccountName
from iiiffs.model.writing import Access, Space
from iiiffs.providers.base import Provider
from iiiffs.providers.writing import HasWriting, writing_of
from iiiffs.sync.items import Item, Stage
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.queue import Queue

log = logging.getLogger(__name__)

SPACE_S = 30.0
FRESH_S = 1.0
"""Nothing is refused on an answer that is older."""
ROOM_S = 2.0
ARRIVING = frozenset({Stage.OPEN, Stage.SETTLING, Stage.READY, Stage.SENDING})
"""Stages of files that will take room at their provider."""

Room = Callable[[AccountName, int], Awaitable[None]]
"""Nothing, if that many bytes more may be written for that account. Errors: OverQuota; StoreFull for one on this
machine."""


class Account(Protocol):
    """What of a gallery counts here. Rule of all: vfs.gallery.Gallery."""

    access: Access

    @property
    def name(self) -> AccountName:
        """What its items say."""
        ...

    @property
    def provider(self) -> Provider:
        """Who keeps its photos."""
        ...


@dataclass(slots=True)
class _Told:
    """The last answer, None where nobody says; and when it was asked for, of trio's clock."""

    asked_s: float
    space: Space | None


class Rooms:
    """Of the accounts of one mount that can be written to."""

    def __init__(self, queue: Queue, galleries: Iterable[Account], flights: Flights) -> None:
        everything = list(galleries)
        self._galleries = {one.name: one for one in everything if one.access.adds and writing_of(one.provider)}
        self._is_only = len(everything) == 1
        self._flights = flights
        self._told: dict[AccountName, _Told] = {}
        self._waiting: Counter[AccountName] = Counter()
        self._sent: Counter[AccountName] = Counter()
        """Bytes that arrived since the account was asked."""
        for item in queue.items():
            self._changed(None, item)
        queue.watch(self._changed)

    async def space(self) -> Space | None:
        """The room of a mount's one account; None where there are several, or nobody says."""
        if not self._is_only:
            return None
        for name in self._galleries:
            space = await self._asked(name, SPACE_S)
            if space is not None:
                return Space(space.total_bytes, max(0, self._left_bytes(name, space)), space.reserved_bytes)
        return None

    async def needed(self, account: AccountName, more_bytes: int) -> None:
        """Nothing, if so much more may be written for the account as far as is known: rule `Room`. Only who is to be
        refused waits for a fresh answer."""
        if account not in self._galleries:
            return
        told = self._told.get(account)
        if told is None or trio.current_time() - told.asked_s > SPACE_S:
            self._begin(account)
        if told is None or told.space is None or self._left_bytes(account, told.space) >= more_bytes:
            return
        space = await self._asked(account, FRESH_S)
        if space is None or (left_bytes := self._left_bytes(account, space)) >= more_bytes:
            return
        left_mib = max(0, left_bytes) >> 20
        if self._galleries[account].provider.capabilities.local:
            raise StoreFull(f"{account} has {left_mib} MiB left on its disk; free some there")
        raise OverQuota(
            f"{account} has {left_mib} MiB left at its provider, less what waits to be sent; "
            "free some there, or remove what waits"
        )

    def _left_bytes(self, account: AccountName, space: Space) -> int:
        if self._galleries[account].provider.capabilities.local:
            return space.free_bytes
        return space.free_bytes - self._waiting[account] - self._sent[account]

    async def _asked(self, account: AccountName, age_s: float) -> Space | None:
        """What the provider says, or said last if it does not answer; not older than `age_s` if it does."""
        told = self._told.get(account)
        if told is None or trio.current_time() - told.asked_s > age_s:
            try:
                await self._flights.join(("space", account), self._asking(account), ROOM_S)
            except DeadlinePassed as error:  # the answer is awaited behind
                self._no_answer(account, error)
        return self._told[account].space

    def _begin(self, account: AccountName) -> None:
        self._flights.begin(("space", account), self._asking(account))

    def _asking(self, account: AccountName) -> Callable[[], Awaitable[None]]:
        provider = writing_of(self._galleries[account].provider)
        assert provider is not None, "only those that can be written to are here"
        return partial(self._ask, account, provider)

    async def _ask(self, account: AccountName, provider: HasWriting) -> None:
        asked_s = trio.current_time()
        try:
            space = await provider.space()
        except IiiffsError as error:
            self._no_answer(account, error)
            return
        self._sent[account] = 0
        self._told[account] = _Told(asked_s, space)

    def _no_answer(self, account: AccountName, error: IiiffsError) -> None:
        """What was said last counts on, and nobody asks for a while."""
        log.debug("%s does not say how much room there is: %s", account, error)
        told = self._told.get(account)
        self._told[account] = _Told(trio.current_time(), None if told is None else told.space)

    def _changed(self, before: Item | None, after: Item | None) -> None:
        """Rule: Queue.watch."""
        for item, sign in ((before, -1), (after, 1)):
            if item is not None and item.has_payload and item.stage in ARRIVING:
                self._waiting[item.account] += sign * item.size_bytes
        if before is not None and after is not None and before.stage is not Stage.SENT and after.stage is Stage.SENT:
            self._sent[after.account] += after.size_bytes
