"""The folder provider on a real folder: symlinks, odd names, editors' saves, renames, races."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import trio

from iiiffs.errors import AssetGone, ConfigError, ProviderUnreachable, StoreFull, VersionChanged
from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, Facts, Listing
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.folder import FolderProvider, open_provider
from iiiffs.providers.folder.listings import LastListings, Remembered
from iiiffs.providers.folder.watch import WATCH_TIMES
from iiiffs.providers.registry import open_provider as open_registered
from iiiffs.providers.registry import probe_of, provider_kinds
from iiiffs.state import State
from iiiffs.state.identities import AccountLedger
from iiiffs.sync.identity import Row

ACCOUNT = AccountName("home")


def read_head(stream: BinaryIO, name: str) -> Facts:
    return Facts("text/plain", None, error=f"{name}: {stream.read(4)!r}")


class Gallery:
    """A folder `root`, its provider, and blocking shorthands for what tests ask most."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path / "root"
        self.root.mkdir()
        self.state = State.open(path / "state")
        self.provider = self.opened()

    def context(self, **settings: object) -> ProviderContext:
        return ProviderContext(ACCOUNT, settings, self.state.ledger(ACCOUNT), read_head)

    def opened(self) -> FolderProvider:
        return FolderProvider(str(self.root), self.context(), now_ns=lambda: 10**18)

    def restart(self, *, lost: bool = False) -> None:
        """The daemon again; with `lost`, on a host that has no state."""
        self.state.close()
        if lost:
            shutil.rmtree(self.path / "state")
        self.state = State.open(self.path / "state")
        self.provider = self.opened()

    def run(self, call: Callable[..., Any], *args: object) -> Any:
        return trio.run(partial(call, *args))

    def listing(self, path: str = "") -> Listing:
        album: Album = self.run(self.provider.root)
        listing: Listing = self.run(self.provider.listing, album.id)
        for name in filter(None, path.split("/")):
            (album,) = [each for each in listing.albums if each.title == name]
            listing = self.run(self.provider.listing, album.id)
        return listing

    def ids(self, path: str = "") -> dict[str, str]:
        listing = self.listing(path)
        return {asset.name: asset.id for asset in listing.assets} | {album.title: album.id for album in listing.albums}

    def asset(self, name: str) -> Asset:
        (asset,) = [each for each in self.listing().assets if each.name == name]
        return asset

    def write(self, name: str, content: bytes = b"content") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    made = Gallery(tmp_path)
    yield made
    made.state.close()


# ---- what is shown


def test_all_regular_files_and_folders_are_listed_and_nothing_else(gallery: Gallery) -> None:
    for name in (
        "b.JPG",
        "a.heic",
        "notes",
        "film.mov",
        "sub/x.jpg",
        ".hidden.png",
        "Thumbs.db",
        "._b.JPG",
        ".DS_Store",
    ):
        gallery.write(name)
    os.mkfifo(gallery.root / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(gallery.root / "socket.jpg"))
    listing = gallery.listing()
    assert {asset.name: asset.media_type for asset in listing.assets} == {
        ".hidden.png": "image/png",
        "a.heic": "image/heic",
        "b.JPG": "image/jpeg",
        "film.mov": "video/quicktime",
        "notes": "application/octet-stream",
    }
    assert [album.title for album in listing.albums] == ["sub"]
    assert listing.albums[0].parent == listing.album.id
    assert listing.album.title == ACCOUNT


def test_names_that_are_not_utf8_come_through(gallery: Gallery) -> None:
    (Path(os.fsdecode(os.fsencode(gallery.root) + b"/\xff\xfe.jpg"))).write_bytes(b"odd")
    asset = gallery.asset("\udcff\udcfe.jpg")
    assert gallery.run(gallery.provider.asset, asset.id) == asset
    original = gallery.run(gallery.provider.open, asset)
    assert gallery.run(original.read, 0, 9) == b"odd"
    gallery.run(original.aclose)


