"""Renditions: exact bytes or nothing, and a quota that holds."""

import random
import tempfile
from pathlib import Path

import lmdb
import pytest
import trio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from iiiffs.cache.entries import PARTS, digest_of
from iiiffs.cache.environment import DATA_NAME
from iiiffs.cache.renditions import StoredRendition, Verification
from iiiffs.cache.store import DATABASES, Cache, open_cache
from iiiffs.cache.structure import check_structure
from iiiffs.model.gallery import AccountName, AssetId, Facts, Version
from iiiffs.model.image import Extent

MIB = 1024 * 1024
QUOTA = MIB
TIGHT = 200 * 1024
KEYS = [digest_of(b"key %d" % n) for n in range(24)]
GROUPS = [b"", b"asset 1", b"asset 10"]


def pages_bytes(path: Path) -> int:
    """What LMDB itself says the renditions of a closed cache use."""
    with lmdb.open(str(path), readonly=True, lock=False, max_dbs=20) as env, env.begin() as transaction:
        stats = [transaction.stat(env.open_db(f"renditions.{part}".encode(), txn=transaction)) for part in PARTS]
    return sum((s["branch_pages"] + s["leaf_pages"] + s["overflow_pages"]) * s["psize"] for s in stats)


class RenditionMachine(RuleBasedStateMachine):
    """Against a dict and an order of use. Eviction is exact: what went was used before all that stayed."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.cache: Cache = open_cache(self.path, TIGHT)
        self.model: dict[bytes, tuple[bytes, bytes]] = {}
        self.used: dict[bytes, int] = {}
        self.now = 0

    def teardown(self) -> None:
        self.cache.close()
        check_structure(self.path / DATA_NAME)
        self.folder.cleanup()

    def use(self, key: bytes) -> None:
        self.now += 1
        self.used[key] = self.now

    def present(self) -> dict[bytes, tuple[bytes, int, bytes]]:
        """What `labels` tells, which counts as no use."""
        return {
            bytes.fromhex(label): (group, size, digest)
            for group in GROUPS
            for label, size, digest in self.cache.renditions.labels(group)
        }

    def after_commit(self) -> None:
        present = self.present()
        gone = self.model.keys() - present.keys()
        if gone:
            assert max(self.used[key] for key in gone) < min((self.used[key] for key in present), default=self.now + 1)
            assert sum(len(self.model[key][1]) + 8192 for key in self.model) > TIGHT - 65536, "evicted without need"
        for key in gone:
            del self.model[key]
        assert self.cache.renditions.stats().used_bytes <= TIGHT
        assert self.cache.renditions.stats().entries == len(self.model)

    @rule(
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=8),
        group=st.sampled_from(GROUPS),
        size=st.sampled_from([0, 1, 1900, 2100, 4081, 20_000, 40_000, 45_000, 50_000, TIGHT // 4]),
        seed=st.integers(0, 9),
    )
    def put(self, keys: list[bytes], group: bytes, size: int, seed: int) -> None:
        for key in keys:
            data = random.Random(seed).randbytes(size)
            stored = self.cache.renditions.put_nowait(key, group, key.hex(), data)
            assert stored == StoredRendition(size, digest_of(data))
            self.model[key] = (group, data)
            self.use(key)

    @rule(key=st.sampled_from(KEYS))
    def get(self, key: bytes) -> None:
        expected = self.model.get(key)
        assert self.cache.renditions.get(key) == (expected and expected[1])
        if expected:
            self.use(key)

    @rule(key=st.sampled_from(KEYS))
    def peek(self, key: bytes) -> None:
        expected = self.model.get(key)
        found = self.cache.renditions.peek(key)
        assert found == (expected and StoredRendition(len(expected[1]), digest_of(expected[1])))
        if expected:
            self.use(key)

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: bytes) -> None:
        self.cache.renditions.delete(key)
        self.model.pop(key, None)

    @rule(group=st.sampled_from(GROUPS))
    def drop_group(self, group: bytes) -> None:
        keys = [key for key, (name, _) in self.model.items() if name == group]
        assert self.cache.renditions.drop_group(group) == len(keys)
        for key in keys:
            del self.model[key]

    @rule()
    def commit(self) -> None:
        self.cache.writer.commit_now()
        self.after_commit()

    @precondition(lambda self: self.now % 9 == 0)
    @rule()
    def clear(self) -> None:
        self.cache.renditions.clear()
        self.model.clear()

    @rule()
    def reopen(self) -> None:
        self.cache.close()
        assert pages_bytes(self.path) <= TIGHT
        self.cache = open_cache(self.path, TIGHT)
        self.after_commit()

    @invariant()
    def labels_agree(self) -> None:
        if hasattr(self, "cache"):
            expected = {key: (group, len(data), digest_of(data)) for key, (group, data) in self.model.items()}
            assert self.present() == expected


RenditionMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestRenditionMachine = RenditionMachine.TestCase


def test_the_quota_holds_in_every_commit_and_the_file_stays_near_it(tmp_path: Path) -> None:
    source = random.Random(5)
    cache = open_cache(tmp_path, 4 * MIB)
    for n in range(400):
        cache.renditions.put_nowait(digest_of(b"%d" % n), b"", str(n), source.randbytes(source.randrange(90_000)))
        if n % 7 == 0:
            cache.writer.commit_now()
            assert cache.renditions.stats().used_bytes <= 4 * MIB
    cache.writer.commit_now()
    stats = cache.stats()
    assert stats.writer.evicted > 200
    assert stats.renditions.used_bytes > 3.5 * MIB
    assert stats.file_bytes < 8 * MIB  # freed pages are used again
    cache.close()
    assert 3.5 * MIB < pages_bytes(tmp_path) <= 4 * MIB


def test_a_full_map_evicts_and_never_raises(tmp_path: Path) -> None:
    source = random.Random(6)
    cache = open_cache(tmp_path, 64 * MIB, map_bytes=2 * MIB)
    facts = {(AssetId(str(n)), Version("1")): Facts("image/png", Extent(1, 1 + n)) for n in range(100)}
    cache.catalogue.put_facts(AccountName("a"), facts)
    latest = 0
    for n in range(300):
        data = source.randbytes(source.randrange(1, 120_000))
        cache.renditions.put_nowait(digest_of(b"%d" % n), b"", str(n), data)
        if n % 3 == 0:
            cache.writer.commit_now()
            found = cache.renditions.get(digest_of(b"%d" % n))
            assert found in (None, data)
            latest += found is not None
    writer = cache.writer.stats
    assert writer.evicted > 100
    assert writer.rebuilt == 0
    assert latest > 90
    assert cache.catalogue.facts_of(AccountName("a"), facts) == facts
    assert cache.stats().file_bytes <= 2 * MIB
    cache.close()
    check_structure(tmp_path / DATA_NAME)


def test_what_cannot_fit_is_dropped_alone(tmp_path: Path) -> None:
    cache = open_cache(tmp_path, 64 * MIB, map_bytes=MIB)
    cache.renditions.put_nowait(b"small", b"", "small", bytes(100))
    cache.renditions.put_nowait(b"giant", b"", "giant", bytes(3 * MIB))
    cache.renditions.put_nowait(b"last", b"", "last", bytes(100))
    assert cache.renditions.get(b"giant") == bytes(3 * MIB)  # from memory, until the commit fails
    cache.writer.commit_now()
    assert cache.writer.stats.dropped == 1
    assert cache.renditions.get(b"giant") is None
    assert cache.renditions.get(b"last") == bytes(100)
    cache.close()


def test_more_than_a_quarter_of_the_quota_is_not_kept(tmp_path: Path) -> None:
    cache = open_cache(tmp_path, QUOTA)
    cache.renditions.put_nowait(b"key", b"", "", b"old")
    data = bytes(QUOTA // 4 + 1)
    assert cache.renditions.put_nowait(b"key", b"", "", data).digest == digest_of(data)
    assert cache.renditions.get(b"key") is None
    assert cache.writer.stats.dropped == 1
    cache.close()


def test_spare_room_is_what_nothing_need_go_for(tmp_path: Path) -> None:
    cache = open_cache(tmp_path, QUOTA)
    store = cache.renditions
    assert store.has_spare(QUOTA // 2)
    assert not store.has_spare(QUOTA + 1)
    put = 0
    while store.has_spare(100_000):
        store.put_nowait(KEYS[put], b"", str(put), bytes(100_000))
        put += 1
    cache.writer.commit_now()
    assert put * 100_000 > QUOTA // 2
    assert cache.writer.stats.evicted == 0
    assert not store.has_spare(200_000)
    cache.close()


def test_whether_it_is_there_is_asked_without_using_it(tmp_path: Path) -> None:
    cache = open_cache(tmp_path, QUOTA)
    cache.renditions.put_nowait(b"key", b"", "", b"data", digest_of(b"data"))
    assert cache.renditions.has(b"key")
    cache.writer.commit_now()
    assert cache.renditions.has(b"key")
    assert not cache.renditions.has(b"other")
    assert cache.renditions.find(b"key") == (b"data", digest_of(b"data"))
    assert cache.renditions.stats().hits == 1
    cache.close()


@pytest.mark.parametrize("use", ["get", "peek"])
def test_what_was_used_stays_longer_over_a_restart(use: str, tmp_path: Path) -> None:
    cache = open_cache(tmp_path, QUOTA)
    for key in KEYS[:8]:
        cache.renditions.put_nowait(key, b"", key.hex(), bytes(120_000))
    cache.close()
    cache = open_cache(tmp_path, QUOTA)
    for key in (KEYS[0], KEYS[3]):
        assert getattr(cache.renditions, use)(key) is not None
    cache.close()
    cache = open_cache(tmp_path, QUOTA)
    for key in KEYS[8:12]:
        cache.renditions.put_nowait(key, b"", key.hex(), bytes(120_000))
    cache.writer.commit_now()
    gone = [n for n in range(12) if cache.renditions.peek(KEYS[n]) is None]
    assert gone == [1, 2, 4, 5]
    cache.close()


def flip(path: Path, piece: bytes) -> None:
    """One bit is turned wherever `piece` lies in the file."""
    content = bytearray((path / DATA_NAME).read_bytes())
    at = content.find(piece)
    assert at > 0
    while at > 0:
        content[at + len(piece) // 2] ^= 0x10
        at = content.find(piece)
    (path / DATA_NAME).write_bytes(content)


@pytest.mark.parametrize("part", ["value", "digest", "label", "key"])
def test_a_flipped_bit_is_absent_counted_and_can_be_put_again(part: str, tmp_path: Path) -> None:
    data = random.Random(8).randbytes(30_000)
    key, label = digest_of(b"k"), "full/400,300/0/default.jpg"
    cache = open_cache(tmp_path, QUOTA)
    cache.renditions.put_nowait(key, b"g", label, data)
    cache.renditions.put_nowait(b"other", b"g", "other", b"other")
    cache.close()
    flip(tmp_path, {"value": data[9000:9100], "digest": digest_of(data), "label": label.encode(), "key": key}[part])
    cache = open_cache(tmp_path, QUOTA)
    assert cache.renditions.get(key) is None
    assert cache.renditions.stats().corrupt == (0 if part == "key" else 1)
    cache.writer.commit_now()
    assert cache.renditions.peek(key) is None
    cache.renditions.put_nowait(key, b"g", label, data)
    cache.writer.commit_now()
    assert cache.renditions.get(key) == data
    assert cache.renditions.get(b"other") == b"other"
    cache.close()
    check_structure(tmp_path / DATA_NAME)


def test_verify_finds_and_deletes_what_is_damaged(tmp_path: Path) -> None:
    source = random.Random(9)
    values = {digest_of(b"%d" % n): source.randbytes(5000) for n in range(300)}
    cache = open_cache(tmp_path, 4 * MIB)
    for key, value in values.items():
        cache.renditions.put_nowait(key, b"", key.hex(), value)
    cache.close()
    damaged = list(values)[::100]
    for key in damaged:
        flip(tmp_path, values[key][1000:1100])
    cache = open_cache(tmp_path, 4 * MIB)
    steps: list[tuple[int, int]] = []
    told = trio.run(cache.renditions.verify, lambda done, of: steps.append((done, of)))
    assert told == Verification(300, len(damaged))
    assert steps[-1] == (300, 300)
    assert len(steps) > 2
    cache.writer.commit_now()
    assert cache.renditions.stats().entries == 300 - len(damaged)
    assert trio.run(cache.renditions.verify) == Verification(300 - len(damaged), 0)
    cache.close()


def test_results_outlive_clear_and_close(tmp_path: Path) -> None:
    data = random.Random(10).randbytes(60_000)
    cache = open_cache(tmp_path, QUOTA)
    cache.renditions.put_nowait(b"key", b"g", "label", data)
    cache.writer.commit_now()
    held = cache.renditions.get(b"key")
    cache.renditions.clear()
    assert cache.renditions.get(b"key") is None
    assert cache.renditions.labels(b"g") == []
    cache.renditions.put_nowait(b"new", b"g", "new", b"put after clear")
    cache.writer.commit_now()
    assert cache.renditions.labels(b"g") == [("new", 15, digest_of(b"put after clear"))]
    cache.close()
    assert held == data


@pytest.mark.parametrize(("key", "group"), [(b"", b""), (bytes(65), b""), (b"k", bytes(65))])
def test_keys_that_lmdb_could_not_hold_are_a_mistake(key: bytes, group: bytes, tmp_path: Path) -> None:
    cache = open_cache(tmp_path, QUOTA)
    with pytest.raises(ValueError, match="key of"):
        cache.renditions.put_nowait(key, group, "", b"")
    cache.close()


def test_every_database_is_named_once() -> None:
    assert len(set(DATABASES)) == len(DATABASES)
