"""Rounds of writing, each ended by a SIGKILL of the daemon at some moment; and what the provider has in the end.

Rule: research/peers.md C1 (the JuiceFS scheme): what counts is what writers noted outside of the mount, once a call had
returned 0; and what the provider has, not what a mount shows.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import lmdb

from iiiffs.control import ask
from iiiffs.state.queue_rows import decode_item
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.tree.junk import is_junk
from tests.harness.manifest import Promised, Promises, read_manifests, sum_of
from tests.harness.mount import Mount, Program, check_log, start, take_down
from tests.harness.scripted import Flavour, Store, StoredAlbum
from tests.harness.writable import RESTING

WRITERS = 3
ROUNDS_MIN = 4
WRITE_S = (0.3, 0.9)
"""Of each round, its writers' start counted."""
AIM_S = 1.0
GONE_S = 20.0
DRAINED_S = 40.0
IN_NO_ALBUM = "in no album"
"""Where what is in none is."""
EXPECTED_LOG = ("changes could not be sent", "not a picture")


class Truth(Protocol):
    """What a provider has, asked past iiiffs."""

    def files(self) -> Mapping[str, Sequence[bytes]]:
        """Path, as writers name it -> the bytes of each file there."""
        ...

    def folders(self) -> Sequence[str]:
        """Paths of folders or albums, each as often as it is there."""
        ...

    def check(self) -> None:
        """AssertionError if it is not sound in itself."""
        ...


@dataclass
class Tally:
    """What the kills of a storm hit. `pending`: promised and not at the provider; `sending`: on their way."""

    pending: list[int] = field(default_factory=list)
    sending: list[int] = field(default_factory=list)


