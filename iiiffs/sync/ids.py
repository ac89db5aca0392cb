"""Ids as keys of large tables."""

from __future__ import annotations

import re
from hashlib import blake2b

UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


KEY_BYTES = 16


def packed_id(id: str) -> bytes:
    """A key of KEY_BYTES that no other id has: a UUID's own bytes, of another id a digest."""
    if UUID_TEXT.fullmatch(id):
        return bytes.fromhex(id.replace("-", ""))
    return blake2b(id.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()
