"""What a folder does with files and folders beyond the contract of writing: trash, litter, kills, disks that cannot."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from configparser import RawConfigParser
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
import trio

from iiiffs.errors import (
    AccessDenied,
    AlreadyThere,
    AssetGone,
    NotEmpty,
    OtherAccount,
    OverQuota,
    ProviderUnreachable,
    Rejected,
    StoreCorrupt,
    VersionChanged,
)
from iiiffs.model.gallery import AccountName, AlbumId, Asset, Listing
from iiiffs.model.writing import Payload
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.folder import FolderProvider, changes, renaming, trash, writing
from iiiffs.providers.folder.renaming import FlagUnknown
from iiiffs.render.headers import read_facts
from iiiffs.state import State
from iiiffs.sync.identity import Row

MTIME_NS = 1_600_000_000_000_000_000
ACCOUNT = AccountName("pictures")
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounts a disk")


class Gallery:
    """A folder, the spool beside it, and its provider, which can be started again."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "pictures"
        self.root.mkdir(exist_ok=True)
        self.spool = folder / "spool"
        self.spool.mkdir()
        self.home_trash = folder / "home" / "Trash"
        self._state_path = folder / "state"
        self.state = State.open(self._state_path)
        self.provider = self.opened()

    def opened(self) -> FolderProvider:
        context = ProviderContext(ACCOUNT, {}, self.state.ledger(ACCOUNT), read_facts)
        return FolderProvider(str(self.root), context)

    def restart(self, *, lost: bool = False) -> None:
        """A new run of iiiffs. `lost`: of a host that has no state."""
        self.state.close()
        if lost:
            shutil.rmtree(self._state_path)
        self.state = State.open(self._state_path)
        self.provider = self.opened()

    def run(self, call: Callable[..., Any], *args: object) -> Any:
        return trio.run(partial(call, *args))

    @property
    def top(self) -> AlbumId:
        return AlbumId(self.run(self.provider.root).id)

    def listing(self, title: str = "") -> Listing:
        found: Listing = self.run(self.provider.listing, self.top)
        if title:
            (album,) = [each.id for each in found.albums if each.title == title]
            found = self.run(self.provider.listing, album)
        return found

    def asset(self, name: str) -> Asset:
        (found,) = [asset for asset in self.listing().assets if asset.name == name]
        return found

    def payload(self, content: bytes, token: str = "local-1") -> Payload:
        path = self.spool / token
        path.write_bytes(content)
        digest = hashlib.sha1(content, usedforsecurity=False).digest()
        return Payload(token, path, len(content), digest, MTIME_NS)

    def upload(self, name: str, content: bytes, token: str = "local-1") -> Asset:
        found: Asset = self.run(self.provider.upload, self.top, name, self.payload(content, token))
        return found

    def names(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gallery]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    gallery = Gallery(tmp_path)
    yield gallery
    gallery.state.close()


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gallery]:
    """The gallery's folder is a disk of 1 MiB."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    root = tmp_path / "pictures"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs", str(root)], check=True)
    gallery = Gallery(tmp_path)
    yield gallery
    gallery.state.close()
    subprocess.run(["umount", str(root)], check=True)


def notes(trash: Path) -> dict[str, bytes]:
    """Name in the trash -> the path that it came from. Rule: freedesktop.org Trash specification 1.0."""
    found = {}
    for path in (trash / "info").iterdir():
        parser = RawConfigParser()
        parser.read_string(path.read_text(encoding="ascii"))
        time.strptime(parser["Trash Info"]["DeletionDate"], "%Y-%m-%dT%H:%M:%S")
        found[path.name.removesuffix(".trashinfo")] = unquote_to_bytes(parser["Trash Info"]["Path"])
    assert set(found) == {path.name for path in (trash / "files").iterdir()}
    return found


# What an earlier run did


@pytest.mark.parametrize("lost", [False, True])
def test_an_upload_that_arrived_before_a_kill_is_found_again(gallery: Gallery, lost: bool) -> None:
    first = gallery.upload("a.jpg", b"ours")
    gallery.restart(lost=lost)
    assert gallery.upload("a.jpg", b"ours") == first
    assert gallery.asset("a.jpg") == first


def test_a_file_that_was_placed_and_not_recorded_has_the_id_that_it_would_have_had(gallery: Gallery) -> None:
    (gallery.root / "a.jpg").write_bytes(b"ours")
    os.utime(gallery.root / "a.jpg", ns=(MTIME_NS, MTIME_NS))
    first = gallery.upload("a.jpg", b"ours")
    gallery.restart(lost=True)
    assert gallery.asset("a.jpg").id == first.id


def test_a_move_that_was_made_and_not_recorded_is_recorded(gallery: Gallery) -> None:
    asset = gallery.upload("a.jpg", b"ours")
    (gallery.root / "a.jpg").rename(gallery.root / "b.jpg")
    moved = gallery.run(gallery.provider.move, asset, gallery.top, "b.jpg")
    assert (moved.id, moved.version, moved.name) == (asset.id, asset.version, "b.jpg")
    assert gallery.asset("b.jpg") == moved


def test_a_move_over_another_file_that_was_half_made_is_ended(gallery: Gallery) -> None:
    asset = gallery.upload("a.jpg", b"ours", "local-1")
    over = gallery.upload("b.jpg", b"theirs", "local-2")
    folder = os.open(gallery.root, os.O_RDONLY)
    renaming.exchange(folder, b"a.jpg", folder, b"b.jpg")
    os.close(folder)
    moved = gallery.run(gallery.provider.move, asset, gallery.top, "b.jpg", over)
    assert moved.id == asset.id
    assert gallery.names() == {"b.jpg"}
    assert (gallery.root / "b.jpg").read_bytes() == b"ours"
    assert list(notes(gallery.home_trash)) == ["a.jpg"]


def test_an_album_that_was_moved_and_not_recorded_is_recorded(gallery: Gallery) -> None:
    album = gallery.run(gallery.provider.make_album, gallery.top, "Summer", "local-a")
    (gallery.root / "Summer").rename(gallery.root / "Winter")
    renamed = gallery.run(gallery.provider.rename_album, album.id, gallery.top, "Winter")
    assert (renamed.id, renamed.title) == (album.id, "Winter")


def test_an_album_that_was_made_before_a_kill_is_not_made_again(gallery: Gallery) -> None:
    album = gallery.run(gallery.provider.make_album, gallery.top, "Summer", "local-a")
    gallery.restart(lost=True)
    assert gallery.run(gallery.provider.make_album, gallery.top, "Summer", "local-a").id == album.id
    with pytest.raises(AlreadyThere):
        gallery.run(gallery.provider.make_album, gallery.top, "Summer", "local-b")


def test_what_a_kill_left_is_not_shown_and_goes_at_the_next_upload(gallery: Gallery) -> None:
    own, other, swapped = (f".iiiffs-local-{number}.0123abcd" for number in (1, 2, 3))
    (gallery.root / f"{own}.part").write_bytes(b"a half")
    (gallery.root / f"{own}.swap").write_bytes(b"what was there before")
    (gallery.root / f"{other}.part").write_bytes(b"another run's, going on")
    (gallery.root / f"{swapped}.swap").write_bytes(b"another run's, going on")
    assert gallery.listing().assets == ()
    gallery.upload("a.jpg", b"ours")
    assert gallery.names() == {"a.jpg", f"{other}.part", f"{swapped}.swap"}
    assert notes(gallery.home_trash) == {"a.jpg": os.fsencode(gallery.root / "a.jpg")}
    assert (gallery.home_trash / "files" / "a.jpg").read_bytes() == b"what was there before"
    gallery.restart()
    gallery.upload("b.jpg", b"ours too", "local-2")
    assert gallery.names() == {"a.jpg", "b.jpg", f"{swapped}.swap"}


def test_a_new_file_that_was_about_to_be_exchanged_is_not_kept_twice(gallery: Gallery) -> None:
    asset = gallery.upload("a.jpg", b"ours")
    (gallery.root / ".iiiffs-local-2.0123abcd.swap").write_bytes(b"newer")
    gallery.restart()
    gallery.run(gallery.provider.replace, asset, gallery.payload(b"newer", "local-2"))
    assert gallery.names() == {"a.jpg"}
    assert [path.read_bytes() for path in (gallery.home_trash / "files").iterdir()] == [b"ours"]


# What is on disk, and when


class Recorder:
    """The order of what makes things durable, with the names of what it is about."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        fsync, renameat2, rename = os.fsync, renaming._renameat2, os.rename

        def record_fsync(number: int) -> None:
            self.calls.append(f"fsync {self._kind(str(Path(f'/proc/self/fd/{number}').readlink()))}")
            fsync(number)

        def record_rename(source: int, name: bytes, target: int, new_name: bytes, flag: int) -> None:
            verb = {renaming.NOREPLACE: "rename", renaming.EXCHANGE: "exchange"}[flag]
            self.calls.append(f"{verb} {self._kind(os.fsdecode(name))} {self._kind(os.fsdecode(new_name))}")
            renameat2(source, name, target, new_name, flag)

        def record_plain(name: bytes, new_name: bytes, **folders: int) -> None:
            self.calls.append(f"plain {self._kind(os.fsdecode(name))} {self._kind(os.fsdecode(new_name))}")
            rename(name, new_name, **folders)

        monkeypatch.setattr(os, "fsync", record_fsync)
        monkeypatch.setattr(os, "rename", record_plain)
        monkeypatch.setattr(renaming, "_renameat2", record_rename)

    @staticmethod
    def _kind(path: str) -> str:
        name = path.rpartition("/")[2]
        return name.rpartition(".")[2] if name.startswith(".iiiffs-") or name.endswith(".trashinfo") else name


