"""What waits moves with an export: rows, payloads, conflicts, given names; once, and nothing of it changed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from iiiffs.errors import StoreError, StoreFull
from iiiffs.model.gallery import AccountName, AlbumId, AssetId
from iiiffs.state import State, archive
from iiiffs.state.archive import MAGIC, Exported, read_archive, write_archive
from iiiffs.state.environment import DATABASES
from iiiffs.state.given import Given
from iiiffs.state.transfer import pack
from iiiffs.sync.identity import FOLDER, Row
from iiiffs.sync.items import Conflict, Item, Stage, Verb
from tests.unit.state.test_transfer import signed

HOME, TRIP = AccountName("home"), AlbumId("trip")
ROOT = Row("root", "", b"", FOLDER, 1, 2, 0, 3, 3, 3)
CONFLICT = Conflict("local-2", HOME, TRIP, "b.jpg", "b (conflict).jpg", AssetId("x"), 7)
GIVEN = Given(AssetId("x"), also=True)
LOST = ("faces",)


def item(number: int, stage: Stage = Stage.READY, **values: object) -> Item:
    id = f"local-{number}"
    known = Item(id, number, HOME, Verb.UPLOAD, stage, TRIP, f"{number}.jpg", 1, size_bytes=6, generation=1)
    return replace(known, **values)  # type: ignore[arg-type]


def put(state: State, id: str, data: bytes) -> None:
    descriptor = state.spool.create(id)
    os.write(descriptor, data)
    state.spool.sync(descriptor, is_new=True)
    os.close(descriptor)


@contextmanager
def opened(path: Path, min_free_bytes: int = 0) -> Iterator[State]:
    state = State.open(path, min_free_bytes=min_free_bytes)
    try:
        yield state
    finally:
        state.close()


def test_no_database_of_the_state_is_left_out() -> None:
    """Of "meta" goes the key of inodes; "ids" say again what "rows" do; numbers and sizes are a machine's own."""
    own = {"meta", "ids", "inodes", "sizes"}
    assert set(DATABASES) - own <= set(Exported.__struct_fields__), "one more database, and no export has it"


def fill(state: State, *items: Item) -> None:
    """Those wait, with a payload that is the id's bytes."""

    async def commit() -> None:
        await state.journal.commit(items)
        await state.journal.put_conflict(CONFLICT)
        await state.notes().given.give(HOME, TRIP, "copy.jpg", GIVEN)
        await state.notes().replaced(HOME, AssetId("old"), AssetId("new"), LOST)
        await state.successors.record(HOME, "old", "new")
        await state.ledger(HOME).commit([ROOT])

    for one in items:
        if one.has_payload:
            put(state, one.id, one.id.encode())
    trio.run(commit)


