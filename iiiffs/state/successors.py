"""What an id has become: of a file before its provider gave it one, and of an asset whose bytes were replaced.

successors   account, id -> the id that took its place

Addresses are stable for life (DESIGN §2.7), so nothing is ever forgotten here but by an id that is in use again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import trio

from iiiffs.cache.rows import seal, unseal
from iiiffs.errors import StoreCorrupt
from iiiffs.model.gallery import AccountName
from iiiffs.state.environment import Environment, Reading, Writing

DATABASE = "successors"
STEPS_MAX = 10_000
"""No chain is as long; a bound for what no chain should be."""

PART_BYTES_MAX = 200


class Successors:
    """Of all accounts. Reads are short, and may come from any thread; what is recorded is on disk."""

    def __init__(self, environment: Environment, writer: trio.Lock) -> None:
        """`writer`: is held while anything is written to `environment`."""
        self._environment = environment
        self._writer = writer

    def successor(self, account: AccountName, id: str) -> str | None:
        """The id that is in use for what was `id` once; None if nothing took its place. Errors: StoreCorrupt."""
        return self._environment.read(lambda reading: successor_of(reading, account, id))

    async def record(self, account: AccountName, old: str, new: str) -> None:
        """`new` has taken the place of `old`, and nothing that of `new`: it is in use, whatever was known of it.

        So a chain ends at an id that is in use, and never where it began. Errors: StoreFull, StoreError.
        """
        before, after = _key(account, old), _key(account, new)

        def job(writing: Writing) -> None:
            writing.delete(DATABASE, after)
            if old != new:
                writing.put(DATABASE, before, seal(before, new.encode()))

        async with self._writer:
            await trio.to_thread.run_sync(self._environment.write, job)


def add_successors(writing: Writing, rows: Sequence[tuple[bytes, bytes]]) -> None:
    """Those rows of another host are here too, but for ids whose successor is known here, and but for what would lead
    an id back to itself: what is known here stays as it is. Errors: StoreCorrupt."""
    for key, sealed in rows:
        if writing.get(DATABASE, key) is None and not _leads_to(writing, sealed, key):
            writing.put(DATABASE, key, sealed)


def _leads_to(reading: Reading, sealed: bytes | None, target: bytes) -> bool:
    """True if the chain that goes on with the row `sealed` of `target` comes back to it."""
    account = target.partition(b"\0")[0]
    key = target
    for _ in range(STEPS_MAX):
        if sealed is None:
            return False
        row = unseal(key, sealed)
        if row is None:
            raise StoreCorrupt("state: what became of an id cannot be read")
        key = account + b"\0" + _bounded(row.decode())
        if key == target:
            return True
        sealed = reading.get(DATABASE, key)
    return True


def successor_of(reading: Reading, account: AccountName, id: str) -> str | None:
    """Rule: Successors.successor."""
    last = None
    for _ in range(STEPS_MAX):
        key = _key(account, id if last is None else last)
        sealed = reading.get(DATABASE, key)
        if sealed is None:
            return last
        row = unseal(key, sealed)
        if row is None:
            raise StoreCorrupt(f"state: what became of {id if last is None else last} cannot be read")
        last = row.decode()
    raise StoreCorrupt(f"state: what became of {id} has no end")


def _key(account: AccountName, id: str) -> bytes:
    return _bounded(account) + b"\0" + _bounded(id)


def _bounded(text: str) -> bytes:
    """`text`, or a hash of it marked by a byte that no UTF-8 begins with, when it is too long for a key."""
    part = text.encode()
    if len(part) <= PART_BYTES_MAX:
        return part
    return b"\xff" + hashlib.blake2b(part, digest_size=32).hexdigest().encode()
