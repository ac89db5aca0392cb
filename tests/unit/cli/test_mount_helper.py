"""iiiffs.cli.mount_helper: mount(8)'s spellings."""

from __future__ import annotations

from pathlib import Path

import pytest

from iiiffs.cli import COMMANDS
from iiiffs.cli.mount_helper import HelperOptions, parse_mount_options, parse_umask, translate_argv
from iiiffs.errors import ConfigError

OPTIONS = {
    "nothing": ([], HelperOptions()),
    "empty": ([""], HelperOptions()),
    "fstab's own": (
        ["rw,noauto,_netdev,nofail,user,dev,suid,x-systemd.automount,x-gvfs-show,comment=a"],
        HelperOptions(),
    ),
    "all": (
        ["ro,allow_other,uid=1000,gid=33,umask=027,config=/etc/i.toml,account=a"],
        HelperOptions(True, True, 1000, 33, 0o027, Path("/etc/i.toml"), ("a",)),
    ),
    "comma in a value": ([r"config=/a\,b.toml,ro"], HelperOptions(read_only=True, config=Path("/a,b.toml"))),
    "two lists": (["uid=1,account=a", "uid=2,account=b"], HelperOptions(uid=2, accounts=("a", "b"))),
}


@pytest.mark.parametrize(("texts", "options"), OPTIONS.values(), ids=OPTIONS)
def test_options(texts: list[str], options: HelperOptions) -> None:
    assert parse_mount_options(texts) == options


BAD = {
    "published": "-o published: unknown mount option; known are ro, allow_other, uid=N",
    "ro=1": "-o ro=1: unknown mount option",
    "uid": "-o uid: unknown mount option",
    "uid=ada": "-o uid: expected a number, found 'ada'",
    "gid=-1": "-o gid: expected a number, found '-1'",
    "uid=4294967295": "-o uid: expected a number, found '4294967295'",
    "umask=8": "-o umask: expected octal digits up to 777 such as 022, found '8'",
    "umask=1777": "-o umask: expected octal digits up to 777 such as 022, found '1777'",
}


@pytest.mark.parametrize(("text", "line"), BAD.items())
def test_bad_options(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_mount_options(["ro," + text])
    assert str(refused.value).startswith(line)


def test_umask_spellings() -> None:
    assert [parse_umask(text, "-o umask") for text in ("22", "022", "0o22", "0")] == [0o22, 0o22, 0o22, 0]


MOUNT = ["mount", "--background"]
ARGV = {
    "a verb": (["/usr/bin/iiiffs", "status", "--json"], ["status", "--json"]),
    "a verb with -o": (["iiiffs", "mount", "/m", "-o", "ro"], ["mount", "/m", "-o", "ro"]),
    "no verb": (["iiiffs"], []),
    "an option": (["iiiffs", "--version"], ["--version"]),
    "a wrong verb": (["iiiffs", "stauts", "/m"], ["stauts", "/m"]),
    "mount.fuse3": (
        ["iiiffs", "/etc/i.toml", "/m", "-o", "rw,dev,suid"],
        [*MOUNT, "--config", "/etc/i.toml", "-o", "rw,dev,suid", "--", "/m"],
    ),
    "mount.fuse3, default": (["iiiffs", "none", "/m", "-o", "rw"], [*MOUNT, "-o", "rw", "--", "/m"]),
    "helper": (
        ["/sbin/mount.fuse.iiiffs", "/etc/i.toml", "/m", "-s", "-o", "ro", "-nv"],
        [*MOUNT, "--config", "/etc/i.toml", "-o", "ro", "-v", "--", "/m"],
    ),
    "helper, short": (["/sbin/mount.iiiffs", "iiiffs", "/m"], [*MOUNT, "--", "/m"]),
    "helper, -o joined": (["mount.iiiffs", "none", "/m", "-oro"], [*MOUNT, "-o", "ro", "--", "/m"]),
    "helper, type": (["mount.iiiffs", "none", "/m", "-t", "fuse.iiiffs"], [*MOUNT, "--", "/m"]),
}


@pytest.mark.parametrize(("argv", "arguments"), ARGV.values(), ids=ARGV)
def test_argv(argv: list[str], arguments: list[str]) -> None:
    assert translate_argv(argv, COMMANDS) == arguments


def test_helper_without_mountpoint() -> None:
    with pytest.raises(ConfigError, match=r"mount\.iiiffs: expected SOURCE MOUNTPOINT \[-o OPTIONS\], found 'none'"):
        translate_argv(["/sbin/mount.iiiffs", "none"], COMMANDS)
