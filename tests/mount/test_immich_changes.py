"""What changes on an Immich server shows on the mount a poll or two later, at the price of what it concerns."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.immich import ImmichServer, immich
from tests.harness.mount import Mount
from tests.mount.immich_mount import SOON_S, home_of, is_online, mounted_home, polled, rounds
from tests.mount.observing import errno_of, eventually, names

VERSIONS = ("2.7.5", "3.1.0")
OURS = {"collection.json", "iiif", "index.html", "manifest.json"}
LISTINGS = r"/api/search/metadata|/api/albums/|/api/timeline|/api/assets/"


@dataclass
class World:
    """A mounted server."""

    server: ImmichServer
    mount: Mount

    @property
    def home(self) -> Path:
        return home_of(self.mount)

    def shown(self, *path: str) -> set[str]:
        """What is listed there, without ours."""
        return set(names(self.home.joinpath(*path))) - OURS

    def soon(self, wanted: set[str], *path: str) -> None:
        """That is what is listed there, a poll or two from now."""
        eventually(lambda: self.shown(*path), lambda shown: shown == wanted, SOON_S)


@pytest.fixture(scope="module", params=VERSIONS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One mount for all tests of a dialect: each works in albums and months of its own."""
    with immich(request.param) as server, mounted_home(tmp_path_factory.mktemp("changes"), server) as mount:
        yield World(server, mount)
        assert mount.gauge("kernel", "bugs") == 0


def test_assets_of_an_album_come_and_go(world: World) -> None:
    server = world.server
    one, two = (server.add_asset(f"{name}.jpg", taken="2001-01-01T00:00:00Z") for name in ("one", "two"))
    album = server.add_album("Coming", [one])
    world.soon({"one.jpg"}, "albums", "Coming")
    path = world.home / "albums" / "Coming"
    before = (path / "manifest.json").stat()
    server.join(album, [two.id])
    world.soon({"one.jpg", "two.jpg"}, "albums", "Coming")
    assert (path / "two.jpg").read_bytes() == two.original.read()
    eventually(lambda: (path / "manifest.json").stat().st_ino != before.st_ino, deadline_s=SOON_S)
    assert len(json.loads((path / "manifest.json").read_bytes())["items"]) == 2
    server.leave(album, [two.id])
    world.soon({"one.jpg"}, "albums", "Coming")
    eventually(lambda: errno_of((path / "two.jpg").stat) == errno.ENOENT)
    assert world.shown("timeline", "2001", "2001-01") == {"one.jpg", "two.jpg"}
    server.leave(album, [one.id])
    world.soon(set(), "albums", "Coming")
    eventually(lambda: errno_of((path / "manifest.json").stat) == errno.ENOENT, deadline_s=SOON_S)


def test_albums_come_go_get_other_names_and_are_shared(world: World) -> None:
    server = world.server
    photo = server.add_asset("p.jpg", taken="2002-01-01T00:00:00Z")
    album = server.add_album("Old title", [photo])
    eventually(lambda: "Old title" in world.shown("albums"), deadline_s=SOON_S)
    ours = world.home / "albums" / "Old title"
    uri = json.loads((ours / "manifest.json").read_bytes())["id"]
    with server.lock:
        album.name, album.updated = "New title", server.clock.now()
        server.changed()
    eventually(lambda: "New title" in world.shown("albums"), deadline_s=SOON_S)
    assert "Old title" not in world.shown("albums")
    eventually(lambda: errno_of(ours.stat) == errno.ENOENT)
    manifest = eventually(
        lambda: json.loads((world.home / "albums" / "New title" / "manifest.json").read_bytes()),
        lambda manifest: manifest["label"] == {"none": ["New title"]},
        SOON_S,
    )
    assert manifest["id"] == uri
    bob = server.add_user("Bob")
    theirs = server.add_album("Bob's", [server.add_asset("b.jpg", owner=bob.id)], owner=bob)
    polled(server)
    assert "Bob's" not in world.shown("albums")
    server.share(theirs, server.owner)
    eventually(lambda: "Bob's" in world.shown("albums"), deadline_s=SOON_S)
    assert world.shown("albums", "Bob's") == {"b.jpg"}
    server.delete_album(album)
    eventually(lambda: "New title" not in world.shown("albums"), deadline_s=SOON_S)
    eventually(lambda: errno_of((world.home / "albums" / "New title").stat) == errno.ENOENT)
    stable = world.home / "iiif" / "presentation" / "3" / album.id / "manifest.json"
    eventually(lambda: errno_of(stable.stat) == errno.ENOENT)


