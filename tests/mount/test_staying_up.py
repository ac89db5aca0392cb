"""Ending in order, whatever is going on; and coming back after a kill."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.mount import STOP_S, Mount, check_log, is_mounted, start, take_down
from tests.mount.commands import reap, run_iiiffs, start_clients
from tests.mount.hanging import HUNG, hanging_photos, hung_lookups, hung_reads, hung_renders, start_hanging
from tests.mount.observing import errno_of, eventually, names
from tests.mount.pictures import picture

END_S = 10.0
SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=["SIGTERM", "SIGINT", "SIGHUP"]
)
DEAD_MOUNT = "a mount whose daemon is gone was found there"


@contextmanager
def taken_down(mount: Mount) -> Iterator[Mount]:
    """For mounts that the test itself ends: nothing is left of it afterwards, and its log is clean."""
    try:
        yield mount
    finally:
        take_down(mount)
    check_log(mount)


def ends_well(mount: Mount, number: int) -> None:
    """The signal, twice, ends it with 0 in time, and the mount point is free."""
    began = time.monotonic()
    mount.process.send_signal(number)
    time.sleep(0.01)
    if mount.process.poll() is None:
        mount.process.send_signal(number)
    assert mount.wait() == 0
    assert time.monotonic() - began < END_S
    assert not is_mounted(mount.root)
    assert names(mount.root) == []
    assert not mount.socket.exists()


@SIGNALS
def test_a_signal_at_idle(tmp_path: Path, sample_photos: Path, number: int) -> None:
    with taken_down(start(tmp_path, sample_photos)) as mount:
        assert names(mount.files)
        ends_well(mount, number)


@SIGNALS
def test_a_signal_while_files_are_open_and_a_shell_is_inside(tmp_path: Path, sample_photos: Path, number: int) -> None:
    with taken_down(start(tmp_path, sample_photos)) as mount:
        shell = subprocess.Popen(["sleep", "60"], cwd=mount.files)
        try:
            held = os.open(mount.files / "film.bin", os.O_RDONLY)
            assert os.pread(held, 10, 0)
            ends_well(mount, number)
            assert errno_of(lambda: os.pread(held, 10, 2 << 20)) in (errno.ENOTCONN, errno.ECONNABORTED)
            assert errno_of(lambda: os.close(held)) in (0, errno.ENOTCONN)  # closed all the same: close(2)
        finally:
            reap([shell])


@pytest.fixture(scope="module")
def large_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture that takes a while to render."""
    photos = tmp_path_factory.mktemp("large") / "photos"
    picture(photos / "large.jpg", 1, (6000, 4000))
    return photos


@SIGNALS
def test_a_signal_during_renders(tmp_path: Path, large_photos: Path, number: int) -> None:
    with taken_down(start(tmp_path, large_photos)) as mount:
        service = (mount.files / "iiif" / "large.jpg").resolve()
        clients = start_clients(["stat"], [service / "full" / f"^{6000 + n}," / "33" / "default.png" for n in range(6)])
        try:
            time.sleep(0.3)
            assert all(client.poll() is None for client in clients)
            ends_well(mount, number)
        finally:
            take_down(mount)
            reap(clients)


@SIGNALS
def test_a_signal_while_requests_are_stuck(tmp_path: Path, number: int) -> None:
    with taken_down(start_hanging(tmp_path / "mount", hanging_photos(tmp_path / "photos"))) as mount:
        clients = start_clients(["stat"], [*hung_renders(mount), *hung_lookups(mount)])
        clients += start_clients(["cat"], hung_reads(mount))
        try:
            time.sleep(0.5)
            assert [client.poll() for client in clients] == [None] * 3 * HUNG
            ends_well(mount, number)
        finally:
            take_down(mount)
            reap(clients)


