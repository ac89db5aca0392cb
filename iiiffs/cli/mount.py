"""`iiiffs mount` and `iiiffs umount`."""

from __future__ import annotations

import errno
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from iiiffs.cli.arguments import ConfigFile, MountPoint, log_to_stderr
from iiiffs.cli.mount_helper import HelperOptions, parse_id, parse_mount_options, parse_umask
from iiiffs.errors import IiiffsError, MountRefused

log = logging.getLogger(__name__)

LOG_NAME = "iiiffs.log"
UMOUNT_WAIT_S = 60.0


def mount(
    mountpoint: MountPoint,
    account: Annotated[
        list[str] | None,
        typer.Option("--account", metavar="NAME", help="Mount only this account; may be repeated."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Nothing may change, whatever the configuration says.")
    ] = False,
    allow_other: Annotated[
        bool,
        typer.Option(
            "--allow-other", help="Other users may enter. Without root this needs user_allow_other in /etc/fuse.conf."
        ),
    ] = False,
    uid: Annotated[str | None, typer.Option(metavar="N", help="Show this user as owner.  [default: yours]")] = None,
    gid: Annotated[str | None, typer.Option(metavar="N", help="Show this group.  [default: yours]")] = None,
    umask: Annotated[str | None, typer.Option(metavar="OCTAL", help="Mode bits to take away, such as 027.")] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Return when the mount answers; the log is then STATE/iiiffs.log.")
    ] = False,
    options: Annotated[
        list[str] | None,
        typer.Option("-o", metavar="OPTIONS", help="As in fstab: ro,allow_other,uid=,gid=,umask=,config=,account=."),
    ] = None,
    config: ConfigFile = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every refused request and what is done about it.")
    ] = False,
) -> None:
    """Mount the configured accounts as directories that speak IIIF; stay in the foreground until SIGTERM or Ctrl-C.

    Exit codes: 0 unmounted; 2 configuration or option; 3 mount point, fusermount3 or /dev/fuse; 4 another iiiffs holds
    the mount point, the cache or the state.
    """
    asked = parse_mount_options(options or [])
    wanted = HelperOptions(
        read_only=read_only or asked.read_only,
        allow_other=allow_other or asked.allow_other,
        uid=asked.uid if uid is None else parse_id(uid, "--uid"),
        gid=asked.gid if gid is None else parse_id(gid, "--gid"),
        umask=asked.umask if umask is None else parse_umask(umask, "--umask"),
        config=config or asked.config,
        accounts=(*(account or ()), *asked.accounts),
    )
    log_to_stderr(verbose=verbose)
    raise typer.Exit((_mount_in_background if background else _mount)(mountpoint, wanted, verbose))


def _mount(mountpoint: Path, wanted: HelperOptions, verbose: bool) -> int:
    """Mounted and served until told to stop; the exit code."""
    from iiiffs.cli.readiness import log_to_file, notify_systemd, take_ready_fd, tell_parent
    from iiiffs.config import MountOptions, load_config, notices, select_accounts
    from iiiffs.mountpoints import canonical_mountpoint, check_outside_mount, prepare_mountpoint

    ready_fd = take_ready_fd(os.environ)
    config = select_accounts(load_config(wanted.config), wanted.accounts)
    check_outside_mount(config, canonical_mountpoint(mountpoint))
    log_file = config.state.path / LOG_NAME
    if ready_fd is not None:
        log_to_file(log_file, verbose=verbose)
    mountpoint = prepare_mountpoint(mountpoint)
    check_outside_mount(config, mountpoint)
    for notice in notices(config):
        log.info("%s", notice)

    def ready() -> None:
        log.info("mounted on %s", mountpoint)
        notify_systemd(os.environ, READY="1", STATUS=f"mounted on {mountpoint}")
        if ready_fd is not None:
            tell_parent(ready_fd, log_file)

    from iiiffs.daemon import run_daemon  # last: it brings pyfuse3, LMDB and Pillow

    mount_options = MountOptions(
        mountpoint=mountpoint,
        read_only=wanted.read_only,
        allow_other=wanted.allow_other,
        uid=wanted.uid,
        gid=wanted.gid,
        umask=wanted.umask,
    )
    try:
        return run_daemon(config, mount_options, ready)
    finally:
        notify_systemd(os.environ, STOPPING="1", STATUS="unmounted")


