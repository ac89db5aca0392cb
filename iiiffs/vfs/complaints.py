"""What goes wrong again and again is told once."""

from __future__ import annotations

import logging

KEPT = 1024
"""Texts name files, of which there are ever more: what was told before so many others may be told again."""


class Complaints:
    """Warnings in `log`."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._told)

    def say(self, text: str) -> None:
        """It is told, unless it was lately."""
        if text in self._told:
            return
        self._told[text] = None
        self._log.warning("%s", text)
        if len(self._told) > KEPT:
            del self._told[next(iter(self._told))]
