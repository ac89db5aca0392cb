"""What [tell] switches off is nowhere: in no document, no listed name of ours, and no rendition of any format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from tests.harness.mount import Mount, mounted, write_config
from tests.mount.gallery import SECRETS, clip, heic, quarters, sidecar, told_exif, told_packet
from tests.mount.observing import eventually, names, walk

FORMATS = ("jpg", "png", "webp", "tif", "gif", "jp2", "avif", "pdf")
NOTHING = "[tell]\nplaces = false\npeople = false\ncameras = false\ncreators = false"
EVERYTHING = "[tell]\nplaces = true\npeople = true\ncameras = true\ncreators = true"
FILES = ("a.jpg", "b.heic", "c.tif", "d.webp", "e.png", "f.avif", "g.mp4", "h.bmp")
PLACE_NAME = "Madrid"
"""A private mount tells no place as such, but loses no caption for one; here none has it."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photos = tmp_path_factory.mktemp("telling") / "photos"
    photos.mkdir()
    image, exif, packet = quarters(), told_exif(), told_packet()
    for name in ("a.jpg", "d.webp", "f.avif"):
        image.save(photos / name, exif=exif, xmp=packet)
    words = PngImagePlugin.PngInfo()
    words.add_itxt("XML:com.adobe.xmp", packet.decode("utf-8-sig"))
    image.save(photos / "e.png", exif=exif, pnginfo=words)
    loaded = Image.Exif()
    loaded.load(exif.tobytes())
    loaded[700] = packet
    image.save(photos / "c.tif", exif=loaded)
    heic(photos / "b.heic", image, exif=exif.tobytes(), xmp=packet)
    place = {"location": "+40.5123-003.6912/", "com.apple.quicktime.location.ISO6709": "+40.5123-003.6912/"}
    (photos / "g.mp4").write_bytes(clip(tags={"make": "Leica", "model": "M11", "artist": "Ada Maker", **place}))
    image.save(photos / "h.bmp")
    (photos / "h.bmp.xmp").write_bytes(packet)
    (photos / "told by nobody.jpg").write_bytes((photos / "a.jpg").read_bytes())
    (photos / "told by nobody.jpg.xmp").write_bytes(sidecar("Ada Maker", 4))
    return photos


def mount_telling(folder: Path, photos: Path, tell: str) -> Iterator[Mount]:
    with mounted(folder, photos, config=write_config(folder, photos, extra=tell)) as mount:
        eventually(lambda: mount.status()["accounts"][0]["library"]["whole"])  # type: ignore[index]
        yield mount


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Mount]:
    yield from mount_telling(tmp_path_factory.mktemp("silent"), photos, NOTHING)


@pytest.fixture(scope="module")
def open_mount(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Mount]:
    yield from mount_telling(tmp_path_factory.mktemp("open"), photos, EVERYTHING)


def spellings(secret: str) -> list[bytes]:
    """A secret as texts, as UTF-16, and, of a number, as the rationals that EXIF would have."""
    return [secret.encode(), secret.encode("utf-16-le"), secret.encode("utf-16-be")]


def found_in(data: bytes) -> list[str]:
    folded = data.lower()
    return [secret for secret in SECRETS if any(spelled.lower() in folded for spelled in spellings(secret))]


def documents(mount: Mount) -> dict[str, bytes]:
    """All that is made: every listed document and page, every info.json, search albums, the control files."""
    made = {}
    for entry in walk(mount.root):
        if entry.name in ("manifest.json", "collection.json", "index.html"):
            made[entry.path] = Path(entry.path).read_bytes()
        if entry.is_symlink():
            for info in (Path(entry.path) / "info.json", second(mount, Path(entry.path)) / "info.json"):
                made[str(info)] = info.read_bytes()
    for query in ("boat", "type:image", "rating:1"):
        path = mount.account / "search" / query / "manifest.json"
        made[str(path)] = path.read_bytes()
    for control in (mount.root / ".iiiffs").iterdir():
        if control.is_file():
            made[str(control)] = control.read_bytes()
    return made


def second(mount: Mount, alias: Path) -> Path:
    """The service of Image API 2 that belongs to an alias."""
    return mount.account / "iiif" / "2" / alias.readlink().name


def test_the_files_hold_what_is_looked_for(open_mount: Mount) -> None:
    """Else the others would find nothing because nothing is there."""
    everything = b"".join(documents(open_mount).values())
    assert set(found_in(everything)) == {word for word in SECRETS if not word.startswith("SN-")}
    originals = b"".join((open_mount.files / name).read_bytes() for name in FILES)
    assert {"SN-4711", "SN-4712", "SN-4713"} <= set(found_in(originals))
    manifest = json.loads((open_mount.files / "manifest.json").read_bytes())
    for canvas in manifest["items"][:6]:  # of every format, something is read
        assert "metadata" in canvas, canvas["rendering"][0]["label"]


def test_no_document_tells(silent: Mount) -> None:
    made = documents(silent)
    assert len(made) > 30
    assert {path: found for path, data in made.items() if (found := found_in(data))} == {}


def test_no_view_is_named_after_what_is_not_told(silent: Mount) -> None:
    listed = [name for view in ("tags", "favorites", "timeline") for name in names(silent.account / view)]
    assert {"sea", "boat"} <= set(listed)
    assert found_in("\n".join(listed).encode()) == []


@pytest.mark.parametrize("name", FILES)
def test_no_rendition_tells(silent: Mount, name: str) -> None:
    alias = silent.files / "iiif" / name
    for format_ in FORMATS:
        for request in ("full/max/0", "0,0,32,24/^48,36/90", "full/!20,20/!180"):
            rendition = alias / f"{request}/default.{format_}"
            data = rendition.read_bytes()
            assert found_in(data) == [], rendition
            if format_ != "pdf":
                with Image.open(rendition) as picture:
                    picture.load()
                    assert not {0x8825, 0x8769, 0x010F, 0x0110, 0x013B, 0x8298, 0xC62F} & dict(picture.getexif()).keys()
                    assert not {"exif", "xmp", "XML:com.adobe.xmp", "photoshop"} & picture.info.keys(), rendition
    data = (second(silent, alias) / "full/full/0/default.jpg").read_bytes()
    assert found_in(data) == []
