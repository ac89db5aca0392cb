"""The spool: private, complete, and never emptied by anybody but its owner."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iiiffs.errors import ConfigError, StoreError, StoreFull
from iiiffs.state import State
from iiiffs.state import spool as spools
from iiiffs.state.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", 0)


def write(spool: Spool, id: str, data: bytes) -> None:
    descriptor = spool.create(id)
    try:
        os.pwrite(descriptor, data, 0)
        spool.sync(descriptor, is_new=True)
    finally:
        os.close(descriptor)


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir(mode=0o755)
    umask = os.umask(0)
    try:
        spool = Spool(tmp_path / "spool", 0)
        write(spool, "local-1", b"x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    assert stat.S_IMODE(spool.path("local-1").stat().st_mode) == 0o600


def test_a_payload_is_read_and_changed_in_place(spool: Spool) -> None:
    write(spool, "local-1", b"hello")
    reader = spool.open("local-1", write=False)
    writer = spool.open("local-1", write=True)
    os.pwrite(writer, b"J", 0)
    assert os.pread(reader, 9, 0) == b"Jello"
    with pytest.raises(OSError, match="Bad file"):
        os.pwrite(reader, b"x", 0)
    os.close(reader)
    os.close(writer)


def test_a_payload_is_never_made_anew_over_another(spool: Spool) -> None:
    write(spool, "local-1", b"hello")
    with pytest.raises(StoreError, match="exists"):
        spool.create("local-1")
    assert spool.path("local-1").read_bytes() == b"hello"


def test_a_missing_payload_is_an_error_and_removing_it_is_none(spool: Spool) -> None:
    with pytest.raises(StoreError):
        spool.open("local-1", write=True)
    spool.remove("local-1")
    write(spool, "local-1", b"x")
    spool.remove("local-1")
    assert not spool.path("local-1").exists()


@pytest.mark.parametrize("id", ["", "..", "../x", "a/b", "A", "a.b", "-a", "a" * 65, "a\n"])
def test_only_an_id_names_a_payload(spool: Spool, id: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        spool.path(id)


def test_a_link_in_the_place_of_a_payload_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"private")
    spool.path("local-1").symlink_to(tmp_path / "target")
    with pytest.raises(StoreError):
        spool.open("local-1", write=True)
    assert spool.sizes() == {}


def test_a_start_removes_nothing_and_tells_what_nobody_knows(spool: Spool, tmp_path: Path) -> None:
    for id, data in (("local-1", b"1"), ("local-2", b"22"), ("local-3", b"")):
        write(spool, id, data)
    (tmp_path / "spool" / "lost+found").mkdir()
    for name in ("Notes.txt", "By hand.part"):
        (tmp_path / "spool" / name).write_text("by hand")
    before = sorted((tmp_path / "spool").iterdir())
    again = Spool(tmp_path / "spool", 0)
    assert again.sizes() == {"local-1": 1, "local-2": 2, "local-3": 0}
    assert sorted((tmp_path / "spool").iterdir()) == before


def test_a_payload_is_put_whole_or_not_at_all(spool: Spool, tmp_path: Path) -> None:
    def cut_off() -> Iterator[bytes]:
        yield b"begun"
        raise StoreError("the archive became shorter")

    spool.put("local-1", [b"one ", b"two"])
    assert spool.path("local-1").read_bytes() == b"one two"
    assert stat.S_IMODE(spool.path("local-1").stat().st_mode) == 0o600
    with pytest.raises(StoreError, match="is there already"):
        spool.put("local-1", [b"other"])
    with pytest.raises(StoreError, match="became shorter"):
        spool.put("local-2", cut_off())
    assert sorted(path.name for path in (tmp_path / "spool").iterdir()) == ["local-1"]
    assert spool.path("local-1").read_bytes() == b"one two"
    (tmp_path / "spool" / "local-3.part").write_bytes(b"of a process that was killed")
    assert Spool(tmp_path / "spool", 0).sizes() == {"local-1": 7}
    assert sorted(path.name for path in (tmp_path / "spool").iterdir()) == ["local-1"]


def test_room_is_what_the_disk_has_less_what_is_kept_free(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 1 << 20)
    free_bytes = spool.free_bytes()
    assert free_bytes > 1 << 30, "this test needs a disk with some room"
    spool.room(0)
    spool.room(free_bytes // 2)
    for too_much in (free_bytes * 2, free_bytes + (1 << 40)):
        with pytest.raises(StoreFull, match="min_free"):
            spool.room(too_much)
    with pytest.raises(StoreFull):
        Spool(tmp_path / "spool", free_bytes * 2).room(0)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    with pytest.raises(ConfigError, match="not a folder"):
        Spool(tmp_path / "spool")


def test_the_state_has_one(tmp_path: Path) -> None:
    state = State.open(tmp_path / "state", min_free_bytes=0)
    write(state.spool, "local-1", b"x")
    assert (tmp_path / "state" / "spool" / "local-1").read_bytes() == b"x"
    state.close()


# ---- out of it ----------------------------------------------------------------------------------------------------


def test_a_copy_is_whole_private_and_has_its_time(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "CHUNK_BYTES", 3)
    write(spool, "local-1", b"0123456789")
    spool.copy_out("local-1", tmp_path / "out.jpg", 1_500_000_000_123_456_789)
    found = (tmp_path / "out.jpg").stat()
    assert (tmp_path / "out.jpg").read_bytes() == b"0123456789"
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_mtime_ns == 1_500_000_000_123_456_789
    assert spool.sizes() == {"local-1": 10}


def test_a_copy_takes_no_other_files_place(spool: Spool, tmp_path: Path) -> None:
    write(spool, "local-1", b"new")
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for target in ("there", "link", "no/such"):
        with pytest.raises(ConfigError):
            spool.copy_out("local-1", tmp_path / target)
    assert (tmp_path / "there").read_bytes() == b"old"
    with pytest.raises(StoreError):
        spool.copy_out("local-2", tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_of_a_copy_that_fails_nothing_stays(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write(spool, "local-1", b"new")
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(StoreError, match="No space"):
        spool.copy_out("local-1", tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()
    assert spool.path("local-1").read_bytes() == b"new"


# ---- errors of the disk -------------------------------------------------------------------------------------------


def failing(number: int) -> Callable[..., int]:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE])
@pytest.mark.parametrize("call", ["open", "fsync", "statvfs", "scandir"])
def test_what_the_disk_says_is_said_in_our_words(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    write(spool, "local-1", b"x")
    descriptor = spool.open("local-1", write=True)
    monkeypatch.setattr(os, call, failing(number))
    deeds: dict[str, Callable[[], object]] = {
        "open": lambda: spool.create("local-2"),
        "fsync": lambda: spool.sync(descriptor, is_new=False),
        "statvfs": lambda: spool.room(0),
        "scandir": spool.sizes,
    }
    with pytest.raises(StoreError) as caught:
        deeds[call]()
    assert type(caught.value) is (StoreFull if number in (errno.ENOSPC, errno.EDQUOT) else StoreError)
    monkeypatch.undo()
    os.close(descriptor)


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A disk whose first fsync of a file fails, and that forgets then what it should have written.

    As Linux does: the pages are called clean, so a later fsync says that all is well. What is written after is written.
    Yields what is really on the disk, by path.
    """
    on_disk: dict[str, bytes] = {}
    dirty: dict[str, list[tuple[int, bytes]]] = {}
    failures = {"left": 1}
    real_pwrite, real_fsync = os.pwrite, os.fsync

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        written = real_pwrite(descriptor, data, offset)
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        dirty.setdefault(path, []).append((offset, bytes(data[:written])))
        return written

    def fsync(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        waiting = dirty.pop(path, [])
        if waiting and failures["left"]:
            failures["left"] -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        for offset, data in waiting:
            held = on_disk.get(path, b"").ljust(offset, b"\0")
            on_disk[path] = held[:offset] + data + held[offset + len(data) :]
        real_fsync(descriptor)

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(os, "fsync", fsync)
    yield on_disk
    monkeypatch.undo()


def test_after_a_failed_sync_all_is_written_anew(spool: Spool, losing: dict[str, bytes]) -> None:
    data = bytes(range(256)) * 9000
    descriptor = spool.create("local-1")
    assert os.pwrite(descriptor, data, 0) == len(data)
    with pytest.raises(StoreError):
        spool.sync(descriptor, is_new=True)
    other = spool.open("local-1", write=True)  # of a second program that has the file open
    spool.sync(other, is_new=True)
    assert losing[str(spool.path("local-1"))] == data
    os.close(descriptor)
    os.close(other)


def test_what_has_another_name_too_is_copied_before_it_is_written(spool: Spool, tmp_path: Path) -> None:
    """A cache keeps what was sent as a second name of the payload."""
    data = os.urandom(spools.CHUNK_BYTES + 3)
    write(spool, "local-1", data)
    kept = tmp_path / "kept"
    os.link(spool.path("local-1"), kept)
    reading = spool.open("local-1", write=False)
    assert kept.stat().st_nlink == 2
    writing = spool.open("local-1", write=True)
    try:
        assert kept.stat().st_nlink == 1
        os.pwrite(writing, b"new", 1)
        assert spool.path("local-1").read_bytes() == data[:1] + b"new" + data[4:]
        assert kept.read_bytes() == data
        assert os.pread(reading, len(data), 0) == data
    finally:
        os.close(writing)
        os.close(reading)
    assert stat.S_IMODE(spool.path("local-1").stat().st_mode) == 0o600
    assert sorted(spool.sizes()) == [path.name for path in (tmp_path / "spool").iterdir()] == ["local-1"]


def test_what_cannot_be_copied_is_not_opened_for_writing(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(spool, "local-1", b"data")
    os.link(spool.path("local-1"), tmp_path / "kept")
    with monkeypatch.context() as patched, pytest.raises(StoreFull):
        patched.setattr(os, "fsync", failing(errno.ENOSPC))
        spool.open("local-1", write=True)
    assert (tmp_path / "kept").samefile(spool.path("local-1"))
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["local-1"]
    os.close(spool.open("local-1", write=True))
    assert not (tmp_path / "kept").samefile(spool.path("local-1"))
