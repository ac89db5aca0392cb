"""A disk that fails, and a process that is killed, at every step of writing: what was promised is there afterwards.

The faults are the kernel's own answers, put in by strace: nothing of the program knows of them.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from iiiffs.state import State
from tests.unit.state.spooling import kept

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

FAULTS = {
    "killed": "signal=KILL",
    "no space": "error=ENOSPC",
    "input/output error": "error=EIO",
}
ANSWERS = 6


def written(state: Path, call: str, fault: str, when: int) -> tuple[dict[str, str], bool]:
    """What the writer promised before it ended, and whether the fault came to be."""
    trace = state.parent / "trace"
    inject = f"inject={call}:{FAULTS[fault]}:when={when}"
    strace: list[str | Path] = ["strace", "-f", "-e", f"trace={call}", "-P", state / "db" / "data.mdb"]
    strace += [option for number in range(3) for option in ("-P", state / "spool" / f"local-{number}")]
    strace += ["-P", state / "spool", "-e", "signal=none", "-e", inject, "-o", trace]
    command = [*strace, sys.executable, "-m", "tests.unit.state.spooling", "write", state]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    promises = {id: digest for _, id, digest in (line.split() for line in told.stdout.splitlines())}
    return promises, "INJECTED" in trace.read_text() or told.returncode == -signal.SIGKILL


def check(tmp_path: Path, call: str, fault: str, when: int) -> bool:
    state = tmp_path / "state"
    State.open(state, min_free_bytes=0).close()
    promises, is_met = written(state, call, fault, when)
    found = kept(state)
    assert all(digest in found.get(id, ()) for id, digest in promises.items())
    return is_met


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("call", "when"),
    [("fsync", 3), ("fsync", 4), ("fdatasync", 2), ("fdatasync", 3), ("pwrite64", 5), ("writev", 2)],
)
def test_a_fault_at_a_step_loses_no_promise(tmp_path: Path, call: str, fault: str, when: int) -> None:
    assert check(tmp_path, call, fault, when), "nothing failed"


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", ["fsync", "fdatasync", "pwrite64", "writev", "openat", "lseek"])
def test_a_fault_at_every_step_loses_no_promise(tmp_path: Path, call: str, fault: str) -> None:
    for when in range(1, 40):
        (tmp_path / str(when)).mkdir()
        if not check(tmp_path / str(when), call, fault, when):
            assert when > 1
            return
