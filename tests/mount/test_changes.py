"""Changes underneath: seen within 3 s, ids kept, new bytes under a new inode, and no mixed bytes for open handles."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from iiiffs.cache.store import open_cache
from iiiffs.control import ask
from iiiffs.model.gallery import AccountName
from iiiffs.tree.nodes import DocumentKind
from iiiffs.vfs.document_records import record_key
from tests.harness.mount import Mount, check_log, mounted, start, take_down
from tests.mount.observing import drop_kernel_caches, eventually, names, walk
from tests.mount.pictures import picture, picture_bytes

FILM_BYTES = 4 << 20
READAHEAD_BYTES = 1 << 20


def id_of(path: Path) -> str:
    """The asset id of an original in the mount, by its album's alias."""
    return (path.parent / "iiif" / path.name).readlink().name


def album_id_of(album: Path) -> str:
    """The album's id, by its manifest."""
    return str(json.loads((album / "manifest.json").read_bytes())["id"]).split("/")[-2]


def canvases(album: Path) -> list[str]:
    """The labels in the album's manifest."""
    items = json.loads((album / "manifest.json").read_bytes())["items"]
    return [next(iter(item["label"].values()))[0] for item in items]


def test_added_and_deleted(album: tuple[Path, Path]) -> None:
    real, shown = album
    picture(real / "y.jpg", 2)
    eventually(lambda: "y.jpg" in names(shown) and canvases(shown) == ["x.jpg", "y.jpg"])
    assert (shown / "y.jpg").read_bytes() == (real / "y.jpg").read_bytes()
    service = (shown / "iiif" / "y.jpg").resolve()
    assert (service / "full" / "9," / "0" / "default.jpg").stat().st_size > 0
    (real / "y.jpg").unlink()
    eventually(lambda: "y.jpg" not in names(shown) and canvases(shown) == ["x.jpg"])
    eventually(lambda: not (shown / "y.jpg").exists() and not service.exists())
    assert names(shown / "iiif") == ["x.jpg"]


def test_a_looked_up_name_that_was_absent_appears(album: tuple[Path, Path]) -> None:
    real, shown = album
    assert not (shown / "later.jpg").exists()
    picture(real / "later.jpg", 2)
    eventually((shown / "later.jpg").exists)


def test_an_album_that_becomes_empty_has_no_manifest(album: tuple[Path, Path]) -> None:
    real, shown = album
    (real / "x.jpg").unlink()
    eventually(lambda: names(shown) == ["index.html"])
    eventually(lambda: not (shown / "manifest.json").exists())


def replace_in_place(real: Path, data: bytes) -> None:
    """As an editor that truncates and writes."""
    real.write_bytes(data)


def replace_as_vim(real: Path, data: bytes) -> None:
    """The old file aside, the new one written, the old one removed."""
    backup = real.with_name(real.name + "~")
    real.rename(backup)
    real.write_bytes(data)
    backup.unlink()


def replace_as_gimp(real: Path, data: bytes) -> None:
    """A temporary file of another name, renamed over the old one."""
    temporary = real.with_name(".goutputstream-A1B2C3")
    temporary.write_bytes(data)
    temporary.rename(real)


def replace_as_rsync(real: Path, data: bytes) -> None:
    """As rsync's receiver: a hidden temporary name with the picture's in it."""
    temporary = real.with_name(f".{real.name}.Xy12Zq")
    temporary.write_bytes(data)
    temporary.rename(real)


EDITS = (replace_in_place, replace_as_vim, replace_as_gimp, replace_as_rsync)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_new_content_keeps_the_id_and_gets_a_new_inode(
    album: tuple[Path, Path], tmp_path: Path, edit: Callable[[Path, bytes], None]
) -> None:
    real, shown = album
    original, canvas = shown / "x.jpg", canvases(shown)
    identity, old = id_of(original), original.stat()
    tile = Path("full/20,/0/default.jpg")
    service = (shown / "iiif" / "x.jpg").resolve()
    old_tile, old_pixels = (service / tile).stat(), (service / tile).read_bytes()
    data = picture_bytes(tmp_path, 200)
    edit(real / "x.jpg", data)
    new = eventually(original.stat, lambda told: told.st_ino != old.st_ino)
    assert original.read_bytes() == data
    assert new.st_size == len(data)
    assert (id_of(original), canvases(shown)) == (identity, canvas)
    new_tile = eventually((service / tile).stat, lambda told: told.st_ino != old_tile.st_ino)
    assert (service / tile).read_bytes() != old_pixels
    assert new_tile.st_mtime_ns - old_tile.st_mtime_ns >= 10**9
    assert new.st_mtime_ns - old.st_mtime_ns >= 10**9 or new.st_size != old.st_size


