"""`iiiffs why PATH`: why something did not work."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated

import typer

from iiiffs.cli.arguments import ConfigFile
from iiiffs.cli.daemon_answers import Answer, answered, number, printable, rows_of, socket_of, text
from iiiffs.errors import IiiffsError, MountRefused, NoDaemon

ERROR_XATTR, NOTE_XATTR = "user.iiiffs.error", "user.iiiffs.note"
SILENT = frozenset({errno.ENODATA, errno.ENOENT, errno.ENOTDIR, errno.EOPNOTSUPP})
"""Errnos of a path of which the mount says nothing."""


def why(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file or directory of a mount, there or not.")],
    config: ConfigFile = None,
) -> None:
    """Say why PATH could not be read, changed or sent: its last reason and the queue's, or its directory's.

    Exit codes: 0 it is told, or nothing is wrong; 2 bad configuration; 3 not in a mount of iiiffs.
    """
    from iiiffs.mountpoints import canonical_mountpoint, mounted_at
    from iiiffs.providers.mountinfo import OWN_TYPE, read_mounts

    at = canonical_mountpoint(path)
    mounts = read_mounts()
    root = next((folder for folder in (at, *at.parents) if mounted_at(folder, mounts) is not None), None)
    found = None if root is None else mounted_at(root, mounts)
    if root is None or found is None or found.type != OWN_TYPE:
        raise MountRefused(f"{path}: not in a mount of iiiffs; `findmnt -t {OWN_TYPE}` lists them")
    own = _told(at, ERROR_XATTR)
    lines = own + [line for line in _told(at, NOTE_XATTR) if line not in own]
    try:
        lines += of_the_queue(_asked(config, root, at))
    except NoDaemon as error:
        lines.append(str(error))
    if not own and at != root:
        lines += _told(at.parent, ERROR_XATTR)  # the last: it may be of another file there
    for line in lines or ["nothing is known to be wrong there"]:
        typer.echo(printable(line))


def of_the_queue(answer: Answer) -> list[str]:
    """What the daemon says of its queue and of conflicts there, one line each."""
    lines = []
    for row in rows_of(answer.get("items")):
        tried = f" after {number(row, 'tries')} tries" if number(row, "tries") else ""
        reason = f": {text(row, 'reason')}" if row.get("reason") else ""
        lines.append(f"{text(row, 'path')}: {text(row, 'stage')}{tried}{reason} (queue, {text(row, 'id')})")
    lines += [
        f"{text(row, 'mine')}: in conflict with {text(row, 'theirs')} (`iiiffs conflicts list`)"
        for row in rows_of(answer.get("conflicts"))
    ]
    if answer.get("offline"):
        lines.append(f"the account is offline: {text(answer, 'offline')}")
    return lines


def _told(path: Path, name: str) -> list[str]:
    """What the mount keeps of the path under that name, as a line."""
    try:
        return [f"{path}: {os.getxattr(path, name, follow_symlinks=False).decode('utf-8', 'replace')}"]
    except OSError as error:
        return [] if error.errno in SILENT else [f"{path}: {error.strerror}"]


def _asked(config: Path | None, root: Path, path: Path) -> Answer:
    """What the daemon of that mount knows. Errors: NoDaemon; IiiffsError if it serves another mount."""
    socket = socket_of(config)
    served = answered(socket, "status").get("mountpoint")
    if served != str(root):
        raise IiiffsError(f"the daemon of this configuration serves {served}, not {root}; name its --config")
    return answered(socket, "why", {"path": str(path.relative_to(root)) if path != root else ""})
