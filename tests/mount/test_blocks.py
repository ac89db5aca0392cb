"""Originals that are not local, through a real mount: exact, fetched once, kept, and had without a network."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iiiffs.cache.store import open_cache
from iiiffs.fuse.session import READ_AHEAD_KIB
from tests.harness.block_damage import damage_block
from tests.harness.mount import Mount
from tests.mount.afar import Network, mounted_afar
from tests.mount.observing import drop_kernel_caches, errno_of, eventually, names
from tests.mount.pictures import picture

MIB = 1 << 20
STEP = 128 << 10
FILM = random.Random(1).randbytes(21 * MIB + 333)
SMALL_CACHE = "16 MiB"
TURNS_MAX = 20


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    picture(folder / "a.jpg", 1, (640, 480))
    for name in ("film.bin", "other.bin"):
        (folder / name).write_bytes(FILM)
    return folder


@pytest.fixture
def afar(tmp_path: Path, photos: Path) -> Iterator[tuple[Mount, Network]]:
    with mounted_afar(tmp_path, photos) as made:
        yield made


def _used_bytes(mount: Mount) -> int:
    cache: Any = mount.status()["cache"]
    return int(cache["blocks"]["used_bytes"])


def drop_pages() -> None:
    """Clean pages are gone, names stay."""
    Path("/proc/sys/vm/drop_caches").write_text("1")


def test_a_sequential_read_is_the_file_and_fetched_once(afar: tuple[Mount, Network]) -> None:
    mount, network = afar
    assert (mount.files / "film.bin").read_bytes() == FILM
    asked = network.asked("film.bin")
    assert sum(length for _, length in asked) == len(FILM)
    assert len(asked) < 16
    drop_kernel_caches()
    assert (mount.files / "film.bin").read_bytes() == FILM
    assert network.asked("film.bin") == asked


def test_pictures_are_rendered_from_blocks_and_listings_fetch_headers_only(afar: tuple[Mount, Network]) -> None:
    mount, network = afar
    names(mount.files)
    assert (mount.files / "iiif" / "a.jpg" / "full" / "90," / "0" / "default.jpg").stat().st_size > 0
    assert len(network.asked("a.jpg")) == 1
    assert network.asked("film.bin") == []


def test_random_reads_by_many_are_exact_though_the_cache_holds_a_third(tmp_path: Path, photos: Path) -> None:
    with mounted_afar(tmp_path, photos, cache_size=SMALL_CACHE) as (mount, network):
        failures: list[str] = []

        def read(seed: int, name: str) -> None:
            dice = random.Random(seed)
            with (mount.files / name).open("rb", buffering=0) as file:
                for _ in range(60):
                    offset, length = dice.randrange(len(FILM)), dice.choice((1, 4096, 64 << 10, MIB))
                    data = os.pread(file.fileno(), length, offset)
                    if data != FILM[offset : offset + length]:
                        failures.append(f"{name} {offset} {length}: {len(data)} bytes")
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

        def fetched() -> int:
            return sum(length for name in ("film.bin", "other.bin") for _, length in network.asked(name))

        for turn in range(TURNS_MAX):  # what is too much goes after a commit, which may be after a whole turn
            readers = [
                threading.Thread(target=read, args=(4 * turn + n, ("film.bin", "other.bin")[n % 2])) for n in range(4)
            ]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            assert not failures
            if fetched() > 2 * len(FILM):
                break
        assert fetched() > 2 * len(FILM), "nothing was evicted"
        eventually(lambda: _used_bytes(mount), lambda used_bytes: used_bytes <= 16 * MIB)
        assert mount.gauge("kernel", "bugs") == 0


def test_two_readers_one_download(afar: tuple[Mount, Network]) -> None:
    mount, network = afar
    network.slow(0.1)
    film = mount.files / "film.bin"
    readers = [subprocess.Popen(["sha1sum", film], stdout=subprocess.PIPE) for _ in range(2)]
    said = [reader.communicate(timeout=60)[0] for reader in readers]
    assert said[0] == said[1]
    assert said[0].split()[0] == subprocess.check_output(["sha1sum"], input=FILM).split()[0]
    assert sum(length for _, length in network.asked("film.bin")) == len(FILM)


def test_a_download_outlives_its_reader(afar: tuple[Mount, Network]) -> None:
    mount, network = afar
    network.slow(1.5)
    film = mount.files / "film.bin"
    reader = subprocess.Popen(
        ["dd", f"if={film}", "of=/dev/null", "bs=64k", "skip=80", "count=1"], stderr=subprocess.PIPE
    )
    eventually(lambda: network.asked("film.bin"), deadline_s=10)
    reader.kill()
    reader.communicate(timeout=10)
    eventually(lambda: mount.gauge("kernel", "handles"), lambda count: count == 0)
    asked = network.asked("film.bin")
    with film.open("rb", buffering=0) as file:
        assert os.pread(file.fileno(), 64 << 10, 5 * MIB) == FILM[5 * MIB : 5 * MIB + (64 << 10)]
        assert network.asked("film.bin") == asked


def test_a_damaged_block_is_fetched_again(tmp_path: Path, photos: Path) -> None:
    with mounted_afar(tmp_path, photos) as (mount, _):
        assert (mount.files / "film.bin").read_bytes() == FILM
        eventually(lambda: mount.gauge("blocks", "in_flight_bytes"), lambda held: held == 0)
    damage_block(tmp_path / "cache", FILM[9 * MIB : 9 * MIB + 64], 12_345)
    with mounted_afar(tmp_path, photos) as (mount, network):
        before = len(network.asked("film.bin"))
        assert (mount.files / "film.bin").read_bytes() == FILM
        assert network.asked("film.bin")[before:] == [(9 * MIB, MIB)]
    cache = open_cache(tmp_path / "cache", 1 << 30)
    assert cache.stats().blocks.corrupt == 0
    cache.close()


def test_what_is_kept_is_read_without_a_network_and_the_rest_fails_in_time(afar: tuple[Mount, Network]) -> None:
    mount, network = afar
    with (mount.files / "film.bin").open("rb", buffering=0) as kept, (mount.files / "other.bin").open("rb") as other:
        assert kept.read(4 * MIB) == FILM[: 4 * MIB]
        eventually(lambda: mount.gauge("blocks", "in_flight_bytes"), lambda held: held == 0)
        with network.down():
            drop_pages()
            assert os.pread(kept.fileno(), 4 * MIB, 0) == FILM[: 4 * MIB]
            assert errno_of(lambda: os.pread(other.fileno(), 10, 0)) == errno.EIO
        assert os.pread(other.fileno(), 10, 0) == FILM[:10]


def test_wrong_bytes_do_not_stay_in_the_kernel(tmp_path: Path, photos: Path) -> None:
    """What was read before the end is in its page cache, where the next open would find it without asking us."""
    (tmp_path / "afar" / "sums").mkdir(parents=True)
    (tmp_path / "afar" / "sums" / "film.bin").write_bytes(hashlib.sha1(FILM).digest())
    with mounted_afar(tmp_path, photos) as (mount, network):
        mount.expected.append("its bytes are wrong")
        film = mount.files / "film.bin"
        network.lie("film.bin")
        with film.open("rb", buffering=0) as file:
            assert os.pread(file.fileno(), STEP, 0)[1:] == FILM[1:STEP]
            assert os.pread(file.fileno(), 1, 0) != FILM[:1]
            read = errno_of(lambda: [os.pread(file.fileno(), MIB, offset) for offset in range(0, len(FILM), MIB)])
            assert read == errno.EIO
        eventually(film.read_bytes, lambda data: data == FILM)
        assert mount.gauge("blocks", "wrong") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="the kernel lets root alone say so")
def test_the_kernel_reads_ahead_in_large_requests_and_headers_cost_one_block(afar: tuple[Mount, Network]) -> None:
    mount, network = afar
    device = (mount.files / "film.bin").stat().st_dev
    limit = Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
    with (mount.files / "film.bin").open("rb", buffering=0) as film:
        assert int(limit.read_text()) == READ_AHEAD_KIB
        assert film.read(8 << 10) == FILM[: 8 << 10]
        assert film.read(8 << 10) == FILM[8 << 10 : 16 << 10]
    assert network.asked("film.bin") == [(0, STEP)]