def test_an_unchanged_folder_is_answered_with_the_same_listing(gallery: Gallery) -> None:
    gallery.write("a.jpg")
    assert gallery.listing() is gallery.listing()


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../outside/secret.jpg", "../outside", "linked/secret.jpg", "nowhere", "self"]
)
def test_symlinks_out_of_the_root_or_to_nothing_are_not_followed(gallery: Gallery, target: str) -> None:
    outside = gallery.path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"secret")
    (gallery.root / "linked").symlink_to(outside)
    (gallery.root / "self").symlink_to(target)
    assert gallery.ids() == {}


def test_a_root_whose_name_begins_with_the_roots_is_outside(gallery: Gallery) -> None:
    (gallery.path / "root2").mkdir()
    (gallery.path / "root2" / "secret.jpg").write_bytes(b"secret")
    (gallery.root / "link.jpg").symlink_to("../root2/secret.jpg")
    assert gallery.ids() == {}


def test_symlinks_inside_the_root_are_assets_of_their_own(gallery: Gallery) -> None:
    gallery.write("sub/a.jpg", b"inside")
    (gallery.root / "relative.jpg").symlink_to("sub/a.jpg")
    (gallery.root / "absolute.jpg").symlink_to(gallery.root / "sub" / "a.jpg")
    (gallery.root / "folder").symlink_to("sub")
    ids = gallery.ids()
    assert set(ids) == {"relative.jpg", "absolute.jpg", "folder", "sub"}
    through, real = gallery.ids("folder")["a.jpg"], gallery.ids("sub")["a.jpg"]
    assert len({*ids.values(), through, real}) == 6
    original = gallery.run(gallery.provider.open, gallery.asset("absolute.jpg"))
    assert gallery.run(original.read, 0, 99) == b"inside"
    gallery.run(original.aclose)


def test_a_symlink_exchanged_after_the_listing_reaches_nothing_outside(gallery: Gallery) -> None:
    (gallery.path / "secret.jpg").write_bytes(b"content")
    gallery.write("sub/secret.jpg")
    asset = gallery.listing("sub").assets[0]
    shutil.rmtree(gallery.root / "sub")
    (gallery.root / "sub").symlink_to(gallery.path)
    for call in (gallery.provider.open, gallery.provider.facts):
        with pytest.raises(AssetGone, match="leads out of"):
            gallery.run(call, asset)
    with pytest.raises(AssetGone, match="leads out of"):
        gallery.run(gallery.provider.asset, asset.id)
    with pytest.raises(AssetGone, match="leads out of"):
        gallery.run(gallery.provider.listing, asset.album)


def test_the_walk_over_looping_symlinks_ends(gallery: Gallery) -> None:
    for name in ("a", "b", "c"):
        gallery.write(f"{name}/x.jpg")
        for other in ("a", "b", "c", ".", ".."):
            (gallery.root / name / f"to-{len(other)}{other.strip('.')}").symlink_to(f"../{other}")
    (gallery.root / "here").symlink_to(".")

    async def walk(album: AlbumId, depth: int) -> int:
        assert depth < 8
        listing = await gallery.provider.listing(album)
        return 1 + sum([await walk(sub.id, depth + 1) for sub in listing.albums])

    async def main() -> int:
        return await walk((await gallery.provider.root()).id, 0)

    # root; 3 folders; in each links to the 2 others; in each of those links to the 1 that is not above it
    assert trio.run(main) == 1 + 3 + 3 * 2 + 3 * 2 * 1


def test_hard_links_have_ids_of_their_own(gallery: Gallery) -> None:
    (gallery.root / "b.jpg").hardlink_to(gallery.write("a.jpg"))
    ids = gallery.ids()
    assert ids["a.jpg"] != ids["b.jpg"]


# ---- ids


def test_ids_are_the_same_on_a_host_without_state(gallery: Gallery) -> None:
    gallery.write("sub/deep/a.jpg")
    before = [gallery.ids(path) for path in ("", "sub", "sub/deep")]
    gallery.restart()
    assert [gallery.ids(path) for path in ("", "sub", "sub/deep")] == before
    gallery.restart(lost=True)
    assert [gallery.ids(path) for path in ("", "sub", "sub/deep")] == before


