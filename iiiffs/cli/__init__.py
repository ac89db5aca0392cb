"""The command line: `iiiffs VERB …`, one module a group.

Here and nowhere else an error of ours becomes an exit code and one line on stderr; a bug keeps its traceback. Modules
that are slow to import (trio, Pillow, LMDB, pyfuse3) are imported inside the commands that need them.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from iiiffs import __version__
from iiiffs.cli import (
    add,
    cache,
    config_file,
    conflicts,
    demo,
    doctor,
    flush,
    login,
    mount,
    queue,
    state,
    status,
    sync,
    viewer,
    webserver,
    why,
)
from iiiffs.cli.mount_helper import translate_argv
from iiiffs.errors import AlreadyRunning, IiiffsError, StartError, StoreLocked

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="iiiffs",
    help="Photo galleries mounted as directories that speak IIIF.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"iiiffs {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Photo galleries mounted as directories that speak IIIF."""


app.command("mount")(mount.mount)
app.command("umount")(mount.umount)
app.command("add")(add.add)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("status")(status.status)
app.command("flush")(flush.flush)
app.add_typer(queue.app, name="queue")
app.add_typer(conflicts.app, name="conflicts")
app.command("why")(why.why)
app.command("sync")(sync.sync)
app.add_typer(config_file.app, name="config")
app.add_typer(cache.app, name="cache")
app.add_typer(state.app, name="state")
app.add_typer(webserver.app, name="webserver")
app.add_typer(viewer.app, name="viewer")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)

COMMANDS = frozenset(
    {"mount", "umount", "add", "login", "logout", "status", "config", "cache", "state", "webserver", "viewer"}
    | {"doctor", "demo", "flush", "queue", "conflicts", "why", "sync"}
)


def exit_code_of(error: IiiffsError) -> int:
    """The process's exit code: a StartError's own, AlreadyRunning's for a lock that another holds, else 1."""
    if isinstance(error, StoreLocked):
        return AlreadyRunning.exit_code
    return error.exit_code if isinstance(error, StartError) else 1


def main() -> None:
    """Runs the command in sys.argv, or mount(8)'s request; ends the process with its exit code."""
    try:
        arguments = translate_argv(sys.argv, COMMANDS)
        app(args=arguments, prog_name="iiiffs")
    except IiiffsError as error:
        print(f"iiiffs: {error}", file=sys.stderr, flush=True)
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output (head, less) has left: no error, and Python's last flush must not make it one
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