def test_a_file_is_on_disk_before_it_has_its_name_and_the_name_before_the_answer(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    top, payload = gallery.top, gallery.payload(b"ours")
    recorder = Recorder(monkeypatch)
    gallery.run(gallery.provider.upload, top, "a.jpg", payload)
    assert recorder.calls == ["fsync part", "rename part a.jpg", "fsync pictures"]


def test_what_is_found_to_have_arrived_is_on_disk_before_the_answer(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been placed by a run that was killed before its fsync, or by another program."""
    (gallery.root / "a.jpg").write_bytes(b"ours")
    top, payload = gallery.top, gallery.payload(b"ours")
    recorder = Recorder(monkeypatch)
    gallery.run(gallery.provider.upload, top, "a.jpg", payload)
    assert recorder.calls == ["fsync a.jpg", "fsync pictures"]


def test_old_bytes_have_a_place_in_the_trash_before_they_lose_their_name(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.run(gallery.provider.remove, gallery.upload("b.jpg", b"makes the trash"))
    asset, payload = gallery.upload("a.jpg", b"ours"), gallery.payload(b"newer", "local-2")
    recorder = Recorder(monkeypatch)
    gallery.run(gallery.provider.replace, asset, payload)
    assert recorder.calls == [
        "fsync part",
        "fsync trashinfo",
        "fsync info",
        "plain part swap",
        "exchange swap a.jpg",
        "rename swap a.jpg",
        "fsync files",
        "fsync pictures",
    ]


# The trash


def test_the_trash_says_where_a_file_was(gallery: Gallery) -> None:
    name = os.fsdecode("50 % [Zürich]\nß ".encode() + b"\xff.jpg")
    gallery.run(gallery.provider.remove, gallery.upload(name, b"ours"))
    assert notes(gallery.home_trash) == {name: os.fsencode(gallery.root / name)}
    assert (gallery.home_trash / "files" / name).stat().st_mtime_ns == MTIME_NS
    assert gallery.home_trash.stat().st_mode & 0o777 == 0o700


def test_files_of_one_name_lie_beside_each_other_in_the_trash(gallery: Gallery) -> None:
    long = "x" * 251 + ".jpg"
    for number in range(3):
        for name in ("a.jpg", ".a", long):
            gallery.run(gallery.provider.remove, gallery.upload(name, b"%d" % number, f"local-{number}"))
    found = notes(gallery.home_trash)
    assert len(found) == 9
    assert {"a.jpg", "a.2.jpg", "a.3.jpg", ".a"} <= set(found)
    assert sorted(set(found.values())) == sorted(os.fsencode(gallery.root / name) for name in ("a.jpg", ".a", long))


def test_a_file_that_is_put_back_has_its_id_again(gallery: Gallery) -> None:
    asset = gallery.upload("a.jpg", b"ours")
    gallery.run(gallery.provider.remove, asset)
    assert gallery.listing().assets == ()
    (gallery.home_trash / "files" / "a.jpg").rename(gallery.root / "a.jpg")
    assert gallery.asset("a.jpg").id == asset.id


@needs_root
def test_on_another_disk_the_trash_is_at_its_top(small_disk: Gallery) -> None:
    gallery = small_disk
    gallery.run(gallery.provider.make_album, gallery.top, "Summer", "local-a")
    (gallery.root / "Summer" / "a.jpg").write_bytes(b"ours")
    (asset,) = gallery.listing("Summer").assets
    gallery.run(gallery.provider.remove, asset)
    assert notes(gallery.root / ".Trash-0") == {"a.jpg": b"Summer/a.jpg"}
    assert gallery.names() == {"Summer", *(f".Trash-0{end}" for end in ("", "/files", "/info", "/files/a.jpg",
                                                                       "/info/a.jpg.trashinfo"))}  # fmt: skip
    assert not gallery.home_trash.exists()
    shared = gallery.root / ".Trash"
    shared.mkdir()
    shared.chmod(0o1777)
    (gallery.root / "b.jpg").write_bytes(b"ours too")
    gallery.run(gallery.provider.remove, gallery.asset("b.jpg"))
    assert notes(shared / "0") == {"b.jpg": b"b.jpg"}


@needs_root
def test_without_a_trash_nothing_is_removed_or_replaced(small_disk: Gallery) -> None:
    gallery = small_disk
    asset = gallery.upload("a.jpg", b"ours")
    (gallery.root / ".Trash-0").write_bytes(b"no folder")
    for call in (
        partial(gallery.provider.remove, asset),
        partial(gallery.provider.replace, asset, gallery.payload(b"newer", "local-2")),
    ):
        with pytest.raises(Rejected, match=r"no trash .* make a folder .Trash-0"):
            gallery.run(call)
    assert gallery.names() == {"a.jpg", ".Trash-0"}
    assert (gallery.root / "a.jpg").read_bytes() == b"ours"


@needs_root
def test_a_trash_behind_another_mount_of_the_same_disk_is_not_used(gallery: Gallery) -> None:
    """As under systemd's ReadWritePaths: one device, and renames between both mounts fail all the same."""
    asset = gallery.upload("a.jpg", b"ours")
    subprocess.run(["mount", "--bind", str(gallery.root), str(gallery.root)], check=True)
    try:
        gallery.run(gallery.provider.remove, asset)
        assert notes(gallery.root / ".Trash-0") == {"a.jpg": b"a.jpg"}
    finally:
        subprocess.run(["umount", str(gallery.root)], check=True)


# Disks


@needs_root
def test_a_full_disk_is_over_quota_and_keeps_nothing(small_disk: Gallery) -> None:
    gallery = small_disk
    asset = gallery.upload("a.jpg", b"ours")
    large = gallery.payload(bytes(2 << 20), "local-2")
    with pytest.raises(OverQuota):
        gallery.run(gallery.provider.upload, gallery.top, "b.jpg", large)
    with pytest.raises(OverQuota):
        gallery.run(gallery.provider.replace, asset, large)
    assert gallery.names() == {"a.jpg"}
    space = gallery.run(gallery.provider.space)
    assert space.total_bytes == 1 << 20
    assert 0 < space.free_bytes < 1 << 20


@needs_root
def test_a_read_only_disk_says_so(small_disk: Gallery) -> None:
    gallery = small_disk
    asset = gallery.upload("a.jpg", b"ours")
    subprocess.run(["mount", "-o", "remount,ro", str(gallery.root)], check=True)
    provider, payload = gallery.provider, gallery.payload(b"newer", "local-2")
    for call in (
        partial(provider.upload, gallery.top, "b.jpg", payload),
        partial(provider.replace, asset, payload),
        partial(provider.remove, asset),
        partial(provider.move, asset, gallery.top, "b.jpg"),
        partial(provider.link, asset, gallery.top, "b.jpg"),
        partial(provider.make_album, gallery.top, "Summer", "local-a"),
    ):
        with pytest.raises((AccessDenied, Rejected), match=r"read-only|no trash"):
            gallery.run(call)
    assert gallery.names() == {"a.jpg"}


@needs_root
def test_between_two_disks_nothing_moves(small_disk: Gallery, tmp_path: Path) -> None:
    gallery = small_disk
    other = gallery.root / "Other"
    other.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(other)], check=True)
    try:
        asset = gallery.upload("a.jpg", b"ours")
        album = gallery.listing("Other").album
        with pytest.raises(OtherAccount, match="another disk"):
            gallery.run(gallery.provider.move, asset, album.id, "a.jpg")
        with pytest.raises(Rejected, match="copy it"):
            gallery.run(gallery.provider.link, asset, album.id, "a.jpg")
        assert gallery.asset("a.jpg") == asset
    finally:
        subprocess.run(["umount", str(other)], check=True)


