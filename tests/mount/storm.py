"""Clients killed in the middle of lookups, until the daemon's loop freezes or the time is over.

    python -m tests.mount.storm MOUNT SOCKET SECONDS [--until-frozen]

Each round forks a client that looks up names that are not there, kills it after some milliseconds, and asks the
daemon for its status: with nobody else at the mount, only a frozen loop does not answer. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from iiiffs.control import ask
from iiiffs.errors import IiiffsError

ANSWER_S = 0.3
FROZEN_S = 1.5
CLIENTS_MAX = 3


def look_up_for_ever(folder: Path, seed: int) -> None:
    """Never returns: every lookup is a new name, so that each one reaches the daemon; no handle is ever open."""
    number = 0
    while True:
        with suppress(OSError):
            os.stat(f"{folder}/missing-{seed}-{number}")  # noqa: PTH116 - Path costs more than the lookup
        number += 1


def run_round(folder: Path, seed: int, chance: random.Random) -> None:
    """Some clients, killed one after the other at odd moments."""
    clients = []
    for index in range(chance.randint(1, CLIENTS_MAX)):
        pid = os.fork()
        if not pid:
            look_up_for_ever(folder, seed * CLIENTS_MAX + index)
        clients.append(pid)
    for pid in clients:
        time.sleep(chance.uniform(0.001, 0.012))
        os.kill(pid, signal.SIGKILL)
    for pid in clients:
        os.waitpid(pid, 0)


def answers(socket: Path) -> bool:
    """True if the daemon's loop runs."""
    try:
        ask(socket, "status", timeout_s=ANSWER_S)
    except IiiffsError:
        return False
    return True


def main() -> None:
    """See above."""
    folder, socket, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    until_frozen = "--until-frozen" in sys.argv
    chance, end, rounds, frozen = random.Random(2026), time.monotonic() + seconds, 0, 0
    while time.monotonic() < end and not (until_frozen and frozen):
        run_round(folder, rounds, chance)
        rounds += 1
        if not answers(socket):
            if until_frozen:
                time.sleep(FROZEN_S)
            if not until_frozen or not answers(socket):  # a busy machine is slow for a moment
                frozen += 1
            with suppress(OSError):  # any request wakes a frozen loop
                (folder / f"wake-{rounds}").stat()
    print(json.dumps({"rounds": rounds, "frozen": frozen}))


if __name__ == "__main__":
    main()
