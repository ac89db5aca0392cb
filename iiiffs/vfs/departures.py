"""Which items of an account may leave now: settled, waiting for no other, and not put off. Synchronous bookkeeping.

Each item that is to be sent is in one of these: `_due` (not before a moment), `_blocked` (not before another item),
`_ready` (as soon as there is a place), or on its way. It is looked at again only when it or what it waits for changes,
so that 5,000 items are no work while they wait. Time is the caller's, in seconds of one clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from heapq import heappop, heappush

from iiiffs.errors import Rejected
from iiiffs.model.gallery import AccountName
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.waiting_order import MEMBERSHIP, TO_BE_SENT, WaitingOrder

LOOKED_AT_ONCE = 250
"""Items that are looked at between two awaits: some milliseconds."""
GATHER_S = 60.0
"""So long after the first change of an album's photos it is told, though there are always more."""

UPLOADS_MAX = 4
"""At once, however large they are."""
SMALL_UPLOADS_MAX, SMALL_BYTES = 12, 48 << 20
"""At once, as long as all of them together are no larger: what is asked before and after the bytes of each goes
together then."""


def may_depart(size_bytes: int, aloft_bytes: Sequence[int]) -> bool:
    """An upload of that size may be on its way beside those."""
    if len(aloft_bytes) < UPLOADS_MAX:
        return True
    return len(aloft_bytes) < SMALL_UPLOADS_MAX and size_bytes + sum(aloft_bytes) <= SMALL_BYTES


