"""State moves to another host: every id, time and key with it; and what an import refuses."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
import trio

from iiiffs.errors import ConfigError, IiiffsError, StoreCorrupt, StoreError
from iiiffs.model.gallery import AccountName, Facts
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.folder import FolderProvider
from iiiffs.state import State
from iiiffs.state.archive import MAGIC, read_archive, write_archive
from iiiffs.state.transfer import pack
from iiiffs.sync.identity import FOLDER, Row

HOME, WORK = AccountName("home"), AccountName("work")
LATER_NS = 2 * 10**18
"""The clock of the second host: any version that it begins anew shows."""
ROOT = Row("root", "", b"", FOLDER, 1, 2, 0, 3, 3, 3)
TRIP = Row("trip", "root", b"Trip", FOLDER, 1, 3, 0, 3, 3, 3)
BOAT = Row("boat", "trip", b"boat.jpg", "image/jpeg", 1, 4, 10, 5, 6, 7, b"digest", (1, 2), False)

Seen = dict[str, tuple[str, int | None, int, int]]
"""Path -> id, size, shown time, time of the version; of a folder the id alone counts."""


def read_head(stream: BinaryIO, name: str) -> Facts:
    return Facts("text/plain", None, error=name)


def provider_of(state: State, photos: Path, account: AccountName = HOME, now_ns: int = 10**18) -> FolderProvider:
    context = ProviderContext(account, {}, state.ledger(account), read_head)
    return FolderProvider(str(photos), context, now_ns=lambda: now_ns)


def walked(provider: FolderProvider) -> Seen:
    """All that is below the root, every file read once, so that its digest is recorded."""

    async def walk() -> Seen:
        found: Seen = {}
        waiting = [("", (await provider.root()).id)]
        while waiting:
            path, id = waiting.pop()
            listing = await provider.listing(id)
            found[path or "/"] = (id, None, 0, 0)
            for asset in listing.assets:
                await provider.facts(asset)
                found[path + asset.name] = (asset.id, asset.size_bytes, asset.mtime_ns, asset.changed_ns)
            waiting += [(f"{path}{album.title}/", album.id) for album in listing.albums]
        await provider.aclose()
        return found

    return trio.run(walk)


def put(photos: Path, name: str, content: bytes, mtime_s: int) -> Path:
    path = photos / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime_s, mtime_s))
    return path


def record(state: State, *rows: Row, account: AccountName = HOME) -> None:
    trio.run(state.ledger(account).commit, rows)


def rows_in(state: State, folder: str, account: AccountName = HOME) -> list[Row]:
    return sorted(state.ledger(account).rows_in(folder), key=lambda row: row.id)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], State]:
    return lambda name: State.open(tmp_path / name)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """ROOT, TRIP and BOAT of two accounts, with times."""
    state = State.open(tmp_path / "origin")
    for account in (HOME, WORK):
        record(state, ROOT, TRIP, BOAT, account=account)
    trio.run(state.first_seen_ns, "documents", 123)
    trio.run(state.times.put, b"key", b"digest", 456)
    state.export(tmp_path / "export")
    state.close()
    return tmp_path / "export"


@pytest.fixture
def old_host(tmp_path: Path) -> tuple[Path, Seen]:
    """An export of a gallery with a history, beside its photos; and what it showed."""
    photos = tmp_path / "old" / "photos"
    put(photos, "Trip/boat.jpg", b"boat", 1000)
    put(photos, "Trip/pier.jpg", b"pier", 2000)
    put(photos, "Diary/day.jpg", b"day 1", 3000)
    put(photos, "top.jpg", b"top", 4000)
    state = State.open(tmp_path / "old" / "state")
    first = walked(provider_of(state, photos))
    (photos / "Trip" / "boat.jpg").rename(photos / "Diary" / "ship.jpg")
    (photos / "Trip").rename(photos / "Journey")
    put(photos, "top.jpg", b"another top", 4000)
    last = walked(provider_of(state, photos))
    assert last["Diary/ship.jpg"][0] == first["Trip/boat.jpg"][0]
    assert last["Journey/"][0] == first["Trip/"][0]
    assert last["top.jpg"][2] != first["top.jpg"][2], "its shown time cannot be told from the file alone"
    state.export(tmp_path / "export")
    state.close()
    return tmp_path / "export", last


def test_a_copy_elsewhere_has_the_same_ids_and_times(
    tmp_path: Path, old_host: tuple[Path, Seen], opened: Callable[[str], State]
) -> None:
    export, before = old_host
    photos = tmp_path / "new" / "elsewhere"
    shutil.copytree(tmp_path / "old" / "photos", photos)
    alone, state = opened("alone"), opened("new-state")
    without = walked(provider_of(alone, photos, now_ns=LATER_NS))
    assert sum(without[path] != before[path] for path in before) >= 4, "the test needs ids that paths do not give"
    state.import_from(read_archive(export))
    assert walked(provider_of(state, photos, now_ns=LATER_NS)) == before
    assert walked(provider_of(state, photos, now_ns=LATER_NS + 10**9)) == before
    alone.close()
    state.close()


def test_what_changed_on_the_way_keeps_its_id_and_is_a_new_version(
    tmp_path: Path, old_host: tuple[Path, Seen], opened: Callable[[str], State]
) -> None:
    export, before = old_host
    photos = tmp_path / "new" / "photos"
    shutil.copytree(tmp_path / "old" / "photos", photos)
    put(photos, "top.jpg", b"a third top", 5000)
    (photos / "Diary" / "day.jpg").rename(photos / "Journey" / "moved.jpg")
    (photos / "Journey" / "pier.jpg").unlink()
    state = opened("new-state")
    state.import_from(read_archive(export))
    after = walked(provider_of(state, photos, now_ns=LATER_NS))
    assert after["top.jpg"] == (before["top.jpg"][0], 11, 5000 * 10**9, LATER_NS)
    assert after["Journey/moved.jpg"] == before["Diary/day.jpg"]
    state.close()


def test_all_that_was_known_is_known(export: Path, opened: Callable[[str], State]) -> None:
    origin, state = opened("origin"), opened("new")
    assert state.inode_key != origin.inode_key
    taken = state.import_from(read_archive(export))
    assert (taken.added, taken.known) == ({HOME: 3, WORK: 3}, {HOME: 0, WORK: 0})
    assert state.inode_key == origin.inode_key
    for account in (HOME, WORK):
        assert rows_in(state, "root", account) == [replace(TRIP, device=0, inode=0)]
        assert rows_in(state, "trip", account) == [replace(BOAT, device=0, inode=0)]
    assert trio.run(state.first_seen_ns, "documents", 999) == 123
    assert state.times.get(b"key") == (b"digest", 456)
    origin.close()
    state.close()


def test_a_state_with_files_is_left_alone(export: Path, opened: Callable[[str], State]) -> None:
    state = opened("new")
    record(state, ROOT)
    key = state.inode_key
    with pytest.raises(StoreError, match="new is not empty: move that folder away and import again; or `--merge`"):
        state.import_from(read_archive(export))
    assert rows_in(state, "") == [ROOT]
    assert rows_in(state, "root") == []
    assert (state.inode_key, state.times.get(b"key")) == (key, None)
    state.close()


def test_merged_what_is_known_here_stays(export: Path, opened: Callable[[str], State]) -> None:
    state = opened("new")
    ours = [replace(TRIP, id="ours"), replace(BOAT, folder="root", name=b"moved.jpg")]
    record(state, ROOT, *ours)
    trio.run(state.first_seen_ns, "documents", 7)
    trio.run(state.times.put, b"other", b"o", 8)
    key = state.inode_key
    taken = state.import_from(read_archive(export), merge=True)
    assert (taken.added, taken.known) == ({HOME: 0, WORK: 3}, {HOME: 3, WORK: 0})
    assert rows_in(state, "root") == sorted(ours, key=lambda row: row.id)
    assert trio.run(state.first_seen_ns, "documents", 9) == 7
    assert (state.times.get(b"other"), state.times.get(b"key")) == ((b"o", 8), (b"digest", 456))
    assert state.inode_key == key
    state.close()


def test_merged_what_is_below_a_folder_with_another_id_is_below_that_one(
    export: Path, opened: Callable[[str], State]
) -> None:
    state = opened("new")
    record(state, ROOT, replace(TRIP, id="ours"))
    assert state.import_from(read_archive(export), merge=True).added[HOME] == 1
    assert rows_in(state, "ours") == [replace(BOAT, folder="ours", device=0, inode=0)]
    state.close()


def test_an_import_larger_than_the_map(tmp_path: Path) -> None:
    origin = State.open(tmp_path / "origin")
    many = [replace(BOAT, id=f"id-{number}", name=b"%d.jpg" % number) for number in range(2000)]
    record(origin, ROOT, TRIP, *many)
    origin.export(tmp_path / "export")
    origin.close()
    state = State.open(tmp_path / "new", map_bytes=256 << 10)
    assert state.import_from(read_archive(tmp_path / "export")).added == {HOME: 2002}
    assert len(rows_in(state, "trip")) == 2000
    state.close()


def test_the_file_is_private_and_never_replaced(export: Path, opened: Callable[[str], State]) -> None:
    assert stat.S_IMODE(export.stat().st_mode) == 0o600
    before = export.read_bytes()
    state = opened("origin")
    with pytest.raises(ConfigError, match="is there already, and is left as it is"):
        state.export(export)
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        state.export(export.parent / "none" / "export")
    assert export.read_bytes() == before
    state.close()


def test_one_that_cannot_be_filled_is_not_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        write_archive(tmp_path / "export", b"x", [])
    assert not (tmp_path / "export").exists()


def test_an_export_that_nobody_fetched_goes_with_the_next_start(opened: Callable[[str], State], tmp_path: Path) -> None:
    state = opened("state")
    left = trio.run(state.gather)
    pack(left, tmp_path / "export")
    assert read_archive(tmp_path / "export").held.inode_key == state.inode_key
    (tmp_path / "state" / "export-of-an-older-one").write_bytes(b"")
    state.close()
    opened("state").close()
    assert list((tmp_path / "state").glob("export-*")) == []


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


HALF = b"\x07local-1" + (7).to_bytes(8, "big") + b"bytes"
BAD: dict[str, tuple[Callable[[bytes], bytes], type[IiiffsError], str]] = {
    "empty": (lambda data: b"", ConfigError, "is no file of"),
    "another file": (lambda data: b"GIF89a" + data, ConfigError, "is no file of"),
    "magic only": (lambda data: MAGIC, StoreCorrupt, "damaged or cut off"),
    "cut": (lambda data: data[:-1], StoreCorrupt, "damaged or cut off"),
    "longer": (lambda data: data + b"\n", StoreCorrupt, "damaged or cut off"),
    "flipped": (lambda data: flipped(data, len(data) // 2), StoreCorrupt, "damaged or cut off"),
    "digest": (lambda data: flipped(data, len(data) - 1), StoreCorrupt, "damaged or cut off"),
    "newer": (lambda data: signed(MAGIC + b"\0\0\0\3what comes later"), StoreError, r"newer iiiffs \(schema 3"),
    "nonsense": (lambda data: signed(MAGIC + b"\0\0\0\1no zlib"), StoreCorrupt, "cannot be understood"),
    "half a payload": (lambda data: signed(data[:-33] + HALF), StoreCorrupt, "the payload local-1 is not all there"),
}


def signed(told: bytes) -> bytes:
    return told + hashlib.sha256(told).digest()


@pytest.mark.parametrize(("spoil", "error", "text"), BAD.values(), ids=BAD)
def test_what_is_no_whole_export_is_refused_in_one_line(
    export: Path, spoil: Callable[[bytes], bytes], error: type[IiiffsError], text: str
) -> None:
    export.write_bytes(spoil(export.read_bytes()))
    with pytest.raises(error, match=text) as refused:
        read_archive(export)
    assert type(refused.value) is error
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none: cannot be read: No such file or directory"):
        read_archive(tmp_path / "none")
