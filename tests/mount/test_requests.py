"""Image requests as paths: one inode a picture, however it is spelled, and ENOENT at lookup for what cannot be."""

from __future__ import annotations

import errno
import os
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.mount import Mount
from tests.mount.observing import drop_kernel_caches, errno_of, names

EQUIVALENT = {
    "whole": (
        "full/max/0/default.jpg", "full/640,480/0/default.jpg", "full/640,/0/default.jpg", "full/,480/0/default.jpg",
        "full/pct:100/0/default.jpg", "full/!640,480/0/default.jpg", "full/!9000,9000/0/default.jpg",
        "0,0,640,480/max/0/default.jpg", "0,0,9000,9000/max/0/default.jpg", "pct:0,0,100,100/max/0/default.jpg",
        "pct:0,0,100.0,200/max/0/default.jpg", "full/max/360/default.jpg", "full/max/0.0/default.jpg",
        "full/max/0/color.jpg", "full/^640,480/0/default.jpg", "0,0,9000,9000/^640,/360.00/color.jpg",
    ),
    "half": (
        "full/320,/0/default.jpg", "full/320,240/0/default.jpg", "full/,240/0/default.jpg", "full/pct:50/0/default.jpg",
        "full/!320,240/0/default.jpg", "full/!320,9000/0/default.jpg", "0,0,640,480/pct:50.0/0/color.jpg",
    ),
    "tile": (
        "512,0,128,480/max/0/default.jpg", "512,0,512,512/max/0/default.jpg", "512,0,512,512/128,480/0/default.jpg",
        "512,0,512,512/128,/0/default.jpg", "pct:80,0,20,100/max/0/default.jpg", "512,0,128,480/!512,512/0/default.jpg",
    ),
    "square": ("square/max/0/default.jpg", "80,0,480,480/480,480/0/default.jpg", "square/!480,480/0/color.jpg"),
    "turned": ("full/64,/90/default.jpg", "full/64,48/90.0/default.jpg", "full/pct:10/90/color.jpg"),
    "mirrored": ("full/64,/!0/default.jpg", "full/64,48/!360/default.jpg"),
    "slanted": ("full/64,/22.5/default.png", "full/64,48/22.50/color.png"),
    "gray": ("full/64,/0/gray.jpg", "full/64,48/0/gray.jpg"),
    "bitonal": ("full/64,/0/bitonal.png", "full/,48/0/bitonal.png"),
    "png": ("full/64,/0/default.png", "full/pct:10/0/default.png"),
    "webp": ("full/64,/0/default.webp",),
    "larger": ("full/^800,/0/default.jpg", "full/^pct:125/0/default.jpg", "full/^!800,800/0/default.jpg"),
}  # fmt: skip

EXTENTS = {"whole": (640, 480), "half": (320, 240), "tile": (128, 480), "turned": (48, 64), "larger": (800, 600)}

REFUSED = (
    # regions
    "Full", "ful", "full ", " full", "full\n", "%66ull", "full%20", "square,", "0,0,0,0", "0,0,1,0", "640,0,1,1",
    "-1,0,5,5", "+0,0,5,5", "0,0,5", "0,0,5,5,5", "0, 0,5,5", "1e1,0,5,5", "0x0,0,5,5", "00,0,5,5", "1_0,0,5,5",
    "٠,٠,٥,٥", "0,0,１０,10", "0.0,0,5,5", "pct:", "pct:0,0,100", "pct:100,0,1,1", "pct:0,0,0,10", "pct:-1,0,10,10",
    "pct:nan,0,10,10", "pct:.5,0,10,10", "pct:5.,0,10,10", "PCT:0,0,10,10", "9999999999999,0,1,1", "\udcff\udcfe",
    "x" * 255, "é" * 127, "é" * 200, "0" * 1000,
    # sizes
    "full/Max", "full/full", "full/", "full/641,", "full/641,1", "full/0,", "full/,0", "full/0,0", "full/pct:0",
    "full/pct:101", "full/pct:-1", "full/,", "full/!", "full/!,", "full/!5,", "full/!0,5", "full/^", "full/^^max",
    "full/max^", "full/!^5,5", "full/1.5,", "full/5,,", "full/٥,", "full/9999999999999,", "full/^16385,",
    "full/^1,16385", "full/^10001,10001",
    # rotations
    "full/max/", "full/max/-1", "full/max/+0", "full/max/361", "full/max/360.1", "full/max/!", "full/max/!!0",
    "full/max/0!", "full/max/nan", "full/max/1e1", "full/max/90.", "full/max/.5", "full/max/٩٠", "full/max/090",
    # quality and format
    "full/max/0/default", "full/max/0/default.", "full/max/0/.jpg", "full/max/0/default.jpeg", "full/max/0/default.JPG",
    "full/max/0/Default.jpg", "full/max/0/native.jpg", "full/max/0/default.tiff", "full/max/0/default.bmp",
    "full/max/0/default.svg", "full/max/0/default.jpg.jpg", "full/max/0/default.jpg ", "full/max/0/default.jpg%00",
    "full/max/0/default.jp\u0261", "full/max/0/info.json", "full/max/0/default.jpg/more",
    # beside them
    "info.JSON", "info", "manifest.json", ".htaccess", "Thumbs.db",
)  # fmt: skip