def test_a_renamed_file_keeps_its_id_over_a_restart(gallery: Gallery) -> None:
    path = gallery.write("a.jpg")
    before = gallery.asset("a.jpg")
    gallery.restart()
    path.rename(gallery.root / "b.jpg")
    after = gallery.asset("b.jpg")
    assert (after.id, after.version, after.mtime_ns) == (before.id, before.version, before.mtime_ns)


@pytest.mark.parametrize("first", ["", "to"])
def test_a_file_moved_to_another_folder_keeps_its_id(gallery: Gallery, first: str) -> None:
    path = gallery.write("a.jpg")
    gallery.write("to/other.jpg")
    id = gallery.ids()["a.jpg"]
    gallery.ids("to")
    path.rename(gallery.root / "to" / "a.jpg")
    gallery.ids(first)
    assert gallery.ids("to")["a.jpg"] == id
    assert gallery.run(gallery.provider.asset, id).album == gallery.ids()["to"]
    assert "a.jpg" not in gallery.ids()


def test_a_renamed_folder_keeps_the_ids_of_all_below_it(gallery: Gallery) -> None:
    gallery.write("sub/deep/a.jpg")
    ids = [gallery.ids()["sub"], gallery.ids("sub")["deep"], gallery.ids("sub/deep")["a.jpg"]]
    (gallery.root / "sub").rename(gallery.root / "renamed")
    with pytest.raises(AssetGone):
        gallery.run(gallery.provider.asset, ids[2])
    assert gallery.ids()["renamed"] == ids[0]
    assert gallery.run(gallery.provider.asset, ids[2]).name == "a.jpg"
    assert [gallery.ids("renamed")["deep"], gallery.ids("renamed/deep")["a.jpg"]] == ids[1:]
    assert gallery.run(gallery.provider.album, ids[0]).title == "renamed"
    assert gallery.run(gallery.provider.listing, AlbumId(ids[0])).album.title == "renamed"


def test_a_folder_replaced_by_another_loses_its_files_to_the_new_name(gallery: Gallery) -> None:
    gallery.write("sub/a.jpg")
    id = gallery.ids("sub")["a.jpg"]
    (gallery.root / "sub").rename(gallery.root / "old")
    gallery.write("sub/b.jpg")
    assert gallery.ids("old")["a.jpg"] == id
    assert set(gallery.ids("sub")) == {"b.jpg"}


def test_a_copy_after_the_original_is_gone_is_known_by_its_content(gallery: Gallery) -> None:
    path = gallery.write("a.jpg", b"x" * 200_000)
    asset = gallery.asset("a.jpg")
    gallery.run(gallery.provider.facts, asset)
    gallery.write("sub/other.jpg", b"y" * 200_000)
    gallery.ids("sub")
    copy = gallery.root / "sub" / "b.jpg"
    shutil.copy(path, copy)
    path.unlink()
    path.write_bytes(b"")
    path.unlink()
    gallery.ids()
    assert copy.stat().st_ino != int(asset.version.split("-")[2], 16)
    assert gallery.ids("sub")["b.jpg"] == asset.id


@pytest.mark.parametrize("folder", ["sub", "sub/deep"])
@pytest.mark.parametrize("copied", [False, True])
def test_a_file_moved_out_of_a_folder_that_is_then_deleted_keeps_its_id(
    gallery: Gallery, folder: str, copied: bool
) -> None:
    path = gallery.write(f"{folder}/a.jpg")
    asset = gallery.listing(folder).assets[0]
    gallery.run(gallery.provider.facts, asset)
    if copied:
        gallery.write("temp.jpg", path.read_bytes())
    else:
        path.rename(gallery.root / "temp.jpg")
    shutil.rmtree(gallery.root / "sub")
    assert gallery.ids() == {"temp.jpg": asset.id}


