"""`iiiffs doctor`: looks at everything a mount needs and says, line by line, what is missing and what to do."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from iiiffs.cli.arguments import ConfigFile
from iiiffs.errors import IiiffsError, MountRefused

if TYPE_CHECKING:
    from iiiffs.config import Config

FUSE_CONF = Path("/etc/fuse.conf")
UPDATEDB_CONF = Path("/etc/updatedb.conf")
TOOL_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. "warn" is worth knowing, "fail" keeps a mount from working."""

    level: Literal["ok", "warn", "fail"]
    text: str


def doctor(config: ConfigFile = None) -> None:
    """Check this machine and the configuration, one line each: OK, warn or fail. Exit code 1 if anything fails."""
    failed = False
    for finding in findings(config):
        failed = failed or finding.level == "fail"
        label = "OK  " if finding.level == "ok" else finding.level
        typer.echo(f"{label}  {finding.text}")
    raise typer.Exit(1 if failed else 0)


def findings(config_file: Path | None) -> Iterator[Finding]:
    """Every finding, in the order in which they matter."""
    from iiiffs.config import examine_config

    yield Finding("ok", f"Python {platform.python_version()} ({sys.executable})")
    yield from check_fuse_software()
    yield from check_fuse_conf(FUSE_CONF)
    yield from check_updatedb(UPDATEDB_CONF)
    yield from check_codecs()
    yield check_nginx()
    config, problems = examine_config(config_file)
    yield from (Finding("fail", problem) for problem in problems)
    if config is not None:
        yield from check_config(config)
    yield from check_mounts()


def check_fuse_software() -> Iterator[Finding]:
    """pyfuse3 can be imported, libfuse's tool is there, and the device opens."""
    from iiiffs.mountpoints import check_fuse, find_fusermount

    try:
        import pyfuse3
    except ImportError as error:
        yield Finding("fail", f"pyfuse3 cannot be imported ({error}); install libfuse3-3, then pyfuse3")
    else:
        yield Finding("ok", f"pyfuse3 {pyfuse3.__version__}")
    tool = find_fusermount()
    if tool is None:
        level: Literal["warn", "fail"] = "warn" if os.geteuid() == 0 else "fail"
        yield Finding(level, "fusermount3 is not in PATH; install the package fuse3")
    else:
        yield Finding("ok", f"{tool}, libfuse {_version_of([tool, '--version'])}")
    try:
        check_fuse()
    except MountRefused as error:
        yield Finding("fail", str(error))
    else:
        yield Finding("ok", "/dev/fuse can be opened")


def check_fuse_conf(file: Path) -> Iterator[Finding]:
    """--allow-other works for users other than root. Rule: mount.fuse3(8), user_allow_other."""
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    if re.search(r"^\s*user_allow_other\s*$", text, re.MULTILINE):
        yield Finding("ok", f"{file} has user_allow_other")
    elif os.geteuid() == 0:
        yield Finding("ok", f"{file} lacks user_allow_other, which root does not need for --allow-other")
    else:
        yield Finding("warn", f"{file} lacks user_allow_other: mount --allow-other will be refused")


def check_updatedb(file: Path) -> Iterator[Finding]:
    """The nightly indexer stays out. Rule: updatedb.conf(5), PRUNEFS."""
    if not file.is_file():
        yield Finding("ok", f"no {file}: no indexer will walk the mount")
        return
    match = re.search(r"""^\s*PRUNEFS\s*=\s*["']?([^"'\n]*)""", file.read_text(errors="replace"), re.MULTILINE)
    if match and "fuse.iiiffs" in match[1].lower().split():
        yield Finding("ok", f"{file}: PRUNEFS has fuse.iiiffs")
    else:
        yield Finding("warn", f"{file}: add fuse.iiiffs to PRUNEFS, or updatedb walks the whole mount every night")


def check_codecs() -> Iterator[Finding]:
    """Pillow reads and writes what IIIF asks for."""
    import PIL
    from PIL import features

    needed = {"jpg": "JPEG", "zlib": "PNG"}
    wanted = {"webp": "WebP", "avif": "AVIF", "jpg_2000": "JPEG 2000", "libtiff": "TIFF", "littlecms2": "ICC profiles"}
    missing = [name for feature, name in needed.items() if not features.check(feature)]
    lacking = [name for feature, name in wanted.items() if not features.check(feature)]
    if missing:
        yield Finding("fail", f"Pillow {PIL.__version__} lacks {', '.join(missing)}; install Pillow's own wheel")
    elif lacking:
        yield Finding("warn", f"Pillow {PIL.__version__} lacks {', '.join(lacking)}: such files are listed, not shown")
    else:
        yield Finding("ok", f"Pillow {PIL.__version__} with JPEG, PNG, {', '.join(wanted.values())}")


