"""A torn, truncated or overwritten database is refused in one line, never opened; and what waited is not lost with it.

LMDB ends the process on such a file, so whoever opens it here is a process of its own.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from iiiffs.cache.structure import check_structure
from iiiffs.errors import StoreCorrupt, StoreError, StoreLocked
from iiiffs.model.gallery import AccountName
from iiiffs.state import State, damage
from iiiffs.state.archive import read_archive
from iiiffs.state.salvage import SALVAGED
from iiiffs.sync.items import Item, Stage
from iiiffs.sync.stages import WITHOUT_ROW, recovered
from tests.unit.state.test_archive import HOME, ROOT, item, opened, payloads, put

PAGE_BYTES = 4096
ROWS = 150
WAITING = 3
READER = """
import sys
from pathlib import Path
from iiiffs.errors import StoreError
from iiiffs.state import State
from tests.unit.state.test_damage import summary
for folder in map(Path, sys.argv[1:]):
    try:
        state = State.open(folder)
        print("whole", *summary(state))
        state.close()
    except StoreError as error:
        print(type(error).__name__, error)
    sys.stdout.flush()
"""


def summary(state: State) -> tuple[int, int]:
    """How many rows and items there are."""
    return len(state.ledger(HOME).rows_in("root")), len(state.journal.load().items)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with some history: rows, items that wait with payloads, items that do not any more."""
    path = tmp_path_factory.mktemp("origin") / "state"
    with opened(path) as state:
        rows = [replace(ROOT, id=f"id-{number}", folder="root", name=b"%d" % number) for number in range(ROWS)]
        for begin in range(0, ROWS, 10):
            trio.run(state.ledger(HOME).commit, rows[begin : begin + 10])
        for number in range(1, WAITING + 1):
            put(state, f"local-{number}", b"payload %d" % number)
        for generation in range(1, 6):
            trio.run(state.journal.commit, [waiting(number, generation) for number in range(1, 9)])
        trio.run(state.journal.commit, [], [f"local-{number}" for number in range(WAITING + 1, 9)])
    return path


def waiting(number: int, generation: int = 5) -> Item:
    return item(number, Stage.READY, generation=generation, name=f"name {number} {generation}.jpg", size_bytes=9)


def data_of(state: Path) -> Path:
    return state / "db" / "data.mdb"


def copied(origin: Path, target: Path) -> Path:
    shutil.copytree(origin, target)
    return target


def read_apart(*states: Path) -> list[str]:
    """What a process of its own says of each; it ends in order."""
    done = subprocess.run(
        [sys.executable, "-c", READER, *states], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.returncode} after {done.stdout}{done.stderr}"
    return done.stdout.splitlines()


def test_cut_at_every_page_it_is_refused_or_whole(origin: Path, tmp_path: Path) -> None:
    size_bytes = data_of(origin).stat().st_size
    lengths = [*range(0, size_bytes, PAGE_BYTES), 1, PAGE_BYTES + 1, size_bytes - 1]
    states = [copied(origin, tmp_path / str(length)) for length in lengths]
    for length, state in zip(lengths, states, strict=True):
        os.truncate(data_of(state), length)
    told = read_apart(*states)
    assert len(told) == len(states) > 10
    for length, state, line in zip(lengths, states, told, strict=True):
        if line != f"whole {ROWS} {WAITING}":  # a page at the end that nothing uses any more may be missing
            assert line.startswith(f"StoreCorrupt {data_of(state)} is "), (length, line)
            assert "`iiiffs state renew`" in line
        assert data_of(state).stat().st_size == length or line.startswith("whole")
    assert sum(line.startswith("StoreCorrupt") for line in told) > len(told) // 2


def overwritten(at: int, length: int, seed: int) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        with data.open("r+b") as file:
            file.seek(at)
            file.write(random.Random(seed).randbytes(length))

    return spoil


def zeroed(at: int, length: int) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        with data.open("r+b") as file:
            file.seek(at)
            file.write(bytes(length))

    return spoil


