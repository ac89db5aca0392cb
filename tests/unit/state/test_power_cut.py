"""DESIGN §4.1: when a close has returned, payload, its name and its row are on the disk, in that order.

Shown by system calls (strace) and by disks that lost all that was not synced; and each sync is shown to be needed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import pytest

from tests.harness.power_cut import SYNCS, Call, Disk, record
from tests.unit.state.spooling import kept

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

Visit = Callable[[Disk, Call, dict[str, str]], None]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded") / "state"


@pytest.fixture(scope="module")
def calls(root: Path) -> list[Call]:
    """Of the writer, from the moment on in which the state's folder is there."""
    command: list[str | Path] = [sys.executable, "-m", "tests.unit.state.spooling", "write", root]
    found = record(command, root.parent / "trace")
    begin = next(place for place, call in enumerate(found) if call.name == "mkdir" and call.path == root)
    return found[begin + 1 :]


def is_answer(call: Call) -> bool:
    return call.fd == 1 and call.data.startswith(b"done ")


def answered(calls: Sequence[Call]) -> list[int]:
    return [place for place, call in enumerate(calls) if is_answer(call)]


def promised(call: Call, promises: dict[str, str]) -> None:
    """What an answer promises: the bytes of that sum, of that item."""
    _, id, digest = call.data.decode().split()
    promises[id] = digest


def replay(calls: Sequence[Call], root: Path, visit: Visit) -> None:
    """`visit` is told of every call, once the disk has taken it, with all that had been promised by then."""
    disk, promises = Disk(root), dict[str, str]()
    for call in calls:
        disk.take(call)
        if is_answer(call):
            promised(call, promises)
        visit(disk, call, promises)


def missing(promises: dict[str, str], found: Mapping[str, Collection[str]]) -> list[str]:
    """Ids whose promise is not kept by what was found."""
    return [id for id, digest in promises.items() if digest not in found.get(id, ())]


def kept_by_another_process(left: Path) -> dict[str, set[str]]:
    """As `kept`; nothing if the start fails, or ends by a signal: LMDB trusts its file, and a torn one is SIGBUS."""
    command: list[str | Path] = [sys.executable, "-m", "tests.unit.state.spooling", "start", left]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if told.returncode != 0:
        return {}
    return {id: set(sums) for _, id, *sums in (line.split() for line in told.stdout.splitlines())}


def test_the_order_before_every_answer(calls: list[Call], root: Path) -> None:
    """Payload, its folder (the first time), the journal's pages, the journal's head; then the answer."""
    answers = answered(calls)
    assert len(answers) == 6
    begin = 0
    for number, place in enumerate(answers):
        id, is_first = f"local-{number // 2}", number % 2 == 0
        within = calls[begin:place]
        writes = [spot for spot, call in enumerate(within) if call.path.name == id and call.name == "pwrite64"]
        steps = [
            (call.name, call.path.relative_to(root).as_posix())
            for call in within[writes[-1] + 1 :]
            if root in (call.path, *call.path.parents) and (call.name in SYNCS or is_head(call))
        ]
        expected = [("fsync", f"spool/{id}"), ("fdatasync", "db/data.mdb"), ("pwrite64", "db/data.mdb")]
        if is_first:
            expected.insert(1, ("fsync", "spool"))
        assert steps == expected
        begin = place + 1


def is_head(call: Call) -> bool:
    """True for LMDB's last write of a transaction, which says what pages count: less than a page, through O_DSYNC."""
    return call.name == "pwrite64" and call.path.name == "data.mdb" and len(call.data) < 4096


def test_a_power_cut_at_any_sync_or_answer_loses_no_promise(calls: list[Call], root: Path, tmp_path: Path) -> None:
    cuts = 0

    def visit(disk: Disk, call: Call, promises: dict[str, str]) -> None:
        nonlocal cuts
        if promises and (is_answer(call) or call.name in SYNCS or is_head(call)):
            cuts += 1
            left = tmp_path / str(cuts)
            disk.left(left)
            assert missing(promises, kept(left)) == []

    replay(calls, root, visit)
    assert cuts > 20


def test_without_any_one_sync_a_promise_is_broken(calls: list[Call], root: Path, tmp_path: Path) -> None:
    """Each sync between the first byte and the last answer is left out in turn; the answer after it is a lie then."""
    answers = answered(calls)
    first = next(place for place, call in enumerate(calls) if call.path.name == "local-0")
    needed = [
        place
        for place, call in enumerate(calls[: answers[-1]])
        if place > first and call.name in SYNCS and root in call.path.parents
    ]
    assert len(needed) == 6 + 3 + 6, "payloads, their folder, the journal"
    for left_out in needed:
        answer = next(place for place in answers if place > left_out)
        disk, promises = Disk(root), dict[str, str]()
        for place, call in enumerate(calls[: answer + 1]):
            if place != left_out:
                disk.take(call)
            if is_answer(call):
                promised(call, promises)
        left = tmp_path / str(left_out)
        disk.left(left)
        assert missing(promises, kept_by_another_process(left)), f"nobody misses {calls[left_out]}"
