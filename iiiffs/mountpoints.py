"""Mount points: what is mounted where, whether a directory can become one, and taking a mount away.

Assumes Linux (/proc/self/mountinfo). Never stats below a mount, and what is mounted on the very path is asked only from
a thread that may be left behind, since a FUSE mount whose daemon is stuck answers nobody.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from iiiffs.config import Config
from iiiffs.errors import AlreadyRunning, ConfigError, MountRefused
from iiiffs.providers.mountinfo import OWN_TYPE, Mount, read_mounts

log = logging.getLogger(__name__)

FUSE_DEVICE = Path("/dev/fuse")
ANSWER_DEADLINE_S = 5.0
TOOL_DEADLINE_S = 20.0


def mounted_at(path: Path, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that is seen at exactly `path` (of several there the topmost), or None."""
    return next((mount for mount in reversed(mounts) if mount.point == str(path)), None)


def canonical_mountpoint(path: Path) -> Path:
    """`path` as mountinfo spells it: absolute, links resolved, and nothing asked of what is mounted on it."""
    mounts = read_mounts()
    for _ in range(40):  # as many links as the kernel follows
        path = Path(os.path.realpath(path.absolute().parent)) / path.name if path.name else path.absolute()
        if path.name in {"", ".", ".."}:
            return path.resolve()
        if mounted_at(path, mounts) or not os.path.islink(path):  # noqa: PTH114 - which raises nothing
            return path
        path = path.parent / path.readlink()
    raise MountRefused(f"{path}: too many symbolic links; name the directory itself")


def probe(path: Path, deadline_s: float = ANSWER_DEADLINE_S) -> OSError | None:
    """None if `path` answers; else the OSError that it answers with, or TimeoutError after `deadline_s`.

    Asked by stat, then by statfs: a stat alone is answered from the kernel's attribute cache for a while after the
    daemon has died (seen on Linux 6.18), and a statfs alone is allowed to everybody.
    The questions are put in a daemon thread, which is left to the kernel if nothing answers.
    """
    answer: list[OSError | None] = []

    def ask() -> None:
        try:
            path.stat()
            os.statvfs(path)
        except OSError as error:
            answer.append(error)
        else:
            answer.append(None)

    thread = threading.Thread(target=ask, name=f"probe {path}", daemon=True)
    thread.start()
    thread.join(deadline_s)
    return answer[0] if answer else TimeoutError(errno.ETIMEDOUT, f"no answer within {deadline_s:g} s")


def prepare_mountpoint(path: Path) -> Path:
    """`path`, canonical, is an empty directory with nothing mounted on it, and FUSE is there to mount with.

    A dead mount of ours on it is taken away, with a log line.
    Errors: MountRefused, AlreadyRunning; each says what to do.
    """
    check_fuse()
    path = canonical_mountpoint(path)
    for _ in range(16):  # dead mounts may be stacked
        mount = mounted_at(path, read_mounts())
        if mount is None:
            break
        _clear_dead_mount(path, mount)
    else:
        raise MountRefused(f"{path}: dead mounts keep coming back; `umount -l {path}` as root")
    _check_directory(path)
    return path


def _clear_dead_mount(path: Path, mount: Mount) -> None:
    if mount.type != OWN_TYPE:
        raise MountRefused(f"{path}: a file system of type {mount.type} is mounted there; choose another directory")
    error = probe(path)
    if error is None:
        raise AlreadyRunning(f"{path}: iiiffs is mounted there already; `iiiffs umount {path}` ends it")
    if isinstance(error, TimeoutError):
        raise AlreadyRunning(f"{path}: iiiffs is mounted there and hangs; `fusermount3 -uz {path}` frees it")
    if error.errno == errno.EACCES:
        raise AlreadyRunning(f"{path}: another user's iiiffs is mounted there; choose another directory")
    if error.errno not in (errno.ENOTCONN, errno.ECONNABORTED):
        raise MountRefused(f"{path}: a mounted iiiffs answers {error.strerror}; `fusermount3 -uz {path}` frees it")
    log.warning("%s: a mount whose daemon is gone was found there and is taken away", path)
    unmount(path, lazy=True)


