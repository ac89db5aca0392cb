"""A client that is killed between pyfuse3's poll and its blocking receive freezes the loop; the timer ends that.

Rule: DESIGN §6. The same storm is run with and without the timer: the second must freeze, or the first shows nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.mount import Mount, Program, mounted

STORM_S = 5.0
UNTIL_FROZEN_S = 40.0
SOAK_STORM_S = 300.0
LAG_MAX_S = 0.5
FROZEN_MIN_S = 1.0


def storm(mount: Mount, seconds: float, *options: str) -> dict[str, int]:
    """What the storm says of itself: rounds, and how often the loop did not answer."""
    command = [sys.executable, "-m", "tests.mount.storm", str(mount.files), str(mount.socket), str(seconds), *options]
    done = subprocess.run(command, check=True, capture_output=True, timeout=seconds + 30)
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    said["lag_ms"] = int(mount.gauge("loop", "lag_max_s") * 1000)
    print(said)
    return said


def test_the_loop_goes_on(tmp_path: Path, sample_photos: Path) -> None:
    with mounted(tmp_path, sample_photos) as mount:
        said = storm(mount, STORM_S)
        assert said["rounds"] > 20
        assert mount.gauge("loop", "lag_max_s") < LAG_MAX_S
        assert mount.gauge("kernel", "bugs") == 0


def test_without_the_timer_it_freezes(tmp_path: Path, sample_photos: Path) -> None:
    with mounted(tmp_path, sample_photos, program=Program(module="tests.mount.without_ticks")) as mount:
        said = storm(mount, UNTIL_FROZEN_S, "--until-frozen")
        assert said["frozen"] == 1
        assert mount.gauge("loop", "lag_max_s") > FROZEN_MIN_S


@pytest.mark.soak
def test_the_loop_goes_on_for_long(tmp_path: Path, sample_photos: Path) -> None:
    with mounted(tmp_path, sample_photos) as mount:
        storm(mount, SOAK_STORM_S)
        assert mount.gauge("loop", "lag_max_s") < LAG_MAX_S