def test_assets_are_liked_archived_binned_and_restored(world: World) -> None:
    server = world.server
    photo = server.add_asset("q.jpg", taken="2003-03-03T00:00:00Z")
    rest = server.add_asset("r.jpg", taken="2003-03-03T00:00:00Z")
    server.add_album("Kept", [photo, rest])
    month = ("timeline", "2003", "2003-03")
    eventually(lambda: "2003" in world.shown("timeline"), deadline_s=SOON_S)
    world.soon({"q.jpg", "r.jpg"}, *month)
    assert "q.jpg" not in world.shown("favorites")
    assert "q.jpg" not in world.shown("trash")
    world.soon({"q.jpg", "r.jpg"}, "albums", "Kept")
    server.edit(photo, favorite=True)
    eventually(lambda: "q.jpg" in world.shown("favorites"), deadline_s=SOON_S)
    server.edit(photo, visibility="archive")
    world.soon({"r.jpg"}, *month)
    assert "q.jpg" in world.shown("favorites")
    assert world.shown("albums", "Kept") == {"q.jpg", "r.jpg"}
    server.edit(photo, visibility="timeline")
    world.soon({"q.jpg", "r.jpg"}, *month)
    server.trash(photo)
    world.soon({"r.jpg"}, "albums", "Kept")
    world.soon({"r.jpg"}, *month)
    eventually(lambda: "q.jpg" in world.shown("trash"), deadline_s=SOON_S)
    assert "q.jpg" not in world.shown("favorites")
    assert (world.home / "trash" / "q.jpg").read_bytes() == photo.original.read()
    server.restore(photo)
    world.soon({"q.jpg", "r.jpg"}, "albums", "Kept")
    world.soon({"q.jpg", "r.jpg"}, *month)
    eventually(lambda: "q.jpg" not in world.shown("trash"), deadline_s=SOON_S)
    assert (world.home / "albums" / "Kept" / "q.jpg").read_bytes() == photo.original.read()
    server.edit(photo, visibility="locked")
    world.soon({"r.jpg"}, "albums", "Kept")
    world.soon({"r.jpg"}, *month)
    eventually(lambda: errno_of((world.home / "iiif" / "3" / photo.id).stat) == errno.ENOENT, deadline_s=SOON_S)
    server.purge(rest)
    world.soon(set(), "albums", "Kept")
    eventually(lambda: "2003" not in world.shown("timeline"), deadline_s=SOON_S)


def test_another_description_makes_another_manifest(world: World) -> None:
    server = world.server
    photo = server.add_asset("d.jpg", taken="2004-04-04T00:00:00Z")
    server.add_album("Told", [photo])
    eventually(lambda: "Told" in world.shown("albums"), deadline_s=SOON_S)
    manifest = world.home / "albums" / "Told" / "manifest.json"
    before, file = manifest.stat(), (world.home / "albums" / "Told" / "d.jpg").stat()
    server.edit(photo, description="A boat on the lake")
    text = eventually(manifest.read_text, lambda text: "A boat on the lake" in text, SOON_S)
    after = manifest.stat()
    assert (after.st_ino != before.st_ino, after.st_size) == (True, len(text.encode()))
    assert after.st_mtime_ns > before.st_mtime_ns
    now = (world.home / "albums" / "Told" / "d.jpg").stat()
    assert (now.st_ino, now.st_mtime_ns, now.st_size) == (file.st_ino, file.st_mtime_ns, file.st_size)


def test_what_is_processed_later_gets_its_canvas_then(world: World) -> None:
    server = world.server
    server.hold_jobs()
    late = server.add_asset("late.jpg", size_px=(500, 300), taken="2005-05-05T00:00:00Z", processed=False)
    server.add_album("Late", [late])
    eventually(lambda: "Late" in world.shown("albums"), deadline_s=SOON_S)
    path = world.home / "albums" / "Late"
    world.soon({"late.jpg"}, "albums", "Late")
    assert (path / "late.jpg").read_bytes() == late.original.read()
    server.release_jobs()
    canvas = eventually(
        lambda: json.loads((path / "manifest.json").read_bytes())["items"][0],
        lambda canvas: (canvas["width"], canvas["height"]) == (500, 300),
        SOON_S,
    )
    assert canvas["id"].endswith(late.id)
    assert (path / "iiif" / "late.jpg" / "info.json").exists()


def test_a_changed_album_costs_itself_alone(world: World) -> None:
    server = world.server
    taken = "2006-01-01T00:00:00Z"
    added = [server.add_album(f"Album {number}", server.add_assets(3, taken=taken)) for number in range(8)]
    eventually(lambda: "Album 7" in world.shown("albums"), deadline_s=SOON_S)
    for number in range(8):
        assert len(world.shown("albums", f"Album {number}")) == 3
    new = server.add_asset("new.jpg", taken="2007-01-01T00:00:00Z")
    polled(server, 4)
    server.requests.clear()
    server.join(added[4], [new.id])
    eventually(lambda: "new.jpg" in world.shown("albums", "Album 4"), deadline_s=SOON_S)
    for number in range(8):
        assert len(world.shown("albums", f"Album {number}")) == (4 if number == 4 else 3)
    asked = {held_in(request.value) or request.path for request in server.requests}
    assert {path for path in asked if "/api/albums/" in path} <= {f"/api/albums/{added[4].id}"}
    assert not asked & {album.id for album in added if album is not added[4]}


