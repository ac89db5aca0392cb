"""A real nginx on loopback, for tests and benches: started with a configuration file, ended by its process id."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iiiffs.web.nginx import NginxSite, nginx_config

START_S = 10.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nginx(config: str, folder: Path, port: int) -> Iterator[Path]:
    """Inside, nginx serves `config` on `port`; the path of its error log."""
    folder.mkdir(parents=True, exist_ok=True)
    file, errors = folder / "nginx.conf", folder / "errors.log"
    file.write_text(config)
    with errors.open("wb") as log:
        command = ["nginx", "-e", "stderr", "-c", str(file), "-g", "daemon off;"]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait(process, errors, port)
        yield errors
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: subprocess.Popen[bytes], errors: Path, port: int) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nginx did not start: {errors.read_text()}")


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
    with nginx(nginx_config(site), folder, port) as errors:
        yield errors
