"""What the queue says of itself, and what may be asked of it, joined up: for the daemon."""

from __future__ import annotations

from collections.abc import Mapping

from iiiffs.model.gallery import AccountName
from iiiffs.vfs.conflict_verbs import ConflictVerbs
from iiiffs.vfs.gallery import Gallery
from iiiffs.vfs.queue import Queue
from iiiffs.vfs.queue_places import Places
from iiiffs.vfs.queue_report import QueuedAccount, QueueReport
from iiiffs.vfs.queue_verbs import Handlers, QueueVerbs


class QueueControl:
    """`report` for control files and status; `handlers` for the control socket."""

    def __init__(
        self, queue: Queue, accounts: Mapping[AccountName, QueuedAccount], galleries: Mapping[AccountName, Gallery]
    ) -> None:
        """`accounts`: by name, those that can be written to. `galleries`: of the mount, by slug."""
        by_name = {gallery.name: gallery for gallery in galleries.values()}
        self.report = QueueReport(queue, accounts, Places(queue, by_name))
        verbs = QueueVerbs(queue, accounts, self.report)
        conflicts = ConflictVerbs(queue, accounts, self.report, verbs)
        self.handlers: Handlers = {**verbs.handlers, **conflicts.handlers}
