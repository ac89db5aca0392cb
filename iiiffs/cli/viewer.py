"""`iiiffs viewer install`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The viewers that the pages zoom with.")


@app.callback()
def _group() -> None:
    """The viewers that the pages zoom with."""


@app.command("install")
def install(
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="Where to put them.  [default: your data folder]")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Accepted as everywhere; nothing is read from it here."),
    ] = None,
) -> None:
    """Fetch the pinned viewers with npm, check them against pinned digests, and put them where the pages look."""
    from iiiffs.web.viewers import default_viewers_folder, install_viewers

    folder = into or default_viewers_folder()
    for name, version in sorted(install_viewers(folder).items()):
        typer.echo(f"{name} {version}")
    typer.echo(f"installed in {folder}")
