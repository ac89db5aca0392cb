"""What was sent goes on being read from this machine: nobody has to be asked for bytes that were here a moment ago.

Read your writes (DESIGN §4.3); offline, cached bytes go on (§4.6).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from pyfuse3 import FileHandleT

from tests.harness.scripted import Fault, FaultKind, Flavour, Store
from tests.harness.writing_tree import Life, called, opened, read_all
from tests.unit.vfs.test_changes_writing import NAVY, RED, SENT_S, items, living, wrote


@pytest.fixture
def albums(tmp_path: Path) -> Iterator[tuple[Life, Store]]:
    with living(tmp_path, Flavour.IMMICH) as both:
        yield both


def asked(store: Store) -> int:
    """How often somebody wanted bytes."""
    return sum(call.method in ("read", "open") for call in store.script.calls())


@pytest.mark.warns("changes are not noticed")
def test_what_was_sent_is_read_while_nobody_can_be_asked(albums: tuple[Life, Store]) -> None:
    life, store = albums
    life.ask(wrote("albums/A/new.jpg", NAVY))
    life.passes(SENT_S)
    (sent,) = store.named("new.jpg")
    before = asked(store)
    store.script.offline()
    assert life.ask(lambda life: read_all(life, "albums/A/new.jpg")) == NAVY
    assert (asked(store), store.bytes_of(sent.id)) == (before, NAVY)


@pytest.mark.warns("changes are not noticed")
def test_a_file_that_was_open_while_it_was_sent_is_read_offline(albums: tuple[Life, Store]) -> None:
    life, store = albums
    life.ask(wrote("albums/A/new.jpg", NAVY))
    handle, _ = life.ask(lambda life: opened(life, "albums/A/new.jpg", os.O_RDONLY))
    life.passes(SENT_S)
    assert items(life)[0].sent is not None
    store.script.offline()
    data = life.ask(lambda life: called(life.operations.read(FileHandleT(handle), 0, 1 << 20)))
    assert bytes(data) == NAVY


@pytest.mark.warns("changes are not noticed")
def test_new_bytes_of_an_original_are_read_offline_once_they_were_sent(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.put("old.jpg", NAVY, store.titled("A").id)
    life.passes(3.0)
    life.ask(wrote("albums/A/old.jpg", RED))
    life.passes(SENT_S)
    store.script.offline()
    assert life.ask(lambda life: read_all(life, "albums/A/old.jpg")) == RED
    life = life.restarted()
    try:
        assert life.ask(lambda life: read_all(life, "albums/A/old.jpg")) == RED
    finally:
        life.close()


@pytest.mark.warns("changes are not noticed")
def test_what_is_kept_when_a_kill_comes_is_not_what_is_written_after_it(albums: tuple[Life, Store]) -> None:
    """The bytes that were sent are kept as the very file that waits, until its row says that it was sent."""
    life, store = albums
    life.ask(wrote("albums/A/new.jpg", NAVY))

    async def until_kept(life: Life) -> None:
        is_kept, blocks = trio.Event(), life.gallery.blocks
        assert blocks is not None
        keep = blocks.keep

        async def and_no_more(*what: object) -> None:
            await keep(*what)  # type: ignore[arg-type]
            is_kept.set()
            await trio.sleep_forever()

        vars(blocks)["keep"] = and_no_more
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life.wait, SENT_S)
            await is_kept.wait()

    life.ask(until_kept)
    store.script.offline()
    life = life.killed()
    try:
        (payload,) = (life.state_path / "spool").iterdir()
        assert payload.stat().st_nlink == 2
        (kept,) = (path for path in (life.home / "cache").rglob("*") if path.is_file() and path.samefile(payload))
        life.ask(wrote("albums/A/new.jpg", RED))
        assert (payload.read_bytes(), kept.read_bytes()) == (RED, NAVY)
        store.script.clear()
        life.passes(SENT_S + 10.0)
        assert [store.bytes_of(asset.id) for asset in store.named("new.jpg")] == [RED]
        assert life.ask(lambda life: read_all(life, "albums/A/new.jpg")) == RED
        assert list((life.state_path / "spool").iterdir()) == []
    finally:
        life.close()


def test_the_spool_is_empty_once_the_bytes_are_kept(albums: tuple[Life, Store]) -> None:
    life, store = albums
    store.script.add(Fault(FaultKind.LOST, "upload"))
    life.ask(wrote("albums/A/new.jpg", NAVY))
    life.passes(SENT_S + 10.0)
    assert store.named("new.jpg")
    assert list((life.state_path / "spool").iterdir()) == []
