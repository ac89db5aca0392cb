"""`iiiffs queue`, `conflicts`, `flush`, `status`: as a person runs them, against a real queue behind a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from typer.testing import CliRunner

from iiiffs.cli import app, exit_code_of
from iiiffs.cli.daemon_answers import plain_console
from iiiffs.cli.queue import items_table
from iiiffs.control import serve_control
from iiiffs.errors import IiiffsError
from iiiffs.sync.items import Conflict, Stage
from tests.harness.queued import HOME, NOW_NS, TRIP, Queued, queued

Prepare = Callable[[Queued], Awaitable[None]]


def status_of(parts: Queued) -> dict[str, object]:
    """What the daemon says of itself, as far as commands look at it."""
    return {
        "version": "0",
        "mountpoint": "/nowhere",
        "up_s": 3.0,
        "accounts": [{"name": "home", "slug": "shown", "online": False, "reason": "no key"}],
        "render": {"rendered": 5},
        "originals": {"read_bytes": 7},
        "cache": {"renditions": {"used_bytes": 2048, "quota_bytes": 4096}},
        "queue": parts.control.report.gauges(),
    }


@contextmanager
def daemon(folder: Path, prepare: Prepare) -> Iterator[Queued]:
    """Inside, a queue that `prepare` has filled answers at the socket of `folder`'s configuration."""
    (folder / "config.toml").write_text(
        f'[cache]\npath = "{folder}/cache"\n[state]\npath = "{folder}/state"\n'
        f'[account.home]\nprovider = "folder"\npath = "{folder}/photos"\n'
    )
    up, failures = threading.Event(), []
    started: list[tuple[Queued, trio.lowlevel.TrioToken, trio.CancelScope]] = []

    async def main() -> None:
        async with queued(folder) as parts, trio.open_nursery() as nursery:
            await prepare(parts)

            async def status(args: object) -> object:
                return status_of(parts)

            handlers = {**parts.control.handlers, "status": status}
            await nursery.start(serve_control, folder / "state" / "control.sock", handlers)
            started.append((parts, trio.lowlevel.current_trio_token(), nursery.cancel_scope))
            up.set()

    def run() -> None:
        try:
            trio.run(main)
        except BaseException as error:
            failures.append(error)
        finally:
            up.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert up.wait(20)
    try:
        assert not failures, failures
        yield started[0][0]
    finally:
        for _, token, scope in started:
            token.run_sync_soon(scope.cancel)
        thread.join(20)
    assert not failures, failures


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def iiiffs(folder: Path, *arguments: str, words: str = "") -> Done:
    """The command, run to its end in this process; errors as `main` tells them."""
    result = CliRunner().invoke(app, [*arguments, "--config", str(folder / "config.toml")], input=words)
    if isinstance(result.exception, IiiffsError):
        return Done(exit_code_of(result.exception), result.stdout, f"iiiffs: {result.exception}\n")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


async def filled(parts: Queued) -> None:
    await parts.add("a1", Stage.FAILED, b"first", reason="the server says no", tries=2)
    await parts.add("b2", Stage.READY, b"second", reason="away")


def test_list(tmp_path: Path) -> None:
    with daemon(tmp_path, filled):
        rows = json.loads(iiiffs(tmp_path, "queue", "list", "--json").stdout)
        assert [row["id"] for row in rows] == ["local-a1", "local-b2"]
        shown = iiiffs(tmp_path, "queue", "list").stdout
        assert "shown/albums/Trip/a1.jpg" in shown
        assert "  the server says no" in shown


def test_names_of_others_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    async def prepare(parts: Queued) -> None:
        await parts.add("a", Stage.FAILED, reason="\x1b[2J\nevil", name="\udce9.jpg")

    with daemon(tmp_path, prepare):
        done = iiiffs(tmp_path, "queue", "list")
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        assert "\\x1b[2J\\x0aevil" in done.stdout
        assert "\\udce9.jpg" in done.stdout


def test_an_empty_queue(tmp_path: Path) -> None:
    async def prepare(parts: Queued) -> None:
        await trio.lowlevel.checkpoint()

    with daemon(tmp_path, prepare):
        assert iiiffs(tmp_path, "queue", "list").stdout == "nothing waits to be sent\n"
        assert iiiffs(tmp_path, "queue", "list", "--json").stdout == "[]\n"
        assert iiiffs(tmp_path, "conflicts", "list").stdout == "no conflicts\n"
        assert iiiffs(tmp_path, "queue", "export", str(tmp_path / "out")).stdout.startswith("nothing to export")
        waited = iiiffs(tmp_path, "flush", "--wait")
        assert (waited.returncode, waited.stdout, waited.stderr) == (0, "", "")


def test_retry(tmp_path: Path) -> None:
    with daemon(tmp_path, filled) as parts:
        assert iiiffs(tmp_path, "queue", "retry").stdout == "1 are tried again; see `iiiffs queue list`\n"
        item = parts.queue.get("local-a1")
        assert item is not None
        assert item.stage is Stage.READY
        refused = iiiffs(tmp_path, "queue", "retry", "nope")
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert refused.stderr.startswith("iiiffs: nope: nothing has an id that begins so")