def test_a_new_file_on_a_deleted_ones_inode_is_another_asset(gallery: Gallery) -> None:
    """ext4 gives the number of a deleted inode to the next file that is made."""
    path = gallery.write("a.jpg", b"one")
    gallery.write("sub/x.jpg", b"one")
    ids = {**gallery.ids(), "x.jpg": gallery.ids("sub")["x.jpg"]}
    path.unlink()
    gallery.write("b.jpg", b"other")
    shutil.rmtree(gallery.root / "sub")
    gallery.write("new/x.jpg", b"other")
    after = [gallery.ids()["b.jpg"], gallery.ids()["new"], gallery.ids("new")["x.jpg"]]
    assert not set(after) & set(ids.values())


def test_a_folder_that_was_renamed_and_changed_is_known_by_what_is_in_it(gallery: Gallery) -> None:
    gallery.write("sub/a.jpg")
    gallery.write("sub/b.jpg")
    before = [gallery.ids()["sub"], gallery.ids("sub")["a.jpg"]]
    (gallery.root / "sub").rename(gallery.root / "renamed")
    (gallery.root / "renamed" / "b.jpg").unlink()
    gallery.write("renamed/c.jpg")
    os.utime(gallery.root / "renamed", ns=(5, 5))
    assert [gallery.ids()["renamed"], gallery.ids("renamed")["a.jpg"]] == before


def test_a_file_that_left_a_deleted_folder_and_comes_back_elsewhere_keeps_its_id(gallery: Gallery) -> None:
    path = gallery.write("sub/a.jpg")
    id = gallery.ids("sub")["a.jpg"]
    path.rename(gallery.path / "aside")
    shutil.rmtree(gallery.root / "sub")
    gallery.ids()
    gallery.write("other/x.jpg")
    other = gallery.listing("other").album.id
    (gallery.path / "aside").rename(gallery.root / "other" / "b.jpg")
    listing = gallery.run(gallery.provider.listing, other)
    assert [asset.id for asset in listing.assets if asset.name == "b.jpg"] == [id]


def test_a_file_that_was_claimed_elsewhere_and_comes_back_is_listed_under_a_new_id(gallery: Gallery) -> None:
    path = gallery.write("sub/a.jpg")
    times = (gallery.root / "sub").stat().st_mtime_ns
    id = gallery.ids("sub")["a.jpg"]
    sub = gallery.ids()["sub"]
    path.rename(gallery.root / "b.jpg")
    assert gallery.ids()["b.jpg"] == id
    (gallery.root / "sub" / "a.jpg").hardlink_to(gallery.root / "b.jpg")
    os.utime(gallery.root / "sub", ns=(times, times))
    (again,) = gallery.run(gallery.provider.listing, AlbumId(sub)).assets
    assert again.id != id


def test_a_folder_renamed_beside_a_new_hard_link_keeps_its_ids(gallery: Gallery) -> None:
    path = gallery.write("sub/a.jpg")
    id = gallery.ids("sub")["a.jpg"]
    (gallery.root / "b.jpg").hardlink_to(path)
    (gallery.root / "sub").rename(gallery.root / "renamed")
    assert gallery.ids("renamed")["a.jpg"] == id
    assert gallery.ids()["b.jpg"] != id


def test_a_renamed_folder_that_nobody_has_listed_yet_loses_no_id_to_a_hard_link(gallery: Gallery) -> None:
    path = gallery.write("sub/a.jpg")
    gallery.write("other/x.jpg")
    id = gallery.ids("sub")["a.jpg"]
    other = gallery.listing("other").album.id
    (gallery.root / "other" / "b.jpg").hardlink_to(path)
    (gallery.root / "sub").rename(gallery.root / "renamed")
    gallery.run(gallery.provider.listing, other)
    assert gallery.ids("renamed")["a.jpg"] == id


def test_a_disk_unmounted_below_the_root_loses_no_id(gallery: Gallery) -> None:
    path = gallery.write("disk/a.jpg")
    gallery.write("other/x.jpg")
    id = gallery.ids("disk")["a.jpg"]
    other = gallery.listing("other").album.id
    (gallery.root / "other" / "b.jpg").hardlink_to(path)
    (gallery.root / "disk").rename(gallery.path / "unplugged")
    (gallery.root / "disk").mkdir()
    gallery.run(gallery.provider.listing, other)
    (gallery.root / "disk").rmdir()
    (gallery.path / "unplugged").rename(gallery.root / "disk")
    assert gallery.ids("disk")["a.jpg"] == id


