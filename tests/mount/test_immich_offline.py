"""A server that is away: what was looked at stays, what was not is EIO in time and never ENOENT, and it comes back by
itself. Rule: DESIGN §4.6 for reading."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.immich import ImmichServer, immich
from tests.fakes.immich.records import Album, Asset
from tests.fakes.proxy import FaultProxy, fault_proxy
from tests.harness.mount import Mount
from tests.mount.immich_mount import SOON_S, home_of, is_online, mounted_home, status_of
from tests.mount.observing import attributes, drop_kernel_caches, errno_of, eventually, names

AWAY = ("home: ",)
"""In every warning that such an account may bring."""
IN_TIME_S = 12.0
"""Deadlines.lookup_s is 5 s; a slow machine is given as much again."""
RENDITION = Path("full", "100,", "0", "default.jpg")


@dataclass
class Gallery:
    """`known`: looked at by `look`; `unread`: listed, and its bytes never read; `unseen`: in an album nobody listed."""

    server: ImmichServer
    proxy: FaultProxy
    known: Asset
    unread: Asset
    unseen: Asset
    trip: Album
    seen: dict[str, object] = field(default_factory=dict)


@pytest.fixture(params=[pytest.param("2.7.5", marks=pytest.mark.soak), "3.1.0"])
def gallery(request: pytest.FixtureRequest) -> Iterator[Gallery]:
    with immich(request.param) as server, fault_proxy(server.url) as proxy:
        half = server.add_asset("IMG_1.mov", visibility="hidden")
        known = server.add_asset("IMG_1.jpg", size_px=(600, 400), favorite=True, live_video=half.id)
        unread = server.add_asset("IMG_2.jpg", size_px=(600, 400))
        unseen = server.add_asset("IMG_3.jpg", taken="2020-01-01T00:00:00Z")
        trip = server.add_album("Trip", [known, unread])
        server.add_album("Other", [server.add_asset("cover.jpg", taken="2020-01-01T00:00:00Z"), unseen])
        yield Gallery(server, proxy, known, unread, unseen, trip)


def look(mount: Mount, gallery: Gallery) -> dict[str, object]:
    """What one sees who looks at the album, the favorites and a month, and reads the first photo in several ways."""
    home = home_of(mount)
    album, service = home / "albums" / "Trip", home / "iiif" / "3" / gallery.known.id
    folders = [home, home / "albums", album, album / "iiif", home / "favorites"]
    folders += [home / "timeline" / below for below in ("", "2024", "2024/2024-05")]
    found: dict[str, object] = {str(folder): names(folder) for folder in folders}
    for name in ("IMG_1.jpg", "manifest.json"):
        told = (album / name).stat()
        found[name] = (album / name).read_bytes(), told.st_size, told.st_mtime_ns, told.st_ino
    found["aliases"] = (album / "iiif" / "IMG_1.jpg").readlink()
    found["info"] = (service / "info.json").read_bytes()
    found["rendition"] = (service / RENDITION).read_bytes()
    found["collection"] = (home / "collection.json").read_bytes(), (home / "albums" / "collection.json").read_bytes()
    found["attributes"] = attributes(album / "IMG_1.jpg")
    found["size of what was not read"] = (album / "IMG_2.jpg").stat().st_size
    return found


def assert_in_time(path: Path, *, reads: bool = False) -> None:
    """EIO, within the deadline."""
    began = time.monotonic()
    got = errno_of(path.read_bytes if reads else path.stat)
    assert got == errno.EIO, f"{path}: {errno.errorcode.get(got, got)}"
    assert time.monotonic() - began < IN_TIME_S


def assert_unknown(mount: Mount, gallery: Gallery) -> None:
    """What nobody looked at is neither there nor gone."""
    home = home_of(mount)
    assert_in_time(home / "albums" / "Trip" / "IMG_2.jpg", reads=True)
    assert errno_of(lambda: names(home / "albums" / "Other")) == errno.EIO
    assert_in_time(home / "albums" / "Other" / "IMG_3.jpg")
    assert_in_time(home / "iiif" / "3" / gallery.unseen.id)
    assert_in_time(home / "search" / "boat")
    assert_in_time(home / "iiif" / "3" / gallery.unread.id / RENDITION)


def assert_the_folder_goes_on(mount: Mount) -> None:
    assert (mount.files / "a.txt").read_text() == "here"
    assert is_online(mount, "pictures")


def test_what_was_looked_at_stays_and_what_was_not_is_an_error(tmp_path: Path, gallery: Gallery) -> None:
    proxy, server = gallery.proxy, gallery.server
    with mounted_home(tmp_path, server, *AWAY, url=proxy.url) as mount:
        seen = look(mount, gallery)
        home = home_of(mount)
        half = (home / "albums" / "Trip" / "IMG_1~live.mov").read_bytes()
        assert is_online(mount)
        proxy.away()
        eventually(lambda: not is_online(mount), deadline_s=SOON_S)
        assert "home" in str(status_of(mount)["reason"])
        drop_kernel_caches()
        assert look(mount, gallery) == seen
        assert (home / "albums" / "Trip" / "IMG_1~live.mov").read_bytes() == half
        assert_unknown(mount, gallery)
        assert_the_folder_goes_on(mount)
        new = server.add_asset("IMG_9.jpg", album=gallery.trip)
        proxy.back()
        eventually(lambda: is_online(mount), deadline_s=SOON_S)
        eventually(lambda: "IMG_9.jpg" in names(home / "albums" / "Trip"), deadline_s=SOON_S)
        assert (home / "albums" / "Trip" / "IMG_9.jpg").read_bytes() == new.original.read()
        assert (home / "albums" / "Other" / "IMG_3.jpg").read_bytes() == gallery.unseen.original.read()


def test_mounted_again_while_the_server_is_away(tmp_path: Path, gallery: Gallery) -> None:
    proxy, server = gallery.proxy, gallery.server
    with mounted_home(tmp_path, server, *AWAY, url=proxy.url) as mount:
        seen = look(mount, gallery)
        names(home_of(mount) / "albums")
    proxy.away()
    with mounted_home(tmp_path, server, *AWAY, url=proxy.url) as mount:
        eventually(lambda: not is_online(mount), deadline_s=SOON_S)
        service = home_of(mount) / "iiif" / "3" / gallery.known.id
        assert (service / "info.json").read_bytes() == seen["info"]
        assert look(mount, gallery) == seen
        assert_unknown(mount, gallery)
        server.edit(gallery.known, favorite=False)
        new = server.add_album("New", [gallery.unseen])
        proxy.back()
        eventually(lambda: is_online(mount), deadline_s=SOON_S)
        eventually(lambda: new.name in names(home_of(mount) / "albums"), deadline_s=SOON_S)
        eventually(lambda: "IMG_1.jpg" not in names(home_of(mount) / "favorites"), deadline_s=SOON_S)


def test_a_first_mount_while_the_server_is_away(tmp_path: Path, gallery: Gallery) -> None:
    """Nothing is known: errors, not emptiness; and all of it once the server is there."""
    gallery.proxy.away()
    with mounted_home(tmp_path, gallery.server, *AWAY, url=gallery.proxy.url) as mount:
        home = home_of(mount)
        assert "albums" in names(home)
        for folder in ("albums", "timeline", "favorites"):
            assert errno_of(lambda folder=folder: names(home / folder)) == errno.EIO  # type: ignore[misc]
        assert_in_time(home / "iiif" / "3" / gallery.known.id)
        assert_the_folder_goes_on(mount)
        gallery.proxy.back()
        eventually(lambda: "Trip" in names(home / "albums"), deadline_s=SOON_S)
        assert len(names(home / "favorites")) > 0
        manifest = json.loads((home / "albums" / "Trip" / "manifest.json").read_bytes())
        assert len(manifest["items"]) == 2
