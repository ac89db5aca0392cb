"""A mount that may be written to, over a folder: what programs did to it, and what came of that at the provider."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iiiffs.control import ask
from tests.harness.mount import Mount, Program, mounted, write_config

SENT_S = 30.0
RESTING = ("scratch", "failed")


@dataclass(frozen=True)
class Writable:
    """`photos`: the provider's folder. `trash`: of the person who runs the daemon."""

    mount: Mount
    photos: Path
    trash: Path

    @property
    def files(self) -> Path:
        """MOUNT/pictures/files"""
        return self.mount.files

    def run(self, command: str, *, code: int = 0, cwd: Path | None = None) -> str:
        """What a shell says to `command`, run in files/; it ends with `code`."""
        ended = subprocess.run(
            ["bash", "-c", command], cwd=cwd or self.files, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == code, f"{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout + ended.stderr

    def queue(self) -> list[dict[str, object]]:
        """All that is not at the provider."""
        items = ask(self.mount.socket, "queue.list")
        assert isinstance(items, list)
        return items

    def sent(self) -> list[dict[str, object]]:
        """Waits until nothing more will be sent by itself; what is left, such as scratch files."""
        ask(self.mount.socket, "flush")
        end = time.monotonic() + SENT_S
        while time.monotonic() < end:
            left = self.queue()
            if all(item["stage"] in RESTING for item in left):
                return left
            time.sleep(0.05)
        raise AssertionError(f"not sent within {SENT_S:g} s: {self.queue()}")

    def stored(self, folder: str = "") -> dict[str, bytes]:
        """Path -> bytes of every file at the provider, below `folder`."""
        base = self.photos / folder
        return {str(path.relative_to(base)): path.read_bytes() for path in sorted(base.rglob("*")) if path.is_file()}


def writable_config(
    folder: Path, photos: Path, *, access: str = "edit", settle: str = "300ms", extra: str = ""
) -> Path:
    """As `write_config`, of an account that may be written to; what is closed is sent soon."""
    config = write_config(folder, photos, extra=f'settle = "{settle}"\n{extra}')
    config.write_text(config.read_text().replace('access = "read"', f'access = "{access}"'))
    return config


@contextmanager
def writable(folder: Path, photos: Path, *, access: str = "edit", settle: str = "300ms") -> Iterator[Writable]:
    """Inside, `photos` is mounted for writing; its trash is below `folder`."""
    trash = folder / "data"
    program = Program(environment=os.environ | {"XDG_DATA_HOME": str(trash)})
    config = writable_config(folder, photos, access=access, settle=settle)
    with mounted(folder, photos, config=config, program=program) as mount:
        yield Writable(mount, photos, trash / "Trash" / "files")