def refuse(*_: object) -> None:
    """renameat2 of a file system that knows no flags."""
    raise FlagUnknown(errno.EINVAL, os.strerror(errno.EINVAL))


def test_a_disk_without_exchange_and_noreplace_does_the_same_in_steps(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renaming, "_renameat2", refuse)
    provider, top = gallery.provider, gallery.top
    asset = gallery.upload("a.jpg", b"ours", "local-1")
    replaced = gallery.run(provider.replace, asset, gallery.payload(b"newer", "local-2")).asset
    other = gallery.upload("b.jpg", b"other", "local-3")
    with pytest.raises(AlreadyThere):
        gallery.run(provider.upload, top, "b.jpg", gallery.payload(b"again", "local-4"))
    with pytest.raises(AlreadyThere):
        gallery.run(provider.move, replaced, top, "b.jpg")
    moved = gallery.run(provider.move, replaced, top, "b.jpg", other)
    assert moved.id == asset.id
    album = gallery.run(provider.make_album, top, "Summer", "local-a")
    gallery.run(provider.make_album, top, "Winter", "local-b")
    with pytest.raises(AlreadyThere):
        gallery.run(provider.rename_album, album.id, top, "Winter")
    gallery.run(provider.rename_album, album.id, top, "Autumn")
    assert gallery.names() == {"b.jpg", "Autumn", "Winter"}
    assert (gallery.root / "b.jpg").read_bytes() == b"newer"
    assert sorted(path.read_bytes() for path in (gallery.home_trash / "files").iterdir()) == [b"other", b"ours"]


