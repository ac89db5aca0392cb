"""DESIGN §4.1 of the whole daemon: when close or fsync has returned, payload, its name and its row are on the disk.

A kill shows nothing of that, for the page cache survives it. So the daemon's system calls are recorded: first their
order, and what is missing when one sync is; then the state is made anew as a power cut would have left it, and a
daemon is started on that.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.mount import Program, check_log, start, take_down
from tests.harness.power_cut import CALLS, SYNCS, Call, Disk, parse
from tests.harness.unsafe_daemon import UNSAFE
from tests.harness.writable import Writable, writable_config

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

DEVICE = Path("/dev/fuse")
WRITTEN_BYTES = 24
"""A reply to WRITE: a header, and how much was written. Rule: linux/fuse.h, fuse_out_header, fuse_write_out."""
DONE_BYTES = 16
"""A header alone: of FLUSH, FSYNC, RELEASE, and of every refusal."""
PAGE_BYTES = 4096
SETTLES_LONG = "1h"


@dataclass(frozen=True)
class Recorded:
    """What a daemon did. `promises`: what was at each path once each of the writes was closed or synced, in order."""

    calls: Sequence[Call]
    state: Path
    photos: Path
    promises: Sequence[Mapping[str, bytes]]

    @property
    def answers(self) -> list[int]:
        """The place of the reply to each flush, or fsync, that followed upon writes."""
        replies = [(place, call) for place, call in enumerate(self.calls) if is_reply(call)]
        writes = [number for number, (_, call) in enumerate(replies) if len(call.data) == WRITTEN_BYTES]
        return sorted({next(place for place, call in replies[number + 1 :] if is_done(call)) for number in writes})

    @property
    def synced_at_once(self) -> set[int]:
        """Descriptors of the journal whose writes are on the disk when they return."""
        opened = [call for call in self.calls if call.name == "openat" and call.path.name == "data.mdb"]
        return {call.fd for call in opened if "O_DSYNC" in call.arguments}


def is_reply(call: Call) -> bool:
    return call.path == DEVICE and call.name in ("write", "writev")


def is_done(call: Call) -> bool:
    length, error = int.from_bytes(call.data[:4], "little"), int.from_bytes(call.data[4:8], "little", signed=True)
    return length == DONE_BYTES and error == 0


def new_file(path: Path, data: bytes) -> None:
    """One write, then close."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    assert os.write(descriptor, data) == len(data)
    os.close(descriptor)


