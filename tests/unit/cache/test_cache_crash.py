"""Killed at any moment: what was committed is there, and every byte that is read is right."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from iiiffs.cache.entries import digest_of
from iiiffs.cache.environment import DATA_NAME
from iiiffs.cache.store import open_cache
from iiiffs.cache.structure import check_structure

WRITER = """
import pathlib, random, sys
import trio
from iiiffs.cache.entries import digest_of
from iiiffs.cache.store import open_cache

async def main(path, quota, first):
    cache = open_cache(pathlib.Path(path), quota)
    async with trio.open_nursery() as nursery:
        await nursery.start(cache.writer.run)
        n = first
        while True:
            for _ in range(10):
                data = random.Random(n).randbytes(n * 7919 % 50_000)
                await cache.renditions.put(digest_of(b"%d" % n), b"group", str(n), data)
                n += 1
            cache.renditions.delete(digest_of(b"%d" % (n - 3)))
            print("put", n, flush=True)
            if n % 40 == 0:
                await cache.writer.flush()
                print("flushed", n, flush=True)

trio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
"""


def killed_writer(path: Path, quota_bytes: int, first: int, lines: int) -> int:
    """A writer was killed after so many of its lines; the number below which all is committed."""
    command = [sys.executable, "-c", WRITER, str(path), str(quota_bytes), str(first)]
    flushed = first
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(lines):
            word, number = child.stdout.readline().split()
            flushed = int(number) if word == "flushed" else flushed
        child.send_signal(signal.SIGKILL)
        for line in child.stdout:
            word, _, number = line.partition(" ")
            flushed = int(number) if word == "flushed" and number.endswith("\n") else flushed
        child.wait()
        assert child.returncode == -signal.SIGKILL
    return flushed


@pytest.mark.parametrize("quota_bytes", [64 * 1024 * 1024, 2 * 1024 * 1024], ids=["ample", "evicting"])
def test_killed_at_random_moments(quota_bytes: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = random.Random(quota_bytes)
    first = 0
    for _ in range(6):
        flushed = killed_writer(tmp_path, quota_bytes, first, source.randrange(1, 60))
        check_structure(tmp_path / DATA_NAME)
        cache = open_cache(tmp_path, quota_bytes)
        there = set()
        for label, size, digest in cache.renditions.labels(b"group"):
            expected = random.Random(int(label)).randbytes(int(label) * 7919 % 50_000)
            assert (size, digest) == (len(expected), digest_of(expected))
            assert cache.renditions.get(digest_of(label.encode())) == expected
            there.add(int(label))
        assert cache.renditions.stats().used_bytes <= quota_bytes
        assert cache.renditions.stats().entries == len(there)
        assert cache.renditions.stats().corrupt == 0
        if quota_bytes > 32 * 1024 * 1024:
            assert there >= {n for n in range(first, flushed) if n % 10 != 7}
        first = max(there, default=first - 1) + 1
        first += -first % 40
        cache.close()
    assert first > 40
    assert not caplog.records


FULL_DISK = """
import pathlib, random, resource, sys
from iiiffs.cache.store import open_cache

cache = open_cache(pathlib.Path(sys.argv[1]), 64 << 20)
resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
found = 0
for n in range(150):
    data = random.Random(n).randbytes(50_000)
    cache.renditions.put_nowait(b"%d" % n, b"group", str(n), data)
    if n % 5 == 4:
        cache.writer.commit_now()
        kept = cache.renditions.get(b"%d" % n)
        assert kept in (None, data)
        found += kept is not None
stats = cache.stats()
print(stats.file_bytes, stats.writer.evicted + stats.writer.dropped, found)
cache.close()
"""


def test_a_disk_without_room_evicts_and_goes_on(tmp_path: Path) -> None:
    """The limit on the length of a file stands for the disk: both come as an errno out of LMDB's write."""
    told = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    file_bytes, gone, found = (int(number) for number in told.stdout.split())
    assert file_bytes <= 3 * 1024 * 1024
    assert gone > 80
    assert found > 20
    assert told.stderr == ""
    check_structure(tmp_path / DATA_NAME)
