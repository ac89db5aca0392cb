"""Every row of DESIGN §4's Immich column on a real mount, in both dialects: programs act, and the server has it."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from iiiffs.control import ask
from tests.contract.test_immich_replacing import picture
from tests.fakes.immich import ImmichServer, immich
from tests.fakes.immich.records import Album, Asset
from tests.harness.mount import Mount
from tests.mount.immich_mount import home_of, mounted_home, polled, seen, write_config
from tests.mount.observing import errno_of, names

VERSIONS = ("2.7.5", "3.1.0")
SENT_S = 30.0
RESTING = ("scratch", "failed")
SETTLE = "300ms"


@dataclass
class World:
    """A server, its account mounted at `home` with access "edit", and a folder of files to copy."""

    server: ImmichServer
    mount: Mount
    files: Path
    count: int = 0

    @property
    def home(self) -> Path:
        return home_of(self.mount)

    def run(self, command: str, *, code: int = 0, cwd: Path | None = None) -> str:
        """What a shell says to it, in MOUNT/home; $FILES is the folder of files."""
        ended = subprocess.run(
            ["bash", "-c", command], cwd=cwd or self.home, capture_output=True, text=True, timeout=60, check=False,
            env=os.environ | {"FILES": str(self.files)},
        )  # fmt: skip
        assert ended.returncode == code, f"{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout + ended.stderr

    def file(self, name: str, content: bytes) -> Path:
        """A file to copy."""
        path = self.files / name
        path.write_bytes(content)
        return path

    def fresh(self, **exif: str) -> bytes:
        """A picture that nobody has yet."""
        self.count += 1
        return picture(self.count % 12, (64 + self.count, 48), **exif)

    def album(self, *held: str) -> tuple[Album, list[Asset]]:
        """One more, with a picture of each name, as the mount shows it."""
        self.count += 1
        assets = [self.server.add_asset(name, data=self.fresh()) for name in held]
        album = self.server.add_album(f"Album {self.count}", assets)
        path = self.path(album)
        seen(lambda: path.is_dir() and set(held) <= set(names(path)))
        return album, assets

    def path(self, album: Album) -> Path:
        return self.home / "albums" / album.name

    def settled(self) -> None:
        """Nothing waits to be sent, and the mount has seen what the server has."""
        ask(self.mount.socket, "flush")
        end = time.monotonic() + SENT_S
        while any(item["stage"] not in RESTING for item in self.queue()):
            assert time.monotonic() < end, self.queue()
            time.sleep(0.02)
        assert not [item for item in self.queue() if item["stage"] == "failed"], self.queue()

    def queue(self) -> list[dict[str, object]]:
        found = ask(self.mount.socket, "queue.list")
        assert isinstance(found, list)
        return found

    def members(self, album: Album) -> list[str]:
        """Names of what is in the album and not in the trash."""
        with self.server.lock:
            found = [self.server.assets[id] for id in album.members]
        return sorted(asset.name for asset in found if not asset.trashed)

    def titled(self, title: str) -> list[Album]:
        return [album for album in self.server.albums.values() if album.name == title]

    def having(self, content: bytes) -> list[Asset]:
        """What has these bytes, in the trash or not."""
        with self.server.lock:
            return [one for one in self.server.assets.values() if one.original.read() == content]

    def fails(self, wanted: int, work: Callable[[], object]) -> None:
        assert errno_of(work) == wanted


@pytest.fixture(scope="module", params=VERSIONS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("immich")
    with immich(request.param) as server:
        config = write_config(folder, server.url, extra=f'settle = "{SETTLE}"\n')
        asked = f'url = "{server.url}"\naccess = '
        config.write_text(config.read_text().replace(f'{asked}"read"', f'{asked}"edit"'))
        (folder / "files").mkdir()
        with mounted_home(folder, server, config=config) as mount:
            yield World(server, mount, folder / "files")


def test_cp_uploads_and_adds_to_the_album(world: World) -> None:
    album, _ = world.album("old.jpg")
    content = world.fresh()
    world.file("new.jpg", content)
    world.run(f"cp -p $FILES/new.jpg '{world.path(album)}/'")
    assert (world.path(album) / "new.jpg").read_bytes() == content
    world.settled()
    (asset,) = world.having(content)
    assert world.members(album) == ["new.jpg", "old.jpg"]
    assert asset.modified == (world.files / "new.jpg").stat().st_mtime_ns // 1_000_000 * 1000
    seen(lambda: os.getxattr(world.path(album) / "new.jpg", "user.iiiffs.id").decode() == asset.id)
    assert (world.path(album) / "new.jpg").read_bytes() == content


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize(
    "way", ["cp $FILES/other.jpg copy.jpg", "cp $FILES/other.jpg .new.tmp && mv .new.tmp copy.jpg"]
)
def test_what_is_written_over_a_copy_leaves_the_photo_alone(world: World, way: str, is_listed: bool) -> None:
    album, (asset,) = world.album("a.jpg")
    content, other = asset.original.read(), world.fresh()
    world.file("other.jpg", other)
    path = world.path(album)
    world.run("cp a.jpg copy.jpg", cwd=path)
    if is_listed:
        world.settled()
        polled(world.server)
        seen(lambda: not world.queue())
        assert world.members(album) == ["a.jpg"]
        assert (path / "a.jpg").stat().st_ino != (path / "copy.jpg").stat().st_ino
        service = (path / "iiif/copy.jpg").readlink()
        assert service == (path / "iiif/a.jpg").readlink()
    assert (path / "copy.jpg").read_bytes() == content
    world.run(way, cwd=path)
    assert ((path / "a.jpg").read_bytes(), (path / "copy.jpg").read_bytes()) == (content, other)
    world.settled()
    polled(world.server)
    seen(lambda: not world.queue())
    assert ((path / "a.jpg").read_bytes(), (path / "copy.jpg").read_bytes()) == (content, other)
    assert world.members(album) == ["a.jpg", "copy.jpg"]
    assert not asset.trashed
    assert [one.name for one in world.having(other)] == ["copy.jpg"]


def test_cp_of_equal_bytes_only_adds_and_the_new_name_works_on(world: World) -> None:
    album, (asset,) = world.album("a.jpg")
    other, _ = world.album()
    uploads = world.server.requests.count(r"/api/assets$", "POST")
    world.run(f"cp '{world.path(album)}/a.jpg' '{world.path(other)}/b.jpg'")
    world.settled()
    assert (list(other.members), world.members(other)) == ([asset.id], ["a.jpg"])
    assert world.server.requests.count(r"/api/assets$", "POST") == uploads
    polled(world.server)
    assert "b.jpg" in names(world.path(other))
    assert (world.path(other) / "b.jpg").read_bytes() == asset.original.read()
    assert b"a.jpg" in os.getxattr(world.path(other) / "b.jpg", "user.iiiffs.note")


# moment by moment: tests/unit/vfs/test_copied_then_removed.py
def test_a_photo_is_renamed_by_a_copy_and_rm_and_stays_in_its_album(world: World) -> None:
    album, (asset, _) = world.album("x.jpg", "other.jpg")
    path, content = world.path(album), asset.original.read()
    world.run("cp x.jpg y.jpg && rm x.jpg", cwd=path)
    world.settled()
    for _ in range(3):
        assert {name for name in names(path) if name.endswith(".jpg")} == {"y.jpg", "other.jpg"}
        assert (path / "y.jpg").read_bytes() == content
        assert world.members(album) == ["other.jpg", "x.jpg"]
        polled(world.server)
    seen(lambda: not world.queue())
    assert not asset.trashed
    world.run("rm y.jpg", cwd=path)
    world.settled()
    seen(lambda: world.members(album) == ["other.jpg"])
    assert not asset.trashed


def test_a_copy_of_a_photo_keeps_what_was_when_the_photo_is_edited(world: World) -> None:
    """Also before any listing has told of the copy."""
    album, (asset,) = world.album("one.jpg")
    path, before = world.path(album), asset.original.read()
    world.run(f"cp '{path}/one.jpg' '{path}/two.jpg'")
    world.settled()
    content = world.fresh()
    world.file("x", content)
    world.run(f"cp $FILES/x '{path}/one.jpg'")
    world.settled()
    polled(world.server)
    seen(lambda: world.members(album) == ["one.jpg", "one.jpg"])
    seen(lambda: not world.queue())
    for _ in range(2):
        assert [name for name in names(path) if name.endswith(".jpg")] == ["one.jpg", "two.jpg"]
        assert ((path / "one.jpg").read_bytes(), (path / "two.jpg").read_bytes()) == (content, before)
        polled(world.server)
    assert not asset.trashed


# moment by moment: tests/unit/vfs/test_crossing.py
@pytest.mark.parametrize("is_listed", [False, True])
def test_a_backup_in_another_album_keeps_what_was_and_a_link_follows(world: World, is_listed: bool) -> None:
    album, (asset,) = world.album("x.jpg")
    (backups, _), (links, _) = world.album(), world.album()
    before, content = asset.original.read(), world.fresh()
    world.file("x", content)
    world.run(f"cp '{world.path(album)}/x.jpg' '{world.path(backups)}/backup.jpg'")
    world.run(f"ln '{world.path(album)}/x.jpg' '{world.path(links)}/'")
    if is_listed:
        world.settled()
        polled(world.server)
        seen(lambda: not world.queue())
    world.run("cp $FILES/x .x.tmp && mv .x.tmp x.jpg", cwd=world.path(album))
    for _ in range(2):
        assert (world.path(album) / "x.jpg").read_bytes() == content
        assert (world.path(links) / "x.jpg").read_bytes() == content
        assert (world.path(backups) / "backup.jpg").read_bytes() == before
        world.settled()
        polled(world.server)
        seen(lambda: not world.queue())
    (new,) = world.having(content)
    assert list(backups.members) == [asset.id]
    assert (list(album.members), list(links.members)) == ([new.id], [new.id])
    assert not asset.trashed


def test_mkdir_makes_an_album_and_mv_renames_it(world: World) -> None:
    content = world.fresh()
    world.file("a.jpg", content)
    world.run("mkdir albums/Made && cp $FILES/a.jpg albums/Made/")
    world.settled()
    (album,) = world.titled("Made")
    assert (world.members(album), album.description) == (["a.jpg"], "")
    world.run("mv albums/Made albums/Other")
    assert album.name == "Other"
    assert (world.home / "albums/Other/a.jpg").read_bytes() == content
    world.fails(errno.EPERM, (world.home / "albums/Other/Inner").mkdir)


def test_ln_and_mv_of_many_move_no_bytes_in_few_calls(world: World) -> None:
    source, assets = world.album(*(f"{number}.jpg" for number in range(30)))
    linked, moved = world.album()[0], world.album()[0]
    begun = world.server.requests.count()
    world.run(f"ln '{world.path(source)}'/*.jpg '{world.path(linked)}/'")
    world.run(f"mv '{world.path(source)}'/*.jpg '{world.path(moved)}/'")
    world.settled()
    assert len(world.members(linked)) == len(world.members(moved)) == len(assets)
    assert world.members(source) == []
    written = [one for one in list(world.server.requests)[begun:] if one.method in ("PUT", "DELETE", "POST")]
    assert not [one for one in written if one.path.endswith("/api/assets")]
    assert len([one for one in written if one.path.endswith("/assets")]) <= 10
    assert not any(asset.trashed for asset in assets)


def test_a_name_is_fixed(world: World) -> None:
    album, (asset,) = world.album("a.jpg")
    path = world.path(album)
    world.fails(errno.EPERM, lambda: (path / "a.jpg").rename(path / "b.jpg"))
    assert asset.name == "a.jpg"


def test_rm_takes_out_of_the_album_and_in_the_timeline_to_the_trash(world: World) -> None:
    album, (kept, gone) = world.album("kept.jpg", "gone.jpg")
    world.run(f"rm '{world.path(album)}/kept.jpg'")
    world.settled()
    assert (world.members(album), kept.trashed) == (["gone.jpg"], False)
    month = world.home / "timeline/2024/2024-05"
    seen(lambda: "gone.jpg" in names(month))
    world.run(f"rm '{month}/gone.jpg'")
    world.settled()
    assert (kept.trashed, gone.trashed) == (False, True)
    seen(lambda: "gone.jpg" in names(world.home / "trash") and "gone.jpg" not in names(world.path(album)))
    world.run(f"mv trash/gone.jpg '{world.path(album)}/'")
    world.settled()
    assert not gone.trashed
    assert world.members(album) == ["gone.jpg"]
    assert (world.path(album) / "gone.jpg").read_bytes() == gone.original.read()


def test_rmdir_wants_an_empty_album_and_rm_r_empties_it(world: World) -> None:
    album, (asset,) = world.album("a.jpg")
    world.fails(errno.ENOTEMPTY, world.path(album).rmdir)
    world.run(f"rm -r '{world.path(album)}'")
    world.settled()
    assert album.id not in world.server.albums
    assert not asset.trashed


def test_rmdir_of_an_album_that_shows_nothing_and_holds_something_is_refused(world: World) -> None:
    """What another put in a moment ago is in no listing yet."""
    album, _ = world.album()
    world.server.hold_jobs()
    try:
        world.server.join(album, [world.server.add_asset("late.jpg", data=world.fresh()).id])
        world.fails(errno.ENOTEMPTY, world.path(album).rmdir)
        assert album.id in world.server.albums
    finally:
        world.server.release_jobs()


@pytest.mark.parametrize("way", ["cp $FILES/after.jpg {0}", "cp $FILES/after.jpg {0}.tmp~ && mv {0}.tmp~ {0}"])
def test_an_overwritten_photo_is_a_new_asset_with_all_that_was_said_of_the_old_one(world: World, way: str) -> None:
    album, (old,) = world.album("photo.jpg")
    other = world.server.add_album("Also", [old])
    world.server.edit(old, favorite=True, description="Sea", rating=4)
    world.server.add_tag("Trips/2021", [old])
    content = world.fresh()
    world.file("after.jpg", content)
    path = world.path(album) / "photo.jpg"
    before = os.getxattr(path, "user.iiiffs.uri").decode()
    world.run(way.format(f"'{path}'"))
    world.settled()
    (new,) = world.having(content)
    assert old.trashed
    assert (world.members(album), world.members(other)) == (["photo.jpg"], ["photo.jpg"])
    assert (new.favorite, new.description, new.rating, len(new.tags)) == (True, "Sea", 4, 1)
    assert path.read_bytes() == content
    iiif = world.home / "iiif/3" / before.rpartition("/")[2] / "info.json"
    assert new.id in iiif.read_text() or before in iiif.read_text()
    world.run(f"cp $FILES/after.jpg '{path}'")
    world.settled()
    assert world.having(content) == [new]


def test_exiftool_writes_into_a_photo(world: World) -> None:
    album, (old,) = world.album("photo.jpg")
    world.server.edit(old, rating=3)
    path = world.path(album) / "photo.jpg"
    for flag, tag in (("-overwrite_original", "Artist"), ("-overwrite_original_in_place", "Copyright")):
        world.run(f"exiftool -q {flag} -{tag}=Ada '{path}'")
        world.settled()
        assert world.run(f"exiftool -s3 -{tag} '{path}'").strip() == "Ada"
    (new,) = [world.server.assets[id] for id in album.members if not world.server.assets[id].trashed]
    assert (new.name, new.rating, old.trashed) == ("photo.jpg", 3, True)


def test_an_edit_taken_back(world: World) -> None:
    """Equal bytes are one asset, so the first one comes out of the trash again."""
    album, (first,) = world.album("photo.jpg")
    path, before, after = world.path(album) / "photo.jpg", first.original.read(), world.fresh()
    path.read_bytes()
    for content in (after, before):
        world.file("x", content)
        world.run(f"cp $FILES/x '{path}'")
        world.settled()
        assert path.read_bytes() == content
        assert world.members(album) == ["photo.jpg"]
    assert not first.trashed


def test_a_replaced_photo_comes_back_out_of_the_trash(world: World) -> None:
    album, (old,) = world.album("returning.jpg")
    world.file("x", world.fresh())
    world.run(f"cp $FILES/x '{world.path(album)}/returning.jpg'")
    world.settled()
    seen(lambda: "returning.jpg" in names(world.home / "trash"))
    other, _ = world.album()
    world.run(f"mv trash/returning.jpg '{world.path(other)}/'")
    world.settled()
    polled(world.server)
    assert not old.trashed
    assert (world.path(other) / "returning.jpg").read_bytes() == old.original.read()


def test_a_photo_in_no_album_is_replaced_where_the_timeline_shows_it(world: World) -> None:
    loose = world.server.add_asset("loose.jpg", data=world.fresh(), taken="2011-05-01T10:00:00Z")
    month = world.home / "timeline/2011/2011-05"
    seen(lambda: month.is_dir() and "loose.jpg" in names(month))
    content = world.fresh()
    world.file("x", content)
    world.run(f"cp $FILES/x '{month}/loose.jpg'")
    world.settled()
    (new,) = world.having(content)
    assert (new.name, loose.trashed, world.server.memberships.get(new.id, set())) == ("loose.jpg", True, set())


@pytest.mark.parametrize("is_told", [False, True])
def test_what_left_an_album_is_edited_on_the_timeline_and_stays_out(world: World, is_told: bool) -> None:
    name = f"leaving {is_told}.jpg"
    asset = world.server.add_asset(name, data=world.fresh(), taken="2010-04-01T10:00:00Z")
    album = world.server.add_album(f"Left {is_told}", [asset])
    here, month = world.path(album), world.home / "timeline/2010/2010-04"
    seen(lambda: month.is_dir() and name in names(month) and here.is_dir() and name in names(here))
    (here / name).unlink()
    if is_told:
        world.settled()
    content = world.fresh()
    (month / name).write_bytes(content)
    assert (month / name).read_bytes() == content and name not in names(here)
    world.settled()
    polled(world.server)
    assert (month / name).read_bytes() == content and name not in names(here)
    (new,) = world.having(content)
    assert (new.name, asset.trashed, world.members(album)) == (name, True, [])


def test_properties_are_attributes(world: World) -> None:
    album, (asset,) = world.album("a.jpg")
    path = f"'{world.path(album)}/a.jpg'"
    world.run(f"setfattr -n user.iiiffs.description -v 'By the sea' {path}")
    world.run(f"setfattr -n user.iiiffs.rating -v 5 {path}")
    world.run(f"setfattr -n user.iiiffs.favorite -v true {path}")
    world.run(f"touch -d 2012-03-04T05:06:07Z {path}")
    world.settled()
    assert (asset.description, asset.rating, asset.favorite) == ("By the sea", 5, True)
    assert asset.taken == 1_330_837_567_000_000
    polled(world.server)
    assert (world.path(album) / "a.jpg").stat().st_mtime == 1_330_837_567
    world.run(f"setfattr -n user.iiiffs.rating -v 0 {path}")
    world.settled()
    assert asset.rating is None


def test_favorites_and_tags_are_set_by_ln_and_unset_by_rm(world: World) -> None:
    album, (asset,) = world.album("liked.jpg")
    photo = f"'{world.path(album)}/liked.jpg'"
    world.run(f"mkdir tags/Sky && ln {photo} favorites/ && ln {photo} tags/Sky/")
    world.settled()
    assert (asset.favorite, {world.server.tags[id].value for id in asset.tags}) == (True, {"Sky"})
    world.run("rm favorites/liked.jpg tags/Sky/liked.jpg")
    world.settled()
    assert (asset.favorite, asset.tags, asset.trashed) == (False, frozenset(), False)


def test_what_immich_takes_not_is_refused_at_create(world: World) -> None:
    album, _ = world.album()
    for name in ("notes.txt", "a.jpg.xmp.txt"):
        world.fails(errno.EPERM, lambda name=name: (world.path(album) / name).write_bytes(b"x"))  # type: ignore[misc]
    assert not album.members


def test_rsync_and_cp_r_end_with_all_of_it(world: World) -> None:
    folder = world.files / "Trip"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(world.fresh())
    world.run("rsync -a $FILES/Trip albums/")
    world.settled()
    (album,) = world.titled("Trip")
    assert world.members(album) == [f"{number}.jpg" for number in range(5)]
    assert world.run("rsync -ai $FILES/Trip albums/").count(".jpg") == 0
    world.run("cp -r albums/Trip albums/Copy")
    world.settled()
    (copy,) = world.titled("Copy")
    assert set(copy.members) == set(album.members)


def test_others_photos_are_left_alone(world: World) -> None:
    bob = world.server.add_user("Bob")
    theirs = world.server.add_asset("theirs.jpg", data=world.fresh(), owner=bob.id)
    album = world.server.add_album("Bob's", [theirs], owner=bob)
    world.server.share(album, world.server.owner, "viewer")
    seen(lambda: world.path(album).is_dir() and "theirs.jpg" in names(world.path(album)))
    world.fails(errno.EPERM, lambda: world.path(album).rename(world.home / "albums/Mine"))
    assert (album.name, theirs.trashed) == ("Bob's", False)


def test_the_room_of_the_account_is_the_quota(world: World) -> None:
    found = os.statvfs(world.home)
    assert found.f_blocks > 0
