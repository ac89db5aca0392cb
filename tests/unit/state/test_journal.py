"""The journal: what was committed is there, whole and in order, whatever happened in between."""

from __future__ import annotations

import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import TypeVar

import lmdb
import pytest
import trio
import trio.testing
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from iiiffs.errors import StoreCorrupt, StoreError, StoreFull
from iiiffs.model.gallery import AccountName, AlbumId, Asset, AssetId, Version
from iiiffs.model.writing import Edit
from iiiffs.state import State
from iiiffs.state import journal as journals
from iiiffs.state.environment import Environment, Writing
from iiiffs.state.journal import Broken, Journal
from iiiffs.state.queue_rows import decode_conflict, decode_item, encode_conflict, encode_item
from iiiffs.sync.items import Base, Conflict, Item, Stage, Verb

Result = TypeVar("Result")


def item(number: int, **values: object) -> Item:
    known = Item(
        id=f"local-{number:04d}",
        order=number,
        account=AccountName("home"),
        verb=Verb.UPLOAD,
        stage=Stage.OPEN,
        album=AlbumId("album"),
        name=f"{number}.jpg",
        began_ns=1,
    )
    return replace(known, **values)  # type: ignore[arg-type]


CONFLICT = Conflict("local-0001", AccountName("home"), AlbumId("a"), "b.jpg", "b (conflict).jpg", AssetId("x"), 7)


class Disk(Environment):
    """An environment whose writes can be made to fail, to wait, and are counted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.failures: list[Exception] = []
        self.writes = 0
        self.gate = threading.Event()
        self.gate.set()
        self.is_writing = threading.Event()

    def write(self, job: Callable[[Writing], Result]) -> Result:
        self.is_writing.set()
        assert self.gate.wait(20)
        if self.failures:
            raise self.failures.pop(0)
        self.writes += 1
        return super().write(job)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    opened = Disk(tmp_path / "db")
    yield opened
    opened.close()


@contextmanager
def limited_files(size_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond that: EFBIG, which LMDB and the spool meet as they meet a full disk."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)


def at_power_cut(folder: Path, target: Path) -> list[Item]:
    """What a start would find that had only what is in the files now."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    environment = Environment(target)
    try:
        return Journal(environment, trio.Lock()).load().items
    finally:
        environment.close()


# ---- rows ---------------------------------------------------------------------------------------------------------

text = st.text(st.characters(), max_size=12)  # lone surrogates are among them: names need not be UTF-8
ids = st.text("abcdef-0123456789", min_size=1, max_size=12)
numbers = st.integers(-(2**62), 2**62)
items = st.builds(
    Item,
    id=ids,
    order=numbers,
    account=text.map(AccountName),
    verb=st.sampled_from(Verb),
    stage=st.sampled_from(Stage),
    album=ids.map(AlbumId),
    name=text,
    began_ns=numbers,
    size_bytes=numbers,
    mtime_ns=numbers,
    generation=numbers,
    sha1=st.none() | st.binary(max_size=20),
    earlier=st.lists(st.binary(max_size=20), max_size=3).map(tuple),
    base=st.none()
    | st.builds(Base, ids.map(AssetId), ids.map(Version), ids.map(AlbumId), text, numbers, numbers, numbers),
    assets=st.lists(ids.map(AssetId), max_size=3).map(tuple),
    edit=st.none()
    | st.builds(Edit, st.none() | text, st.none() | st.booleans(), st.none() | numbers, st.none() | numbers),
    tries=numbers,
    reason=st.none() | text,
    conflict_with=st.none() | text,
    sent=st.none()
    | st.builds(
        Asset,
        id=ids.map(AssetId),
        album=ids.map(AlbumId),
        name=text,
        version=ids.map(Version),
        size_bytes=st.none() | numbers,
        mtime_ns=numbers,
        changed_ns=numbers,
        media_type=ids,
        checksum=st.none() | st.binary(max_size=20),
        described=text,
        motion=st.none() | ids.map(AssetId),
    ),
    token=st.none() | ids,
    also=st.booleans(),
    stays=st.booleans(),
    told=st.lists(ids.map(AssetId), max_size=3).map(tuple),
    kept=st.lists(st.tuples(ids.map(AlbumId), text), max_size=3).map(tuple),
    had=st.lists(st.binary(max_size=20), max_size=3).map(tuple),
    not_carried=st.lists(text, min_size=1, max_size=3).map(tuple),
    missing=st.none() | st.tuples(numbers, numbers),
)
conflicts = st.builds(
    Conflict,
    ids,
    text.map(AccountName),
    ids.map(AlbumId),
    text,
    text,
    st.none() | ids.map(AssetId),
    numbers,
)


