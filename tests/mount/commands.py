"""Clients that may hang: separate processes, never this one; and what `iiiffs` says when it refuses to start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REFUSED_S = 20.0


@dataclass(frozen=True)
class Refusal:
    """How a command ended."""

    code: int
    lines: list[str]


def run_iiiffs(*arguments: str | Path, prefix: Sequence[str] = ()) -> Refusal:
    """`iiiffs ARGUMENTS` run to its end; the lines are those of stderr."""
    command = [*prefix, sys.executable, "-X", "dev", "-m", "iiiffs", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=REFUSED_S)
    return Refusal(done.returncode, done.stderr.splitlines())


def start_clients(command: Sequence[str], paths: Sequence[Path]) -> list[subprocess.Popen[bytes]]:
    """One process of `command PATH` each, running."""
    return [
        subprocess.Popen([*command, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for path in paths
    ]


def reap(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """All have ended. For after the mount: the kernel keeps even a killed client until its request is answered."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait(10)
