"""Disks that are full and states that are damaged, under a whole daemon: nothing that was promised is gone.

Rule: DESIGN §4.1; issue 6, "Shown by" 2.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest

from iiiffs.control import ask
from tests.harness.crash_storm import journaled, listed
from tests.harness.manifest import data_of
from tests.harness.mount import Mount, check_log, start, take_down
from tests.harness.writable import Writable, writable_config
from tests.mount.observing import errno_of, eventually

LONG, SHORT = "1h", "100ms"
DISK_BYTES = 48 << 20
MIN_FREE_BYTES = 24 << 20
"""More than vfs.local_files.ROOM_STEP_BYTES."""
FULL_LOG = ("no space left", "No space left", "min_free", "the queue cannot be written")
LARGE_BYTES = 64 << 20


def data(name: str, size_bytes: int = 30_000) -> bytes:
    return data_of(name, size_bytes)


@contextmanager
def running(folder: Path, settle: str, *, min_free_bytes: int | None = None) -> Iterator[Writable]:
    """A mount of `folder`/photos, that may be killed inside."""
    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    config = writable_config(folder, photos, settle=settle)
    if min_free_bytes is not None:
        config.write_text(config.read_text().replace("[state]\n", f'[state]\nmin_free = "{min_free_bytes}"\n'))
    mount = start(folder, photos, config=config)
    mount.expected += ["changes could not be sent", "not a picture"]
    try:
        yield Writable(mount, photos, folder)
    except BaseException:
        print(mount.log)
        raise
    finally:
        take_down(mount)


# ---- a full disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The state's folder is a file system of its own, of DISK_BYTES."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", state], check=True)
    try:
        yield state
    finally:
        subprocess.run(["umount", "-l", state], check=True)


def write_large(path: Path) -> None:
    """More than there is room for."""
    with path.open("wb", buffering=0) as file:
        for _ in range(0, LARGE_BYTES, 1 << 20):
            file.write(bytes(1 << 20))


def fill(state: Path) -> Path:
    """Nothing is free there any more, because of the file that this names."""
    filler = state / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    break
    return filler


@pytest.mark.parametrize("min_free_bytes", [1, MIN_FREE_BYTES], ids=["full", "min_free"])
def test_a_file_that_finds_no_room_is_refused_and_spoils_no_other(
    tmp_path: Path, disk: Path, min_free_bytes: int
) -> None:
    with running(tmp_path, LONG, min_free_bytes=min_free_bytes) as here:
        (here.files / "before.jpg").write_bytes(data("before"))
        assert errno_of(lambda: write_large(here.files / "large.jpg")) == errno.ENOSPC
        assert (here.files / "before.jpg").read_bytes() == data("before")
        assert errno_of((here.files / "large.jpg").unlink) == 0
        assert [str(item["path"]) for item in listed(here.mount)] == ["pictures/files/before.jpg"]
        (here.files / "after.jpg").write_bytes(data("after"))
        assert len(list((disk / "spool").iterdir())) == 2
        assert here.sent() == []
        assert here.stored() == {"before.jpg": data("before"), "after.jpg": data("after")}
        assert here.mount.stop() == 0
    here.mount.expected += FULL_LOG
    check_log(here.mount)


@contextmanager
def read(state: Path) -> Iterator[None]:
    """Inside, somebody reads the database as it is now: once the pages that are free already have been used, each row
    needs room on the disk."""
    with lmdb.open(str(state / "db"), readonly=True, max_dbs=32) as environment, environment.begin():
        yield


def test_a_close_whose_row_finds_no_room_fails_and_the_next_one_does_not(tmp_path: Path, disk: Path) -> None:
    with running(tmp_path, LONG, min_free_bytes=1) as here:
        (here.files / "before.jpg").write_bytes(data("before"))
        descriptor = os.open(here.files / "during.jpg", os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, data("during"))
        more = {f"more-{number}.jpg": data(f"more-{number}") for number in range(20)}
        with read(disk):
            for name, content in more.items():
                (here.files / name).write_bytes(content)
            filler = fill(disk)
            assert errno_of(lambda: os.close(descriptor)) == errno.ENOSPC
        assert errno_of(lambda: (here.files / "none.jpg").write_bytes(b"x")) == errno.ENOSPC
        filler.unlink()
        eventually(lambda: os.statvfs(disk).f_bavail, lambda blocks: blocks > 0)  # drop_caches elsewhere may hold it
        (here.files / "after.jpg").write_bytes(data("after"))
        left = {str(item["path"]).removeprefix("pictures/files/"): item for item in here.sent()}
        assert set(left) <= {"during.jpg", "none.jpg"}
        assert all(item["stage"] == "failed" and item["reason"] for item in left.values())
        stored = here.stored()
        promised = {"before.jpg": data("before"), "after.jpg": data("after"), **more}
        assert {name: stored.get(name) for name in promised} == promised
        assert set(stored) - set(promised) <= {"during.jpg"}
        here.mount.kill()
    here.mount.expected += FULL_LOG
    check_log(here.mount)
    with running(tmp_path, SHORT, min_free_bytes=1) as here:
        here.sent()
        assert {name: here.stored().get(name) for name in promised} == promised
        assert here.mount.stop() == 0


# ---- a damaged state ------------------------------------------------------------------------------------------------

NAMES = ("whole", "torn", "garbage", "no payload", "longer")


@contextmanager
def killed_with_files(folder: Path) -> Iterator[Mapping[str, str]]:
    """Name -> id of the item of each of NAMES, closed, not sent; the daemon is dead."""
    with running(folder, LONG) as here:
        for name in NAMES:
            (here.files / f"{name}.jpg").write_bytes(data(name))
        here.mount.kill()
        yield {item.name.removesuffix(".jpg"): item.id for item in journaled(folder / "state")}


# ---- a folder that may not be written to ----------------------------------------------------------------------------


def test_a_folder_that_may_not_be_written_to_holds_up_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path, SHORT) as here:
        closed, other = here.photos / "Closed", here.photos / "Other"
        for folder in (closed, other):
            (here.mount.files / folder.name).mkdir()
        if subprocess.run(["chattr", "+i", str(closed)], capture_output=True, check=False).returncode:
            pytest.skip("this file system knows no immutable folders, and root may write to all others")
        try:
            for folder in (closed, other):
                for number in range(6):
                    (here.mount.files / folder.name / f"{number}.jpg").write_bytes(data(f"{folder.name}{number}"))
            here.mount.expected += ["may not be changed"]
            left = here.sent()
            assert {path.name: path.read_bytes() for path in other.iterdir()} == {
                f"{number}.jpg": data(f"Other{number}") for number in range(6)
            }
            assert [item["stage"] for item in left] == ["failed"] * 6
            assert all("write access" in str(item["reason"]) for item in left)
        finally:
            subprocess.run(["chattr", "-i", str(closed)], check=True)
        ask(here.mount.socket, "queue.retry", {"ids": []})
        assert here.sent() == []
        assert {path.name for path in closed.iterdir()} == {f"{number}.jpg" for number in range(6)}
        assert here.mount.stop() == 0
    check_log(here.mount)


@contextmanager
def journal(state: Path) -> Iterator[tuple[lmdb.Transaction[bytes], lmdb._Database]]:
    """Inside, rows may be changed."""
    with lmdb.open(str(state / "db"), max_dbs=32) as environment:
        database = environment.open_db(b"journal")
        with environment.begin(write=True, db=database) as transaction:
            yield transaction, database


def test_rows_and_payloads_that_are_damaged_are_told_and_kept(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with killed_with_files(tmp_path) as ids:
        with journal(state) as (transaction, _):
            torn = transaction.get(ids["torn"].encode())
            assert torn is not None
            transaction.put(ids["torn"].encode(), torn[: len(torn) // 2])
            transaction.put(ids["garbage"].encode(), os.urandom(300))
            transaction.put(b"local-0123456789", b"")
            transaction.put(b"\xff\xfe no text", os.urandom(20))
        (state / "spool" / ids["no payload"]).unlink()
        with (state / "spool" / ids["longer"]).open("ab") as longer:
            longer.write(b"more")
        (state / "spool" / "local-nobody").write_bytes(data("nobody"))
    for _ in range(2):  # what was put aside once is told of at the next start too
        with running(tmp_path, SHORT) as here:
            here.mount.expected += ["cannot be read and is kept aside"]
            left = {str(item["id"]): item for item in here.sent()}
            assert here.stored() == {"whole.jpg": data("whole"), "longer.jpg": data("longer") + b"more"}
            assert set(left) >= {ids["torn"], ids["garbage"], ids["no payload"], "local-nobody"}
            assert all(item["stage"] == "failed" and item["reason"] for item in left.values()), left
            shown = failed_of(here.mount)
            assert shown.keys() == left.keys()
            assert all(shown.values())
            assert here.mount.stop() == 0
        check_log(here.mount)
        for name, id in [("torn", ids["torn"]), ("garbage", ids["garbage"]), ("nobody", "local-nobody")]:
            assert (state / "spool" / id).read_bytes() == data(name)


def failed_of(mount: Mount) -> Mapping[str, str]:
    """Id -> reason, as MOUNT/.iiiffs/failed tells."""
    texts = [path.read_text() for path in (mount.root / ".iiiffs" / "failed").glob("*.txt")]
    return {json.loads(text.partition("\n")[2])["id"]: text.partition("\n")[0] for text in texts}
