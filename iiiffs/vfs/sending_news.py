"""What the uploader tells: counts, how far an account is, and what a person may want to know at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from iiiffs.sync.items import Item


class News(StrEnum):
    """What a person may want to know at once."""

    FAILED = "failed"
    CONFLICT = "conflict"
    LOGIN_NEEDED = "login needed"
    BACK_ONLINE = "back online"


Notify = Callable[[News, str], None]
"""(what, one line for a person): called in trio's thread, and does not wait."""


@dataclass(slots=True)
class Counters:
    """Since the start."""

    sent: int = 0
    failed: int = 0
    conflicts: int = 0
    retries: int = 0
    bytes_sent: int = 0


@dataclass(frozen=True, slots=True)
class SendingState:
    """What an account has still to send.

    `waiting`: items that are to be sent; `held_back`: those of them that wait for what is FAILED or open. `sending`: on
    their way. `failed`: until a person decides. `offline`, `login_needed`: why it does not go on, or None.
    """

    waiting: int
    held_back: int
    sending: int
    failed: tuple[Item, ...]
    offline: str | None = None
    login_needed: str | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing more can be sent."""
        return self.sending == 0 and self.waiting <= self.held_back
