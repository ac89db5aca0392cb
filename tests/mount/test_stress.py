"""All that programs do, by several at once, on one mount; then nobody does anything, and nothing of it is left over.

Rule: issue 6, "Shown by" 6. What each program did last is what the provider has, once; handles, tasks, pixels, inodes,
descriptors, the queue and the spool are where they were before.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.harness.crash_storm import FolderTruth, StoreTruth, Truth, listed
from tests.harness.listing_daemon import PROGRAM as LISTING
from tests.harness.mount import Mount, Program, mounted
from tests.harness.scripted import PROGRAM, Fault, FaultKind, Flavour, Store, scripted_config
from tests.harness.stress_client import HOME, OLD
from tests.harness.writable import writable_config
from tests.mount.observing import drop_kernel_caches, eventually
from tests.mount.pictures import picture
from tests.mount.test_crash_storm import seed
from tests.mount.test_memory import resident_bytes

CLIENTS = 3
WARM_S = 3.0
STRESS_S = 9.0
SOAK_S = 590.0
SETTLE = "200ms"
SENT_S = 60.0
IDLE_S = 30.0
AWAY = ("changes are not noticed", "showing what is known")
HALF_WRITTEN = ("shown as a file only",)
"""What is said of a picture that somebody else is just writing."""
OUTSIDE = "Outside"
OUTSIDE_S = 0.1
RSS_GROWTH_BYTES_MAX = 64 << 20
"""Beside what is kept on purpose, within budgets that are nearly empty at first: decoded pictures, documents, tiles,
and of originals afar the blocks that came last (32 MiB)."""
MEASURED = {"PYTHONMALLOC": "default"}
"""Python's development mode keeps twice what a program asks for, and ever more of it."""
FEW_INODES = 6
NOT_ALWAYS = ("iiiffs.providers.folder.watch._set_when_cancelled",)
"""Tasks that are there while nothing happens, but for moments: while a folder is being looked at nobody waits for the
kernel to tell of it. One that is missing before must not be too many after."""
DESCRIPTORS_MORE_MAX = 4
"""What comes and goes by itself: a read of /proc, a folder that is looked at."""


@dataclass(frozen=True)
class Held:
    """What a daemon holds. `tasks`: each one's name and where it waits. `rss_bytes`: memory, less what is kept on
    purpose."""

    busy: Mapping[str, int]
    inodes: int
    descriptors: int
    bugs: int
    rss_bytes: int
    tasks: tuple[str, ...]

    @property
    def is_idle(self) -> bool:
        """Nobody waits for anything, and the kernel knows of next to nothing."""
        return not any(self.busy.values()) and self.inodes <= FEW_INODES

    def more_tasks(self, before: Held | None) -> Counter[str]:
        """Names of tasks that were not there `before`, and how many of each."""
        return Counter() if before is None else self._named() - before._named()

    def _named(self) -> Counter[str]:
        names = Counter(line.partition(":")[0] for line in self.tasks)
        return Counter({name: count for name, count in names.items() if name not in NOT_ALWAYS})

    def __repr__(self) -> str:
        tasks = "".join(f"\n    {line}" for line in self.tasks)
        busy = f"{dict(self.busy)}, inodes {self.inodes}, descriptors {self.descriptors}, bugs {self.bugs}"
        return f"{busy}, {self.rss_bytes >> 20} MiB, {len(self.tasks)} tasks:{tasks}"


