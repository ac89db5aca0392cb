"""Originals that lie on another server, read through our mount and through `rclone mount`, of the same bytes, from the
same nginx, in the same run; and by curl, which keeps nothing and mounts nothing.

    .venv/bin/python -m tests.bench blocks          (needs `make .tools/.peers` once)

Cold: a new daemon and an empty cache on each side, in every run, and the machine's page cache dropped before each
measurement. Warm: the same file again, from each side's own cache on the disk. We check the SHA-1 of what was fetched,
as of a photo server's originals; rclone is told no checksum by an HTTP server, and checks none.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from tests.bench.figures import RUNS, ratios, spread
from tests.harness.mount import Program, is_mounted, mounted, release, write_config
from tests.harness.servers import free_port, server_path

PLUGINS = Path(__file__).parent / "plugins"
TOOLS = Path(__file__).parents[2] / ".tools" / "peers"
RCLONE = Path(os.environ.get("IIIFFS_BENCH_RCLONE", TOOLS / "venv" / "bin" / "rclone"))
MIB = 1 << 20
FILM_BYTES = 500_000_000
READERS = 8
READER_BYTES = 64 * MIB
RANDOM_READS, RANDOM_BYTES = 200, 64 << 10
START_S, STOP_S = 20.0, 20.0

NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/errors.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  types {{ }} default_type application/octet-stream;
  server {{ listen 127.0.0.1:{port}; root {root}; autoindex on; }}
}}
"""

Figures = dict[str, list[float]]


def run(runs: int = RUNS) -> None:
    """Prints what each side did, and our ratio to each, run by run."""
    if not RCLONE.exists():
        sys.exit("the peers are not installed: make .tools/.peers")
    done: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_originals(folder)
        with _serving(folder) as url:
            sides: dict[str, Callable[[Path], AbstractContextManager[Path]]] = {
                "iiiffs": partial(_iiiffs, folder),
                "rclone full": partial(_rclone, url, "full"),
                "rclone off": partial(_rclone, url, "off"),
            }
            for number in range(runs):
                _by_curl(url, done["curl"])
                order = list(sides.items())
                random.Random(number).shuffle(order)
                for side, opened in order:
                    with tempfile.TemporaryDirectory() as place, opened(Path(place)) as files:
                        _measure(files, done[side], warm=side != "rclone off")
    _tell(done)


def _tell(done: dict[str, Figures]) -> None:
    for what in done["iiiffs"]:
        unit = "reads/s" if "random" in what else "MB/s"
        print(f"{what}, {unit}")
        for side, figures in done.items():
            if what in figures:
                line = f"  {side}: {spread(figures[what]).shown()}"
                if side != "iiiffs":
                    line += f"; we are {ratios(done['iiiffs'][what], figures[what]).shown(2)} x"
                print(line)


def _measure(files: Path, figures: Figures, *, warm: bool) -> None:
    film, tape = files / "film.bin", files / "tape.bin"
    for words, path in (("in steps of 1 MiB", film), ("in steps of 128 KiB", tape)):
        step = "1M" if path == film else "128k"
        _drop_pages()
        figures[f"sequential {words}"].append(_timed(FILM_BYTES, partial(_dd, path, step)))
    if warm:
        _drop_pages()
        figures["again, from the cache on the disk"].append(_timed(FILM_BYTES, partial(_dd, film, "1M")))
    _drop_pages()
    began = time.perf_counter()
    _random_reads(files / "random.bin")
    figures["random 64 KiB"].append(RANDOM_READS / (time.perf_counter() - began))
    _drop_pages()
    figures[f"{READERS} readers at once"].append(_timed(READERS * READER_BYTES, partial(_many, files)))


def _dd(path: Path, step: str) -> None:
    subprocess.run(["dd", f"if={path}", "of=/dev/null", f"bs={step}"], check=True, capture_output=True)


