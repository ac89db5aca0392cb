"""What the queue says of itself, and what may be asked of it, joined up: for the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from iiiffs.errors import ReadOnly
from iiiffs.model.gallery import AccountName
from iiiffs.vfs.conflict_verbs import ConflictVerbs
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.queue_places import Places
from iiiffs.vfs.queue_report import QueuedAccount, QueueReport, SendingService
from iiiffs.vfs.queue_verbs import Handlers, QueueVerbs


class QueueControl:
    """`report` for control files and status; `handlers` for the control socket."""

    def __init__(
        self,
        queue: Queue,
        senders: Mapping[AccountName, SendingService],
        galleries: Iterable[Gallery],
        trouble: Callable[[AccountName], str | None],
    ) -> None:
        """`senders`: by the account's name, of those that can be written to. `galleries`: all of the mount.
        `trouble`: why the account of that name cannot be asked; None if all is well."""
        by_name = {gallery.name: gallery for gallery in galleries}
        accounts = {
            name: QueuedAccount(by_name[name], sender, partial(trouble, name)) for name, sender in senders.items()
        }
        self.report = QueueReport(queue, accounts, Places(queue, by_name))
        verbs = QueueVerbs(queue, accounts, self.report)
        conflicts = ConflictVerbs(queue, accounts, self.report, verbs)
        self.handlers: Handlers = {**verbs.handlers, **conflicts.handlers}


def handlers_without_queue() -> Handlers:
    """The same verbs of a mount that changes nothing: there is nothing to see, and nothing to decide."""

    async def nothing(args: Mapping[str, object]) -> object:
        return []

    async def at_rest(args: Mapping[str, object]) -> object:
        return {"waiting": 0, "failed": 0, "open": [], "failures": [], "accounts": []}

    async def unknown(args: Mapping[str, object]) -> object:
        return {"items": [], "conflicts": [], "offline": None}

    async def refuse(args: Mapping[str, object]) -> object:
        raise ReadOnly("this mount changes nothing, and has no queue")

    seen: Handlers = {"queue.list": nothing, "queue.export": nothing, "conflicts.list": nothing, "why": unknown}
    seen |= {"flush": at_rest, "queue.progress": at_rest}
    decided = ("queue.retry", "queue.discard", "conflicts.mine", "conflicts.theirs", "conflicts.both")
    return seen | dict.fromkeys(decided, refuse)
