"""What is told of the queue: by the control socket, by status, and in `.iiiffs/queue` and `.iiiffs/failed`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from iiiffs.model.gallery import AccountName
from iiiffs.sync.items import Conflict, Item, Stage, Verb
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.queue_places import Places

SCRATCH_OLD_NS = 3600 * 10**9
ON_THE_WAY = frozenset({Stage.SETTLING, Stage.READY, Stage.SENDING})
"""Of what will be sent with nobody doing anything more."""


class SendingState(Protocol):
    """What an account has still to send."""

    @property
    def held_back(self) -> int:
        """Items that wait for another that FAILED or is open."""
        ...


class SendingService(Protocol):
    """What sends the items of one account: iiiffs.vfs.uploader.Uploader."""

    def send_now(self, ids: Collection[str] | None = None) -> None:
        """Those items (None: all) settle no longer, and wait for no next try."""
        ...

    async def interrupt(self, id: str) -> None:
        """The item is not on its way when this returns, nor soon after; it may have been SENT meanwhile."""
        ...

    def state(self) -> SendingState:
        """At the moment."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why nothing can be sent to the account at the moment; None if all is well."""
        ...

    @property
    def sent_bytes(self) -> Mapping[str, int]:
        """Id of each item whose payload is being sent -> how much of it is sent."""
        ...


@dataclass(frozen=True, slots=True)
class QueuedAccount:
    """What the queue's verbs need of one account that can be written to.

    `trouble`: why the account cannot be asked, such as a missing key; None if all is well.
    """

    gallery: Gallery
    sender: SendingService
    trouble: Callable[[], str | None]

    def offline(self) -> str | None:
        """Why nothing is sent; None if the account is online."""
        return self.trouble() or self.sender.trouble


class QueueReport:
    """The queue as plain values. Synchronous: places are those that `Places` knows."""

    def __init__(
        self,
        queue: Queue,
        accounts: Mapping[AccountName, QueuedAccount],
        places: Places,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._queue = queue
        self._accounts = accounts
        self._places = places
        self._now_ns = now_ns

    async def learn(self, told: Iterable[Item | Conflict]) -> None:
        """The places of these are known, as far as they can be had soon."""
        await self._places.learn((each.account, each.album) for each in told)

    def place(self, item: Item) -> str:
        """Where it is seen, relative to the mount."""
        return self._places.path(item.account, item.album, item.name)

    def item(self, item: Item) -> dict[str, object]:
        """One item: what, where, how far, how often tried, why not yet, since when."""
        told: dict[str, object] = {
            "id": item.id,
            "account": item.account,
            "what": item.verb.value,
            "path": self.place(item),
            "stage": item.stage.value,
            "tries": item.tries,
            "reason": item.reason,
            "age_s": self._age_s(item.began_ns),
            "size_bytes": item.size_bytes,
            "sent_bytes": self._sent_bytes(item),
        }
        if item.base is not None:
            told["replaces"] = item.base.name
        if item.conflict_with is not None:
            told["conflict_with"] = item.conflict_with
        return told

    def conflict(self, conflict: Conflict) -> dict[str, object]:
        """One conflict: both files by their paths; `sent`: false while our bytes are on this machine alone."""
        folder = self._places.folder(conflict.account, conflict.album)
        item = self._queue.get(conflict.id)
        return {
            "id": conflict.id,
            "account": conflict.account,
            "mine": f"{folder}/{conflict.ours}",
            "theirs": f"{folder}/{conflict.name}",
            "sent": item is None or item.stage is Stage.SENT,
            "age_s": self._age_s(conflict.found_ns),
        }

    def gauges(self) -> dict[str, object]:
        """Counts for status and metrics; nothing in it names a file."""
        items = self._queue.items()
        return {
            **self._counts(items),
            "conflicts": len(self._queue.conflicts()),
            "accounts": [
                {
                    "name": name,
                    "waiting": sum(item.account == name and item.stage in ON_THE_WAY for item in items),
                    "failed": sum(item.account == name and item.stage is Stage.FAILED for item in items),
                }
                for name in self._accounts
            ],
        }

    def progress(self) -> dict[str, object]:
        """What `iiiffs flush` looks at: what is on its way, what holds it up, what will never arrive by itself."""
        items = self._queue.items()
        return {
            **self._counts(items),
            "open": [self.item(item) for item in items if item.stage is Stage.OPEN and item.generation > 0],
            "failures": [self.item(item) for item in items if item.stage is Stage.FAILED],
            "accounts": [
                {
                    "name": name,
                    "offline": account.offline(),
                    "waiting": sum(item.account == name and item.stage in ON_THE_WAY for item in items),
                    "held_back": account.sender.state().held_back,
                }
                for name, account in self._accounts.items()
            ],
        }

    def _counts(self, items: Collection[Item]) -> dict[str, object]:
        waiting = [item for item in items if item.stage in ON_THE_WAY]
        scratch = [item for item in items if item.stage is Stage.SCRATCH]
        now_ns = self._now_ns()
        return {
            "waiting": len(waiting),
            "waiting_bytes": sum(item.size_bytes for item in waiting),
            "settling": sum(item.stage is Stage.SETTLING for item in waiting),
            "sending": sum(item.stage is Stage.SENDING for item in waiting),
            "sent_bytes": sum(self._sent_bytes(item) for item in waiting),
            "oldest_s": max((self._age_s(item.began_ns) for item in waiting), default=0.0),
            "failed": sum(item.stage is Stage.FAILED for item in items),
            "open_files": sum(item.stage is Stage.OPEN for item in items),
            "scratch": len(scratch),
            "scratch_old": sum(now_ns - item.began_ns > SCRATCH_OLD_NS for item in scratch),
        }

    def _sent_bytes(self, item: Item) -> int:
        if item.verb is not Verb.UPLOAD or item.stage is not Stage.SENDING:
            return 0
        account = self._accounts.get(item.account)
        sent = 0 if account is None else account.sender.sent_bytes.get(item.id, 0)
        return min(sent, item.size_bytes)

    def _age_s(self, since_ns: int) -> float:
        return round(max(0, self._now_ns() - since_ns) / 10**9, 1)
