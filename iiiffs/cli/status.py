"""`iiiffs status`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from iiiffs.cli.arguments import AsJson, ConfigFile


def status(
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it again every second, until Ctrl-C.")] = False,
    config: ConfigFile = None,
) -> None:
    """What the daemon of this configuration does. Asks its socket, so it answers while the mount hangs.

    Exit codes: 0 it answered; 2 bad configuration; 5 no daemon answers.
    """
    from iiiffs.cli.daemon_answers import answered, plain_console, socket_of

    socket = socket_of(config)
    if watch:
        from iiiffs.cli.watching import watch as watched

        watched(socket)
        return
    answer = answered(socket, "status", timeout_s=5.0)
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    from iiiffs.cli.presentation import print_answer

    print_answer(plain_console(), answer)
