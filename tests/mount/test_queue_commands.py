"""`iiiffs queue`, `conflicts`, `flush`, `why`, `umount --wait`, `sync` and `.iiiffs/` on a real mount."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iiiffs.cli import app, exit_code_of, flush
from iiiffs.errors import IiiffsError
from tests.harness.mount import Mount, mounted
from tests.harness.scripted import PLUGINS, PROGRAM, Fault, FaultKind, Flavour, Store, scripted_config
from tests.harness.tree import jpeg
from tests.mount.observing import names

RED, BLUE, GREEN = jpeg(colour="red"), jpeg(colour="blue"), jpeg(colour="green")
SETTLE_LONG = 'settle = "10 min"'


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands, which run in this process, know the scripted provider too."""
    monkeypatch.syspath_prepend(str(PLUGINS))


@pytest.fixture
def given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """`flush --wait` hopes for what is in the way for half a second only."""
    monkeypatch.setattr(flush, "OFFLINE_GRACE_S", 0.5)
    monkeypatch.setattr(flush, "HELD_GRACE_S", 0.5)


@contextmanager
def trip(folder: Path, flavour: Flavour = Flavour.IMMICH, *, extra: str = SETTLE_LONG) -> Iterator[tuple[Mount, Store]]:
    """A mounted account with the album Trip, which holds one.jpg."""
    with Store(folder / "server", flavour) as store:
        album = store.make_album("Trip")
        store.put("one.jpg", RED, album.id)
        config = scripted_config(folder, store, extra=extra)
        with mounted(folder, store.path, config=config, program=PROGRAM) as mount:
            yield mount, store


def album_of(mount: Mount) -> Path:
    """The directory of Trip."""
    top = "albums" if (mount.account / "albums").exists() else "files"
    return mount.account / top / "Trip"


