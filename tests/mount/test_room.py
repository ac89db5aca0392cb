"""`df` on a mount: the room of its one account, at once; and what does not fit is refused at the call."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from tests.harness.mount import mounted
from tests.harness.scripted import PROGRAM, Flavour, Store, scripted_config
from tests.harness.writable import Writable, writable, writable_config
from tests.mount.observing import eventually

LARGE_BYTES = 1 << 50
MIB = 1 << 20
NOISE_BYTES = 512 * MIB
"""What other programs may write to the same disk meanwhile."""


def df(path: Path) -> tuple[int, int, int]:
    """Size, used and available, in bytes."""
    done = subprocess.run(
        ["df", "-B1", "--output=size,used,avail", path], capture_output=True, text=True, check=True, timeout=30
    )
    size, used, available = map(int, done.stdout.splitlines()[1].split())
    return size, used, available


def test_of_a_folder_it_is_its_disk_at_the_first_question(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with writable(tmp_path, tmp_path / "photos") as at:
        ours, disk = df(at.mount.root), df(tmp_path / "photos")
        assert ours[0] == pytest.approx(disk[0], abs=4096)
        assert ours[1:] == pytest.approx(disk[1:], abs=NOISE_BYTES)
        told, whole = os.statvfs(at.mount.root), os.statvfs(tmp_path / "photos")
        reserved = (told.f_bfree - told.f_bavail) * told.f_frsize
        assert reserved == pytest.approx((whole.f_bfree - whole.f_bavail) * whole.f_frsize, abs=4096)


def test_of_several_accounts_it_is_large(tmp_path: Path) -> None:
    for name in ("photos", "more"):
        (tmp_path / name).mkdir()
    config = writable_config(tmp_path, tmp_path / "photos")
    config.write_text(f'{config.read_text()}\n[account.more]\nprovider = "folder"\npath = "{tmp_path}/more"\n')
    with mounted(tmp_path, tmp_path / "photos", config=config) as mount:
        assert df(mount.root) == (LARGE_BYTES, 0, LARGE_BYTES)


@pytest.mark.parametrize("flavour", list(Flavour))
def test_of_a_server_it_is_the_quota_and_what_is_over_it_is_refused(tmp_path: Path, flavour: Flavour) -> None:
    with Store(tmp_path / "server", flavour) as store:
        store.make_album("Holidays")
        store.set_quota(3 * MIB)
        config = scripted_config(tmp_path, store, access="edit")
        with mounted(tmp_path, store.path, config=config, program=PROGRAM) as mount:
            mount.expected += ["not a picture"]
            at = Writable(mount, store.path, tmp_path / "trash")
            album = (mount.files if flavour is Flavour.FOLDER else mount.account / "albums") / "Holidays"
            assert df(mount.root) == (3 * MIB, 0, 3 * MIB)
            (album / "a.jpg").write_bytes(os.urandom(2 * MIB))
            assert df(mount.root)[2] == MIB, "what waits, or has just arrived, counts"
            with pytest.raises(OSError, match="quota exceeded") as refused:
                (album / "b.jpg").write_bytes(os.urandom(2 * MIB))
            assert refused.value.errno == errno.EDQUOT
            assert "the account was full" in os.getxattr(album / "b.jpg", "user.iiiffs.error").decode()
            (album / "b.jpg").unlink()
            (album / "c.jpg").write_bytes(os.urandom(MIB))
            with pytest.raises(OSError, match="quota exceeded") as refused:
                (album / "d.jpg").touch()
            assert refused.value.errno == errno.EDQUOT
            at.sent()
            assert sorted(asset.name for asset in store.assets()) == ["a.jpg", "c.jpg"]
            store.set_quota(30 * MIB)
            eventually(lambda: (album / "d.jpg").write_bytes(b"room again") == 10, deadline_s=10.0)
            at.sent()
            assert len(store.assets()) == 3
        store.check()
