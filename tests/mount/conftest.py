"""Real kernel mounts. A test that hangs gets its daemon killed, so that it fails; nothing stays mounted."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiiffs.providers.mountinfo import OWN_TYPE, read_mounts
from tests.harness.mount import RUNNING, Mount, mounted, release
from tests.mount.pictures import picture

STUCK_S = 120.0
SOAK_STUCK_S = 3600.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are `mount` tests."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.mount)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root: /dev/fuse, drop_caches, other users"))


def _kill_daemons() -> None:
    for process in list(RUNNING):
        process.kill()


@pytest.fixture(autouse=True)
def watchdog(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whoever waits for a mount that answers nobody gets ENOTCONN in the end, and the test fails."""
    long = request.node.get_closest_marker("soak") is not None
    timer = threading.Timer(SOAK_STUCK_S if long else STUCK_S, _kill_daemons)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


@pytest.fixture(scope="session", autouse=True)
def nothing_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test nothing of ours is mounted below pytest's folder, whatever went wrong."""
    yield
    base = tmp_path_factory.getbasetemp()
    left = [Path(m.point) for m in read_mounts() if m.type == OWN_TYPE and Path(m.point).is_relative_to(base)]
    for root in left:
        release(root)
    assert not left, f"left mounted: {left}"


@pytest.fixture(scope="session")
def sample_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several kinds in nested folders with awkward names, beside files that are none. Never changed."""
    photos = tmp_path_factory.mktemp("sample") / "photos"
    picture(photos / "a.jpg", 1, (640, 480))
    picture(photos / "b.png", 2, (100, 75), "RGBA")
    picture(photos / "gray.jpg", 3, (80, 60), "L")
    (photos / "notes.txt").write_text("no picture\n")
    (photos / "film.bin").write_bytes(os.urandom(3 << 20))
    odd = photos / "Üñï 100% & #1?"
    picture(odd / "d e.webp", 4, (128, 256))
    picture(odd / "deeper" / "cmyk.jpg", 5, (64, 64), "CMYK")
    (photos / "empty").mkdir()
    return photos


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, sample_photos: Path) -> Iterator[Mount]:
    """`sample_photos`, mounted once a test file: for tests that only read."""
    with mounted(tmp_path_factory.mktemp("sample-mount"), sample_photos) as mount:
        yield mount


ALBUMS = 24


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that tests may change, with ALBUMS folders of one picture `x.jpg` each."""
    photos = tmp_path_factory.mktemp("changing") / "photos"
    for number in range(ALBUMS):
        picture(photos / f"album {number:02}" / "x.jpg", 1)
    return photos


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Mount]:
    """`photos`, mounted once a test file."""
    with mounted(tmp_path_factory.mktemp("changing-mount"), photos) as mount:
        yield mount


@pytest.fixture(scope="module")
def untouched(photos: Path) -> Iterator[Path]:
    """The next folder that no test has used."""
    return iter(sorted(photos.iterdir()))


@pytest.fixture
def album(untouched: Iterator[Path], changing: Mount) -> tuple[Path, Path]:
    """A folder of the test's own, seen and listed already: on disk, and in the mount."""
    real = next(untouched)
    shown = changing.files / real.name
    assert (shown / "manifest.json").stat().st_size > 0
    return real, shown
