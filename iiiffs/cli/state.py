"""`iiiffs state export | import`: ids and times move to another host, so that every address stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iiiffs.cli.arguments import ConfigFile

if TYPE_CHECKING:
    from iiiffs.config import Config

app = typer.Typer(no_args_is_help=True, help="Move ids and times to another host, so that every address stays.")
EXPORT_DEADLINE_S = 600.0

NewFile = Annotated[Path, typer.Argument(metavar="FILE", help="A new file; readable by you alone.")]
ExportedFile = Annotated[Path, typer.Argument(metavar="FILE", help="What `iiiffs state export` wrote.")]
Merge = Annotated[
    bool, typer.Option("--merge", help="Into a state that knows files already: what it knows stays, the rest is added.")
]


@app.command("export")
def export(file: NewFile, config: ConfigFile = None) -> None:
    """Write ids, names, times of versions and documents, and the key of inode numbers to FILE. Mounted or not."""
    from iiiffs.config import control_socket, load_config
    from iiiffs.control import ask
    from iiiffs.errors import ConfigError, NoDaemon
    from iiiffs.state.transfer import decoded

    read = load_config(config)
    if file.exists():
        raise ConfigError(f"{file}: is there already, and is left as it is; name a new file")
    try:
        answer = ask(control_socket(read), "state.export", timeout_s=EXPORT_DEADLINE_S)
    except NoDaemon:
        _export_here(read, file)
    else:
        _fetch(read, answer, file)
    held = decoded(file)
    rows = sum(map(len, held.rows.values()))
    typer.echo(f"{file}: {rows} files and folders of {', '.join(sorted(held.rows)) or 'no account'}")


@app.command("import")
def import_(file: ExportedFile, merge: Merge = False, config: ConfigFile = None) -> None:
    """Take in what FILE holds. Stop the daemon first, and import before the first mount on the new host.

    Copy the photos with their times (cp -a, rsync -a); the accounts must have the same names, their paths may differ.
    """
    from iiiffs.config import load_config
    from iiiffs.state.store import State
    from iiiffs.state.transfer import decoded

    read, held = load_config(config), decoded(file)
    state = State.open(read.state.path)
    try:
        taken = state.import_from(held, merge=merge)
    finally:
        state.close()
    names = {account.name for account in read.accounts}
    for account, added in taken.added.items():
        left = f", {taken.known[account]} known already" if taken.known[account] else ""
        typer.echo(f"account {account}: {added} files and folders{left}")
        if account not in names:
            typer.echo(f"notice: account {account} is not in {read.file}; ids belong to the account's name")


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
    from iiiffs.errors import IiiffsError, StoreError
    from iiiffs.state.store import EXPORT_PREFIX
    from iiiffs.state.transfer import write_private

    name = answer.get("file") if isinstance(answer, dict) else None
    if not isinstance(name, str) or "/" in name or not name.startswith(EXPORT_PREFIX):
        raise IiiffsError(f"the daemon answered {answer!r}; it may be of another version")
    beside = config.state.path / name
    try:
        data = beside.read_bytes()
    except OSError as error:
        raise StoreError(f"{beside}: cannot be read: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)
    write_private(file, data)
