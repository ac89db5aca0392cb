"""Every view of an Immich account on a real mount, on both dialects: what is listed, what is found, what is nowhere."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import iiif_prezi3  # type: ignore[import-untyped]
import pytest

from tests.fakes.immich import ImmichServer, immich
from tests.fakes.immich.records import Album, Asset, Place
from tests.harness.mount import Mount
from tests.harness.servers import free_port, printed
from tests.mount.immich_mount import BYTES, ORIGINALS, home_of, mounted_home, seen, tree_of, write_config
from tests.mount.observing import attributes, drop_kernel_caches, errno_of, names
from tests.mount.served import crawl, get
from tests.mount.test_web import VALIDATOR, paint_validator_picture

VERSIONS = ("2.7.5", "3.1.0")
OURS = {"collection.json", "iiif", "index.html", "manifest.json"}
HOSTILE = {
    "a/../../b": "a_.._.._b",
    "..": "__",
    ".": "_",
    "": "_",
    "line\nfeed\x00\x1b[31m": "line_feed__[31m",
    "x" * 300: "x" * 255,
    "🏔" * 100: "🏔" * 63,
    "\u202egpj.exe": "\u202egpj.exe",
    "مرحبا": "مرحبا",
    "manifest.json": None,
    "iiif": None,
    ".DS_Store": "_.DS_Store",
    "._x": "_._x",
}
"""Title -> name; None: some other, which is found under what is listed."""


@dataclass
class World:
    """A server with something of every kind, mounted. `base_url`: where nginx serves it."""

    server: ImmichServer
    mount: Mount
    assets: dict[str, Asset]
    albums: dict[str, Album]
    base_url: str

    @property
    def home(self) -> Path:
        return home_of(self.mount)

    def name_in(self, album: Path, key: str) -> str:
        """What the asset is called there, by its id."""
        id = self.assets[key].id
        (name,) = (name for name in names(album) if name not in OURS and id_of(album / name) == id)
        return name


def id_of(path: Path) -> str:
    return os.getxattr(path, "user.iiiffs.id").decode()


def fill(server: ImmichServer) -> tuple[dict[str, Asset], dict[str, Album]]:
    place = Place(40.4, -3.7, "York", "England", "United Kingdom")
    half = server.add_asset("IMG_9.mov", visibility="hidden", taken="2024-06-01T12:00:00Z")
    bob = server.add_user("Bob")
    add = server.add_asset
    assets = {
        "night": add("IMG_1.jpg", size_px=(300, 200), taken="2023-06-01T00:30:00+02:00", favorite=True),
        "day": add("IMG_1.jpg", size_px=(320, 200), taken="2023-06-01T10:11:12+02:00", place=place),
        "film": add("clip.mp4", size_px=(320, 200), taken="2024-06-01T10:11:12+02:00"),
        "half": half,
        "live": add("IMG_9.heic", live_video=half.id, size_px=(320, 200), taken="2024-06-01T12:00:00Z"),
        "archived": add("paper.jpg", visibility="archive", favorite=True, taken="2022-01-01T00:00:00Z"),
        "locked": add("secret.jpg", visibility="locked", favorite=True, taken="2023-06-02T00:00:00Z"),
        "binned": add("old.jpg", taken="2021-01-01T00:00:00Z"),
        "bobs": add("bobs.jpg", owner=bob.id, taken="2020-05-05T00:00:00Z"),
        "raw": add("DSC_1.tiff", size_px=(400, 300), taken="2024-07-01T00:00:00Z", rating=5),
    }  # fmt: skip
    assets["day"].description = "A boat"
    all_but = [one for key, one in assets.items() if key not in ("half", "bobs", "raw")]
    albums = {
        "trip": server.add_album("Trip", all_but),
        "other": server.add_album("Trip", [assets["night"]]),
        "bobs": server.add_album("Trip", [assets["bobs"]], owner=bob),
        "private": server.add_album("Bob's own", [], owner=bob),
        "empty": server.add_album("empty"),
    }
    server.share(albums["bobs"], server.owner)
    server.trash(assets["binned"])
    server.add_person("Anna", [assets["night"], assets["archived"]])
    server.add_person("Anna", [assets["day"]])
    server.add_person("", [assets["day"]])
    server.add_person("Hidden", [assets["day"]], hidden=True)
    server.add_tag("Trips/2024", [assets["day"]])
    for title in HOSTILE:
        album = server.add_album(title, [])
        server.add_asset(f"x{title}.jpg", album=album, taken="2019-01-01T00:00:00Z")
    return assets, albums


@pytest.fixture(scope="module", params=VERSIONS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("views")
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    with immich(request.param) as server:
        assets, albums = fill(server)
        config = write_config(folder, server.url, base_url=base_url)
        with (
            mounted_home(folder, server, config=config) as mount,
            printed("nginx", mount.root, folder / "nginx", port, allow_origins=("*",)) as errors,
        ):
            yield World(server, mount, assets, albums, base_url)
            assert mount.gauge("kernel", "bugs") == 0
            assert errors.read_text() == ""


def test_every_directory_and_what_is_in_it(world: World) -> None:
    home = world.home
    views = ["albums", "favorites", "people", "search", "tags", "timeline", "trash"]
    assert names(home) == sorted([*views, "collection.json", "iiif", "index.html"])
    titles = set(names(home / "albums")) - OURS
    trips = [title for title in titles if re.fullmatch(r"Trip( \([0-9a-f]{6,}\))?", title)]
    assert len(trips) == 3
    assert "Trip" in trips
    assert "Bob's own" not in titles
    assert names(home / "albums" / "empty") == ["index.html"]
    assert set(names(home / "timeline")) - OURS == {"2019", "2023", "2024"}
    assert set(names(home / "timeline" / "2023")) - OURS == {"2023-06"}
    assert set(names(home / "timeline" / "2024")) - OURS == {"2024-06", "2024-07"}
    assert held(world, home / "timeline" / "2023" / "2023-06") == {"night", "day"}  # one of them in May by UTC
    assert held(world, home / "timeline" / "2024" / "2024-06") == {"film", "live"}
    assert held(world, home / "favorites") == {"night", "archived"}
    assert len([name for name in names(home / "people") if re.fullmatch(r"Anna( \([0-9a-f]{6,}\))?", name)]) == 2
    assert len(set(names(home / "people")) - OURS) == 2
    by_person = [held(world, home / "people" / name) for name in names(home / "people") if name not in OURS]
    assert sorted(map(sorted, by_person)) == [["archived", "night"], ["day"]]
    assert set(names(home / "tags")) - OURS == {"Trips", "Trips_2024"}
    assert held(world, home / "tags" / "Trips") == held(world, home / "tags" / "Trips_2024") == {"day"}
    assert held(world, home / "trash") == {"binned"}
    assert names(home / "search") == []
    assert names(home / "iiif" / "3") == names(home / "iiif" / "presentation" / "3") == []


def held(world: World, album: Path) -> set[str]:
    """The keys of the assets that are listed there."""
    keys = {asset.id: key for key, asset in world.assets.items()}
    return {keys[id_of(album / name)] for name in names(album) if name not in OURS}


def trip(world: World) -> Path:
    """The directory of the album "Trip" that holds nearly all."""
    return directory_of(world, "trip")


def directory_of(world: World, album: str) -> Path:
    folder = world.home / "albums"
    (name,) = (name for name in names(folder) if name not in OURS and id_of(folder / name) == world.albums[album].id)
    return folder / name


def test_albums_hold_what_is_archived_and_nothing_of_what_is_locked_binned_or_a_half(world: World) -> None:
    assert held(world, trip(world)) == {"night", "day", "film", "live", "archived"}
    assert held(world, directory_of(world, "bobs")) == {"bobs"}
    assert (directory_of(world, "bobs") / "bobs.jpg").read_bytes() == world.assets["bobs"].original.read()


def test_locked_assets_are_nowhere(world: World) -> None:
    for name in ("secret.jpg",):
        assert not [path for path in tree_of(world.home) if Path(path).name == name]
    for api in ("2", "3"):
        service = world.home / "iiif" / api / world.assets["locked"].id
        assert errno_of(service.stat) == errno.ENOENT
    assert held(world, world.home / "search" / "secret") == set()


def test_originals_byte_for_byte(world: World) -> None:
    by_id = {asset.id: asset for asset in world.server.assets.values()}
    compared = set()
    for path, told in tree_of(world.home).items():
        file = world.home / path
        if not file.is_file() or file.name in OURS or file.is_symlink():
            continue
        asset = by_id[id_of(file)]
        assert file.read_bytes() == asset.original.read(), path
        assert told.st_size == asset.size
        compared.add(asset.id)
    hidden = {world.assets[key].id for key in ("half", "locked")}
    assert compared == set(by_id) - hidden


def test_one_inode_a_version_in_all_views(world: World) -> None:
    name = world.name_in(trip(world), "night")
    told = (trip(world) / name).stat()
    month = world.home / "timeline" / "2023" / "2023-06"
    elsewhere = month / world.name_in(month, "night")
    assert (elsewhere.stat().st_ino, elsewhere.stat().st_mtime_ns) == (told.st_ino, told.st_mtime_ns)
    assert told.st_nlink >= 2


def test_the_moving_half_of_a_live_photo_is_hidden_and_found(world: World) -> None:
    album = trip(world)
    assert not [name for name in names(album) if name.endswith((".mov", ".MOV"))]
    half = album / "IMG_9~live.mov"
    assert half.read_bytes() == world.assets["half"].original.read()
    assert half.stat().st_size == world.assets["half"].size
    assert os.getxattr(album / "IMG_9.heic", "user.iiiffs.live").decode() == world.assets["half"].id
    assert id_of(half) == world.assets["half"].id
    for absent in ("IMG_9~live.mp4", "IMG_1~live.mov", "clip~live.mov"):
        assert errno_of((album / absent).stat) == errno.ENOENT
    assert "iiiffs.live" not in attributes(album / world.name_in(album, "night"))


def manifest_of(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "manifest.json").read_bytes())
    assert isinstance(found, dict)
    return found


def test_manifests_and_collections_are_valid(world: World) -> None:
    checked = 0
    for path in tree_of(world.home):
        file = world.home / path
        if file.name == "manifest.json" and file.is_file():
            iiif_prezi3.Manifest(**manifest_of(file.parent))
        elif file.name == "collection.json":
            iiif_prezi3.Collection(**json.loads(file.read_bytes()))
        else:
            continue
        checked += 1
    assert checked > 20
    canvases = {canvas["id"].rsplit("/", 1)[-1]: canvas for canvas in manifest_of(trip(world))["items"]}
    assert set(canvases) == {world.assets[key].id for key in ("night", "day", "film", "live", "archived")}
    film = canvases[world.assets["film"].id]
    body = film["items"][0]["items"][0]["body"]
    assert (film["width"], film["height"], film["duration"] > 0, body["type"]) == (320, 200, True, "Video")
    assert "A boat" in json.dumps(canvases[world.assets["day"].id])


def members(shelf: Path) -> set[str]:
    """The labels of what the collection of a shelf refers to."""
    drop_kernel_caches()
    found = json.loads((shelf / "collection.json").read_bytes())
    return {item["label"]["none"][0] for item in found["items"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_collections_leave_out_what_is_known_to_hold_nothing(tmp_path: Path, version: str) -> None:
    """Of people and tags nobody says how many assets they have: it is known once somebody looked, and after a restart;
    and looked at again after a change."""
    with immich(version) as server:
        photo = server.add_asset("IMG_1.jpg", taken="2024-05-05T00:00:00Z")
        server.add_person("Anna", [photo])
        nobody = server.add_person("Nobody")
        server.add_tag("Sea", [photo])
        server.add_tag("Land")
        server.add_album("Trip", [photo])
        server.add_album("Empty")
        with mounted_home(tmp_path, server) as mount:
            home = home_of(mount)
            assert members(home / "albums") == {"Trip"}
            assert members(home / "people") == {"Anna", "Nobody"}
            assert members(home / "tags") == {"Sea", "Land"}
            for bare in (home / "people" / "Nobody", home / "tags" / "Land"):
                assert names(bare) == ["index.html"]
                assert errno_of((bare / "manifest.json").stat) == errno.ENOENT
                assert "collection.json" in names(bare.parent)
            assert members(home / "people") == {"Anna"}
            assert members(home / "tags") == {"Sea"}
        with mounted_home(tmp_path, server) as mount:
            home = home_of(mount)
            assert members(home / "people") == {"Anna"}
            assert members(home / "tags") == {"Sea"}
            server.add_face(photo, nobody.id, (10, 10, 50, 60), (640, 480))
            server.edit(photo, description="two of them")
            seen(lambda: members(home / "people") == {"Anna", "Nobody"})
            assert "manifest.json" in names(home / "people" / "Nobody")


def test_all_that_documents_name_is_served(world: World) -> None:
    seen = crawl(world.base_url, [f"{world.base_url}/home/collection.json"])
    assert len(seen) > 40


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("paper", {"archived"}),
        ("IMG_9", {"live"}),
        ("type:video", {"film"}),
        ("city:york", {"day"}),
        ("tag:trips", {"day"}),
        ("from:2024-06 to:2024-06", {"film", "live"}),
        ("from:2023-06 to:2023", {"night", "day"}),
        ("rating:=5", {"raw"}),
        ("nobody-ever", set()),
    ],
)
def test_searches(world: World, query: str, found: set[str]) -> None:
    assert held(world, world.home / "search" / query) == found


@pytest.mark.parametrize("query", ["rating:3", "smart:boat", "person:anna", "nonsense:x", "to:2024 to:2023", "a b"])
def test_what_the_server_cannot_search_for_is_absent_with_a_reason(world: World, query: str) -> None:
    search = world.home / "search"
    assert errno_of((search / query).stat) == errno.ENOENT
    assert os.getxattr(search, "user.iiiffs.error")


def test_search_by_content_where_the_server_has_it(world: World) -> None:
    world.server.settings.smart_search = True
    try:
        answer = world.home / "search" / "smart:sailing"
        assert world.assets["day"].id in {id_of(answer / name) for name in names(answer) if name not in OURS}
    finally:
        world.server.settings.smart_search = False


def test_hostile_titles_stay_in_their_directory(world: World) -> None:
    folder = world.home / "albums"
    listed = set(names(folder))
    by_id = {id_of(folder / name): name for name in listed - OURS}
    titles = {album.id: album.name for album in world.server.albums.values()}
    assert set(by_id) == {id for id in titles if titles[id] != "Bob's own"}
    for id, name in by_id.items():
        wanted = HOSTILE.get(titles[id])
        assert len(os.fsencode(name)) <= 255
        assert wanted is None or name == wanted or re.fullmatch(re.escape(wanted) + r" \([0-9a-f]{6,}\)", name), name
        if titles[id] in HOSTILE:
            (photo,) = set(names(folder / name)) - OURS
            (asset,) = (world.server.assets[one] for one in world.server.albums[id].members)
            assert (folder / name / photo).read_bytes() == asset.original.read()


def test_looking_at_everything_fetches_and_renders_nothing(world: World) -> None:
    rendered = world.mount.rendered
    drop_kernel_caches()
    world.server.requests.clear()
    for command in (["ls", "-lR"], ["find"], ["du", "-a"]):
        done = subprocess.run([*command, str(world.mount.root)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command
    assert world.server.requests.count(BYTES) == 0
    assert world.mount.rendered == rendered
    listings = len(world.server.albums) + 20
    polls = world.server.requests.count(r"updatedAfter|/api/albums(\?|$)")
    assert len(world.server.requests) - polls <= 4 * listings


@pytest.mark.parametrize("version", VERSIONS)
def test_a_first_walk_fetches_nothing_and_asks_little(tmp_path: Path, version: str) -> None:
    """One question for what an album is, one a page for what is in it, one for its cover; two for most other views."""
    with immich(version) as server:
        for number in range(10):
            server.add_album(f"Album {number}", server.add_assets(20, taken=f"2024-{number + 1:02}-01T00:00:00Z"))
        config = write_config(tmp_path, server.url, poll="60 s")
        with mounted_home(tmp_path, server, config=config) as mount:
            server.requests.clear()
            done = subprocess.run(["ls", "-lR", str(mount.root)], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            first = len(server.requests)
            assert server.requests.count(BYTES) == 0
            assert mount.rendered == 0
            assert first <= 3 * 10 + 10 + 16  # albums and their covers, months, and one or two for each other view
            drop_kernel_caches()
            for command in ("find", "du"):
                subprocess.run([command, str(mount.root)], capture_output=True, check=True)
            assert len(server.requests) == first, "nothing changed, so nothing is asked again"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_album_page_of_two_hundred_photos_fetches_no_original(tmp_path: Path, version: str) -> None:
    """The page's own reading: the manifest, and a thumbnail of each canvas, through nginx."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    with immich(version) as server:
        album = server.add_album("Trip")
        for number in range(200):
            server.add_asset(f"IMG_{number}.jpg", size_px=(2400, 1600), album=album)
        config = write_config(tmp_path, server.url, base_url=base_url, poll="60 s")
        with (
            mounted_home(tmp_path, server, config=config) as mount,
            printed("nginx", mount.root, tmp_path / "nginx", port),
        ):
            before = len(server.requests)
            assert get(f"{base_url}/home/albums/Trip/").status == 200
            manifest = json.loads(get(f"{base_url}/home/albums/Trip/manifest.json").body)
            assert len(manifest["items"]) == 200
            shown = [canvas["thumbnail"][0]["id"] for canvas in manifest["items"]]
            assert all(get(uri).status == 200 for uri in shown)
            assert server.requests.count(ORIGINALS) == 0
            assert len(server.requests) - before <= 2 * 200 + 20


