"""`iiiffs demo`: a gallery mounted, served by nginx and explained, all in one temporary folder, until Ctrl-C.

Everything that it starts is its child and ended by its process id; the mount and the folder are gone afterwards, also
when a step fails.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from iiiffs.cli.arguments import ConfigFile
from iiiffs.errors import ConfigError, IiiffsError, StartError

ACCOUNT = "gallery"
READY_DEADLINE_S = 60.0
POLL_S = 0.05
STOPPING = (signal.SIGTERM, signal.SIGHUP)  # SIGHUP: the terminal was closed
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo is made of; everything but `photos` lies in one temporary folder."""

    folder: Path
    photos: Path
    port: int

    @property
    def mountpoint(self) -> Path:
        """Where the gallery is mounted."""
        return self.folder / "mount"

    @property
    def config_file(self) -> Path:
        """The demo's own configuration."""
        return self.folder / "config.toml"

    @property
    def base_url(self) -> str:
        """Where nginx serves it."""
        return f"http://127.0.0.1:{self.port}"


class _Stop(BaseException):
    """One of STOPPING arrived: leave, cleaning up on the way."""


def demo(
    photos: Annotated[
        Path | None, typer.Option("--photos", metavar="DIR", help="Show this folder.  [default: a sample gallery]")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="nginx listens here, on 127.0.0.1.")] = 8080,
    config: ConfigFile = None,
) -> None:
    """Mount a sample gallery (or your folder), serve it with nginx on 127.0.0.1, say where to look; Ctrl-C ends it.

    Cache, state and configuration are the demo's own and are removed afterwards. Viewers that are missing are
    installed as by `iiiffs viewer install`, and stay.
    """
    if config is not None:
        raise ConfigError("--config: the demo writes a configuration of its own; use `iiiffs mount` with yours")
    if photos is not None and not photos.is_dir():
        raise ConfigError(f"--photos: {photos} is not a folder")
    nginx = find_nginx()
    check_port_free(port)
    with _stopped_by_signals(), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iiiffs-demo-")))
        scene = Demo(folder, (photos or folder / "photos").resolve(), port)
        try:
            _run(scene, nginx, stack, make_sample=photos is None)
        except (KeyboardInterrupt, _Stop):
            with suppress(OSError):  # a closed terminal cannot be told
                typer.echo("\niiiffs demo: taking everything down")


def _run(scene: Demo, nginx: str, stack: ExitStack, *, make_sample: bool) -> None:
    """The gallery is served until a child ends (StartError) or this process is told to stop."""
    if make_sample:
        typer.echo("Painting a sample gallery (one picture has 24 MP) …")
        from iiiffs.render.sample import write_sample_gallery

        scene.photos.mkdir()
        write_sample_gallery(scene.photos)
    scene.mountpoint.mkdir()
    scene.config_file.write_text(config_text(scene), encoding="utf-8")
    install_viewers_if_possible()
    mount = _start_mount(scene, stack)
    server = _start_nginx(scene, nginx, stack)
    typer.echo(instructions(scene, first_picture(scene.photos)))
    while True:
        for name, child in (("the mount", mount), ("nginx", server)):
            if child.poll() is not None:
                raise StartError(f"{name} ended with exit code {child.returncode}; its last words are above")
        time.sleep(0.5)


def config_text(scene: Demo) -> str:
    """The demo's configuration file."""
    text = toml_string
    return f"""\
base_url = {text(scene.base_url)}
[cache]
path = {text(str(scene.folder / "cache"))}
size = "2 GiB"
[state]
path = {text(str(scene.folder / "state"))}
[account.{ACCOUNT}]
provider = "folder"
path = {text(str(scene.photos))}
access = "read"
"""


def toml_string(text: str) -> str:
    """`text` as a basic string. Errors: ConfigError if TOML, which is UTF-8, cannot hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{text!r}: a path in a configuration must be UTF-8; rename the folder") from None
    escaped = "".join(f"\\u{ord(c):04x}" if c < " " or c == "\x7f" else c for c in text.replace("\\", "\\\\"))
    return '"' + escaped.replace('"', '\\"') + '"'


def find_nginx() -> str:
    """nginx's path. Errors: StartError."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise StartError("nginx was not found; install it (Debian: apt install nginx-light)")
    return nginx