def test_a_copy_in_another_folder_is_another_asset(gallery: Gallery) -> None:
    path = gallery.write("a.jpg", b"x" * 200_000)
    asset = gallery.asset("a.jpg")
    gallery.run(gallery.provider.facts, asset)
    (gallery.root / "sub").mkdir()
    shutil.copy(path, gallery.root / "sub" / "b.jpg")
    assert gallery.ids("sub")["b.jpg"] != asset.id
    assert gallery.asset("a.jpg") == asset


def test_a_version_that_comes_back_is_the_same_in_listing_and_asset(gallery: Gallery) -> None:
    path = gallery.write("a.jpg", b"one")
    before = gallery.asset("a.jpg")
    path.write_bytes(b"other")
    between = gallery.run(gallery.provider.asset, before.id)
    path.write_bytes(b"one")
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns))
    after = gallery.asset("a.jpg")
    assert after.version == before.version
    assert after.changed_ns > between.changed_ns > before.changed_ns
    assert gallery.run(gallery.provider.asset, before.id) == after


def test_a_copy_beside_its_original_is_another_asset(gallery: Gallery) -> None:
    path = gallery.write("a.jpg", b"x" * 200_000)
    asset = gallery.asset("a.jpg")
    gallery.run(gallery.provider.facts, asset)
    shutil.copy(path, gallery.root / "b.jpg")
    ids = gallery.ids()
    assert ids["a.jpg"] == asset.id
    assert ids["b.jpg"] != asset.id


def save_like_vim(path: Path, listed: Callable[[], object]) -> None:
    path.rename(f"{path}~")
    listed()
    path.write_bytes(b"saved by vim")
    listed()
    Path(f"{path}~").unlink()


def save_like_gimp(path: Path, listed: Callable[[], object]) -> None:
    temp = path.with_name(".goutputstream-X1")
    temp.write_bytes(b"saved by gimp")
    listed()
    Path(f"{path}~").hardlink_to(path)
    listed()
    temp.rename(path)


def save_by_temp_and_rename(path: Path, listed: Callable[[], object]) -> None:
    temp = path.with_name(f"{path.name}.tmp")
    temp.write_bytes(b"saved anew")
    listed()
    temp.replace(path)


def save_in_place(path: Path, listed: Callable[[], object]) -> None:
    with path.open("wb") as file:
        listed()
        file.write(b"saved in place")


@pytest.mark.parametrize("save", [save_like_vim, save_like_gimp, save_by_temp_and_rename, save_in_place])
@pytest.mark.parametrize("watched", [True, False])
def test_an_editors_save_keeps_the_id_and_is_a_new_version(
    gallery: Gallery, save: Callable[[Path, Callable[[], object]], None], watched: bool
) -> None:
    path = gallery.write("a.jpg")
    before = gallery.asset("a.jpg")
    save(path, gallery.listing if watched else lambda: None)
    after = gallery.asset("a.jpg")
    assert after.id == before.id
    assert after.version != before.version
    assert abs(after.mtime_ns - before.mtime_ns) >= 10**9
    assert gallery.run(gallery.provider.asset, before.id) == after


def test_what_was_deleted_and_comes_back_has_its_id_and_is_another_version(gallery: Gallery) -> None:
    path = gallery.write("sub/a.jpg")
    before = gallery.listing("sub").assets[0]
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns))
    shutil.rmtree(gallery.root / "sub")
    assert gallery.ids() == {}
    with pytest.raises(AssetGone):
        gallery.run(gallery.provider.listing, before.album)
    gallery.restart()
    gallery.write("sub/a.jpg", b"other content")
    after = gallery.listing("sub").assets[0]
    assert (after.id, after.album) == (before.id, before.album)
    assert abs(after.mtime_ns - before.mtime_ns) >= 10**9


