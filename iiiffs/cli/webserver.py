"""`iiiffs webserver nginx|caddy|apache`: prints a complete configuration for a mount."""

from __future__ import annotations

import getpass
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from iiiffs.cli.arguments import ConfigFile
from iiiffs.errors import ConfigError

if TYPE_CHECKING:
    from iiiffs.config import Config
    from iiiffs.web.site import Site

DEFAULT_PORT = 8080
LOOPBACK = ("127.0.0.1", "localhost")

Root = Annotated[Path, typer.Option("--root", metavar="MOUNTPOINT", help="The mount to serve.")]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help="A loopback address: the mount is private.  [default: base_url's if that is one, else 127.0.0.1:8080]",
    ),
]
RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", metavar="DIR", help="For what the server writes: pid, logs.  [default: STATE/SERVER]"),
]

app = typer.Typer(no_args_is_help=True, help="Print a web server's configuration for a mount.")


@app.callback()
def _group() -> None:
    """Print a web server's configuration for a mount."""


@app.command("nginx")
def nginx(
    root: Root,
    listen: Listen = None,
    http2: Annotated[
        str, typer.Option("--multiplexed", metavar="HOST:PORT", help="Speak clear-text HTTP/2 there, and nothing else.")
    ] = "",
    run_dir: RunDir = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="Whom nginx's workers become if root starts it.  [default: you]"),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Print an nginx configuration that serves MOUNTPOINT as base_url says.

    `nginx -e stderr -c FILE` runs it as any user; with `-g 'daemon off;'` in the foreground. The folder for its pid is
    made if it is missing; nothing else is written.
    """
    from dataclasses import replace

    from iiiffs.config import load_config
    from iiiffs.web.nginx import nginx_config

    read = load_config(config)
    site = site_of(read, root, listen, _run_folder(read, run_dir, "nginx"), user)
    typer.echo(nginx_config(replace(site, http2_listen=http2)), nl=False)


@app.command("caddy")
def caddy(root: Root, listen: Listen = None, run_dir: RunDir = None, config: ConfigFile = None) -> None:
    """Print a Caddy configuration (JSON) that serves MOUNTPOINT as base_url says, by HTTP/1.1 and clear-text HTTP/2.

    `caddy run --config FILE` runs it in the foreground, as the user who may read the mount. Keep FILE to yourself, and
    print it anew when you like: it holds a secret of its own that nobody has to know.
    """
    from iiiffs.config import load_config
    from iiiffs.web.caddy import caddy_config

    read = load_config(config)
    site = site_of(read, root, listen, _run_folder(read, run_dir, "caddy"), "")
    typer.echo(caddy_config(site), nl=False)


@app.command("apache")
def apache(
    root: Root,
    listen: Listen = None,
    run_dir: RunDir = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="Whom Apache becomes if root starts it.  [default: nobody]"),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Print an Apache configuration that serves MOUNTPOINT as base_url says, by HTTP/1.1 and clear-text HTTP/2.

    `apache2 -f FILE -DFOREGROUND` (elsewhere: httpd) runs it in the foreground, as the user who may read the mount.
    Apache does not serve as root: if root starts it, mount with --allow-other. Its log is DIR/apache.log.
    """
    from iiiffs.config import load_config
    from iiiffs.web.apache import apache_config

    read = load_config(config)
    owner = _with_group(user or "nobody") if os.geteuid() == 0 or user else ""
    site = site_of(read, root, listen, _run_folder(read, run_dir, "apache"), owner)
    typer.echo(apache_config(site), nl=False)


def _run_folder(config: Config, run_dir: Path | None, kind: str) -> Path:
    """The server's own folder, which is there."""
    folder = Path(os.path.abspath(run_dir or config.state.path / kind))  # noqa: PTH100 - may hang
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--run-dir: {folder} cannot be made: {error.strerror}") from None
    return folder


def _with_group(user: str) -> str:
    """ "USER GROUP" with the user's own group."""
    import grp
    import pwd

    try:
        return f"{user} {grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name}"
    except KeyError:
        raise ConfigError(f"--user {user}: there is no such user here, or it has no group") from None


def own_address(base_url: str) -> str:
    """Where ids that begin with `base_url` are answered on this machine: its own port if it names one of loopback."""
    parts = urlsplit(base_url)
    port = parts.port or DEFAULT_PORT
    return f"127.0.0.1:{port if parts.hostname in LOOPBACK else DEFAULT_PORT}"


def site_of(config: Config, root: Path, listen: str | None, run_dir: Path, user: str | None = None) -> Site:
    """The mount at `root` as a web server serves it.

    `listen` None: `own_address`. `user` None: whoever runs this, named only for root, since nginx ignores it else.
    """
    from iiiffs.config_accounts import former_bases
    from iiiffs.mountpoints import canonical_mountpoint
    from iiiffs.web.site import Former, Site
    from iiiffs.web.viewers import default_viewers_folder

    return Site(
        root=str(canonical_mountpoint(root)),
        listen=listen or own_address(config.base_url),
        base_url=config.base_url,
        viewers=str(default_viewers_folder()),
        run_dir=str(run_dir),
        allow_origins=config.web.allow_origins,
        viewer_base=config.iiif.viewer_base,
        user=(getpass.getuser() if os.geteuid() == 0 else "") if user is None else user,
        secret=secrets.token_hex(16),
        former=tuple(
            Former(url, f"/{slug}/iiif/{api}") for url, slug, api in former_bases(config.accounts, config.base_url)
        ),
    )