@given(items, st.binary(min_size=1, max_size=40))
def test_an_item_comes_back_as_it_was(one: Item, key: bytes) -> None:
    assert decode_item(key, encode_item(key, one)) == one


@pytest.mark.parametrize("name", [one.name for one in fields(Item) if one.default is not MISSING])
def test_every_field_of_an_item_is_kept(name: str) -> None:
    """A field that rows do not have would be forgotten at every restart; `items` above draws those that it names."""
    default = next(one.default for one in fields(Item) if one.name == name)
    found = find(items, lambda one: getattr(one, name) != default, settings=settings(phases=[Phase.generate]))
    assert decode_item(b"k", encode_item(b"k", found)) == found


@given(conflicts)
def test_a_conflict_comes_back_as_it_was(one: Conflict) -> None:
    assert decode_conflict(b"k", encode_conflict(b"k", one)) == one


@given(items, st.data())
def test_a_damaged_row_is_never_read(one: Item, data: st.DataObject) -> None:
    row = bytearray(encode_item(b"k", one))
    place = data.draw(st.integers(0, len(row) - 1))
    row[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(row)))
    for damaged in (bytes(row), bytes(row[:cut])):
        with pytest.raises(StoreCorrupt):
            decode_item(b"k", damaged)
    with pytest.raises(StoreCorrupt):
        decode_item(b"other", encode_item(b"k", one))


# ---- committing ---------------------------------------------------------------------------------------------------


@trio.testing.trio_test
async def test_what_was_committed_is_in_the_files_when_commit_returns(disk: Disk, tmp_path: Path) -> None:
    journal = Journal(disk, trio.Lock())
    journal.note([item(1)])
    assert at_power_cut(tmp_path / "db", tmp_path / "copy") == []
    await journal.commit([item(2, generation=1)])
    assert at_power_cut(tmp_path / "db", tmp_path / "copy") == [item(1), item(2, generation=1)]
    await journal.commit([item(2, generation=2)], ["local-0001"])
    assert at_power_cut(tmp_path / "db", tmp_path / "copy") == [item(2, generation=2)]
    assert disk.writes == journal.transactions == 2


