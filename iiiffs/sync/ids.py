"""Ids as keys of large tables."""

from __future__ import annotations

import re

UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def packed_id(id: str) -> int | str:
    """A key that no other id has: of a UUID its number, which takes a third of the room; of others the id itself."""
    return int(id.replace("-", ""), 16) if UUID_TEXT.fullmatch(id) else id
