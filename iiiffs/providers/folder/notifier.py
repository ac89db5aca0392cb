"""The kernel's word that something changed in one of a set of folders: inotify, by way of watchfiles.

What of watchfiles 1.3 (notify 8.0) is not used or not believed, and why (measured, Linux 6.18):

- Its own recursion. It follows symlinks out of the gallery, up to "/"; and of a/b/c/d made at once it told of a, a/b
  and a/b/c/d, never of a/b/c. Here each folder is named, and a set never changes: for another one, make another.
- An overflow of the kernel's queue (fs.inotify.max_queued_events) is dropped without a sign: of 20,000 new files it
  told 13,943. A batch of `STORM_MAX` may have been one; and the census looks at everything once in a while.
- A name that is not UTF-8 makes every later answer an error, even if the file is only read. Such folders are left out.
- An unmounted disk, and a folder moved away and back, end their watches without a sign. So all are renewed at times.

Every open and read of a file takes a place in the kernel's queue too, though it is not told.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchfiles import Change
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from iiiffs.providers.folder.census import Key, ancestors

DEBOUNCE_MS = 200
STEP_MS = 50
"""An answer comes when nothing new was told for a step, or `DEBOUNCE_MS` after the first. 20 wake-ups a second."""

UNSEEN_POLL_MS = 1000
"""Of watchfiles' own polling, which is never asked for."""

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
STORM_MAX = 1024
EVENTS_A_CHANGE = 16


class WatchesRefused(Exception):
    """The kernel does not watch these folders. The text says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """Paths below the root (b"" itself) that something happened to; `moved`: those of them that came or went."""

    paths: frozenset[bytes] = frozenset()
    moved: frozenset[bytes] = frozenset()

    def __or__(self, other: Told) -> Told:
        """Both."""
        return Told(self.paths | other.paths, self.moved | other.moved)


class Notifier:
    """Watches exactly `folders`, paths below `root`, all of them UTF-8; what happens from now on is told once.

    A thread of watchfiles' own and three descriptors belong to it until it is closed or nobody has it any more.
    Errors: FileNotFoundError if one is not there any more, WatchesRefused.
    """

    def __init__(self, root: str, folders: Mapping[bytes, Key]) -> None:
        self.folders = folders
        self._root = root.rstrip("/")
        paths = [os.path.join(root, path.decode()) if path else root for path in folders]  # noqa: PTH118 - many
        try:
            self._notify = RustNotify(paths, False, False, UNSEEN_POLL_MS, False, False)
        except FileNotFoundError:
            raise
        except (OSError, WatchfilesRustInternalError) as error:
            raise WatchesRefused(_reason(error)) from error

    def watched(self, moved: frozenset[bytes]) -> dict[bytes, Key]:
        """What is watched still if the folders in `moved` came or went: neither those nor what is below them."""
        return {
            path: key for path, key in self.folders.items() if path not in moved and moved.isdisjoint(ancestors(path))
        }

    def wait(self, timeout_ms: int, stop: threading.Event) -> Told | None:
        """What happened, () if nothing did; None if an unknown part of it was lost, and then all later calls say so.

        Blocking, at most `timeout_ms` (> 0) or a step after `stop`; drops the GIL.
        """
        try:
            told = self._notify.watch(DEBOUNCE_MS, STEP_MS, timeout_ms, stop)
        except WatchfilesRustInternalError:
            return None
        if isinstance(told, str):
            return Told()
        start = len(self._root) + 1
        paths = [(change, path[start:].encode()) for change, path in told]
        return Told(
            frozenset(path for _, path in paths), frozenset(path for change, path in paths if change != Change.modified)
        )

    def close(self) -> None:
        """Nothing is watched; its thread ends. A second call does nothing."""
        self._notify.close()


def storm_size() -> int:
    """Of so many changes at once, some may have been lost: a sixteenth of the kernel's queue, for each new file takes
    up to five places in it; 1024 at the most."""
    try:
        queue = int(QUEUE.read_text())
    except (OSError, ValueError):
        return STORM_MAX
    return max(1, min(STORM_MAX, queue // EVENTS_A_CHANGE))


def _reason(error: Exception) -> str:
    """What the kernel says, and what to do, in one line."""
    text = str(error)
    if "watch limit" in text:
        return "its limit on watches is reached; raise it by sysctl fs.inotify.max_user_watches=1048576"
    if "Too many open files" in text:
        return "its limit on watchers is reached; raise it by sysctl fs.inotify.max_user_instances=1024"
    return text.partition(" about [")[0]
