"""The daemon with one of its promises to the disk left out, to show that a test would miss it.

UNSAFE=WHAT python -m tests.harness.unsafe_daemon mount …
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

from iiiffs import cli
from iiiffs.state import journal, spool
from iiiffs.vfs.queue import Queue

SLOW_S = 0.2


def without_payload_sync() -> None:
    """Payloads are not synced."""
    fsync = os.fsync

    def skipped(descriptor: int) -> None:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            fsync(descriptor)

    spool.os.fsync = skipped  # type: ignore[attr-defined]


def without_folder_sync() -> None:
    """Names of payloads are not synced."""

    def skipped(path: Path) -> None:
        """Nothing is done."""

    spool.sync_folder = skipped


def without_journal_sync() -> None:
    """Journal pages are not synced."""
    _open_lmdb(sync=False)


def without_journal_head() -> None:
    """The page that says which pages count is not synced."""
    _open_lmdb(metasync=False)


def _open_lmdb(**options: Any) -> None:
    opened: Callable[..., Any] = lmdb.open
    lmdb.open = lambda *arguments, **given: opened(*arguments, **{**given, **options})  # type: ignore[assignment]


def without_waiting() -> None:
    """The reply does not wait for the journal, whose disk takes its time, so that kills come in between."""
    write = journal._Batch.write

    def slow(self: journal._Batch, writing: Any) -> None:
        time.sleep(SLOW_S)
        write(self, writing)

    journal._Batch.write = slow  # type: ignore[method-assign]

    async def noted(self: Queue, *items: Any) -> None:
        for item in items:
            self.note(item)

    Queue.commit = noted  # type: ignore[method-assign]


UNSAFE: dict[str, Callable[[], None]] = {
    "payload": without_payload_sync,
    "folder": without_folder_sync,
    "journal": without_journal_sync,
    "head": without_journal_head,
    "reply": without_waiting,
}

if __name__ == "__main__":
    UNSAFE[os.environ["UNSAFE"]]()
    cli.main()