@pytest.fixture(scope="module")
def service(sample: Mount) -> Path:
    return (sample.files / "iiif" / "a.jpg").resolve()


@pytest.mark.parametrize("spellings", EQUIVALENT.values(), ids=EQUIVALENT.keys())
def test_equivalent_requests_are_one_inode(service: Path, spellings: tuple[str, ...]) -> None:
    first, *others = [(service / spelling).stat() for spelling in spellings]
    for spelling, other in zip(spellings[1:], others, strict=True):
        assert (other.st_ino, other.st_size, other.st_mtime_ns) == (first.st_ino, first.st_size, first.st_mtime_ns), (
            spelling
        )
    assert len((service / spellings[-1]).read_bytes()) == first.st_size


def test_one_render_a_picture(sample: Mount, service: Path) -> None:
    before = sample.rendered
    for spelling in (
        "33,44,55,66/max/0/default.jpg",
        "33,44,55,66/55,/0/color.jpg",
        "33,44,55,66/pct:100/360/default.jpg",
    ):
        (service / spelling).stat()
    assert sample.rendered == before + 1


def test_different_pixels_are_different_inodes(service: Path) -> None:
    inodes = {name: (service / spellings[0]).stat().st_ino for name, spellings in EQUIVALENT.items()}
    assert len(set(inodes.values())) == len(inodes), inodes


@pytest.mark.parametrize("name", EXTENTS)
def test_the_bytes_are_the_picture(service: Path, name: str) -> None:
    with Image.open(BytesIO((service / EQUIVALENT[name][0]).read_bytes())) as image:
        image.load()
        assert (image.format, image.size) == ("JPEG", EXTENTS[name])


def test_what_cannot_be_is_absent_at_lookup(sample: Mount, service: Path) -> None:
    before = sample.rendered
    for refused in REFUSED:
        errno_ = errno_of(Path(f"{service}/{refused}").stat)
        if refused.endswith("/"):  # the directory itself, which is there
            assert errno_ == 0, refused
        elif any(len(os.fsencode(part)) > 255 for part in refused.split("/")):
            assert errno_ in (errno.ENOENT, errno.ENAMETOOLONG), refused
        elif refused == "full/max/0/default.jpg/more":
            assert errno_ == errno.ENOTDIR
        else:
            assert errno_ == errno.ENOENT, (refused, errno.errorcode.get(errno_))
    assert sample.rendered <= before + 1  # that of default.jpg/more
    assert sample.gauge("kernel", "bugs") == 0


def test_unknown_ids_are_absent(sample: Mount) -> None:
    for place in ("iiif/3", "iiif/presentation/3", "iiif", "iiif/2", "iiif/presentation"):
        for name in ("nothing", "..%2f", "x" * 255, "\udcff", "a\nb"):
            assert errno_of((sample.account / place / name).stat) == errno.ENOENT, (place, name)


def test_renditions_are_listed_once_they_exist(sample_photos: Path, sample: Mount) -> None:
    service = (sample.files / "iiif" / "b.png").resolve()
    assert names(service) == ["info.json"]
    (service / "full" / "50," / "0" / "default.jpg").stat()
    (service / "full" / "pct:50" / "90" / "gray.png").stat()
    assert names(service) == ["full", "info.json"]
    assert names(service / "full") == ["50,38"]
    assert names(service / "full" / "50,38") == ["0", "90"]
    assert names(service / "full" / "50,38" / "0") == ["default.jpg"]
    before = sample.rendered
    drop_kernel_caches()
    with os.scandir(service / "full" / "50,38" / "90") as entries:
        (entry,) = entries
    assert entry.name == "gray.png"
    assert entry.inode() == (service / "full" / "pct:50" / "90" / "gray.png").stat().st_ino
    assert sample.rendered == before


def test_documents_have_one_inode_in_both_places(sample: Mount, sample_photos: Path) -> None:
    import json

    for album in (sample.files, sample.files / "Üñï 100% & #1?"):
        for name in ("manifest.json", "collection.json"):
            here = album / name
            owner = json.loads(here.read_bytes())["id"].split("/")[-2]
            stable = sample.account / "iiif" / "presentation" / "3" / owner / name
            assert stable.stat().st_ino == here.stat().st_ino
            assert stable.read_bytes() == here.read_bytes()
            assert name in names(stable.parent)
