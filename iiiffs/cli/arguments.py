"""Arguments that many commands take, spelled and explained once."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file.  [default: ~/.config/iiiffs/config.toml]"),
]
MountPoint = Annotated[Path, typer.Argument(metavar="MOUNTPOINT", help="An empty directory of yours.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def log_to_stderr(*, verbose: bool) -> None:
    """Log lines go to stderr; under systemd without the time, which the journal has already."""
    form = "%(levelname)s %(name)s: %(message)s"
    if "JOURNAL_STREAM" not in os.environ:
        form = f"%(asctime)s {form}"
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG if verbose else logging.INFO, format=form, force=True)
    for chatty, level in (("PIL", logging.INFO), ("httpx", logging.WARNING), ("httpcore", logging.WARNING)):
        logging.getLogger(chatty).setLevel(level)
