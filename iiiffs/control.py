"""The control socket: how commands reach the daemon, also while FUSE is stuck (DESIGN §7).

Newline-delimited JSON, one request a line: `{"verb": "status", "args": {}}` is answered by `{"ok": true, "result": …}`
or `{"ok": false, "error": "one line"}`. Whoever can open the socket is trusted with every verb (0600 in a 0700 folder),
but not to be quick, brief or correct: lines, connections and waits are bounded.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import trio

from iiiffs.errors import AlreadyRunning, IiiffsError, NoDaemon, StartError

log = logging.getLogger(__name__)

REQUEST_BYTES_MAX = 64 * 1024
ANSWER_BYTES_MAX = 16 * 1024 * 1024
CONNECTIONS_MAX = 16
REQUEST_DEADLINE_S = 5.0
HANDLER_DEADLINE_S = 600.0
ANSWER_DEADLINE_S = 10.0
SOCKET_PATH_BYTES_MAX = 107  # sun_path less its NUL, unix(7)

Handler = Callable[[Mapping[str, object]], Awaitable[object]]
"""Takes a request's args and returns what JSON can hold; an IiiffsError is the asker's answer, all else is a bug."""


async def serve_control(
    path: Path,
    handlers: Mapping[str, Handler],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Requests at `path` are answered until cancelled; then the socket is gone.

    Started when connections are accepted. A handler's bug is answered as an error and logged; it ends nothing.
    Errors: AlreadyRunning if somebody answers at `path` already, StartError if the socket cannot be made.
    """
    bound, inode = _bind(path)
    free = trio.Semaphore(CONNECTIONS_MAX)

    async def converse(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with stream:
                await _converse(stream, handlers, free)

    try:
        async with trio.open_nursery() as nursery:
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
            await nursery.start(trio.serve_listeners, converse, [listener])
            task_status.started()
    finally:
        _unlink_own(path, inode)


def _unlink_own(path: Path, inode: int) -> None:
    """The socket file is gone, unless another daemon's has taken its place."""
    with suppress(FileNotFoundError):
        if path.lstat().st_ino == inode:
            path.unlink()


def _bind(path: Path) -> tuple[socket.socket, int]:
    """A listening socket at `path`, 0600 from its first moment, and the inode number of its file."""
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    umask = os.umask(0o177)
    try:
        with _reachable(path) as address:
            bound.bind(address)
        bound.listen(CONNECTIONS_MAX)
    except OSError as error:
        bound.close()
        raise StartError(f"{path}: the control socket cannot be made: {error.strerror or error}") from None
    finally:
        os.umask(umask)
    return bound, path.lstat().st_ino


def _remove_stale(path: Path) -> None:
    """No file is at `path`, unless somebody answers there: AlreadyRunning."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{path}: expected a socket or nothing, found another file; move it away")
    try:
        _connect(path, 1.0).close()
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise AlreadyRunning(f"{path}: another iiiffs may hold it ({error.strerror or error}); end it first") from None
    else:
        raise AlreadyRunning(f"{path}: another iiiffs answers there; `iiiffs status` shows it")


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """An address of `path` that fits into sun_path, whatever its length."""
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def _converse(stream: trio.SocketStream, handlers: Mapping[str, Handler], free: trio.Semaphore) -> None:
    """Requests of one connection are answered in order until it is closed, silent too long, or talks nonsense."""
    try:
        free.acquire_nowait()
    except trio.WouldBlock:
        await _send(stream, _refusal(f"busy: {CONNECTIONS_MAX} requests are being answered; try again"))
        return
    try:
        pending = bytearray()
        while (line := await _receive_line(stream, pending)) is not None:
            if len(line) > REQUEST_BYTES_MAX:
                await _send(stream, _refusal(f"a request of more than {REQUEST_BYTES_MAX} bytes"))
                return
            if not await _send(stream, await _answer(line, handlers)):
                return
    finally:
        free.release()


async def _receive_line(stream: trio.SocketStream, pending: bytearray) -> bytes | None:
    """The next line, taken out of `pending`; None at the end or at the deadline; over-long means refuse."""
    with trio.move_on_after(REQUEST_DEADLINE_S):
        while (end := pending.find(b"\n")) < 0:
            if len(pending) > REQUEST_BYTES_MAX:
                return bytes(pending)
            chunk = await stream.receive_some(16 * 1024)
            if not chunk:
                return None
            pending += chunk
        line = bytes(pending[:end])
        del pending[: end + 1]
        return line
    return None


async def _send(stream: trio.SocketStream, answer: bytes) -> bool:
    """True if the peer took all of it in time."""
    with trio.move_on_after(ANSWER_DEADLINE_S) as scope:
        await stream.send_all(answer)
    return not scope.cancelled_caught


async def _answer(line: bytes, handlers: Mapping[str, Handler]) -> bytes:
    """The answer's line to the request's."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return _refusal("the request is not JSON")
    if not isinstance(request, dict) or not isinstance(verb := request.get("verb"), str):
        return _refusal('the request has no "verb"')
    args = request.get("args", {})
    if not isinstance(args, dict):
        return _refusal('"args" is not an object')
    if verb not in handlers:
        return _refusal(f'unknown verb "{verb[:40]}"; this daemon knows {", ".join(sorted(handlers))}')
    try:
        with trio.fail_after(HANDLER_DEADLINE_S):
            result = await handlers[verb](args)
        return json.dumps({"ok": True, "result": result}).encode() + b"\n"
    except IiiffsError as error:
        return _refusal(str(error))
    except trio.TooSlowError:
        return _refusal(f"{verb}: no result within {HANDLER_DEADLINE_S:g} s")
    except Exception:  # the fence: a bug in one verb must not take the mount down
        log.exception("control: the verb %r failed", verb)
        return _refusal(f"{verb}: a bug in iiiffs; the log has the traceback")


def _refusal(reason: str) -> bytes:
    return json.dumps({"ok": False, "error": " ".join(reason.split())}).encode() + b"\n"


def _connect(path: Path, timeout_s: float) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        client.settimeout(timeout_s)
        with _reachable(path) as address:
            client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


def ask(path: Path, verb: str, args: Mapping[str, object] | None = None, timeout_s: float = 5.0) -> object:
    """The daemon's result. Blocking.

    Errors: NoDaemon if nobody is there or answers in time; IiiffsError with the daemon's line if it refuses.
    """
    request = json.dumps({"verb": verb, "args": dict(args or {})}).encode() + b"\n"
    try:
        with _connect(path, timeout_s) as client:
            with suppress(BrokenPipeError):  # a busy daemon answers and closes without having read
                client.sendall(request)
            line = _read_answer(client)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise NoDaemon(f"iiiffs does not run with this configuration (nobody at {path}); try `iiiffs mount`") from None
    except TimeoutError:
        raise NoDaemon(f"iiiffs does not answer at {path} within {timeout_s:g} s") from None
    except OSError as error:
        raise NoDaemon(f"iiiffs cannot be asked at {path}: {error.strerror or error}") from None
    return _result(path, line)


def _read_answer(client: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        chunk = client.recv(64 * 1024)
        if not chunk or len(received) > ANSWER_BYTES_MAX:
            break
        received += chunk
    return bytes(received)


def _result(path: Path, line: bytes) -> object:
    try:
        answer = json.loads(line)
        if answer["ok"] is True:
            return answer["result"]
        reason = str(answer["error"])
    except (ValueError, KeyError, TypeError):
        raise NoDaemon(f"what answers at {path} is not iiiffs, or it ended while answering") from None
    raise IiiffsError(reason)
