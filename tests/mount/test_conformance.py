"""Odd pictures in one folder of a real mount: the good ones are whole services, the bad ones harm nobody."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.harness.mount import Mount, mounted
from tests.mount.observing import errno_of, eventually, names
from tests.mount.pictures import picture, png_bomb

DATA = Path(__file__).parents[1] / "data"
GOOD = {
    "1x1.jpg": (1, 1),
    "1x20000.png": (1, 20_000),
    "20000x1.jpg": (20_000, 1),
    "7x5.png": (7, 5),
    "arithmetic.jpg": (333, 251),
    "plain.jpg": (640, 480),
    "profile of 5 MB.jpg": (700, 600),
    "progressive.jpg": (901, 600),
    "turned.jpg": (301, 200),
}
HEADERS_TELL = ("bomb.png", "empty.jpg", "no height.jpg")
PIXELS_TELL = "cut.jpg"
BAD = (*HEADERS_TELL, PIXELS_TELL)


def _fill(folder: Path) -> None:
    for name in ("1x1.jpg", "1x20000.png", "20000x1.jpg", "7x5.png", "plain.jpg"):
        picture(folder / name, 1, GOOD[name])
    (folder / "arithmetic.jpg").write_bytes((DATA / "arithmetic.jpg").read_bytes())
    with Image.open(folder / "plain.jpg") as plain:
        plain.resize((700, 600)).save(folder / "profile of 5 MB.jpg", icc_profile=bytes(5 << 20))
        plain.resize((901, 600)).save(folder / "progressive.jpg", progressive=True)
        exif = Image.Exif()
        exif[0x0112] = 6
        plain.resize((200, 301)).save(folder / "turned.jpg", exif=exif)
    whole = (folder / "progressive.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").touch()
    (folder / "bomb.png").write_bytes(png_bomb(60_000))
    without = bytearray((folder / "plain.jpg").read_bytes())
    header = without.index(b"\xff\xc0")
    without[header + 5 : header + 7] = b"\0\0"
    (folder / "no height.jpg").write_bytes(bytes(without))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "photos").mkdir()
    _fill(folder / "photos")
    with mounted(folder / "mount", folder / "photos") as mount:
        mount.expected.extend(BAD)
        yield mount
        assert mount.gauge("kernel", "bugs") == 0


def shown(mount: Mount) -> list[str]:
    manifest = json.loads((mount.files / "manifest.json").read_bytes())
    return [canvas["label"]["none"][0] for canvas in manifest["items"]]


def info_of(mount: Mount, name: str) -> dict[str, Any]:
    info = json.loads((mount.files / "iiif" / name / "info.json").read_bytes())
    assert isinstance(info, dict)
    return info


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(BytesIO(path.read_bytes())) as image:
        image.load()
        return (image.width, image.height)


def test_the_manifest_holds_the_good_ones_and_what_only_pixels_can_tell(odd: Mount) -> None:
    """Rule: DESIGN §2: what cannot be decoded is listed, has no canvas, and does not hold the manifest back."""
    assert sorted(shown(odd)) == sorted([*GOOD, PIXELS_TELL])
    assert {*GOOD, *BAD} <= set(names(odd.files))
    for name in HEADERS_TELL:
        assert errno_of((odd.files / "iiif" / name).lstat) == errno.ENOENT


@pytest.mark.parametrize("name", GOOD)
def test_every_good_one_is_a_whole_service(odd: Mount, name: str) -> None:
    """Rule: Image API 3.0 §5.2 to §5.4: sizes as told, and the last tile of each scale as large as clients compute."""
    info, service = info_of(odd, name), odd.files / "iiif" / name
    width, height = GOOD[name]
    assert (info["width"], info["height"]) == (width, height)
    for size in info["sizes"]:
        told = (size["width"], size["height"])
        assert size_of(service / "full" / f"{told[0]},{told[1]}" / "0" / "default.jpg") == told
    (tiles,) = info["tiles"]
    for scale in tiles["scaleFactors"]:
        step = tiles["width"] * scale
        x, y = (width - 1) // step * step, (height - 1) // step * step
        extent = -(-(width - x) // scale), -(-(height - y) // scale)
        region = f"{x},{y},{width - x},{height - y}"
        assert size_of(service / region / f"{extent[0]},{extent[1]}" / "0" / "default.jpg") == extent


def test_sides_that_a_format_cannot_hold_are_absent_and_the_picture_stays(odd: Mount) -> None:
    """Rule: Image API 3.0 §7.3. A WebP has 16,383 px a side at most, `max` of 20,000 px has 16,384 here.

    Fault found in session 4: one such request took the picture's service and canvas away, for everybody.
    """
    for name in ("1x20000.png", "20000x1.jpg"):
        service = odd.files / "iiif" / name
        before = service.resolve().stat().st_ino
        for leaf in ("default.webp", "gray.webp", "bitonal.webp"):
            assert errno_of((service / "full" / "max" / "0" / leaf).stat) == errno.ENOENT
        assert max(size_of(service / "full" / "max" / "0" / "default.png")) == 16_384
        assert service.resolve().stat().st_ino == before
        assert name in shown(odd)


def test_a_bad_one_harms_nobody(odd: Mount) -> None:
    """Rule: DESIGN §2; SEMANTICS, Bad files: an error for that file alone, said once."""
    for name in HEADERS_TELL:
        assert errno_of((odd.files / "iiif" / name / "info.json").stat) == errno.ENOENT
        assert (odd.files / name).stat().st_size == (odd.folder.parent / "photos" / name).stat().st_size
    cut = odd.files / "iiif" / PIXELS_TELL
    for size in ("max", "90,", "!50,50"):
        assert errno_of((cut / "full" / size / "0" / "default.jpg").stat) == errno.ENOENT
    eventually(lambda: errno_of(cut.lstat) == errno.ENOENT)
    eventually(lambda: PIXELS_TELL not in shown(odd))
    assert sorted(shown(odd)) == sorted(GOOD)
    for name in BAD:
        lines = [line for line in odd.log.splitlines() if f"{name}:" in line]
        assert len(lines) == 1, lines
    for name, sides in GOOD.items():
        assert size_of(odd.files / "iiif" / name / "square" / "max" / "0" / "default.png") == (min(sides), min(sides))


def test_info_json_of_both_versions_has_the_uri_that_leads_to_it(odd: Mount) -> None:
    """Rule: Image API 3.0 §5.2, `id`; 2.1 §5.2, `@id`: the path below base_url is the path of the directory."""
    service = (odd.files / "iiif" / "plain.jpg").resolve()
    base = "http://127.0.0.1:8080"
    assert info_of(odd, "plain.jpg")["id"] == f"{base}/{service.relative_to(odd.root)}"
    older = odd.account / "iiif" / "2" / service.name
    assert json.loads((older / "info.json").read_bytes())["@id"] == f"{base}/{older.relative_to(odd.root)}"
    same = older / "full" / "full" / "0" / "default.jpg"
    assert same.stat().st_ino == (service / "full" / "max" / "0" / "default.jpg").stat().st_ino
    for absent in ("full/full/0/default.jpg", "full/^max^/0/default.jpg"):
        assert errno_of((service / absent).stat) == errno.ENOENT
    for absent in ("full/^max/0/default.jpg", "full/^700,/0/default.jpg"):
        assert errno_of((older / absent).stat) == errno.ENOENT
