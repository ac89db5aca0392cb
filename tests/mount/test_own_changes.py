"""What a program has just written zooms as it wrote it, whatever the kernel kept of what was there before.

Rule: DESIGN §4.3, read your writes; docs/SEMANTICS.md, "How stale": 0 s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.tree import jpeg
from tests.harness.writable import Writable, writable

WIDTHS = range(101, 113)
OLD = 100
"""Widths of pictures, by which they are told apart."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writable]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "photos").mkdir()
    with writable(folder, folder / "photos", settle="2s") as mount:
        yield mount


def width(path: Path) -> int:
    """What the image of a file says, found by its name; and a rendition of it is there."""
    service = path.parent / "iiif" / path.name
    assert (service / "full" / "8," / "0" / "default.jpg").read_bytes()
    told = json.loads((service / "info.json").read_text())["width"]
    assert isinstance(told, int)
    return told


def overwritten(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def saved(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.Ab12cd")
    beside.write_bytes(data)
    beside.rename(path)


def made_anew(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def moved_over(path: Path, data: bytes) -> None:
    other = path.with_name(f"other-{path.name}")
    other.write_bytes(data)
    width(other)
    other.rename(path)


DEEDS = {deed.__name__: deed for deed in (overwritten, saved, made_anew, moved_over)}


@pytest.mark.parametrize("is_sent", [False, True])
@pytest.mark.parametrize("deed", DEEDS)
def test_a_file_zooms_as_it_was_written_last(deed: str, is_sent: bool, here: Writable) -> None:
    path = here.files / f"{deed}-{is_sent}.jpg"
    does: Callable[[Path, bytes], None] = DEEDS[deed]
    path.write_bytes(jpeg(OLD))
    if is_sent:
        here.sent()
    assert width(path) == OLD
    for width_px in WIDTHS:
        does(path, jpeg(width_px))
        assert width(path) == width_px


def test_a_name_that_was_missing_zooms_as_soon_as_it_is_there(here: Writable) -> None:
    (here.files / "a.jpg").write_bytes(jpeg(OLD))
    for number in range(len(WIDTHS)):
        path = here.files / f"new-{number}.jpg"
        assert not (path.parent / "iiif" / path.name).exists()
        (here.files / "a.jpg").rename(path)
        assert width(path) == OLD
        assert not (path.parent / "iiif" / "a.jpg").exists()
        path.rename(here.files / "a.jpg")
        assert width(here.files / "a.jpg") == OLD


def test_a_manifest_has_what_was_written(here: Writable) -> None:
    for number, width_px in enumerate(WIDTHS):
        path = here.files / f"page-{number}.jpg"
        path.write_bytes(jpeg(width_px))
        canvases = json.loads((here.files / "manifest.json").read_text())["items"]
        assert [canvas["width"] for canvas in canvases if canvas["label"]["none"] == [path.name]] == [width_px]