def test_equal_mtime_and_size_are_told_apart_by_the_inode(gallery: Gallery) -> None:
    path = gallery.write("a.jpg", b"one")
    before = gallery.asset("a.jpg")
    other = gallery.write("temp", b"two")
    os.utime(other, ns=(path.stat().st_mtime_ns,) * 2)
    other.replace(path)
    after = gallery.run(gallery.provider.asset, before.id)
    assert after.version != before.version
    assert after.mtime_ns == before.mtime_ns + 10**9
    assert gallery.asset("a.jpg") == after


# ---- bytes


def test_bytes_replaced_by_rename_stay_readable(gallery: Gallery) -> None:
    gallery.write("a.jpg", b"old" * 10_000)
    original = gallery.run(gallery.provider.open, gallery.asset("a.jpg"))
    gallery.write("temp", b"new" * 10_000).replace(gallery.root / "a.jpg")
    assert gallery.run(original.read, 0, 30_000) == b"old" * 10_000
    with original.stream() as stream:
        assert stream.read() == b"old" * 10_000
    gallery.run(original.aclose)


@pytest.mark.parametrize("content", [b"new" * 300_000, b"short", b""])
def test_bytes_changed_in_place_are_never_mixed(gallery: Gallery, content: bytes) -> None:
    path = gallery.write("a.jpg", b"old" * 300_000)
    original = gallery.run(gallery.provider.open, gallery.asset("a.jpg"))
    with original.stream() as stream:
        assert stream.read(3) == b"old"
        path.write_bytes(content)
        with pytest.raises(VersionChanged):
            stream.read()
    with pytest.raises(VersionChanged):
        gallery.run(original.read, 0, 100)
    gallery.run(original.aclose)


def test_a_stream_outlives_its_original_and_leaves_no_descriptor(gallery: Gallery) -> None:
    gallery.write("a.jpg", b"0123456789")
    count = len(list(Path("/proc/self/fd").iterdir()))
    original = gallery.run(gallery.provider.open, gallery.asset("a.jpg"))
    with original.stream() as stream:
        gallery.run(original.aclose)
        assert stream.seek(-4, os.SEEK_END) == 6
        assert stream.read(2) == b"67"
        assert stream.seek(1, os.SEEK_CUR) == 9
        assert stream.read() == b"9"
        assert stream.read() == b""
        with pytest.raises(ValueError, match="before the beginning"):
            stream.seek(-1)
    assert len(list(Path("/proc/self/fd").iterdir())) == count


def test_a_file_that_changes_while_its_headers_are_read_has_no_facts(gallery: Gallery) -> None:
    path = gallery.write("a.jpg", b"x" * 1000)
    asset = gallery.asset("a.jpg")

    def change_and_read(stream: BinaryIO, name: str) -> Facts:
        stream.read(10)
        path.write_bytes(b"y" * 1000)
        return Facts("image/jpeg", None)

    ledger = gallery.state.ledger(ACCOUNT)
    provider = FolderProvider(str(gallery.root), ProviderContext(ACCOUNT, {}, ledger, change_and_read))
    with pytest.raises(VersionChanged):
        gallery.run(provider.facts, asset)


def test_digests_are_recorded_at_the_end(gallery: Gallery) -> None:
    gallery.write("a.jpg", b"headcontent")
    asset = gallery.asset("a.jpg")
    assert gallery.run(gallery.provider.facts, asset).error == "a.jpg: b'head'"
    gallery.run(gallery.provider.aclose)
    row = gallery.state.ledger(ACCOUNT).row(asset.id)
    assert row is not None
    assert len(row.digest) == 16


class FullLedger(AccountLedger):
    """A disk without space."""

    async def commit(self, rows: Sequence[Row], forgotten: Sequence[str] = ()) -> None:
        raise StoreFull("no space")


