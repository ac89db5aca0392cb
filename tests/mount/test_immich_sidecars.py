"""Sidecars on a mount of Immich, in both dialects: programs copy and write them, the server has what they say."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiiffs.control import ask
from tests.contract.test_immich_replacing import picture
from tests.fakes import faults
from tests.fakes.immich import immich
from tests.fakes.immich.records import Asset
from tests.fakes.serving import Response
from tests.harness.mount import Program, start, take_down
from tests.mount.immich_mount import environ_of, mounted_home, seen, write_config
from tests.mount.observing import names
from tests.mount.test_immich_writing import SENT_S, SETTLE, VERSIONS, World
from tests.unit.render.metadata.described_files import alternatives, array, xmp


def told(caption: str, rating: int, *tags: str) -> bytes:
    inside = alternatives("dc:description", x_default=caption) + (array("dc:subject", "Bag", *tags) if tags else "")
    return xmp(inside, f'xmp:Rating="{rating}"')


@pytest.fixture(scope="module", params=VERSIONS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("immich")
    with immich(request.param) as server:
        config = write_config(folder, server.url, extra=f'settle = "{SETTLE}"\n')
        asked = f'url = "{server.url}"\naccess = '
        config.write_text(config.read_text().replace(f'{asked}"read"', f'{asked}"edit"'))
        (folder / "files").mkdir()
        with mounted_home(folder, server, "only with its photo", config=config) as mount:
            yield World(server, mount, folder / "files")


def said_of(world: World, asset: Asset) -> tuple[str, int | None, set[str]]:
    with world.server.lock:
        return asset.description, asset.rating, {world.server.tags[id].value for id in asset.tags}


def state(path: Path) -> str:
    return os.getxattr(path, "user.iiiffs.state").decode()


@pytest.mark.parametrize(
    "command", ["cp -a $FILES/{0} albums/", "rsync -a $FILES/{0} albums/", "cp -r $FILES/{0} albums/"]
)
def test_a_folder_of_photos_and_sidecars(world: World, command: str) -> None:
    title = command.partition(" $")[0]
    folder = world.files / title
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").write_bytes(world.fresh())
        sidecar = folder / (f"{number}.jpg.xmp" if number % 2 else f"{number}.xmp")
        sidecar.write_bytes(told(f"{title} {number}", number + 1, f"tag {number}"))
    world.run(command.format(f"'{title}'"))
    world.settled()
    (album,) = world.titled(title)
    with world.server.lock:
        assets = {world.server.assets[id].name: world.server.assets[id] for id in album.members}
    assert sorted(assets) == [f"{number}.jpg" for number in range(4)]
    world.server.release_jobs()
    for number in range(4):
        asset = assets[f"{number}.jpg"]
        assert asset.sidecar is not None, "it came with its photo"
        assert said_of(world, asset) == (f"{title} {number}", number + 1, {f"tag {number}"})
    here = world.path(album)
    for sidecar in folder.glob("*.xmp"):
        assert (here / sidecar.name).read_bytes() == sidecar.read_bytes() and state(here / sidecar.name) == "kept"
    uploads = world.server.requests.count("/api/assets$", method="POST")
    world.run(f"rsync -a $FILES/'{title}' albums/")
    world.settled()
    assert world.server.requests.count("/api/assets$", method="POST") == uploads, "nothing is copied again"


def test_after_its_photo_and_written_again(world: World) -> None:
    """What digiKam and darktable do: they write the sidecar of a photo that has been there for long."""
    album, (asset,) = world.album("long.jpg")
    sidecar = world.path(album) / "long.jpg.xmp"
    sidecar.write_bytes(told("first", 3, "sea"))
    world.settled()
    assert said_of(world, asset) == ("first", 3, {"sea"}) and state(sidecar) == "kept"
    sidecar.write_bytes(told("second", 5))
    world.settled()
    assert said_of(world, asset) == ("second", 5, {"sea"})
    assert sidecar.read_bytes() == told("second", 5)


def test_exiftool_and_exiv2_write_sidecars(world: World) -> None:
    album, (first, second) = world.album("one.jpg", "two.jpg")
    here = world.path(album)
    world.run(f"exiftool -q -o '{here}/one.xmp' -XMP-dc:Description='by exiftool' -XMP:Rating=2 '{here}/one.jpg'")
    world.settled()
    assert said_of(world, first)[:2] == ("by exiftool", 2)
    world.run(f"exiftool -q -XMP:Rating=4 '{here}/one.xmp'")
    world.settled()
    assert said_of(world, first)[:2] == ("by exiftool", 4)
    world.file("two.xmp", told("by exiv2", 1))
    world.run(f"exiv2 -M'set Xmp.xmp.Rating 3' $FILES/two.xmp && cp $FILES/two.xmp '{here}/'")
    world.settled()
    assert said_of(world, second)[:2] == ("by exiv2", 3)
    assert {"one.xmp", "one.xmp_original", "two.xmp"} <= set(names(here))


def test_they_move_and_go_with_their_photo_as_files_do(world: World) -> None:
    album, _ = world.album("p.jpg")
    other, _ = world.album()
    here, there = world.path(album), world.path(other)
    (here / "p.jpg.xmp").write_bytes(told("moved", 2))
    world.settled()
    calls = world.server.requests.count("/api/assets/", method="PUT")
    world.run(f"mv '{here}'/p.jpg* '{there}/'")
    world.settled()
    assert {"p.jpg", "p.jpg.xmp"} <= set(names(there)) and not {"p.jpg", "p.jpg.xmp"} & set(names(here))
    assert world.server.requests.count("/api/assets/", method="PUT") == calls, "it was told already"
    shutil.rmtree(there)
    world.settled()
    assert not there.exists() and not world.titled(other.name)


def test_what_is_said_of_photos_is_not_said_of_them(world: World) -> None:
    album, _ = world.album("s.jpg")
    sidecar = world.path(album) / "s.jpg.xmp"
    sidecar.write_bytes(told("s", 2))
    for _ in range(2):
        world.fails(errno.EPERM, lambda: os.setxattr(sidecar, "user.iiiffs.rating", b"3"))
        world.fails(errno.EPERM, lambda: os.link(sidecar, world.home / "favorites" / "s.jpg.xmp"))
        world.settled()
    os.utime(sidecar, (10**9, 10**9))
    assert sidecar.stat().st_mtime == 10**9 and state(sidecar) == "kept"
    sidecar.unlink()
    assert {"s.jpg", "s.jpg.xmp"} & set(names(world.path(album))) == {"s.jpg"}


def test_a_manifest_has_what_they_say(world: World) -> None:
    album, _ = world.album("m.jpg")
    here = world.path(album)
    (here / "m.jpg.xmp").write_bytes(told("in the manifest", 2))
    seen(lambda: "in the manifest" in (here / "manifest.json").read_text())
    assert "m.jpg.xmp" in (here / "manifest.json").read_text()


def test_killed_between_the_copy_and_its_sending(tmp_path: Path) -> None:
    """The next run has both, and sends them together."""
    photo, sidecar = picture(3), told("after a crash", 4)
    with immich("3.1.0") as server:
        album = server.add_album("Trip")
        config = write_config(tmp_path, server.url, extra='settle = "300ms"\n')
        config.write_text(config.read_text().replace(f'url = "{server.url}"\naccess = "read"', f'url = "{server.url}"'))
        program = Program("tests.mount.hasty", environ_of(home=server.key))
        server.fault(
            faults.fixed("away", "a restart", Response(503, [], b"")), "/api/assets", method="POST", times=None
        )
        mount = start(tmp_path, tmp_path, config=config, program=program)
        here = mount.root / "home/albums/Trip"
        (here / "a.jpg").write_bytes(photo)
        (here / "a.jpg.xmp").write_bytes(sidecar)
        seen(lambda: state(here / "a.jpg") in ("ready", "sending"))
        mount.kill()
        server.faults.clear()
        mount = start(tmp_path, tmp_path, config=config, program=program)
        try:
            seen(lambda: state(here / "a.jpg.xmp") == "kept")
            assert (here / "a.jpg.xmp").read_bytes() == sidecar
        finally:
            take_down(mount)
        ((asset,),) = [[server.assets[id] for id in album.members]]
        assert asset.sidecar == sidecar and len(server.assets) == 1


def test_without_a_photo(world: World) -> None:
    album, _ = world.album()
    sidecar = world.path(album) / "none.jpg.xmp"
    sidecar.write_bytes(told("of nothing", 1))
    ask(world.mount.socket, "flush")
    end = time.monotonic() + SENT_S
    while state(sidecar) != "failed":
        assert time.monotonic() < end, state(sidecar)
        ask(world.mount.socket, "flush")
        time.sleep(0.02)
    assert b"only with its photo" in os.getxattr(sidecar, "user.iiiffs.error")
    (failed,) = [path for path in (world.mount.root / ".iiiffs/failed").iterdir() if path.name.endswith("none.jpg.xmp")]
    assert failed.read_bytes() == told("of nothing", 1)
    content = world.fresh()
    (world.path(album) / "none.jpg").write_bytes(content)
    world.settled()
    world.server.release_jobs()
    (asset,) = world.having(content)
    assert said_of(world, asset)[:2] == ("of nothing", 1) and state(sidecar) == "kept"