# Other programs at the same time


def test_a_file_that_another_program_put_there_meanwhile_is_not_exchanged_away(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = gallery.upload("a.jpg", b"ours")
    exchange = renaming.exchange
    calls: list[tuple[Any, ...]] = []

    def quick(*args: Any) -> None:
        if not calls:
            (gallery.root / "temp").write_bytes(b"theirs")
            (gallery.root / "temp").rename(gallery.root / "a.jpg")
        calls.append(args)
        exchange(*args)

    monkeypatch.setattr("iiiffs.providers.folder.changes.exchange", quick)
    with pytest.raises(Exception, match="changed by another program"):
        gallery.run(gallery.provider.replace, asset, gallery.payload(b"newer", "local-2"))
    assert len(calls) == 2
    assert gallery.names() == {"a.jpg"}
    assert (gallery.root / "a.jpg").read_bytes() == b"theirs"
    assert notes(gallery.home_trash) == {}


def test_nothing_is_written_through_a_symlink_out_of_the_root(gallery: Gallery, tmp_path: Path) -> None:
    album = gallery.run(gallery.provider.make_album, gallery.top, "Summer", "local-a")
    asset = gallery.run(gallery.provider.upload, album.id, "a.jpg", gallery.payload(b"ours"))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"not ours")
    shutil.rmtree(gallery.root / "Summer")
    (gallery.root / "Summer").symlink_to(outside)
    provider = gallery.provider
    for call in (
        partial(provider.upload, album.id, "b.jpg", gallery.payload(b"x", "local-2")),
        partial(provider.replace, asset, gallery.payload(b"x", "local-2")),
        partial(provider.make_album, album.id, "Inner", "local-b"),
        partial(provider.move, asset, gallery.top, "b.jpg"),
        partial(provider.link, asset, gallery.top, "b.jpg"),
    ):
        with pytest.raises(AssetGone):
            gallery.run(call)
    gallery.run(provider.remove, asset)
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"a.jpg": b"not ours"}


