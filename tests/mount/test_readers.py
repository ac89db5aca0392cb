"""Readers that trust st_size (mmap, sendfile) get every byte while others list the same folders."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.mount import Mount
from tests.mount.observing import drop_kernel_caches

READ_S = 1.5
RENDITION = "iiif/a.jpg/full/600,/0/default.png"


def by_mmap(path: Path) -> bytes:
    """The whole file through a shared mapping."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        return mapped[:]


def by_sendfile(path: Path) -> bytes:
    """The whole file as a web server sends it: as many bytes as fstat told, by sendfile."""
    ours, theirs = socket.socketpair()
    received = bytearray()

    def receive() -> None:
        while chunk := theirs.recv(1 << 20):
            received.extend(chunk)

    thread = threading.Thread(target=receive)
    thread.start()
    with ours, path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        while left:
            sent = os.sendfile(ours.fileno(), file.fileno(), None, left)
            assert sent, f"{path}: the file ended {left} bytes before its size"
            left -= sent
        ours.shutdown(socket.SHUT_WR)
        thread.join()
    theirs.close()
    return bytes(received)


@contextmanager
def listing_in_a_loop(root: Path) -> Iterator[None]:
    """Inside, `ls -lR` runs over `root` again and again, and always ends well."""
    command = ["bash", "-c", f"while [ -d /proc/{os.getpid()} ]; do ls -lRa {root} >/dev/null || exit 1; done"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        yield
        assert process.poll() is None
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert errors == b""


@pytest.mark.parametrize("read", [by_mmap, by_sendfile], ids=lambda read: read.__name__)
def test_exact_bytes_beside_listings(sample: Mount, sample_photos: Path, read: Callable[[Path], bytes]) -> None:
    wanted = {
        sample.files / "film.bin": (sample_photos / "film.bin").read_bytes(),
        sample.files / "a.jpg": (sample_photos / "a.jpg").read_bytes(),
    }
    for path in (sample.files / "manifest.json", sample.files / RENDITION, sample.files / "index.html"):
        wanted[path] = path.read_bytes()
    with listing_in_a_loop(sample.account):
        end, rounds = time.monotonic() + READ_S, 0
        while time.monotonic() < end or rounds < 3:
            drop_kernel_caches()
            for path, data in wanted.items():
                assert read(path) == data, path
            rounds += 1
