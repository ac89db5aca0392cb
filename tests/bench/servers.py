"""Web servers before a provider that hangs: how long do visitors wait who look at tiles that are in the cache, while
20 requests wait for originals that do not come?

    .venv/bin/python -m tests.bench.servers [--all]

Lookups block: a request for a rendition holds its server's process (nginx) or thread (Apache, Caddy) until the mount
answers. Asked by new connections, and by connections that were open before the 20 requests came. The yardstick is the
same server, the same visitors, and nobody stuck. `--all` asks nginx with 4, 16 and 64 workers, not only as printed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    os.environ["IIIFFS_BENCH"] = "1"  # before the harness is imported, which reads it

from tests.bench.figures import percentile
from tests.harness.mount import Mount, take_down
from tests.harness.servers import free_port, printed
from tests.mount.hanging import hanging_photos, start_hanging
from tests.mount.stuck import PROTOCOLS, Front, Visitors, cached_paths, hung_paths, stuck_streams, stuck_visitors

MILLISECONDS = 1000
WORKERS = (4, 16, 64)
CONNECTIONS = 12
REQUESTS = 10
"""Of each connection that was open before, in the window."""
SETTLE_S = 0.5
WINDOW_S = 1.5
GIVE_UP_S = 4.0
REQUESTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Setup:
    """One server as it is asked. `workers`: None as printed. `one_connection`: of those who are stuck (HTTP/2)."""

    kind: str
    protocol: str
    workers: int | None = None
    one_connection: bool = False

    def __str__(self) -> str:
        workers = f" {self.workers} workers" if self.workers else ""
        streams = ", stuck as 20 streams of one" if self.one_connection else ""
        return f"{self.kind}{workers}, {self.protocol}{streams}"


def setups(*, every: bool) -> list[Setup]:
    """As printed; with `every`, nginx with fewer and more workers as well."""
    found = [Setup("nginx", protocol, workers) for workers in WORKERS for protocol in PROTOCOLS] if every else []
    for kind in ("nginx", "caddy", "apache"):
        found += [Setup(kind, protocol) for protocol in PROTOCOLS]
        found.append(Setup(kind, "HTTP/2", one_connection=True))
    return found


def run(*, every: bool = False) -> None:
    """Prints p50 / p99 / max in ms of each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mount = start_hanging(folder / "mount", hanging_photos(folder / "photos"))
        try:
            tiles, hung = cached_paths(mount), hung_paths(mount)
            print("cached tiles while 20 requests are stuck, p50 / p99 / max ms   (DESIGN §8: p99 < 100 ms)")
            print("  (4000: no answer within 4 s)")
            for number, setup in enumerate(setups(every=every)):
                _compare(mount, folder / f"server{number}", setup, tiles, hung)
        finally:
            take_down(mount)


def _compare(mount: Mount, folder: Path, setup: Setup, tiles: list[str], hung: list[str]) -> None:
    port, http2_port = free_port(), free_port()
    with printed(setup.kind, mount.root, folder, port, workers=setup.workers, http2_port=http2_port):
        asked = http2_port if setup.kind == "nginx" and setup.protocol == "HTTP/2" else port
        front = Front(asked, setup.protocol)
        idle_new, idle_open = _visit(front, tiles, nullcontext())
        stuck = stuck_streams(asked, hung) if setup.one_connection else stuck_visitors(front, hung)
        busy_new, busy_open = _visit(front, tiles, stuck)
    print(
        f"  {setup}: new connections {_shown(busy_new)} (nobody stuck {_shown(idle_new)}); "
        f"open before {_shown(busy_open)} (nobody stuck {_shown(idle_open)})"
    )


def _visit(front: Front, tiles: list[str], stuck: AbstractContextManager[None]) -> tuple[list[float], list[float]]:
    """Seconds that answers took: of new connections, and of connections that were open before."""
    new, staying = Visitors(front, tiles, GIVE_UP_S), Visitors(front, tiles, GIVE_UP_S)
    with staying.staying(CONNECTIONS, REQUESTS, WINDOW_S / REQUESTS) as begin, stuck:
        time.sleep(SETTLE_S)
        begin.set()
        new.come_and_go(WINDOW_S, REQUESTS_MAX)
    return new.took_s, staying.took_s


def _shown(took_s: list[float]) -> str:
    values = (percentile(took_s, 0.5), percentile(took_s, 0.99), max(took_s))
    return " / ".join(f"{value * MILLISECONDS:.0f}" for value in values)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="nginx with 4, 16 and 64 workers as well")
    run(every=parser.parse_args().all)


if __name__ == "__main__":
    main()