def check_port_free(port: int) -> None:
    """Nobody listens on 127.0.0.1:`port`. Errors: StartError."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StartError(
                f"127.0.0.1:{port} cannot be listened on ({error.strerror}); choose another with --port"
            ) from None


def install_viewers_if_possible() -> None:
    """The viewers are where the pages look, if npm can bring them; else the pages do without, and that is said."""
    from iiiffs.web.viewers import default_viewers_folder, install_viewers, installed_viewers

    folder = default_viewers_folder()
    try:
        if installed_viewers(folder):
            return
        typer.echo(f"Installing the viewers into {folder} …")
        install_viewers(folder)
    except IiiffsError as error:
        typer.echo(f"Going on without deep-zoom viewers, with plain images: {error}")


def _start_mount(scene: Demo, stack: ExitStack) -> subprocess.Popen[bytes]:
    """`iiiffs mount` runs and its mount answers; it is ended, and the mount is gone, when `stack` is left."""
    from iiiffs.mountpoints import mounted_at, probe
    from iiiffs.providers.mountinfo import read_mounts

    # A session of its own: the terminal's Ctrl-C shall reach this process alone, which then ends the others in order
    stack.callback(_unmount_leftover, scene.mountpoint)
    command = [sys.executable, "-P", "-m", "iiiffs", "mount", "--config", str(scene.config_file)]
    child = subprocess.Popen([*command, "--", str(scene.mountpoint)], stdin=subprocess.DEVNULL, start_new_session=True)
    stack.callback(_end, child)

    def answers() -> bool:
        return mounted_at(scene.mountpoint, read_mounts()) is not None and probe(scene.mountpoint) is None

    _wait_for("the mount", child, answers)
    return child


def _start_nginx(scene: Demo, nginx: str, stack: ExitStack) -> subprocess.Popen[bytes]:
    """nginx runs in the foreground of its own session and listens; it is ended when `stack` is left."""
    from iiiffs.cli.webserver import site_of
    from iiiffs.config import load_config
    from iiiffs.web.nginx import nginx_config

    run_dir = scene.folder / "nginx"
    run_dir.mkdir()
    file = scene.folder / "nginx.conf"
    site = site_of(load_config(scene.config_file), scene.mountpoint, f"127.0.0.1:{scene.port}", run_dir)
    file.write_text(nginx_config(site), encoding="utf-8")
    child = subprocess.Popen(
        [nginx, "-e", "stderr", "-c", str(file), "-g", "daemon off;"], stdin=subprocess.DEVNULL, start_new_session=True
    )
    stack.callback(_end, child)
    _wait_for("nginx", child, lambda: _listens(scene.port))
    return child


def _wait_for(name: str, child: subprocess.Popen[bytes], is_ready: Callable[[], bool]) -> None:
    """Ready. Errors: StartError if the child ends before, or takes too long."""
    end_s = time.monotonic() + READY_DEADLINE_S
    while not is_ready():
        if child.poll() is not None:
            raise StartError(f"{name} ended with exit code {child.returncode}; its last words are above")
        if time.monotonic() > end_s:
            raise StartError(f"{name} was not ready within {READY_DEADLINE_S:g} s")
        time.sleep(POLL_S)


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _end(child: subprocess.Popen[bytes]) -> None:
    """The child has ended, and so have its own children: a killed nginx master leaves workers that go on serving."""
    from iiiffs.cli.readiness import stop_child

    if child.poll() is None:
        child.terminate()
    stop_child(child)
    with suppress(ProcessLookupError):  # the usual case: nobody is left in the group that it led
        os.killpg(child.pid, signal.SIGTERM)


def _unmount_leftover(mountpoint: Path) -> None:
    """Nothing is mounted there any more, so that removing the temporary folder cannot reach into it."""
    from iiiffs.mountpoints import mounted_at, unmount
    from iiiffs.providers.mountinfo import read_mounts

    if mounted_at(mountpoint, read_mounts()) is not None:
        unmount(mountpoint, lazy=True)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """STOPPING, like Ctrl-C, become an exception here; more of them during the clean-up are ignored.

    One that is ignored already stays so: `nohup` is obeyed.
    """

    def stop(_number: int, _frame: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise _Stop

    before = {number: signal.getsignal(number) for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def first_picture(photos: Path) -> Path | None:
    """The first picture by path, relative to `photos`; one in an album before one beside the albums. None if none."""
    beside: Path | None = None
    for folder, names, files in os.walk(photos):
        names.sort()
        names[:] = [name for name in names if not name.startswith(".")]
        for file in sorted(files):
            if file.lower().endswith(PICTURES) and not file.startswith("."):
                found = Path(folder, file).relative_to(photos)
                if len(found.parts) > 1:
                    return found
                beside = beside or found
    return beside


def instructions(scene: Demo, picture: Path | None) -> str:
    """What to open, and six lines to copy and paste."""
    files = scene.mountpoint / ACCOUNT / "files"
    lines = [f"ls -l {shlex.quote(str(files))}"]
    if picture is not None:
        album = (files / picture).parent
        rendition = album / "iiif" / picture.name / "full" / "400,"
        small = shlex.quote(str(scene.folder / "small.jpg"))
        url = quote(str(Path(ACCOUNT, "files", picture.parent, "iiif", picture.name, "info.json")))
        lines += [
            f"cp {shlex.quote(str(rendition / '0' / 'default.jpg'))} {small} && ls -l {small}",
            f"python3 -m json.tool {shlex.quote(str(album / 'manifest.json'))}",
            f"curl -sL {shlex.quote(f'{scene.base_url}/{url}')} | python3 -m json.tool",
            f"cmp {shlex.quote(str(scene.photos / picture))} {shlex.quote(str(files / picture))} && echo same bytes",
        ]
    lines.append(f"find {shlex.quote(str(scene.mountpoint))} -name manifest.json")
    copied = "\n".join(f"  {line}" for line in lines)
    return f"""
Open      {scene.base_url}/
Mount     {scene.mountpoint}
Photos    {scene.photos}

Copy and paste:

{copied}

Ctrl-C takes everything down."""
