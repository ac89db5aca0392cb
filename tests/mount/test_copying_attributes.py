"""Programs that copy attributes end well, also within a mount: what cannot be set is not listed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.writable import Writable, writable
from tests.mount.pictures import picture


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Writable]:
    album = tmp_path / "photos" / "Trip" / "Day 2"
    album.mkdir(parents=True)
    picture(album / "fog.jpg", 1, (64, 48))
    picture(album.parent / "boat.jpg", 2, (64, 48))
    (album.parent / "notes.txt").write_text("windy\n")
    with writable(tmp_path, tmp_path / "photos") as writable_mount:
        yield writable_mount


@pytest.mark.parametrize(
    "command",
    [
        "rsync -aX Trip/ Copy/",
        "rsync -aAX Trip/ Copy/",
        "cp -r Trip Copy && rsync -aX Trip/ Copy/ && rsync -aXc --ignore-times Trip/ Copy/",
        "cp -a Trip Copy",
        "cp -r --preserve=xattr Trip Copy",
        "cp -r --preserve=all Trip Copy",
        "rsync -aX Trip/ {out}/there/ && rsync -aX {out}/there/ Copy/",
        "cp -r --preserve=xattr Trip {out}/there && cp -r --preserve=xattr {out}/there Copy",
    ],
)
def test_a_copy_within_a_mount_ends_well(at: Writable, tmp_path: Path, command: str) -> None:
    (tmp_path / "out").mkdir()
    assert at.run(command.format(out=tmp_path / "out")) == ""
    at.sent()
    copies = {name: data for name, data in at.stored("Copy").items() if not name.endswith(("json", "html"))}
    assert copies == at.stored("Trip")
    if command.startswith("rsync -aX Trip/ Copy/"):
        again = at.run("rsync -aXi Trip/ Copy/").splitlines()
        assert [line for line in again if "x" in line.split()[0][8:] and not line.endswith(("json", "html"))] == []


def test_nothing_is_listed_and_all_is_answered_by_name(at: Writable) -> None:
    at.run("echo new > Trip/new.txt")
    waiting, original = at.files / "Trip" / "new.txt", at.files / "Trip" / "boat.jpg"
    for path in (at.mount.root, at.mount.account, at.files, at.files / "Trip", original, waiting):
        assert os.listxattr(path) == []
    assert os.getxattr(original, "user.mime_type") == b"image/jpeg"
    assert os.getxattr(waiting, "user.iiiffs.id").startswith(b"local-")
    assert os.getxattr(at.files / "Trip", "user.iiiffs.uri").endswith(b"/manifest.json")


def test_setting_what_cannot_be_set_is_still_refused(at: Writable) -> None:
    """An answer of 0 would say that it was kept."""
    for name in ("user.iiiffs.id", "user.iiiffs.uri", "user.mime_type", "user.note"):
        with pytest.raises(OSError, match="not supported") as refused:
            os.setxattr(at.files / "Trip" / "boat.jpg", name, b"x")
        assert refused.value.errno == errno.EOPNOTSUPP