def _random_reads(path: Path) -> None:
    dice = random.Random(7)
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for _ in range(RANDOM_READS):
            offset = dice.randrange(FILM_BYTES - RANDOM_BYTES)
            assert len(os.pread(file.fileno(), RANDOM_BYTES, offset)) == RANDOM_BYTES


def _many(files: Path) -> None:
    threads = [threading.Thread(target=_dd, args=(files / f"{number}.bin", "1M")) for number in range(READERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _by_curl(url: str, figures: Figures) -> None:
    _drop_pages()
    command = ["curl", "-s", "-o", "/dev/null", f"{url}/film.bin"]
    rate = _timed(FILM_BYTES, partial(subprocess.run, command, check=True))
    figures["sequential in steps of 1 MiB"].append(rate)


def _timed(size_bytes: int, work: Callable[[], object]) -> float:
    """MB/s"""
    began = time.perf_counter()
    work()
    return size_bytes / 1e6 / (time.perf_counter() - began)


def _drop_pages() -> None:
    """What is dirty is on the disk, and no page of a file is in memory but those that nginx will send."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("1")
    for path in WARMED:
        with path.open("rb", buffering=0) as file:
            while file.read(4 * MIB):
                pass


WARMED: list[Path] = []
"""What the server sends is in its memory, so that neither side waits for the disk below the server."""


def _write_originals(folder: Path) -> None:
    (folder / "photos").mkdir()
    (folder / "sums").mkdir()
    names = {"film.bin": FILM_BYTES, "tape.bin": FILM_BYTES, "random.bin": FILM_BYTES}
    names |= {f"{number}.bin": READER_BYTES for number in range(READERS)}
    for name, size_bytes in names.items():
        digest = hashlib.sha1(usedforsecurity=False)
        with (folder / "photos" / name).open("wb") as file:
            for offset in range(0, size_bytes, MIB):
                data = os.urandom(min(MIB, size_bytes - offset))
                digest.update(data)
                file.write(data)
        (folder / "sums" / name).write_bytes(digest.digest())
        WARMED.append(folder / "photos" / name)


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    port, run_dir = free_port(), folder / "nginx"
    run_dir.mkdir()
    folder.chmod(0o755)
    text = NGINX.format(folder=run_dir, port=port, root=folder / "photos")
    if os.geteuid() == 0:
        text = f"user {folder.owner()};\n{text}"
    (run_dir / "nginx.conf").write_text(text)
    command = [server_path("nginx"), "-e", "stderr", "-c", str(run_dir / "nginx.conf")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    (folder / "url").write_text(url)
    try:
        subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", f"{url}/"],
            check=True,
        )
        yield url
    finally:
        process.terminate()
        process.wait(STOP_S)


@contextmanager
def _iiiffs(folder: Path, place: Path) -> Iterator[Path]:
    config = write_config(place, folder / "photos", provider="web")
    config.write_text(config.read_text().replace('"1 GiB"', '"20 GiB"'))
    program = Program(environment={"PYTHONPATH": str(PLUGINS)})
    with mounted(place, folder / "photos", config=config, program=program) as mount:
        yield mount.files


@contextmanager
def _rclone(url: str, mode: str, place: Path) -> Iterator[Path]:
    root = place / "mnt"
    root.mkdir()
    (place / "rclone.conf").touch()
    command = [str(RCLONE), "mount", ":http:", str(root), "--http-url", url, "--read-only"]
    command += ["--log-file", str(place / "rclone.log"), "--vfs-cache-mode", mode]
    command += ["--config", str(place / "rclone.conf"), "--cache-dir", str(place / "cache")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_S
        while not is_mounted(root):
            assert time.monotonic() < end and process.poll() is None, "rclone does not mount"
            time.sleep(0.05)
        yield root
    finally:
        process.terminate()
        process.wait(STOP_S)
        release(root)


if __name__ == "__main__":
    os.environ["IIIFFS_BENCH"] = "1"
    run(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