@dataclass(frozen=True)
class Stress:
    """A mount under stress. `place`: below the mount. `options`: of the clients."""

    mount: Mount
    truth: Truth
    place: str
    options: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """Where clients write."""
        return self.mount.root / self.place

    def run(self, round_: str, seconds: float, chance: random.Random) -> list[dict[str, object]]:
        """The reports of all clients, which have ended."""
        reports = [self.mount.folder / f"report-{round_}-{number}" for number in range(CLIENTS)]
        clients = []
        for number, report in enumerate(reports):
            command = [sys.executable, "-m", "tests.harness.stress_client", str(self.root), f"{round_}{number}"]
            command += [str(chance.randrange(1 << 32)), str(seconds), str(report), *self.options]
            clients.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
        try:
            assert [client.wait(seconds + 60) for client in clients] == [0] * CLIENTS
        finally:
            for client in clients:
                client.kill()
                client.wait()
        return [json.loads(report.read_text()) for report in reports]

    def judge(self, reports: list[dict[str, object]]) -> None:
        """AssertionError if anything was wrong, or is not at the provider, or twice."""
        wrong = [text for report in reports for text in _list(report["wrong"])]
        told = {path: sums for report in reports for path, sums in _files(report).items()}
        there = {path: found for path, found in self.truth.files().items() if "/photo-" in path}
        if "--albums" in self.options:
            wrong += _wrong_in_sets(told, there) + self._wrong_on_mount(told)
            assert not wrong, "\n".join(wrong)
            self.truth.check()
            return
        for path, sums in told.items():
            found = [hashlib.sha256(data).hexdigest() for data in there.get(path, [])]
            if len(found) > 1 or (found[0] if found else None) not in sums:
                wrong.append(f"{path}: {found} at the provider, {sums} written")
        in_albums = {path for path in there if not path.startswith("in no album")}
        wrong += [f"{path}: at the provider, and removed or never written" for path in in_albums - told.keys()]
        assert not wrong, "\n".join(wrong)
        self.truth.check()

    def _wrong_on_mount(self, told: Mapping[str, list[str | None]]) -> list[str]:
        found = {path: (self.root / path).read_bytes() for path, sums in told.items() if None not in sums}
        return [
            f"{path}: on the mount it has {len(data)} other bytes"
            for path, data in found.items()
            if hashlib.sha256(data).hexdigest() not in told[path]
        ]

    def library(self) -> object:
        """What the status says is known of the account."""
        status: Any = self.mount.status()
        return status["accounts"][0]["library"]

    def all_sent(self) -> None:
        """Nothing waits, and the spool is empty."""
        eventually(lambda: listed(self.mount), lambda left: left == [], deadline_s=SENT_S)
        spool = self.mount.folder / "state" / "spool"
        eventually(lambda: list(spool.iterdir()), lambda left: left == [], deadline_s=IDLE_S)

    def idle(self, before: Held | None = None) -> Held:
        """What is held when nobody does anything, once it is as little as it gets: no task that was not there
        `before`."""
        return eventually(self._held, lambda held: held.is_idle and not held.more_tasks(before), IDLE_S)

    def _held(self) -> Held:
        """Of one answer: who asked a moment ago is a task for a moment more, and would be counted by the next one."""
        drop_kernel_caches()
        status: Any = self.mount.status()
        writing, kernel, render, blocks = (status[part] for part in ("writing", "kernel", "render", "blocks"))
        busy = {
            "handles": kernel["handles"],
            "open_files": writing["open_files"],
            "flights": writing["flights"],
            "pixels_held": render["pixels_held"],
            "pictures_waiting": render["pictures_waiting"],
            "originals": blocks["open"],
            "in_flight_bytes": blocks["in_flight_bytes"],
            "waiting": sum(account["waiting"] for account in status["accounts"]),
        }
        assert len(writing["task_lines"]) == writing["tasks"]
        descriptors = len(list(Path(f"/proc/{self.mount.process.pid}/fd").iterdir()))
        kept_bytes = status["memory"]["bodies_bytes"] + render["bytes_held"] + blocks["recent_bytes"]
        rss_bytes = resident_bytes(self.mount) - kept_bytes
        return Held(busy, kernel["inodes"], descriptors, kernel["bugs"], rss_bytes, tuple(writing["task_lines"]))


def _wrong_in_sets(told: Mapping[str, list[str | None]], there: Mapping[str, Sequence[bytes]]) -> list[str]:
    """Every album has what was put into it, once. Not by its name: that is fixed, and what was renamed while nobody
    knew whether it had arrived may have arrived under its first one. The mount shows the last."""
    wrong = []
    left = Counter(
        (path.rpartition("/")[0], hashlib.sha256(data).hexdigest())
        for path, found in there.items()
        for data in found
        if not path.startswith("in no album")
    )
    for path, sums in told.items():
        album = path.rpartition("/")[0]
        found_sum = next((one for one in sums if one is not None and left[album, one]), None)
        if found_sum is not None:
            left[album, found_sum] -= 1
        elif None not in sums:
            wrong.append(f"{path}: none of {sums} is in its album")
    names = {hashlib.sha256(data).hexdigest(): path for path, found in there.items() for data in found}
    return wrong + [f"{names[one]}: in {album}, and removed or never written" for (album, one) in left.elements()]


def _list(value: object) -> list[str]:
    assert isinstance(value, list)
    return value


def _files(report: Mapping[str, object]) -> dict[str, list[str | None]]:
    files = report["files"]
    assert isinstance(files, dict)
    return files


def stress(under: Stress, seconds: float, troubles: AbstractContextManager[None]) -> None:
    """Warmed up, then stressed amid `troubles`: as it was before."""
    number = seed()
    print(f"stress: seed {number}")
    chance = random.Random(number)
    warm = under.run("w", WARM_S, chance)
    under.all_sent()
    before = under.idle()
    print(f"stress: held {before}")
    with troubles:
        reports = under.run("s", seconds, chance)
    _tell(reports)
    under.all_sent()
    after = under.idle(before)
    print(f"stress: then held {after}")
    under.judge(warm + reports)
    assert after.bugs == 0
    assert after.descriptors <= before.descriptors + DESCRIPTORS_MORE_MAX
    assert after.rss_bytes - before.rss_bytes < RSS_GROWTH_BYTES_MAX


