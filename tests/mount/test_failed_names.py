"""What a server refused late goes on under its name through a kernel, and ends by `iiiffs queue` (DESIGN §4.6)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness.scripted import PLUGINS, Fault, FaultKind, Flavour
from tests.mount.observing import eventually, names
from tests.mount.test_queue_commands import BLUE, RED, album_of, iiiffs, listed, trip

SOON = 'settle = "0.3 s"'


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands, which run in this process, know the scripted provider too."""
    monkeypatch.syspath_prepend(str(PLUGINS))


def state_of(path: Path) -> str:
    return os.getxattr(path, "user.iiiffs.state").decode()


def test_a_link_that_is_refused(tmp_path: Path) -> None:
    with trip(tmp_path, extra=SOON) as (mount, store):
        mount.expected += ["failed"]
        other = album_of(mount).with_name("Other")
        other.mkdir()
        store.script.add(Fault(FaultKind.ITEMS, "add"))
        (other / "one.jpg").hardlink_to(album_of(mount) / "one.jpg")
        assert state_of(other / "one.jpg") == "remote"
        eventually(lambda: state_of(other / "one.jpg"), lambda state: state == "failed", 20.0)
        assert names(other).count("one.jpg") == 1
        assert (other / "one.jpg").read_bytes() == RED
        assert state_of(album_of(mount) / "one.jpg") == "remote"
        (row,) = listed(mount)
        assert (row["path"], row["stage"]) == ("pictures/albums/Other/one.jpg", "failed")
        said = os.getxattr(other / "one.jpg", "user.iiiffs.error").decode()
        assert str(row["reason"]) in said
        assert f"iiiffs queue retry {row['id']}" in said
        assert "failed" in iiiffs(mount, "why", other / "one.jpg")[1]
        with pytest.raises(PermissionError):
            (other / "one.jpg").write_bytes(BLUE)
        store.script.clear()
        assert iiiffs(mount, "queue", "retry", str(row["id"]))[0] == 0
        eventually(lambda: state_of(other / "one.jpg"), lambda state: state == "remote", 20.0)
        eventually(
            lambda: [asset.name for asset in store.members(store.titled("Other").id)], lambda held: held == ["one.jpg"]
        )


@pytest.mark.parametrize("flavour", Flavour)
def test_an_album_that_is_deleted_while_files_wait_for_it(flavour: Flavour, tmp_path: Path) -> None:
    with trip(tmp_path, flavour, extra='settle = "3 s"') as (mount, store):
        mount.expected += ["failed"]
        album = album_of(mount)
        (album / "two.jpg").write_bytes(BLUE)
        store.remove_album(store.titled("Trip").id)
        eventually(lambda: state_of(album / "two.jpg"), lambda state: state == "failed", 20.0)
        assert (album / "two.jpg").read_bytes() == BLUE
        assert state_of(album) == "failed"
        assert "Trip" in names(album.parent)
        assert {row["stage"] for row in listed(mount)} == {"failed"}
        failed = mount.root / ".iiiffs" / "failed"
        assert [path.read_bytes() for path in failed.iterdir() if path.name.endswith("two.jpg")] == [BLUE]
        assert iiiffs(mount, "queue", "retry")[0] == 0
        eventually(lambda: listed(mount), lambda rows: not rows, 20.0)
        assert [asset.name for asset in store.members(store.titled("Trip").id)] == ["two.jpg"]
        assert (album / "two.jpg").read_bytes() == BLUE
