"""What stands between an account's items and their provider: open, or closed after trouble until one gets through.

While it is closed one item at a time tries, each time after a longer while; all others wait. Time is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Gate:
    """`reason`: why it is closed; None while it is open. `tries`: that found it closed, one after another.

    `until_s`: when the next one may try. `trier`: who tries now.
    """

    reason: str | None = None
    tries: int = 0
    until_s: float = 0.0
    trier: str | None = None

    @property
    def is_open(self) -> bool:
        """Everybody may pass."""
        return self.reason is None

    def lets(self, now_s: float) -> bool:
        """True if one more may go now."""
        return self.is_open or (self.trier is None and now_s >= self.until_s)

    def entered(self, id: str) -> None:
        """That one goes now."""
        if not self.is_open:
            self.trier = id

    def left(self, id: str) -> None:
        """That one has come back, however it ended."""
        if self.trier == id:
            self.trier = None

    def close(self, id: str, reason: str) -> bool:
        """That one did not get through; True if this is news of the gate, and `until_s` is to be set anew.

        Those who went before it was closed say nothing new when they come back later.
        """
        is_news = self.is_open or self.trier == id
        self.reason = reason
        if is_news:
            self.tries += 1
        return is_news

    def open(self) -> bool:
        """Somebody got through; True if it was closed."""
        was_closed = not self.is_open
        self.reason, self.tries, self.until_s = None, 0, 0.0
        return was_closed

    def retry(self) -> None:
        """Whoever comes next may try at once."""
        self.until_s = 0.0
