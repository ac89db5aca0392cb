"""A real daemon on a real kernel mount, for tests and benches; taken down whatever happens.

Nothing here touches the mount from a thread that could not be left behind: what hangs is killed by its process id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from iiiffs.control import ask

START_S = 20.0
INTERPRETER = () if os.environ.get("IIIFFS_BENCH") else ("-X", "dev")
"""Python's development mode shows ResourceWarnings and never-awaited coroutines; it also slows everything down."""
STOP_S = 15.0
RUNNING: set[subprocess.Popen[bytes]] = set()
"""Daemons that were started and not yet seen to end: a watchdog may kill them, and who waits for them gets ENOTCONN."""


@dataclass
class Mount:
    """A running daemon. `log` is what it wrote; `expected` holds texts that may stand in its warnings."""

    folder: Path
    root: Path
    config: Path
    log_file: Path
    process: subprocess.Popen[bytes]
    expected: list[str] = field(default_factory=list)
    did_not_end: bool = False
    """It went on after SIGTERM, and was killed."""

    @property
    def account(self) -> Path:
        """MOUNT/pictures"""
        return self.root / "pictures"

    @property
    def files(self) -> Path:
        """MOUNT/pictures/files"""
        return self.account / "files"

    @property
    def log(self) -> str:
        """All that the daemon logged so far."""
        return self.log_file.read_text(errors="replace")

    @property
    def socket(self) -> Path:
        """The daemon's control socket."""
        return self.folder / "state" / "control.sock"

    def status(self) -> dict[str, object]:
        """As `iiiffs status --json`."""
        answer = ask(self.socket, "status")
        assert isinstance(answer, dict)
        return answer

    def gauge(self, group: str, name: str) -> float:
        """One number of the status."""
        values = self.status()[group]
        assert isinstance(values, dict)
        number = values[name]
        assert isinstance(number, int | float)
        return number

    @property
    def rendered(self) -> int:
        """Renditions made since the start."""
        return int(self.gauge("render", "rendered"))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ended by a signal; its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """It has ended; its exit code."""
        code = self.process.wait(STOP_S)
        RUNNING.discard(self.process)
        return code

    def kill(self) -> None:
        """Killed, the mount left dead."""
        self.process.kill()
        self.wait()


def write_config(
    folder: Path,
    photos: Path,
    *,
    base_url: str = "http://127.0.0.1:8080",
    provider: str = "folder",
    extra: str = "",
) -> Path:
    """A configuration with one account `pictures`; everything it writes is below `folder`."""
    config = folder / "config.toml"
    config.write_text(
        f"base_url = {json.dumps(base_url)}\n"
        f'[cache]\npath = {json.dumps(str(folder / "cache"))}\nsize = "1 GiB"\n'
        f"[state]\npath = {json.dumps(str(folder / 'state'))}\n"
        f'[account.pictures]\nprovider = "{provider}"\npath = {json.dumps(str(photos))}\naccess = "read"\n{extra}\n'
    )
    return config


@dataclass(frozen=True)
class Program:
    """How a daemon is run: the module for `python -m`, what its environment has beside ours, and what comes before it
    on the command line and becomes it."""

    module: str = "iiiffs"
    environment: Mapping[str, str] = field(default_factory=dict)
    wrapper: tuple[str, ...] = ()


@contextmanager
def mounted(
    folder: Path, photos: Path, *arguments: str, config: Path | None = None, program: Program | None = None
) -> Iterator[Mount]:
    """Inside, `photos` is mounted on `folder`/mnt. Afterwards: unmounted, and no undeclared warning in its log."""
    mount = start(folder, photos, *arguments, config=config, program=program)
    try:
        yield mount
    finally:
        take_down(mount)
    check_log(mount)


def start(
    folder: Path, photos: Path, *arguments: str, config: Path | None = None, program: Program | None = None
) -> Mount:
    """As `mounted`, for tests that stop and start it themselves: they call `take_down` and `check_log`."""
    root = folder / "mnt"
    if not is_mounted(root):
        root.mkdir(exist_ok=True, parents=True)
    config = config or write_config(folder, photos)
    log_file = folder / "daemon.log"
    with log_file.open("ab") as log:
        written = log.tell()
        process = spawn(root, "--config", str(config), *arguments, program=program, output=log)
    mount = Mount(folder, root, config, log_file, process)
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        if b"mounted on" in log_file.read_bytes()[written:]:
            return mount
        time.sleep(0.02)
    take_down(mount)
    raise AssertionError(f"the daemon did not mount: {mount.log}")


def spawn(
    root: Path, *arguments: str, program: Program | None = None, output: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """`iiiffs mount ROOT ARGUMENTS`, running; both its outputs go to `output`."""
    program = program or Program()
    command = [*program.wrapper, sys.executable, *INTERPRETER, "-m", program.module, "mount", str(root), *arguments]
    process = subprocess.Popen(
        command,
        stdout=output,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=os.environ | program.environment,
    )
    RUNNING.add(process)
    return process


def take_down(mount: Mount) -> None:
    """The daemon has ended, by force where it must, and nothing is mounted there any more."""
    if mount.process.poll() is None:
        mount.process.send_signal(signal.SIGTERM)
        try:
            mount.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            mount.did_not_end = True
            mount.process.kill()
            mount.process.wait(STOP_S)
    RUNNING.discard(mount.process)
    release(mount.root)


def is_mounted(root: Path) -> bool:
    """True if anything is mounted exactly there; asks the kernel's table, not the mount."""
    return any(line.split()[4] == str(root) for line in Path("/proc/self/mountinfo").read_text().splitlines())


def release(root: Path) -> None:
    """Nothing is mounted on `root` any more."""
    while is_mounted(root):
        command = ["umount", "-l", str(root)] if os.geteuid() == 0 else ["fusermount3", "-uz", str(root)]
        subprocess.run(command, check=True, capture_output=True)


def check_log(mount: Mount) -> None:
    """Silence means silence: no warning, error or traceback that the test did not announce in `mount.expected`; and
    whoever was asked to end, ended."""
    assert not mount.did_not_end, f"it went on for {STOP_S} s after SIGTERM\n\n{mount.log[-4000:]}"
    bad = [
        line
        for line in mount.log.splitlines()
        if any(word in line for word in (" WARNING ", " ERROR ", " CRITICAL ", "Traceback", "ResourceWarning"))
        and not any(text in line for text in mount.expected)
    ]
    assert not bad, "\n".join(bad) + "\n\n" + mount.log[-4000:]
