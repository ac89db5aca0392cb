"""What can be written while nobody can be asked, though what is written over is not here."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from pyfuse3 import FileHandleT

from tests.harness.scripted import Flavour
from tests.harness.writing_tree import Life, called, ftruncated, opened, released
from tests.unit.vfs.test_changes_writing import NAVY, RED, SENT_S, body, is_there, items, living, wrote

AWAY = pytest.mark.warns("unreachable")


@AWAY
@pytest.mark.parametrize("is_atomic", [True, False])
def test_a_photo_that_is_not_here_is_written_anew(is_atomic: bool, tmp_path: Path) -> None:
    """As a kernel that gives O_TRUNC to open, and as one that truncates what it has opened."""

    async def write(life: Life) -> None:
        handle, inode = await opened(life, "albums/A/x.jpg", os.O_WRONLY | (os.O_TRUNC if is_atomic else 0))
        if not is_atomic:
            await ftruncated(life, handle, inode, 0)
        await called(life.operations.write(FileHandleT(handle), 0, RED))
        await released(life, handle)

    with living(tmp_path, Flavour.IMMICH) as (life, store):
        store.put("x.jpg", NAVY, store.albums()[0].id)
        life.passes(SENT_S)
        assert is_there(life, "albums/A/x.jpg")
        store.script.offline()
        life.ask(write)
        assert body(life, "albums/A/x.jpg") == RED
        store.script.clear()
        life.passes(60.0)
        assert [store.bytes_of(asset.id) for asset in store.assets()] == [RED]
        assert [store.bytes_of(asset.id) for asset in store.trashed()] == [NAVY]


@AWAY
def test_a_photo_that_is_not_here_is_changed_when_it_can_be_had(tmp_path: Path) -> None:
    async def change(life: Life) -> None:
        handle, _ = await opened(life, "albums/A/x.jpg", os.O_RDWR)
        try:
            with pytest.raises(OSError) as refused:
                await called(life.operations.write(FileHandleT(handle), 2, b"?"))
            assert refused.value.errno == errno.EIO
            store.script.clear()
            await called(life.operations.write(FileHandleT(handle), 2, b"!"))
        finally:
            await released(life, handle)

    with living(tmp_path, Flavour.IMMICH) as (life, store):
        store.put("x.jpg", NAVY, store.albums()[0].id)
        life.passes(SENT_S)
        assert is_there(life, "albums/A/x.jpg")
        store.script.offline()
        life.ask(change)
        assert body(life, "albums/A/x.jpg") == NAVY[:2] + b"!" + NAVY[3:]
        assert len(items(life)) == 1


@AWAY
def test_who_reads_a_file_while_it_is_sent_asks_nobody_for_its_bytes(tmp_path: Path) -> None:
    async def read(life: Life, handle: int) -> bytes:
        return bytes(await called(life.operations.read(FileHandleT(handle), 0, len(RED) + 1)))

    with living(tmp_path, Flavour.IMMICH) as (life, store):
        life.ask(wrote("albums/A/x.jpg", RED))
        handle, _ = life.ask(lambda life: opened(life, "albums/A/x.jpg", os.O_RDONLY))
        life.passes(60.0)
        assert items(life) == []
        store.script.offline()
        assert life.ask(lambda life: read(life, handle)) == RED
        life.ask(lambda life: released(life, handle))
        assert life.outgoing.files.open_files == 0
