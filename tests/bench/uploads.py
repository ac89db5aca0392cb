"""500 photos of 4 MB into Immich: `cp` into the mount and `flush --wait`, beside @immich/cli, on the same fake.

    .venv/bin/python -m tests.bench uploads

The two take turns, each on an account of its own that is empty. The fake is one process of Python, which both wait
for: what it needs by itself is the line "the fake alone", the same requests by a client that does nothing else.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image

from tests.bench.figures import percentile, ratios, spread
from tests.contract.test_immich_cli import TOOLS, node
from tests.harness.mount import Mount, Program, check_log, start, take_down
from tests.mount.immich_mount import environ_of, home_of, write_config

PHOTOS = 500
PHOTO_BYTES = 4 << 20
UPLOAD_RUNS = 3
ALBUM = "Trip"
SAMPLE_S = 0.05
WAIT_S = 600.0


@dataclass(frozen=True)
class Fake:
    """The fake, in a process of its own."""

    url: str
    key: str

    def stored(self) -> int:
        """How many photos the account has."""
        answer = httpx.get(f"{self.url}/api/assets/statistics", headers={"x-api-key": self.key})
        return int(answer.raise_for_status().json()["total"])


def run(photos: int = PHOTOS) -> None:
    """Prints the seconds of both, the ratio, and the memory of the daemon."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        _write_photos(folder / "photos", photos)
        ours, theirs, alone, peaks = [], [], [], []
        for number in range(UPLOAD_RUNS):
            took_s, peak_mb = _mount_s(folder, photos)
            ours.append(took_s)
            peaks.append(peak_mb)
            theirs.append(_cli_s(folder, photos))
            alone.append(_alone_s(folder / "photos"))
            print(f"  run {number}: {ours[-1]:.1f} s, {theirs[-1]:.1f} s, {alone[-1]:.1f} s", file=sys.stderr)
        megabytes = photos * PHOTO_BYTES / 1e6
        speed = ratios(theirs, ours)
        print(f"{photos} photos of {PHOTO_BYTES / 1e6:.1f} MB, s: cp and flush --wait {spread(ours).shown(1)},")
        print(f"  immich upload {spread(theirs).shown(1)}, the fake alone {spread(alone).shown(1)}")
        print(f"  {megabytes / percentile(ours, 0.5):.0f} MB/s; {speed.shown(2)} x the speed of @immich/cli")
        print(f"  RSS of the daemon, at its peak: {max(peaks):.0f} MB")


def _write_photos(folder: Path, photos: int) -> None:
    """Each another one: after its end a JPEG may have any bytes."""
    folder.mkdir()
    drawn = io.BytesIO()
    Image.new("RGB", (640, 480), "teal").save(drawn, "JPEG")
    for number in range(photos):
        (folder / f"IMG_{number:04}.jpg").write_bytes(drawn.getvalue() + os.urandom(PHOTO_BYTES - drawn.tell()))


@contextmanager
def _fake(folder: Path) -> Iterator[Fake]:
    environment = os.environ | {"TMPDIR": str(folder)}  # beside the photos: memory is no disk
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.immich"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None, "asked for"
        told = json.loads(process.stdout.readline())
        try:
            yield Fake(told["url"], told["key"])
        finally:
            process.stdin.close()
            process.wait(WAIT_S)


def _mount_s(folder: Path, photos: int) -> tuple[float, float]:
    """Seconds from the beginning of cp until everything is at the server; the peak of the daemon's RSS, in MB."""
    with _fake(folder) as fake, _mounted(folder, fake) as mount:
        album = home_of(mount) / "albums" / ALBUM
        began = time.perf_counter()
        subprocess.run(["cp", "-r", str(folder / "photos"), str(album)], check=True)
        flush = [sys.executable, "-m", "iiiffs", "flush", "--wait", "--config", str(mount.config)]
        subprocess.run(flush, check=True, timeout=WAIT_S, stdout=subprocess.DEVNULL)
        took_s = time.perf_counter() - began
        _arrived(fake, photos)
        told = Path(f"/proc/{mount.process.pid}/status").read_text()
        return took_s, int(told.split("VmHWM:")[1].split()[0]) / 1024


@contextmanager
def _mounted(folder: Path, fake: Fake) -> Iterator[Mount]:
    home = folder / "mount"
    home.mkdir()
    config = write_config(home, fake.url, poll="30 s")  # what is there if nobody says otherwise
    asked = f'url = "{fake.url}"\naccess = '
    config.write_text(config.read_text().replace(f'{asked}"read"', f'{asked}"add"'))
    mount = start(home, home / "photos", config=config, program=Program(environment=environ_of(home=fake.key)))
    try:
        yield mount
    finally:
        take_down(mount)
    check_log(mount)
    shutil.rmtree(home)


def _cli_s(folder: Path, photos: int) -> float:
    """Seconds of `immich upload`, node's own start included, as cp's and Python's are."""
    with _fake(folder) as fake:
        environment = os.environ | {
            "IMMICH_INSTANCE_URL": f"{fake.url}/api", "IMMICH_API_KEY": fake.key,
            "IMMICH_CONFIG_DIR": str(folder / "cli"), "NO_COLOR": "1",
        }  # fmt: skip
        script = TOOLS / "@immich" / "cli" / "dist" / "index.js"
        command = [node(), str(script), "upload", "--recursive", "--album-name", ALBUM, str(folder / "photos")]
        began = time.perf_counter()
        subprocess.run(command, check=True, env=environment, timeout=WAIT_S, stdout=subprocess.DEVNULL)
        took_s = time.perf_counter() - began
        _arrived(fake, photos)
        return took_s


def _alone_s(photos: Path) -> float:
    """Seconds of curl, which sends the same forms one after the other and asks nothing else."""
    with _fake(photos.parent) as fake:
        lines = []
        for path in sorted(photos.iterdir()):
            fields = [f"{name}=2026-01-01T00:00:00Z" for name in ("fileCreatedAt", "fileModifiedAt")]
            fields += ["deviceAssetId=x", "deviceId=x", f"assetData=@{path}"]
            lines += [f'form = "{field}"' for field in fields]
            lines += [f'url = "{fake.url}/api/assets"', f'header = "x-api-key: {fake.key}"', "next"]
        began = time.perf_counter()
        subprocess.run(
            ["curl", "--silent", "--fail", "--config", "-"], input="\n".join(lines[:-1]), text=True, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return time.perf_counter() - began


def _arrived(fake: Fake, photos: int) -> None:
    stored = fake.stored()
    if stored != photos:
        raise AssertionError(f"{stored} of {photos} arrived")
