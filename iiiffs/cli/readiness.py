"""Saying when the mount answers: to systemd by sd_notify(3), to the waiting parent of --background by a pipe."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import IO

from iiiffs.errors import ConfigError, StartError
from iiiffs.mountpoints import probe

log = logging.getLogger(__name__)

READY_FD_VARIABLE = "IIIFFS_READY_FD"
READY_DEADLINE_S = 60.0
STOP_DEADLINE_S = 10.0


def notify_systemd(environ: Mapping[str, str], **state: str) -> None:
    """`state`, such as READY="1", is sent to $NOTIFY_SOCKET; nothing happens where there is none.

    A service manager that is not listening is logged, and is no reason to stop. Rule: sd_notify(3).
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    message = "\n".join(f"{name}={value}" for name, value in state.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
            client.connect("\0" + address[1:] if address.startswith("@") else address)
            client.sendall(message.encode())
    except OSError as error:
        log.warning("systemd could not be told %s: %s", message.replace("\n", " "), error.strerror or error)


def take_ready_fd(environ: MutableMapping[str, str]) -> int | None:
    """The pipe to a waiting parent, or None. Not inherited further, so that its end is our end."""
    text = environ.pop(READY_FD_VARIABLE, "")
    if not text.isdigit():
        return None
    os.set_inheritable(int(text), False)
    return int(text)


def log_to_file(path: Path, *, verbose: bool) -> None:
    """Log lines go to `path` (0600, made if missing), which a log rotator may move away at any time.

    Errors: ConfigError.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigError(f"state.path: the log {path} cannot be written: {error.strerror}") from None
    handler = WatchedFileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if verbose else logging.INFO, force=True)


def tell_parent(ready_fd: int, log_file: Path) -> None:
    """The parent may return; from here on stdout and stderr go to the log."""
    target = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    with suppress(BrokenPipeError):  # the parent was killed; the mount is up nevertheless
        os.write(ready_fd, b"1")
    os.close(ready_fd)


def start_in_background(arguments: Sequence[str], mountpoint: Path) -> int:
    """`iiiffs ARGUMENTS` runs in a session of its own and its mount answers; 0, or its exit code with its last words.

    A new process, never a fork of this one. Rule: research/peers.md §5.2 item 12.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with tempfile.TemporaryFile() as words, os.fdopen(reading, "rb", buffering=0) as pipe:
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "iiiffs", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                cwd="/",
                pass_fds=[writing],
                env=os.environ | {READY_FD_VARIABLE: str(writing)},
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            ready = _wait_ready(pipe) and probe(mountpoint) is None
        except BaseException:
            stop_child(child)
            raise
        if ready:
            child.returncode = 0  # it lives on; Popen shall not warn about that
            return 0
        code = stop_child(child)
        _repeat(words)
    if code == 0:
        raise StartError(f"{mountpoint}: the mount did not answer within {READY_DEADLINE_S:g} s")
    return code if code > 0 else 128 - code


def _wait_ready(pipe: IO[bytes]) -> bool:
    """True when the child says so; False when it ended or took too long."""
    import select

    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    return bool(poller.poll(READY_DEADLINE_S * 1000)) and pipe.read(1) == b"1"


def _repeat(words: IO[bytes]) -> None:
    """What the child said before it ended, on our stderr."""
    words.seek(0)
    sys.stderr.write(words.read().decode("utf-8", "replace"))
    sys.stderr.flush()


def stop_child(child: subprocess.Popen[bytes]) -> int:
    """Its exit code; it is asked to end by SIGTERM if it runs, then killed."""
    for ask, deadline_s in ((child.terminate, STOP_DEADLINE_S), (child.kill, STOP_DEADLINE_S)):
        with suppress(subprocess.TimeoutExpired):
            return child.wait(0.5)
        ask()
        with suppress(subprocess.TimeoutExpired):
            return child.wait(deadline_s)
    raise StartError(f"process {child.pid} does not end, not even by {signal.SIGKILL.name}")


def wait_process_end(pid: int, deadline_s: float) -> bool:
    """True once no process `pid` runs; False if one still does after `deadline_s`."""
    import select

    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        end_s = time.monotonic() + deadline_s
        return bool(poller.poll(max(0.0, end_s - time.monotonic()) * 1000))
    finally:
        os.close(handle)