def test_the_official_validator(tmp_path: Path) -> None:
    """As test_web.test_the_official_validator, through the block cache: 32 of 33 tests, one of which cannot pass."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    paint_validator_picture(tmp_path / "validator.png")
    with immich("3.1.0") as server:
        asset = server.add_asset("validator.png", data=(tmp_path / "validator.png").read_bytes())
        config = write_config(tmp_path, server.url, base_url=base_url)
        with (
            mounted_home(tmp_path, server, config=config) as mount,
            printed("nginx", mount.root, tmp_path / "nginx", port, allow_origins=("*",)),
        ):
            assert (home_of(mount) / "iiif" / "3" / asset.id / "info.json").stat().st_size > 0
            for version, failing in (("3.0", ["size_noup"]), ("2.0", [])):
                done = subprocess.run(
                    [
                        str(VALIDATOR / "python"), str(VALIDATOR / "iiif-validate.py"), "-s", f"127.0.0.1:{port}",
                        "-p", f"home/iiif/{version[0]}", "-i", asset.id, "--version", version, "--level", "2", "-v",
                    ],
                    capture_output=True, text=True, timeout=120, check=False,
                )  # fmt: skip
                said = done.stdout + done.stderr
                assert re.findall(r"test (\w+) FAIL", said) == failing, said
                assert len(re.findall(r"test \w+ PASS", said)) >= 25
