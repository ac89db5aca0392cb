"""An album of 2,000 files: each told exactly once, however it is read and whatever changes meanwhile."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Set
from pathlib import Path

import pytest

from tests.harness.mount import Mount, mounted
from tests.mount.observing import eventually, names

FILES = 2000
SYNTHETIC = {"index.html"}
SMALL_BYTES = 320
"""Room for some six entries, and for any single one."""

libc = ctypes.CDLL(None, use_errno=True)


def get_dents(descriptor: int, size_bytes: int) -> list[tuple[str, int]]:
    """One getdents64: (name, offset of the next) of each entry; [] at the end. Rule: getdents(2)."""
    buffer = ctypes.create_string_buffer(size_bytes)
    got = libc.getdents64(descriptor, buffer, size_bytes)
    if got < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    told, start, data = [], 0, buffer.raw
    while start < got:
        _, offset, length, _ = struct.unpack_from("=QqHB", data, start)
        name = data[start + 19 : start + length].split(b"\0", 1)[0]
        told.append((os.fsdecode(name), offset))
        start += length
    return told


def read_all(descriptor: int, size_bytes: int, between: Callable[[int], None] = lambda _: None) -> list[str]:
    """All names from the present offset on; `between` runs after every call."""
    told: list[str] = []
    calls = 0
    while entries := get_dents(descriptor, size_bytes):
        told += [name for name, _ in entries]
        calls += 1
        between(calls)
    return told


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Mount]]:
    """Folders of FILES files: `still` is left alone, `busy` changes. No picture: headers are not what is tested."""
    folder = tmp_path_factory.mktemp("large-album")
    for album in ("still", "busy"):
        (folder / "photos" / album).mkdir(parents=True)
        for number in range(FILES):
            (folder / "photos" / album / wanted_name(number)).write_bytes(b"%d" % number)
    with mounted(folder / "mount", folder / "photos") as mount:
        yield folder / "photos", mount


def wanted_name(number: int) -> str:
    """Of the files that stay; their lengths differ."""
    return f"IMG_{number:04}{'x' * (number % 60)}.txt"


WANTED = {wanted_name(number) for number in range(FILES)}


@pytest.fixture
def descriptor(large: tuple[Path, Mount], request: pytest.FixtureRequest) -> Iterator[int]:
    """The album that the test's name ends with, open."""
    album = "busy" if "busy" in request.node.name else "still"
    opened = os.open(large[1].files / album, os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


def once_each(told: list[str], also: Set[str] = frozenset()) -> None:
    """Every file that stays exactly once; nothing twice; of others only `also`."""
    counts = Counter(told)
    assert [name for name, count in counts.items() if count > 1] == []
    assert counts.keys() >= WANTED
    assert set(counts) - WANTED - SYNTHETIC - {".", ".."} <= also


def test_scandir(large: tuple[Path, Mount]) -> None:
    told = names(large[1].files / "still")
    assert set(told) - WANTED == SYNTHETIC
    once_each(told)


def test_ls(large: tuple[Path, Mount]) -> None:
    done = subprocess.run(["ls", "-f", large[1].files / "still"], check=True, capture_output=True, text=True)
    once_each(done.stdout.split())


@pytest.mark.parametrize("size_bytes", [SMALL_BYTES, 1000, 4096, 1 << 16])
def test_getdents_with_any_buffer(descriptor: int, size_bytes: int) -> None:
    once_each(read_all(descriptor, size_bytes))


def test_a_handle_goes_on_where_it_was_told_to(descriptor: int) -> None:
    told: list[str] = []
    offsets: list[int] = []
    while entries := get_dents(descriptor, 2000):
        told += [name for name, _ in entries]
        offsets += [offset for _, offset in entries]
    for index in (1500, 3, 0, 1999, 777, len(told) - 2):
        os.lseek(descriptor, offsets[index], os.SEEK_SET)
        resumed = get_dents(descriptor, SMALL_BYTES)
        assert [name for name, _ in resumed] == told[index + 1 : index + 1 + len(resumed)]
        assert resumed
    os.lseek(descriptor, offsets[-1], os.SEEK_SET)
    assert get_dents(descriptor, SMALL_BYTES) == []


def test_files_come_and_go_while_it_is_read_busy(large: tuple[Path, Mount], descriptor: int) -> None:
    busy = large[0] / "busy"
    added = {f"ADDED_{number:03}.txt" for number in range(60)}

    def change(calls: int) -> None:
        if calls % 10 == 0 and calls // 10 <= len(added):
            name = f"ADDED_{calls // 10 - 1:03}.txt"
            (busy / name).write_text("new")
            if calls % 20 == 0:
                (busy / name).unlink()
            assert len(names(large[1].files / "busy")) >= FILES  # others list it meanwhile

    once_each(read_all(descriptor, SMALL_BYTES, change), also=added)


def test_rewinding_sees_what_is_new_busy(large: tuple[Path, Mount], descriptor: int) -> None:
    once_each(read_all(descriptor, 4096), also={f"ADDED_{number:03}.txt" for number in range(60)})
    (large[0] / "busy" / "AFTERWARDS.txt").write_text("new")

    def again() -> list[str]:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return read_all(descriptor, 4096)

    told = eventually(again, lambda listed: "AFTERWARDS.txt" in listed)
    assert told.count("AFTERWARDS.txt") == 1
    (large[0] / "busy" / "AFTERWARDS.txt").unlink()
    eventually(again, lambda listed: "AFTERWARDS.txt" not in listed)


def test_every_name_is_found_and_reads(large: tuple[Path, Mount]) -> None:
    for number in range(0, FILES, 97):
        assert (large[1].files / "still" / wanted_name(number)).read_bytes() == b"%d" % number
