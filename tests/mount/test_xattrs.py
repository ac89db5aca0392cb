"""Extended attributes and shared thumbnails through the kernel, as desktops and copying programs use them."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from hashlib import md5
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.mount import Mount
from tests.mount.observing import attributes, drop_kernel_caches, errno_of, names, walk

ABSENT = ("user.note", "user.iiiffs.none", "security.selinux", "security.capability", "trusted.overlay.opaque")


@pytest.fixture(autouse=True)
def film(sample: Mount) -> None:
    """The sample's film is random bytes, which is said once where videos are read."""
    sample.expected.append("film.bin: not a picture")


def thumbnail(album: Path, name: str, size: str = "normal") -> Path:
    return album / ".sh_thumbnails" / size / f"{md5(os.fsencode(name)).hexdigest()}.png"


def test_an_original_says_what_it_is(sample: Mount) -> None:
    told = attributes(sample.files / "a.jpg")
    asset = (sample.files / "iiif" / "a.jpg").readlink().name
    assert told["iiiffs.id"] == asset
    assert told["iiiffs.uri"] == f"http://127.0.0.1:8080/pictures/iiif/3/{asset}"
    assert (told["mime_type"], told["iiiffs.state"]) == ("image/jpeg", "local")
    assert told["iiiffs.version"] == told["iiiffs.etag"] != ""
    assert attributes(sample.files / "notes.txt")["iiiffs.uri"] == "http://127.0.0.1:8080/pictures/files/notes.txt"
    assert attributes(sample.files / "iiif" / "a.jpg") == {"iiiffs.id": asset, "iiiffs.uri": told["iiiffs.uri"]}


def test_more_is_answered_that_may_take_a_question(sample: Mount) -> None:
    photo = sample.files / "a.jpg"
    assert os.getxattr(photo, "user.iiiffs.url").decode() == "http://127.0.0.1:8080/pictures/files/a.jpg"
    assert os.getxattr(photo, "user.iiiffs.favorite") in (b"0", b"1")
    for name in ("checksum.sha1", "rating", "description"):  # a folder tells no sums, and nobody wrote anything in it
        with pytest.raises(OSError) as refused:
            os.getxattr(photo, f"user.iiiffs.{name}")
        assert refused.value.errno == errno.ENODATA


def test_documents_have_the_addresses_that_they_carry(sample: Mount) -> None:
    documents = [path for path in map(Path, (entry.path for entry in walk(sample.root))) if path.suffix == ".json"]
    presented = [path for path in documents if path.name in ("manifest.json", "collection.json")]
    assert len(presented) >= 5
    for path in presented:
        assert attributes(path) == {
            "mime_type": "application/ld+json",
            "iiiffs.uri": json.loads(path.read_bytes())["id"],
        }


def test_nothing_is_listed_and_nothing_of_others_is_answered(sample: Mount) -> None:
    before = sample.rendered
    for entry in walk(sample.root):
        assert os.listxattr(entry.path, follow_symlinks=False) == []
        if entry.is_symlink():
            continue
        assert attributes(Path(entry.path)).keys() or ".iiiffs" in entry.path or entry.is_dir()
        for name in ABSENT:
            assert errno_of(lambda path=entry.path, name=name: os.getxattr(path, name)) == errno.ENODATA  # type: ignore[misc]
    assert sample.rendered == before


def test_nothing_can_be_set(sample: Mount) -> None:
    at = sample.files / "a.jpg"
    assert errno_of(lambda: os.setxattr(at, "user.note", b"x")) == errno.EROFS
    assert errno_of(lambda: os.setxattr(at, "user.iiiffs.id", b"x")) == errno.EROFS
    assert errno_of(lambda: os.removexattr(at, "user.iiiffs.id")) == errno.EROFS


@pytest.mark.parametrize(
    "command",
    [
        "getfattr -R -d -m - {root}",
        "ls -lR {root}",
        "cp -a {root}/pictures/files {out}/exact",
        "rsync -aX {root}/pictures/files/ {out}/synced/",
        "tar --xattrs -C {root}/pictures -cf {out}/all.tar files",
    ],
    ids=lambda command: command.partition(" -")[0],
)
def test_programs_that_copy_attributes_end_well(sample: Mount, tmp_path: Path, command: str) -> None:
    before = sample.rendered
    drop_kernel_caches()
    done = subprocess.run(
        command.format(root=sample.root, out=tmp_path),
        shell=True,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    complaints = [line for line in done.stderr.splitlines() if "Removing leading" not in line]
    assert (done.returncode, complaints) == (0, [])
    assert sample.rendered == before
    for copy in (tmp_path / "exact", tmp_path / "synced"):
        if copy.exists():
            assert os.listxattr(copy / "a.jpg") == [], "an id is the original's, and no copy's"


def test_a_directory_says_what_was_refused_in_it(sample: Mount) -> None:
    service = sample.files / "iiif" / "b.png"
    assert not (service / "square" / "9999,").exists()
    assert "9999" in os.getxattr(service / "square", "user.iiiffs.error").decode()
    assert "iiiffs.error" not in attributes(service)


@pytest.mark.parametrize(
    ("name", "size", "extent", "mode"),
    [
        ("a.jpg", "normal", (128, 96), "RGB"),
        ("a.jpg", "x-large", (512, 384), "RGB"),
        ("b.png", "large", (100, 75), "RGBA"),
        ("gray.jpg", "normal", (80, 60), "L"),
    ],
)
def test_a_desktop_finds_thumbnails(sample: Mount, name: str, size: str, extent: tuple[int, int], mode: str) -> None:
    path = thumbnail(sample.files, name, size)
    original = (sample.files / name).stat()
    size_bytes = path.stat().st_size
    assert len(path.read_bytes()) == size_bytes
    with Image.open(path) as image:
        image.load()
        assert (image.format, image.size, image.mode) == ("PNG", extent, mode)
        assert image.text["Thumb::URI"] == f"./{name}"
        assert image.text["Thumb::MTime"] == str(int(original.st_mtime))
        assert image.text["Thumb::Size"] == str(original.st_size)
    assert attributes(path) == {"mime_type": "image/png"}


def test_looking_for_thumbnails_that_are_not_there_renders_nothing(sample: Mount) -> None:
    before = sample.rendered
    assert ".sh_thumbnails" not in names(sample.files)
    assert names(sample.files / ".sh_thumbnails") == ["large", "normal", "x-large", "xx-large"]
    assert names(sample.files / ".sh_thumbnails" / "normal") == []
    for name in ("notes.txt", "film.bin", "absent.jpg"):
        assert not thumbnail(sample.files, name).exists()
    assert not (sample.files / ".sh_thumbnails" / "fail").exists()
    assert sample.rendered == before
