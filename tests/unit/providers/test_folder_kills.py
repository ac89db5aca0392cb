"""SIGKILL while a folder is changed: nothing partial under a name, nothing lost, and the same call again ends it."""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.harness.folder_kills import NEW, OLD, OTHER, VERBS, Gallery, generation, recalled

ROOT = Path(__file__).parents[3]
SOAKS = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
THUMBS = {"Junk/Thumbs.db": b"thumbs"}
BEFORE = {"a.jpg": OLD, "b.jpg": OTHER, "Junk": b"", **THUMBS}
AFTER = {
    "upload": {**BEFORE, "new.jpg": NEW},
    "replace": {**BEFORE, "a.jpg": NEW},
    "remove": {name: content for name, content in BEFORE.items() if name != "a.jpg"},
    "move": {**{name: content for name, content in BEFORE.items() if name != "a.jpg"}, "moved.jpg": OLD},
    "move_over": {"b.jpg": OLD, "Junk": b"", **THUMBS},
    "link": {**BEFORE, "link.jpg": OLD},
    "make_album": {**BEFORE, "Summer": b""},
    "remove_album": {"a.jpg": OLD, "b.jpg": OTHER},
}
BETWEEN = {"move_over": {**BEFORE, "a.jpg": OTHER, "b.jpg": OLD}}
"""What may be seen besides: both files have changed places, and one is about to go to the trash."""
TRASHED = {"replace": [OLD], "remove": [OLD], "move_over": [OTHER], "remove_album": [b"thumbs"]}
STEPS_MIN = {"upload": 5, "replace": 12, "make_album": 4, "link": 2, "move": 2}


def shown(folder: Path) -> dict[str, bytes]:
    """All that a listing shows: path -> bytes; of folders none."""
    paths = [path for path in folder.rglob("*") if not path.name.startswith(".iiiffs-")]
    return {str(path.relative_to(folder)): b"" if path.is_dir() else path.read_bytes() for path in paths}


def trashed(trash: Path) -> list[bytes]:
    files = (trash / "files").rglob("*")
    return [path.read_bytes() for path in files if not path.is_dir()]


def run(*args: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.harness.folder_kills", *map(str, args)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


@pytest.mark.parametrize("verb", VERBS)
def test_a_kill_at_any_step_loses_nothing_and_the_next_call_ends_it(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with run("steps", tmp_path, verb) as child:
        assert child.wait(120) == 0
    folders = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(folders) > STEPS_MIN.get(verb, 4)
    seen_between = []
    for folder in folders:
        found = shown(folder / "pictures")
        assert found in (BEFORE, AFTER[verb], BETWEEN.get(verb)), folder.name
        seen_between.append(found)
        kept = {*found.values(), *trashed(folder / "home" / "Trash")}
        kept |= {path.read_bytes() for path in (folder / "pictures").rglob("*.swap")}
        assert {OLD, OTHER, b"thumbs"} <= kept, folder.name
        again(folder, verb)
        assert shown(folder / "pictures") == AFTER[verb], folder.name
        assert list((folder / "pictures").rglob(".iiiffs-*")) == [], folder.name
        assert trashed(folder / "home" / "Trash") == TRASHED.get(verb, []), folder.name
    assert seen_between[0] == BEFORE
    assert seen_between[-1] == AFTER[verb]


def again(folder: Path, verb: str) -> None:
    """The same call, twice, by runs that know what the first one knew."""
    for _ in range(2):
        gallery = Gallery(folder)
        base = trio.run(recalled, gallery, verb)
        answer = trio.run(VERBS[verb], gallery, base)
        if verb in ("replace", "move", "move_over"):
            assert getattr(answer, "id", None) == base[0].id
        gallery.state.close()


def test_kills_at_any_moment_leave_whole_files_and_every_generation(tmp_path: Path) -> None:
    moments = random.Random(6)
    done, half = -1, 0
    rounds = 60 if SOAKS else 8
    for number in range(rounds * 4):
        if number >= rounds and half:
            break
        with run("storm", tmp_path, done + 1) as child:
            done = storm_once(child, moments.uniform(0.0, 0.25), done)
        half += bool(list((tmp_path / "pictures").glob(".iiiffs-*")))
        check(tmp_path, done)
    assert half, "no kill met a file on its way"
    assert done > 0


def storm_once(child: subprocess.Popen[bytes], delay_s: float, done: int) -> int:
    """Killed `delay_s` after it was ready: the last generation that it said was done."""
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    select.select([], [], [], delay_s)
    child.kill()
    lines = child.stdout.read().split()
    child.wait()
    return int(lines[-1]) if lines else done


def check(folder: Path, done: int) -> None:
    """Whole files, none before the last that was done; all earlier generations are in the trash or on their way."""
    root = folder / "pictures"
    whole = {generation(number): number for number in range(done + 2)}
    for path in root.glob("u*.jpg"):
        assert whole[path.read_bytes()] == int(path.stem[1:])
    if done >= 0:  # else the first one may not have arrived
        present = whole[(root / "a.jpg").read_bytes()]
        assert present >= done
        kept = [whole[content] for content in trashed(folder / "home" / "Trash")]
        assert len(kept) == len(set(kept))
        waiting = {whole.get(path.read_bytes()) for path in root.glob("*.swap")}
        assert set(range(present)) <= {*kept, *waiting}
        assert all((root / f"u{number}.jpg").exists() for number in range(done + 1))
