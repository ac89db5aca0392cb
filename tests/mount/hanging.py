"""A mount of a provider that hangs: a third party's, registered as any other by an entry point."""

from __future__ import annotations

from pathlib import Path

from tests.harness.mount import Mount, Program, start, write_config
from tests.mount.pictures import picture

PLUGINS = Path(__file__).parent / "plugins"
PROGRAM = Program(environment={"PYTHONPATH": str(PLUGINS)})
HUNG = 20


def hanging_photos(photos: Path) -> Path:
    """A good picture and a good film, HUNG of each whose bytes never come, and HUNG folders that are never listed."""
    for number in range(HUNG):
        picture(photos / f"hang-{number:02}.jpg", number)
        (photos / f"slow-{number:02}.bin").write_bytes(bytes(1 << 20))
        picture(photos / f"hang-folder-{number:02}" / "x.jpg", number)
    picture(photos / "good.jpg", 1, (320, 240))
    (photos / "film.bin").write_bytes(bytes(range(256)) * 4096)
    return photos


def start_hanging(folder: Path, photos: Path) -> Mount:
    """As `start`: whoever calls takes it down."""
    (folder / "mnt").mkdir(parents=True, exist_ok=True)
    return start(folder, photos, config=write_config(folder, photos, provider="hanging"), program=PROGRAM)


def hung_renders(mount: Mount) -> list[Path]:
    """HUNG renditions, each in a directory of its own, that never come."""
    services = [(mount.files / "iiif" / f"hang-{number:02}.jpg").resolve() for number in range(HUNG)]
    return [service / "full" / "20," / "0" / "default.jpg" for service in services]


def hung_lookups(mount: Mount) -> list[Path]:
    """HUNG names in different folders whose lookup waits for a listing."""
    return [mount.files / f"hang-folder-{number:02}" / "x.jpg" for number in range(HUNG)]


def hung_reads(mount: Mount) -> list[Path]:
    """HUNG files that open, and whose bytes never come. Their reads are the kernel's background requests."""
    return [mount.files / f"slow-{number:02}.bin" for number in range(HUNG)]