def _mount_in_background(mountpoint: Path, wanted: HelperOptions, verbose: bool) -> int:
    """Mounted by a process of its own; its exit code if it fails, after its last words."""
    from iiiffs.cli.readiness import start_in_background
    from iiiffs.config import default_config_path
    from iiiffs.mountpoints import canonical_mountpoint

    config = wanted.config.absolute() if wanted.config else default_config_path()
    arguments = ["mount", "--config", str(config), *(["-v"] if verbose else [])]
    arguments += [f"--account={name}" for name in wanted.accounts]
    arguments += [flag for flag, on in (("--read-only", wanted.read_only), ("--allow-other", wanted.allow_other)) if on]
    for name, number, form in (("uid", wanted.uid, "d"), ("gid", wanted.gid, "d"), ("umask", wanted.umask, "03o")):
        arguments += [f"--{name}={number:{form}}"] if number is not None else []
    return start_in_background([*arguments, "--", str(mountpoint.absolute())], canonical_mountpoint(mountpoint))


def umount(
    mountpoint: MountPoint,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Send first what can be sent, and return only when the daemon has ended too."),
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Take a mount of iiiffs away; its daemon then ends by itself. A dead mount is taken away too.

    Exit codes: 0 unmounted; 1 unmounted, but with --wait: something was not sent (it is safe, and goes on at the next
    mount), or the daemon still runs after 60 s; 3 not mounted, or in use.
    """
    from iiiffs.mountpoints import canonical_mountpoint, mounted_at, probe, unmount
    from iiiffs.providers.mountinfo import OWN_TYPE, read_mounts

    path = canonical_mountpoint(mountpoint)
    found = mounted_at(path, read_mounts())
    if found is None:
        raise MountRefused(f"{path}: nothing is mounted there; `findmnt -t {OWN_TYPE}` lists iiiffs's mounts")
    if found.type != OWN_TYPE:
        raise MountRefused(f"{path}: a file system of type {found.type} is mounted there, not iiiffs")
    pid = _daemon_pid(path, config) if wait else None
    left = _unsent(config) if pid is not None else 0
    error = probe(path)
    unmount(path, lazy=error is not None and error.errno == errno.ENOTCONN)
    if pid is not None:
        from iiiffs.cli.readiness import wait_process_end

        if not wait_process_end(pid, UMOUNT_WAIT_S):
            raise IiiffsError(
                f"{path} is unmounted, but its daemon (process {pid}) has not ended within {UMOUNT_WAIT_S:g} s"
            )
    if left:
        raise IiiffsError(f"{path} is unmounted; what was not sent is safe in [state] path, and goes on when mounted")


def _unsent(config: Path | None) -> int:
    """How a flush of the daemon ended, 0 for whole; what was in the way is told on stderr."""
    from iiiffs.cli.daemon_answers import answered, socket_of
    from iiiffs.cli.flush import flush_and_wait

    # A daemon that ends or refuses must not keep anybody from unmounting; what it holds is safe on the disk
    try:
        socket = socket_of(config)
        return int(flush_and_wait(socket)) if "queue" in answered(socket, "status") else 0
    except IiiffsError as error:
        typer.echo(f"iiiffs: not flushed: {error}", err=True)
        return 1


def _daemon_pid(mountpoint: Path, config: Path | None) -> int | None:
    """The process behind `mountpoint`, as its control socket says; None if it cannot be asked."""
    from iiiffs.config import control_socket, load_config
    from iiiffs.control import ask

    # A broken configuration or a dead daemon must not keep anybody from unmounting
    with suppress(IiiffsError):
        answer = ask(control_socket(load_config(config)), "status")
        if (
            isinstance(answer, dict)
            and answer.get("mountpoint") == str(mountpoint)
            and isinstance(answer.get("pid"), int)
        ):
            return int(answer["pid"])
    return None
