"""Images under the paths of their files, as an earlier image server named them, on real mounts."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.mount import Mount, mounted, start, take_down, write_config
from tests.mount.observing import errno_of, eventually, names, walk
from tests.mount.pictures import picture

BASE = "http://127.0.0.1:8080/pictures/iiif"
OLD = "https://old.example.org/iiif"
UNICODE = "Ünï 100% ^!.jpg"
ENCODED = "%C3%9Cn%C3%AF%20100%25%20%5E%21.jpg"


def fill(photos: Path) -> Path:
    picture(photos / "top.png", 1, (40, 30))
    picture(photos / "2024" / "Trip" / "a.jpg", 2, (200, 150))
    picture(photos / "2024" / "Trip" / UNICODE, 3, (80, 60))
    picture(photos / "2024" / "Trip" / "b:c.jpg", 4, (60, 60))
    (photos / "2024" / "notes.txt").write_text("no picture")
    (photos / "2024" / "text.jpg").write_text("no picture either")
    pages = [Image.new("L", (50, 40 - 10 * number), 99 * number) for number in range(3)]
    pages[0].save(photos / "2024" / "scan.tif", save_all=True, append_images=pages[1:])
    cut = picture(photos / "2024" / "cut.jpg", 5, (200, 150))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    return photos


def configured(folder: Path, photos: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    return write_config(folder, photos, extra="\n".join(('identifiers = "path"', *lines)))


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("identifiers")
    photos = fill(folder / "photos")
    config = configured(folder / "mount", photos, 'identifier_slash = ":"', 'identifier_suffix = ".jpg"')
    with mounted(folder / "mount", photos, config=config) as mount:
        mount.expected.extend(["text.jpg", "cut.jpg"])
        yield mount
        assert mount.gauge("kernel", "bugs") == 0


def said(service: Path) -> tuple[str, int, int]:
    """Id, width and height in a service's info.json."""
    info = json.loads((service / "info.json").read_bytes())
    return info.get("id") or info["@id"], info["width"], info["height"]


@pytest.mark.parametrize("api", [2, 3])
@pytest.mark.parametrize(
    ("path", "identifier", "extent"),
    [
        ("top.png", "top.png", (40, 30)),
        ("2024/Trip/a.jpg", "2024%2FTrip%2Fa.jpg", (200, 150)),
        ("2024:Trip:a.jpg", "2024%3ATrip%3Aa.jpg", (200, 150)),
        ("2024/Trip:a.jpg", "2024%2FTrip%3Aa.jpg", (200, 150)),
        ("2024:Trip/a.jpg", "2024%3ATrip%2Fa.jpg", (200, 150)),
        ("2024/Trip/a", "2024%2FTrip%2Fa", (200, 150)),
        ("2024:Trip:a", "2024%3ATrip%3Aa", (200, 150)),
        (f"2024/Trip/{UNICODE}", f"2024%2FTrip%2F{ENCODED}", (80, 60)),
        ("2024/Trip/b:c.jpg", "2024%2FTrip%2Fb%3Ac.jpg", (60, 60)),
        ("2024/scan.tif", "2024%2Fscan.tif", (50, 40)),
        ("2024/scan.tif;1", "2024%2Fscan.tif%3B1", (50, 40)),
        ("2024/scan.tif;3", "2024%2Fscan.tif%3B3", (50, 20)),
    ],
)
def test_a_path_is_an_image_service(old: Mount, api: int, path: str, identifier: str, extent: tuple[int, int]) -> None:
    service = old.account / "iiif" / str(api) / path
    assert said(service) == (f"{BASE}/{api}/{identifier}", *extent)
    assert os.getxattr(service, "user.iiiffs.uri").decode() == f"{BASE}/{api}/{identifier}"
    assert os.getxattr(service / "info.json", "user.iiiffs.uri").decode() == f"{BASE}/{api}/{identifier}/info.json"
    with Image.open(service / "full" / "20," / "0" / "default.jpg") as image:
        assert image.size == (20, round(20 * extent[1] / extent[0]))
    assert "info.json" in names(service)


