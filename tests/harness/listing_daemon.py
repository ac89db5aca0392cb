"""The daemon whose status tells not only how many tasks there are but which, and where each of them waits.

python -m tests.harness.listing_daemon mount …
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import trio

from iiiffs import cli
from iiiffs.vfs.outgoing import Outgoing

PROGRAM = "tests.harness.listing_daemon"
OF_PYFUSE3 = re.compile(r"pyfuse-\d+")


def task_lines() -> list[str]:
    """Of every task of this loop, those of trio itself included: `NAME: FRAME < FRAME …`, innermost first, sorted."""
    return sorted(f"{_kind(task)}: {_place(task)}" for task in _tasks())


def _tasks() -> Iterator[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task()
    left = [] if root is None else [root]
    while left:
        task = left.pop()
        left += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        yield task


def _kind(task: trio.lowlevel.Task) -> str:
    """pyfuse3 numbers its workers on and on."""
    return OF_PYFUSE3.sub("pyfuse3", task.name)


def _place(task: trio.lowlevel.Task) -> str:
    """Of trio, only what was called: its inside is the same for all who wait."""
    frames = [(frame.f_code, line) for frame, line in task.iter_await_frames()]
    told = [(code.co_name, Path(code.co_filename).name, line) for code, line in frames]
    return " < ".join(f"{name} {file}:{line}" for name, file, line in reversed(told) if not file.startswith("_"))


def _with_tasks(self: Outgoing) -> dict[str, object]:
    """The gauges, and the tasks at the same instant."""
    return {**_gauges(self), "task_lines": task_lines()}


_gauges = Outgoing.gauges

if __name__ == "__main__":
    Outgoing.gauges = _with_tasks  # type: ignore[method-assign]
    cli.main()
