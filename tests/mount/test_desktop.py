"""Desktops: an indexer and a file manager look at the mount and fetch no photo for it (DESIGN §8)."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import time
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.harness.mount import Mount, mounted
from tests.mount.observing import eventually

FIRST_BLOCK_BYTES = 256 << 10
"""What the kernel reads ahead of somebody who reads a header."""


def with_thumbnail(image: Image.Image) -> bytes:
    """A JPEG as cameras write them: a small JPEG of it in its EXIF. Rule: EXIF 2.3 §4.5.4, §4.6.2 (IFD1)."""
    small = BytesIO()
    image.resize((160, 120)).save(small, "JPEG")
    thumbnail = small.getvalue()
    ifd0 = struct.pack("<HHHII", 1, 0x0112, 3, 1, 1) + struct.pack("<I", 26)
    rows = ((0x0103, 3, 6), (0x0201, 4, 26 + 42), (0x0202, 4, len(thumbnail)))
    ifd1 = struct.pack("<H", len(rows)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in rows
    )
    exif = b"II*\0" + struct.pack("<I", 8) + ifd0 + ifd1 + struct.pack("<I", 0) + thumbnail
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=95, exif=b"Exif\0\0" + exif)
    return buffer.getvalue()


def test_updatedb_finds_every_name_and_reads_nothing(sample: Mount, tmp_path: Path) -> None:
    """Without its list of pruned file systems, which ought to hold ours."""
    opened, rendered = sample.gauge("originals", "opened"), sample.rendered
    database = tmp_path / "names.db"
    unpruned = ["--prunefs", "", "--prunepaths", "", "--require-visibility", "no"]
    subprocess.run(["updatedb.plocate", "-o", database, "-U", sample.root, *unpruned], check=True, timeout=60)
    found = subprocess.run(["plocate", "-d", database, ""], check=True, capture_output=True, text=True, timeout=60)
    assert {str(sample.files / "a.jpg"), str(sample.account / "collection.json")} <= set(found.stdout.splitlines())
    assert (sample.gauge("originals", "opened"), sample.rendered) == (opened, rendered)


def test_a_file_manager_opens_a_folder(tmp_path: Path) -> None:
    """PCManFM makes its own thumbnails: of a camera's pictures it reads no more than the first block."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(8):
        image = Image.effect_noise((1600, 1200), 60 + number).convert("RGB")
        (photos / f"IMG_{number}.jpg").write_bytes(with_thumbnail(image))
        assert (photos / f"IMG_{number}.jpg").stat().st_size > 4 * FIRST_BLOCK_BYTES
    with mounted(tmp_path, photos) as mount:
        home = tmp_path / "home"
        home.mkdir()
        places = {"HOME": "", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data"}
        environment = os.environ | {name: str(home / below) for name, below in places.items()}
        xvfb = shutil.which("xvfb-run")
        assert xvfb, "xvfb-run is not installed (Debian: xvfb, xauth)"
        desktop = subprocess.Popen(
            [xvfb, "-a", "pcmanfm", "--no-desktop", mount.files],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            eventually(lambda: mount.gauge("originals", "opened"), lambda opened: opened >= 8, deadline_s=30)
            eventually(lambda: mount.gauge("kernel", "handles"), lambda held: held == 0, deadline_s=10)
            time.sleep(1)  # it might come back for more
            assert mount.rendered == 0
            assert mount.gauge("originals", "read_bytes") <= 8 * FIRST_BLOCK_BYTES
        finally:
            os.killpg(desktop.pid, signal.SIGTERM)
            desktop.wait(10)