def test_renaming_a_file_keeps_its_id(album: tuple[Path, Path]) -> None:
    real, shown = album
    identity, inode = id_of(shown / "x.jpg"), (shown / "x.jpg").stat().st_ino
    (real / "x.jpg").rename(real / "renamed.jpg")
    eventually(lambda: "renamed.jpg" in names(shown) and "x.jpg" not in names(shown))
    assert (id_of(shown / "renamed.jpg"), (shown / "renamed.jpg").stat().st_ino) == (identity, inode)
    (real / "inner").mkdir()
    (real / "renamed.jpg").rename(real / "inner" / "moved.jpg")
    eventually(lambda: id_of(shown / "inner" / "moved.jpg") == identity)


def test_renaming_a_folder_keeps_all_ids(album: tuple[Path, Path]) -> None:
    real, shown = album
    picture(real / "deep" / "z.jpg", 9)
    deep = shown / "deep"
    eventually(lambda: canvases(deep) == ["z.jpg"])
    ids = (id_of(shown / "x.jpg"), album_id_of(shown), id_of(deep / "z.jpg"), album_id_of(deep))
    renamed = shown.with_name(shown.name + " renamed")
    real.rename(real.with_name(renamed.name))
    eventually(renamed.exists)
    eventually(lambda: not shown.exists())
    deep = renamed / "deep"
    assert (id_of(renamed / "x.jpg"), album_id_of(renamed), id_of(deep / "z.jpg"), album_id_of(deep)) == ids


def test_an_open_handle_keeps_what_a_rename_replaced(album: tuple[Path, Path]) -> None:
    real, shown = album
    old, new = os.urandom(FILM_BYTES), os.urandom(FILM_BYTES)
    (real / "film.bin").write_bytes(old)
    eventually((shown / "film.bin").exists)
    with (shown / "film.bin").open("rb", buffering=0) as held:
        assert held.read(4096) == old[:4096]
        replace_as_gimp(real / "film.bin", new)
        eventually(lambda: (shown / "film.bin").read_bytes() == new)
        held.seek(0)
        assert held.read(FILM_BYTES) == old


def test_an_open_handle_never_mixes_what_was_written_in_place(album: tuple[Path, Path]) -> None:
    real, shown = album
    old, new = b"o" * FILM_BYTES, b"n" * FILM_BYTES
    (real / "film.bin").write_bytes(old)
    eventually((shown / "film.bin").exists)
    with (shown / "film.bin").open("rb", buffering=0) as held:
        assert held.read(4096) == old[:4096]
        replace_in_place(real / "film.bin", new)
        with pytest.raises(OSError, match=r"Errno (5|116)") as failed:
            os.pread(held.fileno(), 4096, FILM_BYTES - 4096)
        assert failed.value.errno in (errno.EIO, errno.ESTALE)
        held.seek(0)
        assert set(held.read(4096)) <= {ord("o")}  # what the kernel had is still the old version's
    eventually(lambda: (shown / "film.bin").read_bytes() == new)


def test_a_manifest_with_other_bytes_is_another_inode_and_a_second_younger(album: tuple[Path, Path]) -> None:
    real, shown = album
    told = [(shown / "manifest.json").stat()]
    for seed in range(4):
        picture(real / f"{seed}.jpg", seed)
        told.append(eventually((shown / "manifest.json").stat, lambda now: now.st_ino != told[-1].st_ino))
    for before, after in pairwise(told):
        assert after.st_mtime_ns - before.st_mtime_ns >= 10**9
    assert len({now.st_ino for now in told}) == 5


