"""Real web servers on loopback, for tests and benches: each is started with its printed configuration file in the
foreground, and ended by its process id.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iiiffs.web.apache import apache_config
from iiiffs.web.caddy import caddy_config
from iiiffs.web.nginx import nginx_config
from iiiffs.web.site import DEFAULT_WORKERS, Site

SERVERS = ("nginx", "caddy", "apache")
START_S = 20.0
STOP_S = 15.0
NOBODY = 65534


@dataclass(frozen=True)
class Server:
    """How one is written down and run. `log`: where its errors are, in run_dir; its first words are in errors.log."""

    program: str
    package: str
    text: Callable[[Site], str]
    arguments: tuple[str, ...]
    log: str = "errors.log"


KINDS = {
    "nginx": Server("nginx", "nginx-light", nginx_config, ("-e", "stderr", "-g", "daemon off;", "-c")),
    "caddy": Server("caddy", "caddy", caddy_config, ("run", "--config")),
    "apache": Server("apache2", "apache2-bin", apache_config, ("-DFOREGROUND", "-f"), log="apache.log"),
}


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port of `host` that nobody listened on a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def server_path(kind: str) -> str:
    """The program, which Debian may keep outside an ordinary user's PATH."""
    name = KINDS[kind].program
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed (Debian: {KINDS[kind].package})"
    return found


ALARMING = re.compile(
    r"\[(?:\w+:)?(?:warn|error|crit|alert|emerg)\]|\"level\":\"(?:warn|error|fatal|panic)\"|^AH|^Error"
)


def alarms(errors: Path) -> list[str]:
    """What a server had to complain of."""
    return [line for line in errors.read_text().splitlines() if ALARMING.search(line)]


@contextmanager
def serving(kind: str, site: Site, *, as_uid: int | None = None) -> Iterator[Path]:
    """Inside, the server `kind` serves `site` as its printed configuration says; the path of its error log.

    `site.run_dir` is there. `as_uid` starts it as that user (needs root and setpriv). Apache never serves as root:
    where we are root, and the mount is root's alone, it runs in a user namespace that shows it another number.
    """
    server, run_dir = KINDS[kind], Path(site.run_dir)
    file, said, errors = run_dir / f"{kind}.conf", run_dir / "errors.log", run_dir / server.log
    file.write_text(server.text(site))
    command = [server_path(kind), *server.arguments, str(file)]
    if as_uid is not None:
        os.chown(run_dir, as_uid, as_uid)
        command = ["setpriv", f"--reuid={as_uid}", f"--regid={as_uid}", "--clear-groups", *command]
    elif kind == "apache" and os.geteuid() == 0:
        command = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", *command]
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=run_dir, start_new_session=True
        )
    try:
        _wait(kind, process, (said, errors), site)
        yield errors
    finally:
        process.terminate()
        process.wait(STOP_S)


def _wait(kind: str, process: subprocess.Popen[bytes], logs: tuple[Path, Path], site: Site) -> None:
    end = time.monotonic() + START_S
    host = site.address.host.strip("[]")
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection((host, site.address.port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    words = "\n".join(log.read_text() for log in dict.fromkeys(logs) if log.exists())
    raise AssertionError(f"{kind} does not listen on {site.listen}: {words}")


@contextmanager
def printed(
    kind: str,
    root: Path,
    folder: Path,
    port: int,
    *,
    viewers: Path | None = None,
    allow_origins: tuple[str, ...] = (),
    workers: int | None = None,
    http2_port: int | None = None,
) -> Iterator[Path]:
    """`kind` with the configuration that `iiiffs webserver` prints for the mount `root`; the path of its error log.

    `http2_port`: where nginx speaks HTTP/2 by prior knowledge; Caddy and Apache do so on `port`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(
        root=str(root),
        listen=f"127.0.0.1:{port}",
        base_url=f"http://127.0.0.1:{port}",
        viewers=str(viewers or folder / "no-viewers"),
        run_dir=str(folder),
        allow_origins=allow_origins,
        user=root.owner() if kind == "nginx" else "",
        workers=workers or DEFAULT_WORKERS,
        secret=secrets.token_hex(16),
        http2_listen=f"127.0.0.1:{http2_port}" if http2_port and kind == "nginx" else "",
    )
    with serving(kind, site) as errors:
        yield errors
