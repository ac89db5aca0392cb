"""What the kernel forgets, the daemon forgets: lookup counts are exact, and storms of lookups leave nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.mount import Mount, mounted
from tests.mount.observing import drop_kernel_caches, errno_of, eventually, names, walk

FEW_INODES = 4
"""The root, and what the kernel happens to hold on to."""
STORM_LOOKUPS = 6_000
SOAK_LOOKUPS = 1_000_000
GROWTH_BYTES_MAX = 6 << 20
STRAY_OBJECTS_MAX = 2_000
"""What comes and goes by itself (free lists, timers, log records): a thousandth of what a storm makes."""


@pytest.fixture(scope="module")
def stormed(tmp_path_factory: pytest.TempPathFactory, sample_photos: Path) -> Iterator[Mount]:
    with mounted(tmp_path_factory.mktemp("stormed"), sample_photos) as mount:
        yield mount


def inodes(mount: Mount) -> int:
    """How many inodes the daemon holds for the kernel."""
    return int(mount.gauge("kernel", "inodes"))


def forgotten(mount: Mount) -> int:
    """As `inodes`, once the kernel was told to forget."""

    def ask() -> int:
        drop_kernel_caches()
        return inodes(mount)

    return eventually(ask, lambda held: held <= FEW_INODES, deadline_s=10)


def pinned(held: ExitStack, path: str | Path) -> int:
    """The inode, which the kernel keeps until `held` ends."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    held.callback(os.close, descriptor)
    return os.fstat(descriptor).st_ino


def resident_bytes(mount: Mount) -> int:
    """The daemon's memory."""
    pages = Path(f"/proc/{mount.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_everything_is_forgotten_after_a_walk(stormed: Mount) -> None:
    for _ in range(3):
        with ExitStack() as held:  # or another test, which drops caches too, would have them forgotten now
            seen = {pinned(held, entry.path) for entry in walk(stormed.root)}
            service = stormed.files / "iiif" / "a.jpg"
            for width in range(20, 26):
                (service / "full" / f"{width}," / "0" / "default.jpg").read_bytes()
                seen.add(pinned(held, (service / "full" / f"pct:{width}" / "0" / "default.jpg").resolve()))
            assert inodes(stormed) >= len(seen)
        forgotten(stormed)


def test_what_is_open_is_not_forgotten(stormed: Mount) -> None:
    with (stormed.files / "a.jpg").open("rb") as held, os.scandir(stormed.files) as listing:
        inode = os.fstat(held.fileno()).st_ino
        drop_kernel_caches()
        assert os.fstat(held.fileno()).st_ino == inode
        assert len(held.read()) > 0
        assert next(listing).name
        assert (stormed.files / "a.jpg").stat().st_ino == inode
    forgotten(stormed)


def storm(mount: Mount, first: int, lookups: int) -> None:
    """Different names each time: a third of them exist, in directories of all kinds."""
    service = (mount.files / "iiif" / "a.jpg").resolve()
    for number in range(first, first + lookups, 6):
        for path in (
            service / f"{number % 640},{number // 640 % 480},{number % 97 + 1},{number // 640 % 89 + 1}",
            service / f"pct:{number % 99}.{number},1,1,1",
            service / f"region-{number}",
            mount.files / f"IMG_{number}.jpg",
            mount.account / "iiif" / "3" / f"asset-{number}",
            mount.files / "iiif" / f"IMG_{number}.jpg",
        ):
            errno_of(path.stat)


def held(mount: Mount) -> tuple[int, int]:
    """What the daemon keeps when the kernel keeps nothing: blocks in use by Python, and resident bytes."""
    forgotten(mount)
    return int(mount.gauge("memory", "objects")), resident_bytes(mount)


def test_a_storm_of_lookups_leaves_nothing(stormed: Mount) -> None:
    storm(stormed, 0, STORM_LOOKUPS)  # caches of fixed size are full after this
    objects, resident = held(stormed)
    storm(stormed, STORM_LOOKUPS, 2 * STORM_LOOKUPS)
    assert inodes(stormed) > STORM_LOOKUPS // 3
    objects_after, resident_after = held(stormed)
    assert objects_after - objects < STRAY_OBJECTS_MAX
    assert resident_after - resident < GROWTH_BYTES_MAX


@pytest.mark.soak
def test_a_million_lookups_leave_nothing(stormed: Mount) -> None:
    """One storm of a million, then its double in ten: not an object in fifty lookups, no growth from storm to storm."""
    storm(stormed, 0, SOAK_LOOKUPS)
    peak = resident_bytes(stormed)
    objects, resident = held(stormed)
    print(f"{SOAK_LOOKUPS} lookups at once: {peak >> 20} MiB, {resident >> 20} MiB once forgotten")
    for part in range(10):
        storm(stormed, SOAK_LOOKUPS + part * SOAK_LOOKUPS // 10, SOAK_LOOKUPS // 10)
        objects_after, resident_after = held(stormed)
        print(f"part {part}: {objects_after - objects} objects, {resident_after - resident >> 10} KiB more")
    assert objects_after - objects < STRAY_OBJECTS_MAX
    assert resident_after - resident < GROWTH_BYTES_MAX


def test_listings_count_too(stormed: Mount) -> None:
    for _ in range(50):
        names(stormed.files)
    forgotten(stormed)