def test_after_a_kill_the_stale_mount_is_repaired(tmp_path: Path, sample_photos: Path) -> None:
    first = start(tmp_path, sample_photos)
    shell = subprocess.Popen(["sleep", "60"], cwd=first.files)
    try:
        inode = (first.files / "a.jpg").stat().st_ino
        first.kill()
        assert is_mounted(first.root)
        assert errno_of(lambda: names(first.root)) == errno.ENOTCONN
        with taken_down(start(tmp_path, sample_photos)) as second:
            second.expected.append(DEAD_MOUNT)
            assert second.log.count(DEAD_MOUNT) == 1
            assert (second.files / "a.jpg").stat().st_ino == inode
            assert second.stop() == 0
            assert not is_mounted(second.root)
    finally:
        take_down(first)
        reap([shell])


def test_killed_again_and_again_in_the_middle_of_work(tmp_path: Path, sample_photos: Path) -> None:
    tile = Path("iiif/a.jpg/full/77,/0/default.jpg")
    told = set()
    for _ in range(4):
        mount = start(tmp_path, sample_photos)
        try:
            told.add((mount.files / tile).stat().st_ino)
            for width in range(20, 26):
                (mount.files / "iiif" / "a.jpg" / "full" / f"{width}," / "0" / "default.jpg").stat()
            mount.kill()
        finally:
            take_down(mount)
    with taken_down(start(tmp_path, sample_photos)) as mount:
        told.add((mount.files / tile).stat().st_ino)
        assert len((mount.files / tile).read_bytes()) > 0
        assert mount.stop() == 0
    assert len(told) == 1


@pytest.mark.parametrize("command", ["umount {root}", "fusermount3 -u {root}", "umount -l {root}"])
def test_an_unmount_from_outside_ends_the_daemon(tmp_path: Path, sample_photos: Path, command: str) -> None:
    with taken_down(start(tmp_path, sample_photos)) as mount:
        assert names(mount.files)
        subprocess.run(command.format(root=mount.root).split(), check=True, timeout=20)
        assert mount.wait() == 0
        assert names(mount.root) == []


def test_umount_waits_for_the_daemon(tmp_path: Path, sample_photos: Path) -> None:
    with taken_down(start(tmp_path, sample_photos)) as mount:
        ended = run_iiiffs("umount", "--wait", mount.root, "--config", mount.config)
        assert (ended.code, ended.lines) == (0, [])
        assert mount.process.wait(1) == 0


def test_umount_refuses_while_somebody_is_inside(tmp_path: Path, sample_photos: Path) -> None:
    with taken_down(start(tmp_path, sample_photos)) as mount:
        with (mount.files / "a.jpg").open("rb"):
            refused = run_iiiffs("umount", mount.root, "--config", mount.config)
            assert (refused.code, len(refused.lines)) == (3, 1), refused
        assert mount.process.poll() is None
        assert run_iiiffs("umount", mount.root, "--config", mount.config).code == 0
        assert mount.wait() == 0
        again = run_iiiffs("umount", mount.root, "--config", mount.config)
        assert (again.code, len(again.lines)) == (3, 1), again


def test_in_the_background_it_returns_when_the_mount_answers(tmp_path: Path, sample_photos: Path) -> None:
    with taken_down(start(tmp_path, sample_photos)) as mount:  # its configuration is used again
        assert mount.stop() == 0
    command = [sys.executable, "-m", "iiiffs", "mount", "--background", str(mount.root), "--config", str(mount.config)]
    subprocess.run(command, check=True, timeout=30, capture_output=True)
    try:
        assert (mount.files / "a.jpg").read_bytes() == (sample_photos / "a.jpg").read_bytes()
        pid = mount.status()["pid"]
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not Path(f"/proc/{pid}").exists(), deadline_s=STOP_S)
        assert not is_mounted(mount.root)
        assert "mounted on" in (tmp_path / "state" / "iiiffs.log").read_text()
    finally:
        take_down(mount)


def test_no_process_inherits_the_device(tmp_path: Path, sample_photos: Path) -> None:
    with taken_down(start(tmp_path, sample_photos)) as mount:
        children = Path(f"/proc/{mount.process.pid}/task/{mount.process.pid}/children").read_text().split()
        assert children == []
        assert mount.stop() == 0
