"""`iiiffs cache stats | verify | clear`: through the daemon where one runs, else on the cache itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from iiiffs.cli.arguments import AsJson, ConfigFile

if TYPE_CHECKING:
    from iiiffs.config import Config

app = typer.Typer(no_args_is_help=True, help="Look at, check or empty the cache. Nothing in it is ever lost for good.")
VERIFY_DEADLINE_S = 600.0


@app.command("stats")
def stats(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """How much the cache holds, and of what."""
    _print(_through_daemon_or_here(config, "stats"), as_json)


@app.command("verify")
def verify(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Check every stored rendition against its digest; corrupt ones are dropped and made again when asked for."""
    _print(_through_daemon_or_here(config, "verify"), as_json)


@app.command("clear")
def clear(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Drop every rendition and document. Facts read from headers stay (they are small), and so does all of STATE."""
    _print(_through_daemon_or_here(config, "clear"), as_json)


def _through_daemon_or_here(config_file: Path | None, verb: str) -> object:
    """The answer to `verb`. Only one process may have the cache open, so the daemon is asked first."""
    from iiiffs.config import control_socket, load_config
    from iiiffs.control import ask
    from iiiffs.errors import NoDaemon

    config = load_config(config_file)
    try:
        return ask(control_socket(config), f"cache.{verb}", timeout_s=VERIFY_DEADLINE_S)
    except NoDaemon:
        return _on_the_cache(config, verb)


def _on_the_cache(config: Config, verb: str) -> object:
    """The answer to `verb` from the files themselves. Errors: StoreLocked if another process has them open."""
    import trio

    from iiiffs.cache.store import open_cache

    cache = open_cache(config.cache.path, config.cache.size_bytes)
    try:
        if verb == "stats":
            return {"path": str(config.cache.path), **asdict(cache.stats())}
        if verb == "verify":
            return asdict(trio.run(cache.verify))
        held = cache.renditions.stats().entries
        cache.clear()
        return {"path": str(config.cache.path), "renditions": held}
    finally:
        cache.close()


def _print(answer: object, as_json: bool) -> None:
    """As JSON, or for people."""
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif isinstance(answer, Mapping):
        from rich.console import Console

        from iiiffs.cli.presentation import print_answer

        print_answer(Console(highlight=False), answer)
    else:
        typer.echo(str(answer))