@pytest.mark.warns("digests of 1 files are not recorded: no space")
def test_a_full_disk_refuses_new_ids_and_does_not_refuse_facts(
    gallery: Gallery, caplog: pytest.LogCaptureFixture
) -> None:
    gallery.write("a.jpg")
    asset = gallery.asset("a.jpg")
    ledger = gallery.state.ledger(ACCOUNT)
    ledger.__class__ = FullLedger
    provider = FolderProvider(str(gallery.root), ProviderContext(ACCOUNT, {}, ledger, read_head))
    gallery.run(provider.facts, asset)
    gallery.run(provider.aclose)
    assert "digests of 1 files are not recorded: no space" in caplog.text
    gallery.write("b.jpg")
    with pytest.raises(StoreFull):
        gallery.run(provider.listing, asset.album)


# ---- could not ask is not gone


def test_a_root_that_vanished_is_unreachable_not_gone(gallery: Gallery) -> None:
    gallery.write("sub/a.jpg")
    asset = gallery.listing("sub").assets[0]
    gallery.root.rename(gallery.path / "unplugged")
    for call in (gallery.provider.root, gallery.provider.authenticate):
        with pytest.raises(ProviderUnreachable, match="is its disk mounted"):
            gallery.run(call)
    for empty_mount_point in (False, True):
        if empty_mount_point:
            gallery.root.mkdir()
        with pytest.raises(ProviderUnreachable, match="is its disk mounted"):
            gallery.run(gallery.provider.asset, asset.id)
        with pytest.raises(ProviderUnreachable, match="is its disk mounted"):
            gallery.run(gallery.provider.listing, asset.album)
        with pytest.raises(ProviderUnreachable, match="is its disk mounted"):
            gallery.listing()
    gallery.restart()
    with pytest.raises(ProviderUnreachable, match="is its disk mounted"):
        gallery.listing()
    gallery.root.rmdir()
    (gallery.path / "unplugged").rename(gallery.root)
    assert gallery.run(gallery.provider.asset, asset.id) == asset


def test_an_emptied_root_is_empty(gallery: Gallery) -> None:
    path = gallery.write("a.jpg")
    id = gallery.ids()["a.jpg"]
    path.unlink()
    assert gallery.ids() == {}
    with pytest.raises(AssetGone):
        gallery.run(gallery.provider.asset, id)


DENIED = """
import ctypes, os, sys, trio
from pathlib import Path
from iiiffs.errors import AccessDenied
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.folder import open_provider
from iiiffs.state import State
path = Path(sys.argv[1])
State.open(path / "before").close()  # LMDB imports modules then, which nobody else may read if they lie in /root
if os.geteuid() == 0:
    for each in (path, path / "root", path / "root" / "sub", path / "root" / "a.jpg"):
        os.chown(each, 65534, 65534)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: else /proc/self/fd stays root's
state = State.open(path / "state")
context = ProviderContext("home", {"path": str(path / "root")}, state.ledger("home"), None)

async def main():
    provider = open_provider(context)
    listing = await provider.listing((await provider.root()).id)
    print([asset.name for asset in listing.assets], [album.title for album in listing.albums])
    asset, album = listing.assets[0], listing.albums[0]
    assert await provider.asset(asset.id) == asset
    for call, argument in [(provider.open, asset), (provider.facts, asset), (provider.listing, album.id)]:
        try:
            await call(argument)
        except AccessDenied as error:
            print(error)
    (path / "root").chmod(0)
    for call in (provider.authenticate, lambda: provider.listing(listing.album.id)):
        try:
            await call()
        except AccessDenied as error:
            print(error)
    try:
        open_provider(context)
    except AccessDenied as error:
        print(error)

trio.run(main)
"""


