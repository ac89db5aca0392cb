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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from iiiffs.control import ask

START_S = 20.0
STOP_S = 15.0


@dataclass
class Mount:
    """A running daemon. `log` is what it wrote; `expected` holds texts that may stand in its warnings."""

    folder: Path
    root: Path
    config: Path
    log_file: Path
    process: subprocess.Popen[bytes]
    expected: list[str] = field(default_factory=list)

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

    def status(self) -> dict[str, object]:
        """As `iiiffs status --json`."""
        answer = ask(self.folder / "state" / "control.sock", "status")
        assert isinstance(answer, dict)
        return answer

    @property
    def rendered(self) -> int:
        """Renditions made since the start."""
        render = self.status()["render"]
        assert isinstance(render, dict)
        return int(render["rendered"])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ended by a signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def kill(self) -> None:
        """Killed, the mount left dead."""
        self.process.kill()
        self.process.wait(STOP_S)


def write_config(folder: Path, photos: Path, *, base_url: str = "http://127.0.0.1:8080", extra: str = "") -> Path:
    """A configuration with one account `pictures`; everything it writes is below `folder`."""
    config = folder / "config.toml"
    config.write_text(
        f"base_url = {json.dumps(base_url)}\n"
        f'[cache]\npath = {json.dumps(str(folder / "cache"))}\nsize = "1 GiB"\n'
        f"[state]\npath = {json.dumps(str(folder / 'state'))}\n"
        f'[account.pictures]\nprovider = "folder"\npath = {json.dumps(str(photos))}\naccess = "read"\n{extra}\n'
    )
    return config


@contextmanager
def mounted(folder: Path, photos: Path, *arguments: str, config: Path | None = None) -> Iterator[Mount]:
    """Inside, `photos` is mounted on `folder`/mnt. Afterwards: unmounted, and no undeclared warning in its log."""
    mount = start(folder, photos, *arguments, config=config)
    try:
        yield mount
    finally:
        if mount.process.poll() is None:
            mount.process.send_signal(signal.SIGTERM)
            try:
                mount.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                mount.kill()
        release(mount.root)
    check_log(mount)


def start(folder: Path, photos: Path, *arguments: str, config: Path | None = None) -> Mount:
    """As `mounted`, for tests that stop and start it themselves: they call `release` and `check_log`."""
    root = folder / "mnt"
    root.mkdir(exist_ok=True, parents=True)
    config = config or write_config(folder, photos)
    log_file = folder / "daemon.log"
    command = [sys.executable, "-X", "dev", "-m", "iiiffs", "mount", str(root), "--config", str(config), *arguments]
    with log_file.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    mount = Mount(folder, root, config, log_file, process)
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        if "mounted on" in mount.log:
            return mount
        time.sleep(0.02)
    process.kill()
    process.wait(STOP_S)
    release(root)
    raise AssertionError(f"the daemon did not mount: {mount.log}")


def is_mounted(root: Path) -> bool:
    """True if anything is mounted exactly there; asks the kernel's table, not the mount."""
    return any(line.split()[4] == str(root) for line in Path("/proc/self/mountinfo").read_text().splitlines())


def release(root: Path) -> None:
    """Nothing is mounted on `root` any more."""
    while is_mounted(root):
        command = ["umount", "-l", str(root)] if os.geteuid() == 0 else ["fusermount3", "-uz", str(root)]
        subprocess.run(command, check=True, capture_output=True)


def check_log(mount: Mount) -> None:
    """Silence means silence: no warning, error or traceback that the test did not announce in `mount.expected`."""
    bad = [
        line
        for line in mount.log.splitlines()
        if any(word in line for word in (" WARNING ", " ERROR ", " CRITICAL ", "Traceback", "ResourceWarning"))
        and not any(text in line for text in mount.expected)
    ]
    assert not bad, "\n".join(bad) + "\n\n" + mount.log[-4000:]
