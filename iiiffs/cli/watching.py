"""`iiiffs status --watch`: accounts, queue, rates, cache and the last errors, drawn again every second until Ctrl-C."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from iiiffs.cli.daemon_answers import Answer, answered, answered_rows, number, plain_console, rows_of, text
from iiiffs.cli.presentation import duration_text, size_text
from iiiffs.errors import NoDaemon

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

EVERY_S = 1.0
RATE_OVER_S = 10.0
ITEMS_SHOWN = 12
ERRORS_SHOWN = 6
BAR_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Sample:
    """Totals since the daemon's start, at one moment of a monotonic clock."""

    at_s: float
    rendered: int
    read_bytes: int
    received_bytes: int
    waiting_bytes: int


class Rates:
    """What happens a second, over the last RATE_OVER_S."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque()

    def add(self, sample: Sample) -> None:
        """One more; a daemon that was started anew counts from nothing."""
        if self._samples and sample.rendered < self._samples[-1].rendered:
            self._samples.clear()
        self._samples.append(sample)
        while sample.at_s - self._samples[0].at_s > RATE_OVER_S:
            self._samples.popleft()

    def per_s(self, of: Callable[[Sample], int]) -> float:
        """How much of it a second; 0 while nobody knows."""
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        return max(0, of(last) - of(first)) / max(1e-9, last.at_s - first.at_s)


def watch(socket: Path) -> None:
    """Drawn until Ctrl-C, which ends it as an end. A daemon that is not there is waited for, if it was there once."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    console, rates = plain_console(), Rates()
    shown = screen(*_asked(socket), rates)
    with Live(shown, console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while True:
                try:
                    shown = screen(*_asked(socket), rates)
                    live.update(shown, refresh=True)
                except NoDaemon as error:
                    live.update(Group(shown, Text(f"\n{error}", style="bold")), refresh=True)
                time.sleep(EVERY_S)
        except KeyboardInterrupt:
            return


def screen(status: Answer, items: list[Answer], rates: Rates, now_s: Callable[[], float] = time.monotonic) -> Table:
    """All of it at one moment: what `status` and `queue.list` answer."""
    from rich.table import Table
    from rich.text import Text

    rates.add(sample_of(status, now_s()))
    table = Table.grid(padding=(0, 0))
    up = status.get("up_s")
    head = f"{text(status, 'mountpoint')}, up {duration_text(up if isinstance(up, int | float) else 0)}"
    table.add_row(Text(head, style="bold"))
    parts: list[RenderableType] = [_accounts(status), _queue(status, items), Text(figures(status, rates))]
    errors = last_errors(status, items)
    if errors:
        parts.append(Text("last errors\n" + "\n".join(f"  {line}" for line in errors)))
    for part in parts:
        table.add_row(Text(""))
        table.add_row(part)
    return table


def sample_of(status: Answer, at_s: float) -> Sample:
    """The totals that a status holds."""
    received = sum(number(_below(row, "traffic"), "received_bytes") for row in rows_of(status.get("accounts", [])))
    return Sample(
        at_s,
        number(_below(status, "render"), "rendered"),
        number(_below(status, "originals"), "read_bytes"),
        received,
        number(_below(status, "queue"), "waiting_bytes") - number(_below(status, "queue"), "sent_bytes"),
    )


def figures(status: Answer, rates: Rates) -> str:
    """Rates, and how full the cache is, as lines."""
    sent = rates.per_s(lambda sample: -sample.waiting_bytes)
    lines = [
        f"rendered {rates.per_s(lambda sample: sample.rendered):.1f}/s, "
        f"read {size_text(rates.per_s(lambda sample: sample.read_bytes))}/s, "
        f"received {size_text(rates.per_s(lambda sample: sample.received_bytes))}/s, sent {size_text(sent)}/s"
    ]
    cache = _below(status, "cache")
    for name, part in cache.items():
        if isinstance(part, dict) and "used_bytes" in part:
            quota = f" of {size_text(number(part, 'quota_bytes'))}" if "quota_bytes" in part else ""
            lines.append(f"{name}: {size_text(number(part, 'used_bytes'))}{quota}")
    return "\n".join(lines)


def last_errors(status: Answer, items: list[Answer]) -> list[str]:
    """Why accounts are offline, and why items failed or wait for another try, the newest last."""
    lines = [
        f"{text(row, 'name')}: {text(row, 'reason')}"
        for row in rows_of(status.get("accounts", []))
        if row.get("reason")
    ]
    lines += [f"{text(item, 'path')}: {text(item, 'reason')}" for item in items if item.get("reason")]
    return lines[-ERRORS_SHOWN:]


def _accounts(status: Answer) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("account", "", "waiting", "failed", box=None, pad_edge=False)
    queued = {str(row.get("name")): row for row in rows_of(_below(status, "queue").get("accounts", []))}
    for row in rows_of(status.get("accounts", [])):
        own = queued.get(str(row.get("name")), {})
        state = Text("online", style="green") if row.get("online") else Text("offline", style="bold red")
        table.add_row(
            Text(text(row, "name")), state, Text(str(number(own, "waiting"))), Text(str(number(own, "failed")))
        )
    return table


def _queue(status: Answer, items: list[Answer]) -> Table:
    """Those on their way first; a bar an item that is being sent."""
    from rich.progress_bar import ProgressBar
    from rich.table import Column, Table
    from rich.text import Text

    queue = _below(status, "queue")
    head = f"queue: {number(queue, 'waiting')} waiting, {number(queue, 'failed')} failed"
    if number(queue, "scratch_old"):
        head += f", {number(queue, 'scratch_old')} temporary files older than 1 h"
    table = Table(Column(head, overflow="ellipsis", no_wrap=True), "", "", box=None, pad_edge=False)
    for item in sorted(items, key=lambda item: item.get("stage") != "sending")[:ITEMS_SHOWN]:
        total, sent = number(item, "size_bytes"), number(item, "sent_bytes")
        sending = item.get("stage") == "sending" and total
        bar = ProgressBar(total=total, completed=sent, width=BAR_COLUMNS) if sending else Text("")
        table.add_row(Text(text(item, "path")), Text(text(item, "stage")), bar)
    if len(items) > ITEMS_SHOWN:
        table.add_row(Text(f"and {len(items) - ITEMS_SHOWN} more"), "", "")
    return table


def _below(answer: Answer, key: str) -> Answer:
    value = answer.get(key)
    return value if isinstance(value, dict) else {}


def _asked(socket: Path) -> tuple[Answer, list[Answer]]:
    status = answered(socket, "status")
    return status, answered_rows(socket, "queue.list") if "queue" in status else []
