"""Bad files: one log line at most and an error for that file alone; the folder around it works."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.mount import Mount, mounted
from tests.mount.observing import errno_of, eventually, names, walk
from tests.mount.pictures import picture, png_bomb

UNDECODABLE = ("empty.jpg", "text.jpg", "corrupt.jpg", "corrupt.png", "bomb.png", "header-only.jpg", "zeros.webp")
"""Their headers tell that they are no pictures that can be shown."""
TRUNCATED = ("cut.jpg", "cut.png")
"""Good headers, and pixels that are missing: only a decode can tell."""
AWKWARD = (
    b"invalid-\xff\xfe.jpg",
    b"new\nline.jpg",
    b"-rf .jpg",
    b"quote'\"`$x.jpg",
    "e\u0301 nfd.jpg".encode(),
    "é nfd.jpg".encode(),
    b"x" * 251 + b".jpg",
    b"back\\slash.jpg",
    b"%2e%2e.jpg",
)
"""Good pictures under names that break programs."""
SKIPPED = ("loop.jpg", "dangling.jpg", "outside.jpg", "fifo.jpg", "socket.jpg", "loop", "outside")


def _fill(folder: Path, outside: Path) -> None:
    good = picture(folder / "good.jpg", 1, (200, 150)).read_bytes()
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("this is no picture\n" * 50)
    (folder / "corrupt.jpg").write_bytes(b"\xff\xd8\xff\xe0" + os.urandom(2000))
    (folder / "corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(2000))
    (folder / "bomb.png").write_bytes(png_bomb(60_000))
    (folder / "header-only.jpg").write_bytes(good[:20])
    (folder / "zeros.webp").write_bytes(bytes(3000))
    (folder / "cut.jpg").write_bytes(good[: len(good) * 2 // 3])
    png = picture(folder / "cut.png", 2, (200, 150))
    png.write_bytes(png.read_bytes()[:-200])
    for name in AWKWARD:
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(good)
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "loop").symlink_to(".")
    (folder / "dangling.jpg").symlink_to("nothing.jpg")
    (folder / "inside.jpg").symlink_to("good.jpg")
    picture(outside / "secret.jpg", 7)
    (folder / "outside.jpg").symlink_to(outside / "secret.jpg")
    (folder / "outside").symlink_to(outside)
    os.mkfifo(folder / "fifo.jpg")
    os.mknod(folder / "socket.jpg", 0o140644)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "photos").mkdir()
    _fill(folder / "photos", folder / "outside")
    with mounted(folder / "mount", folder / "photos") as mount:
        mount.expected.extend([*UNDECODABLE, *TRUNCATED])
        yield mount
        assert mount.gauge("kernel", "bugs") == 0


def log_lines(mount: Mount, name: str) -> list[str]:
    """What the daemon says of one file, beyond debugging."""
    return [line for line in mount.log.splitlines() if f" {name}:" in line or f"/{name}" in line]


def test_everything_is_listed_and_readable(bad: Mount) -> None:
    listed = names(bad.files)
    for name in (*UNDECODABLE, *TRUNCATED, "good.jpg", "inside.jpg", *map(os.fsdecode, AWKWARD)):
        assert listed.count(name) == 1, name
        real = bad.folder.parent / "photos" / name
        assert (bad.files / name).read_bytes() == real.read_bytes()
    for name in SKIPPED:
        assert name not in listed
        assert errno_of((bad.files / name).lstat) == errno.ENOENT, name


def test_the_manifest_does_without_them(bad: Mount) -> None:
    manifest = json.loads((bad.files / "manifest.json").read_bytes())
    labels = [next(iter(canvas["label"].values()))[0] for canvas in manifest["items"]]
    assert set(labels).isdisjoint(UNDECODABLE)
    assert {"good.jpg", "inside.jpg"} <= set(labels)
    assert len(labels) == 2 + len(AWKWARD) + len(TRUNCATED)
    assert set(names(bad.files / "iiif")).isdisjoint(UNDECODABLE)


@pytest.mark.parametrize("name", UNDECODABLE)
def test_no_service_and_one_line(bad: Mount, name: str) -> None:
    for _ in range(3):
        assert errno_of((bad.files / "iiif" / name).lstat) == errno.ENOENT
    assert len(log_lines(bad, name)) == 1, log_lines(bad, name)


@pytest.mark.parametrize("name", TRUNCATED)
def test_missing_pixels_take_the_service_and_the_canvas_away(bad: Mount, name: str) -> None:
    service = bad.files / "iiif" / name
    assert json.loads((service / "info.json").read_bytes())["width"] == 200
    for size in ("max", "50,", "60,", "50,"):
        assert errno_of((service / "full" / size / "0" / "default.jpg").stat) == errno.ENOENT
    eventually(lambda: errno_of(service.lstat) == errno.ENOENT)
    eventually(lambda: name not in (bad.files / "manifest.json").read_text())
    warnings = [line for line in log_lines(bad, name) if " WARNING " in line]
    assert len(warnings) == 1, warnings


def test_awkward_names_zoom(bad: Mount) -> None:
    for name in map(os.fsdecode, AWKWARD):
        rendition = bad.files / "iiif" / name / "full" / "20," / "0" / "default.jpg"
        assert len(rendition.read_bytes()) == rendition.stat().st_size > 0, name


def test_symlinks_inside_the_root_are_their_files(bad: Mount) -> None:
    assert (bad.files / "inside.jpg").read_bytes() == (bad.files / "good.jpg").read_bytes()
    assert not (bad.files / "inside.jpg").is_symlink()


def test_a_walk_ends_and_shows_nothing_from_outside(bad: Mount) -> None:
    told = [entry.name for entry in walk(bad.root)]
    assert "secret.jpg" not in told
    assert told.count("good.jpg") == 4  # itself and its alias, in its folder and in its month


def test_one_bad_file_does_not_fill_the_log(bad: Mount) -> None:
    for name in UNDECODABLE:
        for part in ("info.json", "full/max/0/default.jpg"):
            assert errno_of((bad.files / "iiif" / name / part).stat) == errno.ENOENT
    for name in UNDECODABLE:
        assert len(log_lines(bad, name)) == 1
