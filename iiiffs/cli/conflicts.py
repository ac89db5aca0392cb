"""`iiiffs conflicts list | mine | theirs | both`: files that were changed here and at the provider at the same time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from iiiffs.cli.arguments import AsJson, ConfigFile
from iiiffs.cli.daemon_answers import (
    CONFLICT_DEADLINE_S,
    Answer,
    answered,
    answered_rows,
    plain_console,
    socket_of,
    text,
)
from iiiffs.cli.queue import Yes, names
from iiiffs.errors import NoSuchName

app = typer.Typer(
    no_args_is_help=True,
    help="Files that were changed here and at the provider at the same time: both versions are kept until you decide.",
)
Ids = Annotated[
    list[str], typer.Argument(metavar="ID...", help="As `iiiffs conflicts list` shows them, or their beginnings.")
]


@app.command("list")
def list_(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """List the conflicts that nobody has decided yet: your version and theirs."""
    rows = answered_rows(socket_of(config), "conflicts.list")
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        typer.echo("no conflicts")
        return
    from rich.table import Column, Table
    from rich.text import Text

    from iiiffs.cli.presentation import duration_text

    table = Table("id", "age", Column("mine", overflow="fold"), Column("theirs", overflow="fold"), box=None)
    for row in rows:
        age = row.get("age_s")
        told = duration_text(age) if isinstance(age, int | float) else ""
        mine = text(row, "mine") + ("" if row.get("sent") else "\n  not sent yet")
        table.add_row(*map(Text, (text(row, "id"), told, mine, text(row, "theirs"))))
    plain_console().print(table)


@app.command("mine")
def mine(ids: Ids, config: ConfigFile = None) -> None:
    """Your version takes the place of theirs, which goes to the provider's trash. Needs access = "edit"."""
    _decide("mine", ids, config)


@app.command("theirs")
def theirs(ids: Ids, yes: Yes = False, config: ConfigFile = None) -> None:
    """Their version stays; yours goes to the provider's trash, or is deleted for good if it was never sent."""
    if not yes:
        socket = socket_of(config)
        unsent = [row for row in _named(answered_rows(socket, "conflicts.list"), ids) if not row.get("sent")]
        for row in unsent:
            typer.echo(text(row, "mine"))
        if unsent:
            typer.confirm("This was never sent. Delete it for good?", abort=True)
            yes = True
    _decide("theirs", ids, config, confirmed=yes)


@app.command("both")
def both(ids: Ids, config: ConfigFile = None) -> None:
    """Both stay as they are, each under its name, and the conflict is closed."""
    _decide("both", ids, config)


def _named(rows: list[Answer], ids: list[str]) -> list[Answer]:
    for id in ids:
        if not any(names(row, id) for row in rows):
            raise NoSuchName(f"{id}: no conflict has an id that begins so; see `iiiffs conflicts list`")
    return [row for row in rows if any(names(row, id) for id in ids)]


def _decide(verb: str, ids: list[str], config: Path | None, *, confirmed: bool = False) -> None:
    """All are decided, or the first that cannot be is told, and those after it are as they were."""
    socket = socket_of(config)
    for id in ids:
        answered(socket, f"conflicts.{verb}", {"id": id, "confirmed": confirmed}, CONFLICT_DEADLINE_S)
