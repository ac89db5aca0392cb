"""Nothing can be changed: every mutating call is EROFS, for root and for others, and changes nothing underneath."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iiiffs.providers.mountinfo import read_mounts
from tests.harness.mount import Mount, mounted
from tests.mount.observing import as_user, errno_of, names, walk

NOBODY = 65534
REAL = "a.jpg"
MUTATIONS: dict[str, Callable[[Path], object]] = {
    "create": lambda at: os.open(at / "new.jpg", os.O_CREAT | os.O_WRONLY),
    "create exclusively": lambda at: os.open(at / "new.jpg", os.O_CREAT | os.O_EXCL | os.O_RDONLY),
    "create over": lambda at: os.open(at / REAL, os.O_CREAT | os.O_WRONLY),
    "open to write": lambda at: os.open(at / REAL, os.O_WRONLY),
    "open to read and write": lambda at: os.open(at / REAL, os.O_RDWR),
    "open to append": lambda at: os.open(at / REAL, os.O_WRONLY | os.O_APPEND),
    "open to truncate": lambda at: os.open(at / REAL, os.O_WRONLY | os.O_TRUNC),
    "open to read and truncate": lambda at: os.open(at / REAL, os.O_RDONLY | os.O_TRUNC),
    "truncate": lambda at: os.truncate(at / REAL, 0),
    "mkdir": lambda at: (at / "new").mkdir(),
    "mknod": lambda at: os.mkfifo(at / "new"),
    "symlink": lambda at: (at / "new").symlink_to("x"),
    "link": lambda at: (at / "new").hardlink_to(at / REAL),
    "unlink": lambda at: (at / REAL).unlink(),
    "unlink of ours": lambda at: (at / "manifest.json").unlink(),
    "rmdir": lambda at: (at / "empty").rmdir(),
    "rename": lambda at: (at / REAL).rename(at / "new.jpg"),
    "rename over": lambda at: (at / REAL).rename(at / "b.png"),
    "chmod": lambda at: (at / REAL).chmod(0o600),
    "chown": lambda at: os.chown(at / REAL, os.geteuid(), -1),
    "utime": lambda at: os.utime(at / REAL, (0, 0)),
    "touch": lambda at: os.utime(at / REAL),
    "setxattr": lambda at: os.setxattr(at / REAL, "user.comment", b"x"),
    "removexattr": lambda at: os.removexattr(at / REAL, "user.comment"),
    "write into the service": lambda at: os.open(at / "iiif" / REAL / "new", os.O_CREAT | os.O_WRONLY),
}


@pytest.fixture(scope="module")
def shared(open_folder: Path, sample_photos: Path) -> Iterator[Mount]:
    with mounted(open_folder / "shared", sample_photos, "--allow-other") as mount:
        yield mount


@pytest.mark.parametrize("uid", [0, NOBODY], ids=["root", "nobody"])
@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS.keys())
def test_nothing_can_be_changed(shared: Mount, mutation: Callable[[Path], object], uid: int) -> None:
    before = {entry.path: entry.stat(follow_symlinks=False) for entry in walk(shared.files)}
    with as_user(uid):
        failed = errno_of(lambda: mutation(shared.files))
    assert errno.errorcode.get(failed) == "EROFS"
    assert {entry.path: entry.stat(follow_symlinks=False) for entry in walk(shared.files)} == before


def test_another_user_reads_all_but_the_control_folder(shared: Mount) -> None:
    with as_user(NOBODY):
        assert len((shared.files / REAL).read_bytes()) > 0
        assert (shared.files / "iiif" / REAL / "full" / "9," / "0" / "default.jpg").stat().st_size > 0
        assert errno_of(lambda: names(shared.root / ".iiiffs")) == errno.EACCES
        assert errno_of((shared.root / ".iiiffs" / "status.json").read_bytes) == errno.EACCES
    assert names(shared.root / ".iiiffs") == ["metrics", "status.json"]


def test_without_allow_other_nobody_else_enters(open_folder: Path, sample_photos: Path) -> None:
    with mounted(open_folder / "private", sample_photos) as mount:
        assert names(mount.root)
        with as_user(NOBODY):
            assert errno_of(lambda: names(mount.root)) == errno.EACCES
            assert errno_of((mount.files / REAL).read_bytes) == errno.EACCES


def test_owner_and_mode_are_as_asked(open_folder: Path, sample_photos: Path) -> None:
    arguments = ("--allow-other", "--uid", "1234", "--gid", str(NOBODY), "--umask", "027")
    with mounted(open_folder / "owned", sample_photos, *arguments) as mount:
        folder, file, link = mount.files.stat(), (mount.files / REAL).stat(), (mount.files / "iiif" / REAL).lstat()
        for told in (folder, file, link, mount.root.stat()):
            assert (told.st_uid, told.st_gid) == (1234, NOBODY)
        assert (folder.st_mode & 0o7777, file.st_mode & 0o7777) == (0o550, 0o440)
        with as_user(NOBODY):  # by its group
            assert (mount.files / REAL).read_bytes()
        with as_user(NOBODY - 1):
            assert errno_of((mount.files / REAL).read_bytes) == errno.EACCES


def test_the_file_system_says_what_it_is(shared: Mount) -> None:
    (line,) = [line for line in Path("/proc/self/mounts").read_text().splitlines() if f" {shared.root} " in line]
    source, _, kind, options = line.split()[:4]
    assert (source, kind) == ("iiiffs", "fuse.iiiffs")
    assert {"ro", "nosuid", "nodev", "noexec", "default_permissions", "allow_other"} <= set(options.split(","))
    assert any(mount.point == str(shared.root) for mount in read_mounts())
    told = os.statvfs(shared.root)
    assert min(told.f_bsize, told.f_blocks, told.f_bfree, told.f_bavail, told.f_files, told.f_ffree) > 0
    assert told.f_namemax == 255
    assert subprocess.run(["df", shared.root], check=True, capture_output=True).stdout
    assert (shared.root.stat().st_mode & 0o7777, shared.files.stat().st_mode & 0o7777) == (0o555, 0o555)


def test_the_kernel_may_send_many_background_requests(shared: Mount) -> None:
    (device,) = [mount.device for mount in read_mounts() if mount.point == str(shared.root)]
    limit = Path("/sys/fs/fuse/connections") / str(device[1]) / "max_background"
    assert int(limit.read_text()) >= 1024
