"""A gallery that changes underneath: what views and documents show of it, a moment later."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

import pytest

from tests.harness.mount import Mount, mounted, write_config
from tests.harness.nginx import free_port, printed_nginx
from tests.mount.gallery import OWNED, clip, quarters, sidecar, taken
from tests.mount.observing import eventually, names
from tests.mount.served import crawl

SERVED_S = 5.0
OURS = ("iiif", "index.html", "manifest.json", "collection.json")


@pytest.fixture(scope="module")
def base_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photos = tmp_path_factory.mktemp("changing-gallery") / "photos"
    dated(photos / "first.jpg", 2000)
    return photos


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory, photos: Path, base_url: str) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("changing-gallery-mount")
    config = write_config(folder, photos, base_url=base_url)
    port = int(base_url.rpartition(":")[2])
    with (
        mounted(folder, photos, config=config) as mount,
        printed_nginx(mount.root, folder / "nginx", port, allow_origins=("*",)) as errors,
    ):
        yield mount
        assert errors.read_text() == ""


def answers(base_url: str, uri: str) -> bool:
    """True once every URI that the document leads to answers: nginx keeps what it opened a second longer."""
    try:
        crawl(base_url, [uri])
    except AssertionError:
        return False
    return True


def dated(path: Path, year: int, month: int = 5, day: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    quarters().save(path, exif=taken(f"{year}:{month:02}:{day:02} 12:00:00"))
    return path


def shown(folder: Path) -> list[str]:
    return [name for name in names(folder) if name not in OURS]


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def downloads(folder: Path) -> list[str]:
    """The paths of the originals that the manifest of `folder` offers, below files/."""
    canvases = read_json(folder / "manifest.json")["items"]
    return [canvas["rendering"][0]["id"].split("/files/")[1] for canvas in canvases]


def uri_of(document: Path) -> str:
    return str(read_json(document)["id"])


def test_new_renamed_and_deleted_files_in_the_timeline(mount: Mount, photos: Path, base_url: str) -> None:
    month = mount.account / "timeline" / "2031" / "2031-05"
    assert not month.exists()
    one = dated(photos / "Files" / "one.jpg", 2031)
    eventually(lambda: shown(month) == ["one.jpg"])
    dated(photos / "Files" / "two.jpg", 2031)
    eventually(lambda: shown(month) == ["one.jpg", "two.jpg"])
    eventually(lambda: downloads(month) == ["Files/one.jpg", "Files/two.jpg"])
    inode = (month / "one.jpg").stat().st_ino
    one.rename(photos / "Files" / "zero.jpg")
    eventually(lambda: shown(month) == ["two.jpg", "zero.jpg"])
    eventually(lambda: downloads(month) == ["Files/two.jpg", "Files/zero.jpg"])
    assert (month / "zero.jpg").stat().st_ino == inode == (mount.files / "Files" / "zero.jpg").stat().st_ino
    eventually(
        lambda: answers(base_url, uri_of(mount.account / "timeline" / "2031" / "collection.json")), deadline_s=SERVED_S
    )
    (photos / "Files" / "zero.jpg").unlink()
    eventually(lambda: shown(month) == ["two.jpg"] and downloads(month) == ["Files/two.jpg"])
    (photos / "Files" / "two.jpg").unlink()
    eventually(lambda: "2031" not in names(mount.account / "timeline"))
    eventually(lambda: not month.exists())


def test_a_collection_of_views_never_has_the_cover_of_a_deleted_picture(
    mount: Mount, photos: Path, base_url: str
) -> None:
    old, _ = dated(photos / "Covers" / "a.jpg", 2032), dated(photos / "Covers" / "b.jpg", 2032, day=2)
    year = mount.account / "timeline" / "2032"
    eventually(lambda: shown(year / "2032-05") == ["a.jpg", "b.jpg"])
    eventually(lambda: answers(base_url, uri_of(year / "collection.json")), deadline_s=SERVED_S)
    old.unlink()
    eventually(lambda: shown(year / "2032-05") == ["b.jpg"])
    eventually(lambda: answers(base_url, uri_of(year / "collection.json")), deadline_s=SERVED_S)


def test_a_moved_folder_in_the_timeline(mount: Mount, photos: Path, base_url: str) -> None:
    dated(photos / "Moving" / "inner" / "a.jpg", 2033)
    dated(photos / "Moving" / "b.jpg", 2033, day=2)
    (photos / "Elsewhere").mkdir()
    month = mount.account / "timeline" / "2033" / "2033-05"
    eventually(lambda: downloads(month) == ["Moving/inner/a.jpg", "Moving/b.jpg"])
    inodes = [(month / name).stat().st_ino for name in ("a.jpg", "b.jpg")]
    (photos / "Moving").rename(photos / "Moved")
    eventually(lambda: downloads(month) == ["Moved/inner/a.jpg", "Moved/b.jpg"])
    (photos / "Moved" / "inner").rename(photos / "Elsewhere" / "inner")
    eventually(lambda: downloads(month) == ["Elsewhere/inner/a.jpg", "Moved/b.jpg"])
    (photos / "Moved" / "b.jpg").rename(photos / "Elsewhere" / "b.jpg")
    eventually(lambda: downloads(month) == ["Elsewhere/inner/a.jpg", "Elsewhere/b.jpg"])
    assert [(month / name).stat().st_ino for name in ("a.jpg", "b.jpg")] == inodes
    eventually(lambda: answers(base_url, uri_of(month / "manifest.json")), deadline_s=SERVED_S)


def test_no_picture_is_lost_from_the_timeline_by_renaming_folders(mount: Mount, photos: Path) -> None:
    """Whichever of the changed folders is looked at first: one of another name is gone until its parent is listed."""
    wanted = 12
    for number in range(wanted // 2):
        dated(photos / f"Old {number}" / "inner" / f"a{number}.jpg", 2040)
        dated(photos / f"Old {number}" / f"b{number}.jpg", 2040)
    month = mount.account / "timeline" / "2040" / "2040-05"
    eventually(lambda: len(downloads(month)) == wanted)
    for number in range(wanted // 2):
        (photos / f"Old {number}").rename(photos / f"New {number}")
        eventually(lambda: sum(path.startswith("New") for path in downloads(month)), partial(eq, 2 * number + 2))
        assert len(downloads(month)) == wanted


def test_a_deleted_tree_is_gone_from_the_timeline(mount: Mount, photos: Path) -> None:
    for name in ("a", "b/a", "b/c/a", "b/c/d/a"):
        dated(photos / "Doomed" / f"{name}.jpg", 2034)
    month = mount.account / "timeline" / "2034" / "2034-05"
    eventually(lambda: len(shown(month)) == 4)
    assert len(names(mount.files / "Doomed" / "b" / "c" / "d")) == 4  # looked at just now
    shutil.rmtree(photos / "Doomed")
    eventually(lambda: not month.exists())
    eventually(lambda: not (mount.files / "Doomed").exists())


def test_a_tree_that_arrives_whole(mount: Mount, photos: Path) -> None:
    outside = photos.with_name("outside")
    for name in ("a", "b/a", "b/c/a"):
        dated(outside / f"{name}.jpg", 2035)
    outside.rename(photos / "Arrived")
    month = mount.account / "timeline" / "2035" / "2035-05"
    eventually(lambda: len(shown(month)) == 3)
    eventually(lambda: downloads(mount.files / "Arrived" / "b" / "c") == ["Arrived/b/c/a.jpg"])


def test_a_sidecar_that_comes_changes_and_goes(mount: Mount, photos: Path) -> None:
    dated(photos / "Beside" / "a.jpg", 2036)
    folder, xmp = mount.files / "Beside", photos / "Beside" / "a.jpg.xmp"
    month = mount.account / "timeline" / "2036" / "2036-05"
    tags, favorites = mount.account / "tags", mount.account / "favorites"

    def label(album: Path) -> Any:
        return read_json(album / "manifest.json")["items"][0]["label"]

    for album in (folder, month):
        eventually(partial(label, album), lambda told: told == {"none": ["a.jpg"]})
    before = [(album / "manifest.json").stat() for album in (folder, month)]
    xmp.write_bytes(sidecar("quay", 5))
    for album in (folder, month):
        eventually(partial(label, album), lambda told: told == {"en": ["At the quay"], "fr": ["Au quay"]})
    after = [(album / "manifest.json").stat() for album in (folder, month)]
    for old, new in zip(before, after, strict=True):
        assert new.st_ino != old.st_ino and new.st_mtime_ns - old.st_mtime_ns >= 10**9
    eventually(lambda: shown(tags / "quay") == ["a.jpg"] and "a.jpg" in names(favorites))
    eventually(lambda: (folder / "a.jpg").stat().st_nlink == 4)
    xmp.write_bytes(sidecar("mole", 1))
    eventually(lambda: shown(tags / "mole") == ["a.jpg"] and "quay" not in names(tags))
    eventually(lambda: "a.jpg" not in names(favorites))
    eventually(lambda: label(folder)["en"] == ["At the mole"] and label(month)["en"] == ["At the mole"])
    xmp.unlink()
    eventually(lambda: "mole" not in names(tags))
    for album in (folder, month):
        eventually(partial(label, album), lambda told: told == {"none": ["a.jpg"]})
    eventually(lambda: (folder / "a.jpg").stat().st_nlink == 2)


def test_an_iiif_toml_that_comes_changes_breaks_and_goes(mount: Mount, photos: Path) -> None:
    for number, name in enumerate("cab"):
        dated(photos / "Owned" / f"{name}.jpg", 2037, day=number + 1)
    folder, toml = mount.files / "Owned", photos / "Owned" / "iiif.toml"
    mount.expected.append("iiif.toml is left out")

    def told() -> tuple[Any, list[str]]:
        manifest = read_json(folder / "manifest.json")
        return manifest["label"], [next(iter(one["label"].values()))[0] for one in manifest["items"]]

    plain = ({"none": ["Owned"]}, ["a.jpg", "b.jpg", "c.jpg"])
    eventually(told, lambda now: now == plain)
    before = (folder / "manifest.json").stat()
    toml.write_text(OWNED)
    eventually(told, lambda now: now == ({"en": ["Harbour"], "de": ["Hafen"]}, ["c.jpg", "The pier", "b.jpg"]))
    after = (folder / "manifest.json").stat()
    assert after.st_ino != before.st_ino and after.st_mtime_ns - before.st_mtime_ns >= 10**9
    toml.write_text(OWNED.replace("The pier", "The mole"))
    eventually(told, lambda now: now[1] == ["c.jpg", "The mole", "b.jpg"])
    toml.write_text("label = [")
    eventually(told, lambda now: now == plain)
    toml.unlink()
    eventually(told, lambda now: now == plain)


def test_searches_follow(mount: Mount, photos: Path) -> None:
    found = mount.account / "search" / "needle"
    assert shown(found) == []
    dated(photos / "Hay" / "needle.jpg", 2038)
    eventually(lambda: shown(found) == ["needle.jpg"] and downloads(found) == ["Hay/needle.jpg"])
    (photos / "Hay" / "needle.jpg").unlink()
    eventually(lambda: shown(found) == [] and not (found / "manifest.json").exists())


def test_a_live_photo_that_is_completed_later(mount: Mount, photos: Path) -> None:
    dated(photos / "Live" / "a.jpg", 2039)
    folder = mount.files / "Live"
    eventually(lambda: len(read_json(folder / "manifest.json")["items"]) == 1)
    (photos / "Live" / "a.mov").write_bytes(clip(format_="mov"))
    eventually(lambda: downloads_of_first(folder) == ["Image", "Video"])
    assert len(read_json(folder / "manifest.json")["items"]) == 1
    (photos / "Live" / "a.jpg").unlink()
    eventually(lambda: downloads(folder) == ["Live/a.mov"])


def downloads_of_first(folder: Path) -> list[str]:
    return [file["type"] for file in read_json(folder / "manifest.json")["items"][0]["rendering"]]