def test_renditions_are_the_same_files_and_documents_are_not(old: Mount) -> None:
    stable = (old.files / "2024" / "Trip" / "iiif" / "a.jpg").resolve()
    by_path = old.account / "iiif" / "3" / "2024" / "Trip" / "a.jpg"
    substituted = old.account / "iiif" / "3" / "2024:Trip:a.jpg"
    old_version = old.account / "iiif" / "2" / "2024" / "Trip" / "a.jpg"
    services = (stable, by_path, substituted, old_version)
    assert len({(service / "full" / "33,25" / "0" / "default.jpg").stat().st_ino for service in services}) == 1
    assert len({(service / "info.json").stat().st_ino for service in services}) == len(services)
    assert len({service.stat().st_ino for service in services}) == len(services)
    before = old.rendered
    assert (by_path / "full" / "!31,31" / "0" / "default.jpg").stat().st_size > 0
    assert (substituted / "full" / "31," / "0" / "default.jpg").stat().st_size > 0
    assert old.rendered == before + 1


def test_documents_hold_stable_uris_only(old: Mount) -> None:
    for document in ("collection.json", "files/2024/Trip/manifest.json", "files/2024/manifest.json"):
        text = (old.account / document).read_text()
        for name in ("Trip%2F", "a.jpg/info.json", "a.jpg/full"):
            assert name not in text, (document, name)
    assert said((old.files / "2024" / "Trip" / "iiif" / "a.jpg").resolve())[0].startswith(f"{BASE}/3/")


def test_paths_are_looked_up_and_not_listed(old: Mount) -> None:
    for folder in ("2", "3", "3/2024", "3/2024/Trip", "2/2024:Trip"):
        assert names(old.account / "iiif" / folder) == [], folder
    told = {entry.path for entry in walk(old.account / "iiif")}
    assert told == {str(old.account / "iiif" / name) for name in ("2", "3", "presentation", "presentation/3")}


@pytest.mark.parametrize(
    "path",
    [
        "nothing.jpg",
        "2024/nothing.jpg",
        "2024/Trip/a.jpg.jpg",
        "2024/notes.txt",
        "2024/text.jpg",
        "2024/info.json",
        "2024/manifest.json",
        "2024/index.html",
        "2024/iiif",
        "2024/.sh_thumbnails",
        "2024/.DS_Store",
        "2024:.DS_Store",
        "2024/._a.jpg",
        "2024::Trip:a.jpg",
        ":2024",
        "2024:..:top.png",
        "2024:Trip:..:Trip:a.jpg",
        "2024:Trip:a.jpg:full",
        "2024/scan.tif;4",
        "2024/scan.tif;0",
        "2024/Trip/a.jpg/info.json/x",
        "2024/Trip/a.jpg/bad",
        "2024/Trip;1",
        "files",
        "2024/Trip/\udcff.jpg",
    ],
)
def test_what_is_no_picture_has_no_service(old: Mount, path: str) -> None:
    for api in ("2", "3"):
        assert errno_of((old.account / "iiif" / api / path).stat) in {errno.ENOENT, errno.ENOTDIR}, path
    assert errno_of((old.account / "iiif" / "presentation" / "3" / path).stat) == errno.ENOENT


def test_missing_pixels_take_the_service_away(old: Mount) -> None:
    service = old.account / "iiif" / "3" / "2024" / "cut.jpg"
    assert said(service)[1:] == (200, 150)
    assert errno_of((service / "full" / "max" / "0" / "default.jpg").stat) == errno.ENOENT
    eventually(lambda: errno_of(service.stat) == errno.ENOENT)