def payloads(state: State) -> dict[str, bytes]:
    return {id: state.spool.path(id).read_bytes() for id in state.spool.sizes()}


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Of 1 (ready), 2 (failed), 3 (an album to be made), and a payload without a row."""
    with opened(tmp_path / "origin") as state:
        fill(state, item(1), item(2, Stage.FAILED, reason="why"), item(3, verb=Verb.MAKE_ALBUM))
        put(state, "local-4", b"lost")
        state.export(tmp_path / "export")
    return tmp_path / "export"


def test_all_that_waits_is_there_again(export: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "new") as state:
        taken = state.import_from(read_archive(export))
        assert taken.waiting == {HOME: 3}
        assert payloads(state) == {"local-1": b"local-1", "local-2": b"local-2", "local-4": b"lost"}
    with opened(tmp_path / "new") as state:
        loaded = state.journal.load()
        assert loaded.items == [item(1), item(2, Stage.FAILED, reason="why"), item(3, verb=Verb.MAKE_ALBUM)]
        assert loaded.conflicts == [CONFLICT]
        assert state.notes().given.of(HOME, TRIP) == {"copy.jpg": GIVEN}
        assert state.notes().not_carried(HOME, AssetId("new")) == LOST
        assert state.successors.successor(HOME, "old") == "new"


def test_an_export_changes_nothing_and_leaves_nothing(export: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "origin") as state:
        assert len(state.journal.load().items) == 3
        assert set(payloads(state)) == {"local-1", "local-2", "local-4"}
    assert sorted(path.name for path in (tmp_path / "origin").iterdir()) == ["db", "lock", "spool"]


USED: dict[str, Callable[[State], object]] = {
    "a row": lambda state: trio.run(state.ledger(HOME).commit, [ROOT]),
    "a change that waits": lambda state: trio.run(state.journal.commit, [item(9, verb=Verb.MAKE_ALBUM)]),
    "a payload": lambda state: put(state, "local-9", b"9"),
    "a conflict": lambda state: trio.run(state.journal.put_conflict, CONFLICT),
    "a given name": lambda state: trio.run(lambda: state.notes().given.give(HOME, TRIP, "a", GIVEN)),
    "a successor": lambda state: trio.run(state.successors.record, HOME, "a", "b"),
    "a time": lambda state: trio.run(state.first_seen_ns, "documents", 5),
}


@pytest.mark.parametrize("use", USED.values(), ids=USED)
def test_a_state_that_holds_anything_is_left_alone(
    use: Callable[[State], object], export: Path, tmp_path: Path
) -> None:
    with opened(tmp_path / "new") as state:
        use(state)
        before = (payloads(state), state.journal.load(), state.inode_key)
        with pytest.raises(StoreError, match="new is not empty: move that folder away and import again") as refused:
            state.import_from(read_archive(export))
        assert "\n" not in str(refused.value)
        assert (payloads(state), state.journal.load(), state.inode_key) == before


def test_merged_what_waits_here_stays_and_comes_first(export: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "new") as state:
        ours = item(1, order=5, name="ours.jpg")
        fill(state, ours)
        other = Given(AssetId("y"), also=False)
        trio.run(lambda: state.notes().given.give(HOME, TRIP, "copy.jpg", other))
        assert state.import_from(read_archive(export), merge=True).waiting == {HOME: 2}
        found = {one.id: one for one in state.journal.load().items}
        assert found["local-1"] == ours
        assert [found[id].order for id in ("local-2", "local-3")] == [7, 8]
        assert state.notes().given.of(HOME, TRIP) == {"copy.jpg": other}
        assert payloads(state)["local-2"] == b"local-2"


def test_merged_again_nothing_comes_twice_nor_what_was_sent_meanwhile(export: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "new") as state:
        state.import_from(read_archive(export))

        async def send() -> None:
            await state.successors.record(HOME, "local-1", "asset")
            await state.journal.commit([], ["local-1"])
            state.spool.remove("local-1")

        trio.run(send)
        before = (payloads(state), state.journal.load())
        assert state.import_from(read_archive(export), merge=True).waiting == {}
        assert (payloads(state), state.journal.load()) == before


def test_an_import_that_fails_leaves_nothing(export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise StoreFull("no space left")

    with opened(tmp_path / "new") as state:
        monkeypatch.setattr("iiiffs.state.store.take_in", full)
        with pytest.raises(StoreFull):
            state.import_from(read_archive(export))
        assert payloads(state) == {}
        monkeypatch.undo()
        state.import_from(read_archive(export))
        assert len(payloads(state)) == 3


def test_an_import_without_room_is_refused_before_it_begins(export: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "new", min_free_bytes=1 << 60) as state:
        with pytest.raises(StoreFull, match="min_free"):
            state.import_from(read_archive(export))
        assert payloads(state) == {}
        assert state.journal.load().items == []


def test_a_row_that_cannot_be_read_moves_as_it_is(tmp_path: Path) -> None:
    with opened(tmp_path / "origin") as state:
        fill(state, item(1), item(2))
        state._environment.write(lambda writing: writing.put("journal", b"local-1", b"damaged"))
        state.export(tmp_path / "export")
    with opened(tmp_path / "new") as state:
        assert state.import_from(read_archive(tmp_path / "export")).waiting == {HOME: 1}
        assert [one.key for one in state.journal.load().broken] == ["local-1"]
        assert payloads(state)["local-1"] == b"local-1"


@trio.testing.trio_test
async def test_what_is_sent_while_an_export_is_packed_is_in_it(tmp_path: Path) -> None:
    """Rows and payloads are of one moment: else a row would say READY whose payload is gone."""
    with opened(tmp_path / "state") as state:
        for number in (1, 2):
            put(state, f"local-{number}", b"bytes")
        state.journal.note([item(1), item(2)])
        folder = await state.gather()
        await state.journal.commit([], ["local-1"])
        state.spool.remove("local-1")
        await trio.to_thread.run_sync(pack, folder, tmp_path / "export")
    with opened(tmp_path / "new") as other:
        other.import_from(read_archive(tmp_path / "export"))
        assert [one.id for one in other.journal.load().items] == ["local-1", "local-2"]
        assert payloads(other) == {"local-1": b"bytes", "local-2": b"bytes"}


@trio.testing.trio_test
async def test_nothing_is_let_go_while_rows_and_payloads_are_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender commits that something was sent, and then removes its payload: both after it was gathered, or before."""
    with opened(tmp_path / "state") as state:
        put(state, "local-1", b"bytes")
        await state.journal.commit([item(1)])
        links, asked = state.spool.sizes, trio.Event()

        def slow() -> dict[str, int]:
            trio.from_thread.run_sync(asked.set)
            trio.from_thread.run(trio.testing.wait_all_tasks_blocked)
            return links()

        async def send() -> None:
            await asked.wait()
            await state.journal.commit([], ["local-1"])
            state.spool.remove("local-1")

        monkeypatch.setattr(state.spool, "sizes", slow)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            folder = await state.gather()
        assert (folder / "payloads" / "local-1").read_bytes() == b"bytes"