def test_what_may_not_be_read_is_denied() -> None:
    """In a process of its own, which gives up being root if it is: root may read everything."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "root"
        (root / "sub").mkdir(parents=True)
        (root / "a.jpg").write_bytes(b"secret")
        (root / "a.jpg").chmod(0)
        (root / "sub").chmod(0)
        command = [sys.executable, "-c", DENIED, name]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stderr == ""
    lines = run.stdout.splitlines()
    assert lines[0] == "['a.jpg'] ['sub']"
    assert [line.partition(" may not be read; give the user of iiiffs read access to it")[0] for line in lines[1:]] == [
        f"'{root}/a.jpg'",
        f"'{root}/a.jpg'",
        f"'{root}/sub'",
        str(root),
        str(root),
        f"account.home.path: '{root}'",
    ]


# ---- many at once, opening


def test_concurrent_listings_agree(gallery: Gallery) -> None:
    for number in range(40):
        gallery.write(f"{number % 4}/{number}.jpg", b"%d" % number)
    found: list[Listing] = []

    async def walk(album: AlbumId) -> None:
        listing = await gallery.provider.listing(album)
        found.append(listing)
        for sub in listing.albums:
            await walk(sub.id)

    async def main() -> None:
        root = await gallery.provider.root()
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(walk, root.id)

    trio.run(main)
    assert len(found) == 6 * 5
    assert len({(listing.album.id, listing.etag) for listing in found}) == 5
    ids = [
        asset.id for listing in {listing.album.id: listing for listing in found}.values() for asset in listing.assets
    ]
    assert len(ids) == len(set(ids)) == 40


def test_a_cancelled_listing_leaves_the_provider_usable(gallery: Gallery) -> None:
    gallery.write("a.jpg")

    async def main() -> Listing:
        root = await gallery.provider.root()
        with trio.CancelScope() as scope:
            scope.cancel()
            await gallery.provider.listing(root.id)
        assert scope.cancelled_caught
        return await gallery.provider.listing(root.id)

    assert [asset.name for asset in trio.run(main).assets] == ["a.jpg"]


def test_remembered_listings_are_bounded(gallery: Gallery) -> None:
    for number in range(4):
        gallery.write(f"{number}/a.jpg")
    listings = LastListings(entries_max=4)
    remembered = []
    for number in range(4):
        listing = gallery.listing(str(number))
        scan = gallery.provider._scan(listing.album.id)[1]
        remembered.append(Remembered(scan, listing))
    for each in remembered[:2]:
        listings.put(each.listing.album.id, each)
    listings.get(remembered[0].listing.album.id)
    listings.put(remembered[2].listing.album.id, remembered[2])
    kept = [listings.get(each.listing.album.id) is each for each in remembered[:3]]
    assert kept == [True, False, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "account.home.path: expected the folder to show"),
        ({"path": 3}, "account.home.path: expected the folder to show"),
        ({"path": "Pictures"}, "no absolute path"),
        ({"path": "/no/such/folder"}, "there is no folder '/no/such/folder'; make it"),
        ({"path": "/etc/passwd"}, "is no folder"),
        ({"path": "/", "poll": True}, "account.home.poll: expected a number of seconds above 0"),
        ({"path": "/", "poll": 0}, "account.home.poll: expected a number of seconds above 0"),
        ({"path": "/", "poll": "5 s"}, "account.home.poll: expected a number of seconds above 0"),
    ],
)
def test_a_path_that_cannot_be_shown_is_refused(gallery: Gallery, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_provider(gallery.context(**settings))


def test_poll_is_how_often_an_unwatched_folder_is_looked_through(gallery: Gallery) -> None:
    for settings, poll_s in (({}, WATCH_TIMES.poll_s), ({"poll": 2.5}, 2.5)):
        provider = open_provider(gallery.context(path=str(gallery.root), **settings))
        assert isinstance(provider, FolderProvider)
        assert provider._watch_times == replace(WATCH_TIMES, poll_s=poll_s)


def test_the_probe_says_what_it_found(gallery: Gallery) -> None:
    probe = probe_of("folder")
    assert probe is not None
    assert trio.run(probe, {"path": str(gallery.root)}, {}) == f"{gallery.root} can be read"
    with pytest.raises(ConfigError, match=r"^path: there is no folder"):
        trio.run(probe, {"path": "/no/such/folder"}, {})
    assert probe_of("floppy") is None


def test_providers_are_found_by_kind(gallery: Gallery) -> None:
    assert "folder" in provider_kinds()
    provider = open_registered("folder", gallery.context(path=str(gallery.root)))
    assert isinstance(provider, FolderProvider)
    with pytest.raises(ConfigError, match=r"unknown provider 'folders'; known are: .*folder"):
        open_registered("folders", gallery.context())