def held_in(value: object) -> str:
    """The album that a search asks for; "" for none."""
    albums = value.get("albumIds") if isinstance(value, dict) else None
    return str(albums[0]) if isinstance(albums, list) else ""


def test_an_idle_mount_asks_three_questions_a_poll_and_nobody_else_asks(world: World) -> None:
    server = world.server
    album = server.add_album("Idle", [server.add_asset("i.jpg", taken="2008-01-01T00:00:00Z")])
    eventually(lambda: "Idle" in world.shown("albums"), deadline_s=SOON_S)
    path = world.home / "albums" / "Idle"
    world.soon({"i.jpg"}, "albums", "Idle")
    (path / "i.jpg").read_bytes()
    (path / "manifest.json").read_bytes()
    assert (world.home / "iiif" / "3" / next(iter(album.members)) / "info.json").stat()
    polled(server, 4)
    server.requests.clear()
    for _ in range(3):
        assert world.shown("albums", "Idle") == {"i.jpg"}
        with os.scandir(path) as entries:
            assert all(entry.stat() for entry in entries)
        assert (path / "i.jpg").read_bytes()
        assert (path / "manifest.json").read_bytes()
        assert (world.home / "iiif" / "3" / next(iter(album.members)) / "info.json").read_bytes()
        polled(server, 1)
    polls = server.requests.count(r"/api/albums(\?|$)", "GET") // rounds(server)
    assert polls >= 3
    assert len(server.requests) <= 3 * (polls + 1)
    assert not server.requests.matching(r"/api/albums/|/api/assets|/api/timeline")


def test_people_and_tags_come(world: World) -> None:
    """With whatever else changes in the library: a name alone bumps no date (Provider.watch of immich)."""
    server = world.server
    assert errno_of(lambda: names(world.home / "people")) == 0
    photo = server.add_asset("anna.jpg", taken="2009-01-01T00:00:00Z")
    server.add_person("Anna", [photo])
    server.add_tag("Trips", [photo])
    eventually(lambda: "Anna" in world.shown("people"), deadline_s=SOON_S)
    eventually(lambda: "Trips" in world.shown("tags"), deadline_s=SOON_S)
    assert world.shown("people", "Anna") == world.shown("tags", "Trips") == {"anna.jpg"}


def test_a_server_of_another_version_under_the_mount(tmp_path: Path) -> None:
    with immich("2.7.5", strict=False) as server:
        old = server.add_asset("old.jpg", taken="2024-01-01T00:00:00Z")
        album = server.add_album("Trip", [old])
        with mounted_home(tmp_path, server, "home: ") as mount:
            path = home_of(mount) / "albums" / "Trip"
            assert set(names(path)) - OURS == {"old.jpg"}
            server.drop_connections()
            server.version = "3.1.0"
            server.add_asset("new.jpg", album=album, taken="2024-01-02T00:00:00Z")
            eventually(lambda: set(names(path)) - OURS, lambda shown: shown == {"old.jpg", "new.jpg"}, SOON_S)
            assert (path / "old.jpg").read_bytes() == old.original.read()
            eventually(lambda: is_online(mount), deadline_s=SOON_S)
            bob = server.add_user("Bob")
            theirs = server.add_album("Bob's", [server.add_asset("b.jpg", owner=bob.id)], owner=bob)
            server.share(theirs, server.owner)
            eventually(lambda: "Bob's" in names(home_of(mount) / "albums"), deadline_s=SOON_S)
            assert set(names(home_of(mount) / "albums" / "Bob's")) - OURS == {"b.jpg"}


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_the_servers_clock_jumps(tmp_path: Path, jump_s: float) -> None:
    with immich("3.1.0") as server:
        photo = server.add_asset("p.jpg", taken="2024-01-01T00:00:00Z")
        album = server.add_album("Trip", [photo])
        with mounted_home(tmp_path, server, "home: the server's clock went back") as mount:
            home = home_of(mount)
            assert set(names(home / "albums" / "Trip")) - OURS == {"p.jpg"}
            assert set(names(home / "favorites")) - OURS == set()
            server.clock.shift_s = jump_s
            polled(server)
            server.edit(photo, favorite=True)
            server.add_asset("q.jpg", album=album, taken="2024-01-02T00:00:00Z")
            eventually(lambda: "p.jpg" in names(home / "favorites"), deadline_s=SOON_S)
            eventually(lambda: "q.jpg" in names(home / "albums" / "Trip"), deadline_s=SOON_S)
            server.clock.shift_s = 0.0
            polled(server)
            server.edit(photo, favorite=False)
            eventually(lambda: "p.jpg" not in names(home / "favorites"), deadline_s=SOON_S)
            assert is_online(mount)
