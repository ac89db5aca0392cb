"""`iiiffs queue list | retry | discard | export`: what waits to be sent, and what cannot be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iiiffs.cli.arguments import AsJson, ConfigFile
from iiiffs.cli.daemon_answers import Answer, answered, answered_rows, number, plain_console, printable, socket_of, text
from iiiffs.errors import BadSyntax, IiiffsError, StoreCorrupt, StoreError

if TYPE_CHECKING:
    from rich.table import Table

    from iiiffs.state.spool import Spool

app = typer.Typer(no_args_is_help=True, help="What waits to be sent to providers, and what could not be.")

SomeIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...", help="As `iiiffs queue list` shows them, or their beginnings.  [default: all failed]"
    ),
]
Ids = Annotated[
    list[str], typer.Argument(metavar="ID...", help="As `iiiffs queue list` shows them, or their beginnings.")
]
Kept = Annotated[
    bool, typer.Option("--kept", help="Also what was told and stays here: sidecars, and times that were set.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
COPY_NAMES_MAX = 1000


@app.command("list")
def list_(as_json: AsJson = False, kept: Kept = False, config: ConfigFile = None) -> None:
    """List all that is not at its provider yet, oldest first: its stage, how often it was tried, and why not yet."""
    rows = answered_rows(socket_of(config), "queue.list", {"kept": kept})
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif rows:
        plain_console().print(items_table(rows))
    else:
        typer.echo("nothing waits to be sent")


@app.command("retry")
def retry(ids: SomeIds = None, config: ConfigFile = None) -> None:
    """Send again what failed, or what waits for its next try: now."""
    done = answered(socket_of(config), "queue.retry", {"ids": ids or []})
    sent = done.get("ids")
    typer.echo(f"{len(sent) if isinstance(sent, list) else 0} are tried again; see `iiiffs queue list`")


@app.command("discard")
def discard(ids: Ids, yes: Yes = False, config: ConfigFile = None) -> None:
    """Give up what was never sent. Its bytes are gone for good: `iiiffs queue export` takes them out first."""
    socket = socket_of(config)
    if not yes:
        rows = [row for row in answered_rows(socket, "queue.list", {"kept": True}) if any(names(row, id) for id in ids)]
        for row in rows:
            typer.echo(f"{text(row, 'what')}: {text(row, 'path')}")
        if not rows:
            raise IiiffsError("nothing in the queue has such an id; see `iiiffs queue list`")
        typer.confirm("These were never sent. Delete them for good?", abort=True)
    answered(socket, "queue.discard", {"ids": ids, "confirmed": True})


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of yours; made if it is missing.")],
    ids: SomeIds = None,
    config: ConfigFile = None,
) -> None:
    """Copy what was not sent into DIR, under its own names; nothing is overwritten, and the queue stays as it is."""
    from iiiffs.config import control_socket, load_config
    from iiiffs.state.spool import Spool

    read = load_config(config)
    rows = answered_rows(control_socket(read), "queue.export", {"ids": ids or []})
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSyntax(f"{folder}: no folder can be made there: {error.strerror}") from None
    if not rows:
        typer.echo("nothing to export: nothing failed, and no ID was given")
        return
    spool = Spool(read.state.path / "spool")
    failed = 0
    for row in rows:
        try:
            target = _copied(spool, row, folder)
        except IiiffsError as error:
            failed += 1
            typer.echo(f"iiiffs: {text(row, 'path')}: {printable(str(error))}", err=True)
        else:
            typer.echo(f"{text(row, 'path')} -> {printable(str(target))}")
    if failed:
        raise typer.Exit(1)


def names(row: Answer, id: str) -> bool:
    """True if `id` is the row's, or the beginning of it."""
    own = str(row.get("id"))
    return own.startswith(id) or own.removeprefix("local-").startswith(id)


def items_table(rows: Sequence[Answer]) -> Table:
    """Items as `queue.list` tells them, for people."""
    from rich.table import Column, Table
    from rich.text import Text

    from iiiffs.cli.presentation import duration_text, size_text

    heads = ("id", "stage", "tries", "age", "size", "what", "where")
    table = Table(*(Column(head, no_wrap=head != "where", overflow="fold") for head in heads), box=None, pad_edge=False)
    for row in rows:
        words = [text(row, "id"), text(row, "stage"), text(row, "tries"), duration_text(number(row, "age_s"))]
        where = text(row, "path") + (f"\n  {text(row, 'reason')}" if row.get("reason") else "")
        table.add_row(
            *(Text(word) for word in (*words, size_text(number(row, "size_bytes")), text(row, "what"), where))
        )
    return table


def _copied(spool: Spool, row: Answer, folder: Path) -> Path:
    """The new file in `folder` with the payload's bytes; under another name where its own is taken."""
    from iiiffs.tree.names import legal_name

    name = legal_name(str(row.get("name")))
    stem, dot, suffix = name.rpartition(".")
    stem, suffix = (stem, dot + suffix) if stem else (name, "")
    for count in range(COPY_NAMES_MAX):
        target = folder / (name if not count else f"{stem} ({count}){suffix}")
        if target.exists() or target.is_symlink():
            continue
        spool.copy_out(str(row.get("payload")), target, number(row, "mtime_ns") or None)
        _verify(target, row)
        return target
    raise StoreError(f"{folder} holds {COPY_NAMES_MAX} files of that name already")


def _verify(target: Path, row: Answer) -> None:
    """The file is what the queue said. Errors: StoreCorrupt, and the file stays, as it may be all there is."""
    size_bytes = target.stat().st_size
    if size_bytes != number(row, "size_bytes"):
        raise StoreCorrupt(f"{target}: {size_bytes} bytes, and the queue says {number(row, 'size_bytes')}")
    if isinstance(row.get("sha1"), str):
        with target.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha1").hexdigest()
        if digest != row["sha1"]:
            raise StoreCorrupt(f"{target}: its bytes are not those that were written (SHA-1 {digest})")
