"""A daemon that finds its database damaged says so in one line; and what waited goes on after `iiiffs state renew`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.writable import writable, writable_config
from tests.mount.commands import run_iiiffs

PAGE_BYTES = 4096


@dataclass(frozen=True)
class Left:
    """What a daemon left that was stopped with files waiting."""

    folder: Path
    photos: Path

    @property
    def data(self) -> Path:
        """The state's database."""
        return self.folder / "state" / "db" / "data.mdb"

    def refused(self) -> str:
        """Why the daemon does not start."""
        done = run_iiiffs("mount", self.folder / "mnt", "--config", self.folder / "config.toml")
        assert (done.code, len(done.lines)) == (1, 1), done
        return done.lines[0]


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Left]:
    photos = tmp_path / "photos"
    (photos / "Trip").mkdir(parents=True)
    (photos / "Trip" / "old.txt").write_bytes(b"old")
    with writable(tmp_path, photos, settle="1h") as at:
        at.run("echo one > Trip/one.txt; echo two > two.txt; echo part > 3.txt.part")
    yield Left(tmp_path, photos)


@pytest.mark.soak
def test_cut_off_anywhere_it_does_not_start(left: Left) -> None:
    whole = left.data.read_bytes()
    used = [number for number in range(len(whole) // PAGE_BYTES) if is_used(left, whole, number)]
    assert len(used) > 4
    for length in (0, 1, *(number * PAGE_BYTES for number in used)):
        os.truncate(left.data, length)
        line = left.refused()
        assert f"{left.data} is " in line
        assert "`iiiffs state renew` puts it aside" in line
        left.data.write_bytes(whole)
    for page in (0, 1):
        left.data.write_bytes(whole[: page * PAGE_BYTES] + os.urandom(PAGE_BYTES) + whole[(page + 1) * PAGE_BYTES :])
        assert f"{left.data} is damaged: " in left.refused()


def is_used(left: Left, whole: bytes, number: int) -> bool:
    """A page that nothing leads to may be missing."""
    from iiiffs.cache.structure import check_structure
    from iiiffs.errors import StoreCorrupt

    cut = left.folder / "cut.mdb"
    cut.write_bytes(whole[: number * PAGE_BYTES])
    try:
        check_structure(cut)
    except StoreCorrupt:
        return True
    return False


@pytest.mark.parametrize("damage", ["meta", "cut"])
def test_what_waited_is_in_failed_after_it_was_renewed(left: Left, damage: str) -> None:
    if damage == "meta":
        left.data.write_bytes(os.urandom(PAGE_BYTES) + left.data.read_bytes()[PAGE_BYTES:])
    else:
        os.truncate(left.data, 2 * PAGE_BYTES)
    left.refused()
    done = run_iiiffs("state", "renew", "--config", left.folder / "config.toml")
    assert (done.code, done.lines) == (0, [])
    assert [path.name.startswith("db.damaged-") for path in (left.folder / "state").glob("db.*")] == [True]
    writable_config(left.folder, left.photos)
    with writable(left.folder, left.photos) as at:
        at.mount.expected.append("changes could not be sent")
        failed = at.mount.root / ".iiiffs" / "failed"
        bodies = {
            path.read_bytes() for path in failed.iterdir() if path.suffix != ".txt" or path.name.count(".txt") == 1
        }
        assert {b"one\n", b"two\n", b"part\n"} <= bodies
        reasons = [str(item["reason"]) for item in at.queue()]
        assert len(reasons) == 3
        config = left.folder / "config.toml"
        if damage == "cut":
            assert all("nobody knows its name" in reason for reason in reasons)
            assert run_iiiffs("queue", "retry", "--config", config).code == 0  # of what can be sent: nothing
            assert len(at.queue()) == 3
            return
        assert all("`iiiffs queue retry` sends it" in reason for reason in reasons)
        assert at.run("cat Trip/one.txt two.txt 3.txt.part") == "one\ntwo\npart\n"
        assert run_iiiffs("queue", "retry", "--config", config).code == 0
        at.sent()
        assert at.stored()["Trip/one.txt"] == b"one\n"
        assert at.stored()["two.txt"] == b"two\n"
