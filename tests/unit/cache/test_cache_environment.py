"""Opened, locked, thrown away when damaged: and never a wrong byte from a damaged file."""

import os
import random
import stat
import struct
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from iiiffs.cache.entries import digest_of
from iiiffs.cache.environment import CLEAN_NAME, DATA_NAME, documents_quota, map_bytes_for
from iiiffs.cache.store import open_cache
from iiiffs.cache.structure import check_structure
from iiiffs.errors import ConfigError, StoreCorrupt, StoreLocked
from iiiffs.model.gallery import AccountName, AssetId, Facts, Version
from iiiffs.model.image import Extent

MIB = 1024 * 1024
QUOTA = 8 * MIB
HOME = AccountName("home")
SOURCE = random.Random(7)
VALUES = {digest_of(b"%d" % n): SOURCE.randbytes(n * 700) for n in range(30)}
FACTS = {(AssetId(f"asset-{n}"), Version("v1")): Facts("image/jpeg", Extent(n + 1, n + 2)) for n in range(200)}


def filled(path: Path) -> Path:
    """A closed cache with VALUES and FACTS; its data file."""
    cache = open_cache(path, QUOTA)
    for key, value in VALUES.items():
        cache.renditions.put_nowait(key, b"group", key.hex(), value)
        cache.writer.commit_now()  # many commits, so that there is a list of free pages
    cache.catalogue.put_facts(HOME, FACTS)
    cache.close()
    return path / DATA_NAME


def intact(path: Path) -> tuple[int, int]:
    """How many values and facts are there; each of them is checked to be right."""
    cache = open_cache(path, QUOTA)
    try:
        found = {key: value for key in VALUES if (value := cache.renditions.get(key)) is not None}
        assert found == {key: VALUES[key] for key in found}
        facts = cache.catalogue.facts_of(HOME, FACTS)
        assert facts == {place: FACTS[place] for place in facts}
        return len(found), len(facts)
    finally:
        cache.close()


def test_folder_and_files_are_the_owner_s_alone(tmp_path: Path) -> None:
    old_mask = os.umask(0)
    try:
        filled(tmp_path / "a" / "b")
    finally:
        os.umask(old_mask)
    folder = tmp_path / "a" / "b"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_map_has_head_room_for_what_it_says() -> None:
    for quota in (MIB, 20 * 1024 * MIB):
        assert map_bytes_for(quota) >= quota * 5 // 4 + documents_quota(quota) + 320 * MIB
    assert documents_quota(1) == 64 * MIB
    assert documents_quota(1 << 40) == 512 * MIB


def test_everything_is_there_after_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path)
    assert intact(tmp_path) == (len(VALUES), len(FACTS))
    assert not caplog.records


