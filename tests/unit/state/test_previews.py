"""What state keeps of reduced pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import trio_test

from iiiffs.errors import StoreCorrupt
from iiiffs.model.gallery import AccountName, AssetId, Version
from iiiffs.model.image import Extent
from iiiffs.state import State
from iiiffs.state.archive import read_archive
from iiiffs.state.environment import Writing
from iiiffs.sync.previews import ORIGINAL_ONLY, Reduced, Sources

HOME, ONE, TWO = AccountName("home"), AssetId("a1"), AssetId("a2")
V1, V2 = Version("v1"), Version("v2")
SOURCES = Sources(
    (Reduced("thumbnail", Extent(375, 250), "image/webp"), Reduced("preview", Extent(2160, 1440), "image/jpeg")),
    since_ns=17,
)
WITHOUT = Sources(SOURCES.reduced, original=False, since_ns=18, revision=4)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State.open(tmp_path / "state")
    yield opened
    opened.close()


@trio_test
async def test_what_is_put_is_there_after_a_restart(state: State, tmp_path: Path) -> None:
    ledger = state.previews(HOME, "renderer")
    assert ledger.get(ONE, V1) is None
    await ledger.put(ONE, V1, SOURCES)
    await ledger.put(TWO, V1, ORIGINAL_ONLY)
    state.close()
    again = State.open(tmp_path / "state")
    ledger = again.previews(HOME, "renderer")
    assert ledger.get(ONE, V1) == SOURCES
    assert ledger.get(TWO, V1) == ORIGINAL_ONLY
    assert again.previews(AccountName("other"), "renderer").get(ONE, V1) is None
    again.close()


@trio_test
async def test_only_the_last_version_is_kept(state: State) -> None:
    ledger = state.previews(HOME, "renderer")
    await ledger.put(ONE, V1, SOURCES)
    assert ledger.get(ONE, V2) is None
    await ledger.put(ONE, V2, ORIGINAL_ONLY)
    assert (ledger.get(ONE, V1), ledger.get(ONE, V2)) == (None, ORIGINAL_ONLY)


@trio_test
async def test_another_renderer_tries_the_original_again(state: State) -> None:
    await state.previews(HOME, "renderer").put(ONE, V1, WITHOUT)
    assert state.previews(HOME, "renderer").get(ONE, V1) == WITHOUT
    assert state.previews(HOME, "renderer with another codec").get(ONE, V1) == Sources(
        SOURCES.reduced, since_ns=18, revision=4
    )


@trio_test
async def test_many_at_once_are_all_there(state: State) -> None:
    ledger = state.previews(AccountName("h" * 300), "renderer")
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(ledger.put, AssetId(f"a{number}"), V1, Sources(SOURCES.reduced, since_ns=number))
    assert [ledger.get(AssetId(f"a{number}"), V1) for number in range(50)] == [
        Sources(SOURCES.reduced, since_ns=number) for number in range(50)
    ]


@trio_test
async def test_they_move_with_an_export(state: State, tmp_path: Path) -> None:
    await state.previews(HOME, "renderer").put(ONE, V1, SOURCES)
    state.export(tmp_path / "export")
    other = State.open(tmp_path / "other")
    try:
        await other.previews(HOME, "renderer").put(TWO, V1, WITHOUT)
        other.import_from(read_archive(tmp_path / "export"), merge=True)
        assert other.previews(HOME, "renderer").get(ONE, V1) == SOURCES
        assert other.previews(HOME, "renderer").get(TWO, V1) == WITHOUT
    finally:
        other.close()


@pytest.mark.parametrize("row", [b"\xc1", b"", b"\x93\xa1x\x01\x91\x94\xa1n\x00\x01\xa1t"])
@trio_test
async def test_a_damaged_row_is_told(state: State, row: bytes) -> None:
    ledger = state.previews(HOME, "renderer")
    await ledger.put(ONE, V1, SOURCES)

    def damage(writing: Writing) -> None:
        ((key, _),) = writing.below("previews", b"")
        writing.put("previews", key, row)

    state._environment.write(damage)
    with pytest.raises(StoreCorrupt):
        ledger.get(ONE, V1)
