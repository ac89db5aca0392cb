"""`ls` of 10,000 files on the mount against os.scandir of the folder itself, stat of each entry in both."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.harness.mount import mounted

COUNT = 10_000


def run(runs: int = 5) -> None:
    """Prints the first listing after a start, the medians of later ones, and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        write_copies(photos, COUNT)
        with mounted(folder, photos) as mount:
            first = _listed(mount.files)
            manifest_s = _read(mount.files / "manifest.json")
            plain, through = [], []
            for _ in range(runs):
                time.sleep(1.1)  # older than the provider's freshness: every run asks the folder again
                through.append(_listed(mount.files))
                plain.append(_listed(photos))
            rss = Path(f"/proc/{mount.process.pid}/status").read_text().split("VmRSS:")[1].split("kB")[0].strip()
    warm, bare = sorted(through)[runs // 2], sorted(plain)[runs // 2]
    print(
        f"ls of {COUNT} files: os.scandir on the disk {bare:.3f} s, on the mount {warm:.3f} s: {warm / bare:.1f} x",
        end="",
    )
    print(
        f"   (first ever {first:.2f} s; manifest first {manifest_s:.2f} s; RSS {int(rss) // 1024} MiB; "
        "DESIGN §8: < 1 s)"
    )


def write_copies(folder: Path, count: int) -> None:
    """`count` equal small pictures are in `folder`."""
    Image.effect_noise((64, 48), 50).save(folder / "IMG_00000.jpg")
    for number in range(1, count):
        shutil.copyfile(folder / "IMG_00000.jpg", folder / f"IMG_{number:05}.jpg")


def _listed(folder: Path) -> float:
    began = time.perf_counter()
    with os.scandir(folder) as entries:
        count = sum(1 for entry in entries if entry.stat(follow_symlinks=False).st_size)
    assert count >= COUNT
    return time.perf_counter() - began


def _read(path: Path) -> float:
    began = time.perf_counter()
    path.read_bytes()
    return time.perf_counter() - began


if __name__ == "__main__":
    run()