def test_a_symlink_is_removed_and_not_what_it_leads_to(gallery: Gallery) -> None:
    gallery.upload("a.jpg", b"ours")
    (gallery.root / "Summer").mkdir()
    (gallery.root / "link.jpg").symlink_to("a.jpg")
    link = gallery.asset("link.jpg")
    album = gallery.listing("Summer").album.id
    with pytest.raises(Rejected, match="symlink"):
        gallery.run(gallery.provider.move, link, album, "link.jpg")
    second = gallery.run(gallery.provider.link, link, album, "second.jpg")
    assert (gallery.root / "Summer" / "second.jpg").samefile(gallery.root / "a.jpg")
    assert second.id != link.id
    gallery.run(gallery.provider.remove, link)
    assert gallery.names() == {"a.jpg", "Summer", "Summer/second.jpg"}
    assert (gallery.home_trash / "files" / "link.jpg").is_symlink()


# Folders


def test_desktop_litter_goes_to_the_trash_with_its_folder(gallery: Gallery) -> None:
    album = gallery.run(gallery.provider.make_album, gallery.top, "Summer", "local-a")
    (gallery.root / "Summer" / "Thumbs.db").write_bytes(b"thumbs")
    (gallery.root / "Summer" / ".DS_Store").write_bytes(b"store")
    gallery.run(gallery.provider.remove_album, album.id)
    assert gallery.names() == set()
    assert (gallery.home_trash / "files" / "Summer" / "Thumbs.db").read_bytes() == b"thumbs"
    assert notes(gallery.home_trash) == {"Summer": os.fsencode(gallery.root / "Summer")}


