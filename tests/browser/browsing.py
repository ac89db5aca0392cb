"""What the browser fixtures hand to tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Seen:
    """What a script returned, and what went wrong in the browser meanwhile."""

    value: dict[str, object]
    console_errors: list[str]
    failed_requests: list[str]
    bad_answers: list[str]
    images: list[str]
    dialogs: list[str]
    hosts: list[str]

    @property
    def troubles(self) -> list[str]:
        """Everything that a person with the developer tools open would see in red."""
        return [*self.console_errors, *self.failed_requests, *self.bad_answers, *self.dialogs]


@dataclass(frozen=True)
class Site:
    """A running site: `url` is base_url, `album` an album's path below it, `folder` one with albums inside."""

    url: str
    root: Path
    album: str
    folder: str
    without_viewers: str


BrowserPage = Callable[..., Seen]