def test_a_payload_that_is_written_meanwhile_is_copied_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = tmp_path / "local-1"
    payload.write_bytes(b"first")
    copy = archive._copy
    tries: list[int] = []

    def meddled(*arguments: object) -> int:
        copied = copy(*arguments)  # type: ignore[arg-type]
        if not tries:
            payload.write_bytes(b"second")
        tries.append(copied)
        return copied

    monkeypatch.setattr(archive, "_copy", meddled)
    write_archive(tmp_path / "export", archive.encoded(archive.Exported(b"", {}, (), ())), [payload])
    assert tries == [5, 6]
    found = read_archive(tmp_path / "export")
    assert b"".join(found.bytes_of(found.payloads[0])) == b"second"


def test_a_payload_that_never_rests_is_in_it_as_far_as_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = tmp_path / "local-1"
    payload.write_bytes(b"0123456789")
    copy = archive._copy

    def meddled(*arguments: object) -> int:
        with payload.open("r+b") as file:
            file.truncate(payload.stat().st_size - 1)
        return copy(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(archive, "_copy", meddled)
    rows = archive.encoded(archive.Exported(b"", {}, (), ()))
    write_archive(tmp_path / "export", rows, [payload, tmp_path / "gone"])
    found = read_archive(tmp_path / "export")
    assert [b"".join(found.bytes_of(one)) for one in found.payloads] == [b"0123456"]


def test_an_export_of_the_version_before_is_taken_in(tmp_path: Path) -> None:
    """As schema 1 was written: rows alone, with none of what waits."""
    rows = {
        "inode_key": b"k" * 16,
        "rows": {"home": [ROOT]},
        "seen": [(b"documents", (123).to_bytes(8, "big"))],
        "times": [],
        "previews": [],
        "successors": [],
    }
    told = MAGIC + (1).to_bytes(4, "big") + zlib.compress(msgspec.msgpack.encode(rows))
    (tmp_path / "export").write_bytes(signed(told))
    with opened(tmp_path / "new") as state:
        taken = state.import_from(read_archive(tmp_path / "export"))
        assert (taken.added, taken.waiting) == ({HOME: 1}, {})
        assert state.inode_key == b"k" * 16
        assert trio.run(state.first_seen_ns, "documents", 9) == 123
