"""Facts and documents come back as they were put, or not at all."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.cache.catalogue import DOCUMENT_BODY_BYTES_MAX, DocumentRecord
from iiiffs.cache.entries import EntryTable
from iiiffs.cache.environment import DATA_NAME
from iiiffs.cache.renditions import RenditionStore
from iiiffs.cache.rows import seal, unseal
from iiiffs.cache.store import BODIES, Cache, open_cache
from iiiffs.model.gallery import AccountName, AssetId, Facts, Version
from iiiffs.model.image import Extent

QUOTA = 8 * 1024 * 1024
HOME, AWAY = AccountName("home"), AccountName("home2")
ONE, TWO = Version("1"), Version("2")
PHOTO = Facts("image/jpeg", Extent(6000, 4000), True, "2024-06-01T12:00:00+02:00")
BROKEN = Facts("image/png", None, error="cut off")
DOCUMENT = DocumentRecord(b"inputs", b"digest", 300_000, 1_700_000_000_123_456_789, b"canvas " * 43_000)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return open_cache(tmp_path, QUOTA)


def reopened(cache: Cache) -> Cache:
    cache.close()
    return open_cache(cache.environment.path, QUOTA)


def asset(name: object) -> AssetId:
    return AssetId(str(name))


def test_facts_before_and_after_a_restart(cache: Cache) -> None:
    rows = {(asset("a"), ONE): PHOTO, (asset("b"), TWO): BROKEN}
    cache.catalogue.put_facts(HOME, rows)
    for _ in range(2):
        assert cache.catalogue.facts_of(HOME, [*rows, (asset("c"), ONE)]) == rows
        assert cache.catalogue.facts(HOME, asset("a"), ONE) == PHOTO
        assert cache.catalogue.facts(HOME, asset("a"), TWO) is None
        assert cache.catalogue.facts(AWAY, asset("a"), ONE) is None
        cache = reopened(cache)
    cache.close()


def test_a_new_version_replaces_the_old_one_s_row(cache: Cache) -> None:
    cache.catalogue.put_facts(HOME, {(asset("a"), ONE): PHOTO})
    cache = reopened(cache)
    cache.catalogue.put_facts(HOME, {(asset("a"), TWO): BROKEN})
    cache = reopened(cache)
    assert cache.catalogue.facts(HOME, asset("a"), ONE) is None
    assert cache.catalogue.facts(HOME, asset("a"), TWO) == BROKEN
    assert cache.catalogue.stats().facts == 1
    cache.close()


def test_ids_longer_than_lmdb_s_keys_are_told_apart(cache: Cache) -> None:
    rows = {(asset("x" * 600 + str(n)), ONE): replace(PHOTO, extent=Extent(n + 1, 1)) for n in range(3)}
    cache.catalogue.put_facts(HOME, rows)
    cache = reopened(cache)
    assert cache.catalogue.facts_of(HOME, rows) == rows
    cache.close()


def test_a_name_that_is_not_utf_8_does_not_stop_the_rest(cache: Cache) -> None:
    broken = replace(BROKEN, error="cannot read caf\udce9.png")
    cache.catalogue.put_facts(HOME, {(asset("a"), ONE): broken, (asset("b"), ONE): PHOTO})
    cache = reopened(cache)
    assert cache.catalogue.facts(HOME, asset("a"), ONE) == replace(BROKEN, error="cannot read caf?.png")
    assert cache.catalogue.facts(HOME, asset("b"), ONE) == PHOTO
    cache.close()


def test_keep_only_forgets_the_account_s_other_assets(cache: Cache) -> None:
    for account in (HOME, AWAY):
        cache.catalogue.put_facts(account, {(asset(n), ONE): PHOTO for n in range(10)})
    cache = reopened(cache)
    cache.catalogue.put_facts(HOME, {(asset(n), ONE): PHOTO for n in range(10, 20)})
    assert cache.catalogue.keep_only(HOME, [asset(3), asset(13)]) == 18
    everything = [(asset(n), ONE) for n in range(20)]
    for _ in range(2):
        assert set(cache.catalogue.facts_of(HOME, everything)) == {(asset(3), ONE), (asset(13), ONE)}
        assert len(cache.catalogue.facts_of(AWAY, everything)) == 10
        cache = reopened(cache)
    cache.close()


@pytest.mark.parametrize("body", [DOCUMENT.body, b"", b"x", bytes(range(256)) * 40, None])
def test_documents_before_and_after_a_restart(cache: Cache, body: bytes | None) -> None:
    record = replace(DOCUMENT, body=body)
    cache.catalogue.put_document(b"key", record)
    for _ in range(2):
        assert cache.catalogue.document(b"key") == record
        assert cache.catalogue.peek_document(b"key") == replace(record, body=None)
        assert cache.catalogue.document(b"other") is None
        cache = reopened(cache)
    cache.close()


def test_bodies_are_compressed_where_it_pays(cache: Cache) -> None:
    cache.catalogue.put_document(b"key", DOCUMENT)
    cache.writer.commit_now()
    assert cache.catalogue.stats().bodies.used_bytes < DOCUMENT.size_bytes // 4
    cache.close()


def test_a_document_without_a_body_forgets_the_older_one(cache: Cache) -> None:
    cache.catalogue.put_document(b"key", DOCUMENT)
    cache.writer.commit_now()
    larger = replace(DOCUMENT, body=bytes(DOCUMENT_BODY_BYTES_MAX + 1))
    cache.catalogue.put_document(b"key", larger)
    cache = reopened(cache)
    assert cache.catalogue.document(b"key") == replace(DOCUMENT, body=None)
    assert cache.catalogue.stats().bodies.entries == 0
    cache.close()


def test_a_body_of_another_commit_than_its_row_is_not_shown(cache: Cache) -> None:
    """A process may be killed between the slice that holds the one and the slice that holds the other."""
    cache.catalogue.put_document(b"key", DOCUMENT)
    table = EntryTable(cache.environment, BODIES, QUOTA, compresses=True)
    bodies = RenditionStore(cache.environment, table, cache.writer)
    bodies.put_nowait(blake2b(b"key", digest_size=32).digest(), b"", "", b"the body of a newer document")
    assert cache.catalogue.document(b"key") == replace(DOCUMENT, body=None)
    cache.close()


def test_clear_documents_leaves_facts_and_renditions(cache: Cache) -> None:
    cache.catalogue.put_document(b"key", DOCUMENT)
    cache.catalogue.put_facts(HOME, {(asset("a"), ONE): PHOTO})
    cache.renditions.put_nowait(b"r", b"", "", b"data")
    cache.writer.commit_now()
    cache.catalogue.clear_documents()
    assert cache.catalogue.document(b"key") is None
    cache = reopened(cache)
    assert cache.catalogue.document(b"key") is None
    assert cache.catalogue.facts(HOME, asset("a"), ONE) == PHOTO
    assert cache.renditions.get(b"r") == b"data"
    cache.close()


def test_a_flipped_bit_in_a_row_makes_it_absent(cache: Cache) -> None:
    cache.catalogue.put_facts(HOME, {(asset("a"), ONE): PHOTO, (asset("b"), ONE): BROKEN})
    cache.catalogue.put_document(b"key", DOCUMENT)
    cache.close()
    data = cache.environment.path / DATA_NAME
    content = data.read_bytes()
    for piece in (b"2024-06-01", b"inputs"):
        assert piece in content
        content = content.replace(piece, bytes((piece[0] ^ 4,)) + piece[1:])
    data.write_bytes(content)
    cache = open_cache(cache.environment.path, QUOTA)
    assert cache.catalogue.facts(HOME, asset("a"), ONE) is None
    assert cache.catalogue.facts(HOME, asset("b"), ONE) == BROKEN
    assert cache.catalogue.document(b"key") is None
    cache.catalogue.put_facts(HOME, {(asset("a"), ONE): PHOTO})
    assert cache.catalogue.facts(HOME, asset("a"), ONE) == PHOTO
    cache.close()


@given(st.binary(), st.binary(), st.integers(0), st.integers(1, 255))
def test_a_seal_breaks_with_any_byte(key: bytes, row: bytes, at: int, turn: int) -> None:
    sealed = seal(key, row)
    assert unseal(key, sealed) == row
    at %= len(sealed)
    assert unseal(key, sealed[:at] + bytes((sealed[at] ^ turn,)) + sealed[at + 1 :]) is None
    assert unseal(key, sealed[:3]) is None


def test_facts_are_read_in_any_thread_as_they_were_or_newer(cache: Cache) -> None:
    cache.catalogue.put_facts(HOME, {(asset("committed"), ONE): PHOTO, (asset("broken"), ONE): BROKEN})
    cache.writer.commit_now()
    cache.catalogue.put_facts(HOME, {(asset("waiting"), ONE): BROKEN})
    wanted = [(asset(name), version) for name in ("committed", "broken", "waiting", "none") for version in (ONE, TWO)]
    facts, unfit = cache.catalogue.reading_facts(HOME, wanted), cache.catalogue.reading_unfit(HOME, iter(wanted))
    known = {(asset("committed"), ONE): PHOTO, (asset("broken"), ONE): BROKEN, (asset("waiting"), ONE): BROKEN}
    cache.writer.commit_now()  # what waited when it was asked is on disk when it is read
    with ThreadPoolExecutor() as threads:
        assert threads.submit(facts).result() == known == cache.catalogue.facts_of(HOME, wanted)
        assert sorted(threads.submit(unfit).result()) == ["broken", "waiting"]
    cache.close()


@pytest.mark.warns("a test says so")
def test_a_condemned_file_has_no_facts_and_is_rebuilt_when_they_are_asked_for(cache: Cache) -> None:
    cache.catalogue.put_facts(HOME, {(asset("a"), ONE): PHOTO})
    cache.writer.commit_now()
    read = cache.catalogue.reading_facts(HOME, [(asset("a"), ONE)])
    cache.environment.condemned = "a test says so"
    assert read() == {}
    assert cache.catalogue.facts_of(HOME, [(asset("a"), ONE)]) == {}
    cache.writer.commit_now()
    assert cache.writer.stats.rebuilt == 1
    cache.close()
