"""iiiffs.cli.readiness: sd_notify, the background's pipe, ended children; and the checks and texts beside it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.cli import readiness
from iiiffs.cli.demo import Demo, check_port_free, config_text, first_picture, instructions, toml_string
from iiiffs.cli.doctor import check_fuse_conf, check_store, check_updatedb
from iiiffs.cli.presentation import duration_text, key_text, size_text, value_text
from iiiffs.errors import StartError


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"@iiiffs-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(10)
        readiness.notify_systemd({"NOTIFY_SOCKET": name}, READY="1", STATUS="mounted on /m")
        assert manager.recv(1000) == b"READY=1\nSTATUS=mounted on /m"


def test_no_systemd() -> None:
    readiness.notify_systemd({}, READY="1")


@pytest.mark.warns("systemd could not be told READY=1")
def test_deaf_systemd(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    readiness.notify_systemd({"NOTIFY_SOCKET": str(tmp_path / "none")}, READY="1")
    assert "systemd could not be told READY=1" in caplog.text


def test_ready_fd_is_taken_once_and_not_inherited() -> None:
    reading, writing = os.pipe()
    try:
        os.set_inheritable(writing, True)
        environ = {readiness.READY_FD_VARIABLE: str(writing)}
        assert readiness.take_ready_fd(environ) == writing
        assert not os.get_inheritable(writing)
        assert environ == {}
        assert readiness.take_ready_fd(environ) is None
    finally:
        os.close(reading)
        os.close(writing)


def test_stop_child(child: subprocess.Popen[bytes]) -> None:
    assert readiness.stop_child(child) < 0


def test_wait_process_end(child: subprocess.Popen[bytes]) -> None:
    assert not readiness.wait_process_end(child.pid, 0.0)
    child.kill()
    assert readiness.wait_process_end(child.pid, 30.0)
    child.wait()
    assert readiness.wait_process_end(child.pid, 0.0)


def test_port_in_use_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with pytest.raises(
            StartError, match=rf"127\.0\.0\.1:{port} cannot be listened on .*; choose another with --port"
        ):
            check_port_free(port)
    check_port_free(port)


@given(st.text())
def test_toml_strings_come_back(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert tomllib.loads(f"x = {toml_string(text)}")["x"] == text


def test_demo_texts(tmp_path: Path) -> None:
    photos = tmp_path / 'my "photos"'
    (photos / "b c").mkdir(parents=True)
    (photos / ".hidden").mkdir()
    for name in ("a.jpg", "b c/it's.JPG", ".hidden/x.jpg", "b c/notes.txt"):
        (photos / name).touch()
    scene = Demo(tmp_path / "demo", photos, 8123)
    assert tomllib.loads(config_text(scene))["account"]["gallery"]["path"] == str(photos)
    picture = first_picture(photos)
    assert picture == Path("b c/it's.JPG")
    lines = [line for line in instructions(scene, picture).splitlines() if line.startswith("  ")]
    assert len(lines) == 6
    assert "http://127.0.0.1:8123/gallery/files/b%20c/iiif/it%27s.JPG/info.json" in lines[3]
    for line in lines:
        subprocess.run(["bash", "-n", "-c", line], check=True, timeout=30)


def test_demo_without_pictures(tmp_path: Path) -> None:
    assert first_picture(tmp_path) is None
    assert "find " in instructions(Demo(tmp_path, tmp_path, 80), None)


UPDATEDB = {
    "pruned": ('PRUNEFS="NFS fuse.iiiffs"\n', "ok"),
    "not pruned": ('PRUNEFS="NFS fuse.sshfs"\n', "warn"),
    "no PRUNEFS": ('PRUNEPATHS="/tmp"\n', "warn"),
    "in a comment": ('#PRUNEFS="fuse.iiiffs"\n', "warn"),
}


@pytest.mark.parametrize(("text", "level"), UPDATEDB.values(), ids=UPDATEDB)
def test_doctor_updatedb(tmp_path: Path, text: str, level: str) -> None:
    (tmp_path / "updatedb.conf").write_text(text)
    assert [finding.level for finding in check_updatedb(tmp_path / "updatedb.conf")] == [level]
    assert [finding.level for finding in check_updatedb(tmp_path / "none")] == ["ok"]


def test_doctor_fuse_conf(tmp_path: Path) -> None:
    (tmp_path / "fuse.conf").write_text("#user_allow_other\n")
    lacking = "ok" if os.geteuid() == 0 else "warn"
    assert [finding.level for finding in check_fuse_conf(tmp_path / "fuse.conf")] == [lacking]
    (tmp_path / "fuse.conf").write_text("mount_max = 3\n user_allow_other \n")
    (found,) = check_fuse_conf(tmp_path / "fuse.conf")
    assert found.text.endswith("has user_allow_other")


def test_doctor_store(tmp_path: Path) -> None:
    assert check_store("cache.path", tmp_path / "not" / "yet", 1).level == "ok"
    assert check_store("cache.path", tmp_path, 2**60).level == "warn"
    (tmp_path / "file").touch()
    assert check_store("cache.path", tmp_path / "file" / "x", 1).level == "fail"


VALUES = [
    ("used_bytes", 1536, "1.5 KiB"),
    ("used_bytes", 37, "37 B"),
    ("up_s", 3 * 86400 + 4 * 3600 + 5, "3 d 4 h"),
    ("up_s", 61, "1 min 1 s"),
    ("up_s", 3600, "1 h"),
    ("up_s", 1.25, "1.25 s"),
    ("inodes", 12345, "12,345"),
    ("online", True, "yes"),
    ("reason", None, "-"),
    ("names", [], "-"),
    ("names", ["a", "b"], "a, b"),
    ("render", {"done": 2, "held_bytes": 2048}, "done 2, held size 2.0 KiB"),
]


@pytest.mark.parametrize(("key", "value", "text"), VALUES)
def test_values(key: str, value: object, text: str) -> None:
    assert value_text(key, value) == text


def test_units() -> None:
    assert (size_text(5 * 2**40), duration_text(0), key_text("max_bytes")) == ("5.0 TiB", "0 s", "max size")