@dataclass
class CrashStorm:
    """A daemon on `folder`, with `config`; writers write below ROOT/`place`. `is_flat`: rule: storm_writer. `write_s`:
    the least and the most that writers have of each round."""

    folder: Path
    config: Path
    truth: Truth
    place: str
    seed: int
    program: Program = field(default_factory=Program)
    is_flat: bool = False
    options: tuple[str, ...] = ("-v",) if os.environ.get("IIIFFS_VERBOSE") else ()
    tally: Tally = field(default_factory=Tally)
    write_s: tuple[float, float] = WRITE_S

    @property
    def manifests(self) -> list[Path]:
        """One a writer."""
        return [self.folder / f"manifest-{number}" for number in range(WRITERS)]

    def promises(self) -> Promises:
        """All that was promised so far."""
        return read_manifests(*self.manifests)

    # ---- rounds -----------------------------------------------------------------------------------------------

    def run(self, rounds: int, budget_s: float = math.inf) -> None:
        """So many kills, or ROUNDS_MIN and as many as begin within `budget_s`, and then until they have hit something.
        Every other one waits for something to be on its way first."""
        print(f"storm: seed {self.seed}")
        began_s = time.monotonic()
        chance = random.Random(self.seed)
        for number in range(rounds):
            is_over = number >= ROUNDS_MIN and time.monotonic() - began_s > budget_s
            if is_over and any(self.tally.pending) and any(self.tally.sending):
                break
            mount = self.start()
            try:
                writers = [self._writer(mount, chance.randrange(1 << 32), each) for each in range(WRITERS)]
                time.sleep(chance.uniform(*self.write_s))
                if number % 2:
                    self._wait_sending(mount)
                mount.kill()
                self._await_end(writers)
                self._count()
            finally:
                take_down(mount)
        print(f"storm: {len(self.tally.pending)} kills in {time.monotonic() - began_s:.1f} s; {self.tally}")

    def start(self) -> Mount:
        """The daemon, running."""
        return start(self.folder, self.folder, *self.options, config=self.config, program=self.program)

    def _writer(self, mount: Mount, seed: int, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.harness.storm_writer", str(mount.root / self.place)]
        command += [str(self.manifests[number]), f"w{number}", str(seed), *(["--flat"] if self.is_flat else [])]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def _wait_sending(self, mount: Mount) -> None:
        end = time.monotonic() + AIM_S
        while time.monotonic() < end and not mount.gauge("queue", "sending"):
            time.sleep(0.002)

    def _await_end(self, writers: Sequence[subprocess.Popen[bytes]]) -> None:
        try:
            for writer in writers:
                writer.wait(GONE_S)
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()

    def _count(self) -> None:
        """What the last kill hit."""
        there = self.truth.files()
        sure = [(path, known.whole) for path, known in self.promises().files() if known.is_sure]
        self.tally.pending.append(sum(whole not in there.get(path, ()) for path, whole in sure))
        stages = [item.stage for item in journaled(self.folder / "state") if item.verb is Verb.UPLOAD]
        self.tally.sending.append(stages.count(Stage.SENDING))

    # ---- the end ----------------------------------------------------------------------------------------------

    def drain(self) -> list[dict[str, object]]:
        """All is sent, and the daemon has ended with 0; what stays in the queue."""
        mount = self.start()
        try:
            end = time.monotonic() + DRAINED_S
            ask(mount.socket, "flush")
            left = listed(mount)
            while any(item["stage"] not in RESTING for item in left):
                assert time.monotonic() < end, f"not sent within {DRAINED_S:g} s: {left}"
                time.sleep(0.1)
                left = listed(mount)
            assert mount.stop() == 0
        finally:
            take_down(mount)
        mount.expected += EXPECTED_LOG
        check_log(mount)
        return left

    def judge(self, left: Sequence[Mapping[str, object]]) -> None:
        """AssertionError if a promise is broken, something is there that nobody wrote, or a file FAILED that nobody was
        cut off in writing. `left`: what stayed in the queue."""
        promises = self.promises()
        assert not promises.errors, promises.errors
        self.truth.check()
        stuck = {str(item["path"]).partition(f"{self.place}/")[2] for item in left}
        wrong = wrong_files(promises, self.truth.files(), stuck)
        folders = list(self.truth.folders())
        for path, known in promises.folders():
            times = folders.count(path)
            if times > 1 or (known.is_sure and times == 0):
                wrong.append(f"folder {path}: {times} times")
        wrong += [f"folder {path}: nobody made it" for path in set(folders) - {path for path, _ in promises.folders()}]
        surely = {path for path, known in promises.files() if known.is_sure}
        wrong += [f"{path}: was promised, and is in the queue still" for path in surely & stuck]
        assert not wrong, "\n".join(wrong)

    def check_by_mount(self) -> None:
        """A daemon that has lost its cache shows what was promised."""
        shutil.rmtree(self.folder / "cache")
        mount = self.start()
        try:
            for path, known in self.promises().files():
                if known.is_sure:
                    assert (mount.root / self.place / path).read_bytes() == known.whole, path
            assert mount.stop() == 0
        finally:
            take_down(mount)


def wrong_files(promises: Promises, there: Mapping[str, Sequence[bytes]], stuck: set[str]) -> list[str]:
    """What of the files that are `there` breaks a promise, in words. `stuck`: paths of what stayed in the queue."""
    cut_off = {path: known for path, known in promises.files() if path in stuck and known.begun is not None}
    wrong = [
        f"{path}: nobody wrote it"
        for path in there.keys() - {path for path, _ in promises.files()}
        if not _is_half_sent(path, there[path], cut_off)
    ]
    for path, known in promises.files():
        found = there.get(path, [])
        if len(found) > 1:
            wrong.append(f"{path}: {len(found)} times")
        elif known.is_sure and not found:
            wrong.append(f"{path}: promised, and not there; {known.done}")
        elif not found and known.done and path not in stuck:
            wrong.append(f"{path}: promised, then changed, and neither there nor in failed/; {known}")
        elif found and path in cut_off and sum_of(found[0]) in known.past:
            continue  # a program had begun to write over what was not sent yet, and that is in failed/
        elif found and known.is_sure and not known.allows(found[0]):
            wrong.append(f"{path}: promised, and {len(found[0])} other bytes are there; {known}")
        elif found and not known.allows(found[0]):
            wrong.append(f"{path}: {len(found[0])} bytes that nobody wrote; {known}")
    return wrong


def _is_half_sent(path: str, found: Sequence[bytes], cut_off: Mapping[str, Promised]) -> bool:
    """It came into no album, for the connection broke; and before it was sent again, a program had begun to write over
    it, and that is in failed/."""
    place, _, name = path.rpartition("/")
    promised = [known for path, known in cut_off.items() if path.rpartition("/")[2] == name]
    return place == IN_NO_ALBUM and len(found) == 1 and any(sum_of(found[0]) in known.past for known in promised)


def listed(mount: Mount) -> list[dict[str, object]]:
    """All that is not at the provider."""
    items = ask(mount.socket, "queue.list")
    assert isinstance(items, list)
    return items


def journaled(state: Path) -> list[Item]:
    """The rows of the journal, of a daemon that is dead; looked at without a lock, and changed in nothing."""
    with (
        lmdb.open(str(state / "db"), readonly=True, lock=False, max_dbs=32) as environment,
        environment.begin() as transaction,
        transaction.cursor(environment.open_db(b"journal", txn=transaction, create=False)) as cursor,
    ):
        return [decode_item(bytes(key), bytes(row)) for key, row in cursor if not key.startswith(b"!")]


@dataclass(frozen=True)
class FolderTruth:
    """A folder on this machine."""

    photos: Path

    def files(self) -> Mapping[str, Sequence[bytes]]:
        """All files, but litter of desktops."""
        found = (path for path in self.photos.rglob("*") if path.is_file() and not is_junk(path.name))
        return {str(path.relative_to(self.photos)): [path.read_bytes()] for path in found}

    def folders(self) -> Sequence[str]:
        """All folders, but one that a kill left half made: it is hidden, and empty, and swept away later."""
        found = (path for path in self.photos.rglob("*") if path.is_dir() and not is_junk(path.name))
        return [str(path.relative_to(self.photos)) for path in found]

    def check(self) -> None:
        """No file of iiiffs itself is left over."""
        litter = [path for path in self.photos.rglob("*") if path.is_file() and is_junk(path.name)]
        assert not litter, f"left over: {litter}"


@dataclass(frozen=True)
class StoreTruth:
    """A pretended server; where its albums are in no folder, writers write in albums/."""

    store: Store

    def files(self) -> Mapping[str, Sequence[bytes]]:
        """Each file as often as it is there, under every album that it is in; one in no album has a path of its own."""
        found: dict[str, list[bytes]] = {}
        paths = {album.id: path for path, album in self._albums()}
        for asset in self.store.assets():
            albums = self.store.albums_of(asset.id) if self.store.flavour is Flavour.IMMICH else []
            if asset.folder is not None:
                albums = [album for album in self.store.albums() if album.number == asset.folder]
            places = [paths[album.id] for album in albums] or [IN_NO_ALBUM]
            for place in places:
                found.setdefault(f"{place}/{asset.name}".lstrip("/"), []).append(self.store.bytes_of(asset.id))
        return found

    def folders(self) -> Sequence[str]:
        """All but the topmost."""
        return [path for path, _ in self._albums() if path]

    def check(self) -> None:
        """Rule: Store.check."""
        self.store.check()

    def _albums(self) -> list[tuple[str, StoredAlbum]]:
        """With their paths; that of the topmost folder is empty."""
        by_number = {album.number: album for album in self.store.albums()}
        is_top = self.store.flavour is Flavour.FOLDER

        def path_of(album: StoredAlbum) -> str:
            if album.parent is None:
                return "" if is_top else album.title
            return f"{path_of(by_number[album.parent])}/{album.title}".lstrip("/")

        return [(path_of(album), album) for album in by_number.values()]
