"""A file that a program has open for days costs what it costs for a minute: nothing gathers with what is done to it."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing
from pyfuse3 import FileHandleT

from iiiffs.errors import StoreError
from iiiffs.fuse.open_files import OpenFile
from iiiffs.model.gallery import AccountName
from iiiffs.sync.items import Stage
from iiiffs.tree.nodes import Local
from iiiffs.vfs.handles import Handle
from tests.harness.scripted import Flavour
from tests.harness.writing_tree import called, opened, released
from tests.unit.vfs.test_changes_writing import NAVY, SENT_S, living, wrote
from tests.unit.vfs.test_local_files import desk, in_trio

CALLS = 10_000
OBJECTS_MAX = 3_000
"""Free lists, caches and log records: far less than one a call."""
DATABASE_BYTES_MAX = 1 << 20
EXCHANGES = 30
MEMORY = Path("/dev/shm")


def objects() -> int:
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.skipif(not MEMORY.is_dir(), reason="needs a disk whose fsync costs nothing")
def test_ten_thousand_calls_through_one_handle_gather_nothing() -> None:
    """Writes, fsyncs and truncates, as of a log or a database that a program never closes."""

    @in_trio
    async def run() -> None:
        with tempfile.TemporaryDirectory(dir=MEMORY, prefix="iiiffs-") as folder:
            async with desk(Path(folder)) as at:
                handle = await at.files.create(at.item("x.db"))
                (item,) = at.queue.items()
                held: list[tuple[int, int]] = []
                for number in range(CALLS):
                    match number % 4:
                        case 0 | 1:
                            await handle.write(number % 977 * 100, b"%d " % number * 20)
                        case 2:
                            await handle.truncate(number % 977 * 100)
                        case _:
                            await handle.flush()
                    if number in (CALLS // 5, CALLS - 1):
                        held.append((objects(), at.descriptors))
                (early, descriptors), (late, descriptors_late) = held
                assert (descriptors, descriptors_late) == (1, 1)
                assert late - early < OBJECTS_MAX
                assert at.state.journal.pending <= 1
                assert at.now(item).generation == CALLS // 4
                assert (Path(folder) / "state" / "db" / "data.mdb").stat().st_size < DATABASE_BYTES_MAX
                await handle.aclose()
                assert (at.now(item).stage, at.descriptors, at.files.open_files) == (Stage.SETTLING, 0, 0)

    run()


def descriptors_below(folder: Path) -> int:
    links = list(Path("/proc/self/fd").iterdir())
    return sum(os.path.lexists(link) and os.fspath(link.readlink()).startswith(os.fspath(folder)) for link in links)


def test_who_reads_a_file_for_days_holds_one_version_of_it(tmp_path: Path) -> None:
    """`tail -f` of a file that others write again and again, and that is sent each time."""
    with living(tmp_path, Flavour.FOLDER) as (life, store):
        life.ask(wrote("files/log.jpg", NAVY))
        life.passes(SENT_S)
        handle, _ = life.ask(lambda life: opened(life, "files/log.jpg", os.O_RDONLY))
        held = []
        for number in range(EXCHANGES):
            body = NAVY + b"%d" % number
            life.ask(wrote("files/log.jpg", body))
            for _ in range(2):
                data = life.ask(lambda life: called(life.operations.read(FileHandleT(handle), 0, 1 << 20)))
                assert bytes(data) == body
                life.passes(SENT_S)
            held.append(descriptors_below(life.state_path / "spool"))
        assert max(held[EXCHANGES // 2 :]) <= 1
        assert life.outgoing.files.open_files <= 1
        life.ask(lambda life: released(life, handle))
        assert descriptors_below(life.state_path / "spool") == 0
        assert store.named("log.jpg")


# ---- what is exchanged ----------------------------------------------------------------------------------------------

NODE = Local(AccountName("home"), "local-1")


class Slow:
    """A handle whose reads wait until they are let go."""

    is_snapshot = False

    def __init__(self, *, writes: bool = False, fails: bool = False) -> None:
        self.writes = writes
        self.gate = trio.Event()
        self.closed = 0
        self._fails = fails

    async def read(self, offset: int, length: int) -> bytes:
        await self.gate.wait()
        assert not self.closed, "closed under a read"
        return b"bytes"

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.closed += 1
        if self._fails:
            raise StoreError("the disk is full")


def with_open(body: Callable[[OpenFile, Slow], Awaitable[None]], first: Callable[[], Slow] = Slow) -> None:
    async def run() -> None:
        handle = first()
        await body(OpenFile(1, NODE, cast(Handle, handle)), handle)

    trio.run(run)


def test_what_nobody_reads_is_closed_when_it_is_exchanged() -> None:
    async def body(file: OpenFile, first: Slow) -> None:
        second = Slow()
        second.gate.set()
        await file.exchange(NODE, cast(Handle, second))
        assert (first.closed, second.closed) == (1, 0)
        assert await file.read(0, 5) == b"bytes"
        await file.aclose()
        assert (first.closed, second.closed) == (1, 1)

    with_open(body)


def test_reads_that_are_on_their_way_end_before_theirs_is_closed() -> None:
    async def body(file: OpenFile, first: Slow) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(file.read, 0, 5)
            await trio.testing.wait_all_tasks_blocked()
            await file.exchange(NODE, cast(Handle, Slow()))
            assert first.closed == 0
            first.gate.set()
        assert first.closed == 1
        await file.aclose()
        assert first.closed == 1

    with_open(body)


def test_one_that_writes_is_kept_to_the_end() -> None:
    async def body(file: OpenFile, first: Slow) -> None:
        await file.exchange(NODE, cast(Handle, Slow()))
        assert first.closed == 0
        await file.aclose()
        assert first.closed == 1

    with_open(body, lambda: Slow(writes=True))


@pytest.mark.warns("could not be put away")
def test_a_reader_is_not_told_that_another_handle_could_not_be_closed() -> None:
    async def body(file: OpenFile, first: Slow) -> None:
        second = Slow()
        second.gate.set()
        await file.exchange(NODE, cast(Handle, second))
        assert (first.closed, await file.read(0, 5)) == (1, b"bytes")
        await file.aclose()

    with_open(body, lambda: Slow(fails=True))
