"""Whom [notify] calls: one call at a time and seldom, all told, no secret way to hurt the daemon."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.vfs.notifying import (
    PAUSE_S,
    TEXT_MAX,
    Notifier,
    as_one,
    command_of,
    default_command,
    run_command,
    shortened,
)


def run(test: object) -> None:
    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))  # type: ignore[arg-type]  # any async function


class Called:
    """A command that notes what it was called with, and when."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[float, Sequence[str]]] = []
        self._error = error

    async def __call__(self, command: Sequence[str]) -> None:
        await trio.lowlevel.checkpoint()
        self.calls.append((trio.current_time(), command))
        if self._error is not None:
            raise self._error


def test_what_comes_meanwhile_is_told_together_after_a_pause() -> None:
    async def main() -> None:
        called = Called()
        notifier = Notifier(["tell", "--me"], called)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notifier.run)
            notifier.say("failed", "home: a.jpg: no")
            await trio.sleep(1)
            notifier.say("failed", "home: b.jpg: no")
            notifier.say("conflict", "home: c.jpg")
            await trio.sleep(PAUSE_S * 3)
            nursery.cancel_scope.cancel()
        (first_s, first), (second_s, second) = called.calls
        assert first == ["tell", "--me", "iiiffs: failed", "home: a.jpg: no"]
        assert second == ["tell", "--me", "iiiffs: failed, conflict", "failed: home: b.jpg: no\nconflict: home: c.jpg"]
        assert second_s - first_s >= PAUSE_S

    run(main)


@pytest.mark.warns("[notify] command")
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (subprocess.CalledProcessError(3, ["tell"]), "it ended with 3"),
        (subprocess.TimeoutExpired("tell", 10), "it had not ended after 10 s"),
    ],
)
def test_a_command_that_fails_is_logged_once(error: Exception, cause: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        called = Called(error)
        notifier = Notifier(["tell"], called)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notifier.run)
            for _ in range(3):
                notifier.say("failed", "a.jpg")
                await trio.sleep(PAUSE_S * 2)
            nursery.cancel_scope.cancel()
        assert len(called.calls) == 3

    run(main)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [f"[notify] command: tell: {cause}; said once"]


def test_nobody_is_told_without_a_command() -> None:
    async def main() -> None:
        called = Called()
        notifier = Notifier([], called)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notifier.run)
            notifier.say("failed", "a.jpg")
            await trio.sleep(PAUSE_S * 2)
            nursery.cancel_scope.cancel()
        assert called.calls == []

    run(main)


def test_many_are_counted() -> None:
    told = [("failed", f"{number}.jpg") for number in range(10)]
    assert as_one(told) == ("failed", "0.jpg\n1.jpg\n2.jpg\n3.jpg\nand 6 more")
    assert as_one(told[:4]) == ("failed", "0.jpg\n1.jpg\n2.jpg\n3.jpg")
    assert as_one(told[:1], dropped=2) == ("failed", "0.jpg\nand 2 more")


@given(st.text(max_size=400) | st.text(st.characters(categories=["Cs", "Cc", "Zl"]), max_size=20))
def test_a_text_is_one_short_line(text: str) -> None:
    line = shortened(text)
    assert len(line) <= TEXT_MAX
    assert line.isprintable()
    line.encode()


def test_the_default_needs_a_program_and_a_session(tmp_path: Path) -> None:
    program = tmp_path / "notify-send"
    environ = {"PATH": str(tmp_path), "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/bus"}
    assert default_command(environ) == ()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert default_command(environ) == (str(program), "--app-name=iiiffs")
    assert default_command({"PATH": str(tmp_path)}) == ()
    assert command_of(None, environ) == default_command(environ)
    assert command_of((), environ) == ()
    assert command_of(("tell",), environ) == ("tell",)


def test_a_real_command_gets_the_words(tmp_path: Path) -> None:
    target = tmp_path / "told"
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(repr(sys.argv[2:]))"

    async def main() -> None:
        await run_command([sys.executable, "-c", code, str(target), "a title", "$(a) 'text'"])
        with pytest.raises(subprocess.CalledProcessError):
            await run_command([sys.executable, "-c", "raise SystemExit(3)"])
        with pytest.raises(OSError, match="No such file"):
            await run_command([str(tmp_path / "none")])

    trio.run(main)
    assert target.read_text() == repr(["a title", "$(a) 'text'"])