LAST_PAGE_AT, LENGTH_OF_META = 16 + 24 + 48 + 48, 16 + 24 + 48 + 48 + 16
SPOILED = {
    **{f"garbage in meta {page}": overwritten(page * PAGE_BYTES, PAGE_BYTES, page) for page in (0, 1)},
    **{f"zeros in meta {page}": zeroed(page * PAGE_BYTES, PAGE_BYTES) for page in (0, 1)},
    **{f"garbage after the magic of meta {page}": overwritten(page * PAGE_BYTES + 24, 200, page) for page in (0, 1)},
    "both": overwritten(0, 2 * PAGE_BYTES, 3),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_garbage_in_a_meta_page_is_refused(origin: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """Also of the older one, for LMDB takes neither then: and nobody can tell which commit would be missing."""
    state = copied(origin, tmp_path / "state")
    spoil(data_of(state))
    before = data_of(state).read_bytes()
    for line in read_apart(state, state):
        assert line.startswith(f"StoreCorrupt {data_of(state)} is damaged: ")
    assert data_of(state).read_bytes() == before


def test_any_page_that_is_another_ends_no_process(origin: Path, tmp_path: Path) -> None:
    """It is refused, or of no use to anybody."""
    pages = data_of(origin).stat().st_size // PAGE_BYTES
    states = [copied(origin, tmp_path / str(page)) for page in range(2, pages)]
    for page, state in enumerate(states, 2):
        overwritten(page * PAGE_BYTES, PAGE_BYTES, page)(data_of(state))
    for line in read_apart(*states):
        assert line.startswith("StoreCorrupt ") or line == f"whole {ROWS} {WAITING}"


@pytest.mark.parametrize("seed", range(40))
def test_the_walk_takes_any_meta_page(origin: Path, tmp_path: Path, seed: int) -> None:
    """Huge numbers cost neither memory nor time."""
    data = tmp_path / "data.mdb"
    shutil.copyfile(data_of(origin), data)
    rng = random.Random(seed)
    with data.open("r+b") as file:
        for page in (0, 1):
            file.seek(page * PAGE_BYTES + rng.randrange(16, LENGTH_OF_META))
            file.write(rng.randbytes(rng.choice((1, 8))))
    try:
        check_structure(data)
    except StoreCorrupt as error:
        assert "damaged" in str(error)


def test_an_empty_file_is_a_beginning_only_where_nothing_ever_was(origin: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / "db").mkdir(parents=True)
    data_of(tmp_path / "new").touch()
    with opened(tmp_path / "new"):
        pass
    state = copied(origin, tmp_path / "state")
    os.truncate(data_of(state), 0)
    with pytest.raises(StoreCorrupt, match=r"data\.mdb is cut off: 0 bytes; `iiiffs state renew`"):
        State.open(state)


def test_what_was_closed_in_order_is_not_walked_and_what_was_not_is(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[Path] = []
    monkeypatch.setattr(damage, "check_structure", walked.append)
    state = copied(origin, tmp_path / "state")
    os.utime(data_of(state), (1, 1))
    with opened(state):
        assert walked == []
        shutil.copytree(state, tmp_path / "killed")
    with opened(state):
        assert walked == []
    with opened(tmp_path / "killed"):
        assert walked == [data_of(tmp_path / "killed")]
    with data_of(state).open("r+b") as file:  # a disk that rots changes no time
        file.seek(5 * PAGE_BYTES)
        file.write(b"rotten")
    with opened(state):
        assert walked[1:] == [data_of(state)]


def test_a_disk_that_cannot_read_it_is_told(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(data: Path) -> None:
        raise OSError(5, "Input/output error")

    state = copied(origin, tmp_path / "state")
    (state / "db" / "closed").unlink()
    monkeypatch.setattr(damage, "check_structure", unreadable)
    with pytest.raises(StoreError, match=r"data\.mdb: cannot be read: Input/output error; is its disk failing"):
        State.open(state)


# ---- beginning anew -------------------------------------------------------------------------------------------------


def test_a_state_that_is_whole_is_not_renewed(origin: Path, tmp_path: Path) -> None:
    state = copied(origin, tmp_path / "state")
    with pytest.raises(StoreError, match="the state is whole, and is left as it is"):
        State.renew(state)
    with pytest.raises(StoreError, match="there is no state"):
        State.renew(tmp_path / "none")
    with opened(state) as held:
        with pytest.raises(StoreLocked):
            State.renew(state)
        assert summary(held) == (ROWS, WAITING)
    assert not list(state.glob("db.damaged*"))


def test_anew_every_payload_is_kept_and_the_damaged_database_too(origin: Path, tmp_path: Path) -> None:
    state = copied(origin, tmp_path / "state")
    os.truncate(data_of(state), 2 * PAGE_BYTES)
    damaged = data_of(state).read_bytes()
    renewed = State.renew(state)
    assert renewed.aside.parent == state
    assert renewed.aside.name.startswith("db.damaged-")
    assert data_of(state).with_name("data.mdb").exists()
    assert (renewed.aside / "data.mdb").read_bytes() == damaged
    assert (renewed.without, renewed.found, renewed.taken) == (WAITING, 0, None)
    with opened(state) as anew:
        assert payloads(anew) == {f"local-{number}": b"payload %d" % number for number in range(1, WAITING + 1)}
        recovery = recovered(anew.journal.load().items, anew.spool.sizes(), 1)
        assert [(one.id, one.stage, one.reason) for one in recovery.items] == [
            (f"local-{number}", Stage.FAILED, WITHOUT_ROW) for number in range(1, WAITING + 1)
        ]
        assert recovery.spent == ()


def test_anew_names_are_found_again_where_their_rows_are_whole(origin: Path, tmp_path: Path) -> None:
    """The rows of earlier moments lie in the file as well: the latest counts; and what had been sent has no payload."""
    state = copied(origin, tmp_path / "state")
    overwritten(0, 2 * PAGE_BYTES, 1)(data_of(state))
    renewed = State.renew(state)
    assert (renewed.without, renewed.found) == (WAITING, WAITING)
    with opened(state) as anew:
        expected = [replace(waiting(number), stage=Stage.FAILED, reason=SALVAGED) for number in range(1, WAITING + 1)]
        assert anew.journal.load().items == expected
        assert recovered(expected, anew.spool.sizes(), 1).changed == ()


def test_a_row_that_is_too_long_for_its_page_is_found(tmp_path: Path) -> None:
    long = replace(waiting(1), reason="why " * 1000)
    with opened(tmp_path / "state") as state:
        put(state, "local-1", b"payload 1")
        trio.run(state.journal.commit, [long])
    overwritten(0, 2 * PAGE_BYTES, 1)(data_of(tmp_path / "state"))
    assert State.renew(tmp_path / "state").found == 1


def test_twice_on_one_day_neither_takes_the_place_of_the_other(origin: Path, tmp_path: Path) -> None:
    state = copied(origin, tmp_path / "state")
    asides = set()
    for _ in range(3):
        os.truncate(data_of(state), PAGE_BYTES)
        asides.add(State.renew(state).aside)
    assert len(asides) == 3
    assert all((aside / "data.mdb").stat().st_size == PAGE_BYTES for aside in asides)


def test_anew_from_an_export_ids_and_what_waits_are_there(origin: Path, tmp_path: Path) -> None:
    with opened(origin) as before:
        before.export(tmp_path / "export")
        key = before.inode_key
    state = copied(origin, tmp_path / "state")
    with opened(state) as later:
        put(later, "local-9", b"later than the export")
        trio.run(later.journal.commit, [item(9)])
    os.truncate(data_of(state), 2 * PAGE_BYTES)
    renewed = State.renew(state, read_archive(tmp_path / "export"))
    assert renewed.taken is not None
    assert (renewed.taken.waiting, renewed.without) == ({AccountName("home"): WAITING}, 1)
    with opened(state) as anew:
        assert anew.inode_key == key
        assert summary(anew) == (ROWS, WAITING + renewed.found)
        assert [one.stage for one in anew.journal.load().items[:WAITING]] == [Stage.READY] * WAITING
        assert payloads(anew)["local-9"] == b"later than the export"