def iiiffs(mount: Mount, *arguments: str | Path) -> tuple[int, str, str]:
    """The command's exit code, and what it said on stdout and on stderr."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--config", str(mount.config)])
    if isinstance(result.exception, IiiffsError):
        return exit_code_of(result.exception), result.stdout, f"iiiffs: {result.exception}\n"
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def listed(mount: Mount) -> list[dict[str, object]]:
    """`iiiffs queue list`"""
    code, out, err = iiiffs(mount, "queue", "list", "--json")
    assert code == 0, err
    rows = json.loads(out)
    assert isinstance(rows, list)
    return rows


def bodies(store: Store) -> list[bytes]:
    """All that the server has outside its trash, in no order."""
    return sorted(store.bytes_of(asset.id) for asset in store.assets())


def trashed(store: Store, id: str) -> list[bytes]:
    """The SHA-1 of what can be got back: of what lies in the trash, and of older versions of that asset."""
    return [asset.sha1 for asset in store.trashed()] + store.versions_of(id)


def refuse(store: Store, times: int | None = 1) -> None:
    store.script.add(Fault(FaultKind.REJECTED, "upload", times=times))


@pytest.mark.parametrize("flavour", list(Flavour))
def test_flush_sends_what_was_just_closed(tmp_path: Path, flavour: Flavour) -> None:
    with trip(tmp_path, flavour) as (mount, store):
        (album_of(mount) / "two.jpg").write_bytes(BLUE)
        (row,) = listed(mount)
        place = album_of(mount).relative_to(mount.root)
        assert row["path"] == f"{place}/two.jpg"
        (queue_file,) = (mount.root / ".iiiffs" / "queue").iterdir()
        assert queue_file.name == f"{row['id']}-two.jpg"
        assert stat.S_IMODE(queue_file.stat().st_mode) == 0o400
        assert json.loads(queue_file.read_bytes())["path"] == row["path"]
        assert iiiffs(mount, "flush", "--wait") == (0, "", "")
        assert listed(mount) == []
        assert list((mount.root / ".iiiffs" / "queue").iterdir()) == []
        assert bodies(store) == sorted([RED, BLUE])


def test_what_failed_is_seen_exported_and_retried(tmp_path: Path) -> None:
    with trip(tmp_path) as (mount, store):
        mount.expected.append("failed")
        refuse(store)
        (album_of(mount) / "two.jpg").write_bytes(BLUE)
        code, _, err = iiiffs(mount, "flush", "--wait")
        assert code == 1
        assert err.startswith("iiiffs: pictures/albums/Trip/two.jpg: ")
        (row,) = listed(mount)
        assert row["stage"] == "failed"
        failed = mount.root / ".iiiffs" / "failed"
        name = f"{row['id']}-two.jpg"
        assert sorted(path.name for path in failed.iterdir()) == [name, f"{name}.txt"]
        assert (failed / name).read_bytes() == BLUE
        assert (failed / f"{name}.txt").read_text().splitlines()[0] == row["reason"]
        assert (album_of(mount) / "two.jpg").read_bytes() == BLUE
        code, out, _ = iiiffs(mount, "why", album_of(mount) / "two.jpg")
        assert code == 0
        assert str(row["reason"]) in out
        assert iiiffs(mount, "queue", "export", tmp_path / "out")[0] == 0
        assert (tmp_path / "out" / "two.jpg").read_bytes() == BLUE
        assert iiiffs(mount, "queue", "retry")[0] == 0
        assert iiiffs(mount, "flush", "--wait")[0] == 0
        assert bodies(store) == sorted([RED, BLUE])


def test_why_tells_what_was_refused_at_the_call(tmp_path: Path) -> None:
    with trip(tmp_path) as (mount, _):
        assert iiiffs(mount, "why", album_of(mount) / "one.jpg") == (0, "nothing is known to be wrong there\n", "")
        with pytest.raises(PermissionError):
            (album_of(mount) / "notes.txt").write_text("no picture")
        code, out, err = iiiffs(mount, "why", album_of(mount) / "notes.txt")
        assert (code, err) == (0, "")
        assert out.startswith(f"{album_of(mount)}: ")
        assert "notes.txt" in out or ".txt" in out
        (album_of(mount) / "two.jpg").write_bytes(BLUE)
        own, directory = iiiffs(mount, "why", album_of(mount) / "two.jpg")[1].splitlines()
        assert own.startswith("pictures/albums/Trip/two.jpg: ")
        assert f"{directory}\n" == out


def test_only_a_confirmed_discard_deletes_what_was_never_sent(tmp_path: Path) -> None:
    with trip(tmp_path) as (mount, store):
        (album_of(mount) / "two.jpg").write_bytes(BLUE)
        (row,) = listed(mount)
        payload = tmp_path / "state" / "spool" / str(row["id"])
        assert iiiffs(mount, "queue", "discard", str(row["id"]))[0] == 1
        assert payload.read_bytes() == BLUE
        assert iiiffs(mount, "queue", "discard", "--yes", str(row["id"]))[0] == 0
        assert not payload.exists()
        assert listed(mount) == []
        assert not (album_of(mount) / "two.jpg").exists()
        assert bodies(store) == [RED]


@pytest.mark.usefixtures("given_up_soon")
def test_flush_says_when_it_is_offline(tmp_path: Path) -> None:
    with trip(tmp_path) as (mount, store):
        mount.expected += ["the script says unreachable", "back online"]
        (album_of(mount) / "two.jpg").write_bytes(BLUE)
        number = store.script.offline()
        code, _, err = iiiffs(mount, "flush", "--wait")
        assert code == 2, err
        assert err.startswith("iiiffs: pictures: 1 wait: ")
        store.script.remove(number)
        assert iiiffs(mount, "flush", "--wait")[0] == 0
        assert bodies(store) == sorted([RED, BLUE])


@pytest.mark.parametrize("decision", ["mine", "theirs", "both"])
@pytest.mark.parametrize("flavour", list(Flavour))
def test_a_conflict_is_kept_until_somebody_decides(tmp_path: Path, flavour: Flavour, decision: str) -> None:
    with trip(tmp_path, flavour) as (mount, store):
        mount.expected.append("conflict")
        with (album_of(mount) / "one.jpg").open("r+b") as file:
            file.truncate(0)
            file.write(BLUE)
        (asset,) = store.named("one.jpg")
        store.edit_bytes(asset.id, GREEN)
        assert iiiffs(mount, "flush", "--wait") == (0, "", "")
        assert bodies(store) == sorted([BLUE, GREEN])
        (row,) = json.loads(iiiffs(mount, "conflicts", "list", "--json")[1])
        assert str(row["theirs"]).endswith("/Trip/one.jpg")
        assert (mount.root / str(row["mine"])).read_bytes() == BLUE
        assert iiiffs(mount, "conflicts", decision, str(row["id"])) == (0, "", "")
        assert iiiffs(mount, "conflicts", "list")[1] == "no conflicts\n"
        left = {"mine": [BLUE], "theirs": [GREEN], "both": sorted([BLUE, GREEN])}[decision]
        assert bodies(store) == left
        in_trash = {"mine": GREEN, "theirs": BLUE, "both": None}[decision]
        assert in_trash is None or hashlib.sha1(in_trash).digest() in trashed(store, asset.id)
        store.check()
        wait_until(lambda: sorted(path.read_bytes() for path in album_of(mount).glob("*.jpg")) == left)


@pytest.mark.usefixtures("given_up_soon")
def test_flush_ends_where_files_wait_for_an_album_that_failed(tmp_path: Path) -> None:
    with trip(tmp_path) as (mount, store):
        mount.expected += ["failed", "the script says unreachable", "back online"]
        assert names(mount.account / "albums")
        offline = store.script.offline()
        wait_until(lambda: "script says unreachable" in mount.log)
        new = mount.account / "albums" / "New"
        new.mkdir()
        (new / "two.jpg").write_bytes(BLUE)
        number = store.script.add(Fault(FaultKind.REJECTED, "make_album", times=None))
        store.script.remove(offline)
        code, _, err = iiiffs(mount, "flush", "--wait")
        assert code == 1
        assert "iiiffs: pictures/albums/New: " in err
        store.script.remove(*number)
        assert iiiffs(mount, "queue", "retry")[0] == 0
        assert iiiffs(mount, "flush", "--wait") == (0, "", "")
        assert [asset.name for asset in store.members(store.titled("New").id)] == ["two.jpg"]


def test_umount_waits_for_what_is_to_be_sent(tmp_path: Path) -> None:
    with trip(tmp_path) as (mount, store):
        (album_of(mount) / "two.jpg").write_bytes(BLUE)
        assert iiiffs(mount, "umount", mount.root, "--wait") == (0, "", "")
        assert mount.wait() == 0
        assert bodies(store) == sorted([RED, BLUE])


def test_umount_with_something_unsent_says_so_and_keeps_it(tmp_path: Path) -> None:
    with trip(tmp_path) as (mount, store):
        mount.expected.append("failed")
        refuse(store, None)
        (album_of(mount) / "two.jpg").write_bytes(BLUE)
        code, _, err = iiiffs(mount, "umount", mount.root, "--wait")
        assert (code, mount.wait()) == (1, 0)
        assert "what was not sent is safe" in err
        (payload,) = (tmp_path / "state" / "spool").iterdir()
        assert payload.read_bytes() == BLUE


def test_sync_copies_both_ways_and_then_nothing(tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.mkdir()
    (local / "two.jpg").write_bytes(BLUE)
    os.utime(local / "two.jpg", (1_600_000_000, 1_600_000_000))
    with trip(tmp_path) as (mount, store):
        code, out, err = iiiffs(mount, "sync", local, "pictures/albums/Trip", "--dry-run", "--json")
        assert code == 0, err
        assert json.loads(out)["upload"] == ["two.jpg"]
        assert json.loads(out)["download"] == ["one.jpg"]
        assert not (local / "one.jpg").exists()
        code, out, err = iiiffs(mount, "sync", local, album_of(mount), "--json")
        result = json.loads(out)
        assert (code, result["failed"], result["conflicts"]) == (0, [], []), err
        assert result["succeeded"] == [{"name": "one.jpg", "way": "download"}]
        assert result["pending"] == ["two.jpg"]
        assert (local / "one.jpg").read_bytes() == RED
        assert iiiffs(mount, "flush", "--wait")[0] == 0
        assert bodies(store) == sorted([RED, BLUE])
        (local / "one.jpg").write_bytes(GREEN)
        code, out, _ = iiiffs(mount, "sync", local, album_of(mount), "--json")
        result = json.loads(out)
        assert (code, result["conflicts"], result["unchanged"]) == (1, ["one.jpg"], 1)
        assert (album_of(mount) / "one.jpg").read_bytes() == RED
        assert (local / "one.jpg").read_bytes() == GREEN


def test_a_mount_that_changes_nothing_has_an_empty_queue(tmp_path: Path) -> None:
    with Store(tmp_path / "server") as store:
        store.make_album("Trip")
        config = scripted_config(tmp_path, store, access="read")
        with mounted(tmp_path, store.path, config=config, program=PROGRAM) as mount:
            assert listed(mount) == []
            assert iiiffs(mount, "flush", "--wait") == (0, "", "")
            code, _, err = iiiffs(mount, "queue", "retry")
            assert (code, err) == (1, "iiiffs: this mount changes nothing, and has no queue\n")
            assert names(mount.root / ".iiiffs") == ["metrics", "status.json"]


def test_news_is_told(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with Store(tmp_path / "server") as store:
        album = store.make_album("Trip")
        store.put("one.jpg", RED, album.id)
        config = scripted_config(tmp_path, store, extra=SETTLE_LONG)
        words = json.dumps(["/bin/sh", "-c", 'printf "%s|%s\\n" "$1" "$2" > "$0.new"; mv "$0.new" "$0"', str(told)])
        config.write_text(f"{config.read_text()}[notify]\ncommand = {words}\n")
        with mounted(tmp_path, store.path, config=config, program=PROGRAM) as mount:
            mount.expected.append("failed")
            refuse(store)
            (album_of(mount) / "two.jpg").write_bytes(BLUE)
            assert iiiffs(mount, "flush", "--wait")[0] == 1
            wait_until(told.exists)
            title, _, text = told.read_text().partition("|")
            assert title == "iiiffs: failed"
            assert "two.jpg" in text


def wait_until(holds: Callable[[], bool]) -> None:
    """It holds, soon; a name that goes meanwhile is not there yet."""
    end = time.monotonic() + 10
    while True:
        with suppress(FileNotFoundError):
            if holds():
                return
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.05)
