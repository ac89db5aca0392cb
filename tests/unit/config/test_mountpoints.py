"""iiiffs.mountpoints: what can be shown without mounting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from iiiffs.config import load_config
from iiiffs.errors import AlreadyRunning, ConfigError, MountRefused
from iiiffs.mountpoints import (
    canonical_mountpoint,
    check_fuse,
    check_outside_mount,
    mounted_at,
    prepare_mountpoint,
    probe,
    unmount,
)
from iiiffs.providers.mountinfo import parse_mountinfo

needs_fuse = pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened")

MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
40 27 0:50 / /home/ada/my\\040photos\\134x rw,nosuid,nodev shared:1 master:2 - fuse.iiiffs iiiffs rw,user_id=0
41 27 0:51 / /srv/m rw - ext4 /dev/sda1 rw
42 41 0:52 / /srv/m ro - fuse.iiiffs iiiffs rw
nonsense
"""


def test_mounted_at_reads_escapes_and_sees_the_topmost() -> None:
    mounts = parse_mountinfo(MOUNTINFO)
    found = mounted_at(Path("/home/ada/my photos\\x"), mounts)
    assert found is not None
    assert (found.type, found.device) == ("fuse.iiiffs", (0, 50))
    topmost = mounted_at(Path("/srv/m"), mounts)
    assert topmost is not None
    assert topmost.device == (0, 52)
    assert mounted_at(Path("/srv"), mounts) is None
    assert mounted_at(Path("/srv/m/sub"), mounts) is None


def test_canonical_follows_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "folder").symlink_to(tmp_path)
    assert canonical_mountpoint(tmp_path / "folder" / "link") == tmp_path.resolve() / "real"
    assert canonical_mountpoint(tmp_path / "real" / "..") == tmp_path.resolve()
    assert canonical_mountpoint(tmp_path / "missing") == tmp_path.resolve() / "missing"
    assert canonical_mountpoint(Path("/")) == Path("/")


def test_canonical_link_loop(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(MountRefused, match="too many symbolic links"):
        canonical_mountpoint(tmp_path / "a")


@needs_fuse
def test_prepare_takes_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "link").symlink_to("m")
    assert prepare_mountpoint(tmp_path / "link") == tmp_path / "m"


@needs_fuse
def test_prepare_refuses_in_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    full = tmp_path / "full"
    full.mkdir()
    (full / "a\nb").touch()
    table = {
        tmp_path / "missing": f"{tmp_path}/missing: no such directory; make it with `mkdir -p {tmp_path}/missing`",
        tmp_path / "file": f"{tmp_path}/file: not a directory; name an empty one",
        full: f"{full}: not empty (it holds 'a\\nb'), and mounting would hide that; name an empty one",
        Path("/proc"): "/proc: a file system of type proc is mounted there; choose another directory",
    }
    for path, line in table.items():
        with pytest.raises(MountRefused) as refused:
            prepare_mountpoint(path)
        assert str(refused.value) == line


def test_no_fuse_device(tmp_path: Path) -> None:
    with pytest.raises(MountRefused, match=r"fuse is missing; `modprobe fuse` as root"):
        check_fuse(tmp_path / "fuse")


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no fusermount3")
def test_no_fusermount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iiiffs.mountpoints.find_fusermount", lambda: None)
    with pytest.raises(MountRefused, match="fusermount3 is not in PATH; install the package fuse3"):
        check_fuse()


def test_probe(tmp_path: Path) -> None:
    assert probe(tmp_path) is None
    assert isinstance(probe(tmp_path / "missing"), FileNotFoundError)


def test_unmount_of_nothing_repeats_the_tools_reason(tmp_path: Path) -> None:
    with pytest.raises(MountRefused, match=r"not unmounted: .+"):
        unmount(tmp_path)


INSIDE = {
    "cache": (
        "m/cache",
        "state",
        "photos",
        "cache.path: {0}/m/cache lies inside the mount point {0}/m; choose another place",
    ),
    "state": ("cache", "m", "photos", "state.path: {0}/m lies inside the mount point {0}/m; choose another place"),
    "photos": (
        "cache",
        "state",
        "m/x",
        "account.a.path: {0}/m/x lies inside the mount point {0}/m; choose another place",
    ),
    "around": ("cache", "state", "", "the mount point {0}/m lies inside account.a.path = {0}; mount it elsewhere"),
    "link": (
        "link/c",
        "state",
        "photos",
        "cache.path: {0}/link/c lies inside the mount point {0}/m; choose another place",
    ),
}


@pytest.mark.parametrize(("cache", "state", "photos", "line"), INSIDE.values(), ids=INSIDE)
def test_nothing_of_ours_inside_the_mount(tmp_path: Path, cache: str, state: str, photos: str, line: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "link").symlink_to("m")
    file = tmp_path / "config.toml"
    file.write_text(
        f'[cache]\npath = "{tmp_path}/{cache}"\n[state]\npath = "{tmp_path}/{state}"\n'
        f'[account.a]\nprovider = "folder"\npath = "{tmp_path}/{photos}"\n'
    )
    with pytest.raises(ConfigError) as refused:
        check_outside_mount(load_config(file), tmp_path / "m")
    assert str(refused.value) == line.format(tmp_path)


def test_separate_places_pass(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[cache]\npath = "{tmp_path}/mcache"\n[state]\npath = "{tmp_path}/state"\n'
        f'[account.a]\nprovider = "folder"\npath = "{tmp_path}/photos"\n'
    )
    check_outside_mount(load_config(file), tmp_path / "m")


def test_exit_codes() -> None:
    assert (ConfigError.exit_code, MountRefused.exit_code, AlreadyRunning.exit_code) == (2, 3, 4)


def test_a_path_that_answers_with_an_error_is_no_link(tmp_path: Path) -> None:
    """`iiiffs why` asks about paths that are EIO; this one is ENAMETOOLONG."""
    path = tmp_path / ("x" * 300)
    assert canonical_mountpoint(path) == path