def test_a_folder_that_holds_what_is_not_shown_stays(gallery: Gallery) -> None:
    album = gallery.run(gallery.provider.make_album, gallery.top, "Summer", "local-a")
    os.mkfifo(gallery.root / "Summer" / "pipe")
    (gallery.root / "Summer" / "Thumbs.db").write_bytes(b"thumbs")
    with pytest.raises(NotEmpty, match="still holds 1 file or folder"):
        gallery.run(gallery.provider.remove_album, album.id)
    assert gallery.names() == {"Summer", "Summer/pipe", "Summer/Thumbs.db"}


def test_parts_of_a_killed_upload_do_not_keep_a_folder(gallery: Gallery) -> None:
    album = gallery.run(gallery.provider.make_album, gallery.top, "Summer", "local-a")
    (gallery.root / "Summer" / ".iiiffs-local-1.0123abcd.part").write_bytes(b"a half")
    gallery.run(gallery.provider.remove_album, album.id)
    assert gallery.names() == set()
    assert not gallery.home_trash.exists()


def test_the_topmost_folder_is_neither_renamed_nor_removed(gallery: Gallery) -> None:
    with pytest.raises(Rejected, match="topmost"):
        gallery.run(gallery.provider.remove_album, gallery.top)
    with pytest.raises(Rejected, match="topmost"):
        gallery.run(gallery.provider.rename_album, gallery.top, gallery.top, "a")


def test_litter_is_neither_uploaded_nor_made(gallery: Gallery) -> None:
    for name in ("Thumbs.db", "._a.jpg", ".iiiffs-local-1.0123abcd.part"):
        with pytest.raises(Rejected):
            gallery.run(gallery.provider.upload, gallery.top, name, gallery.payload(b"x"))
        with pytest.raises(Rejected):
            gallery.run(gallery.provider.make_album, gallery.top, name, "local-a")


# What stays of a file


def test_mode_and_attributes_outlive_a_replacement(gallery: Gallery) -> None:
    asset = gallery.upload("a.jpg", b"ours")
    path = gallery.root / "a.jpg"
    path.chmod(0o640)
    os.setxattr(path, "user.xdg.tags", b"summer")
    gallery.run(gallery.provider.replace, asset, gallery.payload(b"newer", "local-2"))
    assert path.read_bytes() == b"newer"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.getxattr(path, "user.xdg.tags") == b"summer"
    assert path.stat().st_mtime_ns == MTIME_NS


def test_a_new_file_has_the_modes_that_any_program_gives(gallery: Gallery) -> None:
    gallery.upload("a.jpg", b"ours")
    (gallery.root / "b.jpg").write_bytes(b"theirs")
    assert (gallery.root / "a.jpg").stat().st_mode == (gallery.root / "b.jpg").stat().st_mode


def test_a_cancelled_upload_takes_its_part_away(gallery: Gallery) -> None:
    payload = gallery.payload(os.urandom(1 << 20) * 64)

    async def main() -> None:
        top = (await gallery.provider.root()).id
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gallery.provider.upload, top, "a.jpg", payload)
            while not any(name.endswith(".part") for name in gallery.names()):
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
        with trio.fail_after(30):
            while gallery.names() - {"a.jpg"}:
                await trio.sleep(0.01)

    trio.run(main)
    assert gallery.upload("a.jpg", payload.path.read_bytes()).size_bytes == payload.size_bytes


def test_the_c_library_has_what_is_called() -> None:
    assert ctypes.CDLL(None).renameat2