def test_discard_asks_first(tmp_path: Path) -> None:
    with daemon(tmp_path, filled) as parts:
        for words in ("n\n", ""):
            asked = iiiffs(tmp_path, "queue", "discard", "a1", words=words)
            assert asked.returncode == 1
            assert "upload: shown/albums/Trip/a1.jpg" in asked.stdout
            assert parts.payloads == {"local-a1", "local-b2"}
        assert iiiffs(tmp_path, "queue", "discard", "zz", words="y\n").returncode == 1
        assert iiiffs(tmp_path, "queue", "discard", "a1", words="y\n").returncode == 0
        assert parts.payloads == {"local-b2"}
        assert iiiffs(tmp_path, "queue", "discard", "b2", "--yes").returncode == 0
        assert parts.payloads == set()


def test_export_copies_whole_files_and_overwrites_none(tmp_path: Path) -> None:
    with daemon(tmp_path, filled) as parts:
        out = tmp_path / "out"
        done = iiiffs(tmp_path, "queue", "export", str(out))
        assert done.stdout == f"shown/albums/Trip/a1.jpg -> {out}/a1.jpg\n"
        done = iiiffs(tmp_path, "queue", "export", str(out), "a1", "b2")
        assert done.returncode == 0, done.stderr
        assert {path.name: path.read_bytes() for path in out.iterdir()} == {
            "a1.jpg": b"first",
            "a1 (1).jpg": b"first",
            "b2.jpg": b"second",
        }
        assert (out / "a1.jpg").stat().st_mtime_ns == NOW_NS
        assert parts.payloads == {"local-a1", "local-b2"}


def test_export_tells_a_payload_that_is_not_what_the_queue_says(tmp_path: Path) -> None:
    async def prepare(parts: Queued) -> None:
        await parts.add("a", Stage.FAILED, b"12345", size_bytes=6)
        await parts.add("b", Stage.FAILED, b"12345", sha1=b"\0" * 20)
        await parts.add("c", Stage.FAILED)
        parts.queue.spool.remove("local-c")
        await parts.add("d", Stage.FAILED)

    with daemon(tmp_path, prepare):
        done = iiiffs(tmp_path, "queue", "export", str(tmp_path / "out"))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 3
        assert done.stdout == f"shown/albums/Trip/d.jpg -> {tmp_path}/out/d.jpg\n"


def test_conflicts(tmp_path: Path) -> None:
    async def prepare(parts: Queued) -> None:
        theirs = parts.account.take("t", "x.jpg", b"theirs")
        for id in ("m1", "m2", "m3"):
            await parts.add(id, Stage.READY, conflict_with="x.jpg")
            await parts.queue.record_conflict(
                Conflict(f"local-{id}", HOME, TRIP, "x.jpg", f"{id}.jpg", theirs.id, NOW_NS)
            )

    with daemon(tmp_path, prepare) as parts:
        rows = json.loads(iiiffs(tmp_path, "conflicts", "list", "--json").stdout)
        assert [row["id"] for row in rows] == ["local-m1", "local-m2", "local-m3"]
        assert "not sent yet" in iiiffs(tmp_path, "conflicts", "list").stdout
        assert iiiffs(tmp_path, "conflicts", "theirs", "m1", words="n\n").returncode == 1
        assert len(parts.payloads) == 3
        assert iiiffs(tmp_path, "conflicts", "theirs", "m1", words="y\n").returncode == 0
        assert parts.payloads == {"local-m2", "local-m3"}
        assert iiiffs(tmp_path, "conflicts", "both", "m2").returncode == 0
        done = iiiffs(tmp_path, "conflicts", "mine", "m3")
        assert done.returncode == 0, done.stderr
        assert parts.queue.conflicts() == []
        item = parts.queue.get("local-m3")
        assert item is not None
        assert item.base is not None
        refused = iiiffs(tmp_path, "conflicts", "theirs", "m3")
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_flush(tmp_path: Path) -> None:
    async def prepare(parts: Queued) -> None:
        await parts.add("a1", Stage.FAILED, reason="the server says no")

    with daemon(tmp_path, prepare) as parts:
        done = iiiffs(tmp_path, "flush")
        assert done.stdout == "0 on the way, 1 failed: see `iiiffs queue list`\n"
        done = iiiffs(tmp_path, "flush", "--wait")
        assert (done.returncode, done.stdout) == (1, "")
        assert "iiiffs: shown/albums/Trip/a1.jpg: the server says no\n" in done.stderr
        assert parts.account.hurried == [None, None]


@pytest.mark.parametrize("verb", ["queue", "flush", "conflicts"])
def test_no_daemon(tmp_path: Path, verb: str) -> None:
    with daemon(tmp_path, filled):
        pass
    done = iiiffs(tmp_path, *([verb] if verb == "flush" else [verb, "list"]))
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)


def test_status_tells_the_queue_and_no_name_in_it(tmp_path: Path) -> None:
    with daemon(tmp_path, filled):
        told = json.loads(iiiffs(tmp_path, "status", "--json").stdout)
        assert (told["queue"]["waiting"], told["queue"]["failed"]) == (1, 1)
        assert "waiting" in iiiffs(tmp_path, "status").stdout


def test_no_line_of_a_table_is_broken_for_a_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    path = "home/albums/" + "a long title " * 20
    plain_console().print(items_table([{"path": path, "stage": "ready"}]))
    assert path.strip() in capsys.readouterr().out