def synced_file(path: Path, data: bytes) -> None:
    """One write, then fsync; then close."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    assert os.write(descriptor, data) == len(data)
    os.fsync(descriptor)
    os.close(descriptor)


def changed_file(path: Path, data: bytes) -> None:
    """One write into the middle, then close."""
    descriptor = os.open(path, os.O_WRONLY)
    assert os.pwrite(descriptor, data, 1000) == len(data)
    os.close(descriptor)


def payload(number: int) -> bytes:
    return (b"%d " % number) * 20_000


def record(folder: Path, program: Program | None, deeds: Sequence[Callable[[Path], Mapping[str, bytes]]]) -> Recorded:
    """The deeds are done in a mount of an empty folder, none of whose files is sent."""
    photos, trace = folder / "photos", folder / "trace"
    (photos / "Old").mkdir(parents=True)
    strace = ["strace", "-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "33554432", "-e", f"trace={CALLS}"]
    strace += ["-e", "signal=none", "-o", str(trace)]
    program = program or Program()
    config = writable_config(folder, photos, settle=SETTLES_LONG)
    mount = start(folder, photos, config=config, program=Program(program.module, program.environment, tuple(strace)))
    promises: list[Mapping[str, bytes]] = []
    try:
        for deed in deeds:
            before = promises[-1] if promises else {}
            promises.append({**before, **deed(mount.files)})
        assert mount.stop() == 0
    finally:
        take_down(mount)
    check_log(mount)
    calls = [call for call in parse(trace.read_text().splitlines()) if call.path.name != "control.sock"]
    state = folder / "state"
    begin = next(place for place, call in enumerate(calls) if call.name == "mkdir" and call.path == state)
    return Recorded(calls[begin + 1 :], state, photos, promises)


def in_old(files: Path) -> Mapping[str, bytes]:
    new_file(files / "Old" / "a.jpg", payload(1))
    return {"Old/a.jpg": payload(1)}


def in_new(files: Path) -> Mapping[str, bytes]:
    (files / "New").mkdir()
    new_file(files / "New" / "b.jpg", payload(2))
    return {"New/b.jpg": payload(2)}


def synced(files: Path) -> Mapping[str, bytes]:
    synced_file(files / "c.jpg", payload(3))
    return {"c.jpg": payload(3)}


def changed(files: Path) -> Mapping[str, bytes]:
    changed_file(files / "Old" / "a.jpg", payload(4)[:5000])
    whole = payload(1)
    return {"Old/a.jpg": whole[:1000] + payload(4)[:5000] + whole[6000:]}


DEEDS = (in_old, in_new, synced, changed)


# ---- the order ------------------------------------------------------------------------------------------------------


def complaints(recorded: Recorded) -> list[str]:
    """What is not on the disk when a reply promises it, of every promise."""
    found: list[str] = []
    known: set[Path] = set()
    begin = 0
    for number, answer in enumerate(recorded.answers):
        within = recorded.calls[begin:answer]
        writes = [call for call in within if call.name == "pwrite64" and call.path.parent == recorded.state / "spool"]
        found += [f"promise {number}: {text}" for text in _missing(within, writes[-1], recorded, known)]
        known.add(writes[-1].path)
        begin = answer
    return found


def _missing(within: Sequence[Call], last: Call, recorded: Recorded, known: set[Path]) -> list[str]:
    """What of the steps after the payload's last write was not done, each begun after the one before it had ended."""
    journal = recorded.state / "db" / "data.mdb"
    steps: list[tuple[str, Callable[[Call], bool]]] = [
        ("the payload is not synced", lambda call: call.name in SYNCS and call.path == last.path)
    ]
    if last.path not in known:
        spool = recorded.state / "spool"
        steps.append(("its name is not synced", lambda call: call.name in SYNCS and call.path == spool))
    id = last.path.name.encode()
    steps += [
        ("its row is not written", lambda call: call.path == journal and id in call.data),
        ("its row is not synced", lambda call: call.name in SYNCS and call.path == journal),
        (
            "the journal's head is not synced",
            lambda call: is_head(call, journal) and call.fd in recorded.synced_at_once,
        ),
    ]
    done = last
    for text, is_step in steps:
        step = next((call for call in within if call.begun > done.ended and is_step(call)), None)
        if step is None:
            return [text]
        done = step
    return []


def is_head(call: Call, journal: Path) -> bool:
    """True for LMDB's last write of a transaction, which says what pages count: less than a page."""
    return call.name == "pwrite64" and call.path == journal and len(call.data) < PAGE_BYTES


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return record(tmp_path_factory.mktemp("recorded"), None, DEEDS)


def test_the_order_before_every_reply(recorded: Recorded) -> None:
    assert len(recorded.answers) == len(recorded.promises) == len(DEEDS)
    assert complaints(recorded) == []


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_each_step_is_missed(tmp_path: Path, unsafe: str) -> None:
    program = Program("tests.harness.unsafe_daemon", {"UNSAFE": unsafe})
    assert complaints(record(tmp_path, program, [in_old]))


# ---- the power cut --------------------------------------------------------------------------------------------------


def test_a_power_cut_after_any_promise_loses_none(recorded: Recorded, tmp_path: Path) -> None:
    """The provider is asked for the first time after the cut, so all that was promised must come out of the state."""
    assert not [path for path in recorded.photos.rglob("*") if path.is_file()], "nothing was to be sent"
    disk = Disk(recorded.state)
    for place, call in enumerate(recorded.calls):
        disk.take(call)
        if place in recorded.answers:
            number = recorded.answers.index(place)
            left = tmp_path / str(number)
            left.mkdir()
            disk.left(left / "state")
            assert sent_by(left, recorded.photos) == recorded.promises[number], f"cut after promise {number}"
            for path in recorded.photos.rglob("*.jpg"):
                path.unlink()


def sent_by(folder: Path, photos: Path) -> Mapping[str, bytes]:
    """What a daemon sends that is started with `folder`/state."""
    config = writable_config(folder, photos, settle="100ms")
    mount = start(folder, photos, config=config)
    try:
        found = Writable(mount, photos, folder)
        assert [item for item in found.sent() if item["stage"] == "failed"] == []
        stored = found.stored()
        assert mount.stop() == 0
    finally:
        take_down(mount)
    mount.expected += ["not a picture"]
    check_log(mount)
    return stored