class Departures:
    """Of one account. `changed` must be told of every change of its items, `woken` of what was waited for."""

    def __init__(self, account: AccountName, queue: Queue, order: WaitingOrder, flying: Container[str]) -> None:
        """`flying`: ids of what is on its way, as it is at any moment."""
        self._queue = queue
        self._order = order
        self._flying = flying
        self._pending: set[str] = set()
        self._due: dict[str, float] = {}
        self._calendar: list[tuple[float, str]] = []
        self._blocked: dict[str, str] = {}
        self._waiters: defaultdict[str, set[str]] = defaultdict(set)
        self._unseen: dict[str, None] = {}
        self._ready: dict[str, bool] = {}
        self._heaps: dict[bool, list[tuple[int, str]]] = {True: [], False: []}
        self._gathered: dict[str, tuple[float, float]] = {}
        self._orphaned: list[tuple[str, str]] = []
        for item in queue.items(account):
            if item.stage in TO_BE_SENT:
                self._pending.add(item.id)
                self._unseen[item.id] = None

    @property
    def waiting(self) -> int:
        """Items that are still to be sent."""
        return len(self._pending)

    @property
    def held_back(self) -> int:
        """Those of them that wait for another one."""
        return len(self._blocked)

    def due_s(self, id: str) -> float | None:
        """When it may be sent at the earliest; None if that is now."""
        return self._due.get(id)

    def changed(self, item: Item) -> None:
        """It has come, or is another."""
        if item.stage in TO_BE_SENT:
            self._pending.add(item.id)
            self._look_again(item.id)
        else:
            self.forgotten(item.id)
        self.woken(item.id)

    def forgotten(self, id: str) -> None:
        """It is not to be sent (any more)."""
        self._pending.discard(id)
        self._due.pop(id, None)
        self._unseen.pop(id, None)
        self._ready.pop(id, None)
        self._unblock(id)
        self.woken(id)

    def woken(self, id: str) -> None:
        """What waited for that item is looked at again."""
        for waiter in sorted(self._waiters.pop(id, ())):
            self._blocked.pop(waiter, None)
            self._unseen[waiter] = None

    def put_off(self, id: str, until_s: float) -> None:
        """Not before that moment."""
        self._due[id] = until_s
        heappush(self._calendar, (until_s, id))
        self._ready.pop(id, None)

    def settles(self, item: Item, now_s: float, settle_s: float) -> None:
        """It was closed, or said, just now. Changes of one album are waited for together, GATHER_S at the most."""
        until_s = now_s + settle_s
        if item.verb in MEMBERSHIP:
            first_s, _ = self._gathered.get(item.album, (now_s, 0.0))
            until_s = min(until_s, max(now_s, first_s + GATHER_S))
            self._gathered[item.album] = (first_s, until_s)
        self.put_off(item.id, until_s)

    def gathered(self, album: str) -> None:
        """What was waited for of the album is on its way."""
        self._gathered.pop(album, None)

    def left(self, before: Item) -> None:
        """It is another than it was, or is gone. Where its album was and nothing waits any more, nothing is waited for
        together."""
        if before.album in self._gathered and not self._queue.has_any(before.account, before.album):
            del self._gathered[before.album]

    def departed(self, id: str) -> None:
        """It is on its way."""
        self._due.pop(id, None)
        self._unseen.pop(id, None)
        self._ready.pop(id, None)
        self._unblock(id)

    def landed(self, id: str) -> None:
        """It is not on its way any more."""
        if id in self._pending:
            self._unseen[id] = None
        self.woken(id)

    def take_orphaned(self) -> list[tuple[str, str]]:
        """(id, reason) of items that can never leave, each told once."""
        orphaned, self._orphaned = self._orphaned, []
        return orphaned

    def now(self, ids: Iterable[str] | None = None) -> list[str]:
        """Nothing of these (None: of all) is put off any more; which were."""
        chosen = [id for id in (list(self._due) if ids is None else ids) if self._due.pop(id, None) is not None]
        for id in chosen:
            self._unseen[id] = None
        if ids is None:
            self._gathered.clear()
        return chosen

    def next_s(self) -> float | None:
        """When something becomes due; None if nothing waits for a moment."""
        while self._calendar and self._due.get(self._calendar[0][1]) != self._calendar[0][0]:
            heappop(self._calendar)
        return self._calendar[0][0] if self._calendar else None

    def look(self, now_s: float, settled: Callable[[Item], bool]) -> bool:
        """Some of what may have become ready was looked at; True if there is more.

        `settled`: asked of an item whose settle time is over; what is not settled is dealt with by who says so.
        """
        while (due_s := self.next_s()) is not None and due_s <= now_s:
            id = heappop(self._calendar)[1]
            self._due.pop(id, None)
            self._unseen[id] = None
        for _ in range(min(LOOKED_AT_ONCE, len(self._unseen))):
            id = next(iter(self._unseen))
            del self._unseen[id]
            self._look_at(id, now_s, settled)
        return bool(self._unseen)

    def first(self, *, uploads: bool) -> Item | None:
        """Of the uploads, or of all others, what is ready and was made first."""
        heap = self._heaps[uploads]
        while heap:
            id = heap[0][1]
            item = self._queue.get(id)
            if item is not None and self._ready.get(id) is uploads:
                return item
            heappop(heap)
        return None

    def least_tried(self, *, uploads: bool) -> Item | None:
        """As `first`, but of those that were tried least: what alone makes trouble shall not be all that is tried."""
        ready = (self._queue.get(id) for id, is_upload in self._ready.items() if is_upload is uploads)
        return min(filter(None, ready), key=lambda item: (item.tries, item.order), default=None)

    def takes(self, item: Item) -> bool:
        """True if it may leave this very moment, and then it is not ready any more; else it is looked at again."""
        self._ready.pop(item.id, None)
        return self._is_free(item)

    def _look_again(self, id: str) -> None:
        if id not in self._flying:
            self._unblock(id)
            self._ready.pop(id, None)
            self._unseen[id] = None

    def _look_at(self, id: str, now_s: float, settled: Callable[[Item], bool]) -> None:
        item = self._queue.get(id)
        if item is None or item.stage not in TO_BE_SENT or id in self._flying or self._is_put_off(item, now_s):
            return
        if item.stage is Stage.SETTLING and not settled(item):
            return
        if self._is_free(item):
            self._ready[id] = is_upload = item.verb is Verb.UPLOAD
            heappush(self._heaps[is_upload], (item.order, id))

    def _is_put_off(self, item: Item, now_s: float) -> bool:
        if item.id in self._due:
            return True
        _, until_s = self._gathered.get(item.album, (0.0, 0.0))
        if item.verb in MEMBERSHIP and item.stage is Stage.SETTLING and until_s > now_s:
            self.put_off(item.id, until_s)
            return True
        return False

    def _is_free(self, item: Item) -> bool:
        try:
            blocker = self._order.blocker(item, self._flying)
        except Rejected as error:
            self._orphaned.append((item.id, str(error)))
            return False
        if blocker is not None:
            self._blocked[item.id] = blocker
            self._waiters[blocker].add(item.id)
        return blocker is None

    def _unblock(self, id: str) -> None:
        blocker = self._blocked.pop(id, None)
        if blocker is not None:
            self._waiters[blocker].discard(id)
            if not self._waiters[blocker]:
                del self._waiters[blocker]
