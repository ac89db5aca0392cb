"""A gallery moves to another machine while files wait: nothing is lost or sent twice, and no address changes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.mount import Program, mounted
from tests.harness.writable import Writable, writable_config
from tests.mount.commands import run_iiiffs

SETTLES_LONG = "1h"


@dataclass(frozen=True)
class Machine:
    """One with a state, a cache and a trash of its own; `photos` is what both reach."""

    folder: Path
    photos: Path
    settle: str

    @property
    def config(self) -> Path:
        """Written anew."""
        self.folder.mkdir(exist_ok=True)
        return writable_config(self.folder, self.photos, settle=self.settle)

    @contextmanager
    def mounted(self) -> Iterator[Writable]:
        """Inside, it is."""
        config, trash = self.config, self.folder / "data"
        program = Program(environment=os.environ | {"XDG_DATA_HOME": str(trash)})
        with mounted(self.folder, self.photos, config=config, program=program) as mount:
            yield Writable(mount, self.photos, trash / "Trash" / "files")


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    """An old one, from which nothing is sent for an hour, and a new one, from which all is at once."""
    photos = tmp_path / "photos"
    (photos / "Trip").mkdir(parents=True)
    for name in ("boat.jpg", "old.jpg"):
        Image.new("RGB", (60, 40), "red").save(photos / "Trip" / name)
    (photos / "notes.txt").write_text("first\n")
    return Machine(tmp_path / "old", photos, SETTLES_LONG), Machine(tmp_path / "new", photos, "200ms")


def write(at: Writable) -> str:
    """New files, new bytes of an old one, a name with another's place; the path of a new picture's image service."""
    at.run("mv Trip/boat.jpg Trip/ship.jpg")
    at.run("cp Trip/ship.jpg Trip/new.jpg; mkdir Album; echo words > Album/words.txt")
    at.run(
        "echo second >> notes.txt; cp Trip/ship.jpg Trip/.half.jpg.part; head -c 1000000 /dev/urandom > Trip/noise.bin"
    )
    return at.run("readlink Trip/iiif/new.jpg").strip().removeprefix("../../../")


def taken_over(at: Writable, address: str, sums: str, ids: str) -> None:
    """All of it is there at once, under the same addresses, and arrives once."""
    assert at.run(SUMS) == sums
    assert at.run(IDS) == ids
    info = json.loads((at.mount.account / address / "info.json").read_text())
    assert (info["width"], info["id"]) == (60, f"http://127.0.0.1:8080/pictures/{address}")
    assert [item["stage"] for item in at.sent()] == ["scratch"]
    assert sorted(at.stored()) == [
        "Album/words.txt",
        "Trip/new.jpg",
        "Trip/noise.bin",
        "Trip/old.jpg",
        "Trip/ship.jpg",
        "notes.txt",
    ]
    assert at.stored()["notes.txt"] == b"first\nsecond\n"
    assert [path.name for path in at.trash.iterdir()] == ["notes.txt"], "what was replaced, and nothing else"
    assert json.loads((at.mount.account / address / "info.json").read_text()) == info
    assert at.run(SUMS) == sums


SUMS = "find . -type f -name '*.jpg' -o -name '*.txt' -o -name '*.bin' -o -name '*.part' | sort | xargs sha1sum"
IDS = "for file in notes.txt Trip/old.jpg Trip/ship.jpg; do getfattr --only-values -n user.iiiffs.id $file; echo; done"


@pytest.mark.parametrize("is_running", [False, True], ids=["stopped", "running"])
def test_what_waits_moves_and_arrives_once(machines: tuple[Machine, Machine], tmp_path: Path, is_running: bool) -> None:
    old, new = machines
    export = tmp_path / "moved"
    with old.mounted() as at:
        address = write(at)
        sums, ids = at.run(SUMS), at.run(IDS)
        if is_running:
            done = run_iiiffs("state", "export", export, "--config", old.config)
            assert (done.code, done.lines) == (0, [])
    if not is_running:
        done = run_iiiffs("state", "export", export, "--config", old.config)
        assert (done.code, done.lines) == (0, [])
    assert not list((old.folder / "state").glob("export-*"))
    shutil.rmtree(old.folder / "cache")
    done = run_iiiffs("state", "import", export, "--config", new.config)
    assert (done.code, done.lines) == (0, [])
    with new.mounted() as at:
        taken_over(at, address, sums, ids)
    refused = run_iiiffs("state", "import", export, "--config", new.config)
    assert refused.code == 1
    assert len(refused.lines) == 1
    assert "is not empty: move that folder away and import again" in refused.lines[0]


def test_what_was_sent_after_the_export_is_not_sent_again(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    old, new = machines
    export = tmp_path / "moved"
    with old.mounted() as at:
        address = write(at)
        sums, ids = at.run(SUMS), at.run(IDS)
        assert run_iiiffs("state", "export", export, "--config", old.config).code == 0
        assert [item["stage"] for item in at.sent()] == ["scratch"]
        assert [path.name for path in at.trash.iterdir()] == ["notes.txt"]
        before = {path: (at.photos / path).stat().st_mtime_ns for path in at.stored()}
    assert run_iiiffs("state", "import", export, "--config", new.config).code == 0
    with new.mounted() as at:
        assert [item["stage"] for item in at.sent()] == ["scratch"]
        assert {path: (at.photos / path).stat().st_mtime_ns for path in at.stored()} == before
        assert not at.trash.exists() or not list(at.trash.iterdir())
        assert (at.run(SUMS), at.run(IDS)) == (sums, ids)
        assert (at.mount.account / address / "info.json").exists()