def test_a_disk_that_hangs_is_given_up_and_asked_again(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    there, answers, place = threading.Event(), threading.Event(), changes.place

    def hang(*args: Any) -> None:
        there.set()
        answers.wait()
        place(*args)

    monkeypatch.setattr(changes, "place", hang)
    monkeypatch.setattr(writing, "CHANGE_S", 0.05)
    with pytest.raises(ProviderUnreachable, match="did not answer"):
        gallery.upload("a.jpg", b"ours")
    assert there.is_set()
    answers.set()
    monkeypatch.setattr(changes, "place", place)
    monkeypatch.setattr(writing, "CHANGE_S", 10.0)
    asset = gallery.upload("a.jpg", b"ours")
    assert gallery.listing().assets == (asset,)
    assert gallery.names() == {"a.jpg"}


def test_uploads_into_a_large_album_look_at_no_other_file(gallery: Gallery) -> None:
    for number in range(50):
        (gallery.root / f"{number}.jpg").write_bytes(b"old")
    gallery.listing()
    asked: list[str] = []
    ledger = gallery.provider._ledger
    rows_in = ledger.rows_in

    def counted(folder: str) -> list[Row]:
        asked.append(folder)
        return rows_in(folder)

    ledger.rows_in = counted  # type: ignore[method-assign]
    asset = gallery.upload("new.jpg", b"ours")
    assert asked == []
    assert gallery.asset("new.jpg") == asset


def test_a_file_that_was_renamed_onto_a_name_keeps_its_id_when_it_is_replaced(gallery: Gallery) -> None:
    asset = gallery.upload("a.jpg", b"ours")
    (gallery.root / "a.jpg").rename(gallery.root / "b.jpg")
    renamed = gallery.asset("b.jpg")
    replaced = gallery.run(gallery.provider.replace, renamed, gallery.payload(b"newer", "local-2")).asset
    assert replaced.id == renamed.id == asset.id
    gallery.run(gallery.provider.remove, replaced)
    again = gallery.upload("b.jpg", b"ours", "local-3")
    assert gallery.asset("b.jpg") == again
    first = gallery.upload("a.jpg", b"ours", "local-4")
    assert {each.name: each.id for each in gallery.listing().assets} == {"a.jpg": first.id, "b.jpg": again.id}


def test_a_payload_that_is_not_what_was_recorded_is_not_sent(gallery: Gallery) -> None:
    payload = gallery.payload(b"ours")
    payload.path.write_bytes(b"shorter or longer")
    with pytest.raises(StoreCorrupt, match="size"):
        gallery.run(gallery.provider.upload, gallery.top, "a.jpg", payload)
    payload.path.unlink()
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        gallery.run(gallery.provider.upload, gallery.top, "a.jpg", payload)
    assert gallery.names() == set()


def test_a_move_over_a_file_that_is_exchanged_meanwhile_is_undone(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = gallery.upload("a.jpg", b"ours", "local-1")
    over = gallery.upload("b.jpg", b"old", "local-2")
    exchange = renaming.exchange
    calls: list[tuple[Any, ...]] = []

    def late(*args: Any) -> None:
        if not calls:
            (gallery.root / "temp").write_bytes(b"theirs")
            (gallery.root / "temp").rename(gallery.root / "b.jpg")
        calls.append(args)
        exchange(*args)

    monkeypatch.setattr(changes, "exchange", late)
    with pytest.raises(VersionChanged):
        gallery.run(gallery.provider.move, asset, gallery.top, "b.jpg", over)
    assert (gallery.root / "a.jpg").read_bytes() == b"ours"
    assert (gallery.root / "b.jpg").read_bytes() == b"theirs"
    assert notes(gallery.home_trash) == {}


def test_a_file_that_is_exchanged_while_it_is_removed_comes_back_from_the_trash(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset, take = gallery.upload("a.jpg", b"ours"), trash.Slot.take

    def late(slot: trash.Slot, folder: int, name: bytes) -> None:
        (gallery.root / "temp").write_bytes(b"theirs")
        (gallery.root / "temp").rename(gallery.root / "a.jpg")
        take(slot, folder, name)

    monkeypatch.setattr(trash.Slot, "take", late)
    with pytest.raises(VersionChanged):
        gallery.run(gallery.provider.remove, asset)
    assert (gallery.root / "a.jpg").read_bytes() == b"theirs"
    assert notes(gallery.home_trash) == {}