def test_a_second_process_is_refused_with_the_first_one_s_id(tmp_path: Path) -> None:
    cache = open_cache(tmp_path, QUOTA)
    code = (
        "import sys, pathlib\nfrom iiiffs.cache.store import open_cache\nfrom iiiffs.errors import StoreLocked\n"
        "try: open_cache(pathlib.Path(sys.argv[1]), 1 << 20)\nexcept StoreLocked as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert f"process {os.getpid()};" in said.stdout
    assert said.stdout.count("\n") == 1
    with pytest.raises(StoreLocked):
        open_cache(tmp_path, QUOTA)
    cache.close()
    open_cache(tmp_path, QUOTA).close()


def test_a_folder_that_cannot_be_made_is_the_configuration_s_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        open_cache(tmp_path / "file" / "cache", QUOTA)


def garbage(data: Path) -> None:
    data.write_bytes(random.Random(1).randbytes(data.stat().st_size))


def half(data: Path) -> None:
    os.truncate(data, data.stat().st_size // 2)


def stub(data: Path) -> None:
    os.truncate(data, 100)


def empty(data: Path) -> None:
    os.truncate(data, 0)


def zeros(data: Path) -> None:
    data.write_bytes(bytes(data.stat().st_size))


def grown(data: Path) -> None:
    os.truncate(data, map_bytes_for(QUOTA) + 4096)


def other_schema(data: Path) -> None:
    with lmdb.open(str(data.parent), max_dbs=20, map_size=64 * MIB) as env, env.begin(write=True) as transaction:
        transaction.put(b"schema", b"iiiffs cache 0", db=env.open_db(b"meta", txn=transaction))


def other_program(data: Path) -> None:
    data.unlink()
    with lmdb.open(str(data.parent), max_dbs=20, map_size=64 * MIB) as env, env.begin(write=True) as transaction:
        transaction.put(b"hello", b"world")


@pytest.mark.warns("starting with an empty one")
@pytest.mark.parametrize("damage", [garbage, half, stub, empty, zeros, grown, other_schema, other_program])
def test_a_useless_file_is_thrown_away_with_one_warning(
    damage: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(filled(tmp_path))  # type: ignore[operator]
    assert intact(tmp_path) == (0, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "\n" not in caplog.records[0].getMessage()
    filled(tmp_path)
    assert intact(tmp_path) == (len(VALUES), len(FACTS))


@pytest.mark.warns("starting with an empty one")
@pytest.mark.parametrize("kind", ["zeros", "garbage"])
def test_any_page_may_be_overwritten_and_nothing_wrong_is_read(kind: str, tmp_path: Path) -> None:
    whole = filled(tmp_path).read_bytes()
    source = random.Random(3)
    thrown_away = 0
    for page in range(2, len(whole) // 4096, 3 if kind == "zeros" else 2):
        filler = bytes(4096) if kind == "zeros" else source.randbytes(4096)
        (tmp_path / DATA_NAME).write_bytes(whole[: page * 4096] + filler + whole[(page + 1) * 4096 :])
        thrown_away += intact(tmp_path) == (0, 0)
    assert 0 < thrown_away < len(whole) // 4096 // 2  # trees were hit, and values


def test_the_structure_of_a_whole_file_is_found_whole(tmp_path: Path) -> None:
    data = filled(tmp_path)
    check_structure(data)
    os.truncate(data, data.stat().st_size // 3)
    with pytest.raises(StoreCorrupt):
        check_structure(data)


def test_a_page_that_is_both_free_and_used_is_found(tmp_path: Path) -> None:
    """LMDB would write over it. Offsets: MDB_meta (its two MDB_db, root last), MDB_node, mdb.c."""
    data = filled(tmp_path)
    content = bytearray(data.read_bytes())
    meta = max((0, 4096), key=lambda at: int(struct.unpack_from("=Q", content, at + 144)[0]))
    free_root, main_root = (struct.unpack_from("=Q", content, meta + at)[0] for at in (80, 128))
    page = free_root * 4096
    node = page + struct.unpack_from("=H", content, page + 16)[0]
    _, _, flags, key_bytes = struct.unpack_from("=HHHH", content, node)
    assert flags == 0
    assert struct.unpack_from("=Q", content, node + 8 + key_bytes)[0] > 0
    struct.pack_into("=Q", content, node + 16 + key_bytes, main_root)
    data.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="used twice"):
        check_structure(data)


def test_a_file_that_was_not_closed_is_checked_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path)
    (tmp_path / CLEAN_NAME).unlink()
    assert intact(tmp_path) == (len(VALUES), len(FACTS))
    assert not caplog.records


@pytest.mark.warns("starting with an empty one")
def test_a_condemned_file_is_absent_then_rebuilt_by_the_writer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path)
    cache = open_cache(tmp_path, QUOTA)
    key, value = next(iter(VALUES.items()))
    cache.environment.condemned = "a reader met damage"
    assert cache.renditions.get(key) is None
    assert cache.catalogue.facts_of(HOME, FACTS) == {}
    assert cache.stats().renditions.entries == 0
    cache.renditions.put_nowait(key, b"", "", value)
    cache.writer.commit_now()
    assert cache.writer.stats.rebuilt == 1
    assert cache.renditions.get(key) == value
    cache.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert intact(tmp_path) == (1, 0)


def test_closing_twice_does_nothing_and_reading_after_it_is_a_mistake(tmp_path: Path) -> None:
    cache = open_cache(tmp_path, QUOTA)
    cache.close()
    cache.close()
    with pytest.raises(ValueError, match="closed"):
        cache.renditions.get(b"key")
