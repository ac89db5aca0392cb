"""Tells a person what they may want to know at once, by a command of theirs: `[notify] command`, else notify-send.

The command gets two more words, a title and one line of text, and nothing on its standard input. It is run one at a
time, and seldom: what comes meanwhile is told together. Whatever it does wrong is logged once, and costs nothing else.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NoReturn

import trio

log = logging.getLogger(__name__)

PAUSE_S = 10.0
"""From the end of one call of the command to the next."""
COMMAND_S = 10.0
TOLD_TOGETHER = 4
"""Lines of one call; what is more is counted."""
KEPT_MAX = 1000
TEXT_MAX = 300
"""Characters of one line."""
DESKTOP = "notify-send"

Run = Callable[[Sequence[str]], Awaitable[None]]
"""Runs a command to its end. Errors: OSError, subprocess.SubprocessError."""


def default_command(environ: Mapping[str, str]) -> tuple[str, ...]:
    """notify-send, where it is installed and there is a session for it to talk to; else ()."""
    found = shutil.which(DESKTOP, path=environ.get("PATH", os.defpath))
    return (found, "--app-name=iiiffs") if found and environ.get("DBUS_SESSION_BUS_ADDRESS") else ()


def command_of(configured: Sequence[str] | None, environ: Mapping[str, str]) -> Sequence[str]:
    """Whom to call: what the configuration says, () for nobody; the desktop where it says nothing."""
    return default_command(environ) if configured is None else configured


async def run_command(command: Sequence[str]) -> None:
    """Run to its end, its output thrown away; ended by force after COMMAND_S. Rule: Run."""
    with trio.move_on_after(COMMAND_S) as scope:
        await trio.run_process(
            list(command), stdin=b"", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    if scope.cancelled_caught:
        raise subprocess.TimeoutExpired(command[0], COMMAND_S)


class Notifier:
    """The command, and what waits to be told. `say` never waits; `run` is a service."""

    def __init__(self, command: Sequence[str], run: Run = run_command) -> None:
        """`command`: empty to tell nobody."""
        self._command = tuple(command)
        self._run = run
        self._waiting: list[tuple[str, str]] = []
        self._dropped = 0
        self._came = trio.Event()
        self._has_failed = False

    def say(self, title: str, text: str) -> None:
        """Soon somebody is told. `title`: what it is, in a word or two; `text`: one line, without a secret."""
        if not self._command:
            return
        if len(self._waiting) >= KEPT_MAX:
            self._dropped += 1
        else:
            self._waiting.append((title, shortened(text)))
        self._came.set()

    async def run(self) -> NoReturn:
        """What is said is told, until it is cancelled."""
        while True:
            await self._came.wait()
            self._came = trio.Event()
            told, self._waiting = self._waiting, []
            dropped, self._dropped = self._dropped, 0
            title, text = as_one(told, dropped)
            await self._tell(f"iiiffs: {title}", text)
            await trio.sleep(PAUSE_S)

    async def _tell(self, title: str, text: str) -> None:
        try:
            await self._run([*self._command, title, text])
        except (OSError, subprocess.SubprocessError) as error:
            if not self._has_failed:
                log.warning("[notify] command: %s: %s; said once", self._command[0], _cause(error))
            self._has_failed = True


def as_one(told: Sequence[tuple[str, str]], dropped: int = 0) -> tuple[str, str]:
    """One title and one text for all of them; `dropped` more are counted only."""
    titles = list(dict.fromkeys(title for title, _ in told))
    lines = [text if len(titles) == 1 else f"{title}: {text}" for title, text in told]
    more = len(lines) - TOLD_TOGETHER + dropped if len(lines) > TOLD_TOGETHER else dropped
    lines = lines[:TOLD_TOGETHER] + ([f"and {more} more"] if more else [])
    return ", ".join(titles), "\n".join(lines)


def shortened(text: str) -> str:
    """`text` on one line of TEXT_MAX characters, without what no terminal or desktop can show."""
    safe = text.encode("utf-8", "replace").decode()
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in safe).split())
    return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"


def _cause(error: Exception) -> str:
    match error:
        case subprocess.CalledProcessError():
            return f"it ended with {error.returncode}"
        case subprocess.TimeoutExpired():
            return f"it had not ended after {error.timeout:g} s"
    return getattr(error, "strerror", None) or str(error)