def _check_directory(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise MountRefused(f"{path}: no such directory; make it with `mkdir -p {path}`") from None
    except OSError as error:
        raise MountRefused(f"{path}: {error.strerror}; choose a directory that you own") from None
    if not stat.S_ISDIR(mode):
        raise MountRefused(f"{path}: not a directory; name an empty one")
    try:
        with os.scandir(path) as entries:
            found = next(entries, None)
    except OSError as error:
        raise MountRefused(f"{path}: {error.strerror}; choose a directory that you own") from None
    if found is not None:
        raise MountRefused(
            f"{path}: not empty (it holds {found.name!r}), and mounting would hide that; name an empty one"
        )
    if os.geteuid() != 0 and not os.access(path, os.W_OK):
        raise MountRefused(f"{path}: you may not write to it; name a directory that you own")


def check_fuse(device: Path = FUSE_DEVICE) -> None:
    """This process can mount by FUSE: fusermount3 too opens the device with the user's own rights (seen on 3.14).

    Errors: MountRefused.
    """
    if not device.exists():
        raise MountRefused(f"{device} is missing; `modprobe fuse` as root, or in a container: --device {device}")
    if os.geteuid() != 0 and find_fusermount() is None:
        raise MountRefused("fusermount3 is not in PATH; install the package fuse3")
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise MountRefused(f"{device}: {error.strerror}; allow this process to open it (--device {device})") from None


def find_fusermount() -> str | None:
    """fusermount3's path. A systemd unit may have no PATH, so the usual places are tried as well."""
    return shutil.which("fusermount3") or shutil.which("fusermount3", path="/usr/bin:/bin:/usr/sbin:/sbin")


def unmount(path: Path, *, lazy: bool = False) -> None:
    """What was mounted at `path` is not any more; with `lazy`, files that are open stay so until closed.

    Errors: MountRefused with the tool's own reason, or where neither fusermount3 nor (for root) umount is found.
    """
    if tool := find_fusermount():
        command = [tool, "-uz" if lazy else "-u", "--", str(path)]
    elif os.geteuid() == 0 and (tool := shutil.which("umount", path="/usr/bin:/bin:/usr/sbin:/sbin")):
        command = [tool, *(["-l"] if lazy else []), "--", str(path)]
    else:
        raise MountRefused(f"{path}: cannot be unmounted without fusermount3; install the package fuse3")
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=TOOL_DEADLINE_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise MountRefused(f"{path}: {Path(tool).name} does not end; `fusermount3 -uz {path}` frees it") from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split()) or f"exit code {done.returncode}"
        busy = f"; close what uses it (`fuser -vm {path}` shows it)" if "busy" in reason else ""
        raise MountRefused(f"{path}: not unmounted: {reason}{busy}")


def own_paths(config: Config) -> tuple[tuple[str, Path], ...]:
    """(key, path) of every path that the daemon itself reads or writes; none may lie inside the mount."""
    return (
        ("the configuration file", config.file),
        ("cache.path", config.cache.path),
        ("state.path", config.state.path),
        *(
            (f"account.{account.name}.{key}", path)
            for account in config.accounts
            for key, path in account.paths.items()
        ),
    )


def check_outside_mount(config: Config, mountpoint: Path) -> None:
    """Nothing of the daemon's lies in its own mount, which would wait for itself for ever.

    Compared as written and, unless something is mounted on `mountpoint` (which may hang), with links resolved.
    Errors: ConfigError. Rule: research/peers.md §5.2 item 11.
    """
    mounted = mounted_at(mountpoint, read_mounts()) is not None
    for resolve in (Path,) if mounted else (Path, Path.resolve):
        inside = resolve(mountpoint)
        for key, path in own_paths(config):
            if resolve(path).is_relative_to(inside):
                raise ConfigError(f"{key}: {path} lies inside the mount point {mountpoint}; choose another place")
            if key.startswith("account.") and inside.is_relative_to(resolve(path)):
                raise ConfigError(f"the mount point {mountpoint} lies inside {key} = {path}; mount it elsewhere")
