"""Files in the spool, one layer of them: what is shared between opens, what a full disk leaves, and who closes what."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio

from iiiffs.errors import OverQuota, StoreError, StoreFull, VersionChanged
from iiiffs.model.gallery import AccountName, AlbumId, AssetId, Version
from iiiffs.state.store import State
from iiiffs.sync.items import Base, Item, Stage, Verb
from iiiffs.vfs.local_files import LocalFiles, LocalHandle
from iiiffs.vfs.queue import Queue
from tests.harness.queued import MemoryOriginal

HOME, TRIP = AccountName("home"), AlbumId("trip")
NOW_NS = 10**18


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """The test, in a loop of its own."""

    @functools.wraps(test)
    def run(**fixtures: object) -> None:
        trio.run(functools.partial(test, **fixtures))

    return run


class Source(MemoryOriginal):
    """Counts its ends; may break."""

    closed = 0
    is_broken = False

    async def read(self, offset: int, length: int) -> bytes:
        if self.is_broken:
            raise VersionChanged("it is another by now")
        return await super().read(offset, length)

    async def aclose(self) -> None:
        self.closed += 1
        await super().aclose()


@dataclass
class Desk:
    """The parts."""

    state: State
    queue: Queue
    files: LocalFiles

    def item(self, name: str = "x.jpg", **values: object) -> Item:
        id, order = self.queue.new_id(), self.queue.next_order()
        item = Item(id, order, HOME, Verb.UPLOAD, Stage.OPEN, TRIP, name, NOW_NS)
        return replace(item, **values)  # type: ignore[arg-type]

    def now(self, item: Item) -> Item:
        found = self.queue.get(item.id)
        assert found is not None
        return found

    def shown(self, body: bytes) -> tuple[Item, Source]:
        """A file that shows what the provider has."""
        source = Source(body)
        base = Base(AssetId("a"), Version("1"), TRIP, "x.jpg", len(body), NOW_NS, NOW_NS)
        item = self.item(base=base, size_bytes=len(body))
        self.files.begin(item, source)  # type: ignore[arg-type]  # it is read, and not streamed
        return item, source

    def payload(self, item: Item) -> bytes:
        return self.queue.spool.path(item.id).read_bytes()

    @property
    def descriptors(self) -> int:
        """Of payloads, open in this process."""
        links = Path("/proc/self/fd").iterdir()
        spool = os.fspath(self.queue.spool.path("local-0").parent)
        return sum(os.path.lexists(link) and os.fspath(link.readlink()).startswith(spool) for link in list(links))


@asynccontextmanager
async def desk(folder: Path, *, min_free_bytes: int = 0) -> AsyncIterator[Desk]:
    state = State.open(folder / "state", min_free_bytes=min_free_bytes)

    async def interrupt(item: Item) -> None:
        await trio.lowlevel.checkpoint()

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(state.journal.run)
            queue = Queue(state.journal, state.spool, state.successors, state.notes())
            yield Desk(state, queue, LocalFiles(queue, interrupt, lambda: NOW_NS))
            nursery.cancel_scope.cancel()
    finally:
        state.close()


@in_trio
async def test_a_new_file_is_safe_when_it_is_flushed_and_settles_when_the_last_writer_is_gone(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        first = await at.files.create(at.item())
        item = at.queue.items()[0]
        await first.write(0, b"one")
        second = await at.files.open(item, writes=True)
        reader = await at.files.open(item, writes=False)
        await second.write(3, b"two")
        assert await reader.read(0, 100) == b"onetwo"
        await first.flush()
        assert (at.now(item).generation, at.now(item).size_bytes) == (1, 6)
        await first.aclose()
        assert at.now(item).stage is Stage.OPEN  # the second may write on
        await second.aclose()
        assert (at.now(item).stage, at.now(item).generation) == (Stage.SETTLING, 1)
        await reader.aclose()
        assert (at.files.open_files, at.descriptors) == (0, 0)


@pytest.mark.parametrize(("name", "body"), [("x.jpg", b""), ("x.jpg.part", b"1"), (".x.jpg.a1B2c3", b"1")])
@in_trio
async def test_what_is_empty_or_temporary_stays_here(name: str, body: bytes, tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        handle = await at.files.create(at.item(name))
        await handle.write(0, body)
        await handle.aclose()
        (item,) = at.queue.items()
        assert (item.stage, item.generation) == (Stage.SCRATCH, 1)


@in_trio
async def test_what_was_opened_and_not_changed_leaves_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        item, source = at.shown(b"before")
        writer, reader = await at.files.open(item, writes=True), await at.files.open(item, writes=False)
        assert await writer.read(0, 100) == await reader.read(0, 100) == b"before"
        await writer.aclose()
        assert at.queue.get(item.id) is not None  # who reads it has it open
        await reader.aclose()
        assert (at.queue.items(), source.closed, at.files.open_files) == ([], 1, 0)
        assert at.state.journal.load().items == []


@in_trio
async def test_the_first_change_copies_what_was_there(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        item, source = at.shown(b"before")
        handle = await at.files.open(item, writes=True)
        await handle.write(2, b"XX")
        await handle.aclose()
        assert at.payload(item) == b"beXXre"
        assert (at.now(item).stage, source.closed) == (Stage.SETTLING, 1)


@in_trio
async def test_emptying_reads_nothing_of_what_was_there(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        item, source = at.shown(b"before")
        source.is_broken = True
        handle = await at.files.open(item, writes=True, truncates=True)
        await handle.write(0, b"new")
        await handle.aclose()
        assert at.payload(item) == b"new"


@pytest.mark.parametrize("writes_before", [False, True])
@in_trio
async def test_an_original_that_cannot_be_copied_is_left_as_it_is(writes_before: bool, tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        item, source = at.shown(b"before")
        source.is_broken = True
        handle = await at.files.open(item, writes=True)
        for _ in range(1 + writes_before):
            with pytest.raises(VersionChanged):
                await handle.write(0, b"X")
        await handle.aclose()
        assert (at.queue.items(), source.closed, at.descriptors) == ([], 1, 0)
        assert at.queue.spool.sizes() == {}


@in_trio
async def test_a_full_disk_refuses_a_new_file_and_an_emptied_one(tmp_path: Path) -> None:
    async with desk(tmp_path, min_free_bytes=1 << 60) as at:
        with pytest.raises(StoreFull):
            await at.files.create(at.item())
        item, source = at.shown(b"before")
        with pytest.raises(StoreFull):
            await at.files.open(item, writes=True, truncates=True)
        assert (at.queue.items(), source.closed, at.files.open_files, at.descriptors) == ([], 1, 0, 0)


@in_trio
async def test_a_file_of_an_earlier_run_that_was_never_flushed_is_when_it_is_opened_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        item = at.item(stage=Stage.FAILED, reason="was being written", size_bytes=4)
        os.close(at.queue.spool.create(item.id))
        at.queue.spool.path(item.id).write_bytes(b"part")
        await at.queue.commit(item)
        await (await at.files.open(item, writes=True)).aclose()
        assert (at.now(item).generation, at.now(item).stage) == (1, Stage.SETTLING)


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("is_listed", [False, True])
@in_trio
async def test_who_opens_what_arrives_in_that_moment_looks_again(is_listed: bool, writes: bool, tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        handle = await at.files.create(at.item())
        await handle.write(0, b"1")
        await handle.aclose()
        (item,) = at.queue.items()
        spool_open = at.queue.spool.open

        def arrives(id: str, *, write: bool) -> int:
            at.queue.spool.path(id).unlink()
            if is_listed:
                at.queue._items.pop(id)
            else:
                at.queue._items[id] = replace(item, stage=Stage.SENT)
            return spool_open(id, write=write)

        at.queue.spool.open = arrives  # type: ignore[method-assign]
        with pytest.raises(VersionChanged):
            await at.files.open(item, writes=writes)
        assert (at.files.open_files, at.descriptors) == (0, 0)


@in_trio
async def test_a_missing_payload_is_an_error_of_the_store(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        item = at.item(stage=Stage.READY, generation=1)
        await at.queue.commit(item)
        for writes in (False, True):
            with pytest.raises(StoreError):
                await at.files.open(item, writes=writes)
            assert at.now(item).stage is Stage.READY


@in_trio
async def test_the_row_is_whole_though_it_was_renamed_and_written_while_it_was_flushed(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        handle = await at.files.create(at.item())
        (item,) = at.queue.items()
        await handle.write(0, b"1")
        sync = at.queue.spool.sync

        def slow(descriptor: int, is_new: bool) -> None:
            trio.from_thread.run_sync(lambda: at.queue.note(replace(at.now(item), name="y.jpg")))
            trio.from_thread.run(handle.write, 1, b"2")
            sync(descriptor, is_new)

        at.queue.spool.sync = slow  # type: ignore[method-assign]
        await handle.flush()
        at.queue.spool.sync = sync  # type: ignore[method-assign]
        assert (at.now(item).name, at.now(item).generation) == ("y.jpg", 1)
        assert not at.files.is_settled(at.now(item))  # who wrote meanwhile was promised nothing yet
        await handle.aclose()
        assert (at.now(item).generation, at.now(item).size_bytes) == (2, 2)


@in_trio
async def test_what_was_removed_while_it_was_open_stays_removed(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        handle = await at.files.create(at.item())
        (item,) = at.queue.items()
        await at.queue.drop(item.id)
        await handle.write(0, b"1")
        assert await handle.read(0, 10) == b"1"
        await handle.aclose()
        assert (at.queue.items(), at.queue.spool.sizes(), at.descriptors) == ([], {}, 0)


@in_trio
async def test_an_error_of_the_last_flush_is_for_a_person_to_decide(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        handle = await at.files.create(at.item())
        (item,) = at.queue.items()
        await handle.write(0, b"1")

        def broken(descriptor: int, is_new: bool) -> None:
            raise StoreError("the disk is broken")

        at.queue.spool.sync = broken  # type: ignore[method-assign]
        with pytest.raises(StoreError):
            await handle.aclose()
        assert at.now(item).stage is Stage.FAILED
        assert "the disk is broken" in (at.now(item).reason or "")
        assert (at.files.open_files, at.descriptors) == (0, 0)
        assert isinstance(handle, LocalHandle)


@in_trio
async def test_a_file_that_lost_its_name_before_its_first_change_leaves_no_bytes(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        item, _ = at.shown(b"before")
        handle = await at.files.open(item, writes=True)
        await at.queue.drop(item.id)
        await handle.write(0, b"X")
        assert await handle.read(0, 100) == b"Xefore"
        assert at.queue.spool.sizes() == {}
        await handle.aclose()
        assert at.descriptors == 0


@in_trio
async def test_a_file_of_which_nothing_is_changed_is_in_no_journal_though_it_be_renamed(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        item, _ = at.shown(b"before")
        handle = await at.files.open(item, writes=True)
        at.queue.note(replace(at.now(item), name="y.jpg"))
        await at.queue.commit(replace(at.now(item), name="z.jpg"))
        await at.queue.exchange(replace(at.now(item), name="q.jpg"), [])
        assert at.state.journal.load().items == []
        await handle.write(0, b"X")
        await at.queue.commit()
        assert [kept.name for kept in at.state.journal.load().items] == ["q.jpg"]
        await handle.aclose()


@in_trio
async def test_what_has_no_room_at_its_provider_is_refused_and_not_sent_with_a_gap(tmp_path: Path) -> None:
    """As where the disk is full: nothing is made, and a file that could not be written whole is not sent so."""
    left_bytes = 10

    async def room(account: AccountName, more_bytes: int) -> None:
        await trio.lowlevel.checkpoint()
        if more_bytes > left_bytes:
            raise OverQuota(f"{account} is full")

    async with desk(tmp_path) as at:
        at.files._room = room
        handle = await at.files.create(at.item())
        (item,) = at.queue.items()
        assert await handle.write(0, b"0123456789") == 10
        for too_much in (lambda: handle.write(10, b"x"), lambda: handle.truncate(11)):
            with pytest.raises(OverQuota):
                await too_much()
        assert await handle.write(5, b"xxxxx") == 5
        await handle.flush()
        assert (at.now(item).size_bytes, at.now(item).missing) == (10, (10, 11))
        assert await handle.write(10, b"y") == 1, "what was flushed counts as waiting"
        await handle.aclose()
        assert (at.payload(item), at.now(item).missing) == (b"01234xxxxxy", None)
        left_bytes = 0
        with pytest.raises(OverQuota):
            await at.files.create(at.item("y.jpg"))
        assert (len(at.queue.items()), at.files.open_files, at.descriptors) == (1, 0, 0)
