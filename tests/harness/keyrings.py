"""System keyrings of our own: one that keeps, and some that fail, each in its own way.

In this process: `keyring.set_keyring(Kept(file))`. In another one: PYTHON_KEYRING_BACKEND=tests.harness.keyrings.Kept,
and KEYRING_PROPERTY_FILE for where it keeps. For "there is none" keyring has `keyring.backends.fail.Keyring` itself.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import NoReturn

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class Kept(KeyringBackend):
    """Keeps passwords in `file` (JSON: service and name -> password). `asked` counts questions."""

    priority = 1.0
    file = ""

    def __init__(self, file: Path | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's
        self.asked = 0
        if file is not None:
            self.file = str(file)

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        return self.all().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self.all(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        self._write({name: value for name, value in self.all().items() if name != f"{service}/{username}"})

    def all(self) -> dict[str, str]:
        """Everything in it."""
        file = Path(self.file)
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def _write(self, passwords: dict[str, str]) -> None:
        Path(self.file).write_text(json.dumps(passwords))


class Locked(Kept):
    """Nobody unlocks it, until `locked` is False."""

    locked = True

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            self.asked += 1
            raise KeyringLocked("Failed to unlock the collection!")
        return super().get_password(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.get_password(service, username)
        super().set_password(service, username, password)


class Hanging(Kept):
    """Answers nobody before `released`: as one does that shows a window which nobody sees."""

    def __init__(self, file: Path | None = None) -> None:
        super().__init__(file)
        self.released = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        self.released.wait()
        return super().get_password(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.released.wait()
        super().set_password(service, username, password)


class Forgetful(Kept):
    """Takes everything and keeps nothing, as keyring's own null backend does."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Kept nowhere."""


class Broken(Kept):
    """Fails in a way of its own, and tells what it was given."""

    def get_password(self, service: str, username: str) -> str | None:
        raise OSError(f"the bus is gone while {username} was asked for")

    def set_password(self, service: str, username: str, password: str) -> NoReturn:
        raise OSError(f"the bus is gone while {password} was sent")
