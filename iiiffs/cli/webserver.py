"""`iiiffs webserver nginx`: prints a complete configuration for a mount."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from iiiffs.cli.arguments import ConfigFile
from iiiffs.errors import ConfigError

if TYPE_CHECKING:
    from iiiffs.config import Config

DEFAULT_PORT = 8080
LOOPBACK = ("127.0.0.1", "localhost")

app = typer.Typer(no_args_is_help=True, help="Print a web server's configuration for a mount.")


@app.callback()
def _group() -> None:
    """Print a web server's configuration for a mount."""


@app.command("nginx")
def nginx(
    root: Annotated[Path, typer.Option("--root", metavar="MOUNTPOINT", help="The mount to serve.")],
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="HOST:PORT",
            help="A loopback address: the mount is private.  [default: base_url's if that is one, else 127.0.0.1:8080]",
        ),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option("--run-dir", metavar="DIR", help="For nginx's pid and temporary files.  [default: STATE/nginx]"),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="Whom nginx's workers become if root starts it.  [default: you]"),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Print an nginx configuration that serves MOUNTPOINT as base_url says; `nginx -c FILE` runs it as any user.

    The folder for its pid is made if it is missing; nothing else is written.
    """
    from iiiffs.config import load_config

    read = load_config(config)
    folder = Path(os.path.abspath(run_dir or read.state.path / "nginx"))  # noqa: PTH100
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--run-dir: {folder} cannot be made: {error.strerror}") from None
    typer.echo(nginx_text(read, root, listen or own_address(read.base_url), folder, user), nl=False)


def own_address(base_url: str) -> str:
    """Where ids that begin with `base_url` are answered on this machine: its own port if it names one of loopback."""
    parts = urlsplit(base_url)
    port = parts.port or DEFAULT_PORT
    return f"127.0.0.1:{port if parts.hostname in LOOPBACK else DEFAULT_PORT}"


def nginx_text(config: Config, root: Path, listen: str, run_dir: Path, user: str | None = None) -> str:
    """The configuration's text. `user` None: whoever runs this, named only for root, since nginx ignores it else."""
    from iiiffs.mountpoints import canonical_mountpoint
    from iiiffs.web.nginx import NginxSite, nginx_config
    from iiiffs.web.viewers import default_viewers_folder

    return nginx_config(
        NginxSite(
            root=str(canonical_mountpoint(root)),
            listen=listen,
            base_url=config.base_url,
            viewers=str(default_viewers_folder()),
            run_dir=str(run_dir),
            allow_origins=config.web.allow_origins,
            viewer_base=config.iiif.viewer_base,
            user=(getpass.getuser() if os.geteuid() == 0 else "") if user is None else user,
        )
    )
