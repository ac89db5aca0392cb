"""mountinfo lines, as the kernel writes them."""

from __future__ import annotations

import pytest

from iiiffs.providers.mountinfo import Mount, mount_of, parse_mountinfo

TEXT = r"""27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:50 / /mnt/my\040photos rw,relatime shared:1 master:2 - nfs4 nas:/export rw,vers=4.2
41 27 0:51 / /mnt/b rw - fuse.sshfs me@host: rw
42 27 0:52 / /mnt/b rw - tmpfs tmpfs rw
a line of a kernel to come
"""


def test_every_line_is_a_mount() -> None:
    assert parse_mountinfo(TEXT) == [
        Mount((254, 0), "/", "ext4"),
        Mount((0, 50), "/mnt/my photos", "nfs4"),
        Mount((0, 51), "/mnt/b", "fuse.sshfs"),
        Mount((0, 52), "/mnt/b", "tmpfs"),
    ]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/mnt/my photos", "nfs4"),
        ("/mnt/my photos/a/b", "nfs4"),
        ("/mnt/my photos2", "ext4"),
        ("/mnt/b/c", "tmpfs"),
    ],
)
def test_the_innermost_and_latest_mount_holds_a_path(path: str, kind: str) -> None:
    mount = mount_of(path, parse_mountinfo(TEXT))
    assert mount is not None
    assert mount.type == kind