@pytest.mark.parametrize("name", ["manifest.json", "index.html", "collection.json"])
def test_a_real_file_keeps_its_name(album: tuple[Path, Path], changing: Mount, name: str) -> None:
    real, shown = album
    (real / "inner").mkdir()
    owner = album_id_of(shown)
    (real / name).write_text("a real file")
    eventually(lambda: (shown / name).read_text() == "a real file")
    assert names(shown).count(name) == 1
    stable = changing.account / "iiif" / "presentation" / "3" / owner
    assert json.loads((stable / "manifest.json").read_bytes())["type"] == "Manifest"
    (real / name).unlink()
    eventually(lambda: (shown / name).read_text() != "a real file")


def test_a_real_folder_keeps_its_name(album: tuple[Path, Path]) -> None:
    real, shown = album
    picture(real / "iiif" / "inner.jpg", 4)
    eventually(lambda: "inner.jpg" in names(shown / "iiif"))
    assert (shown / "iiif" / "inner.jpg").read_bytes() == (real / "iiif" / "inner.jpg").read_bytes()
    assert names(shown).count("iiif") == 1


def identities(mount: Mount) -> dict[str, tuple[int, int, int]]:
    """Path -> (inode, size, mtime in ns) of all that is listed, and of renditions. Control files change by nature."""
    service = (mount.files / "iiif" / "a.jpg").resolve()
    asked = [service / "full/33,/0/default.jpg", service / "full/44,/90/gray.png", service / "info.json"]
    told = {str(path): path.stat() for path in asked}
    told |= {entry.path: entry.stat(follow_symlinks=False) for entry in walk(mount.root) if ".iiiffs" not in entry.path}
    return {path: (now.st_ino, now.st_size, now.st_mtime_ns) for path, now in told.items()}


def test_etags_inodes_and_ids_outlive_restarts_and_cache_clear(sample_photos: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "one", sample_photos) as mount:
        before = identities(mount)
        body = (mount.files / "manifest.json").read_bytes()
        ask(mount.socket, "cache.clear")
        drop_kernel_caches()
        assert identities(mount) == before
        assert (mount.files / "manifest.json").read_bytes() == body
    for _ in range(2):  # the second time without any cache at all
        again = start(tmp_path / "one", sample_photos)
        try:
            assert identities(again) == before
            assert (again.files / "manifest.json").read_bytes() == body
            assert again.stop() == 0
        finally:
            take_down(again)
        check_log(again)
        shutil.rmtree(tmp_path / "one" / "cache")


def test_a_document_whose_body_was_evicted_is_built_again(sample_photos: Path, tmp_path: Path) -> None:
    with mounted(tmp_path, sample_photos) as mount:
        document = mount.files / "manifest.json"
        before, body = document.stat(), document.read_bytes()
        owner = album_id_of(mount.files)
    cache = open_cache(tmp_path / "cache", 1 << 30)
    try:
        key = record_key(AccountName("pictures"), DocumentKind.MANIFEST, owner)
        record = cache.catalogue.document(key)
        assert record is not None
        assert record.body == body
        cache.catalogue.put_document(key, replace(record, body=None))
    finally:
        cache.close()
    with mounted(tmp_path, sample_photos) as mount:
        after = document.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert document.read_bytes() == body


def test_the_time_of_bytes_that_stayed_the_same_outlives_cache_clear(album: tuple[Path, Path], changing: Mount) -> None:
    real, shown = album
    before = (shown / "manifest.json").stat()
    (real / "notes.txt").write_text("changes the folder, not the manifest")
    eventually(lambda: "notes.txt" in names(shown))
    same = (shown / "manifest.json").stat()
    if (same.st_ino, same.st_mtime_ns) != (before.st_ino, before.st_mtime_ns):
        pytest.fail("the manifest has changed before anything was cleared", pytrace=False)
    ask(changing.socket, "cache.clear")
    drop_kernel_caches()
    after = (shown / "manifest.json").stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    assert after.st_mtime_ns == before.st_mtime_ns
