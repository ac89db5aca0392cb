"""mountinfo lines, as the kernel writes them."""

from __future__ import annotations

import pytest

from iiiffs.providers.mountinfo import Mount, mount_of, parse_mountinfo

TEXT = r"""27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:50 / /mnt/my\040photos rw,relatime shared:1 master:2 - nfs4 nas:/export rw,vers=4.2
41 27 0:51 / /mnt/b rw - fuse.sshfs me@host: rw
42 27 0:52 / /mnt/b rw - tmpfs tmpfs rw
30 27 0:40 / /home rw,relatime shared:1 master:2 - nfs4 server:/home rw
31 30 0:41 / /home/ada/local\040disk rw - xfs /dev/vdb rw
34 27 0:44 / /remote rw - fuse.rclone drive: rw
a line of a kernel to come
"""


def test_every_line_is_a_mount() -> None:
    assert parse_mountinfo(TEXT) == [
        Mount((254, 0), "/", "ext4"),
        Mount((0, 50), "/mnt/my photos", "nfs4"),
        Mount((0, 51), "/mnt/b", "fuse.sshfs"),
        Mount((0, 52), "/mnt/b", "tmpfs"),
        Mount((0, 40), "/home", "nfs4"),
        Mount((0, 41), "/home/ada/local disk", "xfs"),
        Mount((0, 44), "/remote", "fuse.rclone"),
    ]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/mnt/my photos", "nfs4"),
        ("/mnt/my photos/a/b", "nfs4"),
        ("/mnt/my photos2", "ext4"),
        ("/mnt/b/c", "tmpfs"),
        ("/var/cache", "ext4"),
        ("/home/ada/.cache", "nfs4"),
        ("/homework", "ext4"),
        ("/home/ada/local disk/cache", "xfs"),
        ("/remote", "fuse.rclone"),
    ],
)
def test_the_innermost_and_latest_mount_holds_a_path(path: str, kind: str) -> None:
    mount = mount_of(path, parse_mountinfo(TEXT))
    assert mount is not None
    assert mount.type == kind


def test_a_table_without_the_root_holds_no_other_path() -> None:
    assert mount_of("/x", parse_mountinfo("garbage\n34 27 0:44 / /remote rw - nfs a rw\n")) is None
