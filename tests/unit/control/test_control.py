"""iiiffs.control over a real socket, with polite and with hostile clients."""

from __future__ import annotations

import json
import logging
import socket
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from iiiffs import control
from iiiffs.control import ask, serve_control
from iiiffs.errors import AlreadyRunning, IiiffsError, NoDaemon, NoSuchName, StartError


async def echo(args: Mapping[str, object]) -> object:
    return {"echo": dict(args)}


async def refuse(args: Mapping[str, object]) -> object:
    raise NoSuchName("no such\nalbum")


async def bug(args: Mapping[str, object]) -> object:
    raise ZeroDivisionError("a bug")


async def unspeakable(args: Mapping[str, object]) -> object:
    return object()


async def sleep(args: Mapping[str, object]) -> object:
    await trio.sleep_forever()


HANDLERS = {"echo": echo, "refuse": refuse, "bug": bug, "unspeakable": unspeakable, "sleep": sleep}


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, path, HANDLERS)
        yield
        nursery.cancel_scope.cancel()


async def asked(path: Path, verb: str, args: Mapping[str, object] | None = None) -> object:
    return await trio.to_thread.run_sync(lambda: ask(path, verb, args, timeout_s=10.0))


async def said(path: Path, sent: bytes) -> bytes:
    """All that is answered to `sent`."""
    stream = await trio.open_unix_socket(str(path))
    async with stream:
        await stream.send_all(sent)
        await stream.send_eof()
        return b"".join([chunk async for chunk in stream])


def run(body: Callable[[Path], object], path: Path) -> None:
    async def main() -> None:
        async with serving(path):
            with trio.fail_after(20):
                await body(path)  # type: ignore[misc]

    trio.run(main)


def test_question_and_answer(tmp_path: Path) -> None:
    async def body(path: Path) -> None:
        mode = path.lstat().st_mode  # noqa: ASYNC240
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert await asked(path, "echo", {"a": [1, "ü"]}) == {"echo": {"a": [1, "ü"]}}
        assert await asked(path, "echo") == {"echo": {}}

    run(body, tmp_path / "control.sock")
    assert not (tmp_path / "control.sock").exists()


def test_several_requests_on_one_connection(tmp_path: Path) -> None:
    async def body(path: Path) -> None:
        line = b'{"verb": "echo", "args": {}}\n'
        assert (await said(path, line * 3)).count(b'"ok": true') == 3

    run(body, tmp_path / "control.sock")


def test_refusals_are_one_line(tmp_path: Path) -> None:
    async def body(path: Path) -> None:
        with pytest.raises(IiiffsError, match=r"^no such album$"):
            await asked(path, "refuse")
        with pytest.raises(
            IiiffsError, match=r'^unknown verb "fly"; this daemon knows bug, echo, refuse, sleep, unspeakable$'
        ):
            await asked(path, "fly")

    run(body, tmp_path / "control.sock")


@pytest.mark.warns("failed")
@pytest.mark.parametrize("verb", ["bug", "unspeakable"])
def test_a_bug_is_answered_and_logged_and_ends_nothing(
    tmp_path: Path, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(path: Path) -> None:
        with pytest.raises(IiiffsError, match=f"^{verb}: a bug in iiiffs; the log has the traceback$"):
            await asked(path, verb)
        assert await asked(path, "echo") == {"echo": {}}

    with caplog.at_level(logging.ERROR, "iiiffs.control"):
        run(body, tmp_path / "control.sock")
    (record,) = caplog.records
    assert record.exc_info is not None


NONSENSE = {
    "not JSON": (b"hello\n", "the request is not JSON"),
    "not UTF-8": (b"\xff\xfe{\n", "the request is not JSON"),
    "a list": (b"[]\n", 'the request has no "verb"'),
    "verb is a number": (b'{"verb": 1}\n', 'the request has no "verb"'),
    "args is a list": (b'{"verb": "echo", "args": []}\n', '"args" is not an object'),
    "deep": (b"[" * 60_000 + b"\n", "the request is not JSON"),
    "long": (b"x" * 70_000, f"a request of more than {control.REQUEST_BYTES_MAX} bytes"),
}


@pytest.mark.parametrize(("sent", "error"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused_and_ends_nothing(tmp_path: Path, sent: bytes, error: str) -> None:
    async def body(path: Path) -> None:
        assert json.loads(await said(path, sent)) == {"ok": False, "error": error}
        assert await asked(path, "echo") == {"echo": {}}

    run(body, tmp_path / "control.sock")


def test_half_a_request_gets_no_answer(tmp_path: Path) -> None:
    async def body(path: Path) -> None:
        assert await said(path, b'{"verb": "echo"') == b""

    run(body, tmp_path / "control.sock")


def test_a_silent_client_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "REQUEST_DEADLINE_S", 0.05)

    async def body(path: Path) -> None:
        async with await trio.open_unix_socket(str(path)) as stream:
            assert await stream.receive_some() == b""

    run(body, tmp_path / "control.sock")


def test_a_hung_handler_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "HANDLER_DEADLINE_S", 0.05)

    async def body(path: Path) -> None:
        with pytest.raises(IiiffsError, match=r"^sleep: no result within 0\.05 s$"):
            await asked(path, "sleep")

    run(body, tmp_path / "control.sock")


def test_connections_are_bounded_and_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "CONNECTIONS_MAX", 2)

    async def body(path: Path) -> None:
        held = [await trio.open_unix_socket(str(path)) for _ in range(2)]
        for stream in held:  # an answer shows that the connection is counted
            await stream.send_all(b'{"verb": "echo"}\n')
            assert await stream.receive_some() == b'{"ok": true, "result": {"echo": {}}}\n'
        with pytest.raises(IiiffsError, match=r"^busy: 2 requests are being answered; try again$"):
            await asked(path, "echo")
        for stream in held:
            await stream.send_eof()
            assert await stream.receive_some() == b""
            await stream.aclose()
        assert await asked(path, "echo") == {"echo": {}}

    run(body, tmp_path / "control.sock")


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def body(path: Path) -> None:
        assert await asked(path, "echo") == {"echo": {}}

    run(body, path)


def test_a_live_socket_is_not_replaced(tmp_path: Path) -> None:
    async def body(path: Path) -> None:
        with pytest.raises(AlreadyRunning, match="another iiiffs answers there"):
            await serve_control(path, HANDLERS)
        assert await asked(path, "echo") == {"echo": {}}

    run(body, tmp_path / "control.sock")


def test_another_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(StartError, match="expected a socket or nothing, found another file; move it away"):
        trio.run(serve_control, path, HANDLERS)
    assert path.read_text() == "precious"


def test_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()

    async def body(path: Path) -> None:
        assert await asked(path, "echo") == {"echo": {}}

    run(body, folder / "control.sock")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="the control socket cannot be made: No such file or directory"):
        trio.run(serve_control, tmp_path / "none" / "control.sock", HANDLERS)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon, match=r"does not run with this configuration .*; try `iiiffs mount`"):
        ask(tmp_path / "control.sock", "echo")


def test_nobody_behind_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NoDaemon, match="does not run"):
        ask(path, "echo")


def test_a_daemon_that_hangs(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen(1)
        with pytest.raises(NoDaemon, match=r"iiiffs does not answer at .* within 0\.05 s"):
            ask(path, "echo", timeout_s=0.05)