def test_a_long_name_of_substitutes(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    folders = [letter * 200 for letter in "abcd"]
    picture(photos.joinpath(*folders) / "a.jpg", 1)
    config = configured(tmp_path / "mount", photos, 'identifier_slash = "|"')
    with mounted(tmp_path / "mount", photos, config=config) as mount:
        assert said(mount.account / "iiif" / "3" / "|".join([*folders, "a.jpg"]))[1:] == (96, 64)


def test_an_id_wins_over_a_file_of_that_name(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    picture(photos / "a.jpg", 1, (30, 20))
    config = configured(tmp_path / "mount", photos, 'identifier_suffix = ".jpg"')
    with mounted(tmp_path / "mount", photos, config=config) as mount:
        stable = (mount.files / "iiif" / "a.jpg").resolve()
        picture(photos / f"{stable.name}.jpg", 2, (50, 50))
        picture(photos / f"{stable.name}x.jpg", 3, (60, 60))
        picture(photos / stable.name / "b.jpg", 4)
        assert eventually(lambda: said(stable.parent / f"{stable.name}x"))[1:] == (60, 60)
        assert said(stable) == (f"{BASE}/3/{stable.name}", 30, 20)
        assert errno_of((stable / "b.jpg").stat) == errno.ENOENT
        assert said(stable.parent / f"{stable.name}.jpg")[1:] == (50, 50)


def test_the_base_and_the_slash_of_the_old_installation(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos")
    lines = ('identifier_slash = "/"', f'identifier_base_2 = "{OLD}"', f'identifier_base_3 = "{OLD}/3"')
    with mounted(tmp_path / "mount", photos, config=configured(tmp_path / "mount", photos, *lines)) as mount:
        mount.expected.extend(["text.jpg", "cut.jpg"])
        services = mount.account / "iiif"
        assert said(services / "2" / "2024" / "Trip" / UNICODE)[0] == f"{OLD}/2024/Trip/{ENCODED}"
        assert said(services / "3" / "2024" / "Trip" / "a.jpg")[0] == f"{OLD}/3/2024/Trip/a.jpg"
        assert errno_of((services / "3" / "2024:Trip:a.jpg").stat) == errno.ENOENT
        stable = (mount.files / "2024" / "Trip" / "iiif" / "a.jpg").resolve()
        assert said(stable)[0] == f"{BASE}/3/{stable.name}"


def test_no_path_unless_asked_for(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    picture(photos / "2024" / "a.jpg", 1)
    picture(photos / "top.jpg", 1)
    with mounted(tmp_path / "mount", photos) as mount:
        for path in ("top.jpg", "2024", "2024/a.jpg", "2024:a.jpg"):
            assert errno_of((mount.account / "iiif" / "3" / path).stat) == errno.ENOENT


def test_names_follow_their_files(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    picture(photos / "2024" / "a.jpg", 1, (30, 20))
    picture(photos / "2024" / "b.jpg", 2, (40, 20))
    config = configured(tmp_path / "mount", photos)
    mount = start(tmp_path / "mount", photos, config=config)
    try:
        services = mount.account / "iiif" / "3"
        stable = (mount.files / "2024" / "iiif" / "a.jpg").resolve()
        assert said(services / "2024" / "a.jpg")[1:] == (30, 20)
        (photos / "2024" / "a.jpg").rename(photos / "2024" / "c.jpg")
        eventually(lambda: errno_of((services / "2024" / "a.jpg").stat), lambda number: number == errno.ENOENT)
        assert eventually(lambda: said(services / "2024" / "c.jpg")) == (f"{BASE}/3/2024%2Fc.jpg", 30, 20)
        assert said(stable) == (f"{BASE}/3/{stable.name}", 30, 20), "the stable one stays with its file"
        (photos / "2024" / "b.jpg").rename(photos / "2024" / "a.jpg")
        eventually(lambda: said(services / "2024" / "a.jpg"), lambda info: info[1:] == (40, 20))
        (photos / "2024").rename(photos / "Later")
        assert eventually(lambda: said(services / "Later" / "a.jpg"))[0] == f"{BASE}/3/Later%2Fa.jpg"
        eventually(lambda: errno_of((services / "2024" / "a.jpg").stat), lambda number: number == errno.ENOENT)
        picture(photos / "Later" / "a.jpg", 3, (70, 20))
        eventually(lambda: said(services / "Later" / "a.jpg"), lambda info: info[1:] == (70, 20))
    finally:
        take_down(mount)
