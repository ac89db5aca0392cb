"""Real programs write to a real mount of a folder; what is at the provider afterwards is what they meant.

Nothing that desktops and editors leave lying about is ever sent. Rule: DESIGN §4; issue 6, "Real programs".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.writable import Writable, writable
from tests.mount.pictures import picture

OURS = {"index.html", "manifest.json", "collection.json", "iiif"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is copied into the mount. Never changed."""
    folder = tmp_path_factory.mktemp("source") / "Trip 2024"
    (folder / "Day 2").mkdir(parents=True)
    picture(folder / "boat.jpg", size=(300, 200))
    picture(folder / "Ärger & Ümlaut.jpg", size=(200, 100))
    picture(folder / "Day 2" / "pier.png", size=(60, 50))
    (folder / "notes.txt").write_text("one\ntwo\n")
    return folder


@pytest.fixture
def here(tmp_path: Path, source: Path) -> Iterator[Writable]:
    """A mount on a folder `Old` with three photos and a text."""
    photos = tmp_path / "photos"
    (photos / "Old").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        picture(photos / "Old" / name, size=(120 + ord(name[0]), 90))
    (photos / "Old" / "notes.txt").write_text("hello\nworld\n")
    with writable(tmp_path, photos) as mount:
        yield mount


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "command",
    [
        "cp -a {source} New",
        "cp -r {source} New",
        "rsync -a {source}/ New/",
        "rsync -a --inplace {source}/ New/",
        "rsync -a --delay-updates {source}/ New/",
        "mkdir New && tar cf - -C {source} . | tar xf - -C New",
        "(cd {source} && zip -qr {zip} .) && unzip -q {zip} -d New",
        "mkdir -p 'New/Day 2' && (cd {source} && find . -type f -print0) | "
        "xargs -0 -I% dd if={source}/% of=New/% bs=7777 status=none",
    ],
    ids=["cp -a", "cp -r", "rsync", "rsync --inplace", "rsync --delay-updates", "tar", "unzip", "dd"],
)
def test_a_tree_arrives_whole(here: Writable, source: Path, tmp_path: Path, command: str) -> None:
    here.run(command.format(source=f"'{source}'", zip=tmp_path / "trip.zip"))
    shown = tree(here.files / "New")
    assert {name: data for name, data in shown.items() if not OURS & set(Path(name).parts)} == tree(source)
    assert here.sent() == []
    assert here.stored("New") == tree(source)


def test_times_come_along_and_a_second_rsync_finds_nothing_to_do(here: Writable, source: Path) -> None:
    here.run(f"touch -d 2011-05-05 '{source}/notes.txt'; rsync -a '{source}/' New/")
    assert "f" not in here.run(f"rsync -ain '{source}/' New/ | grep -v '^.d' || true")
    assert here.sent() == []
    assert (here.photos / "New" / "notes.txt").stat().st_mtime == (source / "notes.txt").stat().st_mtime
    assert "f" not in here.run(f"rsync -ain '{source}/' New/ | grep -v '^.d' || true")


def test_rsync_delete_takes_only_what_is_not_there_and_trashes_it(here: Writable, source: Path) -> None:
    here.run(f"rsync -a --delete '{source}/' Old/")
    assert here.sent() == []
    assert here.stored("Old") == tree(source)
    assert {path.name for path in here.trash.iterdir()} >= {"a.jpg", "b.jpg", "c.jpg"}


def test_an_album_is_copied_moved_and_removed_with_all_that_is_ours_in_it(here: Writable) -> None:
    here.run("ls Old Old/iiif; cat Old/manifest.json > /dev/null")
    before = here.stored("Old")
    here.run("cp -r Old Copy && rsync -a Old/ Synced/ && mv Copy Moved")
    assert here.sent() == []
    assert here.stored("Moved") == here.stored("Synced") == here.stored("Old") == before
    here.run("rm -r Moved")
    assert here.sent() == []
    assert not (here.photos / "Moved").exists()
    assert {path.name for path in here.trash.iterdir()} >= {"a.jpg", "b.jpg", "c.jpg", "notes.txt"}


def test_vim_saves(here: Writable) -> None:
    here.run("vim.tiny -es -u NONE -c '%s/hello/bye/' -c wq Old/notes.txt")
    assert here.sent() == []
    assert here.stored("Old")["notes.txt"] == b"bye\nworld\n"
    assert set(here.stored("Old")) == {"a.jpg", "b.jpg", "c.jpg", "notes.txt"}


def test_sed_saves_beside_and_renames(here: Writable) -> None:
    here.run("sed -i s/world/moon/ Old/notes.txt && grep moon Old/notes.txt")
    assert here.sent() == []
    assert here.stored("Old")["notes.txt"] == b"hello\nmoon\n"
    assert len(here.stored("Old")) == 4


