"""kill -9 at any moment of a storm of writers: what they were promised arrives, each once, byte for byte."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.harness.crash_storm import IN_NO_ALBUM, CrashStorm, FolderTruth, StoreTruth, wrong_files
from tests.harness.manifest import Change, Deed, Promises, sum_of
from tests.harness.mount import Program
from tests.harness.scripted import PROGRAM, Fault, FaultKind, Flavour, Store, scripted_config
from tests.harness.writable import writable_config

ROUNDS, BUDGET_S = 10, 25.0
"""A machine that is busy gets through fewer rounds; the end takes some seconds more."""
SOAK_ROUNDS = 200
UNSAFE_STORMS, UNSAFE_ROUNDS = 8, 3
FOUND_OUT = r"promised, and |No such file or directory|left over|nobody wrote|WARNING iiiffs.daemon: conflict: "
"""A name whose row was lost is free: what is written to it next may meet what had arrived for it, as a conflict."""
SETTLE = "100ms"


def seed() -> int:
    """Another one in each run; IIIFFS_SEED makes a run again."""
    return int(os.environ.get("IIIFFS_SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.fixture
def on_folder(tmp_path: Path) -> CrashStorm:
    photos = tmp_path / "photos"
    photos.mkdir()
    program = Program(environment={"XDG_DATA_HOME": str(tmp_path / "data")})
    config = writable_config(tmp_path, photos, settle=SETTLE)
    return CrashStorm(tmp_path, config, FolderTruth(photos), "pictures/files", seed(), program)


@pytest.fixture
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A server that is slow at times, loses answers, breaks off half-way, and gets some things twice."""
    with Store(tmp_path / "server", request.param) as store:
        yield store


@pytest.fixture
def on_server(tmp_path: Path, store: Store) -> CrashStorm:
    place = "pictures/albums" if store.flavour is Flavour.IMMICH else "pictures/files"
    config = scripted_config(tmp_path, store, extra=f'settle = "{SETTLE}"')
    is_flat = store.flavour is Flavour.IMMICH
    return CrashStorm(tmp_path, config, StoreTruth(store), place, seed(), PROGRAM, is_flat)


def troubles(seed: int) -> list[Fault]:
    """What is wrong with the server while the storm goes on."""
    told = [
        Fault(FaultKind.LATENCY, method, times=None, chance=0.5, seed=seed, seconds=0.1)
        for method in ("upload", "replace")
    ]
    for kind in (FaultKind.LOST, FaultKind.HALF, FaultKind.TWICE):
        told += [Fault(kind, method, times=None, chance=0.08, seed=seed) for method in ("upload", "replace")]
    return [*told, Fault(FaultKind.LOST, "make_album", times=None, chance=0.2, seed=seed)]


def weather(storm: CrashStorm, rounds: int, budget_s: float = math.inf) -> None:
    storm.run(rounds, budget_s)
    calm(storm)


def calm(storm: CrashStorm) -> None:
    """After the storm."""
    assert any(storm.tally.pending), "nothing was pending at any kill"
    assert any(storm.tally.sending), "no kill hit an upload"
    storm.judge(storm.drain())
    storm.check_by_mount()


def test_a_folder(on_folder: CrashStorm) -> None:
    weather(on_folder, ROUNDS, BUDGET_S)


@pytest.mark.parametrize("store", list(Flavour), indirect=True)
def test_a_server(on_server: CrashStorm, store: Store) -> None:
    weather_at(on_server, store, ROUNDS, BUDGET_S)


def weather_at(storm: CrashStorm, store: Store, rounds: int, budget_s: float = math.inf) -> None:
    """As `weather`; the troubles are over once the rounds are."""
    store.script.add(*troubles(storm.seed))
    storm.run(rounds, budget_s)
    store.script.clear()
    calm(storm)


def test_a_daemon_that_answers_before_the_disk_has_it_is_found_out(on_folder: CrashStorm) -> None:
    """What a promise is worth is seen: the same storm over a daemon whose close does not wait for the journal."""
    environment = {**on_folder.program.environment, "UNSAFE": "reply"}
    program = Program("tests.harness.unsafe_daemon", environment)
    with pytest.raises(AssertionError, match=FOUND_OUT):
        for number in range(UNSAFE_STORMS):  # a few kills may all have been lucky
            storm = replace(on_folder, program=program, seed=on_folder.seed + number)
            storm.run(UNSAFE_ROUNDS)
            storm.judge(storm.drain())


@pytest.mark.parametrize(
    ("place", "is_cut_off", "is_stuck", "is_other", "is_wrong"),
    [
        (IN_NO_ALBUM, True, True, False, False),
        ("another", True, True, False, True),
        (IN_NO_ALBUM, False, True, False, True),
        (IN_NO_ALBUM, True, False, False, True),
        (IN_NO_ALBUM, True, True, True, True),
    ],
)
def test_a_photo_in_no_album_is_what_was_half_sent_or_wrong(
    place: str, is_cut_off: bool, is_stuck: bool, is_other: bool, is_wrong: bool
) -> None:
    path, promises = "made/a.jpg", Promises()
    change = Change(Deed.CREATE, path, "first", 100)
    promises.take({"begun": asdict(change)})
    promises.take({"done": path, "sum": sum_of(change.data)})
    if is_cut_off:
        promises.take({"begun": asdict(Change(Deed.REWRITE, path, "second", 100))})
    there = {path: [change.data], f"{place}/a.jpg": [change.data + (b"!" if is_other else b"")]}
    found = wrong_files(promises, there, {path} if is_stuck else set())
    assert found == ([f"{place}/a.jpg: nobody wrote it"] if is_wrong else [])


@pytest.mark.soak
def test_a_folder_for_long(on_folder: CrashStorm) -> None:
    weather(on_folder, SOAK_ROUNDS)


@pytest.mark.soak
@pytest.mark.parametrize("store", list(Flavour), indirect=True)
def test_a_server_for_long(on_server: CrashStorm, store: Store) -> None:
    weather_at(on_server, store, SOAK_ROUNDS)