def check_nginx() -> Finding:
    """A web server is there. Debian keeps it out of users' PATH."""
    tool = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if tool is None:
        return Finding("warn", "nginx was not found, so nothing serves the mount; install nginx-light")
    return Finding("ok", f"{tool} {_version_of([tool, '-v'])}")


def check_config(config: Config) -> Iterator[Finding]:
    """The configuration's folders, notices and daemon."""
    from iiiffs.config import control_socket, notices
    from iiiffs.control import ask
    from iiiffs.errors import NoDaemon

    yield Finding("ok", f"{config.file} is valid, {len(config.accounts)} account(s), served at {config.base_url}")
    yield from (Finding("warn", notice) for notice in notices(config))
    for account in config.accounts:
        for key, path in account.paths.items():
            needed = os.R_OK | os.X_OK if key == "path" else os.R_OK
            if key != "credentials" and not os.access(path, needed):
                yield Finding(
                    "fail", f"account.{account.name}.{key}: {path} cannot be read; does it exist, and may you?"
                )
    yield from check_credentials(config)
    yield check_store("cache.path", config.cache.path, config.cache.size_bytes)
    yield check_store("state.path", config.state.path, config.state.min_free_bytes)
    try:
        ask(control_socket(config), "status")
    except NoDaemon as error:
        yield Finding("warn", str(error))
    except IiiffsError as error:
        yield Finding("fail", f"the daemon answers: {error}")
    else:
        yield Finding("ok", f"the daemon answers at {control_socket(config)}")


def check_credentials(config: Config) -> Iterator[Finding]:
    """The secrets of accounts that need one can be had, here and by this user. Tells where, never what."""
    import trio

    from iiiffs.credentials import CredentialStore
    from iiiffs.errors import AccessDenied

    store = CredentialStore()
    for account in config.accounts:
        if account.provider == "folder":
            continue
        try:
            found = trio.run(store.find, account)
        except AccessDenied as error:
            yield Finding("warn", f"account.{account.name}: {error}")
        else:
            if found:
                where = store.overriding(account) or account.credentials or "the system keyring"
                yield Finding("ok", f"account.{account.name}: its secret is in {where}")
            else:
                yield Finding("warn", f"account.{account.name}: no secret is stored; `iiiffs login {account.name}`")


def check_store(key: str, path: Path, wanted_bytes: int) -> Finding:
    """The folder (or where it would be made) is writable, local and has room."""
    from iiiffs.cli.presentation import size_text
    from iiiffs.providers.mountinfo import network_type, read_mounts

    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding("fail", f"{key}: {existing} cannot be written to; choose another folder")
    if fs_type := network_type(existing, read_mounts()):
        return Finding("fail", f"{key}: {path} is on a network file system ({fs_type}); choose a local disk")
    usage = shutil.disk_usage(existing)
    held = sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file()) if path.is_dir() else 0
    if usage.free + held < wanted_bytes:
        return Finding("warn", f"{key}: {size_text(usage.free)} free at {path}, {size_text(wanted_bytes)} configured")
    return Finding("ok", f"{key}: {path}, {size_text(usage.free)} free")


def check_mounts() -> Iterator[Finding]:
    """Every iiiffs mount of this machine answers."""
    from iiiffs.mountpoints import probe
    from iiiffs.providers.mountinfo import OWN_TYPE, read_mounts

    for mount in read_mounts():
        if mount.type != OWN_TYPE:
            continue
        error = probe(Path(mount.point))
        if error is None:
            yield Finding("ok", f"the mount on {mount.point} answers")
        elif error.errno == errno.EACCES:
            yield Finding("ok", f"the mount on {mount.point} is another user's")
        else:
            yield Finding("fail", f"the mount on {mount.point}: {error.strerror}; `iiiffs umount {mount.point}`")


def _version_of(command: list[str]) -> str:
    """The first version number that the tool prints, or "of unknown version"."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_DEADLINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"that does not run ({error})"
    match = re.search(r"[0-9]+(\.[0-9]+)+", done.stdout + done.stderr)
    return match[0] if match else "of unknown version"