def _tell(reports: list[dict[str, object]]) -> None:
    for kind in ("deeds", "refused"):
        counted: Counter[str] = Counter()
        for report in reports:
            told = report[kind]
            assert isinstance(told, dict)
            counted.update(told)
        print(f"stress: {kind}: {dict(counted)}")


# ---- a folder -------------------------------------------------------------------------------------------------


@contextmanager
def edited_outside(folder: Path) -> Iterator[None]:
    """Inside, somebody else changes files of `folder`, all the time."""
    over = threading.Event()

    def edit() -> None:
        number = 0
        while not over.wait(OUTSIDE_S):
            number += 1
            picture(folder / f"out-{number % 7}.jpg", number)
            (folder / f"out-{(number + 3) % 7}.jpg").unlink(missing_ok=True)

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        yield
    finally:
        over.set()
        editor.join()


@pytest.fixture
def on_folder(tmp_path: Path) -> Iterator[Stress]:
    photos = tmp_path / "photos"
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        picture(photos / OLD / name, ord(name[0]), (900, 700))
    for name in (HOME, OUTSIDE):
        (photos / name).mkdir()
    program = Program(LISTING, environment=MEASURED | {"XDG_DATA_HOME": str(tmp_path / "data")})
    config = writable_config(tmp_path, photos, settle=SETTLE)
    with mounted(tmp_path, photos, config=config, program=program) as mount:
        yield Stress(mount, FolderTruth(photos), "pictures/files")


def stress_a_folder(under: Stress, seconds: float) -> None:
    photos = under.mount.folder / "photos"
    under.mount.expected += HALF_WRITTEN
    stress(under, seconds, edited_outside(photos / OUTSIDE))
    for path in (photos / OUTSIDE).iterdir():
        eventually(lambda path=path: (under.root / OUTSIDE / path.name).read_bytes() == path.read_bytes())  # type: ignore[misc]
    there = Counter("folders" if path.is_dir() else "files" for path in (photos, *photos.rglob("*")))
    eventually(under.library, lambda known: known == {"whole": True, **there})


def test_a_folder(on_folder: Stress) -> None:
    stress_a_folder(on_folder, STRESS_S)


@pytest.mark.soak
def test_a_folder_for_long(on_folder: Stress) -> None:
    stress_a_folder(on_folder, SOAK_S)


# ---- a server -------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    with Store(tmp_path / "server", request.param) as store:
        store.make_album(HOME)
        album = store.make_album(OLD)
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            path = picture(tmp_path / name, ord(name[0]), (900, 700))
            store.put(name, path.read_bytes(), album.id, mtime_ns=1_718_000_000 * 10**9)
        yield store


@pytest.fixture
def on_server(tmp_path: Path, store: Store) -> Iterator[Stress]:
    is_flat = store.flavour is Flavour.IMMICH
    config = scripted_config(tmp_path, store, extra=f'settle = "{SETTLE}"')
    program = replace(PROGRAM, module=LISTING, environment={**PROGRAM.environment, **MEASURED})
    with mounted(tmp_path, store.path, config=config, program=program) as mount:
        place = "pictures/albums" if is_flat else "pictures/files"
        yield Stress(mount, StoreTruth(store), place, ("--troubled", *(["--albums"] if is_flat else [])))


@contextmanager
def troubled(store: Store, faults: Sequence[Fault]) -> Iterator[None]:
    """Inside, `faults` happen."""
    store.script.add(*faults)
    try:
        yield
    finally:
        store.script.clear()


def stress_a_server(under: Stress, store: Store, seconds: float) -> None:
    """It is slow at times, loses answers, and is away for some questions."""
    faults = [Fault(FaultKind.LATENCY, times=None, chance=0.2, seed=1, seconds=0.03)]
    faults += [Fault(FaultKind.LOST, method, times=None, chance=0.1, seed=2) for method in ("upload", "replace")]
    faults += [Fault(FaultKind.UNREACHABLE, times=None, chance=0.02, seed=3)]
    under.mount.expected += AWAY
    stress(under, seconds, troubled(store, faults))


@pytest.mark.soak
@pytest.mark.parametrize("store", list(Flavour), indirect=True)
def test_a_server(on_server: Stress, store: Store) -> None:
    stress_a_server(on_server, store, STRESS_S)


@pytest.mark.soak
@pytest.mark.parametrize("store", list(Flavour), indirect=True)
def test_a_server_for_long(on_server: Stress, store: Store) -> None:
    stress_a_server(on_server, store, SOAK_S)
