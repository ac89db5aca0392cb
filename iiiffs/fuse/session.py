"""The FUSE session: mounted, answering, and taken down whatever happens.

Facts that this file works round, each measured (DESIGN §6): the kernel allows 12 background requests until told
otherwise; a client that is killed between pyfuse3's poll and its blocking receive freezes the loop until the next
request; pyfuse3's `terminate` does not cancel handlers; `close` unmounts lazily, which is what a stuck mount needs.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyfuse3
import trio

from iiiffs.errors import MountRefused
from iiiffs.fuse.operations import Operations
from iiiffs.providers.mountinfo import OWN_TYPE, Mount, read_mounts

log = logging.getLogger(__name__)

FS_NAME = "iiiffs"
TICK_S = 0.2
BACKGROUND_MAX = 1024
READ_AHEAD_KIB = 512
"""What the kernel asks for at once when somebody reads on and on, instead of 128: a fourth of the requests, each of
which costs us some 0.1 ms. Not 1024: who reads 16 KiB of headers in two steps would ask for more than the first block.
"""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
CONNECTIONS = Path("/sys/fs/fuse/connections")
DEVICES = Path("/sys/class/bdi")
FUSECTL_DEADLINE_S = 5.0
HANDLERS_RESERVED = 64
"""Handlers beyond all that may wait for a provider, so that what is cached is always answered."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How the kernel is asked to mount. `waiting_max`: handlers that may wait for providers at once, all told."""

    mountpoint: Path
    allow_other: bool
    waiting_max: int
    read_only: bool = True


@contextmanager
def mounted(operations: Operations, options: SessionOptions) -> Iterator[None]:
    """Inside, the file system is mounted; afterwards it is not, whatever happened. Errors: MountRefused."""
    words = {f"fsname={FS_NAME}", f"subtype={FS_NAME}", "default_permissions", "nosuid", "nodev", "noexec"}
    if options.read_only:
        words.add("ro")
    if options.allow_other:
        words.add("allow_other")
    try:
        operations.first_open = partial(raise_read_ahead, options.mountpoint)
        pyfuse3.init(operations, str(options.mountpoint), words)
    except RuntimeError as error:
        hint = "; --allow-other needs user_allow_other in /etc/fuse.conf" if options.allow_other else ""
        raise MountRefused(
            f"{options.mountpoint}: the kernel or fusermount3 refused to mount ({error}){hint}"
        ) from error
    try:
        yield
    finally:
        pyfuse3.close(unmount=True)


async def serve(options: SessionOptions, refused: Callable[[], None], tick_s: float = TICK_S) -> None:
    """Requests are answered until somebody unmounts or `stop` is called. To be run inside `mounted`.

    `refused` is called if the kernel goes on sending few background requests at once: then reads must not wait long.
    `tick_s`: as for `ticking`.
    """
    if not raise_background_limit(options.mountpoint):
        refused()
    with ticking(tick_s):
        await pyfuse3.main(max_tasks=options.waiting_max + HANDLERS_RESERVED)


def stop() -> None:
    """`serve` returns once no handler runs any more; the caller cancels those that wait."""
    pyfuse3.terminate()


@contextmanager
def ticking(interval_s: float) -> Iterator[None]:
    """Inside, a signal arrives every `interval_s` and ends a blocking receive with EINTR: the loop cannot freeze.

    Must be entered in the main thread. 0 is no signal at all, which only a test that shows the freeze wants.
    """
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, interval_s, interval_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def raise_background_limit(mountpoint: Path) -> bool:
    """The kernel sends up to BACKGROUND_MAX background requests at once; False, with a warning, if it will not.

    With the kernel's 12, hung reads of one account hold up the reads of all (5.3 s instead of 0.010 s, measured).
    """
    limit = connection_folder(mountpoint) / "max_background"
    if not limit.exists() and os.geteuid() == 0:
        mount_fusectl()
    try:
        limit.write_text(str(BACKGROUND_MAX))
    except OSError as error:
        log.warning("%s: %s; reads of one slow account may hold up others", limit, error.strerror)
        return False
    return True


def raise_read_ahead(mountpoint: Path) -> None:
    """The kernel reads ahead in large requests, if we may say so: that is root's alone. Without it all goes on, slower.

    To be called once a request has come: the answer to the kernel's first one, INIT, sets it to 128 KiB at most.
    Rule: Documentation/ABI/testing/sysfs-class-bdi.
    """
    major, minor = _mounted(mountpoint).device
    limit = DEVICES / f"{major}:{minor}" / "read_ahead_kb"
    try:
        limit.write_text(str(READ_AHEAD_KIB))
    except OSError as error:
        log.debug("%s: %s; originals are read in smaller requests", limit, error.strerror)


def mount_fusectl() -> None:
    """The kernel's control files are there, if root may mount them: containers and small systems leave them out."""
    command = ["mount", "-t", "fusectl", "fusectl", str(CONNECTIONS)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FUSECTL_DEADLINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("%s: %s", " ".join(command), error)
        return
    if done.returncode:
        log.debug("%s: %s", " ".join(command), done.stderr.strip())


def connection_folder(mountpoint: Path) -> Path:
    """The kernel's folder for the mount on `mountpoint`. Errors: MountRefused."""
    return CONNECTIONS / str(_mounted(mountpoint).device[1])


def _mounted(mountpoint: Path) -> Mount:
    """By mountinfo: our own mount must not be stat'ed from here. Errors: MountRefused."""
    for mount in reversed(read_mounts()):
        if mount.point == str(mountpoint) and mount.type == OWN_TYPE:
            return mount
    raise MountRefused(f"{mountpoint}: mounted, and gone again at once; look for a second umount")


@contextmanager
def stop_signals() -> Iterator[AsyncIterator[int]]:
    """Inside, the stop signals arrive in what is yielded; afterwards, to the end of the process, they are ignored.

    SIGHUP, as of a terminal that is closed, is one of them unless it is ignored already, as under nohup. A second
    signal while the first is being obeyed would otherwise end the process before everything is closed. Trio raises what
    it has not delivered again, for the handlers before its own; Python's end keeps SIG_IGN, and no other.
    """
    numbers = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in numbers:
        signal.signal(number, lambda _number, _frame: None)
    try:
        with trio.open_signal_receiver(*numbers) as received:
            yield received
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)


async def wait_stop_signal(received: AsyncIterator[int], cancel: trio.CancelScope) -> None:
    """The first of `received` cancels `cancel`; more of them change nothing."""
    async for number in received:
        log.info("%s: unmounting", signal.Signals(number).name)
        cancel.cancel()
