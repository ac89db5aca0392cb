"""`iiiffs flush`, and the waiting that `iiiffs umount --wait` does first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import typer

from iiiffs.cli.arguments import ConfigFile
from iiiffs.cli.daemon_answers import Answer, answered, number, plain_console, rows_of, socket_of, text

POLL_S = 0.3
OFFLINE_GRACE_S = 5.0
"""How long an account that has something to send may be away: the flush has made it be asked again."""
HELD_GRACE_S = 5.0
"""How long, once all else is sent, files may stay open in a program (the kernel tells of a close a moment later), or
items wait for what seems to stand in their way."""


class Outcome(IntEnum):
    """How a flush ended; the numbers are exit codes (DESIGN §4.9)."""

    EMPTY = 0
    FAILED = 1
    OFFLINE = 2


@dataclass(slots=True)
class Waits:
    """Since when something that may pass is in the way, by a monotonic clock; None while nothing is."""

    offline_s: float | None = None
    held_s: float | None = None

    def outcome(self, progress: Answer, now_s: float) -> Outcome | None:
        """How it ended, at `progress` (queue.progress); None while there is something to wait for."""
        moving = [row for row in rows_of(progress.get("accounts")) if number(row, "waiting") > number(row, "held_back")]
        away = [row for row in moving if row.get("offline")]
        self.offline_s = _since(self.offline_s, now_s, holds=bool(away))
        if self.offline_s is not None and len(away) == len(moving):
            return Outcome.OFFLINE if now_s - self.offline_s >= OFFLINE_GRACE_S else None
        if moving:
            return None
        is_held = bool(rows_of(progress.get("open"))) or number(progress, "waiting") > 0
        self.held_s = _since(self.held_s, now_s, holds=is_held)
        if self.held_s is not None and now_s - self.held_s < HELD_GRACE_S:
            return None
        return Outcome.FAILED if is_held or number(progress, "failed") else Outcome.EMPTY


def _since(began_s: float | None, now_s: float, *, holds: bool) -> float | None:
    """Since when it holds, if it held since `began_s` and `holds` now."""
    if not holds:
        return None
    return now_s if began_s is None else began_s


def flush(
    wait: Annotated[bool, typer.Option("--wait", help="Return when the queue is empty, or cannot become so.")] = False,
    config: ConfigFile = None,
) -> None:
    """Send at once what waits for its moment, such as a file that was just closed.

    Exit codes: 0 (with --wait) the queue is empty; 1 something failed, a line each; 2 an account is offline, or bad
    configuration; 5 no daemon answers.
    """
    socket = socket_of(config)
    if wait:
        raise typer.Exit(int(flush_and_wait(socket)))
    progress = answered(socket, "flush")
    waiting, failed = number(progress, "waiting"), number(progress, "failed")
    typer.echo(f"{waiting} on the way" + (f", {failed} failed: see `iiiffs queue list`" if failed else ""))


def flush_and_wait(socket: Path, sleep: Callable[[float], None] = time.sleep) -> Outcome:
    """All that can be sent is sent; what cannot is told on stderr, a line each. A bar shows how far it is.

    Errors: NoDaemon, if it ends meanwhile.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(True), TransferSpeedColumn())
    progress, waits = answered(socket, "flush"), Waits()
    console = plain_console(to_stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, largest = bar.add_task("", total=None), 0
        while (outcome := waits.outcome(progress, time.monotonic())) is None:
            left = number(progress, "waiting_bytes") - number(progress, "sent_bytes")
            largest = max(largest, left)
            bar.update(task, description=_said(progress), total=largest, completed=largest - left)
            sleep(POLL_S)
            # again only for what has begun to settle since: a flush forgets back-off, and must not knock all the time
            progress = answered(socket, "flush" if number(progress, "settling") else "queue.progress")
    for line in obstacles(progress, outcome):
        typer.echo(f"iiiffs: {line}", err=True)
    return outcome


def obstacles(progress: Answer, outcome: Outcome) -> list[str]:
    """What keeps the queue from being empty, one line each, and what never leaves it by itself."""
    lines = [f"{text(row, 'path')}: {text(row, 'reason') or 'failed'}" for row in rows_of(progress.get("failures"))]
    lines += [f"{text(row, 'path')}: open in a program" for row in rows_of(progress.get("open"))]
    lines += [
        f"{text(row, 'name')}: {number(row, 'held_back')} wait for what failed or is open"
        for row in rows_of(progress.get("accounts"))
        if number(row, "held_back")
    ]
    if here := number(progress, "scratch"):
        lines.append(f"{here} with temporary names, or empty, stay on this machine: see `iiiffs queue list`")
    if outcome is Outcome.OFFLINE:
        lines += [
            f"{text(row, 'name')}: {number(row, 'waiting')} wait: {text(row, 'offline')}"
            for row in rows_of(progress.get("accounts"))
            if row.get("offline") and number(row, "waiting")
        ]
    return lines


def _said(progress: Answer) -> str:
    waiting = number(progress, "waiting")
    if waiting:
        return f"{waiting} to send"
    return f"{len(rows_of(progress.get('open')))} open in programs"
