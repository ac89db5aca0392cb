"""State: one holder, private, durable, growing; and the ledger in it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lmdb
import pytest
import trio
import trio.testing

from iiiffs.errors import ConfigError, StoreCorrupt, StoreError, StoreLocked
from iiiffs.model.gallery import AccountName, AlbumId
from iiiffs.state import State
from iiiffs.state.environment import Environment, Reading, Writing
from iiiffs.state.homes import Home
from iiiffs.sync.identity import Row

HOME = AccountName("home")
ROW = Row("id-a", "root", b"a.jpg", "image/jpeg", 2050, 17, 100, 5, 6, 7, b"digest", (1, 2), False)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State.open(tmp_path / "state")
    yield opened
    opened.close()


def reopened(state: State, tmp_path: Path) -> State:
    state.close()
    return State.open(tmp_path / "state")


def test_the_folder_is_private(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir(mode=0o755)
    for path in (loose, tmp_path / "deep" / "er"):
        State.open(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((path / "db" / "data.mdb").stat().st_mode) == 0o600


def test_a_second_holder_is_refused_by_name(state: State, tmp_path: Path) -> None:
    with pytest.raises(StoreLocked, match=f"process {os.getpid()};"):
        State.open(tmp_path / "state")


def test_another_process_is_refused_until_it_is_closed(state: State, tmp_path: Path) -> None:
    code = "import sys; from iiiffs.state import State; from pathlib import Path; State.open(Path(sys.argv[1])).close()"

    def other() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, str(tmp_path / "state")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    refused = other()
    assert refused.returncode == 1
    assert f"StoreLocked: {tmp_path / 'state'} is in use by process {os.getpid()};" in refused.stderr
    state.close()
    state.close()
    assert other().returncode == 0


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match="not a folder"):
        State.open(tmp_path / "state")


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"40 1 0:50 / {tmp_path.resolve()} rw shared:1 - nfs4 server:/export rw\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: line)
    with pytest.raises(ConfigError, match="network file system \\(nfs4\\)"):
        State.open(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_newer_schema_is_refused_and_left_alone(state: State, tmp_path: Path) -> None:
    state.close()
    environment = lmdb.open(str(tmp_path / "state" / "db"), max_dbs=8)
    with environment.begin(write=True) as transaction:
        transaction.put(b"schema", b"2", db=environment.open_db(b"meta", transaction))
    environment.close()
    for _ in range(2):
        with pytest.raises(StoreError, match="written by a newer iiiffs"):
            State.open(tmp_path / "state")


def test_what_is_no_database_is_corrupt_and_unlocks(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "db"
    folder.mkdir(parents=True)
    (folder / "data.mdb").write_bytes(b"not a database" * 1000)
    for _ in range(2):
        with pytest.raises(StoreCorrupt, match="damaged"):
            State.open(tmp_path / "state")


def test_the_inode_key_is_made_once(state: State, tmp_path: Path) -> None:
    key = state.inode_key
    assert len(key) == 16
    again = reopened(state, tmp_path)
    assert again.inode_key == key
    again.close()
    other = State.open(tmp_path / "other")
    assert other.inode_key != key
    other.close()


def test_a_fingerprint_keeps_its_first_time(state: State, tmp_path: Path) -> None:
    assert trio.run(state.first_seen_ns, "one", 100) == 100
    assert trio.run(state.first_seen_ns, "one", 200) == 100
    assert trio.run(state.first_seen_ns, "two", 50) == 50
    again = reopened(state, tmp_path)
    assert trio.run(again.first_seen_ns, "one", 300) == 100
    again.close()


def test_rows_are_found_every_way_and_survive(state: State, tmp_path: Path) -> None:
    trio.run(state.ledger(HOME).commit, [ROW])
    again = reopened(state, tmp_path)
    ledger = again.ledger(HOME)
    assert ledger.row("id-a") == ROW
    assert ledger.rows_in("root") == [ROW]
    assert ledger.rows_of_inodes([(2050, 17), (1, 1)]) == [ROW]
    assert ledger.rows_of_sizes([100, 100, 7]) == [ROW]
    again.close()


def test_accounts_and_folders_do_not_mix(state: State) -> None:
    trio.run(state.ledger(HOME).commit, [ROW, replace(ROW, id="id-b", folder="root2", inode=170)])
    other = state.ledger(AccountName("hom"))
    assert (other.row("id-a"), other.rows_in("eroot"), other.rows_of_inodes([(2050, 17)])) == (None, [], [])
    assert [row.id for row in state.ledger(HOME).rows_in("root")] == ["id-a"]


def test_a_moved_row_leaves_nothing_at_its_old_place(state: State) -> None:
    ledger = state.ledger(HOME)
    trio.run(ledger.commit, [ROW])
    moved = replace(ROW, folder="sub", name=b"\xff\xfe", inode=18, size=101, digest=b"")
    trio.run(ledger.commit, [moved])
    assert (ledger.rows_in("root"), ledger.rows_in("sub"), ledger.row("id-a")) == ([], [moved], moved)
    assert ledger.rows_of_inodes([(2050, 17)]) == ledger.rows_of_sizes([100, 101]) == []
    assert ledger.rows_of_inodes([(2050, 18)]) == [moved]


def test_two_rows_exchange_their_places_in_one_commit(state: State) -> None:
    ledger = state.ledger(HOME)
    other = replace(ROW, id="id-b", name=b"b.jpg", inode=18)
    trio.run(ledger.commit, [ROW, other])
    trio.run(ledger.commit, [replace(ROW, name=b"b.jpg"), replace(other, name=b"a.jpg")])
    assert {row.id: row.name for row in ledger.rows_in("root")} == {"id-a": b"b.jpg", "id-b": b"a.jpg"}


def test_a_place_has_one_row(state: State) -> None:
    ledger = state.ledger(HOME)
    trio.run(ledger.commit, [ROW])
    trio.run(ledger.commit, [replace(ROW, id="id-b")])
    assert ledger.row("id-a") is None
    assert [row.id for row in ledger.rows_in("root")] == ["id-b"]


def test_forgotten_rows_are_nowhere(state: State) -> None:
    ledger = state.ledger(HOME)
    trio.run(ledger.commit, [ROW])
    trio.run(ledger.commit, [], ["id-a", "never-was"])
    assert ledger.row("id-a") is None
    assert ledger.rows_in("root") == ledger.rows_of_inodes([(2050, 17)]) == ledger.rows_of_sizes([100]) == []


def test_long_names_fit_and_differ(state: State) -> None:
    ledger = state.ledger(AccountName("a" * 300))
    rows = [replace(ROW, id=f"id-{end}", folder="f" * 200, name=b"n" * 4000 + end.encode()) for end in "xy"]
    trio.run(ledger.commit, rows)
    assert sorted(ledger.rows_in("f" * 200), key=lambda row: row.id) == rows


def test_the_map_grows_under_readers(tmp_path: Path) -> None:
    state = State.open(tmp_path / "state", map_bytes=256 << 10)
    ledger = state.ledger(HOME)
    rows = [replace(ROW, id=f"id-{number}", name=b"%d" % number * 20, inode=number) for number in range(5000)]

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for start in range(0, 5000, 1000):
                nursery.start_soon(ledger.commit, rows[start : start + 1000])
            for _ in range(50):
                assert len(await trio.to_thread.run_sync(ledger.rows_in, "root")) % 1000 == 0

    trio.run(main)
    assert {row.id for row in ledger.rows_in("root")} == {row.id for row in rows}
    state.close()


def test_the_map_does_not_grow_while_somebody_reads(tmp_path: Path) -> None:
    """Rule: lmdb.h, mdb_env_set_mapsize: the mapping that a reader looks at would be taken away."""
    environment = Environment(tmp_path / "db", map_bytes=256 << 10)

    def write(writing: Writing) -> None:
        for number in range(2000):
            writing.put("meta", b"%d" % number, b"x" * 400)

    writer = threading.Thread(target=environment.write, args=(write,))

    def read(_: Reading) -> int:
        writer.start()
        while writer.is_alive() and not environment._resizing:
            time.sleep(0.001)
        return environment.map_bytes

    assert environment.read(read) == 256 << 10
    writer.join()
    assert environment.map_bytes > 800_000
    assert environment.read(lambda reading: reading.get("meta", b"1999")) == b"x" * 400
    environment.close()


def test_a_failed_commit_changes_nothing(state: State) -> None:
    ledger = state.ledger(HOME)
    trio.run(ledger.commit, [ROW])
    with pytest.raises(StoreError):
        trio.run(ledger.commit, [replace(ROW, size=9), replace(ROW, id="i" * 600, inode=3)])
    assert ledger.rows_in("root") == [ROW]


def test_a_row_that_cannot_be_read_is_corrupt(state: State, tmp_path: Path) -> None:
    trio.run(state.ledger(HOME).commit, [ROW])
    state.close()
    environment = lmdb.open(str(tmp_path / "state" / "db"), max_dbs=8)
    with environment.begin(write=True) as transaction:
        transaction.put(b"home\0root\0fa.jpg", b"\x93\x01\x02\x03", db=environment.open_db(b"rows", transaction))
    environment.close()
    again = State.open(tmp_path / "state")
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        again.ledger(HOME).row("id-a")
    again.close()


def test_a_home_that_is_noted_while_it_is_forgotten_is_kept(state: State, tmp_path: Path) -> None:
    album, home = AlbumId("a"), Home("A", None)

    async def scenario() -> None:
        homes = state.homes()
        await homes.note(HOME, album, home)
        async with trio.open_nursery() as nursery, homes._writer:  # both wait for it
            nursery.start_soon(homes.keep_only, HOME, ())
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(homes.note, HOME, album, home)
            await trio.testing.wait_all_tasks_blocked()
        assert homes.of(HOME, album) == home

    trio.run(scenario)
    after = reopened(state, tmp_path)
    try:
        assert after.homes().of(HOME, album) == home
    finally:
        after.close()