@trio.testing.trio_test
async def test_the_last_word_on_an_item_counts(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    journal.note([item(1), item(2)], ["local-0001"])
    journal.note([item(2, name="new.jpg"), item(3)])
    journal.note((), ["local-0003"])
    journal.note([item(1, tries=4)])
    await journal.commit()
    assert journal.load().items == [item(1, tries=4), item(2, name="new.jpg")]


@trio.testing.trio_test
async def test_who_comes_while_the_disk_is_busy_shares_one_transaction(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    disk.gate.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.commit, [item(0)])
        await trio.to_thread.run_sync(disk.is_writing.wait)
        for number in range(1, 101):
            nursery.start_soon(journal.commit, [item(number)])
        await trio.testing.wait_all_tasks_blocked()
        disk.gate.set()
    assert journal.transactions == 2
    assert len(journal.load().items) == 101


@trio.testing.trio_test
async def test_a_commit_without_changes_waits_for_what_is_being_written(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    disk.gate.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.commit, [item(0)])
        await trio.to_thread.run_sync(disk.is_writing.wait)
        with trio.move_on_after(0.01) as waited:
            await journal.commit()
        assert waited.cancelled_caught
        disk.gate.set()
        await journal.commit()
        assert journal.load().items == [item(0)]


@trio.testing.trio_test
async def test_conflicts_ride_with_items(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    journal.note([item(1)])
    await journal.put_conflict(CONFLICT)
    assert journal.transactions == 1
    loaded = journal.load()
    assert (loaded.items, loaded.conflicts) == ([item(1)], [CONFLICT])
    await journal.delete_conflict(CONFLICT.id)
    assert journal.load().conflicts == []


# ---- errors -------------------------------------------------------------------------------------------------------


@trio.testing.trio_test
async def test_an_error_reaches_all_of_its_batch_and_what_they_wanted_is_written_next(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    disk.failures = [StoreFull("no space"), StoreError("input/output error")]
    met: list[type[StoreError]] = []

    async def committing(number: int) -> None:
        try:
            await journal.commit([item(number)])
        except StoreError as error:
            met.append(type(error))

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(committing, number)
    assert met == [StoreFull] * 3
    assert journal.load().items == []
    await committing(3)
    assert met[3:] == [StoreError]
    assert journal.pending == 4
    await journal.commit([item(0, tries=1)])
    assert journal.load().items == [item(0, tries=1), item(1), item(2), item(3)]
    assert journal.pending == 0


@trio.testing.trio_test
async def test_what_came_while_a_batch_failed_is_newer_than_it(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    disk.gate.clear()
    disk.failures = [StoreFull("no space")]
    async with trio.open_nursery() as nursery:

        async def failing() -> None:
            with pytest.raises(StoreFull):
                await journal.commit([item(1, tries=1), item(2)])

        nursery.start_soon(failing)
        await trio.to_thread.run_sync(disk.is_writing.wait)
        journal.note([item(1, tries=2)], ["local-0002"])
        disk.gate.set()
    await journal.commit()
    assert journal.load().items == [item(1, tries=2)]


@trio.testing.trio_test
async def test_a_bug_in_the_middle_loses_nothing(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    disk.failures = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await journal.commit([item(1)])
    await journal.commit()
    assert journal.load().items == [item(1)]


@trio.testing.trio_test
async def test_a_cancelled_commit_stays_noted(disk: Disk) -> None:
    writer = trio.Lock()
    journal = Journal(disk, writer)
    async with trio.open_nursery() as nursery, writer:
        nursery.start_soon(journal.commit, [item(1)])
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert disk.writes == 0
    with trio.CancelScope() as scope:
        scope.cancel()
        await journal.commit([item(2)])
    await journal.commit([item(3)])
    assert journal.load().items == [item(1), item(2), item(3)]


@trio.testing.trio_test
async def test_a_real_full_disk_is_store_full_and_room_ends_it(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "db")
    journal = Journal(environment, trio.Lock())
    with limited_files(200_000), pytest.raises(StoreFull):
        for number in range(100):
            await journal.commit([item(number, reason="x" * 10_000)])
    assert journal.pending == 1
    held = len(journal.load().items)
    assert 0 < held < 100
    await journal.commit()
    assert len(journal.load().items) == held + 1
    environment.close()


# ---- the service --------------------------------------------------------------------------------------------------


@trio.testing.trio_test
async def test_what_was_only_noted_is_written_soon(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        for number in range(5):
            journal.note([item(number)])
        with trio.fail_after(20):
            while journal.pending or not journal.transactions:
                await trio.sleep(0.01)
        assert journal.transactions == 1
        nursery.cancel_scope.cancel()
    assert len(journal.load().items) == 5


@trio.testing.trio_test
async def test_at_the_end_what_is_pending_is_written(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        journal.note([item(1)])
        nursery.cancel_scope.cancel()
    assert journal.load().items == [item(1)]


@pytest.mark.warns("the queue cannot be written")
@trio.testing.trio_test
async def test_the_service_tries_again_after_an_error(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "RETRY_S", 0.01)
    journal = Journal(disk, trio.Lock())
    disk.failures = [StoreFull("no space")] * 3
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        journal.note([item(1)])
        with trio.fail_after(20):
            while not journal.transactions:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert disk.failures == []
    assert journal.load().items == [item(1)]


@pytest.mark.warns("changes of the queue are not on the disk")
@trio.testing.trio_test
async def test_a_disk_that_hangs_does_not_hold_up_the_end(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "STOP_S", 0.05)
    journal = Journal(disk, trio.Lock())
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        disk.gate.clear()
        journal.note([item(1)])
        nursery.cancel_scope.cancel()
    assert not disk.gate.is_set()
    with pytest.raises(StoreError, match="did not answer"):
        await journal.commit([item(1, tries=1)])
    disk.gate.set()


# ---- damage -------------------------------------------------------------------------------------------------------


def put(environment: Environment, database: str, key: bytes, value: bytes) -> None:
    environment.write(lambda writing: writing.put(database, key, value))


GOOD = encode_item(b"local-0002", item(2))
DAMAGES = {
    "empty": b"",
    "shorter than its sum": b"\0\0",
    "cut off": GOOD[:-3],
    "garbage": b"garbage" * 99,
    "of another key": encode_item(b"local-0001", item(2)),
    "of a newer iiiffs": b"",  # made in the test
}


@pytest.mark.parametrize("damage", DAMAGES)
@trio.testing.trio_test
async def test_a_row_that_cannot_be_read_is_told_and_kept(
    disk: Disk, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = DAMAGES[damage]
    if damage == "of a newer iiiffs":
        with monkeypatch.context() as patch:
            patch.setattr("iiiffs.state.queue_rows.SCHEMA", 200)
            row = encode_item(b"local-0002", item(2))
    journal = Journal(disk, trio.Lock())
    await journal.commit([item(1), item(2), item(3)])
    await journal.put_conflict(CONFLICT)
    put(disk, "journal", b"local-0002", row)
    put(disk, "conflicts", CONFLICT.id.encode(), b"torn")
    for _ in range(3):
        loaded = Journal(disk, trio.Lock()).load()
        assert loaded.items == [item(1), item(3)]
        assert loaded.conflicts == []
        assert [broken.key for broken in loaded.broken] == ["local-0002", "conflict local-0001"]
        assert all(broken.reason for broken in loaded.broken)
    kept = disk.read(lambda reading: reading.below("journal", b"!local-0002!"))
    assert [value for _, value in kept] == [row]
    assert disk.read(lambda reading: reading.get("journal", b"local-0002")) is None


@trio.testing.trio_test
async def test_two_broken_rows_of_one_id_are_both_kept_until_it_is_deleted(disk: Disk) -> None:
    journal = Journal(disk, trio.Lock())
    for row in (b"first", b"second"):
        put(disk, "journal", b"local-0002", row)
        assert [broken.key for broken in journal.load().broken] == ["local-0002"]
    await journal.commit([item(2), item(20), item(200)])
    assert journal.load().broken == []
    kept = disk.read(lambda reading: reading.below("journal", b"!"))
    assert sorted(value for _, value in kept) == [b"first", b"second"]
    await journal.commit([], ["local-0002"])
    assert disk.read(lambda reading: reading.below("journal", b"!")) == []
    assert journal.load().items == [item(20), item(200)]


@trio.testing.trio_test
async def test_a_row_aside_that_can_be_read_comes_back(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(disk, trio.Lock())
    with monkeypatch.context() as newer:
        newer.setattr("iiiffs.state.queue_rows.SCHEMA", 2)
        await journal.commit([item(1)])
    assert journal.load().broken == [
        Broken("local-0001", "a newer iiiffs wrote it (schema 2, this one knows 1)"),
    ]
    monkeypatch.setattr("iiiffs.state.queue_rows.SCHEMA", 2)
    loaded = journal.load()
    assert (loaded.items, loaded.broken) == ([item(1)], [])
    assert disk.read(lambda reading: reading.below("journal", b"!")) == []


@trio.testing.trio_test
async def test_a_long_garbage_key_is_no_hindrance(disk: Disk) -> None:
    put(disk, "journal", b"\xff" * 511, b"garbage")
    journal = Journal(disk, trio.Lock())
    await journal.commit([item(1)])
    for _ in range(2):
        loaded = journal.load()
        assert loaded.items == [item(1)]
        assert len(loaded.broken) == 1


@trio.testing.trio_test
async def test_the_journal_of_a_state_outlives_it(tmp_path: Path) -> None:
    state = State.open(tmp_path / "state")
    await state.journal.commit([item(1)])
    state.close()
    state = State.open(tmp_path / "state")
    assert state.journal.load().items == [item(1)]
    state.close()


def test_the_state_is_opened_in_full_synchrony(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule: issue 6, no nosync, metasync=False or writemap."""
    asked: dict[str, object] = {}
    real = lmdb.open

    def recording(path: str, **options: object) -> object:
        asked.update(options)
        return real(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(lmdb, "open", recording)
    environment = Environment(tmp_path / "db")
    flags = environment._lmdb.flags()
    environment.close()
    assert (asked["sync"], asked["metasync"]) == (True, True)
    assert (flags["sync"], flags["metasync"]) == (True, True)
    assert not flags["writemap"]
    assert not flags["map_async"]
