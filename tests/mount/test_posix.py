"""A folder mounted for writing against an ordinary disk: the same calls, the same answers, the same files after.

Where the two differ is told by the table "Where it is not POSIX" of docs/SEMANTICS.md, row by row, and nowhere else: a
difference that has no row fails, and so does a row that is no difference (any more). Every case runs twice on the
mount: on files that the folder had before, and on files that were written a moment ago and still wait to be sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.mount import Program, mounted
from tests.harness.writable import Writable, writable_config
from tests.mount.observing import as_user
from tests.mount.posix_bytes import BYTE_CASES
from tests.mount.posix_cases import Case, outcome, prepare, tree
from tests.mount.posix_names import NAME_CASES

CASES = (*NAME_CASES, *BYTE_CASES)
SEMANTICS = Path(__file__).parents[2] / "docs" / "SEMANTICS.md"
STATES = ("there before", "waiting")
ANY = "both"


@dataclass(frozen=True, slots=True)
class Came:
    """What a case came to: what was there, the outcome, and what was there after."""

    before: Mapping[str, bytes | None]
    outcome: str
    after: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Results:
    """Of every case, by its number: on the disk; on the mount in each state; and what is at the provider in the end."""

    disk: Mapping[int, Came]
    mount: Mapping[tuple[int, str], Came]
    shown: Mapping[tuple[int, str], Mapping[str, bytes | None]]
    arrived: Mapping[tuple[int, str], Mapping[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Row:
    """Of the table: what a disk says, and what a mount says, of files in one of STATES, or ANY."""

    group: str
    name: str
    of: str
    disk: str
    here: str


def parse_rows(text: str) -> list[Row]:
    """The rows of the table below "## Where it is not POSIX"."""
    section = re.split(r"^## ", text.split("\n## Where it is not POSIX\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = []
    for line in section.splitlines():
        cells = [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if line.startswith("| ") and cells[0] not in ("group", "---"):
            rows.append(Row(*cells[:5]))
    return rows


ROWS = parse_rows(SEMANTICS.read_text(encoding="utf-8"))


def row_of(case: Case, state: str) -> Row | None:
    """What the table says of the case; None if it is as on a disk."""
    found = [row for row in ROWS if (row.group, row.name) == (case.group, case.name) and row.of in (state, ANY)]
    return found[0] if found else None


def run(case: Case, at: Path) -> Came:
    """The case is run in `at`, which is prepared."""
    before = tree(at)
    with as_user(case.uid):
        result = outcome(case.act, at)
    return Came(before, result, tree(at))


@pytest.fixture(scope="module")
def results(open_folder: Path) -> Iterator[Results]:
    folder = open_folder / "posix"
    photos, disk = folder / "photos", folder / "disk"
    for place in (photos, photos / STATES[0], disk):
        place.mkdir(parents=True)
    for number, case in enumerate(CASES):
        prepare(photos / STATES[0] / str(number), case.spec)
    on_disk, on_mount = {}, {}
    config = writable_config(folder, photos, settle="1h")
    program = Program(environment=os.environ | {"XDG_DATA_HOME": str(folder / "data")})
    before = os.umask(0o022)
    with mounted(folder, photos, "--allow-other", config=config, program=program) as mount:
        mount.expected += ["File too large", "left on its disk"]
        (mount.files / STATES[1]).mkdir()
        for number, case in enumerate(CASES):
            prepare(disk / str(number), case.spec)
            prepare(mount.files / STATES[1] / str(number), case.spec)
            on_disk[number] = run(case, disk / str(number))
            for state in STATES:
                on_mount[number, state] = run(case, mount.files / state / str(number))
        shown = {key: came.after for key, came in on_mount.items()}
        Writable(mount, photos, folder / "data").sent()
        arrived = {(number, state): tree(photos / state / str(number)) for number, state in on_mount}
        yield Results(on_disk, on_mount, shown, arrived)
    os.umask(before)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number].group}: {CASES[number].name}")
def test_a_mount_is_as_a_disk_but_for_the_table(results: Results, number: int, state: str) -> None:
    row, disk, here = row_of(CASES[number], state), results.disk[number], results.mount[number, state]
    assert (disk.outcome, here.outcome) == ((row.disk, row.here) if row else (disk.outcome, disk.outcome))
    if row is None:
        assert here.after == disk.after
    else:
        assert disk.outcome != here.outcome, "the table has a row for what is no difference"
        if here.outcome.startswith("E"):
            assert here.after == here.before, "what was refused has changed something"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number].group}: {CASES[number].name}")
def test_what_was_shown_arrives(results: Results, number: int, state: str) -> None:
    """All but empty files, which stay here."""
    shown = {name: data for name, data in results.shown[number, state].items() if data != b""}
    arrived = results.arrived[number, state]
    assert {name: data for name, data in arrived.items() if name in shown or data is None} == shown
    assert set(arrived) <= set(results.shown[number, state])


def test_every_row_of_the_table_is_of_a_case() -> None:
    assert ROWS
    keys = [(row.group, row.name, row.of) for row in ROWS]
    assert len(keys) == len(set(keys))
    assert {(row.group, row.name) for row in ROWS} <= {(case.group, case.name) for case in CASES}
    assert {row.of for row in ROWS} <= {*STATES, ANY}
    for row in ROWS:
        assert row.of == ANY or not any(other.of == ANY for other in ROWS if (other.group, other.name) == keys[0][:2])


def test_cases_have_names_of_their_own() -> None:
    assert len({(case.group, case.name) for case in CASES}) == len(CASES)
