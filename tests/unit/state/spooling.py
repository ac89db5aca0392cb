"""A writer of photos, as the mount is one: `python -m tests.unit.state.spooling write STATE`.

It says "done ID SHA-256" only after what a close must have waited for; tests read that out of its system calls.
`… start STATE` starts on what is left, and says "kept ID SHA-256 SHA-256": of what was flushed once, and twice.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import trio

from iiiffs.errors import StoreError
from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.state import State
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.sync.stages import recovered

TRIES = 5


def item(number: int, generation: int, size_bytes: int) -> Item:
    return Item(
        id=f"local-{number}",
        order=number,
        account=AccountName("home"),
        verb=Verb.UPLOAD,
        stage=Stage.OPEN,
        album=AlbumId("album"),
        name=f"{number}.jpg",
        began_ns=1,
        generation=generation,
        size_bytes=size_bytes,
    )


def bytes_of(number: int, generation: int) -> bytes:
    """Of a later flush they go on where those of the one before ended, so that what was promised stays promised."""
    return hashlib.sha256(b"%d" % number).digest() * (200 + 100 * generation)


async def write(state: State, number: int) -> None:
    """Two flushes of one file, each answered once it has worked; then bytes that nobody flushes."""
    state.journal.note([item(number, 0, 0)])
    descriptor = await trio.to_thread.run_sync(state.spool.create, f"local-{number}")
    for generation in (1, 2):
        data = bytes_of(number, generation)
        os.pwrite(descriptor, data[4000:], 4000)
        os.pwrite(descriptor, data[:4000], 0)
        for _ in range(TRIES):
            if await is_flushed(state, descriptor, item(number, generation, len(data))):
                break
        else:  # it failed in the middle of a change: only a new start helps
            os._exit(1)
        os.write(1, f"done local-{number} {hashlib.sha256(data).hexdigest()}\n".encode())
    os.pwrite(descriptor, b"and more, at the end", len(data))


async def is_flushed(state: State, descriptor: int, item: Item) -> bool:
    """False if the disk did not do it."""
    try:
        await trio.to_thread.run_sync(state.spool.sync, descriptor, item.generation == 1)
        await state.journal.commit([item])
    except StoreError:
        return False
    return True


async def write_all(path: Path) -> None:
    state = State.open(path, min_free_bytes=0)
    for number in range(3):
        await write(state, number)
    state.journal.note([item(99, 0, 0)])
    os._exit(0)


def kept(path: Path) -> dict[str, set[str]]:
    """What a start on the state finds to be sent: id -> the sums of its bytes up to where each flush ended.

    The start leaves every payload as it is, and forgets none of them.
    """
    before = {payload.name: payload.read_bytes() for payload in (path / "spool").glob("*")}
    state = State.open(path, min_free_bytes=0)
    try:
        loaded = state.journal.load()
        assert not loaded.broken, loaded.broken
        found = recovered(loaded.items, state.spool.sizes(), 1)
    finally:
        state.close()
    assert {payload.name: payload.read_bytes() for payload in (path / "spool").glob("*")} == before
    assert before.keys() <= {item.id for item in found.items}
    return {
        item.id: {hashlib.sha256(before[item.id][: len(bytes_of(0, flush))]).hexdigest() for flush in (1, 2)}
        for item in found.items
        if item.stage is Stage.SETTLING
    }


if __name__ == "__main__":
    if sys.argv[1] == "write":
        trio.run(write_all, Path(sys.argv[2]))
    for id, sums in kept(Path(sys.argv[2])).items():
        print("kept", id, *sums)
