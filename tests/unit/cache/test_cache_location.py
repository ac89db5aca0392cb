"""Stores on network file systems are refused, with what they are for."""

from pathlib import Path

import pytest

from iiiffs.cache.location import refuse_network_filesystem
from iiiffs.errors import ConfigError
from iiiffs.providers import mountinfo

MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /home rw,relatime shared:1 master:2 - nfs4 server:/home rw
31 30 0:41 / /home/ada/local\040disk rw - xfs /dev/vdb rw
32 27 0:42 / /over rw - ext4 /dev/vdc rw
33 27 0:43 / /over rw - cifs //server/share rw
34 27 0:44 / /remote rw - fuse.rclone drive: rw
35 27 0:45 / /crypt rw - fuse.gocryptfs /x rw
36 27 0:46 / /photos rw - fuse.iiiffs iiiffs ro
"""


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/home/a", True),
        ("/over/a", True),
        ("/remote/a", True),
        ("/photos/a", True),
        ("/crypt/a", False),
        ("/a", False),
    ],
)
def test_network_is_refused_with_its_purpose(
    path: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTINFO)
    monkeypatch.setattr(mountinfo, "MOUNTINFO", table)
    if not refused:
        refuse_network_filesystem(Path(path), "state")
        return
    with pytest.raises(ConfigError, match=r"the state folder .* network file system"):
        refuse_network_filesystem(Path(path), "state")


def test_this_machine_s_own_table_is_read(tmp_path: Path) -> None:
    assert mountinfo.mount_of(str(tmp_path.resolve()), mountinfo.read_mounts()) is not None
    refuse_network_filesystem(tmp_path, "cache")


@pytest.mark.warns("cannot tell the file system")
def test_without_proc_it_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mountinfo, "MOUNTINFO", tmp_path / "absent")
    refuse_network_filesystem(tmp_path, "cache")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
