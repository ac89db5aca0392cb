"""`iiiffs state export | import`: all that must not be lost moves to another host, so that every address stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iiiffs.cli.arguments import ConfigFile

if TYPE_CHECKING:
    from iiiffs.config import Config
    from iiiffs.state.archive import Archive

app = typer.Typer(
    no_args_is_help=True, help="Move ids, times and what waits to be sent to another host, so that every address stays."
)
EXPORT_DEADLINE_S = 600.0

NewFile = Annotated[Path, typer.Argument(metavar="FILE", help="A new file; readable by you alone.")]
ExportedFile = Annotated[Path, typer.Argument(metavar="FILE", help="What `iiiffs state export` wrote.")]
Merge = Annotated[
    bool, typer.Option("--merge", help="Into a state that is not empty: what it knows stays, the rest is added.")
]

From = Annotated[
    Path | None, typer.Option("--from", metavar="FILE", help="What `iiiffs state export` wrote before the damage.")
]


@app.command("export")
def export(file: NewFile, config: ConfigFile = None) -> None:
    """Write all that must not be lost to FILE: ids, names, times, the key of inode numbers, and the files that wait to
    be sent. Mounted or not."""
    from iiiffs.config import control_socket, load_config
    from iiiffs.control import ask
    from iiiffs.errors import ConfigError, NoDaemon
    from iiiffs.state.archive import read_archive

    read = load_config(config)
    if file.exists():
        raise ConfigError(f"{file}: is there already, and is left as it is; name a new file")
    try:
        answer = ask(control_socket(read), "state.export", timeout_s=EXPORT_DEADLINE_S)
    except NoDaemon:
        _export_here(read, file)
    else:
        _fetch(read, answer, file)
    typer.echo(f"{file}: {_told(read_archive(file))}")


@app.command("import")
def import_(file: ExportedFile, merge: Merge = False, config: ConfigFile = None) -> None:
    """Take in what FILE holds. Stop the daemon first, and import before the first mount on the new host.

    Copy the photos with their times (cp -a, rsync -a); the accounts must have the same names, their paths may differ.
    What waits in FILE is sent from here: do not mount on the old host again.
    """
    from iiiffs.config import load_config
    from iiiffs.state.archive import read_archive
    from iiiffs.state.store import State
    from iiiffs.sync.stages import NOBODY

    read, archive = load_config(config), read_archive(file)
    state = State.open(read.state.path, min_free_bytes=int(read.state.min_free_bytes))
    try:
        taken = state.import_from(archive, merge=merge)
    finally:
        state.close()
    names = {account.name for account in read.accounts}
    for account, added in taken.added.items():
        left = f", {taken.known[account]} known already" if taken.known[account] else ""
        typer.echo(f"account {account}: {added} files and folders{left}")
    for account, waiting in taken.waiting.items():
        typer.echo(f"account {account or '(unknown)'}: {waiting} changes that wait are sent when this is mounted")
    for account in sorted({*taken.added, *taken.waiting} - {*names, NOBODY}):
        typer.echo(f"notice: account {account} is not in {read.file}; ids belong to the account's name")


@app.command("renew")
def renew(from_: From = None, config: ConfigFile = None) -> None:
    """Begin anew where the state's database is damaged. It is put aside, never deleted; files that wait are kept.

    They get the names that can still be found of them, and go to .iiiffs/failed/ with the reason, until
    `iiiffs queue retry`, `export` or `discard`.
    """
    from iiiffs.config import load_config
    from iiiffs.state.archive import read_archive
    from iiiffs.state.store import State

    read = load_config(config)
    renewed = State.renew(read.state.path, None if from_ is None else read_archive(from_))
    typer.echo(f"the damaged database is kept in {renewed.aside}")
    if renewed.taken is not None:
        typer.echo(f"{sum(renewed.taken.added.values())} files and folders have their ids from {from_}")
    if renewed.without:
        typer.echo(
            f"{renewed.without} files wait in the spool that nothing was known of, and will be in .iiiffs/failed/; "
            f"names were found of {renewed.found}; see `iiiffs queue list` once it is mounted"
        )


def _told(archive: Archive) -> str:
    rows = sum(map(len, archive.held.rows.values()))
    told = f"{rows} files and folders of {', '.join(sorted(archive.held.rows)) or 'no account'}"
    if not archive.held.journal and not archive.payloads:
        return told
    mib = sum(payload.size_bytes for payload in archive.payloads) / (1 << 20)
    return f"{told}; {len(archive.held.journal)} changes that wait to be sent, with {mib:.1f} MiB"


def _export_here(config: Config, file: Path) -> None:
    """From the files themselves. Errors: StoreError if there is none; StoreLocked if another process has them open."""
    from iiiffs.errors import StoreError
    from iiiffs.state.store import State

    if not (config.state.path / "db" / "data.mdb").exists():
        raise StoreError(f"{config.state.path}: there is no state; it begins with the first `iiiffs mount`")
    state = State.open(config.state.path)
    try:
        state.export(file)
    finally:
        state.close()


def _fetch(config: Config, answer: object, file: Path) -> None:
    """What the daemon put into its state's folder is in `file`, and not there any more."""
    from iiiffs.errors import IiiffsError
    from iiiffs.state.store import EXPORT_PREFIX, remove_export
    from iiiffs.state.transfer import pack

    name = answer.get("folder") if isinstance(answer, dict) else None
    if not isinstance(name, str) or "/" in name or not name.startswith(EXPORT_PREFIX):
        raise IiiffsError(f"the daemon answered {answer!r}: it is of another version; stop it, and export again")
    gathered = config.state.path / name
    try:
        pack(gathered, file)
    finally:
        remove_export(gathered)