@pytest.mark.parametrize(
    ("edit", "tag"),
    [
        ("exiftool -q -overwrite_original -Artist=Ada Old/a.jpg", "Ada"),
        ("exiftool -q -overwrite_original_in_place -Artist=Bea Old/a.jpg", "Bea"),
        ("exiv2 -M'set Exif.Image.Artist Ascii Cleo' Old/a.jpg", "Cleo"),
    ],
    ids=["exiftool", "exiftool in place", "exiv2"],
)
def test_metadata_is_written_into_a_photo(here: Writable, edit: str, tag: str) -> None:
    before = here.run("getfattr --only-values -n user.iiiffs.id Old/a.jpg")
    here.run(edit)
    assert here.run("exiftool -s3 -Artist Old/a.jpg").strip() == tag
    assert here.run("head -c 3 Old/iiif/a.jpg/full/50,/0/default.jpg | od -An -tx1").split() == ["ff", "d8", "ff"]
    assert here.sent() == []
    assert here.run(f"exiftool -s3 -Artist {here.photos}/Old/a.jpg").strip() == tag
    assert set(here.stored("Old")) == {"a.jpg", "b.jpg", "c.jpg", "notes.txt"}
    assert here.run("getfattr --only-values -n user.iiiffs.id Old/a.jpg") == before


def test_exiftool_keeps_its_copy_of_what_was(here: Writable) -> None:
    was = here.stored("Old")["a.jpg"]
    here.run("exiftool -q -Artist=Dora Old/a.jpg")
    here.sent()
    assert here.run(f"exiftool -s3 -Artist {here.photos}/Old/a.jpg").strip() == "Dora"
    assert here.stored("Old")["a.jpg_original"] == was


def test_bytes_are_written_into_the_middle(here: Writable) -> None:
    before = here.stored("Old")["a.jpg"]
    here.run("printf XYZ | dd of=Old/a.jpg bs=1 seek=100 conv=notrunc status=none")
    assert here.sent() == []
    assert here.stored("Old")["a.jpg"] == before[:100] + b"XYZ" + before[103:]


def test_memory_that_is_written_after_the_file_was_closed(here: Writable) -> None:
    here.run(
        "python3 -c \"import mmap; f = open('Old/m.bin', 'w+b'); f.truncate(8192);"
        " m = mmap.mmap(f.fileno(), 8192); f.close(); m[:5] = b'hello'; m[-2:] = b'xy'; m.close()\""
    )
    assert here.sent() == []
    assert here.stored("Old")["m.bin"] == b"hello" + bytes(8185) + b"xy"


def test_a_browser_downloads(here: Writable, source: Path) -> None:
    here.run(f": > Old/dl.jpg; cp '{source}/boat.jpg' Old/dl.jpg.part; sleep 1")
    assert {item["stage"] for item in here.sent()} == {"scratch"}
    assert "dl.jpg" not in here.stored("Old")
    here.run("mv Old/dl.jpg.part Old/dl.jpg")
    assert here.sent() == []
    assert here.stored("Old")["dl.jpg"] == (source / "boat.jpg").read_bytes()
    assert len(here.stored("Old")) == 5


def test_litter_is_refused_and_never_sent(here: Writable, source: Path) -> None:
    before = here.stored()
    for name in ("._a.jpg", "Thumbs.db", ".DS_Store", "desktop.ini"):
        here.run(f"cp '{source}/boat.jpg' Old/{name}", code=1)
    here.run("mkdir .Trash-0", code=1)
    here.run("cp Old/notes.txt 'Old/.~lock.x.odt#' && cp Old/notes.txt Old/4913 && rm Old/4913")
    assert [item["stage"] for item in here.sent()] == ["scratch"]
    assert here.stored() == before


def test_gio_cannot_trash_and_loses_nothing(here: Writable) -> None:
    """There is no trash folder in the mount: `rm` is what puts a file into the provider's trash."""
    here.run("gio trash Old/a.jpg", code=1)
    assert here.sent() == []
    assert "a.jpg" in here.stored("Old")


def test_what_is_truncated_touched_and_linked(here: Writable) -> None:
    here.run("truncate -s 5 Old/notes.txt && touch -d 2019-03-03T00:00:00Z Old/b.jpg && ln Old/c.jpg Old/d.jpg")
    here.run("chmod 600 Old/c.jpg && chown 65534 Old/c.jpg")
    assert here.sent() == []
    stored = here.stored("Old")
    assert stored["notes.txt"] == b"hello"
    assert (here.photos / "Old" / "b.jpg").stat().st_mtime == 1551571200
    assert (here.photos / "Old" / "c.jpg").samefile(here.photos / "Old" / "d.jpg")


def test_what_a_gallery_does_not_hold_is_refused(here: Writable) -> None:
    assert "not permitted" in here.run("ln -s a.jpg Old/s.jpg", code=1)
    assert "not permitted" in here.run("mkfifo Old/pipe", code=1)
    assert "not empty" in here.run("rmdir Old", code=1)
    assert "Read-only" in here.run("touch ../x", code=1)
    assert "Read-only" in here.run("cp Old/a.jpg ../favorites/", code=1)
    assert "not permitted" in here.run("rm ../timeline/*/*/a.jpg", code=1)
    assert here.sent() == []
