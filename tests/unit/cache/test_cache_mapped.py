"""What was read of the cache's file does not stay in the daemon's resident memory."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from iiiffs.cache import mapped
from iiiffs.cache.environment import DATA_NAME
from iiiffs.cache.store import open_cache
from iiiffs.model.gallery import AccountName, AssetId, Facts, Version

QUOTA = 64 << 20
PAGE = bytes(range(256)) * 256
HOME = AccountName("home")
FACTS = Facts("image/jpeg", None, error="cut off")
KEYS = [number.to_bytes(4, "big") for number in range(400)]
LOOKS_EVERY = 10
"""So many pictures are less than 1 MB."""
ENTRY_BYTES = 8
IS_PRESENT = 0x80
"""In the last byte of an entry, bit 63 of its little-endian number."""


def resident_bytes(file: Path) -> int:
    """Of the maps of `file` in this process. Rule: proc(5), /proc/pid/pagemap: smaps would have the kernel look at all
    that the process has, for a third of a second late in a run of many tests."""
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(file))]
    found = 0
    with Path("/proc/self/pagemap").open("rb", buffering=0) as pages:
        for first, last in (words[0].split("-") for words in maps):
            pages.seek(int(first, 16) // mmap.PAGESIZE * ENTRY_BYTES)
            entries = pages.read((int(last, 16) - int(first, 16)) // mmap.PAGESIZE * ENTRY_BYTES)
            found += sum(flags & IS_PRESENT > 0 for flags in entries[ENTRY_BYTES - 1 :: ENTRY_BYTES]) * mmap.PAGESIZE
    return found


@pytest.mark.parametrize("between_s", [0.0, 3600.0])
def test_its_pages_are_given_back_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between_s: float
) -> None:
    """After a while, or after so many readings."""
    monkeypatch.setattr(mapped, "BETWEEN_S", between_s)
    monkeypatch.setattr(mapped, "MAPPED_BYTES_MAX", 2 << 20)
    cache = open_cache(tmp_path, QUOTA)
    for key in KEYS:
        cache.renditions.put_nowait(key, b"", "", key + PAGE)
    cache.writer.commit_now()
    most = 0
    for _ in range(2):
        for number, key in enumerate(KEYS):
            assert cache.renditions.get(key) == key + PAGE
            if number % LOOKS_EVERY == 0:
                most = max(most, resident_bytes(tmp_path / DATA_NAME))
    cache.close()
    assert most > 0, "the file is not mapped where it was looked for"
    assert most < 8 << 20, "of 26 MB that were read"


def test_only_the_file_s_own_maps_are_given_back(tmp_path: Path) -> None:
    other = tmp_path / "sub" / DATA_NAME
    other.parent.mkdir()
    for file in (tmp_path / DATA_NAME, other):
        file.write_bytes(bytes(mmap.PAGESIZE))
    with other.open("rb") as held, mmap.mmap(held.fileno(), 0, prot=mmap.PROT_READ):
        assert mapped._ranges_of(tmp_path / DATA_NAME) == []
        assert [length for _, length in mapped._ranges_of(other)] == [mmap.PAGESIZE]


def test_long_transactions_hold_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while rows are read nor while they are written: one look at the memory every USES_MAX rows."""
    monkeypatch.setattr(mapped, "BETWEEN_S", 3600.0)
    monkeypatch.setattr(mapped, "MAPPED_BYTES_MAX", 0)
    looks: list[int] = []
    true_bytes = mapped._file_bytes
    cache = open_cache(tmp_path, QUOTA)
    rows = {(AssetId(f"a{number}"), Version("1")): FACTS for number in range(10 * mapped.USES_MAX)}

    def counted() -> int:
        looks.append(1)
        return true_bytes()

    monkeypatch.setattr(mapped, "_file_bytes", counted)
    cache.catalogue.put_facts(HOME, rows)
    cache.writer.commit_now()
    written = len(looks)
    assert len(cache.catalogue.reading_facts(HOME, rows)()) == len(rows)
    cache.close()
    assert written >= 10
    assert len(looks) - written >= 10
