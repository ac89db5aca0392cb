"""`iiiffs status`."""

from __future__ import annotations

import json

import typer

from iiiffs.cli.arguments import AsJson, ConfigFile


def status(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """What the daemon of this configuration does. Asks its socket, so it answers while the mount hangs.

    Exit codes: 0 it answered; 2 bad configuration; 5 no daemon answers.
    """
    from iiiffs.config import control_socket, load_config
    from iiiffs.control import ask
    from iiiffs.errors import IiiffsError

    answer = ask(control_socket(load_config(config)), "status")
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    if not isinstance(answer, dict):
        raise IiiffsError(f"the daemon answered {answer!r}; it may be of another version")
    from rich.console import Console

    from iiiffs.cli.presentation import print_answer

    print_answer(Console(highlight=False), answer)
