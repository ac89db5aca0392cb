"""A real nginx on loopback, for tests and benches: started with a configuration file, ended by its process id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iiiffs.web.nginx import NginxSite, nginx_config

START_S = 10.0


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port of `host` that nobody listened on a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def nginx_path() -> str:
    """nginx, which Debian keeps outside an ordinary user's PATH."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    assert found, "nginx is not installed (Debian: nginx-light)"
    return found


@contextmanager
def nginx(site: NginxSite, *, as_uid: int | None = None) -> Iterator[Path]:
    """Inside, nginx serves `site` as its printed configuration says; the path of its error log.

    `site.run_dir` is there. `as_uid` starts nginx as that user (needs root and setpriv).
    """
    run_dir = Path(site.run_dir)
    file, errors = run_dir / "nginx.conf", run_dir / "errors.log"
    file.write_text(nginx_config(site))
    command = [nginx_path(), "-e", "stderr", "-c", str(file), "-g", "daemon off;"]
    if as_uid is not None:
        os.chown(run_dir, as_uid, as_uid)
        command = ["setpriv", f"--reuid={as_uid}", f"--regid={as_uid}", "--clear-groups", *command]
    with errors.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait(process, errors, site.listen)
        yield errors
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: subprocess.Popen[bytes], errors: Path, listen: str) -> None:
    host, port = listen.rsplit(":", 1)
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nginx does not listen on {listen}: {errors.read_text()}")


@contextmanager
def printed_nginx(
    root: Path, folder: Path, port: int, *, viewers: Path | None = None, allow_origins: tuple[str, ...] = ()
) -> Iterator[Path]:
    """nginx with the configuration that `iiiffs webserver nginx` prints for the mount `root`."""
    folder.mkdir(parents=True, exist_ok=True)
    site = NginxSite(
        root=str(root),
        listen=f"127.0.0.1:{port}",
        base_url=f"http://127.0.0.1:{port}",
        viewers=str(viewers or folder / "no-viewers"),
        run_dir=str(folder),
        allow_origins=allow_origins,
        user=root.owner(),
    )
    with nginx(site) as errors:
        yield errors
