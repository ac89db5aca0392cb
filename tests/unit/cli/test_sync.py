"""`iiiffs sync`: on a folder that stands for the mount, whose originals have an id as the mount's have."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from iiiffs.cli import folder_copies
from iiiffs.cli.daemon_answers import Answer
from iiiffs.cli.folder_copies import album_files, download, local_files, upload
from iiiffs.cli.sync import SyncResult, album_place, must_be_another, queued
from iiiffs.errors import BadSyntax, IiiffsError

TIME_NS = 1_600_000_000_123_456_789


def make(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in files.items():
        (folder / f"{name}.jpg").write_bytes(body)
        os.utime(folder / f"{name}.jpg", ns=(TIME_NS, TIME_NS))
    return folder


def as_originals(album: Path, *names: str) -> None:
    try:
        for name in names:
            os.setxattr(album / name, "user.iiiffs.id", name.encode())
    except OSError as error:
        pytest.skip(f"no user xattrs here: {error}")


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    folder = make(tmp_path / "f", a=b"1", b=b"22")
    make(folder / "sub", c=b"333")
    for name in (".hidden", "Thumbs.db", "._a.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / "link.jpg").symlink_to("a.jpg")
    os.mkfifo(folder / "pipe")
    files, folders = local_files(folder)
    assert {name: file.size_bytes for name, file in files.items()} == {"a.jpg": 1, "b.jpg": 2, "link.jpg": 1}
    assert folders == 1
    with pytest.raises(IiiffsError, match="No such file"):
        local_files(tmp_path / "none")


def test_the_originals_of_an_album(tmp_path: Path) -> None:
    album = make(tmp_path / "a", a=b"1", b=b"22")
    (album / "manifest.json").write_bytes(b"{}")
    (album / "iiif").mkdir()
    as_originals(album, "a.jpg", "b.jpg")
    os.setxattr(album / "b.jpg", "user.iiiffs.checksum.sha1", b"01" * 20)
    files = album_files(album)
    assert files.keys() == {"a.jpg", "b.jpg"}
    assert (files["a.jpg"].sha1, files["b.jpg"].sha1) == (None, b"\1" * 20)


@pytest.mark.parametrize("copy", [upload, download])
def test_a_copy_is_whole_keeps_its_time_and_overwrites_nothing(tmp_path: Path, copy: object) -> None:
    assert callable(copy)
    one, other = make(tmp_path / "1", a=b"1" * 3_000_000), make(tmp_path / "2", b=b"kept")
    copy(one / "a.jpg", other / "a.jpg")
    assert (other / "a.jpg").read_bytes() == b"1" * 3_000_000
    assert (other / "a.jpg").stat().st_mtime_ns == TIME_NS
    with pytest.raises(IiiffsError, match="File exists"):
        copy(one / "a.jpg", other / "b.jpg")
    with pytest.raises(IiiffsError, match="No such file"):
        copy(one / "none.jpg", other / "none.jpg")
    assert sorted(path.name for path in other.iterdir()) == ["a.jpg", "b.jpg"]
    assert (other / "b.jpg").read_bytes() == b"kept"


@pytest.mark.parametrize("copy", [upload, download])
def test_no_half_copy_stays(tmp_path: Path, copy: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(copy)
    one, other = make(tmp_path / "1", a=b"1"), make(tmp_path / "2")

    def breaks(source: int, target: int) -> int:
        os.write(target, b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_copies, "_copy", breaks)
    with pytest.raises(IiiffsError, match="No space left"):
        copy(one / "a.jpg", other / "a.jpg")
    assert list(other.iterdir()) == []


def test_a_file_that_shrinks_meanwhile_is_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = make(tmp_path / "1", a=b"123"), make(tmp_path / "2")
    monkeypatch.setattr(folder_copies, "_copy", lambda source, target: 2)
    with pytest.raises(IiiffsError, match="changed while it was read"):
        download(one / "a.jpg", other / "a.jpg")
    assert list(other.iterdir()) == []


@pytest.mark.parametrize(
    ("album", "place"),
    {
        "home/albums/Trip": "home/albums/Trip",
        "home/albums/New": "home/albums/New",
        "{root}/home/albums/Trip": "home/albums/Trip",
        "home/albums": "home/albums",
    }.items(),
)
def test_albums_are_named_by_their_directory_or_their_path(tmp_path: Path, album: str, place: str) -> None:
    (tmp_path / "home" / "albums" / "Trip").mkdir(parents=True)
    status: Answer = {"mountpoint": str(tmp_path), "accounts": [{"slug": "home"}]}
    assert album_place(status, album.format(root=tmp_path)) == (tmp_path, place)


def test_an_album_is_named_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / "albums" / "Trip").mkdir(parents=True)
    status: Answer = {"mountpoint": str(tmp_path), "accounts": [{"slug": "home"}]}
    monkeypatch.chdir(tmp_path / "home" / "albums")
    assert album_place(status, "Trip") == (tmp_path, "home/albums/Trip")
    assert album_place(status, "./New") == (tmp_path, "home/albums/New")


@pytest.mark.parametrize(
    "album", ["/etc", "home", "", ".", "..", "other/albums/Trip", "home/../home/albums", "{root}", "home/no/such/New"]
)
def test_what_is_no_album_is_refused(tmp_path: Path, album: str) -> None:
    (tmp_path / "home" / "albums" / "Trip").mkdir(parents=True)
    status: Answer = {"mountpoint": str(tmp_path), "accounts": [{"slug": "home"}]}
    with pytest.raises(BadSyntax):
        album_place(status, album.format(root=tmp_path))


@pytest.mark.parametrize("localdir", ["home/albums/Trip", "home/albums/../albums/Trip/", "link"])
def test_an_album_is_not_synchronised_with_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, localdir: str
) -> None:
    album = make(tmp_path / "home" / "albums" / "Trip", a=b"1")
    (tmp_path / "link").symlink_to(album)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSyntax, match="the album itself"):
        must_be_another(Path(localdir), album)
    must_be_another(make(tmp_path / "mine"), album)
    must_be_another(album.with_name("Other"), album)


def test_what_waits_is_pending_and_what_failed_there_failed() -> None:
    result = SyncResult("home/a", succeeded=[("x", "upload"), ("y", "upload"), ("z", "upload"), ("x2", "download")])
    rows: list[Answer] = [
        {"path": "home/a/x", "stage": "settling"},
        {"path": "home/a/y", "stage": "failed", "reason": "refused"},
        {"path": "home/a/x2", "stage": "ready"},
        {"path": "home/b/z", "stage": "ready"},
    ]
    queued(result, "home/a", (), lambda: rows)
    assert result.succeeded == [("z", "upload"), ("x2", "download")]
    assert (result.pending, result.failed, result.exit_code) == (["x"], {"y": "refused"}, 1)
    assert json.dumps(result.as_json())


def test_what_is_the_same_and_has_not_been_sent_is_not_unchanged() -> None:
    result = SyncResult("home/a", unchanged=5)
    rows: list[Answer] = [
        {"path": "home/a/x", "stage": "ready"},
        {"path": "home/a/y", "stage": "failed", "reason": "refused"},
        {"path": "home/a/z.tmp", "stage": "scratch", "size_bytes": 7},
        {"path": "home/a/empty", "stage": "scratch", "size_bytes": 0},
    ]
    queued(result, "home/a", ("x", "y", "z.tmp", "empty", "sent"), lambda: rows)
    assert (result.unchanged, result.pending, result.exit_code) == (1, ["x"], 1)
    assert result.failed.keys() == {"y", "z.tmp", "empty"}
    assert "temporary" in result.failed["z.tmp"] and "empty" in result.failed["empty"]


def test_exit_codes() -> None:
    assert SyncResult("a", pending=["x"], unchanged=3).exit_code == 0
    assert SyncResult("a", conflicts=["x"]).exit_code == 1
    assert SyncResult("a", failed={"x": "no"}).exit_code == 1
